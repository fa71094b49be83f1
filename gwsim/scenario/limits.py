"""What a scenario asks for, or a topology holds, that the engines cannot do yet: told once each, never dropped."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import Collector, Span, code
from gwsim.scenario.costing import ISTIO_FILTERS
from gwsim.scenario.reading import LoadedScenario
from gwsim.topology import (
    Cluster,
    FilterChain,
    HttpConnectionManager,
    HttpFilter,
    LbPolicy,
    Proxy,
    TcpProxy,
)
from gwsim.topology import filters as envoy

SIMULATED_POLICIES = frozenset(LbPolicy) - {LbPolicy.ORIGINAL_DST}


def report_scenario(loaded: LoadedScenario, collector: Collector) -> None:
    """Settings of the file that have no effect yet."""
    if loaded.has("front", "idle_timeout"):
        text = "idle_timeout of the load balancer has no effect: idle connections are never dropped"
        _own(loaded, collector, text, "front", "idle_timeout")
    if loaded.has("front", "deregistration") and not _pods_leave(loaded):
        text = "deregistration of the load balancer has no effect: no pod leaves during a run"
        _own(loaded, collector, text, "front", "deregistration")


def _pods_leave(loaded: LoadedScenario) -> bool:
    """Whether gateway pods may come and go."""
    scenario = loaded.scenario
    return scenario.run.kind == "timeline" or any(one.changes for one in scenario.gateway.values())


def _own(loaded: LoadedScenario, collector: Collector, text: str, *steps: str) -> None:
    collector.add(code("SCENARIO_NOT_MODELLED"), text, loaded.span(*steps), object_ref=".".join(steps))


def _topology(collector: Collector, text: str, span: Span | None) -> None:
    collector.add(code("NOT_MODELLED"), text, span)


def report_proxy(proxy: Proxy, collector: Collector) -> None:
    """What a gateway's fleet has that is not simulated."""
    limit, workers = proxy.cpu_limit_cores, proxy.workers
    if limit is not None and limit < workers:
        text = f"gateway {proxy.key}: the CPU limit of {limit:g} cores is below its {workers} workers"
        collector.add(code("CPU_LIMIT_BELOW_WORKERS"), text, proxy.origin)
    if 0.0 < proxy.trace_sampling_percent < 100.0:
        text = f"gateway {proxy.key}: spans of {proxy.trace_sampling_percent:g} % of the requests cost every request the mean"
        _topology(collector, text, proxy.origin)


def report_chain(proxy: Proxy, chain: FilterChain, collector: Collector) -> None:
    """What a filter chain has that is not simulated."""
    if isinstance(chain.filter, TcpProxy) and chain.filter.max_connect_attempts != 1:
        text = f"filter chain {chain.name}: of {chain.filter.max_connect_attempts} attempts to connect only the first is simulated"
        _topology(collector, text, chain.origin)
    for network in chain.network_filters:
        _topology(collector, f"network filter {network.name} is not simulated", network.origin or chain.origin)
    if isinstance(chain.filter, HttpConnectionManager):
        for http in chain.filter.http_filters:
            missing = _of_filter(http)
            if missing:
                _topology(collector, f"HTTP filter {http.name} {missing}", http.origin or chain.origin)


def _of_filter(http: HttpFilter) -> str:
    """What of an HTTP filter is not simulated; empty: nothing."""
    match http.config:
        case envoy.Lua():
            return "costs CPU and makes its calls, but what its script decides is not followed"
        case envoy.Wasm():
            return "costs CPU, but what the plugin decides is not followed"
        case envoy.ExtProc() | envoy.Compressor() | envoy.Buffer() | envoy.GrpcWeb() | envoy.Unmodelled():
            return "" if http.name in ISTIO_FILTERS else "is not simulated"
        case _:
            return ""


def report_cluster(proxy: Proxy, cluster: Cluster, collector: Collector, *, tcp: bool = False) -> None:
    """What a cluster that requests reach has that is not simulated."""
    if cluster.tunnel is not None and not tcp:
        _topology(collector, f"cluster {cluster.name}: only byte streams are tunnelled; these requests go to the endpoints as they are", cluster.origin or proxy.origin)
    for text in _of_cluster(cluster):
        _topology(collector, f"cluster {cluster.name}: {text}", cluster.origin or proxy.origin)


def _of_cluster(cluster: Cluster) -> Iterator[str]:
    if cluster.lb_policy not in SIMULATED_POLICIES:
        yield f"load balancing by {cluster.lb_policy} is simulated as LEAST_REQUEST"
    if cluster.slow_start is not None:
        yield "endpoints join during a run only where a backend has a rollout; elsewhere slow start has no effect"
    if cluster.tls is not None and not cluster.tls.usable:
        yield f"the secret {cluster.tls.credential_name!r} is missing, so every connection would fail; it is simulated as if it were there"
    mixed = {one.mtls for one in cluster.endpoints}
    if cluster.tls is None and len(mixed) > 1:
        yield "some endpoints use mutual TLS and some do not; all are simulated like most of them"


__all__ = ["report_chain", "report_cluster", "report_proxy", "report_scenario"]
