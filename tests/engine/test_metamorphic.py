"""What a change of a model must and must not change, in both engines: order in the file, copies side by side, weights.

More of them for the reference engine: test_reference_identities.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from types import ModuleType, SimpleNamespace

import pytest
from builders import (
    MS,
    US,
    busy_gateway,
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
    retry,
    shape,
    station,
    to,
    upstream,
)

from gwsim.engine import reference
from gwsim.engine.compiled import driver
from gwsim.engine.schema import RECORD_FIELDS, Options
from gwsim.scenario.model import Connection, Fleet, Model, Pod
from gwsim.topology import LbPolicy

ALL = Options(records=10**6, trace=10**6, digest=True)
ENGINES = (reference, driver)
PLACES = ("class_id", "source", "cluster", "station", "pod", "worker")
"""Columns that say where in the file something stands."""
VALUES = tuple(name for name in RECORD_FIELDS if name not in PLACES)
NAMES = ("red", "green", "blue")

engines = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.__name__.rsplit(".", 1)[-1])


def values(row: SimpleNamespace) -> tuple[int, ...]:
    """What a record says, wherever its parts stand in the file."""
    return tuple(getattr(row, name) for name in VALUES)


def gateway(name: str) -> Fleet:
    """Two pods of a name of their own."""
    return fleet(name=name, pods=2, workers=2, wakeup_s=20 * US, iteration_s=5 * US)


def side_by_side(order: tuple[str, ...]) -> Model:
    """For each name a client, gateway pods, a cluster and two backends of that name, in this order."""
    policy = retry(2, ("5xx",), base_interval_s=MS)
    made = []
    for i, name in enumerate(order):
        speed = 1 + NAMES.index(name)
        web = client(
            poisson(400.0 * speed), shape(to(i, timeout_s=0.02, policy=policy)), name=name, fleet=i, rtt_s=MS, timeout_s=0.05,
            costs=downstream(accept_s=50 * US, read_s=200 * US, write_down_s=50 * US, timer_s=MS / 100),
            connection=Connection(count=20, requests=50),
        )
        sim = cluster(2 * i, 2 * i + 1, name=name, costs=upstream(write_up_s=30 * US, read_up_s=40 * US), lb=LbPolicy.LEAST_REQUEST, max_retries=2)
        backends = [station(exponential(2 * MS / speed), name=f"{name}{j}", concurrency=2, errors=((0.1, 503),)) for j in range(2)]
        pods = tuple(Pod(name=f"{name}-{j}", zone="a", workers=2) for j in range(2))
        made.append((web, sim, backends, replace(gateway(name), pods=pods)))
    return model(
        *(one[0] for one in made), clusters=tuple(one[1] for one in made), stations=tuple(b for one in made for b in one[2]),
        fleets=tuple(one[3] for one in made), rtt_s=MS / 2, duration_s=0.5, seed=11,
    )


def by_name(engine: ModuleType, order: tuple[str, ...]) -> dict[str, list[tuple[int, ...]]]:
    """What happened to each client's requests of the measured window."""
    m = side_by_side(order)
    rows = [r for r in records(engine.run(m, 0, ALL)) if r.start_ns < m.run.duration_s * 1e9]
    return {name: [values(r) for r in rows if r.source == i] for i, name in enumerate(order)}


@engines
def test_the_order_in_the_file_permutes_tables(engine: ModuleType) -> None:
    """Clients, clusters, backends and gateways in another order: the same requests in another order."""
    expected = by_name(engine, NAMES)
    assert all(len(rows) > 100 for rows in expected.values())
    for order in permutations(NAMES):
        assert by_name(engine, order) == expected


@engines
def test_what_shares_nothing_runs_as_if_alone(engine: ModuleType) -> None:
    """Three gateways side by side are three independent copies."""
    together = by_name(engine, NAMES)
    for name in NAMES:
        assert by_name(engine, (name,))[name] == together[name]


@engines
def test_more_pods_of_one_worker_are_independent_copies(engine: ModuleType) -> None:
    """What a pod is given, replayed to a pod that is alone, takes the same time."""
    local_reply, costs = shape(local(200)), downstream(read_s=MS)
    wide = model(client(poisson(1500.0), local_reply, costs=costs), fleets=(fleet(pods=4),), duration_s=1.0)
    rows = [r for r in records(engine.run(wide, 0, ALL)) if r.start_ns < 10**9]
    for pod in range(4):
        mine = [r for r in rows if r.pod == pod]
        assert len(mine) > 200
        alone = model(client(replay(*(r.start_ns / 1e9 for r in mine)), local_reply, costs=costs), duration_s=1.0)
        again = records(engine.run(alone, 0, ALL))
        assert [(r.start_ns, r.end_ns) for r in again] == [(r.start_ns, r.end_ns) for r in mine]


@engines
def test_a_weight_moves_only_the_requests_in_between(engine: ModuleType) -> None:
    """From 10 % to 15 %: those that went to the second cluster still do, and about 5 % more."""
    def second(weight: int) -> set[int]:
        web = client(poisson(2000.0), shape(to((0, 100 - weight), (1, weight))))
        raw = engine.run(model(web, clusters=(cluster(0), cluster(0, name="c1")), duration_s=2.0), 0, ALL)
        return {r.number for r in records(raw) if r.cluster == 1}

    few, more = second(10), second(15)
    assert few < more
    assert len(more) - len(few) == pytest.approx(0.05 * 4000, rel=0.25)


@engines
def test_service_times_do_not_depend_on_balancing(engine: ModuleType) -> None:
    """A request takes its service time with it to whatever backend it goes."""
    def services(policy: LbPolicy) -> dict[int, int]:
        m = model(
            client(poisson(500.0)), clusters=(cluster(0, 1, 2, lb=policy),), stations=tuple(station(exponential(MS), name=f"b{i}") for i in range(3)),
        )
        return {r.number: r.upstream_service_ns for r in records(engine.run(m, 0, ALL))}

    assert services(LbPolicy.ROUND_ROBIN) == services(LbPolicy.RANDOM) == services(LbPolicy.LEAST_REQUEST)


def test_replications_differ_and_repeat() -> None:
    m = busy_gateway(duration_s=0.01)
    digests = [driver.run(m, replication, ALL).digest for replication in (0, 1, 2, 0, 1, 2)]
    assert digests[:3] == digests[3:]
    assert len(set(digests)) == 3
