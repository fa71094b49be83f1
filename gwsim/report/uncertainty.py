"""Uncertain inputs on the terminal and in Markdown: the range of every figure, and which input moves it most."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gwsim.planning.uncertainty import Bar, Figure, Spread, Uncertainty
from gwsim.report.lines import EMPTY, Column, Line, Part, line, paragraph, table
from gwsim.report.markdown import MARKS, escape
from gwsim.report.text import INDENT, NONE
from gwsim.results.budgets import format_value
from gwsim.results.evaluation import Answer
from gwsim.units import format_share

MOST_BARS = 8
BAR = 24
STYLES = {Answer.PASS: "bold green", Answer.FAIL: "bold red", Answer.UNDECIDED: "bold yellow"}


def lines(made: Uncertainty, wrote: Sequence[str] = ()) -> list[Line]:
    """The ranges, then a tornado a figure."""
    runs = len(made.samples) + len(made.ends) + 1
    rows = [line(
        Part("UNCERTAINTY".ljust(INDENT), "bold"),
        f" {made.name}   {len(made.inputs)} inputs   {len(made.samples)} samples   {runs} runs, {made.requests:,} requests",
    )]
    if made.question:
        rows += paragraph("QUESTION", made.question, indent=INDENT, most=2)
    columns = [
        Column("FIGURE", right=False), Column("middle"), Column("range (90 %)"), Column("± inputs"), Column("± simulation"),
        Column("budget", right=False),
    ]
    rows += [EMPTY, *table(columns, [_row(one) for one in made.spreads]), EMPTY]
    for figure in made.figures:
        rows += [*_tornado(made, figure), EMPTY]
    for n, note in enumerate(notes(made)):
        rows += paragraph("" if n else "NOTES", note, indent=INDENT)
    if wrote:
        rows += paragraph("WROTE", f"{wrote[0]}  ({', '.join(wrote[1:])})", indent=INDENT, most=2)
    return rows


def _row(one: Spread) -> list[str | Part]:
    answer = one.answer
    told: str | Part = "" if answer is None else Part(said(one), STYLES[answer])
    return [
        one.figure.name, shown(one.figure, one.middle), span(one), shown(one.figure, one.input_error), shown(one.figure, one.simulation_error), told
    ]


def shown(figure: Figure, value: float | None) -> str:
    """A value of a figure with its unit; one that is not finite is `none`."""
    return "none" if value is None else format_value(figure.budget.kind, value)


def span(one: Spread) -> str:
    """The range of a figure; open above where samples are saturated."""
    if one.low is None:
        return "none: saturated"
    high = "no bound" if one.high is None else shown(one.figure, one.high)
    return f"{shown(one.figure, one.low)} to {high}"


def said(one: Spread) -> str:
    """What becomes of a budget."""
    budget = one.figure.budget
    limit, total = f"{budget.operator} {budget.show(budget.limit)}", one.passed + one.failed + one.undecided
    if one.answer is Answer.PASS:
        return f"{limit} holds in all"
    if one.answer is Answer.FAIL:
        return f"{limit} holds in none"
    more = f", {one.undecided} undecided" if one.undecided else ""
    return f"{limit} holds in {one.passed} of {total}{more}"


def _tornado(made: Uncertainty, figure: Figure) -> list[Line]:
    bars = [bar for bar in made.tornado(figure) if bar.clear]
    quiet = len(made.inputs) - len(bars)
    rows = [line(Part(figure.name, "bold"), f"   middle {shown(figure, made.spreads[made.figures.index(figure)].middle)}")]
    cells: list[list[str | Part]] = [
        [f"  {bar.name}", bar.low_text, bar.high_text, shown(figure, bar.low), shown(figure, bar.high), _drawn(bar, bars)] for bar in bars[:MOST_BARS]
    ]
    if cells:
        columns = [Column("  INPUT", right=False), Column("from"), Column("to"), Column("at low"), Column("at high"), Column("", right=False)]
        rows += table(columns, cells)
    if len(bars) > MOST_BARS:
        rows.append(line(f"  … {len(bars) - MOST_BARS} more; uncertainty.json has all"))
    if quiet:
        rows.append(line(f"  {quiet} of {len(made.inputs)} inputs do not move it by more than noise"))
    return rows


def _drawn(bar: Bar, bars: Sequence[Bar]) -> str:
    longest = max((one.swing for one in bars if math.isfinite(one.swing)), default=0.0)
    if not math.isfinite(bar.swing):
        return "saturated at one end"
    return "█" * max(round(BAR * bar.swing / longest), 1) if longest else ""


def notes(made: Uncertainty) -> list[str]:
    """What a reader has to know about the numbers."""
    found = [
        "range: nine in ten samples; ± : standard deviation that the inputs bring, and that the simulation brings to one run; "
        "how far the model itself is off is in neither"
    ]
    endless = max((one.saturated for one in made.spreads), default=0)
    if endless:
        found.append(f"{endless} of {len(made.samples)} samples are saturated: latencies there have no finite value")
    weak = [
        one.figure.name for one in made.spreads
        if one.input_share is not None and one.input_error and one.input_share < 0.5
    ]
    if weak:
        found.append(f"most of the variance of {', '.join(weak)} is the simulation's: longer runs (--duration, -n) would say more")
    return found


def markdown(made: Uncertainty) -> str:
    """Two kinds of table for pull requests and step summaries: ranges, then what moves each figure."""
    out = [
        f"### gwsim: uncertain inputs of {escape(made.name)}", "",
        "| | figure | middle | range (90 %) | ± inputs | ± simulation | inputs' part of the variance | |", "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for one in made.spreads:
        mark = MARKS[one.answer.value] if one.answer else ""
        out.append(
            f"| {mark} | `{one.figure.name.replace('|', '¦')}` | {shown(one.figure, one.middle)} | {span(one)} | "
            f"{shown(one.figure, one.input_error)} | {shown(one.figure, one.simulation_error)} | "
            f"{NONE if one.input_share is None else format_share(one.input_share, 2)} | {escape(said(one)) if one.answer else ''} |"
        )
    for figure in made.figures:
        bars = [bar for bar in made.tornado(figure) if bar.clear][:MOST_BARS]
        if bars:
            out += ["", f"#### `{figure.name}`", "", "| input | from | to | at low | at high |", "|---|---:|---:|---:|---:|"]
            out += [
                f"| {escape(bar.name)} | {escape(bar.low_text)} | {escape(bar.high_text)} | {shown(figure, bar.low)} | {shown(figure, bar.high)} |"
                for bar in bars
            ]
    return "\n".join([*out, "", *(f"- {escape(note)}" for note in notes(made))]) + "\n"


__all__ = ["lines", "markdown", "notes", "said", "shown", "span"]
