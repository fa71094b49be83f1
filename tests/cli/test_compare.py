"""`gwsim compare`: a pull request's change held against its base, and what it refuses to conclude."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from cli_calls import Command

FAST = (
    "-q", "--engine", "reference", "-j", "1", "--duration", "1s", "-n", "5",
)
EDITS = "run.warmup=100ms", "clients.web.arrivals.poisson=150rps", "clients.web.connection.count=20"


@pytest.fixture
def repository(demo: Path) -> Path:
    """The example in a git repository, small, with its state as revision `base`."""
    scenario = demo / "scenario.yaml"
    text = scenario.read_text().replace("poisson: 2krps", "poisson: 150rps").replace("seed: 1}", "seed: 1, warmup: 100ms}")
    scenario.write_text(text[: text.index("\nbudgets:")] + "\nbudgets:\n  - gateway.latency mean < 100ms\n")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "base"), ("tag", "base")):
        git(demo, *words)
    return demo


def git(folder: Path, *words: str) -> None:
    """Runs git as somebody."""
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def changed(repository: Path, old: str, new: str) -> None:
    """Edits the routes."""
    file = repository / "istio/routes.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def compared(gwsim: Command, repository: Path, tmp_path: Path, *words: str) -> tuple[int, dict[str, object], str]:
    """Exit code, data and text of a comparison with the base."""
    done = gwsim("compare", str(repository), "--baseline-ref", "base", *FAST, "--out", "out", *words)
    file = tmp_path / "out/comparison.json"
    assert file.exists(), done.err
    return done.code, json.loads(file.read_text()), done.out


def test_a_pull_request_that_makes_requests_wait(gwsim: Command, repository: Path, tmp_path: Path) -> None:
    """The change injects a delay of 300 ms in the checkout route: a budget that held no longer does."""
    changed(repository, "    - name: checkout\n", "    - name: checkout\n      fault: {delay: {fixedDelay: 300ms, percentage: {value: 100}}}\n")
    code, data, text = compared(gwsim, repository, tmp_path)
    assert code == 1, text
    assert data["verdict"] == "WORSE"
    assert data["changes"][0]["exercised"] == "exercised"
    assert "no longer holds" in data["reasons"][0]
    assert "WORSE" in text
    assert "<svg" in (tmp_path / "out/comparison.html").read_text()
    assert (tmp_path / "out/comparison.md").read_text().startswith("### ❌")


def test_a_route_outside_the_mix_is_not_called_harmless(gwsim: Command, repository: Path, tmp_path: Path) -> None:
    """Exit code 3, and the entry of a mix that would meet it."""
    new = "  http:\n    - name: admin\n      match: [{uri: {prefix: /admin}}]\n      route: [{destination: {host: cart}}]\n"
    changed(repository, "  http:\n", new)
    code, data, text = compared(gwsim, repository, tmp_path)
    assert code == 3, text
    assert data["verdict"] == "UNDECIDED"
    assert data["changes"][0]["exercised"] == "not exercised"
    assert yaml.safe_load(data["changes"][0]["mix_entry"]) == {"name": "admin", "host": "shop.example.com", "path": "/admin"}
    assert gwsim("compare", str(repository), "--baseline-ref", "base", *FAST, "--out", "out", "--undecided", "pass").code == 0


def test_an_envoy_filter_that_is_not_modelled_is_not_called_harmless(gwsim: Command, repository: Path, tmp_path: Path) -> None:
    (repository / "istio/filter.yaml").write_text("""\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: buffers, namespace: istio-system}
spec:
  workloadSelector: {labels: {istio: ingressgateway}}
  configPatches:
    - applyTo: LISTENER
      match: {context: GATEWAY}
      patch: {operation: MERGE, value: {per_connection_buffer_limit_bytes: 32768}}
""")
    code, data, text = compared(gwsim, repository, tmp_path)
    assert code == 3, text
    assert data["changes"][0]["exercised"] == "not modelled"


def test_no_change_is_the_same(gwsim: Command, repository: Path, tmp_path: Path) -> None:
    code, data, _ = compared(gwsim, repository, tmp_path)
    assert (code, data["verdict"], data["changes"]) == (0, "SAME", [])
    assert data["digests"]["a"] == data["digests"]["b"]


def test_settings_and_two_configurations_and_saved_runs(gwsim: Command, repository: Path, tmp_path: Path) -> None:
    """Three ways to the same comparison."""
    setting = "VirtualService/shop/shop:spec.http[0].timeout=1ms"
    first = gwsim("compare", str(repository), "--set", setting, *FAST, "--out", "out", "-o", "json")
    assert first.code in (0, 1, 3), first.err
    for name, words in (("a", ()), ("b", ("--set", setting))):
        assert gwsim("run", str(repository), *words, *FAST, "--no-html", "--out", name).code in (0, 1, 3)
    second = gwsim("compare", "a", "b", "--out", "saved", "-o", "json")
    left, right = json.loads(first.out), json.loads(second.out)
    assert left["differences"] == right["differences"]
    assert right["changes"] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "compare with what"), (("--config", "x"), "twice"), (("--baseline-ref", "nonsense"), "no revision nonsense"),
        (("--tolerance", "much"), "--tolerance"),
    ],
)
def test_wrong_words(gwsim: Command, repository: Path, words: tuple[str, ...], says: str) -> None:
    done = gwsim("compare", str(repository), *words, *FAST)
    assert done.code == 2
    assert says in done.err


def test_settings_of_the_run_belong_to_both_sides(gwsim: Command, demo: Path) -> None:
    ended = gwsim("compare", str(demo), "--set", "run.replications=3", "-q")
    assert ended.code == 2 and "write -n 3" in ended.err
