"""Outlier detection from the DestinationRule to ejections in a run."""

from __future__ import annotations

from collections.abc import Callable

from gwsim.engine import reference
from gwsim.engine.codes import Counter
from gwsim.engine.features import Feature, used
from gwsim.scenario import Resolved

POLICY = "DestinationRule/shop/checkout:spec.trafficPolicy.outlierDetection"
SETTINGS = (
    "backends.east/checkout.shop={service_time: 1ms, errors: {503: 100%}}", "clients.web.arrivals.poisson=500rps", "run.duration=2s",
)


def ejections(resolved: Resolved) -> int:
    raw = reference.run(resolved.model, 0)
    return int(raw.cluster_counters[:, Counter.OUTLIER_EJECTIONS_ENFORCED_TOTAL].sum())


def test_a_failing_backend_is_ejected(resolve: Callable[..., Resolved]) -> None:
    got = resolve(POLICY + "={consecutive5xxErrors: 3, maxEjectionPercent: 100}", *SETTINGS)
    assert Feature.OUTLIERS in used(got.model)
    assert ejections(got) > 0
    assert not any("outlier" in finding.message for finding in got.findings)


def test_the_default_tenth_never_ejects_one_of_a_few(resolve: Callable[..., Resolved]) -> None:
    assert ejections(resolve(POLICY + "={consecutive5xxErrors: 3}", *SETTINGS)) == 0
    assert ejections(resolve(*SETTINGS)) == 0
