"""A comparison as a whole: worse, better, no worse, or undecided, and why.

*Worse*: a budget that held no longer does, or a judged figure is worse by more than the tolerance. *Undecided*: a change
was not exercised or is not modelled, or the interval of a judged figure reaches beyond the tolerance. What is judged are
the figures with a budget; without budgets, p99 at client and gateway, and errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gwsim.errors import ExitCode
from gwsim.planning.changes import changed_objects
from gwsim.planning.comparison import Difference, Direction, check_pairs, differences
from gwsim.planning.exercise import Exercised, Judged, judge
from gwsim.planning.rerouted import Rerouted, rerouted
from gwsim.results import Results, Status
from gwsim.results.evaluation import Answer, check
from gwsim.scenario.project import Project
from gwsim.scenario.resolved import Resolved
from gwsim.units import format_share

FORMAT = "gwsim/comparison/v1"
TOLERANCE = 0.05
JUDGED = ("client.latency p(99)", "gateway.latency p(99)", "errors rate")
SHARE_STEP = 0.001
"""A share is worse by more than the tolerance only from a tenth of a percent on: 5 % of nothing is nothing."""


class Word(StrEnum):
    """What a comparison comes to."""

    WORSE = "WORSE"
    BETTER = "BETTER"
    NO_WORSE = "NO WORSE"
    SAME = "SAME"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of two runs. `project` and `resolved` are missing for one that was saved."""

    name: str
    results: Results
    project: Project | None = None
    resolved: Resolved | None = None



@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs side by side; `b` is held against `a`."""

    a: Side
    b: Side
    tolerance: float
    differences: tuple[Difference, ...]
    changes: tuple[Judged, ...]
    rerouted: tuple[Rerouted, ...]
    word: Word
    reasons: tuple[str, ...]
    """Why, the gravest first."""

    @property
    def exit_code(self) -> ExitCode:
        """1 worse, 3 undecided, else 0."""
        if self.word is Word.WORSE:
            return ExitCode.ANSWER_IS_NO
        return ExitCode.UNDECIDED if self.word is Word.UNDECIDED else ExitCode.OK

    def plain(self) -> dict[str, Any]:
        """The comparison as data."""
        return {
            "format": FORMAT, "a": self.a.name, "b": self.b.name, "tolerance": self.tolerance, "verdict": self.word.value,
            "reasons": list(self.reasons),
            "digests": {"a": self.a.results.digest, "b": self.b.results.digest},
            "differences": [
                {
                    "figure": one.name, "a": one.a, "b": one.b, "diff": one.diff, "low": one.low, "high": one.high,
                    "p": one.p, "level": one.level, "direction": one.direction.value, "budgeted": one.budgeted,
                    "variance_reduction": one.variance_reduction,
                }
                for one in self.differences
            ],
            "changes": [
                {
                    "object": one.change.ref, "change": one.change.change, "fields": list(one.change.paths),
                    "exercised": one.exercised.value, "requests": one.requests, "reason": one.reason,
                    "mix_entry": one.mix_entry,
                }
                for one in self.changes
            ],
            "rerouted": [
                {"client": one.client, "entry": one.shape, "before": one.before, "after": one.after} for one in self.rerouted
            ],
        }


def compare(a: Side, b: Side, *, tolerance: float = TOLERANCE) -> Comparison:
    """Hold `b` against `a`; raises UsageError where their runs are not pairs."""
    check_pairs(a.results, b.results)
    rows = differences(a.results, b.results)
    changes: tuple[Judged, ...] = ()
    moved: tuple[Rerouted, ...] = ()
    if a.project is not None and b.project is not None:
        topologies = (b.project.topology, a.project.topology)
        changes = tuple(judge(one, a.results, b.results, topologies) for one in changed_objects(a.project, b.project))
    if a.resolved is not None and b.resolved is not None:
        moved = rerouted(a.resolved, b.resolved)
    word, reasons = _verdict(a, b, rows, changes, tolerance)
    return Comparison(
        a=a, b=b, tolerance=tolerance, differences=rows, changes=changes, rerouted=moved, word=word, reasons=reasons
    )


def _verdict(
    a: Side, b: Side, rows: Sequence[Difference], changes: Sequence[Judged], tolerance: float
) -> tuple[Word, tuple[str, ...]]:
    judged = [row for row in rows if row.budgeted] or [row for row in rows if row.name in JUDGED]
    worse = [*_saturated(a, b), *_lost(a, b), *(_said(row) for row in judged if _beyond(row, tolerance))]
    if worse:
        return Word.WORSE, tuple(worse)
    open_ = [f"{one.change.ref} is {one.exercised.value}: {one.reason}" for one in changes if one.exercised is not Exercised.YES]
    open_ += [
        f"{row.name}: the interval reaches {format_share(_reach(row) / row.a if row.a else _reach(row))} on the wrong side"
        for row in judged if row.direction is Direction.UNCLEAR and _might(row, tolerance)
    ]
    if open_:
        return Word.UNDECIDED, tuple(open_)
    if all(row.direction is Direction.SAME for row in rows):
        return Word.SAME, ("every figure is equal in every replication",)
    better = [_said(row) for row in judged if row.direction is Direction.BETTER]
    if better:
        return Word.BETTER, tuple(better)
    return Word.NO_WORSE, (f"no judged figure is worse by more than {format_share(tolerance)}",)


def _saturated(a: Side, b: Side) -> list[str]:
    was, now = (side.results.verdict.status for side in (a, b))
    return [b.results.verdict.sentence] if now in (Status.SATURATED, Status.METASTABLE) and now is not was else []


def _lost(a: Side, b: Side) -> list[str]:
    """Budgets that held before and do not now."""
    before, after = check(a.results), check(b.results, baseline=a.results)
    held = {one.budget.text for one in before.checked if one.answer is Answer.PASS or one.budget.relative}
    return [
        f"budget {one.budget.text} no longer holds: {one.sentence}"
        for one in after.checked
        if one.answer is Answer.FAIL and one.budget.level == "error" and one.budget.text in held
    ]


def _allowed(row: Difference, tolerance: float) -> float:
    """How much worse a figure may be."""
    least = SHARE_STEP if row.figure.kind == "share" else 0.0
    return max(tolerance * abs(row.a), least)


def _beyond(row: Difference, tolerance: float) -> bool:
    return row.direction is Direction.WORSE and abs(row.diff) > _allowed(row, tolerance)


def _reach(row: Difference) -> float:
    """The worst that the interval allows."""
    return -row.low if row.figure.metric == "throughput" else row.high


def _might(row: Difference, tolerance: float) -> bool:
    return _reach(row) > _allowed(row, tolerance)


def _said(row: Difference) -> str:
    show = row.figure.show
    relative = f" ({'+' if row.diff > 0 else '-'}{format_share(abs(row.relative), 2)})" if row.relative else ""
    return f"{row.name}: {show(row.a)} to {show(row.b)}{relative}"


__all__ = ["FORMAT", "TOLERANCE", "Comparison", "Side", "Word", "compare"]
