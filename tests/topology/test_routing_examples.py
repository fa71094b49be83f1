"""Upstream's own expectations: real configurations, requests, and where Istio sends them."""

from __future__ import annotations

from typing import Any

import pytest
from topology_corpus import cases, decide, differences, out_of_scope

CASES = cases()

pytestmark = pytest.mark.skipif(not CASES, reason="the routing examples are not here; set GWSIM_CORPUS to their folder")


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_agrees_with_upstream(case: dict[str, Any]) -> None:
    missing = out_of_scope(case)
    if missing:
        pytest.skip(missing)
    got = decide(case)
    wrong = differences(case, got)
    trail = "\n".join(f"  {step.kind} {step.name}: {step.why}" for step in got.steps)
    assert not wrong, f"{'; '.join(wrong)}\n{trail}"
