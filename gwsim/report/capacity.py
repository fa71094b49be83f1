"""How much more load there is room for: a simulated curve where a run was asked for one, else the bound that utilisations give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gwsim.planning.curve import Curve, Interval, Point
from gwsim.report.html_tables import NONE, Cell, Heading, Table
from gwsim.report.names import Names
from gwsim.report.style import BAD, GOOD, INK, MUTED, SERIES, SHADE, applied, axes_for, framed
from gwsim.report.text import milliseconds
from gwsim.results.bottleneck import NOTICEABLE
from gwsim.results.results import Results
from gwsim.units import format_duration_s, format_rate_rps, format_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

WIDTH, HEIGHT = 6.2, 3.9
SHOWN = 5
"""Limits drawn in the bound."""


def sentence(made: Curve) -> str:
    """How far the load may grow, with the interval that is known, and where it is now."""
    texts = [_interval(made, made.keeps_up, "The gateways and backends keep up with", "never seen to fall behind")]
    if made.budgets is not None:
        because = f" ({made.failing} is missed first)" if made.failing and made.budgets.high is not None else ""
        texts.append(_interval(made, made.budgets, "The budgets hold up to", "never seen to be missed") + because)
    end = f"The load now is {format_rate_rps(made.load_rps)} (1 ×)"
    limit = (made.budgets or made.keeps_up).low
    if limit is not None and limit >= 1.0:
        end += f": {format_share(1.0 / limit, 2)} of the largest that is known to be good"
    return ". ".join((*texts, end)) + "."


def _interval(made: Curve, interval: Interval, start: str, never: str) -> str:
    def load(factor: float) -> str:
        return f"{format_rate_rps(factor * made.load_rps)} ({factor:g} ×)"

    if interval.low is None:
        least = made.points[0].factor if interval.high is None else interval.high
        return f"{start} no load that was tried, down to {load(least)}"
    if interval.high is None:
        return f"{start} {load(interval.low)} at least; {never}"
    return f"{start} {load(interval.low)} and not {load(interval.high)}"


def bound_sentence(results: Results) -> str:
    """What utilisations say without a probe, called what it is; empty where nothing was used."""
    first = results.bottleneck.first
    if first is None:
        return ""
    name = Names.of(results.labels).shorten(first.name)
    if first.exhausted >= NOTICEABLE or first.utilisation >= 1.0:
        return f"{name} is at its limit now."
    rate = results.throughput.offered_rps.value or 0.0
    low, high = room(results)
    span = f"{low:.3g} ×" if high <= low * 1.01 else f"{low:.3g} to {high:.3g} ×"
    rates = format_rate_rps(rate * low) if high <= low * 1.01 else f"{format_rate_rps(rate * low)} to {format_rate_rps(rate * high)}"
    return (
        f"From utilisations alone the load may grow to about {span} what it is now ({rates}): then {name} or what comes next is full. "
        "Not simulated, and latency rises before that: gwsim run --capacity simulates the curve."
    )


def room(results: Results) -> tuple[float, float]:
    """Multiples of the load at which something is full: with all of its use growing in proportion, and a bound from above.

    The less often a busy event loop sleeps, the less its wake-ups and polls cost each request; visits stay. So workers are
    full by visits alone at the latest; everything else is used in proportion.
    """
    limits = [one for one in results.bottleneck.limits if one.utilisation > 0]
    low = min((one.headroom for one in limits), default=1.0)
    visits = _visits_alone(results)
    high = min((one.headroom for one in limits if one.kind not in ("worker", "cpu")), default=float("inf"))
    return low, max(low, min([high, *(1.0 / level for level in visits.values() if level > 0)]))


def _visits_alone(results: Results) -> dict[str, float]:
    """Utilisation of each worker by its visits, without wake-ups and polls."""
    spent, cpu = results.counts.of("worker_visit_ns").sum(axis=0), results.counts.of("worker_cpu").sum(axis=0)
    return {
        f"{one.pod}/{one.worker}": (one.utilisation.value or 0.0) * float(spent[w]) / float(cpu[w])
        for w, one in enumerate(results.workers) if cpu[w]
    }


def figure(made: Curve, *, limits_s: Sequence[tuple[str, float]] = (), ax: Axes | None = None) -> Figure:
    """p50 and p99 at the client over the load, with intervals, the load now, and where it stops keeping up.

    `limits_s` are budgets on the client's p99: text and seconds.
    """
    with applied():
        drawn, axes = axes_for(ax, WIDTH, HEIGHT)
        if ax is None:
            framed(drawn, left=0.72, bottom=1.0)
        known = [point for point in made.points if point.p99_s.value is not None]
        x = [point.load_rps for point in known]
        for color, name in ((SERIES[1], "p99"), (SERIES[0], "p50")):
            figures = [getattr(point, f"{name}_s") for point in known]
            axes.plot(x, [one.value * 1e3 for one in figures], color=color, marker="o", markersize=3.5, label=f"{name} at the client")
            low = [(one.low if one.low is not None else one.value) * 1e3 for one in figures]
            high = [(one.high if one.high is not None else one.value) * 1e3 for one in figures]
            axes.fill_between(x, low, high, color=color, alpha=0.16, linewidth=0)
        for text, limit in limits_s:
            axes.axhline(limit * 1e3, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.0)
            axes.annotate(text, (0, limit * 1e3), xytext=(5, 3), textcoords="offset points", fontsize=8, color=MUTED)
        _marks(axes, made)
        _scaled(axes, [point.p50_s.value for point in known if point.p50_s.value], [point.p99_s.value for point in known if point.p99_s.value])
        axes.set_title("Latency over load")
        axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.17), ncols=2, fontsize=8.5)
        return drawn


def _scaled(axes: Axes, low_s: Sequence[float], high_s: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter

    if low_s and high_s and max(high_s) > 12 * min(low_s):
        from matplotlib.ticker import LogLocator, NullLocator

        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(min(low_s) * 1e3 * 0.5, max(high_s) * 1e3 * 1.6)
    elif high_s:
        axes.set_ylim(0, max(high_s) * 1e3 * 1.2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ms, _: format_duration_s(ms * 1e-3)))


def throughput(made: Curve, *, ax: Axes | None = None) -> Figure:
    """Served over offered load, with intervals; the thin line is all that is offered."""
    with applied():
        drawn, axes = axes_for(ax, WIDTH, HEIGHT)
        if ax is None:
            framed(drawn, left=0.72, bottom=1.0)
        x = np.array([point.offered_rps.value or 0.0 for point in made.points])
        served = np.array([point.served_rps.value or 0.0 for point in made.points])
        axes.plot([0, x.max()], [0, x.max()], color=MUTED, linewidth=0.9, linestyle=(0, (2, 3)), label="offered")
        axes.plot(x, served, color=SERIES[2], marker="o", markersize=3.5, label="served")
        axes.set_ylim(0, float(x.max()) * 1.08)
        _marks(axes, made)
        axes.yaxis.set_major_formatter(_rates())
        axes.set_title("Throughput over load")
        axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.17), ncols=2, fontsize=8.5)
        return drawn


def _marks(axes: Axes, made: Curve) -> None:
    """The load now, the interval in which budgets stop holding, and the one in which the system stops keeping up."""
    last = made.points[-1].load_rps
    axes.set_xlim(0, last * 1.02)
    axes.axvline(made.load_rps, color=INK, linewidth=1.2)
    axes.annotate("now", (made.load_rps, 0.0), xycoords=("data", "axes fraction"), xytext=(4, 5), textcoords="offset points", fontsize=8.5)
    if made.keeps_up.high is not None:
        start = (made.keeps_up.low or 0.0) * made.load_rps
        axes.axvspan(start, made.keeps_up.high * made.load_rps, color=BAD, alpha=0.22, linewidth=0, label="stops keeping up in here")
        axes.axvspan(made.keeps_up.high * made.load_rps, last * 1.02, color=SHADE, linewidth=0, zorder=0)
    if made.budgets is not None and made.budgets.high is not None and made.budgets != made.keeps_up:
        start = (made.budgets.low or 0.0) * made.load_rps
        axes.axvspan(start, made.budgets.high * made.load_rps, color=GOOD, alpha=0.25, linewidth=0, label="budgets stop holding in here")
    axes.xaxis.set_major_formatter(_rates())
    axes.set_xlabel("offered load")


def _rates() -> FuncFormatter:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda rps, _: format_rate_rps(rps) if rps else "0")


def bound(results: Results, *, ax: Axes | None = None) -> Figure:
    """How full the nearest limits get as the load grows, in proportion; of the busiest worker also by visits alone. Not a prediction."""
    limits = [one for one in results.bottleneck.limits if one.utilisation > 0][:SHOWN]
    names = Names.of(results.labels)
    with applied():
        drawn, axes = axes_for(ax, 2 * WIDTH, 2.9)
        if ax is None:
            framed(drawn, left=0.72, bottom=0.5, right=2.6)
        most = min(max([1.3, 1.25 * room(results)[1]]), 1_000.0)
        x = np.linspace(0.0, most, 101)
        for one, color in zip(limits, SERIES, strict=False):
            axes.plot(x, np.minimum(x * one.utilisation, 1.0) * 100.0, color=color, zorder=3 + one.utilisation, label=names.shorten(one.name))
            visits = _visits_alone(results).get(one.name) if one.kind == "worker" else None
            if visits:
                axes.plot(x, np.minimum(x * visits, 1.0) * 100.0, color=color, linestyle=(0, (4, 2)), linewidth=1.2, label="  its visits alone")
        axes.axhline(100.0, color=BAD, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.axvline(1.0, color=INK, linewidth=1.2)
        axes.annotate("now", (1.0, 0.0), xycoords=("data", "axes fraction"), xytext=(4, 5), textcoords="offset points", fontsize=8.5)
        axes.set_xlim(0, most)
        axes.set_ylim(0, 112)
        axes.set_title("How full limits get, % (from utilisations, not simulated)")
        axes.set_xlabel("multiples of the load now")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5)
        return drawn


def table(made: Curve) -> Table:
    """Every load that was tried."""
    headings = (
        Heading("Load", False), Heading("offered rps"), Heading("served rps"), Heading("p50 ms"), Heading("p99 ms"), Heading("errors"), Heading("Keeps up", False),
        Heading("Budgets", False),
    )
    rows = tuple(_row(point, made) for point in made.points)
    note = f"{made.requests:,} requests in {len(made.points)} short probes besides the run; intervals at 95 % are in the tips of the numbers."
    if not all(point.decided for point in made.points):
        note += " By the figure: the interval of so short a probe straddles the limit."
    return Table("capacity", "The capacity curve", headings, rows, note)


def _row(point: Point, made: Curve) -> tuple[Cell, ...]:
    def ms(name: str) -> Cell:
        one = getattr(point, name)
        tip = f"{milliseconds(one.low)} to {milliseconds(one.high)} ms" if one.low is not None else ""
        return Cell(milliseconds(one.value) if one.value is not None else NONE, one.value if one.value is not None else float("inf"), tip)

    served, errors = point.served_rps, point.errors.value or 0.0
    tip = f"{served.low:,.4g} to {served.high:,.4g}" if served.low is not None and served.high is not None else ""
    holds = NONE if made.budgets is None else ("hold" if point.holds else f"missed: {point.failing}" if point.failing else "missed") + ("" if point.decided else " (by the figure)")
    return (
        Cell(f"{point.factor:g} ×" + (" (now)" if point.factor == 1.0 else ""), point.factor), Cell(f"{point.offered_rps.value or 0.0:,.0f}", point.offered_rps.value or 0.0),
        Cell(f"{served.value or 0.0:,.0f}", served.value or 0.0, tip), ms("p50_s"), ms("p99_s"), Cell("0" if not errors else format_share(errors, 2), errors),
        _kept(point, made), Cell(holds),
    )


def _kept(point: Point, made: Curve) -> Cell:
    if point.saturated:
        return Cell("no: work piles up", style="bad")
    beyond = made.keeps_up.high is not None and point.factor >= made.keeps_up.high
    return Cell("no: requests are refused", style="bad") if beyond else Cell("yes")


__all__ = ["bound", "bound_sentence", "figure", "room", "sentence", "table", "throughput"]
