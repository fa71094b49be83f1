"""Clients and arrivals of the reference engine: sections 3 and 4 of docs/background/engine-semantics.md."""

from __future__ import annotations

from itertools import pairwise

import pytest
from builders import MS, client, downstream, local, model, poisson, records, replay, shape, station

from gwsim.engine.codes import Flag
from gwsim.engine.reference import Options, run
from gwsim.engine.schema import ANSWER_TIMEOUT, ANSWER_UPSTREAM
from gwsim.scenario.model import (
    Arrivals,
    Bursts,
    ClientRetry,
    ClosedLoop,
    Connection,
    Paced,
    Poisson,
    RateSegment,
    Replay,
    constant,
)

ALL = Options(records=100_000)
OK = shape(local(200))
FAILING = station(1 * MS, errors=((1.0, 503),))


def starts(arrivals: Arrivals, duration_s: float = 1.0, seed: int = 1) -> list[int]:
    """Instants of the measured arrivals, in order."""
    raw = run(model(client(arrivals, OK), duration_s=duration_s, seed=seed), 0, ALL)
    return sorted(r.start_ns for r in records(raw) if r.start_ns < duration_s * 1e9)


# --- arrivals ------------------------------------------------------------------------------------------------


def test_paced_arrivals_do_not_drift() -> None:
    assert starts(Paced(rate_rps=3.0), 2.0) == [0, 333333333, 666666667, 1000000000, 1333333333, 1666666667]


def test_replayed_arrivals_and_shapes() -> None:
    times = (0.0, 1 * MS, 1 * MS, 5 * MS)
    web = client(Replay(times_s=times, shapes=(1, 0, 1, -1)), OK, shape(local(404), weight=0.0))
    raw = run(model(web), 0, ALL)
    assert [(r.start_ns, r.class_id) for r in records(raw)] == [(0, 1), (10**6, 0), (10**6, 1), (5 * 10**6, 0)]


RAMP = Poisson(
    segments=(
        RateSegment(duration_s=1.0, start_rps=0.0, end_rps=600.0),
        RateSegment(duration_s=0.5, start_rps=0.0, end_rps=0.0),
        RateSegment(duration_s=1.0, start_rps=600.0, end_rps=0.0),
    )
)
"""600 arrivals in 2.5 s, then again."""


@pytest.mark.parametrize(
    ("arrivals", "duration_s", "expected", "relative"),
    [
        (poisson(500.0), 10.0, 5000, 0.05),
        (RAMP, 20.0, 4800, 0.05),
        (Bursts(base_rps=100.0, peak_rps=900.0, mean_base_s=0.06, mean_peak_s=0.02), 20.0, 6000, 0.12),
        (Paced(rate_rps=500.0), 4.0, 2000, 0.0),
        (ClosedLoop(connections=7, rate_rps=350.0, pacing="uniform"), 4.0, 1400, 0.0),
        (ClosedLoop(connections=7, rate_rps=350.0, pacing="together"), 4.0, 1400, 0.0),
        (ClosedLoop(connections=7, rate_rps=350.0, pacing="jittered"), 4.0, 1400, 0.01),
        (ClosedLoop(connections=5, think_time_s=constant(10 * MS)), 4.0, 5 * 399, 0.0),
    ],
)
def test_the_declared_rate_is_the_measured_rate(
    arrivals: Arrivals, duration_s: float, expected: int, relative: float
) -> None:
    assert len(starts(arrivals, duration_s)) == pytest.approx(expected, rel=relative)


def test_a_ramp_is_a_ramp() -> None:
    """Half of the arrivals of a ramp from 0 come in its last 29 %; none in a pause."""
    raw = [t / 1e9 % 2.5 for t in starts(RAMP, 25.0)]
    assert not [t for t in raw if 1.0 < t < 1.5]
    rising = [t for t in raw if t <= 1.0]
    assert sum(t > 0.7071 for t in rising) / len(rising) == pytest.approx(0.5, abs=0.04)


def test_bursts_have_both_rates() -> None:
    """No arrivals at the base rate: gaps of the length of a stay between bursts."""
    instants = starts(Bursts(base_rps=0.0, peak_rps=2000.0, mean_base_s=0.2, mean_peak_s=0.05), 5.0)
    gaps = sorted(b - a for a, b in pairwise(instants))
    assert gaps[len(gaps) // 2] < 1 * 10**6
    assert gaps[-1] > 100 * 10**6


def test_a_change_of_rate_rescales_the_same_arrivals() -> None:
    slow, fast = starts(poisson(100.0), 2.0), starts(poisson(200.0), 1.0)
    assert len(slow) == len(fast)
    assert all(abs(a - 2 * b) <= 2 for a, b in zip(slow, fast, strict=True))


@pytest.mark.parametrize(
    "nothing",
    [
        poisson(0.0),
        Paced(rate_rps=0.0),
        Bursts(base_rps=0.0, peak_rps=0.0, mean_base_s=1.0, mean_peak_s=1.0),
        ClosedLoop(connections=3, rate_rps=0.0),
        ClosedLoop(connections=0),
        Replay(times_s=(), shapes=()),
    ],
)
def test_a_rate_of_zero_is_no_arrivals(nothing: Arrivals) -> None:
    raw = run(model(client(nothing, OK)), 0, ALL)
    assert (raw.requests.tolist(), raw.stop_ns.tolist()) == ([0], [0])


# --- closed loops --------------------------------------------------------------------------------------------


def loop_starts(loop: ClosedLoop, service_s: float) -> list[int]:
    raw = run(model(client(loop), stations=(station(service_s),), duration_s=0.1), 0, ALL)
    return [r.start_ns // 10**6 for r in records(raw) if r.start_ns < 10**8]


def test_a_late_loop_catches_up() -> None:
    """10 ms apart, first answer after 25 ms: the next two are late and sent at once."""
    loop = ClosedLoop(connections=1, rate_rps=100.0, catch_up=True)
    assert loop_starts(loop, 25 * MS) == [0, 25, 50, 75]


def test_a_late_loop_skips() -> None:
    loop = ClosedLoop(connections=1, rate_rps=100.0, catch_up=False)
    assert loop_starts(loop, 25 * MS) == [0, 30, 60, 90]


def test_together_and_uniform() -> None:
    together = ClosedLoop(connections=4, rate_rps=100.0, pacing="together")
    uniform = ClosedLoop(connections=4, rate_rps=100.0, pacing="uniform")
    assert loop_starts(together, 0.0) == sorted([0, 40, 80] * 4)
    assert loop_starts(uniform, 0.0) == list(range(0, 100, 10))


def test_jitter_is_ten_per_cent_of_the_sleep() -> None:
    loop = ClosedLoop(connections=1, rate_rps=100.0, pacing="jittered")
    raw = run(model(client(loop, OK), duration_s=10.0), 0, ALL)
    instants = [r.start_ns for r in records(raw)]
    sleeps = [b - (a + 2) for a, b in pairwise(instants)]
    off = [s / (10**7 * (i + 1) - (instants[i] + 2)) for i, s in enumerate(sleeps)]
    assert 0.899 < min(off) < 0.91
    assert 1.09 < max(off) < 1.101


def test_think_time_counts_from_the_answer() -> None:
    assert loop_starts(ClosedLoop(connections=1, think_time_s=constant(20 * MS)), 10 * MS) == [20, 50, 80]


# --- time-outs and retries -----------------------------------------------------------------------------------


def test_an_answer_at_the_same_instant_comes_before_the_time_out() -> None:
    web = client(replay(0.0), timeout_s=4e-9 + 3 * MS)
    raw = run(model(web, stations=(station(3 * MS),)), 0, ALL)
    r = records(raw)[0]
    assert (r.end_ns, r.status) == (3_000_004, 200)


def test_a_time_out_cuts_the_time_line() -> None:
    web = client(replay(0.0), timeout_s=4 * MS, rtt_s=2 * MS, costs=downstream(read_s=1 * MS))
    raw = run(model(web, stations=(station(10 * MS),), rtt_s=1 * MS), 0, ALL)
    r = records(raw)[0]
    assert (r.client_network_ns, r.proxy_cpu_ns, r.upstream_network_ns, r.upstream_service_ns) == (
        1_000_000, 1_000_000, 500_000, 1_500_000,
    )
    assert (r.answer, r.status, r.flags) == (ANSWER_TIMEOUT, 0, Flag.DC)


def test_client_retries_back_off_exponentially_with_full_jitter() -> None:
    retry = ClientRetry(attempts=3, base_s=8 * MS, max_s=20 * MS)
    web = client(replay(*(0.01 * i for i in range(200))), retry=retry)
    raw = run(model(web, stations=(FAILING,), duration_s=3.0), 0, ALL)
    rs = records(raw)
    assert {r.client_attempts for r in rs} == {4}
    assert {r.status for r in rs} == {503}
    bounds = (8 + 16 + 20) * MS * 1e9
    assert max(r.client_backoff_ns for r in rs) < bounds
    mean = sum(r.client_backoff_ns for r in rs) / len(rs)
    assert mean == pytest.approx(bounds / 2, rel=0.05)
    assert all(r.failed_ns == 3 * (1_000_004) for r in rs)
    assert raw.client_attempts.tolist() == [800]


def test_only_listed_failures_are_retried_by_the_client() -> None:
    retry = ClientRetry(attempts=3, on_5xx=False, base_s=1 * MS)
    raw = run(model(client(replay(0.0), retry=retry), stations=(FAILING,)), 0, ALL)
    assert records(raw)[0].client_attempts == 1
    retry = ClientRetry(attempts=3, on_timeout=False, base_s=1 * MS)
    raw = run(model(client(replay(0.0), retry=retry, timeout_s=1 * MS), stations=(station(5 * MS),)), 0, ALL)
    assert records(raw)[0].client_attempts == 1


def test_a_retried_time_out_starts_afresh() -> None:
    """Two attempts of 2 ms each, a back-off between them; both reach the backend."""
    retry = ClientRetry(attempts=1, base_s=1 * MS)
    web = client(replay(0.0), retry=retry, timeout_s=2 * MS, connection=Connection(count=1))
    raw = run(model(web, stations=(station(5 * MS),)), 0, ALL)
    r = records(raw)[0]
    assert (r.client_attempts, r.status, r.failed_ns) == (2, 0, 2_000_000)
    assert r.end_ns - r.start_ns == 4_000_000 + r.client_backoff_ns
    assert raw.station_jobs.tolist() == [2]


def test_the_retry_budget_limits_retries() -> None:
    """Ten tokens at the start and 0.1 for each of 100 requests: 10 + 10 retries, less what overflowed at first."""
    retry = ClientRetry(attempts=1, base_s=1 * MS, budget=0.1)
    web = client(replay(*(0.01 * i for i in range(100))), retry=retry)
    raw = run(model(web, stations=(FAILING,), duration_s=2.0), 0, ALL)
    retries = int(raw.client_attempts.sum()) - 100
    assert retries == 19  # the first arrival earns nothing: the bucket is full


def test_a_client_without_budget_retries_always() -> None:
    retry = ClientRetry(attempts=1, base_s=1 * MS)
    web = client(replay(*(0.01 * i for i in range(100))), retry=retry)
    raw = run(model(web, stations=(FAILING,), duration_s=2.0), 0, ALL)
    assert int(raw.client_attempts.sum()) == 200


# --- the window ----------------------------------------------------------------------------------------------


def test_only_requests_that_start_in_the_window_are_measured() -> None:
    raw = run(model(client(Paced(rate_rps=100.0), OK), duration_s=1.0, warmup_s=0.25), 0, ALL)
    assert raw.offered.tolist() == raw.finished.tolist() == [75]
    assert raw.bin_arrivals.sum() == 100


def test_the_run_goes_on_until_all_measured_requests_are_done() -> None:
    raw = run(model(client(Paced(rate_rps=100.0)), stations=(station(200 * MS),), duration_s=0.1), 0, ALL)
    assert raw.finished.tolist() == [10]
    assert raw.stop_ns.tolist() == [290_000_006]  # 4 ns on the way, 2 ns to open a connection upstream
    assert int(raw.requests[0]) > 10  # arrivals go on


def test_too_many_in_flight_is_saturated() -> None:
    web = client(Paced(rate_rps=1000.0))
    raw = run(model(web, stations=(station(1.0, concurrency=1),), max_in_flight=20), 0, ALL)
    assert raw.saturated.tolist() == [1]
    assert raw.in_flight.tolist() == [21]
    assert raw.stop_ns.tolist() == [20_000_000]


def test_an_upstream_answer_is_covered_and_a_local_reply_is_not() -> None:
    web = client(replay(0.0, 1 * MS), OK)
    up = client(replay(0.0), name="up")
    raw = run(model(web, up), 0, ALL)
    assert raw.covered.tolist() == [0, 1]
    assert records(raw)[2].answer == ANSWER_UPSTREAM
