"""The small commands, how the process starts, and how it ends when something is wrong with gwsim itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from cli_calls import QUICK, Command

from gwsim import __version__
from gwsim.diagnostics import CODES
from gwsim.engine.codes import FLAG_ORDER
from gwsim.report.flags import FLAGS


def test_version(gwsim: Command) -> None:
    """Both ways of asking."""
    assert gwsim("version").out == f"gwsim {__version__}\n"
    assert gwsim("--version").out == f"gwsim {__version__}\n"
    assert "numba" in gwsim("version", "-v").out


def test_every_code_and_flag_is_explained(gwsim: Command) -> None:
    """Whatever a report prints can be looked up."""
    assert set(FLAGS) == set(FLAG_ORDER)
    for word in (*CODES, *FLAGS):
        assert gwsim("explain", word).code == 0
    assert "circuit breaker" in gwsim("explain", "uo").out


@pytest.mark.parametrize("which", ["scenario", "run"])
def test_schemas_are_schemas(gwsim: Command, which: str) -> None:
    """Standard output holds the schema and nothing else."""
    jsonschema.Draft202012Validator.check_schema(json.loads(gwsim("schema", which).out))


def test_help_names_every_command_and_exit_code(gwsim: Command) -> None:
    """And every command has help of its own."""
    text = gwsim("--help").out
    for name in ("run", "init", "report", "explain", "schema", "warmup", "cache", "version"):
        assert name in text
        assert gwsim(name, "--help").code == 0
    assert all(f"{code} " in text for code in (0, 1, 2, 3, 70, 130))


def test_the_cache_can_be_cleared(gwsim: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only folders of machine code are removed."""
    monkeypatch.setenv("GWSIM_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache" / "kernels-old").mkdir(parents=True)
    (tmp_path / "cache" / "kernels-old" / "a.nbc").write_text("x")
    (tmp_path / "cache" / "mine").mkdir()
    assert "kernels-old" in gwsim("cache", "info").out
    assert "removed 1 folder" in gwsim("cache", "clear").out
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["mine"]


def test_a_fault_inside_is_told_without_a_traceback(gwsim: Command, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code 70, version and seed; the traceback only on demand."""
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("something of ours broke")

    monkeypatch.setattr("gwsim.planning.cases.settle_replicas", broken)
    ended = gwsim("run", "demo", "--seed", "7", "--engine", "reference")
    assert ended.code == 70
    assert "Traceback" not in ended.err
    assert all(text in ended.err for text in (__version__, "seed 7", "something of ours broke", "--debug"))
    shown = gwsim("run", "demo", "--seed", "7", "--engine", "reference", "--debug")
    assert (shown.code, "Traceback" in shown.err) == (70, True)


def gwsim_process(*words: str, cwd: Path) -> subprocess.Popen[str]:
    """A process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "gwsim", *words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )


def test_an_interrupt_within_generated_code_ends_with_130_too() -> None:
    """Python sets a flag then, by which it would end by the signal."""
    code = """
import gwsim.cli as cli
def interrupted(arguments):
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        return 130
cli.execute = interrupted
cli.main([])
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 130


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_ends_with_130(demo: Path, tmp_path: Path) -> None:
    """Without a traceback, and without a run that looks finished."""
    process = gwsim_process("run", "demo", "--engine", "reference", "-j", "1", "--duration", "1000s", cwd=tmp_path)
    deadline = time.monotonic() + 30
    while not (tmp_path / "out" / "demo").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "gwsim: interrupted" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out" / "demo" / "run.json").exists()


def test_no_color_is_heard(gwsim: Command, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Colour only on demand or on a terminal, and never against NO_COLOR."""
    assert "\x1b[" not in gwsim("run", "demo", *QUICK, "--no-html").out
    assert "\x1b[" in gwsim("report", "out/demo", "--no-html", "--color", "always").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in gwsim("report", "out/demo", "--no-html").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in gwsim("report", "out/demo", "--no-html").out
