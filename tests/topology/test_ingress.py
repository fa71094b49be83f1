"""Kubernetes Ingresses, as Istio's ingress gateway serves them."""

from __future__ import annotations

import textwrap

import pytest
from topology_build import build

from gwsim.topology import Request, choose

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: one, namespace: shop}
spec: {selector: {app: one}, ports: [{name: web, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: two, namespace: shop}
spec: {selector: {app: two}, ports: [{name: web, port: 8080}]}
---
apiVersion: v1
kind: Secret
metadata: {name: cert, namespace: istio-system}
type: kubernetes.io/tls
data: {tls.crt: eA==, tls.key: eA==}
---
"""
ONE, TWO = "outbound|80||one.shop.svc.cluster.local", "outbound|8080||two.shop.svc.cluster.local"


def ingress(paths, *, name="web", host="shop.example", more="ingressClassName: istio", annotations="", created=""):
    stamp = f', creationTimestamp: "{created}"' if created else ""
    hosted = f"host: {host}, " if host else ""
    listed = ", ".join(f"{{path: {path}, pathType: {kind}, backend: {{service: {{name: {to}, port: {port}}}}}}}" for path, kind, to, port in paths)
    return f"""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: shop{stamp}, annotations: {{{annotations}}}}}
spec:
{textwrap.indent(more, "  ")}
  rules: [{{{hosted}http: {{paths: [{listed}]}}}}]
"""


def get(built, path="/", *, host="shop.example", port=80, **more):
    proxy = next(one for one in built.topology.proxies if one.key == "istio-system/istio-ingressgateway")
    return choose(proxy, port, Request(host=host, path=path, **more))


def to(built, path, **more):
    return [one.cluster for one in get(built, path, **more).clusters]


ROOT = [("/", "Prefix", "one", "{number: 80}")]


def test_a_path_without_its_type_is_refused_and_still_served():
    text = ingress([("/a/.*", "Exact", "one", "{number: 80}"), ("/b", "Exact", "two", "{number: 8080}")])
    built = build(SERVICES, text.replace(", pathType: Exact", ""), refused=True)
    assert to(built, "/a/deep") == [ONE] and to(built, "/b") == [TWO] and to(built, "/b/deep") == []


def test_paths_of_all_types():
    built = build(SERVICES, ingress([
        ("/exact", "Exact", "two", "{name: web}"), ("/pre/", "Prefix", "two", "{number: 8080}"), ("/", "Prefix", "one", "{number: 80}"),
        ("/impl", "ImplementationSpecific", "two", "{number: 8080}"), ("/star/*", "ImplementationSpecific", "two", "{number: 8080}"),
    ]))  # fmt: skip
    assert to(built, "/exact") == [TWO] and to(built, "/exact/x") == [ONE]
    assert to(built, "/pre") == [TWO] and to(built, "/pre/x") == [TWO] and to(built, "/prefix") == [ONE]
    assert to(built, "/impl") == [TWO] and to(built, "/impl/x") == [ONE]
    assert to(built, "/star/x") == [TWO] and to(built, "/starx") == [ONE]


def test_the_longest_path_counts_and_of_equal_length_the_exact_one():
    built = build(SERVICES, ingress([
        ("/a", "Prefix", "one", "{number: 80}"), ("/a/b", "Prefix", "two", "{number: 8080}"), ("/a", "Exact", "two", "{number: 8080}"),
    ]))  # fmt: skip
    assert [to(built, path) for path in ("/a", "/a/c", "/a/b/c")] == [[TWO], [ONE], [TWO]]


def test_several_ingresses_share_a_host():
    built = build(SERVICES, ingress(ROOT), ingress([("/two", "Prefix", "two", "{number: 8080}")], name="more"))
    assert to(built, "/two/x") == [TWO] and to(built, "/x") == [ONE]
    assert get(built, host="other.example").outcome == "not_found"


@pytest.mark.parametrize(
    ("more", "annotations", "classes", "served"),
    [
        ("ingressClassName: istio", "", "", True), ("", "kubernetes.io/ingress.class: istio", "", True), ("", "", "", False),
        ("ingressClassName: nginx", "", "", False), ("ingressClassName: istio", "kubernetes.io/ingress.class: nginx", "", False),
        ("ingressClassName: edge", "", "istio.io/ingress-controller", True), ("ingressClassName: edge", "", "k8s.io/nginx", False),
    ],
)  # fmt: skip
def test_classes(more, annotations, classes, served):
    text = f"apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: edge}}\nspec: {{controller: {classes}}}\n"
    built = build(SERVICES, ingress(ROOT, more=more, annotations=annotations), *([text] if classes else []))
    assert bool(built.topology.proxies) == served
    assert ("GATEWAY_NOT_SERVED" in built.notes) != served


def test_tls_has_hosts_and_a_secret_beside_plain_http():
    more = "ingressClassName: istio\ntls: [{hosts: [shop.example], secretName: cert}, {hosts: [none.example]}]"
    built = build(SERVICES, ingress(ROOT, more=more))
    assert to(built, "/", port=443, scheme="https") == [ONE] and to(built, "/") == [ONE]
    assert get(built, host="none.example", port=443, scheme="https").outcome == "connection_rejected"
    missing = build(SERVICES, ingress(ROOT, more=more.replace("secretName: cert", "secretName: absent")))
    assert get(missing, port=443, scheme="https").outcome == "connection_rejected"
    assert "CREDENTIAL_MISSING" in missing.names


def test_what_istio_leaves_out():
    more = "ingressClassName: istio\ndefaultBackend: {service: {name: one, port: {number: 80}}}"
    built = build(SERVICES, ingress([("/x", "Prefix", "one", "{name: nope}"), ("/y", "Prefix", "absent", "{number: 80}")], more=more))
    assert get(built, "/").outcome == "not_found" and get(built, "/x").outcome == "not_found"
    assert (get(built, "/y").outcome, get(built, "/y").status) == ("error", 503)
    assert built.names.count("GATEWAY_PART_IGNORED") == 2 and "DESTINATION_HOST_UNKNOWN" in built.names


def test_without_a_host_all_hosts_are_served_but_exact_ones_first():
    built = build(SERVICES, ingress(ROOT, host="", name="all"), ingress([("/", "Prefix", "two", "{number: 8080}")], name="shop"))
    assert to(built, "/", host="any.example") == [ONE] and to(built, "/") == [TWO]
