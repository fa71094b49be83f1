"""`import gwsim as gw`: scenarios as values, runs as frames and figures."""

from __future__ import annotations

from pathlib import Path

import matplotlib.figure
import pandas as pd
import pytest

import gwsim as gw
from gwsim.errors import InputError
from gwsim.scenario import write_template

SMALL = ("run.duration=2s", "run.warmup=200ms", "clients.web.arrivals.poisson=300rps")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> gw.Scenario:
    """The example project, small."""
    folder = tmp_path_factory.mktemp("api") / "demo"
    write_template(folder)
    return gw.load(folder, set_=SMALL)


@pytest.fixture(scope="module")
def run(shop: gw.Scenario) -> gw.Run:
    """One run of it."""
    return shop.run()


def test_a_run_has_frames_figures_and_text(run: gw.Run, tmp_path: Path) -> None:
    assert run.verdict in ("PASS", "FAIL", "UNDECIDED", "DONE")
    assert {"route", "p99_ms", "offered_rps"} <= set(run.routes.columns)
    assert list(run.budgets.columns) == ["budget", "answer", "observed", "low", "high", "limit"]
    for figure in (run.percentiles(), run.where_time_went(), run.anatomy(), run.timeline()):
        assert isinstance(figure, matplotlib.figure.Figure)
    assert str(run).startswith("SCENARIO")
    assert "<pre" in run._repr_html_()
    assert (run.save(tmp_path / "saved") / "run.json").exists()


def test_figures_draw_into_the_axes_given(run: gw.Run) -> None:
    figure = matplotlib.figure.Figure()
    ax = figure.add_subplot()
    assert run.percentiles(ax=ax) is figure
    assert ax.lines


def test_a_scenario_is_a_value(shop: gw.Scenario) -> None:
    other = shop.with_("clients.web.arrivals.poisson=500rps", seed=7)
    assert shop.given.settings == SMALL
    assert other.run().results.throughput.offered_rps.value == pytest.approx(500, rel=0.2)
    assert other.given.seed == 7
    assert "500rps" in repr(other)


def test_the_same_figures_as_the_command_line(shop: gw.Scenario, run: gw.Run) -> None:
    assert shop.run().results.digest == run.results.digest


def test_sweeps_plans_and_comparisons(shop: gw.Scenario) -> None:
    swept = shop.sweep("clients.web.arrivals.poisson=100rps..300rps:3")
    assert isinstance(swept.frame, pd.DataFrame)
    assert len(swept.frame) == 3
    assert isinstance(swept.curve(), matplotlib.figure.Figure)
    made = shop.plan(load=[4000.0], budgets=["gateway.cpu mean < 60%"], headroom=False)
    assert made.frame["replicas"].tolist() == [made.data.steps[0].need.best.replicas]  # type: ignore[union-attr]
    assert isinstance(made.staircase(), matplotlib.figure.Figure)
    held = shop.compare(shop)
    assert held.verdict == "SAME"
    assert set(held.frame["direction"]) == {"same"}


def test_what_is_wrong_is_told(shop: gw.Scenario) -> None:
    with pytest.raises(InputError, match="no field arivals"):
        shop.with_("clients.web.arivals.poisson=1rps").run()
    assert isinstance(shop.findings, pd.DataFrame)
