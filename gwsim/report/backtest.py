"""A backtest on the terminal, as JSON and as a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gwsim.observed.backtest import Backtest, Row
from gwsim.report.lines import EMPTY, Column, Line, Part, line, paragraph, table
from gwsim.report.text import INDENT, NONE
from gwsim.units import format_cores, format_duration_s, format_rate_rps, format_share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEAR, FAR = 0.1, 0.3
"""Relative errors up to which a metric counts as met, and from which as missed."""


def lines(made: Backtest, wrote: Sequence[str] = ()) -> list[Line]:
    """Metric by metric, what was fitted, and what would explain the rest."""
    rows = [line(Part("BACKTEST".ljust(INDENT), "bold"), f"{made.name}   gateway {made.gateway}")]
    rows += paragraph("", f"fitted on {_window(made.fit_window)}, scored on {_window(made.score_window)}", indent=INDENT)
    rows += [EMPTY, *_metrics(made), EMPTY]
    for n, one in enumerate(made.fitted):
        errors = "".join(f", {share:.2%} answered {status}" for status, share in sorted(one.errors.items()))
        rows += paragraph("" if n else "FITTED", f"{one.backend}: median {format_duration_s(one.median_s)}, p90 {format_duration_s(one.p90_s)}{errors}", indent=INDENT)
    for n, why in enumerate(made.explanations):
        bound = " (at the edge of what is plausible)" if why.bounded else ""
        if n and why.explained > 0.9 * made.explanations[0].explained:
            bound += " (these metrics hardly tell it from 1)"
        rows += paragraph("" if n else "WOULD FIT", f"{n + 1}. {why.name}: {why.suggestion}{bound}, explains {why.explained:.0%} of the squared error", indent=INDENT)
    if not made.explanations:
        rows += paragraph("WOULD FIT", "no single input explains what is left, or there is nothing left to explain", indent=INDENT)
    for n, note in enumerate(made.notes):
        rows += paragraph("" if n else "NOTES", note, indent=INDENT)
    if not made.calibrated:
        rows += paragraph("" if made.notes else "NOTES", "CPU is a range: the cost profile is not calibrated", indent=INDENT)
    if wrote:
        rows += paragraph("WROTE", f"{wrote[0]}  ({', '.join(wrote[1:])})", indent=INDENT, most=2)
    return rows


def _metrics(made: Backtest) -> list[Line]:
    columns = [Column("METRIC", right=False), Column("observed"), Column("predicted"), Column("range"), Column("predicted ÷ observed")]
    body: list[list[str | Part]] = []
    for one in made.rows:
        labels = ", ".join(one.labels.values())
        ranged = math.isfinite(one.low) and one.low != one.high
        body.append([
            f"{one.metric}{f' {labels}' if labels else ''}", show(one, one.observed), show(one, one.predicted),
            f"{show(one, one.low)} to {show(one, one.high)}" if ranged else "", _ratio(one),
        ])  # fmt: skip
    return table(columns, body)


def _ratio(one: Row) -> Part:
    if not math.isfinite(one.ratio):
        return Part(NONE)
    error = abs(math.log(one.ratio))
    inside = math.isfinite(one.low) and one.low <= one.observed <= one.high
    style = "green" if error <= math.log1p(NEAR) or inside else "red" if error > math.log1p(FAR) else "yellow"
    return Part(f"{one.ratio:.2f}", style)


def show(one: Row, value: float) -> str:
    """A value in the row's unit."""
    if not math.isfinite(value):
        return NONE
    formats = {"rps": format_rate_rps, "s": format_duration_s, "cores": format_cores, "share": format_share}
    return formats[one.unit](value) if one.unit in formats else f"{value:.3g}"


def _window(window: tuple[float, float]) -> str:
    start, end = (datetime.fromtimestamp(at, UTC) for at in window)
    return f"{start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC"


def as_plain(made: Backtest) -> dict[str, Any]:
    """As dictionaries, lists and numbers; what is not known is null."""
    return {
        "scenario": made.name, "gateway": made.gateway, "calibrated": made.calibrated,
        "fit_window": list(made.fit_window), "score_window": list(made.score_window),
        "metrics": [
            {"metric": one.metric, **one.labels, "unit": one.unit, **{k: _plain(getattr(one, k)) for k in ("observed", "predicted", "low", "high", "ratio")}}
            for one in made.rows
        ],
        "fitted": [asdict(one) for one in made.fitted],
        "explanations": [asdict(one) for one in made.explanations],
        "notes": list(made.notes),
        "timeline": {
            "seconds": made.seconds.tolist(), "observed_rps": [_plain(x) for x in made.observed_rps],
            "observed_cores_per_pod": [_plain(x) for x in made.observed_cores], "predicted_cores_per_pod": [_plain(x) for x in made.predicted_cores],
        },
    }  # fmt: skip


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def figure(made: Backtest) -> Figure:
    """Observed and predicted over each other: the rate, CPU per pod, durations, errors."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(10, 7), layout="constrained")
    ((rate, cpu), (latency, errors)) = fig.subplots(2, 2)
    minutes = made.seconds / 60
    rate.plot(minutes, made.observed_rps, color="tab:blue", label="observed and replayed")
    rate.set(title="requests", xlabel="minutes", ylabel="rps", ylim=(0, None))
    cpu.plot(minutes, made.observed_cores, "o", ms=4, color="tab:blue", label="observed")
    cpu.plot(minutes, made.predicted_cores, color="tab:orange", label="predicted")
    cpu.set(title="CPU per pod", xlabel="minutes", ylabel="cores", ylim=(0, None))
    _bars(latency, [one for one in made.rows if one.metric == "request duration"], 1e3, "request duration", "ms")
    _bars(errors, [one for one in made.rows if one.metric == "5xx"], 100.0, "5xx by flag", "% of the requests")
    for axes in (rate, cpu):
        axes.legend(frameon=False)
    return fig


def _bars(axes: Any, rows: Sequence[Row], factor: float, title: str, unit: str) -> None:
    axes.set(title=title, ylabel=unit)
    if not rows:
        axes.text(0.5, 0.5, "none", ha="center", transform=axes.transAxes)
        return
    at = range(len(rows))
    axes.bar([x - 0.2 for x in at], [one.observed * factor for one in rows], 0.4, color="tab:blue", label="observed")
    axes.bar([x + 0.2 for x in at], [one.predicted * factor for one in rows], 0.4, color="tab:orange", label="predicted")
    axes.set_xticks(list(at), [" ".join(one.labels.values()) for one in rows], rotation=60, ha="right", fontsize=7)
    axes.legend(frameon=False)


__all__ = ["as_plain", "figure", "lines", "show"]
