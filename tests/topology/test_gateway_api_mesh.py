"""Routes of the Gateway API whose parent is a Service: they apply to clients in the mesh."""

from __future__ import annotations

import pytest
from gateway_api_build import CART, ONE, SERVICES, TO_ONE, TO_TWO, TWO, route
from topology_build import build

from gwsim.topology import Request, choose

SERVICE = '[{group: "", kind: Service, name: one, namespace: infra}]'
ON_PORT = '[{group: "", kind: Service, name: one, namespace: infra, port: 8080}]'


def get(*texts, path="/", namespace="infra", port=8080, host="one.infra", **more):
    built = build(SERVICES, *texts, sidecars=[(namespace, {"app": "client"})])
    proxy = next(one for one in built.topology.proxies if one.kind == "sidecar")
    return choose(proxy, port, Request(host=host, path=path, destination=host, **more))


def to(*texts, **more):
    return [one.cluster for one in get(*texts, **more).clusters]


def test_a_route_of_a_service_serves_its_clients_in_the_mesh():
    text = route(f"- matches: [{{path: {{value: /two}}}}]\n  {TO_TWO}\n- {TO_ONE}", parents=SERVICE)
    assert to(text, path="/two/x") == [TWO] and to(text, path="/x") == [ONE]
    assert to(text, path="/two/x", namespace="shop") == [TWO]


def test_hostnames_do_not_count_for_a_service():
    assert to(route(f"- {TO_TWO}", parents=SERVICE, hosts="[elsewhere.example]")) == [TWO]


def test_what_the_route_does_not_match_is_not_found():
    text = route(f"- matches: [{{path: {{value: /two}}}}]\n  {TO_TWO}", parents=SERVICE)
    got = get(text, path="/x")
    assert (got.outcome, got.status) == ("not_found", 404)


@pytest.mark.parametrize(("port", "expected"), [(8080, [TWO]), (8081, ["outbound|8081||one.infra.svc.cluster.local"])])
def test_a_route_may_be_for_one_port(port, expected):
    assert to(route(f"- {TO_TWO}", parents=ON_PORT), port=port) == expected


def test_a_consumers_route_is_for_its_own_namespace_and_goes_first():
    producer = route(f"- {TO_ONE}", parents=SERVICE)
    consumer = route("- backendRefs: [{name: cart, port: 8080}]", parents=SERVICE, namespace="shop", name="own")
    assert to(producer, consumer, namespace="shop") == [CART]
    assert to(producer, consumer, namespace="infra") == [ONE]
    assert to(consumer, namespace="other") == [ONE]


def test_grants_are_not_asked_for_in_the_mesh():
    assert to(route("- backendRefs: [{name: cart, namespace: shop, port: 8080}]", parents=SERVICE)) == [CART]


def test_redirects_rewrites_and_weights():
    text = route("""
    - matches: [{path: {value: /go}}]
      filters: [{type: RequestRedirect, requestRedirect: {hostname: example.org, statusCode: 301}}]
    - matches: [{path: {value: /pre}}]
      filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]
      backendRefs: [{name: one, port: 8080, weight: 9}, {name: two, port: 8080}]
    """, parents=SERVICE)
    assert get(text, path="/go").redirect.host == "example.org"
    got = get(text, path="/pre/x")
    assert got.rewrite.path == "/x" and [one.weight for one in got.clusters] == [9, 1]


def test_grpc_in_the_mesh():
    text = route("- {matches: [{method: {service: api.Cart}}], backendRefs: [{name: two, port: 8080}]}", kind="GRPCRoute", parents=SERVICE)
    assert to(text, path="/api.Cart/Add", scheme="grpc", method="POST", port=8081) == [TWO]


def test_an_unknown_service_as_parent_is_told():
    text = route(f"- {TO_ONE}", parents='[{group: "", kind: Service, name: absent}]')
    assert "ROUTE_NOT_ATTACHED" in build(SERVICES, text).names


EGRESS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: news, namespace: infra}
spec: {hosts: [news.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: egress, namespace: infra, annotations: {networking.istio.io/service-type: ClusterIP}}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP, hostname: news.example.com}]}
"""


def test_egress_through_a_gateway_that_istio_deploys():
    inside = route("- backendRefs: [{name: egress-istio, port: 80}]", parents="[{group: networking.istio.io, kind: ServiceEntry, name: news}]", name="in")
    outside = route(
        "- backendRefs: [{group: networking.istio.io, kind: Hostname, name: news.example.com, port: 80}]",
        parents="[{name: egress}]", hosts="[news.example.com]", name="out",
    )  # fmt: skip
    assert to(EGRESS, inside, outside, host="news.example.com", port=80) == ["outbound|80||egress-istio.infra.svc.cluster.local"]
    built = build(SERVICES, EGRESS, inside, outside)
    _, (proxy,) = built.topology.proxies_of("infra", "egress")
    assert [one.cluster for one in choose(proxy, 80, Request(host="news.example.com")).clusters] == ["outbound|80||news.example.com"]
    assert (proxy.services[0].type, built.names) == ("ClusterIP", [])
