"""Faults, rate limits, filters' calls and mirrors: section 14 of docs/background/engine-semantics.md.

The rows of token_bucket_impl_test.cc are Envoy's; the rows "delay and abort" and "delay before the route's time-out" are
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
    fleet,
    local,
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
from gwsim.engine.reference.rate_limits import Bucket as Tokens
from gwsim.scenario.model import (
    Abort,
    Bucket,
    Call,
    Connection,
    Delay,
    Mirror,
    Operation,
    Outcome,
    TokenBucket,
)

ALL = Options(records=100_000, trace=100_000)
MUX = Connection(http=2, count=1, streams=1000)


def through(*program: Operation, outcome: Outcome | None = None, **fields: Any) -> Any:
    return shape(replace(outcome or to(0), program=program, **fields))


def gateway(*args: Any, stations: Any = None, clusters: Any = None, **fields: Any) -> Any:
    buckets = fields.pop("buckets", ())
    made = model(*args, stations=stations or (station(),), clusters=clusters or (cluster(0),), **fields)
    return run(replace(made, buckets=buckets), 0, ALL)


# --- faults --------------------------------------------------------------------------------------------------


def test_a_delay_is_injected_before_the_route_begins() -> None:
    """A delay of 400 ms with a route time-out of 200 ms: 200 with DI, as measured: the router's clock starts later."""
    raw = gateway(client(replay(0.0), through(Delay(percent=100.0, delay_s=0.4), outcome=to(0, timeout_s=0.2))))
    (r,) = records(raw)
    assert (r.status, r.flags) == (200, Flag.DI)
    assert r.injected_delay_ns == 400 * 10**6
    assert raw.worker_visits[0, Visit.DELAY] == 1


def test_delay_and_abort() -> None:
    """503 DI,FI, not retried, and no request goes to the backend."""
    policy = retry(2, ("5xx",))
    raw = gateway(client(replay(0.0), through(Delay(percent=100.0, delay_s=0.1), Abort(percent=100.0, status=503), outcome=to(0, policy=policy))))
    (r,) = records(raw)
    assert (r.status, r.flags, r.answer, r.gateway_attempts) == (503, Flag.DI | Flag.FI, 0, 0)
    assert raw.station_jobs[0] == 0


def test_shares_of_faults() -> None:
    """30 % delayed, 20 % aborted, drawn apart."""
    program = (Delay(percent=30.0, delay_s=1e-3), Abort(percent=20.0, status=500))
    raw = gateway(client(poisson(4000.0), through(*program)))
    rows = records(raw)
    n = len(rows)
    delayed, aborted = sum(bool(r.flags & Flag.DI) for r in rows), sum(bool(r.flags & Flag.FI) for r in rows)
    both = sum(r.flags & (Flag.DI | Flag.FI) == Flag.DI | Flag.FI for r in rows)
    assert delayed / n == pytest.approx(0.3, abs=0.03)
    assert aborted / n == pytest.approx(0.2, abs=0.03)
    assert both / n == pytest.approx(0.06, abs=0.02)


def test_a_client_that_goes_away_during_a_delay() -> None:
    raw = gateway(client(replay(0.0), through(Delay(percent=100.0, delay_s=0.4)), timeout_s=0.1))
    (r,) = records(raw)
    assert (r.status, r.injected_delay_ns) == (0, 100 * 10**6 - 1)
    assert raw.worker_visits[0, Visit.DELAY] == 0


# --- local rate limits ---------------------------------------------------------------------------------------


def test_token_buckets() -> None:
    """token_bucket_impl_test.cc, for single tokens."""
    one = Tokens(TokenBucket(max_tokens=1, tokens_per_fill=1, fill_interval_s=2.0))
    assert [one.take(ms * 10**6) for ms in (0, 500, 1500, 2000, 2001)] == [True, False, False, True, False]
    ten = Tokens(TokenBucket(max_tokens=10, tokens_per_fill=1, fill_interval_s=1.0))
    assert [ten.take(0) for _ in range(11)] == [True] * 10 + [False]
    assert [ten.take(999 * 10**6), *(ten.take(5999 * 10**6) for _ in range(6)), ten.take(6000 * 10**6)] == [False] + [True] * 5 + [False, True]
    sixteen = Tokens(TokenBucket(max_tokens=16, tokens_per_fill=16, fill_interval_s=1.0))
    assert all(sixteen.take(0) for _ in range(16))
    assert [sixteen.take(62 * 10**6), sixteen.take(63 * 10**6)] == [False, True]
    capped = Tokens(TokenBucket(max_tokens=3))
    assert capped.take(0)
    assert [capped.take(10 * 10**9) for _ in range(4)] == [True, True, True, False]


def test_refill_is_continuous() -> None:
    """At most 1, 10 per 10 s: one accepted each second, as measured; not ten at once every ten seconds."""
    limit = TokenBucket(max_tokens=1, tokens_per_fill=10, fill_interval_s=10.0)
    web = client(replay(*(0.1 * i for i in range(60))), through(Bucket(buckets=(0,))))
    raw = gateway(web, buckets=(limit,), duration_s=6.0)
    passed = [round(r.start_ns / 1e9, 1) for r in records(raw) if r.status == 200]
    assert passed == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert {(r.status, r.flags) for r in records(raw) if r.status != 200} == {(429, Flag.RL)}


def test_every_pod_has_its_own_bucket() -> None:
    limit = TokenBucket(max_tokens=10, tokens_per_fill=1, fill_interval_s=1000.0)
    web = client(replay(*(MS * i for i in range(200))), through(Bucket(buckets=(0,))))
    for pods in (1, 3):
        raw = gateway(web, buckets=(limit,), fleets=(fleet(pods, 2),))
        assert sum(r.status == 200 for r in records(raw)) == 10 * pods


def test_enabled_and_enforced_shares() -> None:
    """Half of the requests are looked at, and a quarter of those refused."""
    limit = TokenBucket(max_tokens=1, tokens_per_fill=1, fill_interval_s=1e6)
    web = client(poisson(4000.0), through(Bucket(buckets=(0,), enabled_percent=50.0, enforced_percent=25.0)))
    raw = gateway(web, buckets=(limit,))
    assert sum(r.status == 429 for r in records(raw)) / len(raw.records) == pytest.approx(0.125, abs=0.02)


# --- calls ---------------------------------------------------------------------------------------------------


def asked(call: Call, service: Any, arrivals: Any = None, **fields: Any) -> Any:
    """Requests to a backend of 5 ms after a call to cluster 1."""
    costs = upstream(write_up_s=10 * US, read_up_s=20 * US)
    clusters = fields.pop("clusters", None) or (cluster(0, costs=costs, http=2), cluster(1, name="auth", costs=costs, http=2))
    web = client(arrivals or replay(0.0), through(call), **fields)
    return gateway(web, stations=(station(5 * MS), service), clusters=clusters, rtt_s=1 * MS)


def test_a_call_costs_two_visits_and_its_time() -> None:
    raw = asked(Call(cluster=1), station(3 * MS, name="auth"))
    (r,) = records(raw)
    assert (r.status, r.station, r.gateway_attempts) == (200, 0, 1)
    assert r.filter_calls_ns == 4 * 10**6 + 10_000
    exchanges = [(v.visit, v.a) for v in visits(raw) if v.visit in ("WRITE_UP", "READ_UP")]
    assert exchanges == [("WRITE_UP", 3000), ("READ_UP", 3000), ("WRITE_UP", 0), ("READ_UP", 0)]
    assert raw.cluster_counters[1, Counter.UPSTREAM_RQ_TOTAL] == 1
    assert raw.cluster_hist[1].sum() == 0


def test_a_denial_is_the_answer() -> None:
    raw = asked(Call(cluster=1), station(3 * MS, name="auth", errors=((1.0, 401),)))
    (r,) = records(raw)
    assert (r.status, r.flags, r.station) == (401, Flag.UAEX, -1)
    assert raw.station_jobs.tolist() == [0, 1]


@pytest.mark.parametrize("fail_open", [False, True])
@pytest.mark.parametrize("why", ["error", "slow", "no host", "overflow"])
def test_a_service_that_fails(why: str, fail_open: bool) -> None:
    """A time-out of 20 ms; what is not answered lets the request pass or refuses it."""
    call = Call(cluster=1, timeout_s=0.02, fail_open=fail_open, error_status=500, error_flag="RLSE")
    service = station(1.0 if why == "slow" else 1 * MS, name="auth", errors=((1.0, 503),) if why == "error" else ())
    auth = cluster(*(() if why == "no host" else (1,)), name="auth", http=2, **({"max_requests": 0} if why == "overflow" else {}))
    raw = asked(call, service, clusters=(cluster(0, http=2), auth))
    (r,) = records(raw)
    assert (r.status, r.flags) == ((200, 0) if fail_open else (500, Flag.RLSE))
    assert r.filter_calls_ns == {"error": 2 * 10**6, "slow": 20 * 10**6}.get(why, 0)
    assert raw.worker_visits[0, Visit.CALL_TIMEOUT] == (why == "slow")


def test_calls_wait_for_connections_like_any_request() -> None:
    """One HTTP/1.1 connection to the service: four calls one after the other."""
    auth = cluster(1, name="auth", max_connections=1)
    raw = asked(Call(cluster=1), station(3 * MS, name="auth"), replay(0.0, 0.0, 0.0, 0.0), clusters=(cluster(0, http=2), auth), connection=MUX)
    assert [round(r.filter_calls_ns / 1e6) for r in records(raw)] == [4, 8, 12, 16]


def test_a_client_that_goes_away_ends_the_call() -> None:
    raw = asked(Call(cluster=1), station(1.0, name="auth"), timeout_s=0.1)
    (r,) = records(raw)
    assert (r.status, r.filter_calls_ns) == (0, 100 * 10**6 - 1)
    assert raw.station_jobs.tolist() == [0, 1]


def test_calls_come_before_a_local_reply() -> None:
    """Also what the gateway would refuse anyway is asked for."""
    raw = gateway(
        client(replay(0.0), through(Call(cluster=1), outcome=local(404, "NR"))), stations=(station(), station(name="auth")),
        clusters=(cluster(0), cluster(1, name="auth")),
    )
    (r,) = records(raw)
    assert (r.status, r.flags) == (404, Flag.NR)
    assert raw.station_jobs.tolist() == [0, 1]


# --- mirrors and bodies --------------------------------------------------------------------------------------


def test_a_mirrored_copy_costs_the_worker_and_nobody_waits() -> None:
    """The shadow is slow and fails; the client sees neither."""
    plain = gateway(client(replay(0.0)), stations=(station(5 * MS), station(50 * MS, name="shadow", errors=((1.0, 503),))))
    raw = gateway(
        client(replay(0.0, 0.2), through(mirrors=(Mirror(cluster=1),))),
        stations=(station(5 * MS), station(50 * MS, name="shadow", errors=((1.0, 503),))), clusters=(cluster(0), cluster(1, name="shadow")),
    )
    first, second = records(raw)
    assert (first.status, first.end_ns) == (200, records(plain)[0].end_ns)
    assert second.status == 200
    assert raw.station_jobs.tolist() == [2, 2]
    assert raw.cluster_counters[1, Counter.UPSTREAM_RQ_5XX] >= 1
    assert raw.cluster_hist[1].sum() == 0


def test_shares_of_copies_and_a_missing_cluster() -> None:
    raw = gateway(
        client(poisson(2000.0), through(mirrors=(Mirror(cluster=-1), Mirror(cluster=1, percent=25.0)))),
        stations=(station(), station(name="shadow")), clusters=(cluster(0), cluster(1, name="shadow")),
    )
    assert raw.station_jobs[1] / raw.station_jobs[0] == pytest.approx(0.25, abs=0.04)


def test_a_copy_ends_with_the_route_s_time_out() -> None:
    raw = gateway(
        client(replay(0.0, 0.5), through(outcome=to(0, timeout_s=0.1), mirrors=(Mirror(cluster=1),))),
        stations=(station(), station(1.0, name="shadow")), clusters=(cluster(0), cluster(1, name="shadow")),
    )
    assert raw.worker_visits[0, Visit.CALL_TIMEOUT] >= 1
    assert [r.status for r in records(raw)] == [200, 200]


def test_a_direct_response_has_a_body() -> None:
    raw = gateway(client(replay(0.0), shape(replace(local(200), local_bytes=1500))))
    assert records(raw)[0].response_bytes == 1500
