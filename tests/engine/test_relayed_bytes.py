"""Chains through proxies that hand bytes on: an east-west gateway that does not open the TLS between two others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import (
    MS,
    client,
    cluster,
    derived,
    fleet,
    model,
    records,
    relay,
    replay,
    shape,
    station,
    to,
    visits,
)

from gwsim.engine.codes import Counter, Flag
from gwsim.engine.reference import Options, run
from gwsim.engine.schema import ANSWER_UPSTREAM, HANDSHAKE_FULL, RawRun
from gwsim.errors import UsageError
from gwsim.scenario.model import Connection, Model

ALL = Options(records=10**6, trace=10**6, digest=True)


def east_west(http: int = 1, tls: Any = "1.3", passthrough: bool = True, timeout_s: float = 0.0, at: tuple[float, ...] = (0.0,), cold: bool = True, **breakers: int) -> Model:
    """Client, gateway A, east-west gateway B that copies bytes, gateway C that opens them, backend: 1 ms each way, 5 ms of service, CPU for nothing."""
    bytes_ = replace(to(1), tcp=True, passthrough=passthrough)
    first = {"max_connections": 0} if cold else {}
    return model(
        client(replay(*at), shape(to(0, timeout_s=timeout_s))),
        derived("to-b", 1, shape(bytes_), connection=Connection(http=2 if http == 2 else 1, tls=tls)),
        derived("to-c", 2, shape(to(2)), connection=Connection(tls=tls)),
        clusters=(cluster(0, name="east-west", http=http, **first), cluster(1, name="remote", **breakers), cluster(2, name="backend", http=2)),
        stations=(relay(1), relay(2, name="c"), station(5 * MS, name="backend")),
        fleets=(fleet(name="a"), fleet(name="b"), fleet(name="c")), rtt_s=2 * MS, duration_s=0.1,
    )


def seen(raw: RawRun, worker: int) -> list[tuple[str, int]]:
    """Visits of a worker and the millisecond in which each starts."""
    return [(v.visit, v.start_ns // 10**6) for v in visits(raw) if v.worker == worker]


@pytest.mark.parametrize("http", [1, 2])
def test_the_handshake_of_both_ends_goes_through_the_middle(http: int) -> None:
    raw = run(east_west(http), 0, ALL)
    assert seen(raw, 0) == [("READ", 0), ("UP_CONNECTED", 2), ("UP_TLS", 8), ("WRITE_UP", 8), ("READ_UP", 19), ("WRITE_DOWN", 19)]
    assert seen(raw, 1) == [
        ("ACCEPT", 3), ("CLIENT_HELLO", 3), ("UP_CONNECTED", 5), ("READ", 5), ("WRITE_UP", 5), ("READ_UP", 7), ("WRITE_DOWN", 7),
        ("READ", 9), ("WRITE_UP", 9), ("READ_UP", 18), ("WRITE_DOWN", 18),
    ]
    assert seen(raw, 2) == [("ACCEPT", 6), ("CLIENT_HELLO", 6), ("READ", 10), ("WRITE_UP", 10), ("READ_UP", 17), ("WRITE_DOWN", 17)]
    web, to_b, to_c = records(raw)
    assert [(r.start_ns // 10**6, r.end_ns // 10**6, r.status, r.answer) for r in (web, to_b, to_c)] == [
        (0, 19, 200, ANSWER_UPSTREAM), (8, 19, 200, ANSWER_UPSTREAM), (9, 18, 200, ANSWER_UPSTREAM),
    ]
    assert (web.next_hop_ns, to_b.next_hop_ns) == (11 * 10**6, 9 * 10**6)
    assert (to_b.handshake, to_c.handshake, to_c.upstream_service_ns) == (HANDSHAKE_FULL, HANDSHAKE_FULL, 5 * 10**6)
    assert raw.station_jobs.tolist() == [1, 1, 1]


def test_plain_bytes_need_no_handshake() -> None:
    """A sends as soon as B has its connection; B holds the request until it has one to C."""
    raw = run(east_west(tls=None, passthrough=False), 0, ALL)
    web, to_b, to_c = records(raw)
    assert [(r.start_ns // 10**6, r.end_ns // 10**6) for r in (web, to_b, to_c)] == [(0, 15), (2, 15), (5, 14)]
    assert to_b.pool_wait_ns == 2 * 10**6


def test_warm_links_are_open_all_the_way() -> None:
    raw = run(east_west(cold=False), 0, ALL)
    assert [r.end_ns // 10**6 for r in records(raw)] == [11, 11, 10]
    assert raw.cluster_counters[:, Counter.UPSTREAM_CX_TOTAL].tolist() == [1, 1, 1]
    assert raw.worker_connections.tolist() == [0, 0, 0]


def test_a_time_out_at_the_first_closes_all_the_way() -> None:
    raw = run(east_west(timeout_s=12 * MS, at=(0.0, 60 * MS)), 0, ALL)
    web, to_b, to_c = (next(r for r in records(raw) if r.source == source) for source in range(3))
    assert (web.status, web.flags, web.end_ns // 10**6) == (504, Flag.UT, 12)
    assert (to_b.status, to_b.flags & Flag.DC, to_b.end_ns // 10**6) == (0, Flag.DC, 12)
    assert (to_c.status, to_c.flags & Flag.DC, to_c.end_ns // 10**6) == (0, Flag.DC, 13)
    assert ("CLOSE", 13) in seen(raw, 1)
    assert ("CLOSE", 14) in seen(raw, 2)
    assert ("UP_CLOSE", 15) in seen(raw, 1)
    assert raw.cluster_counters[1, Counter.UPSTREAM_CX_DESTROY_REMOTE] == 1


def test_a_cancelled_stream_is_cancelled_at_the_other_end() -> None:
    """Over HTTP/2 the connection stays, and RST_STREAM is bytes to the one in the middle."""
    raw = run(east_west(2, timeout_s=12 * MS, at=(0.0, 60 * MS)), 0, ALL)
    assert [r.status for r in records(raw) if r.source == 0] == [504, 200]
    assert seen(raw, 1).count(("READ", 13)) == seen(raw, 2).count(("READ", 14)) == 1
    assert raw.gw_flags[1:, int(Flag.DC).bit_length() - 1].tolist() == [1, 1]
    assert raw.cluster_counters[0, Counter.UPSTREAM_CX_DESTROY] == 0


@pytest.mark.parametrize(("tls", "flag"), [("1.3", Flag.UF), (None, Flag.UC)])
def test_a_middle_that_refuses_breaks_the_connection(tls: Any, flag: Flag) -> None:
    """Before the handshake is done that is a failure to connect, after it a reset."""
    m = east_west(tls=tls, passthrough=tls is not None)
    nobody = replace(m.clusters[1], stations=())
    raw = run(replace(m, clusters=(m.clusters[0], nobody, m.clusters[2])), 0, ALL)
    web = records(raw)[0]
    assert (web.status, web.flags) == (503, flag)
    assert raw.cluster_counters[1, Counter.UPSTREAM_CX_NONE_HEALTHY] == 1
    assert seen(raw, 0)[-2][0] == ("UP_FAILED" if tls else "UP_CLOSE")
    assert raw.offered.tolist() == [1, 0 if tls else 1, 0]


def test_bytes_and_requests_are_not_mixed() -> None:
    m = east_west()
    mixed = replace(m.clients[1], mix=(*m.clients[1].mix, shape(to(1), name="t")))
    with pytest.raises(UsageError, match="not both"):
        run(replace(m, clients=(m.clients[0], mixed, m.clients[2])), 0)
