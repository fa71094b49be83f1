"""Envoy's statistics by name, as its admin page /stats gives them, of all pods of the gateways together.

`cluster.*` and `listener.*` count the whole replication; `http.*` the measured window. Statistics that the model has
nothing for are not written: a name that is missing is not modelled, a zero is a zero.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gwsim.engine.codes import Counter
from gwsim.engine.schema import HANDSHAKE_FULL, HANDSHAKE_NONE, HANDSHAKE_RESUMED, MIDDLE, RawRun
from gwsim.report.emit import Wanted
from gwsim.results.histograms import Histogram
from gwsim.results.intervals import quantile
from gwsim.results.labels import Labels
from gwsim.results.results import Results

PERCENTILES = (0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100)
OUTLIERS = {
    "outlier_ejections_overflow": "outlier_detection.ejections_overflow",
    "outlier_ejections_enforced_total": "outlier_detection.ejections_enforced_total",
    "outlier_detected_5xx": "outlier_detection.ejections_detected_consecutive_5xx",
    "outlier_detected_gateway": "outlier_detection.ejections_detected_consecutive_gateway_failure",
    "outlier_detected_local_origin": "outlier_detection.ejections_detected_consecutive_local_origin_failure",
    "outlier_detected_success_rate": "outlier_detection.ejections_detected_success_rate",
    "outlier_detected_failure_percentage": "outlier_detection.ejections_detected_failure_percentage",
}
"""Counters whose Envoy name is another than the engine's."""


def render(results: Results, wanted: Wanted) -> str:
    """One statistic a line, sorted by name."""
    raw, labels = results.raws[wanted.replication], results.labels
    found = dict([*_clusters(labels, raw), *_http(labels, raw), *_listeners(labels, raw), *_server(labels)])
    histograms = dict(_times(labels, raw))
    return "".join(f"{name}: {value}\n" for name, value in [*sorted(found.items()), *sorted(histograms.items())])


def _clusters(labels: Labels, raw: RawRun) -> Iterator[tuple[str, int]]:
    streams = {c for c, label in enumerate(labels.classes) if label.tcp}
    for k, one in enumerate(labels.clusters):
        prefix = f"cluster.{one.name}."
        for counter in Counter:
            name = counter.name.lower()
            yield prefix + OUTLIERS.get(name, name), int(raw.cluster_counters[k, counter])
        if not streams & set(np.flatnonzero(raw.class_cluster[:, k]).tolist()):
            yield f"{prefix}upstream_cx_http{one.http}_total", int(raw.cluster_counters[k, Counter.UPSTREAM_CX_TOTAL])
        yield f"{prefix}membership_total", len(one.stations)


def _http(labels: Labels, raw: RawRun) -> Iterator[tuple[str, int]]:
    """Of a connection manager: one a listener. Istio's prefix is `outbound_` and the listener's name."""
    totals: dict[str, int] = {}

    def add(name: str, count: int) -> None:
        totals[name] = totals.get(name, 0) + int(count)

    for c, label in enumerate(labels.classes):
        prefix = f"{'tcp' if label.tcp else 'http'}.outbound_{label.listener}."
        opened = int(raw.handshakes[c].sum() - raw.handshakes[c, HANDSHAKE_NONE])
        add(f"{prefix}downstream_cx_total", opened)
        add(f"{prefix}downstream_cx_rx_bytes_total", int(raw.request_bytes[c]))
        add(f"{prefix}downstream_cx_tx_bytes_total", int(raw.response_bytes[c]))
        if label.tcp:
            continue
        add(f"{prefix}downstream_cx_http{label.http}_total", opened)
        add(f"{prefix}downstream_rq_total", int(raw.gw_streams[c]))
        for first in range(1, 6):
            add(f"{prefix}downstream_rq_{first}xx", int(raw.gw_status[c, first * 100 : first * 100 + 100].sum()))
        if label.tls:
            add(f"{prefix}downstream_cx_ssl_total", opened)
    yield from totals.items()


def _listeners(labels: Labels, raw: RawRun) -> Iterator[tuple[str, int]]:
    totals: dict[str, int] = {}
    for c, label in enumerate(labels.classes):
        if label.tls and not label.tcp:
            ssl = f"listener.{label.listener}.ssl."
            full, resumed = (int(raw.handshakes[c, kind]) for kind in (HANDSHAKE_FULL, HANDSHAKE_RESUMED))
            totals[f"{ssl}handshake"] = totals.get(f"{ssl}handshake", 0) + full + resumed
            totals[f"{ssl}session_reused"] = totals.get(f"{ssl}session_reused", 0) + resumed
    yield from totals.items()
    for fleet in labels.fleets:
        names = {label.listener for label in labels.classes if label.gateway == fleet.name}
        if len(names) != 1:  # An engine counts what a worker accepts, whatever the listener.
            continue
        name = next(iter(names))
        accepted: dict[int, int] = {}
        for w, worker in enumerate(labels.workers):
            if worker.gateway == fleet.name:
                accepted[worker.index] = accepted.get(worker.index, 0) + int(raw.worker_connections[w])
        yield f"listener.{name}.downstream_cx_total", sum(accepted.values())
        for index, count in accepted.items():
            yield f"listener.{name}.worker_{index}.downstream_cx_total", count


def _server(labels: Labels) -> Iterator[tuple[str, int]]:
    yield "server.live", 1
    yield "server.concurrency", max((one.index + 1 for one in labels.workers), default=0)


def _times(labels: Labels, raw: RawRun) -> Iterator[tuple[str, str]]:
    """Histograms as /stats prints them: `P50(last interval,since start)`, here the same; milliseconds."""
    for k, one in enumerate(labels.clusters):
        if not raw.cluster_hist[k].any():
            yield f"cluster.{one.name}.upstream_rq_time", "No recorded values"
            continue
        histogram = Histogram.of(raw.cluster_hist[k][None, :], np.array([raw.cluster_sum[k]]), MIDDLE)
        values = [(p, (quantile(histogram, p / 100.0).value or 0.0) * 1e3) for p in PERCENTILES]
        yield f"cluster.{one.name}.upstream_rq_time", " ".join(f"P{p:g}({v:.4g},{v:.4g})" for p, v in values)


__all__ = ["render"]
