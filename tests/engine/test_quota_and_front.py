"""CPU quota, balance of connections, zones of the front: section 16 of docs/background/engine-semantics.md."""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from builders import MS, US, client, downstream, fleet, local, model, poisson, records, replay, shape, visits

from gwsim.engine.reference import Options, run
from gwsim.engine.reference.cpu import Budget, Quota
from gwsim.scenario.model import Connection, Fleet, Pod

ALL = Options(records=100_000, trace=100_000)
PERIOD = 100 * 10**6


def limited(cores: float, pods: int = 1, workers: int = 1) -> Fleet:
    one = fleet(pods, workers)
    return replace(one, pods=tuple(replace(pod, cpu_limit_cores=cores) for pod in one.pods))


# --- quota ---------------------------------------------------------------------------------------------------


def test_a_worker_is_stopped_when_the_quota_is_spent() -> None:
    """Half a core: 50 ms of work, 50 ms of waiting."""
    budget = Budget(Quota(0.5, 0))
    assert budget.run(0, 40 * 10**6) == 40 * 10**6
    assert budget.run(40 * 10**6, 30 * 10**6) == 120 * 10**6
    assert budget.stopped_before(45 * 10**6) == 0
    assert budget.stopped_before(75 * 10**6) == 25 * 10**6
    assert budget.stopped_before(10**9) == budget.stopped_ns == 50 * 10**6


def test_four_busy_workers_on_two_cores() -> None:
    """c / W of the period run, the rest stalled: 50 ms of 100."""
    quota = Quota(2.0, 0)
    budgets = [Budget(quota) for _ in range(4)]
    at = [0] * 4
    for _ in range(8000):
        i = min(range(4), key=lambda w: at[w])
        at[i] = budgets[i].run(at[i], 1 * 10**6)
    for budget, end in zip(budgets, at, strict=True):
        assert budget.stopped_ns / end == pytest.approx(0.5, abs=0.04)


def test_one_core_and_eight_busy_workers() -> None:
    """12.5 ms of 100 each."""
    quota = Quota(1.0, 0)
    budgets = [Budget(quota) for _ in range(8)]
    at = [0] * 8
    for _ in range(800):
        i = min(range(8), key=lambda w: at[w])
        at[i] = budgets[i].run(at[i], 1 * 10**6)
    assert sum(b.stopped_ns for b in budgets) / sum(at) == pytest.approx(0.875, abs=0.03)


def test_a_sleeping_worker_keeps_one_millisecond() -> None:
    quota = Quota(0.1, 0)
    first, second = Budget(quota), Budget(quota)
    assert first.run(0, 1 * 10**6) == 1 * 10**6
    first.sleep(1 * 10**6)
    assert second.run(1 * 10**6, 8 * 10**6) == 9 * 10**6
    assert first.run(9 * 10**6, 1 * 10**6) == 10 * 10**6
    assert first.run(10 * 10**6, 1) == PERIOD + 1


def busy(cores: float | None, **fields: Any) -> Any:
    """One worker at 60 % of a core."""
    web = replace(client(poisson(600.0), shape(local(200)), **fields), costs=downstream(read_s=1 * MS))
    gateway = fleet() if cores is None else limited(cores)
    return run(model(web, fleets=(gateway,), duration_s=5.0), 0, ALL)


def test_throttling_is_told_apart() -> None:
    """A limit above the use costs nothing; one just above the mean stalls at times, and requests say so."""
    free, ample, tight = busy(None), busy(2.0), busy(0.65)
    assert [r.end_ns for r in records(ample)] == [r.end_ns for r in records(free)]
    assert ample.worker_throttled[0] == 0
    assert tight.worker_throttled[0] > 0
    throttled = sum(r.throttling_ns for r in records(tight))
    assert throttled > 0
    assert sum(r.proxy_cpu_ns for r in records(tight)) == sum(r.proxy_cpu_ns for r in records(free))
    assert sum(r.end_ns - r.start_ns for r in records(tight)) > sum(r.end_ns - r.start_ns for r in records(free))
    assert tight.worker_cpu[0] == free.worker_cpu[0]


def test_a_visit_is_stopped_in_its_middle() -> None:
    """A visit of 30 ms with 10 ms a period: it ends in the third period after."""
    web = replace(client(replay(0.0), shape(local(200))), costs=downstream(read_s=30 * MS))
    raw = run(model(web, fleets=(limited(0.1),)), 0, ALL)
    (r,) = records(raw)
    assert r.proxy_cpu_ns == 30 * 10**6
    assert 100 * 10**6 <= r.throttling_ns <= 300 * 10**6
    assert raw.worker_throttled[0] == r.throttling_ns


# --- balance -------------------------------------------------------------------------------------------------


def connections_of(balance: str, workers: int = 4, count: int = 64) -> list[int]:
    web = client(replay(*(0.001 * i for i in range(count))), shape(local(200)), connection=Connection(count=count))
    one = replace(fleet(1, workers), balance=balance)
    raw = run(model(web, fleets=(one,), start="cold"), 0, ALL)
    return sorted(Tally(r.worker for r in records(raw)).values())


def test_exact_balance_is_even_and_the_kernel_s_is_not() -> None:
    assert connections_of("exact") == [16] * 4
    kernel = connections_of("kernel")
    assert sum(kernel) == 64
    assert kernel[-1] > 16


def test_a_closed_connection_makes_room() -> None:
    """One request a connection, one at a time: all go to the first worker, which is empty again each time."""
    web = client(replay(*(0.01 * i for i in range(20))), shape(local(200)), connection=Connection(count=1, requests=1))
    raw = run(model(web, fleets=(replace(fleet(1, 3), balance="exact"),), start="cold"), 0, ALL)
    assert {r.worker for r in records(raw)} == {0}


# --- zones ---------------------------------------------------------------------------------------------------


def pods_used(cross_zone: bool, front: str) -> Tally[int]:
    """Three pods in zone a, one in zone b; 2000 connections."""
    pods = tuple(Pod(name=f"p{i}", zone=zone, workers=1) for i, zone in enumerate("aaab"))
    one = replace(fleet(), pods=pods, cross_zone=cross_zone, front=front)
    web = client(replay(*(0.0004 * i for i in range(2000))), shape(local(200)), connection=Connection(count=2000))
    return Tally(r.pod for r in records(run(model(web, fleets=(one,), start="cold"), 0, ALL)))


@pytest.mark.parametrize("front", ["hash", "round_robin"])
def test_without_cross_zone_a_zone_s_share_is_divided_among_its_pods(front: str) -> None:
    """The single pod of its zone gets half of all connections, the three others a sixth each."""
    across, within = pods_used(True, front), pods_used(False, front)
    assert [across[i] / 2000 for i in range(4)] == pytest.approx([0.25] * 4, abs=0.04)
    assert [within[i] / 2000 for i in range(4)] == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2], abs=0.04)


def test_a_node_s_share_is_divided_among_the_pods_on_it() -> None:
    """Two of four pods on one of three nodes: a sixth of the connections each, the others a third."""
    pods = tuple(Pod(name=f"p{i}", zone="a", workers=1, node=f"n{i % 3}") for i in range(4))
    one = replace(fleet(), pods=pods, cross_zone=False)
    web = client(replay(*(0.0004 * i for i in range(2000))), shape(local(200)), connection=Connection(count=2000))
    used = Tally(r.pod for r in records(run(model(web, fleets=(one,), start="cold"), 0, ALL)))
    assert [used[i] / 2000 for i in range(4)] == pytest.approx([1 / 6, 1 / 3, 1 / 3, 1 / 6], abs=0.04)


def test_visits_of_a_stopped_worker_do_not_overlap() -> None:
    raw = busy(0.6)
    rows = visits(raw)
    assert all(a.end_ns <= b.start_ns for a, b in pairwise(rows))
    assert any(b.start_ns - a.end_ns > 10 * MS / US * 1000 for a, b in pairwise(rows))
