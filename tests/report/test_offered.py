"""The picture of a scenario before it is run: what is offered is kept from column to column, and agrees with what a run does."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from gwsim import scenario
from gwsim.planning.preparation import Given, prepare
from gwsim.report import flow_text, lines, picture
from gwsim.report.flow import COLUMNS, LOCAL, Flow
from gwsim.report.happened import flow_of
from gwsim.report.offered import flow_of_scenario
from gwsim.report.report import Report

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
ALL = sorted(path.parent for path in SCENARIOS.glob("*/scenario.yaml"))


def offered(folder: Path, *settings: str) -> Flow:
    """The flow of a scenario."""
    return flow_of_scenario(prepare(Given(paths=(str(folder),), settings=settings)).resolved)


@pytest.mark.parametrize("folder", ALL, ids=lambda path: path.name)
def test_what_flows_in_flows_out(folder: Path) -> None:
    flow = offered(folder)
    chain = flow.columns != COLUMNS
    for (column, name), node in flow.nodes.items():
        out = sum(rps for (start, _), rps in flow.links.items() if start == (column, name))
        into = sum(rps for (_, end), rps in flow.links.items() if end == (column, name))
        if name != LOCAL and (column == 0 or ("backends" not in flow.columns[column] if chain else column < 4)):
            assert out == pytest.approx(node.rps)
        if column:
            assert into == pytest.approx(node.rps)


def test_a_run_does_what_was_offered(report: Callable[[str], Report], folder: Path) -> None:
    """Rates, gateways' CPU from below, and backends' utilisation, within the noise of a small run."""
    results = report("done").results
    project = scenario.open_project(folder, set_=(
        "run.duration=1s", "clients.web.arrivals.poisson=150rps", "clients.web.connection.count=20", "budgets=[]",
    ))
    before, after = flow_of_scenario(scenario.resolve(project.loaded, project.topology)), flow_of(results)
    assert {key for key in before.nodes if key[1] != LOCAL} == {key for key in after.nodes if key[1] != LOCAL}
    for key, node in before.nodes.items():
        assert after.nodes[key].rps == pytest.approx(node.rps, rel=0.25, abs=8.0)
    gateway = before.column(1)[0]
    seen = after.column(1)[0]
    assert 0 < (gateway.tiles[0].utilisation or 0) < (seen.tiles[0].utilisation or 0), "wake-ups, iterations and handshakes come on top"


def test_the_picture_is_svg_by_itself() -> None:
    flow = offered(SCENARIOS / "canary")
    root = ET.fromstring(picture.standalone(flow))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = {one.text for one in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"web", "istio-ingressgateway", "stable", "testers", "reviews v1", "reviews v2"} <= texts
    assert any(one.tag.endswith("style") and "prefers-color-scheme" in (one.text or "") for one in root)


def test_width_is_load() -> None:
    """A link's band is as wide as its share of all traffic."""
    def width(weight: int) -> float:
        flow = offered(SCENARIOS / "canary", f"VirtualService/shop/reviews:spec.http[1].route[1].weight={weight}",
                       f"VirtualService/shop/reviews:spec.http[1].route[0].weight={100 - weight}")
        return flow.links[(2, "stable"), (3, "reviews v2")] / flow.column(0)[0].rps

    assert width(10) == pytest.approx(0.9 * 0.1) and width(50) == pytest.approx(0.9 * 0.5)


def test_the_text_names_everything_and_says_what_is_refused() -> None:
    shown = lines.plain(flow_text.lines(offered(SCENARIOS / "authorization")))
    for word in ("CLIENTS", "GATEWAYS", "ROUTES", "CLUSTERS", "BACKENDS", "local reply", "30 % errors", "busy:"):
        assert word in shown
