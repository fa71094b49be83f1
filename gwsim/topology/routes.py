"""Route configurations: virtual hosts, routes, what they match and what they do.

Source: envoyproxy/envoy api/envoy/config/route/v3/route_components.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gwsim.diagnostics import Span
    from gwsim.topology.filters import HttpConfig, RateLimitRule

StringMatchKind = Literal["exact", "prefix", "suffix", "contains", "regex", "present"]
PathMatchKind = Literal["any", "exact", "prefix", "path_separated_prefix", "regex"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StringMatch:
    """A condition on a text; `regex` is RE2 and must match the whole text, `present` accepts any."""

    kind: StringMatchKind
    value: str = ""
    ignore_case: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMatch:
    """A condition on the path without its query.

    `prefix` is a prefix of the text (`/foo` matches `/foobar`), `path_separated_prefix` one of whole segments.
    """

    kind: PathMatchKind = "any"
    value: str = ""
    ignore_case: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderMatch:
    """A condition on a header (name in lower case); several values of a header count joined with commas."""

    name: str
    match: StringMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryMatch:
    """A condition on the first value of a query parameter."""

    name: str
    match: StringMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMatch:
    """A condition on a verified JWT claim (`@request.auth.claims`), `path` from the outermost key inwards."""

    path: tuple[str, ...]
    match: StringMatch
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMatch:
    """All conditions must hold. `without_headers` must not match; an absent header counts as empty there."""

    path: PathMatch = field(default_factory=PathMatch)
    headers: tuple[HeaderMatch, ...] = ()
    without_headers: tuple[HeaderMatch, ...] = ()
    query_params: tuple[QueryMatch, ...] = ()
    claims: tuple[ClaimMatch, ...] = ()
    method: StringMatch | None = None
    authority: StringMatch | None = None
    scheme: StringMatch | None = None

    @property
    def catch_all(self) -> bool:
        """Whether every request matches (prefix `/` or regex `.*` and no other condition).

        Source: istio pilot/pkg/networking/core/route/route.go `isCatchAllRoute`.
        """
        any_path = (
            self.path.kind == "any"
            or (self.path.kind == "prefix" and self.path.value == "/")
            or (self.path.kind == "regex" and self.path.value == ".*")
        )
        other = self.headers or self.without_headers or self.query_params or self.claims
        return any_path and not other and not (self.method or self.authority or self.scheme)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When and how often the router tries again; back-off k is uniform in [0, min(base * 2^(k-1), max)).

    Source: envoy/config/route/v3 RetryPolicy; Istio's values: pilot/pkg/networking/core/route/retry/retry.go.
    """

    num_retries: int
    retry_on: tuple[str, ...]
    retriable_status_codes: tuple[int, ...] = ()
    per_try_timeout_s: float | None = None
    base_interval_s: float = 0.025
    max_interval_s: float = 0.25
    host_selection_retry_max_attempts: int = 5
    previous_hosts: bool = True
    """Hosts already tried are avoided, for `host_selection_retry_max_attempts` selections."""
    previous_priorities: bool = False
    """Localities already tried are avoided too (`retryRemoteLocalities`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChanges:
    """Headers set, added and removed, in that order of fields; names as written."""

    set: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedCluster:
    """A destination and its weight, relative to the sum of the weights beside it."""

    cluster: str
    weight: int = 1
    missing: bool = False
    """The proxy has no such cluster. Route choice fills this in."""
    meant: str = ""
    """The cluster it would have been, where istiod leaves the destination empty because it may not be used."""
    request_headers: HeaderChanges | None = None
    response_headers: HeaderChanges | None = None
    host_rewrite: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HashPolicy:
    """Where a hash for RING_HASH and MAGLEV comes from."""

    kind: Literal["header", "cookie", "source_ip", "query_parameter"]
    name: str = ""
    cookie_path: str = ""
    cookie_ttl_s: float | None = None
    """A cookie with a time to live (0: of the session) is made when the client has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRewrite:
    """`prefix`: the matched prefix becomes `value`; `full`: the whole path does; `regex`: RE2 substitution."""

    kind: Literal["prefix", "full", "regex"]
    value: str
    pattern: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Proxy the request to one of `clusters`; none left means 503, as for a missing cluster."""

    clusters: tuple[WeightedCluster, ...]
    timeout_s: float = 0.0
    """Of the whole request including retries; 0: none."""
    retry_policy: RetryPolicy | None = None
    path_rewrite: PathRewrite | None = None
    host_rewrite: str = ""
    hash_policy: tuple[HashPolicy, ...] = ()
    cluster_not_found_status: int = 503
    """500 for routes of the Gateway API."""
    max_grpc_timeout_s: float = 0.0
    """Cap on a client's `grpc-timeout`; 0: honoured as it is."""
    mirrors: tuple[Mirror, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A copy of `percent` of the requests, sent to `cluster` and forgotten."""

    cluster: str
    percent: float = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Answer with a Location; empty parts are kept from the request."""

    status: int = 301
    scheme: str = ""
    host: str = ""
    port: int | None = None
    path: str = ""
    prefix_rewrite: str | None = None
    """Replaces the matched prefix instead of the whole path."""
    strip_port: bool = False
    """The default port of the scheme in the request's host is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectResponse:
    """Answer at once."""

    status: int
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAction:
    """A route that matches and says nothing to do; Envoy would refuse it. Kept so that the choice can say so."""

    reason: str


Action = Forward | Redirect | DirectResponse | NoAction


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultDelay:
    """`percent` of the requests wait `delay_s` before the router sees them."""

    percent: float
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultAbort:
    """`percent` of the requests are answered with `status` (or a gRPC status) by the fault filter."""

    percent: float
    status: int = 0
    grpc_status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """The route's CORS policy."""

    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age_s: float | None = None
    allow_credentials: bool = False
    forward_unmatched_preflights: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One rule of a virtual host; the first that matches wins."""

    name: str
    match: RouteMatch
    action: Action
    fault_delay: FaultDelay | None = None
    fault_abort: FaultAbort | None = None
    cors: Cors | None = None
    request_headers: HeaderChanges | None = None
    response_headers: HeaderChanges | None = None
    filter_config: Mapping[str, HttpConfig] = field(default_factory=dict)
    """Configuration of HTTP filters for this route, by filter name; it stands before the virtual host's."""
    rate_limits: tuple[RateLimitRule, ...] = ()
    include_vh_rate_limits: bool = False
    """Rate limit rules of the virtual host count beside the route's own; without own ones they always count."""
    origin: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualHost:
    """The routes of some domains: exact names, `*.suffix`, `prefix.*` or `*`; compared without case and port."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...] = ()
    require_tls: bool = False
    """Plaintext requests are redirected to https (301) whatever the routes say."""
    request_headers: HeaderChanges | None = None
    response_headers: HeaderChanges | None = None
    filter_config: Mapping[str, HttpConfig] = field(default_factory=dict)
    rate_limits: tuple[RateLimitRule, ...] = ()
    origin: Span | None = None


# Weak references let route choice keep its tables beside the immutable object they are made from.
@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True, eq=False)
class RouteConfiguration:
    """The virtual hosts one HTTP connection manager chooses from."""

    name: str
    virtual_hosts: tuple[VirtualHost, ...] = ()
    ignore_port_in_host: bool = True
