"""TCP and TLS filter chains of a sidecar's outbound listeners.

Source: istio/istio pilot/pkg/networking/core/tls.go (`buildSidecarOutboundTLSFilterChainOpts`,
`buildSidecarOutboundTCPFilterChainOpts`, `matchTLS`, `matchTCP`).
"""

from __future__ import annotations

from dataclasses import dataclass

from gwsim.resources.models import L4MatchAttributes, TLSMatchAttributes
from gwsim.topology.from_istio import protocols
from gwsim.topology.from_istio.context import place
from gwsim.topology.from_istio.destinations import Destinations
from gwsim.topology.from_istio.l4_routes import tcp_proxy
from gwsim.topology.from_istio.registry import Host, contains
from gwsim.topology.from_istio.scope import Egress, Scope, alternative_names
from gwsim.topology.from_istio.virtual_services import MESH, Bound, gateway_name
from gwsim.topology.listeners import FilterChain, FilterChainMatch, TcpProxy
from gwsim.topology.routes import WeightedCluster
from gwsim.topology.upstream import cluster_name

TLS_PROTOCOLS = frozenset({"HTTPS", "TLS"})


@dataclass(slots=True)
class OutboundChains:
    """Builds filter chains for one sidecar."""

    scope: Scope
    destinations: Destinations

    def chains(self, egress: Egress, host: Host, port: int, protocol: str, cidr: str, *, own_address: bool) -> list[FilterChain]:
        """The chains of a service's port. `cidr` is its address where that is a range; `own_address`: its own listener."""
        bound = egress.concerning(host.known.host)
        ranges = (cidr,) if cidr else ()
        if protocol in TLS_PROTOCOLS:
            return self._tls(bound, host, port, ranges, own_address=own_address)
        return self._tcp(bound, host, port, ranges)

    def _tls(
        self, services: list[Bound], host: Host, port: int, ranges: tuple[str, ...], *, own_address: bool
    ) -> list[FilterChain]:
        chains: list[FilterChain] = []
        seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
        for bound in services:
            for position, rule in enumerate(bound.source.tls):
                for match_position, match in enumerate(rule.match):
                    if not self._applies(match, bound, port):
                        continue
                    ranges = match.destination_subnets or ranges
                    key = (match.sni_hosts, match.destination_subnets)
                    if key in seen:
                        continue
                    seen.add(key)
                    path = f"tls[{position}]"
                    origin = place(bound.source, f"{path}.match[{match_position}]")
                    proxy = tcp_proxy(self.destinations, bound, rule.route, port, path, origin)
                    names = tuple(sorted(name.lower() for name in match.sni_hosts))
                    chains.append(_chain(host, port, proxy, () if "*" in names else names, ranges))
        if chains:
            return chains
        names = self._server_names(host) if ranges or not own_address else ()
        return [_chain(host, port, self._default(host, port), names, ranges)]

    def _server_names(self, host: Host) -> tuple[str, ...]:
        names = [host.known.host]
        for alias in self.scope.aliases:
            if alias.known.alias_of == host.known.host:
                names += [alias.known.host, *alternative_names(alias.known.host, self.scope.namespace)]
        return tuple(sorted(names))

    def _tcp(self, services: list[Bound], host: Host, port: int, ranges: tuple[str, ...]) -> list[FilterChain]:
        chains: list[FilterChain] = []
        covered = False
        for bound in services:
            for position, rule in enumerate(bound.source.tcp):
                path = f"tcp[{position}]"
                matches = [one for one in rule.match if self._applies(one, bound, port)]
                if rule.match and not matches:
                    continue
                proxy = tcp_proxy(self.destinations, bound, rule.route, port, path, place(bound.source, path))
                if not rule.match or any(not one.destination_subnets for one in matches):
                    return [*chains, _chain(host, port, proxy, (), ranges)]
                subnets = tuple(subnet for one in matches for subnet in one.destination_subnets)
                chains.append(_chain(host, port, proxy, (), subnets))
                covered = covered or sorted(subnets) == sorted(ranges)
        if not covered:
            chains.append(_chain(host, port, self._default(host, port), (), ranges))
        return chains

    def _applies(self, match: L4MatchAttributes | TLSMatchAttributes, bound: Bound, port: int) -> bool:
        """Conditions that are settled when the configuration is made: gateway, labels, port, namespace."""
        names = [gateway_name(name, bound.source.namespace) for name in match.gateways]
        return (
            (not names or MESH in names)
            and contains(self.scope.labels, match.source_labels)
            and match.port in (None, 0, port)
            and match.source_namespace in (None, "", self.scope.namespace)
        )

    def _default(self, host: Host, port: int) -> TcpProxy:
        ports = host.known.ports
        number = ports[0].number if len(ports) == 1 else port
        name = cluster_name(number, "", host.known.host)
        cluster = self.destinations.clusters.get(name)
        idle_s = cluster.tcp_idle_timeout_s if cluster is not None else None
        age_s = cluster.max_connection_duration_s if cluster is not None else None
        return TcpProxy(
            clusters=(WeightedCluster(cluster=name),),
            stat_prefix=name,
            idle_timeout_s=3600.0 if idle_s is None else idle_s,
            max_connection_duration_s=age_s or 0.0,
            origin=host.known.origin,
        )


def is_tcp(protocol: str) -> bool:
    """Whether the port is served without looking for HTTP."""
    return protocol in protocols.PLAIN_TCP or protocol in TLS_PROTOCOLS


def _chain(
    host: Host, port: int, proxy: TcpProxy, server_names: tuple[str, ...], ranges: tuple[str, ...]
) -> FilterChain:
    match = FilterChainMatch(server_names=server_names, prefix_ranges=tuple(sorted(ranges)))
    suffix = ",".join((*server_names, *ranges))
    name = f"{host.known.host}:{port}" + (f"/{suffix}" if suffix else "")
    return FilterChain(name=name, match=match, filter=proxy, origin=proxy.origin)
