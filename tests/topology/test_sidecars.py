"""What a sidecar does with its client's HTTP requests. Oracle: istiod's documented rules, one test a rule."""

from __future__ import annotations

import pytest
from sidecar_build import ask, entry, scope, service, sidecar, to, virtual_service

from gwsim.topology import Outcome

BOOKS = service("books", "http:80, http-alt:8080")
CARTS = service("carts", "http:80, http-alt:8080")
OTHER = service("stock", "http:80, http-alt:8080", "far")
MESH = BOOKS + "---" + CARTS + "---" + OTHER
FQDN = "books.app.svc.cluster.local"


def out(port, host, subset=""):
    return f"outbound|{port}|{subset}|{host}"


def routes_to(host, port=""):
    extra = f", port: {{number: {port}}}" if port else ""
    return f"http: [{{route: [{{destination: {{host: {host}{extra}}}}}]}}]"


@pytest.mark.parametrize("name", ["books", "books.app", "books.app.svc", FQDN, "BOOKS.app", "books.app:80"])
def test_every_name_of_a_service_leads_to_it(name):
    got = ask(sidecar(MESH), f"http://{name}/" if ":" in name else f"http://{name}:80/")
    assert (got.outcome, to(got)) == (Outcome.FORWARD, [out(80, FQDN)])


def test_a_bare_name_is_that_of_the_clients_own_namespace():
    proxy = sidecar(MESH, namespace="far")
    assert to(ask(proxy, "http://stock/")) == [out(80, "stock.far.svc.cluster.local")]
    assert ask(proxy, "http://books/").outcome == Outcome.PASSTHROUGH
    assert to(ask(proxy, "http://books.app/")) == [out(80, FQDN)]


def test_the_port_dialled_decides_on_the_cluster():
    assert to(ask(sidecar(MESH), "http://books:8080/")) == [out(8080, FQDN)]


def test_a_service_gets_a_default_route_with_two_retries_and_no_timeout():
    got = ask(sidecar(MESH), "http://books/")
    assert (got.route, got.timeout_s, got.retry_policy.num_retries) == ("default", 0.0, 2)


def test_a_virtual_service_without_port_keeps_the_port_dialled():
    proxy = sidecar(MESH, virtual_service("v", f"[{FQDN}]", routes_to("carts.app.svc.cluster.local")))
    assert to(ask(proxy, "http://books/")) == [out(80, "carts.app.svc.cluster.local")]
    assert to(ask(proxy, "http://books:8080/")) == [out(8080, "carts.app.svc.cluster.local")]


def test_the_only_port_of_the_destination_is_taken():
    proxy = sidecar(MESH, service("one", "http:7000"), virtual_service("v", "[books]", routes_to("one")))
    assert to(ask(proxy, "http://books/")) == [out(7000, "one.app.svc.cluster.local")]


@pytest.mark.parametrize(("port", "outcome"), [(80, Outcome.ERROR), (8080, Outcome.PASSTHROUGH)])
def test_a_host_unknown_to_the_registry_is_served_on_port_80_only(port, outcome):
    proxy = sidecar(MESH, virtual_service("v", "[new.example]", routes_to("gone.example", 80)))
    assert ask(proxy, f"http://new.example:{port}/").outcome == outcome


def test_of_two_virtual_services_for_a_host_the_oldest_counts():
    newer = virtual_service("a", f"[{FQDN}]", routes_to("books"), created="2024-01-01T00:00:00Z")
    older = virtual_service("z", f"[{FQDN}]", routes_to("carts"), "app", "2023-01-01T00:00:00Z")
    assert to(ask(sidecar(MESH, newer, older), "http://books/")) == [out(80, "carts.app.svc.cluster.local")]


def test_any_namespace_may_hold_the_virtual_service_unless_it_keeps_it_private():
    rule = routes_to("carts.app.svc.cluster.local")
    shown = sidecar(MESH, virtual_service("v", f"[{FQDN}]", rule, "far"))
    hidden = sidecar(MESH, virtual_service("v", f"[{FQDN}]", rule, "far", more="exportTo: ['.']"))
    assert to(ask(shown, "http://books/")) == [out(80, "carts.app.svc.cluster.local")]
    assert to(ask(hidden, "http://books/")) == [out(80, FQDN)]


def test_a_wildcard_is_for_the_services_that_have_no_rule_of_their_own():
    wide = virtual_service("wide", "['*.cluster.local']", routes_to("wide.example", 1), created="2020-01-01T00:00:00Z")
    own = virtual_service("own", f"[{FQDN}]", routes_to("own.example", 1), created="2024-01-01T00:00:00Z")
    proxy = sidecar(MESH, wide, own)
    assert to(ask(proxy, "http://books/")) == [out(1, "own.example")]
    assert to(ask(proxy, "http://carts/")) == [out(1, "wide.example")]
    assert ask(proxy, "http://nobody.app.svc.cluster.local/").outcome == Outcome.PASSTHROUGH


def test_a_wildcard_without_services_is_a_host_of_its_own():
    proxy = sidecar(MESH, virtual_service("v", "['*.example.org']", routes_to("books", 80)))
    assert to(ask(proxy, "http://a.b.example.org/")) == [out(80, FQDN)]


def test_the_more_specific_wildcard_gets_the_service():
    wide = virtual_service("wide", "['*.local']", routes_to("wide.example", 1), created="2020-01-01T00:00:00Z")
    narrow = virtual_service("narrow", "['*.app.svc.cluster.local']", routes_to("narrow.example", 1))
    assert to(ask(sidecar(MESH, wide, narrow), "http://books/")) == [out(1, "narrow.example")]


MATCHES = [
    ("sourceLabels: {app: web}", {"app": "web"}, True),
    ("sourceLabels: {app: web}", {"app": "batch"}, False),
    ("sourceNamespace: app", {}, True),
    ("sourceNamespace: far", {}, False),
    ("port: 80", {}, True),
    ("port: 8080", {}, False),
    ("gateways: [mesh]", {}, True),
    ("gateways: [app/public]", {}, False),
    ("gateways: [mesh], sourceLabels: {app: web}", {"app": "batch"}, True),
]


@pytest.mark.parametrize(("match", "labels", "taken"), MATCHES)
def test_conditions_about_the_client(match, labels, taken):
    http = f"http: [{{match: [{{{match}}}], route: [{{destination: {{host: carts}}}}]}}]"
    proxy = sidecar(MESH, virtual_service("v", f"[{FQDN}]", http, more="gateways: [mesh, public]"), labels=labels)
    # A VirtualService none of whose routes is for this client leaves the service its default route.
    wanted = "carts.app.svc.cluster.local" if taken else FQDN
    assert to(ask(proxy, "http://books/")) == [out(80, wanted)]


def test_a_virtual_service_of_a_gateway_alone_is_not_for_sidecars():
    proxy = sidecar(MESH, virtual_service("v", f"[{FQDN}]", routes_to("carts"), more="gateways: [public]"))
    assert to(ask(proxy, "http://books/")) == [out(80, FQDN)]


def test_subsets_weights_and_delegates():
    rules = """
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: d, namespace: app}
    spec: {host: books, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
    """
    root = virtual_service("root", f"[{FQDN}]", "http: [{match: [{uri: {prefix: /b}}], delegate: {name: leaf, namespace: app}}]")
    leaf = """
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: leaf, namespace: app}
    spec:
      http:
      - route:
        - {destination: {host: books, subset: v1}, weight: 90}
        - {destination: {host: books, subset: v2}, weight: 10}
    """
    got = ask(sidecar(MESH, rules, root, leaf), "http://books/b")
    assert [(one.cluster, one.weight) for one in got.clusters] == [(out(80, FQDN, "v1"), 90), (out(80, FQDN, "v2"), 10)]
    assert ask(sidecar(MESH, rules, root, leaf), "http://books/a").outcome == Outcome.NOT_FOUND


def test_destination_rules_count_from_the_clients_namespace():
    def rule(namespace, retries):
        return f"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {{name: d, namespace: {namespace}}}
        spec:
          host: {FQDN}
          trafficPolicy: {{connectionPool: {{http: {{maxRetries: {retries}}}}}}}
        """

    def limit(namespace):
        proxy = sidecar(MESH, rule("app", 1), rule("far", 2), rule("istio-system", 3), namespace=namespace)
        return proxy.clusters[out(80, FQDN)].circuit_breakers.max_retries

    assert (limit("far"), limit("app"), limit("elsewhere")) == (2, 1, 1)


# Sidecar resources


def test_only_imported_services_are_known():
    proxy = sidecar(MESH, scope("{egress: [{hosts: ['./carts.app.svc.cluster.local', 'far/*']}]}"))
    assert to(ask(proxy, "http://carts/")) == [out(80, "carts.app.svc.cluster.local")]
    assert to(ask(proxy, "http://stock.far/")) == [out(80, "stock.far.svc.cluster.local")]
    assert ask(proxy, "http://books/").outcome == Outcome.PASSTHROUGH
    assert out(80, FQDN) not in proxy.clusters


def test_importing_nothing_leaves_everything_unknown():
    proxy = sidecar(MESH, scope("{egress: [{hosts: ['~/*']}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}"))
    got = ask(proxy, "http://books/")
    assert (got.outcome, got.status) == (Outcome.BLACKHOLE, 0)


def test_registry_only_answers_502_where_the_port_speaks_http():
    proxy = sidecar(MESH, scope("{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}"))
    assert (ask(proxy, "http://out.example/").outcome, ask(proxy, "http://out.example/").status) == (Outcome.BLACKHOLE, 502)
    assert ask(proxy, "https://out.example/").outcome == Outcome.BLACKHOLE
    assert ask(proxy, "http://books/").outcome == Outcome.FORWARD


def test_a_virtual_service_comes_with_any_of_its_hosts_and_brings_its_destinations():
    rule = virtual_service("v", f"[{FQDN}, carts.app.svc.cluster.local]", routes_to("stock.far.svc.cluster.local"))
    proxy = sidecar(MESH, rule, scope("{egress: [{hosts: ['*/books.app.svc.cluster.local']}]}"))
    assert to(ask(proxy, "http://books/")) == [out(80, "stock.far.svc.cluster.local")]
    assert ask(proxy, "http://books/").outcome == Outcome.FORWARD
    assert ask(proxy, "http://carts.app.svc.cluster.local/").outcome == Outcome.FORWARD


def test_a_wildcard_virtual_service_of_a_namespace_that_is_not_imported_stays_out():
    wide = virtual_service("w", "['*.cluster.local']", routes_to("wide.example", 1), "far")
    proxy = sidecar(MESH, wide, scope("{egress: [{hosts: ['app/*']}]}"))
    assert to(ask(proxy, "http://carts/")) == [out(80, "carts.app.svc.cluster.local")]


def test_which_sidecar_is_in_force():
    def names(*objects, labels=None):
        proxy = sidecar(MESH, *objects, labels=labels)
        return {one.split("|")[3].split(".")[0] for one in proxy.clusters if one.startswith("outbound|80|")}

    root = scope("{egress: [{hosts: ['far/*']}]}", "istio-system")
    own = scope("{egress: [{hosts: ['./books.app.svc.cluster.local']}]}")
    chosen = scope("{workloadSelector: {labels: {app: web}}, egress: [{hosts: ['./carts.app.svc.cluster.local']}]}", name="web")
    assert names() == {"books", "carts", "stock"}
    assert names(root) == {"stock"}
    assert names(root, own) == {"books"}
    assert names(root, own, chosen, labels={"app": "web"}) == {"carts"}
    assert names(root, own, chosen, labels={"app": "batch"}) == {"books"}


def test_an_egress_listener_for_a_port_has_its_own_imports():
    spec = "{egress: [{port: {number: 8080, protocol: HTTP, name: a}, hosts: ['./books.app.svc.cluster.local']}, {hosts: ['./*']}]}"
    proxy = sidecar(MESH, scope(spec))
    assert to(ask(proxy, "http://books:8080/")) == [out(8080, FQDN)]
    assert ask(proxy, "http://carts:8080/").outcome == Outcome.PASSTHROUGH
    assert to(ask(proxy, "http://carts:80/")) == [out(80, "carts.app.svc.cluster.local")]


def test_an_egress_proxy_takes_what_is_unknown():
    proxy = sidecar(
        MESH,
        scope("{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: books.app.svc.cluster.local, port: {number: 80}}}}"),
    )
    got = ask(proxy, "http://out.example/")
    assert (got.outcome, to(got)) == (Outcome.FORWARD, [out(80, FQDN)])


# External names and ServiceEntries


def test_an_external_name_is_another_name_of_its_target():
    alias = """
    apiVersion: v1
    kind: Service
    metadata: {name: alias, namespace: app}
    spec: {type: ExternalName, externalName: books.app.svc.cluster.local}
    """
    proxy = sidecar(MESH, alias)
    assert to(ask(proxy, "http://alias/")) == [out(80, FQDN)]
    assert not [one for one in proxy.clusters if "alias" in one]
    own = virtual_service("v", "[alias.app.svc.cluster.local]", routes_to("carts"))
    assert to(ask(sidecar(MESH, alias, own), "http://alias.app.svc.cluster.local/")) == [out(80, "carts.app.svc.cluster.local")]
    assert to(ask(sidecar(MESH, alias, own), "http://alias.app/")) == [out(80, FQDN)]


def test_two_entries_for_a_host_give_it_both_ports():
    one = entry("one", "{hosts: [out.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}")
    two = entry("two", "{hosts: [out.example], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}")
    proxy = sidecar(one, two)
    assert to(ask(proxy, "http://out.example/")) == [out(80, "out.example")]
    assert to(ask(proxy, "https://out.example/")) == [out(443, "out.example")]


def test_an_entry_that_is_not_exported_is_unknown():
    hidden = entry("e", "{hosts: [out.example], exportTo: ['.'], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}", "far")
    assert ask(sidecar(MESH, hidden), "http://out.example/").outcome == Outcome.PASSTHROUGH
    assert ask(sidecar(MESH, hidden, namespace="far"), "http://out.example/").outcome == Outcome.FORWARD


def test_resolution_none_sends_to_the_address_that_was_dialled():
    none = entry("e", "{hosts: [out.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}")
    proxy = sidecar(none)
    assert proxy.clusters[out(80, "out.example")].discovery == "ORIGINAL_DST"
    assert ask(proxy, "http://out.example/").outcome == Outcome.FORWARD


def test_dynamic_dns_serves_every_name_under_the_wildcard():
    spec = "{hosts: ['*.out.example'], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DYNAMIC_DNS}"
    proxy = sidecar(entry("e", spec))
    got = ask(proxy, "http://a.out.example/")
    assert (got.outcome, to(got)) == (Outcome.FORWARD, [out(80, "*.out.example")])
    assert ask(proxy, "http://out.example/").outcome == Outcome.PASSTHROUGH


@pytest.mark.parametrize(("protocol", "made"), [("HTTP", True), ("GRPC", True), ("TLS", True), ("TCP", False), ("HTTPS", False)])
def test_dynamic_dns_is_for_protocols_that_name_the_host(protocol, made):
    spec = f"{{hosts: ['*.out.example'], ports: [{{number: 443, name: p, protocol: {protocol}}}], resolution: DYNAMIC_DNS}}"
    proxy = sidecar(entry("e", spec))
    assert (out(443, "*.out.example") in proxy.clusters) is made
