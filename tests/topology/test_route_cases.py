"""The cases in tests/topology/cases: what upstream's sources say, in configurations of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwsim.diagnostics import Collector
from gwsim.queries import Case, Status, read_cases
from gwsim.queries.run import run_case
from gwsim.queries.topologies import Topologies

FOLDER = Path(__file__).parent / "cases"
CASES = [case for file in read_cases(sorted(FOLDER.glob("*.yaml")), collector=Collector()) for case in file.cases]


@pytest.fixture(scope="module")
def topologies() -> Topologies:
    """What the cases share."""
    return Topologies()


@pytest.mark.parametrize("case", CASES, ids=[f"{Path(case.file).stem}: {case.id}" for case in CASES])
def test_case(case: Case, topologies: Topologies) -> None:
    result = run_case(case, topologies)
    trail = "\n".join(f"  {step.kind} {step.name}: {step.why}" for step in result.decision.steps) if result.decision else ""
    told = "; ".join(f"{one.path}: expected {one.expected}, actual {one.actual}" for one in result.differences)
    assert result.status is Status.PASS, f"{result.message} {told}\n{trail}"
