"""Colours and the look of figures. Every colour is a CSS variable of the HTML report, so both themes fit.

Figures are drawn with the light theme's colours, which serve notebooks and files; `svg.inline` puts the variables in
their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gwsim.engine.codes import Component

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, SHADE = "#1f2328", "#59636f", "#dfe3e8", "#eef1f5"
GOOD, BAD, UNSURE = "#1a7f45", "#c4302b", "#9a6700"
SERIES = ("#2f6fd0", "#d9731a", "#2a9d6f", "#a14fc4", "#c93f6b", "#7a6a14", "#1a93a8", "#6b5bd2")

VARIABLES: Mapping[str, str] = {
    INK: "ink", MUTED: "muted", GRID: "grid", SHADE: "shade", GOOD: "good", BAD: "bad", UNSURE: "unsure",
    **{color: f"s{i}" for i, color in enumerate(SERIES)},
}
"""CSS variable of each colour."""

COMPONENT_COLORS: Mapping[Component, str] = {
    Component.CLIENT_NETWORK: "#9db4cf",
    Component.CONNECTION_SETUP: "#5f86b5",
    Component.WORKER_QUEUE: "#e8833a",
    Component.PROXY_CPU: "#f2b56b",
    Component.FILTER_CALLS: "#c9a227",
    Component.POOL_WAIT: "#d4574e",
    Component.UPSTREAM_NETWORK: "#a8d3bd",
    Component.UPSTREAM_QUEUE: "#1f7a5a",
    Component.UPSTREAM_SERVICE: "#4fae86",
    Component.RETRY_BACKOFF: "#8e6bbf",
    Component.INJECTED_DELAY: "#b79ad6",
    Component.THROTTLING: "#a33b5e",
    Component.CLIENT_BACKOFF: "#6c7a89",
    Component.NEXT_HOP: "#2f8f9d",
}
"""Blue before the gateway, orange within it, green behind it, violet and red for what should not be; legible on both themes."""

SETTINGS: Any = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9.5,
    "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 10, "axes.titley": 1.0,
    "axes.labelsize": 9.5, "axes.edgecolor": GRID, "axes.labelcolor": MUTED, "axes.titlecolor": INK, "axes.grid": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.facecolor": "none",
    "figure.facecolor": "none", "grid.color": GRID, "grid.linewidth": 0.8, "text.color": INK,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.major.size": 0, "ytick.major.size": 0, "xtick.minor.size": 0,
    "ytick.minor.size": 0, "legend.frameon": False, "legend.fontsize": 9, "lines.linewidth": 1.8,
    "svg.fonttype": "none", "svg.hashsalt": "gwsim", "axes.formatter.useoffset": False,
}


@contextmanager
def applied() -> Iterator[None]:
    """The look, for as long as something is drawn; other users of matplotlib in the process are left alone."""
    from matplotlib import rc_context

    with rc_context(SETTINGS):
        yield


def axes_for(ax: Axes | None, width: float, height: float, bottom: float = 0.5) -> tuple[Figure, Axes]:
    """The axes given with their figure, or a new figure of so many inches with one, so far above its lower edge."""
    if ax is not None:
        figure = ax.get_figure(root=True)
        assert figure is not None
        return figure, ax
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height))
    framed(made, left=0.72, bottom=bottom)
    return made, made.add_subplot()


def framed(figure: Figure, *, left: float, bottom: float, top: float = 0.4, right: float = 0.12, between: float = 0.0) -> None:
    """Set margins in inches: finding them by drawing (constrained layout) takes as long as the drawing."""
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left=left / width, right=1 - right / width, bottom=bottom / height, top=1 - top / height, hspace=between)


__all__ = ["BAD", "COMPONENT_COLORS", "GOOD", "GRID", "INK", "MUTED", "SERIES", "SETTINGS", "SHADE", "UNSURE", "VARIABLES", "applied", "axes_for", "framed"]
