"""The verdict near capacity: M/M/1 just below and just above it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from queues import mm1
from synthetic import resolved, with_run

from gwsim.planning import simulate
from gwsim.results import Status
from gwsim.results.verdicts import growth_rps
from gwsim.scenario.model import ClosedLoop


@pytest.mark.parametrize(("load", "saturated"), [(0.8, False), (0.97, False), (0.99, False), (1.01, True), (1.03, True)])
def test_saturation_of_mm1(load: float, saturated: bool) -> None:
    found = simulate(resolved(mm1(load, duration_s=150.0, warmup_s=15.0, seed=3)), workers=2)
    assert (found.verdict.status is Status.SATURATED) == saturated
    if saturated:
        growth = growth_rps(found.counts).at(0.999)
        assert growth.low is not None and growth.high is not None
        assert growth.low <= (load - 1) * 1000 <= growth.high
        assert found.throughput.served_rps.value == pytest.approx(1000.0, rel=0.005)
        assert found.bottleneck.first is not None and found.bottleneck.first.utilisation > 1.0


@pytest.mark.parametrize(("load", "saturated"), [(0.9, False), (0.99, False), (1.03, True)])
def test_saturation_with_a_pilot(load: float, saturated: bool) -> None:
    found = simulate(resolved(mm1(load, duration_s=150.0, seed=5), warmup_auto=True), workers=2)
    assert (found.verdict.status is Status.SATURATED) == saturated


@pytest.mark.slow
def test_false_alarms_are_rare() -> None:
    """Twenty runs at 0.97 and at 0.99, cold, with the cut of a pilot: at most one of them is called saturated."""
    for load in (0.97, 0.99):
        of = mm1(load, duration_s=60.0)
        alarms = [
            simulate(resolved(with_run(of, seed=seed), warmup_auto=True), workers=2).verdict.status is Status.SATURATED
            for seed in range(20)
        ]
        assert sum(alarms) <= 1


def test_a_full_system_stops_early() -> None:
    found = simulate(resolved(mm1(3.0, duration_s=30.0, max_in_flight=5000)), replications=3)
    assert found.verdict.status is Status.SATURATED
    assert "5000 requests in flight" in found.verdict.evidence[0]
    assert found.throughput.offered_rps.value == pytest.approx(3000.0, rel=0.05)
    assert found.throughput.served_rps.value == pytest.approx(1000.0, rel=0.08)


def test_a_closed_loop_that_is_held_back_says_so() -> None:
    """Four connections before a server of 1000/s get 1000 rps of the 2000 asked for, and never pile up."""
    of = mm1(0.5, duration_s=40.0, warmup_s=1.0)
    loop = replace(of, clients=(replace(of.clients[0], arrivals=ClosedLoop(connections=4, rate_rps=2000.0)),))
    verdict = simulate(resolved(loop)).verdict
    assert verdict.status is Status.FINE
    assert "of the 2 krps asked for" in verdict.sentence
