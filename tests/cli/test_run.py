"""`gwsim run` and what belongs to it: answers, exit codes, files, formats."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cli_calls import QUICK, Command

HOLDS = "errors rate < 50%"
FAILS = "client.latency mean < 1us"
OPEN = "gateway.latency p(99) < 250ms"


def budgets(*texts: str) -> tuple[str, ...]:
    """The options that set the budgets of the example."""
    return ("--set", f"budgets={json.dumps(list(texts))}")


@pytest.mark.parametrize(("budget", "code"), [(HOLDS, 0), (FAILS, 1), (OPEN, 3)])
def test_exit_codes_are_those_of_the_answer(gwsim: Command, demo: Path, budget: str, code: int) -> None:
    """The same for both formats, and again when the saved run is reported."""
    text = gwsim("run", "demo", *QUICK, *budgets(budget), "--no-html")
    assert (text.code, text.err) == (code, "")
    assert gwsim("run", "demo", *QUICK, *budgets(budget), "--no-html", "-o", "json").code == code
    assert gwsim("report", "out/demo", "--no-html").code == code
    assert gwsim("report", "out/demo", "--no-html", "-o", "json").code == code


@pytest.mark.parametrize(("word", "code"), [("fail", 3), ("warn", 0), ("pass", 0)])
def test_what_undecided_means_can_be_chosen(gwsim: Command, demo: Path, word: str, code: int) -> None:
    """`--undecided`; a warning is said on standard error."""
    quick = [one for one in QUICK if one != "-q"]
    ended = gwsim("run", "demo", *quick, *budgets(OPEN), "--no-html", "--undecided", word)
    assert ended.code == code
    assert ("warning: undecided" in ended.err) == (word == "warn")
    assert "UNDECIDED" in ended.out


def test_json_is_valid_and_the_same_as_the_file(gwsim: Command, demo: Path) -> None:
    """Standard output holds run.json and nothing else."""
    ended = gwsim("run", "demo", *QUICK, *budgets(HOLDS), "--no-html", "-o", "json")
    data = json.loads(ended.out)
    jsonschema.validate(data, json.loads(gwsim("schema", "run").out))
    assert ended.out == Path("out/demo/run.json").read_text("utf-8")
    assert data["budgets"]["checked"][0]["answer"] == "pass"


def test_what_is_written(gwsim: Command, demo: Path) -> None:
    """Four files; without HTML none of an earlier run is left to mislead."""
    ended = gwsim("run", "demo", *QUICK, "--out", "here")
    names = {path.name for path in Path("here").iterdir()}
    assert names == {"report.html", "run.json", "arrays.npz", "provenance.json"}
    assert all(name in ended.out for name in (*names, "here/"))
    gwsim("run", "demo", *QUICK, "--out", "here", "--no-html")
    assert not Path("here/report.html").exists()


def test_the_same_command_gives_the_same_bytes(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    """Of everything but provenance.json, wherever it is called from."""
    gwsim("run", "demo", *QUICK, "--out", "a")
    gwsim("run", str(tmp_path / "demo" / "scenario.yaml"), *QUICK, "--out", "b")
    for name in ("report.html", "run.json", "arrays.npz"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes(), name
    page = Path("a/report.html").read_text("utf-8")
    assert str(tmp_path) not in page
    assert str(tmp_path) not in Path("a/run.json").read_text("utf-8")
    before = Path("a/report.html").read_bytes()
    gwsim("report", "a")
    assert Path("a/report.html").read_bytes() == before


class Checker(HTMLParser):
    """Elements that are not closed in order, duplicate ids, and everything a page would load."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr", "path", "rect", "use"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note ids and references."""
        if tag not in self.VOID:
            self.open.append(tag)
        values = {name: value or "" for name, value in attrs}
        self.ids += [values["id"]] if "id" in values else []
        self.loads += [v for k, v in values.items() if k in ("src", "href", "xlink:href") and not v.startswith("#")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closed at once."""
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Must close what was opened last."""
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")


def test_the_page_is_one_small_well_formed_file(gwsim: Command, demo: Path) -> None:
    """Below 2 MB, every element closed, no id twice, nothing loaded from anywhere."""
    gwsim("run", "demo", *QUICK, *budgets(HOLDS, FAILS, OPEN))
    page = Path("out/demo/report.html").read_text("utf-8")
    checker = Checker()
    checker.feed(page)
    assert (checker.wrong, checker.open, checker.loads) == ([], [], [])
    assert len(checker.ids) == len(set(checker.ids))
    assert len(page.encode()) < 2_000_000
    assert "@import" not in page
    assert page.count("url(") == page.count("url(#")


def test_the_digest_does_not_depend_on_the_order(gwsim: Command, demo: Path) -> None:
    """One line; another seed gives another."""
    lines = [gwsim("run", "demo", *QUICK, "--no-html", "--digest", "--seed", seed).out.splitlines()[-1] for seed in "112"]
    assert lines[0].startswith("DIGEST")
    assert lines[0] == lines[1] != lines[2]


def test_plain_configuration_gets_a_default_workload(gwsim: Command, demo: Path) -> None:
    """It is told that nobody asked for it."""
    options = ("--engine", "reference", "-j", "1", "-q", "--duration", "1s", "-n", "2", "--set", "run.warmup=0s", "--no-html")
    ended = gwsim("run", "demo/istio", *options)
    assert ended.code == 0, ended.err
    assert "no scenario is given" in ended.out
    assert Path("out/istio/run.json").exists()


def test_a_scenario_can_be_given_other_configuration(gwsim: Command, demo: Path) -> None:
    """Paths after a scenario take the place of the one cluster's own."""
    (demo / "istio").rename(demo.parent / "other")
    assert gwsim("run", "demo", *QUICK, "--no-html").code == 2
    assert gwsim("run", "demo", "other", *QUICK, *budgets(HOLDS), "--no-html").code == 0


def test_standard_input(gwsim: Command, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` is plain configuration from a pipe."""
    import io

    text = "\n---\n".join(path.read_text("utf-8") for path in sorted((demo / "istio").glob("*.yaml")))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    options = ("--engine", "reference", "-j", "1", "-q", "--duration", "1s", "-n", "1", "--set", "run.warmup=0s", "--no-html")
    ended = gwsim("run", "-", *options)
    assert ended.code == 0, ended.err
    assert Path("out/stdin/run.json").exists()


def test_findings_go_to_standard_error(gwsim: Command, demo: Path) -> None:
    """A route to a missing subset is simulated, and told."""
    path = demo / "istio" / "routes.yaml"
    path.write_text(path.read_text("utf-8").replace("subset: v2", "subset: v9", 1), "utf-8")
    quick = [one for one in QUICK if one != "-q"]
    ended = gwsim("run", "demo", *quick, *budgets(HOLDS), "--no-html")
    assert "GW0105" in ended.err
    assert "NC" in ended.out
    assert json.loads(Path("out/demo/run.json").read_text("utf-8"))["total"]["flags"][0]["name"] == "NC"


def test_init_then_run(gwsim: Command) -> None:
    """The first five minutes."""
    ended = gwsim("init", "first")
    assert (ended.code, "gwsim run first" in ended.out) == (0, True)
    again = gwsim("init", "first")
    assert again.code == 2
    assert gwsim("run", "first", *QUICK, *budgets(HOLDS), "--no-html").code == 0


def test_a_scenario_is_found_where_one_stands(gwsim: Command, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gwsim run` without a path, in the folder of a scenario."""
    monkeypatch.chdir(demo)
    assert gwsim("run", *QUICK, *budgets(HOLDS), "--no-html").code == 0
    assert Path("out/demo/run.json").exists()


def test_the_next_command_can_be_run(gwsim: Command, demo: Path) -> None:
    """What TRY suggests is valid as it stands."""
    import shlex

    out = gwsim("run", "demo", *QUICK, *budgets(HOLDS), "--no-html").out
    lines = out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("TRY"))
    words = lines[start].removeprefix("TRY").strip()
    while words.endswith("\\"):
        start += 1
        words = words.removesuffix("\\") + lines[start]
    command: list[Any] = shlex.split(words)[1:]
    ended = gwsim(*command, "--engine", "reference", "-j", "1", "-q", "--no-html", "--duration", "200ms", "--set", "run.warmup=0s")
    assert ended.code in (0, 1, 3), ended.err
