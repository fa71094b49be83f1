"""What the gateways of a run would have emitted: metrics, statistics, access log and spans, as their own tools read them.

Each renderer tells of one replication, so that its outputs belong together. Metrics and statistics of HTTP count the
requests of the measured window; `cluster.*`, `listener.*` and workers count the whole replication, as the engines do.
The access log and the spans tell of the run's uniform sample of requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gwsim.results.results import Results

FORMATS: Mapping[str, str] = {
    "prometheus": "Istio's standard metrics in Prometheus' text format",
    "envoy-stats": "Envoy's statistics by name, as its /stats page gives them",
    "access-log": "Istio's default access log, of sampled requests",
    "access-log-json": "Istio's default access log as JSON, of sampled requests",
    "otlp": "spans of sampled requests, OTLP as JSON",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which replication (0 first), and when it is taken to begin (seconds of the Unix epoch)."""

    replication: int = 0
    began_s: float = 0.0


def emit(results: Results, form: str, wanted: Wanted) -> str:
    """A run in one of `FORMATS`."""
    from gwsim.report.emit import access_log, envoy_stats, otlp, prometheus

    renderers: Mapping[str, Callable[[Results, Wanted], str]] = {
        "prometheus": prometheus.render, "envoy-stats": envoy_stats.render, "access-log": access_log.text,
        "access-log-json": access_log.as_json, "otlp": otlp.render,
    }
    return renderers[form](results, wanted)


__all__ = ["FORMATS", "Wanted", "emit"]
