"""From a cost profile to what the engines charge, for each client and each cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gwsim import costs
from gwsim.costs import CostProfile, VisitCosts
from gwsim.diagnostics import Collector, code
from gwsim.errors import GwsimError
from gwsim.scenario.memory import MemoryCosts
from gwsim.scenario.model import Client, DownstreamCosts, MessageCosts, UpstreamCosts
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.resolved import CostFacts
from gwsim.topology import (
    Cluster,
    DownstreamTls,
    FilterChain,
    HttpConnectionManager,
    Listener,
    Proxy,
    TcpProxy,
)
from gwsim.topology import filters as envoy

ISTIO_FILTERS = frozenset(
    {
        "istio.metadata_exchange", "envoy.filters.http.grpc_stats", "istio.alpn", "istio.stats",
        "envoy.filters.http.fault", "envoy.filters.http.cors",
    }
)  # fmt: skip
"""Filters every Istio gateway has; `visit_costs` charges them by itself. Fault and CORS act where a route says so."""
PRICED: dict[type, str] = {
    envoy.ExtAuthz: "ext_authz",
    envoy.JwtAuthn: "jwt_rs256",
    envoy.LocalRateLimit: "rate_limit_local",
    envoy.Lua: "lua",
    envoy.RateLimit: "rate_limit_global",
    envoy.Rbac: "rbac",
    envoy.Wasm: "wasm",
}
"""Further filters, by the class of their configuration, and their name in the cost profile."""
_CALL = re.compile(r":\s*\w+\s*\(")
"""A method call in a script; all its objects are Envoy's."""
ASSUMED_CERTIFICATE = "rsa2048"
PASSTHROUGH_PREFIX = "outbound_."
"""Of the clusters that AUTO_PASSTHROUGH hands mutual TLS on to."""


def profile_of(loaded: LoadedScenario, collector: Collector) -> CostProfile:
    """The profile the `costs` section describes; what is wrong with it is reported, and the shipped one taken."""
    section, profile = loaded.scenario.costs, costs.load()
    for name in ("profile", "calibration"):
        file = getattr(section, name)
        if file is not None:
            try:
                path = loaded.path(file)
                profile = costs.load(path) if name == "profile" else profile.merge(path)
            except GwsimError as error:
                _report(str(error), loaded, ("costs", name), collector)
    for path_, value in section.overrides.items():
        try:
            profile = profile.with_overrides({path_: value})
        except GwsimError as error:
            _report(str(error), loaded, ("costs", "overrides", path_), collector)
    return profile if section.speed is None else profile.with_speed(section.speed)


def _report(text: str, loaded: LoadedScenario, steps: tuple[str, ...], collector: Collector) -> None:
    for line in text.splitlines():
        message, _, help = line.partition("; did you mean ")
        hint = f"did you mean {help}" if help else None
        collector.add(code("SCENARIO_VALUE"), message, loaded.span(*steps), help=hint, object_ref=".".join(steps))


@dataclass(slots=True)
class Pricing:
    """Costs of one scenario; remembers what had to be assumed."""

    profile: CostProfile
    assumptions: dict[str, None] = field(default_factory=dict)

    def downstream(
        self, proxy: Proxy, listener: Listener, chain: FilterChain | None, http: int, tls: str | None
    ) -> DownstreamCosts:
        """The client's side of a gateway, for clients that speak `http` over `tls` (None: plaintext)."""
        version = tls if chain is None or chain.tls is not None else None
        priced = self._priced(proxy, chain, http=http, tls=version)
        named = tls is not None and any(one.match.server_names for one in listener.filter_chains)
        inspected = self.profile.si("connections.tls_inspector_us") if named else 0.0
        return DownstreamCosts(
            accept_s=priced.accept_s,
            client_hello_full_s=priced.client_hello_full_s + inspected,
            client_hello_resumed_s=priced.client_hello_resumed_s + inspected,
            finished_full_s=priced.finished_full_s,
            finished_resumed_s=priced.finished_resumed_s,
            read_s=priced.read_s,
            read_stream_s=priced.read_stream_s,
            read_byte_s=priced.read_byte_s,
            write_down_s=priced.write_down_s,
            write_down_stream_s=priced.write_down_stream_s,
            write_down_byte_s=priced.write_down_byte_s,
            timer_s=priced.timer_s,
            close_s=priced.close_s,
        )

    def upstream(self, proxy: Proxy, cluster: Cluster, *, tcp: bool) -> tuple[UpstreamCosts, int]:
        """The cluster's side of a gateway, and the round trips of a TLS handshake with an endpoint."""
        filters = () if tcp else filters_of(proxy, None)
        priced = costs.visit_costs(
            self.profile,
            upstream_http=cluster.upstream_http,
            upstream_tls=upstream_tls(cluster),
            filters=filters,
            traced=0.0 if tcp else proxy.trace_sampling_percent / 100.0,
            tcp=tcp,
        )
        asks, trip = self._tunnel(cluster) if tcp else (0.0, 0)
        made = UpstreamCosts(
            write_up_s=priced.write_up_s + priced.write_up_stream_s,
            write_up_byte_s=priced.write_up_byte_s,
            read_up_s=priced.read_up_s + priced.read_up_stream_s,
            read_up_byte_s=priced.read_up_byte_s,
            up_connected_s=priced.up_connected_s,
            up_tls_s=priced.up_tls_s + asks,
            close_s=priced.close_s,
        )
        return made, priced.up_tls_rtts_full + trip

    def _tunnel(self, cluster: Cluster) -> tuple[float, int]:
        """Asking a forward proxy for a connection: the head of a request and that of its answer, and a round trip."""
        if cluster.tunnel is None:
            return 0.0, 0
        return self.profile.si("http1.write_up_us") + self.profile.si("http1.read_up_us"), 1

    def messages(self, tls: str | None, cluster: Cluster | None) -> MessageCosts:
        """Visits that carry messages of long streams: their bytes pass as those of TCP do, as Envoy opens no frame of theirs."""
        secured = None if cluster is None else upstream_tls(cluster)
        priced = costs.visit_costs(
            self.profile, downstream_tls=None if tls is None else ("1.2" if tls == "1.2" else "1.3"), upstream_tls=secured, tcp=True,
        )
        return MessageCosts(
            read_s=priced.read_s, read_byte_s=priced.read_byte_s, write_up_s=priced.write_up_s, write_up_byte_s=priced.write_up_byte_s,
            read_up_s=priced.read_up_s, read_up_byte_s=priced.read_up_byte_s, write_down_s=priced.write_down_s, write_down_byte_s=priced.write_down_byte_s,
        )

    def hello_s(self) -> float:
        """CPU with which a server answers a client hello in full, as far as nothing is known of its certificate."""
        return costs.visit_costs(self.profile, downstream_tls="1.3", certificate=ASSUMED_CERTIFICATE).client_hello_full_s

    def loop_s(self) -> tuple[float, float]:
        """CPU of a wake-up and of an iteration of a worker."""
        return self.profile.si("worker.wakeup_us"), self.profile.si("worker.iteration_us")

    def _priced(self, proxy: Proxy, chain: FilterChain | None, *, http: int, tls: str | None) -> VisitCosts:
        terminated = chain.tls if chain is not None else None
        tcp = chain is not None and isinstance(chain.filter, TcpProxy)
        return costs.visit_costs(
            self.profile,
            downstream_http=http,
            downstream_tls=None if tls is None else ("1.2" if tls == "1.2" else "1.3"),
            certificate=self._certificate(proxy, chain, terminated) if tls is not None else ASSUMED_CERTIFICATE,
            mutual=terminated is not None and terminated.mode in ("mutual", "optional_mutual", "istio_mutual"),
            filters=() if tcp else filters_of(proxy, chain),
            traced=0.0 if tcp else proxy.trace_sampling_percent / 100.0,
            tcp=tcp,
        )

    def _certificate(self, proxy: Proxy, chain: FilterChain | None, tls: DownstreamTls | None) -> str:
        if tls is not None and tls.certificate in costs.CERTIFICATES:
            return tls.certificate
        where = f", filter chain {chain.name}" if chain is not None else ""
        self.assumptions[f"gateway {proxy.key}{where}: the certificate's kind of key is not known; RSA-2048 is taken"] = None
        return ASSUMED_CERTIFICATE

    def facts(self, proxy: Proxy | None, client: Client | None) -> CostFacts:
        """What reports say about the costs; the range is that of a request of the given client."""
        low, high = 1.0, 1.0
        if proxy is not None and client is not None:
            low, high = costs.cpu_per_request_range(
                self.profile, downstream_http=client.connection.http, downstream_tls=client.connection.tls, filters=filters_of(proxy, None),
                traced=proxy.trace_sampling_percent / 100.0,
            )
        return CostFacts(
            profile=self.profile.name,
            calibrated=self.profile.calibrated,
            digest=self.profile.digest,
            provenance=self.profile.provenance,
            low=low,
            high=high,
            vcpu_hour_usd=costs.prices(self.profile).vcpu_hour,
            internet_gb_usd=costs.prices(self.profile).internet_gb,
            memory=MemoryCosts(costs.memory(self.profile, "low"), costs.memory(self.profile), costs.memory(self.profile, "high")),
        )


def filters_of(proxy: Proxy, chain: FilterChain | None) -> tuple[str, ...]:
    """Names, in the cost profile, of what a request pays for beyond Istio's own filters: of access rules with their
    number, and with a token in every request where tokens are checked."""
    names = ["access_log_text"] if proxy.access_log else []
    chains = [chain] if chain is not None else [one for listener in proxy.listeners for one in listener.filter_chains]
    rules = 0
    for one in chains:
        if isinstance(one.filter, HttpConnectionManager):
            names += [_priced_as(http.config) for http in one.filter.http_filters if type(http.config) in PRICED]
            rules = max(rules, sum(_rules_in(http.config) for http in one.filter.http_filters))
    if rules:
        names = [name for name in names if name != "rbac"] + [f"rbac:{rules}"]
    return tuple(dict.fromkeys(names))


def _priced_as(config: envoy.HttpConfig) -> str:
    """The name of a filter in the cost profile; of a script with the number of calls into Envoy that its text makes."""
    name = PRICED[type(config)]
    if not isinstance(config, envoy.Lua):
        return name
    return f"{name}:{sum(len(_CALL.findall(line.partition('--')[0])) for line in config.source.splitlines())}"


def _rules_in(config: envoy.HttpConfig) -> int:
    """Access rules that a filter evaluates for a request."""
    if isinstance(config, envoy.Rbac):
        return sum(len(one.policies) for one in (config.rules, config.shadow_rules) if one is not None)
    return len(config.only.policies) if isinstance(config, envoy.ExtAuthz) and config.only is not None else 0


def upstream_tls(cluster: Cluster) -> costs.visits.UpstreamTls | None:
    """The TLS of a cluster: its own, or Istio mutual TLS when all (or most) of its endpoints ask for it."""
    if cluster.tls is not None:
        return cluster.tls.mode
    if cluster.name.startswith(PASSTHROUGH_PREFIX):
        return None  # What comes is encrypted already.
    secured = sum(one.mtls for one in cluster.endpoints)
    return "istio_mutual" if secured * 2 > len(cluster.endpoints) else None


__all__ = ["ISTIO_FILTERS", "PRICED", "Pricing", "filters_of", "profile_of", "upstream_tls"]
