"""Listeners of a dump. Source: envoyproxy/envoy api/envoy/config/listener/v3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gwsim.topology.from_config_dump.filters import http_filters, network_filter
from gwsim.topology.from_config_dump.nodes import Node
from gwsim.topology.from_config_dump.routes import clusters_of, hash_policy, route_configuration
from gwsim.topology.from_config_dump.tls import Secrets, downstream
from gwsim.topology.listeners import (
    FilterChain,
    FilterChainMatch,
    HttpConnectionManager,
    Listener,
    TcpProxy,
)
from gwsim.topology.routes import HashPolicy, RouteConfiguration

MANAGER = "http_connection_manager"
TCP_PROXY = "tcp_proxy"
ANY_ADDRESSES = ("0.0.0.0", "::")
ENVOY_STREAM_IDLE_S = 300.0
ENVOY_HANDSHAKE_S = 0.0
NO_LIMIT = 2**31 - 1
NO_PREFIX = "-"
_INSPECTORS = (
    "envoy.filters.listener.tls_inspector", "envoy.filters.listener.http_inspector", "envoy.filters.listener.proxy_protocol",
)  # fmt: skip
_CODECS = ("HTTP1", "HTTP2")


@dataclass(slots=True)
class ListenerReader:
    """Reads listeners; routes and secrets stand elsewhere in the dump."""

    routes: Mapping[str, Node]
    secrets: Secrets
    _configurations: dict[str, RouteConfiguration] = field(default_factory=dict)

    def listener(self, node: Node) -> Listener | None:
        """A listener; None for one without an address (Envoy's internal ones)."""
        own = node.own()
        address = _socket(node.node("address"))
        if address is None:
            node.ignore_all()
            node.source.not_modelled(node.path, f"listener {node.text('name') or '(no name)'} listens on no IP address")
            return None
        host, port, udp = address
        chains = [self._chain(one, port) for one in node.nodes("filterChains")]
        default = node.node("defaultFilterChain")
        names = [_named(one) for one in node.nodes("listenerFilters")]
        for name in names:
            if name not in _INSPECTORS:
                node.source.not_modelled(node.path_of("listenerFilters"), f"listener filter {name}")
        node.ignore("trafficDirection", "listenerFiltersTimeout", "continueOnListenerFiltersTimeout", "bindToPort")
        return Listener(
            name=node.text("name") or f"{host}_{port}",
            port=port,
            bind="" if host in ANY_ADDRESSES else host,
            protocol="udp" if udp else "tcp",
            declared_ports=own.integers("declaredPorts"),
            filter_chains=tuple(one for one in chains if one is not None),
            default_chain=self._chain(default, port) if default is not None else None,
            max_connections=own.integer("maxConnections", NO_LIMIT),
            accepts_per_event=node.integer("maxConnectionsToAcceptPerSocketEvent", 1),
            proxy_protocol="envoy.filters.listener.proxy_protocol" in names,
        )

    def without_listeners(self) -> list[Listener]:
        """Route configurations alone: each behind a listener of its own, on the port its name tells."""
        found = []
        for position, name in enumerate(self.routes):
            numbers = [int(part) for part in name.split(".") if part.isdigit() and 0 < int(part) < 65536]
            manager = HttpConnectionManager(route_config=self._configuration(name))
            chain = FilterChain(name=name, filter=manager)
            port = numbers[0] if numbers else 65535 - position
            found.append(Listener(name=f"(routes {name})", port=port, filter_chains=(chain,)))
        return found

    def close(self) -> None:
        """Take what nothing refers to for read: Envoy shows routes that are written into a listener twice."""
        for name, node in self.routes.items():
            if name not in self._configurations:
                node.ignore_all()

    def _configuration(self, name: str) -> RouteConfiguration:
        if name not in self._configurations:
            found = self.routes.get(name)
            self._configurations[name] = route_configuration(found) if found is not None else RouteConfiguration(name=name)
        return self._configurations[name]

    def _chain(self, node: Node, port: int) -> FilterChain | None:
        own = node.own()
        match, socket = node.node("filterChainMatch"), node.node("transportSocket")
        nodes = node.nodes("filters")
        last = nodes[-1] if nodes else None
        made = self._terminal(last, own, port) if last is not None else None
        if made is None:
            node.ignore_all()
            what = last.text("name") if last is not None else "nothing"
            node.source.not_modelled(node.path, f"a filter chain that ends in {what}")
            return None
        tls = downstream(socket, self.secrets, own) if socket is not None else None
        if socket is not None and tls is None and "raw_buffer" not in socket.text("name"):
            node.source.not_modelled(node.path_of("transportSocket"), f"transport socket {socket.text('name')}")
        handshake_s = node.seconds("transportSocketConnectTimeout", ENVOY_HANDSHAKE_S)
        return FilterChain(
            name=node.text("name"),
            match=_match(match) if match is not None else FilterChainMatch(),
            tls=tls,
            filter=made,
            network_filters=tuple(network_filter(one) for one in nodes[:-1]),
            # Only handshakes take time, so a plaintext chain needs no limit; the model's default stands.
            handshake_timeout_s=handshake_s if tls is not None or handshake_s else 15.0,
        )

    def _terminal(self, node: Node, own: Node, port: int) -> HttpConnectionManager | TcpProxy | None:
        typed = node.typed()
        node.ignore("name")
        if typed is None:
            return None
        if typed.type.endswith(".HttpConnectionManager"):
            return self._manager(typed, port)
        if typed.type.endswith(".TcpProxy"):
            return _tcp_proxy(typed, own)
        return None

    def _manager(self, node: Node, port: int) -> HttpConnectionManager:
        common, http2 = node.node("commonHttpProtocolOptions"), node.node("http2ProtocolOptions")
        prefix = _prefix(node)
        codec = node.text("codecType", "AUTO")
        http1 = node.node("httpProtocolOptions")
        if http1 is not None:
            http1.ignore_all()
        accept_http_10 = http1 is not None and http1.flag("acceptHttp10")
        return HttpConnectionManager(
            route_config=self._routes(node, port),
            stat_prefix=prefix,
            codec=cast(Any, codec if codec in _CODECS else "AUTO"),
            http_filters=http_filters(node.nodes("httpFilters")),
            use_remote_address=node.flag("useRemoteAddress"),
            xff_num_trusted_hops=node.integer("xffNumTrustedHops"),
            idle_timeout_s=common.seconds("idleTimeout", 3600.0) if common is not None else 3600.0,
            stream_idle_timeout_s=node.seconds("streamIdleTimeout", ENVOY_STREAM_IDLE_S),
            request_timeout_s=node.seconds("requestTimeout"),
            max_connection_duration_s=common.seconds("maxConnectionDuration") if common is not None else 0.0,
            max_requests_per_connection=(common.integer("maxRequestsPerConnection") or None) if common is not None else None,
            max_concurrent_streams=(http2.integer("maxConcurrentStreams") or None) if http2 is not None else None,
            normalize_path=node.flag("normalizePath"),
            merge_slashes=node.flag("mergeSlashes"),
            unescape_slashes=node.text("pathWithEscapedSlashesAction").startswith("UNESCAPE"),
            accept_http_10=accept_http_10,
        )

    def _routes(self, node: Node, port: int) -> RouteConfiguration:
        inline, rds = node.node("routeConfig"), node.node("rds")
        if inline is not None:
            return route_configuration(inline)
        if rds is None:
            node.source.not_modelled(node.path, "routes that are chosen by scope (SRDS)")
            return RouteConfiguration(name=f"http.{port}", ignore_port_in_host=False)
        rds.ignore("configSource")
        name = rds.text("routeConfigName")
        if name not in self.routes and name not in self._configurations:
            node.source.not_modelled(rds.path, f"route configuration {name} is not in the dump; requests get 404")
        return self._configuration(name)


def _named(node: Node) -> str:
    name = node.text("name")
    node.ignore_all()
    return name


def _prefix(node: Node) -> str:
    prefix = node.text("statPrefix")
    return "" if prefix == NO_PREFIX else prefix


def _socket(node: Node | None) -> tuple[str, int, bool] | None:
    socket = node.node("socketAddress") if node is not None else None
    if socket is None:
        return None
    socket.ignore("ipv4Compat", "resolverName")
    return socket.text("address"), socket.integer("portValue"), socket.text("protocol", "TCP") == "UDP"


def _match(node: Node) -> FilterChainMatch:
    transport = node.text("transportProtocol")
    port = node.integer("destinationPort")
    return FilterChainMatch(
        server_names=node.texts("serverNames"),
        transport_protocol=cast(Any, transport if transport in ("tls", "raw_buffer") else ""),
        application_protocols=node.texts("applicationProtocols"),
        destination_port=port or None,
        prefix_ranges=tuple(f"{one.text('addressPrefix')}/{one.integer('prefixLen')}" for one in node.nodes("prefixRanges")),
    )


def _tcp_proxy(node: Node, own: Node) -> TcpProxy:
    prefix = _prefix(node)
    hashes: list[HashPolicy] = []
    for one in node.nodes("hashPolicy"):
        if "sourceIp" in one:
            one.ignore("sourceIp")
            hashes.append(HashPolicy(kind="source_ip"))
        elif (found := hash_policy(one)) is not None:
            hashes.append(found)
    return TcpProxy(
        clusters=clusters_of(node),
        stat_prefix=prefix,
        idle_timeout_s=node.seconds("idleTimeout", 3600.0),
        max_connection_duration_s=node.seconds("maxDownstreamConnectionDuration"),
        max_connect_attempts=node.integer("maxConnectAttempts", 1),
        hash_policy=tuple(hashes),
        route=own.text("tcpRoute"),
    )
