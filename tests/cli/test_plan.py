"""`gwsim plan`: from a scenario and a forecast to a fleet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_calls import Command

SMALL = (
    "-q", "--engine", "compiled", "--budget", "gateway.cpu mean < 60%",
    "--set", "DestinationRule/shop/checkout:spec.trafficPolicy.connectionPool.tcp.maxConnections=100000",
    "--set", "backends.east/checkout.shop.concurrency=1000", "--set", "backends.east/cart.shop.concurrency=1000",
)
"""Only the CPU of the gateway limits."""


def test_a_forecast_gets_a_fleet_for_every_load(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    """CPU of a worker grows with the load alone, so the pods needed follow from the CPU of one try."""
    done = gwsim("plan", str(demo), "--load", "4k..9k:2:log", *SMALL, "--out", "out")
    assert done.code == 0, done.err
    data = json.loads((tmp_path / "out/plan.json").read_text())
    small, large = data["steps"]
    assert (small["load_rps"], large["load_rps"]) == (4000, 9000)
    for step in data["steps"]:
        cores = step["gateway_cpu_cores"]
        assert step["replicas"] * 2 * 0.6 >= cores  # two workers a pod, 60 % of each
        assert step["confirmed"]
        assert step["carries_low_rps"] <= step["carries_high_rps"] * 1.001
        assert step["carries_high_rps"] > step["load_rps"]
    assert small["replicas"] < large["replicas"]
    assert large["fails_with_one_less"] == "gateway.cpu mean < 60%"
    written = {one["path"].rpartition(".")[2]: one["value"] for one in data["settings"]}
    assert int(written["minReplicas"]) == small["replicas"]
    assert int(written["maxReplicas"]) == large["replicas"] + 1
    assert large["saturates_first"] in " ".join(done.out.split())
    assert large["internet_usd_per_month"] / small["internet_usd_per_month"] == pytest.approx(9 / 4, rel=0.02)
    memory = [one["value"].removesuffix("Mi") for one in data["settings"] if one["path"].endswith(".memory")]
    assert int(memory[0]) <= int(memory[1])
    assert "FEASIBLE" in done.out
    assert "<svg" in (tmp_path / "out/plan.html").read_text()


def test_the_loss_of_a_zone_takes_more_pods(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    words = ("plan", str(demo), "--load", "9k", *SMALL, "--no-headroom", "--set", "clusters.east.zones=[a, b, c]")
    assert gwsim(*words, "--out", "all").code == 0
    assert gwsim(*words, "--zone-lost", "--out", "less").code == 0
    pods = [json.loads((tmp_path / name / "plan.json").read_text())["steps"][0]["replicas"] for name in ("all", "less")]
    assert pods[1] > pods[0]


def test_pods_of_other_sizes_are_held_against_each_other(gwsim: Command, demo: Path, tmp_path: Path) -> None:
    """Load on CPU is the same whatever the pods: half as many with twice the workers, for as much money; then fewer pods win."""
    done = gwsim("plan", str(demo), "--load", "9k", *SMALL, "--no-headroom", "--vary", "istio-ingressgateway.workers=1,4", "--out", "out")
    assert done.code == 0, done.err
    data = json.loads((tmp_path / "out/plan.json").read_text())
    small, large = data["alternatives"]
    assert (small["workers"], large["workers"]) == (1, 4)
    assert small["replicas"] > 2 * large["replicas"]
    (chosen,) = [one for one in data["alternatives"] if one["chosen"]]
    assert data["steps"][0]["replicas"] == chosen["replicas"]
    limit = next(one["value"] for one in data["settings"] if one["path"].endswith("limits.cpu"))
    assert int(limit) == chosen["workers"]
    assert "POD SIZE" in done.out
    assert 'id="sizes"' in (tmp_path / "out/plan.html").read_text()


def test_nothing_feasible_is_a_no(gwsim: Command, demo: Path) -> None:
    done = gwsim("plan", str(demo), "--load", "15k", "--vary", "istio-ingressgateway.replicas=1..2", *SMALL, "--no-headroom", "--out", "out")
    assert done.code == 1
    assert "NOT FEASIBLE" in done.out
    assert "even 2 pods do not carry it" in done.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--load", "20ms"), "is no load"), (("--vary", "istio-ingressgateway.workers=1..2"), "replicas and workers are planned"),
        (("--vary", "istio-ingressgateway.workers=0,2"), "one worker at least"), (("--vary", "a.workers=1", "--vary", "b.replicas=1..2"), "one gateway is planned at a time"),
        (("--vary", "ingresgateway.replicas=1..2"), "no request of the scenario goes through"), (("--budget", "latency p(99) < 1s"), "whose latency"),
    ],
)
def test_wrong_words(gwsim: Command, demo: Path, words: tuple[str, ...], says: str) -> None:
    done = gwsim("plan", str(demo), *words, "-q", "--out", "out")
    assert done.code == 2
    assert says in done.err
