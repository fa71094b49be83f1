"""Each entry of a mix, routed once: what becomes of it, and which clusters it reaches."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs

from gwsim.diagnostics import Collector, code
from gwsim.scenario import file, limits, model
from gwsim.scenario.backends import Backends
from gwsim.scenario.filters import Programs
from gwsim.scenario.fleets import fleet_name
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.resolved import ClassLabel
from gwsim.scenario.traffic import entry_name
from gwsim.topology import (
    Cluster,
    Decision,
    FilterChain,
    HashPolicy,
    HttpConnectionManager,
    Listener,
    Mirror,
    Proxy,
    Request,
    TcpProxy,
    WeightedCluster,
    choose,
)
from gwsim.topology import Outcome as Kind

REJECTED = frozenset({Kind.CONNECTION_REJECTED, Kind.NO_LISTENER})
NO_ROUTE = "-"
"""What stands for the route's name where there is none, as in Envoy's access log."""


@dataclass(frozen=True, slots=True)
class Routed:
    """A client's entries, routed: outcomes and labels in the order of the mix, and the filter chain of its connections."""

    outcomes: tuple[model.Outcome, ...]
    labels: tuple[ClassLabel, ...]
    chain: FilterChain | None


@dataclass(slots=True)
class Router:
    """Routes the mixes of all clients."""

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
        return self.backends.cluster(proxy, cluster, tcp=False)

    def route(self, name: str, client: file.Client, proxy: Proxy, listener: Listener, tls: str | None) -> Routed:
        """Every entry of a client's mix through route choice."""
        decisions = [choose(proxy, listener, request_of(client, entry, listener, tls)) for entry in client.mix]
        chain = self._chain(name, listener, decisions)
        outcomes: list[model.Outcome] = []
        labels: list[ClassLabel] = []
        for at, (entry, decision) in enumerate(zip(client.mix, decisions, strict=True)):
            self._report(name, at, entry_name(entry, client.sni or ""), decision)
            outcomes.append(self._outcome(proxy, client, decision, chain, self._hash(name, client, entry, decision)))
            label = _label(name, client, entry, proxy, listener, decision)
            labels.append(replace(label, tls=tls or "", tcp=chain is not None and isinstance(chain.filter, TcpProxy)))
        return Routed(tuple(outcomes), tuple(labels), chain)

    def _chain(self, name: str, listener: Listener, decisions: list[Decision]) -> FilterChain | None:
        """The filter chain of the client's connections: that of the first entry that is not rejected."""
        used = list(dict.fromkeys(one.filter_chain for one in decisions if one.outcome not in REJECTED))
        if len(used) > 1:
            text = f"client {name}: its entries belong to filter chains {', '.join(used)}; connections are priced as those of {used[0]}"
            self.collector.add(code("SCENARIO_NOT_MODELLED"), text, self.loaded.span("clients", name, "mix"))
        return next((one for one in listener.filter_chains if used and one.name == used[0]), None)

    def _report(self, client: str, at: int, name: str, decision: Decision) -> None:
        span = self.loaded.span("clients", client, "mix", at)
        if decision.outcome is Kind.NOT_FOUND:
            self.collector.add(code("MIX_MATCHES_NO_ROUTE"), f"{name}: {decision.reason}; answered 404 NR", span)
        elif decision.outcome in REJECTED:
            self.collector.add(code("CONNECTION_REJECTED"), f"{name}: {decision.reason}", span)

    def _hash(self, name: str, client: file.Client, entry: file.MixEntry, decision: Decision) -> tuple[model.HashRule, ...]:
        """What the route hashes in an entry's requests; told where the scenario leaves it open."""
        rules = hash_rules(client, entry, decision.hash_policy)
        if decision.hash_policy and not rules:
            what = " and ".join(dict.fromkeys(f"{one.kind} {one.name}".strip() for one in decision.hash_policy))
            text = f"client {name}, {entry_name(entry, client.sni or '')}: requests carry no {what}, so session affinity spreads them at random"
            self.assumptions[f"{text}; give the header, or `users` for how many different ones there are"] = None
        return rules

    def _outcome(
        self,
        proxy: Proxy,
        client: file.Client,
        decision: Decision,
        chain: FilterChain | None,
        hashed: tuple[model.HashRule, ...],
    ) -> model.Outcome:
        route = decision.route or NO_ROUTE
        if decision.outcome in REJECTED:
            return model.Outcome(route=route, flags=("NR",))
        tcp = chain is not None and isinstance(chain.filter, TcpProxy)
        targets = self._targets(proxy, decision, tcp, client.connection.http)
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
            mirrors=tuple(self._mirror(proxy, one, client.connection.http) for one in decision.mirrors if one.percent > 0.0),
        )

    def _mirror(self, proxy: Proxy, one: Mirror, http: int) -> model.Mirror:
        cluster = proxy.clusters.get(one.cluster)
        if cluster is None:
            return model.Mirror(cluster=-1, percent=one.percent)
        cluster = as_used(cluster, http)
        limits.report_cluster(proxy, cluster, self.collector)
        return model.Mirror(cluster=self.backends.cluster(proxy, cluster, tcp=False), percent=one.percent)

    def _targets(
        self, proxy: Proxy, decision: Decision, tcp: bool, http: int
    ) -> tuple[model.WeightedTarget, ...] | None:
        """The destinations; None when the gateway answers by itself."""
        if decision.outcome not in (Kind.FORWARD, Kind.ERROR):
            return None
        weighted = [one for one in decision.clusters if one.weight > 0]
        if not weighted:
            return None
        if all(one.missing for one in weighted) and decision.status != 503:
            return None  # Routes of the Gateway API answer 500 instead.
        return tuple(self._target(proxy, one, tcp, http) for one in weighted)

    def _target(self, proxy: Proxy, one: WeightedCluster, tcp: bool, http: int) -> model.WeightedTarget:
        cluster = None if one.missing else proxy.clusters.get(one.cluster)
        if cluster is None:
            return model.WeightedTarget(cluster=-1, weight=one.weight, name=one.cluster)
        cluster = as_used(cluster, http)
        limits.report_cluster(proxy, cluster, self.collector)
        return model.WeightedTarget(cluster=self.backends.cluster(proxy, cluster, tcp=tcp), weight=one.weight, name=one.cluster)


def hash_rules(client: file.Client, entry: file.MixEntry, policies: tuple[HashPolicy, ...]) -> tuple[model.HashRule, ...]:
    """What hash policies find in the requests of an entry: a value it gives, one of many users', or the connection's."""
    rules = []
    for policy in policies:
        value = _value_of(entry, policy)
        if policy.kind == "source_ip":
            rules.append(model.HashRule(kind="connection"))
        elif value is not None:
            rules.append(model.HashRule(kind="fixed", text=value))
        elif client.users is not None:
            rules.append(model.HashRule(kind="user", users=client.users))
        elif policy.kind == "cookie" and policy.cookie_ttl_s is not None:
            rules.append(model.HashRule(kind="connection"))  # The gateway gives a cookie, and the client keeps it.
    return tuple(rules)


def _value_of(entry: file.MixEntry, policy: HashPolicy) -> str | None:
    """The text that an entry's requests all carry, if they do."""
    headers = {name.lower(): value for name, value in entry.headers.items()}
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
        headers=entry.headers,
        alpn=(("h2",) if client.connection.http == 2 else ("http/1.1",)) if tls is not None else (),
        client_certificate=client.client_certificate,
    )


def _name_of(host: str) -> str | None:
    """The server name a client sends for a host; None leaves it to route choice (an address, a port, nothing)."""
    name = host.partition(":")[0]
    return name if name and not name.replace(".", "").isdigit() and not host.startswith("[") else None


def _label(
    name: str, client: file.Client, entry: file.MixEntry, proxy: Proxy, listener: Listener, decision: Decision
) -> ClassLabel:
    return ClassLabel(
        client=name,
        shape=entry_name(entry, client.sni or ""),
        route=decision.route or NO_ROUTE,
        virtual_host=decision.virtual_host,
        listener=listener.name,
        gateway=fleet_name(proxy),
        outcome=str(decision.outcome),
        method=entry.method,
        host=entry.host or client.sni or "",
        path=entry.path,
        reason=decision.reason,
        http=client.connection.http,
        sni=client.sni or "",
    )


def http_chains(listener: Listener) -> list[FilterChain]:
    """The filter chains that speak HTTP."""
    return [one for one in listener.filter_chains if isinstance(one.filter, HttpConnectionManager)]


__all__ = ["NO_ROUTE", "Routed", "Router", "hash_rules", "http_chains", "request_of", "tls_of"]
