"""The event loop of the reference engine: rules of section 5 of docs/background/engine-semantics.md."""

from __future__ import annotations

import pytest
from builders import (
    MS,
    US,
    client,
    cluster,
    downstream,
    fleet,
    local,
    model,
    records,
    replay,
    retry,
    shape,
    station,
    to,
    upstream,
    visits,
    worked_example,
)

from gwsim.engine.codes import Part, Visit
from gwsim.engine.reference import Options, run
from gwsim.engine.reference.agenda import Agenda
from gwsim.engine.reference.streams import UpstreamRequest
from gwsim.errors import InternalError
from gwsim.scenario.model import Connection

ALL = Options(records=1000, trace=1000)


def test_worked_example() -> None:
    raw = run(worked_example(), 0, ALL)
    table = [(v.start_ns - 1, v.end_ns - 1, v.visit, v.number) for v in visits(raw)]
    assert table == [
        (12_000, 22_000, "READ", 0), (22_000, 32_000, "READ", 1),
        (34_000, 44_000, "READ", 2), (44_000, 48_000, "WRITE_UP", 0), (48_000, 52_000, "WRITE_UP", 1),
        (54_000, 60_000, "READ_UP", 0), (60_000, 64_000, "WRITE_UP", 2),
        (66_000, 72_000, "READ_UP", 1), (72_000, 76_000, "WRITE_DOWN", 0),
        (78_000, 84_000, "READ_UP", 2), (84_000, 88_000, "WRITE_DOWN", 1),
        (90_000, 94_000, "WRITE_DOWN", 2),
    ]
    assert [r.end_ns - 2 for r in records(raw)] == [76_000, 88_000, 94_000]
    assert raw.worker_wakeups.tolist() == [1]
    assert raw.worker_iterations.tolist() == [6]
    assert raw.worker_cpu.tolist() == [94_000]


def test_components_of_the_worked_example() -> None:
    raw = run(worked_example(), 0, ALL)
    first = records(raw)[0]
    assert first.proxy_cpu_ns == 24_000  # 10 + 4 + 6 + 4
    assert first.client_network_ns == 2
    assert first.upstream_service_ns == 2_998
    assert first.upstream_network_ns == 2
    assert first.worker_queue_ns == 76_002 - 24_000 - 3_000 - 2
    assert first.upstream_ns == 3_000


def test_one_accept_per_iteration() -> None:
    """Three connections wait; requests of accepted ones are read in between, older items first."""
    raw = run(
        model(
            client(replay(0.0, 0.0, 0.0), shape(local(200)), costs=downstream(accept_s=10 * US, read_s=1 * US)),
            start="cold",
        ),
        0,
        ALL,
    )
    order = [(v.visit, v.number) for v in visits(raw)]
    assert order[:6] == [
        ("ACCEPT", 0), ("ACCEPT", 1), ("READ", 0), ("ACCEPT", 2), ("READ", 1), ("WRITE_DOWN", 0),
    ]
    assert raw.worker_connections.tolist() == [3]


def test_http2_reads_and_writes_coalesce() -> None:
    costs = downstream(read_s=10 * US, read_stream_s=1 * US, write_down_s=7 * US, write_down_stream_s=2 * US)
    web = client(
        replay(0.0, 0.0, 0.0), shape(local(200)), costs=costs, connection=Connection(http=2, count=1, streams=100)
    )
    raw = run(model(web), 0, ALL)
    assert [(v.visit, v.cost_ns) for v in visits(raw)] == [("READ", 13_000), ("WRITE_DOWN", 13_000)]
    assert {r.proxy_cpu_ns for r in records(raw)} == {26_000}
    assert raw.worker_streams.tolist() == [3]


def test_an_answer_joins_an_armed_write() -> None:
    """Two answers become ready within one iteration: the second joins the write that the first has armed."""
    web = client(replay(0.0, 0.0), connection=Connection(http=2, count=1, streams=100))
    slow = cluster(0, 1, costs=upstream(read_up_s=5 * US))
    raw = run(model(web, clusters=(slow,), stations=(station(1 * MS), station(1 * MS)), rtt_s=2 * MS), 0, ALL)
    assert [v.visit for v in visits(raw)][-3:] == ["READ_UP", "READ_UP", "WRITE_DOWN"]


def test_bytes_cost_cpu() -> None:
    costs = downstream(read_s=10 * US, read_byte_s=2e-9, write_down_byte_s=1e-9)
    web = client(replay(0.0), shape(up=1000, down=3000), costs=costs)
    up = upstream(write_up_byte_s=3e-9, read_up_byte_s=1e-9)
    raw = run(model(web, clusters=(cluster(0, costs=up),)), 0, ALL)
    assert [(v.visit, v.cost_ns) for v in visits(raw)] == [
        ("READ", 12_000), ("WRITE_UP", 3_000), ("READ_UP", 3_000), ("WRITE_DOWN", 3_000),
    ]


def test_a_timer_that_ends_a_sleep_is_rounded_up_to_whole_ms() -> None:
    """The worker falls asleep at 1 ns (zero costs); a route time-out of 2.5 ms wakes it 3 ms after that."""
    web = client(replay(0.0), shape(to(0, timeout_s=2.5 * MS)))
    raw = run(model(web, stations=(station(10 * MS),)), 0, ALL)
    last = [v for v in visits(raw) if v.visit == "ROUTE_TIMEOUT"]
    assert [v.start_ns for v in last] == [3_000_001]
    assert records(raw)[0].status == 504


def test_an_awake_worker_serves_a_timer_at_its_next_poll() -> None:
    """Somebody else's visit runs over the deadline: the timer is due when it ends, nothing is rounded."""
    web = client(replay(0.0), shape(to(0, timeout_s=2.5 * MS)))
    other = client(replay(2 * MS), shape(local(200)), name="other", costs=downstream(read_s=0.7 * MS))
    raw = run(model(web, other, stations=(station(10 * MS),)), 0, ALL)
    timer = next(v for v in visits(raw) if v.visit == "ROUTE_TIMEOUT")
    assert timer.start_ns == 2_700_001


def test_an_answer_precedes_its_time_out_in_an_iteration() -> None:
    """Answer and deadline fall into one visit of somebody else: the answer is read, the time-out never runs."""
    web = client(replay(0.0), shape(to(0, timeout_s=3 * MS)))
    other = client(replay(2 * MS), shape(local(200)), name="other", costs=downstream(read_s=5 * MS))
    raw = run(model(web, other, stations=(station(2.9 * MS),)), 0, ALL)
    assert "ROUTE_TIMEOUT" not in [v.visit for v in visits(raw)]
    assert records(raw)[0].status == 200


def test_waking_costs_w_and_the_sleep_is_not_cpu() -> None:
    web = client(replay(0.0, 50 * MS), shape(local(200)))
    raw = run(model(web, fleets=(fleet(wakeup_s=30 * US, iteration_s=5 * US),)), 0, ALL)
    assert raw.worker_wakeups.tolist() == [2]
    assert raw.worker_iterations.tolist() == [4]
    assert raw.worker_cpu.tolist() == [2 * 30_000 + 4 * 5_000]
    assert [r.worker_queue_ns for r in records(raw)] == [30_000 + 5_000 + 5_000] * 2


def test_cpu_is_windowed_by_the_instant_it_is_counted_at() -> None:
    web = client(replay(0.0, 50 * MS), shape(local(200)), costs=downstream(read_s=1 * MS))
    gateway = fleet(wakeup_s=30 * US, iteration_s=5 * US)
    raw = run(model(web, fleets=(gateway,), duration_s=0.1, warmup_s=0.02), 0, ALL)
    assert raw.worker_cpu.tolist() == [2 * (1_000_000 + 30_000 + 10_000)]
    assert raw.worker_window_cpu.tolist() == [1_000_000 + 30_000 + 10_000]
    assert raw.fleet_bin_cpu.sum() == raw.worker_cpu.sum()
    assert raw.fleet_bin_cpu[0].nonzero()[0].tolist() == [0, 2, 100, 102]  # poll and read; write after 1 ms


def test_ended_attempts_neither_wake_nor_keep_awake() -> None:
    """The answer of an attempt that timed out is never read, but the backend did the work."""
    web = client(replay(0.0), shape(to(0, timeout_s=2 * MS)))
    late = client(replay(20 * MS), shape(local(200)), name="late")
    raw = run(model(web, late, stations=(station(5 * MS),), fleets=(fleet(wakeup_s=1 * US),)), 0, ALL)
    assert raw.worker_visits[0, Visit.READ_UP] == 0
    assert raw.station_busy.tolist() == [5_000_000]
    assert raw.worker_wakeups.tolist() == [3]  # the request, its time-out, the late request


def test_work_of_a_pod_is_spread_by_the_kernel() -> None:
    web = client(replay(*(i * MS for i in range(200))), shape(local(200)), connection=Connection(count=200))
    raw = run(model(web, fleets=(fleet(pods=2, workers=2),)), 0, ALL)
    assert (raw.worker_streams > 20).all()
    assert raw.worker_streams.sum() == 200


def test_equal_keys_are_a_fault() -> None:
    agenda = Agenda()
    agenda.at(5, 7, lambda happening: None, None)
    agenda.at(5, 7, lambda happening: None, None)
    with pytest.raises(InternalError):
        agenda.step()


def test_void_events_are_no_events() -> None:
    agenda = Agenda()
    seen: list[int] = []
    agenda.at(5, 7, lambda happening: seen.append(1), None).cancel()
    agenda.at(5, 7, lambda happening: seen.append(2), None)
    agenda.step()
    assert seen == [2]


def test_the_key_decides_not_the_order_of_insertion() -> None:
    agenda = Agenda()
    seen: list[int] = []
    for key in (3, 1, 2):
        agenda.at(5, key, lambda happening: seen.append(happening.subject), key)
    for _ in range(3):
        agenda.step()
    assert seen == [1, 2, 3]


def test_equal_tie_keys_are_a_fault() -> None:
    request = UpstreamRequest.__new__(UpstreamRequest)
    with pytest.raises(InternalError):
        sorted([(0, Part.UP_RESPONSE, request), (0, Part.UP_RESPONSE, UpstreamRequest.__new__(UpstreamRequest))])


def test_timers_due_together_run_by_deadline() -> None:
    """One visit covers a stream's route time-out and its back-off; whichever was due first is visited first."""
    failing = station(1.5 * MS, errors=((1.0, 503),))
    busy = client(replay(2 * MS), shape(local(200)), name="busy", costs=downstream(read_s=100 * MS))
    kinds = {}
    for base_s in (1 * MS, 90 * MS):  # back-off of the first retry: 1 ns, or somewhere below 90 ms
        policy = retry(1, ("5xx",), base_interval_s=base_s, max_interval_s=base_s)
        web = client(replay(0.0), shape(to(0, timeout_s=2.2 * MS, policy=policy)))
        raw = run(model(web, busy, stations=(failing,)), 0, ALL)
        kinds[base_s] = [v.visit for v in visits(raw) if v.visit in ("BACKOFF", "ROUTE_TIMEOUT")]
        assert records(raw)[0].status == 504
    assert kinds == {1 * MS: ["BACKOFF", "ROUTE_TIMEOUT"], 90 * MS: ["ROUTE_TIMEOUT"]}
