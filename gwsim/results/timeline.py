"""The run over time: rates, errors, latencies and CPU per time bin, with intervals over the replications."""

from __future__ import annotations

import numpy as np

from gwsim.engine.schema import BIN, buckets
from gwsim.results.counts import Counts, series_of
from gwsim.results.histograms import NS, Floats, Ints, lower_edges_ns
from gwsim.results.intervals import t_quantile
from gwsim.results.parts import Series, Timeline


def timeline_of(counts: Counts) -> Timeline:
    """Every series of the results; bins after a run was stopped are empty."""
    edges = counts.bin_edges_ns * NS
    seconds = _seconds(counts)
    arrivals, finished = counts.of("bin_arrivals"), counts.of("bin_finished")
    histograms = np.stack([raw.bin_latency_hist for raw in counts.raws])
    cpu = counts.of("fleet_bin_cpu") * NS
    pods = counts.of("fleet_bin_pods") * NS
    open_ = counts.of("pod_bin_open") * NS
    latency = [_quantiles(histograms, p, counts.level) for p in (0.5, 0.95, 0.99)]
    return Timeline(
        edges_s=edges, warmup_s=counts.labels.warmup_s,
        offered_rps=series_of(arrivals.astype(float), seconds, counts.level),
        served_rps=series_of(finished.astype(float), seconds, counts.level),
        errors=series_of(counts.of("bin_errors").astype(float), finished.astype(float), counts.level),
        in_system=series_of(counts.of("bin_area") * NS, seconds, counts.level),
        mean_latency_s=series_of(
            counts.of("bin_latency_sum") * NS, histograms.sum(axis=2).astype(float), counts.level
        ),
        p50_latency_s=latency[0], p95_latency_s=latency[1], p99_latency_s=latency[2],
        cpu_cores={
            fleet.name: series_of(cpu[:, f], seconds, counts.level) for f, fleet in enumerate(counts.labels.fleets)
        },
        pods={
            fleet.name: series_of(pods[:, f], seconds, counts.level)
            for f, fleet in enumerate(counts.labels.fleets)
            if pods[:, f].any()
        },
        open_streams={
            pod: series_of(open_[:, g], seconds, counts.level)
            for g, pod in enumerate(dict.fromkeys(worker.pod for worker in counts.labels.workers))
            if g < open_.shape[1] and open_[:, g].any()
        },
    )


def _seconds(counts: Counts) -> Floats:
    """Simulated seconds within each bin, float64 [R, N_BINS]: 0 after a run was stopped."""
    edges = counts.bin_edges_ns
    ends = [int(raw.stop_ns[0]) if raw.saturated[0] else counts.duration_ns for raw in counts.raws]
    return np.stack([np.diff(np.minimum(edges, end)) for end in ends]) * NS


def _quantiles(histograms: Ints, probability: float, level: float) -> Series:
    """A quantile per bin by sectioning; histograms int64 [R, N_BINS, buckets(BIN)]."""
    point = _points(histograms.sum(axis=0), probability)
    runs = histograms.shape[0]
    if runs < 2:
        nothing = np.full_like(point, np.nan)
        return Series(value=point, low=nothing, high=nothing)
    parts = np.stack([_points(one, probability) for one in histograms])
    seen = (~np.isnan(parts)).sum(axis=0)
    spread = np.where(np.isnan(parts), 0.0, (parts - point) ** 2).sum(axis=0)
    error = np.sqrt(spread / np.maximum(seen * (seen - 1), 1))
    t = np.array([t_quantile(0.5 + level / 2.0, int(n) - 1) if n > 1 else np.nan for n in seen])
    # Half a bucket of relative width 2^-BIN.
    reach = t * error + point * 2.0 ** -(BIN + 1)
    return Series(value=point, low=point - reach, high=point + reach)


def _points(histogram: Ints, probability: float) -> Floats:
    """The quantile of each row of int64 [N_BINS, buckets(BIN)], seconds; NaN for an empty row."""
    edges = lower_edges_ns(np.arange(buckets(BIN) + 1, dtype=np.int64), BIN) * NS
    upto = np.cumsum(histogram, axis=1)
    total = upto[:, -1]
    rank = probability * total
    i = np.minimum((upto < rank[:, None]).sum(axis=1), histogram.shape[1] - 1)
    rows = np.arange(len(i))
    held = histogram[rows, i]
    inside = (rank - (upto[rows, i] - held)) / np.maximum(held, 1)
    return np.where(total > 0, edges[i] + (edges[i + 1] - edges[i]) * inside, np.nan)
