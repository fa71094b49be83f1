"""What the clients meet: clusters, the front load balancer, gateways, backends, the network and costs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict, WithJsonSchema, model_validator

from gwsim.scenario.file.base import (
    UNIT_KEY,
    Count,
    Duration,
    FileModel,
    Number,
    PositiveDuration,
    PositiveNumber,
    Share,
    Whole,
)
from gwsim.scenario.file.calls import CallStage
from gwsim.scenario.file.clients import Connection
from gwsim.scenario.file.distributions import Times

VERSIONS = ("1.28", "1.29", "1.30", "1.31")
IstioVersion = Annotated[
    Literal["1.28", "1.29", "1.30", "1.31"],
    # Without quotes 1.30 is the number 1.3.
    BeforeValidator(lambda v: f"{v:.2f}" if isinstance(v, float) else v),
    WithJsonSchema({"enum": ["1.28", "1.29", "1.30", "1.31", 1.28, 1.29, 1.3, 1.31]}),
]


class Istio(FileModel):
    """The control plane."""

    version: IstioVersion = Field(default="1.30", description="release whose rules translate the configuration")


class Node(FileModel):
    """The machines pods run on."""

    cpus: Whole | None = Field(default=None, description="cores: the workers of a gateway without a CPU limit")


def _no_duplicates(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("an entry is given twice")
    return values


class ConfigUpdate(FileModel):
    """Objects that are applied during the run; gateways have them from that moment on."""

    at: PositiveDuration = Field(description="when gateways have it: the moment of kubectl apply, and istiod's debounce and push")
    apply: tuple[str, ...] = Field(default=(), description="files and folders: objects of the same kind and name are replaced, others added")
    delete: tuple[str, ...] = Field(default=(), description="objects taken away: Kind/namespace/name")

    @model_validator(mode="after")
    def _does_something(self) -> ConfigUpdate:
        if not self.apply and not self.delete:
            raise ValueError("give apply or delete")
        return self


class ClusterSection(FileModel):
    """One Kubernetes cluster and the files of its configuration."""

    config: tuple[str, ...] = Field(min_length=1, description="files and folders, relative to the scenario file")
    network: str = Field(default="", description="Istio network its pods are in")
    zones: Annotated[tuple[str, ...], AfterValidator(_no_duplicates)] = Field(default=(), description="zones pods are placed on, in turn")
    node: Node = Field(default=Node(), description="its machines")
    updates: tuple[ConfigUpdate, ...] = Field(default=(), description="changes of its configuration during the run")


class Front(FileModel):
    """The L4 load balancer before the gateway."""

    policy: Literal["hash", "round_robin"] = Field(default="hash", description="how a connection finds its gateway pod")
    cross_zone: bool = Field(default=True, description="whether it sends to pods of every zone")
    targets: Literal["pods", "nodes"] = Field(
        default="pods", description="what it sends to: pods, or nodes, where externalTrafficPolicy decides what becomes of a connection"
    )
    idle_timeout: PositiveDuration = Field(default=350.0, description="when it drops idle connections (no effect in the model yet)")
    deregistration: Duration = Field(default=30.0, description="how long a leaving pod still gets connections")


class PodChange(FileModel):
    """At one moment, pods of a gateway are added, removed or killed."""

    at: Duration = Field(description="when")
    add: Count | None = Field(default=None, description="pods created; they serve after pod_start")
    remove: Count | None = Field(default=None, description="pods terminated in order: they drain, then end")
    kill: Count | None = Field(default=None, description="pods that end at once")

    @model_validator(mode="after")
    def _does_something(self) -> PodChange:
        if not self.parts():
            raise ValueError("give add, remove or kill")
        return self

    def parts(self) -> tuple[tuple[Literal["add", "remove", "kill"], int], ...]:
        """What it does, in this order."""
        parts: tuple[tuple[Literal["add", "remove", "kill"], int | None], ...] = (
            ("add", self.add), ("remove", self.remove), ("kill", self.kill),
        )
        return tuple((kind, count) for kind, count in parts if count is not None)


class GatewayOverride(FileModel):
    """Changes to a gateway's fleet."""

    replicas: Count | None = Field(default=None, description="pods; refused under an autoscaler unless replicas are fixed")
    workers: Count | None = Field(default=None, description="worker threads per pod (Envoy's concurrency)")
    balance: Literal["kernel", "exact"] = Field(
        default="kernel", description="connections to workers: by the kernel's hash, or Envoy's exact balance (to the one with the fewest)"
    )
    nodes: Count | None = Field(default=None, description="machines its pods run on, in turn (default: one for each pod); for a front whose targets are nodes")
    changes: tuple[PodChange, ...] = Field(default=(), description="pods that come and go during the run")
    pod_start: Duration = Field(
        default=20.0, description="from a pod's creation until the load balancer sends it connections (scheduling, image, Envoy, health checks)"
    )


def _statuses(errors: dict[str, float]) -> dict[str, float]:
    for status in errors:
        if not (status.isdigit() and 400 <= int(status) <= 599):
            raise ValueError(f"{status!r} is not an error status; write e.g. {{503: 1%}}")
    if sum(errors.values()) > 1.0:
        raise ValueError("the shares add up to more than 100 %")
    return errors


Errors = Annotated[dict[str, Share], AfterValidator(_statuses)]


ErrorStatus = Annotated[int, Strict(), Field(ge=400, le=599)]


class BackendVersion(FileModel):
    """How the pods of one subset differ from the rest of the backend."""

    service_time: Times | None = Field(default=None, description="time a request takes once it is served")
    concurrency: Count | None = Field(default=None, description="requests a pod serves at once")
    queue: Whole | None = Field(default=None, description="requests that wait at a pod; one more is answered 503")
    errors: Errors | None = Field(default=None, description="shares of requests answered with an error status, e.g. {503: 1%}")


class Fault(FileModel):
    """A time in which pods of a backend misbehave."""

    from_: Duration = Field(alias="from", description="when it begins")
    for_: PositiveDuration = Field(alias="for", description="how long it lasts")
    kind: Literal["refuse", "drop", "stall"] | None = Field(
        default=None,
        description="refuse: connections and requests are reset; drop: nothing is answered; stall: work stands still",
    )
    slow: PositiveNumber | None = Field(default=None, description="factor on the service times")
    errors: Errors | None = Field(default=None, description="errors in place of the backend's")
    pods: Count | None = Field(default=None, description="how many of its pods, the first ones; default: all")

    @model_validator(mode="after")
    def _does_something(self) -> Fault:
        if self.kind is None and self.slow is None and self.errors is None:
            raise ValueError("give kind, slow or errors")
        return self


class Rollout(FileModel):
    """A rolling update: its Deployment's strategy and preStop hook say how pods are replaced."""

    at: Duration = Field(description="when it begins")
    pod_start: Duration = Field(default=10.0, description="from a new pod's creation until it is ready")
    propagation: Duration = Field(
        default=1.0, description="until gateways hear of a pod that is ready or ends: endpoint slice, istiod's debounce (100 ms to 10 s), push"
    )


class Backend(BackendVersion):
    """A service behind the gateway; all its pods are alike, but for those of `subsets`."""

    keepalive_timeout: PositiveDuration | None = Field(default=None, description="idle connections are closed by the pod after this")
    tls_handshake: Duration | None = Field(
        default=None, description="until a pod answers a TLS client hello that gateways hand on unopened; default: that of a full handshake in the cost profile"
    )
    faults: tuple[Fault, ...] = Field(default=(), description="times in which its pods misbehave")
    rollout: Rollout | None = Field(default=None, description="an update of its pods during the run")
    subsets: dict[str, BackendVersion] = Field(default={}, description="subsets of its DestinationRule that differ")
    rtt: Duration | None = Field(
        default=None, description="round trip to it from every proxy, in place of that of zones: for services outside the mesh"
    )
    calls: tuple[CallStage, ...] = Field(
        default=(), description="requests it makes once its service time is over, one after the other, through its sidecar; it answers when all have ended"
    )
    call_error_status: ErrorStatus = Field(default=500, description="what it answers when a critical call fails")
    call_connection: Connection = Field(
        default=Connection(count=10), description="how each of its pods keeps connections for its calls, to every host of its own"
    )


class Between(FileModel):
    """The round trip between two zones."""

    zones: tuple[str, str] = Field(description="the two zones")
    rtt: Duration = Field(description="round trip between them, both ways the same")


class Sidecars(FileModel):
    """The proxies beside the pods of workloads. Those of workloads that send requests are always in the way."""

    inbound: bool = Field(default=False, description="whether those of called services are in the way too, where the files say that there are some")


class NetworkSection(FileModel):
    """Round trips between gateway and backend pods; defaults are those of the cost profile."""

    same_zone: Duration | None = Field(default=None, description="round trip within a zone")
    cross_zone: Duration | None = Field(default=None, description="round trip between zones")
    between: tuple[Between, ...] = Field(default=(), description="exceptions for pairs of zones")


class Costs(FileModel):
    """What work costs the gateway."""

    profile: str | None = Field(default=None, description="a full cost profile, instead of the shipped one")
    calibration: str | None = Field(default=None, description="costs measured on your machine, laid over the profile")
    speed: PositiveNumber | None = Field(default=None, description="speed of the machine relative to the profile's; default 1")
    overrides: dict[str, Number] = Field(default={}, description="single costs by path, e.g. {worker.wakeup_us: 30}")


_WARMUP = {"type": ["string", "number"], "examples": ["auto", "10s"], UNIT_KEY: "duration or auto"}


def _auto(value: object) -> object:
    return None if value == "auto" else value


class Run(FileModel):
    """How long, how often, from what state."""

    kind: Literal["steady", "timeline"] = Field(default="steady", description="steady: warm-up is cut off; timeline: all counts")
    duration: PositiveDuration = Field(default=60.0, description="length of one replication, warm-up included")
    replications: Count = Field(default=10, description="independent repetitions")
    seed: Whole = Field(default=1, description="of all random numbers")
    warmup: Annotated[Duration | None, BeforeValidator(_auto), WithJsonSchema(_WARMUP)] = Field(
        default=None, description="left out at the start: a duration, or auto (a tenth of the run, at least 1s; none for a timeline)"
    )
    start: Literal["warm", "cold"] = Field(default="warm", description="warm: connections stand at the start; cold: none do")
    max_in_flight: Count = Field(default=1_000_000, description="requests in flight beyond which the run is saturated")
    precision: Share | None = Field(default=None, description="replications are added until intervals are this narrow, e.g. 2%")
    max_requests: Count | None = Field(default=None, description="requests to simulate at the most, all replications together")

    @model_validator(mode="after")
    def _room(self) -> Run:
        if self.warmup is not None and self.warmup >= self.duration:
            raise ValueError("warmup must be shorter than duration, which includes it")
        if self.kind == "timeline" and self.warmup:
            raise ValueError("a timeline has no warmup; leave it out or use kind: steady")
        return self


__all__ = [
    "VERSIONS",
    "Backend",
    "BackendVersion",
    "Between",
    "ClusterSection",
    "ConfigUpdate",
    "Costs",
    "Fault",
    "Front",
    "GatewayOverride",
    "Istio",
    "NetworkSection",
    "Node",
    "PodChange",
    "Rollout",
    "Run",
    "Sidecars",
]
