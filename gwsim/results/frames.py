"""Pandas frames of results, with units in the column names (`p99_ms`, `served_rps`, `errors_pct`).

Every figure with an interval has three columns: `p99_ms`, `p99_low_ms`, `p99_high_ms`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gwsim.diagnostics.nearest import did_you_mean
from gwsim.engine.codes import Component
from gwsim.engine.schema import RECORD_FIELDS
from gwsim.errors import UsageError
from gwsim.results.intervals import Estimate
from gwsim.results.parts import Latency, Traffic

if TYPE_CHECKING:
    import pandas as pd

    from gwsim.results.results import Results

Row = dict[str, Any]


def _figure(name: str, unit: str, estimate: Estimate, factor: float = 1.0) -> Row:
    """The three columns of a figure, in a unit of which `factor` make one of the estimate's."""
    parts = (("", estimate.value), ("low_", estimate.low), ("high_", estimate.high))
    return {f"{name}_{part}{unit}": float("nan") if x is None else x * factor for part, x in parts}


def _latency(prefix: str, latency: Latency) -> Row:
    row: Row = {}
    for name in ("mean", "p50", "p90", "p95", "p99", "p999"):
        row |= _figure(f"{prefix}{name}", "ms", getattr(latency, name), 1e3)
    return row


def _traffic(one: Traffic, keys: tuple[str, ...]) -> Row:
    row: Row = {key: getattr(one, key) for key in keys}
    row["requests"] = one.requests
    for name in ("offered", "served", "good"):
        row |= _figure(name, "rps", getattr(one, f"{name}_rps"))
    row |= _latency("", one.client_latency)
    row |= _latency("gateway_", one.gateway_latency)
    row |= _latency("overhead_", one.gateway_overhead)
    row |= _figure("errors", "pct", one.errors, 100.0)
    row |= _figure("local_replies", "pct", one.local_replies, 100.0)
    row |= _figure("gateway_retries", "per_request", one.gateway_retries)
    row |= _figure("client_retries", "per_request", one.client_retries)
    row |= _figure("request", "bytes_per_s", one.request_bytes_per_s)
    row |= _figure("response", "bytes_per_s", one.response_bytes_per_s)
    row |= {"cpu_s": one.work.cpu_s} | _figure("cpu", "cores", one.work.cpu_cores)
    row |= _figure("cpu_per_request", "us", one.work.cpu_us_per_request)
    return row | {
        "cpu_per_million_usd": one.work.cpu_usd_per_million, "internet_per_million_usd": one.work.internet_usd_per_million,
    }


def routes(results: Results) -> list[Row]:
    """One row a route."""
    return [_traffic(one, ("route", "gateway", "derived")) for one in results.routes]


def clients(results: Results) -> list[Row]:
    """One row a client."""
    return [_traffic(one, ("client", "gateway", "derived")) for one in results.clients]


def classes(results: Results) -> list[Row]:
    """One row a traffic class."""
    return [_traffic(one, ("client", "shape", "route", "gateway", "derived")) for one in results.classes]


def clusters(results: Results) -> list[Row]:
    """One row an Envoy cluster; counters under Envoy's names."""
    return [
        {"cluster": one.name, "host": one.host, "subset": one.subset}
        | _figure("attempts", "rps", one.attempts_per_s) | _latency("upstream_", one.latency)
        | _figure("in_use", "per_pod", one.in_use) | _figure("overflow", "pct", one.overflow, 100.0)
        | dict(one.limits) | dict(one.counters)
        for one in results.clusters
    ]


def workers(results: Results) -> list[Row]:
    """One row a worker; counts per replication."""
    return [
        {"gateway": one.gateway, "pod": one.pod, "worker": one.worker}
        | _figure("utilisation", "pct", one.utilisation, 100.0) | _figure("cpu_per_request", "us", one.cpu_us_per_request)
        | {"requests": one.requests, "connections": one.connections, "wakeups": one.wakeups, "iterations": one.iterations}
        | {f"visits_{name}": count for name, count in one.visits.items()}
        for one in results.workers
    ]


def pods(results: Results) -> list[Row]:
    """One row a gateway pod."""
    return [
        {"gateway": one.gateway, "pod": one.pod, "zone": one.zone, "workers": one.workers}
        | _figure("cpu", "cores", one.cpu_cores) | _figure("utilisation", "pct", one.utilisation, 100.0)
        | _figure("of_request", "pct", one.of_request, 100.0) | _figure("requests", "rps", one.requests_per_s)
        for one in results.pods
    ]


def fleets(results: Results) -> list[Row]:
    """One row a gateway workload; the range columns are what an uncalibrated cost profile leaves open."""
    return [
        {"gateway": one.gateway, "pods": one.pods, "workers": one.workers}
        | _figure("cpu", "cores", one.cpu_cores)
        | {"cpu_range_low_cores": one.cpu_cores_range.low, "cpu_range_high_cores": one.cpu_cores_range.high}
        | _figure("utilisation", "pct", one.utilisation, 100.0)
        | _figure("busiest_worker", "pct", one.busiest_worker, 100.0)
        | _figure("of_request", "pct", one.of_request, 100.0) | _figure("requests", "rps", one.requests_per_s)
        | _figure("per_1000_rps", "cores", one.cores_per_1000_rps) | _figure("cpu_per_request", "us", one.cpu_us_per_request)
        | {"memory_bytes": one.memory_bytes_range.value, "memory_low_bytes": one.memory_bytes_range.low, "memory_high_bytes": one.memory_bytes_range.high, "memory_limit_bytes": one.memory_limit_bytes}
        for one in results.fleets
    ]


def backends(results: Results) -> list[Row]:
    """One row a backend pod."""
    return [
        {"backend": one.backend, "pod": one.name, "zone": one.zone, "concurrency": one.concurrency}
        | _figure("requests", "rps", one.requests_per_s) | _figure("utilisation", "pct", one.utilisation, 100.0)
        | _figure("service", "ms", one.service_s, 1e3) | _figure("wait", "ms", one.wait_s, 1e3)
        | _figure("errors", "pct", one.errors, 100.0) | _figure("rejected", "pct", one.rejected, 100.0)
        for one in results.backends
    ]


def ports(results: Results) -> list[Row]:
    """One row a pool of source ports."""
    return [
        {"nat": one.name, "ports": one.ports, "shared": one.shared, "peak": one.peak}
        | _figure("taken", "per_s", one.taken_per_s) | _figure("refused", "pct", one.refused, 100.0)
        for one in results.ports
    ]


def streams(results: Results) -> list[Row]:
    """One row a class of long streams."""
    return [
        {"client": one.client, "shape": one.shape, "route": one.route, "kind": one.kind, "peak_open": one.peak}
        | _figure("opened", "per_s", one.opened_per_s) | _figure("open", "streams", one.open) | _figure("cut", "per_s", one.cut_per_s)
        | _figure("setup", "ms", one.setup.mean, 1e3)
        | {
            name: value
            for way, said in (("up", one.up), ("down", one.down))
            for part in (
                _figure(f"messages_{way}", "per_s", said.sent_per_s), _figure(f"lost_{way}", "pct", said.lost, 100.0),
                _figure(f"bytes_{way}", "per_s", said.bytes_per_s), _figure(f"message_{way}_p50", "ms", said.latency.p50, 1e3),
                _figure(f"message_{way}_p99", "ms", said.latency.p99, 1e3),
            )
            for name, value in part.items()
        }
        for one in results.streams
    ]


def components(results: Results) -> list[Row]:
    """One row a class, band and component: mean time per request of the band."""
    return [
        {
            "client": one.client, "shape": one.shape, "route": one.route, "band": split.band,
            "component": component.name.lower(), "time_ms": split.parts_s[component] * 1e3,
            "share_pct": split.shares[component] * 100.0, "requests": split.count,
        }
        for one in results.classes
        for split in one.splits
        for component in Component
    ]


def anatomy(results: Results) -> list[Row]:
    """One row a percentile and a cause (proxy and component): mean time of the requests around that percentile."""
    made = results.anatomy
    return [] if made is None else [
        {
            "percentile": group.percent, "gateway": cause.gateway, "depth": cause.depth, "component": cause.component.name.lower(),
            "time_ms": cause.times_s[at] * 1e3, "share_pct": made.share(cause, at) * 100.0, "requests": group.count,
        }
        for at, group in enumerate(made.groups)
        for cause in made.causes
    ]


def errors(results: Results) -> list[Row]:
    """One row a class and status or response flag."""
    return [
        {"client": one.client, "shape": one.shape, "route": one.route, "kind": kind, "name": share.name,
         "count": share.count} | _figure("share", "pct", share.share, 100.0)
        for one in results.classes
        for kind, shares in (("status", one.statuses), ("flag", one.flags))
        for share in shares
    ]


def timeseries(results: Results) -> list[Row]:
    """One row a time bin."""
    line = results.timeline
    named = {
        "offered_rps": (line.offered_rps, 1.0), "served_rps": (line.served_rps, 1.0), "errors_pct": (line.errors, 100.0),
        "in_system_requests": (line.in_system, 1.0), "mean_ms": (line.mean_latency_s, 1e3), "p50_ms": (line.p50_latency_s, 1e3),
        "p95_ms": (line.p95_latency_s, 1e3), "p99_ms": (line.p99_latency_s, 1e3),
    } | {f"cpu_{name}_cores": (series, 1.0) for name, series in line.cpu_cores.items()}
    named |= {f"{name}_pods": (series, 1.0) for name, series in line.pods.items()}
    named |= {f"open_{name}_streams": (series, 1.0) for name, series in line.open_streams.items()}
    rows: list[Row] = []
    for b in range(len(line.edges_s) - 1):
        row: Row = {"start_s": float(line.edges_s[b]), "end_s": float(line.edges_s[b + 1])}
        row["measured"] = bool(line.edges_s[b] >= line.warmup_s)
        for name, (series, factor) in named.items():
            stem, unit = name.rsplit("_", 1)
            row[name] = float(series.value[b]) * factor
            row[f"{stem}_low_{unit}"] = float(series.low[b]) * factor
            row[f"{stem}_high_{unit}"] = float(series.high[b]) * factor
        rows.append(row)
    return rows


def samples(results: Results) -> list[Row]:
    """One row a sampled request, as `engine.schema.RECORD_FIELDS` has them (ns), with labels."""
    return _records(results, ("samples", "slowest"))


def records(results: Results) -> list[Row]:
    """One row a request, if whole records were asked for."""
    return _records(results, ("records",))


def _records(results: Results, kinds: tuple[str, ...]) -> list[Row]:
    rows: list[Row] = []
    for kind in kinds:
        for r, raw in enumerate(results.raws):
            for record in getattr(raw, kind).tolist():
                values = dict(zip(RECORD_FIELDS, record, strict=True))
                label = results.labels.classes[values["class_id"]]
                names = {"client": label.client, "shape": label.shape, "route": label.route}
                rows.append({"replication": r, "kind": kind} | names | values)
    return rows


FRAMES: Mapping[str, Callable[[Results], list[Row]]] = {
    "routes": routes, "clients": clients, "classes": classes, "clusters": clusters, "workers": workers, "pods": pods,
    "fleets": fleets, "backends": backends, "ports": ports, "streams": streams, "components": components, "anatomy": anatomy, "errors": errors, "timeseries": timeseries,
    "samples": samples, "records": records,
}
"""The frames there are. Each function gives its rows as plain dictionaries, which CSV and JSON need no pandas for."""


def frame(results: Results, name: str) -> pd.DataFrame:
    """A frame by its name; UsageError, with the nearest name, if there is none."""
    if name not in FRAMES:
        help = did_you_mean(name, FRAMES) or f"there are: {', '.join(FRAMES)}"
        raise UsageError(f"no frame {name!r}; {help}")
    import pandas as pd

    return pd.DataFrame(FRAMES[name](results))
