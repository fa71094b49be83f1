"""HorizontalPodAutoscalers of gateways. Source: Kubernetes autoscaling/v2 API reference, HPAScalingRules."""

from __future__ import annotations

from typing import Literal, cast

from gwsim.resources.models import HorizontalPodAutoscaler, HpaMetric
from gwsim.resources.models import ScalingRules as Rules
from gwsim.topology.from_istio.context import Context
from gwsim.topology.model import SCALE_DOWN, SCALE_UP, Autoscaler, ScalingPolicy, ScalingRules


def chart_autoscaler(name: str) -> Autoscaler:
    """The autoscaler of Istio's gateway chart: 1 to 5 replicas at 80 % CPU."""
    return Autoscaler(name=name, min_replicas=1, max_replicas=5, target_cpu_utilization=0.8)


def autoscaler_from(ctx: Context, scaler: HorizontalPodAutoscaler) -> Autoscaler:
    """The object as the model has it; metrics it does not follow are named."""
    utilization, cores, memory = _targets(scaler.metrics)
    if not scaler.metrics:
        utilization = 0.8
    followed = {id(one) for one in scaler.metrics if _followed(one)}
    behavior = scaler.behavior
    up = behavior.scale_up if behavior else None
    down = behavior.scale_down if behavior else None
    return Autoscaler(
        name=scaler.name,
        min_replicas=scaler.min_replicas,
        max_replicas=scaler.max_replicas,
        target_cpu_utilization=utilization,
        target_cpu_cores=cores,
        target_memory_utilization=memory,
        other_metrics=tuple(f"{one.type}/{one.name}" for one in scaler.metrics if id(one) not in followed),
        scale_up=_rules(up, SCALE_UP),
        scale_down=_rules(down, SCALE_DOWN),
        tolerance=0.1 if up is None or up.tolerance is None else up.tolerance,
        origin=scaler.span,
    )


def _followed(metric: HpaMetric) -> bool:
    if metric.type not in ("Resource", "ContainerResource") or metric.name not in ("cpu", "memory"):
        return False
    return metric.utilization_percent is not None or (metric.name == "cpu" and metric.average_value is not None)


def _targets(metrics: tuple[HpaMetric, ...]) -> tuple[float | None, float | None, float | None]:
    """Utilisation of CPU, cores per pod, utilisation of memory."""
    utilization: float | None = None
    cores: float | None = None
    memory: float | None = None
    for metric in metrics:
        if not _followed(metric):
            continue
        share = metric.utilization_percent / 100.0 if metric.utilization_percent is not None else None
        if metric.name == "memory":
            memory = share
        elif share is not None:
            utilization = share
        else:
            cores = metric.average_value
    return utilization, cores, memory


def _rules(rules: Rules | None, default: ScalingRules) -> ScalingRules:
    if rules is None:
        return default
    window = rules.stabilization_window_seconds
    policies = tuple(
        ScalingPolicy(
            kind="pods" if one.type == "Pods" else "percent", value=float(one.value), period_s=float(one.period_seconds)
        )
        for one in rules.policies
    )
    select = cast(Literal["max", "min", "disabled"], (rules.select_policy or "Max").lower())
    return ScalingRules(
        stabilization_s=default.stabilization_s if window is None else float(window),
        policies=policies or default.policies,
        select=select,
    )
