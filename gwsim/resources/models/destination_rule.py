"""networking.istio.io DestinationRule. Source modelled: istio/api networking/v1alpha3/destination_rule.proto, 1.30."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from gwsim.resources.models.base import Json, Labels, Natural, PositiveSeconds, Resource, Seconds
from gwsim.resources.models.virtual_service import PortSelector

SimpleLb = Literal["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpKeepalive:
    """TCP keep-alive probes."""

    probes: Natural | None = None
    time_s: PositiveSeconds | None = None
    interval_s: PositiveSeconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSettings:
    """Limits of connections. `max_connections` None or 0 means no limit."""

    max_connections: Natural | None = None
    connect_timeout_s: PositiveSeconds | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration_s: PositiveSeconds | None = None
    idle_timeout_s: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Limits of requests; None or 0 means no limit. Despite their names, both limits count HTTP/1 and HTTP/2."""

    http1_max_pending_requests: Annotated[Natural | None, Json("http1MaxPendingRequests")] = None
    http2_max_requests: Annotated[Natural | None, Json("http2MaxRequests")] = None
    max_requests_per_connection: Natural | None = None
    max_retries: Natural | None = None
    idle_timeout_s: Seconds | None = None
    h2_upgrade_policy: Annotated[Literal["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"], Json("h2UpgradePolicy")] = "DEFAULT"
    use_client_protocol: bool = False
    max_concurrent_streams: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPoolSettings:
    """Connection pool and circuit breaker of a cluster."""

    tcp: TcpSettings | None = None
    http: HttpSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieAttribute:
    """A further attribute of the hash cookie."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPCookie:
    """A cookie as hash key; `ttl_s` 0 makes it a session cookie."""

    name: str
    path: str | None = None
    ttl_s: Seconds | None = None
    attributes: tuple[CookieAttribute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RingHash:
    """Ring hash algorithm."""

    minimum_ring_size: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MagLev:
    """Maglev algorithm; the table size is a prime."""

    table_size: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistentHash:
    """Session affinity: one hash key, one algorithm (ring hash when neither is given)."""

    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalityDistribute:
    """Percent of the traffic from a locality that goes to each locality; 1..100 each, 100 in sum."""

    from_: Annotated[str, Json("from")]
    to: Mapping[str, Natural] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalityFailover:
    """Region to go to when a region fails."""

    from_: Annotated[str, Json("from")]
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalityLbSetting:
    """Locality load balancing."""

    distribute: tuple[LocalityDistribute, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """Slow start of new endpoints."""

    duration_s: PositiveSeconds
    minimum_percent: float | None = None
    aggression: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancerSettings:
    """Load balancing policy; `simple` None or UNSPECIFIED is least request."""

    simple: SimpleLb | None = None
    consistent_hash: ConsistentHash | None = None
    locality_lb_setting: LocalityLbSetting | None = None
    warmup_duration_s: Annotated[Seconds | None, Json("warmupDurationSecs")] = None
    warmup: Warmup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierDetection:
    """Ejection of failing endpoints. None is "not given", which differs from 0."""

    consecutive_errors: Natural | None = None
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: Natural | None = None
    consecutive_gateway_errors: Natural | None = None
    consecutive_5xx_errors: Annotated[Natural | None, Json("consecutive5xxErrors")] = None
    interval_s: PositiveSeconds | None = None
    base_ejection_time_s: PositiveSeconds | None = None
    max_ejection_percent: Natural | None = None
    min_health_percent: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """TLS towards the endpoints. `mode` left out is the enum's zero, DISABLE."""

    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] = "DISABLE"
    client_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None
    credential_name: str | None = None
    subject_alt_names: tuple[str, ...] = ()
    sni: str | None = None
    insecure_skip_verify: bool | None = None
    ca_crl: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """Tunnelling of TCP over HTTP CONNECT or POST."""

    target_host: str
    target_port: Natural
    protocol: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProtocol:
    """PROXY protocol header on upstream connections."""

    version: Literal["V1", "V2"] = "V1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudget:
    """Concurrent retries as a percentage of active requests; replaces `max_retries`."""

    percent: float | None = None
    min_retry_concurrency: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortTrafficPolicy:
    """Policy of one port. It replaces the whole policy there, even the blocks it leaves out."""

    port: PortSelector
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPolicy:
    """Policy towards a host or a subset."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()
    tunnel: Tunnel | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """Endpoints of the host that carry `labels`; each subset is a cluster with limits of its own."""

    name: str
    labels: Labels = field(default_factory=dict)
    traffic_policy: TrafficPolicy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSelector:
    """Workloads, as clients, that a DestinationRule is for."""

    match_labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DestinationRule(Resource):
    """Policy for traffic to `host` (as written: a short name is taken in the rule's namespace)."""

    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    workload_selector: WorkloadSelector | None = None
