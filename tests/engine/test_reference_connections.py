"""Connections between client and gateway: section 4 of docs/background/engine-semantics.md, by hand arithmetic.

Round trips of 2 ms: 1 ms each way.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

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
    shape,
    station,
    to,
    upstream,
    visits,
)

from gwsim.engine.codes import Flag
from gwsim.engine.reference import Options, run
from gwsim.engine.schema import HANDSHAKE_FULL, HANDSHAKE_NONE, HANDSHAKE_PLAIN, HANDSHAKE_RESUMED
from gwsim.scenario.model import ClosedLoop, Connection, constant

ALL = Options(records=1000, trace=1000)
OK = shape(local(200))
TLS_COSTS = downstream(
    accept_s=100 * US, client_hello_full_s=1000 * US, client_hello_resumed_s=300 * US, finished_full_s=100 * US,
    finished_resumed_s=50 * US, read_s=10 * US, write_down_s=20 * US,
)


def us(*instants: int) -> list[float]:
    return [instant / 1000 for instant in instants]


def test_plaintext_setup() -> None:
    """SYN, SYN-ACK, then ACK and request together."""
    raw = run(model(client(replay(0.0), OK, rtt_s=2 * MS, costs=TLS_COSTS), start="cold"), 0, ALL)
    assert [(v.visit, *us(v.start_ns, v.end_ns)) for v in visits(raw)] == [
        ("ACCEPT", 3000, 3100), ("READ", 3100, 3110), ("WRITE_DOWN", 3110, 3130),
    ]
    r = records(raw)[0]
    assert r.handshake == HANDSHAKE_PLAIN
    assert us(r.connection_setup_ns, r.client_network_ns, r.worker_queue_ns, r.proxy_cpu_ns) == [2000, 2000, 100, 30]
    assert us(r.end_ns) == [4130]


def test_tls13_setup() -> None:
    tls13 = Connection(count=1, tls="1.3")
    raw = run(model(client(replay(0.0), OK, rtt_s=2 * MS, costs=TLS_COSTS, connection=tls13), start="cold"), 0, ALL)
    assert [(v.visit, *us(v.start_ns, v.end_ns)) for v in visits(raw)] == [
        ("ACCEPT", 3000, 3100), ("CLIENT_HELLO", 3100, 4100),
        ("READ", 6100, 6210),  # Finished and the request were delivered together
        ("WRITE_DOWN", 6210, 6230),
    ]
    r = records(raw)[0]
    assert r.handshake == HANDSHAKE_FULL
    assert us(r.connection_setup_ns, r.client_network_ns, r.worker_queue_ns, r.proxy_cpu_ns) == [5100, 2000, 0, 130]


def test_tls12_full_setup() -> None:
    tls12 = Connection(count=1, tls="1.2")
    raw = run(model(client(replay(0.0), OK, rtt_s=2 * MS, costs=TLS_COSTS, connection=tls12), start="cold"), 0, ALL)
    assert [(v.visit, *us(v.start_ns, v.end_ns)) for v in visits(raw)] == [
        ("ACCEPT", 3000, 3100), ("CLIENT_HELLO", 3100, 4100), ("FINISHED", 6100, 6200),
        ("READ", 8200, 8210), ("WRITE_DOWN", 8210, 8230),
    ]
    assert us(records(raw)[0].connection_setup_ns) == [7200]


def test_tls12_resumed_setup() -> None:
    """The second connection of the slot resumes: one round trip less, and cheaper."""
    tls12 = Connection(count=1, tls="1.2", requests=1, offers_ticket=1.0)
    web = client(replay(0.0, 50 * MS), OK, rtt_s=2 * MS, costs=TLS_COSTS, connection=tls12)
    raw = run(model(web, start="cold"), 0, ALL)
    assert [(v.visit, *us(v.start_ns, v.end_ns)) for v in visits(raw) if v.number == 1] == [
        ("ACCEPT", 53000, 53100), ("CLIENT_HELLO", 53100, 53400), ("READ", 55400, 55460),
        ("WRITE_DOWN", 55460, 55480),
    ]
    assert [r.handshake for r in records(raw)] == [HANDSHAKE_FULL, HANDSHAKE_RESUMED]


def test_tickets_are_accepted_only_by_the_pod_that_issued_them() -> None:
    tls = Connection(count=1, tls="1.3", requests=1, offers_ticket=1.0)
    web = client(replay(*(i * 5 * MS for i in range(100))), OK, connection=tls)
    raw = run(model(web, fleets=(fleet(pods=3),), start="cold"), 0, ALL)
    rs = records(raw)
    assert {r.pod for r in rs} == {0, 1, 2}
    for before, r in pairwise(rs):
        assert r.handshake == (HANDSHAKE_RESUMED if r.pod == before.pod else HANDSHAKE_FULL)


def test_round_robin_front() -> None:
    web = client(replay(*(i * 5 * MS for i in range(9))), OK, connection=Connection(count=1, requests=1))
    raw = run(model(web, fleets=(fleet(pods=3, front="round_robin"),), start="cold"), 0, ALL)
    assert [r.pod for r in records(raw)] == [0, 1, 2] * 3


def test_slots_are_used_least_recently_used_first() -> None:
    web = client(replay(*(i * 5 * MS for i in range(7))), OK, connection=Connection(count=3))
    assert [r.slot for r in records(run(model(web), 0, ALL))] == [0, 1, 2, 0, 1, 2, 0]


def test_a_slot_is_added_when_none_is_free() -> None:
    web = client(replay(0.0, 0.0, 0.0, 50 * MS), connection=Connection(count=2))
    raw = run(model(web, stations=(station(10 * MS),)), 0, ALL)
    rs = records(raw)
    assert [r.slot for r in rs] == [0, 1, 2, 0]
    assert [r.handshake for r in rs] == [HANDSHAKE_NONE, HANDSHAKE_NONE, HANDSHAKE_PLAIN, HANDSHAKE_NONE]


def test_http2_fills_a_slot_up_to_its_streams_in_turn() -> None:
    web = client(replay(*[0.0] * 5), connection=Connection(http=2, count=2, streams=2))
    raw = run(model(web, stations=(station(10 * MS),)), 0, ALL)
    assert [r.slot for r in records(raw)] == [0, 1, 0, 1, 2]


def test_a_connection_is_retired_after_its_requests() -> None:
    web = client(replay(*(i * 5 * MS for i in range(6))), OK, connection=Connection(count=1, requests=2))
    raw = run(model(web, start="cold"), 0, ALL)
    assert [r.handshake for r in records(raw)] == [HANDSHAKE_PLAIN, HANDSHAKE_NONE] * 3
    assert [v.visit for v in visits(raw)].count("CLOSE") == 2  # the run ends with the last answer


def test_a_retiring_http2_connection_is_closed_after_its_last_stream() -> None:
    web = client(replay(0.0, 5 * MS), connection=Connection(http=2, count=1, streams=10, requests=2))
    late = client(replay(100 * MS), OK, name="late")
    raw = run(model(web, late, stations=(station(20 * MS),), start="cold"), 0, ALL)
    close = [v for v in visits(raw) if v.visit == "CLOSE"]
    assert [(v.number, v.start_ns // 1_000_000) for v in close] == [(1, 25)]


def test_warm_connections_have_part_of_their_requests_left() -> None:
    web = client(replay(*(i * MS for i in range(300))), OK, connection=Connection(count=100, requests=10))
    raw = run(model(web), 0, ALL)
    opened = sum(r.handshake == HANDSHAKE_PLAIN for r in records(raw))
    assert 10 < opened < 60  # three requests on each of 100 connections: nobody has more than ten, few have only one


def test_http1_time_out_closes_the_connection() -> None:
    web = client(replay(0.0, 8 * MS), connection=Connection(count=1), timeout_s=5 * MS, rtt_s=2 * MS)
    raw = run(model(web, stations=(station(10 * MS),)), 0, ALL)
    first, second = records(raw)
    assert (first.status, first.end_ns, first.flags) == (0, 5_000_000, Flag.DC)
    assert second.handshake == HANDSHAKE_PLAIN
    close = next(v for v in visits(raw) if v.visit == "CLOSE")
    assert (close.number, close.start_ns) == (0, 6_000_000)
    assert raw.gw_flags[0].tolist()[Flag.DC.bit_length() - 1] == 1  # the second ended the run before its close came
    assert raw.gw_status[0, 0] == 1


def test_reconnect_delay_after_a_time_out() -> None:
    connection = Connection(count=1, reconnect_delay_s=constant(20 * MS))
    web = client(replay(0.0, 6 * MS), connection=connection, timeout_s=5 * MS)
    slow = client(replay(0.0), name="slow")
    raw = run(model(replace(web, timeout_s=40 * MS, arrivals=replay(0.0, 45 * MS)), slow, stations=(station(50 * MS),)), 0, ALL)
    first, second, _ = records(raw)
    assert first.end_ns == 40_000_000
    assert second.client_backoff_ns == 60_000_000 - 45_000_000
    assert second.connection_setup_ns == 2


def test_an_unsent_request_never_leaves() -> None:
    """The client gives up before its connection is there: the gateway accepts, and reads the close."""
    web = client(replay(0.0), OK, connection=Connection(count=1), timeout_s=1 * MS, rtt_s=2 * MS)
    late = client(replay(50 * MS), OK, name="late")
    raw = run(model(web, late, start="cold"), 0, ALL)
    assert [(v.visit, *us(v.start_ns)) for v in visits(raw) if v.source == 0] == [("ACCEPT", 3000), ("CLOSE", 3000)]
    assert raw.worker_streams.sum() == 1
    assert records(raw)[0].connection_setup_ns == 1_000_000


def test_http2_time_out_cancels_the_stream_only() -> None:
    connection = Connection(http=2, count=1, streams=10)
    web = client(replay(0.0, 1 * MS), connection=connection, timeout_s=5 * MS, rtt_s=2 * MS, costs=downstream(read_s=1 * US, read_stream_s=1 * US))
    late = client(replay(50 * MS), OK, name="late")
    raw = run(model(web, late, stations=(station(10 * MS),)), 0, ALL)
    assert [(v.visit, v.cost_ns, *us(v.start_ns)) for v in visits(raw) if v.source == 0][-2:] == [
        ("READ", 2000, 6000), ("READ", 2000, 7000),
    ]
    assert raw.gw_flags[0, Flag.DC.bit_length() - 1] == 2
    assert all(r.handshake == HANDSHAKE_NONE for r in records(raw))


def test_a_cancelled_stream_frees_its_slot_at_once() -> None:
    connection = Connection(http=2, count=1, streams=1)
    web = client(replay(0.0, 6 * MS), connection=connection, timeout_s=5 * MS)
    raw = run(model(web, stations=(station(10 * MS),)), 0, ALL)
    assert [(r.slot, r.handshake) for r in records(raw)] == [(0, HANDSHAKE_NONE)] * 2


def test_an_armed_answer_is_dropped_by_a_cancellation() -> None:
    """Answer armed and CANCEL delivered while another visit runs: the CANCEL is read first, nothing is written.

    The stream had ended before, so it counts with its answer and not as DC.
    """
    connection = Connection(http=2, count=1, streams=10)
    web = client(replay(0.0), connection=connection, timeout_s=5 * MS)
    other = client(replay(4 * MS), OK, name="other", costs=downstream(read_s=3 * MS))
    raw = run(model(web, other, stations=(station(4.5 * MS),)), 0, ALL)
    assert [v.visit for v in visits(raw) if v.source == 0] == ["READ", "WRITE_UP", "READ_UP", "READ"]
    r = records(raw)[0]
    assert (r.status, r.flags) == (0, Flag.DC)
    assert raw.gw_streams[0] == raw.gw_status[0, 200] == 1
    assert raw.gw_flags[0].sum() == 0


def test_a_write_that_lost_its_answer_is_skipped_and_the_next_one_is_made() -> None:
    """The CANCEL is read in the iteration in which the write was to be made."""
    connection = Connection(http=2, count=1, streams=10)
    web = client(replay(0.0, 10 * MS), connection=connection, timeout_s=5.05 * MS)
    other = client(replay(4 * MS), OK, name="other", costs=downstream(read_s=0.6 * MS))
    sim = cluster(0, costs=upstream(read_up_s=0.5 * MS))
    raw = run(model(web, other, clusters=(sim,), stations=(station(4.5 * MS),)), 0, ALL)
    assert [(v.visit, v.number) for v in visits(raw) if v.source == 0] == [
        ("READ", 0), ("WRITE_UP", 0), ("READ_UP", 0), ("READ", 0), ("READ", 1), ("WRITE_UP", 1), ("READ_UP", 1),
        ("WRITE_DOWN", 1),
    ]
    assert [r.status for r in records(raw)] == [0, 200, 200]


def test_nothing_is_readable_before_the_accept_visit_has_ended() -> None:
    """Sent while the connection is being accepted (3 to 8 ms): ready at 8 ms, after what was ready before."""
    connection = Connection(http=2, count=1, streams=10)
    web = client(replay(0.0, 3.5 * MS), OK, connection=connection, rtt_s=2 * MS, costs=downstream(accept_s=5 * MS))
    other = client(replay(4 * MS, 100 * MS), OK, name="other", rtt_s=2 * MS, connection=Connection(count=1))
    m = model(web, other, start="cold")
    raw = run(m, 0, ALL)
    reads = [(v.source, v.number, v.start_ns // 10**6) for v in visits(raw) if v.visit in ("READ", "ACCEPT")]
    # the other's connection waits to be accepted since 7 ms, the web's requests are ready at 8 ms
    assert reads[:4] == [(0, 0, 3), (1, 0, 8), (0, 0, 8), (1, 0, 8)]
    assert [v.visit for v in visits(raw)][:4] == ["ACCEPT", "ACCEPT", "READ", "READ"]


@pytest.mark.parametrize("http", [1, 2])
def test_closed_loops_keep_their_slots(http: int) -> None:
    connection = Connection(http=2 if http == 2 else 1, requests=3)
    loops = ClosedLoop(connections=4, think_time_s=constant(7 * MS))
    raw = run(model(client(loops, connection=connection), duration_s=0.1), 0, ALL)
    assert all(r.slot == r.number % 4 for r in records(raw))


def test_a_local_route_needs_no_cluster() -> None:
    raw = run(model(client(replay(0.0), shape(local(404, "NR"))), clusters=(), stations=()), 0, ALL)
    r = records(raw)[0]
    assert (r.status, r.flags, r.cluster, r.gateway_attempts) == (404, Flag.NR, -1, 0)


def test_a_missing_cluster_is_503_nc() -> None:
    raw = run(model(client(replay(0.0), shape(to(-1)))), 0, ALL)
    assert [(r.status, r.flags, r.cluster) for r in records(raw)] == [(503, Flag.NC, -1)]
