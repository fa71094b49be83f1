"""Figures of uncertain inputs: the tornado."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gwsim.planning.uncertainty import Figure, Uncertainty
from gwsim.report.style import BAD, INK, SERIES, applied, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

WIDTH = 6.2
MOST_BARS = 12
SCALES = {"latency": ("ms", 1e3), "share": ("%", 100.0), "rps": ("rps", 1.0), "cores": ("cores", 1.0)}


def tornado(made: Uncertainty, figure: Figure, *, ax: Axes | None = None) -> Drawing:
    """A bar an input, from the figure at its low end to that at its high end, the longest on top.

    A line marks the run in the middle, another the budget; a bar with one saturated end has an arrow.
    """
    bars = made.tornado(figure)[:MOST_BARS]
    unit, factor = SCALES[figure.budget.kind]
    middle = made.middle["figures"][made.figures.index(figure)]["value"]
    with applied():
        drawn, axes = axes_for(ax, WIDTH, 0.34 * len(bars) + 1.1)
        if ax is None:
            drawn.subplots_adjust(left=0.34)
        for n, bar in enumerate(bars):
            y = len(bars) - 1 - n
            known = [value * factor for value in (bar.low, bar.high) if value is not None and math.isfinite(value)]
            if len(known) == 2:
                axes.barh(y, known[1] - known[0], left=known[0], height=0.6, color=SERIES[0], alpha=1.0 if bar.clear else 0.35)
            elif known:
                axes.annotate("saturated", (known[0], y), xytext=(24, 0), textcoords="offset points", va="center", color=BAD, fontsize=8,
                              arrowprops={"arrowstyle": "<-", "color": BAD})
        axes.set_yticks(range(len(bars)), [f"{bar.name} ({bar.low_text} to {bar.high_text})" for bar in reversed(bars)], fontsize=7.5)
        if middle is not None:
            axes.axvline(middle * factor, color=INK, linewidth=1.0)
        if figure.limited:
            axes.axvline(figure.budget.limit * factor, color=BAD, linewidth=1.0, linestyle="--")
        axes.set_ylim(-0.6, max(len(bars) - 0.4, 0.6))
        axes.grid(False, axis="y")
        axes.set_title(figure.name)
        axes.set_xlabel(unit)
        return drawn


__all__ = ["MOST_BARS", "tornado"]
