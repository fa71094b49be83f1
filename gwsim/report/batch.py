"""Many scenarios on the terminal: one table, and the first line of each that is not as it should be."""

from __future__ import annotations

from collections.abc import Sequence

from gwsim.planning.batch import Batch
from gwsim.report.lines import EMPTY, Column, Line, Part, line, paragraph, table
from gwsim.report.sweep import RED, row_cells
from gwsim.report.text import INDENT, STYLES
from gwsim.results.headline import Word

_MARKS = {"pass": "✓", "fail": "✗", "undecided": "?", "no data": "?"}


def lines(made: Batch, wrote: Sequence[str] = ()) -> list[Line]:
    """The table, then a sentence for every scenario that does not pass."""
    columns = [
        Column("SCENARIO", right=False), Column("", right=False), Column("served rps"), Column("p99 client ms"),
        Column("p99 gateway ms"), Column("errors"), Column("pods"), Column("cores"), Column("busy"),
        Column("fullest", right=False),
    ]
    rows = table(columns, [[name, *row_cells(row)] for name, row in zip(made.names, made.rows, strict=True)])
    rows.append(EMPTY)
    for name, row in zip(made.names, made.rows, strict=True):
        if row["exit_code"] != 0:
            rows += paragraph(name[: INDENT - 1] if len(name) < INDENT else "", _told(name, row["sentence"]), indent=INDENT)
    counted = ", ".join(f"{n} {word}" for word, n in _counts(made).items())
    rows.append(line(Part("TOGETHER".ljust(INDENT), "bold"), f"{_many(len(made.rows))}: {counted}"))
    if wrote:
        rows += paragraph("WROTE", f"{wrote[0]}  ({', '.join(wrote[1:])})", indent=INDENT, most=2)
    return rows


def budget_lines(made: Batch) -> list[Line]:
    """Every budget of every scenario, and what became of it."""
    rows: list[Line] = []
    for name, row in zip(made.names, made.rows, strict=True):
        word = row["verdict"]
        rows += [line(Part(word, RED if word == "ERROR" else STYLES[Word(word)]), "  ", Part(name, "bold"))]
        rows += [one for text in (row["sentence"],) for one in paragraph("", text, indent=2)]
        for one in row.get("budgets", ()):
            warned = " (warn)" if one["level"] == "warn" else ""
            rows += paragraph(f"  {_MARKS[one['answer']]} ", f"{one['text']}{warned}: {one['sentence']}", indent=4, most=2)
        rows.append(EMPTY)
    counted = ", ".join(f"{n} {word}" for word, n in _counts(made).items())
    return [*rows, line(Part("TOGETHER".ljust(INDENT), "bold"), f"{_many(len(made.rows))}: {counted}")]


def _told(name: str, sentence: str) -> str:
    return sentence if len(name) < INDENT else f"{name}: {sentence}"


def _counts(made: Batch) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in made.rows:
        counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
    return dict(sorted(counts.items()))


def _many(count: int) -> str:
    return f"{count} scenario{'' if count == 1 else 's'}"


__all__ = ["budget_lines", "lines"]
