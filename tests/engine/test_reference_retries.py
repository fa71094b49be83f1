"""Retries and time-outs of the gateway: section 6 of docs/background/engine-semantics.md."""

from __future__ import annotations

import pytest
from builders import (
    MS,
    US,
    client,
    cluster,
    downstream,
    local,
    model,
    records,
    replay,
    retry,
    shape,
    station,
    to,
    visits,
)

from gwsim.engine.codes import Counter, Flag
from gwsim.engine.reference import Options, run
from gwsim.engine.reference.retries import Retries
from gwsim.engine.schema import ANSWER_TIMEOUT, ANSWER_UPSTREAM, RawRun
from gwsim.scenario.model import ClientRetry
from gwsim.topology import RetryPolicy

ALL = Options(records=10_000, trace=100_000)
FAILING = station(1 * MS, errors=((1.0, 503),))
EVERY_10_MS = replay(*(0.01 * i for i in range(100)))


def counts(raw: RawRun) -> dict[str, int]:
    """Cluster counters that are not zero, without those of connections."""
    names = {c.name.removeprefix("UPSTREAM_RQ_"): int(raw.cluster_counters[0, c]) for c in Counter if "CX" not in c.name}
    return {name: n for name, n in names.items() if n and "PENDING" not in name}


def test_retries_until_the_limit() -> None:
    policy = retry(2, base_interval_s=1 * MS, max_interval_s=1 * MS)
    raw = run(model(client(replay(0.0), shape(to(0, policy=policy))), stations=(FAILING,)), 0, ALL)
    r = records(raw)[0]
    assert (r.status, r.flags, r.gateway_attempts, r.answer) == (503, Flag.URX, 3, ANSWER_UPSTREAM)
    assert counts(raw) == {"TOTAL": 3, "COMPLETED": 3, "5XX": 3, "RETRY": 2, "RETRY_LIMIT_EXCEEDED": 1}
    assert r.upstream_service_ns == 3_000_000
    assert r.upstream_ns == 3 * 1_000_002
    assert r.retry_backoff_ns == 2  # below(z, 1) is 0, and a back-off lasts at least 1 ns


def test_a_successful_retry() -> None:
    """Round robin takes the retry to the other endpoint, which is well."""
    policy = retry(2, base_interval_s=1 * MS, max_interval_s=1 * MS)
    web = client(replay(0.0, 0.1), shape(to(0, policy=policy)))
    raw = run(model(web, clusters=(cluster(0, 1),), stations=(FAILING, station(1 * MS))), 0, ALL)
    assert [r.status for r in records(raw)] == [200, 200]
    assert sorted(r.gateway_attempts for r in records(raw)) in ([1, 2], [2, 2])
    retries = sum(r.gateway_attempts for r in records(raw)) - 2
    assert counts(raw) == {"TOTAL": 2 + retries, "COMPLETED": 2 + retries, "2XX": 2, "5XX": retries, "RETRY": retries, "RETRY_SUCCESS": retries}
    retried = next(r for r in records(raw) if r.gateway_attempts == 2)
    assert retried.failed_ns == 1_000_002  # from the end of the READ visit to the start of READ_UP


def test_back_off_bounds() -> None:
    """The N-th back-off is a whole number of ms below min(25 * 2^(N-1), 250)."""
    policy = retry(5, base_interval_s=25 * MS, max_interval_s=250 * MS)
    raw = run(model(client(replay(*(2.0 * i for i in range(60))), shape(to(0, policy=policy))), stations=(FAILING,), duration_s=200.0), 0, ALL)
    offs: dict[int, list[int]] = {}
    ends: dict[int, int] = {}
    for v in visits(raw):
        if v.visit == "READ_UP":
            ends[v.number] = v.end_ns
        elif v.visit == "BACKOFF":
            offs.setdefault(v.a, []).append(round((v.start_ns - ends[v.number]) / 1e6 - 0.5))
    for n, bound in enumerate((25, 50, 100, 200, 250)):
        assert max(offs[n]) <= bound
        assert max(offs[n]) > 0.9 * bound
        assert sum(offs[n]) / len(offs[n]) == pytest.approx(bound / 2, rel=0.25)


def test_the_retry_breaker() -> None:
    """Two requests fail together, one retry is allowed at a time: the other passes its failure on with UO."""
    policy = retry(1, base_interval_s=25 * MS)
    web = client(replay(0.0, 0.0), shape(to(0, policy=policy)))
    raw = run(model(web, clusters=(cluster(0, max_retries=1),), stations=(FAILING,)), 0, ALL)
    assert sorted((r.gateway_attempts, r.flags) for r in records(raw)) == [(1, Flag.UO), (2, Flag.URX)]
    assert counts(raw)["RETRY_OVERFLOW"] == 1
    assert {r.answer for r in records(raw)} == {ANSWER_UPSTREAM}


def test_the_slot_of_the_retry_breaker_is_free_again() -> None:
    policy = retry(2, base_interval_s=1 * MS)
    raw = run(model(client(EVERY_10_MS, shape(to(0, policy=policy))), clusters=(cluster(0, max_retries=1),), stations=(FAILING,), duration_s=2.0), 0, ALL)
    assert {(r.gateway_attempts, r.flags) for r in records(raw)} == {(3, Flag.URX)}


def test_no_retry_of_an_overflow() -> None:
    policy = retry(3)
    web = client(replay(0.0), shape(to(0, policy=policy)))
    raw = run(model(web, clusters=(cluster(0, max_requests=0),)), 0, ALL)
    r = records(raw)[0]
    assert (r.status, r.flags, r.gateway_attempts) == (503, Flag.UO, 1)
    assert counts(raw) == {"ACTIVE_OVERFLOW": 1}


@pytest.mark.parametrize(
    ("on", "codes", "retried"),
    [
        (("5xx",), (), {500, 503, 504}),
        (("gateway-error",), (), {503, 504}),
        (("retriable-4xx",), (), {409}),
        (("retriable-status-codes",), (404, 500), {404, 500}),
        (("gateway-error", "retriable-status-codes"), (404,), {404, 503, 504}),
        (("reset", "connect-failure", "refused-stream", "unavailable", "cancelled"), (503,), set()),
    ],
)
def test_conditions_on_the_status(on: tuple[str, ...], codes: tuple[int, ...], retried: set[int]) -> None:
    policy = Retries(RetryPolicy(num_retries=1, retry_on=on, retriable_status_codes=codes))
    assert {s for s in (200, 404, 409, 500, 503, 504) if policy.on_status(s)} == retried


@pytest.mark.parametrize(
    ("on", "retried"),
    [("5xx", True), ("gateway-error", True), ("reset", True), ("retriable-status-codes", False), ("connect-failure", False)],
)
def test_conditions_on_a_try_that_timed_out(on: str, retried: bool) -> None:
    assert Retries(RetryPolicy(num_retries=1, retry_on=(on,))).on_time_out is retried


def test_other_hosts_are_preferred() -> None:
    def same(previous_hosts: bool) -> int:
        policy = retry(1, base_interval_s=1 * MS, previous_hosts=previous_hosts)
        web = client(EVERY_10_MS, shape(to(0, policy=policy)))
        bad = tuple(station(errors=((1.0, 503),), name=f"b{i}") for i in range(4))
        raw = run(model(web, clusters=(cluster(0, 1, 2, 3, lb="RANDOM"),), stations=bad, duration_s=2.0), 0, ALL)  # type: ignore[arg-type]
        jobs = raw.station_jobs.sum()
        assert jobs == 200
        writes: dict[int, list[int]] = {}
        for v in visits(raw):
            if v.visit == "WRITE_UP":
                writes.setdefault(v.number, []).append(v.a)
        assert all(a == [0, 1] for a in writes.values())
        return sum(r.station == first for r, first in zip(records(raw), first_stations(raw), strict=True))

    def first_stations(raw: RawRun) -> list[int]:
        policy = retry(0)
        web = client(EVERY_10_MS, shape(to(0, policy=policy)))
        bad = tuple(station(errors=((1.0, 503),), name=f"b{i}") for i in range(4))
        only = run(model(web, clusters=(cluster(0, 1, 2, 3, lb="RANDOM"),), stations=bad, duration_s=2.0), 0, ALL)  # type: ignore[arg-type]
        return [r.station for r in records(only)]

    assert 10 < same(False) < 45  # a quarter by chance
    assert same(True) == 0  # (1/4)^6 a request


# --- time-outs -----------------------------------------------------------------------------------------------


def test_route_time_out_time_line() -> None:
    """Read 1 ms, write 0; the timer runs from the end of the read; cost of the timer 0.5 ms; written after it."""
    costs = downstream(read_s=1 * MS, timer_s=0.5 * MS, write_down_s=0.25 * MS)
    web = client(replay(0.0), shape(to(0, timeout_s=3 * MS)), costs=costs, rtt_s=2 * MS)
    raw = run(model(web, stations=(station(10 * MS),), rtt_s=1 * MS), 0, ALL)
    assert [(v.visit, v.start_ns // 1000, v.end_ns // 1000) for v in visits(raw)] == [
        ("READ", 1000, 2000), ("WRITE_UP", 2000, 2000), ("ROUTE_TIMEOUT", 5000, 5500), ("WRITE_DOWN", 5500, 5750),
    ]
    r = records(raw)[0]
    assert (r.status, r.flags, r.answer, r.end_ns) == (504, Flag.UT, ANSWER_TIMEOUT, 6_750_000)
    assert (r.upstream_network_ns, r.upstream_service_ns, r.proxy_cpu_ns) == (500_000, 2_500_000, 1_750_000)
    assert (r.gw_start_ns, r.gw_end_ns, r.upstream_ns) == (1_000_000, 5_500_000, 3_000_000)
    assert counts(raw) == {"TOTAL": 1, "TIMEOUT": 1}
    assert raw.gw_sum.tolist() == [4_500_000]
    assert raw.overhead_sum.tolist() == [1_500_000]


def test_per_try_time_out_time_line() -> None:
    """The per-try timer runs from the end of the write; two tries of 2 ms, then 504 UT with URX."""
    policy = retry(1, ("5xx",), per_try_timeout_s=2 * MS, base_interval_s=1 * MS, max_interval_s=1 * MS)
    web = client(replay(0.0), shape(to(0, policy=policy)), costs=downstream(read_s=1 * MS))
    raw = run(model(web, stations=(station(10 * MS),)), 0, ALL)
    tries = [(v.visit, v.a) for v in visits(raw)]
    assert tries[1:] == [
        ("WRITE_UP", 0), ("TRY_TIMEOUT", 0), ("BACKOFF", 0), ("UP_CONNECTED", 1), ("WRITE_UP", 1), ("TRY_TIMEOUT", 1),
        ("WRITE_DOWN", 0),
    ]
    r = records(raw)[0]
    assert (r.status, r.flags, r.gateway_attempts) == (504, Flag.UT | Flag.URX, 2)
    writes = [v.end_ns for v in visits(raw) if v.visit == "WRITE_UP"]
    time_outs = [v.start_ns for v in visits(raw) if v.visit == "TRY_TIMEOUT"]
    assert time_outs[0] - writes[0] == 2_000_000
    assert 2_000_000 <= time_outs[1] - writes[1] <= 3_000_000  # the sleep is rounded up to whole ms
    assert counts(raw) == {"TOTAL": 2, "PER_TRY_TIMEOUT": 2, "RETRY": 1, "RETRY_LIMIT_EXCEEDED": 1}
    assert raw.cluster_counters[0, Counter.UPSTREAM_CX_DESTROY] == 2


@pytest.mark.parametrize(("per_try_ms", "tries"), [(2.9, 2), (3.0, 1), (4.0, 1)])
def test_a_per_try_time_out_not_below_the_route_time_out_is_ignored(per_try_ms: float, tries: int) -> None:
    policy = retry(1, per_try_timeout_s=per_try_ms * MS, base_interval_s=1 * MS, max_interval_s=1 * MS)
    web = client(replay(0.0), shape(to(0, policy=policy, timeout_s=3 * MS)))
    busy = client(replay(1 * MS), shape(local(200)), name="busy", costs=downstream(read_s=1.95 * MS))  # ends at 2.95 ms
    raw = run(model(web, busy, stations=(station(10 * MS),)), 0, ALL)
    r = records(raw)[0]
    assert (r.status, r.gateway_attempts) == (504, tries)
    assert raw.cluster_counters[0, Counter.UPSTREAM_RQ_PER_TRY_TIMEOUT] == tries - 1


def test_a_route_time_out_covers_all_retries() -> None:
    policy = retry(10, base_interval_s=1 * MS, max_interval_s=1 * MS)
    web = client(replay(0.0), shape(to(0, policy=policy, timeout_s=20 * MS)))
    raw = run(model(web, stations=(FAILING,)), 0, ALL)
    r = records(raw)[0]
    assert (r.status, r.flags) == (504, Flag.UT)
    assert 5 < r.gateway_attempts < 12


def test_a_time_out_in_the_back_off_frees_the_retry_slot() -> None:
    policy = retry(1, base_interval_s=250 * MS)
    web = client(replay(0.0, 0.5), shape(to(0, policy=policy, timeout_s=3 * MS)))
    raw = run(model(web, clusters=(cluster(0, max_retries=1),), stations=(FAILING,)), 0, ALL)
    assert counts(raw)["RETRY"] == 2
    assert counts(raw)["TIMEOUT"] == 2
    assert all(r.retry_backoff_ns > 0 for r in records(raw))


def test_failed_time_of_client_attempts_and_gateway_attempts() -> None:
    """An attempt of the gateway that failed inside a client attempt that failed is not counted twice."""
    policy = retry(1, base_interval_s=1 * MS, max_interval_s=1 * MS)
    web = client(replay(0.0), shape(to(0, policy=policy)), retry=ClientRetry(attempts=1, base_s=1 * US))
    raw = run(model(web, stations=(FAILING,)), 0, ALL)
    r = records(raw)[0]
    assert r.client_attempts == 2
    first_attempt = (r.end_ns - r.start_ns - r.client_backoff_ns) // 2
    assert r.failed_ns == pytest.approx(first_attempt + 1_000_002, abs=3 * 10**6)
    assert r.failed_ns < r.end_ns - r.start_ns


def test_local_replies_are_not_retried() -> None:
    raw = run(model(client(replay(0.0), shape(local(503, "FI")))), 0, ALL)
    assert records(raw)[0].status == 503
    assert raw.cluster_counters.sum() == 0
