"""A sweep on the terminal: a table of the points, and what the curve through them says."""

from __future__ import annotations

from collections.abc import Sequence

from gwsim.planning.axes import Axis, Value
from gwsim.planning.figures import Row
from gwsim.planning.sweep import Knee, Sweep
from gwsim.report.lines import EMPTY, Column, Line, Part, line, paragraph, table
from gwsim.report.text import INDENT, NONE, STYLES, milliseconds
from gwsim.results.headline import Word
from gwsim.units import format_duration_s, format_rate_rps, format_share

MOST_ROWS = 40
RED = "bold red"


def lines(swept: Sweep, wrote: Sequence[str] = ()) -> list[Line]:
    """The sweep in a screen or so; a long one shows every so many points."""
    rows = _shown(len(swept.rows))
    made = [line(Part("SWEEP".ljust(INDENT), "bold"), f"{swept.name}   {len(swept.rows)} points   {_over(swept)}")]
    if swept.question:
        made += paragraph("QUESTION", swept.question, indent=INDENT, most=2)
    columns = [Column(axis.label, right=axis.numeric) for axis in swept.axes]
    columns += [
        Column("", right=False), Column("served"), Column("client p99"), Column("gateway p99"),
        Column("errors"), Column("pods"), Column("cores"), Column("busy"), Column("fullest", right=False),
    ]
    made += [EMPTY, *table(columns, [_row(swept, i) for i in rows])]
    if len(rows) < len(swept.rows):
        made.append(line(f"  … {len(swept.rows) - len(rows)} points are not shown; sweep.csv has all"))
    made.append(EMPTY)
    for n, knee in enumerate(swept.knees[:6]):
        made += paragraph("" if n else "KNEE", knee_text(swept, knee), indent=INDENT)
    if wrote:
        made += paragraph("WROTE", f"{wrote[0]}  ({', '.join(wrote[1:])})", indent=INDENT, most=2)
    return made


def _over(swept: Sweep) -> str:
    return " × ".join(axis.path for axis in swept.axes)


def _shown(count: int) -> list[int]:
    if count <= MOST_ROWS:
        return list(range(count))
    return sorted({round(k * (count - 1) / (MOST_ROWS - 1)) for k in range(MOST_ROWS)})


def _row(swept: Sweep, index: int) -> list[str | Part]:
    row = swept.rows[index]
    cells: list[str | Part] = [value_text(axis, value) for axis, value in zip(swept.axes, swept.values[index], strict=True)]
    return [*cells, *row_cells(row)]


def row_cells(row: Row) -> list[str | Part]:
    """Verdict and figures of a run in a table."""
    word = row["verdict"]
    style = RED if word == "ERROR" else STYLES[Word(word)]
    if word == "ERROR":
        return [Part(word, style), *[NONE] * 7, row["sentence"][:60]]
    return [
        Part(word, style), f"{row['served_rps'] or 0.0:,.0f}", milliseconds(row["client_latency_p99_s"]),
        milliseconds(row["gateway_latency_p99_s"]), _share(row["errors_share"]), str(row["gateway_pods"]),
        f"{row['gateway_cpu_cores'] or 0.0:.2f}", _share(row["busiest_worker_utilisation"]), _fullest(row),
    ]


def _share(value: float | None) -> str:
    return NONE if value is None else "0" if value == 0.0 else format_share(value, 2)


def _fullest(row: Row) -> str:
    return f"{row['bottleneck_kind']}" if row["bottleneck_kind"] else NONE


def value_text(axis: Axis, value: Value) -> str:
    """A value for people, in its unit."""
    if value.number is None:
        return value.text
    if axis.unit == "rps":
        return format_rate_rps(value.number)
    if axis.unit == "s":
        return format_duration_s(value.number)
    if axis.unit == "%":
        return format_share(value.number)
    return f"{value.number:g}"


def knee_text(swept: Sweep, knee: Knee) -> str:
    """What a line of points says, in a sentence or two."""
    axis = swept.axes[-1]
    where = ", ".join(f"{a.label} {value_text(a, v)}" for a, v in zip(swept.axes, knee.at, strict=False))
    parts = []
    if knee.first_bad is None and knee.last_good is not None:
        last = ", the largest value tried" if knee.last_good == axis.values[-1] else "; above, it is undecided"
        parts.append(f"everything holds up to {value_text(axis, knee.last_good)}{last}")
    elif knee.first_bad is not None and knee.last_good is not None:
        parts.append(
            f"everything holds up to {value_text(axis, knee.last_good)}; at {value_text(axis, knee.first_bad)} no more: {knee.limit}"
        )
    elif knee.first_bad is not None:
        first = knee.first_bad == axis.values[0]
        below = "the first value tried" if first else "and is undecided below"
        parts.append(f"it does not hold at {value_text(axis, knee.first_bad)}, {below}: {knee.limit}")
    if knee.bend is not None:
        parts.append(f"the p99 at the client bends upwards at about {value_text(axis, knee.bend)}")
    text = "; ".join(parts) or "nothing stands out"
    return f"{where}: {text}." if where else f"{text[0].upper()}{text[1:]}."


__all__ = ["knee_text", "lines", "row_cells", "value_text"]
