"""`gwsim topology`: of a scenario, and of a saved run."""

from __future__ import annotations

from pathlib import Path

from cli_calls import QUICK, Command


def test_a_scenario_and_a_saved_run_are_drawn(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    before = gwsim("topology", str(demo))
    assert before.code == 0 and "GATEWAYS" in before.out and "≥" in before.out
    gwsim("run", str(demo), *QUICK, "--out", "run", "--no-html")
    after = gwsim("topology", "run")
    assert after.code == 0 and "GATEWAYS" in after.out and "≥" not in after.out
    assert gwsim("topology", "run", "--to", "picture.svg").code == 0
    assert (tmp_path / "picture.svg").read_text().startswith("<svg xmlns")
    assert gwsim("topology", str(demo), "--as", "svg").out.startswith("<svg xmlns")


def test_what_cannot_be_drawn_is_a_usage_error(gwsim: Command, demo: Path) -> None:
    assert gwsim("topology", "nowhere").code == 2
    gwsim("run", str(demo), *QUICK, "--out", "run", "--no-html")
    ended = gwsim("topology", "run", "--set", "run.seed=2")
    assert ended.code == 2 and "saved run" in ended.err
