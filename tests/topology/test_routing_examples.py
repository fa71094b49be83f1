"""Upstream's own expectations: real configurations, requests, and where Istio sends them, as `gwsim route test` sees them."""

from __future__ import annotations

import pytest
from topology_corpus import corpus_folder

from gwsim.diagnostics import Collector
from gwsim.queries import Case, Status, read_cases
from gwsim.queries.run import run_case
from gwsim.queries.topologies import Topologies

FOLDER = corpus_folder()
CASES = [case for file in read_cases([FOLDER / "cases"], collector=Collector()) for case in file.cases] if FOLDER else []

pytestmark = pytest.mark.skipif(not CASES, reason="the routing examples are not here; set GWSIM_CORPUS to their folder")


@pytest.fixture(scope="module")
def topologies() -> Topologies:
    """What the cases share."""
    return Topologies()


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_agrees_with_upstream(case: Case, topologies: Topologies) -> None:
    result = run_case(case, topologies)
    trail = "\n".join(f"  {step.kind} {step.name}: {step.why}" for step in result.decision.steps) if result.decision else ""
    told = "; ".join(f"{one.path}: expected {one.expected}, actual {one.actual}" for one in result.differences)
    assert result.status is Status.PASS, f"{result.message} {told}\n{trail}"
