"""Gateway API objects and Ingresses: what is read, and what the API server would refuse."""

import textwrap

import pytest

from gwsim.diagnostics import CODES
from gwsim.resources import models, read_text

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: infra}
spec:
  gatewayClassName: istio
  listeners:
  - name: https
    port: 443
    protocol: HTTPS
    hostname: "*.shop.example"
    tls: {certificateRefs: [{name: cert, namespace: certs}], options: {gateway.istio.io/tls-terminate-mode: MUTUAL}}
    allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: shop}}}, kinds: [{kind: HTTPRoute}]}
"""

ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{name: public, namespace: infra, sectionName: https}]
  hostnames: [cart.shop.example]
  rules:
"""


def route(rules, head=ROUTE):
    return head + textwrap.indent(textwrap.dedent(rules).strip(), "  ")


def test_a_gateway_is_read_with_its_defaults():
    (gateway,) = read_text(GATEWAY).kubernetes_gateways
    (listener,) = gateway.listeners
    assert (listener.port, listener.protocol, listener.hostname) == (443, "HTTPS", "*.shop.example")
    assert listener.tls.mode is None and listener.tls.options == {"gateway.istio.io/tls-terminate-mode": "MUTUAL"}
    assert listener.tls.certificate_refs[0].namespace == "certs"
    assert listener.allowed_routes.namespaces.from_ == "Selector"
    assert listener.allowed_routes.namespaces.selector.match_labels == {"team": "shop"}


def test_a_route_is_read_with_the_defaults_of_the_crd():
    (read,) = read_text(route("""
    - matches: [{headers: [{name: X-Beta, value: "yes"}]}]
      filters:
      - {type: RequestRedirect, requestRedirect: {scheme: https}}
    - backendRefs: [{name: cart, port: 8080}]
      timeouts: {request: 1500ms, backendRequest: 1s}
    """)).http_routes
    first, second = read.rules
    assert first.matches[0].path == models.PathMatchRule(type="PathPrefix", value="/")
    assert first.filters[0].request_redirect.status_code == 302
    assert second.matches is None and second.backend_refs[0].weight == 1
    assert (second.timeouts.request_s, second.timeouts.backend_request_s) == (1.5, 1.0)
    assert read.span_of("rules[1].timeouts.request").line == 13


def test_gateways_of_both_apis_live_side_by_side():
    istio = GATEWAY.split("spec:")[0].replace("gateway.networking.k8s.io/v1", "networking.istio.io/v1")
    istio += "spec:\n  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]\n"
    objects = read_text(f"{GATEWAY}---\n{istio}")
    assert len(objects.gateways) == len(objects.kubernetes_gateways) == 1
    found = objects.get("Gateway", "infra", "public", group="networking.istio.io")
    assert found is objects.gateways[0]
    assert objects.get("Gateway", "infra", "public", group="gateway.networking.k8s.io") is objects.kubernetes_gateways[0]


@pytest.mark.parametrize(
    ("kind", "version", "accessor", "spec"),
    [
        ("GatewayClass", "gateway.networking.k8s.io/v1", "gateway_classes", "{controllerName: istio.io/gateway-controller}"),
        ("GRPCRoute", "gateway.networking.k8s.io/v1", "grpc_routes", "{rules: [{matches: [{method: {service: a.B, method: Do}}]}]}"),
        ("TLSRoute", "gateway.networking.k8s.io/v1alpha2", "tls_routes", "{rules: [{backendRefs: [{name: a, port: 1}]}]}"),
        ("TCPRoute", "gateway.networking.k8s.io/v1alpha2", "tcp_routes", "{rules: [{backendRefs: [{name: a, port: 1}]}]}"),
        ("UDPRoute", "gateway.networking.k8s.io/v1alpha2", "udp_routes", "{rules: [{backendRefs: [{name: a, port: 1}]}]}"),
        ("ReferenceGrant", "gateway.networking.k8s.io/v1beta1", "reference_grants", "{from: [{group: g, kind: K, namespace: n}], to: [{group: '', kind: Secret}]}"),
        ("BackendTLSPolicy", "gateway.networking.k8s.io/v1alpha3", "backend_tls_policies", "{targetRefs: [{group: '', kind: Service, name: a}], validation: {hostname: a.b, wellKnownCACertificates: System}}"),
        ("XBackendTrafficPolicy", "gateway.networking.x-k8s.io/v1alpha1", "backend_traffic_policies", "{targetRefs: [{group: '', kind: Service, name: a}], retryConstraint: {budget: {percent: 20}}}"),
        ("XListenerSet", "gateway.networking.x-k8s.io/v1alpha1", "listener_sets", "{parentRef: {name: public}, listeners: [{name: a, protocol: HTTP}]}"),
        ("ListenerSet", "gateway.networking.k8s.io/v1", "listener_sets", "{parentRef: {name: public}, listeners: [{name: a, protocol: HTTP, port: 80}]}"),
        ("IngressClass", "networking.k8s.io/v1", "ingress_classes", "{controller: istio.io/ingress-controller}"),
        ("Ingress", "networking.k8s.io/v1", "ingresses", "{defaultBackend: {service: {name: a, port: {number: 80}}}}"),
    ],
)  # fmt: skip
def test_every_kind_and_its_served_versions(kind, version, accessor, spec):
    objects = read_text(f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n")
    assert len(getattr(objects, accessor)) == 1


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        (GATEWAY.replace("protocol: HTTPS", "protocol: HTTP"), "FIELD_CONFLICT", "listeners[0].tls"),
        (GATEWAY.replace("{certificateRefs", "{mode: Passthrough, certificateRefs"), "FIELD_CONFLICT", "listeners[0].tls.mode"),
        (GATEWAY.replace('"*.shop.example"', "Shop.example"), "BAD_VALUE", "listeners[0].hostname"),
        (GATEWAY.replace(", selector: {matchLabels: {team: shop}}", ""), "MISSING_FIELD", "listeners[0].allowedRoutes.namespaces"),
        (GATEWAY.replace("from: Selector", "from: Everywhere"), "BAD_VALUE", "listeners[0].allowedRoutes.namespaces.from"),
        (GATEWAY.replace("allowedRoutes", "allowedRoute"), "MISSPELT_FIELD", "listeners[0].allowedRoute"),
        (GATEWAY.replace("port: 443", "port: 70000"), "BAD_VALUE", "listeners[0].port"),
        (route("- matches: [{path: {value: shop}}]"), "BAD_VALUE", "rules[0].matches[0].path.value"),
        (route("- matches: [{path: {value: /a//b}}]"), "BAD_VALUE", "rules[0].matches[0].path.value"),
        (route("- matches: [{path: {type: RegularExpression, value: '('}}]"), "BAD_VALUE", "rules[0].matches[0].path.value"),
        (route("- backendRefs: [{name: a}]"), "MISSING_FIELD", "rules[0].backendRefs[0]"),
        (route("- backendRefs: [{name: a, port: 1, weight: 1000001}]"), "BAD_VALUE", "rules[0].backendRefs[0].weight"),
        (route("- filters: [{type: URLRewrite}]"), "MISSING_FIELD", "rules[0].filters[0]"),
        (route("- filters: [{type: CORS, cors: {}, requestRedirect: {}}]"), "FIELD_CONFLICT", "rules[0].filters[0].requestRedirect"),
        (route("- filters: [{type: RequestRedirect, requestRedirect: {}}]\n  backendRefs: [{name: a, port: 1}]"), "FIELD_CONFLICT", "rules[0].backendRefs"),
        (route("- filters: [{type: RequestRedirect, requestRedirect: {statusCode: 304}}]"), "BAD_VALUE", "rules[0].filters[0].requestRedirect.statusCode"),
        (route("- matches: [{path: {type: Exact, value: /a}}]\n  filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]"), "FIELD_CONFLICT", "rules[0].filters"),
        (route("- timeouts: {request: 1s, backendRequest: 2s}"), "FIELD_CONFLICT", "rules[0].timeouts.backendRequest"),
        (route("- timeouts: {request: 1.5s}"), "BAD_VALUE", "rules[0].timeouts.request"),
        (route("- {}", ROUTE.replace("sectionName: https}", "sectionName: https}, {name: public, namespace: infra}")), "MISSING_FIELD", "parentRefs[1]"),
        (route("- {}", ROUTE.replace("[cart.shop.example]", "['*']")), "BAD_VALUE", "hostnames[0]"),
        (route("- {}", ROUTE.replace("kind: HTTPRoute", "kind: HTTPRoutes")), "UNKNOWN_KIND", ""),
    ],
)  # fmt: skip
def test_what_the_api_server_refuses_is_an_error_with_its_place(load, text, code, place):
    _, collector = load(text)
    found = [(CODES[one.code].name, (one.object_ref or "").partition(" ")[2]) for one in collector.errors]
    assert (code, place) in found, [one.message for one in collector]
    assert all(one.span.line > 0 for one in collector.errors)


def test_a_version_of_old_is_read_as_the_present_one_and_told(load):
    old = route("- backendRefs: [{name: a, port: 1}]").replace("gateway.networking.k8s.io/v1\n", "gateway.networking.k8s.io/v1alpha2\n")
    resources, collector = load(old)
    assert len(resources.http_routes) == 1
    assert [(CODES[one.code].name, one.level.name) for one in collector] == [("FORMER_VERSION", "WARNING")]


def test_limits_of_a_route(load):
    rule = "- matches: [{path: {value: /a}}]\n"
    _, collector = load(route(rule * 17))
    assert [one.message for one in collector.errors] == ["there are 17 items; the Gateway API allows 16"]


def test_an_ingress_needs_a_path_type_and_one_port(load):
    _, collector = load("""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  rules:
  - http: {paths: [{path: /a, backend: {service: {name: a, port: {number: 1}}}}]}
  - http: {paths: [{path: b, pathType: Prefix, backend: {service: {name: a, port: {}}}}]}
""")
    found = {(one.object_ref or "").partition(" ")[2] for one in collector.errors}
    assert found == {
        "rules[0].http.paths[0].pathType", "rules[1].http.paths[0].path", "rules[1].http.paths[0].backend.service.port",
    }  # fmt: skip


def test_valid_fields_without_effect_are_told(load):
    _, collector = load(route("- {sessionPersistence: {sessionName: a}}"))
    assert [(CODES[one.code].name, one.span.line) for one in collector] == [("NOT_MODELLED", 9)]
