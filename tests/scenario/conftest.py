"""A folder with a small scenario, opened and resolved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scenario_text import ISTIO, SCENARIO, WORKLOAD

from gwsim import scenario
from gwsim.diagnostics import Collector
from gwsim.scenario import Project, Resolved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with scenario and configuration."""
    (tmp_path / "istio").mkdir()
    (tmp_path / "istio" / "all.yaml").write_text(
        ISTIO + WORKLOAD.format(app="checkout") + WORKLOAD.format(app="cart"), encoding="utf-8"
    )
    (tmp_path / "scenario.yaml").write_text(SCENARIO, encoding="utf-8")
    return tmp_path


@pytest.fixture
def project(folder: Path) -> Callable[..., Project]:
    """Opens the scenario of the folder, after changes of its text and with settings."""

    def opened(*set_: str, text: str | None = None, **keywords: object) -> Project:
        if text is not None:
            (folder / "scenario.yaml").write_text(text, encoding="utf-8")
        return scenario.open_project(folder, set_=set_, **keywords)  # type: ignore[arg-type]

    return opened


@pytest.fixture
def resolve(project: Callable[..., Project]) -> Callable[..., Resolved]:
    """Resolves the scenario of the folder."""

    def resolved(*set_: str, text: str | None = None, **keywords: object) -> Resolved:
        opened = project(*set_, text=text)
        collector = Collector()
        return scenario.resolve(opened.loaded, opened.topology, collector=collector, **keywords)  # type: ignore[arg-type]

    return resolved
