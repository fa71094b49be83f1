"""The receiving side of sidecars: listener 15006 hands each request to the application in the same pod.

Source: istio/istio pilot/pkg/networking/core/listener_inbound.go: one filter chain a port, one route to the cluster
`inbound|<port>||`, no time-out, no retries. Access rules and rate limits of the receiving side are not modelled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gwsim.scenario.fleets import fleet_name
from gwsim.scenario.model import Host, Outcome, Placement, SimCluster, WeightedTarget
from gwsim.topology import (
    Cluster,
    Decision,
    DownstreamTls,
    Endpoint,
    FilterChain,
    HttpConnectionManager,
    LbPolicy,
    Listener,
    Proxy,
    RouteConfiguration,
    WeightedCluster,
)
from gwsim.topology import Outcome as Kind
from gwsim.topology.from_istio.listeners import WORKLOAD_KEY

if TYPE_CHECKING:
    from gwsim.scenario.costing import Pricing
    from gwsim.scenario.fleets import Fleets

PORT = 15006
ZONE = "within the pod"
"""Where applications are for the sidecars beside them."""


def listener_of(port: int, *, mutual: bool) -> tuple[Listener, FilterChain]:
    """The inbound listener and the filter chain of a port."""
    name = f"inbound|{port}||"
    tls = DownstreamTls(mode="istio_mutual", certificate=WORKLOAD_KEY, require_client_certificate=True) if mutual else None
    chain = FilterChain(
        name=f"0.0.0.0_{port}", tls=tls, filter=HttpConnectionManager(route_config=RouteConfiguration(name=name), stat_prefix=f"inbound_0.0.0.0_{port}")
    )
    return Listener(name="virtualInbound", port=PORT, filter_chains=(chain,)), chain


def decision_of(port: int) -> Decision:
    """What the receiving side does with every request. (Istio calls every such route `default`; here it has its port.)"""
    name = f"inbound|{port}||"
    return Decision(
        outcome=Kind.FORWARD, status=200, listener="virtualInbound", filter_chain=f"0.0.0.0_{port}", virtual_host=name, route=name,
        clusters=(WeightedCluster(cluster=name, weight=1),), route_config=name,
    )


def outcome_of(cluster: int, port: int) -> Outcome:
    """The same for the engines."""
    name = f"inbound|{port}||"
    return Outcome(route=name, targets=(WeightedTarget(cluster=cluster, weight=1, name=name),))


@dataclass(slots=True)
class InboundClusters:
    """The clusters from sidecars to their applications: each pod sees only its own."""

    fleets: Fleets
    pricing: Pricing
    clusters: list[SimCluster]
    owners: list[str]
    given: list[tuple[Endpoint, ...]]
    _known: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def index(self, proxy: Proxy, outbound: Cluster, endpoint: Endpoint, pod: int, station: int) -> int:
        """The cluster of a sidecar's port, which the pod and its application (a station) are added to."""
        key = (fleet_name(proxy), endpoint.port, outbound.upstream_http)
        at = self._known.get(key)
        if at is None:
            at = self._known[key] = len(self.clusters)
            cluster = Cluster(
                name=f"inbound|{endpoint.port}||", host=outbound.host, port=endpoint.port, subset="inbound", discovery="STATIC",
                lb_policy=LbPolicy.ROUND_ROBIN, upstream_http=outbound.upstream_http, protocol=outbound.protocol,
            )
            costs, _ = self.pricing.upstream(proxy, cluster, tcp=False)
            self.clusters.append(SimCluster(cluster=cluster, stations=(), costs=costs))
            self.owners.append(proxy.cluster)
            self.given.append(())
        have = self.clusters[at]
        if station not in have.stations:
            self.clusters[at] = self._with(have, proxy, endpoint, pod, station)
        return at

    def _with(self, have: SimCluster, proxy: Proxy, endpoint: Endpoint, pod: int, station: int) -> SimCluster:
        endpoints = (*have.cluster.endpoints, replace(endpoint, mtls=False, weight=1))
        hosts = (*have.hosts, Host(key=f"{endpoint.address}:{endpoint.port}"))
        owners = [*self._owners_of(have), self.fleets.pods_of(proxy)[pod].view]
        placements = {
            view: Placement(priorities=tuple(0 if one == view else -1 for one in owners), groups=tuple(range(len(owners)))) for view in owners
        }
        return replace(
            have, cluster=replace(have.cluster, endpoints=endpoints), stations=(*have.stations, station), hosts=hosts, placements=placements
        )

    def _owners_of(self, have: SimCluster) -> list[str]:
        """The view that each host belongs to."""
        count = len(have.stations)
        return [next(view for view, one in have.placements.items() if one.priorities[at] == 0) for at in range(count)]


__all__ = ["PORT", "ZONE", "InboundClusters", "decision_of", "listener_of", "outcome_of"]
