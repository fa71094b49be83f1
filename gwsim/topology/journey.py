"""A request from its client to the end, proxy by proxy: what each decides, and how it dials the next.

Sidecar to egress gateway to the world, ingress gateway to service, through east-west gateways: whatever the chosen
cluster's endpoint is, the journey goes on there when a proxy listens at it. Of weighted destinations the heaviest
is followed. Sources: istio/istio pilot/pkg/networking/core/{cluster_tls,cluster_builder}.go (server names, ALPN,
HTTP version), envoyproxy/envoy source/common/router/upstream_request.cc.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from gwsim.topology.decision import Decision, Outcome, Request
from gwsim.topology.dialling import dial
from gwsim.topology.listeners import FilterChain, HttpConnectionManager
from gwsim.topology.model import Proxy, Topology
from gwsim.topology.routing import choose, sni_of
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One proxy on the way. `request` is what reaches it."""

    proxy: Proxy
    port: int
    """Where the proxy listens; of a sidecar, the port that its client dials."""
    dialled: int
    """The port that was dialled: of the gateway's Service, where it has one."""
    request: Request
    decision: Decision
    leg: Leg | None = None
    """None: the request ends here, with the decision's answer."""
    end: Literal["", "workload", "external", "loop"] = ""
    """What the leg leads to when it is no further proxy."""


@dataclass(frozen=True, slots=True)
class _Wire:
    """What a proxy receives: the request as it looks on the wire, and, inside mesh TLS, what it wraps."""

    request: Request
    inner: Request | None = None


def journey(topology: Topology, proxy: Proxy, port: int, request: Request) -> tuple[Hop, ...]:
    """The hops of a request that reaches `proxy` at `port` (dials it, where the proxy is the client's sidecar)."""
    hops: list[Hop] = []
    wire, at, dialled = _Wire(request), proxy, port
    while True:
        decision = choose(at, port, wire.request, explain=True)
        hop = Hop(proxy=at, port=port, dialled=dialled, request=wire.request, decision=decision)
        cluster = _followed(at, decision)
        if cluster is None:
            return (*hops, hop)
        chain = _chain(at, port, wire.request, decision)
        leg = _leg(cluster, chain, wire.request, wire, decision)
        following = _proxy_at(topology, at, cluster, leg)
        if following is None:
            return (*hops, replace(hop, leg=leg, end="external" if cluster.external else "workload"))
        hops.append(replace(hop, leg=leg))
        if any(one.proxy is following[0] and one.dialled == following[2] for one in hops):
            hops[-1] = replace(hops[-1], end="loop")
            return tuple(hops)
        wire = _onward(chain, leg, wire, decision)
        at, port, dialled = following


def _followed(proxy: Proxy, decision: Decision) -> Cluster | None:
    """The cluster of the heaviest destination; None when nothing is sent on."""
    if decision.outcome not in (Outcome.FORWARD, Outcome.PASSTHROUGH):
        return None
    present = [one for one in decision.clusters if not one.missing]
    best = max(present, key=lambda one: one.weight, default=None)
    return proxy.clusters.get(best.cluster) if best is not None else None


def _chain(proxy: Proxy, port: int, request: Request, decision: Decision) -> FilterChain | None:
    dialled = dial(proxy, port, request)
    if dialled is None:
        return None
    listener = dialled.listener
    chains = (*listener.filter_chains, *((listener.default_chain,) if listener.default_chain else ()))
    return next((one for one in chains if one.name == decision.filter_chain), None)


def _leg(cluster: Cluster, chain: FilterChain | None, request: Request, wire: _Wire, decision: Decision) -> Leg:
    endpoint = next((one for one in cluster.endpoints if one.healthy), None)
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


def _proxy_at(topology: Topology, at: Proxy, cluster: Cluster, leg: Leg) -> tuple[Proxy, int, int] | None:
    """The gateway where the leg goes, its listening port, and the port dialled; in the caller's cluster if there is one."""
    if cluster.external or cluster.name == PASSTHROUGH_CLUSTER:
        return None
    via = leg.endpoint.via if leg.endpoint is not None else ""
    if via:
        gateway = next((one for one in topology.proxies if one.qualified == via), None)
        return (gateway, _listening(gateway, leg.port), leg.port) if gateway is not None else None
    found = [
        (proxy, port.target_port, port.port)
        for proxy in topology.proxies
        if proxy.kind != "sidecar"
        for service in proxy.services
        if service.fqdn == cluster.host
        for port in service.ports
        if port.port == cluster.port and port.protocol == "TCP"
    ]
    return next((one for one in found if one[0].cluster == at.cluster), next(iter(found), None))


def _listening(proxy: Proxy, port: int) -> int:
    """Where a port of the proxy's Services leads."""
    ports = (one for service in proxy.services for one in service.ports)
    return next((one.target_port for one in ports if one.port == port), port)


def _onward(chain: FilterChain | None, leg: Leg, wire: _Wire, decision: Decision) -> _Wire:
    """What the next proxy receives."""
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
        if leg.protocol == "tcp":
            outer = Request(scheme="tls", host=carried.host, sni=leg.sni, alpn=alpn, client_certificate=certificate)
            return _Wire(outer, carried)
        secure = replace(carried, scheme="https", sni=leg.sni, alpn=alpn, client_certificate=certificate)
        return _Wire(secure, carried)
    if leg.protocol != "tcp":
        carried = replace(carried, scheme="grpc" if request.scheme == "grpc" else "http", sni=None, alpn=())
    return _Wire(replace(carried, destination=""), inner)


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
