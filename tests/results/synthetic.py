"""Runs made up from sampled latencies, so that results can be tested without an engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gwsim.diagnostics import Span
from gwsim.engine.codes import N_COMPONENTS, Component, Counter, Visit
from gwsim.engine.schema import (
    BIN,
    COARSE,
    FINE,
    MIDDLE,
    N_BINS,
    RECORD_FIELDS,
    RECORD_WIDTH,
    RawRun,
    buckets,
    empty,
)
from gwsim.results.histograms import lower_edges_ns
from gwsim.scenario.model import (
    Client,
    Connection,
    DownstreamCosts,
    Fleet,
    Model,
    Network,
    OnDemand,
    Outcome,
    Pod,
    Poisson,
    RateSegment,
    Run,
    Shape,
    SimCluster,
    Station,
    UpstreamCosts,
    WeightedTarget,
    constant,
)
from gwsim.scenario.reading import Budget
from gwsim.scenario.resolved import (
    ClassLabel,
    CostFacts,
    FleetLabel,
    PodLabel,
    Resolved,
    RunPlan,
    StationLabel,
)
from gwsim.topology import Autoscaler, CircuitBreakers, Cluster, Proxy

DOWN = DownstreamCosts(**{
    f"{name}_s": 0.0
    for name in (
        "accept", "client_hello_full", "client_hello_resumed", "finished_full", "finished_resumed", "read",
        "read_stream", "read_byte", "write_down", "write_down_stream", "write_down_byte", "timer", "close",
    )
})
UP = UpstreamCosts(write_up_s=0, write_up_byte_s=0, read_up_s=0, read_up_byte_s=0, up_connected_s=0, up_tls_s=0)


def resolved(
    of: Model, *, budgets: tuple[str, ...] = (), cpu_range: tuple[float, float] = (1.0, 1.0),
    warmup_auto: bool = False, autoscaler: Autoscaler | None = None, cpu_request_cores: float | None = None,
) -> Resolved:
    """The model with names and facts beside it."""
    fleets = tuple(
        FleetLabel(
            name=fleet.name, proxy=Proxy(name=fleet.name.split("/")[-1], namespace="istio-system"),
            replicas=len(fleet.pods), workers=1, autoscaler=autoscaler, cpu_request_cores=cpu_request_cores,
            cpu_limit_cores=None, memory_request_bytes=None, memory_limit_bytes=None, replicas_fixed=False,
        )
        for fleet in of.fleets
    )
    classes = tuple(
        ClassLabel(
            client=client.name, shape=shape.name, route=shape.outcome.route, virtual_host="shop:80", listener="8080",
            gateway=of.fleets[client.fleet].name, outcome="route", method="GET", host="shop", path="/",
            derived=isinstance(client.arrivals, OnDemand),
        )
        for client in of.clients for shape in client.mix
    )
    costs = CostFacts(
        profile="test", calibrated=cpu_range == (1.0, 1.0), digest="0", provenance=(), low=cpu_range[0],
        high=cpu_range[1], vcpu_hour_usd=0.04,
    )
    run = of.run
    return Resolved(
        model=of, name="synthetic", question="", istio_version="1.30", classes=classes, fleets=fleets,
        clusters=tuple(c.cluster.name for c in of.clusters),
        stations=tuple(
            StationLabel(name=s.name, backend="shop.default", subset="", zone=s.zone, assumed=False) for s in of.stations
        ),
        pods=tuple(PodLabel(name=p.name, fleet=f, zone=p.zone) for f, fleet in enumerate(of.fleets) for p in fleet.pods),
        worker_pods=tuple(range(sum(len(fleet.pods) for fleet in of.fleets))),
        plan=RunPlan(kind=run.kind, warmup_auto=warmup_auto, precision=None, max_requests=None), costs=costs,
        budgets=tuple(Budget(text, Span("scenario.yaml", 10 + i)) for i, text in enumerate(budgets)),
        assumptions=(), findings=(), effective={},
    )


def model(
    *, routes: tuple[str, ...] = ("cart", "checkout"), rate: float = 1000.0, concurrency: int | None = 4,
    breakers: CircuitBreakers | None = None, **run: object,
) -> Model:
    """One client, one shape a route, one fleet of two pods with one worker each, one cluster of one backend."""
    shapes = tuple(
        Shape(
            name=f"{route}-shape", weight=1.0, request_bytes=constant(100), response_bytes=constant(1000),
            outcome=Outcome(route=route, targets=(WeightedTarget(cluster=0, weight=1, name="c"),)),
        )
        for route in routes
    )
    client = Client(
        name="web", fleet=0, arrivals=Poisson(segments=(RateSegment(duration_s=60, start_rps=rate, end_rps=rate),)),
        connection=Connection(), rtt_s=constant(0.001), costs=DOWN, mix=shapes,
    )
    pods = tuple(Pod(name=f"gw-{i}", zone="a", workers=1) for i in range(2))
    cluster = Cluster(
        name="outbound|80||shop", host="shop", port=80, circuit_breakers=breakers or CircuitBreakers(),
    )
    return Model(
        clients=(client,), fleets=(Fleet(name="istio-system/ingress", pods=pods, wakeup_s=10e-6, iteration_s=2e-6),),
        clusters=(SimCluster(cluster=cluster, stations=(0,), costs=UP),),
        stations=(Station(name="shop-0", zone="a", service_time_s=constant(0.01), concurrency=concurrency),),
        network=Network(same_zone_rtt_s=1e-4, cross_zone_rtt_s=1e-3), run=Run(**run),
    )


def raw_run(
    of: Model, latencies_s: dict[int, np.ndarray], *, errors: dict[int, int] | None = None, seed: int = 0,
    growth_rps: float = 0.0, busy: float = 0.5,
) -> RawRun:
    """A run whose class c has covered requests of `latencies_s[c]` and `errors[c]` local 503 answers.

    Requests start evenly over the window, the number in the system grows by `growth_rps`, the first worker is
    busy for the share `busy` and the second for half of it. All identities hold.
    """
    run = empty(of)
    rng = np.random.default_rng(seed)
    begin, end = int(of.run.warmup_s * 1e9), int(of.run.duration_s * 1e9)
    for c, values in latencies_s.items():
        _requests(run, c, (np.asarray(values) * 1e9).astype(np.int64), begin, end, rng)
        _local(run, c, (errors or {}).get(c, 0))
    _workers(of, run, end - begin, busy)
    finished = int(run.finished.sum())
    run.requests[0], run.stop_ns[0] = finished, end
    edges = -((-np.arange(N_BINS + 1, dtype=np.int64) * end) // N_BINS)
    middle = (edges[:-1] + edges[1:]) / 2 * 1e-9
    level = 50.0 + growth_rps * middle + rng.normal(0, 1, N_BINS)
    run.bin_area[:] = (np.maximum(level, 0) * np.diff(edges)).astype(np.int64)
    run.area[0] = run.sojourn[0] = run.bin_area.sum()
    inside = np.flatnonzero(edges[:-1] >= begin)
    run.bin_arrivals[inside] = finished // len(inside)
    run.bin_finished[inside] = np.maximum(finished // len(inside) - int(growth_rps * end * 1e-9 / N_BINS), 0)
    return run


def indices(values: np.ndarray, bits: int) -> np.ndarray:
    """Buckets of durations in ns."""
    edges = lower_edges_ns(np.arange(buckets(bits), dtype=np.int64), bits)
    return np.searchsorted(edges, values, side="right") - 1


def _requests(run: RawRun, c: int, values: np.ndarray, begin: int, end: int, rng: np.random.Generator) -> None:
    n = len(values)
    starts = np.linspace(begin, end - 1, n).astype(np.int64)
    split = rng.dirichlet(np.ones(N_COMPONENTS), n)
    parts = (split * values[:, None]).astype(np.int64)
    parts[:, Component.UPSTREAM_SERVICE] += values - parts.sum(axis=1)
    for counter in (run.offered, run.finished, run.covered, run.good, run.client_attempts, run.gw_streams):
        counter[c] += n
    run.gateway_attempts[c] += n + n // 20
    run.class_cluster[c, 0] += n
    run.status[c, 200] += n
    run.gw_status[c, 200] += n
    run.handshakes[c, 0] += n - n // 10
    run.handshakes[c, 3] += n // 10
    run.response_bytes[c] += 1000 * n
    run.latency_sum[c] = run.gw_sum[c] = run.overhead_sum[c] = values.sum()
    run.component_sum[c] = parts.sum(axis=0)
    at = starts * N_BINS // end
    for hist in (run.latency_hist, run.gw_hist, run.overhead_hist):
        np.add.at(hist[c], indices(values, FINE), 1)
    np.add.at(run.anatomy_count[c], indices(values, COARSE), 1)
    np.add.at(run.anatomy_sum[c], indices(values, COARSE), parts)
    np.add.at(run.bin_latency_sum, at, values)
    np.add.at(run.bin_latency_hist, (at, indices(values, BIN)), 1)
    np.add.at(run.cluster_hist[0], indices(values, MIDDLE), 1)
    run.cluster_sum[0] += values.sum()
    run.cluster_counters[0, Counter.UPSTREAM_RQ_TOTAL] += n
    run.station_jobs[0] += n
    run.station_busy[0] += 10_000_000 * n
    run.station_window_busy[0] += 10_000_000 * n
    record = np.zeros((min(n, 5), RECORD_WIDTH), dtype=np.int64)
    record[:, RECORD_FIELDS.index("class_id")] = c
    record[:, RECORD_FIELDS.index("end_ns")] = values[: len(record)]
    run.samples = np.vstack([run.samples, record])


def _local(run: RawRun, c: int, n: int) -> None:
    for counter in (run.offered, run.finished, run.client_attempts, run.gw_streams):
        counter[c] += n
    run.status[c, 503] += n
    run.gw_status[c, 503] += n
    run.gw_flags[c, 2] += n
    run.handshakes[c, 0] += n
    run.cluster_counters[0, Counter.UPSTREAM_RQ_PENDING_OVERFLOW] += n


def _workers(of: Model, run: RawRun, window_ns: int, busy: float) -> None:
    streams = int(run.gw_streams.sum())
    for w, share in enumerate((busy, busy / 2)):
        run.worker_wakeups[w], run.worker_iterations[w] = 1000, 3000
        run.worker_streams[w] = streams // 2
        run.worker_visits[w, Visit.READ] = streams // 2
        run.worker_cpu[w] = run.worker_window_cpu[w] = int(share * window_ns)
        run.worker_visit_ns[w] = run.worker_cpu[w] - 1000 * 10_000 - 3000 * 2_000
    run.fleet_bin_cpu[0, :] = run.worker_cpu.sum() // N_BINS


def replications(of: Model, count: int, n: int, *, seed: int = 1, scale_s: float = 0.01, **more: object) -> list[RawRun]:
    """`count` runs with `n` exponential latencies of mean `scale_s` in every class."""
    rng = np.random.default_rng(seed)
    classes = range(len(of.classes()))
    return [
        raw_run(of, {c: rng.exponential(scale_s, n) for c in classes}, seed=seed * 1000 + r, **more)
        for r in range(count)
    ]


def with_run(of: Model, **run: object) -> Model:
    """The model with other run settings."""
    return replace(of, run=replace(of.run, **run))
