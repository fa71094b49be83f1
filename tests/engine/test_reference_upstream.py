"""Pools, breakers, load balancing, stations: sections 6 to 8 of docs/background/engine-semantics.md."""

from __future__ import annotations

from collections import Counter as Tally

import pytest
from builders import (
    MS,
    US,
    client,
    cluster,
    downstream,
    exponential,
    fleet,
    local,
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
from gwsim.engine.reference import Options, run
from gwsim.scenario.model import Connection

ALL = Options(records=10_000, trace=10_000)
MUX = Connection(http=2, count=1, streams=1000)


def count(raw: object, counter: Counter, index: int = 0) -> int:
    return int(raw.cluster_counters[index, counter])  # type: ignore[attr-defined]


# --- pools ---------------------------------------------------------------------------------------------------


def test_a_cold_pool_opens_a_connection_and_the_stream_waits_for_it() -> None:
    up = upstream(up_connected_s=40 * US, write_up_s=10 * US)
    raw = run(model(client(replay(0.0)), clusters=(cluster(0, costs=up),), rtt_s=2 * MS, start="cold"), 0, ALL)
    gateway = [(v.visit, v.start_ns, v.end_ns) for v in visits(raw)][2:5]
    t = visits(raw)[1].end_ns  # the request was read
    assert gateway == [
        ("UP_CONNECTED", t + 2_000_000, t + 2_040_000), ("WRITE_UP", t + 2_040_000, t + 2_050_000),
        ("READ_UP", t + 4_050_000, t + 4_050_000),
    ]
    r = records(raw)[0]
    assert (r.pool_wait_ns, r.proxy_cpu_ns, r.upstream_network_ns) == (2_000_000, 50_000, 2_000_000)
    assert count(raw, Counter.UPSTREAM_RQ_PENDING_TOTAL) == count(raw, Counter.UPSTREAM_CX_TOTAL) == 1


@pytest.mark.parametrize("round_trips", [1, 2])
def test_tls_towards_the_endpoint_takes_its_round_trips(round_trips: int) -> None:
    up = upstream(up_connected_s=40 * US, up_tls_s=300 * US)
    sim = cluster(0, costs=up, tls=round_trips)
    raw = run(model(client(replay(0.0)), clusters=(sim,), rtt_s=2 * MS, start="cold"), 0, ALL)
    r = records(raw)[0]
    assert r.pool_wait_ns == 2_000_000 + 40_000 + round_trips * 2_000_000
    assert r.proxy_cpu_ns == 300_000


def test_a_freed_connection_takes_the_oldest_pending_stream() -> None:
    """One connection, three requests: the connection attempts are refused (one more when a stream has got the connection and another waits), served in order."""
    sim = cluster(0, max_connections=1)
    raw = run(model(client(replay(0.0, 1 * MS, 2 * MS)), clusters=(sim,), stations=(station(10 * MS),)), 0, ALL)
    assert [r.end_ns // 10**6 for r in records(raw)] == [10, 20, 30]
    assert [r.pool_wait_ns // 10**6 for r in records(raw)] == [0, 9, 18]
    assert count(raw, Counter.UPSTREAM_CX_OVERFLOW) == 3
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 1
    attach = [(v.number, v.visit) for v in visits(raw) if v.visit in ("READ_UP", "ATTACH")]
    assert attach == [(0, "READ_UP"), (0, "ATTACH"), (1, "READ_UP"), (1, "ATTACH"), (2, "READ_UP")]


def test_attach_comes_before_the_answer_is_written() -> None:
    sim = cluster(0, max_connections=1)
    raw = run(model(client(replay(0.0, 1 * MS)), clusters=(sim,), stations=(station(10 * MS),)), 0, ALL)
    kinds = [v.visit for v in visits(raw)]
    i = kinds.index("ATTACH")
    assert kinds[i - 1 : i + 3] == ["READ_UP", "ATTACH", "WRITE_DOWN", "WRITE_UP"]


def test_pending_streams_each_open_a_connection() -> None:
    raw = run(model(client(replay(0.0, 0.0, 0.0)), stations=(station(10 * MS),), rtt_s=2 * MS), 0, ALL)
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 3  # one was warm
    assert [r.pool_wait_ns for r in records(raw)] == [0, 2_000_000, 2_000_000]


def test_http2_streams_share_a_connection() -> None:
    web = client(replay(0.0, 0.0, 0.0), connection=MUX)
    sim = cluster(0, http=2)
    raw = run(model(web, clusters=(sim,), stations=(station(10 * MS),), rtt_s=2 * MS, start="cold"), 0, ALL)
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 1
    assert count(raw, Counter.UPSTREAM_RQ_PENDING_TOTAL) == 3
    assert [r.pool_wait_ns for r in records(raw)] == [2_000_000] * 3


def test_max_pending_overflows() -> None:
    sim = cluster(0, max_connections=1, max_pending_requests=1)
    raw = run(model(client(replay(0.0, 1 * MS, 2 * MS)), clusters=(sim,), stations=(station(10 * MS),)), 0, ALL)
    assert [(r.status, r.flags) for r in records(raw)] == [(200, 0), (200, 0), (503, Flag.UO)]
    assert count(raw, Counter.UPSTREAM_RQ_PENDING_OVERFLOW) == 1


@pytest.mark.parametrize("http", [1, 2])
def test_max_requests_overflows(http: int) -> None:
    """HTTP/1.1: the second waits for a connection of its own and is refused when that is there."""
    sim = cluster(0, http=http, max_requests=1)
    raw = run(model(client(replay(0.0, 1 * MS)), clusters=(sim,), stations=(station(10 * MS),), rtt_s=2 * MS), 0, ALL)
    first, second = records(raw)
    assert (first.status, second.status, second.flags) == (200, 503, Flag.UO)
    assert second.pool_wait_ns == (2_000_000 if http == 1 else 0)
    assert second.station == -1
    assert count(raw, Counter.UPSTREAM_RQ_ACTIVE_OVERFLOW) == 1
    assert raw.covered.tolist() == [1]
    assert raw.gateway_attempts.tolist() == [2]


def test_breakers_are_per_pod() -> None:
    sim = cluster(0, max_connections=1, max_pending_requests=0)
    web = client(replay(*[0.0] * 40), connection=Connection(count=100))
    for pods in (1, 4):
        raw = run(
            model(web, clusters=(sim,), stations=(station(10 * MS),), fleets=(fleet(pods=pods),)), 0, ALL
        )
        assert sum(r.status == 200 for r in records(raw)) == pods


def test_a_cluster_without_endpoints_is_503_uh() -> None:
    raw = run(model(client(replay(0.0)), clusters=(cluster(),)), 0, ALL)
    assert [(r.status, r.flags, r.cluster, r.gateway_attempts) for r in records(raw)] == [(503, Flag.UH, 0, 0)]
    assert count(raw, Counter.UPSTREAM_CX_NONE_HEALTHY) == 1


def test_warm_pools_respect_max_connections() -> None:
    sim = cluster(0, 1, 2, max_connections=4)
    raw = run(
        model(
            client(replay(0.0), shape(local(200)), shape(to(0), weight=0.0)), clusters=(sim,),
            stations=(station(), station(), station()), fleets=(fleet(pods=2, workers=2),),
        ), 0, ALL,
    )
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 8  # 4 of 6 on each pod


def test_a_route_time_out_closes_the_connection_and_opens_one_for_those_who_wait() -> None:
    sim = cluster(0, max_connections=1)
    impatient, patient = shape(to(0, timeout_s=5 * MS)), shape(to(0), name="patient")
    web = client(replay(0.0), impatient)
    other = client(replay(1 * MS), patient, name="other")
    raw = run(model(web, other, clusters=(sim,), stations=(station(20 * MS),), rtt_s=2 * MS), 0, ALL)
    first, second = records(raw)
    assert (first.status, first.flags) == (504, Flag.UT)
    assert count(raw, Counter.UPSTREAM_CX_DESTROY) == 1
    assert count(raw, Counter.UPSTREAM_CX_TOTAL) == 2
    connected = next(v for v in visits(raw) if v.visit == "UP_CONNECTED")
    assert (connected.source, connected.number) == (0, 0)  # in the name of the attempt that ended
    assert second.status == 200


def test_a_pending_stream_that_times_out_is_cancelled() -> None:
    sim = cluster(0, max_connections=1)
    web = client(replay(0.0, 1 * MS), shape(to(0, timeout_s=8 * MS)))
    raw = run(model(web, clusters=(sim,), stations=(station(7.5 * MS),)), 0, ALL)
    assert [(r.status, r.flags) for r in records(raw)] == [(200, 0), (504, Flag.UT)]
    sim = cluster(0, max_connections=1)
    raw = run(model(web, clusters=(sim,), stations=(station(30 * MS),)), 0, ALL)
    assert count(raw, Counter.UPSTREAM_RQ_CANCELLED) == 0  # the first one's end let the second connect
    slow = client(replay(0.0), name="slow")
    raw = run(model(slow, web, clusters=(sim,), stations=(station(30 * MS),)), 0, ALL)
    assert count(raw, Counter.UPSTREAM_RQ_CANCELLED) == 2


# --- load balancing ------------------------------------------------------------------------------------------


def test_round_robin_turns_per_worker() -> None:
    web = client(replay(*(i * MS for i in range(12))))
    stations = tuple(station() for _ in range(3))
    raw = run(model(web, clusters=(cluster(0, 1, 2),), stations=stations), 0, ALL)
    first = records(raw)[0].station
    assert [r.station for r in records(raw)] == [(first + i) % 3 for i in range(12)]


def test_weights_are_kept_by_the_draw() -> None:
    """A change of weight moves only the requests in between."""
    def chosen(weight: int) -> list[int]:
        web = client(replay(*(i * 0.1 * MS for i in range(2000))), shape(to((0, 100 - weight), (1, weight))))
        sims = (cluster(0, name="stable"), cluster(1, name="canary"))
        return [r.cluster for r in records(run(model(web, clusters=sims, stations=(station(), station())), 0, ALL))]
    ten, thirty = chosen(10), chosen(30)
    assert sum(ten) / 2000 == pytest.approx(0.1, abs=0.02)
    assert sum(thirty) / 2000 == pytest.approx(0.3, abs=0.03)
    assert all(a <= b for a, b in zip(ten, thirty, strict=True))


def test_classes_count_the_clusters_chosen() -> None:
    web = client(replay(*(i * MS for i in range(100))), shape(to((0, 1), (1, 1), (-1, 1))))
    raw = run(model(web, clusters=(cluster(0), cluster())), 0, ALL)
    tally = Tally(r.cluster for r in records(raw))
    assert raw.class_cluster.tolist() == [[tally[0], tally[1]]]
    assert tally[-1] == 100 - raw.class_cluster.sum()


# --- stations ------------------------------------------------------------------------------------------------


def test_a_station_serves_in_order_with_its_servers() -> None:
    web = client(replay(*[i * 1e-6 for i in range(5)]))
    raw = run(model(web, clusters=(cluster(0, http=2),), stations=(station(10 * MS, concurrency=2),)), 0, ALL)
    assert [round(r.upstream_queue_ns / 1e6) for r in records(raw)] == [0, 0, 10, 10, 20]
    assert raw.station_busy.tolist() == [50_000_000]
    assert raw.station_wait.tolist() == [sum(r.upstream_queue_ns for r in records(raw))]


def test_a_full_queue_answers_503_at_once() -> None:
    web = client(replay(*[i * 1e-6 for i in range(5)]))
    raw = run(model(web, clusters=(cluster(0, http=2),), stations=(station(10 * MS, concurrency=2, queue=1),)), 0, ALL)
    assert [r.status for r in records(raw)] == [200, 200, 200, 503, 503]
    assert raw.station_rejected.tolist() == [2]
    assert raw.station_jobs.tolist() == [5]
    assert count(raw, Counter.UPSTREAM_RQ_5XX) == 2


def test_a_station_errs_in_its_shares() -> None:
    web = client(replay(*(i * 0.1 * MS for i in range(3000))))
    flaky = station(errors=((0.1, 503), (0.2, 404)))
    raw = run(model(web, stations=(flaky,)), 0, ALL)
    assert raw.status[0, 503] == pytest.approx(300, abs=50)
    assert raw.status[0, 404] == pytest.approx(600, abs=70)
    assert raw.station_errors.tolist() == [raw.status[0, 503] + raw.status[0, 404]]


def test_zones_have_their_round_trips() -> None:
    far = station(name="far", zone="b")
    web = client(replay(0.0))
    raw = run(model(web, stations=(far,), rtt_s=3 * MS), 0, ALL)
    assert records(raw)[0].upstream_network_ns == 3_000_000


def test_response_bytes_are_only_those_of_answers_below_500() -> None:
    web = client(replay(0.0), shape(down=500), costs=downstream(write_down_byte_s=1e-6))
    up = upstream(read_up_byte_s=1e-6)
    for status, size in ((404, 500), (503, 0)):
        raw = run(model(web, clusters=(cluster(0, costs=up),), stations=(station(errors=((1.0, status),)),)), 0, ALL)
        r = records(raw)[0]
        assert (r.response_bytes, r.proxy_cpu_ns) == (size, 2 * size * 1000)


def test_draws_of_service_times_do_not_depend_on_the_rest() -> None:
    """The same requests see the same service times behind one worker or eight."""
    web = client(poisson(300.0))
    slow = station(exponential(2 * MS))
    one = run(model(web, stations=(slow,)), 0, ALL)
    eight = run(model(web, stations=(slow,), fleets=(fleet(pods=2, workers=4, wakeup_s=50 * US),)), 0, ALL)
    assert [r.upstream_service_ns for r in records(one)][:250] == [r.upstream_service_ns for r in records(eight)][:250]
