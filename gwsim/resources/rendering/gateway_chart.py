"""Helm values of Istio's `gateway` chart to the objects it renders.

Source modelled: istio/istio manifests/charts/gateway (values.yaml, templates/{deployment,service,hpa}.yaml), 1.30.
"""

from __future__ import annotations

from gwsim.resources.rendering.making import Data, given, is_on, made, overlaid, pairs, quoted
from gwsim.resources.yaml_nodes import Mapping, Node, text_of, value_at

TELLING = frozenset(
    ["autoscaling", "env", "networkGateway", "networkGatewayPorts", "podAnnotations", "podDisruptionBudget", "rbac", "replicaCount", "resources", "service", "serviceAccount"]
)
"""Values by one of which a document is taken for values of the chart."""
KNOWN = TELLING | frozenset(
    ["_internal_defaults_do_not_set", "affinity", "annotations", "containerSecurityContext", "defaults", "enabled", "global", "imagePullPolicy", "imagePullSecrets", "initContainers", "kind", "labels", "minReadySeconds", "name", "namespace", "nodeSelector", "platform", "podLabels", "priorityClassName", "readinessProbe", "revision", "runAsRoot", "securityContext", "strategy", "terminationGracePeriodSeconds", "tolerations", "topologySpreadConstraints", "unprivilegedPort", "volumeMounts", "volumes", "additionalContainers"]
)
DEFAULT_NAME = "istio-ingressgateway"
DEFAULT_NAMESPACE = "istio-system"
PORTS = (
    {"name": "status-port", "port": 15021, "targetPort": 15021, "protocol": "TCP"},
    {"name": "http2", "port": 80, "targetPort": 80, "protocol": "TCP"},
    {"name": "https", "port": 443, "targetPort": 443, "protocol": "TCP"},
)
NETWORK_PORTS = (
    {"name": "status-port", "port": 15021, "targetPort": 15021},
    {"name": "tls", "port": 15443, "targetPort": 15443},
    {"name": "tls-istiod", "port": 15012, "targetPort": 15012},
    {"name": "tls-webhook", "port": 15017, "targetPort": 15017},
)
RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2000m", "memory": "1024Mi"}}
POD_ANNOTATIONS = {"inject.istio.io/templates": "gateway", "sidecar.istio.io/inject": "true"}


def is_gateway_values(node: Node) -> bool:
    """Whether a document without `kind` is values of the chart: a telling one, and mostly known ones."""
    if not isinstance(node, Mapping) or value_at(node, "apiVersion") is not None:
        return False
    names = [key.value for key, _ in node.pairs]
    known = [name for name in names if name in KNOWN]
    return any(name in TELLING for name in names) and 2 * len(known) >= len(names)


class _Values:
    """Values with the chart's defaults under them."""

    def __init__(self, node: Node) -> None:
        for wrapper in ("_internal_defaults_do_not_set", "defaults"):
            inner = given(node, wrapper)
            if inner is not None:
                node = made(overlaid(inner, node), node)
        self.node = node
        self.name = self.text("name") or DEFAULT_NAME
        self.namespace = self.text("namespace") or DEFAULT_NAMESPACE
        self.labels = {key: quoted(value) for key, value in pairs(given(node, "labels")).items()}
        own = {"app": self.labels.get("app", self.name), "istio": self.labels.get("istio", self.name.removeprefix("istio-"))}
        self.selector: dict[str, Data] = own
        self.kind = self.text("kind") or "Deployment"
        self.autoscaled = is_on(self.get("autoscaling", "enabled"), True) and self.kind == "Deployment"

    def get(self, *names: str) -> Node | None:
        return given(self.node, *names)

    def text(self, *names: str) -> str:
        return text_of(self.get(*names)) or ""

    def meta(self, more: Data = None) -> Data:
        labels = {**self.labels, **self.selector, **(more or {})}
        return {"name": self.name, "namespace": self.namespace, "labels": labels, "annotations": self.get("annotations")}


def gateway_chart(node: Node) -> list[Node]:
    """The Deployment or DaemonSet, the Service and the HorizontalPodAutoscaler that the chart renders."""
    values = _Values(node)
    documents = [_workload(values)]
    if values.text("service", "type") != "None":
        documents.append(_service(values))
    if values.autoscaled:
        documents.append(_autoscaler(values))
    return [made(one, node) for one in documents]


def _network(values: _Values) -> Data:
    network = values.get("networkGateway")
    return {"topology.istio.io/network": quoted(network)} if network is not None and text_of(network) else {}


def _workload(values: _Values) -> Data:
    env = [{"name": name, "value": quoted(value)} for name, value in pairs(values.get("env")).items()]
    if _network(values):
        env.insert(0, {"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": _network(values)["topology.istio.io/network"]})
    container = {
        "name": "istio-proxy",
        "image": "auto",
        "env": env,
        "ports": [{"name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP"}],
        "resources": {part: overlaid(RESOURCES[part], values.get("resources", part)) for part in RESOURCES},
    }
    spec: Data = {name: values.get(name) for name in ("nodeSelector", "affinity", "tolerations", "topologySpreadConstraints")}
    spec |= {"containers": [container], "terminationGracePeriodSeconds": values.get("terminationGracePeriodSeconds")}
    revision = values.get("revision")
    injection = {"sidecar.istio.io/inject": "true", "istio.io/rev": quoted(revision) if revision is not None and text_of(revision) else None}
    annotations = overlaid(POD_ANNOTATIONS, values.get("podAnnotations"))
    labels = {**values.labels, **injection, **values.selector, **_network(values)}
    return {
        "apiVersion": "apps/v1",
        "kind": values.kind,
        "metadata": values.meta(),
        "spec": {
            "replicas": None if values.autoscaled or values.kind != "Deployment" else values.get("replicaCount") or 1,
            "selector": {"matchLabels": values.selector},
            "strategy": values.get("strategy") if values.kind == "Deployment" else None,
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec},
        },
    }


def _service(values: _Values) -> Data:
    ports: Data = values.get("service", "ports") or list(PORTS)
    if _network(values):
        ports = list(NETWORK_PORTS)
    policy = values.get("service", "externalTrafficPolicy")
    spec = {
        "type": values.get("service", "type") or "LoadBalancer",
        "externalTrafficPolicy": policy if policy is not None and text_of(policy) else None,
        "ports": ports,
        "selector": values.selector,
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": values.meta(_network(values)), "spec": spec}


def _autoscaler(values: _Values) -> Data:
    target = values.get("autoscaling", "targetCPUUtilizationPercentage") or 80
    memory = values.get("autoscaling", "targetMemoryUtilizationPercentage")
    metrics = [_metric("cpu", target)]
    if memory is not None and text_of(memory):
        metrics.append(_metric("memory", memory))
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": values.kind, "name": values.name},
        "minReplicas": values.get("autoscaling", "minReplicas") or 1,
        "maxReplicas": values.get("autoscaling", "maxReplicas") or 5,
        "metrics": metrics,
        "behavior": values.get("autoscaling", "autoscaleBehavior"),
    }
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": values.meta(), "spec": spec}


def _metric(name: str, target: Data) -> Data:
    return {"type": "Resource", "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": target}}}
