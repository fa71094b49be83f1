"""The topology: gateway workloads with their listeners, routes and clusters. Immutable; no YAML, no engine.

Mappings in these classes are plain dictionaries for speed and for pickling; nobody changes them.
The parts are in `upstream` (clusters), `routes` and `listeners`; import all from `gwsim.topology`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gwsim.topology.listeners import Listener
from gwsim.topology.upstream import Cluster, Locality

if TYPE_CHECKING:
    from gwsim.diagnostics import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPolicy:
    """At most `value` pods (or percent of the pods) per `period_s`."""

    kind: Literal["pods", "percent"]
    value: float
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRules:
    """One direction of an autoscaler. Source: Kubernetes autoscaling/v2 HPAScalingRules."""

    stabilization_s: float
    policies: tuple[ScalingPolicy, ...]
    select: Literal["max", "min", "disabled"] = "max"


SCALE_UP = ScalingRules(
    stabilization_s=0.0,
    policies=(
        ScalingPolicy(kind="percent", value=100, period_s=15.0),
        ScalingPolicy(kind="pods", value=4, period_s=15.0),
    ),
)
SCALE_DOWN = ScalingRules(
    stabilization_s=300.0, policies=(ScalingPolicy(kind="percent", value=100, period_s=15.0),)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaler:
    """A HorizontalPodAutoscaler of the fleet. Targets are fractions of the request (0.8 is 80 %)."""

    name: str
    min_replicas: int = 1
    max_replicas: int
    target_cpu_utilization: float | None = None
    target_cpu_cores: float | None = None
    target_memory_utilization: float | None = None
    other_metrics: tuple[str, ...] = ()
    """Metrics named in the object that the model does not follow."""
    scale_up: ScalingRules = SCALE_UP
    scale_down: ScalingRules = SCALE_DOWN
    tolerance: float = 0.1
    period_s: float = 15.0
    origin: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyServicePort:
    """A port of a Service in front of the proxy; `target_port` is where the proxy listens."""

    port: int
    target_port: int
    name: str = ""
    app_protocol: str = ""
    protocol: Literal["TCP", "UDP"] = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyService:
    """A Service that selects the proxy's pods."""

    name: str
    namespace: str
    host: str = ""
    """Its host name, where that is not the usual one of a Service (a ServiceEntry in its place)."""
    type: str = "ClusterIP"
    ports: tuple[ProxyServicePort, ...] = ()
    external_traffic_policy: str = "Cluster"
    translate_ports: bool = True
    """False: labelled so that Gateways' port numbers are not translated by it."""
    origin: Span | None = None

    @property
    def fqdn(self) -> str:
        """The full host name it is known by."""
        return self.host or f"{self.name}.{self.namespace}.svc.cluster.local"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyPod:
    """One pod of the fleet at the start."""

    name: str
    locality: Locality = field(default_factory=Locality)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedGateway:
    """A Gateway, of Istio's API or the Gateway API, that a proxy serves."""

    api: Literal["istio", "gateway-api"]
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One gateway workload: a fleet of equal pods."""

    name: str
    namespace: str
    cluster: str = ""
    kind: Literal["gateway", "sidecar", "waypoint"] = "gateway"
    labels: Mapping[str, str] = field(default_factory=dict)
    gateways: tuple[ServedGateway, ...] = ()
    """The Gateway objects it serves."""
    replicas: int = 1
    workers: int = 2
    cpu_request_cores: float | None = None
    cpu_limit_cores: float | None = None
    memory_request_bytes: float | None = None
    memory_limit_bytes: float | None = None
    autoscaler: Autoscaler | None = None
    services: tuple[ProxyService, ...] = ()
    pods: tuple[ProxyPod, ...] = ()
    """The `replicas` pods at the start, placed on zones; later ones continue the same round."""
    zones: tuple[str, ...] = ()
    """Zones its pods may run in, in placement order."""
    network: str = ""
    identity: str = ""
    """What its certificate of the mesh says: `<trust domain>/ns/<namespace>/sa/<account>`; empty: not known."""
    listeners: tuple[Listener, ...] = ()
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Sidecars: what host names mean to their client (DNS). A name that is not here is outside the cluster."""
    access_log: bool = False
    trace_sampling_percent: float = 0.0
    """Share of requests whose spans are exported; 0 while no tracing provider is configured."""
    termination_drain_s: float = 5.0
    termination_grace_s: float = 30.0
    assumed: tuple[str, ...] = ()
    origin: Span | None = None
    """The Deployment; None when the fleet was assumed."""

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def qualified(self) -> str:
        """`cluster/namespace/name`."""
        return f"{self.cluster}/{self.namespace}/{self.name}"

    def listener(self, port: int) -> Listener | None:
        """The TCP listener on a listening port."""
        return next((one for one in self.listeners if one.port == port and one.protocol == "tcp"), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """A port of a known service; `protocol` in Istio's words (`HTTP`, `HTTP2`, `GRPC`, `TCP`, ...)."""

    number: int
    name: str = ""
    protocol: str = ""
    target_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownService:
    """A host that routes can name: a Kubernetes Service or a host of a ServiceEntry."""

    host: str
    name: str
    namespace: str
    ports: tuple[ServicePort, ...] = ()
    external: bool = False
    resolution: str = "EDS"
    exported_to: tuple[str, ...] = ("*",)
    addresses: tuple[str, ...] = ()
    """Cluster addresses, or those of the ServiceEntry; none for headless services."""
    headless: bool = False
    """Clients connect to the pods themselves (`clusterIP: None`)."""
    alias_of: str = ""
    """Of a Service of type ExternalName: the host it stands for."""
    origin: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A Deployment behind the gateways, and how its pods are replaced. Source: Kubernetes apps/v1 RollingUpdate."""

    namespace: str
    name: str
    cluster: str = ""
    replicas: int = 1
    max_surge: int = 1
    """Pods that may exist beyond `replicas` during an update."""
    max_unavailable: int = 0
    """Pods that may be missing during an update."""
    min_ready_s: float = 0.0
    pre_stop_s: float = 0.0
    """A pod that is to end works on for so long before it is told."""
    grace_s: float = 30.0

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Everything that the configuration of one or several clusters comes to."""

    istio_version: str
    proxies: tuple[Proxy, ...] = ()
    services: tuple[KnownService, ...] = ()
    workloads: tuple[Workload, ...] = ()
    assumptions: tuple[str, ...] = ()
    later: tuple[tuple[float, Topology], ...] = ()
    """What takes its place during a run, (seconds, topology) ascending."""

    def proxy(self, namespace: str, name: str, cluster: str | None = None) -> Proxy:
        """The proxy of that name; raises `gwsim.topology.TargetMissing`, naming the nearest one."""
        from gwsim.topology.targets import find_proxy

        return find_proxy(self, namespace, name, cluster)

    def proxies_of(
        self, namespace: str, name: str, cluster: str | None = None, *, api: Literal["istio", "gateway-api"] | None = None
    ) -> tuple[ServedGateway, tuple[Proxy, ...]]:
        """The Gateway object of that name, of the Gateway API first, and the proxies that serve it.

        Raises `gwsim.topology.TargetMissing`, naming the nearest one.
        """
        from gwsim.topology.targets import find_gateway

        return find_gateway(self, namespace, name, cluster, api=api)

    def resolve(self, target: str) -> tuple[Proxy, Listener]:
        """The proxy and listener behind `[cluster/]Service/<namespace>/<name>:<port>`.

        Raises `gwsim.topology.TargetMissing`, naming the nearest match, when there is none.
        """
        from gwsim.topology.targets import resolve_target

        return resolve_target(self, target)
