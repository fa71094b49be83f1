"""Where the warm-up ends: MSER-5 on what a pilot of a few replications shows over time.

Two series are averaged over the replications, the mean latency and the mean number of requests in the system of
each time bin. MSER-5 groups them by five and cuts where the standard error of the mean of the rest is least; the
later of the two cuts counts, times 1.5. Only cuts within the first half are looked at, because the standard error of a
few last groups is small by chance now and then; if the best of them is the latest, no stationary part was found.

Source: K. P. White, M. J. Cobb, S. C. Spratt, "A comparison of five steady-state truncation heuristics for
simulation", Winter Simulation Conference 2000.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsim.engine.schema import N_BINS, RawRun
from gwsim.results.histograms import NS, Floats
from gwsim.units import format_duration_s

GROUP = 5
SAFETY = 1.5
NEGLIGIBLE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """The cut in seconds (on the edge of a time bin), whether what follows is stationary, and a note for people."""

    cut_s: float
    stationary: bool
    note: str


def mser(series: Floats, group: int = GROUP) -> tuple[int, bool]:
    """The number of values of `series` [n] to cut, a multiple of `group`, and whether a stationary part follows."""
    batches = series[: len(series) // group * group].reshape(-1, group).mean(axis=1)
    n = len(batches)
    if n < 4 or np.ptp(batches) <= NEGLIGIBLE * abs(float(batches.mean())):
        return 0, True
    last = n // 2
    scores = [float(np.var(batches[d:])) / (n - d) for d in range(last + 1)]
    best = int(np.argmin(scores))
    return best * group, best < last


def warmup_of(pilot: Sequence[RawRun], duration_s: float) -> Warmup:
    """The cut that a pilot shows; its replications ran for `duration_s` without one."""
    cuts = []
    stationary = not any(raw.saturated[0] for raw in pilot)
    for series in _series(pilot, duration_s):
        cut, found = mser(series)
        cuts.append(cut)
        stationary = stationary and found
    bins = min(math.ceil(max(cuts) * SAFETY), N_BINS // 2)
    cut_s = _edge_s(bins, duration_s)
    seconds = format_duration_s(cut_s)
    if stationary:
        note = f"warm-up of {seconds} cut off (MSER-5 on {len(pilot)} pilot runs, times {SAFETY:g})"
    else:
        note = f"no stationary part found in the first half of {len(pilot)} pilot runs; the first {seconds} are cut off"
    return Warmup(cut_s=cut_s, stationary=stationary, note=note)


def _edge_s(b: int, duration_s: float) -> float:
    duration_ns = int(duration_s * 1e9 + 0.5)
    return -(-(b * duration_ns) // N_BINS) * NS


def _series(pilot: Sequence[RawRun], duration_s: float) -> tuple[Floats, Floats]:
    """Mean latency (of the bins that have requests) and number in the system, per bin, over all replications."""
    sums = np.sum([raw.bin_latency_sum for raw in pilot], axis=0)
    counts = np.sum([raw.bin_latency_hist.sum(axis=1) for raw in pilot], axis=0)
    area = np.sum([raw.bin_area for raw in pilot], axis=0) / (duration_s / NS / N_BINS) / max(len(pilot), 1)
    # A bin without requests repeats its neighbour, so that a pause is not taken for a change.
    means = np.zeros(N_BINS)
    last = 0.0
    for b in range(N_BINS):
        last = float(sums[b] / counts[b]) if counts[b] else last
        means[b] = last
    return means * NS, area
