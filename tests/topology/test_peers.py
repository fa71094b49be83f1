"""Mutual TLS between workloads: PeerAuthentication, endpoints outside Kubernetes, and east-west gateways."""

from __future__ import annotations

import textwrap

import pytest
from sidecar_build import ask, service, sidecar
from topology_build import build

from gwsim.topology import Outcome, Request, choose
from gwsim.topology.upstream import MESH_ALPN

NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: app, labels: {istio-injection: enabled}}
"""
PODS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: app}
spec:
  replicas: 2
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db, version: v1}}, spec: {containers: [{name: c}]}}
"""
DB = service("db", "http:80, tcp:5432")
CLUSTER = "outbound|80||db.app.svc.cluster.local"


def policy(namespace: str, spec: str, name: str = "default", created: str = "2024-01-01T00:00:00Z") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "{created}"}}
spec: {spec}
"""


def rule(mode: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: db, namespace: app}}
spec: {{host: db, trafficPolicy: {{tls: {{mode: {mode}}}}}}}
"""


MESH, SPACE = policy("istio-system", "{mtls: {mode: STRICT}}"), policy("app", "{mtls: {mode: PERMISSIVE}}")
CHOSEN = "{selector: {matchLabels: {app: db}}, mtls: {mode: %s}, portLevelMtls: {80: {mode: %s}}}"
MODES = [
    ([], "PERMISSIVE"),
    ([MESH], "STRICT"),
    ([MESH, SPACE], "PERMISSIVE"),
    ([MESH, policy("app", "{mtls: {mode: UNSET}}")], "STRICT"),
    ([MESH, policy("app", "{}")], "STRICT"),
    ([SPACE, policy("app", CHOSEN % ("STRICT", "UNSET"), "one")], "STRICT"),
    ([SPACE, policy("app", CHOSEN % ("STRICT", "DISABLE"), "one")], "DISABLE"),
    ([SPACE, policy("app", CHOSEN.replace("80", "81") % ("STRICT", "DISABLE"), "one")], "STRICT"),
    ([policy("app", "{selector: {matchLabels: {app: other}}, mtls: {mode: STRICT}}", "one")], "PERMISSIVE"),
    ([policy("far", "{mtls: {mode: STRICT}}")], "PERMISSIVE"),
    ([policy("istio-system", CHOSEN % ("STRICT", "STRICT"), "one")], "PERMISSIVE"),
    ([policy("app", "{mtls: {mode: STRICT}}", "new", "2025-01-01T00:00:00Z"), SPACE], "PERMISSIVE"),
]


@pytest.mark.parametrize(("policies", "mode"), MODES, ids=range(len(MODES)))
def test_the_narrowest_and_oldest_policy_counts(policies, mode):
    endpoint = sidecar(NAMESPACE, PODS, DB, *policies).clusters[CLUSTER].endpoints[0]
    assert (endpoint.accepts, endpoint.mtls) == (mode, mode != "DISABLE")


@pytest.mark.parametrize(
    ("mode", "tls", "served"),
    [("STRICT", "", True), ("STRICT", "DISABLE", False), ("STRICT", "SIMPLE", False), ("STRICT", "ISTIO_MUTUAL", True),
     ("PERMISSIVE", "DISABLE", True), ("DISABLE", "", True), ("DISABLE", "ISTIO_MUTUAL", False)],
)  # fmt: skip
def test_both_ends_have_to_agree(mode, tls, served):
    texts = [NAMESPACE, PODS, DB, policy("app", f"{{mtls: {{mode: {mode}}}}}"), *([rule(tls)] if tls else [])]
    got = ask(sidecar(*texts), "http://db/")
    assert (got.outcome, got.status) == ((Outcome.FORWARD, 200) if served else (Outcome.ERROR, 503)), got.reason


def test_pods_without_a_sidecar_get_plaintext():
    pods = PODS.replace("version: v1}", "version: v1, sidecar.istio.io/inject: 'false'}")
    endpoint = sidecar(NAMESPACE, pods, DB, MESH).clusters[CLUSTER].endpoints[0]
    assert (endpoint.accepts, endpoint.mtls, endpoint.mtls_known) == ("", False, True)
    assert not sidecar(PODS, DB).clusters[CLUSTER].endpoints[0].mtls_known


# WorkloadEntries


def machine(name: str, spec: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}, namespace: app, labels: {{app: db}}}}
spec: {spec}
"""


def test_services_and_entries_select_workload_entries():
    vm = machine("vm", "{address: 10.0.0.9, labels: {version: v9}, serviceAccount: db, weight: 3, ports: {http: 8080}, locality: r/z/s}")
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: e, namespace: app}
spec:
  hosts: [e.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 9090}, {number: 81, name: alt, protocol: HTTP}]
  workloadSelector: {labels: {app: db}}
"""
    proxy = sidecar(NAMESPACE, DB, PODS, vm, entry)
    everyone = proxy.clusters[CLUSTER].endpoints
    assert [(one.address, one.port) for one in everyone] == [("db-0", 80), ("db-1", 80), ("10.0.0.9", 8080)]
    last = everyone[-1]
    assert (last.weight, last.mtls, last.locality.zone, last.labels) == (3, True, "z", {"version": "v9", "app": "db"})
    selected = proxy.clusters["outbound|80||e.example"].endpoints
    assert [(one.address, one.port) for one in selected] == [("db-0", 9090), ("db-1", 9090), ("10.0.0.9", 8080)]
    assert proxy.clusters["outbound|81||e.example"].endpoints[-1].port == 81


# East-west gateways


EAST_WEST = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: cross-network-gateway, namespace: istio-system}
spec:
  selector: {istio: eastwestgateway}
  servers:
  - port: {number: 15443, name: tls, protocol: TLS}
    tls: {mode: AUTO_PASSTHROUGH}
    hosts: ['*.local']
"""
SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db, namespace: app}
spec: {host: db, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}, subsets: [{name: v1, labels: {version: v1}}]}
"""
OUTSIDE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out, namespace: app}
spec: {hosts: [out.local], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 10.0.0.1}]}
"""


def east_west(*texts: str):
    built = build(*(textwrap.dedent(one) for one in (NAMESPACE, PODS, DB, EAST_WEST, *texts)))

    def connect(sni: str, alpn: tuple[str, ...] = MESH_ALPN):
        return choose(built.proxy, 15443, Request(scheme="tls", sni=sni, alpn=alpn))

    return built, connect


def test_server_names_of_the_mesh_choose_the_cluster():
    built, connect = east_west(SUBSETS)
    got = connect("outbound_.5432_._.db.app.svc.cluster.local")
    assert (got.outcome, [one.cluster for one in got.clusters]) == (Outcome.FORWARD, ["outbound_.5432_._.db.app.svc.cluster.local"])
    assert connect("outbound_.80_.v1_.db.app.svc.cluster.local").outcome == Outcome.FORWARD
    cluster = built.cluster("outbound_.80_.v1_.db.app.svc.cluster.local")
    assert cluster.circuit_breakers.max_connections == 7
    mutual = SUBSETS.replace("{connectionPool", "{tls: {mode: ISTIO_MUTUAL}, connectionPool")
    assert east_west(mutual)[0].cluster("outbound_.80_.v1_.db.app.svc.cluster.local").tls is None


@pytest.mark.parametrize(
    ("sni", "alpn"),
    [
        ("outbound_.80_.v2_.db.app.svc.cluster.local", MESH_ALPN),
        ("outbound_.81_._.db.app.svc.cluster.local", MESH_ALPN),
        ("outbound_.80_._.out.local", MESH_ALPN),
        ("db.app.svc.cluster.local", MESH_ALPN),
        ("outbound_.80_._.db.app.svc.cluster.local", ("h2", "http/1.1")),
    ],
)
def test_anything_else_is_closed(sni, alpn):
    _, connect = east_west(SUBSETS, OUTSIDE)
    assert connect(sni, alpn).outcome == Outcome.CONNECTION_REJECTED


@pytest.mark.parametrize("change", [policy("app", "{mtls: {mode: DISABLE}}"), rule("DISABLE")])
def test_workloads_without_mutual_tls_are_not_reached(change):
    _, connect = east_west(change)
    got = connect("outbound_.80_._.db.app.svc.cluster.local")
    assert (got.outcome, got.flags) == (Outcome.ERROR, ("UH",))


def test_only_the_hosts_of_the_server_are_exposed():
    built = build(NAMESPACE, PODS, DB, EAST_WEST.replace("'*.local'", "'*.far.svc.cluster.local'"))
    assert built.proxy.listener(15443) is None
