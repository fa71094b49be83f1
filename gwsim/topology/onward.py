"""From one proxy to the next: how the chosen cluster's endpoint is dialled, who listens there, and what reaches it.

Sources: istio/istio pilot/pkg/networking/core/{cluster_tls,cluster_builder}.go (server names, ALPN, HTTP version),
envoyproxy/envoy source/common/router/upstream_request.cc.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from gwsim.topology.decision import Decision, Request
from gwsim.topology.dialling import dial
from gwsim.topology.listeners import FilterChain, HttpConnectionManager
from gwsim.topology.model import Proxy, Topology
from gwsim.topology.routing import sni_of
from gwsim.topology.upstream import MESH_ALPN, PASSTHROUGH_CLUSTER, Cluster, Endpoint, mesh_server_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """How a proxy dials what it has chosen."""

    cluster: str
    address: str
    port: int
    """Where the connection goes; 0: wherever the client wanted to go."""
    protocol: Literal["http/1.1", "h2", "tcp"]
    tls: Literal["", "simple", "mutual", "istio_mutual", "client"] = ""
    """TLS on the wire; `client` is that of the client itself, handed on unopened."""
    sni: str = ""
    endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class Wire:
    """What a proxy receives: the request as it looks on the wire, and, inside mesh TLS, what it wraps."""

    request: Request
    inner: Request | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """The gateway at the end of a leg: where it listens, and the port that was dialled."""

    proxy: Proxy
    port: int
    dialled: int


def chain_of(proxy: Proxy, port: int, request: Request, decision: Decision) -> FilterChain | None:
    """The filter chain that took the decision's connection."""
    dialled = dial(proxy, port, request)
    if dialled is None:
        return None
    listener = dialled.listener
    chains = (*listener.filter_chains, *((listener.default_chain,) if listener.default_chain else ()))
    return next((one for one in chains if one.name == decision.filter_chain), None)


def leg_to(cluster: Cluster, endpoint: Endpoint | None, chain: FilterChain | None, wire: Wire, decision: Decision) -> Leg:
    """How an endpoint of the chosen cluster is dialled for a request."""
    request = wire.request
    http = chain is not None and isinstance(chain.filter, HttpConnectionManager)
    tls, sni = _tls(cluster, endpoint, request, decision, http=http)
    if not tls and not http:
        # Bytes are handed on as they come: the client's own TLS, where the chain has not opened it.
        opened = chain is not None and chain.tls is not None
        carried = wire.inner if opened else request
        if carried is not None and carried.encrypted:
            tls, sni = "client", sni_of(carried)
    dialled = request.destination or request.host
    return Leg(
        cluster=cluster.name,
        address=endpoint.address if endpoint is not None else dialled,
        port=endpoint.port if endpoint is not None else cluster.port,
        protocol=_protocol(cluster, request) if http else "tcp",
        tls=tls,
        sni=sni,
        endpoint=endpoint,
    )


def _tls(
    cluster: Cluster, endpoint: Endpoint | None, request: Request, decision: Decision, *, http: bool
) -> tuple[Literal["", "simple", "mutual", "istio_mutual", "client"], str]:
    """TLS that the proxy itself starts, with its server name."""
    mesh_name = mesh_server_name(cluster.port, cluster.subset, cluster.host)
    if cluster.tls is not None:
        name = cluster.tls.sni
        if not name and cluster.tls.mode == "istio_mutual":
            name = mesh_name
        if not name and http:
            rewritten = decision.rewrite.host if decision.rewrite is not None else None
            name = (rewritten or request.host).partition(":")[0]
        return cluster.tls.mode, name
    if endpoint is not None and endpoint.mtls and not cluster.name.startswith("outbound_."):
        return "istio_mutual", mesh_name
    return "", ""


def _protocol(cluster: Cluster, request: Request) -> Literal["http/1.1", "h2"]:
    client_h2 = request.scheme == "grpc" or request.http_version == "2" or "h2" in request.alpn
    if cluster.use_downstream_protocol:
        return "h2" if client_h2 else "http/1.1"
    return "h2" if cluster.upstream_http == 2 else "http/1.1"


def reached(topology: Topology, at: Proxy, cluster: Cluster, endpoint: Endpoint | None) -> Reached | None:
    """The gateway that an endpoint of a cluster of `at` leads to, in the caller's cluster if there is one; None: it is no gateway."""
    if cluster.external or cluster.name == PASSTHROUGH_CLUSTER:
        return None
    via = endpoint.via if endpoint is not None else ""
    if endpoint is not None and via:
        gateway = next((one for one in topology.proxies if one.kind != "sidecar" and one.qualified == via), None)
        return Reached(gateway, _listening(gateway, endpoint.port), endpoint.port) if gateway is not None else None
    found = [
        Reached(proxy, port.target_port, port.port)
        for proxy in topology.proxies
        if proxy.kind != "sidecar"
        for service in proxy.services
        if service.fqdn == cluster.host
        for port in service.ports
        if port.port == cluster.port and port.protocol == "TCP"
    ]
    return next((one for one in found if one.proxy.cluster == at.cluster), next(iter(found), None))


def _listening(proxy: Proxy, port: int) -> int:
    """Where a port of the proxy's Services leads."""
    ports = (one for service in proxy.services for one in service.ports)
    return next((one.target_port for one in ports if one.port == port), port)


def onward(chain: FilterChain | None, leg: Leg, wire: Wire, decision: Decision, identity: str = "") -> Wire:
    """What the next proxy receives; `identity` is that of the proxy that sends it on."""
    request = wire.request
    carried: Request | None
    if chain is not None and isinstance(chain.filter, HttpConnectionManager):
        carried = _changed(request, decision, leg)
    elif chain is not None and chain.tls is not None:
        carried = wire.inner or Request(scheme="tcp", host=request.host)
    else:
        carried = request
    inner = wire.inner if carried is request else None
    if leg.tls in ("simple", "mutual", "istio_mutual"):
        alpn = MESH_ALPN if leg.tls == "istio_mutual" else ("h2",) if leg.protocol == "h2" else ()
        certificate = leg.tls != "simple"
        principal = identity if leg.tls == "istio_mutual" else ""
        if leg.protocol == "tcp":
            outer = Request(scheme="tls", host=carried.host, sni=leg.sni, alpn=alpn, client_certificate=certificate, principal=principal)
            return Wire(outer, carried)
        secure = replace(carried, scheme="https", sni=leg.sni, alpn=alpn, client_certificate=certificate, principal=principal)
        return Wire(secure, carried)
    if leg.protocol != "tcp":
        carried = replace(carried, scheme="grpc" if request.scheme == "grpc" else "http", sni=None, alpn=(), principal="")
    return Wire(replace(carried, destination=""), inner)


def _changed(request: Request, decision: Decision, leg: Leg) -> Request:
    """The request as the route sends it on."""
    rewrite = decision.rewrite
    headers = dict(request.headers)
    rule = decision.rule
    changes = rule.request_headers if rule is not None else None
    if changes is not None:
        headers = {name: value for name, value in headers.items() if name.lower() not in {one.lower() for one in changes.remove}}
        headers |= {name.lower(): value for name, value in {**changes.add, **changes.set}.items()}
    return replace(
        request,
        host=(rewrite.host if rewrite is not None and rewrite.host else request.host),
        path=(rewrite.path if rewrite is not None and rewrite.path is not None else request.path),
        headers=headers,
        destination="",
        http_version="2" if leg.protocol == "h2" else "1.1",
    )
