"""Helm values and IstioOperators: the objects that Istio's charts would render, with the place of every value."""

from __future__ import annotations

import pytest
import yaml

from gwsim.diagnostics import CODES, Collector
from gwsim.resources import read_text
from gwsim.resources.mesh import mesh_of

VALUES = """
name: edge
namespace: ingress
labels: {app: edge, team: platform}
autoscaling: {minReplicas: 3, maxReplicas: 12, targetCPUUtilizationPercentage: 65}
resources:
  requests: {cpu: "2"}
  limits: {cpu: "4", memory: 2Gi}
service:
  type: LoadBalancer
  externalTrafficPolicy: Local
  ports:
  - {name: https, port: 443, targetPort: 8443}
env: {ISTIO_META_UNPRIVILEGED_POD: "true"}
podAnnotations: {proxy.istio.io/config: "concurrency: 4"}
"""


def found(text: str) -> tuple[object, Collector]:
    collector = Collector()
    return read_text(text, "values.yaml", collector=collector), collector


def names(collector: Collector) -> list[str]:
    return [CODES[one.code].name for one in collector]


def test_values_of_the_gateway_chart():
    objects, collector = found(VALUES)
    assert names(collector) == ["HELM_VALUES"]
    (deployment,), (service,), (scaler,) = objects.deployments, objects.services, objects.autoscalers
    assert {one.ref.split("/", 1)[1] for one in objects} == {"ingress/edge"}
    assert deployment.replicas is None
    assert deployment.labels == {
        "app": "edge", "istio": "edge", "team": "platform", "sidecar.istio.io/inject": "true"
    }  # fmt: skip
    assert deployment.annotations["inject.istio.io/templates"] == "gateway"
    assert deployment.annotations["proxy.istio.io/config"] == "concurrency: 4"
    (proxy,) = deployment.containers
    assert (proxy.resources.requests.cpu_cores, proxy.resources.limits.cpu_cores) == (2.0, 4.0)
    assert (proxy.resources.requests.memory_bytes, proxy.resources.limits.memory_bytes) == (128 * 2**20, 2 * 2**30)
    assert [(one.name, one.value) for one in proxy.env] == [("ISTIO_META_UNPRIVILEGED_POD", "true")]
    assert service.selector == {"app": "edge", "istio": "edge"}
    assert (service.external_traffic_policy, [one.target_port for one in service.ports]) == ("Local", [8443])
    assert (scaler.min_replicas, scaler.max_replicas, scaler.cpu_utilization_percent) == (3, 12, 65)


def test_the_charts_own_defaults():
    objects, _ = found("replicaCount: 1\n")
    assert [one.port for one in objects.services[0].ports] == [15021, 80, 443]
    assert objects.services[0].selector == {"app": "istio-ingressgateway", "istio": "ingressgateway"}
    assert (objects.autoscalers[0].max_replicas, objects.autoscalers[0].cpu_utilization_percent) == (5, 80)


def test_without_autoscaling_the_replicas_count():
    objects, _ = found("replicaCount: 4\nautoscaling: {enabled: false}\n")
    assert objects.deployments[0].replicas == 4
    assert not objects.autoscalers


def test_a_network_gateway():
    objects, _ = found("networkGateway: net2\nreplicaCount: 1\n")
    assert [one.port for one in objects.services[0].ports] == [15021, 15443, 15012, 15017]
    assert objects.services[0].meta.labels["topology.istio.io/network"] == "net2"
    assert objects.deployments[0].labels["topology.istio.io/network"] == "net2"


@pytest.mark.parametrize(
    ("wrong", "right", "name", "line"),
    [
        ('{cpu: "2"}', "{cpu: two}", "BAD_VALUE", 7),
        ("minReplicas: 3", "minReplicas: many", "WRONG_TYPE", 5),
        ("autoscaling:", "autoscalling:", "MISSPELT_FIELD", 5),
        ("port: 443", "port: 99999", "BAD_VALUE", 13),
    ],
)
def test_what_is_wrong_in_values_has_its_line(wrong, right, name, line):
    _, collector = found(VALUES.replace(wrong, right))
    assert [(CODES[one.code].name, one.span.line) for one in collector.errors] == [(name, line)]


def test_a_document_that_is_neither_is_still_refused():
    _, collector = found("name: x\ncolour: red\n")
    assert names(collector) == ["NOT_AN_OBJECT"]


OPERATOR = """
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  meshConfig: {accessLogFile: /dev/stdout}
  components:
    ingressGateways:
    - name: istio-ingressgateway
      enabled: true
      k8s:
        resources: {requests: {cpu: 500m}}
        hpaSpec: {minReplicas: 2, maxReplicas: 20}
        service: {externalTrafficPolicy: Local}
    - name: public
      namespace: edge
      enabled: true
      label: {istio: public}
    egressGateways:
    - {name: istio-egressgateway, enabled: false}
"""


def test_gateways_of_an_istio_operator():
    objects, collector = found(OPERATOR)
    assert not collector.errors
    assert [one.ref for one in objects.deployments] == ["Deployment/istio-system/istio-ingressgateway", "Deployment/edge/public"]
    assert objects.deployments[0].containers[0].resources.requests.cpu_cores == 0.5
    assert [(one.min_replicas, one.max_replicas) for one in objects.autoscalers] == [(2, 20), (1, 5)]
    assert [one.external_traffic_policy for one in objects.services] == ["Local", None]
    assert objects.deployments[1].labels["istio"] == "public"
    assert mesh_of(objects).config.access_log_file == "/dev/stdout"


@pytest.mark.parametrize(
    ("profile", "expected"),
    [("default", ["istio-ingressgateway"]), ("demo", ["istio-ingressgateway", "istio-egressgateway"]), ("minimal", [])],
)
def test_profiles(profile, expected):
    objects, _ = found(f"apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {{profile: {profile}}}\n")
    assert [one.name for one in objects.deployments] == expected
    assert len(objects.autoscalers) == (1 if profile == "default" else 0)


@pytest.mark.parametrize("order", [1, -1])
def test_an_object_in_the_files_counts_instead_of_a_rendered_one(order):
    own = "apiVersion: v1\nkind: Service\nmetadata: {name: istio-ingressgateway, namespace: istio-system}\nspec: {ports: [{port: 8080}]}\n"
    operator = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {profile: default}\n"
    objects, collector = found("---\n".join([own, operator][::order]))
    assert names(collector) == []
    assert [[port.port for port in one.ports] for one in objects.services] == [[8080]]


def test_values_of_the_control_plane_chart_hold_the_mesh_configuration():
    objects, collector = found("meshConfig: {rootNamespace: mesh}\nglobal: {meshNetworks: {net1: {gateways: [{address: 192.0.2.1}]}}}\n")
    assert names(collector) == []
    mesh = mesh_of(objects)
    assert mesh.config.root_namespace == "mesh"
    assert mesh.networks.networks["net1"].gateways[0].address == "192.0.2.1"


def test_the_stream_of_helm_template_is_read_and_what_does_not_matter_is_counted():
    others = [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": f"r{n}"}} for n in range(3)
    ] + [
        {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"}, "spec": {}},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "x"}},
    ]
    text = "".join(f"---\n# Source: gateway/templates/x.yaml\n{yaml.safe_dump(one)}" for one in others)
    objects, collector = found(text + "---\n# Source: empty\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n")
    assert not collector.errors
    assert len(objects) == 1
    assert any("3 objects of kind Role" in one.message for one in collector)


def test_a_chart_that_was_not_rendered_says_what_to_do():
    _, collector = found("apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}\n  {{- with .Values.x }}\n  y: 1\n")
    assert any(one.help and "helm template" in one.help for one in collector.errors)
