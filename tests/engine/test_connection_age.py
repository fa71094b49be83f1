"""Connections that the gateway ends: section 24 of docs/background/engine-semantics.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import MS, client, constant, fleet, model, poisson, records, replay, station, visits
from builders import run_both as run

from gwsim.engine.schema import Options
from gwsim.scenario.model import Change, ClosedLoop, Connection, Lifecycle, Pod

ALL = Options(records=100_000, trace=100_000)
MUX = Connection(http=2, count=1, streams=1000)


def go(one: Any, **fields: Any) -> Any:
    return run(model(one, stations=(station(fields.pop("service_s", 1 * MS)),), **fields), 0, ALL)


def kinds(raw: Any) -> list[str]:
    return [one.visit for one in visits(raw)]


def accepted(raw: Any) -> int:
    return int(raw.worker_connections.sum())


def test_a_goaway_ends_a_connection_and_no_request() -> None:
    """HTTP/2: what is under way is finished on the old connection, the next request opens another."""
    arrivals = replay(*(0.02 * i for i in range(40)))
    raw = go(client(arrivals, connection=MUX, rtt_s=10 * MS, max_connection_duration_s=0.2), start="cold", service_s=30 * MS)
    assert {one.status for one in records(raw)} == {200} and len(records(raw)) == 40
    assert accepted(raw) >= 4  # in 0.8 s, each 0.2 s old at the most
    assert kinds(raw).count("DOWN_EXPIRE") == kinds(raw).count("CLOSE") >= 3
    assert kinds(raw).count("DOWN_CLOSE") == 0  # the client has closed it long before


def test_an_answer_asks_http1_to_close() -> None:
    arrivals = replay(*(0.05 * i for i in range(20)))
    raw = go(client(arrivals, connection=Connection(count=1), max_connection_duration_s=0.3), start="cold")
    assert {one.status for one in records(raw)} == {200}
    assert accepted(raw) == 3 and kinds(raw).count("CLOSE") == 2


def test_an_idle_http1_connection_is_closed_after_the_drain() -> None:
    raw = go(client(replay(0.0, 0.9), connection=Connection(count=1), max_connection_duration_s=0.1, drain_s=0.2), start="cold")
    ended = next(one for one in visits(raw) if one.visit == "DOWN_CLOSE")
    assert ended.start_ns == pytest.approx(300_000_000, abs=3_000_000)
    assert {one.status for one in records(raw)} == {200} and accepted(raw) == 2


def test_a_request_on_its_way_when_the_gateway_closes_is_lost() -> None:
    """The race of every keep-alive: sent before the close is known, read by nobody."""
    one = client(replay(0.0, 0.325), connection=Connection(count=1), max_connection_duration_s=0.1, drain_s=0.2, rtt_s=20 * MS)
    raw = go(one, start="cold")
    assert [row.status for row in records(raw)] == [200, 0]


def test_connections_turn_over_at_their_age() -> None:
    """50 connections with a limit of 0.5 s in 3 s, warm ones of any age: 50 * 3 / 0.5 new ones, less the rest of a life each."""
    loop = ClosedLoop(connections=50, think_time_s=constant(0.01))
    raw = go(client(loop, connection=Connection(count=50), max_connection_duration_s=0.5), duration_s=3.0)
    assert accepted(raw) == pytest.approx(300, abs=15)
    assert {one.status for one in records(raw)} == {200}


@pytest.mark.parametrize(("age_s", "share"), [(None, 0.0), (0.3, 0.5)])
def test_a_new_pod_gets_requests_when_connections_age(age_s: float | None, share: float) -> None:
    """Long connections stay where they are: a second pod has nothing to do until they are made anew."""
    pods = tuple(Pod(name=f"p{i}", zone="a", workers=1) for i in range(2))
    life = Lifecycle(initial=1, start_s=0.001, deregister_s=0.1, drain_s=0.1, changes=(Change(at_s=0.1, kind="add"),))
    gateway = replace(fleet(), pods=pods, lifecycle=life, front="round_robin")
    one = client(poisson(400.0), connection=Connection(http=2, count=20, streams=100), max_connection_duration_s=age_s)
    raw = go(one, fleets=(gateway,), duration_s=2.0)
    late = [row.pod for row in records(raw) if row.start_ns > 1_200_000_000]
    assert sum(pod == 1 for pod in late) / len(late) == pytest.approx(share, abs=0.15)
    assert {row.status for row in records(raw)} == {200}
