"""Listeners as Envoy's Listener. Source: envoyproxy/envoy api/envoy/config/listener/v3."""

from __future__ import annotations

from collections.abc import Callable

from gwsim.topology.chains import PLAINTEXT_HTTP
from gwsim.topology.listeners import (
    FilterChain,
    FilterChainMatch,
    HttpConnectionManager,
    Listener,
    TcpProxy,
)
from gwsim.topology.routes import HashPolicy
from gwsim.topology.to_envoy.filters import http_filters, network_filter
from gwsim.topology.to_envoy.routes import route_configuration, weighted_clusters
from gwsim.topology.to_envoy.tls import ADS, downstream
from gwsim.topology.to_envoy.words import (
    OWN,
    Json,
    address,
    any_of,
    duration,
    extension,
    metadata,
    unless,
    without_none,
)

ANY_ADDRESS = "0.0.0.0"
NO_LIMIT = 2**31 - 1
NO_PREFIX = "-"
"""Envoy wants some prefix of statistics; this one stands for none."""
HANDSHAKE_S = 15.0
"""Istio's limit of a handshake (`transportSocketConnectTimeout`)."""
MANAGER = "envoy.filters.network.http_connection_manager"
MANAGER_TYPE = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"
TCP_PROXY_TYPE = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
RouteSource = Callable[[HttpConnectionManager], Json]
"""What a connection manager says about where its routes are: `rds` or `routeConfig`."""


def from_control_plane(manager: HttpConnectionManager) -> Json:
    """Routes come from the control plane, as istiod has it; those without a name stand in the listener."""
    if not manager.route_config.name:
        return {"routeConfig": route_configuration(manager.route_config)}
    return {"rds": {"configSource": dict(ADS), "routeConfigName": manager.route_config.name}}


def listener(listener: Listener, *, routes: RouteSource = from_control_plane) -> Json:
    """The Listener."""
    own = without_none({
        "declaredPorts": list(listener.declared_ports) or None,
        "maxConnections": unless(listener.max_connections, NO_LIMIT),
    })
    filters = []
    if listener.proxy_protocol:
        message = "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
        filters.append(extension("envoy.filters.listener.proxy_protocol", message))
    if any(_needs_hello(chain) for chain in listener.filter_chains):
        message = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
        filters.append(extension("envoy.filters.listener.tls_inspector", message))
    if any(set(PLAINTEXT_HTTP) <= set(chain.match.application_protocols) for chain in listener.filter_chains):
        # What plaintext speaks is told by its first bytes.
        message = "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
        filters.append(extension("envoy.filters.listener.http_inspector", message))
    default = listener.default_chain
    where = address(listener.bind or ANY_ADDRESS, listener.port)
    if listener.protocol == "udp":
        where["socketAddress"] = {"protocol": "UDP", **where["socketAddress"]}
    return without_none({
        "name": listener.name,
        "address": where,
        "filterChains": [_chain(chain, routes) for chain in listener.filter_chains],
        "defaultFilterChain": None if default is None else _chain(default, routes),
        "listenerFilters": filters or None,
        "listenerFiltersTimeout": "0s" if filters else None,
        "continueOnListenerFiltersTimeout": True if filters else None,
        "trafficDirection": "OUTBOUND",
        "maxConnectionsToAcceptPerSocketEvent": listener.accepts_per_event,
        "metadata": metadata(**{OWN: own}),
    })


def _needs_hello(chain: FilterChain) -> bool:
    match = chain.match
    return chain.tls is not None or bool(match.server_names or match.application_protocols or match.transport_protocol)


def _chain(chain: FilterChain, routes: RouteSource) -> Json:
    filters = [network_filter(one) for one in chain.network_filters]
    own: Json = {}
    if isinstance(chain.filter, TcpProxy):
        own = {"tcpRoute": chain.filter.route} if chain.filter.route else {}
        filters.append(tcp_proxy(chain.filter))
    else:
        filters.append(manager(chain.filter, routes))
    if chain.tls is not None:
        # What a chain's secret is made of, the control plane sends apart from it.
        tls = chain.tls
        mode = unless(tls.mode, _mode_told(chain))
        own |= without_none({
            "certificate": unless(tls.certificate, "unknown"), "usable": unless(tls.usable, True), "tlsMode": mode,
        })
    handshake = duration(chain.handshake_timeout_s) if chain.handshake_timeout_s else None
    return without_none({
        "filterChainMatch": _match(chain.match) or None,
        "filters": filters,
        "transportSocket": None if chain.tls is None else downstream(chain.tls),
        "transportSocketConnectTimeout": handshake if chain.tls is not None or chain.handshake_timeout_s != HANDSHAKE_S else None,
        "name": chain.name or None,
        "metadata": metadata(**{OWN: own}),
    })


def _mode_told(chain: FilterChain) -> str:
    """The mode a reader takes the TLS context for."""
    tls = chain.tls
    assert tls is not None
    if tls.mode in ("simple", "istio_mutual"):
        return tls.mode
    return "mutual" if tls.require_client_certificate else "optional_mutual"


def _match(match: FilterChainMatch) -> Json:
    ranges = [_range(text) for text in match.prefix_ranges]
    return without_none({
        "destinationPort": match.destination_port,
        "prefixRanges": ranges or None,
        "serverNames": list(match.server_names) or None,
        "transportProtocol": match.transport_protocol or None,
        "applicationProtocols": list(match.application_protocols) or None,
    })


def _range(text: str) -> Json:
    host, slash, bits = text.partition("/")
    return {"addressPrefix": host, "prefixLen": int(bits) if slash else 128 if ":" in host else 32}


def manager(manager: HttpConnectionManager, routes: RouteSource) -> Json:
    """The HTTP connection manager as a network filter."""
    common = without_none({
        "idleTimeout": duration(manager.idle_timeout_s),
        "maxConnectionDuration": duration(manager.max_connection_duration_s) if manager.max_connection_duration_s else None,
        "maxRequestsPerConnection": manager.max_requests_per_connection,
    })
    streams = manager.max_concurrent_streams
    return {
        "name": MANAGER,
        "typedConfig": any_of(
            MANAGER_TYPE,
            codecType=unless(manager.codec, "AUTO"),
            statPrefix=manager.stat_prefix or NO_PREFIX,
            **routes(manager),
            httpFilters=http_filters(manager.http_filters),
            httpProtocolOptions={"acceptHttp10": True} if manager.accept_http_10 else {},
            http2ProtocolOptions=None if streams is None else {"maxConcurrentStreams": streams},
            commonHttpProtocolOptions=common,
            streamIdleTimeout=duration(manager.stream_idle_timeout_s),
            requestTimeout=duration(manager.request_timeout_s) if manager.request_timeout_s else None,
            useRemoteAddress=manager.use_remote_address,
            xffNumTrustedHops=manager.xff_num_trusted_hops or None,
            normalizePath=manager.normalize_path,
            mergeSlashes=manager.merge_slashes or None,
            pathWithEscapedSlashesAction="UNESCAPE_AND_FORWARD" if manager.unescape_slashes else None,
        ),
    }


def tcp_proxy(proxy: TcpProxy) -> Json:
    """The TCP proxy as a network filter."""
    return {
        "name": TCP_PROXY,
        "typedConfig": any_of(
            TCP_PROXY_TYPE,
            statPrefix=proxy.stat_prefix or NO_PREFIX,
            **weighted_clusters(proxy.clusters),
            idleTimeout=duration(proxy.idle_timeout_s),
            maxConnectAttempts=unless(proxy.max_connect_attempts, 1),
            maxDownstreamConnectionDuration=(
                duration(proxy.max_connection_duration_s) if proxy.max_connection_duration_s else None
            ),
            hashPolicy=[_tcp_hash(one) for one in proxy.hash_policy] or None,
        ),
    }


def _tcp_hash(policy: HashPolicy) -> Json:
    # Connections have nothing else to hash.
    assert policy.kind == "source_ip", policy
    return {"sourceIp": {}}
