"""What Prometheus would have recorded of a gateway whose truth is known: a simulated run told in Istio's metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from observed_data import START, matrix

from gwsim.engine.schema import FINE
from gwsim.planning.preparation import Given, prepare
from gwsim.planning.replications import simulate
from gwsim.results.counts import histogram_of

WORKLOAD, NAMESPACE = "istio-ingressgateway", "istio-system"
BOUNDS_MS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, math.inf)
STEP = 15.0
Point = tuple[float, float]


def record(folder: Path, scenario: Path, truth: Sequence[str], rates: Sequence[float], *, piece_s: float = 300.0, pods: int = 2) -> tuple[float, float]:
    """Simulate the scenario with `truth` at each rate (requests/s of client web) and write the metrics; gives the window."""
    histories: dict[tuple[str, tuple[tuple[str, str], ...]], list[Point]] = {}
    held: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    now = 0.0
    for rate in rates:
        grown = _rates(scenario, truth, rate, pods)
        for key in {*grown, *held}:
            held.setdefault(key, 0.0)
            points = histories.setdefault(key, [(START + now, held[key])])
            for k in range(1, round(piece_s / STEP) + 1):
                points.append((START + now + k * STEP, held[key] + grown.get(key, 0.0) * k * STEP))
            held[key] = points[-1][1]
        now += piece_s
    folder.mkdir(parents=True, exist_ok=True)
    for metric in {name for name, _ in histories}:
        series = [(dict(labels), points) for (name, labels), points in sorted(histories.items()) if name == metric]
        (folder / f"{metric}.json").write_text(matrix(*series), encoding="utf-8")
    return START, START + now


def _rates(scenario: Path, truth: Sequence[str], rate: float, pods: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Increase per second of every series."""
    seconds = 30_000 / rate
    settings = (*truth, f"clients.web.arrivals={{poisson: {rate}rps}}", f"run={{kind: timeline, duration: {seconds:.3f}s, replications: 1}}")
    prepared = prepare(Given(paths=(str(scenario),), settings=settings, seed=77, fix_replicas=True))
    fleet = prepared.resolved.fleets[0].name
    results = simulate(prepared.with_replicas({fleet: pods}, fix=True), replications=1)
    counts = results.counts
    made: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def add(metric: str, value: float, **labels: str) -> None:
        key = (metric, tuple(sorted(labels.items())))
        made[key] = made.get(key, 0.0) + value

    gateway = {"reporter": "source", "source_workload": WORKLOAD, "source_workload_namespace": NAMESPACE}
    chosen = counts.of("class_cluster").sum(axis=0)
    for i in range(len(results.labels.classes)):
        host = results.labels.clusters[int(chosen[i].argmax())].host
        one = {**gateway, "destination_service": host}
        statuses = counts.of("gw_status").sum(axis=0)[i]
        for status in np.flatnonzero(statuses):
            add("istio_requests_total", float(statuses[status]) / seconds, **one, response_code=str(status), response_flags="-")
        histogram = histogram_of(counts, "gw_hist", "gw_sum", [i], FINE)
        for bound in BOUNDS_MS:
            below = histogram.count - (0.0 if math.isinf(bound) else float(histogram.above(bound / 1e3).sum()))
            add("istio_request_duration_milliseconds_bucket", below / seconds, **one, le="+Inf" if math.isinf(bound) else f"{bound:g}")
    for n, pod in enumerate(results.pods):
        add("container_cpu_usage_seconds_total", float(pod.cpu_cores.value or 0.0), namespace=NAMESPACE, container="istio-proxy", pod=f"{WORKLOAD}-5d8c-{n}")
    return made
