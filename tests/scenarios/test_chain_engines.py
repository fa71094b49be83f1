"""Shipped scenarios with chains: both engines give every request the same record (in the first second: the reference engine is slow)."""

from __future__ import annotations

import pytest
from scenario_runs import NAMES, SCENARIOS

from gwsim.engine import reference
from gwsim.engine.codes import Component
from gwsim.engine.compiled import driver
from gwsim.engine.features import COMPILED, Feature, used
from gwsim.engine.schema import Options, differences
from gwsim.planning.preparation import Given, prepare
from gwsim.scenario.model import Model

CHAINS = (
    "egress-authorization", "egress-bypass", "egress-http", "egress-mutual", "egress-nat", "egress-outage", "egress-wildcard", "order-journey", "two-tiers",
)


def short(name: str, *settings: str) -> Model:
    """The model of a scenario's first second; a timeline has no warm-up that would have to be shorter."""
    timeline = "kind: timeline" in (SCENARIOS / name / "scenario.yaml").read_text(encoding="utf-8")
    settings = settings if timeline else (*settings, "run.warmup=0.2s")
    return prepare(Given(paths=(str(SCENARIOS / name),), settings=settings, replications=1, duration="1s")).resolved.model


@pytest.mark.parametrize("name", CHAINS)
def test_engines_agree(name: str) -> None:
    model = short(name)
    assert Feature.CHAINS in used(model) <= COMPILED
    expected = reference.run(model, 0, Options(digest=True))
    assert not differences(expected, driver.run(model, 0, Options(digest=True)))
    assert expected.component_sum[:, Component.NEXT_HOP].sum() > 0


def test_no_scenario_with_chains_is_left_out() -> None:
    """But those whose gateways hand bytes on."""
    able = {name for name in NAMES if Feature.CHAINS in (features := used(short(name))) and features <= COMPILED}
    assert able == set(CHAINS)
