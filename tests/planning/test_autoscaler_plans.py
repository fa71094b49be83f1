"""Autoscalers for a load that changes: the day, the fluid model, and what a full run says of the answer."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from gwsim.errors import UsageError
from gwsim.planning.day import Day, constant, day_for, day_of, up_and_down, with_day
from gwsim.planning.executors import executor
from gwsim.planning.fluid import Fleet, course, rest
from gwsim.planning.plan import Plan, plan
from gwsim.planning.preparation import Given, prepare
from gwsim.report import lines, plan_page
from gwsim.report import plan as telling
from gwsim.results.budgets import parse
from gwsim.scenario.model import Poisson, RateSegment, Scaling
from gwsim.scenario.rates import mean_rps

SCENARIO = str(Path(__file__).resolve().parents[2] / "scenarios" / "autoscaler-target")
SLOW = ("costs.speed=0.002", "clients.web.connection.count=3000", "clients.web.connection.requests=10")
"""A pod that carries some fifty requests a second: a long day is few requests."""


def test_a_day_goes_up_and_down() -> None:
    day = up_and_down(10.0, 50.0, ramp_s=60.0, hold_s=30.0)
    assert (day.duration_s, day.lowest_rps, day.highest_rps) == (210.0, 10.0, 50.0)
    assert day.requests == pytest.approx(30 * 10 + 60 * 30 + 30 * 50 + 60 * 30 + 30 * 10)
    assert day.every(1.0)[45] == pytest.approx(10.0 + 40.0 * 15.5 / 60.0)
    part = day.around_steepest_rise(80.0)
    assert part.duration_s == pytest.approx(80.0)
    assert part.segments[0].start_rps == 10.0 and part.highest_rps == 50.0


def test_the_scenario_s_own_profile_is_a_day() -> None:
    profile = "clients.web.arrivals={profile: [{for: 20s, rate: 70rps}, {for: 60s, rate: [70rps, 10rps]}]}"
    model = prepare(Given(paths=(SCENARIO,), settings=(profile,))).resolved.model
    day = day_of(model)
    assert day == Day((RateSegment(duration_s=20.0, start_rps=70.0, end_rps=70.0), RateSegment(duration_s=60.0, start_rps=70.0, end_rps=10.0)))
    assert mean_rps(constant(model).clients[0].arrivals) == pytest.approx(day.requests / 80.0)
    arrivals = with_day(model, day).clients[0].arrivals
    assert isinstance(arrivals, Poisson) and arrivals.segments == day.segments


def test_a_load_that_never_changes_needs_no_autoscaler() -> None:
    model = prepare(Given(paths=(SCENARIO,))).resolved.model
    for loads in ([], [100.0]):
        with pytest.raises(UsageError, match="load that changes"):
            day_for(model, loads)
    with pytest.raises(UsageError, match="ramp"):
        day_for(model, [1.0, 2.0], "soon")


POD = Fleet(request_cpu_s=0.001, cores=2.0, start_s=10.0)
RULE = Scaling(minimum=1, maximum=20, cpu_request_cores=1.0, target_utilization=0.5)


def test_fluids_rest_where_kubernetes_says() -> None:
    """ceil(load * CPU of a request / (target * request)) pods, within the bounds, before and after a rise."""
    assert [rest(rps, POD, RULE) for rps in (100.0, 500.0, 501.0, 4000.0, 40000.0)] == [1, 1, 2, 8, 20]
    day = up_and_down(400.0, 4000.0, ramp_s=300.0, hold_s=900.0)
    came = course(day, POD, RULE, math.inf)
    assert came.most_pods == 8
    low, high = 900.0 * 2 * 1 + 300.0, 900.0 * 8
    assert low + high < came.pod_s < low + high + 2 * 300.0 * 8 + 400.0 * 8, "stabilisation keeps the most of five minutes"


def test_a_lower_target_is_short_for_less_long_and_costs_more() -> None:
    day = up_and_down(400.0, 4000.0, ramp_s=120.0)
    came = [course(day, POD, replace(RULE, target_utilization=target), 900.0) for target in (0.3, 0.5, 0.7, 0.9)]
    assert [one.short_s for one in came] == sorted(one.short_s for one in came)
    assert [one.pod_s for one in came] == sorted((one.pod_s for one in came), reverse=True)
    assert came[0].short_s < came[-1].short_s


def planned(*settings: str) -> Plan:
    """A plan with an autoscaler for 15 to 100 rps."""
    prepared = prepare(Given(paths=(SCENARIO,), settings=(*SLOW, *settings), fix_replicas=True))
    budgets = [parse("errors rate < 0.1%"), parse("gateway.latency p(90) < 2s")]
    with executor("threads", 2) as pool:
        return plan(prepared, pool, budgets=budgets, loads=(15.0, 100.0), headroom=False, day=up_and_down(15.0, 100.0, 240.0, 120.0))


@pytest.fixture(scope="module")
def made() -> Plan:
    """Clients whose connections end after ten requests."""
    return planned()


def test_the_answer_is_run_in_full(made: Plan) -> None:
    """The settings written are those of a full run in which the autoscaler moved, or say that a fixed fleet is as good."""
    found = made.autoscaling
    assert found is not None and found.tries
    for one in found.tries:
        assert one.chosen.course.pod_s < 0.97 * found.fixed_pods * found.day.duration_s
        assert one.mean_pods == pytest.approx(one.chosen.course.pod_s / found.day.duration_s, rel=0.15), "the fluid model is near"
        assert one.most_pods <= one.chosen.maximum
    written = {one.path.rpartition(":spec.")[2]: one.value for one in made.settings}
    if found.answer is None:
        assert written["minReplicas"] == written["maxReplicas"] == str(found.fixed_pods)
    else:
        assert written["minReplicas"] == str(found.answer.chosen.minimum) and written["metrics[0].resource.target.averageUtilization"] == str(found.answer.chosen.target)
        assert 0.03 <= found.saved < 1.0


def test_it_is_told(made: Plan) -> None:
    text = lines.plain(telling.lines(made))
    assert "CHANGING    For a load from 15 rps to 100 rps" in text and "AUTOSCALER" in text
    assert "As the load changes" in plan_page.render(made)
    assert made.plain()["autoscaling"]["tries"][0]["requests"] > 0


def test_clients_that_keep_their_connections_need_the_pods_beforehand(made: Plan) -> None:
    """New pods get new connections only: where there are none, the full run fails what the fluid model allows."""
    stays = planned("clients.web.connection.requests=0").autoscaling
    assert stays is not None and made.autoscaling is not None
    assert stays.answer is None and stays.tries
    assert stays.tries[0].holds is False
    assert min(one.worst[1] for one in stays.tries) > min(one.worst[1] for one in made.autoscaling.tries)


def test_memory_is_that_of_the_largest_load() -> None:
    """Connections grow with the load that is planned for, and the memory asked for with them."""
    def asked(rps: float) -> int:
        prepared = prepare(Given(paths=(SCENARIO,), settings=(*SLOW, "clients.web.connection.count=400000"), fix_replicas=True))
        with executor("threads", 2) as pool:
            made = plan(prepared, pool, budgets=[parse("gateway.cpu mean < 90%")], loads=(rps,), replicas=(2, 2), headroom=False)
        return next(int(one.value.removesuffix("Mi")) for one in made.settings if one.path.endswith("requests.memory"))

    assert asked(20.0) > 1.5 * asked(5.0)
