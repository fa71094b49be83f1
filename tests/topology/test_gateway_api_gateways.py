"""Gateways of the Gateway API: listeners, attachment of routes, TLS, and the proxies behind them."""

from __future__ import annotations

import pytest
from gateway_api_build import (
    HTTP,
    ONE,
    TO_ONE,
    TO_TWO,
    TWO,
    ask,
    clusters,
    gateway,
    grant,
    made,
    outcome,
    route,
)

from gwsim.topology import TargetMissing

ALL = "allowedRoutes: {namespaces: {from: All}}"
HTTPS = "tls: {certificateRefs: [{name: cert}]}"


def test_a_gateway_gets_the_fleet_and_service_that_istio_makes():
    built = made(gateway("[{name: http, port: 80, protocol: HTTP}, {name: alt, port: 8080, protocol: HTTP}]"), route(f"- {TO_ONE}"))
    proxy = built.proxy
    assert (proxy.key, proxy.replicas, proxy.workers, proxy.autoscaler) == ("infra/public-istio", 1, 2, None)
    assert proxy.labels["gateway.networking.k8s.io/gateway-name"] == "public"
    (service,) = proxy.services
    assert [one.port for one in service.ports] == [15021, 80, 8080]
    assert built.topology.resolve("Service/infra/public-istio:8080")[1].port == 8080
    assert [(one.api, one.namespace, one.name) for one in proxy.gateways] == [("gateway-api", "infra", "public")]
    assert any("Deployment public-istio" in text for text in built.topology.assumptions)


def test_a_deployment_and_autoscaler_of_the_gateways_name_are_taken():
    files = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: public-istio, namespace: infra}
spec:
  replicas: 3
  selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: public}}
  template:
    metadata: {labels: {gateway.networking.k8s.io/gateway-name: public}}
    spec: {containers: [{name: istio-proxy, resources: {limits: {cpu: 4}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: public-istio, namespace: infra}
spec: {selector: {gateway.networking.k8s.io/gateway-name: public}, ports: [{port: 80, targetPort: 8080}]}
"""
    built = made(gateway(), route(f"- {TO_ONE}"), files)
    (proxy,) = built.topology.proxies
    assert (proxy.replicas, proxy.workers) == (3, 4)
    assert clusters(ask(built, port=8080)) == [ONE]
    scaler = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: public, namespace: infra}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: public-istio}, minReplicas: 2, maxReplicas: 6}
"""
    proxy = made(gateway(), scaler).proxy
    assert (proxy.replicas, proxy.autoscaler.max_replicas) == (2, 6)


def test_an_address_of_type_hostname_binds_to_a_service_that_is_there():
    service = """
apiVersion: v1
kind: Service
metadata: {name: ingress, namespace: infra}
spec: {selector: {istio: ingress}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
    built = made(gateway(f"[{HTTP}, {{name: far, port: 81, protocol: HTTP}}]", more="addresses: [{type: Hostname, value: ingress}]"), service, route(f"- {TO_ONE}"))
    (proxy,) = built.topology.proxies
    assert [one.port for one in proxy.listeners] == [8080]
    assert clusters(ask(built, port=8080)) == [ONE]
    assert "PORT_NOT_EXPOSED" in built.names


def test_a_gateway_may_share_the_ingress_gateway_with_istios_own_gateways():
    istio = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: old, namespace: shop}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [old.example]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: old, namespace: shop}
spec: {hosts: [old.example], gateways: [old], http: [{route: [{destination: {host: cart}}]}]}
"""
    address = "addresses: [{type: Hostname, value: istio-ingressgateway.istio-system.svc.cluster.local}]"
    built = made(gateway(more=address), route(f"- {TO_ONE}", hosts="[new.example]"), istio)
    (proxy,) = built.topology.proxies
    assert proxy.key == "istio-system/istio-ingressgateway"
    assert clusters(ask(built, host="new.example")) == [ONE]
    assert ask(built, host="old.example", gateway="shop/old").clusters[0].cluster.endswith("cart.shop.svc.cluster.local")
    assert built.topology.proxies_of("shop", "old")[0].api == "istio"


def test_finding_a_gateway_names_the_nearest_one():
    built = made(gateway())
    with pytest.raises(TargetMissing, match="did you mean infra/public"):
        built.topology.proxies_of("infra", "publik")


@pytest.mark.parametrize(
    ("allowed", "namespace", "attaches"),
    [
        ("", "infra", True), ("", "shop", False), ("{namespaces: {from: All}}", "shop", True),
        ("{namespaces: {from: Selector, selector: {matchLabels: {kind: app}}}}", "shop", True),
        ("{namespaces: {from: Selector, selector: {matchLabels: {kind: app}}}}", "other", False),
        ("{namespaces: {from: Selector, selector: {matchExpressions: [{key: kind, operator: In, values: [app]}]}}}", "shop", True),
        ("{namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: shop}}}}", "shop", True),
        ("{namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: bare}}}}", "bare", True),
        ("{namespaces: {from: None}}", "infra", False),
        ("{namespaces: {from: All}, kinds: [{kind: GRPCRoute}]}", "infra", False),
        ("{namespaces: {from: All}, kinds: [{kind: HTTPRoute}]}", "infra", True),
    ],
)  # fmt: skip
def test_listeners_choose_their_routes_by_namespace_and_kind(allowed, namespace, attaches):
    listener = "[{name: http, port: 80, protocol: HTTP" + (f", allowedRoutes: {allowed}" if allowed else "") + "}]"
    text = route("- backendRefs: [{name: one, namespace: infra, port: 8080}]", namespace=namespace)
    built = made(gateway(listener), text, grant("HTTPRoute", namespace, of="infra"))
    assert outcome(ask(built)) == (("forward", 200) if attaches else ("not_found", 404))
    assert ("ROUTE_NOT_ATTACHED" in built.names) != attaches


@pytest.mark.parametrize(
    ("parent", "ports"),
    [
        ("{name: public}", [80, 8080]), ("{name: public, sectionName: alt}", [8080]), ("{name: public, port: 80}", [80]),
        ("{name: public, port: 81}", []), ("{name: public, sectionName: none}", []), ("{name: nowhere}", []),
        ("{name: public, sectionName: alt, port: 80}", []),
    ],
)  # fmt: skip
def test_a_reference_may_name_listener_and_port(parent, ports):
    listeners = f"[{HTTP}, {{name: alt, port: 8080, protocol: HTTP}}]"
    built = made(gateway(listeners), route(f"- {TO_ONE}", parents=f"[{parent}]"))
    assert [port for port in (80, 8080) if ask(built, port=port).outcome == "forward"] == ports
    assert ("ROUTE_NOT_ATTACHED" in built.names) == (not ports)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("very.specific.com", [ONE]), ("non.matching.com", []), ("foo.wild.io", [ONE]), ("foo.bar.wild.io", [ONE]), ("wild.io", []),
        ("foo.any.org", [TWO]), ("any.org", []), ("VERY.specific.com:80", [ONE]),
    ],
)  # fmt: skip
def test_hosts_are_those_that_listener_and_route_have_in_common(host, expected):
    listeners = """
    - {name: a, port: 80, protocol: HTTP, hostname: very.specific.com}
    - {name: b, port: 80, protocol: HTTP, hostname: "*.wild.io"}
    - {name: c, port: 80, protocol: HTTP, hostname: "*.any.org"}
    """
    built = made(
        gateway(listeners),
        route(f"- {TO_ONE}", hosts='[non.matching.com, "*.specific.com", "*.wild.io"]'),
        route(f"- {TO_TWO}", parents="[{name: public, sectionName: c}]", name="any"),
    )
    assert clusters(ask(built, host=host)) == expected


@pytest.mark.parametrize("hosts", ["", '[solo.net, "*.w.net", "*.x.w.net", y.x.w.net]'])
def test_a_wildcard_listener_leaves_out_what_a_more_specific_one_serves(hosts):
    names = {"any": "", "wide": "*.w.net", "narrow": "*.x.w.net", "exact": "y.x.w.net"}
    listeners = "".join(
        f"\n- {{name: {name}, port: 80, protocol: HTTP" + (f', hostname: "{host}"' if host else "") + "}" for name, host in names.items()
    )
    texts = [
        route(f"- matches: [{{path: {{value: /{name}}}}}]\n  {TO_ONE}", name=name, parents=f"[{{name: public, sectionName: {name}}}]", hosts=hosts)
        for name in names
    ]
    built = made(gateway(listeners), *texts)
    served = {
        (host, name): ask(built, f"/{name}", host=host).outcome == "forward"
        for host in ("solo.net", "a.w.net", "a.x.w.net", "y.x.w.net")
        for name in names
    }
    assert [key for key, value in served.items() if value] == [
        ("solo.net", "any"), ("a.w.net", "wide"), ("a.x.w.net", "narrow"), ("y.x.w.net", "exact"),
    ]  # fmt: skip


def test_https_listeners_are_told_apart_by_server_name():
    listeners = f"""
    - {{name: any, port: 443, protocol: HTTPS, {HTTPS}}}
    - {{name: wild, port: 443, protocol: HTTPS, hostname: "*.wild.org", {HTTPS}}}
    - {{name: exact, port: 443, protocol: HTTPS, hostname: a.wild.org, {HTTPS}}}
    """
    built = made(
        gateway(listeners),
        route(f"- {TO_ONE}", parents="[{name: public, sectionName: wild}]"),
        route(f"- {TO_TWO}", parents="[{name: public, sectionName: exact}]", name="exact"),
    )

    def get(host, sni=None):
        return ask(built, host=host, sni=sni, scheme="https", port=443)

    assert clusters(get("b.wild.org")) == [ONE]
    assert clusters(get("a.wild.org")) == [TWO]
    assert outcome(get("example.org")) == ("not_found", 404)
    assert outcome(get("other.org", "a.wild.org")) == ("not_found", 404)
    tls = built.proxy.listener(443).filter_chains[0].tls
    assert (tls.mode, tls.usable, tls.credential_name) == ("simple", True, "kubernetes-gateway://infra/cert")


@pytest.mark.parametrize(
    ("tls", "more", "mode"),
    [
        ("{certificateRefs: [{name: cert}]}", "", "simple"),
        ("{certificateRefs: [{name: cert}], options: {gateway.istio.io/tls-terminate-mode: MUTUAL}}", "", "mutual"),
        ("{certificateRefs: [{name: cert}], options: {gateway.istio.io/tls-terminate-mode: OPTIONAL_MUTUAL}}", "", "optional_mutual"),
        ("{options: {gateway.istio.io/tls-terminate-mode: ISTIO_MUTUAL}}", "", "istio_mutual"),
        ("{options: {gateway.istio.io/tls-terminate-mode: ISTIO_SIMPLE}}", "", "simple"),
        ("{certificateRefs: [{name: cert}]}", "tls: {frontend: {default: {validation: {caCertificateRefs: [{name: ca, group: '', kind: ConfigMap}]}}}}", "mutual"),
        ("{certificateRefs: [{name: cert}]}", "tls: {frontend: {default: {}, perPort: [{port: 444, tls: {validation: {caCertificateRefs: [{name: ca, group: '', kind: ConfigMap}]}}}]}}", "simple"),
    ],
)  # fmt: skip
def test_tls_modes(tls, more, mode):
    built = made(gateway(f"[{{name: https, port: 443, protocol: HTTPS, tls: {tls}}}]", more=more), route(f"- {TO_ONE}"))
    found = built.proxy.listener(443).filter_chains[0].tls
    assert (found.mode, found.usable) == (mode, True)
    assert found.require_client_certificate == (mode in ("mutual", "istio_mutual"))


@pytest.mark.parametrize(
    ("ref", "more", "opened"),
    [
        ("{name: cert}", "", True), ("{name: absent}", "", False), ("{name: cert, kind: Box, group: example.com}", "", False),
        ("{name: cert, namespace: shop}", "", False),
        ("{name: cert, namespace: shop}", grant("Gateway", "infra", to="Secret"), True),
        ("{name: cert, namespace: shop}", grant("Gateway", "infra", to="Secret", name="cert"), True),
        ("{name: cert, namespace: shop}", grant("Gateway", "infra", to="Secret", name="no"), False),
    ],
)  # fmt: skip
def test_a_listener_without_a_certificate_it_may_use_is_not_opened(ref, more, opened):
    listener = f"[{{name: https, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{ref}]}}}}]"
    built = made(gateway(listener), route(f"- {TO_ONE}"), *([more] if more else []))
    got = ask(built, port=443, scheme="https")
    assert got.outcome == ("forward" if opened else "no_listener")
    assert bool({"LISTENER_INVALID", "CREDENTIAL_MISSING"} & set(built.names)) != opened


def test_tls_is_passed_through_by_server_name():
    listeners = """
    - {name: tls, port: 443, protocol: TLS, hostname: "*.tls.net", tls: {mode: Passthrough}}
    """
    built = made(
        gateway(listeners),
        route(f"- {TO_ONE}", kind="TLSRoute", hosts="[a.tls.net, outside.net]"),
        route(f"- {TO_TWO}", kind="TLSRoute", hosts='["*.tls.net"]', name="rest"),
    )

    def to(sni):
        return ask(built, scheme="tls", sni=sni, port=443)

    assert clusters(to("a.tls.net")) == [ONE]
    assert clusters(to("b.tls.net")) == [TWO]
    assert to("outside.net").outcome == "connection_rejected"
    assert to("").outcome == "connection_rejected"


def test_terminated_tls_goes_on_as_tcp_by_server_name():
    listeners = f"""
    - {{name: tls, port: 443, protocol: TLS, hostname: "*.tls.net", tls: {{mode: Terminate, certificateRefs: [{{name: cert}}]}}}}
    - {{name: pass, port: 443, protocol: TLS, hostname: "*.pass.net", tls: {{mode: Passthrough}}}}
    - {{name: https, port: 443, protocol: HTTPS, hostname: "*.web.net", {HTTPS}}}
    """
    built = made(
        gateway(listeners),
        route(f"- {TO_ONE}", kind="TLSRoute", hosts="[a.tls.net]"),
        route(f"- {TO_TWO}", kind="TLSRoute", hosts="[b.tls.net, b.pass.net]", name="two"),
        route(f"- {TO_ONE}", name="web"),
    )

    def to(sni, scheme="tls"):
        got = ask(built, scheme=scheme, sni=sni, host=sni, port=443)
        chain = next((one for one in built.proxy.listener(443).filter_chains if one.name == got.filter_chain), None)
        return clusters(got), chain.tls.mode if chain is not None and chain.tls is not None else None

    assert to("a.tls.net") == ([ONE], "simple")
    assert to("b.tls.net") == ([TWO], "simple")
    assert to("c.tls.net") == ([], None)
    assert to("x.web.net", "https") == ([ONE], "simple")
    assert to("b.pass.net")[0] == [TWO]


def test_tcp_goes_to_one_route_by_weight():
    listeners = "[{name: tcp, port: 9000, protocol: TCP}, {name: more, port: 9001, protocol: TCP}]"
    rules = "- backendRefs: [{name: one, port: 8080, weight: 3}, {name: two, port: 8080}]"
    built = made(gateway(listeners), route(rules, kind="TCPRoute", parents="[{name: public, sectionName: tcp}]"))
    got = ask(built, scheme="tcp", port=9000)
    assert [(one.cluster, one.weight) for one in got.clusters] == [(ONE, 3), (TWO, 1)]
    assert ask(built, scheme="tcp", port=9001).outcome == "no_listener"
    assert any("PILOT_ENABLE_ALPHA_GATEWAY_API" in text for text in built.topology.assumptions)
    assert not any("ALPHA" in text for text in made(gateway(listeners), istio_version="1.31").topology.assumptions)


def test_connections_without_a_weight_are_closed():
    rules = "- backendRefs: [{name: one, port: 8080, weight: 0}]"
    built = made(gateway("[{name: tcp, port: 9000, protocol: TCP}]"), route(rules, kind="TCPRoute"))
    assert ask(built, scheme="tcp", port=9000).outcome == "error"


@pytest.mark.parametrize("listener", ["{name: x, port: 53, protocol: UDP}", "{name: x, port: 53, protocol: example.com/odd}", "{name: x, port: 53, protocol: http}"])
def test_protocols_that_istio_does_not_serve(listener):
    built = made(gateway(f"[{HTTP}, {listener}]"))
    assert [one.port for one in built.proxy.listeners] == [80]
    assert "LISTENER_INVALID" in built.names


SET = """
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more, namespace: shop}
spec:
  parentRef: {name: public, namespace: infra}
  listeners: [{name: extra, port: 8080, protocol: HTTP, hostname: extra.example}]
"""


@pytest.mark.parametrize(
    ("allowed", "opened"),
    [
        ("", False), ("allowedListeners: {namespaces: {from: Same}}", False), ("allowedListeners: {namespaces: {from: All}}", True),
        ("allowedListeners: {namespaces: {from: Selector, selector: {matchLabels: {kind: app}}}}", True),
    ],
)  # fmt: skip
def test_listener_sets_add_listeners_where_the_gateway_lets_them(allowed, opened):
    text = route("- backendRefs: [{name: cart, port: 8080}]", namespace="shop", parents="[{kind: ListenerSet, name: more}]")
    built = made(gateway(more=allowed), SET, text)
    got = ask(built, host="extra.example", port=8080)
    assert got.outcome == ("forward" if opened else "no_listener")
    assert [one.port for one in built.proxy.services[0].ports] == ([15021, 80, 8080] if opened else [15021, 80])


@pytest.mark.parametrize(("kind", "version"), [("ListenerSet", "gateway.networking.k8s.io/v1"), ("XListenerSet", "gateway.networking.x-k8s.io/v1alpha1")])
def test_a_grant_for_certificates_names_the_set_by_its_group(kind, version):
    listener = "{name: extra, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: cert, namespace: shop}]}}"
    listeners = f"""
apiVersion: {version}
kind: {kind}
metadata: {{name: more, namespace: infra}}
spec:
  parentRef: {{name: public}}
  listeners: [{listener}]
"""
    allowed = grant(kind, "infra", to="Secret").replace("group: gateway.networking.k8s.io", f"group: {version.split('/')[0]}")
    parents = f"[{{group: {version.split('/')[0]}, kind: {kind}, name: more}}]"
    texts = [gateway(more="allowedListeners: {namespaces: {from: Same}}"), listeners, route(f"- {TO_ONE}", parents=parents)]
    assert [one.port for one in made(*texts, allowed).proxy.services[0].ports] == [15021, 80, 8443]
    assert ask(made(*texts), port=8443).outcome == "no_listener"


def test_other_classes():
    foreign = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: nginx}
spec: {controllerName: nginx.org/controller}
"""
    built = made(foreign, gateway().replace("gatewayClassName: istio", "gatewayClassName: nginx"), route(f"- {TO_ONE}"))
    assert built.topology.proxies == () and built.notes == ["GATEWAY_NOT_SERVED"] and built.names == []
    own = foreign.replace("nginx.org/controller", "istio.io/gateway-controller").replace("nginx", "edge")
    built = made(own, gateway().replace("gatewayClassName: istio", "gatewayClassName: edge"), route(f"- {TO_ONE}"))
    assert built.proxy.name == "public-edge"
    waypoint = gateway("[{name: mesh, port: 15008, protocol: HBONE}]").replace("gatewayClassName: istio", "gatewayClassName: istio-waypoint")
    assert made(waypoint).topology.proxies == ()


def test_from_1_31_strange_gateways_do_not_join_managed_proxies():
    istio = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: guest, namespace: shop}
spec: {selector: {gateway.networking.k8s.io/gateway-name: public}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: guest, namespace: shop}
spec: {hosts: [guest.example], gateways: [guest], http: [{route: [{destination: {host: cart}}]}]}
"""
    outcomes = [ask(made(gateway(), istio, istio_version=version), host="guest.example").outcome for version in ("1.30", "1.31")]
    assert outcomes == ["forward", "not_found"]


POLICY = """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: tls, namespace: infra}
spec:
  targetRefs: [{group: "", kind: Service, name: one%s}]
  validation: {hostname: one.example, %s}
"""
SYSTEM = "wellKnownCACertificates: System"


def test_a_backend_policy_gives_tls_to_a_service_or_one_of_its_ports():
    built = made(gateway(), POLICY % ("", SYSTEM))
    tls = built.cluster(ONE).tls
    assert (tls.mode, tls.sni, tls.usable) == ("simple", "one.example", True)
    built = made(gateway(), POLICY % (", sectionName: second", SYSTEM))
    assert built.cluster(ONE).tls is None
    assert built.cluster("outbound|8081||one.infra.svc.cluster.local").tls.sni == "one.example"


def test_an_authority_that_istio_cannot_use_blocks_the_backend():
    built = made(gateway(), route(f"- {TO_ONE}"), POLICY % ("", "caCertificateRefs: [{group: example.com, kind: Bundle, name: ca}]"))
    assert outcome(ask(built)) == ("error", 503)
    assert "BACKEND_REFUSED" in built.names


def test_a_rule_beats_a_backend_policy_from_1_31_on():
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: one, namespace: infra}
spec: {host: one, trafficPolicy: {tls: {mode: SIMPLE, sni: rule.example}, connectionPool: {tcp: {maxConnections: 7}}}}
"""
    old, new = (made(gateway(), rule, POLICY % ("", SYSTEM), istio_version=one).cluster(ONE) for one in ("1.30", "1.31"))
    assert (old.tls.sni, old.circuit_breakers.max_connections) == ("one.example", 2**32 - 1)
    assert (new.tls.sni, new.circuit_breakers.max_connections) == ("rule.example", 7)


def test_a_traffic_policy_gives_a_retry_budget():
    text = """
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackendTrafficPolicy
metadata: {name: retries, namespace: infra}
spec: {targetRefs: [{group: "", kind: Service, name: one}], retryConstraint: {budget: {percent: 30}}}
"""
    budget = made(gateway(), text).cluster(ONE).circuit_breakers.retry_budget
    assert (budget.percent, budget.min_retry_concurrency) == (30.0, 10)


@pytest.mark.parametrize(
    ("listener", "opened"),
    [
        ("{name: b, port: 80, protocol: HTTP, hostname: b.example}", True), ("{name: b, port: 80, protocol: HTTP, hostname: a.example}", False),
        ("{name: b, port: 80, protocol: HTTPS, hostname: b.example, tls: {certificateRefs: [{name: cert}]}}", False),
        ("{name: b, port: 80, protocol: TCP}", False),
    ],
)  # fmt: skip
def test_listeners_of_a_set_give_way_to_those_of_the_gateway(listener, opened):
    text = SET.replace("{name: extra, port: 8080, protocol: HTTP, hostname: extra.example}", listener).replace("name: more", "name: a")
    own = "[{name: a, port: 80, protocol: HTTP, hostname: a.example}]"
    built = made(gateway(own, more="allowedListeners: {namespaces: {from: All}}"), text)
    assert ("LISTENER_INVALID" in built.names) != opened
    assert len(built.proxy.listener(80).filter_chains) == 1
