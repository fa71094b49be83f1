"""Outbound listeners of a sidecar: HTTP by port, TCP and TLS by address or server name, everything else as it is.

Source: istio/istio pilot/pkg/networking/core/listener.go (`buildSidecarOutboundListeners`,
`buildSidecarOutboundListener`, `mergeTCPFilterChains`, `finalizeOutboundListeners`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gwsim.topology.chains import PLAINTEXT_HTTP, networks_of
from gwsim.topology.dialling import VIRTUAL_OUTBOUND_PORT
from gwsim.topology.from_istio import protocols
from gwsim.topology.from_istio.filter_order import filter_chain
from gwsim.topology.from_istio.outbound_chains import OutboundChains, is_tcp
from gwsim.topology.from_istio.outbound_hosts import OutboundHosts
from gwsim.topology.from_istio.registry import Host
from gwsim.topology.from_istio.scope import Egress, Scope
from gwsim.topology.listeners import FilterChain, FilterChainMatch, HttpConnectionManager, Listener, TcpProxy
from gwsim.topology.routes import RouteConfiguration, WeightedCluster
from gwsim.topology.upstream import BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER, Cluster

SNIFFED = "Unsupported"
"""Istio's word for a port whose protocol is detected per connection."""
_STRICT_PROTOCOLS = frozenset({"Mongo", "MySQL"})
"""Servers speak first, so nothing that waits for the client's bytes can share their port."""
_INBOUND_PORT = 15006
_RESERVED_PORTS = frozenset({VIRTUAL_OUTBOUND_PORT, _INBOUND_PORT, 15021, 15090})
"""The proxy's own listeners on any address: outbound, inbound, status and metrics."""


@dataclass(slots=True)
class _Entry:
    """A listener in the making; `locked`: an egress listener of its own has the port."""

    bind: str
    port: int
    protocol: str
    chains: list[FilterChain]
    locked: bool = False


@dataclass(slots=True)
class OutboundListeners:
    """Builds the listeners of one sidecar."""

    scope: Scope
    hosts: OutboundHosts
    tcp: OutboundChains
    clusters: dict[str, Cluster]
    _entries: dict[tuple[str, int], _Entry] = field(default_factory=dict)

    def build(self) -> tuple[Listener, ...]:
        """All listeners, in order of port and address; the last one takes what no other does."""
        for egress in self.scope.egress:
            if egress.port is None:
                for entry in self._entries.values():
                    entry.locked = True
                for host in egress.services:
                    for port in host.known.ports:
                        self._add_service(egress, host, port.number, port.protocol, _bind(egress))
            elif egress.port:
                protocol = protocols.parse(egress.listener.port.protocol if egress.listener.port else "")
                for host in egress.services:
                    self._add(egress, host, egress.port, protocol, _bind(egress))
        listeners = [self._listener(entry) for entry in self._entries.values()]
        return (*sorted(listeners, key=lambda one: (one.port, one.bind)), self._virtual_outbound())

    def _add_service(self, egress: Egress, host: Host, port: int, protocol: str, bind: str) -> None:
        """A port of a service; the workloads of a headless one have a listener each, unless it is HTTP."""
        if host.by_workload and not bind and (is_tcp(protocol) or protocol == SNIFFED):
            cluster = self.clusters.get(f"outbound|{port}||{host.known.host}")
            for address in dict.fromkeys(one.address for one in cluster.endpoints) if cluster else ():
                self._add(egress, host, port, protocol, address)
            return
        self._add(egress, host, port, protocol, bind)

    def _add(self, egress: Egress, host: Host, port: int, protocol: str, bind: str) -> None:
        if host.known.alias_of or _is_reserved(egress, port, protocol, bind):
            return
        if protocol in protocols.HTTP_FAMILY:
            self._add_http(port, protocol, bind)
        elif is_tcp(protocol) or protocol == SNIFFED:
            for address in (bind,) if bind else (host.known.addresses or ("",)):
                self._add_tcp(egress, host, port, protocol, address)

    def _add_http(self, port: int, protocol: str, bind: str) -> None:
        entry = self._entries.get((bind, port))
        if entry is not None and (entry.locked or entry.protocol not in protocols.PLAIN_TCP | {"HTTPS", "TLS"}):
            return  # Its virtual hosts come with the route configuration of the port.
        if entry is not None and _collides(protocol, entry.protocol):
            return
        chain = self._http_chain(self.hosts.shared(port), detected=not bind, bind=bind)
        if entry is None:
            self._entries[bind, port] = _Entry(bind, port, protocol if bind else SNIFFED, [chain])
            return
        self._merge(entry, [chain])
        entry.protocol = SNIFFED

    def _add_tcp(self, egress: Egress, host: Host, port: int, protocol: str, address: str) -> None:
        cidr = address if "/" in address else ""
        bind = "" if cidr else address
        entry = self._entries.get((bind, port))
        if entry is not None and entry.locked:
            return
        chains = self.tcp.chains(egress, host, port, protocol, cidr, own_address=bool(bind))
        if protocol == SNIFFED:
            if entry is not None and entry.protocol == SNIFFED:
                return
            configuration = self.hosts.sniffed(host, port) if bind else self.hosts.shared(port)
            chains.append(self._http_chain(configuration, detected=True, bind=bind))
        if entry is None or (protocol == SNIFFED and entry.protocol in protocols.HTTP_FAMILY):
            self._entries[bind, port] = _Entry(bind, port, protocol, chains)
            return
        if _collides(protocol, entry.protocol):
            return
        self._merge(entry, chains)
        if (protocol == SNIFFED) != (entry.protocol == SNIFFED) or entry.protocol in protocols.HTTP_FAMILY:
            entry.protocol = SNIFFED

    def _merge(self, entry: _Entry, chains: list[FilterChain]) -> None:
        """Chains with a condition of their own are added; of equal conditions, the older service's chain stays."""
        for chain in chains:
            if not any(_same_condition(chain.match, one.match) for one in entry.chains):
                entry.chains.append(chain)

    def _http_chain(self, configuration: RouteConfiguration, *, detected: bool, bind: str) -> FilterChain:
        match = FilterChainMatch()
        if detected:
            match = FilterChainMatch(transport_protocol="raw_buffer", application_protocols=PLAINTEXT_HTTP)
        name = f"{bind or '0.0.0.0'}_{configuration.name}"
        manager = HttpConnectionManager(
            route_config=configuration,
            stat_prefix=f"outbound_{name}",
            http_filters=filter_chain(),
            use_remote_address=False,
        )
        return FilterChain(name=name, match=match, filter=manager)

    def _listener(self, entry: _Entry) -> Listener:
        """A chain without conditions becomes the default one; otherwise unknown destinations get it."""
        default = next((one for one in entry.chains if one.match == FilterChainMatch()), None)
        return Listener(
            name=f"{entry.bind or '0.0.0.0'}_{entry.port}",
            port=entry.port,
            declared_ports=(entry.port,),
            bind=entry.bind,
            filter_chains=tuple(one for one in entry.chains if one is not default),
            default_chain=default or self._unknown(),
        )

    def _unknown(self) -> FilterChain:
        cluster = BLACKHOLE_CLUSTER if self.scope.registry_only else self.scope.egress_proxy or PASSTHROUGH_CLUSTER
        return FilterChain(name=cluster, filter=TcpProxy(clusters=(WeightedCluster(cluster=cluster),), stat_prefix=cluster))

    def _virtual_outbound(self) -> Listener:
        """Takes what no other listener does. Its own port and the inbound one are blocked, or it would call itself."""
        blocked = tuple(
            FilterChain(
                name="virtualOutbound-blackhole",
                match=FilterChainMatch(destination_port=port),
                filter=TcpProxy(clusters=(WeightedCluster(cluster=BLACKHOLE_CLUSTER),)),
            )
            for port in (VIRTUAL_OUTBOUND_PORT, _INBOUND_PORT)
        )
        return Listener(
            name="virtualOutbound", port=VIRTUAL_OUTBOUND_PORT, filter_chains=blocked, default_chain=self._unknown()
        )


def _bind(egress: Egress) -> str:
    """The address an egress listener is bound to; empty: that of each service."""
    if egress.listener.bind:
        return egress.listener.bind
    return "127.0.0.1" if egress.listener.capture_mode == "NONE" else ""


def _is_reserved(egress: Egress, port: int, protocol: str, bind: str) -> bool:
    """Whether the listener would be on any address at a port the proxy itself has: there is none then."""
    if port not in _RESERVED_PORTS:
        return False
    return bind == "0.0.0.0" or (not bind and (protocol in protocols.HTTP_FAMILY or egress.port is not None))


def _collides(incoming: str, existing: str) -> bool:
    """Whether two protocols cannot share a port because servers of one of them speak first."""
    return incoming != existing and bool(_STRICT_PROTOCOLS & {incoming, existing})


def _same_condition(mine: FilterChainMatch, other: FilterChainMatch) -> bool:
    return (
        mine.transport_protocol == other.transport_protocol
        and mine.application_protocols == other.application_protocols
        and set(mine.server_names) == set(other.server_names)
        and set(networks_of(mine.prefix_ranges)) == set(networks_of(other.prefix_ranges))
    )
