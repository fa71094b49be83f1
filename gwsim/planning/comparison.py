"""Two runs held against each other, replication by replication.

Both runs use the same random numbers, so most of the noise is in both and cancels in the difference: for each
replication r the difference d_r = b_r - a_r is taken, and Student's interval over the d_r is put around the
difference of the pooled figures. `variance_reduction` says what that was worth: the variance that independent runs
would have had, over the one obtained. Replications are paired, requests never.

Figures with a budget are judged together after Holm, all the others after Benjamini and Hochberg. A difference of
latencies below the width of a histogram's bucket is not claimed.

Sources: A. M. Law, Simulation Modeling and Analysis, 5th ed., 10.2.1 (paired-t intervals) and 11.2 (common random
numbers); Y. Benjamini, Y. Hochberg, J. R. Statist. Soc. B 57 (1995); S. Holm, Scand. J. Statist. 6 (1979).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from gwsim.errors import UsageError
from gwsim.results import Results, Status
from gwsim.results.budgets import METRICS, Budget, parse, read
from gwsim.results.evaluation import measure, per_replication, singles
from gwsim.results.intervals import t_quantile, t_upper_tail

LEVEL = 0.95
BUCKET = 2.0**-10
"""Relative width of a bucket of the latency histograms: a smaller difference is not seen."""

STANDARD = (
    "client.latency mean", "client.latency p(50)", "client.latency p(95)", "client.latency p(99)",
    "gateway.latency mean", "gateway.latency p(99)", "gateway.overhead p(99)", "errors rate", "retries rate",
    "client.retries rate", "throughput good", "gateway.cores total", "gateway.cpu max",
)
PER_ROUTE = ("gateway.latency p(50)", "gateway.latency p(99)", "errors rate", "retries rate")
_ANY_LIMIT = {"latency": "1s", "share": "50%", "rps": "1rps", "cores": "1"}


class Direction(StrEnum):
    """What a difference means for those who use the system."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    """Equal in every replication."""
    UNCLEAR = "unclear"
    """The interval contains zero, or the difference is below the resolution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure of both runs (SI units, shares 0 to 1), and `b - a` with its interval at `level` after correction.

    `p` is before correction; `variance_reduction` is None where a difference has no variance.
    """

    figure: Budget
    budgeted: bool
    a: float
    b: float
    low: float
    high: float
    p: float
    level: float
    direction: Direction
    variance_reduction: float | None

    @property
    def diff(self) -> float:
        """`b - a`."""
        return self.b - self.a

    @property
    def relative(self) -> float | None:
        """`(b - a) / a`; None from zero."""
        return self.diff / self.a if self.a else None

    @property
    def name(self) -> str:
        """The figure as a budget would write it, without its limit."""
        return name_of(self.figure)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paired:
    """A figure of both runs before correction; `error` is that of the difference."""

    figure: Budget
    budgeted: bool
    a: float
    b: float
    error: float
    degrees: int
    variance_reduction: float | None

    @property
    def p(self) -> float:
        """The smallest 1 - level at which the interval leaves out zero."""
        distance = abs(self.b - self.a)
        if not self.error:
            return 0.0 if distance else 1.0
        return 2.0 * t_upper_tail(distance / self.error, self.degrees)


def differences(a: Results, b: Results, *, level: float = LEVEL) -> tuple[Difference, ...]:
    """Every figure that both runs have, the significant differences first, the largest of them foremost.

    Raises UsageError where the runs are not pairs: different seeds or numbers of replications, or fewer than two.
    """
    check_pairs(a, b)
    ones, twos = singles(a), singles(b)
    rows = [_paired(figure, budgeted, a, b, ones, twos) for figure, budgeted in _figures(a, b)]
    judged = [row for row in rows if row is not None and row.budgeted]
    others = [row for row in rows if row is not None and not row.budgeted]
    made = [*_holm(judged, 1.0 - level), *_benjamini_hochberg(others, 1.0 - level)]
    return tuple(sorted(made, key=_order))


def _order(row: Difference) -> tuple[int, int, float, str]:
    rank = {Direction.WORSE: 0, Direction.BETTER: 1, Direction.UNCLEAR: 2, Direction.SAME: 3}[row.direction]
    return (rank, not row.budgeted, -abs(row.relative or 0.0), row.name)


def check_pairs(a: Results, b: Results) -> None:
    """Raise UsageError, with what would be right, where two runs cannot be paired."""
    if a.labels.seed != b.labels.seed:
        raise UsageError(f"runs with seeds {a.labels.seed} and {b.labels.seed} cannot be paired; give both the same --seed")
    if a.replications != b.replications:
        raise UsageError(f"{a.replications} replications cannot be paired with {b.replications}; give both the same -n")
    if a.replications < 2:
        raise UsageError("one replication has no variance; give at least -n 5")


def _figures(a: Results, b: Results) -> Iterator[tuple[Budget, bool]]:
    """The budgets of both, then the standard figures of all traffic and of each route in both."""
    seen: set[tuple[str, tuple[tuple[str, str], ...], str]] = set()
    budgets = [replace(one, relative=False) for run in (a, b) for one in read(run.labels.budgets)]
    routes = [one.route for one in a.routes if one.route and any(one.route == other.route for other in b.routes)]
    plain = [figure_named(text) for text in STANDARD]
    plain += [figure_named(text, (("route", route),)) for route in routes for text in PER_ROUTE]
    for figure, budgeted in [*((one, True) for one in budgets), *((one, False) for one in plain)]:
        key = (figure.metric, figure.labels, figure.aggregate)
        if key not in seen:
            seen.add(key)
            yield figure, budgeted


def figure_named(text: str, labels: tuple[tuple[str, str], ...] = ()) -> Budget:
    """A figure in the grammar of budgets, e.g. `client.latency p(99)`; its limit is never looked at.

    Raises UsageError for anything that is none.
    """
    name = re.match(r"[\w.]*", text.strip())
    metric = METRICS.get(name[0]) if name else None
    made = parse(f"{text} < {_ANY_LIMIT[metric.kind if metric else 'latency']}")
    return replace(made, labels=labels) if labels else made


def name_of(figure: Budget) -> str:
    """The figure as a budget would write it, without its limit."""
    labels = ",".join(f'{key}="{value}"' for key, value in figure.labels)
    return f"{figure.metric}{{{labels}}} {figure.aggregate}" if labels else f"{figure.metric} {figure.aggregate}"


def _paired(
    figure: Budget, budgeted: bool, a: Results, b: Results, ones: Sequence[Results], twos: Sequence[Results]
) -> _Paired | None:
    """None where a figure has no value in one of the runs, or means nothing in it."""
    if figure.is_latency and Status.SATURATED in (a.verdict.status, b.verdict.status):
        return None
    try:
        first, second = measure(figure, a).value, measure(figure, b).value
        left, right = per_replication(figure, ones), per_replication(figure, twos)
    except UsageError:  # a route or client that only one of them has
        return None
    if first is None or second is None or left is None or right is None:
        return None
    spread = float(np.var(right - left, ddof=1))
    apart = float(np.var(left, ddof=1) + np.var(right, ddof=1))
    return _Paired(
        figure=figure, budgeted=budgeted, a=first, b=second, error=math.sqrt(spread / len(left)),
        degrees=len(left) - 1, variance_reduction=apart / spread if spread else None,
    )


def _holm(rows: Sequence[_Paired], alpha: float) -> list[Difference]:
    """Each at the level at which Holm's steps hold it: from the first that misses on, all are held to its level."""
    made, missed = [], 0.0
    for rank, row in enumerate(sorted(rows, key=lambda one: (one.p, one.figure.text))):
        allowed = missed or alpha / (len(rows) - rank)
        if row.p > allowed:
            missed = allowed
        made.append(_judged(row, allowed, row.p <= allowed and not missed))
    return made


def _benjamini_hochberg(rows: Sequence[_Paired], alpha: float) -> list[Difference]:
    """All up to the last whose p is at most rank · alpha / n; intervals at the level that this comes to."""
    ordered = sorted(rows, key=lambda one: (one.p, one.figure.text, one.figure.labels))
    found = max((k for k, row in enumerate(ordered, 1) if row.p <= k * alpha / len(ordered)), default=0)
    allowed = max(found, 1) * alpha / max(len(ordered), 1)
    return [_judged(row, allowed, k <= found) for k, row in enumerate(ordered, 1)]


def _judged(row: _Paired, alpha: float, significant: bool) -> Difference:
    reach = t_quantile(1.0 - alpha / 2.0, row.degrees) * row.error
    diff = row.b - row.a
    floor = BUCKET * max(abs(row.a), abs(row.b)) if row.figure.is_latency and row.figure.percent is not None else 0.0
    if diff == 0.0 and not row.error:
        direction = Direction.SAME
    elif not significant or abs(diff) <= floor:
        direction = Direction.UNCLEAR
    else:
        higher_is_better = row.figure.metric == "throughput"
        direction = Direction.BETTER if (diff > 0) == higher_is_better else Direction.WORSE
    return Difference(
        figure=row.figure, budgeted=row.budgeted, a=row.a, b=row.b, low=diff - reach, high=diff + reach, p=row.p,
        level=1.0 - alpha, direction=direction, variance_reduction=row.variance_reduction,
    )


__all__ = [
    "BUCKET", "PER_ROUTE", "STANDARD", "Difference", "Direction", "check_pairs", "differences",
    "figure_named", "name_of",
]
