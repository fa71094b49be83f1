"""Routes of the Gateway API whose parent is a Service, as sidecars see them."""

from __future__ import annotations

from sidecar_build import ask, scope, service, sidecar, to

from gwsim.topology import Outcome

MESH = service("known", "http:80, http-alt:8080") + "---" + service("other", "http:80, http-alt:8080")
KNOWN, OTHER = "known.app.svc.cluster.local", "other.app.svc.cluster.local"


def route(namespace: str = "app", parent: str = "known", port: str = "", created: str = "2024-01-01T00:00:00Z", rules: str = "", kind: str = "HTTPRoute") -> str:
    rules = rules or "[{backendRefs: [{name: other, namespace: app, port: 80}]}]"
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: r-{namespace}-{parent}, namespace: {namespace}, creationTimestamp: "{created}"}}
spec:
  parentRefs: [{{group: "", kind: Service, name: {parent}, namespace: app{port}}}]
  rules: {rules}
"""


def out(port: int, host: str) -> str:
    return f"outbound|{port}||{host}"


def test_a_route_of_the_services_own_namespace_is_for_all_clients():
    for namespace in ("app", "far"):
        proxy = sidecar(MESH, route(), namespace=namespace)
        assert to(ask(proxy, f"http://{KNOWN}/")) == [out(80, OTHER)]
        # The port of the backend is given, whichever port of the parent is dialled.
        assert to(ask(proxy, f"http://{KNOWN}:8080/")) == [out(80, OTHER)]


def test_a_route_of_another_namespace_is_for_clients_there_only():
    assert to(ask(sidecar(MESH, route("far"), namespace="far"), f"http://{KNOWN}/")) == [out(80, OTHER)]
    assert to(ask(sidecar(MESH, route("far"), namespace="app"), f"http://{KNOWN}/")) == [out(80, KNOWN)]


def test_the_clients_own_route_stands_before_the_services():
    own = route("far", rules="[{backendRefs: [{name: known, namespace: app, port: 8080}]}]", created="2025-01-01T00:00:00Z")
    proxy = sidecar(MESH, route(), own, namespace="far")
    assert to(ask(proxy, f"http://{KNOWN}/")) == [out(8080, KNOWN)]


def test_a_route_may_be_for_one_port_of_its_parent():
    proxy = sidecar(MESH, route(port=", port: 8080"))
    assert to(ask(proxy, f"http://{KNOWN}:8080/")) == [out(80, OTHER)]
    assert to(ask(proxy, f"http://{KNOWN}/")) == [out(80, KNOWN)]


def test_unmatched_requests_and_missing_backends():
    rules = "[{matches: [{path: {value: /a}}], backendRefs: [{name: gone, port: 80}]}]"
    proxy = sidecar(MESH, route(rules=rules))
    assert (ask(proxy, f"http://{KNOWN}/b").outcome, ask(proxy, f"http://{KNOWN}/a/x").status) == (Outcome.NOT_FOUND, 500)
    assert ask(proxy, f"http://{KNOWN}/ab").outcome == Outcome.NOT_FOUND


def test_a_service_that_is_not_imported_gets_no_host_from_a_route():
    proxy = sidecar(MESH, route(), scope("{egress: [{hosts: ['./other.app.svc.cluster.local']}]}"))
    assert ask(proxy, f"http://{KNOWN}/").outcome == Outcome.PASSTHROUGH


def test_grpc_routes():
    rules = "[{matches: [{method: {service: a.B, method: C}}], backendRefs: [{name: other, namespace: app, port: 80}]}]"
    proxy = sidecar(MESH, route(kind="GRPCRoute", rules=rules))
    assert to(ask(proxy, f"grpc://{KNOWN}/a.B/C", method="POST")) == [out(80, OTHER)]
    assert ask(proxy, f"grpc://{KNOWN}/a.B/D", method="POST").outcome == Outcome.NOT_FOUND
