"""Where the time went, by proxy and cause, held against whole records; what slow requests have in common."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from synthetic import DOWN, UP, model, resolved

from gwsim.engine.codes import Component
from gwsim.engine.reference import Options, run
from gwsim.engine.schema import ANSWER_UPSTREAM, RECORD_FIELDS, RawRun
from gwsim.results import Results
from gwsim.results.labels import as_plain, from_plain
from gwsim.scenario.model import (
    CallOut,
    Connection,
    Distribution,
    Fleet,
    Model,
    OnDemand,
    Outcome,
    Pod,
    Relay,
    Shape,
    SimCluster,
    Station,
    WeightedTarget,
    constant,
)
from gwsim.topology import Cluster

ALL = Options(records=10**6)
COSTS = replace(DOWN, read_s=1e-3, write_down_s=5e-4)


def one_proxy(**of: object) -> Model:
    """Requests that queue at a worker and at a backend whose service times scatter."""
    base = model(routes=("cart",), rate=250.0, concurrency=2, duration_s=8.0, replications=2, warmup_s=1.0)
    client = replace(base.clients[0], costs=COSTS)
    return replace(base, clients=(client,), stations=(replace(base.stations[0], service_time_s=Distribution(kind="exponential", a=5e-3, mean=5e-3)),), **of)


def two_proxies() -> Model:
    """The same through a second proxy, which is busier than the first."""
    base = one_proxy()
    hop = replace(
        base.clients[0], name="hop", fleet=1, arrivals=OnDemand(), connection=Connection(), costs=replace(COSTS, read_s=2.5e-3),
        mix=(replace(base.clients[0].mix[0], outcome=Outcome(route="hop", targets=(WeightedTarget(cluster=1, weight=1, name="b"),))),),
    )
    backend = SimCluster(cluster=Cluster(name="outbound|80||back", host="back", port=80), stations=(1,), costs=UP)
    egress = Fleet(name="istio-system/egress", pods=(Pod(name="eg-0", zone="a", workers=1),), wakeup_s=1e-5, iteration_s=2e-6)
    link = Station(name="eg", zone="a", service_time_s=constant(0.0), relay=Relay(client=1, pod=0, shapes={(0, 0): 0}))
    return replace(
        base, clients=(*base.clients, hop), fleets=(*base.fleets, egress), clusters=(*base.clusters, backend), stations=(link, *base.stations),
    )


def column(rows: np.ndarray, name: str) -> np.ndarray:
    """A column of records."""
    return np.asarray(rows[:, RECORD_FIELDS.index(name)])


def covered(raws: list[RawRun], of: Model, cls: int = 0) -> np.ndarray:
    """All measured requests of a class that were answered."""
    rows = np.concatenate([raw.records for raw in raws])
    start = column(rows, "start_ns")
    measured = (start >= of.run.warmup_s * 1e9) & (start < of.run.duration_s * 1e9)
    return rows[measured & (column(rows, "class_id") == cls) & (column(rows, "answer") == ANSWER_UPSTREAM)]


@pytest.fixture(scope="module")
def single() -> tuple[Results, list[RawRun], Model]:
    """Results with all records behind them."""
    of = one_proxy()
    raws = [run(of, number, ALL) for number in range(2)]
    return Results.of(resolved(of), raws), raws, of


@pytest.fixture(scope="module")
def chain() -> tuple[Results, list[RawRun], Model]:
    """The same of the two proxies."""
    of = two_proxies()
    raws = [run(of, number, ALL) for number in range(2)]
    return Results.of(resolved(of), raws), raws, of


def test_parts_are_those_of_the_requests_around_each_percentile(single: tuple[Results, list[RawRun], Model]) -> None:
    """To the nanosecond, from whole records."""
    results, raws, of = single
    made, rows = results.anatomy, covered(raws, of)
    took = column(rows, "end_ns") - column(rows, "start_ns")
    assert made is not None
    for at, group in enumerate(made.groups):
        there = rows[(took >= round(group.from_s * 1e9)) & (took < round(group.to_s * 1e9))]
        assert len(there) == group.count
        for cause in made.causes:
            assert cause.times_s[at] == pytest.approx(column(there, f"{cause.component.name.lower()}_ns").mean() * 1e-9, abs=1e-12)
        assert sum(cause.times_s[at] for cause in made.causes) == pytest.approx(group.total_s)
        quantile = results.total.client_latency.percentile(group.percent).value
        assert quantile is not None
        assert group.from_s <= quantile <= group.to_s
    assert made.hops == ("istio-system/ingress",)
    assert not made.estimated


def test_the_gap_between_median_and_tail_is_divided(single: tuple[Results, list[RawRun], Model]) -> None:
    """Parts of the gap sum to one, and the queue at the backend makes most of it."""
    made = single[0].anatomy
    assert made is not None
    assert sum(made.gap(cause) for cause in made.causes) == pytest.approx(1.0)
    assert made.widest.component in (Component.UPSTREAM_QUEUE, Component.UPSTREAM_SERVICE)


def test_a_chain_is_divided_as_its_requests_were(chain: tuple[Results, list[RawRun], Model]) -> None:
    """Held against derived requests matched one by one: of those of the p99 requests, every part within a tenth of the total."""
    results, raws, of = chain
    made = results.anatomy
    assert made is not None
    assert made.estimated
    assert made.hops == ("istio-system/ingress", "istio-system/egress")
    exact = matched(raws, of, made.groups[-1].from_s, made.groups[-1].to_s)
    total = made.groups[-1].total_s
    for cause in made.causes:
        assert cause.times_s[-1] == pytest.approx(exact[cause.depth, cause.component], abs=0.1 * total), cause
    for at, group in enumerate(made.groups):
        assert sum(cause.times_s[at] for cause in made.causes) == pytest.approx(group.total_s)
    assert not any(cause.component is Component.NEXT_HOP for cause in made.causes)
    queued = {cause.gateway: cause.times_s[-1] for cause in made.causes if cause.component is Component.WORKER_QUEUE}
    assert queued["istio-system/egress"] > 3 * queued["istio-system/ingress"]


def matched(raws: list[RawRun], of: Model, from_s: float, to_s: float) -> dict[tuple[int, Component], float]:
    """Mean seconds by depth and component of the requests with a latency in a range, their derived ones found one by one."""
    out: defaultdict[tuple[int, Component], float] = defaultdict(float)
    count = 0
    for raw in raws:
        derived = raw.records[column(raw.records, "class_id") == 1]
        by_length = {(int(e - s)): row for s, e, row in zip(column(derived, "start_ns"), column(derived, "end_ns"), derived, strict=True)}
        for row in covered([raw], of):
            took = (column(row[None], "end_ns") - column(row[None], "start_ns"))[0] * 1e-9
            if not from_s <= took < to_s:
                continue
            count += 1
            for depth, one in ((0, row), (1, by_length[int(column(row[None], "next_hop_ns")[0])])):
                for component in Component:
                    out[depth, component] += float(column(one[None], f"{component.name.lower()}_ns")[0]) * 1e-9
    return defaultdict(float, {key: value / count for key, value in out.items()})


def test_calls_of_a_backend_are_divided_by_their_means() -> None:
    """Two calls at the same time: neither is the whole wait, so their mean divides it; the sum stays exact."""
    base = two_proxies()
    calling = replace(one_proxy().stations[0], calls=((CallOut(client=1, shape=0), CallOut(client=1, shape=0)),))
    fast = replace(base.clients[1], costs=DOWN)
    of = replace(base, clients=(base.clients[0], fast), stations=(calling, base.stations[1]), run=replace(base.run, duration_s=2.0))
    made = Results.of(resolved(of), [run(of, 0)]).anatomy
    assert made is not None
    deeper = [cause for cause in made.causes if cause.depth == 1]
    assert {cause.component for cause in deeper} >= {Component.UPSTREAM_SERVICE, Component.UPSTREAM_QUEUE}
    for at, group in enumerate(made.groups):
        assert sum(cause.times_s[at] for cause in made.causes) == pytest.approx(group.total_s)


def test_labels_keep_the_chain(chain: tuple[Results, list[RawRun], Model]) -> None:
    """Through run.json."""
    labels = chain[0].labels
    assert labels.next_hops == ((1,), ())
    assert from_plain(as_plain(labels)) == labels


def test_what_slow_requests_have_in_common() -> None:
    """One backend pod of four is slow: it stands out, and nothing that is true of all does."""
    base = one_proxy()
    stations = tuple(replace(base.stations[0], name=f"shop-{i}", concurrency=None, service_time_s=constant(0.05 if i == 2 else 0.005)) for i in range(4))
    of = replace(base, stations=stations, clusters=(replace(base.clusters[0], stations=(0, 1, 2, 3)),), run=replace(base.run, duration_s=13.0))
    made = Results.of(resolved(of), [run(of, number) for number in range(3)]).contrast
    assert made is not None
    assert [(one.kind, one.name) for one in made.traits] == [("backend pod", "shop-2")]
    assert made.traits[0].slow == 1.0
    assert 0.05 < made.traits[0].usual < 0.25, "the least loaded of two hosts is chosen"
    assert made.traits[0].factor == pytest.approx(1.0 / made.traits[0].usual)


def test_nothing_is_made_of_chance(single: tuple[Results, list[RawRun], Model]) -> None:
    """Requests that differ in nothing but luck."""
    made = single[0].contrast
    assert made is None or made.traits == ()


def test_shapes_that_take_longer_stand_out() -> None:
    """By their route and cluster; its only pod says nothing more."""
    base = one_proxy()
    mix = tuple(
        Shape(
            name=name, weight=weight, request_bytes=constant(100), response_bytes=constant(1000),
            outcome=Outcome(route=name, targets=(WeightedTarget(cluster=k, weight=1, name="c"),)),
        )
        for k, (name, weight) in enumerate((("quick", 9.0), ("slow", 1.0)))
    )
    stations = (replace(base.stations[0], concurrency=None), replace(base.stations[0], name="slow-0", concurrency=None, service_time_s=constant(0.2)))
    second = replace(base.clusters[0], stations=(1,), cluster=replace(base.clusters[0].cluster, name="outbound|80||slow", host="slow"))
    of = replace(
        base, clients=(replace(base.clients[0], mix=mix),), stations=stations, clusters=(*base.clusters, second), run=replace(base.run, duration_s=13.0),
    )
    made = Results.of(resolved(of), [run(of, number) for number in range(3)]).contrast
    assert made is not None
    assert {(one.kind, one.name) for one in made.traits} == {("route", "slow"), ("cluster", "outbound|80||slow")}
