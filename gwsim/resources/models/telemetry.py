"""telemetry.istio.io Telemetry. Source modelled: istio/api telemetry/v1alpha1/telemetry.proto, 1.30."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gwsim.resources.models.base import Opaque, Seconds
from gwsim.resources.models.policy import Policy

ReportingMode = Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRef:
    """Name of an extension provider of the mesh config."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeMatch:
    """Which side of proxies is meant; a gateway is a client."""

    mode: ReportingMode = "CLIENT_AND_SERVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """Tracing; the percentage is that of the requests that start a trace."""

    match: ModeMatch | None = None
    providers: tuple[ProviderRef, ...] = ()
    random_sampling_percentage: float | None = None
    disable_span_reporting: bool | None = None
    custom_tags: Opaque | None = None
    use_request_id_for_trace_sampling: bool | None = None
    enable_istio_tags: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSelector:
    """Metrics meant; neither name means all."""

    metric: str = ""
    custom_metric: str = ""
    mode: ReportingMode = "CLIENT_AND_SERVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagOverride:
    """A tag set or removed."""

    operation: Literal["UPSERT", "REMOVE"] = "UPSERT"
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsOverride:
    """Changes to some metrics."""

    match: MetricSelector | None = None
    disabled: bool | None = None
    tag_overrides: Mapping[str, TagOverride] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """Metrics of some providers."""

    providers: tuple[ProviderRef, ...] = ()
    overrides: tuple[MetricsOverride, ...] = ()
    reporting_interval_s: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """CEL expression of the requests that are logged."""

    expression: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLogSettings:
    """Access logs of some providers."""

    match: ModeMatch | None = None
    providers: tuple[ProviderRef, ...] = ()
    disabled: bool | None = None
    filter: LogFilter | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Telemetry(Policy):
    """Tracing, metrics and access logs. A workload's stand before its namespace's, those before the mesh's."""

    tracing: tuple[TracingSettings, ...] = ()
    metrics: tuple[MetricsSettings, ...] = ()
    access_logging: tuple[AccessLogSettings, ...] = ()
