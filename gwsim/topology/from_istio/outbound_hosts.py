"""Virtual hosts of a sidecar's route configurations: services of a port, and VirtualServices bound to the mesh.

Sources: istio/istio pilot/pkg/networking/core/httproute.go (`BuildSidecarOutboundVirtualHosts`, `dedupeDomains`,
`generateVirtualHostDomains`), pilot/pkg/networking/core/route/route.go (`BuildSidecarVirtualHostWrapper`,
`separateVSHostsAndServices`, `buildSidecarVirtualHostsForVirtualService`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gwsim.diagnostics import Span
from gwsim.resources.models import Destination, PortSelector, Service
from gwsim.topology.from_istio import protocols
from gwsim.topology.from_istio.context import Context, place
from gwsim.topology.from_istio.destinations import Destinations
from gwsim.topology.from_istio.hosts import subset_of
from gwsim.topology.from_istio.http_routes import RouteBuilder
from gwsim.topology.from_istio.registry import Host
from gwsim.topology.from_istio.retries import retry_policy
from gwsim.topology.from_istio.scope import Egress, Scope, alternative_names
from gwsim.topology.from_istio.virtual_services import MESH, Bound
from gwsim.topology.routes import (
    DirectResponse,
    Forward,
    Route,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from gwsim.topology.routing import BLOCK_ALL
from gwsim.topology.upstream import PASSTHROUGH_CLUSTER, cluster_name

ALLOW_ANY = "allow_any"
DEFAULT_ROUTE = "default"


@dataclass(slots=True)
class _Group:
    """Routes and the services and other hosts that get them."""

    routes: tuple[Route, ...]
    services: list[Host]
    hosts: list[str] = field(default_factory=list)
    origin: Span | None = None


@dataclass(slots=True)
class OutboundHosts:
    """Builds route configurations for one sidecar."""

    ctx: Context
    scope: Scope
    destinations: Destinations
    _made: dict[int, list[VirtualHost]] = field(default_factory=dict)
    _by_service: dict[int, dict[str, list[VirtualHost]]] = field(default_factory=dict)

    def shared(self, port: int) -> RouteConfiguration:
        """The route configuration of a port, named after it, with what becomes of unknown hosts."""
        egress = self.scope.egress_for(port)
        hosts: list[VirtualHost] = []
        if egress is not None:
            # Through an HTTP proxy any port can be named; hosts without a port are those of port 80.
            hosts = self._virtual_hosts(egress, 80 if egress.http_proxy else port)
        return RouteConfiguration(name=str(port), virtual_hosts=(*hosts, self._catch_all()))

    def sniffed(self, host: Host, port: int) -> RouteConfiguration:
        """The route configuration of one service whose protocol is detected: its virtual host takes every host."""
        name = host.known.host
        if port not in self._by_service:
            egress, table = self.scope.egress_for(port), self._by_service.setdefault(port, {})
            for one in self._virtual_hosts(egress, port) if egress is not None else ():
                for domain in one.domains:
                    table.setdefault(domain, []).append(one)
        found = self._by_service[port].get(name, [])
        if len(found) == 1:
            found = [replace(found[0], domains=("*",))]
        return RouteConfiguration(name=f"{name}:{port}", virtual_hosts=tuple(found))

    def _catch_all(self) -> VirtualHost:
        if self.scope.registry_only:
            route = Route(name=BLOCK_ALL, match=RouteMatch(), action=DirectResponse(status=502))
            return VirtualHost(name=BLOCK_ALL, domains=("*",), routes=(route,))
        cluster = self.scope.egress_proxy or PASSTHROUGH_CLUSTER
        action = Forward(clusters=(WeightedCluster(cluster=cluster),))
        route = Route(name=ALLOW_ANY, match=RouteMatch(), action=action)
        return VirtualHost(name=ALLOW_ANY, domains=("*",), routes=(route,))

    def _virtual_hosts(self, egress: Egress, port: int) -> list[VirtualHost]:
        if port not in self._made:
            self._made[port] = self._make(egress, port)
        return self._made[port]

    def _make(self, egress: Egress, port: int) -> list[VirtualHost]:
        groups = self._groups(egress, port)
        known = {one.known.host for group in groups for one in group.services}
        taken: set[str] = set()
        names: set[str] = set()
        result: list[VirtualHost] = []
        for group in groups:
            wanted: list[tuple[str, list[str], tuple[str, ...]]] = [(name, [name], ()) for name in group.hosts]
            wanted += [(one.known.host, *self._domains(one)) for one in group.services]
            for name, domains, short in wanted:
                if name in names:
                    continue  # The older VirtualService has the host.
                names.add(name)
                free = [one for one in domains if one not in taken and not (one in short and one in known)]
                taken.update(free)
                if free:
                    result.append(
                        VirtualHost(
                            name=f"{name}:{port}", domains=tuple(free), routes=group.routes, origin=group.origin
                        )
                    )
        return sorted(result, key=lambda one: one.name)

    def _domains(self, host: Host) -> tuple[list[str], tuple[str, ...]]:
        """All names of a service, and which of them are short ones."""
        domains: list[str] = []
        short: list[str] = []
        for name in (host.known.host, *self._aliases(host)):
            others = alternative_names(name, self.scope.namespace)
            domains += [name, *others]
            short += others
        if host.known.headless and isinstance(host.source, Service):
            domains += [f"*.{one}" for one in domains]
        domains += [one for one in host.known.addresses if "/" not in one]
        return domains, tuple(short)

    def _aliases(self, host: Host) -> list[str]:
        return [one.known.host for one in self.scope.aliases if one.known.alias_of == host.known.host]

    def _groups(self, egress: Egress, port: int) -> list[_Group]:
        """Services with VirtualServices, then the rest with a default route."""
        services: dict[str, tuple[Host, str]] = {}
        for one in egress.services:
            found = one.port(port)
            if found is not None:
                services.setdefault(one.known.host, (one, found.protocol))
        groups: list[_Group] = []
        served: set[str] = set()
        # On ports other than 80, VirtualServices count only for hosts that the registry has on the port.
        wild = [name for name in services if name.startswith("*")]
        for bound in egress.virtual_services:
            if port != 80 and not any(_known(host, services, wild) for host in bound.hosts):
                continue
            group = self._group(egress, bound, services, port)
            if group is not None:
                groups.append(group)
                served.update(one.known.host for one in group.services)
        for name, (one, protocol) in services.items():
            if name not in served and _http_or_sniffed(protocol) and not one.known.alias_of:
                groups.append(_Group((self._default_route(one, port),), [one]))
        return groups

    def _group(self, egress: Egress, bound: Bound, services: dict[str, tuple[Host, str]], port: int) -> _Group | None:
        routes = RouteBuilder(self.ctx, self.destinations, MESH, port, port).routes(bound)
        if not routes:
            return None
        hosts, matching = self._split(egress, bound, services)
        if bound.semantics == "gateway":
            # Routes of the Gateway API are for services alone: those of their own namespace, or their clients'.
            own = {bound.source.namespace}
            hosts = []
            matching = [one for one in matching if {one.known.namespace, self.scope.namespace} & own]
            if not matching:
                return None
        if not any(_http_or_sniffed(services[one.known.host][1]) for one in matching) and port != 80:
            return None
        matching = [one for one in matching if _http_or_sniffed(services[one.known.host][1])]
        return _Group(tuple(routes), matching, hosts, place(bound.source, "hosts"))

    def _split(
        self, egress: Egress, bound: Bound, services: dict[str, tuple[Host, str]]
    ) -> tuple[list[str], list[Host]]:
        """Hosts of a VirtualService that the registry does not have on the port, and the services it is for."""
        hosts: list[str] = []
        matching: list[Host] = []
        for name in sorted(bound.hosts, key=lambda one: one.startswith("*")):
            if name in services:
                matching.append(services[name][0])
            elif not name.startswith("*"):
                hosts.append(name)
            else:
                covered = [one for one in services if subset_of(one, name)]
                matching += [services[one][0] for one in covered if egress.wildcard_owner(one) is bound]
                if not covered:
                    hosts.append(name)
        return hosts, matching

    def _default_route(self, host: Host, port: int) -> Route:
        destination = Destination(host=host.known.host, port=PortSelector(number=port))
        hashes = self.destinations.hash_of(destination, host.known.namespace)
        cluster = cluster_name(port, "", host.known.host)
        action = Forward(
            clusters=(WeightedCluster(cluster=cluster),), retry_policy=retry_policy(None), hash_policy=hashes
        )
        return Route(name=DEFAULT_ROUTE, match=RouteMatch(), action=action, origin=host.known.origin)


def _known(host: str, services: Mapping[str, object], wild: list[str]) -> bool:
    """Whether a VirtualService's host and one of the services have names in common."""
    if host.startswith("*"):
        return any(subset_of(name, host) or subset_of(host, name) for name in services)
    return host in services or any(subset_of(host, name) for name in wild)


def _http_or_sniffed(protocol: str) -> bool:
    return protocol in protocols.HTTP_FAMILY or protocol == "Unsupported"

