"""Gateway pods that come and go: scheduled changes of the scenario, and the autoscaler in a timeline run.

A steady run uses the replicas its autoscalers settle at (`gwsim.planning.replicas`); in a timeline they scale as they go.
"""

from __future__ import annotations

from gwsim.scenario.file import GatewayOverride
from gwsim.scenario.model import Change, Lifecycle, Scaling
from gwsim.topology import Autoscaler, Proxy

SPARE_PLACES = 10
"""Places beyond the autoscaler's maximum, for pods that are still leaving."""


def lifecycle_of(
    proxy: Proxy, replicas: int, override: GatewayOverride, deregister_s: float, *, scales: bool
) -> tuple[Lifecycle | None, int]:
    """What changes in a fleet of `replicas`, None for nothing, and how many pods may exist at once.

    `scales`: whether its autoscaler acts during the run.
    """
    scaling = scaling_of(proxy, proxy.autoscaler) if scales and proxy.autoscaler is not None else None
    if scaling is None and not override.changes:
        return None, replicas
    changes = tuple(
        Change(at_s=one.at, kind=kind, pods=count)
        for one in sorted(override.changes, key=lambda change: change.at)
        for kind, count in one.parts()
    )
    places = replicas + sum(one.pods for one in changes if one.kind == "add")
    if scaling is not None:
        places = max(places, scaling.maximum + min(scaling.maximum, SPARE_PLACES))
    made = Lifecycle(
        initial=replicas,
        start_s=override.pod_start,
        deregister_s=deregister_s,
        drain_s=proxy.termination_drain_s,
        changes=changes,
        scaling=scaling,
    )
    return made, places


def scaling_of(proxy: Proxy, autoscaler: Autoscaler) -> Scaling | None:
    """The autoscaler as the engines run it; None when it follows no CPU figure that is known."""
    utilization, cores = autoscaler.target_cpu_utilization, autoscaler.target_cpu_cores
    if utilization is not None and not proxy.cpu_request_cores:
        utilization = None
    if utilization is None and cores is None:
        return None
    return Scaling(
        minimum=autoscaler.min_replicas,
        maximum=autoscaler.max_replicas,
        cpu_request_cores=proxy.cpu_request_cores or 0.0,
        target_utilization=utilization,
        target_cores=cores or 0.0,
        tolerance=autoscaler.tolerance,
        period_s=autoscaler.period_s,
        up=autoscaler.scale_up,
        down=autoscaler.scale_down,
    )


__all__ = ["lifecycle_of", "scaling_of"]
