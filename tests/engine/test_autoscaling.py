"""The HorizontalPodAutoscaler: section 19 of docs/background/engine-semantics.md.

Numbers: Kubernetes' documentation (horizontal-pod-autoscale.md: the algorithm, and the example of a slow scale-down).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from builders import MS, client, downstream, fleet, local, model, shape

from gwsim.engine.reference import run
from gwsim.engine.reference.autoscaling import Autoscaler, desired
from gwsim.scenario.model import Connection, Lifecycle, Poisson, RateSegment, Scaling
from gwsim.topology import ScalingPolicy, ScalingRules

S = 10**9
NONE = ScalingRules(stabilization_s=0.0, policies=(ScalingPolicy(kind="percent", value=100, period_s=15.0),))


def hpa(**fields: Any) -> Scaling:
    """A target of 100 millicores a pod."""
    return Scaling(**({"minimum": 1, "maximum": 100, "cpu_request_cores": 0.1, "target_cores": 0.1} | fields))


@pytest.mark.parametrize(("usage", "wanted"), [(0.2, 8), (0.05, 2), (0.11, 4), (0.09, 4), (0.111, 5), (0.089, 4), (0.074, 3)])
def test_the_ratio_of_usage_and_target(usage: float, wanted: int) -> None:
    """200m of 100m doubles, 50m halves; within 10 % nothing changes; four pods."""
    assert desired(hpa(), 4, [usage] * 4, 0, 0) == wanted


def test_utilisation_is_in_whole_percents_of_the_request() -> None:
    scaling = hpa(target_utilization=0.8)
    assert desired(scaling, 2, [0.16, 0.16], 0, 0) == 4
    assert desired(scaling, 2, [0.0879, 0.0879], 0, 0) == 2
    assert desired(scaling, 2, [0.0899, 0.0899], 0, 0) == 3


def test_starting_pods_dampen_and_missing_ones_change_nothing() -> None:
    """Two pods at 200 % ask for four; with two more starting that is what there will be. Without metrics: 0 or 100 %."""
    assert desired(hpa(), 2, [0.2, 0.2], 0, 0) == 4
    assert desired(hpa(), 4, [0.2, 0.2], 0, 2) == 4
    assert desired(hpa(), 3, [0.2, 0.2], 0, 1) == 4
    assert desired(hpa(), 4, [0.02, 0.02], 2, 0) == 3
    assert desired(hpa(), 4, [0.2, 0.2], 2, 0) == 4
    assert desired(hpa(), 6, [0.3, 0.3], 2, 0) == 6


def test_a_slow_scale_down() -> None:
    """The larger of 10 % and 4 pods a minute: 80, 72, 64, ... and, below 40, four at a time."""
    down = ScalingRules(stabilization_s=0.0, policies=(ScalingPolicy(kind="pods", value=4, period_s=60.0), ScalingPolicy(kind="percent", value=10, period_s=60.0)))
    one = Autoscaler(hpa(down=down))
    pods, seen = 80, []
    for minute in range(12):
        pods = one.sync(minute * 60 * S, pods, [0.01] * pods, 0, 0)
        seen.append(pods)
    assert seen[:3] == [72, 64, 57]
    below = [n for n in seen if n < 40]
    assert all(a - b == 4 for a, b in pairwise(below))


def test_policies_count_what_was_done_in_their_period() -> None:
    """By default 100 % or 4 pods in 15 s: a second sync within the period may do no more."""
    one = Autoscaler(hpa())
    assert one.sync(0, 2, [1.0] * 2, 0, 0) == 6
    assert one.sync(10 * S, 6, [1.0] * 6, 0, 0) == 6
    assert one.sync(15 * S, 6, [1.0] * 6, 0, 0) == 12


def test_a_scale_down_waits_for_the_greatest_recommendation() -> None:
    """Five minutes of stabilisation by default."""
    one = Autoscaler(hpa(down=replace(NONE, stabilization_s=300.0)))
    assert one.sync(0, 10, [0.1] * 10, 0, 0) == 10
    assert one.sync(15 * S, 10, [0.05] * 10, 0, 0) == 10
    assert one.sync(299 * S, 10, [0.05] * 10, 0, 0) == 10
    assert one.sync(300 * S, 10, [0.05] * 10, 0, 0) == 5


def test_bounds_and_disabled_directions() -> None:
    assert Autoscaler(hpa(maximum=3)).sync(0, 2, [1.0] * 2, 0, 0) == 3
    assert Autoscaler(hpa(minimum=2, down=NONE)).sync(0, 3, [0.0] * 3, 0, 0) == 2
    assert Autoscaler(hpa(down=replace(NONE, select="disabled"))).sync(0, 3, [0.0] * 3, 0, 0) == 3
    assert Autoscaler(hpa()).sync(0, 3, [], 3, 0) == 3


# --- in a run ------------------------------------------------------------------------------------------------


def ramp() -> Any:
    """From 100 to 800 requests of 1 ms a second in a minute, then a minute there; a pod's target is half a core."""
    arrivals = Poisson(segments=(
        RateSegment(duration_s=60.0, start_rps=100.0, end_rps=800.0), RateSegment(duration_s=60.0, start_rps=800.0, end_rps=800.0),
    ))
    web = client(arrivals, shape(local(200)), connection=Connection(count=60, requests=20))
    web = replace(web, costs=downstream(read_s=1 * MS))
    scaling = Scaling(minimum=1, maximum=4, cpu_request_cores=1.0, target_utilization=0.5)
    one = replace(fleet(4), lifecycle=Lifecycle(initial=1, start_s=10.0, deregister_s=1.0, drain_s=5.0, scaling=scaling))
    return run(model(web, fleets=(one,), duration_s=120.0, kind="timeline"), 0)


def test_a_fleet_follows_a_ramp_with_its_lag() -> None:
    """One pod at first, two at the end; the second serves no sooner than a scrape, a sync and its start allow."""
    raw = ramp()
    pods = raw.fleet_bin_pods[0] / (120 * S / 200)
    assert pods[0] == 1.0
    assert pods[-1] == pytest.approx(2.0, abs=0.05)
    grown = int((pods > 1.0).argmax())
    assert 0.5 * 60 < grown * 0.6 < 60 + 30
    assert (raw.worker_cpu > 0).sum() == 2
