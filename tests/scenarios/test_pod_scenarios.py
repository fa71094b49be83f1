"""Scenarios about gateway pods that come and go, and zones, against what their headers derive."""

from __future__ import annotations

import pytest
from scenario_runs import binomial, decides, run, value

from gwsim.results.results import Results


def of_new_pods(results: Results) -> float:
    """Share of the CPU that the pods beyond the first two have."""
    cores = [value(one.utilisation) * one.workers for one in results.pods]
    return sum(cores[2:]) / sum(cores)


def test_new_pods_get_new_connections_only() -> None:
    assert of_new_pods(run("grpc-replicas")) == 0.0
    for age_s in (8, 4):
        share = pytest.approx(2 / 3 * (20 - age_s / 2) / 30, abs=0.05)
        assert of_new_pods(run("grpc-replicas", decides("grpc-replicas", f"{age_s}s"))) == share
    assert of_new_pods(run("grpc-replicas", "clients.peer.connection.requests=50")) == pytest.approx(0.356, abs=0.05)


def test_scale_in_fails_connections_while_the_load_balancer_outlives_the_pod() -> None:
    def failed(results: Results) -> float:
        return value(results.total.errors) * results.total.requests

    short = run("scale-in")
    (pods,) = short.timeline.pods.values()
    assert pods.value[0] == pytest.approx(2.0) and pods.value[-1] == pytest.approx(1.0, abs=0.1)
    # Half of the connections of 25 s: four standard errors of 500 Poisson arrivals, each with a chance of one half.
    assert failed(short) == pytest.approx(250, abs=4 * 250**0.5)
    assert failed(run("scale-in", decides("scale-in", '"terminationDrainDuration: 35s"'))) == 0.0


def test_a_node_s_connections_stay_on_its_pods() -> None:
    for policy, parts in (("Local", (1 / 6, 1 / 3, 1 / 3, 1 / 6)), ("Cluster", (0.25,) * 4)):
        results = run("external-traffic-policy", decides("external-traffic-policy", policy), "clients.web.arrivals.poisson=500rps", duration="3s")
        rates = [value(one.requests_per_s) for one in results.pods]
        for rate, part in zip(rates, parts, strict=True):
            assert rate / sum(rates) == pytest.approx(part, abs=4 * (part * (1 - part) / 3000) ** 0.5)


def test_a_zone_fails_over_after_as_many_errors_as_are_asked_for() -> None:
    def failed(results: Results) -> float:
        return value(results.total.errors) * results.total.requests

    for errors_in_a_row in (5, 20):
        results = run("zone-failover", decides("zone-failover", str(errors_in_a_row)))
        assert failed(results) == pytest.approx(errors_in_a_row, abs=2)
    # Without ejection a third of the 90 rps fails for 12 s.
    assert failed(run("zone-failover", decides("zone-failover", "0"))) == pytest.approx(360, abs=4 * 360**0.5)


def test_the_gateways_of_two_zones_carry_the_load_of_the_third() -> None:
    lost = ('gateway.istio-ingressgateway.changes=[{at: 4s, kill: 1}]', "front.deregistration=1s")
    pods = run("zone-failover", *lost).pods
    before, after = value(pods[0].requests_per_s) * 16 / 4, value(pods[1].requests_per_s)
    assert before == pytest.approx(30, rel=0.2)
    assert after == pytest.approx(30 * (4 + 1.5 * 12) / 16, rel=0.1)


def test_of_two_rules_for_a_path_the_older_one_counts() -> None:
    for settings, taken in (
        ((), 0.0),
        ((decides("two-gateways", "2025-01-01T00:00:00Z"),), 0.3),
        (("VirtualService/team-a/shop:spec.http[0].match[0].uri.prefix=/old",), 0.3),
    ):
        results = run("two-gateways", *settings, duration="4s")
        served = sum(one.count for one in results.total.clusters if "reviews" in one.name) / results.total.requests
        assert served == pytest.approx(taken, abs=binomial(taken, results.total.requests))
