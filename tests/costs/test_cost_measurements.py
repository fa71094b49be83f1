"""The shipped costs, run through a small event loop, against figures measured on a real Envoy 1.40."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cost_worker_loop import US, Loop, closed_loop, poisson

from gwsim import costs

PLAIN_HTTP1_US = {1000: 181, 2000: 164, 4000: 135, 6000: 117, 8000: 108, 10000: 88, 13000: 72, 14800: 65}
"""Worker CPU a request by offered requests a second: plain HTTP/1.1 keep-alive, one worker, small bodies."""

STOCK: dict[str, Any] = {"downstream_tls": "1.3", "upstream_tls": "istio_mutual"}


def plain(**situation: Any) -> costs.VisitCosts:
    return costs.visit_costs(costs.load(), istio_filters=False, **situation)


def test_the_oracle_gives_the_worked_example() -> None:
    visits = {
        "read_s": 10,
        "write_up_s": 4,
        "read_up_s": 6,
        "write_down_s": 4,
        "wakeup_s": 10,
        "iteration_s": 2,
    }
    bytes_free = {f"{kind}_byte_s": 0.0 for kind in ("read", "write_up", "read_up", "write_down")}
    example = replace(plain(), **{name: us / US for name, us in visits.items()}, **bytes_free)
    ends: list[tuple[int, float]] = []
    loop = Loop(example, upstream_us=3)
    loop.finished = lambda connection, now: ends.append((connection, round(now, 6)))
    outcome = loop.run([(0.0, 0), (5.0, 1), (12.0, 2)], 3)
    assert ends == [(0, 76), (1, 88), (2, 94)]
    assert (outcome.wakeups, outcome.iterations, round(outcome.cpu, 6)) == (1, 6, 94)


@pytest.mark.parametrize(("rps", "measured_us"), PLAIN_HTTP1_US.items())
def test_cpu_per_request_falls_with_load_as_measured(rps: int, measured_us: float) -> None:
    outcome = Loop(plain(), upstream_us=150).run(poisson(rps, 8000, seed=1), 8000)
    assert outcome.cpu_us == pytest.approx(measured_us, rel=0.10)


def test_the_fit_is_within_four_percent_on_average() -> None:
    errors = [
        abs(Loop(plain(), upstream_us=150).run(poisson(rps, 6000, seed=2), 6000).cpu_us / measured - 1)
        for rps, measured in PLAIN_HTTP1_US.items()
    ]
    assert sum(errors) / len(errors) < 0.04


def test_plain_http1_visits_total_what_was_fitted() -> None:
    v = plain()
    assert 52e-6 <= v.read_s + v.write_up_s + v.read_up_s + v.write_down_s <= 58e-6


@pytest.mark.parametrize(
    ("downstream", "upstream", "connections", "streams", "low", "high"),
    [
        (2, 1, 1, 12, 51, 59),
        (2, 1, 2, 6, 51, 59),
        (2, 2, 1, 12, 39, 57),
        (2, 2, 2, 6, 39, 57),
        (1, 2, 10, 1, 58, 73),
        (1, 1, 5, 1, 80, 91),
    ],
)
def test_http2_coalesces_as_measured(
    downstream: int, upstream: int, connections: int, streams: int, low: float, high: float
) -> None:
    # The measurement did not record its concurrency; about a dozen streams, or five busy HTTP/1.1 connections.
    v = plain(downstream_http=downstream, upstream_http=upstream)
    loop = Loop(v, upstream_us=110, h2=(downstream == 2, upstream == 2))
    assert low <= closed_loop(loop, connections, streams, 6000).cpu_us <= high


def test_one_stream_at_a_time_costs_little_more_than_http1() -> None:
    profile = costs.load()
    one = costs.cpu_per_request(profile, wakeups=0, iterations=0, istio_filters=False)
    for versions in (
        {"downstream_http": 2},
        {"upstream_http": 2},
        {"downstream_http": 2, "upstream_http": 2},
    ):
        single = costs.cpu_per_request(profile, wakeups=0, iterations=0, istio_filters=False, **versions)
        assert 1.0 < single / one <= 1.15


def test_tcp_proxy_as_measured() -> None:
    outcome = closed_loop(Loop(plain(tcp=True), upstream_us=110), 16, 1, 6000)
    assert 24.5 <= outcome.cpu_us <= 31


def test_tls_keep_alive_and_bodies_as_measured() -> None:
    profile = costs.load()

    def added(**situation: Any) -> float:
        loop_free: dict[str, Any] = {"wakeups": 0, "iterations": 0, "istio_filters": False}
        small = costs.cpu_per_request(profile, **loop_free)
        return costs.cpu_per_request(profile, **loop_free, **situation) - small

    assert 3e-6 <= added(downstream_tls="1.3") <= 17e-6
    assert added(response_bytes=1000) == pytest.approx(0.65e-6)
    both = added(response_bytes=100_000, downstream_tls="1.3", upstream_tls="simple")
    assert both / 100_000 == pytest.approx(1.5e-9, rel=0.15)


@pytest.mark.parametrize(
    ("name", "measured_us"), [("ext_authz", 48), ("mirror", 63), ("jwt_rs256", 49), ("tracing_sampled", 130)]
)
def test_filters_add_what_was_measured(name: str, measured_us: float) -> None:
    profile = costs.load()
    own = sum(charge.seconds for charge in costs.filter_charges(profile, name))
    v = costs.visit_costs(profile)
    loop_share = 10e-6  # the call's iterations and wake-ups at part load
    call = v.call_write_s + v.call_read_s + loop_share if name in costs.CALLING else 0.0
    assert (own + call) * US == pytest.approx(measured_us, rel=0.10)


def stock_vcpu(profile: costs.CostProfile) -> float:
    """vCPU of a stock gateway at 1,000 rps: two workers, TLS in, mutual TLS out, 1 KB bodies, Istio's filters."""
    v = costs.visit_costs(profile, **STOCK)
    total = 0.0
    for seed in (1, 2):
        outcome = Loop(v, upstream_us=1000, body_bytes=1024).run(poisson(500, 5000, seed), 5000)
        total += outcome.cpu / outcome.end
    return total


def test_a_stock_mutual_tls_gateway_uses_a_quarter_vcpu_per_thousand_rps() -> None:
    # istio.io (1.24): 0.20 on bare metal; the qubership-istio sheet (Istio 1.30.4): 0.25; older pages 0.35.
    assert 0.18 <= stock_vcpu(costs.load()) <= 0.35


def test_the_printed_range_of_the_stock_gateway_holds_the_published_figures() -> None:
    bodies = {"request_bytes": 1024.0, "response_bytes": 1024.0}
    low, high = costs.cpu_per_request_range(costs.load(), **bodies, **STOCK)
    middle = stock_vcpu(costs.load())
    assert low * middle < 0.20 < 0.35 < high * middle
