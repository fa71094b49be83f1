"""Selection of workloads, ports, servers and their merging, TLS (istio-config-semantics, section 2)."""

import pytest
from topology_build import GATEWAY, SERVICES, SHOP, TO_SHOP, build, routes

from gwsim.diagnostics import Collector
from gwsim.errors import InputError
from gwsim.resources import read_text
from gwsim.topology import Outcome
from gwsim.topology.from_istio import from_istio

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  replicas: 3
  selector: {matchLabels: {istio: ingressgateway}}
  template:
    metadata: {labels: {app: istio-ingressgateway, istio: ingressgateway}}
    spec:
      containers:
      - name: istio-proxy
        image: auto
        args: [proxy, router]
        resources: {requests: {cpu: 500m}, limits: {cpu: 2500m}}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  ports:
  - {name: http2, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8443}
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: cert, namespace: istio-system}
type: kubernetes.io/tls
stringData: {tls.crt: placeholder, tls.key: placeholder}
"""


def gateway(servers: str, name: str = "edge", selector: str = "{istio: ingressgateway}", created: str = "") -> str:
    stamp = f', creationTimestamp: "{created}"' if created else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: app{stamp}}}
spec:
  selector: {selector}
  servers: {servers}
"""


def server(port: int, protocol: str, hosts: str, tls: str = "", name: str | None = None) -> str:
    tail = f", tls: {tls}" if tls else ""
    return f"{{port: {{number: {port}, name: {name or f'p{port}'}, protocol: {protocol}}}, hosts: {hosts}{tail}}}"


SIMPLE = "{mode: SIMPLE, credentialName: cert}"


def test_service_translates_the_port_and_the_declared_number_is_kept():
    built = build(SERVICES, GATEWAY, DEPLOYMENT, SERVICE, routes(f"- {TO_SHOP}"))
    (listener,) = built.proxy.listeners
    assert (listener.port, listener.declared_ports) == (8080, (80,))
    assert built.get(port=8080).outcome == Outcome.FORWARD
    assert built.get(port=80).outcome == Outcome.NO_LISTENER
    proxy, found = built.topology.resolve("Service/istio-system/istio-ingressgateway:80")
    assert (proxy, found) == (built.proxy, listener)


def test_a_labelled_service_does_not_translate():
    label = SERVICE.replace(
        "namespace: istio-system}",
        'namespace: istio-system, labels: {experimental.istio.io/disable-gateway-port-translation: "true"}}',
    )
    assert [one.port for one in build(SERVICES, GATEWAY, DEPLOYMENT, label).proxy.listeners] == [80]


def test_a_port_that_the_service_lacks_is_reported_at_its_line():
    built = build(gateway(f"[{server(31400, 'HTTP', '[a]')}]"), DEPLOYMENT, SERVICE)
    assert built.names == ["PORT_NOT_EXPOSED"]
    assert built.findings[0].span.line == 7
    assert [one.port for one in built.proxy.listeners] == [31400]


def test_fleet_of_a_deployment():
    proxy = build(GATEWAY, DEPLOYMENT, SERVICE, zones=("a", "b")).proxy
    assert (proxy.replicas, proxy.workers) == (3, 3)
    assert (proxy.cpu_request_cores, proxy.cpu_limit_cores, proxy.autoscaler) == (0.5, 2.5, None)
    assert [pod.locality.zone for pod in proxy.pods] == ["a", "b", "a"]
    assert proxy.pods[2].name == "istio-ingressgateway-2"


@pytest.mark.parametrize(
    ("change", "workers"),
    [
        (("args: [proxy, router]", "args: [proxy, router, --concurrency, '4']"), 4),
        ((", limits: {cpu: 2500m}", ""), 16),
        (("limits: {cpu: 2500m}", "limits: {cpu: 900m}"), 1),
        (("metadata: {labels", "metadata: {annotations: {proxy.istio.io/config: 'concurrency: 5'}, labels"), 5),
        (("metadata: {labels", "metadata: {annotations: {proxy.istio.io/config: 'concurrency: 0'}, labels"), 16),
    ],
)
def test_workers(change, workers):
    assert build(GATEWAY, DEPLOYMENT.replace(*change), SERVICE, node_cpus=16).proxy.workers == workers


def test_zones_by_node_constraints():
    pinned = DEPLOYMENT.replace("      containers:", "      nodeSelector: {topology.kubernetes.io/zone: b}\n      containers:")
    built = build(GATEWAY, pinned, SERVICE, zones=("a", "b", "c"))
    assert {pod.locality.zone for pod in built.proxy.pods} == {"b"}
    assert any("placed on zone b" in text for text in built.topology.assumptions)


def test_autoscaler_and_replicas():
    scaler = """
    apiVersion: autoscaling/v2
    kind: HorizontalPodAutoscaler
    metadata: {name: gw, namespace: istio-system}
    spec:
      scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: istio-ingressgateway}
      minReplicas: 4
      maxReplicas: 9
      metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
      behavior: {scaleDown: {stabilizationWindowSeconds: 60}}
    """
    proxy = build(GATEWAY, DEPLOYMENT, SERVICE, scaler).proxy
    assert proxy.replicas == 4
    assert proxy.autoscaler is not None
    assert (proxy.autoscaler.max_replicas, proxy.autoscaler.target_cpu_utilization) == (9, 0.6)
    assert proxy.autoscaler.scale_down.stabilization_s == 60.0
    assert len(proxy.autoscaler.scale_up.policies) == 2


def test_without_a_deployment_the_charts_fleet_is_taken_and_said():
    built = build(GATEWAY)
    proxy = built.proxy
    assert (proxy.namespace, proxy.name, proxy.workers) == ("istio-system", "istio-ingressgateway", 2)
    assert (proxy.cpu_request_cores, proxy.cpu_limit_cores) == (0.1, 2.0)
    assert proxy.autoscaler is not None and proxy.autoscaler.max_replicas == 5
    assert "has no Deployment in the files" in built.topology.assumptions[0]
    assert built.names == []


def test_a_selector_beside_the_deployment_there_is_matches_nothing():
    built = build(gateway(f"[{server(80, 'HTTP', '[a]')}]", selector="{istio: ingresgateway}"), DEPLOYMENT, SERVICE)
    assert built.names == ["SELECTOR_MATCHES_NOTHING"]
    assert built.proxy.listeners == ()
    kept = {"assume_exists": ["Deployment/istio-system/istio-ingresgateway"]}
    declared = build(gateway(f"[{server(80, 'HTTP', '[a]')}]", selector="{istio: ingresgateway}"), DEPLOYMENT, SERVICE, **kept)
    assert declared.names == []
    assert len(declared.topology.proxies) == 2


def test_selection_crosses_namespaces_and_an_empty_selector_takes_all():
    two = DEPLOYMENT.replace("name: istio-ingressgateway,", "name: other,").replace("istio: ingressgateway", "istio: other")
    built = build(GATEWAY.replace("{istio: ingressgateway}", "{}"), DEPLOYMENT, two)
    assert [bool(proxy.listeners) for proxy in built.topology.proxies] == [True, True]


def test_sni_picks_the_chain_and_host_is_matched_within_it_only():
    servers = ", ".join(
        [
            server(443, "HTTPS", "[a.example]", SIMPLE, "a"),
            server(443, "HTTPS", "['*.example']", SIMPLE, "wild"),
        ]
    )
    built = build(
        SERVICES, SECRET, gateway(f"[{servers}]", name="public"), routes(f"- {TO_SHOP}", hosts="['*.example']")
    )
    https = {"scheme": "https", "port": 443}
    assert built.get(host="a.example", **https).filter_chain.startswith("https.443.a.")
    assert built.get(host="b.example", **https).filter_chain.startswith("https.443.wild.")
    assert built.get(host="b.example", sni="a.example", **https).outcome == Outcome.NOT_FOUND
    assert built.get(host="a.other", **https).outcome == Outcome.CONNECTION_REJECTED
    assert built.get(host="a.example", sni="", **https).outcome == Outcome.CONNECTION_REJECTED
    assert built.get(host="a.example", scheme="http", port=443).outcome == Outcome.CONNECTION_REJECTED


def test_missing_secret_fails_that_chain_only_and_counts_where_the_pods_are():
    servers = ", ".join(
        [
            server(443, "HTTPS", "[a.example]", SIMPLE, "a"),
            server(443, "HTTPS", "[b.example]", "{mode: SIMPLE, credentialName: gone}", "b"),
        ]
    )
    misplaced = SECRET.replace("name: cert, namespace: istio-system", "name: gone, namespace: app")
    built = build(SERVICES, SECRET, misplaced, gateway(f"[{servers}]", name="public"), routes(f"- {TO_SHOP}"))
    assert built.names == ["CREDENTIAL_MISSING"]
    assert "only where the gateway's pods are" in built.findings[0].help
    assert built.get(host="a.example", scheme="https", port=443).outcome == Outcome.FORWARD
    assert built.get(host="b.example", scheme="https", port=443).outcome == Outcome.CONNECTION_REJECTED
    assert build(SERVICES, gateway(f"[{servers}]"), assume_exists=["Secret/istio-system/cert", "Secret/istio-system/gone"]).names == []


def test_mutual_requires_a_certificate():
    built = build(
        SERVICES,
        SECRET,
        gateway(f"[{server(443, 'HTTPS', '[a.example]', '{mode: MUTUAL, credentialName: cert}')}]", name="public"),
        routes(f"- {TO_SHOP}"),
    )
    https = {"scheme": "https", "port": 443, "host": "a.example"}
    assert built.get(**https, client_certificate=False).outcome == Outcome.CONNECTION_REJECTED
    assert built.get(**https, client_certificate=True).outcome == Outcome.FORWARD


def test_plaintext_servers_merge_and_the_older_class_keeps_the_port():
    merged = build(
        SERVICES,
        gateway(f"[{server(80, 'HTTP', '[a.example]')}]", name="public"),
        gateway(f"[{server(80, 'HTTP2', '[b.example]')}]", name="second"),
        routes(f"- {TO_SHOP}").replace("[public]", "[public, second]"),
    )
    assert merged.names == []
    assert merged.get(host="b.example").outcome == Outcome.FORWARD
    mixed = build(
        SECRET,
        gateway(f"[{server(443, 'HTTP', '[a.example]')}]", name="old", created="2024-01-01T00:00:00Z"),
        gateway(f"[{server(443, 'HTTPS', '[b.example]', SIMPLE)}]", name="new", created="2025-01-01T00:00:00Z"),
    )
    assert mixed.names == ["SERVER_DROPPED"]
    assert "Gateway/app/new" in mixed.findings[0].message


def test_same_tls_host_twice_drops_the_newer_server():
    built = build(
        SECRET,
        gateway(f"[{server(443, 'HTTPS', '[a.example, c.example]', SIMPLE)}]", name="b-old", created="2024-01-01T00:00:00Z"),
        gateway(f"[{server(443, 'HTTPS', '[b.example, a.example]', SIMPLE)}]", name="a-new", created="2025-01-01T00:00:00Z"),
    )
    assert built.names == ["SERVER_DROPPED"]
    assert built.get(host="b.example", scheme="https", port=443).outcome == Outcome.CONNECTION_REJECTED


def test_https_redirect_answers_301_with_or_without_routes():
    redirect = server(80, "HTTP", "[a.example, bare.example]", "{httpsRedirect: true}")
    built = build(SERVICES, gateway(f"[{redirect}]", name="public"), routes(f"- {TO_SHOP}", hosts="[a.example]"))
    for host in ("a.example", "bare.example"):
        got = built.get("/x?y=1", host=host)
        assert (got.outcome, got.status, str(got.redirect)) == (Outcome.REDIRECT, 301, f"https://{host}/x?y=1")
    assert built.get(host="other.example").outcome == Outcome.NOT_FOUND


def test_gateway_hosts_may_be_reserved_for_a_namespace():
    built = build(SERVICES, gateway(f"[{server(80, 'HTTP', '[other/a.example, ./b.example]')}]", name="public"), routes(f"- {TO_SHOP}"))
    assert built.get(host="a.example").outcome == Outcome.NOT_FOUND
    assert built.get(host="b.example").outcome == Outcome.FORWARD


def test_tcp_server_without_a_route_opens_no_port():
    built = build(gateway(f"[{server(9000, 'TCP', '[a]')}]"))
    assert built.names == ["L4_ROUTE_MISSING"]
    assert built.proxy.listeners == ()


def test_passthrough_takes_tls_routes_and_tls_termination_takes_tcp_routes():
    service = """
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: l4, namespace: app}
    spec:
      hosts: ["*.example"]
      gateways: [edge]
      tls:
      - match: [{sniHosts: [a.example]}]
        route: [{destination: {host: shop, port: {number: 80}}}]
      tcp:
      - match: [{port: 9443}]
        route:
        - {destination: {host: shop, port: {number: 80}}, weight: 3}
        - {destination: {host: cart, port: {number: 80}}, weight: 0}
        - {destination: {host: cart, port: {number: 90}}, weight: 1}
    """
    servers = ", ".join(
        [server(443, "TLS", "['*.example']", "{mode: PASSTHROUGH}"), server(9443, "TLS", "[b.example]", SIMPLE)]
    )
    built = build(SERVICES, SECRET, service, gateway(f"[{servers}]"))
    got = built.get(host="a.example", scheme="tls", port=443)
    assert (got.outcome, got.status, [one.cluster for one in got.clusters]) == (Outcome.FORWARD, 0, [SHOP])
    assert built.get(host="c.example", scheme="tls", port=443).outcome == Outcome.CONNECTION_REJECTED
    tcp = built.get(host="b.example", scheme="tls", port=9443)
    assert [(one.cluster.split("|")[1], one.weight) for one in tcp.clusters] == [("80", 3), ("90", 1)]


def test_unknown_version_names_the_known_ones():
    with pytest.raises(InputError, match=r"1\.30"):
        from_istio(read_text(GATEWAY), istio_version="1.3", collector=Collector())
    assert from_istio(read_text(GATEWAY), istio_version="1.31.2").istio_version == "1.31"
