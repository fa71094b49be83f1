"""Gateway pods that come and go: starting, serving, leaving, gone.

Kubernetes: a pod that leaves is taken out of the load balancer after a while, its proxy drains at once and ends after the
termination drain duration (istio pkg/envoy/agent.go); what is still open then is reset.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from gwsim.engine.codes import Purpose
from gwsim.engine.draws import below, draw64, fold, name64, ns
from gwsim.engine.reference.agenda import RANK_CONTROL, Happening, name_of, place_of
from gwsim.engine.reference.autoscaling import Autoscaler
from gwsim.engine.reference.fleets import Fleet, Pod, make_pod
from gwsim.engine.schema import N_BINS

if TYPE_CHECKING:
    from gwsim.engine.reference.world import World

ENTITY_FLEET = 10**6
CHANGE, READY, DEREGISTERED, END, SCRAPE, SYNC = 0, 1, 2, 3, 4, 5


class State(Enum):
    """Of a pod's place."""

    ABSENT = 0
    STARTING = 1
    SERVING = 2
    LEAVING = 3


class Place:
    """A place for a pod, and what is with it."""

    __slots__ = ("began", "incarnation", "ready", "sample", "scraped", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.began = 0
        """When the pod began to serve."""
        self.incarnation = 0 if state is State.SERVING else -1
        self.ready: Happening | None = None
        self.scraped: tuple[int, int] | None = None
        """Instant and CPU of the last scrape of the pod."""
        self.sample: float | None = None
        """Cores it used between the last two scrapes."""


class Lifecycle:
    """What changes in a fleet, and what follows from it."""

    __slots__ = (
        "_at", "autoscaler", "deregister", "drain", "fleet", "key", "period", "places", "scrape", "start_ns", "world",
    )

    def __init__(self, world: World, fleet: Fleet) -> None:
        model = fleet.model.lifecycle
        assert model is not None
        self.world = world
        self.fleet = fleet
        self.start_ns = max(1, ns(model.start_s))
        self.deregister = max(1, ns(model.deregister_s))
        self.drain = max(1, ns(model.drain_s))
        self.key = place_of(RANK_CONTROL, ENTITY_FLEET + fleet.index)
        self.places = [Place(State.SERVING if i < model.initial else State.ABSENT) for i in range(len(fleet.pods))]
        scaling = model.scaling
        self.autoscaler = None if scaling is None else Autoscaler(scaling)
        self.scrape = 0 if scaling is None else max(1, ns(scaling.scrape_s))
        self.period = 0 if scaling is None else max(1, ns(scaling.period_s))
        self._at = 0
        """Up to when `fleet_bin_pods` is counted."""

    def start(self) -> None:
        """Set the scheduled changes."""
        model = self.fleet.model.lifecycle
        assert model is not None
        for number, change in enumerate(model.changes):
            at = ns(change.at_s)
            if at < self.world.horizon:
                self._schedule(at, number, CHANGE, change)
        if self.autoscaler is not None:
            key = fold(self.world.run_key, name64("hpa/" + self.fleet.model.name))
            self._again(below(draw64(key, Purpose.HPA, 1), self.scrape), 0, SCRAPE)
            self._again(below(draw64(key, Purpose.HPA, 0), self.period), 0, SYNC)

    def _again(self, at: int, number: int, part: int) -> None:
        if at < self.world.horizon:
            self._schedule(at, number, part, number)

    def _schedule(self, at: int, number: int, part: int, subject: object) -> Happening:
        actions = {CHANGE: self._change, READY: self._ready, DEREGISTERED: self._deregistered, END: self._end, SCRAPE: self._scrape, SYNC: self._sync}
        return self.world.agenda.at(at, self.key | name_of(0, number, 0) | part, actions[part], subject)

    # --- events ----------------------------------------------------------------------------------------------

    def _change(self, happening: Happening) -> None:
        change = happening.subject
        act = {"add": self.add, "remove": self.remove, "kill": self.kill}[change.kind]
        for _ in range(change.pods):
            act(self.world.agenda._now)

    def add(self, now: int) -> None:
        """One more pod, if there is a place."""
        i = self._first(State.ABSENT)
        if i is not None:
            self._count(now)
            place = self.places[i]
            place.state = State.STARTING
            place.ready = self._schedule(now + self.start_ns, i, READY, i)

    def remove(self, now: int) -> None:
        """One pod less: the last that is starting, else the youngest."""
        starting = [i for i, place in enumerate(self.places) if place.state is State.STARTING]
        if starting:
            self._count(now)
            place = self.places[starting[-1]]
            place.state = State.ABSENT
            if place.ready is not None:
                place.ready.cancel()
            return
        serving = [(place.began, i) for i, place in enumerate(self.places) if place.state is State.SERVING]
        if serving:
            i = max(serving)[1]
            self._leave(i, now)
            self.fleet.pods[i].draining = True
            self._schedule(now + self.drain, i, END, i)

    def kill(self, now: int) -> None:
        """The first pod that serves ends at once; the load balancer does not know yet."""
        i = self._first(State.SERVING)
        if i is not None:
            self._leave(i, now)
            self._finish_pod(i, now)

    def _leave(self, i: int, now: int) -> None:
        self.places[i].state = State.LEAVING
        self._schedule(now + self.deregister, i, DEREGISTERED, i)

    def _ready(self, happening: Happening) -> None:
        i, now, fleet = happening.subject, self.world.agenda._now, self.fleet
        place = self.places[i]
        place.state = State.SERVING
        place.began = now
        place.incarnation += 1
        place.scraped = place.sample = None
        pod = make_pod(self.world, fleet, i, place.incarnation)
        fleet.pods[i] = pod
        self.world.pods[pod.index] = pod
        for worker in pod.workers:
            self.world.workers[worker.index].tell_stops()
            self.world.workers[worker.index] = worker
        self.world.begin([pod], now)
        fleet.targets = sorted([*fleet.targets, pod], key=lambda one: one.index)

    def _deregistered(self, happening: Happening) -> None:
        i, now = happening.subject, self.world.agenda._now
        pod = self.fleet.pods[i]
        self.fleet.targets = [one for one in self.fleet.targets if one is not pod]
        self._absent_if_done(i, pod, now)

    def _end(self, happening: Happening) -> None:
        self._finish_pod(happening.subject, self.world.agenda._now)

    def _finish_pod(self, i: int, now: int) -> None:
        """The pod ends: what was in it is gone, and clients hear of it."""
        pod = self.fleet.pods[i]
        pod.end(now)
        for client in self.world.clients:
            if client.fleet is self.fleet:
                for slot in client.slots():
                    client.lose(slot, pod, now)
        self._absent_if_done(i, pod, now)

    def _absent_if_done(self, i: int, pod: Pod, now: int) -> None:
        if pod.over and pod not in self.fleet.targets:
            self._count(now)
            self.places[i].state = State.ABSENT

    def _first(self, state: State) -> int | None:
        return next((i for i, place in enumerate(self.places) if place.state is state), None)

    # --- autoscaling -----------------------------------------------------------------------------------------

    def _scrape(self, happening: Happening) -> None:
        """The CPU of the pods is measured."""
        now, tallies = self.world.agenda._now, self.world.recorder.workers
        for place, pod in zip(self.places, self.fleet.pods, strict=True):
            if place.state in (State.SERVING, State.LEAVING) and not pod.over:
                cpu = sum(tallies[worker.index].worker_cpu for worker in pod.workers)
                if place.scraped is not None:
                    then, before = place.scraped
                    place.sample = (cpu - before) / (now - then)
                place.scraped = (now, cpu)
        self._again(now + self.scrape, happening.subject + 1, SCRAPE)

    def _sync(self, happening: Happening) -> None:
        """The autoscaler looks at the metrics."""
        assert self.autoscaler is not None
        now = self.world.agenda._now
        serving = [place for place in self.places if place.state is State.SERVING]
        starting = sum(place.state is State.STARTING for place in self.places)
        metrics = [place.sample for place in serving if place.sample is not None]
        current = len(serving) + starting
        wanted = self.autoscaler.sync(now, current, metrics, len(serving) - len(metrics), starting)
        for _ in range(wanted - current):
            self.add(now)
        for _ in range(current - wanted):
            self.remove(now)
        self._again(now + self.period, happening.subject + 1, SYNC)

    # --- counting --------------------------------------------------------------------------------------------

    def _count(self, now: int) -> None:
        """Add the time of the pods that exist, up to `now`, to the bins."""
        horizon = self.world.horizon
        pods = sum(place.state is not State.ABSENT for place in self.places)
        bins = self.world.recorder.fleet_bin_pods[self.fleet.index]
        end = min(now, horizon)
        while self._at < end:
            b = self._at * N_BINS // horizon
            edge = min(end, -(-(b + 1) * horizon // N_BINS))
            bins[b] += pods * (edge - self._at)
            self._at = edge

    def finish(self, now: int) -> None:
        """The run stops."""
        self._count(now)

