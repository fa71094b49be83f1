"""Requests beyond the first proxy: which fleets, relays and classes the model gets, and how the legs are dialled."""

from __future__ import annotations

from pathlib import Path

import pytest
from mesh_text import MESH, SCENARIO, changed, refused, resolved, workload

from gwsim.errors import UsageError
from gwsim.planning.probes import gateway_named
from gwsim.report.offered import flow_of_scenario
from gwsim.scenario import Resolved, model
from gwsim.scenario.rates import class_rates


def client(found: Resolved, name: str) -> tuple[int, model.Client]:
    """Position and client of that name."""
    return next((at, one) for at, one in enumerate(found.model.clients) if one.name == name)


def test_a_workload_sends_through_its_sidecar_and_the_egress_gateway(tmp_path: Path) -> None:
    found = resolved(tmp_path)
    made = found.model
    assert [one.name for one in made.fleets] == ["sidecar east/shop/orders", "east/gates/egress"]
    sidecar, gateway = made.fleets
    assert (len(sidecar.pods), sidecar.pods[0].workers, sidecar.front) == (4, 2, "round_robin")
    assert [pod.zone for pod in sidecar.pods] == ["a", "b", "a", "b"]
    assert [(one.name, made.fleets[one.fleet].name) for one in made.clients] == [
        ("orders", sidecar.name), ("shop/orders -> egress", gateway.name),
    ]
    root, derived = made.clients
    assert root.rtt_s == model.constant(0.00005)
    assert (root.connection.tls, derived.connection.tls, derived.connection.http) == (None, "1.3", 1)
    assert isinstance(derived.arrivals, model.OnDemand)
    there, beyond = root.mix[0].outcome, derived.mix[0].outcome
    assert (there.route, beyond.route) == ("to-gateway", "to-partner")
    assert (there.retry.num_retries if there.retry else 0, there.timeout_s, beyond.timeout_s) == (1, 0.0, 2.0)
    to_gateway, to_partner = (made.clusters[one.targets[0].cluster] for one in (there, beyond))
    assert (to_gateway.cluster.host, to_partner.cluster.host) == ("egress.gates.svc.cluster.local", "api.partner.com")
    assert to_partner.tls_round_trips == 1
    relays = [made.stations[at] for at in to_gateway.stations]
    assert [(one.relay.client, one.relay.pod, dict(one.relay.shapes)) for one in relays if one.relay] == [(1, 0, {(0, 0): 0}), (1, 1, {(0, 0): 0})]
    assert [one.zone for one in relays] == [pod.zone for pod in gateway.pods]
    assert [(one.client, one.shape, one.route, one.gateway) for one in found.classes] == [
        ("orders", "quote", "to-gateway", "sidecar east/shop/orders"), ("shop/orders -> egress", "quote", "to-partner", "east/gates/egress"),
    ]
    assert [one.relay for one in found.stations] == [True, True, False]


def test_handshakes_and_certificates_are_paid_where_they_happen(tmp_path: Path) -> None:
    """With mutual TLS to the gateway both sides pay for it; without, neither."""
    mutual = resolved(tmp_path).model
    plain = resolved(tmp_path, mesh=changed(
        MESH,
        ("port: {number: 443, name: https, protocol: HTTPS}, hosts: [api.partner.com], tls: {mode: ISTIO_MUTUAL}", "port: {number: 80, name: http, protocol: HTTP}, hosts: [api.partner.com]"),
        ("subset: partner, port: {number: 443}", "port: {number: 80}"), ("gateways: [egress], port: 443", "gateways: [egress], port: 80"),
    )).model  # fmt: skip
    assert mutual.clients[1].costs.client_hello_full_s > 0
    assert plain.clients[1].connection.tls is None
    assert plain.clients[1].connection.http == 2, "the port of the gateway's Service is called http2"
    first = [one.clusters[one.clients[0].mix[0].outcome.targets[0].cluster] for one in (mutual, plain)]
    assert [one.tls_round_trips for one in first] == [1, 0]
    assert first[0].costs.up_tls_s > first[1].costs.up_tls_s


def test_a_round_trip_of_its_own_holds_from_every_zone(tmp_path: Path) -> None:
    network = resolved(tmp_path).model.network
    for zone in ("a", "b"):
        assert network.between_s(zone, "east/api.partner.com") == network.between_s("east/api.partner.com", zone) == 0.03
    untold = resolved(tmp_path, changed(SCENARIO, (", rtt: 30ms", "")))
    assert untold.model.network.between_s("a", "east/api.partner.com") == 0.01
    assert any("api.partner.com is outside the mesh" in text and "10 ms" in text for text in untold.assumptions)


def test_every_weighted_destination_is_followed(tmp_path: Path) -> None:
    route = "route: [{destination: {host: egress.gates.svc.cluster.local, subset: partner, port: {number: 443}}}]"
    split = """route:
        - {destination: {host: egress.gates.svc.cluster.local, subset: partner, port: {number: 443}}, weight: 75}
        - {destination: {host: api.partner.com, port: {number: 80}}, weight: 25}"""
    made = resolved(tmp_path, mesh=changed(MESH, (route, split))).model
    targets = made.clients[0].mix[0].outcome.targets
    assert [one.weight for one in targets] == [75, 25]
    kinds = [{made.stations[s].relay is not None for s in made.clusters[one.cluster].stations} for one in targets]
    assert kinds == [{True}, {False}]
    rates = class_rates(made, lambda _: 100.0)
    assert rates == pytest.approx({(0, 0): 100.0, (1, 0): 75.0})


def test_the_next_proxy_sees_the_request_as_the_last_sent_it(tmp_path: Path) -> None:
    route = "      match: [{gateways: [egress], port: 443}]\n"
    rewritten = "      match: [{gateways: [egress], port: 443, uri: {prefix: /internal}, headers: {x-from: {exact: mesh}}}]\n"
    retries = "retries: {attempts: 1, retryOn: 5xx}"
    mesh = changed(MESH, (route, rewritten), (retries, retries + "\n      rewrite: {uri: /internal/}\n      headers: {request: {set: {x-from: mesh}}}"))
    found = resolved(tmp_path, mesh=mesh)
    assert (found.classes[1].path, found.classes[1].route) == ("/internal/v1/quote", "to-partner")
    without = resolved(tmp_path, mesh=changed(mesh, ("x-from: mesh", "x-from: else")))
    assert without.model.clients[1].mix[0].outcome.local_status == 404
    assert any(one.code == "GW0202" and "east/gates/egress" in one.message for one in without.findings)


def test_the_gateways_replicas_are_the_callers_endpoints(tmp_path: Path) -> None:
    found = resolved(tmp_path, SCENARIO, MESH, "gateway.egress.replicas=3")
    made = found.model
    first = made.clusters[0]
    assert len(made.fleets[1].pods) == len(first.stations) == len(first.hosts) == 3
    assert [one.relay.pod for one in made.stations if one.relay] == [0, 1, 2]
    assert refused(tmp_path, SCENARIO, MESH, "gateway.orders.replicas=3").message == "orders is a sidecar: its pods are those of its workload"
    assert resolved(tmp_path, SCENARIO, MESH, "gateway.orders.workers=1").model.fleets[0].pods[0].workers == 1


def test_two_workloads_share_the_gateway_and_keep_their_classes(tmp_path: Path) -> None:
    more = """\
  billing:
    from: shop/billing
    arrivals: {poisson: 10rps}
    mix: [{name: quote, host: api.partner.com, path: /v1/bill}]
backends:
"""
    found = resolved(tmp_path, changed(SCENARIO, ("backends:\n", more)), f"{MESH}---\n{workload('billing')}")
    made = found.model
    assert [one.name for one in made.clients] == ["orders", "billing", "shop/orders -> egress", "shop/billing -> egress"]
    assert [one.fleet for one in made.clients[2:]] == [2, 2]
    assert [dict(one.relay.shapes) for one in made.stations if one.relay] == [{(0, 0): 0}] * 2 + [{(1, 0): 0}] * 2


def test_pods_of_a_sidecar_are_as_large_as_their_annotations_say(tmp_path: Path) -> None:
    where = "    metadata: {labels: {app: orders}}"
    mesh = changed(MESH, (where, "    metadata: {labels: {app: orders}, annotations: {sidecar.istio.io/proxyCPULimit: 3500m}}"))
    assert resolved(tmp_path, mesh=mesh).model.fleets[0].pods[0].workers == 4
    mesh = changed(MESH, (where, "    metadata: {labels: {app: orders}, annotations: {proxy.istio.io/config: '{concurrency: 1}'}}"))
    assert resolved(tmp_path, mesh=mesh).model.fleets[0].pods[0].workers == 1


def test_a_machine_sends_through_its_sidecar_too(tmp_path: Path) -> None:
    machines = "".join(f"""\
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: vm-{n}, namespace: shop}}
spec: {{address: 10.0.0.{n}, labels: {{app: billing}}, serviceAccount: billing, locality: here/z{n}}}
""" for n in (1, 2))
    found = resolved(tmp_path, changed(SCENARIO, ("shop/orders", "shop/vm-1")), MESH + machines)
    fleet = found.model.fleets[0]
    assert (fleet.name, [(pod.name, pod.zone) for pod in fleet.pods]) == ("sidecar east/shop/billing", [("vm-1", "z1"), ("vm-2", "z2")])
    assert found.model.clients[1].name == "shop/billing -> egress"


def test_unknown_destinations_are_passed_on_or_refused(tmp_path: Path) -> None:
    text = changed(SCENARIO, ("mix:\n", "mix:\n      - {name: other, host: example.org, path: /}\n"))
    made = resolved(tmp_path, text).model
    target = made.clients[0].mix[0].outcome.targets[0]
    assert [made.stations[s].name for s in made.clusters[target.cluster].stations] == ["east/example.org/example.org"]
    strict = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata: {mesh: 'outboundTrafficPolicy: {mode: REGISTRY_ONLY}'}\n"
    found = resolved(tmp_path, text, MESH + strict)
    assert found.model.clients[0].mix[0].outcome.targets == ()
    assert found.model.clients[0].mix[0].outcome.local_status == 502
    assert any("REGISTRY_ONLY" in one.message and one.span and one.span.line == 9 for one in found.findings)


@pytest.mark.parametrize(
    ("old", "new", "line", "said", "help"),
    [
        ("from: shop/orders", "from: shop/order", 6, "there is no workload shop/order", "did you mean shop/orders?"),
        ("from: shop/orders", "from: west/shop/orders", 6, "there is no workload shop/orders in cluster west", None),
        ("from: shop/orders", "from: orders", 6, "'orders' names no workload; write [cluster/]namespace/name, e.g. shop/orders", None),
        ("from: shop/orders", "target: Service/gates/egress:443\n    from: shop/orders", 5, "give either target", None),
        ("path: /v1/quote", "port: 0", 9, "port", None),
    ],
)
def test_bad_names_are_told_with_their_line(tmp_path: Path, old: str, new: str, line: int, said: str, help: str | None) -> None:
    finding = refused(tmp_path, changed(SCENARIO, (old, new)))
    assert said in finding.message
    assert finding.span is not None
    assert finding.span.line == line
    assert help is None or help in (finding.help or "")


def test_a_workload_that_has_no_sidecar_is_refused_and_one_that_is_not_told_has_one(tmp_path: Path) -> None:
    finding = refused(tmp_path, mesh=changed(MESH, (", labels: {istio-injection: enabled}", "")))
    assert "shop/orders has no sidecar" in finding.message
    assert "istio-injection: enabled" in (finding.help or "")
    untold = changed(MESH, ("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n---\n", ""))
    assert resolved(tmp_path, mesh=untold).model.fleets[0].name == "sidecar east/shop/orders"


def test_a_request_that_comes_back_is_refused(tmp_path: Path) -> None:
    route = "route: [{destination: {host: api.partner.com, port: {number: 443}}}]"
    back = "route: [{destination: {host: egress.gates.svc.cluster.local, port: {number: 443}}}]"
    finding = refused(tmp_path, mesh=changed(MESH, (route, back)))
    assert finding.message == "quote goes round in a circle: sidecar east/shop/orders -> east/gates/egress -> east/gates/egress"


def test_planners_size_gateways_and_not_sidecars(tmp_path: Path) -> None:
    found = resolved(tmp_path)
    assert gateway_named(found, "egress") == "east/gates/egress"
    with pytest.raises(UsageError, match="no request of the scenario goes through a gateway orders"):
        gateway_named(found, "orders")


def test_what_is_offered_goes_on_through_the_chain(tmp_path: Path) -> None:
    flow = flow_of_scenario(resolved(tmp_path))
    rates = {(node.column, node.name): node.rps for node in flow.nodes.values()}
    assert rates[1, "sidecar orders"] == rates[2, "egress"] == rates[3, "api.partner.com"] == pytest.approx(100.0)


def test_the_clients_own_tls_goes_through_both_unopened(tmp_path: Path) -> None:
    mesh = changed(
        MESH,
        ("{number: 443, name: https, protocol: HTTPS}, hosts: [api.partner.com], tls: {mode: ISTIO_MUTUAL}", "{number: 443, name: tls, protocol: TLS}, hosts: [api.partner.com], tls: {mode: PASSTHROUGH}"),
        ("protocol: HTTPS}]\n  resolution", "protocol: TLS}]\n  resolution"),
        ("trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: api.partner.com}}", "labels: {istio: egress}"),
        ("trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE, sni: api.partner.com}}]}", "trafficPolicy: {}"),
    )  # fmt: skip
    mesh = mesh[: mesh.index("  http:\n    - name: to-gateway")] + """\
  tls:
    - match: [{gateways: [mesh], port: 443, sniHosts: [api.partner.com]}]
      route: [{destination: {host: egress.gates.svc.cluster.local, subset: partner, port: {number: 443}}}]
    - match: [{gateways: [egress], port: 443, sniHosts: [api.partner.com]}]
      route: [{destination: {host: api.partner.com, port: {number: 443}}}]
""" + mesh[mesh.index("---\napiVersion: v1\nkind: Service\nmetadata: {name: orders") :]
    found = resolved(tmp_path, changed(SCENARIO, ("path: /v1/quote", "path: /v1/quote, port: 443")), mesh)
    root, beyond = found.model.clients
    assert (root.connection.tls, beyond.connection.tls, beyond.name) == ("1.3", "1.3", "shop/orders -> egress")
    assert [one.tcp for one in found.classes] == [True, True]
    assert {one.tls_round_trips for one in found.model.clusters} == {0}
    assert any("client orders: TLS 1.3, as port 443 expects" in one for one in found.assumptions)
