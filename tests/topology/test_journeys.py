"""Requests followed through every proxy: the egress patterns, ingress, east-west, and what goes wrong on the way."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from gwsim.diagnostics import Collector
from gwsim.resources import read_text
from gwsim.topology import Hop, Outcome, Request, journey
from gwsim.topology.from_istio import from_istio

EGRESS_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: istio-egressgateway, namespace: istio-system}
spec:
  selector: {istio: egressgateway}
  ports: [{name: %s, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}, {name: tls, port: 15443}]
"""
EXTERNAL = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out, namespace: app}
spec:
  hosts: [out.example]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: %s}]
  resolution: DNS
"""
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: app}
spec:
  selector: {istio: egressgateway}
  servers:
  - port: {number: %d, name: p, protocol: %s}
    hosts: [out.example]
    %s
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: to-egress, namespace: app}
spec:
  host: istio-egressgateway.istio-system.svc.cluster.local
  subsets: [{name: out%s}]
"""
SERVICE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: out, namespace: app}
spec:
  hosts: [out.example]
  gateways: [mesh, egress]
  %s
"""
HTTP = """http:
  - match: [{gateways: [mesh], port: 80}]
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, subset: out, port: {number: %d}}}]
  - match: [{gateways: [egress], port: %d}]
    route: [{destination: {host: out.example, port: {number: %d}}}]
"""
PASSTHROUGH = """tls:
  - match: [{gateways: [mesh], port: 443, sniHosts: [out.example]}]
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, subset: out, port: {number: 443}}}]
  - match: [{gateways: [egress], port: 443, sniHosts: [out.example]}]
    route: [{destination: {host: out.example, port: {number: 443}}}]
"""
MUTUAL = ", trafficPolicy: {portLevelSettings: [{port: {number: %d}, tls: {mode: ISTIO_MUTUAL, sni: out.example}}]}"


def origination(mode: str = "SIMPLE") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: originate, namespace: app}}
spec:
  host: out.example
  trafficPolicy: {{portLevelSettings: [{{port: {{number: 443}}, tls: {{mode: {mode}, sni: out.example}}}}]}}
"""


def follow(*texts: str, request: Request, port: int) -> tuple[Hop, ...]:
    collector = Collector()
    resources = read_text("\n---\n".join(textwrap.dedent(one) for one in texts), "c.yaml", collector=collector)
    assert not collector.errors, collector.errors
    options: dict[str, Any] = {"gateways": [("istio-system", {"istio": "egressgateway"})], "sidecars": [("app", {"app": "web"})]}
    topology = from_istio(resources, **options)
    return journey(topology, topology.proxies[-1], port, request)


def told(hop: Hop) -> tuple[str, int, str, str, str]:
    """Who is dialled, at which port, with which protocol, TLS and server name."""
    assert hop.leg is not None, (hop.decision.outcome, hop.decision.reason)
    host = hop.leg.cluster.split("|")[3]
    return host.split(".")[0], hop.leg.port, hop.leg.protocol, hop.leg.tls, hop.leg.sni


PLAIN = Request(host="out.example", path="/")
TLS = Request(scheme="tls", sni="out.example", destination="out.example")


def test_http_through_an_egress_gateway():
    hops = follow(EGRESS_SERVICE % "http2", EXTERNAL % "HTTPS", GATEWAY % (80, "HTTP", ""), RULE % "", SERVICE % (HTTP % (80, 80, 80)), request=PLAIN, port=80)
    assert [told(one) for one in hops] == [("istio-egressgateway", 8080, "h2", "", ""), ("out", 80, "http/1.1", "", "")]
    assert [one.proxy.kind for one in hops] == ["sidecar", "gateway"]
    assert hops[-1].end == "external"


def test_the_name_of_the_services_port_decides_between_http_1_and_2():
    hops = follow(EGRESS_SERVICE % "http", EXTERNAL % "HTTPS", GATEWAY % (80, "HTTP", ""), RULE % "", SERVICE % (HTTP % (80, 80, 80)), request=PLAIN, port=80)
    assert told(hops[0])[2] == "http/1.1"


@pytest.mark.parametrize(("mode", "tls"), [("SIMPLE", "simple"), ("MUTUAL", "mutual")])
def test_tls_origination_at_the_gateway(mode, tls):
    policy = origination().replace("SIMPLE, ", "MUTUAL, credentialName: client, ") if mode == "MUTUAL" else origination()
    hops = follow(EGRESS_SERVICE % "http2", EXTERNAL % "HTTPS", GATEWAY % (80, "HTTP", ""), RULE % "", policy, SERVICE % (HTTP % (80, 80, 443)), request=PLAIN, port=80)
    assert told(hops[1]) == ("out", 443, "http/1.1", tls, "out.example")


def test_origination_with_mutual_tls_to_the_gateway():
    server = GATEWAY % (443, "HTTPS", "tls: {mode: ISTIO_MUTUAL}")
    hops = follow(EGRESS_SERVICE % "http2", EXTERNAL % "HTTPS", server, RULE % (MUTUAL % 443), origination(), SERVICE % (HTTP % (443, 443, 443)), request=PLAIN, port=80)
    assert [told(one) for one in hops] == [
        ("istio-egressgateway", 8443, "http/1.1", "istio_mutual", "out.example"),
        ("out", 443, "http/1.1", "simple", "out.example"),
    ]


def test_without_a_server_name_the_gateway_knows_nothing_of_the_connection():
    server = GATEWAY % (443, "HTTPS", "tls: {mode: ISTIO_MUTUAL}")
    rule = RULE % (MUTUAL.replace(", sni: out.example", "") % 443)
    hops = follow(EGRESS_SERVICE % "http2", EXTERNAL % "HTTPS", server, rule, SERVICE % (HTTP % (443, 443, 443)), request=PLAIN, port=80)
    assert told(hops[0])[4] == "outbound_.443_.out_.istio-egressgateway.istio-system.svc.cluster.local"
    assert hops[1].decision.outcome == Outcome.CONNECTION_REJECTED
    assert hops[1].leg is None


def test_the_clients_tls_is_handed_on_unopened():
    server = GATEWAY % (443, "TLS", "tls: {mode: PASSTHROUGH}")
    hops = follow(EGRESS_SERVICE % "http2", EXTERNAL % "TLS", server, RULE % "", SERVICE % PASSTHROUGH, request=TLS, port=443)
    assert [told(one) for one in hops] == [
        ("istio-egressgateway", 8443, "tcp", "client", "out.example"),
        ("out", 443, "tcp", "client", "out.example"),
    ]


def test_the_clients_tls_inside_mutual_tls():
    server = GATEWAY % (443, "TLS", "tls: {mode: ISTIO_MUTUAL}")
    routes = PASSTHROUGH.split("  - match: [{gateways: [egress]")[0] + (
        "tcp:\n  - match: [{gateways: [egress], port: 443}]\n    route: [{destination: {host: out.example, port: {number: 443}}}]\n"
    ).replace("tcp:", "  tcp:")
    hops = follow(EGRESS_SERVICE % "http2", EXTERNAL % "TLS", server, RULE % (MUTUAL % 443), SERVICE % routes, request=TLS, port=443)
    assert [told(one) for one in hops] == [
        ("istio-egressgateway", 8443, "tcp", "istio_mutual", "out.example"),
        ("out", 443, "tcp", "client", "out.example"),
    ]


def test_https_from_the_client_goes_past_a_gateway_for_http():
    hops = follow(EGRESS_SERVICE % "http2", EXTERNAL % "HTTPS", GATEWAY % (80, "HTTP", ""), RULE % "", SERVICE % (HTTP % (80, 80, 80)), request=TLS, port=443)
    assert [told(one) for one in hops] == [("out", 443, "tcp", "client", "out.example")]


def test_a_wildcard_served_by_one_host():
    wild = EXTERNAL.replace("out.example", "www.out.example") % "TLS"
    names = EXTERNAL.replace("[out.example]", "['*.out.example']").replace("name: out,", "name: wild,").replace("DNS", "NONE") % "TLS"
    server = (GATEWAY % (443, "TLS", "tls: {mode: PASSTHROUGH}")).replace("[out.example]", "['*.out.example']")
    routes = SERVICE.replace("hosts: [out.example]", "hosts: ['*.out.example']") % PASSTHROUGH
    routes = routes.replace("sniHosts: [out.example]", "sniHosts: ['*.out.example']").replace("host: out.example", "host: www.out.example")
    request = Request(scheme="tls", sni="de.out.example", destination="de.out.example")
    hops = follow(EGRESS_SERVICE % "http2", wild, names, server, RULE % "", routes, request=request, port=443)
    assert [told(one)[::4] for one in hops] == [("istio-egressgateway", "de.out.example"), ("www", "de.out.example")]


def test_a_subset_that_is_not_there_stops_the_first_proxy():
    hops = follow(EGRESS_SERVICE % "http2", EXTERNAL % "HTTPS", GATEWAY % (80, "HTTP", ""), SERVICE % (HTTP % (80, 80, 80)), request=PLAIN, port=80)
    assert [(one.decision.outcome, one.decision.flags) for one in hops] == [(Outcome.ERROR, ("NC",))]


def test_an_unknown_destination_leaves_the_mesh_at_once():
    hops = follow(EGRESS_SERVICE % "http2", request=Request(host="else.example"), port=80)
    assert [(one.decision.outcome, one.end) for one in hops] == [(Outcome.PASSTHROUGH, "external")]


def test_a_route_back_to_the_gateway_is_a_loop():
    back = (HTTP % (80, 80, 80)).replace("route: [{destination: {host: out.example", "route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local")
    hops = follow(EGRESS_SERVICE % "http2", EXTERNAL % "HTTPS", GATEWAY % (80, "HTTP", ""), RULE % "", SERVICE % back, request=PLAIN, port=80)
    assert [one.end for one in hops] == ["", "loop"]


def test_ingress_to_a_workload_with_a_sidecar():
    texts = """
apiVersion: v1
kind: Namespace
metadata: {name: app, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: app}
spec: {selector: {app: shop}, ports: [{name: grpc, port: 80, targetPort: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: app}
spec:
  selector: {matchLabels: {app: shop}}
  template: {metadata: {labels: {app: shop}}, spec: {containers: [{name: c}]}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: app}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: app}
spec: {hosts: ['*'], gateways: [public], http: [{rewrite: {uri: /v2, authority: shop.internal}, route: [{destination: {host: shop}}]}]}
"""
    topology = from_istio(read_text(texts, "c.yaml"), gateways=[("istio-system", {"istio": "ingressgateway"})])
    (hop,) = journey(topology, topology.proxies[0], 80, Request(scheme="grpc", host="shop.example", method="POST", path="/a"))
    assert told(hop) == ("shop", 9000, "h2", "istio_mutual", "outbound_.80_._.shop.app.svc.cluster.local")
    assert hop.end == "workload"


def test_the_charts_service_is_there_without_being_written():
    hops = follow(EXTERNAL % "HTTPS", GATEWAY % (80, "HTTP", ""), RULE % "", SERVICE % (HTTP % (80, 80, 80)), request=PLAIN, port=80)
    # The chart names port 80 http2.
    assert [told(one) for one in hops] == [("istio-egressgateway", 80, "h2", "", ""), ("out", 80, "http/1.1", "", "")]


def test_a_gateway_of_the_gateway_api_as_the_way_out():
    texts = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: out, namespace: app}
spec: {gatewayClassName: istio, listeners: [{name: http, hostname: out.example, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: in, namespace: app}
spec:
  parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: out}]
  rules: [{backendRefs: [{name: out-istio, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: on, namespace: app}
spec:
  parentRefs: [{name: out}]
  hostnames: [out.example]
  rules: [{backendRefs: [{kind: Hostname, group: networking.istio.io, name: out.example, port: 80}]}]
"""
    hops = follow(EXTERNAL % "HTTPS", texts, request=PLAIN, port=80)
    assert [told(one) for one in hops] == [("out-istio", 80, "http/1.1", "", ""), ("out", 80, "http/1.1", "", "")]
