"""The next command: it fits the trouble, and it can be run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gwsim import scenario
from gwsim.planning import simulate
from gwsim.report import json as json_report
from gwsim.report.advice import Advice, command
from gwsim.report.names import Names, shortest
from gwsim.report.report import Report


@pytest.mark.parametrize("kind", ["pass", "fail", "done", "saturated", "many"])
def test_settings_of_the_advice_are_valid(report: Callable[[str], Report], folder: Path, kind: str) -> None:
    """They can be set on the scenario they are about."""
    advice = report(kind).advice
    assert advice is not None
    scenario.open_project(folder, set_=advice.settings, fix_replicas="--fix-replicas" in advice.options)


def test_each_trouble_has_its_remedy(report: Callable[[str], Report]) -> None:
    """A pool that overflows is made larger, an open question gets more data, what holds is loaded more."""
    fail, undecided, good = (report(kind).advice for kind in ("fail", "undecided", "pass"))
    assert fail is not None and any("connectionPool" in setting for setting in fail.settings)
    assert undecided is not None and undecided.options[0] in ("--duration", "--replications")
    assert good is not None


def test_a_backend_that_answers_with_errors_is_named(folder: Path) -> None:
    """With nothing near its limits, less load would help nobody."""
    short = ("run.duration=1s", "run.warmup=100ms", "clients.web.arrivals.poisson=150rps", "clients.web.connection.count=20")
    project = scenario.open_project(folder, set_=(*short, "run.replications=6", 'budgets=["errors rate < 0.1%"]', "backends.east/checkout.shop.errors={503: 60%}"))
    resolved = scenario.resolve(project.loaded, project.topology)
    advice = Report.of(simulate(resolved, engine="reference"), resolved, project=project, target="demo").advice
    assert advice is not None and advice.settings == ("backends.east/checkout.shop.errors={}",)
    scenario.open_project(folder, set_=advice.settings)


def test_a_command_replaces_what_the_advice_changes() -> None:
    """No option or setting twice."""
    given = ("istio/", "--set", "a.b=1", "--set", "c=2", "--seed", "3", "--duration", "5s", "--fix-replicas")
    advice = Advice(reason="", settings=("a.b=9",), options=("--duration", "10s"))
    assert command("demo", given, advice) == "gwsim run demo istio/ --set c=2 --seed 3 --fix-replicas --set a.b=9 --duration 10s"
    assert command("my demo", (), None) == "gwsim run 'my demo'"


def test_short_names_stay_apart(report: Callable[[str], Report]) -> None:
    """As few parts as tell all names from each other."""
    assert shortest(["east/a/gw", "east/a/other"]) == {"east/a/gw": "gw", "east/a/other": "other"}
    assert shortest(["east/a/gw", "west/a/gw"]) == {"east/a/gw": "east/a/gw", "west/a/gw": "west/a/gw"}
    assert shortest(["east/a/gw", "east/b/gw"]) == {"east/a/gw": "a/gw", "east/b/gw": "b/gw"}
    names = Names.of(report("pass").results.labels)
    assert names.shorten("gateway east/istio-system/istio-ingressgateway: x") == "gateway istio-ingressgateway: x"


def test_json_is_that_of_a_saved_run(report: Callable[[str], Report], tmp_path: Path) -> None:
    """The renderer and the file agree to the last byte."""
    from gwsim.results import store

    results = report("fail").results
    store.save(results, tmp_path)
    assert json_report.render(results) == json_report.saved(tmp_path)
