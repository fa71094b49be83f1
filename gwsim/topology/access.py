"""Access rules in Envoy's vocabulary: what an RBAC rule tests of a request or connection.

A rule is a tree: leaves test one thing, `AllOf`, `AnyOf` and `Not` join them. Permissions and principals of Envoy are
the same tree here, since both must hold.
Source: envoyproxy/envoy api/envoy/config/rbac/v3/rbac.proto; what Istio makes of a policy: istio
pilot/pkg/security/authz/model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gwsim.diagnostics import Span
    from gwsim.topology.routes import StringMatch


@dataclass(frozen=True, slots=True)
class Anything:
    """Always holds."""


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; holds when there is none."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Some part holds; never holds when there is none."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


@dataclass(frozen=True, slots=True)
class HeaderIs:
    """A header (lower-case name, pseudo-headers too) is there and matches."""

    name: str
    match: StringMatch


@dataclass(frozen=True, slots=True)
class PathIs:
    """The path without its query matches."""

    match: StringMatch


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """The path without its query fits a template: `{*}` is one segment, `{**}` any number of them."""

    template: str


@dataclass(frozen=True, slots=True)
class AddressIn:
    """An address lies in a block. `direct` is the peer of the connection, `remote` the client as
    X-Forwarded-For or the PROXY protocol tell it, `destination` the address connected to."""

    which: Literal["direct", "remote", "destination"]
    block: str


@dataclass(frozen=True, slots=True)
class PortIs:
    """The port the connection came in on: the one the proxy listens on, not a Service's."""

    port: int


@dataclass(frozen=True, slots=True)
class PeerIs:
    """The peer of a mutual TLS connection has a matching SPIFFE identity (`spiffe://...` included)."""

    match: StringMatch


@dataclass(frozen=True, slots=True)
class ServerNameIs:
    """The SNI of the connection matches."""

    match: StringMatch


@dataclass(frozen=True, slots=True)
class ClaimIs:
    """A claim of the verified token matches: a text, or an item of a list. `path` goes from the outermost key inwards."""

    path: tuple[str, ...]
    match: StringMatch


@dataclass(frozen=True, slots=True)
class MetadataIs:
    """Dynamic metadata of another filter. The model does not follow it; it never matches."""

    filter: str
    key: str
    match: StringMatch


Condition = (
    Anything | AllOf | AnyOf | Not | HeaderIs | PathIs | PathTemplate | AddressIn | PortIs | PeerIs | ServerNameIs | ClaimIs
    | MetadataIs
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """A named rule. Istio names them `ns[<namespace>]-policy[<name>]-rule[<index>]`."""

    name: str
    condition: Condition
    origin: Span | None = None
    """The rule of the AuthorizationPolicy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """Rules with what a match means.

    `ALLOW`: a request that no policy matches is refused, so no policies at all refuse everything.
    `DENY`: a request that some policy matches is refused. `LOG` refuses nothing.
    """

    action: Literal["ALLOW", "DENY", "LOG"]
    policies: tuple[AccessPolicy, ...] = ()
