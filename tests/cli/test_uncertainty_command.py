"""`gwsim uncertainty`: one answer in every format, exit codes, resumed, the same bytes whatever ran it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from cli_calls import QUICK, Command

import gwsim as gw

FEW = ("--cost-inputs", "none", "--samples", "5")
RATE = ("--input", "clients.web.arrivals.poisson=100rps..300rps")


def test_every_format_and_a_second_run_from_disk(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    words = ("uncertainty", str(demo), *RATE, *FEW, *QUICK, "--figure", "throughput good", "--out", "out")
    told = gwsim(*words, "--undecided", "pass")
    assert told.code in (0, 1)
    assert told.out.startswith("UNCERTAINTY") and "clients.web.arrivals.poisson" in told.out
    data = json.loads((tmp_path / "out/uncertainty.json").read_text())
    good = next(one for one in data["figures"] if one["figure"] == "throughput good")
    assert good["tornado"][0]["high"] == pytest.approx(3.0 * good["tornado"][0]["low"], rel=0.2)
    points = sorted((tmp_path / "out/points").glob("*.json"))
    assert len(points) == 8
    points[0].unlink()
    as_json = gwsim(*words, "-o", "json")
    assert json.loads(as_json.out) == data
    assert as_json.code == data["exit_code"]
    assert len(list(csv.DictReader(gwsim(*words, "-o", "csv").out.splitlines()))) == 5
    assert "| figure |" in gwsim(*words, "-o", "markdown").out


def test_two_workers_give_the_same_bytes(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    for jobs, engine in (("1", "reference"), ("2", "auto")):
        gwsim("uncertainty", str(demo), *RATE, *FEW, *QUICK, "-j", jobs, "--engine", engine, "--out", jobs)
    assert (tmp_path / "1/uncertainty.json").read_bytes() == (tmp_path / "2/uncertainty.json").read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--input", "clients.web.rtt=5ms"), "is no range"),
        (("--input", "clients.wbe.rtt=5ms..9ms"), "did you mean web?"),
        (("--cost-inputs", "none"), "nothing is uncertain"),
        ((*RATE, "--figure", "latency p(99)"), "whose latency?"),
        ((*RATE, "-n", "1"), "one replication has no variance"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_run(gwsim: Command, demo: Path, words: tuple[str, ...], said: str) -> None:
    ended = gwsim("uncertainty", str(demo), *words, "-q")
    assert ended.code == 2 and said in ended.err


def test_the_same_in_python(demo: Path) -> None:
    small = gw.load(demo, set_=("run.duration=1s", "run.warmup=100ms", "run.replications=2", "clients.web.connection.count=20"))
    made = small.uncertainty("clients.web.arrivals.poisson=100rps..300rps", figures=["throughput good"], samples=5, costs="none")
    assert list(made.frame.columns[:5]) == ["figure", "unit", "middle", "low", "high"]
    assert "clients.web.arrivals.poisson_rps" in made.samples.columns and "throughput good (rps)" in made.samples.columns
    drawn = made.tornado("throughput good")
    assert drawn.axes[0].patches and made.tornado("throughput good", ax=drawn.axes[0]) is drawn
    assert str(made).startswith("UNCERTAINTY") and len(made.bars) == len(made.frame)
