"""Every scenario answers as its header derives, and otherwise when the field it names is changed.

Tolerances are of statistics: about four standard errors of the short run, told where they are not obvious.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scenario_runs import NAMES, ROOT, SCENARIOS, binomial, cost_us, decides, errors, header, run, value

from gwsim.cli import execute
from gwsim.engine.codes import Component
from gwsim.report.emit import Wanted, emit
from gwsim.results.results import Results

OWN = [name for name in NAMES if name != "ingress-bookinfo"]
@pytest.mark.parametrize("name", OWN)
def test_a_scenario_says_what_it_expects_why_and_what_decides(name: str) -> None:
    said = header(name)
    assert set(said) >= {"expected", "because", "decides"}
    assert any(letter.isdigit() for letter in said["because"]), "a derivation has numbers"
    page = ROOT / "docs" / "scenarios" / f"{name}.md"
    assert page.is_file() and ".svg" in page.read_text(encoding="utf-8")
    assert name in (ROOT / "docs" / "gateways.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OWN)
def test_a_scenario_is_clean(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Lint has no error and no warning about it, but for what a scenario is about."""
    assert execute(["lint", str(SCENARIOS / name), "-o", "json"]) in (0, 1)
    assert '"level": "error"' not in capsys.readouterr().out


# --- the answers -----------------------------------------------------------------------------------------------------


def test_tls_modes_differ_by_their_handshakes() -> None:
    simple, mutual = run("tls-termination", duration="6s"), run("tls-termination", decides("tls-termination", "MUTUAL"), duration="6s")
    cpu = {mode: value(results.total.work.cpu_us_per_request) for mode, results in (("SIMPLE", simple), ("MUTUAL", mutual))}
    assert cpu["MUTUAL"] - cpu["SIMPLE"] == pytest.approx(cost_us("tls.mutual_server.p256_us"), rel=0.06)
    rsa = run("tls-termination", "Gateway/shop/shop:spec.servers[0].tls.credentialName=shop-rsa", duration="6s")
    more = cost_us("tls.handshake.rsa2048.tls13_full_us") - cost_us("tls.handshake.p256.tls13_full_us")
    assert value(rsa.total.work.cpu_us_per_request) - cpu["SIMPLE"] == pytest.approx(more, rel=0.05)


def test_a_storm_of_reconnects_takes_the_work_of_all_handshakes() -> None:
    def derived(results: Results) -> float:
        one = results.labels.charges[0]
        workers, clients = len(results.labels.workers), 2000
        busiest = clients / workers + 1.03 * math.sqrt(clients / workers * (1 - 1 / workers))
        opening = results.labels.clusters[0].opening_ns  # none stands yet: each first request opens one
        return busiest * (one.full + one.request + one.attempt + opening) * 1e-9

    rsa = run("reconnect-storm")
    ecdsa = run("reconnect-storm", decides("reconnect-storm", "shop-ecdsa"))
    for results in (rsa, ecdsa):
        assert value(results.total.client_latency.p99) == pytest.approx(derived(results), rel=0.12)
    assert derived(rsa) > 1.9 * derived(ecdsa)


@pytest.mark.parametrize(
    ("name", "field"), [("canary", "spec.http[1].route[0].weight"), ("canary-gateway-api", "spec.rules[0].backendRefs[0].weight")]
)
def test_a_canary_gets_its_weight_and_its_errors(name: str, field: str) -> None:
    whole = header(name)["decides"].partition(":")[0]
    for weight, settings in ((0.1, ()), (0.5, (decides(name, "50"), f"{whole}:{field}=50"))):
        results = run(name, *settings, duration="8s")
        stable = results.route("stable")
        v2 = sum(value(one.share) for one in stable.clusters if "v2" in one.name)
        assert v2 == pytest.approx(weight, abs=binomial(weight, stable.requests))
        assert value(stable.errors) == pytest.approx(weight * 0.04, abs=binomial(weight * 0.04, stable.requests))
        testers = results.route("testers")
        assert [("v2" in one.name, value(one.share)) for one in testers.clusters] == [(True, 1.0)]


def test_both_apis_make_the_same_canary() -> None:
    """Not only alike: the same requests go to the same version, because the draws are the same."""
    ours, theirs = (run(name, duration="8s").route("stable") for name in ("canary", "canary-gateway-api"))
    assert [one.count for one in ours.clusters] == [one.count for one in theirs.clusters]


def test_a_pool_carries_its_parallelism() -> None:
    for limit, offered in ((16, 600.0), (8, 600.0)):
        results = run("max-connections", *(() if limit == 16 else (decides("max-connections", "8"),)), duration="6s")
        carried = 2 * limit / 0.1005
        assert value(results.throughput.good_rps) == pytest.approx(carried, rel=0.05)
        assert errors(results) == pytest.approx(1 - carried / offered, abs=0.04)
    more = run("max-connections", "Deployment/shop/cart:spec.replicas=4", duration="6s")
    assert value(more.throughput.good_rps) < 1.02 * 2 * 16 / 0.1005, "it is no limit per endpoint"
    enough = run("max-connections", decides("max-connections", "46"), duration="6s")
    assert errors(enough) < 0.005


def test_default_retries_hide_dead_pods_and_not_answers() -> None:
    results = run("default-retries", duration="6s")
    cart, reviews = results.route("cart"), results.route("reviews")
    assert value(cart.errors) < 0.01
    assert value(cart.gateway_retries) == pytest.approx(1 / 3, abs=0.04)
    assert value(reviews.gateway_retries) == 0.0
    assert value(reviews.errors) == pytest.approx(0.2, abs=binomial(0.2, reviews.requests))
    none = run("default-retries", decides("default-retries", "{attempts: 0}"), duration="6s").route("cart")
    assert value(none.gateway_retries) == 0.0
    assert value(none.errors) == pytest.approx(0.25, abs=0.04)
    asked = run("default-retries", "VirtualService/shop/shop:spec.http[1].retries={attempts: 2, retryOn: 5xx}", duration="6s").route("reviews")
    assert value(asked.gateway_retries) == pytest.approx(0.2 + 0.04, abs=0.06)
    assert value(asked.errors) == pytest.approx(0.008, abs=0.012)


def test_a_rolling_update_costs_what_gateways_do_not_know_yet() -> None:
    """Rate times (propagation less preStop), over the 22 s of the run."""
    for seconds in (1, 2, 5):
        total = run("backend-rollout", decides("backend-rollout", str(seconds)), "run.replications=1").total
        expected = max(3 - seconds, 0) / 22
        assert value(total.errors) == pytest.approx(expected, abs=0.25 * expected)
    hidden = run("backend-rollout", "VirtualService/shop/orders:spec.http[0].retries={attempts: 2}", "run.replications=1")
    assert value(hidden.total.errors) == 0.0 and value(hidden.total.gateway_retries) > 0.05


def test_a_route_before_its_subsets_fails_until_they_are_there() -> None:
    """503 NC for the time between the two, over the 10 s of the run."""
    for second in (4, 7):
        total = run("config-update", decides("config-update", f"{second}s"), "run.replications=1").total
        expected = max(6 - second, 0) / 10
        assert value(total.errors) == pytest.approx(expected, abs=0.25 * expected)
        assert {one.name for one in total.flags} == ({"NC"} if expected else set())


def test_a_retry_storm_ends_only_with_a_budget() -> None:
    def at_the_end(results: Results) -> float:
        """Share of errors in the last fifth of the run."""
        line = results.timeline
        late = line.edges_s[:-1] >= 0.8 * results.labels.duration_s
        return float(np.nanmean(line.errors.value[late]))

    assert at_the_end(run("retry-storm")) > 0.5
    assert at_the_end(run("retry-storm", decides("retry-storm", "10%"))) < 0.05


def test_one_connection_keeps_one_worker() -> None:
    one = [value(w.utilisation) for w in run("one-connection", duration="2s").workers]
    assert max(one) > 0.4 and min(one) < 0.01
    several = [value(w.utilisation) for w in run("one-connection", decides("one-connection", "16"), duration="2s", replications=2).workers]
    assert max(several) / sum(several) < 0.75
    exact = run("one-connection", decides("one-connection", "2"), "gateway.istio-ingressgateway.balance=exact", duration="2s")
    shares = [value(w.utilisation) for w in exact.workers]
    assert max(shares) / sum(shares) == pytest.approx(0.5, abs=0.03)


def test_a_local_rate_limit_is_per_pod() -> None:
    for settings, pods, rate in (((), 2, 60), ((decides("local-rate-limit", "30"),), 2, 30), (("gateway.istio-ingressgateway.replicas=4",), 4, 60)):
        results = run("local-rate-limit", *settings, duration="8s")
        passed = value(results.throughput.good_rps)
        assert passed == pytest.approx(pods * rate, rel=0.05)
        refused = next(value(one.share) for one in results.total.statuses if one.name == "429")
        assert refused == pytest.approx(1 - pods * rate / value(results.throughput.offered_rps), abs=0.04)


def test_deny_decides_and_audit_does_not() -> None:
    for action, share in (("DENY", 0.3), ("AUDIT", 0.0)):
        results = run("authorization", decides("authorization", action), duration="6s")
        assert errors(results, shape="admin") == (1.0 if share else 0.0)
        assert errors(results) == pytest.approx(share, abs=binomial(share, results.total.requests))
    checked = run("authorization", duration="6s").labels.charges[0].request
    unchecked = run("max-connections", duration="6s").labels.charges[0].request
    assert (checked - unchecked) * 1e-3 >= cost_us("filters.jwt_rs256.verify_us")


def test_a_log_line_costs_what_the_profile_says_and_its_bytes() -> None:
    logged = run("observability-cost", duration="6s")
    silent = run("observability-cost", decides("observability-cost", "true"), duration="6s")
    saved = value(logged.total.work.cpu_us_per_request) - value(silent.total.work.cpu_us_per_request)
    assert saved == pytest.approx(cost_us("filters.access_log_text.write_us"), rel=0.25)
    lines = emit(logged, "access-log", Wanted()).splitlines()
    assert 250 < sum(map(len, lines)) / len(lines) < 400
    web = sum('"web"' in line for line in lines) / len(lines)
    assert web == pytest.approx(0.75, abs=binomial(0.75, len(lines)))


def test_faults_are_shares_of_requests() -> None:
    for percent in (10, 50):
        results = run("fault-injection", decides("fault-injection", str(percent)), duration="8s")
        share, requests = percent / 100, results.total.requests
        assert value(results.total.client_latency.above(2.0)) == pytest.approx(share, abs=binomial(share, requests))
        assert errors(results) == pytest.approx(0.05, abs=binomial(0.05, requests))
        mean = next(one for one in results.total.splits if one.band == "mean")
        assert mean.parts_s[Component.INJECTED_DELAY] == pytest.approx(2.0 * share, abs=2.0 * binomial(share, requests))


def test_an_authorization_service_adds_its_time_and_its_failures() -> None:
    closed = run("api-gateway", duration="6s")
    mean = next(one for one in closed.total.splits if one.band == "mean")
    assert mean.parts_s[Component.FILTER_CALLS] == pytest.approx(0.0045, rel=0.1)
    assert errors(closed) == pytest.approx(0.03, abs=binomial(0.03, closed.total.requests))
    mesh = (SCENARIOS / "api-gateway" / "istio" / "authorization.yaml").read_text(encoding="utf-8")
    text = mesh.split("mesh: |\n")[1].split("---")[0].replace("failOpen: false", "failOpen: true")
    opened = run("api-gateway", decides("api-gateway", json.dumps(text)), duration="6s")
    assert errors(opened) == 0.0


def test_an_autoscaler_rests_at_its_target() -> None:
    for target in (80, 40):
        results = run("autoscaler-target", decides("autoscaler-target", str(target)), duration="4s")
        (fleet,) = results.fleets
        used = value(fleet.cpu_cores)
        exact = used / (target / 100 * 0.1)
        # Within 10 % of the target nothing changes.
        assert math.ceil(exact / 1.1) <= fleet.pods <= math.ceil(exact * 1.1)
        assert fleet.pods == {80: 2, 40: 4}[target]


def test_a_cpu_limit_stops_workers_that_are_mostly_idle() -> None:
    limited = run("cpu-limit", duration="6s")
    tail = next(one for one in limited.total.splits if one.band == "tail")
    assert value(limited.fleets[0].cpu_cores) / 0.5 < 0.45, "a third of the limit on average"
    assert 0.06 < value(limited.total.client_latency.p99) < 0.12
    assert tail.shares[Component.THROTTLING] > 0.5
    free = run("cpu-limit", decides("cpu-limit", "4"), duration="6s")
    assert value(free.total.client_latency.p99) < 0.025
    assert all(one.parts_s[Component.THROTTLING] == 0 for one in free.total.splits)


def test_a_gateway_needs_its_cores_whatever_its_workers() -> None:
    small = run("sizing", duration="3s")
    (fleet,) = small.fleets
    used = value(fleet.cpu_cores)
    sheet = 0.25 * 1.5 + 0.35 * 1500 * 4000 * 8 / 1e9
    assert used == pytest.approx(sheet, rel=0.2)
    assert value(fleet.utilisation) == pytest.approx(used / 2)
    large = run("sizing", decides("sizing", "4"), duration="3s").fleets[0]
    assert (fleet.workers, large.workers) == (2, 4)
    assert value(large.utilisation) == pytest.approx(value(fleet.utilisation) / 2, rel=0.1)


def test_a_pull_request_is_held_against_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    change = decides("pull-request", "40ms")
    changed = run("pull-request", change, duration="8s")
    sigma = math.log(6) / 2.3263
    beyond = 0.5 * math.erfc(math.log(3.94) / sigma / math.sqrt(2))
    assert beyond == pytest.approx(0.038, abs=0.001)
    assert errors(changed) == pytest.approx(beyond, abs=binomial(beyond, changed.total.requests))
    assert [one.name for one in changed.total.flags] == ["UT"]
    assert errors(run("pull-request", duration="8s")) < 0.002
    code = execute(["compare", str(SCENARIOS / "pull-request"), "--set", change, "--engine", "reference", "--duration", "3s", "-n", "3"])
    assert code == 1 and "errors" in capsys.readouterr().out


def proxy_s(results: Results, gateway: str) -> float:
    """What a proxy adds to an unloaded request: two wake-ups, four iterations, its visits."""
    labels = results.labels
    charge = next(one for one, label in zip(labels.charges, labels.classes, strict=True) if label.gateway.endswith(gateway))
    return (2 * cost_us("worker.wakeup_us") + 4 * cost_us("worker.iteration_us")) * 1e-6 + (charge.request + charge.attempt) * 1e-9


def test_an_egress_gateway_adds_a_hop_and_connections_cost_round_trips() -> None:
    def median(results: Results) -> float:
        return value(results.total.client_latency.p50)

    through = run("egress-http", duration="4s")
    direct = run("egress-http", decides("egress-http", "{host: api.partner.com, port: {number: 443}}"), duration="4s")
    pool = "DestinationRule/shop/partner:spec.trafficPolicy.portLevelSettings[0].connectionPool.http.maxRequestsPerConnection"
    fresh = run("egress-http", f"{pool}=1", duration="4s")
    assert [one.gateway for one in direct.fleets] == ["sidecar east/shop/orders"]
    assert median(direct) == pytest.approx(0.02 + 0.03 + 0.00005 + proxy_s(direct, "orders"), abs=3e-5)
    assert median(through) - median(direct) == pytest.approx(0.0004 + proxy_s(through, "istio-egressgateway"), abs=3e-5)
    opening_s = next(one.opening_ns for one in fresh.labels.clusters if one.host == "api.partner.com") * 1e-9
    assert median(fresh) - median(through) == pytest.approx(2 * 0.03 + opening_s, rel=0.01)
    assert through.total.requests == direct.total.requests, "totals are of the client's requests alone"
    gateway = through.select(gateway="istio-egressgateway", route="to-partner")
    assert gateway.requests == through.total.requests
    assert 0.05 < value(gateway.gateway_latency.p50) < 0.05 + proxy_s(through, "istio-egressgateway")


def test_ports_of_a_nat_carry_so_many_connections_a_second() -> None:
    """Two pods' 64 ports, each 30 s at rest and a call of 0.17 s under way: a bound that is nearly reached; kept connections need few."""
    spent = run("egress-nat", "run.replications=1")
    bound_rps = 2 * 64 / 30.17
    assert 0.8 * bound_rps < value(spent.throughput.good_rps) < 1.05 * bound_rps
    first = spent.bottleneck.first
    assert first is not None and first.kind == "ports"
    kept = run("egress-nat", decides("egress-nat", "0"), "run.replications=1")
    assert value(kept.total.errors) == 0.0 and kept.ports[0].peak < 10


def test_three_layers_of_retries_send_27_calls() -> None:
    """Of every order: exactly, as all fail; and it takes what the attempts and their back-offs add up to."""
    ingress, sidecar = decides("order-journey", "{attempts: 0}"), "VirtualService/shop/partner:spec.http[0].retries={attempts: 0}"
    backoff = 0.0125 + 0.025
    for settings, calls, tries in (((), 27, (3, 3)), ((ingress,), 9, (1, 3)), ((ingress, sidecar), 3, (1, 1))):
        results = run("order-journey", *settings, duration="6s")
        partner = next(one for one in results.classes if one.label == "to-partner")
        assert partner.requests * (1 + value(partner.gateway_retries)) == pytest.approx(results.total.requests * calls)
        assert errors(results) == 1.0
        gateway = 3 * 0.0503 + backoff
        outward = tries[1] * (gateway + 0.0006) + (backoff if tries[1] > 1 else 0.0)
        order = tries[0] * (0.005 + 0.0108 + 0.0008 + outward) + (backoff if tries[0] > 1 else 0.0)
        assert value(results.total.client_latency.mean) == pytest.approx(0.02 + order, rel=0.03)


def test_an_order_takes_its_own_time_and_that_of_its_calls() -> None:
    results = run("order-journey", "backends.api.partner.com.errors={}", duration="6s")
    sidecar, ingress, egress = (proxy_s(results, name) for name in ("orders", "istio-ingressgateway", "istio-egressgateway"))
    stock = 0.00005 + sidecar + 0.0004 + 0.01
    partner = 0.00005 + sidecar + 0.0004 + egress + 0.05
    assert value(results.total.client_latency.p50) == pytest.approx(0.02 + ingress + 0.0004 + 0.005 + stock + partner, abs=2e-4)
    assert errors(results) == 0.0
    median = next(one for one in results.total.splits if one.band == "median").parts_s
    assert median[Component.NEXT_HOP] == pytest.approx(stock + partner, abs=2e-4)
    assert median[Component.UPSTREAM_SERVICE] == pytest.approx(0.005)
