"""Results of runs with chains: the whole is of the requests that clients made, each of them once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from synthetic import DOWN, model, resolved

from gwsim.engine.codes import Component
from gwsim.engine.reference import run
from gwsim.report.names import route_name
from gwsim.results import Results
from gwsim.scenario.model import (
    CallOut,
    Client,
    Fleet,
    Model,
    OnDemand,
    Pod,
    Relay,
    Shape,
    SimCluster,
    Station,
    constant,
)


def chain() -> Model:
    """The client of `model`, a sidecar, a gateway and a backend that makes two calls through a proxy of its own."""
    of = model(routes=("cart",), rate=300.0, concurrency=None, duration_s=1.0, warmup_s=0.2, replications=2)
    web, mesh = of.clients[0], of.clusters[0]
    costs = replace(DOWN, read_s=100e-6)

    def derived(name: str, fleet: int, cluster: int, route: str) -> Client:
        outcome = replace(web.mix[0].outcome, route=route, targets=(replace(web.mix[0].outcome.targets[0], cluster=cluster),))
        shape = Shape(name=f"{name}-shape", weight=1.0, request_bytes=constant(100), response_bytes=constant(500), outcome=outcome)
        return replace(web, name=name, fleet=fleet, arrivals=OnDemand(), costs=costs, mix=(shape,))

    def cluster(name: str, station: int) -> SimCluster:
        return replace(mesh, cluster=replace(mesh.cluster, name=name), stations=(station,))

    def proxy(name: str) -> Fleet:
        return Fleet(name=f"istio-system/{name}", pods=(Pod(name=f"{name}-0", zone="a", workers=1),), wakeup_s=10e-6, iteration_s=2e-6)

    shop = replace(of.stations[0], calls=((CallOut(client=2, shape=0), CallOut(client=2, shape=0)),))
    hop = Station(name="egress", zone="a", service_time_s=constant(0.0), relay=Relay(client=1, pod=0, shapes={(0, 0): 0}))
    ratings = Station(name="ratings-0", zone="a", service_time_s=constant(0.002))
    return replace(
        of,
        clients=(replace(web, costs=costs), derived("hop", 1, 1, "cart"), derived("shop", 2, 2, "ratings")),
        fleets=(*of.fleets, proxy("egress"), proxy("shop-sidecar")),
        clusters=(cluster("outbound|80||egress", 1), cluster("outbound|80||shop", 0), cluster("outbound|80||ratings", 2)),
        stations=(shop, hop, ratings),
    )


@pytest.fixture(scope="module")
def results() -> Results:
    of = chain()
    return Results.of(resolved(of), [run(of, r) for r in range(2)])


def test_the_whole_counts_every_request_once(results: Results) -> None:
    web, hop, call = results.classes
    assert (web.derived, hop.derived, call.derived, results.total.derived) == (False, True, True, False)
    assert results.total.requests == web.requests == hop.requests
    assert call.requests == 2 * web.requests
    assert results.throughput.offered_rps.value == pytest.approx(300.0, rel=0.15)
    assert results.throughput.good_rps.value == pytest.approx(web.good_rps.value, rel=0.05)
    assert results.throughput.response_bytes_per_s.value == web.response_bytes_per_s.value
    assert results.total.errors.value == 0.0
    assert results.total.client_latency.mean.value == web.client_latency.mean.value


def test_a_hop_takes_what_its_caller_sees(results: Results) -> None:
    web, hop, call = results.classes
    mean = {split.band: split for split in web.splits}["mean"]
    assert mean.parts_s[Component.NEXT_HOP] == pytest.approx(hop.client_latency.mean.value, rel=1e-12)
    assert (call.client_latency.mean.value or 0.0) > 0.002
    assert (hop.client_latency.mean.value or 0.0) > 0.010 + (call.client_latency.mean.value or 0.0)


def test_the_work_of_the_whole_is_that_of_all_proxies(results: Results) -> None:
    window = results.counts.of("worker_window_cpu").sum() * 1e-9
    assert results.total.work.cpu_s == pytest.approx(window)
    assert sum(one.work.cpu_s for one in results.routes) == pytest.approx(window)
    assert results.total.work.cpu_us_per_request.value == pytest.approx(window * 1e6 / results.total.requests)
    assert 0.0 < results.classes[0].work.cpu_s < window


def test_routes_of_the_same_name_are_told_apart(results: Results) -> None:
    assert [route_name(one) for one in results.routes] == ["cart", "cart at egress", "ratings at shop-sidecar"]
    assert results.route("cart").requests == results.classes[0].requests
    assert results.select(route="cart").requests == results.classes[0].requests
    assert results.select(route="ratings").requests == results.classes[2].requests
    assert results.select(gateway="egress").requests == results.classes[1].requests
    assert results.select(client="hop", route="cart").requests == results.classes[1].requests
    assert results.frame("classes").derived.tolist() == [False, True, True]
