"""Locality load balancing and session affinity, from the YAML to what the engines are given.

Rules: istio pilot/pkg/networking/core/loadbalancer/loadbalancer.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gwsim.engine import reference
from gwsim.engine.features import Feature, used
from gwsim.scenario import Resolved
from gwsim.scenario.model import HashRule
from gwsim.scenario.placement import matches, placement
from gwsim.topology import Endpoint, Locality, LocalityFailover, LocalityLb, LocalityShare, Proxy

Resolve = Callable[..., Resolved]
PROXY = Proxy(name="gw", namespace="edge", labels={"app": "gw", "track": "stable"}, network="net1", cluster="east")
HERE = Locality(region="eu", zone="a", subzone="1")
POLICY = "DestinationRule/shop/checkout:spec.trafficPolicy"


def endpoints(*places: str, **fields: Any) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(address=f"10.0.0.{i}", port=80, locality=Locality.of(text), **fields) for i, text in enumerate(places))


def test_priorities_by_closeness_without_gaps() -> None:
    """Same subzone, zone, region, elsewhere."""
    lb = LocalityLb(priorities=True)
    assert placement(PROXY, HERE, endpoints("eu/a/1", "eu/a/2", "eu/b/1", "us/a/1"), lb).priorities == (0, 1, 2, 3)
    assert placement(PROXY, HERE, endpoints("us/a/1", "eu/a/1", "us/b"), lb).priorities == (1, 0, 1)
    assert placement(PROXY, HERE, endpoints("us/a", "us/b"), lb).priorities == (0, 0)


def test_failover_names_the_next_region() -> None:
    lb = LocalityLb(priorities=True, failover=(LocalityFailover(source="eu", to="asia"),))
    got = placement(PROXY, HERE, endpoints("eu/a/1", "us/a/1", "asia/a/1", "asia/b/1", weight=2), lb)
    assert got.priorities == (0, 2, 1, 1)
    assert got.group_weights == (2, 2, 2, 2)


def test_failover_priority_compares_labels_in_order() -> None:
    """The priority is the number of labels less the position of the first that differs."""
    lb = LocalityLb(priorities=True, failover_priority=("topology.istio.io/network", "track", "topology.kubernetes.io/zone"))
    ends = (
        Endpoint(address="a", port=80, labels={"track": "stable"}, network="net1", locality=Locality(zone="a")),
        Endpoint(address="b", port=80, labels={"track": "stable"}, network="net1", locality=Locality(zone="b")),
        Endpoint(address="c", port=80, labels={"track": "canary"}, network="net1", locality=Locality(zone="a")),
        Endpoint(address="d", port=80, labels={"track": "stable"}, network="net2", locality=Locality(zone="a")),
    )
    assert placement(PROXY, HERE, ends, lb).priorities == (0, 1, 2, 3)
    given = LocalityLb(priorities=True, failover_priority=("track=canary",))
    assert placement(PROXY, HERE, ends, given).priorities == (1, 1, 0, 1)


def test_distribute_gives_unlisted_localities_nothing() -> None:
    lb = LocalityLb(distribute=(LocalityShare(source="eu/a/*", to=(("eu/a/*", 80), ("eu/b/*", 20))),))
    got = placement(PROXY, HERE, endpoints("eu/a/1", "eu/a/2", "eu/b/1", "us/a/1"), lb)
    assert got.priorities == (0, 0, 0, -1)
    assert got.group_weights == (40, 40, 20, 0)
    elsewhere = placement(PROXY, Locality.of("us/a/1"), endpoints("eu/a/1", "us/a/1"), lb)
    assert (elsewhere.priorities, elsewhere.group_weights) == ((0, 0), (1, 1))


@pytest.mark.parametrize(("pattern", "fits"), [("*", True), ("eu", True), ("eu/*", True), ("eu/a/*", True), ("eu/b", False), ("us/*", False)])
def test_places_and_patterns(pattern: str, fits: bool) -> None:
    assert matches(HERE, pattern) is fits


# --- from the scenario ---------------------------------------------------------------------------------------


def test_outlier_detection_prefers_the_own_zone(resolve: Resolve) -> None:
    """The gateway's pod in zone a has the pods of zone a at priority 0; another gateway pod sees its own zone."""
    plain = resolve()
    assert all(not one.placements for one in plain.model.clusters)
    got = resolve(POLICY + ".outlierDetection={consecutive5xxErrors: 5}", replicas={"istio-ingressgateway": 2}, fix_replicas=True)
    sim = next(one for one in got.model.clusters if one.placements)
    pods = got.model.fleets[0].pods
    zones = [got.model.stations[s].zone for s in sim.stations]
    assert len(zones) > 1
    assert len({pod.zone for pod in pods}) == 2
    for pod in pods:
        seen = sim.placements[pod.view].priorities
        if pod.zone in zones:
            assert [p == 0 for p in seen] == [zone == pod.zone for zone in zones]
    assert Feature.LOAD_BALANCING in used(got.model)


@pytest.mark.parametrize(("policy", "settings", "rule"), [
    ("{httpHeaderName: x-user}", ("clients.web.users=500",), HashRule(kind="user", users=500)),
    ("{httpHeaderName: x-user}", ("clients.web.mix.checkout.headers={X-User: alice}",), HashRule(kind="fixed", text="alice")),
    ("{httpCookie: {name: id, ttl: 0s}}", ('clients.web.mix.checkout.headers={cookie: "a=1; id=7"}',), HashRule(kind="fixed", text="7")),
    ("{httpCookie: {name: id, ttl: 60s}}", (), HashRule(kind="connection")),
    ("{useSourceIp: true}", (), HashRule(kind="connection")),
    ("{httpQueryParameterName: q}", ("clients.web.mix.checkout.path=/checkout?q=5&r=6",), HashRule(kind="fixed", text="5")),
    ("{httpHeaderName: x-user}", (), None),
])  # fmt: skip
def test_what_session_affinity_hashes(resolve: Resolve, policy: str, settings: tuple[str, ...], rule: HashRule | None) -> None:
    got = resolve(f"{POLICY}.loadBalancer.consistentHash={policy}", *settings)
    outcome = got.model.clients[0].mix[0].outcome
    assert outcome.hash == (() if rule is None else (rule,))
    told = [text for text in got.assumptions if "session affinity spreads them at random" in text]
    assert bool(told) is (rule is None)


def test_affinity_is_simulated(resolve: Resolve) -> None:
    """A header that all requests share sends them all to one pod of each subset."""
    got = resolve(
        POLICY + ".loadBalancer.consistentHash={httpHeaderName: x-user}", "clients.web.mix.checkout.headers={x-user: alice}",
        "clients.web.arrivals.poisson=200rps", "run.duration=1s",
    )
    raw = reference.run(got.model, 0)
    busy = [jobs for sim in got.model.clusters if "checkout" in sim.cluster.name for jobs in [raw.station_jobs[list(sim.stations)]]]
    assert all((jobs > 0).sum() <= 1 for jobs in busy)
    assert sum(int(jobs.sum()) for jobs in busy) > 20
