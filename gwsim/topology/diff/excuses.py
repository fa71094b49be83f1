"""Differences from a real Envoy that say nothing against the configuration: what it has by itself, what files cannot tell.

Everything here is for the view `envoy`: the left side was built from files, the right side read from a dump.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gwsim.topology.filters import ExtAuthz, Rbac, Unmodelled
from gwsim.topology.listeners import FilterChain, HttpConnectionManager, HttpFilter, Listener
from gwsim.topology.model import Proxy, Topology
from gwsim.topology.routes import Forward
from gwsim.topology.upstream import Cluster

ISTIO_CLUSTERS = frozenset([
    "agent", "prometheus_stats", "sds-grpc", "xds-grpc", "zipkin", "tracing", "lightstep", "datadog_agent", "PassthroughCluster",
    "BlackHoleCluster", "InboundPassthroughCluster", "InboundPassthroughClusterIpv4", "InboundPassthroughClusterIpv6",
    "envoy_metrics_service", "envoy_accesslog_service",
])  # fmt: skip
"""Clusters of Istio's own bootstrap, and those it gives every proxy. Source: istio
tools/packaging/common/envoy_bootstrap.json, pilot/pkg/networking/util/util.go."""
OWN = "Istio's own"
UNKNOWN_SERVICE = "its service is not in the files given, and no route leads to it"
UNUSED = "no route leads to it, and istiod sent no such cluster (PILOT_FILTER_GATEWAY_CLUSTER_CONFIG)"
UNTOLD: dict[str, frozenset[str]] = {
    "listener": frozenset(["declared_ports", "max_connections"]),
    "filter_chain": frozenset(["name", "filter.stat_prefix", "filter.route", "tls.usable"]),
    "route_configuration": frozenset(),
    "virtual_host": frozenset(["name"]),
    "route": frozenset(["name"]),
    "http_filter": frozenset(["config.only", "config.phase", "config.priority", "config.url", "config.calls"]),
    "cluster": frozenset(["protocol", "external", "host", "port", "subset", "tcp_idle_timeout_s"]),
}
"""Fields that an Envoy does not have, or that are names only."""


@dataclass(slots=True)
class Excuses:
    """What is known of both sides."""

    left: Proxy
    right: Proxy
    assumptions: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()
    """Hosts that the files define."""
    used: frozenset[str] = frozenset()
    """Clusters that some route of either side names."""
    only_used: bool = field(init=False, default=False)

    @classmethod
    def of(cls, left: Topology, right: Topology, ours: Proxy, theirs: Proxy) -> Excuses:
        """Of two proxies and what surrounds them."""
        return cls(
            left=ours,
            right=theirs,
            assumptions=(*left.assumptions, *ours.assumed),
            hosts=frozenset(one.host for one in left.services),
            used=frozenset(clusters_named(ours)) | frozenset(clusters_named(theirs)),
        )

    def __post_init__(self) -> None:
        sent = [name for name in self.right.clusters if name.startswith("outbound|")]
        self.only_used = bool(sent) and all(name in self.used for name in sent)

    def cluster(self, one: Cluster, *, added: bool) -> str:
        """Why a cluster that only one side has does not count."""
        if one.name in ISTIO_CLUSTERS:
            return OWN
        if one.name in self.used:
            return ""
        if added:
            if one.name.startswith("outbound_."):
                return "clusters chosen by server name are for AUTO_PASSTHROUGH, which no server has"
            return "" if one.host in self.hosts else UNKNOWN_SERVICE
        return UNUSED if self.only_used else ""

    def listener(self, one: Listener) -> str:
        """Why a listener that only the dump has does not count."""
        names = {name for chain in chains_of(one) for name in named_in(chain)}
        return OWN if names and names <= ISTIO_CLUSTERS else ""

    def endpoints(self, one: Cluster) -> str:
        """Why the endpoints of a cluster cannot be compared."""
        found = next((text for text in self.assumptions if text.startswith(f"{one.host}: ")), "")
        return f"assumed: {found}" if found else ""

    def field(self, kind: str, name: str, left: Any, right: Any) -> str:
        """Why a field that is not the same does not count."""
        if kind == "filter_chain" and name == "tls.certificate" and "unknown" in (left, right):
            return "the kind of key is not known on both sides"
        if kind == "cluster" and name.startswith("locality_lb") and _no_priorities(right):
            return "priorities of localities show only where endpoints are in several"
        if kind == "http_filter" and name == "config.providers" and _without_uri(left) == _without_uri(right):
            return "istiod fetches the keys and sends them along"
        return ""

    def http_filter(self, one: HttpFilter, ours: Sequence[HttpFilter], *, added: bool) -> str:
        """Why an HTTP filter that only one side has does not count."""
        if isinstance(one.config, Unmodelled):
            return "not modelled"
        shadow = isinstance(one.config, Rbac) and one.config.rules is None and one.config.shadow_rules is not None
        if added and shadow and any(isinstance(each.config, ExtAuthz) and each.config.only for each in ours):
            return "tells ext_authz which requests to ask about; part of that filter here"
        return ""


def _without_uri(providers: Any) -> Any:
    if not isinstance(providers, list):
        return providers
    return [{key: value for key, value in one.items() if key not in ("jwks_uri", "cluster")} for one in providers]


def _no_priorities(right: Any) -> bool:
    return right in (None, "", [], False)


def chains_of(listener: Listener) -> Iterator[FilterChain]:
    """All filter chains, the default one too."""
    yield from listener.filter_chains
    if listener.default_chain is not None:
        yield listener.default_chain


def clusters_named(proxy: Proxy) -> Iterator[str]:
    """The clusters that routes, TCP proxies and mirrors of a proxy name."""
    for listener in proxy.listeners:
        for chain in chains_of(listener):
            yield from named_in(chain)


def named_in(chain: FilterChain) -> Iterable[str]:
    """The clusters that a filter chain names."""
    if not isinstance(chain.filter, HttpConnectionManager):
        return [one.cluster for one in chain.filter.clusters]
    actions = [route.action for host in chain.filter.route_config.virtual_hosts for route in host.routes]
    forwards = [one for one in actions if isinstance(one, Forward)]
    mirrored = [one.cluster for each in forwards for one in each.mirrors]
    return [*(one.cluster for each in forwards for one in each.clusters), *mirrored]
