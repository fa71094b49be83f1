"""Telemetry objects in force for a workload: access log, tracing and metrics.

Of each scope (root namespace, the workload's namespace, the workload) the oldest object counts; a narrower scope
stands before a wider one. Source: istio/istio pilot/pkg/model/telemetry.go, pilot/pkg/networking/core/tracing.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gwsim.resources.models import AccessLogSettings, MetricsSettings, Telemetry
from gwsim.topology import filters as f
from gwsim.topology.from_istio.attachment import Attached, PolicyIndex
from gwsim.topology.from_istio.context import Context
from gwsim.topology.listeners import HttpFilter

_CLIENT = ("CLIENT", "CLIENT_AND_SERVER")
LOG_PROVIDERS = ("envoy_file_access_log", "envoy_http_als", "envoy_tcp_als", "envoy_otel_als", "stackdriver")
TRACING_PROVIDERS = ("zipkin", "lightstep", "datadog", "stackdriver", "opencensus", "skywalking", "opentelemetry")
BUILT_IN = {"envoy": "envoy_file_access_log", "prometheus": "prometheus", "stackdriver": "stackdriver"}
"""Providers that istiod knows without any mesh configuration. Source: istio pkg/config/mesh/mesh.go."""


@dataclass(frozen=True, slots=True)
class _Metrics:
    disabled: tuple[str, ...]
    tags: int


class TelemetryView:
    """The Telemetry of one workload."""

    def __init__(self, ctx: Context, index: PolicyIndex, workload: Attached) -> None:
        self.ctx = ctx
        self.objects = list(in_force(index.telemetry, workload))

    def _is_provider(self, name: str, kinds: Iterable[str]) -> bool:
        provider = self.ctx.mesh.provider(name)
        if provider is None:
            return BUILT_IN.get(name) in tuple(kinds)
        return any(getattr(provider, kind) is not None for kind in kinds)

    def fields(self, before: dict[str, Any]) -> dict[str, Any]:
        """Fields of the proxy that Telemetry changes; `before` are those of the mesh configuration."""
        found: dict[str, Any] = {}
        logs = [one.access_logging for one in self.objects if one.access_logging]
        if logs:
            found["access_log"] = self._logged(logs)
        sampling = self._sampling(before)
        if sampling is not None:
            found["trace_sampling_percent"] = sampling
        return found

    def _logged(self, scopes: list[tuple[AccessLogSettings, ...]]) -> bool:
        """Whether some provider logs. Only providers that the narrowest scope with any names are used; an entry
        without names is for those of the entry before it."""
        default = tuple(self.ctx.mesh.default_providers.access_logging)
        used, parent = default, default
        for scope in scopes:
            used = tuple(each.name for one in scope if _for_clients(one) for each in one.providers) or used
        on: dict[str, bool] = {}
        for one in (one for scope in scopes for one in scope if _for_clients(one)):
            parent = tuple(each.name for each in one.providers) or parent
            on |= dict.fromkeys((name for name in parent if name in used), not one.disabled)
        return any(state and self._is_provider(name, LOG_PROVIDERS) for name, state in on.items())

    def _sampling(self, before: dict[str, Any]) -> float | None:
        """Share of traced requests; None when no Telemetry says anything about tracing."""
        settings = [one for each in self.objects for one in each.tracing[:1]]
        settings = [one for one in settings if one.match is None or one.match.mode in _CLIENT]
        if not settings:
            return None
        names = self.ctx.mesh.default_providers.tracing
        provider, share, disabled = names[0] if names else "", None, False
        for one in settings:
            provider = one.providers[0].name if one.providers else provider
            share = share if one.random_sampling_percentage is None else one.random_sampling_percentage
            disabled = disabled if one.disable_span_reporting is None else one.disable_span_reporting
        if disabled or not self._is_provider(provider, TRACING_PROVIDERS):
            return 0.0
        default = before.get("trace_sampling_percent") or 1.0
        return float(default if share is None else share)

    def stats(self) -> HttpFilter | None:
        """The metrics filter; None when every metric is switched off."""
        metrics = self._metrics([one for each in self.objects for one in each.metrics])
        if "ALL_METRICS" in metrics.disabled:
            return None
        return HttpFilter(name=f.ISTIO_STATS, config=f.IstioStats(disabled=metrics.disabled, tags=metrics.tags))

    def _metrics(self, settings: list[MetricsSettings]) -> _Metrics:
        disabled: dict[str, bool] = {}
        tags: dict[str, None] = {}
        for one in settings:
            if one.providers and not any(self._is_provider(each.name, ("prometheus",)) for each in one.providers):
                continue
            for override in one.overrides:
                match = override.match
                if match is not None and match.mode not in _CLIENT:
                    continue
                name = (match.metric or match.custom_metric if match is not None else "") or "ALL_METRICS"
                if override.disabled is not None:
                    disabled[name] = override.disabled
                tags |= dict.fromkeys(override.tag_overrides)
        return _Metrics(tuple(name for name, off in disabled.items() if off), len(tags))


def _for_clients(settings: AccessLogSettings) -> bool:
    return settings.match is None or settings.match.mode in _CLIENT


def in_force(objects: Iterable[Telemetry], workload: Attached) -> Iterable[Telemetry]:
    """The Telemetry objects of a workload, widest first; `objects` are oldest first."""
    known = list(objects)

    def oldest(namespace: str, *, selecting: bool) -> Telemetry | None:
        for one in known:
            targeted = bool(one.targets) or bool(one.selector and one.selector.match_labels)
            if one.namespace == namespace and targeted == selecting and (not selecting or workload.takes(one)):
                return one
        return None

    wide = [oldest(namespace, selecting=False) for namespace in workload.namespaces]
    return [one for one in (*wide, oldest(workload.namespace, selecting=True)) if one is not None]
