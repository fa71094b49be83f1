"""Commands in the documentation are run, links lead somewhere, generated pages are fresh."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pages import ROOT, blocks, commands, missing, pages, shape

from gwsim.engine.cache import is_warm

LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s#]*)(?:#(?P<anchor>[^)\s]*))?\)")
HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)
SHELL = ("sh", "bash", "shell")


def name(path: Path) -> str:
    """A page by its path in the repository."""
    return path.relative_to(ROOT).as_posix()


def runs(path: Path) -> bool:
    """Whether a page has a command to run."""
    return any(block.info == "console" and not block.not_run for block in blocks(path))


@pytest.fixture
def shell(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with the scenarios of the repository, and an environment in which `gwsim` is this checkout."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    script = binaries / "gwsim"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gwsim "$@"\n', "utf-8")
    script.chmod(0o755)
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "scenarios", folder / "scenarios")
    environment = {
        **os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "110",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    return folder, environment


@pytest.mark.skipif(not is_warm(), reason="the engine is not compiled: gwsim warmup (make test does it)")
@pytest.mark.parametrize("page", [path for path in pages() if runs(path)], ids=name)
def test_commands_of_a_page_do_what_it_says(page: Path, shell: tuple[Path, dict[str, str]]) -> None:
    """One folder for a page: later commands see what earlier ones left."""
    folder, environment = shell
    for block in blocks(page):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body, "utf-8")
        if block.info != "console" or block.not_run:
            continue
        for command in commands(block):
            ended = subprocess.run(
                ["bash", "-c", command.text], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
            )
            where = f"{name(page)}:{command.line}: {command.text}"
            assert ended.returncode == command.code, f"{where}\n{ended.stdout}\n{ended.stderr}"
            lost = missing(command.shown, ended.stdout + ended.stderr)
            assert not lost, f"{where}\nnot printed: {lost}\n{ended.stdout}\n{ended.stderr}"


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """Files exist, anchors are headings."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    lost = []
    for match in LINK.finditer(text):
        target, anchor = match["target"], match["anchor"]
        if "://" in target or target.startswith("mailto:"):
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            lost.append(match[0])
    assert not lost


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    made = set()
    for heading in HEADING.findall(path.read_text("utf-8")):
        words = re.sub(r"[^\w\s-]", "", re.sub(r"[`*]", "", heading.lower()))
        made.add(re.sub(r"\s", "-", words.strip()))
    return made


@pytest.mark.parametrize("page", pages(), ids=name)
def test_what_is_not_run_says_why(page: Path) -> None:
    """Commands are marked `console`; a shell block of another kind would go unseen."""
    for block in blocks(page):
        assert block.info not in SHELL, f"{name(page)}:{block.line}: mark it console, with $ before each command"


def test_every_page_is_reached_from_the_index() -> None:
    """docs/README.md links every page."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / match["target"]).resolve() for match in LINK.finditer(index.read_text("utf-8"))}
    assert [name(page) for page in pages() if page.parent != ROOT and page != index and page not in linked] == []


def test_the_workflow_to_copy_is_the_one_of_its_page() -> None:
    """And valid YAML, with commands that exist."""
    page = ROOT / "docs" / "guides" / "github-actions.md"
    text = (ROOT / "docs" / "examples" / "gwsim.yml").read_text("utf-8")
    assert [block.body for block in blocks(page) if block.file.endswith("gwsim.yml")] == [text]
    steps = yaml.safe_load(text)["jobs"]["gate"]["steps"]
    words = re.findall(r"gwsim (\w+)", " ".join(step.get("run", "") for step in steps))
    known = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
    assert set(words) == {"warmup", "lint", "check", "compare"}
    assert all(f"## gwsim {word}\n" in known for word in words)


def test_output_is_compared_without_its_numbers() -> None:
    """Words count, in their order."""
    assert shape("✓ gateway.cpu mean    31.3 % ± 0.18 %   < 60 %    48 %") == shape("✓ gateway.cpu mean 9 % ± 0.2 % < 60 % 84 %")
    assert missing(("a 1", "...", "c 2"), "a 7\nb\nc 9") == []
    assert missing(("c 2", "a 1"), "a 7\nb\nc 9") == ["a 1"]
    assert missing(("PASS all",), "FAIL all") == ["PASS all"]
