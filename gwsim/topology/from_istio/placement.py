"""Where pods run, and how many there are at the start.

Pods go to the zones they may run in, one after the other in the given order; the cluster's scheduler spreads
replicas in the same way while nodes are alike (Kubernetes scheduler, default topology spreading).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gwsim.resources.models import DaemonSet, HorizontalPodAutoscaler, PodOwner, PodSpec
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.nodes import usable, zones_in
from gwsim.topology.upstream import Locality

ZONE_LABEL = "topology.kubernetes.io/zone"
HOST_LABEL = "kubernetes.io/hostname"
REGION_LABEL = "topology.kubernetes.io/region"


def autoscaler_of(ctx: Context, owner: PodOwner) -> HorizontalPodAutoscaler | None:
    """The HorizontalPodAutoscaler of an owner of pods."""
    for one in ctx.registry.autoscalers:
        target = one.scale_target_ref
        if one.namespace == owner.namespace and (target.kind, target.name) == (owner.meta.kind, owner.name):
            return one
    return None


def replicas_at_start(ctx: Context, owner: PodOwner) -> int:
    """The pods that run: as many as wanted, or as many as required anti-affinity leaves a place for."""
    wanted = _wanted(ctx, owner)
    places = _places(ctx, owner)
    if places is None or wanted <= places:
        return wanted
    ctx.find(
        "PODS_PENDING",
        f"{owner.ref}: {wanted - places} of {wanted} pods are never placed: no two may share a place, and there are {places}",
        owner,
        "template.spec.affinity",
    )
    return places


def _wanted(ctx: Context, owner: PodOwner) -> int:
    """`replicas`, within the bounds of the autoscaler; without `replicas` the autoscaler's minimum, else 1."""
    if isinstance(owner, DaemonSet):
        return _one_per_node(ctx, owner)
    autoscaler = autoscaler_of(ctx, owner)
    if autoscaler is None:
        return 1 if owner.replicas is None else owner.replicas
    if owner.replicas is None:
        return autoscaler.min_replicas
    if owner.replicas == 0:
        return 0  # Kubernetes does not scale a workload that was set to zero.
    return min(max(owner.replicas, autoscaler.min_replicas), autoscaler.max_replicas)


def _one_per_node(ctx: Context, owner: PodOwner) -> int:
    if ctx.registry.nodes:
        return len(usable(ctx.registry.nodes, owner.template.spec, everywhere=True))
    pods = max(1, len(ctx.zones))
    ctx.assume(f"{owner.ref}: the nodes of the cluster are not in the files: {pods} of them are taken to be there, one in each zone")
    return pods


def _places(ctx: Context, owner: PodOwner) -> int | None:
    """How many pods find a place where they keep away from each other; None: as many as wanted, or not known."""
    keys = _kept_apart_by(owner)
    nodes = usable(ctx.registry.nodes, owner.template.spec) if ctx.registry.nodes else []
    counts: list[int] = []
    if HOST_LABEL in keys and nodes:
        counts.append(len(nodes))
    if ZONE_LABEL in keys and ctx.zones:
        counts.append(len(zones_of(ctx, owner.template.spec, f"{owner.namespace}/{owner.name}")))
    return min(counts, default=None)


def _kept_apart_by(owner: PodOwner) -> set[str]:
    """Topology keys of required anti-affinity between the pods themselves."""
    anti = _get(_get(owner.template.spec.affinity, "podAntiAffinity"), "requiredDuringSchedulingIgnoredDuringExecution")
    keys: set[str] = set()
    for term in _items(anti):
        selector = _get(term, "labelSelector")
        labels = _get(selector, "matchLabels")
        if isinstance(labels, dict) and labels and all(owner.labels.get(str(k)) == str(v) for k, v in labels.items()):
            keys.add(str(_get(term, "topologyKey")))
        for one in _items(_get(selector, "matchExpressions")):
            values = [str(value) for value in _items(_get(one, "values"))]
            if _get(one, "operator") == "In" and owner.labels.get(str(_get(one, "key"))) in values:
                keys.add(str(_get(term, "topologyKey")))
    return keys


def zones_of(ctx: Context, spec: PodSpec, who: str) -> tuple[str, ...]:
    """The zones the pods may run in, in placement order."""
    wanted = _required_zones(spec)
    if ctx.registry.nodes and (wanted is None or not wanted.isdisjoint(zones_in(ctx.registry.nodes))):
        found = zones_in(usable(ctx.registry.nodes, spec))
        zones = tuple(zone for zone in ctx.zones if zone in found)
        if zones and zones != ctx.zones:
            ctx.assume(f"pods of {who} are placed on zone {', '.join(zones)}, where the nodes are that they may run on")
        return zones or ctx.zones
    if wanted is None:
        if len(ctx.zones) > 1:
            ctx.assume("pods are placed on the zones in turn, unless their nodeSelector or node affinity says otherwise")
        return ctx.zones
    allowed = tuple(zone for zone in ctx.zones if zone in wanted) or tuple(sorted(wanted))
    ctx.assume(f"pods of {who} are placed on zone {', '.join(allowed)}, as their node constraints say")
    return allowed


def locality(ctx: Context, zones: tuple[str, ...], ordinal: int, spec: PodSpec | None = None) -> Locality:
    """The locality of the pod with that ordinal."""
    zone = zones[ordinal % len(zones)] if zones else ""
    region = spec.node_selector.get(REGION_LABEL, "") if spec is not None else ""
    return Locality(region=region or ctx.regions.get(zone, ""), zone=zone)


def _required_zones(spec: PodSpec) -> set[str] | None:
    """Zones that the pod insists on; None when it does not care."""
    if ZONE_LABEL in spec.node_selector:
        return {spec.node_selector[ZONE_LABEL]}
    node = _get(_get(spec.affinity, "nodeAffinity"), "requiredDuringSchedulingIgnoredDuringExecution")
    zones: set[str] = set()
    for term in _items(_get(node, "nodeSelectorTerms")):
        for expression in _items(_get(term, "matchExpressions")):
            if _get(expression, "key") == ZONE_LABEL and _get(expression, "operator") == "In":
                zones.update(str(value) for value in _items(_get(expression, "values")))
    return zones or None


def _get(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else None


def _items(data: Any) -> Iterable[Any]:
    return data if isinstance(data, list | tuple) else ()
