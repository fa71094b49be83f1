"""Scenarios whose requests pass several proxies, against what their headers derive: egress, east-west, two tiers."""

from __future__ import annotations

import math

import pytest
from scenario_runs import binomial, cost_us, cpu_us, decides, errors, header, run, share, value

from gwsim.results.results import Results


def counted(results: Results, shape: str) -> int:
    """Requests that clients of the scenario made of an entry of the mix."""
    return sum(one.requests for one in results.classes if one.shape == shape and " -> " not in one.client)


def failed(results: Results) -> float:
    """Failed requests of all replications."""
    return value(results.total.errors) * results.total.requests


def unloaded_s(results: Results, gateway: str) -> float:
    """What a proxy adds to a request that meets no other: two wake-ups, four iterations, its visits."""
    labels = results.labels
    charge = next(one for one, label in zip(labels.charges, labels.classes, strict=True) if label.gateway.endswith(gateway))
    return (2 * cost_us("worker.wakeup_us") + 4 * cost_us("worker.iteration_us")) * 1e-6 + (charge.request + charge.attempt) * 1e-9


def test_unknown_hosts_pass_the_egress_gateway_by_until_they_are_refused() -> None:
    def through_gateway(results: Results) -> int:
        return sum(one.requests for one in results.classes if one.gateway.endswith("istio-egressgateway"))

    allowed = run("egress-bypass", duration="4s")
    strict = run("egress-bypass", decides("egress-bypass", "REGISTRY_ONLY"), duration="4s")
    for results in (allowed, strict):
        past = counted(results, "telemetry")
        billing = past + counted(results, "invoice")
        assert past / billing == pytest.approx(0.25, abs=binomial(0.25, billing))
        assert through_gateway(results) == pytest.approx(results.total.requests - past, abs=3)
    assert errors(allowed) == 0.0
    assert share(strict, "502") == pytest.approx(counted(strict, "telemetry") / strict.total.requests)


def test_a_client_certificate_costs_its_signature_for_each_connection() -> None:
    def gateway_us(results: Results) -> float:
        return cpu_us(results, gateway="istio-egressgateway")

    simple = run("egress-mutual", duration="3s")
    mutual = run("egress-mutual", decides("egress-mutual", "MUTUAL"), duration="3s")
    signature = cost_us("tls.client.rsa2048.mutual_extra_us")
    assert gateway_us(mutual) - gateway_us(simple) == pytest.approx(signature, rel=0.03)
    assert value(mutual.total.client_latency.p50) - value(simple.total.client_latency.p50) == pytest.approx(signature * 1e-6, rel=0.2)
    pool = "DestinationRule/shop/partner:spec.trafficPolicy.portLevelSettings[0].connectionPool.http.maxRequestsPerConnection=0"
    kept = run("egress-mutual", decides("egress-mutual", "MUTUAL"), pool, duration="3s")
    assert value(kept.total.client_latency.p50) < value(simple.total.client_latency.p50) - 2 * 0.029


def test_a_policy_at_the_egress_gateway_knows_callers_by_their_certificates() -> None:
    for account, refused, work in (("billing", "orders", "billing"), ("default", "billing", "orders")):
        results = run("egress-authorization", decides("egress-authorization", f"cluster.local/ns/shop/sa/{account}"), duration="3s")
        assert errors(results, client=refused) == 1.0
        assert errors(results, client=work) == 0.0
        assert share(results, "403") == pytest.approx(counted(results, "quote" if refused == "orders" else "invoice") / results.total.requests)
        gateway = {one.shape: value(one.work.cpu_us_per_request) for one in results.classes if one.gateway.endswith("istio-egressgateway")}
        assert min(gateway.values()) < 0.5 * max(gateway.values()), "a refusal makes no attempt"
    assert errors(run("egress-authorization", decides("egress-authorization", '"*"'), duration="3s")) == 0.0


def test_a_wildcard_leads_every_name_to_the_egress_gateway_and_one_name_only_itself() -> None:
    for settings, through in (((), 1.0), ((decides("egress-wildcard", "eu.partner.com"),), 1 / 3)):
        results = run("egress-wildcard", *settings, duration="3s")
        led = sum(one.requests for one in results.classes if one.gateway.endswith("istio-egressgateway"))
        requests = results.total.requests
        assert led / requests == pytest.approx(through, abs=binomial(through, requests))
        assert errors(results) == 0.0, "a sidecar sends to where the application wanted to go"


def test_a_database_through_the_egress_gateway_has_a_connection_for_each_of_the_application() -> None:
    through = run("egress-database", duration="3s")
    direct = run("egress-database", decides("egress-database", "{host: db.vendor.example, port: {number: 5432}}"), duration="3s")
    assert [one.counters["upstream_cx_total"] for one in through.clusters] == [40, 40]
    added = value(through.total.client_latency.p50) - value(direct.total.client_latency.p50)
    assert added == pytest.approx(0.0004 + unloaded_s(through, "istio-egressgateway"), abs=4e-5)
    few = run("egress-database", "clients.orders.connection.count=20", duration="3s")
    assert [one.counters["upstream_cx_total"] for one in few.clusters] == [20, 20]


def test_a_tunnel_costs_a_new_connection_one_more_round_trip() -> None:
    through = run("egress-connect", duration="3s")
    straight = run("egress-connect", decides("egress-connect", '""'), duration="3s")
    added = value(through.total.client_latency.p50) - value(straight.total.client_latency.p50)
    assert added == pytest.approx(0.040, abs=2e-4), "and the head of a request written, that of its answer read"
    assert value(through.total.client_latency.p50) == pytest.approx(4 * 0.040 + 0.001 + 0.020, abs=1.5e-3)
    stands = ("clients.orders.connection.requests=0", "run.start=warm")
    kept = [value(run("egress-connect", *settings, *stands, duration="3s").total.client_latency.percentile(75)) for settings in ((), (decides("egress-connect", '""'),))]
    assert kept[0] == pytest.approx(kept[1], abs=1e-4)
    assert kept[0] == pytest.approx(0.060, abs=1e-3)


def test_a_stall_fails_the_calls_that_would_wait_longer_than_the_time_out() -> None:
    for timeout_s in (3, 1):
        results = run("egress-outage", decides("egress-outage", f"{timeout_s}s"))
        late, requests = 100 * (4 - timeout_s), results.total.requests
        assert share(results, "504") * requests == pytest.approx(late, abs=4 * math.sqrt(late))
        answered = requests * (1 - share(results, "504"))
        assert share(results, "429") * requests == pytest.approx(0.02 * answered, abs=4 * math.sqrt(0.02 * answered))


def test_connections_between_two_tiers_are_pods_times_workers_times_pods() -> None:
    for pods, workers in ((1, 2), (4, 2), (4, 1)):
        results = run("two-tiers", decides("two-tiers", str(pods)), f"gateway.edge.workers={workers}", duration="2s")
        inner = next(one for one in results.clusters if one.name.startswith("outbound|80||inner"))
        assert inner.counters["upstream_cx_total"] == pods * workers * 2


def test_calls_stay_in_their_cluster_until_it_fails() -> None:
    def remote(results: Results) -> float:
        west = [one for one in results.classes if one.gateway.endswith("istio-eastwestgateway")]
        return sum(one.requests for one in west) / results.total.requests

    home = run("cluster-failover", duration="4s")
    assert remote(home) == 0.0
    everywhere = run("cluster-failover", decides("cluster-failover", "false"), duration="4s")
    assert remote(everywhere) == pytest.approx(0.5, abs=0.01)
    assert value(home.total.client_latency.p50) == pytest.approx(0.01 + 0.0004 + 0.00005 + unloaded_s(home, "orders"), abs=5e-5)
    fault = "backends.east/payments.shop.faults=[{from: 2s, for: 60s, errors: {503: 100%}}]"
    broken = run("cluster-failover", fault, duration="4s")
    assert failed(broken) == pytest.approx(4 * 5, abs=3)
    added = 0.03 - 0.0004 + 0.0004 + unloaded_s(broken, "istio-eastwestgateway")
    assert value(broken.total.client_latency.p50) - value(home.total.client_latency.p50) == pytest.approx(added, abs=2e-4)


def busiest_share(connections: int, workers: int) -> float:
    """E[max] / c of a multinomial of c connections over equal workers."""

    def at_most(m: int) -> float:
        # Coefficient of x^c in (sum of x^i / i! for i up to m)^workers, times c! / workers^c.
        row = [1.0]
        for _ in range(workers):
            row = [sum(row[k - i] / math.factorial(i) for i in range(min(k, m) + 1) if k - i < len(row)) for k in range(connections + 1)]
        return row[connections] * math.factorial(connections) / workers**connections

    return sum(1 - at_most(m) for m in range(connections)) / connections


def test_the_busiest_worker_of_an_east_west_gateway_has_the_most_connections() -> None:
    assert busiest_share(8, 4) == pytest.approx(0.442, abs=0.001)
    for replicas in (4, 16):
        results = run("eastwest-bottleneck", decides("eastwest-bottleneck", str(replicas)), "run.warmup=100ms", "clients.orders.arrivals.poisson=200rps", duration="600ms", replications=12)
        gateway = [at for at, one in enumerate(results.workers) if one.gateway.endswith("istio-eastwestgateway")]
        work = [raw.worker_window_cpu[gateway] for raw in results.raws]
        seen = sum(one.max() / one.sum() for one in work) / len(work)
        assert seen == pytest.approx(busiest_share(2 * replicas, 4), abs=0.08 if replicas == 4 else 0.05)


def test_a_machine_on_another_network_pays_one_more_hop() -> None:
    through = run("vm-to-service", duration="3s")
    direct = run("vm-to-service", decides("vm-to-service", "net-west"), duration="3s")
    assert len(through.fleets) == 2 and len(direct.fleets) == 1
    added = value(through.total.client_latency.p50) - value(direct.total.client_latency.p50)
    assert added == pytest.approx(0.0004 + unloaded_s(through, "istio-eastwestgateway"), abs=3e-5)


FAILS_AT_1 = "backends.east/payments.shop.faults=[{from: 1s, for: 60s, errors: {503: 100%}}]"


def header_field(name: str) -> str:
    """The object and the part of its field up to the last list."""
    return header(name)["decides"].rpartition(".failover")[0]


def test_three_clusters_fail_over_in_the_order_that_is_named() -> None:
    def by(results: Results, cluster: str) -> float:
        return sum(one.requests for one in results.classes if one.gateway == f"{cluster}/istio-system/istio-eastwestgateway" and "payments" in one.route)

    for region, cluster, other, trip_s in (("us-west", "west", "north", 0.03), ("eu-north", "north", "west", 0.08)):
        results = run("three-clusters", decides("three-clusters", region), FAILS_AT_1, duration="4s")
        default = results.route("default")
        assert by(results, other) == 0 and by(results, cluster) > 0.6 * default.requests
        assert failed(results) == pytest.approx(4 * 5, abs=3)
        there = 0.01 + 0.00005 + 0.0004 + trip_s + unloaded_s(results, "orders") + unloaded_s(results, f"{cluster}/istio-system/istio-eastwestgateway")
        assert value(default.client_latency.percentile(75)) == pytest.approx(there, abs=3e-4)
    anywhere = run("three-clusters", f"{header_field('three-clusters')}.enabled=false", "backends.east/payments.shop.faults=[]", duration="4s")
    paid = counted(anywhere, "pay")
    for cluster, part in (("west", 0.6), ("north", 0.2)):
        assert by(anywhere, cluster) / paid == pytest.approx(part, abs=0.02), "a gateway has the weight of the pods behind it"


def test_machines_of_another_network_have_the_weight_they_say() -> None:
    for weight in (1, 3):
        results = run("service-to-vm", decides("service-to-vm", str(weight)), duration="4s")
        rates = {one.name.rpartition("/")[2]: value(one.requests_per_s) for one in results.backends}
        assert rates["198.51.100.7"] / sum(rates.values()) == pytest.approx(weight / (weight + 1), abs=0.01)
    slow, quick = (value(results.total.client_latency.percentile(percent)) for percent in (90, 10))
    assert slow - quick == pytest.approx(0.012 - 0.0004, abs=1e-4)


def test_a_push_to_all_proxies_takes_the_gateway_its_bytes() -> None:
    few = "clients.proxies.arrivals.closed.connections=400", "clients.proxies.arrivals.closed.rate=40rps"
    for cores, workers in (("2", 2), ("1", 1)):
        results = run("primary-remote", decides("primary-remote", cores), *few, duration="12s", replications=1)
        visits_us = sum(cost_us(f"tcp.{visit}_us") for visit in ("read", "write_up", "read_up", "write_down"))
        push_s = (visits_us + 1e6 * (cost_us("tcp.read_ns_per_byte") + cost_us("tcp.write_ns_per_byte"))) * 1e-6
        assert value(results.total.work.cpu_us_per_request) == pytest.approx(push_s * 1e6, rel=0.03)
        assert value(results.total.client_latency.p99) == pytest.approx(400 / 2 / workers * push_s + 0.031, rel=0.2)
