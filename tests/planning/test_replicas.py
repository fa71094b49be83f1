"""The replicas an autoscaler settles at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from queues import busy_gateway
from synthetic import resolved

from gwsim.planning import settle_replicas
from gwsim.planning.replicas import desired_replicas
from gwsim.scenario.resolved import Resolved
from gwsim.topology import Autoscaler

HPA = Autoscaler(name="ingress", min_replicas=1, max_replicas=10, target_cpu_utilization=0.8)
GATEWAY = "istio-system/ingress"


@pytest.mark.parametrize(
    ("pods", "usage", "desired"),
    [(2, 0.8, 2), (2, 0.87, 2), (2, 0.89, 3), (4, 0.73, 4), (4, 0.71, 4), (4, 0.59, 3), (3, 2.4, 9), (5, 2.4, 10), (1, 0.01, 1)],
)
def test_the_formula_of_kubernetes(pods: int, usage: float, desired: int) -> None:
    assert desired_replicas(pods, usage, 0.8, HPA) == desired


def world(cpu_s: float, *, request: float | None = 0.5, scaler: Autoscaler = HPA, pods: int = 2, **run: object):
    """A scenario at 1000 rps, and the function that resolves it with other replicas."""

    def at(replicas: Mapping[str, int]) -> Resolved:
        of = busy_gateway(cpu_s, pods=replicas.get(GATEWAY, pods), duration_s=5.0, **run)
        return resolved(of, autoscaler=scaler, cpu_request_cores=request)

    return at({}), at


def test_it_settles_where_the_formula_asks_for_no_change() -> None:
    """1.3 ms of CPU at 1000 rps are 1.3 cores; at 80 % of half a core each, 4 pods give 65 % and stay."""
    start, at = world(0.0013)
    settled = settle_replicas(start, at)
    assert settled.replicas == {GATEWAY: 4}
    assert len(settled.resolved.model.fleets[0].pods) == 4
    assert settled.steps[-1].usage == pytest.approx(0.65, rel=0.05)
    assert settled.steps[-1].desired == 4
    assert "settles at 4 pods (tried 2 -> " in settled.assumptions[0]


def test_it_scales_down() -> None:
    start, at = world(0.0003, pods=6)
    assert settle_replicas(start, at).replicas == {GATEWAY: 1}


def test_bounds_hold() -> None:
    start, at = world(0.0013, scaler=replace(HPA, max_replicas=3))
    settled = settle_replicas(start, at)
    assert settled.replicas == {GATEWAY: 3}
    start, at = world(0.0003, scaler=replace(HPA, min_replicas=4))
    assert settle_replicas(start, at).replicas == {GATEWAY: 4}


def test_far_too_few_pods_still_find_the_way_up() -> None:
    start, at = world(0.004, pods=1)
    assert settle_replicas(start, at).replicas == {GATEWAY: 10}


def test_a_target_in_cores() -> None:
    scaler = Autoscaler(name="ingress", min_replicas=1, max_replicas=10, target_cpu_cores=0.3)
    start, at = world(0.0008, request=None, scaler=scaler)
    settled = settle_replicas(start, at)
    assert settled.replicas == {GATEWAY: 3}
    assert "267m cores, target 300m cores" in settled.assumptions[0] or "cores" in settled.assumptions[0]


def test_fleets_without_a_cpu_target_stay() -> None:
    scaler = Autoscaler(name="ingress", min_replicas=1, max_replicas=10, other_metrics=("requests-per-second",))
    start, at = world(0.0013, scaler=scaler)
    settled = settle_replicas(start, at)
    assert settled.resolved is start and settled.replicas == {}
    assert "2 pods are kept" in settled.assumptions[0]


def test_timelines_and_fixed_replicas_are_left_alone() -> None:
    start, at = world(0.0013, kind="timeline")
    assert settle_replicas(start, at).replicas == {}
    start, at = world(0.0013)
    fixed = replace(start, fleets=tuple(replace(fleet, replicas_fixed=True) for fleet in start.fleets))
    assert settle_replicas(fixed, at).replicas == {}


def test_it_is_repeatable() -> None:
    start, at = world(0.0013)
    assert settle_replicas(start, at, workers=2).steps == settle_replicas(start, at).steps
