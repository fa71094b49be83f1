"""From Prometheus series to the clients of a scenario, and from CPU and requests to the speed of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gwsim import costs
from gwsim.observed import prometheus
from gwsim.observed.fragment import Imported
from gwsim.observed.prometheus import Floats, Recorded, Series
from gwsim.observed.traffic import DEFAULT_TARGET

REQUESTS, CPU = "istio_requests_total", "container_cpu_usage_seconds_total"
PIECES = 24
FEWEST_BINS = 6
SHARED_LOOP, ALONE, BUSY = (1.0, 2.0), (2.0, 4.0), (0.0, 0.5)
"""Wake-ups and iterations a request: a worker at part load; one request at a time; a worker near saturation."""


def service_of(labels: Any) -> str:
    """The service a request went to, as `service.namespace`."""
    host = labels.get("destination_service", "")
    parts = host.split(".")
    if len(parts) > 2 and parts[2] == "svc":
        return ".".join(parts[:2])
    name, namespace = labels.get("destination_service_name", ""), labels.get("destination_service_namespace", "")
    return host if host and host != "unknown" else f"{name}.{namespace}" if name and namespace not in ("", "unknown") else ""


def imported(recorded: Recorded, source: str, *, target: str = "", tls: bool = True) -> Imported:
    """Clients from `istio_requests_total`, and a cost profile where there is CPU as well. Raises ValueError without requests."""
    series = _of_gateway(recorded.of(REQUESTS))
    if not series:
        raise ValueError(f"there is no {REQUESTS}; found {', '.join(recorded.names) or 'nothing'}")
    step, edges = prometheus.step_of(series), _edges(series)
    if step <= 0:
        raise ValueError(f"{REQUESTS} has single points only: a rate needs the answer of a range query")
    inferred = [f"{len(series)} series of {REQUESTS}, a point every {step:g} s, {prometheus.resets(series)} counter resets"]
    unknown = ["hosts, paths and methods of the requests: Istio's metrics do not have them, so every service is one entry with a made-up host", "sizes, connections and round trips"]
    overall = prometheus.total(series, edges, step)
    if np.isnan(overall).any():
        inferred.append(f"{int(np.isnan(overall).sum())} of {len(overall)} pieces of time have no data; they are taken as the mean of the others")
    services = prometheus.grouped(series, service_of)
    weights = {name: float(np.nanmean(prometheus.total(members, edges, step))) for name, members in services.items() if name}
    unrouted = services.get("", [])
    if unrouted:
        lost = float(np.nansum(prometheus.total(unrouted, edges, step))) / max(float(np.nansum(overall)), 1e-12)
        inferred.append(f"{lost:.2%} of the requests have no destination service (no route, or refused by the gateway); they are in the rate, not in the mix")
    assumed = [] if target else [f"the target {DEFAULT_TARGET}:{443 if tls else 80}; --target names another"]
    client: dict[str, Any] = {
        "target": target or f"{DEFAULT_TARGET}:{443 if tls else 80}",
        "arrivals": {"profile": _pieces(edges, overall)},
        "mix": [{"name": name, "host": name, "path": "/", "weight": float(f"{rate:.6g}")} for name, rate in weights.items() if rate > 0],
    }
    files, name = {}, ""
    made = cost_of_cpu(recorded, edges, step, overall, tls=tls)
    if isinstance(made, str):
        unknown.append(made)
    else:
        name = "costs.yaml"
        files[name] = made.text(source)
        inferred += made.notes
    if not client["mix"]:
        raise ValueError(f"no series of {REQUESTS} names a destination service")
    return Imported(
        source=source, kind="Prometheus", clients={"observed": client}, files=files, costs=name,
        inferred=tuple(inferred), assumed=tuple(assumed), unknown=tuple(unknown),
    )


def _of_gateway(series: list[Series]) -> list[Series]:
    """The series that a gateway reported as the source; all of them where none says who reported."""
    sources = [one for one in series if one.labels.get("reporter") == "source"]
    return sources or [one for one in series if "reporter" not in one.labels]


def _edges(series: list[Series], pieces: int = PIECES) -> Floats:
    start, end = min(one.times[0] for one in series if len(one.times)), max(one.times[-1] for one in series if len(one.times))
    return np.linspace(start, max(end, start + 1e-3), pieces + 1)


def _pieces(edges: Floats, values: Floats) -> list[dict[str, str]]:
    usual = float(np.nanmean(values))
    return [
        {"for": f"{width:.6g}s", "rate": f"{usual if np.isnan(value) else value:.6g}rps"}
        for width, value in zip(np.diff(edges), values, strict=True)
    ]


# --- CPU -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuPerRequest:
    """Worker CPU of a request in service, and the speed of the machine that would explain it."""

    per_request_s: float
    error_s: float
    idle_cores: float
    speed: float
    speed_low: float
    speed_high: float
    tls: bool

    @property
    def notes(self) -> list[str]:
        """What was inferred, for people."""
        return [
            f"CPU of the gateway's containers: {self.per_request_s * 1e6:.0f} ± {self.error_s * 1e6:.0f} us a request over {self.idle_cores:.3g} cores of its own (logging, statistics, xDS)",
            f"a machine of speed {self.speed:.2f} ({self.speed_low:.2f} to {self.speed_high:.2f}) of the profile's explains that, for small requests over "
            f"{'TLS' if self.tls else 'plain HTTP'} on kept connections; handshakes, bodies and further filters are in it too",
        ]

    def text(self, source: str) -> str:
        """The cost profile: what was not measured keeps its range, so answers stay ranges."""
        lines = [f"# CPU a request as observed, {source}", *(f"# {note}" for note in self.notes)]
        return "\n".join([*lines, "apiVersion: gwsim.costs/v1", "name: observed CPU", "calibrated: false", f"speed: {self.speed:.3g}", "costs: {}", ""])


def cost_of_cpu(recorded: Recorded, edges: Floats, step: float, requests: Floats, *, tls: bool) -> CpuPerRequest | str:
    """A line through CPU over requests, bin by bin; or why there is none, in words."""
    series = [one for one in recorded.of(CPU) if one.labels.get("container", "istio-proxy") in ("istio-proxy", "")]
    if not series:
        return f"what a request costs: there is no {CPU} of a container istio-proxy"
    cores = prometheus.total(series, edges, prometheus.step_of(series) or step)
    both = ~(np.isnan(cores) | np.isnan(requests))
    x, y = requests[both], cores[both]
    if len(x) < FEWEST_BINS or float(np.ptp(x)) < 0.1 * float(x.mean() or 1.0):
        return f"what a request costs: the rate hardly changes over {len(x)} pieces of time, so idle CPU and CPU a request cannot be told apart"
    design = np.column_stack([x, np.ones_like(x)])
    (slope, idle), *_ = np.linalg.lstsq(design, y, rcond=None)
    residual = y - design @ np.array([slope, idle])
    error = float(np.sqrt(residual @ residual / (len(x) - 2) / ((x - x.mean()) ** 2).sum()))
    if slope <= 2 * error:
        return f"what a request costs: {slope * 1e6:.0f} ± {error * 1e6:.0f} us is no usable estimate"
    profile = costs.load()

    def modelled(loop: tuple[float, float]) -> float:
        return costs.cpu_per_request(profile, wakeups=loop[0], iterations=loop[1], downstream_tls="1.3" if tls else None)

    return CpuPerRequest(
        per_request_s=float(slope), error_s=error, idle_cores=float(max(idle, 0.0)), speed=modelled(SHARED_LOOP) / slope,
        speed_low=modelled(BUSY) / (slope + 2 * error), speed_high=modelled(ALONE) / (slope - 2 * error), tls=tls,
    )


__all__ = ["CPU", "REQUESTS", "CpuPerRequest", "cost_of_cpu", "imported", "service_of"]
