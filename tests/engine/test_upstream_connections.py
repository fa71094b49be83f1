"""Lifetimes, limits and failures of upstream connections: section 15 of docs/background/engine-semantics.md.

The situations "refused", "black hole", "late arrivals inherit the first attempt's deadline" and "refused with retries" are
those of a measured Envoy 1.40.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import (
    MS,
    US,
    client,
    cluster,
    exponential,
    fleet,
    model,
    poisson,
    records,
    replay,
    retry,
    shape,
    station,
    to,
    upstream,
    visits,
)

from gwsim.engine.codes import Counter, Flag, Visit
from gwsim.engine.reference import Options, run
from gwsim.scenario.model import Connection, Outage, SimCluster
from gwsim.topology import OutlierDetection, RetryBudget

ALL = Options(records=100_000, trace=100_000)
MUX = Connection(http=2, count=1, streams=1000)
ALWAYS = Outage(from_s=0.0, to_s=1e6)


def lasting(sim: SimCluster, **fields: Any) -> SimCluster:
    return replace(sim, cluster=replace(sim.cluster, **fields))


def go(*args: Any, stations: Any = None, clusters: Any = None, **fields: Any) -> Any:
    return run(model(*args, stations=stations or (station(),), clusters=clusters or (cluster(0),), **fields), 0, ALL)


def count(raw: Any, counter: Counter, index: int = 0) -> int:
    return int(raw.cluster_counters[index, counter])


# --- ends of connections -------------------------------------------------------------------------------------


def test_max_requests_per_connection() -> None:
    """Three requests a connection; the next one opens another."""
    raw = go(client(replay(*(0.01 * i for i in range(9)))), clusters=(lasting(cluster(0), max_requests_per_connection=3),), start="cold")
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == count(raw, Counter.UPSTREAM_CX_DESTROY) == count(raw, Counter.UPSTREAM_CX_MAX_REQUESTS) == 3


def test_an_idle_connection_is_closed_by_the_gateway() -> None:
    """Idle for 50 ms: after a pause of 100 ms a request opens a connection, after one of 20 ms it does not."""
    costs = upstream(close_s=10 * US)
    raw = go(client(replay(0.0, 0.02, 0.12, 0.13, 0.5)), clusters=(lasting(cluster(0, costs=costs), idle_timeout_s=0.05),), start="cold")
    assert count(raw, Counter.UPSTREAM_CX_IDLE_TIMEOUT) == 2
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 3
    expiries = [v for v in visits(raw) if v.visit == "UP_EXPIRE"]
    assert [v.start_ns // 10**6 for v in expiries] == [70, 180]
    assert [v.cost_ns for v in expiries] == [10_000] * 2


def test_the_most_recently_used_connection_is_used_first() -> None:
    """Surplus connections age out: a burst needs three, then one at a time is enough for the rest."""
    arrivals = replay(0.0, 0.0, 0.0, *(0.02 + 0.02 * i for i in range(10)))
    raw = go(
        client(arrivals, connection=MUX), stations=(station(5 * MS),), clusters=(lasting(cluster(0), idle_timeout_s=0.05),), start="cold",
    )
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 3
    assert count(raw, Counter.UPSTREAM_CX_IDLE_TIMEOUT) == 2


def test_the_age_of_a_connection() -> None:
    """An idle one is closed at once, a busy one after its exchange."""
    sim = lasting(cluster(0), max_connection_duration_s=0.1)
    raw = go(client(replay(0.0, 0.05, 0.09, 0.3)), stations=(station(20 * MS),), clusters=(sim,), start="cold")
    assert [r.status for r in records(raw)] == [200] * 4
    assert count(raw, Counter.UPSTREAM_CX_MAX_DURATION) >= 1
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 2
    closed = [v.start_ns // 10**6 for v in visits(raw) if v.visit == "UP_EXPIRE"]
    assert 100 <= closed[0] <= 101


# --- the race with a backend that closes ---------------------------------------------------------------------


def race(gap_s: float, **fields: Any) -> Any:
    """Two requests, `gap_s` apart, to a pod that keeps idle connections for 50 ms, 1 ms away."""
    web = client(replay(0.0, gap_s), shape(to(0, policy=fields.pop("policy", None))))
    return go(web, stations=(station(name="b0", keepalive_s=0.05),), rtt_s=2 * MS, start="cold", **fields)


@pytest.mark.parametrize(("gap_s", "status", "flags"), [(0.04, 200, 0), (0.053, 503, Flag.UC), (0.08, 200, 0)])
def test_a_request_that_meets_the_close(gap_s: float, status: int, flags: int) -> None:
    """It is sent after the pod has closed and before the gateway knows: UC. Earlier or later all is well."""
    raw = race(gap_s)
    r = records(raw)[1]
    assert (r.status, r.flags) == (status, flags)
    if status == 503:
        assert raw.station_jobs[0] == 1
        assert count(raw, Counter.UPSTREAM_CX_DESTROY_REMOTE) == 1


@pytest.mark.parametrize(("on", "retried"), [
    ("5xx", True), ("reset", True), ("gateway-error", True), ("connect-failure", False), ("retriable-4xx", False),
])  # fmt: skip
def test_which_conditions_retry_a_lost_request(on: str, retried: bool) -> None:
    raw = race(0.053, policy=retry(2, (on,)))
    assert (records(raw)[1].status == 200) is retried


def test_a_request_that_was_sent_is_not_before_the_request() -> None:
    """This one was sent, if in vain: `reset-before-request` does not apply."""
    sent = race(0.053, policy=retry(2, ("reset-before-request",)))
    assert records(sent)[1].status == 503


def test_the_share_of_lost_requests_falls_with_longer_keep_alive() -> None:
    """A pool idle time-out below the pod's keep-alive avoids the race altogether."""
    def lost(idle_s: float) -> int:
        sim = lasting(cluster(0), idle_timeout_s=idle_s)
        raw = go(client(poisson(15.0)), stations=(station(exponential(5 * MS), keepalive_s=0.05),), clusters=(sim,), rtt_s=4 * MS, duration_s=60.0)
        return int(sum(r.flags & Flag.UC > 0 for r in records(raw)))

    assert lost(3600.0) > 10
    assert lost(0.03) == 0


# --- connections that cannot be opened -----------------------------------------------------------------------


def test_refused() -> None:
    """503 UF after one round trip."""
    raw = go(client(replay(0.0)), stations=(station(outages=(ALWAYS,)),), rtt_s=2 * MS, start="cold")
    (r,) = records(raw)
    assert (r.status, r.flags, r.gateway_attempts) == (503, Flag.UF, 1)
    assert count(raw, Counter.UPSTREAM_CX_CONNECT_FAIL) == count(raw, Counter.UPSTREAM_RQ_PENDING_FAILURE_EJECT) == 1
    assert r.pool_wait_ns == 2 * 10**6


def test_refused_with_retries() -> None:
    """Istio's default conditions: two retries, then URX,UF."""
    raw = go(client(replay(0.0), shape(to(0, policy=retry(2, ("connect-failure",))))), stations=(station(outages=(ALWAYS,)),), start="cold")
    (r,) = records(raw)
    assert (r.status, r.flags, r.gateway_attempts) == (503, Flag.UF | Flag.URX, 3)


def test_a_retry_finds_another_host() -> None:
    """One of three hosts is down: every request is answered, some by a second attempt."""
    stations = (station(outages=(ALWAYS,)), station(name="b1"), station(name="b2"))
    policy = retry(2, ("connect-failure",), host_selection_retry_max_attempts=5, previous_hosts=True)
    raw = go(client(replay(*(0.01 * i for i in range(60))), shape(to(0, policy=policy))), stations=stations, clusters=(cluster(0, 1, 2),), start="cold")
    assert {r.status for r in records(raw)} == {200}
    assert 15 <= sum(r.gateway_attempts == 2 for r in records(raw)) <= 30


def test_a_black_hole() -> None:
    """The connect time-out of 300 ms: 503 UF."""
    sim = lasting(cluster(0), connect_timeout_s=0.3)
    raw = go(client(replay(0.0)), stations=(station(outages=(Outage(from_s=0.0, to_s=1e6, kind="drop"),)),), clusters=(sim,), start="cold")
    (r,) = records(raw)
    assert (r.status, r.flags) == (503, Flag.UF)
    assert r.pool_wait_ns == pytest.approx(300 * 10**6, abs=10**6)
    assert count(raw, Counter.UPSTREAM_CX_CONNECT_TIMEOUT) == 1


def test_late_arrivals_inherit_the_first_attempt_s_deadline() -> None:
    """500 ms to connect; arrivals at 0, 200, 400 and 450 ms fail after about 500, 300, 100 and 50 ms."""
    sim = lasting(cluster(0), connect_timeout_s=0.5)
    hole = station(outages=(Outage(from_s=0.0, to_s=1e6, kind="drop"),))
    raw = go(client(replay(0.0, 0.2, 0.4, 0.45)), stations=(hole,), clusters=(sim,), start="cold")
    assert [round((r.end_ns - r.start_ns) / 1e6) for r in records(raw)] == pytest.approx([500, 300, 100, 50], abs=1)


def test_a_syn_is_repeated_until_the_hole_closes() -> None:
    """The pod is gone for 1.5 s: the SYNs at 0 and 1 s are lost, that at 2 s is answered."""
    hole = station(outages=(Outage(from_s=0.0, to_s=1.5, kind="drop"),))
    raw = go(client(replay(0.0)), stations=(hole,), start="cold", duration_s=5.0)
    (r,) = records(raw)
    assert r.status == 200
    assert r.pool_wait_ns == pytest.approx(2 * 10**9, abs=1000)


def test_a_request_in_a_hole_is_sent_again() -> None:
    """Established connections: a request lost for 0.3 s arrives with the second retransmission, 0.6 s late."""
    hole = station(outages=(Outage(from_s=0.05, to_s=0.4, kind="drop"),))
    raw = go(client(replay(0.0, 0.1)), stations=(hole,), duration_s=2.0)
    assert [round((r.end_ns - r.start_ns) / 1e6) for r in records(raw)] == [0, 600]


def test_a_pod_that_refuses_ends_its_connections_when_used() -> None:
    """Open connections are reset by the request that meets the outage; the next one cannot be opened."""
    raw = go(client(replay(0.0, 0.1, 0.2)), stations=(station(outages=(Outage(from_s=0.05, to_s=0.15),)),))
    assert [(r.status, r.flags) for r in records(raw)] == [(200, 0), (503, Flag.UC), (200, 0)]


def test_failures_feed_outlier_detection() -> None:
    """Five refused connections eject the host: the sixth request finds no host."""
    sim = lasting(cluster(0), outlier_detection=OutlierDetection(max_ejection_percent=100.0), panic_threshold_percent=0.0)
    raw = go(client(replay(*(0.01 * i for i in range(8)))), stations=(station(outages=(ALWAYS,)),), clusters=(sim,), start="cold")
    assert [r.flags for r in records(raw)] == [Flag.UF] * 5 + [Flag.UH] * 3


# --- HTTP/2 upstream -----------------------------------------------------------------------------------------


def test_concurrent_streams_per_connection() -> None:
    """Ten requests at once, four streams a connection: three connections."""
    sim = lasting(cluster(0, http=2), max_concurrent_streams=4)
    raw = go(client(replay(*[0.0] * 10), connection=MUX), stations=(station(5 * MS),), clusters=(sim,), start="cold")
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 3
    assert [r.status for r in records(raw)] == [200] * 10


def test_streams_wait_where_no_connection_may_be_opened() -> None:
    """One connection of two streams: six requests in three rounds, the next pair starting as the last ends."""
    sim = lasting(cluster(0, http=2, max_connections=1), max_concurrent_streams=2)
    raw = go(client(replay(*[0.0] * 6), connection=MUX), stations=(station(5 * MS),), clusters=(sim,))
    assert [round(r.end_ns / 1e6) for r in records(raw)] == [5, 5, 10, 10, 15, 15]
    assert raw.worker_visits[0, Visit.ATTACH] == 0


def test_an_http2_connection_that_is_used_up_drains() -> None:
    """Two requests a connection: the third opens the next while the first two are still running."""
    sim = lasting(cluster(0, http=2), max_requests_per_connection=2)
    raw = go(client(replay(0.0, 0.001, 0.002), connection=MUX), stations=(station(5 * MS),), clusters=(sim,))
    assert [r.status for r in records(raw)] == [200] * 3
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 2
    assert count(raw, Counter.UPSTREAM_CX_DESTROY) == 1


# --- retry budget --------------------------------------------------------------------------------------------


def stormy(budget: RetryBudget | None) -> Any:
    """A backend that answers 503 to everything, with five retries allowed each."""
    sim = cluster(0, http=2)
    sim = lasting(sim, circuit_breakers=replace(sim.cluster.circuit_breakers, retry_budget=budget))
    web = client(poisson(2000.0), shape(to(0, policy=retry(5, ("5xx",)))))
    return go(web, stations=(station(10 * MS, errors=((1.0, 503),)),), clusters=(sim,), fleets=(fleet(1, 2),), duration_s=0.5)


def test_a_retry_budget_keeps_retries_a_share_of_the_requests() -> None:
    """20 % of the active requests: the load on the backend grows by about that, not sixfold."""
    free, kept = stormy(None), stormy(RetryBudget(percent=20.0, min_retry_concurrency=3))
    def factor(raw: Any) -> float:
        return float(raw.station_jobs[0] / raw.requests[0])

    assert factor(free) > 4.0
    assert 1.05 < factor(kept) < 1.4
    assert count(kept, Counter.UPSTREAM_RQ_RETRY_OVERFLOW) > 0


def test_at_least_so_many_retries() -> None:
    """One request at a time: 20 % of one is none, but three are always allowed."""
    sim = lasting(cluster(0), circuit_breakers=replace(cluster(0).cluster.circuit_breakers, retry_budget=RetryBudget()))
    raw = go(client(replay(0.0), shape(to(0, policy=retry(2, ("5xx",))))), stations=(station(errors=((1.0, 503),)),), clusters=(sim,))
    assert records(raw)[0].gateway_attempts == 3
