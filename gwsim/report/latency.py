"""A verification of latency: tables on the terminal, a page, a figure, plain data. The two ways to predict are never in one table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gwsim.envoy.latency.judging import (
    FIGURES,
    MEAN_BOUNDS,
    P99_BOUNDS,
    UTILISATION_OFF,
    Accuracy,
    Row,
)
from gwsim.envoy.latency.measuring import ACCEPTED_BUSY
from gwsim.report.lines import EMPTY, Column, Line, Part, line, paragraph, table
from gwsim.report.text import INDENT, NONE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADINGS = ("case", "rps", "busy", "mean ms", "p50 ms", "p90 ms", "p99 ms", "")
SAME_RUN = "SERVICE TIME FROM THE SAME RUN (in sample): measured → modelled"
BEFORE = "FROM THE CALIBRATION BEFORE (out of sample): measured, and the range predicted"
NOISE = "NOISE FLOOR: the second real run, with the same arrivals, over the first"


def _cell(name: str, value: float) -> str:
    if not math.isfinite(value):
        return NONE
    return f"{value:.2f}" if name == "utilisation" else f"{value * 1e3:.3g}"


def _head(row: Row) -> list[str]:
    return [row.case.name, f"{row.rate_rps:,.0f}"]


def _judged(row: Row, met: bool) -> str:
    if row.late:
        own = f"busy ({row.generator_busy:.0%} of the time)" if row.generator_busy > ACCEPTED_BUSY else f"late ({row.lateness:.0%} of p50)"
        return f"not judged: the generator was {own}"
    if not row.usable:
        return f"not judged: {row.slices - row.slices_kept} of {row.slices} slices disturbed"
    return "met" if met else "MISSED"


def same_run_rows(made: Accuracy) -> list[list[str]]:
    """Measured and modelled, service time from the same run."""
    return [
        [*_head(row), *(f"{_cell(name, row.measured[name])} → {_cell(name, row.same_run[name])}" for name in FIGURES), _judged(row, row.met_same_run)]
        for row in made.rows
    ]  # fmt: skip


def before_rows(made: Accuracy) -> list[list[str]]:
    """Measured, and the range from the calibration."""
    return [
        [
            *_head(row),
            *(f"{_cell(name, row.measured[name])} in {_cell(name, row.before[name][0])}–{_cell(name, row.before[name][2])}" for name in FIGURES),
            _judged(row, row.met_before),
        ]
        for row in made.rows
    ]  # fmt: skip


def noise_rows(made: Accuracy) -> list[list[str]]:
    """What two real runs differ by."""
    return [[*_head(row), *(f"{row.noise[name]:+.0%}" if math.isfinite(row.noise[name]) else NONE for name in FIGURES), ""] for row in made.rows]


def sentences(made: Accuracy) -> list[str]:
    """What it comes to, in words."""
    kept, everything = made.slices
    usable = [row for row in made.rows if row.usable]
    same, before = sum(row.met_same_run for row in usable), sum(row.met_before for row in usable)
    drift = [row.same_factor for row in usable]
    told = [
        f"{len(usable)} of {len(made.rows)} rows can be judged; {kept} of {everything} slices of time were undisturbed",
        f"service time from the same run: {same} of {len(usable)} rows have their mean within {MEAN_BOUNDS[0]:g}-{MEAN_BOUNDS[1]:g} and their p99 within {P99_BOUNDS[0]:g}-{P99_BOUNDS[1]:g} of the measured",
        f"from the calibration before: {before} of {len(usable)} rows have mean and p99 in the printed range and utilisation within {UTILISATION_OFF:g}",
    ]
    if drift:
        told.append(f"service time in these runs was {min(drift):.2f} to {max(drift):.2f} times that of the calibration")
    if made.calibration.realtime:
        told.append("measured with real-time priority, because other work ran on the machine")
    return told


def lines(made: Accuracy, wrote: Sequence[str] = ()) -> list[Line]:
    """The terminal report."""
    machine = made.machine
    rows = [line(Part("LATENCY".ljust(INDENT), "bold"), f"{machine.get('cpu')}, {machine.get('cores')} cores, Envoy {made.calibration.envoy}, {made.calibration.date}")]
    for sentence in sentences(made):
        rows += paragraph("", sentence, indent=INDENT)
    columns = [Column(name, right=False) for name in HEADINGS]
    for title, body in ((SAME_RUN, same_run_rows(made)), (BEFORE, before_rows(made)), (NOISE, noise_rows(made))):
        cells: list[list[str | Part]] = [list[str | Part](row) for row in body]
        rows += [EMPTY, line(Part(title, "bold")), *table(columns, cells, width=200)]
    if wrote:
        rows += [EMPTY, *paragraph("WROTE", ", ".join(wrote), indent=INDENT)]
    return rows


def markdown(made: Accuracy, figure_name: str = "") -> str:
    """`docs/accuracy.md`: what was measured, misses too."""
    machine = made.machine
    text = [
        "# How near predictions are to a real Envoy", "",
        "Written by `gwsim verify latency --markdown`; not by hand. A run on another machine, or another day, gives other numbers.", "",
        f"- Date: {made.calibration.date}", f"- Machine: {machine.get('cpu')}, {machine.get('cores')} cores, {machine.get('memory_gib')} GiB, Linux {machine.get('kernel')}; "
        "gateway worker on one core, backend and load generator on another",
        f"- Envoy {made.calibration.envoy}, one worker, stock filters; open-loop Poisson load, {made.seconds:g} s a run, the model driven by the recorded arrivals",
        *(f"- {sentence[0].upper()}{sentence[1:]}" for sentence in sentences(made)), "",
        "The loads aimed at are 0.25, 0.45, 0.6 and 0.75 of the worker; a TLS handshake costs the generator nearly what it costs the gateway, which bounds those rates.",
        "A run counts when the generator was late by at most 5% of the median latency, at work in at most half of the time, and half of the slices were undisturbed; it is tried three times.",
        "Time outside the gateway (backend and client, the kernel's work for their sockets among it) is what the generator worked for each request, and what",
        "events waited for it, drawn from how late requests were sent: in the same run, or in one before.", "",
    ]  # fmt: skip
    for title, body in ((SAME_RUN, same_run_rows(made)), (BEFORE, before_rows(made)), (NOISE, noise_rows(made))):
        text += [f"## {title[0]}{title[1:].split(':')[0].lower()}", ""]
        if ":" in title:
            text += [title.split(":", 1)[1].strip().capitalize() + ".", ""]
        text += ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS), *("| " + " | ".join(row) + " |" for row in body), ""]
    if figure_name:
        text += [f"![Measured and modelled]({figure_name})", ""]
    text += ["## Cases", "", *(f"- `{name}`: {title}" for name, title in {row.case.name: row.case.title for row in made.rows}.items())]
    return "\n".join(text) + "\n"


def as_plain(made: Accuracy) -> dict[str, Any]:
    """As dictionaries, lists and numbers."""
    return {
        "date": made.calibration.date, "envoy": made.calibration.envoy, "machine": dict(made.machine), "realtime": made.calibration.realtime,
        "slices": dict(zip(("kept", "all"), made.slices, strict=True)), "sentences": sentences(made),
        "rows": [
            {
                "case": row.case.name, "rps": row.rate_rps, "target": row.target, "usable": row.usable, "lateness": _finite(row.lateness),
                "generator_busy": row.generator_busy,
                "measured": _plain(row.measured), "second_run": _plain(row.again), "modelled_same_run": _plain(row.same_run), "same_run_met": row.met_same_run,
                "service_time_over_calibration": row.same_factor,
                "modelled_from_calibration": {name: [_finite(x) for x in row.before[name]] for name in FIGURES}, "calibration_met": row.met_before,
            }
            for row in made.rows
        ],
    }  # fmt: skip


def _plain(values: Any) -> dict[str, float | None]:
    return {name: _finite(values[name]) for name in FIGURES}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def figure(made: Accuracy) -> Figure:
    """A panel a case: mean and p99 over utilisation, both real runs, the model, and the calibration's range."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row.case.name for row in made.rows))
    fig = Figure(figsize=(3.4 * len(names), 4.0), layout="constrained")
    panels = fig.subplots(1, len(names), squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        rows = [row for row in made.rows if row.case.name == name]
        at = [row.measured["utilisation"] for row in rows]
        for key, colour in (("mean", "tab:blue"), ("p99", "tab:red")):
            panel.plot(at, [row.measured[key] * 1e3 for row in rows], "o", color=colour, ms=5, label=f"{key}, measured")
            panel.plot([row.again["utilisation"] for row in rows], [row.again[key] * 1e3 for row in rows], "o", color=colour, ms=5, mfc="none")
            panel.plot(at, [row.same_run[key] * 1e3 for row in rows], "-", color=colour, lw=1.2, label=f"{key}, model (same run)")
            panel.fill_between(at, [row.before[key][0] * 1e3 for row in rows], [row.before[key][2] * 1e3 for row in rows], color=colour, alpha=0.12)
        panel.set(title=name, xlabel="busy", yscale="log")
    panels[0].set_ylabel("ms")
    panels[0].legend(frameon=False, fontsize=7)
    return fig


__all__ = ["as_plain", "before_rows", "figure", "lines", "markdown", "noise_rows", "same_run_rows", "sentences"]
