"""HTTP and network filters, typed: what each is told, in SI units, and nothing of what it does.

`HttpFilter.config`, `NetworkFilter.config` and the per-route `filter_config` hold one of these. The classes follow
Envoy's own configuration; the module that decides (`gwsim.topology.filtering`) and the engines' lowering say what
becomes of a request. A percentage is 0..100, a time is in seconds, a size in bytes.

Sources: envoyproxy/envoy api/envoy/extensions/filters/{http,network}; values and order that istiod sets: istio
pilot/pkg/networking/core/listener_builder.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gwsim.topology.access import AccessRules

if TYPE_CHECKING:
    from gwsim.topology.routes import FaultAbort, FaultDelay, HeaderMatch

RBAC = "envoy.filters.http.rbac"
JWT_AUTHN = "envoy.filters.http.jwt_authn"
EXT_AUTHZ = "envoy.filters.http.ext_authz"
EXT_PROC = "envoy.filters.http.ext_proc"
LOCAL_RATE_LIMIT = "envoy.filters.http.local_ratelimit"
RATE_LIMIT = "envoy.filters.http.ratelimit"
LUA = "envoy.filters.http.lua"
WASM = "envoy.filters.http.wasm"
FAULT = "envoy.filters.http.fault"
CORS = "envoy.filters.http.cors"
COMPRESSOR = "envoy.filters.http.compressor"
BUFFER = "envoy.filters.http.buffer"
GRPC_WEB = "envoy.filters.http.grpc_web"
GRPC_STATS = "envoy.filters.http.grpc_stats"
ROUTER = "envoy.filters.http.router"
METADATA_EXCHANGE = "istio.metadata_exchange"
ALPN = "istio.alpn"
ISTIO_STATS = "istio.stats"
NETWORK_RBAC = "envoy.filters.network.rbac"
NETWORK_EXT_AUTHZ = "envoy.filters.network.ext_authz"
NETWORK_LOCAL_RATE_LIMIT = "envoy.filters.network.local_ratelimit"
CONNECTION_LIMIT = "envoy.filters.network.connection_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataExchange:
    """Istio's exchange of workload metadata in headers. CPU only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcStats:
    """Counts of gRPC messages. CPU only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alpn:
    """Istio's choice of the upstream ALPN. CPU only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IstioStats:
    """Istio's request metrics. CPU only. `disabled`: metrics switched off by a Telemetry, in Istio's names."""

    disabled: tuple[str, ...] = ()
    tags: int = 0
    """Tags that a Telemetry adds or changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcWeb:
    """gRPC-Web to gRPC. CPU only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Fault injection. A route's `fault_delay` and `fault_abort` stand before the filter's own."""

    delay: FaultDelay | None = None
    abort: FaultAbort | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsFilter:
    """Answers preflights and adds CORS headers where the route has a policy (`Route.cors`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rbac:
    """Role based access control, HTTP or TCP. HTTP: 403 `RBAC: access denied`; TCP: the connection is closed.

    `shadow_rules` are evaluated (and paid for), and refuse nothing: dry runs.
    """

    rules: AccessRules | None = None
    shadow_rules: AccessRules | None = None
    status: int = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtLocation:
    """Where a token is looked for; `prefix` is cut off a header's value."""

    kind: Literal["header", "param", "cookie"]
    name: str
    prefix: str = ""


BEARER = (JwtLocation(kind="header", name="authorization", prefix="Bearer "), JwtLocation(kind="param", name="access_token"))
"""Where Envoy looks when a provider names no place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtProvider:
    """An issuer whose tokens are accepted.

    `keys` `inline`: in the configuration, no call per request (what istiod does by default); `remote`: Envoy fetches
    them from `cluster` and keeps them; `missing`: no token of this provider verifies.
    """

    issuer: str
    audiences: tuple[str, ...] = ()
    locations: tuple[JwtLocation, ...] = BEARER
    keys: Literal["inline", "remote", "missing"] = "inline"
    jwks_uri: str = ""
    cluster: str = ""
    fetch_timeout_s: float = 5.0
    space_delimited_claims: tuple[str, ...] = ("permission", "scope")
    """Claims whose text is a list, separated by spaces."""
    forward: bool = False
    """The token is passed on to the backend instead of being removed."""
    claims_to_headers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(header, path of the claim)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtAuthn:
    """Checks tokens. Each provider's token may be absent; one that is there must be good.

    No token: passes (access rules may refuse it later). A bad one: 401; a good one for another audience: 403.
    """

    providers: tuple[JwtProvider, ...]
    allow_missing: bool = True
    bypass_cors_preflight: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtAuthz:
    """A call to an authorization service before the request goes on.

    `only`: asked for the requests these rules match (Istio's CUSTOM action; the shadow RBAC filter that istiod puts
    before it is part of this); None: for all. `timeout_s` ends in `status_on_error`, unless `fail_open`.
    """

    cluster: str
    protocol: Literal["grpc", "http"] = "grpc"
    timeout_s: float = 0.2
    fail_open: bool = False
    status_on_error: int = 403
    path_prefix: str = ""
    with_body_max_bytes: int = 0
    """Bytes of the request's body sent along; 0: none, and the request need not be buffered."""
    allow_partial_body: bool = False
    only: AccessRules | None = None
    clear_route_cache: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtProc:
    """A stream to an external processor beside the request."""

    cluster: str
    message_timeout_s: float = 0.2
    failure_mode_allow: bool = False
    request_headers: bool = True
    response_headers: bool = True
    request_body: bool = False
    response_body: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBucket:
    """`tokens_per_fill` are added every `fill_interval_s`, never beyond `max_tokens`; it starts full."""

    max_tokens: int
    tokens_per_fill: int = 1
    fill_interval_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitAction:
    """How an entry of a descriptor is made of a request; an action that finds nothing makes the whole rule void.

    `generic_key` (key, value), `request_headers` (key; `header`), `remote_address`, `destination_cluster`,
    `source_cluster`, `header_value_match` (value if the `headers` all match, or with `expect_match` false if not),
    `query_parameters` (key; `header` names the parameter), `metadata` (not followed: void).
    """

    kind: Literal[
        "generic_key", "request_headers", "remote_address", "destination_cluster", "source_cluster", "header_value_match",
        "query_parameters", "metadata"
    ]  # fmt: skip
    key: str = ""
    value: str = ""
    header: str = ""
    skip_if_absent: bool = False
    expect_match: bool = True
    headers: tuple[HeaderMatch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitRule:
    """One descriptor made of each request: the entries of its actions in order."""

    actions: tuple[RateLimitAction, ...]
    stage: int = 0


Descriptor = tuple[tuple[str, str], ...]
"""Entries (key, value) of a descriptor, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorBucket:
    """A bucket of its own for the requests with this descriptor; an empty value stands for each value."""

    entries: Descriptor
    bucket: TokenBucket


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRateLimit:
    """A token bucket in the proxy: per pod, shared by its workers (`per_connection`: one for each connection).

    Without a `bucket` nothing is limited, unless a route's own configuration brings one. A request that finds it
    empty is counted for `enabled_percent` of the requests and refused for `enforced_percent` of those.
    """

    bucket: TokenBucket | None = None
    enabled_percent: float = 0.0
    enforced_percent: float = 0.0
    status: int = 429
    per_connection: bool = False
    rules: tuple[RateLimitRule, ...] = ()
    descriptors: tuple[DescriptorBucket, ...] = ()
    always_consume_default: bool = True
    stage: int = 0
    stat_prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A call to a rate limit service for requests that some `rate_limits` rule of their route or virtual host fits.

    An answer that does not come in time lets the request pass, or with `failure_mode_deny` refuses it with
    `status_on_error`.
    """

    domain: str
    cluster: str
    timeout_s: float = 0.02
    failure_mode_deny: bool = False
    status: int = 429
    status_on_error: int = 500
    stage: int = 0
    request_type: Literal["both", "internal", "external"] = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class LuaCall:
    """An HTTP call in a script's text, as far as its arguments are literals; `timeout_s` 0: not known."""

    cluster: str = ""
    timeout_s: float = 0.0
    asynchronous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lua:
    """A script. What it decides is not followed; what can be read off its text is here."""

    source: str = ""
    on_request: bool = True
    on_response: bool = False
    reads_body: bool = False
    may_respond: bool = False
    calls: tuple[LuaCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wasm:
    """A plugin. What it decides is not followed.

    `on_failure`: `closed` answers 503 when the module cannot be loaded or its VM died, `open` lets requests pass, `reload`
    starts the VM anew and is closed meanwhile.
    """

    name: str
    url: str = ""
    on_failure: Literal["closed", "open", "reload"] = "closed"
    phase: Literal["", "authn", "authz", "stats"] = ""
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressor:
    """Compression of responses (and of requests) that are long enough and of a listed type."""

    algorithm: Literal["gzip", "brotli", "zstd"] = "gzip"
    level: str = ""
    min_content_length_bytes: int = 30
    content_types: tuple[str, ...] = ()
    """Empty: Envoy's own list of text types."""
    requests: bool = False
    responses: bool = True
    enabled_percent: float = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """The whole request is read before it goes on; a longer one is answered 413."""

    max_request_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimit:
    """Connections of one listener's filter chain per pod; more are closed after `delay_s`."""

    max_connections: int
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLocalRateLimit:
    """A bucket of new connections per pod; one too many is closed."""

    bucket: TokenBucket
    enabled_percent: float = 100.0
    stat_prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """A filter switched off for a route or a virtual host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmodelled:
    """A filter that Envoy has and the model has not; requests pass it."""

    type: str = ""


HttpConfig = (
    MetadataExchange | GrpcStats | Alpn | IstioStats | GrpcWeb | Fault | CorsFilter | Rbac | JwtAuthn | ExtAuthz | ExtProc
    | LocalRateLimit | RateLimit | Lua | Wasm | Compressor | Buffer | Disabled | Unmodelled
)  # fmt: skip
NetworkConfig = Rbac | ExtAuthz | ConnectionLimit | NetworkLocalRateLimit | Wasm | Unmodelled
