"""Figures of a sweep: the curves along its last axis, and a heat map over its last two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gwsim.planning.sweep import Sweep
from gwsim.report.style import BAD, GOOD, INK, MUTED, SERIES, UNSURE, applied, axes_for
from gwsim.report.sweep import value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 6.2, 3.7
MOST_LINES = 8
NAMES = {
    "client_latency_p99_s": ("p99 at the client", "ms", 1e3), "gateway_latency_p99_s": ("p99 at the gateway", "ms", 1e3),
    "errors_share": ("errors", "%", 100.0), "gateway_cpu_cores": ("gateway CPU", "cores", 1.0),
    "busiest_worker_utilisation": ("busiest worker", "%", 100.0), "served_rps": ("served", "rps", 1.0),
    "good_rps": ("good", "rps", 1.0), "gateway_pods": ("gateway pods", "", 1.0),
}
"""Figures that are drawn: title, unit, factor from SI."""
VERDICTS = {"PASS": GOOD, "DONE": GOOD, "FAIL": BAD, "SATURATED": BAD, "METASTABLE": BAD, "ERROR": BAD, "UNDECIDED": UNSURE}


def curve(swept: Sweep, figure: str = "client_latency_p99_s", *, ax: Axes | None = None) -> Figure:
    """One figure along the last axis, a line for each value of the others; marks coloured by the verdict."""
    title, unit, factor = NAMES.get(figure, (figure, "", 1.0))
    with applied():
        made, axes = axes_for(ax, WIDTH, HEIGHT)
        for color, line in zip(SERIES, swept.lines[:MOST_LINES], strict=False):
            x = [swept.values[i][-1].number or float(k) for k, i in enumerate(line)]
            y = [_number(swept.rows[i].get(figure)) * factor for i in line]
            axes.plot(x, y, color=color, label=_label(swept, line[0]), zorder=2)
            _intervals(axes, swept, line, figure, x, factor, color)
            axes.scatter(x, y, color=[VERDICTS[swept.rows[i]["verdict"]] for i in line], s=22, zorder=3)
        axes.set_title(f"{title} ({unit})" if unit else title)
        axes.set_xlabel(swept.axes[-1].label)
        _ticks(axes, swept)
        low, high = axes.get_ylim()
        axes.set_ylim(bottom=min(0.0, low) if low > -1e-9 or high > 0 else low)
        if len(swept.lines) > 1:
            axes.legend(loc="best")
        return made


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _label(swept: Sweep, index: int) -> str:
    return ", ".join(
        f"{axis.label} {value_text(axis, value)}" for axis, value in zip(swept.axes[:-1], swept.values[index], strict=False)
    )


def _intervals(
    axes: Axes, swept: Sweep, line: Sequence[int], figure: str, x: Sequence[float], factor: float, color: str
) -> None:
    low = np.array([_number(swept.rows[i].get(f"{figure}_low")) * factor for i in line])
    high = np.array([_number(swept.rows[i].get(f"{figure}_high")) * factor for i in line])
    if np.isfinite(low).any():
        axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0, zorder=1)


def _ticks(axes: Axes, swept: Sweep) -> None:
    axis = swept.axes[-1]
    if not axis.numeric:
        axes.set_xticks(range(len(axis.values)), [value.text for value in axis.values])
        return
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    from gwsim.planning.axes import Value

    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: value_text(axis, Value("", x))))


def heat_map(swept: Sweep, figure: str = "client_latency_p99_s", *, ax: Axes | None = None) -> Figure:
    """One figure over the last two axes (of further axes: their first values); a frame marks where budgets hold."""
    if len(swept.axes) < 2:
        raise ValueError("a heat map needs two axes")
    title, unit, factor = NAMES.get(figure, (figure, "", 1.0))
    rows, columns = len(swept.axes[-2].values), len(swept.axes[-1].values)
    points = swept.rows[: rows * columns]
    grid = np.array([_number(row.get(figure)) * factor for row in points]).reshape(rows, columns)
    with applied():
        made, axes = axes_for(ax, WIDTH, max(2.2, 0.42 * rows + 1.2))
        axes.grid(False)
        axes.imshow(grid, aspect="auto", origin="lower", cmap="viridis")
        middle = float(np.nanmean(grid)) if np.isfinite(grid).any() else 0.0
        for r in range(rows):
            for c in range(columns):
                row = points[r * columns + c]
                shown = "–" if math.isnan(grid[r, c]) else _figure(grid[r, c])
                mark = {0: "", 3: " ?"}.get(row["exit_code"], " ✗")
                axes.text(
                    c, r, shown + mark, ha="center", va="center", fontsize=8,
                    color="#ffffff" if math.isnan(grid[r, c]) or grid[r, c] < middle else "#000000",
                )
        axes.set_yticks(range(rows), [value_text(swept.axes[-2], v) for v in swept.axes[-2].values])
        axes.set_xticks(range(columns), [value_text(swept.axes[-1], v) for v in swept.axes[-1].values])
        axes.set_xlabel(swept.axes[-1].label)
        axes.set_ylabel(swept.axes[-2].label)
        axes.set_title(f"{title} ({unit}); ✗: does not hold" if unit else title, color=INK)
        axes.tick_params(colors=MUTED)
        return made


def _figure(value: float) -> str:
    """Three figures, never an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


__all__ = ["NAMES", "curve", "heat_map"]
