"""Several clusters as one mesh: services with pods everywhere, networks with gateways between them."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from gwsim.diagnostics import Collector
from gwsim.resources import read_text
from gwsim.topology import Outcome, Proxy, Request, Topology, journey
from gwsim.topology.from_istio import ClusterConfig, build_mesh

INJECTED = """
apiVersion: v1
kind: Namespace
metadata: {name: app, labels: {istio-injection: enabled}}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: hello, namespace: app}
spec: {selector: {app: hello}, ports: [{name: http, port: 5000}]}
"""
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
CLUSTER = "outbound|5000||hello.app.svc.cluster.local"


def pods(version: str, replicas: int, more: str = "") -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: hello-{version}, namespace: app}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: hello}}}}
  template: {{metadata: {{labels: {{app: hello, version: {version}{more}}}}}, spec: {{containers: [{{name: c}}]}}}}
"""


def gateway_service(network: str, name: str = "istio-eastwestgateway", more: str = "") -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: istio-system, labels: {{topology.istio.io/network: {network}{more}}}}}
spec: {{selector: {{istio: eastwestgateway}}, ports: [{{name: tls, port: 15443, targetPort: 15443}}]}}
"""


def mesh(east: list[str], west: list[str], *, networks: tuple[str, str] = ("net1", "net2"), **options: Any) -> Topology:
    """Two clusters; the client is in the first."""
    made = []
    for name, texts, network in (("east", east, networks[0]), ("west", west, networks[1])):
        collector = Collector()
        resources = read_text("\n---\n".join(textwrap.dedent(one) for one in texts), f"{name}.yaml", collector=collector)
        assert not collector.errors, collector.errors
        sidecars = [("app", {"app": "web"})] if name == "east" else []
        made.append(ClusterConfig(resources=resources, name=name, network=network, zones=[f"{name}-a"], sidecars=sidecars, **options))
    return build_mesh(made)


def client(topology: Topology) -> Proxy:
    return next(one for one in topology.proxies if one.kind == "sidecar")


def seen(topology: Topology, cluster: str = CLUSTER) -> list[tuple[str, int, str]]:
    """Address, weight and zone of every endpoint the client has."""
    return [(one.address, one.weight, one.locality.zone) for one in client(topology).clusters[cluster].endpoints]


EAST = [INJECTED, SERVICE, pods("v1", 2)]
WEST = [INJECTED, SERVICE, pods("v2", 3), EAST_WEST, gateway_service("net2")]
WEST_ADDRESS = "istio-eastwestgateway.istio-system.west"


def test_on_one_network_all_pods_are_dialled_directly():
    found = seen(mesh(EAST, WEST, networks=("", "")))
    assert found == [("hello-v1-0", 1, "east-a"), ("hello-v1-1", 1, "east-a"), *((f"hello-v2-{n}", 1, "west-a") for n in range(3))]
    same = seen(mesh(EAST, [one for one in WEST if "topology" not in one], networks=("net1", "net1")))
    assert same == found


def test_pods_of_another_network_stand_behind_its_gateway_with_their_weight():
    assert seen(mesh(EAST, WEST)) == [("hello-v1-0", 1, "east-a"), ("hello-v1-1", 1, "east-a"), (WEST_ADDRESS, 3, "west-a")]
    remote = client(mesh(EAST, WEST)).clusters[CLUSTER].endpoints[-1]
    assert (remote.port, remote.network, remote.mtls, remote.via) == (15443, "net2", True, "west/istio-system/istio-eastwestgateway")


def test_several_gateways_share_the_weight_without_a_rest():
    two = [*WEST, gateway_service("net2", "second", ", networking.istio.io/gatewayPort: '16443'")]
    found = seen(mesh(EAST, two))
    # Local pods weigh 2 each, so that the three remote ones, 6 together, come to 3 for each gateway.
    assert found == [("hello-v1-0", 2, "east-a"), ("hello-v1-1", 2, "east-a"), (WEST_ADDRESS, 3, "west-a"), ("second.istio-system.west", 3, "west-a")]


def test_without_a_gateway_remote_pods_are_dialled_though_nothing_may_answer():
    assert len(seen(mesh(EAST, [INJECTED, SERVICE, pods("v2", 3)]))) == 5


def test_without_mutual_tls_no_pod_is_reached_through_a_gateway():
    off = ", sidecar.istio.io/inject: 'false'"
    assert seen(mesh(EAST, [INJECTED, SERVICE, pods("v2", 3, off), EAST_WEST, gateway_service("net2")])) == [
        ("hello-v1-0", 1, "east-a"),
        ("hello-v1-1", 1, "east-a"),
    ]


def test_the_network_of_a_cluster_may_be_told_by_its_root_namespace():
    def label(network: str) -> str:
        return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: istio-system, labels: {{topology.istio.io/network: {network}}}}}\n"

    told = mesh([*EAST, label("net1")], [*WEST, label("net2")], networks=("", ""))
    assert seen(told) == seen(mesh(EAST, WEST))


def test_the_label_of_a_pod_tells_its_network_before_all_else():
    moved = pods("v2", 3, ", topology.istio.io/network: net1")
    assert len(seen(mesh(EAST, [INJECTED, SERVICE, moved, EAST_WEST, gateway_service("net2")]))) == 5


def test_a_service_of_the_other_cluster_only_is_known_too():
    topology = mesh([INJECTED], WEST)
    assert seen(topology) == [(WEST_ADDRESS, 3, "west-a")]


def test_pods_are_assumed_only_where_no_cluster_has_any():
    assert [one[0] for one in seen(mesh([INJECTED, SERVICE], WEST))] == [WEST_ADDRESS]
    assert [one[0] for one in seen(mesh([INJECTED, SERVICE], [INJECTED, SERVICE]))] == ["hello-0"]


@pytest.mark.parametrize(
    ("hosts", "local"),
    [("['*.app.svc.cluster.local']", True), ("['hello.app.svc.cluster.local']", True), ("['*.far.svc.cluster.local']", False)],
)
def test_services_may_be_kept_within_their_cluster(hosts, local):
    settings = f"serviceSettings: [{{settings: {{clusterLocal: true}}, hosts: {hosts}}}]"
    config = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata: {{mesh: \"{settings}\"}}\n"
    assert len(seen(mesh([*EAST, config], WEST))) == (2 if local else 3)


def test_subsets_hold_the_pods_of_all_clusters():
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello, namespace: app}
spec: {host: hello, subsets: [{name: v2, labels: {version: v2}}]}
"""
    assert seen(mesh([*EAST, rule], WEST), "outbound|5000|v2|hello.app.svc.cluster.local") == [(WEST_ADDRESS, 3, "west-a")]


def test_the_gateway_of_a_network_sees_its_own_network_only():
    topology = mesh([*EAST, EAST_WEST, gateway_service("net1")], WEST)
    west = next(one for one in topology.proxies if one.cluster == "west" and one.kind == "gateway")
    cluster = west.clusters["outbound_.5000_._.hello.app.svc.cluster.local"]
    assert (west.network, [one.pod for one in cluster.endpoints]) == ("net2", ["hello-v2-0", "hello-v2-1", "hello-v2-2"])


def test_a_request_goes_through_the_other_networks_gateway_to_the_pod():
    topology = mesh([INJECTED, SERVICE], WEST)
    hops = journey(topology, client(topology), 5000, Request(host="hello"))
    assert [(one.proxy.cluster, one.proxy.kind) for one in hops] == [("east", "sidecar"), ("west", "gateway")]
    first, second = (one.leg for one in hops)
    assert first is not None and second is not None
    name = "outbound_.5000_._.hello.app.svc.cluster.local"
    assert (first.tls, first.sni, first.port) == ("istio_mutual", name, 15443)
    assert (second.tls, second.sni, second.address, hops[-1].end) == ("client", name, "hello-v2-0", "workload")


def test_a_subset_that_the_other_side_does_not_have_is_closed_there():
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello, namespace: app}
spec: {host: hello, subsets: [{name: v2, labels: {version: v2}}]}
"""
    route = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hello, namespace: app}
spec: {hosts: [hello], http: [{route: [{destination: {host: hello, subset: v2}}]}]}
"""
    topology = mesh([INJECTED, SERVICE, rule, route], WEST)
    assert journey(topology, client(topology), 5000, Request(host="hello"))[-1].decision.outcome == Outcome.CONNECTION_REJECTED
    both = mesh([INJECTED, SERVICE, rule, route], [*WEST, rule])
    assert journey(both, client(both), 5000, Request(host="hello"))[-1].end == "workload"


def test_a_gateway_without_a_service_in_the_files_counts_for_its_clusters_network():
    found = seen(mesh(EAST, [one for one in WEST if "topology.istio.io" not in one]))
    assert [one[1] for one in found] == [1, 1, 3]


# Machines and meshNetworks


MACHINE = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: app, labels: {app: hello}}
spec: {%s, serviceAccount: hello}
"""
NETWORKS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  meshNetworks: |
    networks:
      vms:
        endpoints: [{fromCidr: 10.9.0.0/16}]
        gateways: [{address: 192.0.2.1, port: 443}]
      net2:
        endpoints: [{fromRegistry: west}]
        gateways: [{registryServiceName: istio-eastwestgateway.istio-system.svc.cluster.local, port: 15443}]
"""


@pytest.mark.parametrize("written", ["network: vms", "address: 10.9.1.1", "address: 10.1.1.1, network: vms"])
def test_a_machine_of_another_network_is_reached_through_its_gateway(written):
    topology = mesh([*EAST, MACHINE % written, NETWORKS], [INJECTED])
    assert [one[0] for one in seen(topology)][-1] == "192.0.2.1"
    assert client(topology).clusters[CLUSTER].endpoints[-1].port == 443


def test_a_machine_of_no_network_is_dialled():
    assert [one[0] for one in seen(mesh([*EAST, MACHINE % "address: 10.1.1.1", NETWORKS], [INJECTED]))][-1] == "10.1.1.1"


def test_mesh_networks_name_a_service_of_the_other_cluster():
    plain = gateway_service("net2").replace(", labels: {topology.istio.io/network: net2}", "")
    west = [INJECTED, SERVICE, pods("v2", 3), EAST_WEST, plain]
    assert seen(mesh([*EAST, NETWORKS], west, networks=("net1", "net2")))[-1] == (WEST_ADDRESS, 3, "west-a")
