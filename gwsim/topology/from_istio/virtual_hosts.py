"""Virtual hosts of a gateway's route configuration: VirtualServices on the hosts they share with servers.

Source: istio/istio pilot/pkg/networking/core/gateway.go `buildGatewayHTTPRouteConfig`,
pilot/pkg/networking/core/route/route.go `SortVHostRoutes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gwsim.diagnostics import Span
from gwsim.topology.from_istio.context import Context, place
from gwsim.topology.from_istio.destinations import Destinations
from gwsim.topology.from_istio.hosts import intersection
from gwsim.topology.from_istio.http_routes import RouteBuilder
from gwsim.topology.from_istio.servers import BoundServer
from gwsim.topology.from_istio.virtual_services import Bound, VirtualServiceIndex
from gwsim.topology.routes import Route, RouteConfiguration, VirtualHost


@dataclass(slots=True)
class _Host:
    routes: list[Route] = field(default_factory=list)
    require_tls: bool = False
    port: int = 0
    origin: Span | None = None


@dataclass(slots=True)
class HttpConfigurator:
    """Builds route configurations for one workload."""

    ctx: Context
    index: VirtualServiceIndex
    destinations: Destinations

    def route_configuration(self, name: str, servers: list[BoundServer]) -> RouteConfiguration:
        """The virtual hosts of servers that share a connection manager, with each VirtualService's routes once."""
        hosts: dict[str, _Host] = {}
        built: dict[tuple[str, int], list[Route]] = {}
        for server in servers:
            tls = server.server.tls is not None
            builder = RouteBuilder(self.ctx, self.destinations, server.gateway_key, server.declared_port, server.port, tls)
            for bound in self.index.bound_to(server.gateway_key, self.destinations.workload.namespace):
                shared = intersection(server.hosts_for(bound.source.namespace), bound.hosts)
                if not shared:
                    continue
                key = (server.gateway_key, id(bound))
                if key not in built:
                    built[key] = builder.routes(bound)
                if not built[key]:
                    # No rule is for this port or gateway: less specific hosts keep serving its names.
                    continue
                self._attach(hosts, shared, built[key], bound, server)
            if server.https_redirect:
                self._redirect(hosts, server)
        virtual_hosts = tuple(
            VirtualHost(
                name=f"{domain}:{host.port}",
                domains=(domain,),
                routes=tuple(catch_alls_last(host.routes)),
                require_tls=host.require_tls,
                origin=host.origin,
            )
            for domain, host in hosts.items()
        )
        if not virtual_hosts:
            virtual_hosts = (VirtualHost(name=f"blackhole:{servers[0].declared_port}", domains=("*",)),)
        return RouteConfiguration(name=name, virtual_hosts=virtual_hosts)

    def _attach(
        self, hosts: dict[str, _Host], shared: list[str], routes: list[Route], bound: Bound, server: BoundServer
    ) -> None:
        for domain in shared:
            host = hosts.setdefault(domain, _Host(port=server.declared_port, origin=place(bound.source, "hosts")))
            host.routes.extend(routes)
            host.require_tls = host.require_tls or server.https_redirect

    def _redirect(self, hosts: dict[str, _Host], server: BoundServer) -> None:
        """Hosts without a VirtualService get a virtual host that only redirects."""
        for owner, domain in server.hosts:
            if owner != "*":
                # istiod makes a virtual host named `namespace/host` of it, which no request can ask for.
                continue
            host = hosts.setdefault(domain, _Host(port=server.declared_port, origin=place(server.gateway, server.path)))
            host.require_tls = True


def catch_alls_last(routes: list[Route]) -> list[Route]:
    """Routes in order, those that take every request moved to the end."""
    return [one for one in routes if not one.match.catch_all] + [one for one in routes if one.match.catch_all]
