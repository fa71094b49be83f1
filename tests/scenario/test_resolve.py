"""Scenario and topology to the model: what engines get, what is assumed, what is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scenario_text import SCENARIO, changed

from gwsim import scenario
from gwsim.errors import InputError
from gwsim.scenario import Project, Resolved, model
from gwsim.scenario.resolution import auto_warmup_s

Resolve = Callable[..., Resolved]
MIX = SCENARIO[SCENARIO.index("      - {name: checkout") : SCENARIO.index("backends:")]


def with_mix(*entries: str) -> str:
    return changed((MIX, "".join(f"      - {entry}\n" for entry in entries)))


def messages(resolved: Resolved, code: str) -> list[str]:
    return [finding.message for finding in resolved.findings if finding.code == code]


def test_the_model_of_the_small_scenario(resolve: Resolve) -> None:
    resolved = resolve()
    made = resolved.model
    client = made.clients[0]
    assert [shape.name for shape in client.mix] == ["checkout", "cart"]
    checkout = client.mix[0].outcome
    assert [(one.weight, made.clusters[one.cluster].cluster.subset) for one in checkout.targets] == [(90, "v1"), (10, "v2")]
    assert (checkout.timeout_s, checkout.retry.num_retries if checkout.retry else 0) == (3.0, 1)
    assert client.mix[1].outcome.timeout_s == 0.0
    assert client.timeout_s == 10.0
    assert client.connection == model.Connection(http=2, count=100, requests=6, streams=100, tls="1.3", offers_ticket=0.4)
    assert made.classes() == ((0, 0), (0, 1))
    assert [(label.client, label.shape, label.route) for label in resolved.classes] == [("web", "checkout", "checkout"), ("web", "cart", "cart")]
    assert resolved.routes == ("checkout", "cart")
    assert resolved.question == "Does the canary hold?"
    assert [budget.text for budget in resolved.budgets] == list(resolved.effective["budgets"])


def test_pods_are_shared_between_clusters_that_reach_them(resolve: Resolve) -> None:
    text = with_mix("{name: a, path: /checkout}", "{name: b, path: /cart}")
    both = resolve("VirtualService/shop/shop:spec.http[3].route[0].destination.host=checkout", text=text)
    names = [cluster.cluster.name for cluster in both.model.clusters]
    v1, v2, everything = (both.model.clusters[at] for at in range(3))
    assert names == [f"outbound|8080|{subset}|checkout.shop.svc.cluster.local" for subset in ("v1", "v2", "")]
    assert (v1.stations, v2.stations, everything.stations) == ((0, 1, 2), (3,), (0, 1, 2, 3))
    assert len(both.model.stations) == 4


def test_only_clusters_that_can_be_reached_are_in_the_model(resolve: Resolve) -> None:
    resolved = resolve(text=with_mix("{name: b, path: /cart}"))
    assert [cluster.cluster.host for cluster in resolved.model.clusters] == ["cart.shop.svc.cluster.local"]
    assert {label.backend for label in resolved.stations} == {"east/cart.shop"}


def test_pods_are_placed_on_zones_in_turn(resolve: Resolve) -> None:
    resolved = resolve(replicas={"istio-system/istio-ingressgateway": 4})
    assert [pod.zone for pod in resolved.pods] == ["a", "b", "c", "a"]
    assert resolved.worker_pods == (0, 0, 1, 1, 2, 2, 3, 3)
    assert any("4 pods" in text and "2 in zone a, 1 in zone b, 1 in zone c" in text for text in resolved.assumptions)
    with pytest.raises(ValueError, match="nope"):
        resolve(replicas={"nope": 1})


def test_backends_by_service_and_subset(resolve: Resolve) -> None:
    resolved = resolve(
        "backends.east/checkout.shop.subsets.v2.service_time=50ms",
        "backends.east/checkout.shop.errors={503: 1%}",
        "backends.cart.shop.queue=3",
    )
    by_name = {station.name: station for station in resolved.model.stations}
    canary, stable = by_name["east/checkout.shop/checkout-v2-0"], by_name["east/checkout.shop/checkout-v1-0"]
    assert canary.service_time_s == model.constant(0.05)
    assert (canary.concurrency, canary.errors) == (32, ((0.01, 503),))
    assert stable.service_time_s.mean > 0.012
    assert by_name["east/cart.shop/cart-v1-0"].queue == 3
    assert [label.assumed for label in resolved.stations if label.backend == "east/cart.shop"] == [True] * 4
    assert any(text.startswith("backend east/cart.shop: service time lognormal") for text in resolved.assumptions)
    again = resolve("backends.east/checkout.shop#v2.service_time=50ms")
    assert again.model.stations[3].service_time_s == model.constant(0.05)


@pytest.mark.parametrize(
    ("setting", "said", "help"),
    [
        ("backends.east/chekout.shop.queue=1", "there is no backend east/chekout.shop", "did you mean east/checkout.shop?"),
        ("backends.east/checkout.shop#v3.queue=1", "east/checkout.shop has no subset v3", "it has v1, v2"),
        ("backends.east/checkout.shop.subsets.x.queue=1", "east/checkout.shop has no subset x", "it has v1, v2"),
        ("gateway.istio-ingresgateway.workers=1", "there is no gateway istio-ingresgateway", "istio-ingressgateway?"),
        ("clients.web.target=east/Service/istio-system/istio-ingresgateway:443", "does not exist", "did you mean east/Service/istio-system/istio-ingressgateway:"),
        ("clients.web.target=east/Service/istio-system/istio-ingressgateway:444", "444", None),
        ("clients.web.target=nonsense", "cannot be read", None),
        ("costs.overrides.worker.wakup_us=1", "unknown cost 'worker.wakup_us'", "worker.wakeup_us"),
        ("costs.profile=nowhere.yaml", "cannot read the cost profile", None),
        ("network.between=[{zones: [a, z], rtt: 1ms}]", "there is no zone z", "a, b, c"),
    ],
)
def test_names_that_do_not_exist(resolve: Resolve, setting: str, said: str, help: str | None) -> None:
    with pytest.raises(InputError) as caught:
        resolve(setting)
    assert caught.value.exit_code == 2
    found = [finding for finding in caught.value.findings if said in finding.message]
    assert found, caught.value.findings
    assert found[0].span is not None
    assert found[0].span.file.startswith("--set ")
    if help is not None:
        assert found[0].help is not None
        assert help in found[0].help


def test_all_wrong_names_are_told_together(resolve: Resolve) -> None:
    with pytest.raises(InputError) as caught:
        resolve("backends.east/x.y.queue=1", "gateway.nope.workers=1", "clients.web.target=nope", "costs.overrides.a.b=1")
    assert {finding.code for finding in caught.value.findings} >= {"GW0201", "GW0204", "GW0207", "GW0208"}


def test_local_replies_and_missing_clusters(resolve: Resolve) -> None:
    resolved = resolve(text=with_mix("{name: moved, path: /moved}", "{name: gone, path: /gone}", "{name: none, path: /nothing}"))
    moved, gone, none = (shape.outcome for shape in resolved.model.clients[0].mix)
    assert (moved.targets, moved.local_status) == ((), 301)
    assert [target.cluster for target in gone.targets] == [-1]
    assert (none.targets, none.local_status, none.flags) == ((), 404, ("NR",))
    assert [label.outcome for label in resolved.classes] == ["redirect", "error", "not_found"]
    assert "none: no route" in messages(resolved, "GW0202")[0]
    assert resolved.model.clusters == ()
    finding = next(one for one in resolved.findings if one.code == "GW0202")
    assert finding.span is not None
    assert finding.span.text is not None
    assert "{name: none" in finding.span.text


def test_a_rejected_server_name(resolve: Resolve) -> None:
    resolved = resolve("clients.web.sni=other.example")
    outcome = resolved.model.clients[0].mix[0].outcome
    assert (outcome.targets, outcome.local_status, outcome.flags) == ((), 0, ("NR",))
    assert "no filter chain for SNI 'other.example'" in messages(resolved, "GW0209")[0]


def test_tls_follows_the_port_unless_it_is_said(resolve: Resolve) -> None:
    auto = changed((', tls: "1.3"', ""))
    assert resolve(text=auto).model.clients[0].connection.tls == "1.3"
    plain = changed((', tls: "1.3"', ""), ("    sni: shop.example\n", ""), (":443", ":80"))
    resolved = resolve(text=plain)
    assert resolved.model.clients[0].connection.tls is None
    assert resolved.model.clients[0].connection.offers_ticket == 0.0
    assert resolved.model.clients[0].costs.client_hello_full_s == 0.0
    assert any("plaintext, as port 80 expects" in text for text in resolved.assumptions)
    forced = resolve("clients.web.connection.tls=none", text=SCENARIO)
    assert messages(forced, "GW0209")


def test_costs_depend_on_protocol_speed_and_overrides(resolve: Resolve) -> None:
    base = resolve().model
    fast = resolve("costs.speed=2").model
    assert fast.fleets[0].wakeup_s == pytest.approx(base.fleets[0].wakeup_s / 2)
    assert fast.clients[0].costs.read_s == pytest.approx(base.clients[0].costs.read_s / 2)
    assert fast.network == base.network
    assert base.clients[0].costs.read_stream_s > 0.0
    assert resolve("clients.web.connection.http=1").model.clients[0].costs.read_stream_s == 0.0
    assert resolve("costs.overrides.worker.wakeup_us=30").model.fleets[0].wakeup_s == pytest.approx(30e-6)
    facts = resolve().costs
    assert 0.0 < facts.low < 1.0 < facts.high
    assert not facts.calibrated


def test_mutual_tls_to_pods_with_a_sidecar(resolve: Resolve) -> None:
    secured = resolve().model.clusters[0]
    assert secured.tls_round_trips == 1
    assert secured.costs.up_tls_s > 0.0
    disabled = resolve("DestinationRule/shop/checkout:spec.trafficPolicy.tls.mode=DISABLE").model.clusters[0]
    assert disabled.tls_round_trips == 0
    assert disabled.costs.up_tls_s == 0.0
    assert disabled.costs.read_up_s < secured.costs.read_up_s


def test_the_network(resolve: Resolve) -> None:
    network = resolve("network={same_zone: 300us, between: [{zones: [a, b], rtt: 3ms}]}").model.network
    assert network.between_s("a", "a") == pytest.approx(300e-6)
    assert network.between_s("a", "b") == network.between_s("b", "a") == pytest.approx(3e-3)
    assert network.between_s("a", "c") == pytest.approx(1e-3)


def test_warm_up(resolve: Resolve) -> None:
    assert resolve().model.run.warmup_s == 6.0
    assert resolve().plan.warmup_auto
    given = resolve("run.warmup=2s")
    assert (given.model.run.warmup_s, given.plan.warmup_auto) == (2.0, False)
    assert resolve("run.kind=timeline").model.run.warmup_s == 0.0
    assert [auto_warmup_s(duration) for duration in (0.5, 5.0, 10.0, 100.0)] == [0.25, 1.0, 1.0, 10.0]


def test_client_retries_and_sizes(resolve: Resolve) -> None:
    resolved = resolve("clients.web.retries={attempts: 2, retry_on: [timeout], budget: 10%}", "clients.web.mix.cart.response_size=1KB")
    assert resolved.model.clients[0].retry == model.ClientRetry(attempts=2, on_5xx=False, on_timeout=True, budget=0.1)
    checkout, cart = resolved.model.clients[0].mix
    assert checkout.request_bytes.kind == "lognormal"
    assert (cart.request_bytes, cart.response_bytes) == (model.constant(0.0), model.constant(1000.0))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("front.idle_timeout=60s", "idle_timeout of the load balancer"),
        ("front.deregistration=60s", "deregistration of the load balancer"),
        ("DestinationRule/shop/checkout:spec.trafficPolicy.loadBalancer.simple=PASSTHROUGH", "simulated as LEAST_REQUEST"),
    ],
)  # fmt: skip
def test_what_is_not_simulated_is_said(resolve: Resolve, setting: str, said: str) -> None:
    resolved = resolve(setting)
    found = [finding for finding in resolved.findings if said in finding.message]
    assert found, [finding.message for finding in resolved.findings]
    assert all(finding.level.value == "info" for finding in found)


def test_two_clients_of_two_ports_share_the_fleet(resolve: Resolve) -> None:
    second = SCENARIO[SCENARIO.index("  web:") : SCENARIO.index("backends:")].replace("  web:", "  api:").replace(":443", ":80")
    second = second.replace("    sni: shop.example\n", "").replace('tls: "1.3"', "tls: none")
    resolved = resolve(text=SCENARIO.replace("backends:", second + "backends:"))
    assert [client.fleet for client in resolved.model.clients] == [0, 0]
    assert len(resolved.model.fleets) == 1
    assert len(resolved.model.clusters) == 3
    assert len(resolved.classes) == 4


def test_resolving_twice_gives_the_same(project: Callable[..., Project]) -> None:
    opened: Any = project()
    first = scenario.resolve(opened.loaded, opened.topology)
    assert first.model == scenario.resolve(opened.loaded, opened.topology).model
    assert first.assumptions == scenario.resolve(opened.loaded, opened.topology).assumptions
