"""gateway.networking.k8s.io: HTTPRoute, GRPCRoute, TLSRoute, TCPRoute and UDPRoute.

Source modelled: kubernetes-sigs/gateway-api apis/v1 and apis/v1alpha2, 1.5. Defaults are those of the CRDs where they do not
depend on anything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from gwsim.resources.models.base import ApiSeconds, Json, Natural, Opaque, Port, Resource

MatchType = Literal["Exact", "RegularExpression"]
Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentReference:
    """What a route attaches to: a Gateway, a ListenerSet, or (in the mesh) a Service or ServiceEntry."""

    name: str
    group: str | None = None
    kind: str | None = None
    namespace: str | None = None
    section_name: str | None = None
    port: Port | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatchRule:
    """`PathPrefix` compares whole segments and ignores a slash at its end."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMatch:
    """A condition on a header or query parameter."""

    name: str
    value: str
    type: MatchType = "Exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRouteMatch:
    """All conditions must hold; without a path every path is taken."""

    path: PathMatchRule = field(default_factory=PathMatchRule)
    headers: tuple[NamedMatch, ...] = ()
    query_params: tuple[NamedMatch, ...] = ()
    method: Method | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPHeader:
    """A header and its value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderModifier:
    """Headers to set, add and remove."""

    set: tuple[HTTPHeader, ...] = ()
    add: tuple[HTTPHeader, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendReference:
    """Where a copy of the traffic goes; a Service unless `kind` says otherwise."""

    name: str
    group: str | None = None
    kind: str | None = None
    namespace: str | None = None
    port: Port | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fraction:
    """`numerator` out of `denominator`."""

    numerator: Natural
    denominator: Natural = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMirror:
    """A copy of the traffic, fire and forget; neither `percent` nor `fraction`: all of it."""

    backend_ref: BackendReference
    percent: Natural | None = None
    fraction: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathModifier:
    """A new path: whole, or in place of the prefix that matched."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRedirect:
    """Answer with a redirect; parts left out are the request's."""

    scheme: Literal["http", "https"] | None = None
    hostname: str | None = None
    path: PathModifier | None = None
    port: Port | None = None
    status_code: Natural = 302


@dataclass(frozen=True, slots=True, kw_only=True)
class URLRewrite:
    """Host and path as the backend sees them."""

    hostname: str | None = None
    path: PathModifier | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CORSFilter:
    """Cross-origin policy. `max_age` in seconds."""

    allow_origins: tuple[str, ...] = ()
    allow_credentials: bool | None = None
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Natural = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRouteFilter:
    """One step of a rule; the block named by `type` belongs to it. Istio refuses ExtensionRef and ExternalAuth."""

    type: Literal[
        "RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "RequestRedirect", "URLRewrite", "CORS",
        "ExtensionRef", "ExternalAuth",
    ]  # fmt: skip
    request_header_modifier: HeaderModifier | None = None
    response_header_modifier: HeaderModifier | None = None
    request_mirror: RequestMirror | None = None
    request_redirect: RequestRedirect | None = None
    url_rewrite: URLRewrite | None = None
    cors: CORSFilter | None = None
    extension_ref: Opaque = None
    external_auth: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPBackendRef:
    """A share of a rule. A Service unless `kind` says otherwise."""

    name: str
    group: str | None = None
    kind: str | None = None
    namespace: str | None = None
    port: Port | None = None
    weight: Natural = 1
    filters: tuple[HTTPRouteFilter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRouteTimeouts:
    """`request` is for all tries together, `backend_request` for one; 0 switches off."""

    request_s: ApiSeconds | None = None
    backend_request_s: ApiSeconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRouteRetry:
    """Retries on these status codes, and on connection errors."""

    codes: tuple[Natural, ...] = ()
    attempts: Natural | None = None
    backoff_s: ApiSeconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPRouteRule:
    """`matches` None: not given, so every request; given, each is one alternative."""

    name: str | None = None
    matches: tuple[HTTPRouteMatch, ...] | None = None
    filters: tuple[HTTPRouteFilter, ...] = ()
    backend_refs: tuple[HTTPBackendRef, ...] = ()
    timeouts: HTTPRouteTimeouts | None = None
    retry: HTTPRouteRetry | None = None
    session_persistence: Opaque = None


def _any_path() -> tuple[HTTPRouteRule, ...]:
    return (HTTPRouteRule(),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GatewayHTTPRoute(Resource):
    """An HTTPRoute. `hostnames` empty: those of the listeners."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[HTTPRouteRule, ...] = field(default_factory=_any_path)
    use_default_gateways: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GRPCMethodMatch:
    """Service and method of a call; at least one is given."""

    type: MatchType = "Exact"
    service: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GRPCRouteMatch:
    """All conditions must hold."""

    method: GRPCMethodMatch | None = None
    headers: tuple[NamedMatch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GRPCRouteFilter:
    """One step of a rule, as for HTTP."""

    type: Literal["RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"]
    request_header_modifier: HeaderModifier | None = None
    response_header_modifier: HeaderModifier | None = None
    request_mirror: RequestMirror | None = None
    extension_ref: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GRPCBackendRef:
    """A share of a rule."""

    name: str
    group: str | None = None
    kind: str | None = None
    namespace: str | None = None
    port: Port | None = None
    weight: Natural = 1
    filters: tuple[GRPCRouteFilter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GRPCRouteRule:
    """Without `matches` it takes every call."""

    name: str | None = None
    matches: tuple[GRPCRouteMatch, ...] = ()
    filters: tuple[GRPCRouteFilter, ...] = ()
    backend_refs: tuple[GRPCBackendRef, ...] = ()
    session_persistence: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GatewayGRPCRoute(Resource):
    """A GRPCRoute."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[GRPCRouteRule, ...] = ()
    use_default_gateways: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class L4BackendRef:
    """A share of a TLS or TCP rule."""

    name: str
    group: str | None = None
    kind: str | None = None
    namespace: str | None = None
    port: Port | None = None
    weight: Natural = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class L4RouteRule:
    """Where the connections go."""

    name: str | None = None
    backend_refs: tuple[L4BackendRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GatewayTLSRoute(Resource):
    """A TLSRoute: connections by their SNI. `hostnames` empty: every SNI of the listener."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[L4RouteRule, ...]
    use_default_gateways: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GatewayTCPRoute(Resource):
    """A TCPRoute: every connection of a listener."""

    parent_refs: tuple[ParentReference, ...] = ()
    rules: tuple[L4RouteRule, ...]
    use_default_gateways: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GatewayUDPRoute(Resource):
    """A UDPRoute. Recognised; Istio does not serve it."""

    parent_refs: tuple[ParentReference, ...] = ()
    rules: tuple[L4RouteRule, ...]
    use_default_gateways: Annotated[Opaque, Json("useDefaultGateways")] = None
