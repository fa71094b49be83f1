"""Pods that come and go and autoscalers, from scenario and YAML to the run and its results."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gwsim.engine import reference
from gwsim.engine.features import Feature, used
from gwsim.engine.schema import Options
from gwsim.errors import InputError
from gwsim.results import Results
from gwsim.scenario import Resolved
from gwsim.scenario.model import Change

Resolve = Callable[..., Resolved]
FLEET = "gateway.istio-ingressgateway"
SHORT = ("clients.web.arrivals.poisson=200rps", "run.duration=6s", "clients.web.timeout=1s", "run.kind=timeline")


def test_changes_of_the_scenario(resolve: Resolve) -> None:
    got = resolve(
        f"{FLEET}.changes=[{{at: 4s, remove: 1}}, {{at: 1s, add: 2}}]", f"{FLEET}.pod_start=1s", "front.deregistration=500ms", *SHORT
    )
    fleet = got.model.fleets[0]
    assert fleet.lifecycle is not None
    assert fleet.lifecycle.changes == (Change(at_s=1.0, kind="add", pods=2), Change(at_s=4.0, kind="remove"))
    assert (fleet.lifecycle.start_s, fleet.lifecycle.deregister_s, fleet.lifecycle.drain_s) == (1.0, 0.5, 5.0)
    assert len(fleet.pods) >= fleet.lifecycle.initial + 2
    assert any("a new pod serves" in text for text in got.assumptions)
    assert Feature.LIFECYCLE in used(got.model)


def test_results_tell_the_pods_over_time(resolve: Resolve) -> None:
    got = resolve(f"{FLEET}.changes=[{{at: 2s, add: 1}}]", f"{FLEET}.pod_start=1s", *SHORT)
    initial = got.model.fleets[0].lifecycle.initial  # type: ignore[union-attr]
    results = Results.of(got, [reference.run(got.model, r, Options()) for r in range(2)])
    (series,) = results.timeline.pods.values()
    assert series.value[0] == initial
    assert series.value[-1] == initial + 1
    assert results.fleets[0].utilisation.value is not None


def test_a_fleet_that_stays_has_no_lifecycle(resolve: Resolve) -> None:
    got = resolve("run.kind=timeline")
    autoscaled = got.fleets[0].autoscaler is not None
    assert (got.model.fleets[0].lifecycle is not None) is autoscaled
    assert resolve().model.fleets[0].lifecycle is None


def test_an_autoscaler_acts_in_a_timeline(resolve: Resolve) -> None:
    """In a steady run the replicas settle before; with replicas given it stays out."""
    got = resolve(*SHORT)
    if got.fleets[0].autoscaler is None:
        pytest.skip("the gateway of this scenario has no autoscaler")
    lifecycle = got.model.fleets[0].lifecycle
    assert lifecycle is not None
    assert lifecycle.scaling is not None
    assert Feature.AUTOSCALING in used(got.model)


def test_a_change_does_something(resolve: Resolve) -> None:
    with pytest.raises(InputError):
        resolve(f"{FLEET}.changes=[{{at: 2s}}]")
