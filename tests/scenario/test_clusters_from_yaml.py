"""Requests from one cluster to another: through the gateway before its network, to the pods behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mesh_text import changed, workload

from gwsim import scenario
from gwsim.diagnostics import Collector
from gwsim.scenario import Resolved, model

SCENARIO = """\
apiVersion: gwsim/v1
clusters:
  east: {config: [east.yaml], network: net1, zones: [e1], node: {cpus: 8}}
  west: {config: [west.yaml], network: net2, zones: [w1, w2], node: {cpus: 8}}
clients:
  orders:
    from: east/shop/orders
    arrivals: {poisson: 50rps}
    mix: [{name: pay, host: payments.shop, path: /charge}]
backends:
  payments.shop: {service_time: 8ms}
network: {between: [{zones: [e1, w1], rtt: 20ms}]}
run: {duration: 2s, replications: 1}
"""
SHOP = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n---\n"
SERVICE, _, DEPLOYMENT = workload("payments", 3).partition("---\n")
EAST = SHOP + SERVICE + "---\n" + workload("orders")
WEST = SHOP + SERVICE + "---\n" + DEPLOYMENT + """\
---
apiVersion: v1
kind: Service
metadata: {name: eastwest, namespace: gates, labels: {topology.istio.io/network: net2}}
spec: {type: LoadBalancer, selector: {istio: eastwest}, ports: [{name: tls, port: 15443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: eastwest, namespace: gates}
spec:
  replicas: 2
  selector: {matchLabels: {istio: eastwest}}
  template:
    metadata: {labels: {istio: eastwest, topology.istio.io/network: net2}, annotations: {inject.istio.io/templates: gateway}}
    spec: {containers: [{name: istio-proxy, image: auto}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: cross, namespace: gates}
spec:
  selector: {istio: eastwest}
  servers: [{port: {number: 15443, name: tls, protocol: TLS}, hosts: ["*.local"], tls: {mode: AUTO_PASSTHROUGH}}]
"""


def resolved(folder: Path, text: str = SCENARIO, east: str = EAST, west: str = WEST) -> Resolved:
    for name, content in (("scenario.yaml", text), ("east.yaml", east), ("west.yaml", west)):
        (folder / name).write_text(content, encoding="utf-8")
    project = scenario.open_project(folder)
    return scenario.resolve(project.loaded, project.topology, collector=Collector())


def leads_to(made: model.Model, client: int) -> list[model.Station]:
    """The stations of the first destination of a client's first shape."""
    return [made.stations[s] for s in made.clusters[made.clients[client].mix[0].outcome.targets[0].cluster].stations]


def test_pods_of_another_network_are_reached_through_its_gateway(tmp_path: Path) -> None:
    made = resolved(tmp_path).model
    assert [one.name for one in made.fleets] == ["sidecar east/shop/orders", "west/gates/eastwest"]
    doors = leads_to(made, 0)
    assert {one.relay.pod for one in doors if one.relay} == {None}, "its load balancer chooses the pod"
    assert {one.zone for one in doors} == {"w1", "w2"}, "an entry for every locality behind it"
    beyond = made.clients[1]
    assert (beyond.name, beyond.connection.tls, made.fleets[beyond.fleet].name) == ("shop/orders -> eastwest", "1.3", "west/gates/eastwest")
    pods = leads_to(made, 1)
    assert [one.name for one in pods] == [f"west/payments.shop/payments-{n}" for n in range(3)]
    assert {one.service_time_s.mean for one in pods} == {0.008}, "a backend without a cluster's name is that of all clusters"
    passed = made.clusters[beyond.mix[0].outcome.targets[0].cluster]
    assert passed.tls_round_trips == 0, "the caller's mutual TLS is handed on"


def test_pods_on_both_sides_share_the_requests(tmp_path: Path) -> None:
    found = resolved(tmp_path, east=EAST + "---\n" + DEPLOYMENT)
    stations = leads_to(found.model, 0)
    assert [one.relay is not None for one in stations].count(False) == 3
    assert {one.name for one in stations if one.relay is None} == {f"east/payments.shop/payments-{n}" for n in range(3)}
    weights = found.model.clusters[0].hosts
    assert sum(one.weight for one, at in zip(weights, stations, strict=True) if at.relay) == 3, "one entry weighs as all pods behind it"


@pytest.mark.parametrize(("key", "west_s"), [("payments.shop", 0.008), ("east/payments.shop", 0.01 * 2**0.5)])
def test_a_name_with_a_cluster_is_of_that_cluster_alone(tmp_path: Path, key: str, west_s: float) -> None:
    found = resolved(tmp_path, changed(SCENARIO, ("payments.shop: {", f"{key}: {{")), east=EAST + "---\n" + DEPLOYMENT)
    means = {one.name.partition("/")[0]: one.service_time_s.mean for one in found.model.stations if one.relay is None}
    assert means == pytest.approx({"east": 0.008, "west": west_s})


def test_the_sidecar_behind_the_gateway_opens_what_that_hands_on(tmp_path: Path) -> None:
    made = resolved(tmp_path, SCENARIO + "sidecars: {inbound: true}\n").model
    assert [one.name for one in made.clients] == ["orders", "shop/orders -> eastwest", "eastwest -> sidecar payments"]
    assert [one.connection.tls for one in made.clients] == [None, "1.3", "1.3"]
    assert [made.fleets[one.fleet].name for one in made.clients] == ["sidecar east/shop/orders", "west/gates/eastwest", "sidecar west/shop/payments"]
    assert [(one.relay.client, one.relay.pod) for one in leads_to(made, 1) if one.relay] == [(2, 0), (2, 1), (2, 2)]
    assert {one.name for one in leads_to(made, 2)} == {f"west/payments.shop/payments-{n}" for n in range(3)}
