"""Byte streams: section 21 of docs/background/engine-semantics.md."""

from __future__ import annotations

from dataclasses import replace
from math import comb, factorial
from typing import Any

import pytest
from builders import (
    MS,
    US,
    client,
    cluster,
    downstream,
    exponential,
    fleet,
    model,
    poisson,
    records,
    replay,
    shape,
    station,
    to,
    upstream,
    visits,
)

from gwsim.engine.codes import Counter, Flag
from gwsim.engine.draws import ns
from gwsim.engine.features import Feature, missing, used
from gwsim.engine.reference import Options, run
from gwsim.engine.schema import ANSWER_RESET, ANSWER_TIMEOUT, ANSWER_UPSTREAM, RawRun
from gwsim.scenario.model import (
    Change,
    ClosedLoop,
    Connection,
    Distribution,
    HashRule,
    Lifecycle,
    Model,
    Outage,
    Outcome,
    Shape,
    SimCluster,
    constant,
)
from gwsim.topology import LbPolicy, OutlierDetection

ALL = Options(records=100_000, trace=100_000)
RECORDS = Options(records=100_000)
ONCE = Connection(count=1, requests=1)
"""A connection for every request."""
ALWAYS = Outage(from_s=0.0, to_s=1e6)


def stream(*clusters: int | tuple[int, int], up: float = 0, down: float = 0, **fields: Any) -> Shape:
    """A shape whose bytes are handed on."""
    return shape(replace(to(*(clusters or (0,))), tcp=True, **fields), up=up, down=down)


def go(*clients: Any, **fields: Any) -> RawRun:
    return run(model(*clients, **fields), 0, ALL)


def count(raw: RawRun, counter: Counter, index: int = 0) -> int:
    return int(raw.cluster_counters[index, counter])


def lasting(sim: SimCluster, **fields: Any) -> SimCluster:
    return replace(sim, cluster=replace(sim.cluster, **fields))


# --- the worked example --------------------------------------------------------------------------------------


def worked_example(tls: Any = None, **outcome: Any) -> Model:
    """The table of section 21: two requests on one connection, which the client then closes."""
    web = client(
        replay(0.0, 500 * US), stream(up=100, down=1000, **outcome), connection=Connection(count=1, requests=2, tls=tls), rtt_s=40 * US,
        costs=downstream(
            accept_s=20 * US, read_s=10 * US, write_down_s=4 * US, close_s=3 * US, client_hello_full_s=7 * US, finished_full_s=2 * US,
        ),
    )
    costs = upstream(write_up_s=4 * US, read_up_s=6 * US, up_connected_s=8 * US, close_s=5 * US)
    return model(
        web, client(replay(0.002), shape(), name="later"), clusters=(cluster(0, costs=costs),), stations=(station(30 * US, tls_hello_s=50 * US),),
        fleets=(fleet(wakeup_s=10 * US, iteration_s=2 * US),), rtt_s=10 * US, start="cold", duration_s=0.01,
    )


def timeline(m: Model) -> list[tuple[str, float, float]]:
    """Visits of the first client, in microseconds."""
    return [(v.visit, v.start_ns / 1e3, v.end_ns / 1e3) for v in visits(run(m, 0, ALL)) if v.source == 0]


def test_the_worked_example() -> None:
    m = worked_example()
    assert timeline(m) == [
        ("ACCEPT", 72.0, 92.0), ("UP_CONNECTED", 114.0, 122.0), ("READ", 124.0, 134.0), ("WRITE_UP", 136.0, 140.0),
        ("READ_UP", 192.0, 198.0), ("WRITE_DOWN", 200.0, 204.0), ("READ", 532.0, 542.0), ("WRITE_UP", 544.0, 548.0),
        ("READ_UP", 600.0, 606.0), ("WRITE_DOWN", 608.0, 612.0), ("CLOSE", 664.0, 667.0), ("WRITE_UP", 669.0, 673.0),
        ("UP_CLOSE", 695.0, 700.0),
    ]  # fmt: skip
    first, second = records(run(m, 0, ALL))[:2]
    assert (first.end_ns, second.end_ns) == (224_000, 632_000)
    assert (first.connection_setup_ns, first.pool_wait_ns, first.proxy_cpu_ns) == (40_000, 22_000, 8_000 + 24_000)
    assert (second.connection_setup_ns, second.pool_wait_ns, second.proxy_cpu_ns) == (0, 0, 24_000)


def test_a_handshake_that_passes() -> None:
    """Inspected, then handed on: TLS 1.3 takes the client one round trip to the endpoint more, TLS 1.2 two."""
    one = timeline(worked_example("1.3", passthrough=True))
    assert one[:11] == [
        ("ACCEPT", 72.0, 92.0), ("CLIENT_HELLO", 94.0, 101.0), ("UP_CONNECTED", 123.0, 131.0), ("READ", 133.0, 143.0), ("WRITE_UP", 145.0, 149.0),
        ("READ_UP", 221.0, 227.0), ("WRITE_DOWN", 229.0, 233.0), ("READ", 285.0, 295.0), ("WRITE_UP", 297.0, 301.0),
        ("READ_UP", 353.0, 359.0), ("WRITE_DOWN", 361.0, 365.0),
    ]  # fmt: skip
    two = timeline(worked_example("1.2", passthrough=True))
    assert [name for name, _, _ in two[:15]] == [
        "ACCEPT", "CLIENT_HELLO", "UP_CONNECTED", *3 * ["READ", "WRITE_UP", "READ_UP", "WRITE_DOWN"],
    ]  # fmt: skip
    setup = [records(run(worked_example(version, passthrough=True), 0, ALL))[0].connection_setup_ns for version in ("1.3", "1.2")]
    assert setup == [253_000, 355_000]


def test_a_handshake_that_ends_at_the_gateway() -> None:
    """The hello waits until there is somewhere to send to; the handshake then is as for HTTP."""
    names = [name for name, _, _ in timeline(worked_example("1.3"))]
    assert names[:7] == ["ACCEPT", "UP_CONNECTED", "CLIENT_HELLO", "READ", "WRITE_UP", "READ_UP", "WRITE_DOWN"]
    assert records(run(worked_example("1.3"), 0, ALL))[0].connection_setup_ns == 151_000


def test_the_compiled_engine_lacks_them() -> None:
    assert Feature.TCP in used(worked_example())
    assert missing(worked_example())


# --- as other requests ---------------------------------------------------------------------------------------


def test_on_one_warm_connection_bytes_are_handed_on_as_requests_are() -> None:
    """READ, WRITE_UP, READ_UP, WRITE_DOWN: where nothing is opened, an exchange is an HTTP/1.1 request of the same costs."""
    costs = downstream(read_s=9 * US, read_byte_s=1e-9, write_down_s=5 * US, write_down_byte_s=2e-9)
    up = upstream(write_up_s=4 * US, write_up_byte_s=1e-9, read_up_s=6 * US, read_up_byte_s=1e-9)
    loop = ClosedLoop(connections=1, think_time_s=exponential(200 * US))
    m = model(
        client(loop, shape(up=700, down=9000), costs=costs, rtt_s=1 * MS), clusters=(cluster(0, costs=up),), stations=(station(exponential(1 * MS)),),
        fleets=(fleet(wakeup_s=10 * US, iteration_s=2 * US),), rtt_s=0.2 * MS, duration_s=0.5,
    )  # fmt: skip
    http = run(m, 0, ALL)
    tcp = run(replace(m, clients=(replace(m.clients[0], mix=(stream(up=700, down=9000),)),)), 0, ALL)
    assert len(http.records) > 100
    assert (http.records == tcp.records).all()
    assert (http.trace == tcp.trace).all()
    assert count(tcp, Counter.UPSTREAM_RQ_TOTAL) == count(tcp, Counter.UPSTREAM_CX_TOTAL) == 1


# --- the breaker, by theory ----------------------------------------------------------------------------------


def erlang_loss(c: int, a: float) -> float:
    """Erlang's B: what c places lose of a load of a."""
    return (a**c / factorial(c)) / sum(a**k / factorial(k) for k in range(c + 1))


def engset_loss(n: int, c: int, a: float) -> float:
    """Engset: of n sources, each of load a while it is idle, what c places lose of their calls."""
    return comb(n - 1, c) * a**c / sum(comb(n - 1, k) * a**k for k in range(c + 1))


def refused(raw: RawRun) -> float:
    """Share of connections refused for want of a place."""
    rs = records(raw)
    lost = [r for r in rs if r.status == 0]
    assert all(r.flags == Flag.UO and r.answer == ANSWER_RESET for r in lost)
    assert abs(count(raw, Counter.UPSTREAM_CX_OVERFLOW) - len(lost)) <= 1  # one may be unfinished
    return len(lost) / len(rs)


@pytest.mark.parametrize("holding", [exponential(4 * MS), constant(4 * MS)])
def test_max_connections_loses_what_erlang_says(holding: Distribution) -> None:
    """Connections that come at random and find c places: B(c, a), whatever the distribution of how long they stay."""
    web = client(poisson(1000.0), stream(), connection=ONCE)
    m = model(web, clusters=(cluster(0, max_connections=5),), stations=(station(holding),), duration_s=1.5)
    assert refused(run(m, 0, RECORDS)) == pytest.approx(erlang_loss(5, 4.0), abs=0.03)


def test_max_connections_loses_what_engset_says() -> None:
    """A closed number of clients, each of which comes back after it was served or refused."""
    loop = ClosedLoop(connections=8, think_time_s=exponential(5 * MS))
    m = model(client(loop, stream(), connection=ONCE), clusters=(cluster(0, max_connections=3),), stations=(station(exponential(5 * MS)),), duration_s=1.8)
    assert refused(run(m, 0, RECORDS)) == pytest.approx(engset_loss(8, 3, 1.0), abs=0.03)


def test_the_place_is_taken_until_the_endpoint_has_done_too() -> None:
    """A client that gives up after 10 ms does not stop the query of 100 ms, nor free its connection."""
    impatient = client(replay(0.0, 0.05, 0.2), stream(), connection=ONCE, timeout_s=10 * MS)
    raw = go(impatient, clusters=(cluster(0, max_connections=1),), stations=(station(100 * MS),), start="cold")
    assert [(r.answer, r.flags) for r in records(raw)] == [
        (ANSWER_TIMEOUT, Flag.DC), (ANSWER_RESET, Flag.UO), (ANSWER_TIMEOUT, Flag.DC),
    ]  # fmt: skip
    assert raw.station_jobs[0] == 2


# --- load balancing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [LbPolicy.ROUND_ROBIN, LbPolicy.LEAST_REQUEST, LbPolicy.RANDOM])
def test_a_connection_stays_where_it_is(policy: LbPolicy) -> None:
    """The host is chosen once for a connection, not for a request."""
    web = client(poisson(500.0), stream(), connection=Connection(count=12))
    raw = go(web, clusters=(cluster(0, 1, 2, lb=policy),), stations=tuple(station(name=f"b{i}") for i in range(3)))
    homes: dict[int, set[int]] = {}
    for r in records(raw):
        homes.setdefault(r.slot, set()).add(r.station)
    assert all(len(found) == 1 for found in homes.values())
    if policy is LbPolicy.ROUND_ROBIN:
        assert sorted(station for found in homes.values() for station in found) == [0] * 4 + [1] * 4 + [2] * 4


def test_least_request_counts_connections() -> None:
    """Two choices among hosts by their open connections: nearer to even than at random, however few requests they carry."""
    def spread(policy: LbPolicy) -> int:
        web = client(poisson(500.0), stream(), connection=Connection(count=400))
        raw = go(web, clusters=(cluster(0, 1, lb=policy),), stations=(station(name="b0"), station(name="b1")), duration_s=2.0)
        at = [{r.slot for r in records(raw) if r.station == i} for i in (0, 1)]
        assert len(at[0] | at[1]) == 400
        return abs(len(at[0]) - len(at[1]))

    assert spread(LbPolicy.LEAST_REQUEST) <= 4 < spread(LbPolicy.RANDOM)


def test_the_source_address_is_what_can_be_hashed() -> None:
    """Slots are clients: all connections of one go to the same host, those of different ones spread."""
    web = client(poisson(1000.0), stream(hash=(HashRule(kind="connection"),)), connection=Connection(count=40, requests=3))
    ring = lasting(cluster(0, 1, 2, lb=LbPolicy.RING_HASH), ring_size=1024)
    raw = go(web, clusters=(ring,), stations=tuple(station(name=f"b{i}") for i in range(3)))
    homes: dict[int, set[int]] = {}
    for r in records(raw):
        homes.setdefault(r.slot, set()).add(r.station)
    assert all(len(found) == 1 for found in homes.values())
    assert len(set.union(*homes.values())) == 3
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) > 100


def test_long_connections_do_not_move_to_a_new_pod_and_old_ones_that_end_do() -> None:
    """Four pods from 0.2 s on: without an end the new ones get nothing, with one a part of what is opened again."""
    def shares(duration_s: float) -> list[int]:
        living = Lifecycle(initial=2, start_s=0.0, deregister_s=1.0, drain_s=1.0, changes=(Change(at_s=0.2, kind="add", pods=2),))
        web = client(poisson(800.0), stream(max_duration_s=duration_s), connection=Connection(count=40))
        raw = go(web, fleets=(fleet(pods=4, lifecycle=living, front="round_robin"),), duration_s=1.0)
        late = [r.pod for r in records(raw) if r.start_ns > 6 * 10**8]
        return [late.count(pod) for pod in range(4)]

    assert shares(0.0)[2:] == [0, 0]
    assert min(shares(0.1)) > 40


# --- times and ends ------------------------------------------------------------------------------------------


def test_an_idle_connection_is_closed_and_a_busy_one_is_not() -> None:
    raw = go(client(replay(0.0, 0.03, 0.12), stream(idle_timeout_s=0.05), connection=Connection(count=1)), start="cold", duration_s=1.0)
    assert [r.status for r in records(raw)] == [200] * 3
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 2
    expiry = next(v for v in visits(raw) if v.visit == "UP_EXPIRE")
    assert 80 * MS <= expiry.start_ns / 1e9 <= 81.1 * MS


def test_an_exchange_longer_than_the_idle_time_out_is_cut_off() -> None:
    """Nothing moves while the database works: Envoy cannot tell a long query from a dead connection."""
    raw = go(client(replay(0.0), stream(idle_timeout_s=0.05), connection=Connection(count=1)), stations=(station(0.08),), duration_s=1.0)
    (r,) = records(raw)
    assert (r.status, r.answer, r.flags) == (0, ANSWER_RESET, 0)
    assert 50 * MS <= r.end_ns / 1e9 <= 51.1 * MS


def test_a_connection_that_is_too_old() -> None:
    """Closed at its age, with what is on it; the client finds out one way later."""
    web = client(replay(0.0, 0.09, 0.15), stream(max_duration_s=0.1), connection=Connection(count=1), rtt_s=2 * MS)
    raw = go(web, stations=(station(0.02),), start="cold", duration_s=1.0)
    assert [(r.status, r.flags) for r in records(raw)] == [(200, 0), (0, Flag.DT), (200, 0)]
    assert raw.gw_flags[0].sum() == 1


def test_an_endpoint_that_closes_idle_connections() -> None:
    """The client hears of it, and opens another."""
    web = client(replay(0.0, 0.02, 0.2), stream(), connection=Connection(count=1), rtt_s=1 * MS)
    raw = go(web, stations=(station(keepalive_s=0.05),), start="cold", duration_s=1.0, rtt_s=1 * MS)
    assert [r.status for r in records(raw)] == [200] * 3
    assert count(raw, Counter.UPSTREAM_CX_DESTROY_REMOTE) == count(raw, Counter.UPSTREAM_CX_DESTROY) == 1
    assert [r.handshake for r in records(raw)] == [1, 0, 1]


def test_a_request_that_meets_the_close() -> None:
    raw = go(client(replay(0.0, 0.058), stream(), connection=Connection(count=1)), stations=(station(keepalive_s=0.05),), start="cold", rtt_s=6 * MS, duration_s=1.0)
    assert [(r.status, r.answer) for r in records(raw)] == [(200, ANSWER_UPSTREAM), (0, ANSWER_RESET)]
    assert raw.station_jobs[0] == 1


# --- failures ------------------------------------------------------------------------------------------------


def test_no_connection() -> None:
    """Refused by the endpoint: UF and, as the one attempt allowed was it, URX; the client's connection is reset."""
    web = client(replay(0.0), stream(), connection=ONCE, rtt_s=2 * MS)
    raw = go(web, stations=(station(outages=(ALWAYS,)),), rtt_s=1 * MS, start="cold")
    (r,) = records(raw)
    assert (r.status, r.answer, r.flags) == (0, ANSWER_RESET, Flag.UF | Flag.URX)
    assert r.end_ns == 5_000_001  # there and back to be connected, the request, the endpoint's refusal, and back
    assert count(raw, Counter.UPSTREAM_CX_CONNECT_FAIL) == 1
    assert raw.gw_streams[0] == 1


def test_an_endpoint_that_is_silent() -> None:
    web = client(replay(0.0), stream(), connection=ONCE)
    raw = go(web, clusters=(lasting(cluster(0), connect_timeout_s=0.1),), stations=(station(outages=(replace(ALWAYS, kind="drop"),)),), start="cold")
    (r,) = records(raw)
    assert (r.status, r.flags) == (0, Flag.UF | Flag.URX)
    assert 100 * MS <= r.end_ns / 1e9 <= 101 * MS
    assert r.pool_wait_ns == pytest.approx(100 * MS * 1e9, rel=0.01)


@pytest.mark.parametrize(("target", "hosts", "flag"), [(-1, (0,), Flag.NC), (0, (), Flag.UH)])
def test_nowhere_to_go(target: int, hosts: tuple[int, ...], flag: Flag) -> None:
    raw = go(client(replay(0.0, 0.1), stream(target), connection=ONCE), clusters=(cluster(*hosts),))
    assert [(r.status, r.flags) for r in records(raw)] == [(0, flag)] * 2
    assert raw.good.sum() == 0


def test_connect_failures_eject() -> None:
    """Envoy's outlier detection knows nothing of a byte stream but whether it could be opened."""
    outlier = OutlierDetection(consecutive_5xx=3, interval_s=0.5, base_ejection_time_s=0.2, max_ejection_percent=100.0)
    web = client(poisson(500.0), stream(), connection=ONCE)
    raw = go(
        web, clusters=(lasting(cluster(0, 1), outlier_detection=outlier),), stations=(station(name="b0", outages=(ALWAYS,)), station(name="b1")), start="cold",
    )
    lost = [r for r in records(raw) if r.status == 0]
    assert count(raw, Counter.OUTLIER_EJECTIONS_ENFORCED_TOTAL) >= 1
    assert 3 <= len(lost) < 0.2 * len(raw.records)


def test_pending_connections_are_limited() -> None:
    """max_pending_requests limits how many may be opening at a time."""
    web = client(replay(0.0, 0.0, 0.0), stream(), connection=ONCE)
    raw = go(web, clusters=(cluster(0, max_pending_requests=2),), rtt_s=10 * MS, start="cold")
    assert sorted((r.status, r.flags) for r in records(raw)) == [(0, Flag.URX), (200, 0), (200, 0)]
    assert count(raw, Counter.UPSTREAM_RQ_PENDING_OVERFLOW) == 1


def test_warm_connections_have_theirs_upstream() -> None:
    """Up to the breaker; the rest are closed and find no place."""
    web = client(poisson(500.0), stream(), connection=Connection(count=10))
    raw = go(web, clusters=(cluster(0, max_connections=6),))
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 6
    assert {r.slot for r in records(raw) if r.status == 200} == set(range(6))


def test_cpu_is_that_of_the_visits() -> None:
    """Connections, handshakes and exchanges, each with its price: nothing is lost and nothing counted twice."""
    costs = downstream(accept_s=20 * US, read_s=10 * US, read_byte_s=1e-9, write_down_s=4 * US, close_s=3 * US, client_hello_full_s=70 * US)
    up = upstream(write_up_s=4 * US, read_up_s=6 * US, read_up_byte_s=2e-9, up_connected_s=8 * US, close_s=5 * US)
    web = client(
        poisson(300.0), stream(up=500, down=3000, passthrough=True), connection=Connection(count=1, requests=1, tls="1.3"), costs=costs, rtt_s=2 * MS,
    )
    raw = go(web, clusters=(cluster(0, costs=up),), rtt_s=1 * MS, start="cold", duration_s=1.0)
    n = count(raw, Counter.UPSTREAM_CX_TOTAL)
    per_request = 20 + 70 + 8 + 2 * (10 + 4 + 6 + 4) + 0.5 + 6.0 + 3 + 4 + 5
    assert raw.worker_visit_ns[0] == pytest.approx(n * ns(per_request * US), rel=0.01)


def test_outcomes_say_what_they_are() -> None:
    assert Outcome(route="r").tcp is False
    assert to(0).passthrough is False


def test_http2_that_passes_is_many_exchanges_on_one_connection() -> None:
    """What the client gives up the endpoint finishes; the connection stays."""
    mux = Connection(http=2, count=1, streams=100, tls="1.3")
    web = client(replay(0.0, 0.0, 0.02), stream(passthrough=True), connection=mux, timeout_s=30 * MS)
    raw = go(web, stations=(station(Distribution(kind="quantiles", points=((0.0, 0.01), (0.5, 0.01), (0.5, 0.05), (1.0, 0.05)), mean=0.03)),), start="cold")
    assert raw.station_jobs[0] == 3
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == count(raw, Counter.UPSTREAM_RQ_TOTAL) == 1
    assert {r.answer for r in records(raw)} == {ANSWER_UPSTREAM, ANSWER_TIMEOUT}
