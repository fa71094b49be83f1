"""A small project on disk, and the command line called in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_calls import Command, Ended

from gwsim.cli import execute
from gwsim.scenario import write_template


@pytest.fixture
def gwsim(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Calls `gwsim` with words, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Ended:
        capsys.readouterr()
        code = execute(words)
        text = capsys.readouterr()
        return Ended(code, text.out, text.err)

    return call


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """The example project."""
    write_template(tmp_path / "demo")
    return tmp_path / "demo"
