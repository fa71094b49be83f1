"""MeshConfig, ProxyConfig (`defaultConfig`) and MeshNetworks: the settings of a whole mesh.

Sources modelled: istio/api mesh/v1alpha1/{config,proxy,network}.proto, 1.30; defaults: istio/istio
pkg/config/mesh/mesh.go `DefaultMeshConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from gwsim.resources.models.base import (
    Json,
    Labels,
    Natural,
    Opaque,
    Port,
    PositiveSeconds,
    Resource,
    Seconds,
)
from gwsim.resources.models.destination_rule import (
    ConnectionPoolSettings,
    LocalityLbSetting,
    OutlierDetection,
    TcpKeepalive,
)
from gwsim.resources.models.virtual_service import HTTPRetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """Tracing of a proxy. `sampling` None: 1 % of the requests. The collectors are kept as plain data."""

    other_fields: ClassVar[frozenset[str]] = frozenset(["customTags", "enableIstioTags", "maxPathTagLength", "tlsSettings"])

    zipkin: Opaque = None
    lightstep: Opaque = None
    datadog: Opaque = None
    stackdriver: Opaque = None
    open_census_agent: Opaque = None
    sampling: float | None = None

    @property
    def collector(self) -> bool:
        """Whether a collector is named."""
        named = (self.zipkin, self.lightstep, self.datadog, self.stackdriver, self.open_census_agent)
        return any(one is not None for one in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProtocolConfiguration:
    """Its presence makes gateways expect a PROXY protocol header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayTopology:
    """What stands before a gateway."""

    num_trusted_proxies: Natural = 0
    forward_client_cert_details: Literal[
        "UNDEFINED", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"
    ] = "UNDEFINED"
    proxy_protocol: ProxyProtocolConfiguration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """ProxyConfig of the mesh (`defaultConfig`) and of the annotation `proxy.istio.io/config`. None: not given."""

    other_fields: ClassVar[frozenset[str]] = frozenset(
        ["availabilityZone", "binaryPath", "caCertificatesPem", "configPath", "controlPlaneAuthPolicy", "customConfigFile", "discoveryAddress", "discoveryRefreshDelay", "envoyAccessLogService", "envoyMetricsService", "extraStatTags", "fileFlushInterval", "fileFlushMinSizeKb", "holdApplicationUntilProxyStarts", "image", "interceptionMode", "meshId", "parentShutdownDuration", "privateKeyProvider", "proxyAdminPort", "proxyBootstrapTemplatePath", "proxyHeaders", "proxyStatsMatcher", "readinessProbe", "runtimeValues", "sds", "serviceCluster", "statNameLength", "statsCompression", "statsEvictionInterval", "statsdUdpAddress", "statusPort", "tracingServiceName", "zipkinAddress"]
    )

    concurrency: Natural | None = None
    drain_duration_s: PositiveSeconds | None = None
    termination_drain_duration_s: Seconds | None = None
    tracing: Tracing | None = None
    gateway_topology: GatewayTopology | None = None
    proxy_metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshOutboundPolicy:
    """What becomes of traffic to destinations that the registry does not have."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS"] = "REGISTRY_ONLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshInboundPolicy:
    """Where a sidecar sends what it accepts."""

    mode: Literal["PASSTHROUGH", "LOCALHOST"] = "PASSTHROUGH"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLocal:
    """Settings of some services."""

    cluster_local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Settings of the services with these hosts (names, or `*.suffix`)."""

    settings: ClusterLocal = field(default_factory=ClusterLocal)
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthzRequestBody:
    """How much of the body an authorization service sees."""

    max_request_bytes: Natural = 0
    allow_partial_message: bool = False
    pack_as_bytes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtAuthzHttp:
    """An external authorization service over HTTP. `timeout_s` None: 600 s."""

    service: str
    port: Natural
    timeout_s: Seconds | None = None
    path_prefix: str | None = None
    fail_open: bool = False
    clear_route_cache: bool = False
    status_on_error: str | None = None
    include_headers_in_check: tuple[str, ...] = ()
    include_request_headers_in_check: tuple[str, ...] = ()
    include_additional_headers_in_check: Labels = field(default_factory=dict)
    include_request_body_in_check: AuthzRequestBody | None = None
    headers_to_upstream_on_allow: tuple[str, ...] = ()
    headers_to_downstream_on_deny: tuple[str, ...] = ()
    headers_to_downstream_on_allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtAuthzGrpc:
    """An external authorization service over gRPC. `timeout_s` None: 600 s."""

    service: str
    port: Natural
    timeout_s: Seconds | None = None
    fail_open: bool = False
    clear_route_cache: bool = False
    status_on_error: str | None = None
    include_request_body_in_check: AuthzRequestBody | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderService:
    """A service that takes spans or log entries."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"*"})

    service: str | None = None
    port: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAccessLog:
    """An access log in a file or on standard output."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"logFormat", "omitEmptyValues"})

    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionProvider:
    """A provider that policies and Telemetry name. Exactly one block is set; its name is `kind`."""

    name: str
    envoy_ext_authz_http: ExtAuthzHttp | None = None
    envoy_ext_authz_grpc: ExtAuthzGrpc | None = None
    zipkin: ProviderService | None = None
    lightstep: ProviderService | None = None
    datadog: ProviderService | None = None
    stackdriver: ProviderService | None = None
    opencensus: ProviderService | None = None
    skywalking: ProviderService | None = None
    opentelemetry: ProviderService | None = None
    prometheus: ProviderService | None = None
    envoy_file_access_log: FileAccessLog | None = None
    envoy_http_als: ProviderService | None = None
    envoy_tcp_als: ProviderService | None = None
    envoy_otel_als: ProviderService | None = None
    sds: ProviderService | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultProviders:
    """Names of the providers that are used where nothing else is said."""

    tracing: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    access_logging: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorRequirement:
    """One expression of a selector by labels."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceSelector:
    """Labels of namespaces; all conditions must hold."""

    match_labels: Labels = field(default_factory=dict)
    match_expressions: tuple[SelectorRequirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a namespace with these labels is selected."""
        if any(labels.get(key) != value for key, value in self.match_labels.items()):
            return False
        return all(_holds(one, labels) for one in self.match_expressions)


def _holds(requirement: SelectorRequirement, labels: Mapping[str, str]) -> bool:
    if requirement.operator == "Exists":
        return requirement.key in labels
    if requirement.operator == "DoesNotExist":
        return requirement.key not in labels
    return (labels.get(requirement.key) in requirement.values) == (requirement.operator == "In")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathNormalization:
    """How paths are made alike before they are routed."""

    normalization: Literal["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] = "DEFAULT"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Versions and ciphers of TLS."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"ecdhCurves"})

    min_protocol_version: Literal["TLS_AUTO", "TLSV1_2", "TLSV1_3"] = "TLS_AUTO"
    cipher_suites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultTrafficPolicy:
    """What a DestinationRule that leaves a block out gets (from 1.31)."""

    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshConfig:
    """The settings of a mesh; the defaults are istiod's."""

    other_fields: ClassVar[frozenset[str]] = frozenset(
        ["accessLogEncoding", "accessLogFormat", "ca", "caCertificates", "certificates", "compliancePolicy", "configSources", "disableEnvoyListenerLog", "dnsRefreshRate", "enableEnvoyAccessLogService", "enablePrometheusMerge", "inboundClusterStatName", "outboundClusterStatName", "proxyHttpPort", "proxyInboundListenPort", "proxyListenPort", "serviceScopeConfigs", "verifyCertificateAtClient"]
    )

    connect_timeout_s: PositiveSeconds = 10.0
    protocol_detection_timeout_s: Seconds = 0.0
    tcp_keepalive: TcpKeepalive | None = None
    ingress_class: str = "istio"
    ingress_service: str = "istio-ingressgateway"
    ingress_controller_mode: Literal["UNSPECIFIED", "OFF", "DEFAULT", "STRICT"] = "STRICT"
    ingress_selector: str = "ingressgateway"
    enable_tracing: bool = False
    access_log_file: str = ""
    default_config: ProxySettings = field(default_factory=ProxySettings)
    outbound_traffic_policy: MeshOutboundPolicy = field(default_factory=lambda: MeshOutboundPolicy(mode="ALLOW_ANY"))
    inbound_traffic_policy: MeshInboundPolicy = field(default_factory=MeshInboundPolicy)
    enable_auto_mtls: Annotated[bool, Json("enableAutoMtls")] = True
    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    default_service_export_to: tuple[str, ...] = ("*",)
    default_virtual_service_export_to: tuple[str, ...] = ("*",)
    default_destination_rule_export_to: tuple[str, ...] = ("*",)
    root_namespace: str = "istio-system"
    locality_lb_setting: LocalityLbSetting = field(default_factory=lambda: LocalityLbSetting(enabled=True))
    h2_upgrade_policy: Annotated[Literal["DO_NOT_UPGRADE", "UPGRADE"], Json("h2UpgradePolicy")] = "DO_NOT_UPGRADE"
    service_settings: tuple[ServiceSettings, ...] = ()
    extension_providers: tuple[ExtensionProvider, ...] = ()
    default_providers: DefaultProviders = field(default_factory=DefaultProviders)
    discovery_selectors: tuple[NamespaceSelector, ...] = ()
    path_normalization: PathNormalization = field(default_factory=PathNormalization)
    default_http_retry_policy: HTTPRetry | None = None
    mesh_mtls: Annotated[TlsSettings, Json("meshMTLS")] = field(default_factory=TlsSettings)
    tls_defaults: TlsSettings = field(default_factory=TlsSettings)
    default_traffic_policy: DefaultTrafficPolicy | None = None

    def provider(self, name: str) -> ExtensionProvider | None:
        """The extension provider of that name, or None."""
        return next((one for one in self.extension_providers if one.name == name), None)

    @property
    def tracing_enabled(self) -> bool:
        """Whether proxies make spans without a Telemetry: tracing is on, or a default tracing provider is named."""
        return self.enable_tracing or bool(self.default_providers.tracing)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkEndpoints:
    """Endpoints of a network: those of a cluster (`from_registry`) or of a range of addresses."""

    from_cidr: str | None = None
    from_registry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkGateway:
    """A way into a network: an address, or a Service of its cluster."""

    registry_service_name: str | None = None
    address: str | None = None
    port: Port = 15443
    locality: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshNetwork:
    """One network: what is in it and how it is reached."""

    endpoints: tuple[NetworkEndpoints, ...] = ()
    gateways: tuple[NetworkGateway, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshNetworks:
    """The networks of a mesh by name."""

    networks: Mapping[str, MeshNetwork] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshData:
    """`data` of the ConfigMap: both entries are YAML text there."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"*"})

    mesh: MeshConfig | None = None
    mesh_networks: MeshNetworks | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeshConfigMap(Resource):
    """The ConfigMap `istio` (or `istio-<revision>`) that istiod takes its mesh configuration from.

    """

    mesh: MeshConfig | None = None
    mesh_networks: MeshNetworks | None = None


__all__ = [
    "AuthzRequestBody",
    "ClusterLocal",
    "DefaultProviders",
    "DefaultTrafficPolicy",
    "ExtAuthzGrpc",
    "ExtAuthzHttp",
    "ExtensionProvider",
    "FileAccessLog",
    "GatewayTopology",
    "MeshConfig",
    "MeshConfigMap",
    "MeshData",
    "MeshInboundPolicy",
    "MeshNetwork",
    "MeshNetworks",
    "MeshOutboundPolicy",
    "NamespaceSelector",
    "NetworkEndpoints",
    "NetworkGateway",
    "PathNormalization",
    "ProviderService",
    "ProxyProtocolConfiguration",
    "ProxySettings",
    "SelectorRequirement",
    "ServiceSettings",
    "TlsSettings",
    "Tracing",
]
