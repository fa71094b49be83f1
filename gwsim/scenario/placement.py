"""How gateway pods see the hosts of a cluster: weights, health, and priorities by locality.

Istio computes this per proxy when it pushes endpoints, so that pods in different places see different priorities.
Source: istio/istio pilot/pkg/networking/core/loadbalancer/loadbalancer.go (`ApplyLocalityLoadBalancer`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil

from gwsim.scenario.model import Fleet, Host, Placement, SimCluster
from gwsim.topology import Cluster, Endpoint, Locality, LocalityLb, Proxy

REGION, ZONE, SUBZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"
NETWORK, CLUSTER = "topology.istio.io/network", "topology.istio.io/cluster"
FARTHEST = 4
"""Priority of a region that `failover` does not name."""


def locality_of(proxy: Proxy, ordinal: int) -> Locality:
    """Where a gateway pod runs; pods beyond those of the topology go on with the round through the zones."""
    if ordinal < len(proxy.pods):
        return proxy.pods[ordinal].locality
    return Locality.of(proxy.zones[ordinal % len(proxy.zones)]) if proxy.zones else Locality()


def view_of(fleet: str, locality: Locality) -> str:
    """Key of `SimCluster.placements` for the pods of a fleet in one place."""
    return f"{fleet}|{locality}"


def hosts_of(cluster: Cluster) -> tuple[Host, ...]:
    """The endpoints as load balancing sees them."""
    return tuple(
        Host(key=f"{one.address}:{one.port}", weight=one.weight, health="healthy" if one.healthy else "unhealthy")
        for one in cluster.endpoints
    )


def placed(sim: SimCluster, given: tuple[Endpoint, ...], proxies: Sequence[Proxy], fleets: Sequence[Fleet]) -> SimCluster:
    """The cluster with the placements of all pods that see more in it than equal hosts; `given` are its endpoints in the topology."""
    lb = sim.cluster.locality_lb
    if lb is None:
        return sim
    placements: dict[str, Placement] = {}
    for proxy, fleet in zip(proxies, fleets, strict=True):
        for ordinal, pod in enumerate(fleet.pods):
            own = proxy.clusters.get(sim.cluster.name)
            if pod.view not in placements and own is not None and own.endpoints == given:
                placements[pod.view] = placement(proxy, locality_of(proxy, ordinal), sim.cluster.endpoints, lb)
    plain = all(not any(one.priorities) and one.group_weights is None for one in placements.values())
    return sim if plain else replace(sim, placements=placements)


def placement(proxy: Proxy, here: Locality, endpoints: Sequence[Endpoint], lb: LocalityLb) -> Placement:
    """What a pod of `proxy` in `here` sees."""
    if lb.distribute:
        return _distributed(here, endpoints, lb)
    raw = [_priority(proxy, here, one, lb) for one in endpoints]
    order = {p: at for at, p in enumerate(sorted(set(raw)))}  # Gaps are closed.
    priorities = tuple(order[p] for p in raw)
    groups = _groups(list(zip(priorities, [one.locality for one in endpoints], strict=True)))
    weights = _sums(groups, endpoints) if lb.failover else None
    return Placement(priorities=priorities, groups=groups, group_weights=weights)


def _distributed(here: Locality, endpoints: Sequence[Endpoint], lb: LocalityLb) -> Placement:
    """The first `from` that matches says which localities get how much; others get nothing."""
    groups = _groups([one.locality for one in endpoints])
    sums = _sums(groups, endpoints)
    shares = next((one for one in lb.distribute if matches(here, one.source)), None)
    if shares is None:
        return Placement(priorities=(0,) * len(endpoints), groups=groups, group_weights=sums)
    of_group = {group: one.locality for group, one in zip(groups, endpoints, strict=True)}
    weights: dict[int, int] = {}
    for pattern, percent in shares.to:
        found = [g for g in sorted(of_group) if g not in weights and matches(of_group[g], pattern)]
        total = sum(sums[g] for g in found)
        weights |= {g: ceil(sums[g] * percent / total) for g in found}
    priorities = tuple(0 if g in weights else -1 for g in groups)
    return Placement(priorities=priorities, groups=groups, group_weights=tuple(weights.get(g, 0) for g in range(len(sums))))


def _priority(proxy: Proxy, here: Locality, endpoint: Endpoint, lb: LocalityLb) -> int:
    """Closeness, by labels and by locality."""
    by_labels = 0
    if lb.failover_priority:
        own = _labels(proxy.labels, here, proxy.network, proxy.cluster)
        its = _labels(endpoint.labels, endpoint.locality, endpoint.network, endpoint.cluster)
        by_labels = len(lb.failover_priority)
        for text in lb.failover_priority:
            name, given, value = text.partition("=")
            if (value if given else own.get(name, "")) != its.get(name, ""):
                break
            by_labels -= 1
        if not lb.failover:
            return by_labels
    return by_labels * (FARTHEST + 1) + _distance(here, endpoint.locality, lb)


def _labels(labels: Mapping[str, str], where: Locality, network: str, cluster: str) -> dict[str, str]:
    """Labels with those that Istio adds for the place."""
    places = {REGION: where.region, ZONE: where.zone, SUBZONE: where.subzone, NETWORK: network, CLUSTER: cluster}
    return dict(labels) | {name: value for name, value in places.items() if value}


def _distance(here: Locality, there: Locality, lb: LocalityLb) -> int:
    """0 the same subzone, 1 zone, 2 region, 3 elsewhere, 4 a region that `failover` passes over."""
    if here.region == there.region:
        if here.zone != there.zone:
            return 2
        return 0 if here.subzone == there.subzone else 1
    to = next((one.to for one in lb.failover if one.source == here.region), None)
    return 3 if to is None or to == there.region else FARTHEST


def matches(where: Locality, pattern: str) -> bool:
    """Whether a place falls under `region/zone/subzone`, any part of which may be `*` or missing."""
    parts = pattern.split("/")
    for part, value in zip(parts, (where.region, where.zone, where.subzone), strict=False):
        if part not in ("", "*", value):
            return False
    return True


def _groups(keys: Sequence[object]) -> tuple[int, ...]:
    """Numbers for equal keys, in order of their first appearance."""
    order: dict[object, int] = {}
    return tuple(order.setdefault(key, len(order)) for key in keys)


def _sums(groups: Sequence[int], endpoints: Sequence[Endpoint]) -> tuple[int, ...]:
    """The weight of a locality is the sum of its endpoints'."""
    sums = [0] * (max(groups, default=-1) + 1)
    for group, one in zip(groups, endpoints, strict=True):
        sums[group] += one.weight
    return tuple(sums)


__all__ = ["hosts_of", "locality_of", "matches", "placed", "placement", "view_of"]
