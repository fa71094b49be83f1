"""`updates` of a cluster, from the file to the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwsim.errors import InputError
from gwsim.scenario import resolve
from gwsim.scenario.project import Project, open_project

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


def opened(*settings: str) -> Project:
    return open_project(SCENARIOS / "config-update", set_=settings)


def test_each_update_that_changes_a_route_is_an_outcome() -> None:
    """The route without its clusters at 4 s, with them at 6 s."""
    project = opened()
    shape = resolve(project.loaded, project.topology).model.clients[0].mix[0]
    assert [at_s for at_s, _ in shape.later] == [4.0, 6.0]
    assert [[(one.weight, one.cluster >= 0) for one in outcome.targets] for outcome in shape.outcomes()] == [
        [(1, True)], [(90, False), (10, False)], [(90, True), (10, True)],
    ]


def test_an_update_that_changes_nothing_is_none() -> None:
    project = opened("clusters.east.updates=[{at: 4s, apply: [istio/route.yaml]}]")
    assert resolve(project.loaded, project.topology).model.clients[0].mix[0].later == ()


def test_objects_can_be_taken_away() -> None:
    """Without its VirtualService the gateway answers 404."""
    project = opened("clusters.east.updates=[{at: 4s, delete: [VirtualService/shop/reviews]}]")
    ((at_s, outcome),) = resolve(project.loaded, project.topology).model.clients[0].mix[0].later
    assert (at_s, outcome.local_status, outcome.flags) == (4.0, 404, ("NR",))


@pytest.mark.parametrize(("update", "words"), [
    ("{at: 4s, delete: [VirtualService/shop/reveiws]}", "did you mean VirtualService/shop/reviews"),
    ("{at: 4s, apply: [new/nothing.yaml]}", "new/nothing.yaml"),
    ("{at: 4s}", "give apply or delete"),
])  # fmt: skip
def test_what_is_wrong_is_said(update: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        opened(f"clusters.east.updates=[{update}]")
    said = str(caught.value) + " ".join(f"{one.message} {one.help}" for one in getattr(caught.value, "findings", ()))
    assert words in said
