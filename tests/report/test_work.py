"""CPU, bytes and money by route and by client: the parts sum to the whole, and what is charged is what was done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gwsim import scenario
from gwsim.planning import simulate
from gwsim.report import html, lines, text
from gwsim.report.report import Report
from gwsim.results.results import Results
from gwsim.results.work import charged_s


def cores(results: Results) -> float:
    """CPU of all gateways."""
    return sum(one.cpu_cores.value or 0.0 for one in results.fleets)


@pytest.mark.parametrize("kind", ["pass", "fail", "saturated"])
def test_routes_and_clients_sum_to_the_gateways_cpu(report: Callable[[str], Report], kind: str) -> None:
    results = report(kind).results
    for groups in (results.routes, results.clients, results.classes, (results.total,)):
        assert sum(one.work.cpu_cores.value or 0.0 for one in groups) == pytest.approx(cores(results), rel=1e-9)


def test_what_is_charged_is_the_cpu_of_the_visits(folder: Path) -> None:
    """HTTP/1.1, everything measured: each visit carries one request, so what is charged is what the visits cost."""
    settings = (
        "run.duration=1s", "run.warmup=0s", "run.replications=1", "clients.web.arrivals.poisson=150rps",
        "clients.web.connection.count=20", "clients.web.connection.http=1", "budgets=[]",
    )
    project = scenario.open_project(folder, set_=settings)
    results = simulate(scenario.resolve(project.loaded, project.topology), engine="reference")
    visits = float(results.counts.of("worker_visit_ns").sum()) * 1e-9
    # Requests go on after the window until the last measured one is done, and those visits are no part of it.
    assert charged_s(results.counts).sum() == pytest.approx(visits, rel=0.08)
    assert 0.0 < results.total.work.charged < 1.0  # the rest are wake-ups and iterations


def test_money_is_arithmetic(report: Callable[[str], Report]) -> None:
    results = report("done").results
    one = results.total.work
    price = results.labels.costs
    assert one.cpu_usd_per_million == pytest.approx(one.cpu_s / results.total.requests * 1e6 / 3600.0 * price.vcpu_hour_usd)
    assert one.internet_usd_per_million == pytest.approx(one.response_bytes / results.total.requests * 1e6 / 1e9 * price.internet_gb_usd)
    assert price.internet_gb_usd == 0.09


def test_reports_and_frames_show_it(report: Callable[[str], Report]) -> None:
    made = report("pass")
    shown = lines.plain(text.full(made))
    assert "WORK OF THE GATEWAYS" in shown and "client web" in shown
    assert "Work of the gateways" in html.render(made)
    for name in ("routes", "clients"):
        frame = made.results.frame(name)
        assert (frame["cpu_s"] > 0).all() and {"cpu_cores", "cpu_per_request_us", "cpu_per_million_usd"} <= set(frame.columns)
