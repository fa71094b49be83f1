"""The capacity of a run's fleet: latency and throughput at multiples of the present load, and where the curve bends.

    made = curve(resolved, pool, first=results.bottleneck.first)
    made.keeps_up          # the interval of multiples between the last load that is kept up with and the first that is not

All clients grow together (`gwsim.scenario.rates`), the replicas stay. Probes are short: each has the requests that a p99
needs in every replication, share their random numbers, and use replications that no other run has looked at. Their number
follows from what they find, never from a clock, so the curve is the same wherever it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gwsim.engine import EngineName, suited
from gwsim.errors import UsageError
from gwsim.planning.executors import Executor
from gwsim.planning.replications import Runs
from gwsim.results import Results, Status
from gwsim.results.evaluation import Answer, Checked, check
from gwsim.results.intervals import EXCEEDANCES, Estimate
from gwsim.results.parts import Limit
from gwsim.scenario.rates import load_rps, with_load
from gwsim.scenario.resolved import Resolved

FIRST = 20_000
"""Number of the first replication of a probe: none that another run looks at."""
REPLICATIONS = 4
REQUESTS = 1.1 * EXCEEDANCES / 0.01
"""Requests of a replication: what a p99 needs, and some more because arrivals are random."""
LEAST_S, WARMUP_S = 3.0, 1.0
FRACTIONS = (0.2, 0.4, 0.6, 0.75, 0.9, 1.0, 1.1)
"""Of the load at which the first limit would be full: the loads that are always tried."""
GROWTH, SHRINK, MOST_STEPS = 1.25, 0.5, 6
PRECISION, MOST_HALVINGS = 0.06, 4
NEAR = 0.03
"""A load this close to the present one stands for it."""
WIDEST = 1_000.0
SHED = 0.01
"""A load with so many more errors than the lightest one is not kept up with: refusing is no serving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure and its interval; None where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @staticmethod
    def of(estimate: Estimate) -> Figure:
        """An estimate without its history."""
        return Figure(value=estimate.value, low=estimate.low, high=estimate.high)


NOTHING = Figure(value=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A load and what it came to. Latencies (s) of a saturated load are None.

    `holds`: all budgets do; where the interval of a short probe decides nothing, by the figure itself, and `decided` is false.
    """

    factor: float
    load_rps: float
    saturated: bool
    holds: bool
    decided: bool
    failing: str
    offered_rps: Figure
    """As measured: arrivals are random, and bursts more so."""
    served_rps: Figure
    p50_s: Figure
    p99_s: Figure
    errors: Figure
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Multiples of the present load: the largest tried that was good, the smallest that was not (None: none was)."""

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points by load. `budgets` is None without budgets; `bend`: the multiple at which p99 turns upwards most.

    Kept up with is a load under which no work piles up and that makes hardly more errors than a light one (`SHED`).
    """

    load_rps: float
    points: tuple[Point, ...]
    keeps_up: Interval
    budgets: Interval | None
    failing: str
    """The budget that is missed first."""
    bend: float | None

    @property
    def requests(self) -> int:
        """Requests simulated for it."""
        return sum(point.requests for point in self.points)


def refuse(resolved: Resolved) -> None:
    """Raise UsageError for a scenario that has no capacity curve: one whose load is meant to change, or has no rate."""
    if resolved.model.run.kind == "timeline":
        raise UsageError("--capacity is for steady runs: the load of a timeline changes by itself; give run.kind: steady")
    load_rps(resolved.model)


def curve(
    resolved: Resolved,
    pool: Executor,
    *,
    first: Limit | None = None,
    engine: EngineName = "auto",
    told: Callable[[Point], None] | None = None,
) -> Curve:
    """Probe a scenario at multiples of its load; `first` is the limit that a run of it found nearest.

    Raises what `refuse` raises.
    """
    refuse(resolved)
    probes = _Probes(resolved, pool, engine, told)
    full = 1.0 if first is None or first.exhausted or not first.utilisation else first.headroom
    full = min(max(full, 1.0 / WIDEST), WIDEST)
    for factor in sorted({1.0, *(_near_one(fraction * full) for fraction in FRACTIONS)}):
        probes.at(factor)
    usual = min(point.errors.value or 0.0 for point in probes.points.values())
    keeps_up = probes.between(lambda point: not point.saturated and (point.errors.value or 0.0) <= usual + SHED)
    judged = any(budget.level == "error" for budget in probes.budgets)
    held = probes.between(lambda point: point.holds) if judged else None
    points = tuple(probes.points[factor] for factor in sorted(probes.points))
    beyond = [point for point in points if held is not None and point.factor == held.high]
    return Curve(
        load_rps=probes.load_rps, points=points, keeps_up=keeps_up, budgets=held,
        failing=beyond[0].failing if beyond else "", bend=_bend_of(points),
    )


class _Probes:
    """Points tried so far, by factor."""

    def __init__(self, resolved: Resolved, pool: Executor, engine: EngineName, told: Callable[[Point], None] | None) -> None:
        self.resolved, self.pool, self.told = resolved, pool, told
        self.engine: EngineName = engine
        self.load_rps = load_rps(resolved.model)
        self.points: dict[float, Point] = {}
        self.budgets: Sequence[Any] = ()

    def at(self, factor: float) -> Point:
        """The point at a multiple of the load, tried once."""
        if factor not in self.points:
            self.points[factor] = self._run(factor)
            if self.told is not None:
                self.told(self.points[factor])
        return self.points[factor]

    def between(self, good: Callable[[Point], bool]) -> Interval:
        """The last multiple that is good and the first above it that is not, as close as they need be."""
        for _ in range(MOST_STEPS):
            top = max(self.points)
            if not good(self.points[top]):
                break
            self.at(_round(top * GROWTH))
        for _ in range(MOST_STEPS):
            bottom = min(self.points)
            if good(self.points[bottom]):
                break
            self.at(_round(bottom * SHRINK))
        low, high = self._ends(good)
        for _ in range(MOST_HALVINGS):
            if low is None or high is None or high / low <= 1.0 + PRECISION:
                break
            middle = _round((low * high) ** 0.5)
            if not low < middle < high:
                break
            self.at(middle)
            low, high = self._ends(good)
        return Interval(low=low, high=high)

    def _ends(self, good: Callable[[Point], bool]) -> tuple[float | None, float | None]:
        """The first that is not good, and the last before it."""
        bad = min((factor for factor, point in self.points.items() if not good(point)), default=None)
        held = [factor for factor, point in self.points.items() if good(point) and (bad is None or factor < bad)]
        return max(held, default=None), bad

    def _run(self, factor: float) -> Point:
        model = with_load(self.resolved.model, self.load_rps * factor)
        long = max(REQUESTS / (self.load_rps * factor), LEAST_S)
        warm = max(model.run.warmup_s, WARMUP_S)
        model = replace(model, run=replace(model.run, duration_s=long + warm, warmup_s=warm))
        runs = Runs(self.pool, suited(model, self.engine), None)
        results = Results.of(replace(self.resolved, model=model), runs.all(model, range(FIRST, FIRST + REPLICATIONS)))
        checked = check(results)
        self.budgets = [one.budget for one in checked.checked]
        saturated = results.verdict.status is Status.SATURATED
        latency = results.total.client_latency
        judged = [one for one in checked.checked if one.budget.level == "error"]
        missed = [one for one in judged if not _met(one)]
        worst = min(missed, key=lambda one: one.margin if one.margin is not None else 0.0, default=None)
        return Point(
            factor=factor, load_rps=self.load_rps * factor, saturated=saturated, holds=not missed and not saturated,
            decided=saturated or all(one.answer in (Answer.PASS, Answer.FAIL) for one in judged), failing=worst.budget.text if worst else "", offered_rps=Figure.of(results.throughput.offered_rps),
            served_rps=Figure.of(results.throughput.served_rps),
            p50_s=NOTHING if saturated else Figure.of(latency.p50), p99_s=NOTHING if saturated else Figure.of(latency.p99),
            errors=Figure.of(results.total.errors), requests=results.requests,
        )


def _met(one: Checked) -> bool:
    """Whether a budget holds, or, undecided, would by the figure alone."""
    if one.answer is Answer.UNDECIDED:
        return one.margin is not None and one.margin >= 0.0
    return one.answer is Answer.PASS


def _near_one(factor: float) -> float:
    return 1.0 if abs(factor - 1.0) <= NEAR else _round(factor)


def _round(factor: float) -> float:
    """Three figures."""
    return float(f"{factor:.3g}")


def _bend_of(points: Sequence[Point]) -> float | None:
    from gwsim.planning.sweep import bend

    index = bend([(point.factor, point.p99_s.value) for point in points])
    return None if index is None else points[index].factor


def as_plain(made: Curve) -> dict[str, Any]:
    """The curve as dictionaries, lists and numbers."""
    return asdict(made)


def from_plain(plain: Mapping[str, Any]) -> Curve:
    """The inverse of `as_plain`; raises TypeError or KeyError for what is no curve."""
    figures = ("offered_rps", "served_rps", "p50_s", "p99_s", "errors")
    points = tuple(Point(**{**row, **{name: Figure(**row[name]) for name in figures}}) for row in plain["points"])
    held = plain["budgets"]
    return Curve(**{
        **plain, "points": points, "keeps_up": Interval(**plain["keeps_up"]), "budgets": None if held is None else Interval(**held),
    })


__all__ = ["Curve", "Figure", "Interval", "Point", "as_plain", "curve", "from_plain", "refuse"]
