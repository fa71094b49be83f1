"""The figures of workers, gateway pods and fleets, of clusters and of backend pods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsim.engine.codes import Counter, Visit
from gwsim.engine.schema import MIDDLE
from gwsim.results.counts import Counts, histogram_of, latency_of, range_of
from gwsim.results.histograms import NS, Floats, Ints
from gwsim.results.intervals import NO_DATA, Estimate, ratio, share
from gwsim.results.labels import FleetLabel
from gwsim.results.long_streams import held_by_streams
from gwsim.results.parts import (
    BackendFigures,
    ClusterFigures,
    FleetFigures,
    PodFigures,
    PortFigures,
    Range,
    WorkerFigures,
)

REFUSED = (Counter.UPSTREAM_RQ_PENDING_OVERFLOW, Counter.UPSTREAM_RQ_ACTIVE_OVERFLOW)


def workers_of(counts: Counts) -> tuple[WorkerFigures, ...]:
    """Every worker, in the engines' order."""
    window_cpu, cpu = counts.of("worker_window_cpu") * NS, counts.of("worker_cpu") * 1e-3
    streams, visits = counts.of("worker_streams"), counts.of("worker_visits")
    other = {name: counts.of(f"worker_{name}").mean(axis=0) for name in ("connections", "wakeups", "iterations")}
    return tuple(
        WorkerFigures(
            gateway=label.gateway, pod=label.pod, worker=label.index,
            utilisation=ratio(window_cpu[:, w], counts.windows_s, level=counts.level, count=int(streams[:, w].sum())),
            cpu_us_per_request=ratio(cpu[:, w], streams[:, w], level=counts.level),
            requests=float(streams[:, w].mean()), connections=float(other["connections"][w]),
            visits={v.name.lower(): float(visits[:, w, v].mean()) for v in Visit},
            wakeups=float(other["wakeups"][w]), iterations=float(other["iterations"][w]),
        )
        for w, label in enumerate(counts.labels.workers)
    )


def _cores(counts: Counts, workers: Sequence[int]) -> Estimate:
    cpu = counts.of("worker_window_cpu")[:, workers].sum(axis=1) * NS
    return ratio(cpu, counts.windows_s, level=counts.level, count=_requests(counts, workers))


def _requests(counts: Counts, workers: Sequence[int]) -> int:
    return int(counts.of("worker_streams")[:, workers].sum())


def _arrivals(counts: Counts, workers: Sequence[int]) -> Estimate:
    """Requests read per second, whole run."""
    streams = counts.of("worker_streams")[:, workers].sum(axis=1)
    return ratio(streams, counts.lengths_s, level=counts.level, count=int(streams.sum()))


def pods_of(counts: Counts) -> tuple[PodFigures, ...]:
    """Every gateway pod, in the engines' order."""
    requests = {fleet.name: fleet.cpu_request_cores for fleet in counts.labels.fleets}
    groups: dict[tuple[str, str], list[int]] = {}
    for w, label in enumerate(counts.labels.workers):
        groups.setdefault((label.gateway, label.pod), []).append(w)
    rows = []
    for (gateway, pod), workers in groups.items():
        cores, asked = _cores(counts, workers), requests[gateway]
        rows.append(
            PodFigures(
                gateway=gateway, pod=pod, zone=counts.labels.workers[workers[0]].zone, workers=len(workers),
                cpu_cores=cores, utilisation=cores.scaled(1.0 / len(workers)),
                of_request=cores.scaled(1.0 / asked) if asked else NO_DATA,
                requests_per_s=_arrivals(counts, workers),
            )
        )
    return tuple(rows)


def _mean_pods(counts: Counts, f: int, pods: int) -> float:
    """Pods of a fleet over the run; those it has, if they do not come and go."""
    existed = counts.of("fleet_bin_pods")[:, f].sum() * NS
    return float(existed / counts.lengths_s.sum()) if existed else float(pods)


def fleets_of(counts: Counts) -> tuple[FleetFigures, ...]:
    """Every gateway workload; its busiest worker is the one with the largest mean utilisation."""
    rows = []
    for f, fleet in enumerate(counts.labels.fleets):
        workers = [w for w, label in enumerate(counts.labels.workers) if label.gateway == fleet.name]
        cores = _cores(counts, workers)
        pods = _mean_pods(counts, f, fleet.pods)
        utilisation = cores.scaled(fleet.pods / max(len(workers) * pods, 1e-9))
        cpu_s = counts.of("worker_cpu")[:, workers].sum(axis=1) * NS
        streams = counts.of("worker_streams")[:, workers].sum(axis=1)
        per_request = ratio(cpu_s, streams, level=counts.level)
        asked = fleet.cpu_request_cores
        busiest = max((_cores(counts, [w]) for w in workers), key=lambda e: e.value or 0.0, default=NO_DATA)
        rows.append(
            FleetFigures(
                gateway=fleet.name, pods=round(pods), workers=fleet.workers, cpu_cores=cores,
                cpu_cores_range=range_of(cores, counts.labels), utilisation=utilisation,
                utilisation_range=range_of(utilisation, counts.labels), busiest_worker=busiest,
                of_request=cores.scaled(1.0 / (asked * max(pods, 1e-9))) if asked else NO_DATA,
                requests_per_s=_arrivals(counts, workers),
                cores_per_1000_rps=per_request.scaled(1000.0),
                cores_per_1000_rps_range=range_of(per_request.scaled(1000.0), counts.labels),
                cpu_us_per_request=per_request.scaled(1e6),
                memory_bytes_range=_memory(fleet), memory_limit_bytes=fleet.memory_limit_bytes,
            )
        )
    return tuple(rows)


def _memory(fleet: FleetLabel) -> Range:
    low, value, high, _ = fleet.memory_bytes
    return Range(low=low, value=value, high=high)


def clusters_of(counts: Counts) -> tuple[ClusterFigures, ...]:
    """Every Envoy cluster of the model."""
    counters = counts.of("cluster_counters")
    sums, held = counts.of("cluster_sum") * NS, held_by_streams(counts)
    rows = []
    for k, label in enumerate(counts.labels.clusters):
        attached = counters[:, k, Counter.UPSTREAM_RQ_TOTAL]
        refused = counters[:, k, list(REFUSED)].sum(axis=1)
        histogram = histogram_of(counts, "cluster_hist", "cluster_sum", [k], MIDDLE)
        under_way = ratio(np.maximum(sums[:, k], held[:, k]), counts.windows_s, level=counts.level, count=histogram.count)
        rows.append(
            ClusterFigures(
                name=label.name, host=label.host, subset=label.subset,
                counters={c.name.lower(): int(counters[:, k, c].sum()) for c in Counter},
                attempts_per_s=ratio(attached, counts.lengths_s, level=counts.level, count=int(attached.sum())),
                latency=latency_of(histogram, counts.level),
                in_use=under_way.scaled(1.0 / max(label.pods, 1)),
                limits={
                    "max_connections": label.max_connections, "max_pending_requests": label.max_pending_requests,
                    "max_requests": label.max_requests, "max_retries": label.max_retries,
                },
                overflow=share(refused, attached + refused, level=counts.level),
            )
        )
    return tuple(rows)


def backends_of(counts: Counts) -> tuple[BackendFigures, ...]:
    """Every backend pod of the model."""
    jobs, rejected = counts.of("station_jobs"), counts.of("station_rejected")
    errors, served = counts.of("station_errors"), counts.of("station_jobs") - counts.of("station_rejected")
    times: dict[str, Floats] = {
        name: counts.of(f"station_{name}") * NS for name in ("busy", "wait", "window_busy")
    }

    def per(top: Floats | Ints, bottom: Floats | Ints, seen: Ints) -> Estimate:
        return ratio(top, bottom, level=counts.level, count=int(seen.sum()))

    rows = []
    for s, label in enumerate(counts.labels.stations):
        busy = per(times["window_busy"][:, s], counts.windows_s, jobs[:, s])
        rows.append(
            BackendFigures(
                name=label.name, backend=label.backend, zone=label.zone, concurrency=label.concurrency,
                requests_per_s=per(jobs[:, s], counts.lengths_s, jobs[:, s]),
                utilisation=busy.scaled(1.0 / label.concurrency) if label.concurrency else NO_DATA,
                busy=busy,
                service_s=per(times["busy"][:, s], served[:, s], served[:, s]),
                wait_s=per(times["wait"][:, s], served[:, s], served[:, s]),
                errors=share(errors[:, s], jobs[:, s], level=counts.level),
                rejected=share(rejected[:, s], jobs[:, s], level=counts.level),
            )
        )
    return tuple(rows)


def ports_of(counts: Counts) -> tuple[PortFigures, ...]:
    """Every pool of source ports."""
    taken, refused, peak = counts.of("port_taken"), counts.of("port_refused"), counts.of("port_peak")
    return tuple(
        PortFigures(
            name=label.name, ports=label.ports, shared=label.shared, peak=int(peak[:, p].max()),
            taken_per_s=ratio(taken[:, p], counts.lengths_s, level=counts.level, count=int(taken[:, p].sum())),
            refused=share(refused[:, p], taken[:, p] + refused[:, p], level=counts.level),
        )
        for p, label in enumerate(counts.labels.ports)
    )


def refused_share(figures: ClusterFigures) -> float:
    """Share of the attempts that a circuit breaker refused."""
    return float(np.clip(figures.overflow.value or 0.0, 0.0, 1.0))
