"""The conversion from beginning to end: listeners, then routes on them, policies, Ingresses.

Source: istio/istio pilot/pkg/config/kube/gateway/{controller,route_collections}.go (`mergeHTTPRoutes`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from gwsim.resources import ResourceSet
from gwsim.resources.models import GatewayGRPCRoute, GatewayHTTPRoute, Meta, Resource, VirtualService
from gwsim.topology.from_gateway_api.backends import Backends
from gwsim.topology.from_gateway_api.grants import Grants
from gwsim.topology.from_gateway_api.http import HttpConverter, in_order, on_port
from gwsim.topology.from_gateway_api.ingress import IngressConverter
from gwsim.topology.from_gateway_api.l4 import L4Converter
from gwsim.topology.from_gateway_api.listeners import ListenerConverter
from gwsim.topology.from_gateway_api.origins import route_origin
from gwsim.topology.from_gateway_api.parents import Attachment, Parents
from gwsim.topology.from_gateway_api.policies import backend_policies
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.converted import Converted
from gwsim.topology.from_istio.virtual_services import Bound, HttpRule

_Route = TypeVar("_Route", bound=Resource)
HttpSource = GatewayHTTPRoute | GatewayGRPCRoute


def convert(ctx: Context, resources: ResourceSet) -> Converted:
    """Everything of the Gateway API, and the Ingresses, in Istio's own terms."""
    parents, grants = Parents(ctx), Grants(resources.reference_grants)
    listeners = ListenerConverter(ctx, resources, grants, parents)
    listeners.convert()
    backends = Backends(ctx, grants)
    routes: list[Bound] = []
    for kind in (resources.http_routes, resources.grpc_routes):
        routes += _http_routes(kind, parents, HttpConverter(backends))
    l4 = L4Converter(backends)
    for tls in _by_age(resources.tls_routes):
        routes += l4.bound(tls, parents.attach(tls))
    for tcp in _by_age(resources.tcp_routes):
        routes += l4.bound(tcp, parents.attach(tcp))
    for udp in resources.udp_routes:
        ctx.find("NOT_MODELLED", f"{udp.ref}: Istio does not serve UDPRoutes", udp)
    ingresses = IngressConverter(ctx, resources)
    routes += ingresses.convert()
    return Converted(
        listeners=tuple(listeners.listeners),
        deployed=tuple(listeners.deployed),
        ingresses=tuple(ingresses.gateways),
        routes=tuple(routes),
        policies=backend_policies(ctx, resources),
    )


def _by_age(routes: Iterable[_Route]) -> list[_Route]:
    return sorted(routes, key=lambda one: (one.meta.creation_timestamp or "", one.namespace, one.name))


@dataclass(slots=True)
class _Group:
    """Rules of all routes of one kind on one listener and host, oldest route first."""

    first: HttpSource
    gateway: str
    host: str
    export_to: tuple[str, ...]
    rules: list[HttpRule] = field(default_factory=list)

    def bound(self) -> Bound:
        """As one VirtualService, in the order of precedence."""
        known = self.first.meta
        meta = Meta(
            api_version=known.api_version, kind=known.kind, name=known.name, namespace=known.namespace,
            creation_timestamp=known.creation_timestamp,
        )  # fmt: skip
        source = VirtualService(
            meta=meta, origin=route_origin(self.first), hosts=(self.host,), gateways=(self.gateway,), export_to=self.export_to
        )
        return Bound(source, (self.host,), (self.gateway,), tuple(in_order(self.rules)), "gateway")


def _http_routes(
    routes: Iterable[HttpSource], parents: Parents, converter: HttpConverter
) -> list[Bound]:
    """Routes merged by listener and host; those of the mesh by namespace, port and host."""
    groups: dict[tuple[str, str, str, int | None], _Group] = {}
    for route in _by_age(routes):
        attachments = parents.attach(route)
        made: dict[bool, list[HttpRule]] = {}
        for one in attachments:
            if one.mesh not in made:
                made[one.mesh] = converter.rules(route, granted=not one.mesh)
            rules = made[one.mesh] if one.port is None else on_port(made[one.mesh], one.port)
            for host in _hosts(route, one) if rules else ():
                key = (one.gateway, route.namespace if one.mesh else "", host, one.port)
                export_to = () if one.producer else (".",)
                groups.setdefault(key, _Group(route, one.gateway, host, export_to)).rules.extend(rules)
    return [group.bound() for group in groups.values()]


def _hosts(route: HttpSource, attachment: Attachment) -> list[str]:
    """The hosts a route serves on a listener, or those of the service in the mesh."""
    if attachment.mesh:
        return list(attachment.hosts)
    hostnames = dict.fromkeys(one.lower() for one in route.hostnames) or ("*",)
    return [one for one in hostnames if attachment.admits(one)]
