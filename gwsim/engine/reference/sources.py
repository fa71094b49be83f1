"""Arrivals: when a client's requests start.

Each kind of open-loop arrivals is a generator of (instant, key of the request, shape or -1), one request after the
other; time-varying rates are inverted, not thinned, so that a change of rate moves the same arrivals. Closed
loops follow Fortio's schedule (fortio.org/fortio, periodic/periodic.go).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from math import log
from typing import TYPE_CHECKING

from gwsim.engine.codes import Purpose
from gwsim.engine.draws import fold, ns, ramp_time
from gwsim.engine.reference.agenda import name_of
from gwsim.engine.reference.calls import Job
from gwsim.engine.reference.clients import ARRIVAL
from gwsim.engine.reference.sampling import Quantity, u01
from gwsim.scenario.model import Bursts, ClosedLoop, Paced, Poisson, Replay

if TYPE_CHECKING:
    from gwsim.engine.reference.agenda import Happening
    from gwsim.engine.reference.clients import Client
    from gwsim.engine.reference.streams import Request

Segments = Iterator[tuple[float, float, float]]
"""(duration, rate at its start, rate at its end) of one stretch after the other."""


def profile(arrivals: Poisson) -> Segments:
    """The segments of a profile, again and again; none if it never has a rate."""
    if any(0.5 * (s.start_rps + s.end_rps) * s.duration_s > 0.0 for s in arrivals.segments):
        while True:
            for segment in arrivals.segments:
                yield segment.duration_s, segment.start_rps, segment.end_rps


def stays(arrivals: Bursts, source_key: int) -> Segments:
    """Exponential stays at the base rate and at the peak rate in turn."""
    if arrivals.base_rps <= 0.0 and arrivals.peak_rps <= 0.0:
        return
    for i in count():
        mean, rate = (
            (arrivals.mean_peak_s, arrivals.peak_rps) if i % 2 else (arrivals.mean_base_s, arrivals.base_rps)
        )
        yield -mean * log(1.0 - u01(source_key, Purpose.STATE, i)), rate, rate


def poisson(segments: Segments, source_key: int) -> Iterator[tuple[int, int, int]]:
    """Unit-rate exponential gaps, laid along the integral of the rate."""
    segment = next(segments, None)
    begin_s, area0, target = 0.0, 0.0, 0.0
    for number in count():
        key = fold(source_key, number)
        target += -log(1.0 - u01(key, Purpose.ARRIVAL))
        while segment is not None:
            duration, r0, r1 = segment
            area = 0.5 * (r0 + r1) * duration
            if target < area0 + area:
                break
            area0 += area
            begin_s += duration
            segment = next(segments, None)
        if segment is None:
            return
        x = (target - area0) / r0 if r0 == r1 else ramp_time(target - area0, r0, r1, duration)
        yield ns(begin_s + x), key, -1


def paced(arrivals: Paced, source_key: int) -> Iterator[tuple[int, int, int]]:
    """Evenly spaced; each instant from its number, so that nothing accumulates."""
    if arrivals.rate_rps > 0.0:
        for number in count():
            yield int(number / arrivals.rate_rps * 1e9 + 0.5), fold(source_key, number), -1


def replay(arrivals: Replay, source_key: int) -> Iterator[tuple[int, int, int]]:
    """As recorded; ends after the last."""
    for number, (time_s, shape) in enumerate(zip(arrivals.times_s, arrivals.shapes, strict=True)):
        yield ns(time_s), fold(source_key, number), shape


def arrivals_of(client: Client, source_key: int) -> Iterator[tuple[int, int, int]]:
    """The arrivals of an open-loop client."""
    arrivals = client.model.arrivals
    if isinstance(arrivals, Poisson):
        return poisson(profile(arrivals), source_key)
    if isinstance(arrivals, Bursts):
        return poisson(stays(arrivals, source_key), source_key)
    if isinstance(arrivals, Paced):
        return paced(arrivals, source_key)
    if isinstance(arrivals, Replay):
        return replay(arrivals, source_key)
    raise TypeError(f"not an open loop: {arrivals}")


class OpenSource:
    """Sends without waiting for answers; one arrival is pending at a time."""

    __slots__ = ("arrivals", "client", "number", "passed")

    def __init__(self, client: Client, source_key: int) -> None:
        self.client = client
        self.arrivals = arrivals_of(client, source_key)
        self.number = -1
        self.passed = False
        """True once nothing more arrives before the horizon."""

    def start(self) -> None:
        """The first arrival is put on the agenda."""
        self._next()

    def _next(self) -> None:
        world = self.client.world
        self.number += 1
        arrival = next(self.arrivals, None)
        if not self.passed and (arrival is None or arrival[0] >= world.horizon):
            self.passed = True
            world.open_sources -= 1
        if arrival is not None:
            key = self.client.arrival_place | name_of(self.client.index, self.number, 0) | ARRIVAL
            world.agenda.at(arrival[0], key, self._arrive, arrival)

    def _arrive(self, happening: Happening) -> None:
        now, key, shape = happening.subject
        client = self.client
        traffic = client.classes[shape] if shape >= 0 else client.shape_of(key)
        client.arrive(traffic, self.number, key, now)
        self._next()

    def finished(self, request: Request, status: int, now: int) -> None:
        """Answers do not matter to an open loop."""


class ClosedSource:
    """Each of its loops sends its next request after its last was answered."""

    __slots__ = ("client", "key", "loops", "model", "sent", "think", "tick")

    def __init__(self, client: Client, source_key: int, model: ClosedLoop) -> None:
        self.client = client
        self.key = source_key
        self.model = model
        self.loops = model.connections
        self.sent = [0] * self.loops
        """Number of the next request, by loop."""
        self.tick = [0] * self.loops
        """Index into the schedule, by loop."""
        self.think = None if model.think_time_s is None else Quantity(model.think_time_s, Purpose.THINK)

    def start(self) -> None:
        """The first request of every loop."""
        for j in range(0 if self.model.rate_rps == 0.0 else self.loops):
            first = self._think(self._key(j)) if self.model.rate_rps is None else self._target(j)
            self._send_at(j, first)

    def finished(self, request: Request, status: int, now: int) -> None:
        """The answer of a loop: when will it send the next?"""
        j = request.loop
        key = self._key(j)
        self._send_at(j, now + (self._think(key) if self.model.rate_rps is None else self._sleep(j, key, now)))

    def _key(self, j: int) -> int:
        """Key of the request about to be sent by loop `j`."""
        return fold(fold(self.key, j), self.sent[j])

    def _think(self, key: int) -> int:
        return 0 if self.think is None else self.think.ns(key)

    def _target(self, j: int) -> int:
        rate = self.model.rate_rps or 0.0
        offset = j / rate if self.model.pacing == "uniform" else 0.0
        return ns(offset + self.tick[j] * self.loops / rate)

    def _sleep(self, j: int, key: int, now: int) -> int:
        self.tick[j] += 1
        while not self.model.catch_up and self._target(j) < now:
            self.tick[j] += 1
        sleep = self._target(j) - now
        if sleep <= 0:
            return 0
        if self.model.pacing == "jittered":
            return int(sleep * (0.9 + 0.2 * u01(key, Purpose.PACING)) + 0.5)
        return sleep

    def _send_at(self, j: int, instant: int) -> None:
        number = self.sent[j] * self.loops + j
        key = self.client.arrival_place | name_of(self.client.index, number, 0) | ARRIVAL
        self.client.world.agenda.at(instant, key, self._arrive, j)

    def _arrive(self, happening: Happening) -> None:
        j: int = happening.subject
        key = self._key(j)
        number = self.sent[j] * self.loops + j
        self.sent[j] += 1
        client = self.client
        client.arrive(client.shape_of(key), number, key, client.world.agenda._now, loop=j)


class Demand:
    """No arrivals: backends and other proxies make the requests (`Client.derive`)."""

    __slots__ = ()

    def start(self) -> None:
        """Nothing comes of itself."""

    def finished(self, request: Request, status: int, now: int) -> None:
        """Who waits for it goes on."""
        if isinstance(request.cause, Job):
            request.cause.station.ended(request.cause, request, status, now)


Source = OpenSource | ClosedSource | Demand
