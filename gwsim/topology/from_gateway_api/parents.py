"""What routes attach to, and whether they may.

Source: istio/istio pilot/pkg/config/kube/gateway/conversion.go (`extractParentReferenceInfo`, `referenceAllowed`,
`hostnameAllowedByIsolation`, `generateSupportedKinds`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gwsim.diagnostics import did_you_mean
from gwsim.resources.models import (
    GatewayGRPCRoute,
    GatewayHTTPRoute,
    GatewayTCPRoute,
    GatewayTLSRoute,
    ParentReference,
)
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.hosts import intersection, service_host, subset_of
from gwsim.topology.from_istio.virtual_services import MESH

GATEWAY_GROUP = "gateway.networking.k8s.io"
LISTENER_SET_GROUPS = (GATEWAY_GROUP, "gateway.networking.x-k8s.io")
ISTIO_GROUP = "networking.istio.io"

AnyRoute = GatewayHTTPRoute | GatewayGRPCRoute | GatewayTLSRoute | GatewayTCPRoute
Key = tuple[str, str, str]
"""`Gateway` or `ListenerSet`, namespace, name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parent:
    """A listener that routes can attach to."""

    key: Key
    gateway: str
    """Name of the Gateway made of the listener, with its namespace."""
    section: str
    port: int
    protocol: str
    hostname: str
    """As written; empty: all."""
    namespaces: tuple[str, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A route on a listener, or (with `hosts`) in the mesh."""

    gateway: str
    parent: Parent | None = None
    others: tuple[str, ...] = ()
    """Host names of other listeners of the same port and protocol."""
    hosts: tuple[str, ...] = ()
    """Hosts of the service, for the mesh."""
    port: int | None = None
    producer: bool = True
    """In the mesh: the route is in the namespace of the service, so it counts for all clients."""

    @property
    def mesh(self) -> bool:
        """Whether it is for clients in the mesh."""
        return self.gateway == MESH

    def admits(self, host: str) -> bool:
        """Listener isolation: a wildcard listener leaves out hosts that a more specific one serves."""
        own = self.parent.hostname if self.parent is not None else ""
        if own and not own.startswith("*"):
            return True
        if own and not intersection([host], [own]):
            return False
        return not any(len(own) <= len(other) and subset_of(host, other) for other in self.others)


def supported_kinds(protocol: str, passthrough: bool) -> tuple[str, ...]:
    """Kinds of routes that a protocol can carry."""
    match protocol:
        case "HTTP" | "HTTPS":
            return ("HTTPRoute", "GRPCRoute")
        case "TLS":
            return ("TLSRoute",) if passthrough else ("TLSRoute", "TCPRoute")
        case "TCP":
            return ("TCPRoute",)
    return ()


@dataclass(slots=True)
class Parents:
    """All listeners by the object they are written in."""

    ctx: Context
    by_key: dict[Key, list[Parent]] = field(default_factory=dict)
    foreign: set[tuple[str, str]] = field(default_factory=set)
    """Gateways of other controllers: their routes are none of Istio's business."""

    def add(self, parent: Parent) -> None:
        """Take in a listener."""
        self.by_key.setdefault(parent.key, []).append(parent)

    def attach(self, route: AnyRoute) -> list[Attachment]:
        """Where the route is served; what keeps it from a parent is reported."""
        hostnames = getattr(route, "hostnames", ())
        found: list[Attachment] = []
        for position, ref in enumerate(route.parent_refs):
            found += self._referenced(route, ref, f"parentRefs[{position}]", hostnames)
        return sorted(found, key=lambda one: one.gateway)

    def _referenced(
        self, route: AnyRoute, ref: ParentReference, path: str, hostnames: Sequence[str]
    ) -> list[Attachment]:
        group = GATEWAY_GROUP if ref.group is None else ref.group
        kind, namespace = ref.kind or "Gateway", ref.namespace or route.namespace
        if (group, kind) in (("", "Service"), (ISTIO_GROUP, "ServiceEntry")):
            return self._in_mesh(route, ref, kind, namespace, path)
        if kind == "Gateway" and group == GATEWAY_GROUP:
            key = ("Gateway", namespace, ref.name)
        elif kind in ("ListenerSet", "XListenerSet") and group in LISTENER_SET_GROUPS:
            key = ("ListenerSet", namespace, ref.name)
        else:
            self._report(route, path, f"{kind} ({group}) is nothing that Istio attaches routes to")
            return []
        listeners = self.by_key.get(key)
        if listeners is None:
            if (namespace, ref.name) not in self.foreign:
                self._report_missing(route, path, key)
            return []
        reasons: dict[str, None] = {}
        found: list[Attachment] = []
        for parent in listeners:
            reason = _denied(parent, ref, route, hostnames)
            if reason:
                reasons[reason] = None
                continue
            alike = [one for one in listeners if one is not parent and (one.port, one.protocol) == (parent.port, parent.protocol)]
            others = tuple({one.hostname for one in alike if one.hostname} - {parent.hostname})
            found.append(Attachment(gateway=parent.gateway, parent=parent, others=others))
        if not found:
            self._report(route, path, f"it is not served by {kind} {namespace}/{ref.name}: {'; '.join(reasons) or 'it has no listener'}")
        return found

    def _in_mesh(
        self, route: AnyRoute, ref: ParentReference, kind: str, namespace: str, path: str
    ) -> list[Attachment]:
        registry = self.ctx.registry
        if kind == "Service":
            host = service_host(ref.name, namespace)
            hosts: tuple[str, ...] = (host,) if registry.hosts.get(host) else ()
        else:
            entry = next((one for one in registry.service_entries if (one.namespace, one.name) == (namespace, ref.name)), None)
            hosts = tuple(one.lower() for one in entry.hosts) if entry is not None else ()
        if not hosts:
            self._report(route, path, f"there is no {kind} {namespace}/{ref.name}")
            return []
        return [Attachment(gateway=MESH, hosts=hosts, port=ref.port, producer=namespace == route.namespace)]

    def _report_missing(self, route: AnyRoute, path: str, key: Key) -> None:
        kind, namespace, name = key
        if self.ctx.registry.assumed.has(kind, namespace, name):
            return
        known = [f"{one[1]}/{one[2]}" for one in self.by_key if one[0] == kind]
        help = did_you_mean(f"{namespace}/{name}", known) or f"if it is kept elsewhere, declare it: assume_exists: [{kind}/{namespace}/{name}]"
        self._report(route, path, f"there is no {kind} {namespace}/{name}", help)

    def _report(self, route: AnyRoute, path: str, why: str, help: str | None = None) -> None:
        self.ctx.find("ROUTE_NOT_ATTACHED", f"{route.ref}: {why}", route, path, help=help)


def _denied(parent: Parent, ref: ParentReference, route: AnyRoute, hostnames: Sequence[str]) -> str:
    """Why a listener does not take a route; empty when it does."""
    if ref.port is not None and ref.port != parent.port:
        return f"no listener has port {ref.port}"
    if ref.section_name and ref.section_name != parent.section:
        return f"no listener is named {ref.section_name}"
    if not intersection(hostnames or ["*"], [parent.hostname or "*"]):
        return f"none of its hostnames is within that of listener {parent.section}, {parent.hostname}"
    if not any(one in ("*", route.namespace) for one in parent.namespaces):
        return f"listener {parent.section} takes no routes from namespace {route.namespace}"
    if route.meta.kind not in parent.kinds:
        return f"listener {parent.section} takes no {route.meta.kind}"
    return ""
