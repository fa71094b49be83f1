"""A comparison on the terminal, and in Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from gwsim.planning.comparison import Difference, Direction
from gwsim.planning.exercise import Exercised
from gwsim.planning.verdict import Comparison, Word
from gwsim.report.lines import EMPTY, Column, Line, Part, line, paragraph, table
from gwsim.report.markdown import escape
from gwsim.report.text import INDENT, NONE

STYLES = {Word.WORSE: "bold red", Word.UNDECIDED: "bold yellow", Word.BETTER: "bold green", Word.NO_WORSE: "bold green", Word.SAME: "bold"}
MARKS = {
    Direction.WORSE: Part("▲", "red"), Direction.BETTER: Part("▼", "green"), Direction.UNCLEAR: Part("~", ""), Direction.SAME: Part("=", ""),
}
MOST_ROWS, MOST_REASONS = 14, 4
EXERCISED = {Exercised.YES: "green", Exercised.NO: "yellow", Exercised.NOT_MODELLED: "yellow"}


def lines(made: Comparison, wrote: Sequence[str] = ()) -> list[Line]:
    """What changed, who met it, and what came of it."""
    results = made.b.results
    rows = [line(Part("COMPARE".ljust(INDENT), "bold"), f"A {made.a.name}   B {made.b.name}   {results.replications} pairs of replications")]
    for n, reason in enumerate(made.reasons[:MOST_REASONS]):
        rows += paragraph("" if n else made.word.value, reason + ("" if reason.endswith(".") else "."), indent=INDENT)
    if rows and len(made.word.value) < INDENT:
        rows[1] = line(Part(made.word.value.ljust(INDENT), STYLES[made.word]), *rows[1][1:])
    if len(made.reasons) > MOST_REASONS:
        rows.append(line(" " * INDENT, f"… and {len(made.reasons) - MOST_REASONS} more reasons"))
    rows += [EMPTY, *_changes(made), *_rerouted(made), *_figures(made)]
    if wrote:
        rows += paragraph("WROTE", f"{wrote[0]}  ({', '.join(wrote[1:])})", indent=INDENT, most=2)
    return rows


def _changes(made: Comparison) -> list[Line]:
    rows: list[Line] = []
    for one in made.changes:
        change = one.change
        count = f" ({one.requests:,} requests)" if one.exercised is Exercised.YES else ""
        text = f"{change.ref} {change.change}: {', '.join(change.paths) or 'all of it'}: {one.exercised.value}{count}"
        rows += paragraph("" if rows else "CHANGES", text, indent=INDENT)
        if one.reason:
            rows += paragraph("", f"  {one.reason}", indent=INDENT)
        if one.mix_entry:
            rows += paragraph("", f"  an entry of a mix that would meet it: {one.mix_entry}", indent=INDENT)
    return [*rows, EMPTY] if rows else []


def _rerouted(made: Comparison) -> list[Line]:
    rows: list[Line] = []
    for one in made.rerouted[:6]:
        rows += paragraph("" if rows else "REQUESTS", f"{one.client}/{one.shape}: {one.before}", indent=INDENT)
        rows += paragraph("", f"  → {one.after}", indent=INDENT)
    return [*rows, EMPTY] if rows else []


def _figures(made: Comparison) -> list[Line]:
    shown = [one for one in made.differences if one.direction in (Direction.WORSE, Direction.BETTER) or one.budgeted]
    shown = shown[:MOST_ROWS] or list(made.differences[:6])
    columns = [Column("  FIGURE", right=False), Column("A"), Column("B"), Column("difference"), Column("interval"), Column("noise ÷")]
    head, *body = table(columns, [list[str | Part](figure_cells(one)) for one in shown], width=98)
    rows = [head, *(line(MARKS[one.direction], " ", Part(row[0].text[2:], row[0].style), *row[1:]) for one, row in zip(shown, body, strict=True))]
    equal = sum(one.direction is Direction.SAME for one in made.differences)
    unclear = sum(one.direction is Direction.UNCLEAR for one in made.differences)
    note = f"▲ worse, ▼ better, ~ no difference that can be told apart ({unclear}), = equal in every replication ({equal}); * has a budget; noise ÷: what pairing was worth"
    return [*rows, *paragraph("", note, indent=2, most=2), EMPTY]


def figure_cells(one: Difference) -> list[str]:
    """Name, A, B, difference, interval and variance reduction of a figure, for people."""
    show = one.figure.show
    relative = _percent(one.relative)
    labels = ",".join(value for _, value in one.figure.labels)
    name = f"{one.figure.metric}{f'{{{labels}}}' if labels else ''} {one.figure.aggregate}{' *' if one.budgeted else ''}"
    same = one.direction is Direction.SAME
    return [
        "  " + name, show(one.a), show(one.b), "0" if same else f"{_signed(one, one.diff)} ({relative})",
        NONE if same else f"{_signed(one, one.low)} to {_signed(one, one.high)}",
        NONE if one.variance_reduction is None else f"{one.variance_reduction:.3g}",
    ]


def _percent(relative: float | None) -> str:
    if relative is None:
        return NONE
    return f"{relative * 100:+,.0f} %" if abs(relative) >= 0.1 else f"{relative * 100:+.2g} %"


def _signed(one: Difference, value: float) -> str:
    return ("-" if value < 0 else "+") + one.figure.show(abs(value))


def markdown(made: Comparison) -> str:
    """For a comment on a pull request."""
    mark = {Word.WORSE: "❌", Word.UNDECIDED: "❔", Word.BETTER: "✅", Word.NO_WORSE: "✅", Word.SAME: "✅"}[made.word]
    rows = [f"### {mark} gwsim: {made.word.value.lower()} than {escape(made.a.name)}" if made.word in (Word.WORSE, Word.BETTER) else f"### {mark} gwsim: {made.word.value.lower()}", ""]
    rows += [f"- {escape(reason)}" for reason in made.reasons]
    if made.changes:
        rows += ["", "| object | change | | |", "|---|---|---|---|"]
        for one in made.changes:
            count = f"{one.requests:,} requests" if one.exercised is Exercised.YES else escape(one.reason)
            rows.append(f"| `{one.change.ref}` | {one.change.change}: {escape(', '.join(one.change.paths))} | {one.exercised.value} | {count} |")
        for one in made.changes:
            if one.mix_entry:
                rows += ["", f"An entry of a client's mix that would meet `{one.change.ref}`: `{one.mix_entry}`"]
    shown = [one for one in made.differences if one.direction in (Direction.WORSE, Direction.BETTER) or one.budgeted][:MOST_ROWS]
    if shown:
        rows += ["", "| | figure | A | B | difference | interval |", "|---|---|---:|---:|---:|---:|"]
        for figure in shown:
            cells = figure_cells(figure)
            rows.append(f"| {MARKS[figure.direction].text} | `{cells[0].strip()}` | {' | '.join(cells[1:5])} |")
    return "\n".join(rows) + "\n"


__all__ = ["MARKS", "figure_cells", "lines", "markdown"]

