"""TLSRoutes and TCPRoutes as VirtualServices.

Source: istio/istio pilot/pkg/config/kube/gateway/conversion.go (`convertTCPRoute`, `convertTLSRoute`),
route_collections.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from gwsim.resources.models import (
    Destination,
    GatewayTCPRoute,
    GatewayTLSRoute,
    L4MatchAttributes,
    L4RouteRule,
    Meta,
    PortSelector,
    RouteDestination,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    VirtualService,
)
from gwsim.topology.from_gateway_api.backends import Backends, NotTranslated, shares_of
from gwsim.topology.from_gateway_api.origins import route_origin
from gwsim.topology.from_gateway_api.parents import Attachment
from gwsim.topology.from_istio.hosts import intersection
from gwsim.topology.from_istio.virtual_services import Bound

NOWHERE = Destination(host="internal.cluster.local", subset="zero-weight", port=PortSelector(number=65535))
"""Where connections go when no backend has a weight: a cluster that does not exist, so they are closed."""


@dataclass(slots=True)
class L4Converter:
    """Makes what TLS and TCP routes come to on each of their parents."""

    backends: Backends

    def bound(self, route: GatewayTLSRoute | GatewayTCPRoute, attachments: list[Attachment]) -> list[Bound]:
        """One VirtualService for every parent."""
        made: list[Bound] = []
        for one in attachments:
            try:
                routes = [self._destinations(route, n, rule, granted=not one.mesh) for n, rule in enumerate(route.rules)]
            except NotTranslated as error:
                message = f"{route.ref}: istiod leaves the route out: {error.message}"
                self.backends.ctx.find("ROUTE_REFUSED", message, route, error.path)
                return []
            if isinstance(route, GatewayTLSRoute):
                made += _tls(route, one, routes)
            else:
                made += _tcp(route, one, routes)
        return made

    def _destinations(
        self, route: GatewayTLSRoute | GatewayTCPRoute, position: int, rule: L4RouteRule, *, granted: bool
    ) -> tuple[RouteDestination, ...]:
        taking = shares_of(rule.backend_refs)
        if not taking:
            return (RouteDestination(destination=NOWHERE),)
        return tuple(
            RouteDestination(
                destination=self.backends.destination(
                    rule.backend_refs[n], route, f"rules[{position}].backendRefs[{n}]", granted=granted
                ),
                weight=weight,
            )
            for n, weight in taking
        )


def stand_in(route: GatewayTLSRoute | GatewayTCPRoute, **fields: object) -> VirtualService:
    """A VirtualService with the route's name and place."""
    known = route.meta
    meta = Meta(
        api_version=known.api_version, kind=known.kind, name=known.name, namespace=known.namespace,
        creation_timestamp=known.creation_timestamp,
    )  # fmt: skip
    return VirtualService(meta=meta, origin=route_origin(route), **fields)  # type: ignore[arg-type]


def _bound(source: VirtualService, gateway: str, hosts: tuple[str, ...]) -> Bound:
    return Bound(source, hosts, (gateway,), (), "gateway")


def _export(attachment: Attachment) -> tuple[str, ...]:
    return () if attachment.producer else (".",)


def _tcp(route: GatewayTCPRoute, one: Attachment, routes: list[tuple[RouteDestination, ...]]) -> list[Bound]:
    match = (L4MatchAttributes(port=one.port),) if one.port is not None else ()
    hosts = one.hosts or ("*",)
    tcp = tuple(TCPRoute(match=match, route=parts) for parts in routes)
    source = stand_in(route, hosts=hosts, gateways=(one.gateway,), tcp=tcp, export_to=_export(one))
    return [_bound(source, one.gateway, hosts)]


def _tls(route: GatewayTLSRoute, one: Attachment, routes: list[tuple[RouteDestination, ...]]) -> list[Bound]:
    """Server names: the route's within those of the listener; in the mesh the service's where the route has none."""
    names = tuple(route.hostnames) or ("*",)
    if one.mesh:
        hosts, sni = one.hosts, tuple(route.hostnames) or one.hosts
    else:
        listener = one.parent.hostname if one.parent is not None else ""
        hosts = sni = tuple(name for name in intersection(names, [listener or "*"]) if one.admits(name))
    if not sni:
        return []
    match = (TLSMatchAttributes(sni_hosts=sni, port=one.port),)
    tls = tuple(TLSRoute(match=match, route=parts) for parts in routes)
    source = stand_in(route, hosts=hosts, gateways=(one.gateway,), tls=tls, export_to=_export(one))
    return [_bound(source, one.gateway, hosts)]
