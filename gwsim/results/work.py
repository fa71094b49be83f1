"""Who uses the gateways' CPU: every core-second of a worker, attributed to the traffic classes.

A class is charged what the cost profile charges for what it did: its requests and their bytes, its attempts upstream,
its connections and handshakes, the calls of its filters, and by its part of a cluster's requests the connections that the
gateways opened to that cluster. What nobody does alone (wake-ups and iterations of the event loop, timers) is shared by the
number of visits; where HTTP/2 visits carried several requests, which are charged as if each had its own, charges are scaled down.
So the parts sum to the CPU simulated, gateway by gateway; a class that has a gateway for itself gets all of it, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gwsim.engine.codes import Counter
from gwsim.engine.schema import HANDSHAKE_FULL, HANDSHAKE_PLAIN, HANDSHAKE_RESUMED
from gwsim.results.histograms import NS, Floats
from gwsim.results.intervals import Estimate, ratio
from gwsim.scenario.model import Call, Client, Model, Outcome, Shape

if TYPE_CHECKING:
    from gwsim.results.counts import Counts

GB = 1e9
MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeLabel:
    """What the cost profile charges a traffic class, ns: per request, attempt upstream, byte and connection opened."""

    request: float = 0.0
    attempt: float = 0.0
    calls: float = 0.0
    """Of the filters' own calls and of mirrored copies, per request."""
    request_byte: float = 0.0
    response_byte: float = 0.0
    plain: float = 0.0
    full: float = 0.0
    resumed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a group of requests costs the gateways. `cpu_s` and bytes are of the window, all replications together.

    Prices are those of the cost profile: CPU as used (not as requested), and response bytes as if all of them left for
    the internet.
    """

    cpu_s: float
    cpu_cores: Estimate
    cpu_us_per_request: Estimate
    charged: float
    """Share of the CPU that is charged for what these requests did; the rest is their part of what is shared."""
    request_bytes: int
    response_bytes: int
    cpu_usd_per_million: float
    internet_usd_per_million: float


def charges_of(model: Model) -> tuple[ChargeLabel, ...]:
    """The charges of every class of a model, in the order of classes."""
    return tuple(_charge(model, client, shape) for client in model.clients for shape in client.mix)


def _charge(model: Model, client: Client, shape: Shape) -> ChargeLabel:
    down, outcome = client.costs, shape.outcome
    up = [(model.clusters[one.cluster].costs, one.weight) for one in outcome.targets if one.cluster >= 0]
    total = sum(weight for _, weight in up) or 1
    opened = down.accept_s + down.close_s
    return ChargeLabel(
        request=_ns(down.read_s + down.read_stream_s + down.write_down_s + down.write_down_stream_s),
        attempt=_ns(sum((costs.write_up_s + costs.read_up_s) * weight for costs, weight in up) / total),
        calls=_ns(_calls_s(model, outcome)),
        request_byte=_ns(down.read_byte_s + sum(costs.write_up_byte_s * weight for costs, weight in up) / total),
        response_byte=_ns(down.write_down_byte_s + sum(costs.read_up_byte_s * weight for costs, weight in up) / total),
        plain=_ns(opened),
        full=_ns(opened + down.client_hello_full_s + down.finished_full_s),
        resumed=_ns(opened + down.client_hello_resumed_s + down.finished_resumed_s),
    )


def _calls_s(model: Model, outcome: Outcome) -> float:
    called = [(one.cluster, 1.0) for one in outcome.program if isinstance(one, Call)]
    called += [(one.cluster, one.percent / 100.0) for one in outcome.mirrors if one.cluster >= 0]
    costs = [(model.clusters[cluster].costs, share) for cluster, share in called]
    return sum((one.write_up_s + one.read_up_s) * share for one, share in costs)


def _ns(seconds: float) -> float:
    return seconds * 1e9


def charged_s(counts: Counts) -> Floats:
    """CPU that the profile charges each class for what it did in the window, seconds [R, C]."""
    def column(name: str) -> Floats:
        return np.array([getattr(one, name) for one in counts.labels.charges], dtype=np.float64)

    opened = counts.of("handshakes")
    total = (
        counts.of("gw_streams") * (column("request") + column("calls"))
        + counts.of("gateway_attempts") * column("attempt")
        + counts.of("request_bytes") * column("request_byte") + counts.of("response_bytes") * column("response_byte")
        + opened[:, :, HANDSHAKE_PLAIN] * column("plain") + opened[:, :, HANDSHAKE_FULL] * column("full")
        + opened[:, :, HANDSHAKE_RESUMED] * column("resumed")
    )
    return np.asarray(total * NS) + _upstream_connections_s(counts)


def _upstream_connections_s(counts: Counts) -> Floats:
    """Opening connections to clusters, by each class's part of the streams that chose the cluster; seconds [R, C]."""
    opening = np.array([one.opening_ns for one in counts.labels.clusters], dtype=np.float64) * NS
    opened = counts.of("cluster_counters")[:, :, Counter.UPSTREAM_CX_TOTAL] * (counts.windows_s / np.maximum(counts.lengths_s, 1e-9))[:, None]
    chosen = counts.of("class_cluster").astype(np.float64)
    return np.asarray((chosen / np.maximum(chosen.sum(axis=1, keepdims=True), 1.0)) @ (opened * opening)[:, :, None])[:, :, 0]


def class_cpu_s(counts: Counts) -> Floats:
    """CPU of each class in the window, seconds [R, C]: the CPU of every gateway, what is charged and a part of the rest."""
    labels, window = counts.labels, counts.of("worker_window_cpu") * NS
    charged = charged_s(counts) if labels.charges else np.zeros((len(counts.raws), len(labels.classes)))
    visits, made = _visits(counts), np.zeros_like(charged)
    for fleet in labels.fleets:
        workers = [w for w, one in enumerate(labels.workers) if one.gateway == fleet.name]
        own = [c for c, one in enumerate(labels.classes) if one.gateway == fleet.name]
        cpu, total = window[:, workers].sum(axis=1), charged[:, own].sum(axis=1)
        seen = np.maximum(visits[:, own].sum(axis=1), 1.0)
        scale = np.minimum(cpu / np.maximum(total, 1e-12), 1.0)
        shared = np.maximum(cpu - total, 0.0) / seen
        made[:, own] = charged[:, own] * scale[:, None] + visits[:, own] * shared[:, None]
    return made


def _visits(counts: Counts) -> Floats:
    """Visits of workers that each class made in the window, [R, C]: those of requests, attempts, connections and handshakes."""
    opened = counts.of("handshakes")
    calls = np.array([2.0 if one.calls else 0.0 for one in counts.labels.charges] or [0.0] * len(counts.labels.classes))
    connections = 2 * opened[:, :, HANDSHAKE_PLAIN] + 4 * (opened[:, :, HANDSHAKE_FULL] + opened[:, :, HANDSHAKE_RESUMED])
    return np.asarray(counts.of("gw_streams") * (2.0 + calls) + 2.0 * counts.of("gateway_attempts") + connections, dtype=np.float64)


def work_of(counts: Counts, ids: Sequence[int], doing: Sequence[int]) -> Work:
    """The work of the classes `doing`, for the requests of the classes `ids` (the same, or what these had made for them besides)."""
    asked, rows = list(ids), list(doing)
    cpu = counts.class_cpu_s[:, rows].sum(axis=1)
    charged = charged_s(counts)[:, rows].sum() if counts.labels.charges else 0.0
    offered = counts.classes("offered", asked)
    bytes_in, bytes_out = (int(counts.classes(name, asked).sum()) for name in ("request_bytes", "response_bytes"))
    per_request, costs = ratio(cpu, offered, level=counts.level), counts.labels.costs
    each = float(bytes_out) / max(int(offered.sum()), 1)
    return Work(
        cpu_s=float(cpu.sum()),
        cpu_cores=ratio(cpu, counts.windows_s, level=counts.level, count=int(offered.sum())),
        cpu_us_per_request=per_request.scaled(1e6),
        charged=float(min(charged / cpu.sum(), 1.0)) if cpu.sum() > 0.0 else 0.0,
        request_bytes=bytes_in, response_bytes=bytes_out,
        cpu_usd_per_million=(per_request.value or 0.0) * MILLION / 3600.0 * costs.vcpu_hour_usd,
        internet_usd_per_million=each * MILLION / GB * costs.internet_gb_usd,
    )


__all__ = ["ChargeLabel", "Work", "charges_of", "class_cpu_s", "work_of"]
