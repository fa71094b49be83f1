"""A load that changes over time: up and down again between two rates, or as the clients of a scenario say."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from gwsim.errors import UsageError
from gwsim.scenario.model import Model, Poisson, RateSegment
from gwsim.scenario.rates import load_rps, mean_rps, with_load
from gwsim.units import parse_duration_s

HOLD_S = 300.0
"""How long a load is held before it changes: as long as an autoscaler waits before it takes pods away."""
RAMP_S = 300.0


@dataclass(frozen=True, slots=True)
class Day:
    """The load of all clients together, in stretches in which it changes evenly."""

    segments: tuple[RateSegment, ...]

    @property
    def duration_s(self) -> float:
        """Its length."""
        return sum(one.duration_s for one in self.segments)

    @property
    def lowest_rps(self) -> float:
        """The least load."""
        return min(min(one.start_rps, one.end_rps) for one in self.segments)

    @property
    def highest_rps(self) -> float:
        """The greatest load."""
        return max(max(one.start_rps, one.end_rps) for one in self.segments)

    @property
    def requests(self) -> float:
        """How many there are in it."""
        return sum(one.duration_s * (one.start_rps + one.end_rps) / 2.0 for one in self.segments)

    def every(self, step_s: float) -> list[float]:
        """The load in the middle of every step, rps."""
        ends, at = [], 0.0
        for one in self.segments:
            at += one.duration_s
            ends.append(at)
        made = []
        for n in range(max(round(self.duration_s / step_s), 1)):
            t = min((n + 0.5) * step_s, self.duration_s)
            i = min(bisect.bisect_left(ends, t), len(ends) - 1)
            one = self.segments[i]
            share = 1.0 - (ends[i] - t) / one.duration_s
            made.append(one.start_rps + (one.end_rps - one.start_rps) * share)
        return made

    def around_steepest_rise(self, longest_s: float) -> Day:
        """So much of it: from a while before the steepest rise, so that there is time to follow it and to come down again."""
        if self.duration_s <= longest_s:
            return self
        rises = [(one.end_rps - one.start_rps) / one.duration_s for one in self.segments]
        steepest = rises.index(max(rises))
        begin = max(sum(one.duration_s for one in self.segments[:steepest]) - longest_s / 4.0, 0.0)
        return self.part(min(begin, self.duration_s - longest_s), longest_s)

    def part(self, begin_s: float, length_s: float) -> Day:
        """A part of it."""
        made, at = [], 0.0
        for one in self.segments:
            first, last = max(begin_s, at), min(begin_s + length_s, at + one.duration_s)
            if last > first:
                slope = (one.end_rps - one.start_rps) / one.duration_s
                made.append(RateSegment(
                    duration_s=last - first, start_rps=one.start_rps + slope * (first - at), end_rps=one.start_rps + slope * (last - at),
                ))
            at += one.duration_s
        return Day(tuple(made))


def up_and_down(low_rps: float, high_rps: float, ramp_s: float = RAMP_S, hold_s: float = HOLD_S) -> Day:
    """Low, an even rise, high, an even fall, and low for as long again."""
    levels = [(hold_s, low_rps, low_rps), (ramp_s, low_rps, high_rps), (hold_s, high_rps, high_rps), (ramp_s, high_rps, low_rps), (hold_s, low_rps, low_rps)]
    return Day(tuple(RateSegment(duration_s=length, start_rps=first, end_rps=last) for length, first, last in levels if length > 0.0))


def day_for(model: Model, loads: Sequence[float], ramp: str | float = RAMP_S) -> Day:
    """The day to plan for: between the least and the greatest of some loads, or what the clients of a scenario say.

    `ramp` is how long the load rises and falls, in seconds or with a unit. Raises UsageError where the load never changes.
    """
    if not loads:
        return day_of(model)
    if len(set(loads)) < 2:
        raise UsageError("an autoscaler is planned for a load that changes; give the load as A..B")
    try:
        ramp_s = parse_duration_s(ramp)
    except ValueError as error:
        raise UsageError(f"ramp: {error}") from None
    return up_and_down(min(loads), max(loads), ramp_s)


def day_of(model: Model) -> Day:
    """What the clients of a scenario say together, over the longest of their cycles; UsageError where the load never changes."""
    cycles = [one.arrivals for one in model.clients if isinstance(one.arrivals, Poisson)]
    steady = sum(mean_rps(one.arrivals) or 0.0 for one in model.clients if not isinstance(one.arrivals, Poisson))
    length = max((sum(s.duration_s for s in one.segments) for one in cycles), default=0.0)
    edges = {0.0, length}
    for one in cycles:
        at = 0.0
        while at < length:
            for segment in one.segments:
                edges.add(min(at, length))
                at += segment.duration_s
    marks = sorted(edges)
    made = tuple(
        RateSegment(duration_s=last - first, start_rps=steady + _after(cycles, first), end_rps=steady + _before(cycles, last))
        for first, last in pairwise(marks)
    )
    found = Day(made)
    if not made or found.lowest_rps == found.highest_rps:
        raise UsageError("an autoscaler is planned for a load that changes, and that of the scenario does not; give --load A..B, or arrivals a profile")
    return found


def _rate(one: Poisson, at_s: float, *, before: bool) -> float:
    """The rate at an instant of the cycle that repeats; where it jumps, as it was before or as it is then."""
    length = sum(segment.duration_s for segment in one.segments)
    left = at_s % length
    if before and left == 0.0:
        left = length
    for segment in one.segments:
        if left < segment.duration_s or (before and left == segment.duration_s):
            return segment.start_rps + (segment.end_rps - segment.start_rps) * left / segment.duration_s
        left -= segment.duration_s
    return one.segments[-1].end_rps


def _after(cycles: list[Poisson], at_s: float) -> float:
    return sum(_rate(one, at_s, before=False) for one in cycles)


def _before(cycles: list[Poisson], at_s: float) -> float:
    return sum(_rate(one, at_s, before=True) for one in cycles)


def constant(model: Model) -> Model:
    """The model with every client's load at its mean all the time: what a search for a steady load goes by."""
    clients = []
    for client in model.clients:
        if isinstance(client.arrivals, Poisson) and len(client.arrivals.segments) > 1:
            rate = mean_rps(client.arrivals) or 0.0
            flat = RateSegment(duration_s=sum(s.duration_s for s in client.arrivals.segments), start_rps=rate, end_rps=rate)
            client = replace(client, arrivals=replace(client.arrivals, segments=(flat,)))
        clients.append(client)
    return replace(model, clients=tuple(clients))


def with_day(model: Model, day: Day) -> Model:
    """The model with its load following a day: every client its part of it, with the connections of the day's highest load."""
    grown = with_load(constant(model), day.highest_rps)
    total = load_rps(grown)
    clients = []
    for client in grown.clients:
        rate = mean_rps(client.arrivals)
        if rate is not None:
            part = rate / total
            segments = tuple(replace(one, start_rps=one.start_rps * part, end_rps=one.end_rps * part) for one in day.segments)
            client = replace(client, arrivals=Poisson(segments=segments))
        clients.append(client)
    run = replace(model.run, kind="timeline", duration_s=day.duration_s, warmup_s=0.0)
    return replace(grown, clients=tuple(clients), run=run)


__all__ = ["HOLD_S", "RAMP_S", "Day", "constant", "day_for", "day_of", "up_and_down", "with_day"]
