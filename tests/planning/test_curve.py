"""The capacity curve: where a system stops keeping up, held against arithmetic; the search for it by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gwsim import scenario
from gwsim.errors import UsageError
from gwsim.planning import curve as module
from gwsim.planning.curve import (
    NOTHING,
    Curve,
    Figure,
    Point,
    as_plain,
    curve,
    from_plain,
    refuse,
)
from gwsim.planning.executors import Serial
from gwsim.results.parts import Limit
from gwsim.scenario.resolved import Resolved

RATE = 100.0
SERVICE_S = 0.025
"""One server: it keeps up with 40 rps a pod."""


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    """The example with pods that serve one request at a time, for exactly so long."""
    folder = tmp_path_factory.mktemp("curve") / "demo"
    scenario.write_template(folder)
    project = scenario.open_project(folder, set_=(
        f"clients.web.arrivals.poisson={RATE:g}rps", "clients.web.connection.count=30", "run.warmup=100ms", "run.replications=2",
        f"backends.east/cart.shop={{service_time: {SERVICE_S * 1e3:g}ms, concurrency: 1}}",
        f"backends.east/checkout.shop={{service_time: {SERVICE_S * 1e3:g}ms, concurrency: 1}}",
        'budgets=["client.latency p(50) < 10s"]',
    ))
    return scenario.resolve(project.loaded, project.topology)


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes of a few hundred requests: what they say is rough, and said to be."""
    monkeypatch.setattr(module, "REQUESTS", 150.0)
    monkeypatch.setattr(module, "LEAST_S", 0.3)
    monkeypatch.setattr(module, "WARMUP_S", 0.1)
    monkeypatch.setattr(module, "REPLICATIONS", 3)
    monkeypatch.setattr(module, "FRACTIONS", (0.5, 1.0, 1.5))
    monkeypatch.setattr(module, "MOST_HALVINGS", 1)


@pytest.mark.usefixtures("_short")
def test_it_stops_keeping_up_where_the_servers_are_full(resolved: Resolved) -> None:
    """Servers times rate of one, as arithmetic has it; the same curve every time."""
    shares = [shape.weight for shape in resolved.model.clients[0].mix]
    busiest = max(shares) / sum(shares)
    pods = len([one for one in resolved.stations if one.backend.endswith("cart.shop")])
    full = pods / SERVICE_S / (RATE * busiest)
    limit = Limit(kind="backend", name="cart", utilisation=1.0 / full, text="")
    made = curve(resolved, Serial(), first=limit, engine="reference")
    assert made.keeps_up.low is not None
    assert made.keeps_up.high is not None
    assert 0.5 * full <= made.keeps_up.low < made.keeps_up.high <= 2.0 * full
    assert any(point.factor == 1.0 for point in made.points)
    assert made.budgets is not None
    latencies = [point.p50_s.value for point in made.points if point.p50_s.value is not None]
    assert latencies[-1] > latencies[0]
    now = next(point for point in made.points if point.factor == 1.0)
    assert module._Probes(resolved, Serial(), "reference", None).at(1.0) == now
    assert from_plain(as_plain(made)) == made


def probes(monkeypatch: pytest.MonkeyPatch, resolved: Resolved, good: Callable[[float], bool]) -> Curve:
    """A curve whose probes find what a function says."""
    def found(self: object, factor: float) -> Point:
        fine = good(factor)
        return Point(
            factor=factor, load_rps=RATE * factor, saturated=not fine, holds=fine, decided=True, failing="" if fine else "b", offered_rps=Figure(value=100.0 * factor), served_rps=Figure(value=RATE * factor), p50_s=NOTHING,
            p99_s=NOTHING, errors=Figure(value=0.0), requests=1,
        )

    monkeypatch.setattr(module._Probes, "_run", found)
    return curve(resolved, Serial(), first=Limit(kind="worker", name="w", utilisation=0.5, text=""))


@pytest.mark.parametrize("limit", [0.03, 0.7, 1.9, 2.3, 4.0])
def test_the_interval_closes_around_the_limit(monkeypatch: pytest.MonkeyPatch, resolved: Resolved, limit: float) -> None:
    """Wherever it is beside the bound, and to within a few percent where it is near it."""
    made = probes(monkeypatch, resolved, lambda factor: factor < limit)
    assert made.keeps_up.low is not None
    assert made.keeps_up.high is not None
    assert made.keeps_up.low < limit <= made.keeps_up.high
    assert made.keeps_up.high / made.keeps_up.low < 1.15
    assert len(made.points) < 25


@pytest.mark.parametrize(("good", "interval"), [(True, (True, False)), (False, (False, True))])
def test_what_never_fails_or_never_holds_is_open(monkeypatch: pytest.MonkeyPatch, resolved: Resolved, good: bool, interval: tuple[bool, bool]) -> None:
    """And the search ends."""
    made = probes(monkeypatch, resolved, lambda factor: good)
    assert (made.keeps_up.low is not None, made.keeps_up.high is not None) == interval


def test_a_good_load_above_a_bad_one_does_not_count(monkeypatch: pytest.MonkeyPatch, resolved: Resolved) -> None:
    """What is known to be good ends at the first that is not."""
    made = probes(monkeypatch, resolved, lambda factor: factor != 0.8)
    assert made.keeps_up.high == 0.8
    assert made.keeps_up.low is not None
    assert made.keeps_up.low < 0.8


def test_refusing_is_not_keeping_up(monkeypatch: pytest.MonkeyPatch, resolved: Resolved) -> None:
    """A load that is shed piles up nothing."""
    def shed(self: module._Probes, factor: float) -> Point:
        return Point(
            factor=factor, load_rps=RATE * factor, saturated=False, holds=True, decided=True, failing="", offered_rps=NOTHING, served_rps=NOTHING, p50_s=NOTHING,
            p99_s=NOTHING, errors=Figure(value=0.02 + max(0.0, 0.05 * (factor - 1.5))), requests=1,
        )

    monkeypatch.setattr(module._Probes, "_run", shed)
    made = curve(resolved, Serial(), first=Limit(kind="worker", name="w", utilisation=0.5, text=""))
    assert made.keeps_up.low is not None
    assert made.keeps_up.high is not None
    assert made.keeps_up.low <= 1.7 <= made.keeps_up.high


def test_a_timeline_has_no_capacity_curve(resolved: Resolved) -> None:
    """Its load changes by itself."""
    timeline = replace(resolved, model=replace(resolved.model, run=replace(resolved.model.run, kind="timeline")))
    with pytest.raises(UsageError, match="steady"):
        refuse(timeline)


@pytest.mark.usefixtures("_short")
def test_a_run_writes_its_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On the terminal, in capacity.json, on the page; and the page of the saved run is the same."""
    from gwsim.cli import execute

    monkeypatch.setattr(module, "FRACTIONS", (1.0,))
    monkeypatch.setattr(module, "MOST_STEPS", 1)
    scenario.write_template(tmp_path / "demo")
    words = ("--set", "run.duration=300ms", "--set", "run.warmup=100ms", "--set", "run.replications=2", "--set", "clients.web.connection.count=20")
    execute((
        "run", str(tmp_path / "demo"), "-q", *words, "--set", "clients.web.arrivals.poisson=60rps", "--engine", "reference", "--capacity", "--out", str(tmp_path / "out"),
    ))
    assert "CAPACITY" in capsys.readouterr().out
    assert '"keeps_up"' in (tmp_path / "out" / "capacity.json").read_text("utf-8")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert 'id="table-capacity"' in page
    assert "Latency over load" in page
    execute(("report", str(tmp_path / "out")))
    assert (tmp_path / "out" / "report.html").read_text("utf-8") == page
    assert execute(("run", str(tmp_path / "demo"), "-q", "--set", "run.kind=timeline", "--capacity", "--out", str(tmp_path / "no"))) == 2
