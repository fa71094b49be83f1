"""TCP and TLS routes of VirtualServices as filter chains that copy bytes.

Source: istio/istio pilot/pkg/networking/core/gateway.go (`buildGatewayNetworkFiltersFromTCPRoutes`,
`buildGatewayNetworkFiltersFromTLSRoutes`, `l4SingleMatch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gwsim.diagnostics import Span
from gwsim.resources.models import L4MatchAttributes, RouteDestination, TLSMatchAttributes
from gwsim.topology.from_istio.context import Context, place
from gwsim.topology.from_istio.destinations import Destinations, Use, meant_of, shares
from gwsim.topology.from_istio.hosts import intersection
from gwsim.topology.from_istio.servers import BoundServer
from gwsim.topology.from_istio.virtual_services import Bound, VirtualServiceIndex, gateway_name
from gwsim.topology.listeners import DownstreamTls, FilterChain, FilterChainMatch, TcpProxy
from gwsim.topology.routes import WeightedCluster


@dataclass(slots=True)
class L4Configurator:
    """Builds TCP proxies for one workload."""

    ctx: Context
    index: VirtualServiceIndex
    destinations: Destinations

    def _serving(self, server: BoundServer) -> list[Bound]:
        bound = self.index.bound_to(server.gateway_key, self.destinations.workload.namespace)
        return [one for one in bound if intersection(server.hosts_for(one.source.namespace), one.hosts)]

    def tcp_proxy(self, server: BoundServer) -> TcpProxy | None:
        """The first matching `tcp` rule of the first VirtualService that has one; later ones never count."""
        for bound in self._serving(server):
            for position, rule in enumerate(bound.source.tcp):
                if not rule.match or any(_matches(one, server, bound) for one in rule.match):
                    path = f"tcp[{position}]"
                    return tcp_proxy(
                        self.destinations, bound, rule.route, server.declared_port, path, place(bound.source, path)
                    )
        return None

    def terminated_chains(self, server: BoundServer, taken: set[str], tls: DownstreamTls) -> list[FilterChain]:
        """Chains for TLSRoutes on a server that terminates TLS; `tls` rules of VirtualServices are for passthrough only."""
        routes = [one for one in self._serving(server) if one.semantics == "gateway"]
        return [replace(one, tls=tls) for one in self._sni_chains(server, routes, taken)]

    def passthrough_chains(self, server: BoundServer, taken: set[str]) -> list[FilterChain]:
        """One chain for every `tls` match whose server names are not yet `taken` on the port."""
        return self._sni_chains(server, self._serving(server), taken)

    def _sni_chains(self, server: BoundServer, serving: Sequence[Bound], taken: set[str]) -> list[FilterChain]:
        chains: list[FilterChain] = []
        for bound in serving:
            for position, rule in enumerate(bound.source.tls):
                for match_position, match in enumerate(rule.match):
                    path = f"tls[{position}]"
                    names = tuple(name.lower() for name in match.sni_hosts)
                    if not _matches(match, server, bound) or taken & set(names):
                        continue
                    taken.update(names)
                    origin = place(bound.source, f"{path}.match[{match_position}]")
                    proxy = tcp_proxy(self.destinations, bound, rule.route, server.declared_port, path, origin)
                    chains.append(
                        FilterChain(
                            name=f"{server.gateway_key}/{server.path}/{','.join(names)}",
                            match=FilterChainMatch(server_names=() if "*" in names else names, transport_protocol="tls"),
                            filter=proxy,
                            origin=origin,
                        )
                    )
        return chains


def tcp_proxy(
    destinations: Destinations, bound: Bound, route: Sequence[RouteDestination], port: int, path: str, origin: Span
) -> TcpProxy:
    """A rule of a VirtualService as a TCP proxy; `port` is that of destinations without one."""
    names = [
        destinations.cluster(one.destination, port, Use(bound.source, f"{path}.route[{n}]")) for n, one in enumerate(route)
    ]
    clusters = tuple(
        WeightedCluster(cluster=names[n], weight=weight, meant=meant_of(route[n].destination))
        for n, weight in shares([one.weight for one in route])
    )
    first = destinations.clusters.get(names[0]) if names else None
    hashes = destinations.hash_of(route[0].destination, bound.source.namespace) if route else ()
    idle_s = first.tcp_idle_timeout_s if first is not None else None
    age_s = first.max_connection_duration_s if first is not None else None
    return TcpProxy(
        clusters=clusters,
        stat_prefix=names[0] if names else "",
        hash_policy=tuple(one for one in hashes if one.kind == "source_ip"),
        route=f"{bound.source.name}/{path}",
        origin=origin,
        idle_timeout_s=3600.0 if idle_s is None else idle_s,
        max_connection_duration_s=age_s or 0.0,
    )


def _matches(match: L4MatchAttributes | TLSMatchAttributes, server: BoundServer, bound: Bound) -> bool:
    """At gateways only port and gateways count."""
    if match.port is not None and match.port != server.declared_port:
        return False
    names = [gateway_name(name, bound.source.namespace) for name in match.gateways]
    return not names or server.gateway_key in names
