"""Gateway pods that come and go: what their state is, and what becomes of everything in a pod that ends.

Changes are control events that Python carries out between slices of the kernel; a pod that ends is cleared by the kernel.
Source: Kubernetes' termination of pods; istio pkg/envoy/agent.go (drain, then end).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gwsim.engine.codes import Purpose, Visit
from gwsim.engine.compiled.accounting import CUT, RETURNING, SETUP, settle
from gwsim.engine.compiled.autoscaling import Autoscaler
from gwsim.engine.compiled.connections import DOWN_CLOSE, DOWN_EXPIRE, clear_output, drop_item, reset_at
from gwsim.engine.compiled.cpu import NO_PERIOD
from gwsim.engine.compiled.filters import REQUEST
from gwsim.engine.compiled.fleets import write_targets
from gwsim.engine.compiled.heaps import index_of
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import FREE_FOREVER, NEVER
from gwsim.engine.compiled.pools import CLOSED
from gwsim.engine.compiled.relays import end_links, forget_links, unhook
from gwsim.engine.compiled.slots import CLOSED as SLOT_CLOSED
from gwsim.engine.compiled.state import drop_conn, drop_cx, drop_stream, made
from gwsim.engine.draws import below, draw64, fold, name64, ns
from gwsim.engine.schema import N_BINS

READ, WRITE_UP, WRITE_DOWN, ATTACH = int(Visit.READ), int(Visit.WRITE_UP), int(Visit.WRITE_DOWN), int(Visit.ATTACH)
ROUTE_TIMEOUT, BACKOFF, DELAY = int(Visit.ROUTE_TIMEOUT), int(Visit.BACKOFF), int(Visit.DELAY)
CALL_TIMEOUT, UP_EXPIRE, CONNECT_TIMEOUT = int(Visit.CALL_TIMEOUT), int(Visit.UP_EXPIRE), int(Visit.CONNECT_TIMEOUT)


# --- the end of a pod --------------------------------------------------------------------------------------------


@kernel
def end_pods(w):
    """The kernel's part of the control event that Python has begun: end the pods that it marked."""
    g = w.g[0]
    g.endings = 0
    for d in range(w.pods.shape[0]):
        if w.pods[d].ending == 1:
            w.pods[d].ending = 0
            w.pods[d].over = 1
            _lose_slots(w, d, g.stop_ns)
            if w.has_chains:
                end_links(w, d, g.stop_ns)
            first = w.pods[d].worker_first
            for i in range(first, first + w.pods[d].workers):
                _clear_worker(w, i)
            _end_streams(w, d)
            _end_connections(w, d)
            _end_upstream(w, d)
            _forget(w, d)


@kernel
def _is_of(w, n, d):
    """Whether downstream connection `n` belongs to pod `d` as it is now."""
    return w.conns[n].pod == d and w.conns[n].life == w.pods[d].life


@kernel
def _lose_slots(w, d, t):
    """Clients will hear that the connections to pod `d` are gone; what lies ahead of attempts on them is cut off."""
    for j in range(w.g[0].slots):
        s = w.slots[j]
        if s.state == SLOT_CLOSED or not _is_of(w, s.conn, d) or w.conns[s.conn].closed == 1:
            continue  # what was never made has its RESET on its way
        x = s.attempt_head
        while x >= 0:
            r = w.streams[x]
            waits = r.state == SETUP
            settle(w, r, t)
            r.state = CUT if waits else RETURNING
            x = r.slot_next
        reset_at(w, s.conn, t + w.conns[s.conn].down_ns)


@kernel
def _clear_worker(w, i):
    """Nothing is left of what worker `i` was to do."""
    k = w.workers[i]
    for j in range(k.ready_n):
        drop_item(w, w.ready[i, j].b)
    for j in range(k.accept_n):
        drop_conn(w, index_of(w.accept[i, j].b))
    for j in range(k.backoff_n):
        drop_stream(w, index_of(w.backoff[i, j].b))
    for j in range(k.uptimers_n):
        drop_cx(w, index_of(w.uptimers[i, j].b))
    for j in range(k.downtimers_n):
        drop_conn(w, index_of(w.downtimers[i, j].b))
    for j in range(k.armed_n):
        _drop_task(w, i, w.armed[i, j])
    for j in range(k.list_at, k.list_n):
        _drop_task(w, i, w.tasks[i, j])
    for d in range(w.timer_ns.shape[0]):
        _disarm(w, w.timers[i, d], w.timer_visit[d] == ROUTE_TIMEOUT)
    k.ready_n, k.accept_n, k.backoff_n, k.uptimers_n, k.downtimers_n, k.armed_n = 0, 0, 0, 0, 0, 0
    k.list_n, k.list_at, k.timers_n = 0, 0, 0
    k.timer_at_ns = FREE_FOREVER
    k.asleep, k.paying, k.budget_ns = 0, 0, 0
    w.next_at[i] = FREE_FOREVER


@kernel
def _drop_task(w, i, task):
    """Give up what an entry of a list refers to."""
    visit, b = task.visit, task.b
    if visit == WRITE_UP:
        drop_stream(w, task.a)
    elif visit == WRITE_DOWN:
        clear_output(w, task.a)
    elif visit == ATTACH or visit == UP_EXPIRE or visit == CONNECT_TIMEOUT:
        drop_cx(w, index_of(b))
    elif visit == DOWN_EXPIRE or visit == DOWN_CLOSE:
        drop_conn(w, index_of(b))
    elif ROUTE_TIMEOUT <= visit <= BACKOFF or visit == DELAY or visit == CALL_TIMEOUT:
        drop_stream(w, index_of(b))
    else:
        drop_item(w, b)
        following = task.next if visit == READ else -1
        while following >= 0:
            drop_item(w, w.batch[i, following].b)
            following = w.batch[i, following].next


@kernel
def _disarm(w, timers, route):
    x = timers.head
    timers.head = -1
    timers.tail = -1
    while x >= 0:
        r = w.streams[x]
        if route:
            r.route_armed = 0
            x = r.route_next
        else:
            r.try_armed = 0
            x = r.try_next


@kernel
def _end_streams(w, d):
    """Streams, attempts, calls and copies in pod `d` are over, and nobody counts them."""
    for x in range(made(w.streams)):
        r = w.streams[x]
        if r.refs == 0 or r.conn < 0 or not _is_of(w, r.conn, d):
            continue
        if w.has_chains and r.hop >= 0:
            unhook(w, x)
        runs = r.live == 1
        if r.kind == REQUEST:
            runs = r.gw_begun == 1 and r.gw_done == 0
            r.gw_done = 1
            r.call = -1
        r.live = 0
        if runs:
            drop_stream(w, x)


@kernel
def _end_connections(w, d):
    """Nothing is delivered on the downstream connections of pod `d` any more; for how long their worker was stopped is settled."""
    for n in range(made(w.conns)):
        c = w.conns[n]
        if c.refs == 0 or not _is_of(w, n, d):
            continue
        c.closed = 1
        c.stream_head = -1
        k = w.workers[c.worker]
        c.stops_first, c.stops_n = k.stops_first, k.stops_n
        j = c.hold_head
        c.hold_head = -1
        c.hold_tail = -1
        c.refs += 1
        while j >= 0:
            h = w.hold[j]
            following = h.next
            drop_item(w, h.b)
            g = w.g[0]
            h.next = g.hold_free
            g.hold_free = j
            g.hold_used -= 1
            j = following
        drop_conn(w, n)


@kernel
def _end_upstream(w, d):
    """The pod's upstream connections have nobody at this end; the stations do not know."""
    for n in range(made(w.upstream)):
        u = w.upstream[n]
        if u.refs > 0 and w.workers[u.worker].pod == d and u.state != CLOSED and u.gone == 0:
            u.gone = 1
            drop_cx(w, n)


@kernel
def _forget(w, d):
    """Pools, breakers, counts, buckets and quota of pod `d` as if it had never been."""
    pod = w.pods[d]
    for i in range(pod.worker_first, pod.worker_first + pod.workers):
        for ep in range(w.pools.shape[1]):
            p = w.pools[i, ep]
            w.g[0].pending -= p.pending
            p.ready, p.pending_head, p.pending_tail = -1, -1, -1
            p.established, p.connecting, p.pending = 0, 0, 0
    if w.has_chains:
        forget_links(w, d)
    for k in range(w.podclusters.shape[1]):
        q = w.podclusters[d, k]
        q.connections, q.pending, q.requests, q.retries = 0, 0, 0, 0
        w.detectors[d, k].ejected = 0
        w.detectors[d, k].tried = 0
    for ep in range(w.podhosts.shape[1]):
        h = w.podhosts[d, ep]
        h.ejected, h.backoff, h.ok, h.total = 0, 0, 0, 0
        h.failures_5xx, h.failures_gateway, h.local_failures = 0, 0, 0
        h.back_at_ns = -1
        w.active[d, ep] = 0
    for j in range(w.buckets.shape[1]):
        bucket = w.buckets[d, j]
        if bucket.rate > 0.0:
            bucket.last_s = 0.0 - bucket.most / bucket.rate
    for j in range(w.quota.shape[1]):
        w.quota[d, j].period = NO_PERIOD


# --- the life of pods ----------------------------------------------------------------------------------------------

ENTITY_FLEET = 10**6
CHANGE, READY, DEREGISTERED, END, SCRAPE, SYNC = range(6)
ABSENT, STARTING, SERVING, LEAVING = range(4)
Event = tuple[int, int, int, int, int]
"""Instant, entity, source, number and part of a control event."""


class Place:
    """A pod of a fleet with a lifecycle."""

    def __init__(self, state: int) -> None:
        self.state, self.began_ns = state, 0
        self.lives = 1 if state == SERVING else 0
        self.due = {READY: NEVER, DEREGISTERED: NEVER, END: NEVER}
        self.scraped: tuple[int, int] | None = None
        self.cores: float | None = None
        """What it used between the last two scrapes."""


class Lifecycle:
    """The pods of one fleet: how they change, and what the world is told of it."""

    def __init__(self, control: Any, f: int, model: Any, run: int) -> None:
        fleet = model.fleets[f]
        life = fleet.lifecycle
        self.control, self.f, self.fleet, self.life = control, f, fleet, life
        self.horizon_ns = ns(model.run.duration_s)
        self.first = sum(len(one.pods) for one in model.fleets[:f])
        self.start_ns, self.deregister_ns, self.drain_ns = (max(1, ns(x)) for x in (life.start_s, life.deregister_s, life.drain_s))
        self.places = [Place(SERVING if j < life.initial else ABSENT) for j in range(len(fleet.pods))]
        self.targets = list(range(min(life.initial, len(fleet.pods))))
        self.changes = [(ns(one.at_s), number) for number, one in enumerate(life.changes) if ns(one.at_s) < self.horizon_ns]
        self.counted_ns = 0
        self.autoscaler = None if life.scaling is None else Autoscaler(life.scaling)
        self.periods: dict[int, int] = {}
        self.next: dict[int, tuple[int, int]] = {}
        """Instant and number of the next scrape and sync."""
        if life.scaling is not None:
            key = fold(run, name64("hpa/" + fleet.name))
            self.periods = {SCRAPE: max(1, ns(life.scaling.scrape_s)), SYNC: max(1, ns(life.scaling.period_s))}
            self.next = {part: (below(draw64(key, Purpose.HPA, SYNC - part), period), 0) for part, period in self.periods.items()}

    @property
    def world(self) -> Any:
        """The world of the run."""
        return self.control.world

    def serving(self) -> list[int]:
        """The pods (of all fleets' numbering) that serve now."""
        return [self.first + j for j, place in enumerate(self.places) if place.state == SERVING]

    def events(self) -> Iterator[Event]:
        """Everything that is due, some of it perhaps never."""
        entity = ENTITY_FLEET + self.f
        for at, number in self.changes:
            yield at, entity, 0, number, CHANGE
        for j, place in enumerate(self.places):
            for part, at in place.due.items():
                yield at, entity, 0, j, part
        for part, (at, number) in self.next.items():
            yield at if at < self.horizon_ns else NEVER, entity, 0, number, part

    def carry_out(self, number: int, part: int, now: int) -> None:
        """The event of this number and part happens now."""
        if part == CHANGE:
            self.changes.remove((now, number))
            change = self.life.changes[number]
            for _ in range(change.pods):
                {"add": self._add, "remove": self._remove, "kill": self._kill}[change.kind](now)
            return
        if part in self.periods:
            self.next[part] = (now + self.periods[part], number + 1)
            self._scrape(now) if part == SCRAPE else self._sync(now)
            return
        self.places[number].due[part] = NEVER
        if part == READY:
            self._begin(number, now)
        elif part == DEREGISTERED:
            self.targets.remove(number)
            self._tell_targets()
            self._vanish(number, now)
        else:
            self._end(number, now)

    # --- changes ------------------------------------------------------------------------------------------------

    def _in_state(self, state: int) -> list[int]:
        return [j for j, place in enumerate(self.places) if place.state == state]

    def _add(self, now: int) -> None:
        absent = self._in_state(ABSENT)
        if absent:
            self.count(now)
            self.places[absent[0]].state = STARTING
            self.places[absent[0]].due[READY] = now + self.start_ns

    def _remove(self, now: int) -> None:
        starting, serving = self._in_state(STARTING), self._in_state(SERVING)
        if starting:
            self.count(now)
            self.places[starting[-1]].state = ABSENT
            self.places[starting[-1]].due[READY] = NEVER
        elif serving:
            j = max(serving, key=lambda one: (self.places[one].began_ns, one))
            self._leave(j, now)
            self.places[j].due[END] = now + self.drain_ns
            self.world.pods[self.first + j].draining = 1

    def _kill(self, now: int) -> None:
        serving = self._in_state(SERVING)
        if serving:
            self._leave(serving[0], now)
            self._end(serving[0], now)

    def _leave(self, j: int, now: int) -> None:
        self.places[j].state = LEAVING
        self.places[j].due[DEREGISTERED] = now + self.deregister_ns

    def _begin(self, j: int, now: int) -> None:
        """A new pod serves."""
        place = self.places[j]
        place.state, place.began_ns, place.scraped, place.cores = SERVING, now, None, None
        self.control.begin(self.first + j, now, place.lives)
        place.lives += 1
        self.targets = sorted([*self.targets, j])
        self._tell_targets()

    def _end(self, j: int, now: int) -> None:
        self.control.end(self.first + j)
        self._vanish(j, now)

    def _vanish(self, j: int, now: int) -> None:
        """A pod that has ended and is no target is no more."""
        place = self.places[j]
        if place.due[END] == NEVER and j not in self.targets:
            self.count(now)
            place.state = ABSENT

    def _tell_targets(self) -> None:
        write_targets(self.world, self.f, [self.first + j for j in self.targets], self.fleet.cross_zone)

    # --- autoscaling --------------------------------------------------------------------------------------------

    def _scrape(self, now: int) -> None:
        for j, place in enumerate(self.places):
            pod = self.world.pods[self.first + j]
            if place.state not in (SERVING, LEAVING) or pod.over:
                continue
            workers = range(int(pod.worker_first), int(pod.worker_first + pod.workers))
            cpu = sum(int(self.world.worker_out[i].cpu) for i in workers)
            if place.scraped is not None:
                place.cores = (cpu - place.scraped[1]) / (now - place.scraped[0])
            place.scraped = (now, cpu)

    def _sync(self, now: int) -> None:
        assert self.autoscaler is not None
        serving, starting = self._in_state(SERVING), self._in_state(STARTING)
        cores = [self.places[j].cores for j in serving]
        metrics = [one for one in cores if one is not None]
        pods = len(serving) + len(starting)
        wanted = self.autoscaler.sync(now, pods, metrics, len(serving) - len(metrics), len(starting))
        for _ in range(abs(wanted - pods)):
            (self._add if wanted > pods else self._remove)(now)

    # --- counting -----------------------------------------------------------------------------------------------

    def count(self, now: int) -> None:
        """Integrate the number of pods that exist up to `now`, bin by bin."""
        pods = len(self.places) - len(self._in_state(ABSENT))
        end = min(now, self.horizon_ns)
        while self.counted_ns < end:
            b = self.counted_ns * N_BINS // self.horizon_ns
            upto = min(end, -(-(b + 1) * self.horizon_ns // N_BINS))
            self.world.fleet_pods[self.f, b] += pods * (upto - self.counted_ns)
            self.counted_ns = upto
