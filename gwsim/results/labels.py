"""The names and the few numbers of a scenario that its results need: enough to read saved counts again.

`Labels` is plain data (it goes into run.json as it is), in the order in which an engine numbers things:
classes client by client and shape by shape, workers pod by pod through all fleets, stations and clusters by
their position in the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gwsim.engine.draws import ns
from gwsim.results.next_hops import next_hops_of
from gwsim.results.work import ChargeLabel, charges_of
from gwsim.scenario.memory import footprint
from gwsim.scenario.model import UNLIMITED, ClosedLoop, Model
from gwsim.scenario.resolved import ClassLabel, Resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLabel:
    """A worker: `index` counts within its pod."""

    gateway: str
    pod: str
    zone: str
    index: int

    @property
    def name(self) -> str:
        """`pod/index`."""
        return f"{self.pod}/{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLabel:
    """A gateway workload. `workers` of all pods; costs in ns; requests and limits per pod, in cores."""

    name: str
    pods: int
    workers: int
    wakeup_ns: int
    iteration_ns: int
    cpu_request_cores: float | None = None
    cpu_limit_cores: float | None = None
    memory_limit_bytes: float | None = None
    memory_bytes: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Of a pod: the lower end of what it may need, what is expected, the upper end, and what of it no client adds to (`gwsim.scenario.memory`)."""
    assumed: bool = False
    """There was no Deployment: the fleet is the one Istio would create."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLabel:
    """An Envoy cluster. Limits are per proxy pod, None where nobody set one; `pods` may send to it."""

    name: str
    host: str
    subset: str
    http: int
    pods: int
    stations: tuple[int, ...]
    max_connections: int | None = None
    max_pending_requests: int | None = None
    max_requests: int | None = None
    max_retries: int | None = None
    opening_ns: float = 0.0
    """CPU of opening one connection, with TLS where there is any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationLabel:
    """A backend pod; `backend` is `[cluster/]service.namespace`."""

    name: str
    backend: str
    zone: str
    concurrency: int | None = None
    queue: int | None = None
    workload: str = ""
    """`namespace/name` of its workload."""
    app: str = ""
    version: str = ""
    address: str = ""
    mtls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PortLabel:
    """A pool of source ports: `ports` for each owner and destination."""

    name: str
    ports: int
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetText:
    """A budget as written, and where."""

    text: str
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """`file:line`, or nothing for a budget that stands in no file."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLabel:
    """The cost profile. Uncalibrated, true CPU lies between `low` and `high` times the CPU simulated."""

    profile: str
    digest: str
    calibrated: bool
    low: float
    high: float
    vcpu_hour_usd: float
    internet_gb_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What results know of the scenario they answer."""

    name: str = ""
    question: str = ""
    istio_version: str = ""
    kind: str = "steady"
    start: str = "warm"
    seed: int = 1
    duration_s: float
    warmup_s: float
    max_in_flight: int
    asked_rps: Mapping[str, float]
    """What closed-loop clients with a rate were asked to send, by client."""
    classes: tuple[ClassLabel, ...]
    workers: tuple[WorkerLabel, ...]
    fleets: tuple[FleetLabel, ...]
    clusters: tuple[ClusterLabel, ...]
    stations: tuple[StationLabel, ...]
    costs: CostLabel
    assumptions: tuple[str, ...] = ()
    budgets: tuple[BudgetText, ...] = ()
    charges: tuple[ChargeLabel, ...] = ()
    """What the cost profile charges each class."""
    ports: tuple[PortLabel, ...] = ()
    next_hops: tuple[tuple[int, ...], ...] = ()
    """By class, the derived classes of the requests made for its own; empty without chains."""
    disturbances: tuple[tuple[float, float], ...] = ()
    """Begin and end of every fault, seconds; one that lasts ends with the run."""

    @property
    def window_s(self) -> float:
        """Length of the measured window, seconds."""
        return self.duration_s - self.warmup_s

    @property
    def roots(self) -> list[int]:
        """Classes whose requests are not made for others: totals are of these."""
        return [i for i, one in enumerate(self.classes) if not one.derived]


def labels_of(resolved: Resolved, model: Model | None = None) -> Labels:
    """The labels of a resolved scenario; `model` replaces its model (another cut, other replications)."""
    model = model or resolved.model
    run, costs = model.run, resolved.costs
    return Labels(
        name=resolved.name, question=resolved.question, istio_version=resolved.istio_version,
        kind=run.kind, start=run.start, seed=run.seed, duration_s=run.duration_s, warmup_s=run.warmup_s,
        max_in_flight=run.max_in_flight, asked_rps=_asked_rps(model), classes=resolved.classes,
        workers=_workers(model), fleets=_fleets(model, resolved),
        clusters=tuple(_cluster(model, i, name) for i, name in enumerate(resolved.clusters)),
        stations=tuple(
            StationLabel(
                name=label.name, backend=label.backend, zone=label.zone, concurrency=one.concurrency, queue=one.queue,
                workload=label.workload, app=label.app, version=label.version, address=label.address, mtls=label.mtls,
            )
            for label, one in zip(resolved.stations, model.stations, strict=True)
        ),
        costs=CostLabel(
            profile=costs.profile, digest=costs.digest, calibrated=costs.calibrated, low=costs.low, high=costs.high,
            vcpu_hour_usd=costs.vcpu_hour_usd, internet_gb_usd=costs.internet_gb_usd,
        ),
        charges=charges_of(model), next_hops=next_hops_of(model), disturbances=_disturbances(model),
        ports=tuple(PortLabel(name=one.name, ports=one.ports, shared=one.scope == "shared") for one in model.port_pools),
        assumptions=resolved.assumptions,
        budgets=tuple(BudgetText(text=one.text, file=one.span.file, line=one.span.line) for one in resolved.budgets),
    )


def _disturbances(model: Model) -> tuple[tuple[float, float], ...]:
    """Of backend pods and of gateway pods that change; pods that an autoscaler changes are no fault."""
    spans = [(one.from_s, one.to_s) for station in model.stations for one in station.outages]
    spans += [(one.from_s, one.to_s) for station in model.stations for one in station.modes]
    spans += [(one.at_s, one.at_s) for fleet in model.fleets if fleet.lifecycle for one in fleet.lifecycle.changes]
    end = model.run.duration_s
    return tuple(sorted({(first, min(last, end)) for first, last in spans if first < end}))


def _asked_rps(model: Model) -> dict[str, float]:
    return {
        client.name: client.arrivals.rate_rps
        for client in model.clients
        if isinstance(client.arrivals, ClosedLoop) and client.arrivals.rate_rps
    }


def _workers(model: Model) -> tuple[WorkerLabel, ...]:
    return tuple(
        WorkerLabel(gateway=fleet.name, pod=pod.name, zone=pod.zone, index=i)
        for fleet in model.fleets
        for pod in fleet.pods
        for i in range(pod.workers)
    )


def _fleets(model: Model, resolved: Resolved) -> tuple[FleetLabel, ...]:
    return tuple(
        FleetLabel(
            name=fleet.name, pods=len(fleet.pods), workers=sum(pod.workers for pod in fleet.pods),
            wakeup_ns=ns(fleet.wakeup_s), iteration_ns=ns(fleet.iteration_s),
            cpu_request_cores=label.cpu_request_cores, cpu_limit_cores=label.cpu_limit_cores,
            memory_limit_bytes=label.memory_limit_bytes, memory_bytes=_memory(model, resolved, at), assumed=label.proxy.origin is None,
        )
        for at, (fleet, label) in enumerate(zip(model.fleets, resolved.fleets, strict=True))
    )


def _memory(model: Model, resolved: Resolved, fleet: int) -> tuple[float, ...]:
    if resolved.costs.memory is None:
        return 0.0, 0.0, 0.0, 0.0
    found = footprint(resolved.costs.memory, resolved.fleets[fleet].proxy, fleet, model)
    return found.low, found.value, found.high, found.fixed


def _cluster(model: Model, index: int, name: str) -> ClusterLabel:
    one = model.clusters[index]
    reaching = {
        client.fleet for client in model.clients for shape in client.mix
        if any(target.cluster == index for outcome in shape.outcomes() for target in outcome.targets)
    }
    breakers = one.cluster.circuit_breakers

    def limit(value: int) -> int | None:
        return None if value >= UNLIMITED else value

    return ClusterLabel(
        name=name, host=one.cluster.host, subset=one.cluster.subset, http=one.cluster.upstream_http,
        pods=sum(len(model.fleets[f].pods) for f in reaching), stations=one.stations,
        max_connections=limit(breakers.max_connections), max_pending_requests=limit(breakers.max_pending_requests),
        max_requests=limit(breakers.max_requests), max_retries=limit(breakers.max_retries),
        opening_ns=(one.costs.up_connected_s + one.costs.up_tls_s) * 1e9,
    )


def as_plain(labels: Labels) -> dict[str, Any]:
    """Labels as dictionaries, lists and numbers, for run.json."""
    plain: dict[str, Any] = asdict(labels)
    return plain


def from_plain(plain: Mapping[str, Any]) -> Labels:
    """The inverse of `as_plain`; raises TypeError or KeyError for what is not labels."""
    rows = dict(plain)
    rows["classes"] = tuple(ClassLabel(**row) for row in plain["classes"])
    rows["workers"] = tuple(WorkerLabel(**row) for row in plain["workers"])
    rows["fleets"] = tuple(FleetLabel(**{**row, "memory_bytes": tuple(row.get("memory_bytes", (0.0,) * 4))}) for row in plain["fleets"])
    rows["clusters"] = tuple(ClusterLabel(**{**row, "stations": tuple(row["stations"])}) for row in plain["clusters"])
    rows["stations"] = tuple(StationLabel(**row) for row in plain["stations"])
    rows["budgets"] = tuple(BudgetText(**row) for row in plain["budgets"])
    rows["charges"] = tuple(ChargeLabel(**row) for row in plain.get("charges", ()))
    rows["ports"] = tuple(PortLabel(**row) for row in plain.get("ports", ()))
    rows["next_hops"] = tuple(tuple(row) for row in plain.get("next_hops", ()))
    rows["disturbances"] = tuple((row[0], row[1]) for row in plain.get("disturbances", ()))
    rows["costs"] = CostLabel(**plain["costs"])
    rows["assumptions"] = tuple(plain["assumptions"])
    return Labels(**rows)


__all__ = [
    "BudgetText", "ClassLabel", "ClusterLabel", "CostLabel", "FleetLabel", "Labels", "PortLabel", "StationLabel", "WorkerLabel",
    "as_plain", "from_plain", "labels_of",
]
