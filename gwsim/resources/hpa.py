"""HorizontalPodAutoscalers of every API version to one model.

autoscaling/v1 has one number for CPU, v2beta1 names targets field by field, v2beta2 and v2 have
`target` blocks. They are read as written, then reduced to `HpaMetric`s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from gwsim.resources.models.base import Json, Meta, Natural, Opaque
from gwsim.resources.models.kubernetes import HorizontalPodAutoscaler, HpaMetric, ScaleTarget, ScalingBehavior
from gwsim.resources.origin import Origin
from gwsim.units import parse_quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricTarget:
    """`target` of v2beta2 and v2; quantities stay as written."""

    type: Literal["Utilization", "AverageValue", "Value"] | None = None
    average_utilization: Natural | None = None
    average_value: Opaque = None
    value: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricIdentifier:
    """`metric` of Pods, Object and External metrics."""

    name: str
    selector: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSource:
    """The block of one metric, with the fields of all versions."""

    name: str | None = None
    container: str | None = None
    metric: MetricIdentifier | None = None
    target: MetricTarget | None = None
    described_object: Opaque = None
    target_average_utilization: Natural | None = None
    target_average_value: Opaque = None
    target_value: Opaque = None
    metric_name: str | None = None
    metric_selector: Opaque = None
    average_value: Opaque = None
    selector: Opaque = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """One entry of `metrics`."""

    type: Literal["Resource", "ContainerResource", "Pods", "Object", "External"]
    resource: MetricSource | None = None
    container_resource: MetricSource | None = None
    pods: MetricSource | None = None
    object: MetricSource | None = None
    external: MetricSource | None = None

    @property
    def source(self) -> MetricSource | None:
        """The block that `type` names."""
        source: MetricSource | None = {
            "Resource": self.resource,
            "ContainerResource": self.container_resource,
            "Pods": self.pods,
            "Object": self.object,
            "External": self.external,
        }[self.type]
        return source


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenHpa:
    """The `spec` as written."""

    other_fields: ClassVar[frozenset[str]] = frozenset()

    scale_target_ref: ScaleTarget
    max_replicas: Natural
    min_replicas: Natural = 1
    target_cpu_utilization_percentage: Annotated[Natural | None, Json("targetCPUUtilizationPercentage")] = None
    metrics: tuple[MetricSpec, ...] = ()
    behavior: ScalingBehavior | None = None


def _quantity(value: Any) -> float | None:
    """The quantity, or None for none or an unreadable one."""
    if value is None or isinstance(value, (bool, list, dict)):
        return None
    try:
        return parse_quantity(value)
    except ValueError:
        return None


def _metric(spec: MetricSpec) -> HpaMetric:
    source = spec.source or MetricSource()
    target = source.target or MetricTarget()
    name = source.name or (source.metric.name if source.metric else source.metric_name) or ""
    average = next((v for v in (target.average_value, source.target_average_value, source.average_value) if v is not None), None)
    utilization = target.average_utilization
    return HpaMetric(
        type=spec.type,
        name=name,
        container=source.container,
        utilization_percent=source.target_average_utilization if utilization is None else utilization,
        average_value=_quantity(average),
        value=_quantity(target.value if target.value is not None else source.target_value),
    )


def build_hpa(meta: Meta, origin: Origin, spec: dict[str, Any]) -> HorizontalPodAutoscaler:
    """The autoscaler from the decoded fields of `WrittenHpa`."""
    written = WrittenHpa(**spec)
    metrics = tuple(_metric(metric) for metric in written.metrics)
    percent = written.target_cpu_utilization_percentage
    if percent is not None:
        metrics = (HpaMetric(type="Resource", name="cpu", utilization_percent=percent), *metrics)
    return HorizontalPodAutoscaler(
        meta=meta,
        origin=origin,
        scale_target_ref=written.scale_target_ref,
        min_replicas=written.min_replicas,
        max_replicas=written.max_replicas,
        metrics=metrics,
        behavior=written.behavior,
    )
