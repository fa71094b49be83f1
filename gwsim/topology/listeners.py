"""What a proxy accepts: listeners, filter chains, TLS, HTTP connection managers and TCP proxies.

Sources: envoyproxy/envoy api/envoy/config/listener/v3, extensions/filters/network/{http_connection_manager,tcp_proxy}.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from gwsim.topology.filters import HttpConfig, NetworkConfig, Unmodelled
from gwsim.topology.routes import HashPolicy, RouteConfiguration, WeightedCluster

if TYPE_CHECKING:
    from gwsim.diagnostics import Span

TlsMode = Literal["simple", "mutual", "optional_mutual", "istio_mutual"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DownstreamTls:
    """TLS terminated by a filter chain."""

    mode: TlsMode
    certificate: str = "unknown"
    """Kind of key: `rsa2048`, `rsa3072`, `rsa4096`, `p256`, `p384`, `unknown`.

    With an RSA and an ECDSA certificate it is the ECDSA one, which clients of today choose.
    """
    require_client_certificate: bool = False
    min_version: str = "1.2"
    max_version: str = "1.3"
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    credential_name: str = ""
    usable: bool = True
    """False when the secret is missing: no handshake on this chain can complete."""
    cipher_suites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterChainMatch:
    """Which connections a chain takes; an empty field takes all.

    `server_names` are exact names or `*.suffix`. A chain with server names or application protocols needs a TLS
    client hello.
    """

    server_names: tuple[str, ...] = ()
    transport_protocol: Literal["", "tls", "raw_buffer"] = ""
    application_protocols: tuple[str, ...] = ()
    destination_port: int | None = None
    prefix_ranges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFilter:
    """An HTTP filter in the chain of a connection manager, in order; the router is implied at the end."""

    name: str
    config: HttpConfig = field(default_factory=Unmodelled)
    origin: Span | None = None


# A weak reference lets the choice keep what it has compiled of the filters.
@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class HttpConnectionManager:
    """HTTP/1.1 and HTTP/2 with route choice. Defaults are those of an Istio gateway; 0 means no limit.

    Source: istio pilot/pkg/networking/core/{listener_builder,gateway}.go.
    """

    route_config: RouteConfiguration
    stat_prefix: str = ""
    codec: Literal["AUTO", "HTTP1", "HTTP2"] = "AUTO"
    http_filters: tuple[HttpFilter, ...] = ()
    use_remote_address: bool = True
    xff_num_trusted_hops: int = 0
    idle_timeout_s: float = 3600.0
    stream_idle_timeout_s: float = 0.0
    request_timeout_s: float = 0.0
    max_connection_duration_s: float = 0.0
    max_requests_per_connection: int | None = None
    max_concurrent_streams: int | None = None
    normalize_path: bool = True
    merge_slashes: bool = False
    unescape_slashes: bool = False
    """`%2F` and `%5C` become slashes before slashes are merged."""
    accept_http_10: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpProxy:
    """Bytes are copied to one cluster chosen per connection."""

    clusters: tuple[WeightedCluster, ...]
    stat_prefix: str = ""
    idle_timeout_s: float = 3600.0
    max_connection_duration_s: float = 0.0
    max_connect_attempts: int = 1
    hash_policy: tuple[HashPolicy, ...] = ()
    route: str = ""
    """Name of the rule it was made from."""
    origin: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFilter:
    """A network filter before the connection manager or TCP proxy (authorization on TCP, mongo, ...)."""

    name: str
    config: NetworkConfig = field(default_factory=Unmodelled)
    origin: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterChain:
    """What happens to a connection that `match` takes: TLS if any, then HTTP or TCP."""

    name: str
    match: FilterChainMatch = field(default_factory=FilterChainMatch)
    tls: DownstreamTls | None = None
    filter: HttpConnectionManager | TcpProxy
    network_filters: tuple[NetworkFilter, ...] = ()
    handshake_timeout_s: float = 15.0
    origin: Span | None = None
    """The Gateway server it was made from."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True, eq=False)
class Listener:
    """A port a proxy listens on.

    `declared_ports` are the numbers that Gateways gave for it; a Service port may map them to `port`.
    """

    name: str
    port: int
    declared_ports: tuple[int, ...] = ()
    bind: str = ""
    """Empty: all addresses."""
    protocol: Literal["tcp", "udp"] = "tcp"
    filter_chains: tuple[FilterChain, ...] = ()
    default_chain: FilterChain | None = None
    """Takes what no chain matches; None: such connections are closed."""
    max_connections: int = 2**31 - 1
    accepts_per_event: int = 1
    """Connections a worker accepts per turn of its loop."""
    proxy_protocol: bool = False
