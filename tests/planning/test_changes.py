"""What two configurations say differently about a run that rolls pods out, or that changes its configuration on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwsim.planning.cases import run_case
from gwsim.planning.preparation import Given, prepare
from gwsim.planning.verdict import Comparison, Side, compare

SCENARIOS = Path(__file__).parents[2] / "scenarios"
PRE_STOP = "Deployment/shop/orders:spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds=5"


def side(scenario: str, *settings: str) -> Side:
    """A short run of one of the scenarios."""
    prepared = prepare(Given(paths=(str(SCENARIOS / scenario),), settings=("clients.web.arrivals.poisson=40rps", *settings), replications=2))
    done = run_case(prepared)
    return Side(name=scenario, results=done.results, project=prepared.project, resolved=done.resolved)


def compared(scenario: str, before: tuple[str, ...], after: tuple[str, ...]) -> Comparison:
    return compare(side(scenario, *before), side(scenario, *after))


def test_a_rollout_exercises_how_a_deployment_replaces_its_pods() -> None:
    """With a pause as long as gateways take to hear of it no order fails: that is what the change does, and it was seen."""
    made = compared("backend-rollout", (), (PRE_STOP,))
    (one,) = made.changes
    assert one.exercised == "exercised"
    assert one.change.workloads == ("shop/orders",)
    assert one.requests > 2 * 2 * 0.8 * 40 * 22
    assert (made.word, made.exit_code) == ("BETTER", 0), made.reasons


def test_without_a_rollout_the_same_change_was_not_looked_at() -> None:
    plain = ("backends.east/orders.shop.rollout=null",)
    made = compared("backend-rollout", plain, (*plain, PRE_STOP))
    (one,) = made.changes
    assert (one.exercised, made.exit_code) == ("not exercised", 3)
    assert "no `rollout` of the scenario replaces the pods of shop/orders" in one.reason


@pytest.mark.parametrize(("moment", "exit_code", "said"), [("7s", 0, "exercised"), ("30s", 3, "not exercised")])
def test_an_update_that_comes_later_is_a_change_of_its_objects(moment: str, exit_code: int, said: str) -> None:
    """The subsets first, or within the run not at all: the route differs from its old moment on."""
    before = ("clusters.east.updates[0].at=4s",) if exit_code == 0 else ("clusters.east.updates[0].at=20s",)
    made = compared("config-update", before, (f"clusters.east.updates[0].at={moment}",))
    (one,) = made.changes
    assert one.change.ref == f"VirtualService/shop/reviews, update at {'4 s' if exit_code == 0 else '20 s'}"
    assert one.change.span is not None
    assert one.exercised == said
    assert one.change.effects
    assert made.exit_code == exit_code, made.reasons


def test_objects_of_updates_files_are_listed(tmp_path: Path) -> None:
    """Another weight in the file that an update applies, and nothing else."""
    folder = SCENARIOS / "config-update"
    text = (folder / "new/route.yaml").read_text()
    other = tmp_path / "route.yaml"
    other.write_text(text.replace("weight: 90", "weight: 50").replace("weight: 10", "weight: 50"))
    made = compared("config-update", (), (f'clusters.east.updates[0].apply=["{other}"]',))
    (one,) = made.changes
    assert one.change.ref == "VirtualService/shop/reviews, update at 4 s"
    assert one.change.paths == ("http[0].route[0].weight", "http[0].route[1].weight")
    assert one.exercised == "exercised"
    assert one.change.span is not None
    assert one.change.span.file.endswith("route.yaml")
