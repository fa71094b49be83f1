"""Python around the kernel: allocate the world, call `advance` slice by slice, grow what is full, collect the counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gwsim.engine import schema
from gwsim.engine.codes import N_COMPONENTS, N_COUNTERS, N_VISITS
from gwsim.engine.compiled import layout, machine_code
from gwsim.engine.compiled.chains import tables
from gwsim.engine.compiled.control import Control
from gwsim.engine.compiled.cpu import NO_PERIOD
from gwsim.engine.compiled.hosts import reaches
from gwsim.engine.compiled.loop import CONTROL, DONE, GROW, UNCHECKED
from gwsim.engine.compiled.world import World
from gwsim.engine.draws import ns
from gwsim.engine.features import kernels
from gwsim.engine.lowering import Lowering, table
from gwsim.engine.schema import Options, RawRun
from gwsim.scenario.model import Model, OnDemand

DEFAULT = Options()
SLICE = 1_000_000
"""Events per call of the kernel: between calls there is progress, and an interrupt is heard."""
LINKED = {
    "streams": "stream_free", "conns": "conn_free", "hold": "hold_free", "upstream": "cx_free", "resting": "rest_free", "jobs": "job_free",
}
FLAT = ("streams", "jobs", "conns", "upstream", "resting", "slots", "hold", "station_heap", "client_heap", "act_heap")
PER_WORKER = ("ready", "accept", "backoff", "uptimers", "downtimers", "stops", "armed", "tasks", "batch")


def run(
    model: Model, replication: int, options: Options = DEFAULT, *,
    progress: Callable[[int], None] | None = None, capacity: int = 1024, periods: int = 128, kernel: str = "",
) -> RawRun:
    """One replication of `model`.

    `progress` is called with the number of requests started so far, every million events. `capacity` is the first size
    of the arrays that grow; `periods` how far ahead a CPU quota can be taken (a visit that takes more begins the run anew
    with more of them); `kernel` which of `features.KERNELS` runs (the quickest that can be had). None changes anything in the result.
    """
    world, control = build(model, replication, options, capacity, periods)
    kernel = kernel or choose(model)
    advance = machine_code.kernel(kernel)
    while True:
        status = advance(world.table.ctypes.data, SLICE)
        if status == DONE and world.g[0]["fault"]:
            return run(model, replication, options, progress=progress, capacity=capacity, periods=16 * periods, kernel=kernel)
        if status == DONE:
            control.finish()
            return collect(world, model)
        if status == CONTROL:
            control.step()
        elif status == GROW:
            grow(world)
        elif progress is not None:
            progress(int(world.g[0]["requests"]))


def choose(model: Model) -> str:
    """The quickest kernel that can run `model`: of those that are compiled, if any is."""
    able = kernels(model)
    return next((name for name in able if machine_code.is_ready(name)), able[0])


def build(model: Model, replication: int, options: Options, capacity: int, periods: int = 128) -> tuple[World, Control]:
    """The world at time 0, and what carries out its control events."""
    low = Lowering(model, replication)
    clients, classes = low.clients(), low.classes()
    fleets, pods, workers = low.fleets()
    clusters, endpoints = low.clusters()
    stations, servers, starts = low.stations()
    w, k, e = len(workers), len(clusters), max(1, len(endpoints))
    pool = np.zeros((w, e), layout.POOL)
    pool["ready"] = pool["pending_head"] = pool["pending_tail"] = -1
    podclusters = np.zeros((len(pods), max(1, k)), layout.PODCLUSTER)
    reached = reaches(model)
    for d in range(len(pods)):
        for c in range(k):
            podclusters[d, c]["connections"] = 0 if (int(pods[d]["fleet"]), c) in reached else -1
    timers = np.zeros((w, max(1, len(low.timers))), layout.TIMERS)
    timers["head"] = timers["tail"] = -1
    durations = list(low.timers) or [(1, 0)]
    chains = tables(model, clients, stations, endpoints, low.run)
    if not len(endpoints):
        endpoints = np.array([(0, 0, 0, 0, -1, 1.0)], layout.ENDPOINT)
    slots = int((clients["slot_count"] * clients["queues"]).sum())
    slack = UNCHECKED * (2 * int(clients["streams"].max(initial=1)) + 16)
    extra = _extra(classes)
    fragile = int(clusters["fragile"].max(initial=0))
    links = w * int((endpoints["tickets"] >= 0).sum())
    room = (1 + extra) * (capacity + slack) + 4
    g = _globals(model, options, slack, extra, fragile)
    g["chained"], g["fan"] = any(isinstance(one.arrivals, OnDemand) for one in model.clients), chains["stages"]["n"].max()
    world = World(
        g=g, clients=clients, classes=classes,
        targets=table(low.targets, layout.TARGET), clusters=clusters,
        endpoints=endpoints, stations=stations, workers=workers,
        pods=pods, fleets=fleets, dists=table(low.dists, layout.DIST), points=table(low.points, layout.POINT),
        segments=table(low.segments, layout.SEGMENT), shares=table(low.shares, layout.SHARE),
        codes=table(low.codes, np.int64), replay=table(low.replay, layout.RECORDED), rtt=low.rtt(),
        timer_ns=np.array([d for d, _ in durations], np.int64),
        timer_visit=np.array([v for _, v in durations], np.int64),
        streams=np.zeros(capacity + 4 * UNCHECKED + extra * slack, layout.STREAM), conns=np.zeros(capacity + slots + links + 4 * UNCHECKED, layout.CONN),
        slots=np.zeros(capacity + slots + 4 * UNCHECKED, layout.SLOT), loops=np.zeros(max(1, low.loops), layout.LOOP), pools=pool,
        podclusters=podclusters, active=np.zeros((len(pods), e), np.int64), **_balancing(len(pods), w, e, low),
        free_at=np.zeros(max(1, servers), np.int64), leave=np.zeros(max(1, starts), np.int64),
        next_at=np.zeros(w, np.int64),
        **{n: np.zeros((w, capacity + slack + 4), layout.ENTRY) for n in ("ready", "accept", "backoff")},
        jobs=np.zeros(capacity + 4 * UNCHECKED if g["chained"][0] else 4 * UNCHECKED, layout.JOB), **chains,
        uptimers=np.zeros((w, 4 + 3 * slack + fragile * (capacity + 2 * e)), layout.ENTRY),
        downtimers=np.zeros((w, 4 + slack + (capacity + slots if clients["age_ns"].any() else 0)), layout.ENTRY),
        outages=table(low.outages, layout.OUTAGE), modes=table(low.modes, layout.MODE), stalls=table(low.stalls, layout.STALL),
        **_front(pods, workers, periods),
        **{n: np.zeros((w, room), layout.TASK) for n in ("armed", "tasks", "batch")},
        timers=timers, station_heap=np.zeros(capacity + 4 * UNCHECKED + fragile * (slack + 2 * w * e), layout.ENTRY),
        client_heap=np.zeros(capacity + slack + 4, layout.ENTRY),
        act_heap=np.zeros(capacity + slack + low.loops + 4, layout.ENTRY),
        hold=np.zeros(capacity + slack + 4, layout.HOLD), upstream=np.zeros(capacity + w * e + 2 * slack + 4, layout.UPSTREAM),
        resting=np.zeros(capacity + w * e + 2 * slack + 4 if model.port_pools else 1, layout.RESTING), **low.ports(len(pods)),
        **_control(len(pods), max(1, k), e, low), **_filters(len(pods), model, low), **_counts(model, options),
    )
    for name, head in LINKED.items():
        _chain(getattr(world, name), 0, -1)
        world.g[0][head] = 0
    return world, start(model, world, low.run)


def start(model: Model, world: World, run: int) -> Control:
    """What Python does at time 0: quotas, targets, load balancing's tables, and the first control events."""
    g, limited = world.g[0], bool(world.workers["limited"].any())
    g["limited"], g["stops_slack"] = limited, UNCHECKED * world.quota.shape[1] if limited else 0
    g["living"] = any(fleet.lifecycle is not None for fleet in model.fleets) or bool(world.clients["age_ns"].any())
    return Control(model, world, run)


def _front(pods: Any, workers: Any, periods: int) -> dict[str, Any]:
    """Front load balancers, and CPU quotas."""
    limited = bool(workers["limited"].any())
    quota = np.zeros((len(pods), periods if limited else 1), layout.QUOTA)
    quota["period"] = NO_PERIOD
    return {
        "front_pods": np.zeros(len(pods), np.int64), "front_zones": np.zeros(len(pods), layout.ZONE), "quota": quota,
        "stops": np.zeros((len(workers), 4 + (UNCHECKED * periods if limited else 0)), layout.STOP),
    }


def _extra(classes: Any) -> int:
    """How many exchanges at the most a request starts at once."""
    return int(((classes["ops"] > 0) + classes["mirrors"]).max(initial=0))


def _control(pods: int, clusters: int, endpoints: int, low: Lowering) -> dict[str, Any]:
    return {
        "outliers": table(low.outliers, layout.OUTLIER), "detectors": np.zeros((pods, clusters), layout.DETECTOR),
        "found": np.zeros((2 * endpoints, 2), np.int64),
    }


def _filters(pods: int, model: Model, low: Lowering) -> dict[str, Any]:
    buckets = np.zeros((pods, max(1, len(model.buckets))), layout.BUCKET)
    for j, b in enumerate(model.buckets):
        rate = b.tokens_per_fill / b.fill_interval_s
        buckets[:, j] = (float(b.max_tokens), rate, 0.0 - b.max_tokens / rate)
    return {
        "ops": table(low.ops, layout.OP), "op_buckets": table(low.op_buckets, np.int64),
        "mirrors": table(low.mirrors, layout.MIRROR), "buckets": buckets,
    }


def _balancing(pods: int, workers: int, endpoints: int, low: Lowering) -> dict[str, Any]:
    """Tables of load balancing, filled in by `hosts`."""
    sources, members = max(1, low.sources), max(1, low.members)
    return {
        "cursors": np.zeros((workers, sources), np.int64), "levels": np.zeros((pods, max(1, low.levels)), layout.LEVEL),
        "sources": np.zeros((pods, sources), layout.SOURCE), "members": np.zeros((pods, members), np.int64),
        "scheds": np.zeros((workers, sources), layout.SCHED), "edf": np.zeros((workers, members), layout.EDF),
        "podhosts": np.zeros((pods, endpoints), layout.PODHOST), "tables": np.zeros(0, layout.TABLE),
        "table_hash": np.zeros(0, np.uint64), "table_host": np.zeros(0, np.int64),
        "hash_rules": table(low.hash_rules, layout.HASH_RULE),
    }


def _globals(model: Model, options: Options, slack: int, extra: int, fragile: int) -> Any:
    g = np.zeros(1, layout.GLOBAL)
    run = model.run
    g["horizon_ns"], g["cut_ns"], g["max_in_flight"] = ns(run.duration_s), ns(run.warmup_s), run.max_in_flight
    g["warm"], g["slack"], g["want_digest"] = run.start == "warm", slack, options.digest
    g["closed_clients"] = any(type(c.arrivals).__name__ == "ClosedLoop" for c in model.clients)
    g["extra"], g["tick_pod"], g["fragile"], g["ports"] = extra, -1, fragile, len(model.port_pools) > 0
    g["sample_below"] = 2**64 - 1
    g["bin_end_ns"] = -(-int(g["horizon_ns"][0]) // schema.N_BINS)
    return g


def _counts(model: Model, options: Options) -> dict[str, Any]:
    c, k = len(model.classes()), len(model.clusters)
    w = sum(pod.workers for fleet in model.fleets for pod in fleet.pods)
    z = lambda *shape: np.zeros(shape, np.int64)  # noqa: E731
    width, buckets = schema.RECORD_WIDTH, schema.buckets
    return {
        "class_out": np.zeros(c, layout.CLASS_OUT), "class_status": z(2, c, schema.N_STATUS),
        "class_flags": z(c, schema.N_FLAGS), "class_cluster": z(c, k), "fine": z(3, c, buckets(schema.FINE)),
        "component_hist": z(c, N_COMPONENTS, buckets(schema.MIDDLE)),
        "anatomy": z(c, buckets(schema.COARSE), N_COMPONENTS + 1), "cluster_out": z(k, N_COUNTERS + 1),
        "cluster_hist": z(k, buckets(schema.MIDDLE)), "worker_out": np.zeros(w, layout.WORKER_OUT),
        "worker_visits": z(w, N_VISITS), "fleet_bins": z(len(model.fleets), schema.N_BINS),
        "fleet_pods": z(len(model.fleets), schema.N_BINS),
        "station_out": np.zeros(len(model.stations), layout.STATION_OUT),
        "port_out": np.zeros(max(1, len(model.port_pools)), layout.PORT_OUT),
        "bins": np.zeros(schema.N_BINS, layout.BIN_OUT), "bin_hist": z(schema.N_BINS, buckets(schema.BIN)),
        "samples": z(schema.SAMPLE_SIZE + 2, width), "sample_hash": np.zeros(schema.SAMPLE_SIZE + 2, np.uint64),
        "slowest": z(c, schema.SLOWEST, width), "slowest_n": z(c), "records": z(options.records, width),
        "trace": z(options.trace, len(schema.TRACE_FIELDS)), "ejections": z(options.ejections, schema.EJECTION_WIDTH),
    }


def _chain(array: Any, first: int, end: int) -> None:
    """Link records `first` and following into a free list that ends in `end`."""
    name = "next" if "next_free" not in (array.dtype.names or ()) else "next_free"
    array[name][first:] = np.arange(first + 1, len(array) + 1)
    array[name][-1] = end


def grow(world: World) -> None:
    """Double every array that is more than half full (at least the one that made the kernel stop)."""
    g = world.g[0]
    more = g["fan"] * g["slack"]
    used = {
        "streams": g["streams_live"] + 2 * UNCHECKED + g["extra"] * (g["pending"] + g["slack"]) + more, "jobs": g["jobs_live"] + 2 * UNCHECKED,
        "conns": g["conns_live"] + 2 * UNCHECKED + g["chained"] * (g["extra"] * g["pending"] + g["slack"]) + more,
        "upstream": g["cx_live"] + g["extra"] * g["pending"] + g["slack"],
        "slots": g["slots"] + 2 * UNCHECKED + more, "hold": g["hold_used"] + g["slack"] + g["links_live"] + more,
        "station_heap": g["station_n"] + 2 * UNCHECKED + (g["fragile"] + g["chained"]) * g["slack"],
        "client_heap": g["client_n"] + g["slack"] + g["living"] * g["slots"] + more,
        "act_heap": g["act_n"] + g["slack"], "ready": g["ready_max"] + g["slack"] + g["links_live"] + more,
        "accept": g["accept_max"] + g["slack"] + g["chained"] * g["extra"] * g["pending"] + more, "backoff": g["backoff_max"] + g["slack"],
        "resting": g["ports"] * (g["rest_used"] + g["cx_live"] + g["slack"]),
        "uptimers": g["uptimers_max"] + 3 * g["slack"], "downtimers": g["downtimers_max"] + g["slack"], "stops": g["stops_max"] + g["stops_slack"],
        "armed": g["armed_max"] + (1 + g["extra"]) * (g["pending"] + g["slack"]),
    }
    lists = world.workers
    used["tasks"] = used["batch"] = (lists["ready_n"] + lists["armed_n"] + lists["timers_n"] + lists["backoff_n"] + lists["uptimers_n"] + lists["downtimers_n"]).max() + 2
    for name in (*FLAT, *PER_WORKER):
        old = getattr(world, name)
        axis = 1 if name in PER_WORKER else 0
        size = old.shape[axis]
        if 2 * int(used[name]) + 8 < size:
            continue
        shape = list(old.shape)
        shape[axis] = max(2 * size, 2 * int(used[name]) + 8)
        bigger = np.zeros(tuple(shape), old.dtype)
        bigger[(slice(None),) * axis + (slice(0, size),)] = old
        if name in LINKED:
            _chain(bigger, size, int(g[LINKED[name]]))
            g[LINKED[name]] = size
        world.replace(name, bigger)


def collect(world: World, model: Model) -> RawRun:
    """The counts of a finished run."""
    g, raw = world.g[0], schema.empty(model)
    out = world.class_out
    for name in (
        "offered", "finished", "good", "client_attempts", "gateway_attempts", "request_bytes", "response_bytes",
        "handshakes", "covered", "latency_sum", "failed_sum", "gw_streams", "gw_sum", "overhead_sum",
    ):
        setattr(raw, name, out[name].copy())
    raw.status, raw.gw_status = world.class_status[0], world.class_status[1]
    raw.gw_flags, raw.class_cluster = world.class_flags, world.class_cluster
    raw.latency_hist, raw.gw_hist, raw.overhead_hist = world.fine[0], world.fine[1], world.fine[2]
    raw.component_hist = world.component_hist
    raw.component_hist[:, :, 0] += out["covered"][:, None] - raw.component_hist.sum(axis=2)
    raw.anatomy_sum, raw.anatomy_count = world.anatomy[:, :, :-1].copy(), world.anatomy[:, :, -1].copy()
    raw.component_sum = raw.anatomy_sum.sum(axis=1)
    raw.cluster_counters, raw.cluster_sum = world.cluster_out[:, :-1].copy(), world.cluster_out[:, -1].copy()
    raw.cluster_hist, raw.worker_visits = world.cluster_hist, world.worker_visits
    for name in ("visit_ns", "cpu", "window_cpu", "wakeups", "iterations", "connections", "streams", "throttled"):
        setattr(raw, "worker_" + name, world.worker_out[name].copy())
    raw.fleet_bin_cpu, raw.fleet_bin_pods = world.fleet_bins, world.fleet_pods
    for name in ("jobs", "rejected", "errors", "busy", "wait", "window_busy"):
        setattr(raw, "station_" + name, world.station_out[name].copy())
    for name in ("taken", "refused", "peak"):
        setattr(raw, "port_" + name, world.port_out[name][: len(model.port_pools)].copy())
    for name in ("arrivals", "finished", "errors", "latency_sum", "area"):
        setattr(raw, "bin_" + name, world.bins[name].copy())
    raw.bin_latency_hist = world.bin_hist
    live = _unfinished(world)
    raw.area[0], raw.sojourn[0], raw.stop_ns[0] = g["area"], g["sojourn_ns"] + live, g["stop_ns"]
    raw.requests[0], raw.in_flight[0], raw.events[0] = g["requests"], g["in_flight"], g["events"]
    raw.saturated[0], raw.digest = g["saturated"], int(g["digest"])
    samples = world.samples[: g["samples"]]
    raw.samples = samples[np.lexsort((samples[:, 2], samples[:, 1]))] if len(samples) else samples
    raw.slowest = np.concatenate([world.slowest[c, :n] for c, n in enumerate(world.slowest_n)])
    raw.ejections = world.ejections[: g["ejections"]]
    raw.records, raw.trace = world.records[: g["records"]], world.trace[: g["trace"]]
    return raw


def _unfinished(world: World) -> int:
    """Time that the requests still in flight have spent in the system: total area less the finished ones' latencies."""
    g = world.g[0]
    streams = world.streams
    free = np.zeros(len(streams), bool)
    x = int(g["stream_free"])
    chain = streams["next_free"]
    while x >= 0:
        free[x] = True
        x = int(chain[x])
    live = ~free & (streams["client_done"] == 0) & (streams["derived"] == 0)
    return int((g["stop_ns"] - streams["start_ns"][live]).sum())


