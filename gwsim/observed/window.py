"""What Prometheus recorded of one gateway in a window of time: rates by destination, durations, errors, CPU, pods.

Istio's standard metrics as a gateway reports them (`reporter="source"`), cAdvisor's CPU of its containers.
Source: istio.io/latest/docs/reference/config/metrics.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gwsim.observed import prometheus
from gwsim.observed.prometheus import Floats, Recorded, Series
from gwsim.observed.rates import CPU, REQUESTS, service_of

DURATION = "istio_request_duration_milliseconds_bucket"
UNROUTED = ""
"""Destination of requests that reached no service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway as metrics name it: its Deployment and namespace."""

    name: str
    namespace: str

    @property
    def queries(self) -> Mapping[str, str]:
        """The PromQL selectors that a backtest needs, by metric."""
        source = f'reporter="source",source_workload="{self.name}",source_workload_namespace="{self.namespace}"'
        return {
            REQUESTS: f"{REQUESTS}{{{source}}}",
            DURATION: f"{DURATION}{{{source}}}",
            CPU: f'{CPU}{{namespace="{self.namespace}",pod=~"{self.name}-.+",container="istio-proxy"}}',
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class Observed:
    """One window. Rates are float64 [bins]; NaN where a bin is not known."""

    edges: Floats
    total_rps: Floats
    by_service: Mapping[str, Floats]
    flags_5xx: Mapping[str, float]
    """5xx a second by response flag, `-` for those that upstream answered."""
    statuses: Mapping[str, Mapping[int, float]]
    """Upstream's own 5xx a second, by service and status."""
    durations: Mapping[str, tuple[Floats, Floats]]
    """Bounds (s) and cumulative rates of the duration histogram, by service; `all` for all of them."""
    cores_per_pod: Floats
    pods: Floats
    notes: tuple[str, ...] = ()

    @property
    def mean_rps(self) -> float:
        """Mean over the bins that are known."""
        return mean(self.total_rps)

    def rate_of(self, service: str) -> float:
        """Mean rate of a service; 0 for one that is not there."""
        return mean(self.by_service[service]) if service in self.by_service else 0.0


def mean(values: Floats) -> float:
    """The mean of what is known; NaN where nothing is."""
    return math.nan if np.isnan(values).all() else float(np.nanmean(values))


def observe(recorded: Recorded, gateway: Gateway, start: float, end: float, bins: int) -> Observed:
    """The window [start, end) in `bins` equal parts. Raises ValueError without requests of this gateway in it."""
    requests = _of(recorded.of(REQUESTS), gateway)
    if not requests:
        raise ValueError(_missing(recorded, gateway))
    step = prometheus.step_of(requests)
    if step <= 0:
        raise ValueError(f"{REQUESTS} has single points only: a rate needs the answer of a range query")
    edges = np.linspace(start, end, bins + 1)
    total = prometheus.total(requests, edges, step)
    if np.isnan(total).all():
        raise ValueError(f"{REQUESTS} of gateway {gateway.namespace}/{gateway.name} has no two points within {GAP_TEXT} in this window")
    by_service = {name: prometheus.total(members, edges, step) for name, members in prometheus.grouped(requests, service_of).items()}
    notes = []
    unknown = int(np.isnan(total).sum())
    if unknown:
        notes.append(f"{unknown} of {bins} pieces of the window have no data and were left out")
    if found := prometheus.resets(requests):
        notes.append(f"{found} counter resets (restarts): at most one scrape interval each is lost")
    flags, statuses = _errors(requests, edges, step)
    durations = _durations(_of(recorded.of(DURATION), gateway), edges, step)
    if not durations:
        notes.append(f"there is no {DURATION}: latencies are not compared and service times not fitted")
    cores, pods = _machines(recorded, gateway, edges, step, notes)
    return Observed(
        edges=edges, total_rps=total, by_service=by_service, flags_5xx=flags, statuses=statuses, durations=durations,
        cores_per_pod=cores, pods=pods, notes=tuple(notes),
    )


GAP_TEXT = f"{prometheus.GAP_STEPS:g} scrape intervals"


def _of(series: list[Series], gateway: Gateway) -> list[Series]:
    """The series of the gateway. Labels that a query summed away do not exclude a series."""
    def own(labels: Mapping[str, str]) -> bool:
        return (
            labels.get("source_workload", gateway.name) == gateway.name
            and labels.get("source_workload_namespace", gateway.namespace) == gateway.namespace
            and labels.get("reporter", "source") == "source"
        )

    return [one for one in series if own(one.labels) and len(one.times)]


def _missing(recorded: Recorded, gateway: Gateway) -> str:
    seen = sorted({f"{s.labels.get('source_workload_namespace', '?')}/{s.labels.get('source_workload', '?')}" for s in recorded.of(REQUESTS)})
    if not seen:
        return f"there is no {REQUESTS}; found {', '.join(recorded.names) or 'nothing'}"
    return f"no {REQUESTS} was reported by gateway {gateway.namespace}/{gateway.name}; reported by {', '.join(seen[:5])}"


def _errors(requests: list[Series], edges: Floats, step: float) -> tuple[dict[str, float], dict[str, dict[int, float]]]:
    flags: dict[str, float] = defaultdict(float)
    statuses: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for one in requests:
        code = one.labels.get("response_code", "")
        if not (code.isdigit() and 500 <= int(code) <= 599):
            continue
        rate = mean(prometheus.rates(one, edges, step))
        if not rate > 0:
            continue
        found = [flag for flag in one.labels.get("response_flags", "-").split(",") if flag] or ["-"]
        for flag in found:
            flags[flag] += rate
        if found == ["-"]:
            statuses[service_of(one.labels)][int(code)] += rate
    return dict(flags), {service: dict(rates) for service, rates in statuses.items()}


def _durations(series: list[Series], edges: Floats, step: float) -> dict[str, tuple[Floats, Floats]]:
    made = {}
    for name, members in {"all": series, **prometheus.grouped(series, service_of)}.items():
        bounds, cumulative = prometheus.buckets(members, edges, step)
        if len(bounds) > 1 and np.isinf(bounds[-1]) and cumulative[-1] > 0:
            made[name] = (bounds / 1e3, cumulative)
    return made


def _machines(recorded: Recorded, gateway: Gateway, edges: Floats, step: float, notes: list[str]) -> tuple[Floats, Floats]:
    """CPU per pod and the number of pods, by the pods whose CPU was recorded."""
    series = [
        one for one in recorded.of(CPU)
        if one.labels.get("namespace", gateway.namespace) == gateway.namespace
        and one.labels.get("pod", f"{gateway.name}-").startswith(f"{gateway.name}-")
        and one.labels.get("container", "istio-proxy") == "istio-proxy" and len(one.times)
    ]  # fmt: skip
    unknown = np.full(len(edges) - 1, math.nan)
    if not series:
        notes.append(f"there is no {CPU} of the gateway's containers: CPU and pods are not compared")
        return unknown, unknown
    each = np.stack([prometheus.rates(one, edges, prometheus.step_of(series) or step) for one in series])
    if not any("pod" in one.labels for one in series):
        notes.append(f"{CPU} has no label pod: it is taken as the CPU of one pod")
    pods = (~np.isnan(each)).sum(axis=0).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pods > 0, np.nansum(each, axis=0) / pods, math.nan), np.where(pods > 0, pods, math.nan)


__all__ = ["DURATION", "UNROUTED", "Gateway", "Observed", "mean", "observe"]
