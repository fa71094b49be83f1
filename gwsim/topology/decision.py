"""What goes into route choice and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from gwsim.topology.routes import (
    FaultAbort,
    FaultDelay,
    HashPolicy,
    HeaderChanges,
    Mirror,
    RetryPolicy,
    Route,
    WeightedCluster,
)

if TYPE_CHECKING:
    from gwsim.diagnostics import Span
    from gwsim.topology.filters import Descriptor, HttpConfig


class Outcome(StrEnum):
    """What becomes of a request, before any of its weights and percentages are drawn."""

    FORWARD = "forward"
    REDIRECT = "redirect"
    DIRECT_RESPONSE = "direct_response"
    FAULT_ABORT = "fault_abort"
    """A fault that aborts every request; rarer ones are `forward` with `Decision.fault_abort`."""
    NOT_FOUND = "not_found"
    """No virtual host or no route."""
    DENIED = "denied"
    """Refused by authorization or JWT rules."""
    ERROR = "error"
    """A route matched and cannot be served: no such cluster (NC) or no endpoint (UH)."""
    TIMEOUT = "timeout"
    """The backend takes longer than the route allows. Route choice alone never says so: see `exchange.in_time`."""
    MISDIRECTED = "misdirected"
    """Answered with 421: the connection's server name belongs to another listener than the host."""
    CONNECTION_REJECTED = "connection_rejected"
    """No filter chain, no handshake, or closed by policy."""
    NO_LISTENER = "no_listener"
    BLACKHOLE = "blackhole"
    """A destination the mesh does not know, with outbound policy REGISTRY_ONLY (sidecars)."""
    PASSTHROUGH = "passthrough"
    """A destination the mesh does not know, sent on as it is (sidecars)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request (or connection) as its client makes it.

    `scheme`: `grpc` is gRPC without TLS; `tls` an opaque TLS connection of which only the SNI counts; `tcp` bytes.
    `sni` None is what a usual client sends: the host, unless that is an address; empty is no SNI at all.
    `client_certificate` None: presented when asked for. `destination` is the service or address that a client behind
    a sidecar connects to; empty: that of `host`. `remote_ip` is the client's address as the proxy sees it.
    """

    scheme: Literal["http", "https", "grpc", "tls", "tcp"] = "http"
    sni: str | None = None
    host: str = ""
    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    alpn: tuple[str, ...] = ()
    client_certificate: bool | None = None
    claims: Mapping[str, Any] | None = None
    """Claims of a token that verifies; None: no such token. Without `iss` and `aud` they are taken to be the right ones."""
    token_rejected: bool = False
    """A token is sent that does not verify."""
    principal: str = ""
    """Identity in the client's certificate, `<trust domain>/ns/<namespace>/sa/<account>`; counts with mutual TLS."""
    destination: str = ""
    remote_ip: str = ""
    http_version: Literal["", "1.0", "1.1", "2", "3"] = ""

    @property
    def encrypted(self) -> bool:
        """Whether the connection starts with a TLS client hello."""
        return self.scheme in ("https", "tls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Path and host as the backend sees them; None: unchanged."""

    path: str | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a redirect points; `port` None is the scheme's default."""

    scheme: str
    host: str
    port: int | None
    path: str

    def __str__(self) -> str:
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.scheme}://{self.host}{port}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing looked at on the way, whether it was taken, and why."""

    kind: Literal["listener", "filter_chain", "tls", "virtual_host", "route", "filter", "cluster"]
    name: str
    taken: bool
    why: str
    span: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveFilter:
    """A filter that has something to do for a request, with what its route and virtual host say about it.

    `descriptors` are those a rate limit is asked for; `name` is the filter's in Envoy.
    """

    name: str
    config: HttpConfig
    descriptors: tuple[Descriptor, ...] = ()
    origin: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The result of route choice. Weights, percentages and hashes are left to be drawn per request.

    `status` is 200 for "answered by the backend" and 0 where there is no HTTP answer.
    """

    outcome: Outcome
    status: int = 0
    flags: tuple[str, ...] = ()
    reason: str = ""
    listener: str = ""
    filter_chain: str = ""
    virtual_host: str = ""
    route: str = ""
    rule: Route | None = None
    clusters: tuple[WeightedCluster, ...] = ()
    rewrite: Rewrite | None = None
    redirect: Location | None = None
    body: str = ""
    timeout_s: float = 0.0
    retry_policy: RetryPolicy | None = None
    hash_policy: tuple[HashPolicy, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    fault_delay: FaultDelay | None = None
    fault_abort: FaultAbort | None = None
    preflight: bool = False
    """A CORS preflight that the proxy answers."""
    carried_headers: Mapping[str, str] | None = None
    """The request's headers once its token was checked; None: as the client sent them."""
    host_request_headers: HeaderChanges | None = None
    """Changes that the virtual host makes after the route's."""
    host_response_headers: HeaderChanges | None = None
    route_config: str = ""
    filters: tuple[ActiveFilter, ...] = ()
    """The HTTP filters that act on the request, in order, up to the one that answers it."""
    answered_by: str = ""
    """The filter that answers; empty: the router, or nobody."""
    steps: tuple[Step, ...] = ()
    """Why, in order; only when asked for."""
