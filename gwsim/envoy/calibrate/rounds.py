"""Relative costs: short slices in shuffled order, and what they come to.

A cost is the worker's CPU over a slice, divided by its requests. Disturbances only add to it, so a low quantile over the
slices is taken, not their mean. Slices in which the worker waited for its core are thrown away.
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from gwsim.envoy.calibrate.bench import Bench
from gwsim.envoy.calibrate.closed import Driver, Stuck, driver
from gwsim.envoy.calibrate.subjects import BASE, TWIN, Subject
from gwsim.errors import UndecidedError

SLICE_S, ROUNDS = 0.08, 24
ACCEPTED_WAIT = 0.03
"""Share of a slice that the worker may have waited for its core."""
LEAST_KEPT = 0.5
QUANTILE = 0.1
DRIFT_REQUESTS, DRIFT_HANDSHAKES = 0.17, 0.06
"""How far rows differ between runs minutes apart on one machine: a spread is never given as less."""
RESAMPLES = 400
FEWEST = 4

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice: CPU of a request, how often the worker went to sleep for it, and the share of the time it waited."""

    cost_s: float
    sleeps: float
    waited: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measured cost, net of what it is held against, in seconds."""

    subject: Subject
    gross_s: float
    net_s: float
    spread_s: float
    """Half the width of the range it is known to."""
    resolved: bool
    """Whether it is above the detection limit."""
    kept: int
    """Slices that were used."""


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """All slices of all subjects."""

    slices: Mapping[str, Sequence[Slice]]
    refused: Mapping[str, str] = field(default_factory=dict)
    """Subjects that could not be driven, and why."""

    @property
    def rejected(self) -> float:
        """Share of the slices thrown away."""
        everything = [one for slices in self.slices.values() for one in slices]
        return sum(one.waited > ACCEPTED_WAIT for one in everything) / max(len(everything), 1)

    def kept(self, name: str, wakeup_s: float = 0.0) -> Floats:
        """Costs of the slices used, s, less their wake-ups at `wakeup_s` each."""
        used = [one for one in self.slices.get(name, ()) if one.waited <= ACCEPTED_WAIT]
        return np.array([one.cost_s - wakeup_s * one.sleeps for one in used])

    def sleeps(self, name: str) -> float:
        """Wake-ups a request, median of the slices used."""
        return float(np.median([one.sleeps for one in self.slices[name] if one.waited <= ACCEPTED_WAIT]))


def measure(bench: Bench, subjects: Sequence[Subject], *, rounds: int = ROUNDS, slice_s: float = SLICE_S, seed: int = 1, told: Callable[[int, int], None] = lambda _, __: None) -> Rounds:
    """Drive every subject for one slice a round, in an order of its own each round."""
    drivers: dict[str, Driver] = {}
    refused: dict[str, str] = {}
    slices: dict[str, list[Slice]] = defaultdict(list)
    order, draw = list(subjects), random.Random(seed)
    try:
        for one in subjects:
            try:
                drivers[one.name] = driver(one, bench.ports[one.name])
                drivers[one.name].slice(slice_s / 4)  # connections upstream, caches
            except (Stuck, OSError) as error:
                refused[one.name] = str(error)
        for number in range(rounds):
            draw.shuffle(order)
            for one in order:
                if one.name not in refused:
                    _slice(bench, one, drivers[one.name], slice_s, slices, refused)
            told(number + 1, rounds)
    finally:
        for made in drivers.values():
            made.close()
    return Rounds(slices=dict(slices), refused=refused)


def _slice(bench: Bench, one: Subject, drive: Driver, seconds: float, slices: dict[str, list[Slice]], refused: dict[str, str]) -> None:
    before, start = bench.worker.usage(), time.perf_counter()
    try:
        done = drive.slice(seconds)
    except (Stuck, OSError) as error:
        refused[one.name] = str(error)
        return
    # What the last answers armed (statistics, closing) is done within a millisecond.
    time.sleep(0.002)
    used, length = bench.worker.usage() - before, time.perf_counter() - start
    slices[one.name].append(Slice(used.run_s / max(done, 1), used.sleeps / max(done, 1), used.wait_s / length))


# --- what they come to -----------------------------------------------------------------------------------------


def check(made: Rounds) -> None:
    """Raise UndecidedError, with the share thrown away, when too few slices of the base are left to judge anything."""
    for name in (BASE, TWIN):
        if name not in made.slices or len(made.kept(name)) < max(FEWEST, LEAST_KEPT * len(made.slices[name])):
            raise UndecidedError(
                f"host too noisy to calibrate: the gateway's worker waited for its core in {made.rejected:.0%} of the slices "
                f"(more than {ACCEPTED_WAIT:.0%} of each); nothing was written"
            )


def rows(made: Rounds, subjects: Sequence[Subject], *, wakeup_s: float, wakeup_spread_s: float = 0.0, seed: int = 1) -> tuple[list[Row], float]:
    """Every subject's row, and the detection limit in seconds; wake-ups are taken off at `wakeup_s` each.

    A slice whose generator is slow lets the worker sleep more often; that is the load's doing, not the subject's.
    """
    rng = np.random.default_rng(seed)
    base, twin = made.kept(BASE, wakeup_s), made.kept(TWIN, wakeup_s)
    limit = max(abs(_low(twin) - _low(base)), 2 * _error(base, twin, rng))
    found = []
    for one in subjects:
        if len(made.kept(one.name)) >= FEWEST:
            row = _row(made, one, limit, wakeup_s, rng)
            found.append(replace(row, spread_s=math.hypot(row.spread_s, _sleeps(made, one) * wakeup_spread_s)))
    return found, limit


def _row(made: Rounds, one: Subject, limit: float, wakeup_s: float, rng: np.random.Generator) -> Row:
    own = made.kept(one.name, wakeup_s)
    gross = _low(own)
    if not one.against or not len(made.kept(one.against)):
        # What differs from run to run is the whole CPU of a request, wake-ups among it.
        spread = max(2 * _error(own, None, rng), DRIFT_REQUESTS * _low(made.kept(one.name)))
        return Row(subject=one, gross_s=gross, net_s=gross, spread_s=spread, resolved=True, kept=len(own))
    other = made.kept(one.against, wakeup_s)
    net = gross - _low(other)
    drift = DRIFT_HANDSHAKES if one.handshake else DRIFT_REQUESTS
    spread = max(2 * _error(own, other, rng), limit, drift * abs(net))
    return Row(subject=one, gross_s=gross, net_s=net, spread_s=spread, resolved=abs(net) > limit, kept=len(own))


def _sleeps(made: Rounds, one: Subject) -> float:
    """Wake-ups that were taken off a row, net."""
    other = made.sleeps(one.against) if len(made.kept(one.against)) else 0.0
    return abs(made.sleeps(one.name) - other)


def _low(costs: Floats) -> float:
    return float(np.quantile(costs, QUANTILE))


def _error(own: Floats, other: Floats | None, rng: np.random.Generator) -> float:
    """Standard error of a low quantile, or of the difference of two, by resampling slices."""
    drawn = np.quantile(rng.choice(own, (RESAMPLES, len(own))), QUANTILE, axis=1)
    if other is not None:
        drawn = drawn - np.quantile(rng.choice(other, (RESAMPLES, len(other))), QUANTILE, axis=1)
    return float(drawn.std())


__all__ = ["ACCEPTED_WAIT", "LEAST_KEPT", "ROUNDS", "SLICE_S", "Rounds", "Row", "Slice", "check", "measure", "rows"]
