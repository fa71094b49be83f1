"""`gwsim sweep`, `batch` and `check`: tables of runs, the same bytes whatever ran them, resumed where they stopped."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli_calls import Command

FAST = (
    "--engine", "reference", "-j", "1", "-q", "--duration", "1s", "-n", "2", "--set", "run.warmup=100ms",
    "--set", "clients.web.connection.count=20",
)
RATE = ("--over", "clients.web.arrivals.poisson=100rps..200rps:3")
LOW = ("--set", "clients.web.arrivals.poisson=150rps")


def test_a_sweep_is_a_table_with_its_knee(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    done = gwsim("sweep", str(demo), *RATE, *FAST, "--out", "out")
    assert done.code == 0, done.err
    assert "SWEEP" in done.out
    rows = list(csv.DictReader((tmp_path / "out/sweep.csv").open()))
    assert [float(row["clients.web.arrivals.poisson"]) for row in rows] == [100.0, 150.0, 200.0]
    served = [float(row["served_rps"]) for row in rows]
    assert served == sorted(served)
    data = json.loads((tmp_path / "out/sweep.json").read_text())
    assert data["format"] == "gwsim/sweep/v1"
    assert len(data["points"]) == 3
    assert "<svg" in (tmp_path / "out/sweep.html").read_text()


def test_finished_points_are_not_run_again(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    words = ("sweep", str(demo), *RATE, *FAST, "--no-html", "--out", "out")
    assert gwsim(*words).code == 0
    whole = (tmp_path / "out/sweep.json").read_bytes()
    kept = sorted((tmp_path / "out/points").iterdir())
    assert len(kept) == 3
    marked = json.loads(kept[0].read_text()) | {"sentence": "from disk"}
    kept[0].write_text(json.dumps(marked))
    kept[1].unlink()  # as if the sweep had been interrupted before it
    kept[2].write_text("{")  # and this one while it was written by something else
    assert gwsim(*words).code == 0
    again = (tmp_path / "out/sweep.json").read_text()
    assert "from disk" in again
    for before, after in zip(json.loads(whole)["points"], json.loads(again)["points"], strict=True):
        assert after["sentence"] == "from disk" or after == before
    # a change of anything that the answer follows from runs all points anew
    scenario = demo / "scenario.yaml"
    scenario.write_text(scenario.read_text().replace("seed: 1", "seed: 2"))
    gwsim(*words)
    assert "from disk" not in (tmp_path / "out/sweep.json").read_text()


def test_the_same_bytes_from_processes_and_one_by_one(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    gwsim("sweep", str(demo), *RATE, *FAST, "--no-html", "--out", "a")
    gwsim("sweep", str(demo), *RATE, *FAST, "-j", "2", "--no-html", "--out", "b")
    assert (tmp_path / "a/sweep.json").read_bytes() == (tmp_path / "b/sweep.json").read_bytes()


def test_a_point_that_cannot_be_run_has_a_row(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    done = gwsim("sweep", str(demo), "--over", "clients.web.connection.http=1,7,2", *FAST, *LOW, "--no-html", "--out", "out")
    assert done.code == 2
    rows = json.loads((tmp_path / "out/sweep.json").read_text())["points"]
    assert [row["verdict"] == "ERROR" for row in rows] == [False, True, False]


@pytest.mark.parametrize(
    ("over", "says"),
    [("clients.web.arivals.poisson=1..2", "arrivals"), ("clients.web.arrivals.poisson", "cannot vary"), ("run.seed=1..2", "")],
)
def test_a_wrong_axis_is_told_before_anything_is_run(gwsim: Command, demo: Path, tmp_path: Path, over: str, says: str) -> None:
    done = gwsim("sweep", str(demo), "--over", over, *FAST, *LOW, "--no-html", "--out", "out")
    if says:
        assert done.code == 2
        assert says in done.err
        assert not list((tmp_path / "out/points").iterdir()) if (tmp_path / "out/points").exists() else True
    else:
        assert done.code == 0


def two(demo: Path, tmp_path: Path) -> Path:
    """A folder with the example, one whose budget fails, and one that cannot be read."""
    root = tmp_path / "all"
    for name in ("a-good", "b-late", "c-wrong"):
        shutil.copytree(demo, root / name)
    good, late, wrong = (root / name / "scenario.yaml" for name in ("a-good", "b-late", "c-wrong"))
    budgets = "budgets:\n  - gateway.latency mean < {}\n"
    for file, limit in ((good, "30s"), (late, "1us")):
        text = file.read_text()
        file.write_text(text[: text.index("\nbudgets:")] + "\n" + budgets.format(limit))
    wrong.write_text(wrong.read_text().replace("question:", "quetsion:"))
    return root


def test_a_batch_goes_on_past_failures(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    root = two(demo, tmp_path)
    done = gwsim("batch", str(root), *FAST, *LOW, "--out", "out")
    assert done.code == 2
    rows = json.loads((tmp_path / "out/batch.json").read_text())["scenarios"]
    assert [(row["name"], row["verdict"]) for row in rows] == [("a-good", "PASS"), ("b-late", "FAIL"), ("c-wrong", "ERROR")]
    assert "quetsion" in done.out


def test_check_as_junit_annotations_and_markdown(gwsim: Command, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = two(demo, tmp_path)
    shutil.rmtree(root / "c-wrong")
    done = gwsim("check", str(root), *FAST, *LOW, "--out", "out", "-o", "junit", "--markdown", "summary.md")
    assert done.code == 1
    suites = ElementTree.fromstring(done.out.split("\n", 1)[1])
    assert {one.get("name"): one.get("failures") for one in suites} == {"a-good": "0", "b-late": "1"}
    assert "❌ FAIL | b-late" in (tmp_path / "summary.md").read_text()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    done = gwsim("check", str(root), *FAST, *LOW, "--out", "out", "-o", "github")
    assert done.code == 1
    line = next(i for i, text in enumerate((root / "b-late/scenario.yaml").read_text().splitlines(), 1) if "mean < 1us" in text)
    assert f"line={line}" in done.out
    assert done.out.startswith("::error file=")
    assert "b-late" in (tmp_path / "step.md").read_text()


def test_check_gives_the_same_bytes_on_both_engines(gwsim: Command, demo: Path) -> None:
    plain = [one for one in FAST if one not in ("--engine", "reference")]
    first = gwsim("check", str(demo), *FAST, *LOW, "--out", "a", "-o", "json")
    second = gwsim("check", str(demo), *plain, *LOW, "--engine", "compiled", "--out", "b", "-o", "json")
    assert second.out, second.err
    assert first.out == second.out
    assert first.code == second.code


def test_check_gives_the_same_bytes_from_any_number_of_processes(gwsim: Command, demo: Path) -> None:
    """With two scenarios to share out, so that processes have something to do."""
    root = demo.parent / "both"
    for name in ("a", "b"):
        shutil.copytree(demo, root / name)
    words = ("check", str(root), *FAST, *LOW, "-o", "json")
    found = {gwsim(*words, "-j", jobs, "--out", f"out-{jobs}").out for jobs in ("1", "2", "4")}
    assert len(found) == 1 and '"a"' in found.pop()


def test_budgets_relative_to_a_baseline(gwsim: Command, demo: Path) -> None:
    """Against a saved run: itself is 100 % in every replication, a delay of 300 ms far more; without one, no data."""
    scenario = demo / "scenario.yaml"
    text = scenario.read_text()
    scenario.write_text(text[: text.index("\nbudgets:")] + "\nbudgets:\n  - gateway.latency mean < 105% of baseline\n")
    assert gwsim("run", str(demo), *FAST, *LOW, "--no-html", "--out", "base/demo").code == 3
    words = ("check", str(demo), *FAST, *LOW, "--out", "out", "-o", "json")
    budget = json.loads(gwsim(*words, "--baseline", "base").out)["scenarios"][0]["budgets"][0]
    assert (budget["answer"], budget["observed"]) == ("pass", 1.0)
    slow = ("--set", "backends.east/checkout.shop.service_time=300ms")
    done = gwsim(*words, *slow, "--baseline", "base/demo")
    assert done.code == 1
    assert json.loads(done.out)["scenarios"][0]["budgets"][0]["observed"] > 5.0
    assert gwsim(*words).code == 3
    assert "no saved run" in gwsim(*words, "--baseline", "out").err


def test_undecided_is_no_failure_where_it_is_said(gwsim: Command, demo: Path) -> None:
    scenario = demo / "scenario.yaml"
    text = scenario.read_text()
    scenario.write_text(text[: text.index("\nbudgets:")] + "\nbudgets:\n  - gateway.latency p(99) < 1s\n")
    words = ("check", str(demo), *FAST, *LOW, "--out", "out")
    assert gwsim(*words).code == 3
    assert gwsim(*words, "--undecided", "pass").code == 0
    quiet = [one for one in words if one != "-q"]
    warned = gwsim(*quiet, "--undecided", "warn")
    assert warned.code == 0
    assert "undecided" in warned.err


def test_a_dask_cluster_that_loses_a_worker_loses_nothing(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra [distributed] is not installed")
    over = ("--over", "clients.web.arrivals.poisson=100rps..200rps:6")
    assert gwsim("sweep", str(demo), *over, *FAST, "--no-html", "--out", "here").code == 0
    scheduler, workers = cluster(tmp_path, 2)
    try:
        address = f"tcp://127.0.0.1:{port_of(tmp_path / 'scheduler.json')}"
        command = [
            sys.executable, "-m", "gwsim", "sweep", str(demo), *over, *FAST, "--no-html", "--out", "there", "--dask", address,
        ]
        sweeping = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not list((tmp_path / "there/points").glob("*.json")) and sweeping.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        workers[0].kill()
        _, said = sweeping.communicate(timeout=120)
        assert sweeping.returncode == 0, said
    finally:
        for one in (*workers, scheduler):
            one.kill()
            one.wait()
    assert (tmp_path / "there/sweep.json").read_bytes() == (tmp_path / "here/sweep.json").read_bytes()


def cluster(folder: Path, count: int) -> tuple[subprocess.Popen[bytes], list[subprocess.Popen[bytes]]]:
    """A scheduler and its workers, as processes."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    file = folder / "scheduler.json"
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)], **quiet
    )
    port_of(file)
    workers = [
        subprocess.Popen([
            sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard",
            "--no-nanny", "--name", f"worker-{n}", "--local-directory", str(folder / f"worker-{n}"),
        ], **quiet)
        for n in range(count)
    ]
    return scheduler, workers


def port_of(file: Path) -> int:
    """The port of a scheduler, once it has written its file."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            return int(json.loads(file.read_text())["address"].rpartition(":")[2])
        except (OSError, ValueError, KeyError):
            time.sleep(0.05)
    raise AssertionError("the scheduler did not start")
