"""Source ports: section 22 of docs/background/engine-semantics.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import MS, client, cluster, fleet, model, poisson, records, replay, station
from builders import run_both as run

from gwsim.engine.codes import Counter, Flag
from gwsim.engine.schema import Options
from gwsim.scenario.model import PortPool

ALL = Options(records=100_000)
NAT = PortPool(name="nat", ports=2, hold_s=0.1, hold_remote_s=0.1, when_empty="refuse")


def go(*clients: Any, pool: PortPool = NAT, requests: int | None = 1, **fields: Any) -> Any:
    one = cluster(0)
    one = replace(one, cluster=replace(one.cluster, max_requests_per_connection=requests, connect_timeout_s=fields.pop("patience_s", 10.0)))
    stations = (replace(station(1 * MS), ports=0),)
    built = model(*clients, stations=stations, clusters=(one,), start="cold", **fields)
    return run(replace(built, port_pools=(pool,)), 0, ALL)


def statuses(raw: Any) -> list[int]:
    return [one.status for one in sorted(records(raw), key=lambda one: one.start_ns)]


def test_a_port_rests_after_its_connection() -> None:
    """Two ports, each free again 100 ms after its request: the third request in 100 ms gets none."""
    raw = go(client(replay(0.0, 0.02, 0.04, 0.09, 0.16, 0.17)))
    assert statuses(raw) == [200, 200, 503, 503, 200, 200]
    assert (int(raw.port_taken[0]), int(raw.port_refused[0]), int(raw.port_peak[0])) == (4, 2, 2)
    assert {one.flags for one in records(raw) if one.status == 503} == {int(Flag.UF)}
    assert int(raw.cluster_counters[0, Counter.UPSTREAM_CX_CONNECT_FAIL]) == 2


def test_a_nat_device_says_nothing() -> None:
    """It drops what it has no port for: the connect time-out ends the wait."""
    raw = go(client(replay(0.0, 0.0, 0.02)), pool=replace(NAT, when_empty="drop"), patience_s=0.05)
    assert statuses(raw) == [200, 200, 503]
    assert int(raw.cluster_counters[0, Counter.UPSTREAM_CX_CONNECT_TIMEOUT]) == 1
    waited = next(one for one in records(raw) if one.status == 503)
    assert waited.end_ns - waited.start_ns > 50_000_000


def test_kept_connections_need_no_more_ports() -> None:
    """The remedy: connections that are used again."""
    raw = go(client(replay(*(0.01 * i for i in range(20)))), requests=None)
    assert statuses(raw) == [200] * 20
    assert int(raw.port_taken[0]) == 1


@pytest.mark.parametrize(("scope", "served"), [("pod", 4), ("shared", 2)])
def test_pods_have_their_own_ports_or_share_those_of_an_address(scope: Any, served: int) -> None:
    """Round robin over two pods: with two ports each, four requests of six get one."""
    raw = go(
        client(replay(*[0.001 * i for i in range(6)])), pool=replace(NAT, scope=scope), fleets=(replace(fleet(pods=2), front="round_robin"),),
    )
    assert statuses(raw).count(200) == served


def erlang_b(servers: int, load: float) -> float:
    """Erlang's loss formula, by its recursion."""
    loss = 1.0
    for n in range(1, servers + 1):
        loss = load * loss / (n + load * loss)
    return loss


def test_refusals_follow_erlangs_loss_formula() -> None:
    """Poisson connections that hold a port for a fixed time: the formula is insensitive to the distribution of holding times."""
    hold_s, rate, ports = 0.05, 600.0, 25
    pool = PortPool(name="nat", ports=ports, hold_s=hold_s, hold_remote_s=hold_s, when_empty="refuse")
    raw = go(client(poisson(rate)), pool=pool, duration_s=20.0, fleets=(fleet(workers=4),))
    lost = int(raw.port_refused[0]) / (int(raw.port_refused[0]) + int(raw.port_taken[0]))
    mean_hold_s = hold_s + 0.0011
    assert lost == pytest.approx(erlang_b(ports, rate * mean_hold_s), rel=0.08)
