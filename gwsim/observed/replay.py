"""Observed rates and mix put into a scenario, and what comes of it, in the terms of Istio's metrics.

A window of hours is simulated in less time: each of its pieces keeps its rate and is made shorter by one factor, which
changes nothing as long as a piece lasts much longer than a request.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gwsim.engine import EngineName
from gwsim.engine.codes import Flag
from gwsim.engine.schema import FINE
from gwsim.observed import prometheus
from gwsim.observed.prometheus import Floats
from gwsim.observed.window import UNROUTED, Observed
from gwsim.planning.preparation import Given, Prepared, prepare
from gwsim.planning.replications import simulate
from gwsim.results import Results
from gwsim.results.counts import histogram_of
from gwsim.results.histograms import Histogram
from gwsim.scenario import model
from gwsim.topology import Cluster

QUANTILES = (0.5, 0.9, 0.99)
GATEWAY_5XX = ("UH", "UO", "UF", "UC", "UT", "NC", "LR", "UR", "UPE", "URX", "FI")
"""Flags of 5xx answers; whatever 5xx has none of them came from upstream."""
SHORTEST_PIECE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How one entry of a client's mix falls on services, at the scenario's own rate."""

    client: int
    shape: int
    rate_rps: float
    services: Mapping[str, float]


def service_name(cluster: Cluster) -> str:
    """`service.namespace` of a Kubernetes service, or the host."""
    parts = cluster.host.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 and parts[2] == "svc" else cluster.host


def shares(prepared: Prepared) -> list[Share]:
    """Every entry of every mix, by the services its route leads to."""
    resolved = prepared.resolved.model
    made = []
    for c, client in enumerate(resolved.clients):
        weights = sum(shape.weight for shape in client.mix)
        for s, shape in enumerate(client.mix):
            falls: dict[str, float] = defaultdict(float)
            targets = shape.outcome.targets
            whole = sum(one.weight for one in targets)
            for one in targets:
                name = service_name(resolved.clusters[one.cluster].cluster) if one.cluster >= 0 else UNROUTED
                falls[name] += one.weight / whole if whole else 1.0 / len(targets)
            made.append(Share(client=c, shape=s, rate_rps=mean_rate(client.arrivals) * shape.weight / weights, services=dict(falls) or {UNROUTED: 1.0}))
    return made


def mean_rate(arrivals: model.Arrivals) -> float:
    """Requests per second on average; 1 for closed loops without a rate."""
    if isinstance(arrivals, model.Poisson):
        length = sum(one.duration_s for one in arrivals.segments)
        return sum(one.duration_s * (one.start_rps + one.end_rps) / 2 for one in arrivals.segments) / length
    if isinstance(arrivals, model.Bursts):
        low, high = arrivals.mean_base_s, arrivals.mean_peak_s
        return (arrivals.base_rps * low + arrivals.peak_rps * high) / (low + high)
    if isinstance(arrivals, model.Replay):
        times = arrivals.times_s
        return len(times) / max(times[-1] - times[0], 1e-9) if len(times) > 1 else 1.0
    if isinstance(arrivals, model.OnDemand):
        return 0.0
    return arrivals.rate_rps or 1.0


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A scenario's settings that make it send what was observed."""

    settings: tuple[str, ...]
    duration_s: float
    factor: float
    """Seconds observed per second simulated."""
    known: tuple[int, ...]
    """The bins of the window that are replayed, in order."""
    strangers: Mapping[str, float]
    """Observed services that no entry of a mix reaches, requests per second."""


def replayed(prepared: Prepared, observed: Observed, *, requests: int) -> Replayed:
    """Arrivals and weights such that every service gets its observed rate, piece by piece; about `requests` in all."""
    known = tuple(int(i) for i in np.flatnonzero(~np.isnan(observed.total_rps)))
    everything = shares(prepared)
    expected: dict[str, float] = defaultdict(float)
    for one in everything:
        for name, part in one.services.items():
            expected[name] += one.rate_rps * part
    table = np.zeros((len(everything), len(known)))
    for i, one in enumerate(everything):
        for name, part in one.services.items():
            if expected[name] > 0 and name in observed.by_service:
                rates = np.nan_to_num(observed.by_service[name][list(known)])
                table[i] += one.rate_rps * part / expected[name] * rates
    width = float(observed.edges[1] - observed.edges[0])
    total = float(table.sum()) * width
    factor = max(1.0, min(total / requests, width / SHORTEST_PIECE_S))
    settings = [f"run={{kind: timeline, duration: {width / factor * len(known):.6f}s, replications: 1}}"]
    for c, client in enumerate(prepared.resolved.model.clients):
        rows = [i for i, one in enumerate(everything) if one.client == c]
        pieces = ", ".join(f"{{for: {width / factor:.6f}s, rate: {max(rate, 1e-3):.6g}rps}}" for rate in table[rows].sum(axis=0))
        settings.append(f"clients.{client.name}.arrivals={{profile: [{pieces}]}}")
        weights = table[rows].sum(axis=1)
        for row, weight in zip(rows, weights, strict=True):
            settings.append(f"clients.{client.name}.mix[{everything[row].shape}].weight={weight if weights.any() else 1.0:.6g}")
    strangers = {name: observed.rate_of(name) for name in observed.by_service if name not in expected and observed.rate_of(name) > 0}
    return Replayed(
        settings=tuple(settings), duration_s=width / factor * len(known), factor=factor, known=known, strangers=strangers,
    )


# --- what comes of it ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Predicted:
    """One replay in the terms of Istio's metrics."""

    results: Results
    rps: Mapping[str, float]
    durations: Mapping[str, Histogram]
    """Of answers from upstream and of time-outs, as seconds at the gateway; `all` for all of them."""
    flags_5xx: Mapping[str, float]
    cores_per_pod: float
    cores_low: float
    cores_high: float
    cores_by_bin: Floats

    def quantile(self, service: str, bounds: Floats, q: float) -> float:
        """A quantile as Prometheus would give it from the same buckets; NaN where nothing was answered."""
        histogram = self.durations.get(service)
        return math.nan if histogram is None else bucketed_quantile(histogram, bounds, q)


def bucketed_quantile(histogram: Histogram, bounds: Floats, q: float) -> float:
    """What histogram_quantile gives once durations are counted into buckets with these bounds."""
    if not histogram.count:
        return math.nan
    above = [0.0 if math.isinf(bound) else float(histogram.above(float(bound)).sum()) for bound in bounds]
    return prometheus.quantile(bounds, histogram.count - np.array(above), q)


def predict(given: Given, how: Replayed, extra: Sequence[str] = (), *, pods: Mapping[str, int], gateway: str, engine: EngineName = "auto", seed: int | None = None) -> Predicted:
    """Simulate a replay with so many pods of each gateway."""
    prepared = prepare(replace(given, settings=(*given.settings, *how.settings, *extra), seed=given.seed if seed is None else seed))
    resolved = prepared.with_replicas(dict(pods), fix=True) if pods else prepared.resolved
    return _predicted(simulate(resolved, engine=engine, replications=1, workers=1), gateway, how)


def _predicted(results: Results, gateway: str, how: Replayed) -> Predicted:
    labels, counts = results.labels, results.counts
    by_service = _classes_by_service(results)
    seconds = float(counts.windows_s.sum())
    everything = [i for i, one in enumerate(labels.classes) if one.gateway == gateway]
    groups = {"all": everything, **{name: sorted(ids) for name, ids in by_service.items()}}
    chosen = counts.of("class_cluster").sum(axis=0)
    rps: dict[str, float] = {"all": float(counts.of("gw_streams").sum(axis=0)[everything].sum()) / seconds}
    for k, cluster in enumerate(labels.clusters):
        name = _service_of_host(cluster.host)
        rps[name] = rps.get(name, 0.0) + float(chosen[everything, k].sum()) / seconds
    fleet = next(one for one in results.fleets if one.gateway == gateway)
    per_pod = 1.0 / max(fleet.pods, 1)
    line = results.timeline
    edges = np.linspace(0.0, how.duration_s, len(how.known) + 1)
    cores = np.nan_to_num(line.cpu_cores[gateway].value)
    return Predicted(
        results=results, rps=rps, durations={name: histogram_of(counts, "gw_hist", "gw_sum", ids, FINE) for name, ids in groups.items()},
        flags_5xx=_flags(results, everything, seconds),
        cores_per_pod=(fleet.cpu_cores.value or 0.0) * per_pod, cores_low=fleet.cpu_cores_range.low * per_pod,
        cores_high=fleet.cpu_cores_range.high * per_pod, cores_by_bin=_rebinned(line.edges_s, cores, edges) * per_pod,
    )


def _service_of_host(host: str) -> str:
    parts = host.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 and parts[2] == "svc" else host


def _classes_by_service(results: Results) -> dict[str, set[int]]:
    """Classes by the service most of their streams went to."""
    chosen = results.counts.of("class_cluster").sum(axis=0)
    made: dict[str, set[int]] = defaultdict(set)
    for i, row in enumerate(chosen):
        if row.any():
            made[_service_of_host(results.labels.clusters[int(row.argmax())].host)].add(i)
    return made


def _flags(results: Results, ids: Sequence[int], seconds: float) -> dict[str, float]:
    """5xx a second by flag, `-` for those without one."""
    counts = results.counts
    flags, status = (counts.of(name).sum(axis=0)[list(ids)].sum(axis=0) for name in ("gw_flags", "gw_status"))
    made = {name: int(flags[Flag[name].bit_length() - 1]) for name in GATEWAY_5XX if name in Flag.__members__}
    upstream = int(status[500:600].sum()) - sum(made.values())
    return {name: count / seconds for name, count in {**made, "-": max(upstream, 0)}.items() if count > 0}


def _rebinned(edges: npt.NDArray[Any], values: npt.NDArray[Any], wanted: Floats) -> Floats:
    """Means over other bins of a series that is constant within its own."""
    area = np.concatenate([[0.0], np.cumsum(values * np.diff(edges))])
    at = np.interp(wanted, edges, area)
    return np.array([(b - a) / (t1 - t0) for (a, b), (t0, t1) in zip(pairwise(at), pairwise(wanted), strict=True)])


__all__ = ["QUANTILES", "Predicted", "Replayed", "Share", "bucketed_quantile", "mean_rate", "predict", "replayed", "service_name", "shares"]
