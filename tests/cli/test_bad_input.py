"""Whatever is wrong with the input: exit code 2, the place, what would be right, and never a traceback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_calls import Command, Ended


def refused(ended: Ended, *texts: str) -> None:
    """Exit code 2, nothing on standard output, no traceback, and every text on standard error."""
    assert ended.code == 2, ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    for text in texts:
        assert text in ended.err


def change(demo: Path, old: str, new: str, file: str = "scenario.yaml") -> int:
    """Replace a text of a file of the project; gives its line."""
    path = demo / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return text[: text.index(old)].count("\n") + 1


def test_a_missing_file(gwsim: Command, demo: Path) -> None:
    """The name is said, with the nearest there is."""
    refused(gwsim("run", str(demo / "scenari.yaml")), "scenari.yaml", "did you mean scenario.yaml")


def test_a_missing_configuration(gwsim: Command, demo: Path) -> None:
    """The folder that `config` names does not exist."""
    change(demo, "config: [istio/]", "config: [isto/]")
    refused(gwsim("run", "demo"), "demo/isto")


def test_a_yaml_syntax_error(gwsim: Command, demo: Path) -> None:
    """File, line and column."""
    line = change(demo, 'connection: {http: 2', 'connection: {http: 2: [')
    refused(gwsim("run", "demo"), "GW0001")
    assert re.search(rf"demo/scenario\.yaml:({line}|{line + 1}):\d+", gwsim("run", "demo").err)


def test_a_syntax_error_in_the_configuration(gwsim: Command, demo: Path) -> None:
    """The same for Istio's files."""
    change(demo, "kind: Gateway", "kind: [Gateway", "istio/gateway.yaml")
    refused(gwsim("run", "demo"), "GW0001", "demo/istio/gateway.yaml:")


def test_a_wrong_type(gwsim: Command, demo: Path) -> None:
    """A word where a rate belongs."""
    line = change(demo, "poisson: 2krps", "poisson: plenty")
    refused(gwsim("run", "demo"), f"demo/scenario.yaml:{line}:", "plenty")


def test_an_unknown_field(gwsim: Command, demo: Path) -> None:
    """The nearest known field is suggested."""
    line = change(demo, "timeout: 10s", "timeot: 10s")
    refused(gwsim("run", "demo"), f"demo/scenario.yaml:{line}:", "timeot", "did you mean timeout")


def test_an_unknown_field_of_an_object(gwsim: Command, demo: Path) -> None:
    """A misspelt field of a VirtualService."""
    change(demo, "  hosts:", "  hostz:", "istio/routes.yaml")
    refused(gwsim("run", "demo"), "demo/istio/routes.yaml:", "hostz")


def test_a_target_that_does_not_exist(gwsim: Command, demo: Path) -> None:
    """The Service is not in the configuration."""
    line = change(demo, "istio-system/istio-ingressgateway:443", "istio-system/ingress:443")
    refused(gwsim("run", "demo"), f"demo/scenario.yaml:{line}:", "GW0201")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("nonsense", "sets nothing"),
        ("clients.web.arrivals.poison=3rps", "did you mean poisson"),
        ("clients.wep.timeout=3s", "did you mean web"),
        ("run.duration=soon", "soon"),
        ("VirtualService/shop/nope:spec.http[0].timeout=1s", "there is no object"),
        ("VirtualService/shop/shop:spec.htpp[0].timeout=1s", "htpp"),
    ],
)
def test_a_bad_setting(gwsim: Command, demo: Path, setting: str, said: str) -> None:
    """The setting itself is the place."""
    refused(gwsim("run", "demo", "--set", setting), f"--set {setting}", said)


def test_a_budget_that_cannot_be_read(gwsim: Command, demo: Path) -> None:
    """Found before anything is simulated, at its line."""
    line = change(demo, 'gateway.latency{route="checkout"} p(99) < 250ms', "latency p(99) < 250ms")
    refused(gwsim("run", "demo"), f"demo/scenario.yaml:{line}\n", "gateway.latency")


def test_a_budget_for_a_route_that_is_not_there(gwsim: Command, demo: Path) -> None:
    """A misspelt route must not pass."""
    change(demo, 'errors{route="cart"}', 'errors{route="kart"}')
    refused(gwsim("run", "demo"), "kart", "did you mean cart")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("frobnicate",), "frobnicate"),
        (("run", "demo", "--engine", "fast"), "--engine"),
        (("run", "demo", "-n", "0"), "--replications"),
        (("run", "demo", "--seed", "x"), "--seed"),
        (("run", "demo", "--duration", "soon"), "--duration"),
        (("run", "demo", "--costs", "nowhere.yaml"), "nowhere.yaml"),
        (("run", "demo", "--frob"), "--frob"),
        (("run",), "gwsim init"),
        (("run", "demo", "nowhere/"), "nowhere"),
        (("report", "nowhere"), "nowhere"),
        (("explain", "GW9999"), "GW9999"),
        (("schema", "scenery"), "scenery"),
        (("init", "demo"), "exists already"),
    ],
)
def test_wrong_usage(gwsim: Command, demo: Path, words: tuple[str, ...], said: str) -> None:
    """One or two lines, and the code of wrong input."""
    ended = gwsim(*words)
    refused(ended, said)
    assert len(ended.err.splitlines()) <= 4


def test_an_output_folder_that_cannot_be_made(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    """Said before anything is simulated."""
    (tmp_path / "taken").write_text("a file")
    refused(gwsim("run", "demo", "--out", "taken"), "taken", "--out")


def test_every_problem_is_told_at_once(gwsim: Command, demo: Path) -> None:
    """Not only the first."""
    change(demo, "timeout: 10s", "timeot: 10s")
    change(demo, "poisson: 2krps", "poisson: plenty")
    refused(gwsim("run", "demo"), "timeot", "plenty", "2 errors")


def test_unknown_fields_can_be_errors(gwsim: Command, demo: Path) -> None:
    """`--unknown-fields error` refuses what is else a warning."""
    change(demo, "  hosts:", "  somethingOfTheFuture: 1\n  hosts:", "istio/routes.yaml")
    refused(gwsim("run", "demo", "--unknown-fields", "error"), "somethingOfTheFuture")
