"""A comparison as one HTML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gwsim.planning.comparison import Direction
from gwsim.planning.exercise import Exercised
from gwsim.planning.verdict import Comparison, Word
from gwsim.report import page, svg
from gwsim.report.comparison import MARKS, figure_cells
from gwsim.report.html_tables import Cell, Heading, Table
from gwsim.report.page import Page, Picture, Section
from gwsim.report.style import BAD, GOOD, INK, MUTED, applied, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = {Word.WORSE: "bad", Word.UNDECIDED: "unsure", Word.BETTER: "good", Word.NO_WORSE: "good", Word.SAME: "plain"}
COLORS = {Direction.WORSE: BAD, Direction.BETTER: GOOD, Direction.UNCLEAR: MUTED, Direction.SAME: MUTED}
MOST_BARS = 16
WIDTH, ROW = 6.8, 0.27


def render(made: Comparison, command: str = "") -> str:
    """The page; `command` is what gives it again."""
    sections = []
    if made.changes:
        sections.append(Section(name="changes", title="What changed", tables=(_changes(made),)))
    if made.rerouted:
        sections.append(Section(name="requests", title="Requests that fare differently", tables=(_rerouted(made),)))
    sections.append(Section(name="figures", title="Figures", pictures=_pictures(made), tables=(_figures(made),)))
    return page.render(
        Page(
            title=f"{made.a.name} and {made.b.name}", question=made.b.results.labels.question, word=made.word.value,
            style=STYLES[made.word], sentences=made.reasons[:8], sections=tuple(sections),
            command=command or f"gwsim compare … (seed {made.b.results.labels.seed}, {made.b.results.replications} replications)",
        )
    )


def ratios(made: Comparison, *, ax: Axes | None = None) -> Figure:
    """Every figure of B over that of A with its interval, the significant ones first; evenly spaced factors."""
    rows = [one for one in made.differences if one.a > 0 and one.b > 0 and one.direction is not Direction.SAME][:MOST_BARS]
    from matplotlib.ticker import FuncFormatter, NullFormatter

    with applied():
        figure, axes = axes_for(ax, WIDTH, max(1.4, ROW * len(rows) + 1.0))
        figure.subplots_adjust(left=0.45)
        at = np.arange(len(rows))[::-1]
        axes.set_xscale("log", base=2)
        for y, one in zip(at, rows, strict=True):
            low, high = (max((one.a + end) / one.a, 1e-3) for end in (one.low, one.high))
            axes.plot([low, high], [y, y], color=COLORS[one.direction], linewidth=2)
            axes.plot([one.b / one.a], [y], color=COLORS[one.direction], marker="o", markersize=5)
        axes.axvline(1.0, color=INK, linewidth=1)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g} ×"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_yticks(at, [one.name for one in rows], fontsize=8)
        axes.set_title("B over A" if rows else "B equals A in every replication")
        return figure


def _pictures(made: Comparison) -> tuple[Picture, ...]:
    if all(one.direction is Direction.SAME for one in made.differences):
        return ()
    words = "; ".join(f"{one.name} {one.direction.value}" for one in made.differences[:MOST_BARS])
    text = svg.inline(ratios(made), name="figure-ratios", title="Figures of B over those of A", description=words)
    return (Picture(text, "B over A with its interval after correction; red is worse, green better, grey cannot be told apart."),)


def _changes(made: Comparison) -> Table:
    rows = tuple(
        (
            Cell(one.change.ref), Cell(f"{one.change.change}: {', '.join(one.change.paths)}"),
            Cell(one.exercised.value, style="" if one.exercised is Exercised.YES else "unsure"), Cell(f"{one.requests:,}", float(one.requests)),
            Cell(one.reason + (f"; an entry that would meet it: {one.mix_entry}" if one.mix_entry else "")),
        )
        for one in made.changes
    )
    headings = (Heading("object", False), Heading("change", False), Heading("", False), Heading("requests"), Heading("why", False))
    return Table("changes", "Changed objects", headings, rows)


def _rerouted(made: Comparison) -> Table:
    rows = tuple((Cell(f"{one.client}/{one.shape}"), Cell(one.before), Cell(one.after)) for one in made.rerouted)
    return Table("requests", "Entries of the mix", (Heading("entry", False), Heading("A", False), Heading("B", False)), rows)


def _figures(made: Comparison) -> Table:
    rows = []
    for one in made.differences:
        name, a, b, diff, interval, noise = figure_cells(one)
        rows.append((
            Cell(f"{MARKS[one.direction].text} {name.strip()}", tip=one.direction.value), Cell(a, one.a), Cell(b, one.b),
            Cell(diff, one.diff), Cell(interval), Cell(noise, one.variance_reduction if one.variance_reduction is not None else -1.0),
        ))
    headings = (Heading("figure", False), Heading("A"), Heading("B"), Heading("difference"), Heading("interval", False), Heading("noise divided by"))
    return Table("figures", "All figures", headings, tuple(rows), "Intervals are corrected for the number of figures looked at.")


__all__ = ["ratios", "render"]
