"""What a proxy sends to: clusters, their endpoints, limits and load balancing, in Envoy's vocabulary.

Limits and counters of a cluster are per proxy pod: every pod of a fleet has its own copy of the state.
Sources: envoyproxy/envoy api/envoy/config/cluster/v3, api/envoy/config/endpoint/v3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gwsim.diagnostics import Span

UNLIMITED = 2**32 - 1
"""What Istio writes into every circuit breaker that nobody sets."""


class LbPolicy(StrEnum):
    """How a cluster picks an endpoint. Source: envoy/config/cluster/v3/cluster.proto, LbPolicy."""

    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"
    RANDOM = "RANDOM"
    RING_HASH = "RING_HASH"
    MAGLEV = "MAGLEV"
    ORIGINAL_DST = "ORIGINAL_DST"


Discovery = Literal["EDS", "STRICT_DNS", "LOGICAL_DNS", "ORIGINAL_DST", "STATIC", "DYNAMIC_DNS"]
"""DYNAMIC_DNS is Envoy's dynamic forward proxy: the name in the request is resolved when it is wanted."""

PASSTHROUGH_CLUSTER = "PassthroughCluster"
BLACKHOLE_CLUSTER = "BlackHoleCluster"
"""Where a sidecar sends what the registry does not know. Source: istio pilot/pkg/networking/util/util.go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locality:
    """Where something runs."""

    region: str = ""
    zone: str = ""
    subzone: str = ""

    @classmethod
    def of(cls, text: str) -> Locality:
        """From `zone`, `region/zone` or `region/zone/subzone`."""
        region, slash, rest = text.partition("/")
        if not slash:
            return cls(zone=text)
        zone, _, subzone = rest.partition("/")
        return cls(region=region, zone=zone, subzone=subzone)

    def __str__(self) -> str:
        return f"{self.region}/{self.zone}/{self.subzone}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address behind a cluster, normally a pod."""

    address: str
    port: int
    weight: int = 1
    locality: Locality = field(default_factory=Locality)
    labels: Mapping[str, str] = field(default_factory=dict)
    workload: str = ""
    """`namespace/deployment` (or the name of the ServiceEntry or WorkloadEntry)."""
    pod: str = ""
    network: str = ""
    cluster: str = ""
    """The Kubernetes cluster it runs in."""
    mtls: bool = False
    """Whether this endpoint is reached over Istio mutual TLS (auto-mTLS is decided per endpoint)."""
    mtls_known: bool = True
    """False: the files do not tell whether it has a sidecar, and `mtls` is a guess."""
    accepts: Literal["", "DISABLE", "PERMISSIVE", "STRICT"] = ""
    """Mode of mutual TLS at its sidecar (PeerAuthentication); empty: no sidecar."""
    healthy: bool = True
    via: str = ""
    """Stands for endpoints of another network: `cluster/namespace/name` of the gateway that is dialled instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudget:
    """Concurrent retries allowed: `percent` of the active requests, at least `min_retry_concurrency`."""

    percent: float = 20.0
    min_retry_concurrency: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakers:
    """Thresholds of the default priority, per cluster and proxy pod. A retry budget replaces `max_retries`."""

    max_connections: int = UNLIMITED
    max_pending_requests: int = UNLIMITED
    max_requests: int = UNLIMITED
    max_retries: int = UNLIMITED
    retry_budget: RetryBudget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTls:
    """TLS that a cluster always originates (DestinationRule `tls`); auto-mTLS is `Endpoint.mtls` instead."""

    mode: Literal["simple", "mutual", "istio_mutual"]
    sni: str = ""
    """Empty: taken from the request's host."""
    credential_name: str = ""
    usable: bool = True
    """False when a secret it needs is missing: every connection then fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierDetection:
    """Passive health checks. An `enforcing_*` of 0 means that detector never ejects.

    Defaults are those in effect once Istio emits the block with nothing set.
    Source: envoy/config/cluster/v3/outlier_detection.proto, istio pilot/pkg/networking/core/cluster_traffic_policy.go.
    """

    consecutive_5xx: int = 5
    enforcing_consecutive_5xx: int = 100
    consecutive_gateway_failure: int = 5
    enforcing_consecutive_gateway_failure: int = 0
    consecutive_local_origin_failure: int = 5
    enforcing_consecutive_local_origin_failure: int = 100
    split_external_local_origin_errors: bool = False
    interval_s: float = 10.0
    base_ejection_time_s: float = 30.0
    max_ejection_time_s: float = 300.0
    max_ejection_percent: float = 10.0
    success_rate_minimum_hosts: int = 5
    success_rate_request_volume: int = 100
    success_rate_stdev_factor: float = 1900.0
    """Thousandths of a standard deviation below the mean."""
    enforcing_success_rate: int = 0
    failure_percentage_threshold: float = 85.0
    failure_percentage_minimum_hosts: int = 5
    failure_percentage_request_volume: int = 50
    enforcing_failure_percentage: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStart:
    """Ramp-up of a new endpoint's weight (round robin and least request only)."""

    window_s: float
    min_weight_percent: float = 10.0
    aggression: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalityShare:
    """Where the traffic of proxies in `source` goes: locality text to percent; unlisted localities get none."""

    source: str
    to: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalityFailover:
    """When `source` (a region) has no healthy endpoint, `to` is the next choice."""

    source: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalityLb:
    """How locality steers load; what it comes to depends on the locality of each proxy pod.

    `priorities` is True when endpoints are put into priorities by closeness (Istio: only together with outlier
    detection or `failover_priority` of a Service's traffic distribution).
    Source: istio pilot/pkg/networking/core/loadbalancer/loadbalancer.go.
    """

    priorities: bool = False
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    distribute: tuple[LocalityShare, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """What a forward proxy is asked to connect to. Source: Envoy tcp_proxy `tunneling_config`; Istio `TrafficPolicy.tunnel`."""

    host: str
    port: int
    method: Literal["CONNECT", "POST"] = "CONNECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A group of endpoints that requests are balanced over; each subset is a cluster of its own."""

    name: str
    """`outbound|<port>|<subset>|<host>`."""
    host: str
    port: int
    subset: str = ""
    discovery: Discovery = "EDS"
    endpoints: tuple[Endpoint, ...] = ()
    lb_policy: LbPolicy = LbPolicy.LEAST_REQUEST
    choice_count: int = 2
    """Candidates of least request."""
    ring_size: int = 1024
    """Minimum ring size of RING_HASH, table size of MAGLEV."""
    slow_start: SlowStart | None = None
    locality_lb: LocalityLb | None = None
    circuit_breakers: CircuitBreakers = field(default_factory=CircuitBreakers)
    connect_timeout_s: float = 10.0
    max_requests_per_connection: int | None = None
    idle_timeout_s: float = 3600.0
    """Idle HTTP connections to an endpoint are closed after this (0: never)."""
    max_connection_duration_s: float | None = None
    tcp_idle_timeout_s: float | None = None
    upstream_http: Literal[1, 2] = 1
    use_downstream_protocol: bool = False
    """The codec follows the client's (DestinationRule `useClientProtocol`); `upstream_http` is then the fallback."""
    max_concurrent_streams: int | None = None
    tls: UpstreamTls | None = None
    proxy_protocol: Literal["V1", "V2"] | None = None
    tunnel: Tunnel | None = None
    """Byte streams are carried inside a request to the endpoint, which is a forward proxy."""
    outlier_detection: OutlierDetection | None = None
    panic_threshold_percent: float = 50.0
    update_merge_window_s: float = 1.0
    """Changes of hosts' health within it are handed to the workers together (Envoy `update_merge_window`; Istio leaves it)."""
    external: bool = False
    """The service is outside the mesh (ServiceEntry MESH_EXTERNAL)."""
    protocol: str = "HTTP"
    """Istio's protocol of the service port."""
    origin: Span | None = None
    """The DestinationRule whose policy is in effect."""


def cluster_name(port: int, subset: str, host: str) -> str:
    """Name Istio gives an outbound cluster. Source: istio pilot/pkg/model/context.go `BuildSubsetKey`."""
    return f"outbound|{port}|{subset}|{host}"


def mesh_server_name(port: int, subset: str, host: str) -> str:
    """SNI of mutual TLS inside the mesh, which east-west gateways route by.

    Source: istio pilot/pkg/model/context.go `BuildDNSSrvSubsetKey`.
    """
    return f"outbound_.{port}_.{subset}_.{host}"


MESH_ALPN = ("istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2")
"""ALPN of mutual TLS inside the mesh. Source: istio pilot/pkg/networking/core/gateway.go `allIstioMtlsALPNs`."""
