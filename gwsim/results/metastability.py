"""Metastable: the cause is over, the load is one that was carried before, and the system does not come back.

A run is cut into three parts: *before* its first disturbance, the disturbance, and the *end*. A disturbance is a fault of the
scenario (a backend that stalls, slows, fails or refuses; gateway pods that change) or a burst: time bins with more than 1.2
times the load of the end. The end begins in the last quarter of the run, and not before three times as long has passed since the
last disturbance as they took from first to last: at 75 % load that is what a standstill needs to drain. The run is metastable if
all of these hold:

1. *before* the system was well: at most 5 % of the requests failed, and the number of requests in the system did not grow: with
   90 % confidence by less than 5 % of the load;
2. the load of the end is at most 1.05 times that of before, and no gateway has fewer pods: the same work was carried;
3. the end is worse: 5 points more of the requests fail, or the mean latency is at least twice that of before (each a paired
   t test over the replications at 5 %);
4. it does not return: in the second half of the end at least three quarters of what was worse in the first half still are; and
   where only latency is worse, the number of requests in the system has no trend since the last disturbance (t test of the slopes
   at 5 %). A backlog that drains shrinks, however slowly, and one of overload grows; what feeds itself stays.

One replication has no variance and is never called metastable; neither is a run whose fault lasts to its end, because its
capacity is then another. Overload is not: it was not well before. What these rules cannot see: a backlog behind clients that
have given up, at more than 75 % load, drains for longer than the end waits; a longer run tells.

Sources: N. Bronson, A. Aghayev, A. Charapko, T. Zhu, "Metastable Failures in Distributed Systems", HotOS 2021, for what it is;
the thresholds are this project's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gwsim.engine.schema import N_BINS
from gwsim.results.counts import Counts
from gwsim.results.histograms import NS, Floats
from gwsim.results.intervals import t_quantile, t_upper_tail
from gwsim.units import format_duration_s, format_rate_rps, format_share

BURST = 1.2
"""A bin with this many times the load of the end is part of a burst."""
SAME_LOAD = 1.05
WELL = 0.05
"""At most this share of requests fails in a system that is well; so many more fail in one that is not."""
SLOWER = 2.0
STAYS = 0.75
LEVEL, BURST_LEVEL = 0.05, 0.01
STEADY, CONFIDENCE = 0.05, 0.90
"""Growth below this share of the load, with this confidence, is none."""
WAIT = 3.0
"""The end waits for so many times the length of the disturbance."""
LAST = 0.75
"""The end begins after this share of the run."""
FEW_BINS = 8

Bins = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Metastable:
    """What shows it, a sentence each, and the first of them for a verdict."""

    sentence: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the run, float64 [R] each: offered 1/s, share of requests that fail, mean latency in seconds."""

    offered_rps: Floats
    failing: Floats
    latency_s: Floats


def metastable_of(counts: Counts) -> Metastable | None:
    """What shows that a run is metastable; None where it is not, or where that cannot be told."""
    if len(counts.raws) < 2 or any(raw.saturated[0] for raw in counts.raws):
        return None
    found = _parts(counts)
    if found is None:
        return None
    before, end, since = found
    was, now = _part(counts, before), _part(counts, end)
    same = _mean(now.offered_rps) <= SAME_LOAD * _mean(was.offered_rps) and not _fewer_pods(counts, before, end)
    if not same or not _well(counts, before, was):
        return None
    halves = [_part(counts, half) for half in _halves(end)]
    failing = _stays(was.failing, now.failing, [one.failing for one in halves], least=WELL)
    slower = _stays(was.latency_s, now.latency_s, [one.latency_s for one in halves], least=(SLOWER - 1.0) * _mean(was.latency_s))
    if not failing and not (slower and _level(_slopes(counts, since))):
        return None
    return _told(counts, was, now, end, failing)


def _told(counts: Counts, was: _Part, now: _Part, end: Bins, failing: bool) -> Metastable:
    last_s = counts.labels.duration_s - float(counts.bin_edges_ns[:-1][end][0]) * NS
    if failing:
        what = f"{format_share(_mean(now.failing), 2)} of the requests fail, {format_share(_mean(was.failing), 2)} did before"
    else:
        what = f"the mean latency is {format_duration_s(_mean(now.latency_s))}, it was {format_duration_s(_mean(was.latency_s))}"
    load = f"{format_rate_rps(_mean(now.offered_rps))} are offered, {format_rate_rps(_mean(was.offered_rps))} were carried before"
    return Metastable(
        sentence=f"in the last {format_duration_s(last_s)}, with the disturbance over, {what}",
        evidence=(load, "what was worse in the first half of that time is not mended in the second"),
    )


def _parts(counts: Counts) -> tuple[Bins, Bins, Bins] | None:
    """The time bins before the first disturbance, of the end, and since the last; None where one is too short or nothing happened."""
    starts, stops = counts.bin_edges_ns[:-1] * NS, counts.bin_edges_ns[1:] * NS
    length = counts.labels.duration_s
    tail = starts >= LAST * length
    burst = np.flatnonzero(_burst(counts, tail) & ~tail)
    spans = [one for one in counts.labels.disturbances if one[0] < length]
    spans += [(float(starts[b]), float(stops[b])) for b in burst]
    if not spans:
        return None
    first, last = min(one[0] for one in spans), max(one[1] for one in spans)
    before = (stops <= first) & (starts >= counts.labels.warmup_s)
    end = tail & (starts >= last + WAIT * (last - first))
    return (before, end, starts >= last) if before.sum() >= FEW_BINS and end.sum() >= 2 * FEW_BINS else None


def _burst(counts: Counts, tail: Bins) -> Bins:
    """Bins with clearly more load than the end has (t test over the replications at 1 % each), bool [N_BINS]."""
    rates = counts.of("bin_arrivals") / (np.diff(counts.bin_edges_ns) * NS)
    base = BURST * rates[:, tail].mean(axis=1)
    return np.array([_above(rates[:, b] - base, BURST_LEVEL) for b in range(N_BINS)])


def _part(counts: Counts, bins: Bins) -> _Part:
    seconds = float((np.diff(counts.bin_edges_ns)[bins] * NS).sum())
    ended = np.maximum(counts.of("bin_finished")[:, bins].sum(axis=1), 1)
    begun = np.maximum(counts.of("bin_latency_hist")[:, bins].sum(axis=(1, 2)), 1)
    return _Part(
        offered_rps=counts.of("bin_arrivals")[:, bins].sum(axis=1) / seconds,
        failing=counts.of("bin_errors")[:, bins].sum(axis=1) / ended,
        latency_s=counts.of("bin_latency_sum")[:, bins].sum(axis=1) * NS / begun,
    )


def _halves(bins: Bins) -> tuple[Bins, Bins]:
    rows = np.flatnonzero(bins)
    first, second = np.zeros_like(bins), np.zeros_like(bins)
    first[rows[: len(rows) // 2]] = True
    second[rows[len(rows) // 2 :]] = True
    return first, second


def _well(counts: Counts, before: Bins, was: _Part) -> bool:
    """Whether few requests fail and nothing piles up."""
    if _mean(was.failing) > WELL:
        return False
    slopes = _slopes(counts, before)
    reach = t_quantile(CONFIDENCE, len(slopes) - 1) * _error(slopes)
    return _mean(slopes) + reach <= STEADY * _mean(was.offered_rps)


def _slopes(counts: Counts, bins: Bins) -> Floats:
    """Growth of the number of requests in the system, 1/s, float64 [R]."""
    rows = np.flatnonzero(bins)
    middles = (counts.bin_edges_ns[rows] + counts.bin_edges_ns[rows + 1]) * NS / 2.0
    levels = counts.of("bin_area")[:, rows] / np.diff(counts.bin_edges_ns)[rows]
    return np.array([float(np.polyfit(middles, one, 1)[0]) for one in levels])


def _level(slopes: Floats) -> bool:
    """Whether the slopes are neither clearly above zero nor clearly below."""
    return not _above(slopes, LEVEL / 2.0) and not _above(-slopes, LEVEL / 2.0)


def _fewer_pods(counts: Counts, before: Bins, end: Bins) -> bool:
    pods = counts.of("fleet_bin_pods").mean(axis=0)  # 0 for fleets that do not change
    return bool((pods[:, end].mean(axis=1) < pods[:, before].mean(axis=1) * (1.0 - 1e-9)).any())


def _stays(was: Floats, now: Floats, halves: list[Floats], least: float) -> bool:
    """Whether a figure is worse by at least `least`, beyond chance, and stays so."""
    if _mean(now - was) < least or not _above(now - was, LEVEL):
        return False
    first, second = (_mean(half - was) for half in halves)
    return second >= STAYS * first


def _above(values: Floats, level: float) -> bool:
    """Whether the mean of what the replications say is above zero, by a one-sided t test."""
    value, error = _mean(values), _error(values)
    return value > 0.0 if error == 0.0 else t_upper_tail(value / error, len(values) - 1) < level


def _error(values: Floats) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))


def _mean(values: Floats) -> float:
    return float(np.mean(values))


__all__ = ["Metastable", "metastable_of"]
