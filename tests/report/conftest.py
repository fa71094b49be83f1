"""Small runs of the example project by the reference engine, one for each way a run can end."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from gwsim import scenario
from gwsim.planning import simulate
from gwsim.report.report import Report

BASE = (
    "run.duration=1s", "run.warmup=100ms", "run.replications=2", "clients.web.arrivals.poisson=150rps",
    "clients.web.connection.count=20",
)
KINDS: dict[str, tuple[str, ...]] = {
    "pass": (*BASE, 'budgets=["errors rate < 50%", "gateway.cpu mean < 60%"]'),
    "fail": (
        *BASE, 'budgets=["errors{route=\\"checkout\\"} rate < 0.1%", "gateway.cpu mean < 60%", "retries rate < 5% level warn"]',
        "DestinationRule/shop/checkout:trafficPolicy.connectionPool.tcp.maxConnections=1",
        "DestinationRule/shop/checkout:trafficPolicy.connectionPool.http.http1MaxPendingRequests=1",
        "backends.east/checkout.shop.service_time=200ms",
    ),
    "undecided": (*BASE, 'budgets=["gateway.latency p(99) < 250ms"]'),
    "done": (*BASE, "budgets=[]"),
    "saturated": (*BASE, "run.max_in_flight=30", "backends.east/cart.shop.service_time=2s", 'budgets=["client.latency p(99) < 1s"]'),
    "many": (
        *BASE, "budgets=" + json.dumps([f"errors rate < {n}%" for n in range(79, 99)]),
        "clients.web.mix=" + json.dumps([
            {"name": f"a-rather-long-name-of-an-entry-{n}", "path": "/nowhere", "weight": 1} for n in range(15)
        ] + [{"name": "cart", "path": "/cart/items", "weight": 5}, {"name": "checkout", "method": "POST", "path": "/checkout", "weight": 5}]),
        "clients.web.timeout=3s",
    ),
}


@cache
def made(kind: str, folder: str) -> Report:
    """The report of a kind of run."""
    project = scenario.open_project(folder, set_=KINDS[kind])
    resolved = scenario.resolve(project.loaded, project.topology)
    results = simulate(resolved, engine="reference")
    return Report.of(results, resolved, project=project, target="demo", given=("--seed", "1"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example project."""
    path = tmp_path_factory.mktemp("project") / "demo"
    scenario.write_template(path)
    return path


@pytest.fixture(scope="session")
def report(folder: Path) -> Callable[[str], Report]:
    """The report of a run by its kind."""
    return lambda kind: made(kind, str(folder))
