"""Where pods run, and how many there are at the start.

Pods go to the zones they may run in, one after the other in the given order; the cluster's scheduler spreads
replicas in the same way while nodes are alike (Kubernetes scheduler, default topology spreading).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gwsim.resources.models import Deployment, HorizontalPodAutoscaler, PodSpec
from gwsim.topology.from_istio.context import Context
from gwsim.topology.upstream import Locality

ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"


def autoscaler_of(ctx: Context, deployment: Deployment) -> HorizontalPodAutoscaler | None:
    """The HorizontalPodAutoscaler of a Deployment."""
    for one in ctx.registry.autoscalers:
        target = one.scale_target_ref
        if one.namespace == deployment.namespace and (target.kind, target.name) == ("Deployment", deployment.name):
            return one
    return None


def replicas_at_start(ctx: Context, deployment: Deployment) -> int:
    """`replicas`, within the bounds of the autoscaler; without `replicas` the autoscaler's minimum, else 1."""
    autoscaler = autoscaler_of(ctx, deployment)
    if autoscaler is None:
        return 1 if deployment.replicas is None else deployment.replicas
    if deployment.replicas is None:
        return autoscaler.min_replicas
    if deployment.replicas == 0:
        return 0  # Kubernetes does not scale a workload that was set to zero.
    return min(max(deployment.replicas, autoscaler.min_replicas), autoscaler.max_replicas)


def zones_of(ctx: Context, spec: PodSpec, who: str) -> tuple[str, ...]:
    """The zones the pods may run in, in placement order."""
    wanted = _required_zones(spec)
    if wanted is None:
        if len(ctx.zones) > 1:
            ctx.assume("pods are placed on the zones in turn, unless their nodeSelector or node affinity says otherwise")
        return ctx.zones
    allowed = tuple(zone for zone in ctx.zones if zone in wanted or Locality.of(zone).zone in wanted) or tuple(sorted(wanted))
    ctx.assume(f"pods of {who} are placed on zone {', '.join(allowed)}, as their node constraints say")
    return allowed


def locality(zones: tuple[str, ...], ordinal: int, spec: PodSpec | None = None) -> Locality:
    """The locality of the pod with that ordinal."""
    where = Locality.of(zones[ordinal % len(zones)]) if zones else Locality()
    region = spec.node_selector.get(REGION_LABEL) if spec is not None else None
    return replace(where, region=region) if region else where


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
