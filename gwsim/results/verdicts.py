"""Whether a run has a steady state to speak of: saturated, metastable, too short, or fine.

*Saturated* is one of: a replication reached `max_in_flight`; the number of requests in the system grows over the
window in the replications taken together (one-sided t test of their slopes at 1 %), still grows in its second half
(5 %), and by more than a thousandth of the offered rate. A system near, but below, its capacity also fills up at
first; its growth dies out, and the last two conditions tell the two apart. Requests served below offered is the same
thing seen from the other side, and is reported with it. *Metastable* is told apart from it in
`gwsim.results.metastability`, which comes first: a queue that grows after a fault at a load that was carried before is both.
"""

from __future__ import annotations

import math

import numpy as np

from gwsim.results.counts import Counts
from gwsim.results.histograms import NS, Floats
from gwsim.results.intervals import Estimate, Quality, ratio, t_upper_tail
from gwsim.results.metastability import metastable_of
from gwsim.results.parts import Status, Throughput, Traffic, Verdict
from gwsim.results.warmup import Warmup
from gwsim.units import format_rate_rps, format_share

WHOLE_LEVEL, HALF_LEVEL = 0.01, 0.05
MATERIAL = 1e-3
"""Growth below this share of the offered rate is not called saturation."""
FEW_BINS = 8
HELD_BACK = 0.02
"""A closed-loop client that sends less than 98 % of its rate is told."""


def verdict_of(counts: Counts, throughput: Throughput, total: Traffic, warmup: Warmup | None) -> Verdict:
    """The verdict on a run; a timeline is never saturated (its load is meant to change), nor too short."""
    if not total.requests:
        return Verdict(status=Status.NO_DATA, sentence="No request was made within the measured window.")
    full = sum(bool(raw.saturated[0]) for raw in counts.raws)
    if full:
        text = f"{full} of {len(counts.raws)} replications reached {counts.labels.max_in_flight} requests in flight"
        return _saturated(throughput, (text,))
    stuck = metastable_of(counts)
    if stuck is not None:
        return Verdict(status=Status.METASTABLE, sentence=f"Metastable: {stuck.sentence}.", evidence=stuck.evidence)
    if counts.labels.kind == "timeline":
        return Verdict(status=Status.FINE, sentence="The timeline was simulated in full.")
    growth = growth_rps(counts)
    offered = throughput.offered_rps.value or 0.0
    if _grows(growth, growth_rps(counts, second_half=True), offered):
        text = f"the number of requests in the system grows by {format_rate_rps(growth.value or 0.0)}"
        return _saturated(throughput, (text,))
    return _length(total, warmup, _held_back(counts))


def _saturated(throughput: Throughput, evidence: tuple[str, ...]) -> Verdict:
    offered, served = throughput.offered_rps.value or 0.0, throughput.served_rps.value or 0.0
    text = f"{format_rate_rps(served)} served of {format_rate_rps(offered)} offered"
    sentence = f"Saturated: {text}; latencies grow with the length of the run, so their averages mean nothing."
    return Verdict(status=Status.SATURATED, sentence=sentence, evidence=(*evidence, text))


def _held_back(counts: Counts) -> tuple[str, ...]:
    """Closed-loop clients that could not send what they were asked to: answers came too late."""
    texts = []
    for client, asked in counts.labels.asked_rps.items():
        ids = [i for i, label in enumerate(counts.labels.classes) if label.client == client]
        sent = ratio(counts.classes("offered", ids), counts.windows_s).value or 0.0
        if sent < (1.0 - HELD_BACK) * asked:
            texts.append(f"client {client} sent {format_rate_rps(sent)} of the {format_rate_rps(asked)} asked for, its "
                         "connections being busy")
    return tuple(texts)


def _length(total: Traffic, warmup: Warmup | None, held_back: tuple[str, ...]) -> Verdict:
    if warmup is not None and not warmup.stationary:
        sentence = "Too short: no stationary part was found in the first half of the run; make run.duration longer."
        return Verdict(status=Status.TOO_SHORT, sentence=sentence, evidence=(warmup.note,))
    tail = total.client_latency.p99
    if tail.quality in (Quality.TOO_SHORT, Quality.ONE_RUN):
        reason = "one replication has no interval" if tail.quality is Quality.ONE_RUN else "too few requests for a p99"
        sentence = f"Too short: {reason}; make run.duration longer or run.replications more."
        return Verdict(status=Status.TOO_SHORT, sentence=sentence, evidence=(f"{total.requests} requests in all",))
    lost = f", {format_share(total.errors.value)} without a good answer" if total.errors.value else ""
    if held_back:
        sentence = f"The load falls short of what was asked for{lost}: {'; '.join(held_back)}."
        return Verdict(status=Status.FINE, sentence=sentence, evidence=held_back)
    return Verdict(status=Status.FINE, sentence=f"The system keeps up with the load{lost}.")


def growth_rps(counts: Counts, *, second_half: bool = False) -> Estimate:
    """Slope of the number of requests in the system over the window (or its second half), per second."""
    slopes = [slope for r in range(len(counts.raws)) if (slope := _slope(counts, r, second_half)) is not None]
    if not slopes:
        return Estimate(value=None, quality=Quality.NO_DATA)
    value = sum(slopes) / len(slopes)
    if len(slopes) < 2:
        return Estimate(value=value, quality=Quality.ONE_RUN, count=1)
    error = float(np.std(slopes, ddof=1)) / math.sqrt(len(slopes))
    return Estimate(value=value, count=len(slopes), error=error, degrees=len(slopes) - 1).at(counts.level)


def _slope(counts: Counts, replication: int, second_half: bool) -> float | None:
    """Least-squares slope of one replication, 1/s; None with too few time bins."""
    rows = np.flatnonzero(counts.window_bins(replication))
    if second_half:
        rows = rows[len(rows) // 2 :]
    if len(rows) < FEW_BINS:
        return None
    edges: Floats = counts.bin_edges_ns * NS
    widths = np.diff(edges)[rows]
    levels = counts.raws[replication].bin_area[rows] * NS / widths
    return float(np.polyfit(edges[rows] + widths / 2.0, levels, 1)[0])


def _grows(whole: Estimate, half: Estimate, offered_rps: float) -> bool:
    if whole.value is None or half.value is None or whole.value <= MATERIAL * offered_rps:
        return False
    return _above_zero(whole, WHOLE_LEVEL) and _above_zero(half, HALF_LEVEL)


def _above_zero(figure: Estimate, level: float) -> bool:
    if figure.error is None or not figure.degrees:
        return False
    if figure.error == 0.0:
        return (figure.value or 0.0) > 0.0
    return t_upper_tail((figure.value or 0.0) / figure.error, figure.degrees) < level
