"""Calls of backends: by hand, by queueing theory, and what becomes of a request when they fail."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import pytest
from builders import (
    MS,
    client,
    cluster,
    derived,
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
)

from gwsim.engine.codes import Component, Flag
from gwsim.engine.reference import Options, run
from gwsim.engine.schema import ANSWER_TIMEOUT, RawRun
from gwsim.errors import UsageError
from gwsim.scenario.model import (
    CallOut,
    Change,
    Client,
    ClientRetry,
    Connection,
    Distribution,
    Lifecycle,
    Model,
    Stage,
    Station,
)

ALL = Options(records=10**6, trace=10**6, digest=True)


def call(shape_: int = 0, **fields: Any) -> CallOut:
    """A call of the second client."""
    return CallOut(client=1, shape=shape_, **fields)


def service(arrivals: Any, *stages: Stage, outer: Station | None = None, inner: Station | None = None, dial: Client | None = None, **run_: Any) -> Model:
    """A client, a gateway, a backend that calls another one through a proxy of its own; nothing but the backends takes time."""
    return model(
        client(arrivals),
        dial or derived("dial", 1, shape(to(1))),
        clusters=(cluster(0, name="outer", http=2), cluster(1, name="inner", http=2)),
        stations=(replace(outer or station(1 * MS), calls=stages), inner or station(4 * MS, name="b1")),
        fleets=(fleet(), fleet(name="proxy")),
        **run_,
    )


def mean_ms(raw: RawRun, component: Component, class_id: int = 0) -> float:
    return float(raw.component_sum[class_id, component] / raw.covered[class_id] / 1e6)


# --- by hand -------------------------------------------------------------------------------------------------


def test_one_request_with_two_stages_of_calls() -> None:
    """1 ms of work, two calls at a time and one after them, 4 ms each and 4 ns on the way (client and backend of the proxy)."""
    raw = run(service(replay(0.0), (call(), call()), (call(),)), 0, ALL)
    web, *dials = records(raw)
    served = 10**6 + 2
    assert [(r.start_ns, r.end_ns) for r in dials] == [(served, served + 4 * 10**6 + 4)] * 2 + [(served + 4 * 10**6 + 4, served + 8 * 10**6 + 8)]
    assert (web.upstream_queue_ns, web.upstream_service_ns, web.next_hop_ns, web.upstream_network_ns) == (0, 10**6, 8 * 10**6 + 8, 2)
    assert web.end_ns == 9 * 10**6 + 12
    assert (web.status, [r.number for r in dials], raw.offered.tolist()) == (200, [0, 1, 2], [1, 3])
    assert raw.requests[0] == 1
    assert raw.station_busy.tolist() == [10**6, 3 * 4 * 10**6]


def test_the_server_is_held_during_calls() -> None:
    """One server: the second request waits for the calls of the first, is refused if nobody may wait."""
    outer = station(1 * MS, concurrency=1)
    first, second = [r for r in records(run(service(replay(0.0, 2 * MS), (call(),), outer=outer), 0, ALL)) if r.source == 0]
    assert (first.upstream_queue_ns, second.upstream_queue_ns) == (0, 3 * 10**6 + 4)
    raw = run(service(replay(0.0, 2 * MS, 6 * MS), (call(),), outer=replace(outer, queue=0)), 0, ALL)
    assert [r.status for r in records(raw) if r.source == 0] == [200, 503, 200]
    assert (raw.station_jobs[0], raw.station_rejected[0]) == (3, 1)


def test_calls_that_do_not_apply() -> None:
    assert run(service(replay(0.0), (call(percent=0.0),), (call(classes=frozenset({(0, 1)})),)), 0).offered.tolist() == [1, 0]
    assert run(service(replay(0.0), (call(percent=0.0),), (call(classes=frozenset({(0, 0)})),)), 0).offered.tolist() == [1, 1]
    raw = run(service(poisson(1000.0), (call(percent=30.0),)), 0)
    n = raw.offered[0]
    assert abs(raw.offered[1] - 0.3 * n) < 4 * sqrt(0.21 * n)


def test_a_backend_that_needs_no_call_is_like_any_other() -> None:
    """With calls that never apply every request takes what it takes at a backend without calls."""
    outer = station(exponential(2 * MS), concurrency=2, queue=3, errors=((0.1, 503),))
    with_calls = service(poisson(900.0), (call(percent=0.0),), outer=outer)
    without = service(poisson(900.0), outer=outer)
    a, b = run(with_calls, 0, ALL), run(without, 0, ALL)
    assert a.digest == b.digest
    for name in ("station_jobs", "station_rejected", "area", "latency_hist"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist()
    assert a.station_rejected[0] > 0


# --- by theory -----------------------------------------------------------------------------------------------


def test_two_stations_in_series() -> None:
    """M/M/inf calls M/M/1: what leaves the first is Poisson (Burke), so the second has the sojourn of M/M/1."""
    rate, inner = 120.0, 5 * MS
    m = service(
        poisson(rate), (call(),), outer=station(exponential(3 * MS)), inner=station(exponential(inner), name="b1", concurrency=1),
        duration_s=25.0, warmup_s=1.0,
    )
    raw = run(m, 0)
    assert mean_ms(raw, Component.UPSTREAM_SERVICE) == pytest.approx(3.0, rel=0.06)
    assert mean_ms(raw, Component.NEXT_HOP) == pytest.approx(1e3 / (1 / inner - rate), rel=0.2)
    assert raw.component_sum[0, Component.NEXT_HOP] == pytest.approx(raw.latency_sum[1], rel=1e-9)


def test_calls_at_the_same_time_take_as_long_as_the_longest() -> None:
    """The longest of two exponential times is 1.5 times the mean, of three 1 + 1/2 + 1/3; one after the other they add."""
    inner = station(exponential(4 * MS), name="b1")
    for stages, expected in ((((call(), call()),), 6.0), (((call(),) * 3,), 4 * 11 / 6), (((call(),), (call(),)), 8.0)):
        raw = run(service(poisson(400.0), *stages, inner=inner, duration_s=2.0), 0)
        assert mean_ms(raw, Component.NEXT_HOP) == pytest.approx(expected, rel=0.08)


def test_a_server_that_is_held_is_busy() -> None:
    """One server, 2 ms of its own and a call of 2 ms, both exponential: M/G/1 with a service of Erlang(2) (Pollaczek-Khinchine)."""
    rate, part = 150.0, 2 * MS
    m = service(
        poisson(rate), (call(),), outer=station(exponential(part), concurrency=1), inner=station(exponential(part), name="b1"),
        duration_s=20.0, warmup_s=1.0,
    )
    raw = run(m, 0)
    second_moment, rho = 6 * part**2, rate * 2 * part
    assert mean_ms(raw, Component.UPSTREAM_QUEUE) == pytest.approx(1e3 * rate * second_moment / (2 * (1 - rho)), rel=0.2)
    assert raw.station_busy[0] / 20e9 == pytest.approx(rate * part, rel=0.06)  # its own work alone


# --- failures ------------------------------------------------------------------------------------------------


def test_a_critical_call_that_fails_fails_the_request() -> None:
    broken = station(4 * MS, name="b1", errors=((1.0, 500),))
    raw = run(service(replay(0.0), (call(), call(critical=False)), (call(),), inner=broken, outer=replace(station(), call_error_status=502)), 0, ALL)
    web = records(raw)[0]
    assert (web.status, raw.offered.tolist(), raw.station_errors.tolist()) == (502, [1, 2], [1, 2])  # no second stage
    assert web.next_hop_ns == 4 * 10**6 + 4
    raw = run(service(replay(0.0), (call(critical=False),), (call(critical=False),), inner=broken), 0, ALL)
    assert (records(raw)[0].status, raw.offered.tolist()) == (200, [1, 2])


def test_an_error_of_the_backend_itself_saves_the_calls() -> None:
    raw = run(service(replay(0.0), (call(),), outer=station(1 * MS, errors=((1.0, 503),))), 0, ALL)
    assert (records(raw)[0].status, raw.offered.tolist()) == (503, [1, 0])
    raw = run(service(replay(0.0), (call(),), outer=station(1 * MS, errors=((1.0, 404),))), 0, ALL)
    assert (records(raw)[0].status, raw.offered.tolist()) == (404, [1, 1])


def test_the_caller_has_a_time_out_and_retries_of_its_own() -> None:
    dial = derived("dial", 1, shape(to(1)), timeout_s=3 * MS, retry=ClientRetry(attempts=2, base_s=1e-9, max_s=1e-9))
    raw = run(service(replay(0.0), (call(),), dial=dial), 0, ALL)
    web, made = records(raw)
    assert (made.status, made.answer, made.client_attempts, made.end_ns - made.start_ns) == (0, ANSWER_TIMEOUT, 3, 9 * 10**6 + 2)
    assert (web.status, web.next_hop_ns) == (500, 9 * 10**6 + 2)
    assert raw.client_attempts.tolist() == [1, 3]


def test_retries_of_gateway_and_backend_multiply() -> None:
    """Three tries at the gateway, three at the proxy of the backend that calls: nine jobs at the last one."""
    policy = retry(2, base_interval_s=1e-3, max_interval_s=1e-3)
    m = service(replay(0.0), (call(),), inner=station(name="b1", errors=((1.0, 503),)), dial=derived("dial", 1, shape(to(1, policy=policy))))
    raw = run(replace(m, clients=(client(replay(0.0), shape(to(0, policy=policy))), m.clients[1])), 0, ALL)
    assert raw.station_jobs.tolist() == [3, 9]
    assert raw.offered.tolist() == [1, 3]


def test_calls_go_on_when_nobody_waits_any_more() -> None:
    m = service(replay(0.0, 30 * MS), (call(),), (call(),))
    impatient = client(replay(0.0, 30 * MS), shape(to(0, timeout_s=2 * MS)))
    raw = run(replace(m, clients=(impatient, m.clients[1])), 0, ALL)
    web = records(raw)[0]
    assert (web.status, web.flags, web.upstream_service_ns, web.next_hop_ns) == (504, Flag.UT, 10**6, 10**6 - 1)
    assert raw.finished.tolist() == [2, 2]  # the two of the first request; those of the second run at the stop
    assert raw.offered.tolist() == [2, 3]


def test_a_proxy_that_is_killed_fails_the_calls_that_go_through_it() -> None:
    m = service(replay(0.0, 100 * MS), (call(),), duration_s=0.5)
    gone = replace(m.fleets[1], lifecycle=Lifecycle(initial=1, start_s=1.0, deregister_s=1.0, drain_s=1.0, changes=(Change(at_s=3 * MS, kind="kill"),)))
    raw = run(replace(m, fleets=(m.fleets[0], gone)), 0, ALL)
    assert [(r.status, r.next_hop_ns // 10**6) for r in records(raw) if r.source == 0] == [(500, 1), (500, 1)]


# --- the proxy beside the backend ----------------------------------------------------------------------------


def beside(**connection: Any) -> Model:
    """Two backends, each with a proxy pod of its own beside it, in the order of the pods turned round."""
    m = service(poisson(600.0), (call(),), dial=derived("dial", 1, shape(to(1)), own_pod=True, connection=Connection(**connection)), duration_s=0.5)
    one, inner = m.stations
    return replace(
        m, stations=(replace(one, pod=1), inner, replace(one, name="b2", pod=0)), fleets=(m.fleets[0], fleet(2, name="proxy")),
        clusters=(cluster(0, 2, name="outer", http=2), m.clusters[1]),
    )


def test_each_backend_dials_the_proxy_beside_it() -> None:
    raw = run(beside(count=2), 0, ALL)
    pods = {(r.station, pod) for r, pod in zip([r for r in records(raw) if r.source == 0], [r.pod for r in records(raw) if r.source == 1], strict=False)}
    assert {r.pod for r in records(raw) if r.source == 1} == {1, 2}
    assert pods
    jobs = raw.station_jobs[[0, 2]]
    streams = raw.worker_streams
    assert abs(streams[2] - jobs[0]) <= 1
    assert abs(streams[1] - jobs[1]) <= 1
    assert raw.worker_connections[1:].tolist() == [0, 0] or max(r.slot for r in records(raw) if r.source == 1) > 1


def test_the_slots_of_each_backend_are_its_own() -> None:
    """With no slots to begin with each backend opens the first of its own."""
    raw = run(beside(count=0), 0, ALL)
    opened = [r for r in records(raw) if r.source == 1 and r.handshake]
    assert {(r.pod, r.slot) for r in opened} >= {(1, 0), (2, 0)}
    assert all(n > 0 for n in raw.worker_connections[1:].tolist())


def test_a_backend_without_a_pod_beside_it_cannot_dial_it() -> None:
    m = beside()
    with pytest.raises(UsageError, match="no pod 5"):
        run(replace(m, stations=(replace(m.stations[0], pod=5), *m.stations[1:])), 0)
    with pytest.raises(UsageError, match="cannot come and go"):
        run(replace(m, fleets=(m.fleets[0], replace(m.fleets[1], lifecycle=Lifecycle(initial=1, start_s=1.0, deregister_s=1.0, drain_s=1.0)))), 0)


def test_a_slow_call_is_counted_where_it_is_slow() -> None:
    """A service time of any shape: the caller's NEXT_HOP is the sum of the latencies of its calls, one after the other."""
    slow = station(Distribution(kind="lognormal", a=-6.0, b=1.0), name="b1", concurrency=2)
    raw = run(service(poisson(200.0), (call(),), (call(),), inner=slow, duration_s=2.0), 0)
    assert raw.finished[1] == 2 * raw.finished[0]
    assert raw.component_sum[0, Component.NEXT_HOP] == raw.latency_sum[1]
