"""Telemetry objects that Istio's webhook refuses. Source modelled: `ValidateTelemetry`, 1.30."""

from __future__ import annotations

from gwsim.resources.models.telemetry import MetricsOverride, ProviderRef, Telemetry
from gwsim.resources.validation.check import Check
from gwsim.resources.validation.policy import check_attachment

METRICS = frozenset(
    {
        "ALL_METRICS", "REQUEST_COUNT", "REQUEST_DURATION", "REQUEST_SIZE", "RESPONSE_SIZE", "TCP_OPENED_CONNECTIONS",
        "TCP_CLOSED_CONNECTIONS", "TCP_SENT_BYTES", "TCP_RECEIVED_BYTES", "GRPC_REQUEST_MESSAGES", "GRPC_RESPONSE_MESSAGES",
    }
)  # fmt: skip
"""Istio's standard metrics, as Telemetry names them."""


def check_telemetry(telemetry: Telemetry, check: Check) -> None:
    """Report what would be refused about a Telemetry."""
    check_attachment(telemetry, check)
    if len(telemetry.tracing) > 1:
        check.warn("tracing[1]", "several tracing entries are not supported; only the first counts")
    for index, tracing in enumerate(telemetry.tracing):
        path = f"tracing[{index}]"
        if len(tracing.providers) > 1:
            check.warn(f"{path}.providers[1]", "several tracing providers are not supported; only the first counts")
        _providers(tracing.providers, path, check)
        share = tracing.random_sampling_percentage
        if share is not None and not 0.0 <= share <= 100.0:
            check.bad(f"{path}.randomSamplingPercentage", f"{share:g} is not between 0 and 100")
    for index, metrics in enumerate(telemetry.metrics):
        _providers(metrics.providers, f"metrics[{index}]", check)
        for position, override in enumerate(metrics.overrides):
            _override(override, f"metrics[{index}].overrides[{position}]", check)
    for index, log in enumerate(telemetry.access_logging):
        _providers(log.providers, f"accessLogging[{index}]", check)


def _providers(providers: tuple[ProviderRef, ...], path: str, check: Check) -> None:
    for index, provider in enumerate(providers):
        if not provider.name:
            check.missing(f"{path}.providers[{index}].name", "a provider needs a name")


def _override(override: MetricsOverride, path: str, check: Check) -> None:
    match = override.match
    if match is not None:
        if match.metric and match.custom_metric:
            check.conflict(f"{path}.match.customMetric", "metric and customMetric exclude each other")
        elif match.metric and match.metric not in METRICS:
            check.bad(f"{path}.match.metric", f"{match.metric!r} is no metric", f"write one of {', '.join(sorted(METRICS))}")
    for name, tag in override.tag_overrides.items():
        where = f'{path}.tagOverrides["{name}"]' if "." in name else f"{path}.tagOverrides.{name}"
        if tag.operation == "UPSERT" and not tag.value:
            check.missing(where, f"tag {name}: operation UPSERT needs a value")
        elif tag.operation == "REMOVE" and tag.value:
            check.conflict(f"{where}.value", f"tag {name}: operation REMOVE takes no value")
