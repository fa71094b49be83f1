"""A scenario at every point of a grid, and what the curve through them says.

    swept = sweep(given, [parse_axis("clients.web.arrivals.poisson=1krps..20krps:20")], pool)
    swept.frame()          # one row a point, units in the column names
    swept.knees[0]         # where the curve bends, and where the budgets stop holding

All points share their seed, so neighbours differ by the setting and not by luck.
Source of the knee: V. Satopaa and others, "Finding a Kneedle in a Haystack", ICDCS Workshops 2011.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwsim.engine import EngineName
from gwsim.errors import ExitCode, UsageError, worst
from gwsim.planning.axes import Axis, Value, grid
from gwsim.planning.executors import Executor
from gwsim.planning.figures import Row
from gwsim.planning.points import Point, run_points, with_settings
from gwsim.planning.preparation import Given, prepare

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "gwsim/sweep/v1"
CURVE = "client_latency_p99_s"
"""The figure whose bend is looked for."""
LEAST_KNEE_POINTS = 5


@dataclass(frozen=True, kw_only=True)
class Knee:
    """What a line of points along the last axis says; `at` are the values of the other axes.

    `first_bad` is the first value at which something does not hold, `last_good` the last one before it at which
    everything does (those between are undecided); `bend` the value at which the curve of p99 turns upwards most. None
    where there is no such point.
    """

    at: tuple[Value, ...]
    last_good: Value | None
    first_bad: Value | None
    bend: Value | None
    limit: str
    """What fails, or is fullest, at `first_bad`."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All points in the order of the grid: `rows[i]` belongs to `values[i]`."""

    name: str
    question: str
    axes: tuple[Axis, ...]
    values: tuple[tuple[Value, ...], ...]
    rows: tuple[Row, ...]

    @property
    def exit_code(self) -> ExitCode:
        """2 if a point could not be run, else 0: a sweep explores, it does not judge."""
        return worst(ExitCode.INPUT for row in self.rows if row["exit_code"] == ExitCode.INPUT)

    @property
    def lines(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the points of each line along the last axis."""
        length = len(self.axes[-1].values)
        return tuple(tuple(range(first, first + length)) for first in range(0, len(self.rows), length))

    @property
    def knees(self) -> tuple[Knee, ...]:
        """One a line, where the last axis is numeric."""
        if not self.axes[-1].numeric:
            return ()
        return tuple(_knee(self, line) for line in self.lines)

    def frame(self) -> pd.DataFrame:
        """A pandas frame: a column an axis (its number where it has one), then the figures."""
        import pandas as pd

        rows = []
        for values, row in zip(self.values, self.rows, strict=True):
            first = {
                axis.path: value.text if value.number is None else value.number
                for axis, value in zip(self.axes, values, strict=True)
            }
            rows.append(first | {key: item for key, item in row.items() if key != "budgets"})
        return pd.DataFrame(rows)

    def plain(self) -> dict[str, Any]:
        """The sweep as data, the same bytes whatever ran it."""
        return {
            "format": FORMAT, "name": self.name, "question": self.question,
            "axes": [
                {"path": axis.path, "unit": axis.unit, "values": [v.text for v in axis.values]} for axis in self.axes
            ],
            "points": [
                {"settings": [v.text for v in values], "numbers": [v.number for v in values]} | row
                for values, row in zip(self.values, self.rows, strict=True)
            ],
            "knees": [
                {
                    "at": [v.text for v in knee.at], "last_good": _text(knee.last_good),
                    "first_bad": _text(knee.first_bad), "bend": _text(knee.bend), "limit": knee.limit,
                }
                for knee in self.knees
            ],
        }


def sweep(
    given: Given,
    axes: Sequence[Axis],
    pool: Executor,
    *,
    engine: EngineName = "auto",
    store: Path | None = None,
    done: Callable[[Row], None] | None = None,
) -> Sweep:
    """Run a scenario at every point of a grid; `store` is the folder in which finished points are kept.

    Raises InputError or UsageError for a scenario, or a path of an axis, that is wrong: before anything is run.
    """
    if not axes:
        raise UsageError("nothing is varied; give --over path=values, e.g. clients.web.arrivals.poisson=1krps..20krps:20")
    twice = [axis.path for n, axis in enumerate(axes) if axis.path in [one.path for one in axes[:n]]]
    if twice:
        raise UsageError(f"{twice[0]} is varied twice")
    base = prepare(with_settings(given, [axis.settings[0] for axis in axes]))
    for n, axis in enumerate(axes):  # both ends of every axis, so that a slip is found before hours are spent
        others = [other.settings[0] for m, other in enumerate(axes) if m != n]
        prepare(with_settings(given, [*others, axis.settings[-1]]))
    values = grid(axes)
    points = [
        Point(given=with_settings(given, _settings(axes, one)), engine=engine, store=store) for one in values
    ]
    rows = run_points(pool, points, done)
    return Sweep(
        name=base.name, question=base.resolved.question, axes=tuple(axes), values=values, rows=tuple(rows)
    )


def _settings(axes: Sequence[Axis], values: Sequence[Value]) -> list[str]:
    return [f"{axis.path}={value.text}" for axis, value in zip(axes, values, strict=True)]


def _text(value: Value | None) -> str | None:
    return None if value is None else value.text


def _knee(swept: Sweep, line: Sequence[int]) -> Knee:
    values = [swept.values[i][-1] for i in line]
    codes = [swept.rows[i]["exit_code"] for i in line]
    first_bad = next((k for k, code in enumerate(codes) if code in (ExitCode.ANSWER_IS_NO, ExitCode.INPUT)), None)
    before = range(len(line) if first_bad is None else first_bad)
    last_good = max((k for k in before if codes[k] == ExitCode.OK), default=None)
    limit = ""
    if first_bad is not None:
        row = swept.rows[line[first_bad]]
        failed = [one["text"] for one in row.get("budgets", ()) if one["answer"] != "pass"]
        limit = failed[0] if failed else row.get("bottleneck") or row["sentence"]
    turn = bend([(v.number, swept.rows[i].get(CURVE)) for v, i in zip(values, line, strict=True)])
    return Knee(
        at=swept.values[line[0]][:-1],
        last_good=None if last_good is None else values[last_good],
        first_bad=None if first_bad is None else values[first_bad],
        bend=None if turn is None else values[turn], limit=limit,
    )


def bend(points: Sequence[tuple[float | None, float | None]]) -> int | None:
    """Index of the point furthest below the chord of a rising curve (Kneedle, convex increasing)."""
    known = [(n, x, y) for n, (x, y) in enumerate(points) if x is not None and y is not None]
    if len(known) < LEAST_KNEE_POINTS:
        return None
    (_, x0, y0), (_, x1, y1) = known[0], known[-1]
    if x1 == x0 or y1 <= y0:
        return None
    below = [((x - x0) / (x1 - x0) - (y - y0) / (y1 - y0), n) for n, x, y in known]
    furthest, index = max(below)
    return index if furthest > 0.1 else None


__all__ = ["CURVE", "FORMAT", "Knee", "Sweep", "bend", "sweep"]
