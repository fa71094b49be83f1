"""Istio's standard metrics, as Prometheus would scrape them from the gateways; of all pods of a gateway together.

Names, labels: istio.io/docs/reference/config/metrics; buckets: Envoy's defaults, which Istio keeps. A gateway reports as
`source`; labels that configuration does not tell (principals) are `unknown`, as Istio writes what it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gwsim.engine.codes import Flag
from gwsim.engine.schema import ANSWER_LOCAL, FINE, HANDSHAKE_NONE, RECORD_FIELDS, RawRun, buckets
from gwsim.report.emit import Wanted
from gwsim.report.emit.streams import Row, rows_of, shares
from gwsim.results.histograms import lower_edges_ns
from gwsim.results.labels import Labels
from gwsim.results.results import Results
from gwsim.scenario.fleets import SIDECAR

BOUNDS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000)
"""Upper bounds of the buckets: milliseconds or bytes. Source: envoy source/common/stats/histogram_impl.cc."""
UNKNOWN = "unknown"
Labelled = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Distribution:
    """A histogram: counts by bucket (the last is above every bound) and the sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, counts: Sequence[int], total: float) -> None:
        """Put another one in."""
        self.counts = [a + b for a, b in zip(self.counts, counts, strict=True)]
        self.total += total


def render(results: Results, wanted: Wanted) -> str:
    """The metrics of a replication."""
    raw, labels = results.raws[wanted.replication], results.labels
    http: dict[Labelled, int] = {}
    tcp: dict[Labelled, list[int]] = {}
    histograms: dict[str, dict[Labelled, Distribution]] = {"duration": {}, "request": {}, "response": {}}
    rows = rows_of(results, raw)
    for class_id, label in enumerate(labels.classes):
        own = [row for row in rows if row.class_id == class_id]
        if label.tcp:
            _count_tcp(tcp, labels, raw, class_id, own)
        else:
            _count_http(http, histograms, labels, raw, class_id, own)
    return "".join(f"{line}\n" for line in _lines(http, histograms, tcp))


def _lines(
    http: Mapping[Labelled, int], histograms: Mapping[str, Mapping[Labelled, Distribution]], tcp: Mapping[Labelled, Sequence[int]]
) -> Iterator[str]:
    if http:
        yield from _counter("istio_requests_total", "Requests handled.", http)
        for name, key, help in (
            ("istio_request_duration_milliseconds", "duration", "Duration of requests."),
            ("istio_request_bytes", "request", "Bodies of requests."), ("istio_response_bytes", "response", "Bodies of responses."),
        ):
            yield from _histogram(name, help, histograms[key])
    for at, (name, help) in enumerate((
        ("istio_tcp_connections_opened_total", "Connections opened."), ("istio_tcp_connections_closed_total", "Connections closed."),
        ("istio_tcp_sent_bytes_total", "Bytes sent to clients."), ("istio_tcp_received_bytes_total", "Bytes received from clients."),
    )):
        if tcp:
            yield from _counter(name, help, {key: values[at] for key, values in tcp.items()})


def _counter(name: str, help: str, values: Mapping[Labelled, int]) -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} counter"
    for key, value in sorted(values.items()):
        yield f"{name}{{{_text(key)}}} {value}"


def _histogram(name: str, help: str, values: Mapping[Labelled, Distribution]) -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} histogram"
    for key, one in sorted(values.items()):
        running = 0
        for bound, count in zip((*BOUNDS, None), one.counts, strict=True):
            running += count
            yield f'{name}_bucket{{{_text(key)},le="{"+Inf" if bound is None else f"{bound:g}"}"}} {running}'
        yield f"{name}_sum{{{_text(key)}}} {one.total:.10g}"
        yield f"{name}_count{{{_text(key)}}} {running}"


def _text(key: Labelled) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in key)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# --- requests ------------------------------------------------------------------------------------------------------


def _count_http(
    http: dict[Labelled, int], histograms: Mapping[str, dict[Labelled, Distribution]], labels: Labels, raw: RawRun, class_id: int,
    rows: Sequence[Row],
) -> None:
    durations = _durations(raw, class_id, rows)
    sizes = {name: _sizes(raw, class_id, f"{name}_bytes", rows) for name in ("request", "response")}
    for i, row in enumerate(rows):
        code = {"response_code": str(row.status), "response_flags": row.flag_text}
        places = list(_destinations(labels, raw, row.cluster))
        counts = shares(row.count, [weight for _, weight in places])
        parts = {"duration": durations[i], **{name: one[i] for name, one in sizes.items()}}
        split = {name: _apart(one, counts) for name, one in parts.items()}
        for at, (place, _) in enumerate(places):
            if not counts[at]:
                continue
            key = _key(labels, class_id, place, "http", code)
            http[key] = http.get(key, 0) + counts[at]
            for name, one in split.items():
                histograms[name].setdefault(key, Distribution()).add(*one[at])


def _apart(one: tuple[list[int], float], counts: Sequence[int]) -> list[tuple[list[int], float]]:
    """A distribution split over parts with these counts; every part and every bucket keeps its sum."""
    total, left = sum(counts), list(one[0])
    made: list[tuple[list[int], float]] = []
    for at, count in enumerate(counts):
        own = left if at == len(counts) - 1 else _drawn(left, count)
        left = [a - b for a, b in zip(left, own, strict=True)]
        made.append((own, one[1] * count / total if total else 0.0))
    return made


def _drawn(buckets_left: Sequence[int], count: int) -> list[int]:
    return [min(a, b) for a, b in zip(shares(count, buckets_left), buckets_left, strict=True)] if sum(buckets_left) else list(buckets_left)


def _durations(raw: RawRun, class_id: int, rows: Sequence[Row]) -> list[tuple[list[int], float]]:
    """Durations of each row. Time-outs (UT) are the longest streams answered or timed out; local replies go by the sampled ones."""
    local_counts, local_mean = _local(raw, class_id)
    counted = int(raw.gw_hist[class_id].sum())
    answered = [row.count if _answered(row) else 0 for row in rows]
    # What the engine covers and what the flags say agree but for streams cut by the client.
    answered = shares(counted, answered) if sum(answered) else answered
    edges = lower_edges_ns(np.arange(buckets(FINE), dtype=np.int64), FINE) * 1e-6
    coarse = [int(n) for n in np.bincount(np.searchsorted(BOUNDS, edges), weights=raw.gw_hist[class_id], minlength=len(BOUNDS) + 1)]
    left, mean = coarse, (int(raw.gw_sum[class_id]) * 1e-6 / counted if counted else 0.0)
    made: dict[int, tuple[list[int], float]] = {}
    order = sorted(range(len(rows)), key=lambda i: not rows[i].flags & Flag.UT)
    for i in order:
        n = min(answered[i], rows[i].count)
        own = _longest(left, n) if rows[i].flags & Flag.UT else _drawn(left, n)
        left = [a - b for a, b in zip(left, own, strict=True)]
        rest = rows[i].count - sum(own)
        other = shares(rest, local_counts)
        made[i] = ([a + b for a, b in zip(own, other, strict=True)], sum(own) * mean + rest * local_mean)
    return [made[i] for i in range(len(rows))]


def _answered(row: Row) -> bool:
    local = Flag.NR | Flag.NC | Flag.UO | Flag.UH | Flag.UF | Flag.UC | Flag.RL | Flag.RLSE | Flag.UAEX | Flag.FI | Flag.DC
    return row.cluster >= 0 and not row.flags & local


def _longest(counts: Sequence[int], wanted: int) -> list[int]:
    made = [0] * len(counts)
    for at in reversed(range(len(counts))):
        made[at] = min(counts[at], wanted)
        wanted -= made[at]
    return made


def _local(raw: RawRun, class_id: int) -> tuple[list[int], float]:
    """Durations of the sampled local replies of a class: by bucket, and their mean in ms."""
    at = {name: RECORD_FIELDS.index(name) for name in ("class_id", "answer", "gw_start_ns", "gw_end_ns")}
    rows = [one for one in raw.samples if one[at["class_id"]] == class_id and one[at["answer"]] == ANSWER_LOCAL and one[at["gw_start_ns"]] >= 0]
    times = [max(int(one[at["gw_end_ns"]] - one[at["gw_start_ns"]]), 0) * 1e-6 for one in rows]
    if not times:
        return [1, *([0] * len(BOUNDS))], 0.0
    return [int(n) for n in np.bincount(np.searchsorted(BOUNDS, times), minlength=len(BOUNDS) + 1)], sum(times) / len(times)


def _sizes(raw: RawRun, class_id: int, name: str, rows: Sequence[Row]) -> list[tuple[list[int], float]]:
    """Sizes of bodies: the sum is exact, the buckets follow the sampled requests; what Envoy answers itself has no body here."""
    at, of = RECORD_FIELDS.index(name), RECORD_FIELDS.index("class_id")
    status = RECORD_FIELDS.index("status")
    total = int(getattr(raw, name)[class_id])
    seen = [one for one in raw.samples if one[of] == class_id]
    made, weights = [], []
    for row in rows:
        own = [int(one[at]) for one in seen if one[status] == row.status] or [0]
        made.append(shares(row.count, np.bincount(np.searchsorted(BOUNDS, own), minlength=len(BOUNDS) + 1).tolist()))
        weights.append(row.count * sum(own) / len(own))
    whole = sum(weights)
    return [(counts, total * weight / whole if whole else 0.0) for counts, weight in zip(made, weights, strict=True)]


# --- connections of TCP ----------------------------------------------------------------------------------------------


def _count_tcp(tcp: dict[Labelled, list[int]], labels: Labels, raw: RawRun, class_id: int, rows: Sequence[Row]) -> None:
    opened = int(raw.handshakes[class_id].sum() - raw.handshakes[class_id, HANDSHAKE_NONE])
    figures = (opened, opened, int(raw.response_bytes[class_id]), int(raw.request_bytes[class_id]))
    places = [
        (_key(labels, class_id, place, "tcp", {"response_flags": row.flag_text}), weight * row.count)
        for row in rows for place, weight in _destinations(labels, raw, row.cluster)
    ]
    for at, figure in enumerate(figures):
        for (key, _), part in zip(places, shares(figure, [weight for _, weight in places]), strict=True):
            tcp.setdefault(key, [0] * len(figures))[at] += part


# --- labels ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A destination workload behind a cluster (-1: no cluster was chosen)."""

    cluster: int
    workload: str = ""
    app: str = ""
    version: str = ""
    kube_cluster: str = ""


def _destinations(labels: Labels, raw: RawRun, cluster: int) -> Iterable[tuple[Place, float]]:
    """The workloads behind a cluster, by the requests their pods got."""
    if cluster < 0:
        return [(Place(-1), 1.0)]
    stations = labels.clusters[cluster].stations
    found: dict[Place, float] = {}
    for s in stations:
        one = labels.stations[s]
        place = Place(cluster, one.workload, one.app, one.version, one.backend.partition("/")[0] if "/" in one.backend else "")
        found[place] = found.get(place, 0.0) + float(raw.station_jobs[s])
    return [*found.items()] if sum(found.values()) else [(next(iter(found), Place(cluster)), 1.0)]


def _key(labels: Labels, class_id: int, place: Place, protocol: str, extra: Mapping[str, str]) -> Labelled:
    """All labels of Istio's standard metrics, in their order."""
    kube, namespace, name = _gateway(labels.classes[class_id].gateway)
    host = labels.clusters[place.cluster].host if place.cluster >= 0 else UNKNOWN
    local = host.endswith(".svc.cluster.local")
    to_namespace, _, to = place.workload.rpartition("/")
    service, in_namespace = (host.split(".")[:2] if local else (host, UNKNOWN))
    app = place.app or to or UNKNOWN
    values = {
        "reporter": "source", "source_workload": name, "source_canonical_service": name, "source_canonical_revision": "latest",
        "source_workload_namespace": namespace, "source_principal": UNKNOWN, "source_app": name, "source_version": UNKNOWN,
        "source_cluster": kube or "Kubernetes", "destination_workload": to or UNKNOWN,
        "destination_workload_namespace": to_namespace or UNKNOWN, "destination_principal": UNKNOWN, "destination_app": place.app or UNKNOWN,
        "destination_version": place.version or UNKNOWN, "destination_service": host, "destination_canonical_service": app,
        "destination_canonical_revision": place.version or ("latest" if to else UNKNOWN), "destination_service_name": service,
        "destination_service_namespace": in_namespace, "destination_cluster": place.kube_cluster or UNKNOWN,
        "request_protocol": protocol, "connection_security_policy": UNKNOWN, **extra,
    }
    return tuple(values.items())


def _gateway(name: str) -> tuple[str, str, str]:
    """`[sidecar ][cluster/]namespace/name` in its parts."""
    parts = ["", "", *name.removeprefix(f"{SIDECAR} ").split("/")]
    return parts[-3], parts[-2], parts[-1]


__all__ = ["BOUNDS", "render"]
