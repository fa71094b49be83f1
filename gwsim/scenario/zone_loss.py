"""A zone that is gone: its gateway pods take no connections and its backend pods no requests."""

from __future__ import annotations

from dataclasses import replace

from gwsim.errors import UsageError
from gwsim.scenario.model import Host, Model, Placement, SimCluster


def fullest_zone(model: Model, fleet: str) -> str:
    """The zone that holds the most pods of a fleet: the one whose loss hurts most (the first by name among equals)."""
    pods = next(one.pods for one in model.fleets if one.name == fleet)
    count: dict[str, int] = {}
    for pod in pods:
        count[pod.zone] = count.get(pod.zone, 0) + 1
    return min(count, key=lambda zone: (-count[zone], zone))


def without_zone(model: Model, zone: str) -> Model:
    """The model after Kubernetes and istiod have taken out everything in the zone.

    Raises UsageError where a gateway, or every endpoint of a cluster, is in that zone alone.
    """
    fleets = []
    for fleet in model.fleets:
        left = tuple(pod for pod in fleet.pods if pod.zone != zone)
        if not left:
            raise UsageError(f"all pods of gateway {fleet.name} are in zone {zone or '(none)'}: with it, the gateway is gone")
        fleets.append(replace(fleet, pods=left))
    clusters = tuple(_without(model, cluster, zone) for cluster in model.clusters)
    return replace(model, fleets=tuple(fleets), clusters=clusters)


def _without(model: Model, cluster: SimCluster, zone: str) -> SimCluster:
    """The cluster with the endpoints left; its stations stay in the model, without work."""
    kept = [i for i, station in enumerate(cluster.stations) if model.stations[station].zone != zone]
    if len(kept) == len(cluster.stations):
        return cluster
    hosts: tuple[Host, ...] = tuple(cluster.hosts[i] for i in kept) if cluster.hosts else ()
    endpoints = cluster.cluster.endpoints
    same = len(endpoints) == len(cluster.stations)
    return replace(
        cluster, stations=tuple(cluster.stations[i] for i in kept), hosts=hosts,
        cluster=replace(cluster.cluster, endpoints=tuple(endpoints[i] for i in kept)) if same else cluster.cluster,
        placements={name: _placed(one, kept) for name, one in cluster.placements.items()},
    )


def _placed(placement: Placement, kept: list[int]) -> Placement:
    return replace(
        placement, priorities=tuple(placement.priorities[i] for i in kept), groups=tuple(placement.groups[i] for i in kept)
    )


__all__ = ["fullest_zone", "without_zone"]
