"""networking.istio.io VirtualService. Source modelled: istio/api networking/v1alpha3/virtual_service.proto, 1.30."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from gwsim.resources.models.base import Json, Labels, Natural, Port, PositiveSeconds, Resource, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSelector:
    """A port by its number."""

    number: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A service as written: `host` may be a short name, taken in the VirtualService's namespace."""

    host: str
    subset: str | None = None
    port: PortSelector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StringMatch:
    """At most one of the three is set; none of them means "is present" (headers and query parameters)."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPMatchRequest:
    """One alternative of a route's `match`: all fields that are set must hold."""

    name: str | None = None
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: Mapping[str, StringMatch] = field(default_factory=dict)
    port: Port | None = None
    source_labels: Labels = field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    query_params: Mapping[str, StringMatch] = field(default_factory=dict)
    ignore_uri_case: bool = False
    without_headers: Mapping[str, StringMatch] = field(default_factory=dict)
    source_namespace: str | None = None
    stat_prefix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderOperations:
    """Headers to set, add and remove."""

    set: Labels = field(default_factory=dict)
    add: Labels = field(default_factory=dict)
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """Header manipulation of requests and responses."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRouteDestination:
    """A share of a route. `weight` left out is 0; a single destination takes all whatever its weight."""

    destination: Destination
    weight: Natural = 0
    headers: Headers | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRedirect:
    """Answer with a redirect. `uri` replaces the whole path, `prefix_rewrite` (from 1.31) the matched prefix."""

    uri: str | None = None
    prefix_rewrite: str | None = None
    authority: str | None = None
    port: Port | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None
    scheme: str | None = None
    redirect_code: Natural = 301


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPBody:
    """The body of a direct response; `bytes_base64` as written."""

    string: str | None = None
    bytes_base64: Annotated[str | None, Json("bytes")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPDirectResponse:
    """Answer at the proxy with a fixed status, 200..599."""

    status: Natural
    body: HTTPBody | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexRewrite:
    """RE2 rewrite of the path."""

    match: str | None = None
    rewrite: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRewrite:
    """Rewrite before forwarding: `uri` replaces the matched prefix, `authority` the Host."""

    uri: str | None = None
    authority: str | None = None
    uri_regex_rewrite: RegexRewrite | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRetry:
    """Retries of a route. `attempts` left out is 0, and 0 switches retries off (the default of 2 is for
    routes without a `retries` block). `retry_on` empty keeps Istio's default conditions."""

    attempts: Natural = 0
    per_try_timeout_s: Seconds | None = None
    retry_on: str | None = None
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff_s: PositiveSeconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Percent:
    """A percentage, 0 to 100."""

    value: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultDelay:
    """Injected delay; without a `percentage` it hits nobody. `percent` is the withdrawn integer form."""

    percent: Natural | None = None
    fixed_delay_s: PositiveSeconds | None = None
    exponential_delay_s: PositiveSeconds | None = None
    percentage: Percent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultAbort:
    """Injected answer; without a `percentage` it hits nobody."""

    percent: Natural | None = None
    http_status: Natural | None = None
    grpc_status: str | None = None
    http2_error: Annotated[str | None, Json("http2Error")] = None
    percentage: Percent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPFaultInjection:
    """Faults injected before the router."""

    delay: FaultDelay | None = None
    abort: FaultAbort | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPMirrorPolicy:
    """A copy of the traffic, fire and forget; no `percentage` means all."""

    destination: Destination
    percentage: Percent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsPolicy:
    """Cross-origin policy of a route."""

    allow_origin: tuple[str, ...] = ()
    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age_s: Seconds | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """The VirtualService that holds the routes in place of this one."""

    name: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRoute:
    """One rule of `http`. `match` empty means every request; `timeout_s` None or 0 means no timeout."""

    name: str | None = None
    match: tuple[HTTPMatchRequest, ...] = ()
    route: tuple[HTTPRouteDestination, ...] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout_s: Seconds | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: tuple[HTTPMirrorPolicy, ...] = ()
    mirror_percent: Natural | None = None
    mirror_percentage: Percent | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDestination:
    """A share of a TLS or TCP route; weights as for HTTP."""

    destination: Destination
    weight: Natural = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSMatchAttributes:
    """A match on the SNI of a passed-through connection."""

    sni_hosts: tuple[str, ...]
    destination_subnets: tuple[str, ...] = ()
    port: Port | None = None
    source_labels: Labels = field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    source_namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSRoute:
    """One rule of `tls`, for servers that pass TLS through."""

    match: tuple[TLSMatchAttributes, ...]
    route: tuple[RouteDestination, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class L4MatchAttributes:
    """A match on a TCP connection. At gateways only `port` and `gateways` count."""

    destination_subnets: tuple[str, ...] = ()
    port: Port | None = None
    source_subnet: str | None = None
    source_labels: Labels = field(default_factory=dict)
    gateways: tuple[str, ...] = ()
    source_namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TCPRoute:
    """One rule of `tcp`."""

    match: tuple[L4MatchAttributes, ...] = ()
    route: tuple[RouteDestination, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VirtualService(Resource):
    """Routes for hosts. `gateways` empty means `mesh`: no gateway serves it. Names are as written."""

    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    export_to: tuple[str, ...] = ()


