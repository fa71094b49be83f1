"""What `resolve` makes: the model of the engines, and the names and facts that reports need beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gwsim.diagnostics import Finding
from gwsim.scenario.memory import MemoryCosts
from gwsim.scenario.model import Model
from gwsim.scenario.reading import Budget
from gwsim.topology import Autoscaler, Proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLabel:
    """A traffic class: an entry of a client's mix. `route` is the route it takes, `outcome` what becomes of it."""

    client: str
    shape: str
    route: str
    virtual_host: str
    listener: str
    gateway: str
    outcome: str
    method: str
    host: str
    path: str
    reason: str = ""
    http: int = 1
    """Version of HTTP its client speaks."""
    tls: str = ""
    """Version of TLS on the client's connections; empty: plaintext."""
    sni: str = ""
    tcp: bool = False
    """Whether its bytes are only copied: no HTTP is read."""
    stream: str = ""
    """`websocket` or `grpc`: its requests stay open and carry messages; empty: they end with their answer."""
    derived: bool = False
    """Whether its requests are made for other requests, by backends and further proxies: totals leave them out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationLabel:
    """A backend pod: the name it has in reports, and the backend (`cluster/service.namespace`) it belongs to."""

    name: str
    backend: str
    subset: str
    zone: str
    assumed: bool
    """Whether its service time is the default, because the scenario does not describe the backend."""
    workload: str = ""
    """`namespace/name` of the workload it is a pod of."""
    app: str = ""
    version: str = ""
    """Labels `app` and `version`, or the canonical ones; empty: it has none."""
    address: str = ""
    """`address:port`, as an access log shows it."""
    mtls: bool = False
    """Whether it is reached over Istio mutual TLS."""
    relay: bool = False
    """No backend, but a pod of a further proxy; `backend` is then the gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLabel:
    """A gateway pod; `fleet` is an index into `Resolved.fleets`."""

    name: str
    fleet: int
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLabel:
    """A gateway workload: its proxy, autoscaler and resources of one pod (cores, bytes)."""

    name: str
    proxy: Proxy
    replicas: int
    workers: int
    autoscaler: Autoscaler | None
    cpu_request_cores: float | None
    cpu_limit_cores: float | None
    memory_request_bytes: float | None
    memory_limit_bytes: float | None
    replicas_fixed: bool
    """Whether the number of pods was given by the scenario or the caller, so that an autoscaler must not change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What the run section says beyond `Model.run`: for planners."""

    kind: Literal["steady", "timeline"]
    warmup_auto: bool
    """The warm-up in the model is a first guess; results may look for a better one."""
    precision: float | None
    max_requests: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostFacts:
    """Which costs were used. `low` and `high` multiply the CPU of a request, for printing ranges."""

    profile: str
    calibrated: bool
    digest: str
    provenance: tuple[str, ...]
    low: float
    high: float
    vcpu_hour_usd: float
    internet_gb_usd: float = 0.0
    memory: MemoryCosts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A scenario with nothing left open. Tuples are in the order of the model's."""

    model: Model
    name: str
    question: str
    istio_version: str
    classes: tuple[ClassLabel, ...]
    """One per traffic class, in the order of `Model.classes()`."""
    fleets: tuple[FleetLabel, ...]
    clusters: tuple[str, ...]
    """Display name of each cluster of the model: Envoy's, with the Kubernetes cluster before it when names repeat."""
    stations: tuple[StationLabel, ...]
    pods: tuple[PodLabel, ...]
    """All gateway pods, through all fleets."""
    worker_pods: tuple[int, ...]
    """Pod of each worker, workers numbered through all pods."""
    plan: RunPlan
    costs: CostFacts
    budgets: tuple[Budget, ...]
    assumptions: tuple[str, ...]
    findings: tuple[Finding, ...]
    effective: Mapping[str, Any]
    """The scenario as plain data after `--set`, with the defaults that `resolve` filled in, for provenance."""

    @property
    def routes(self) -> tuple[str, ...]:
        """Route of each traffic class: what `route="..."` in a budget names, beside the entry's own name."""
        return tuple(label.route for label in self.classes)


__all__ = ["ClassLabel", "CostFacts", "FleetLabel", "PodLabel", "Resolved", "RunPlan", "StationLabel"]
