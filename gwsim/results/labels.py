"""The names and the few numbers of a scenario that its results need: enough to read saved counts again.

`Labels` is plain data (it goes into run.json as it is), in the order in which an engine numbers things:
classes client by client and shape by shape, workers pod by pod through all fleets, stations and clusters by
their position in the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gwsim.scenario.model import UNLIMITED, ClosedLoop, Fleet, Model, SimCluster


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLabel:
    """A traffic class: one entry of one client's mix, and where it goes."""

    client: str
    shape: str
    route: str
    gateway: str
    """Name of the fleet."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StationLabel:
    """A backend pod."""

    name: str
    zone: str
    concurrency: int | None = None
    queue: int | None = None


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
    closed_rps: float | None = None
    """What closed-loop clients were asked to send, all together; None without such clients."""
    classes: tuple[ClassLabel, ...]
    workers: tuple[WorkerLabel, ...]
    fleets: tuple[FleetLabel, ...]
    clusters: tuple[ClusterLabel, ...]
    stations: tuple[StationLabel, ...]
    calibrated: bool = True
    cpu_low: float = 1.0
    """With an uncalibrated cost profile, true CPU lies between these multiples of the CPU simulated."""
    cpu_high: float = 1.0
    assumptions: tuple[str, ...] = ()
    budgets: tuple[BudgetText, ...] = ()
    costs: str = ""
    """Name and digest of the cost profile."""

    @property
    def window_s(self) -> float:
        """Length of the measured window, seconds."""
        return self.duration_s - self.warmup_s


class Resolved(Protocol):
    """What is needed of a resolved scenario; `labels_of` also reads the optional attributes named there."""

    @property
    def model(self) -> Model:
        """What the engines read."""
        ...


def labels_of(resolved: Resolved, model: Model | None = None) -> Labels:
    """The labels of a resolved scenario; `model` replaces its model (another cut, other replications)."""
    model = model or resolved.model
    run = model.run
    low, high = _optional(resolved, "cpu_range", (1.0, 1.0))
    return Labels(
        name=_optional(resolved, "name", ""),
        question=_optional(resolved, "question", "") or "",
        istio_version=_optional(resolved, "istio_version", ""),
        kind=run.kind, start=run.start, seed=run.seed, duration_s=run.duration_s, warmup_s=run.warmup_s,
        max_in_flight=run.max_in_flight, closed_rps=_closed_rps(model), classes=_classes(model),
        workers=_workers(model), fleets=_fleets(model, resolved),
        clusters=tuple(_cluster(model, i, one) for i, one in enumerate(model.clusters)),
        stations=tuple(
            StationLabel(name=s.name, zone=s.zone, concurrency=s.concurrency, queue=s.queue) for s in model.stations
        ),
        calibrated=(low, high) == (1.0, 1.0), cpu_low=low, cpu_high=high,
        assumptions=tuple(_optional(resolved, "assumptions", ())),
        budgets=tuple(_budget(one) for one in _optional(resolved, "budgets", ())),
        costs=_optional(resolved, "costs", ""),
    )


def _optional(resolved: object, name: str, default: Any) -> Any:
    value = getattr(resolved, name, default)
    return default if value is None else value


def _budget(written: Any) -> BudgetText:
    if isinstance(written, str):
        return BudgetText(text=written)
    span = getattr(written, "span", None)
    return BudgetText(text=written.text, file=span.file if span else "", line=span.line if span else 0)


def _closed_rps(model: Model) -> float | None:
    loops = [c.arrivals for c in model.clients if isinstance(c.arrivals, ClosedLoop) and c.arrivals.rate_rps]
    return sum(loop.rate_rps or 0.0 for loop in loops) if loops else None


def _classes(model: Model) -> tuple[ClassLabel, ...]:
    return tuple(
        ClassLabel(
            client=client.name, shape=shape.name, route=shape.outcome.route, gateway=model.fleets[client.fleet].name
        )
        for client in model.clients
        for shape in client.mix
    )


def _workers(model: Model) -> tuple[WorkerLabel, ...]:
    return tuple(
        WorkerLabel(gateway=fleet.name, pod=pod.name, zone=pod.zone, index=i)
        for fleet in model.fleets
        for pod in fleet.pods
        for i in range(pod.workers)
    )


def _fleets(model: Model, resolved: Resolved) -> tuple[FleetLabel, ...]:
    proxies: Sequence[Any] = _optional(resolved, "proxies", ())
    return tuple(
        _fleet(fleet, proxies[i] if i < len(proxies) else None) for i, fleet in enumerate(model.fleets)
    )


def _fleet(fleet: Fleet, proxy: Any) -> FleetLabel:
    from gwsim.engine.draws import ns

    return FleetLabel(
        name=fleet.name, pods=len(fleet.pods), workers=sum(pod.workers for pod in fleet.pods),
        wakeup_ns=ns(fleet.wakeup_s), iteration_ns=ns(fleet.iteration_s),
        cpu_request_cores=getattr(proxy, "cpu_request_cores", None),
        cpu_limit_cores=getattr(proxy, "cpu_limit_cores", None),
        assumed=proxy is not None and getattr(proxy, "origin", None) is None,
    )


def _cluster(model: Model, index: int, one: SimCluster) -> ClusterLabel:
    reaching = {
        client.fleet for client in model.clients for shape in client.mix
        if any(target.cluster == index for target in shape.outcome.targets)
    }
    breakers = one.cluster.circuit_breakers

    def limit(value: int) -> int | None:
        return None if value >= UNLIMITED else value

    return ClusterLabel(
        name=one.cluster.name, host=one.cluster.host, subset=one.cluster.subset, http=one.cluster.upstream_http,
        pods=sum(len(model.fleets[f].pods) for f in reaching), stations=one.stations,
        max_connections=limit(breakers.max_connections), max_pending_requests=limit(breakers.max_pending_requests),
        max_requests=limit(breakers.max_requests), max_retries=limit(breakers.max_retries),
    )


def as_plain(labels: Labels) -> dict[str, Any]:
    """Labels as dictionaries, lists and numbers, for run.json."""
    from dataclasses import asdict

    plain: dict[str, Any] = asdict(labels)
    return plain


def from_plain(plain: Mapping[str, Any]) -> Labels:
    """The inverse of `as_plain`; raises TypeError or KeyError for what is not labels."""
    rows = dict(plain)
    rows["classes"] = tuple(ClassLabel(**row) for row in plain["classes"])
    rows["workers"] = tuple(WorkerLabel(**row) for row in plain["workers"])
    rows["fleets"] = tuple(FleetLabel(**row) for row in plain["fleets"])
    rows["clusters"] = tuple(ClusterLabel(**{**row, "stations": tuple(row["stations"])}) for row in plain["clusters"])
    rows["stations"] = tuple(StationLabel(**row) for row in plain["stations"])
    rows["budgets"] = tuple(BudgetText(**row) for row in plain["budgets"])
    rows["assumptions"] = tuple(plain["assumptions"])
    return Labels(**rows)
