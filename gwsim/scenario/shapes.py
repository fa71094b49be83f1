"""Each entry of a mix, routed once: what becomes of it, and which clusters it reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import parse_qs

from gwsim.diagnostics import Collector, code
from gwsim.scenario import file, limits, model
from gwsim.scenario.backends import Backends
from gwsim.scenario.filters import Programs
from gwsim.scenario.fleets import fleet_name
from gwsim.scenario.inbound import decision_of, outcome_of
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.resolved import ClassLabel
from gwsim.topology import (
    Cluster,
    Decision,
    Endpoint,
    FilterChain,
    HashPolicy,
    HttpConnectionManager,
    LbPolicy,
    Listener,
    Mirror,
    Proxy,
    Request,
    TcpProxy,
    WeightedCluster,
    Wire,
    chain_of,
    choose,
)
from gwsim.topology import Outcome as Kind
from gwsim.topology.upstream import PASSTHROUGH_CLUSTER

REJECTED = frozenset({Kind.CONNECTION_REJECTED, Kind.NO_LISTENER})
NO_ROUTE = "-"
"""What stands for the route's name where there is none, as in Envoy's access log."""


UPGRADE = {"connection": "Upgrade", "upgrade": "websocket"}
"""Headers of a request for a WebSocket."""

Steps = tuple[str | int, ...]
"""Place of something in the scenario file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Whose requests a proxy gets, and how: `port` is where a gateway listens, or what is dialled through a sidecar."""

    name: str
    proxy: Proxy
    port: int
    http: int
    tls: str | None
    users: int | None = None
    sni: str = ""
    kind: Literal["client", "proxy", "inbound", "backend"] = "client"
    """A client of the scenario, or what stands for another proxy (at a sidecar's receiving side), or for a backend that makes calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked: an entry of the file, the request as it looks at the proxy, and where the entry stands."""

    name: str
    entry: file.MixEntry
    wire: Wire
    steps: Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of it there."""

    asker: Asker
    asked: Asked
    decision: Decision
    chain: FilterChain | None
    outcome: model.Outcome
    label: ClassLabel


@dataclass(slots=True)
class Router:
    """Routes requests at proxies: those of clients, and those that proxies and backends send on."""

    loaded: LoadedScenario
    backends: Backends
    collector: Collector
    assumptions: dict[str, None] = field(default_factory=dict)
    programs: Programs = field(init=False)

    def __post_init__(self) -> None:
        self.programs = Programs(self._called)

    def _called(self, proxy: Proxy, name: str) -> int | None:
        """The cluster that a filter calls."""
        cluster = proxy.clusters.get(name)
        if cluster is None:
            text = f"gateway {proxy.key}: a filter calls {name}, which is no cluster of the gateway; its calls fail at once"
            self.collector.add(code("SCENARIO_NOT_MODELLED"), text, proxy.origin)
            return None
        limits.report_cluster(proxy, cluster, self.collector)
        return self.backends.cluster(proxy, cluster, tcp=False, onward=False)

    def take(self, asker: Asker, asked: Asked) -> Taken:
        """One request at one proxy."""
        proxy, request = asker.proxy, asked.wire.request
        decision = choose(proxy, asker.port, request)
        chain = None if decision.outcome in REJECTED else chain_of(proxy, asker.port, request, decision)
        self._report(asker, asked, decision)
        outcome = self._outcome(asker, asked, decision, chain, self._hash(asker, asked, decision))
        tcp = chain is not None and isinstance(chain.filter, TcpProxy)
        label = _label(asker, asked, decision, tcp=tcp)
        return Taken(asker=asker, asked=asked, decision=decision, chain=chain, outcome=outcome, label=label)

    def _report(self, asker: Asker, asked: Asked, decision: Decision) -> None:
        span = self.loaded.span(*asked.steps)
        where = f", at {fleet_name(asker.proxy)}" if asker.kind == "proxy" or asker.proxy.kind == "sidecar" else ""
        if decision.outcome is Kind.NOT_FOUND:
            self.collector.add(code("MIX_MATCHES_NO_ROUTE"), f"{asked.name}{where}: {decision.reason}; answered 404 NR", span)
        elif decision.outcome in REJECTED:
            self.collector.add(code("CONNECTION_REJECTED"), f"{asked.name}{where}: {decision.reason}", span)
        elif decision.outcome is Kind.BLACKHOLE:
            text = f"{asked.name}{where}: the mesh does not know the destination and refuses it (REGISTRY_ONLY)"
            self.collector.add(code("CONNECTION_REJECTED"), text, span)

    def _hash(self, asker: Asker, asked: Asked, decision: Decision) -> tuple[model.HashRule, ...]:
        """What the route hashes in an entry's requests; told where the scenario leaves it open."""
        rules = hash_rules(asker.users, asked.entry, asked.wire.request.headers, decision.hash_policy)
        if asker.kind == "proxy":
            # A connection between proxies carries everybody's requests.
            rules = tuple(one for one in rules if one.kind != "connection")
        if decision.hash_policy and not rules:
            what = " and ".join(dict.fromkeys(f"{one.kind} {one.name}".strip() for one in decision.hash_policy))
            text = f"client {asker.name}, {asked.name}: requests carry no {what}, so session affinity spreads them at random"
            self.assumptions[f"{text}; give the header, or `users` for how many different ones there are"] = None
        return rules

    def _outcome(
        self, asker: Asker, asked: Asked, decision: Decision, chain: FilterChain | None, hashed: tuple[model.HashRule, ...]
    ) -> model.Outcome:
        proxy, route = asker.proxy, _route_of(decision)
        if decision.outcome in REJECTED:
            # Between proxies the caller cannot open the connection, and answers for it.
            return model.Outcome(route=route, flags=("NR",)) if asker.kind == "client" else model.Outcome(route=route, local_status=503, flags=("UF",))
        stream = chain.filter if chain is not None and isinstance(chain.filter, TcpProxy) else None
        targets = self._targets(asker, asked, decision, stream is not None)
        if stream is not None and chain is not None and targets is not None:
            through = chain.tls is None and asker.tls is not None
            return stream_outcome(stream, route, targets, hashed, passthrough=through)
        program = self.programs.of(proxy, decision)
        if targets is None:
            size = len(decision.body.encode()) if decision.outcome is Kind.DIRECT_RESPONSE else 0
            return model.Outcome(
                route=route, local_status=decision.status, flags=decision.flags, local_bytes=size, program=program
            )
        retry = decision.retry_policy
        return model.Outcome(
            route=route,
            targets=targets,
            timeout_s=decision.timeout_s,
            retry=retry if retry is not None and retry.num_retries > 0 else None,
            hash=hashed,
            program=program,
            mirrors=tuple(self._mirror(proxy, one, asker.http) for one in decision.mirrors if one.percent > 0.0),
            idle_timeout_s=_stream_idle_s(asked, chain),
        )

    def _mirror(self, proxy: Proxy, one: Mirror, http: int) -> model.Mirror:
        cluster = proxy.clusters.get(one.cluster)
        if cluster is None:
            return model.Mirror(cluster=-1, percent=one.percent)
        cluster = as_used(cluster, http)
        limits.report_cluster(proxy, cluster, self.collector)
        return model.Mirror(cluster=self.backends.cluster(proxy, cluster, tcp=False, onward=False), percent=one.percent)

    def _targets(self, asker: Asker, asked: Asked, decision: Decision, tcp: bool) -> tuple[model.WeightedTarget, ...] | None:
        """The destinations; None when the proxy answers by itself."""
        if decision.outcome not in (Kind.FORWARD, Kind.ERROR, Kind.PASSTHROUGH):
            return None
        weighted = [one for one in decision.clusters if one.weight > 0]
        if not weighted:
            return None
        if all(one.missing for one in weighted) and decision.status != 503 and not tcp:
            return None  # Routes of the Gateway API answer 500 instead.
        return tuple(self._target(asker, asked, one, tcp) for one in weighted)

    def _target(self, asker: Asker, asked: Asked, one: WeightedCluster, tcp: bool) -> model.WeightedTarget:
        proxy = asker.proxy
        cluster = None if one.missing else proxy.clusters.get(one.cluster)
        if cluster is None:
            return model.WeightedTarget(cluster=-1, weight=one.weight, name=one.cluster)
        if cluster.name == PASSTHROUGH_CLUSTER or as_dialled(proxy, cluster):
            cluster = wherever(cluster, asked.wire.request, asker.port)
        cluster = as_used(cluster, asker.http)
        limits.report_cluster(proxy, cluster, self.collector, tcp=tcp)
        return model.WeightedTarget(cluster=self.backends.cluster(proxy, cluster, tcp=tcp), weight=one.weight, name=one.cluster)


def stream_outcome(
    stream: TcpProxy, route: str, targets: tuple[model.WeightedTarget, ...], hashed: tuple[model.HashRule, ...], *, passthrough: bool
) -> model.Outcome:
    """What becomes of connections whose bytes are handed on."""
    return model.Outcome(
        route=route, targets=targets, hash=hashed, tcp=True, passthrough=passthrough,
        idle_timeout_s=stream.idle_timeout_s, max_duration_s=stream.max_connection_duration_s,
    )


def as_dialled(proxy: Proxy, cluster: Cluster) -> bool:
    """Whether a cluster's endpoints are whatever the client dials: a ServiceEntry of resolution NONE, seen from a sidecar.
    At a gateway clients dial the gateway, so there it has none."""
    return proxy.kind == "sidecar" and cluster.discovery == "ORIGINAL_DST" and not cluster.endpoints


def wherever(cluster: Cluster, request: Request, port: int) -> Cluster:
    """The cluster of unknown destinations, as it is for one of them: its only endpoint is what the client dialled."""
    host = (request.destination or request.host).partition(":")[0]
    only = Endpoint(address=host, port=port, pod=host)
    return replace(cluster, host=host, port=port, endpoints=(only,), lb_policy=LbPolicy.ROUND_ROBIN)


def hash_rules(
    users: int | None, entry: file.MixEntry, headers: Mapping[str, str], policies: tuple[HashPolicy, ...]
) -> tuple[model.HashRule, ...]:
    """What hash policies find in the requests of an entry: a value it gives, one of many users', or the connection's."""
    rules = []
    for policy in policies:
        value = _value_of(entry, headers, policy)
        if policy.kind == "source_ip":
            rules.append(model.HashRule(kind="connection"))
        elif value is not None:
            rules.append(model.HashRule(kind="fixed", text=value))
        elif users is not None:
            rules.append(model.HashRule(kind="user", users=users))
        elif policy.kind == "cookie" and policy.cookie_ttl_s is not None:
            rules.append(model.HashRule(kind="connection"))  # The gateway gives a cookie, and the client keeps it.
    return tuple(rules)


def _value_of(entry: file.MixEntry, given: Mapping[str, str], policy: HashPolicy) -> str | None:
    """The text that an entry's requests all carry, if they do."""
    headers = {name.lower(): value for name, value in given.items()}
    if policy.kind == "header":
        return headers.get(policy.name.lower())
    if policy.kind == "cookie":
        pairs = [pair.strip().partition("=") for pair in headers.get("cookie", "").split(";")]
        return next((value for name, found, value in pairs if found and name == policy.name), None)
    if policy.kind == "query_parameter":
        query = parse_qs(entry.path.partition("?")[2], keep_blank_values=True)
        return query[policy.name][0] if policy.name in query else None
    return None


def as_used(cluster: Cluster, http: int) -> Cluster:
    """The cluster as clients that speak `http` use it: its codec may follow theirs (`useClientProtocol`)."""
    if not cluster.use_downstream_protocol or cluster.upstream_http == http:
        return cluster
    return replace(cluster, upstream_http=2 if http == 2 else 1)


def tls_of(client: file.Client, listener: Listener) -> tuple[str | None, bool]:
    """The client's TLS version (None: plaintext), and whether that had to be worked out from the listener."""
    given = client.connection.tls
    if given != "auto":
        return (None if given == "none" else given), False
    wants_hello = [one for one in listener.filter_chains if one.tls is not None or one.match.server_names]
    return ("1.3" if client.sni is not None or len(wants_hello) == len(listener.filter_chains) else None), True


def request_of(client: file.Client, entry: file.MixEntry, listener: Listener, tls: str | None) -> Request:
    """The request of an entry, as its client makes it."""
    host = entry.host or client.sni or ""
    first = client.mix[0].host or ""
    return Request(
        scheme="https" if tls is not None else "http",
        # All requests of a client share its connections, so one server name holds for all of them.
        sni=client.sni if client.sni is not None else _name_of(first),
        host=host,
        method=entry.method,
        path=entry.path,
        headers=UPGRADE | dict(entry.headers) if entry.stream is not None and client.connection.http == 1 else entry.headers,
        alpn=(("h2",) if client.connection.http == 2 else ("http/1.1",)) if tls is not None else (),
        client_certificate=client.client_certificate,
        http_version="" if client.from_ is None else "2" if client.connection.http == 2 else "1.1",
    )


def written_port(entry: file.MixEntry, client: file.Client) -> int:
    """The port in an entry's host; 0: it has none."""
    _, colon, port = (entry.host or client.sni or "").rpartition(":")
    return int(port) if colon and port.isdigit() else 0


def _name_of(host: str) -> str | None:
    """The server name a client sends for a host; None leaves it to route choice (an address, a port, nothing)."""
    name = host.partition(":")[0]
    return name if name and not name.replace(".", "").isdigit() and not host.startswith("[") else None


def _stream_idle_s(asked: Asked, chain: FilterChain | None) -> float:
    """How long a stream may be silent, seconds; 0: for ever, as Istio has it."""
    manager = chain.filter if chain is not None else None
    return manager.stream_idle_timeout_s if asked.entry.stream is not None and isinstance(manager, HttpConnectionManager) else 0.0


def _route_of(decision: Decision) -> str:
    """The route's name; of what is forwarded without HTTP being read, the filter chain's: there is nothing else to call it."""
    return decision.route or (decision.filter_chain if decision.clusters else "") or NO_ROUTE


def _label(asker: Asker, asked: Asked, decision: Decision, *, tcp: bool) -> ClassLabel:
    request = asked.wire.request
    return ClassLabel(
        client=asker.name,
        shape=asked.name,
        route=_route_of(decision),
        virtual_host=decision.virtual_host,
        listener=decision.listener or str(asker.port),
        gateway=fleet_name(asker.proxy),
        outcome=str(decision.outcome),
        method=asked.entry.method,
        host=request.host,
        path=request.path,
        reason=decision.reason,
        http=asker.http,
        sni=asker.sni,
        tls=asker.tls or "",
        tcp=tcp,
        stream=("grpc" if asker.http == 2 else "websocket") if asked.entry.stream is not None and asker.kind == "client" else "",
        derived=asker.kind != "client",
    )


def received(asker: Asker, asked: Asked, chain: FilterChain, cluster: int) -> Taken:
    """A request at the receiving side of a sidecar, which hands it to the application."""
    decision = decision_of(asker.port)
    return Taken(
        asker=asker, asked=asked, decision=decision, chain=chain, outcome=outcome_of(cluster, asker.port), label=_label(asker, asked, decision, tcp=False)
    )


def http_chains(listener: Listener) -> list[FilterChain]:
    """The filter chains that speak HTTP."""
    return [one for one in listener.filter_chains if isinstance(one.filter, HttpConnectionManager)]


__all__ = ["NO_ROUTE", "Asked", "Asker", "Router", "Steps", "Taken", "as_used", "hash_rules", "http_chains", "received", "request_of", "tls_of", "written_port"]
