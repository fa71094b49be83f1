"""The made-up scenarios of the results tests, and an engine to run them with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "results"))


@pytest.fixture(autouse=True)
def _an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until `gwsim.engine.run` chooses an engine, the compiled one is called."""
    from gwsim import engine
    from gwsim.planning import replications

    if hasattr(engine, "run"):
        return
    from gwsim.engine.compiled.driver import run

    monkeypatch.setattr(replications, "run_one", lambda model, _, options, number: run(model, number, options))
