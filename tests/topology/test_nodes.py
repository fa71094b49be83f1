"""Nodes, owners of pods other than Deployments, and listed endpoints."""

from __future__ import annotations

import pytest
from topology_build import GATEWAY, build, routes

SHOP = """
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: app}
spec: {selector: {app: shop}, ports: [{name: http, port: 80}]}
---
"""


def nodes(**zones: str) -> str:
    """Nodes by name with their zones."""
    return "\n---\n".join(
        f"apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{topology.kubernetes.io/zone: {zone}, kubernetes.io/hostname: {name}}}}}"
        for name, zone in zones.items()
    )


def owner(kind: str, replicas: int | None = None, spec: str = "", controller: str = "", name: str = "shop") -> str:
    """An owner of the shop's pods."""
    count = f"replicas: {replicas}, " if replicas is not None else ""
    owned = f", ownerReferences: [{{kind: {controller.split('/')[0]}, name: {controller.split('/')[1]}, controller: true}}]" if controller else ""
    return f"""
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}, namespace: app{owned}}}
spec: {{{count}selector: {{matchLabels: {{app: shop}}}}, template: {{metadata: {{labels: {{app: shop}}}}, spec: {{containers: [{{name: app}}]{spec}}}}}}}
"""


APART = ", affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: %s, labelSelector: {matchLabels: {app: shop}}}]}}"
TO_SHOP = routes("- route: [{destination: {host: shop}}]")


def addresses(built) -> list[str]:
    return [one.address for one in built.cluster("outbound|80||shop.app.svc.cluster.local").endpoints]


def test_a_daemon_set_has_a_pod_on_every_node_it_may_run_on():
    cluster = nodes(n1="a", n2="a", n3="b")
    assert len(addresses(build(GATEWAY, SHOP, TO_SHOP, cluster, owner("DaemonSet")))) == 3
    in_a = owner("DaemonSet", spec=", nodeSelector: {topology.kubernetes.io/zone: a}")
    assert len(addresses(build(GATEWAY, SHOP, TO_SHOP, cluster, in_a))) == 2


def test_pods_that_keep_apart_stay_pending_where_places_run_out():
    built = build(GATEWAY, SHOP, TO_SHOP, nodes(n1="a", n2="b"), owner("Deployment", 5, APART % "kubernetes.io/hostname"))
    assert len(addresses(built)) == 2
    assert "PODS_PENDING" in built.names
    by_zone = build(GATEWAY, SHOP, TO_SHOP, owner("Deployment", 5, APART % "topology.kubernetes.io/zone"), zones=("a", "b", "c"))
    assert len(addresses(by_zone)) == 3


def test_what_a_deployment_owns_is_not_counted_again():
    pod = """
apiVersion: v1
kind: Pod
metadata: {name: shop-5d4f-x, namespace: app, labels: {app: shop}, ownerReferences: [{kind: ReplicaSet, name: shop-5d4f, controller: true}]}
spec: {containers: [{name: app}]}
"""
    replica_set = owner("ReplicaSet", 2, controller="Deployment/shop", name="shop-5d4f")
    assert len(addresses(build(GATEWAY, SHOP, TO_SHOP, owner("Deployment", 2), replica_set, pod))) == 2
    assert len(addresses(build(GATEWAY, SHOP, TO_SHOP, owner("Deployment", 2), pod))) == 2
    assert addresses(build(GATEWAY, SHOP, TO_SHOP, pod)) == ["shop-5d4f-x-0"]


def test_an_autoscaler_may_scale_a_stateful_set():
    scaler = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop, namespace: app}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: shop}, minReplicas: 4, maxReplicas: 9}
"""
    assert len(addresses(build(GATEWAY, SHOP, TO_SHOP, owner("StatefulSet"), scaler))) == 4


def test_a_service_whose_listed_endpoints_are_not_ready_has_none():
    listed = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: shop-1, namespace: app, labels: {kubernetes.io/service-name: shop}}
addressType: IPv4
ports: [{name: http, port: 8000}]
endpoints: [{addresses: [192.0.2.1], conditions: {ready: false}}]
"""
    assert addresses(build(GATEWAY, SHOP, TO_SHOP, listed)) == []
    assert build(GATEWAY, SHOP, TO_SHOP, listed).get().status == 503
    assert addresses(build(GATEWAY, SHOP, TO_SHOP, listed, istio_version="1.31")) == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("apiVersion: v1\nkind: Endpoints\nmetadata: {name: shop, namespace: app}", 1),
        ("apiVersion: v1\nkind: Endpoints\nmetadata: {name: shop, namespace: app}\nsubsets: []", 0),
        ("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a, namespace: app, labels: {kubernetes.io/service-name: shop}}", 1),
    ],
)  # fmt: skip
def test_a_list_that_the_file_leaves_out_is_filled_elsewhere(listed, expected):
    assert len(addresses(build(GATEWAY, SHOP, TO_SHOP, listed))) == expected


def test_workers_follow_the_smallest_node_the_gateway_may_run_on():
    gateway = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: gateway, namespace: app}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  template:
    metadata: {labels: {istio: ingressgateway}, annotations: {inject.istio.io/templates: gateway}}
    spec: {nodeSelector: {pool: big}, containers: [{name: istio-proxy, resources: {requests: {cpu: 1}}}]}
---
apiVersion: v1
kind: Node
metadata: {name: small}
status: {allocatable: {cpu: "2"}}
---
apiVersion: v1
kind: Node
metadata: {name: big, labels: {pool: big}}
status: {allocatable: {cpu: 15800m}}
"""
    assert build(GATEWAY, gateway).proxy.workers == 15
