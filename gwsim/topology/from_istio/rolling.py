"""How Deployments replace their pods: what an update of a backend does to those who send to it.

Source: kubernetes/kubernetes pkg/controller/deployment/util/deployment_util.go (`ResolveFenceposts`: surge is rounded up,
unavailable down, and both 0 means one unavailable) and the pod lifecycle (preStop runs before SIGTERM, within the grace
period).
"""

from __future__ import annotations

import re
from math import ceil
from typing import Any

from gwsim.resources.models import Deployment, PodOwner
from gwsim.resources.models.kubernetes import Container
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.placement import replicas_at_start
from gwsim.topology.model import Workload

PROXY = "istio-proxy"
_SLEEP = re.compile(r"(?:^|[\s;&|/])sleep\s+(\d+(?:\.\d+)?)")
DEFAULT = "25%"


def rolling_workloads(ctx: Context) -> tuple[Workload, ...]:
    """The Deployments, DaemonSets and StatefulSets of a cluster."""
    return tuple(_workload(ctx, owner) for owner in ctx.registry.deployments)


def _workload(ctx: Context, owner: PodOwner) -> Workload:
    replicas = replicas_at_start(ctx, owner)
    surge, unavailable, min_ready_s = 0, 1, 0.0
    if isinstance(owner, Deployment):
        surge, unavailable = _bounds(owner.strategy, replicas)
        min_ready_s = float(owner.min_ready_seconds)
    grace_s = float(owner.template.spec.termination_grace_period_seconds)
    stops = [_pre_stop_s(one) for one in owner.containers if one.name != PROXY]
    return Workload(
        namespace=owner.namespace, name=owner.name, cluster=ctx.cluster, replicas=replicas, max_surge=surge,
        max_unavailable=unavailable, min_ready_s=min_ready_s, pre_stop_s=min(max(stops, default=0.0), grace_s), grace_s=grace_s,
    )


def _bounds(strategy: Any, replicas: int) -> tuple[int, int]:
    """Pods beyond and below the number wanted."""
    given = strategy if isinstance(strategy, dict) else {}
    if given.get("type") == "Recreate":
        return 0, replicas
    rolling = given.get("rollingUpdate") or {}
    surge = _pods(rolling.get("maxSurge", DEFAULT), replicas, up=True)
    unavailable = _pods(rolling.get("maxUnavailable", DEFAULT), replicas, up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def _pods(value: Any, replicas: int, *, up: bool) -> int:
    text = str(value)
    if text.endswith("%") and text[:-1].isdigit():
        share = int(text[:-1]) * replicas / 100.0
        return ceil(share) if up else int(share)
    return int(text) if text.isdigit() else 0


def _pre_stop_s(container: Container) -> float:
    """Seconds that a container works on after its pod is to end: `sleep`, as an action or in a command."""
    hook = container.lifecycle.pre_stop if container.lifecycle is not None else None
    if hook is None:
        return 0.0
    if hook.sleep is not None:
        return float(hook.sleep.seconds)
    found = _SLEEP.search(" ".join(hook.exec.command)) if hook.exec is not None else None
    return float(found.group(1)) if found else 0.0


__all__ = ["rolling_workloads"]
