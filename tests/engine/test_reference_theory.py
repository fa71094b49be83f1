"""Queueing theory behind a gateway that costs nothing: the reference engine against closed forms.

Deterministic (fixed seeds); tolerances are several standard errors at these lengths. The long runs with confidence
intervals are part of the verification suite.
"""

from __future__ import annotations

from dataclasses import replace
from math import exp, factorial

import pytest
from builders import MS, client, cluster, downstream, exponential, model, poisson, records, shape, station

from gwsim.engine.codes import Component
from gwsim.engine.reference import Options, run
from gwsim.engine.schema import RawRun
from gwsim.scenario.model import ClosedLoop, Connection, Distribution, Model, constant


def erlang_b(c: int, load: float) -> float:
    """Probability that all of `c` servers are busy, no queue."""
    return load**c / factorial(c) / sum(load**i / factorial(i) for i in range(c + 1))


def erlang_c(c: int, load: float) -> float:
    """Probability that an arrival waits for one of `c` servers."""
    b = erlang_b(c, load)
    return b / (1 - load / c * (1 - b))


def mean(raw: RawRun, component: Component) -> float:
    return float(raw.component_sum[:, component].sum() / raw.covered.sum() / 1e9)


@pytest.mark.parametrize(("servers", "rho"), [(1, 0.5), (1, 0.7), (3, 0.7), (8, 0.8)])
def test_erlang_c(servers: int, rho: float) -> None:
    service_s = 10 * MS
    rate = rho * servers / service_s
    m = model(
        client(poisson(rate)), clusters=(cluster(0, http=2),), stations=(station(exponential(service_s), concurrency=servers),),
        duration_s=12_000 / rate, warmup_s=500 / rate,
    )
    raw = run(m, 0)
    wait = erlang_c(servers, rho * servers) * service_s / (servers * (1 - rho))
    assert mean(raw, Component.UPSTREAM_QUEUE) == pytest.approx(wait, rel=0.12)
    assert mean(raw, Component.UPSTREAM_SERVICE) == pytest.approx(service_s, rel=0.03)


@pytest.mark.parametrize(
    "service", [constant(0.01), exponential(0.01), Distribution(kind="lognormal", a=-5.105170186, b=1.0, mean=0.01)]
)
def test_erlang_b_by_the_request_breaker_is_insensitive(service: Distribution) -> None:
    """`max_requests` is a loss system: only the mean service time matters."""
    m = model(
        client(poisson(400.0)), clusters=(cluster(0, http=2, max_requests=4),), stations=(station(service),), duration_s=25.0
    )
    raw = run(m, 0)
    blocked = raw.status[0, 503] / raw.finished[0]
    assert blocked == pytest.approx(erlang_b(4, 4.0), rel=0.06)


def test_a_closed_loop_is_the_machine_repair_model() -> None:
    """N loops with exponential think time on one exponential server: X = N / (R + Z), and R by mean value analysis."""
    n, think_s, service_s = 6, 40 * MS, 10 * MS
    loop = ClosedLoop(connections=n, think_time_s=exponential(think_s))
    raw = run(
        model(
            client(loop, connection=Connection(count=n)), clusters=(cluster(0, http=2),),
            stations=(station(exponential(service_s), concurrency=1),), duration_s=150.0, warmup_s=2.0,
        ), 0,
    )
    queue = 0.0
    for population in range(1, n + 1):
        response = service_s * (1 + queue)
        queue = population * response / (think_s + response)
    measured = raw.latency_sum[0] / raw.covered[0] / 1e9
    assert measured == pytest.approx(response, rel=0.04)
    assert raw.finished[0] / 148.0 == pytest.approx(n / (response + think_s), rel=0.03)


SIZES = Distribution(kind="exponential", a=1e6, mean=1e6)
"""Bytes that make the cost of a visit exponential."""


def loop_model(rate: float, **costs: float) -> Model:
    """A worker with W = I = 0, no delays, one visit of a request that costs something."""
    sized = replace(shape(), request_bytes=SIZES, response_bytes=SIZES)
    web = client(poisson(rate), sized, costs=downstream(**costs), connection=Connection(count=5000))
    return model(web, clusters=(cluster(0, http=2),), duration_s=25.0, warmup_s=1.0)


@pytest.mark.parametrize("rho", [0.4, 0.6])
def test_a_worker_with_a_costly_last_visit_is_m_m_1(rho: float) -> None:
    raw = run(loop_model(rho / MS, write_down_byte_s=MS / 1e6), 0)
    assert raw.latency_sum[0] / raw.covered[0] / 1e9 == pytest.approx(MS / (1 - rho), rel=0.08)


@pytest.mark.parametrize("rho", [0.3, 0.5])
def test_a_worker_with_a_costly_first_visit_is_slower_than_that(rho: float) -> None:
    """Every one of the four visits waits for the others' costly ones; the wait before the first is that of M/M/1.

    With `a` the mean length of the iteration in which a request arrives, it waits for the rest of that one, is read in
    the next (length s + rho a), and needs the ends of that and four more, each rho times as long as the one before:
    write, answer (2 ns too late for the poll that follows at once), read, write.
    """
    raw = run(loop_model(rho / MS, read_byte_s=MS / 1e6), 0, Options(records=30_000))
    c2 = 1.0
    a = MS * rho * (1 + c2) / (1 - rho**2)
    response = a / 2 + (MS + rho * a) * sum(rho**i for i in range(5))
    assert raw.latency_sum[0] / raw.covered[0] / 1e9 == pytest.approx(response, rel=0.08)
    waits = [r.gw_start_ns - r.start_ns for r in records(raw)]
    assert sum(waits) / len(waits) / 1e9 == pytest.approx(rho * MS / (1 - rho), rel=0.1)


def test_time_outs_of_a_queue_with_impatience() -> None:
    """A try that times out after T on an exponential server without queue fails with probability exp(-T / S)."""
    service_s, patience_s = 10 * MS, 15 * MS
    web = client(poisson(100.0), timeout_s=patience_s)
    raw = run(model(web, stations=(station(exponential(service_s)),), duration_s=100.0), 0)
    assert raw.status[0, 0] / raw.finished[0] == pytest.approx(exp(-patience_s / service_s), rel=0.06)
