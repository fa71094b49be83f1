"""The figures of a report. Each function returns the matplotlib figure and draws into `ax` where one is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from gwsim.engine.codes import Component
from gwsim.report.lines import clip
from gwsim.report.names import COMPONENTS, Names, route_name
from gwsim.report.style import (
    BAD,
    COMPONENT_COLORS,
    GRID,
    INK,
    MUTED,
    SERIES,
    SHADE,
    applied,
    axes_for,
    framed,
)
from gwsim.results.evaluation import Answer, Budgets, Checked
from gwsim.results.histograms import Floats
from gwsim.results.parts import Latency, Series, Split, Traffic
from gwsim.results.results import Results
from gwsim.units import format_duration_s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

Metric = Literal["client.latency", "gateway.latency", "gateway.overhead"]
WORDS: dict[str, str] = {
    "client.latency": "Latency at the client", "gateway.latency": "Latency at the gateway", "gateway.overhead": "What the gateway adds",
}
MOST_CURVES = 8
BEYOND = 10
"""A percentile is drawn as long as this many requests are slower."""
TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
WIDTH, HEIGHT = 6.2, 3.7
LEGEND_LINE, LETTERS = 0.21, 80
"""Height of a line of the legend below, inches, and how many letters it has room for."""
ENOUGH = 50
"""Requests behind a point of a line over time."""
STEPS = (1, 2, 4, 5, 10, 20)


def tail_position(percent: float) -> float:
    """Where a percentile stands on the log-tail axis: every factor of ten in rarity is one further."""
    return -math.log10(max(1.0 - percent / 100.0, 1e-12))


def latency_of(traffic: Traffic, metric: Metric) -> Latency:
    """One kind of latency of a group of requests."""
    return {
        "client.latency": traffic.client_latency, "gateway.latency": traffic.gateway_latency,
        "gateway.overhead": traffic.gateway_overhead,
    }[metric]


def percentiles(
    results: Results, metric: Metric = "client.latency", *, budgets: Budgets | None = None, ax: Axes | None = None
) -> Figure:
    """Latency by percentile, one curve a route, with the limits of the budgets on the metric."""
    with applied():
        routes = [one for one in results.routes if latency_of(one, metric).count > BEYOND]
        routes = sorted(routes, key=lambda one: (one.derived, -one.requests))[:MOST_CURVES]
        across = max(min(len(routes), LETTERS // (max((len(route_name(one)) for one in routes), default=0) + 7)), 1)
        below = -(-len(routes) // across) * LEGEND_LINE
        figure, axes = axes_for(ax, WIDTH, HEIGHT + below, 0.5 + below)
        colors = route_colors(results)
        end, low, high = 1.0, math.inf, 0.0
        for route in routes:
            x, y = _curve(latency_of(route, metric))
            axes.plot(x, y * 1e3, color=colors.get(route.label, MUTED), label=route_name(route))
            end, low, high = max(end, float(x[-1])), min(low, float(y[0])), max(high, float(y[-1]))
        limits = _limits(results, metric, budgets)
        high = max([high, *(one.budget.limit for one in limits)])
        for rank, one in enumerate(sorted(limits, key=lambda one: -one.budget.limit)):
            _draw_limit(axes, one, colors, below=rank % 2 == 1)
        _tail_axis(axes, end)
        _milliseconds(axes, low, high)
        axes.set_title(WORDS[metric])
        axes.set_xlabel("percentile")
        if len(routes) > 0:
            place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.48 / (HEIGHT - 0.9))} if ax is None else {"loc": "best"}
            axes.legend(ncols=across, borderaxespad=0.0, **place)
        return figure


def route_colors(results: Results) -> dict[str, str]:
    """A colour for each of the busiest routes, the same in every figure."""
    ordered = sorted(results.routes, key=lambda one: (one.derived, -one.requests))
    return {one.label: color for one, color in zip(ordered, SERIES, strict=False)}


def _curve(latency: Latency) -> tuple[Floats, Floats]:
    """Positions and seconds; from the first percentile up to where too few requests are left."""
    end = tail_position(100.0 * (1.0 - BEYOND / latency.count))
    x = np.linspace(tail_position(5.0), max(end, tail_position(50.0)), 160)
    y = [latency.histogram.quantile_s(1.0 - 10.0**-position) or 0.0 for position in x]
    return x, np.array(y)


def _limits(results: Results, metric: Metric, budgets: Budgets | None) -> list[Checked]:
    if budgets is None:
        return []
    return [one for one in budgets.checked if one.budget.metric == metric and one.budget.percent is not None]


def _draw_limit(axes: Axes, one: Checked, colors: dict[str, str], *, below: bool) -> None:
    """A dashed line up to the percentile that the limit is for, ending in a mark; its text is above or below it."""
    budget = one.budget
    assert budget.percent is not None
    labels = dict(budget.labels)
    name = labels.get("route") or labels.get("shape") or ""
    color = next((colors[label] for label in colors if name and (label == name or label.endswith(name))), INK)
    x, y = tail_position(budget.percent), budget.limit * 1e3
    axes.plot([0, x], [y, y], color=color, linestyle=(0, (4, 3)), linewidth=1.1, alpha=0.9)
    axes.plot([x], [y], marker="v", markersize=6, color=BAD if one.answer is Answer.FAIL else color)
    text = f"{name + ' ' if name else ''}p{budget.percent:g} {budget.operator} {format_duration_s(budget.limit)}"
    up, align = (-3, "top") if below else (3, "bottom")
    axes.annotate(text, (0, y), xytext=(5, up), textcoords="offset points", fontsize=8, color=color, va=align)


def _tail_axis(axes: Axes, end: float) -> None:
    shown = [tick for tick in TICKS if tail_position(tick) <= end + 0.05]
    axes.set_xticks([tail_position(tick) for tick in shown], [f"{tick:g}" for tick in shown])
    axes.set_xlim(0, end + 0.12)


def _milliseconds(axes: Axes, low_s: float, high_s: float) -> None:
    """A linear axis, or a logarithmic one where curves are decades apart; with round numbers either way."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if low_s > 0 and math.isfinite(low_s) and high_s / low_s > 30:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 3.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(bottom=low_s * 1e3 * 0.6, top=high_s * 1e3 * 1.7)
    else:
        axes.set_ylim(bottom=0, top=high_s * 1e3 * 1.3 if high_s > 0 else 1.0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ms, _: format_duration_s(ms * 1e-3)))


def where_time_went(results: Results, *, ax: Axes | None = None) -> Figure:
    """Shares of the time of a request by component: of the median, the mean and the slowest, all routes and each."""
    with applied():
        rows = _bars(results)
        figure, axes = axes_for(ax, 2 * WIDTH, 0.95 + 0.3 * max(len(rows), 1))
        if ax is None:
            framed(figure, left=0.3 + 0.078 * max((len(name) for name, _ in rows), default=0), bottom=0.3, top=0.6)
        used = [c for c in COMPONENTS if any(split.shares[c] >= 0.005 for _, split in rows)]
        for at, (_, split) in enumerate(rows):
            left = 0.0
            for component in used:
                width = split.shares[component] * 100.0
                axes.barh(at, width, left=left, height=0.7, color=COMPONENT_COLORS[component])
                if width >= 7:
                    axes.text(left + width / 2, at, f"{width:.0f} %", ha="center", va="center", fontsize=8, color="#11161c")
                left += width
            axes.text(101, at, format_duration_s(split.total_s), va="center", fontsize=9)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_xlim(0, 108)
        axes.set_xticks(range(0, 101, 20), [f"{share} %" for share in range(0, 101, 20)])
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        _component_legend(axes, used)
        return figure


def _component_legend(axes: Axes, used: Collection[Component]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=COMPONENT_COLORS[c], label=COMPONENTS[c]) for c in COMPONENTS if c in used]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(handles) if len(handles) <= 5 else (len(handles) + 1) // 2, borderaxespad=0.4, handlelength=1.1, columnspacing=1.3)


def _bars(results: Results) -> list[tuple[str, Split]]:
    words = {"median": "median", "mean": "mean", "tail": "slowest 1 %"}

    def of(name: str, traffic: Traffic, bands: Sequence[str]) -> list[tuple[str, Split]]:
        by_band = {split.band: split for split in traffic.splits}
        return [(f"{name} · {words[band]}", by_band[band]) for band in bands if band in by_band]

    rows = of("all", results.total, ("median", "mean", "tail"))
    routes = sorted((one for one in results.routes if one.splits), key=lambda one: (one.derived, -one.requests))[:5]
    if len(routes) > 1:
        for route in routes:
            rows += of(route_name(route), route, ("median", "tail"))
    return [(clip(name, 40), split) for name, split in rows]


def timeline(results: Results) -> Figure:
    """Rates, latency, errors, requests in the system and gateway CPU over time, one above the other."""
    from matplotlib.figure import Figure

    with applied():
        panels: tuple[Callable[..., Figure], ...] = (rates, latency_over_time, errors, in_system, cpu)
        figure = Figure(figsize=(2 * WIDTH, 9.6))
        framed(figure, left=0.5, bottom=0.5, between=0.42)
        grid = figure.subplots(len(panels), 1, sharex=True, height_ratios=(1.2, 1.4, 0.8, 0.8, 1.0))
        for draw, axes in zip(panels, grid, strict=True):
            draw(results, ax=axes)
        grid[-1].set_xlabel("seconds since the start")
        return figure


def rates(results: Results, *, ax: Axes | None = None) -> Figure:
    """Requests offered and served per second."""
    time = results.timeline
    return _over_time(results, "Requests per second", [("offered", time.offered_rps), ("served", time.served_rps)], ax=ax, step=4)


def latency_over_time(results: Results, *, ax: Axes | None = None) -> Figure:
    """p50, p95 and p99 at the client, by the time a request was sent."""
    time = results.timeline
    named = [("p50", time.p50_latency_s), ("p95", time.p95_latency_s), ("p99", time.p99_latency_s)]
    return _over_time(results, "Latency at the client, ms", named, factor=1e3, ax=ax)


def errors(results: Results, *, ax: Axes | None = None) -> Figure:
    """Share of the requests that end badly."""
    return _over_time(results, "Errors, %", [("errors", results.timeline.errors)], factor=100.0, ax=ax, colors=(BAD,), least=1.0)


def in_system(results: Results, *, ax: Axes | None = None) -> Figure:
    """Requests between client and answer."""
    return _over_time(results, "Requests in the system", [("requests", results.timeline.in_system)], ax=ax, colors=(SERIES[3],))


def cpu(results: Results, *, ax: Axes | None = None) -> Figure:
    """CPU of each gateway."""
    names = Names.of(results.labels).gateways
    named = [(names.get(name, name), series) for name, series in results.timeline.cpu_cores.items()]
    return _over_time(results, "Gateway CPU, cores", named[: len(SERIES)], ax=ax, colors=(SERIES[1], *SERIES[2:]))


def _over_time(
    results: Results, title: str, named: Sequence[tuple[str, Series]], *, factor: float = 1.0, ax: Axes | None = None,
    colors: Sequence[str] = SERIES, step: int = 1, least: float = 0.0,
) -> Figure:
    """Lines with bands of their intervals; the warm-up is shaded. `step` bins, or more of a short run, are drawn as one."""
    step = max(step, _step(results))
    with applied():
        figure, axes = axes_for(ax, 2 * WIDTH, 2.2)
        edges, warm = results.timeline.edges_s, results.timeline.warmup_s
        middles = (edges[:-1] + edges[1:]) / 2
        top = least
        for (name, series), color in zip(named, colors, strict=False):
            x, value = _coarser(middles, step), _coarser(series.value, step) * factor
            axes.plot(x, value, color=color, label=name, linewidth=1.5)
            if step == 1:
                axes.fill_between(middles, series.low * factor, series.high * factor, color=color, alpha=0.16, linewidth=0)
            finite = value[np.isfinite(value)]
            top = max(top, float(finite.max()) if finite.size else 0.0)
        if warm > 0:
            axes.axvspan(0, warm, color=SHADE, zorder=0)
            axes.axvline(warm, color=GRID, linewidth=1)
        axes.set_title(title)
        axes.set_xlim(float(edges[0]), float(edges[-1]))
        axes.set_ylim(0, top * 1.18 if top > 0 else 1.0)
        axes.yaxis.set_major_locator(_few())
        if len(named) > 1:
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1.0), ncols=len(named), borderaxespad=0.2)
        return figure


def _step(results: Results) -> int:
    """Bins that are drawn as one, so that each point has some tens of requests behind it."""
    bins = len(results.timeline.edges_s) - 1
    return next((n for n in STEPS if n * results.requests >= ENOUGH * bins), STEPS[-1])


def _few() -> Locator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def _coarser(values: Floats, step: int) -> Floats:
    """Means of `step` values each; NaN only where all are."""
    if step == 1:
        return values
    rows = values[: len(values) // step * step].reshape(-1, step)
    seen = np.isfinite(rows)
    sums, counts = np.where(seen, rows, 0.0).sum(axis=1), seen.sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


__all__ = ["cpu", "errors", "in_system", "latency_over_time", "percentiles", "rates", "route_colors", "timeline", "where_time_went"]
