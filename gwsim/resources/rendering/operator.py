"""Gateways of an IstioOperator, as `istioctl manifest generate` renders them.

Sources modelled: istio/istio manifests/charts/gateways/istio-{ingress,egress}, manifests/profiles, operator/pkg/apis
(`GatewayComponentSpec`, `KubernetesResources`), 1.30.
"""

from __future__ import annotations

from dataclasses import dataclass

from gwsim.resources.rendering.gateway_chart import RESOURCES
from gwsim.resources.rendering.making import Data, given, is_on, made, overlaid, pairs, quoted
from gwsim.resources.yaml_nodes import Mapping, Node, Sequence, entries_of, text_of, value_at

INGRESS, EGRESS = "istio-ingressgateway", "istio-egressgateway"
_PROFILES: dict[str, tuple[bool, bool]] = {"default": (True, False), "openshift": (True, False), "demo": (True, True), "preview": (True, False)}
"""Profiles that come with an ingress and an egress gateway; the others come with none."""
_PORTS: dict[str, tuple[Data, ...]] = {
    INGRESS: (
        {"name": "status-port", "port": 15021, "targetPort": 15021},
        {"name": "http2", "port": 80, "targetPort": 8080},
        {"name": "https", "port": 443, "targetPort": 8443},
    ),
    EGRESS: ({"name": "http2", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}),
}
_DEMO_RESOURCES = {"requests": {"cpu": "10m", "memory": "40Mi"}, "limits": RESOURCES["limits"]}
_DEMO_PORTS = ({"name": "tcp", "port": 31400, "targetPort": 31400}, {"name": "tls", "port": 15443, "targetPort": 15443})


@dataclass(frozen=True, slots=True)
class _Gateway:
    """One gateway component: `values` are those of its chart, `k8s` the settings of the component."""

    chart: str
    name: str
    namespace: str
    label: Node | None
    k8s: Node | None
    values: Node | None
    demo: bool

    @property
    def labels(self) -> dict[str, Data]:
        """Labels of its pods."""
        base = {"app": self.chart, "istio": self.chart.removeprefix("istio-")}
        named = overlaid(base, given(self.values, "labels"))
        return {key: quoted(value) if isinstance(value, Node) else value for key, value in overlaid(named, self.label).items()}

    def setting(self, *names: str, value: str = "") -> Node | None:
        """A setting of the component, else the chart's value of that name."""
        found = given(self.k8s, *names)
        return found if found is not None or not value else given(self.values, value)

    def meta(self) -> Data:
        return {"name": self.name, "namespace": self.namespace, "labels": self.labels}


def is_control_plane_values(node: Node) -> bool:
    """Whether a document without `kind` is values of the istiod chart: they hold `meshConfig`."""
    return isinstance(node, Mapping) and value_at(node, "apiVersion") is None and isinstance(value_at(node, "meshConfig"), Mapping)


def operator_of_values(node: Node) -> Node:
    """Values of the istiod chart as the IstioOperator that says the same."""
    spec = {"profile": "empty", "meshConfig": value_at(node, "meshConfig"), "values": node}
    data = {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "metadata": {"name": "values"}, "spec": spec}
    return made(data, node)


def named(node: Node, name: str) -> Node:
    """An IstioOperator with a name: `istioctl` takes those without one too."""
    metadata = value_at(node, "metadata")
    if not isinstance(node, Mapping) or text_of(value_at(metadata, "name")):
        return node
    other = Mapping(node.line, node.column, node.start, node.end)
    own = made({"metadata": overlaid({"name": name}, metadata if isinstance(metadata, Mapping) else None)}, node)
    other.pairs = [pair for pair in node.pairs if pair[0].value != "metadata"] + entries_of(own)
    return other


def operator_gateways(node: Node) -> list[Node]:
    """The Deployment, Service and HorizontalPodAutoscaler of every gateway that an IstioOperator installs."""
    spec = given(node, "spec")
    documents: list[Data] = []
    for gateway in _gateways(spec):
        documents += [_deployment(gateway), _service(gateway)]
        if is_on(given(gateway.values, "autoscaleEnabled"), not gateway.demo):
            documents.append(_autoscaler(gateway))
    return [made(one, node) for one in documents]


def _gateways(spec: Node | None) -> list[_Gateway]:
    profile = text_of(given(spec, "profile")) or "default"
    home = text_of(given(spec, "namespace")) or text_of(given(spec, "values", "global", "istioNamespace")) or "istio-system"
    found: list[_Gateway] = []
    for chart, field, with_profile in zip((INGRESS, EGRESS), ("ingressGateways", "egressGateways"), _PROFILES.get(profile, (False, False)), strict=True):
        listed = given(spec, "components", field)
        items = listed.items if isinstance(listed, Sequence) else []
        by_name = {text_of(value_at(one, "name")) or chart: one for one in items}
        if with_profile and chart not in by_name:
            by_name = {chart: None, **by_name}  # type: ignore[dict-item]
        for name, item in by_name.items():
            if not is_on(given(item, "enabled"), with_profile and name == chart):
                continue
            found.append(
                _Gateway(
                    chart,
                    name,
                    text_of(given(item, "namespace")) or home,
                    given(item, "label"),
                    given(item, "k8s"),
                    given(spec, "values", "gateways", chart),
                    profile == "demo",
                )
            )
    return found


def _resources(gateway: _Gateway) -> Data:
    base = _DEMO_RESOURCES if gateway.demo else RESOURCES
    own = gateway.setting("resources", value="resources")
    return {part: overlaid(base[part], given(own, part)) for part in base}


def _env(gateway: _Gateway) -> list[Data]:
    env: dict[str, Data] = {
        "ISTIO_META_UNPRIVILEGED_POD": {"name": "ISTIO_META_UNPRIVILEGED_POD", "value": "true"},
        "ISTIO_META_ROUTER_MODE": {"name": "ISTIO_META_ROUTER_MODE", "value": "standard"},
    }
    if is_on(given(gateway.values, "runAsRoot"), False):
        del env["ISTIO_META_UNPRIVILEGED_POD"]
    for name, value in pairs(given(gateway.values, "env")).items():
        env[name] = {"name": name, "value": quoted(value)}
    listed = given(gateway.k8s, "env")
    for one in listed.items if isinstance(listed, Sequence) else ():
        env[text_of(value_at(one, "name")) or ""] = one
    return list(env.values())


def _deployment(gateway: _Gateway) -> Data:
    container = {
        "name": "istio-proxy",
        "image": "istio/proxyv2",
        "args": ["proxy", "router"],
        "env": _env(gateway),
        "ports": [{"containerPort": 15090, "name": "http-envoy-prom"}],
        "resources": _resources(gateway),
    }
    pod: Data = {name: gateway.setting(name, value=name) for name in ("nodeSelector", "affinity", "tolerations")}
    pod |= {"containers": [container], "topologySpreadConstraints": gateway.setting("topologySpreadConstraints")}
    annotations = overlaid({"sidecar.istio.io/inject": "false"}, gateway.setting("podAnnotations", value="podAnnotations"))
    labels = {**gateway.labels, "sidecar.istio.io/inject": "false"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": gateway.meta(),
        "spec": {
            "replicas": gateway.setting("replicaCount", value="replicaCount"),
            "selector": {"matchLabels": gateway.labels},
            "strategy": given(gateway.k8s, "strategy"),
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod},
        },
    }


def _service(gateway: _Gateway) -> Data:
    ports: Data = given(gateway.k8s, "service", "ports") or given(gateway.values, "ports")
    if ports is None:
        ports = [*_PORTS[gateway.chart], *(_DEMO_PORTS if gateway.demo and gateway.chart == INGRESS else ())]
    default_type = "LoadBalancer" if gateway.chart == INGRESS else "ClusterIP"
    spec = {
        "type": given(gateway.k8s, "service", "type") or given(gateway.values, "type") or default_type,
        "externalTrafficPolicy": given(gateway.k8s, "service", "externalTrafficPolicy") or given(gateway.values, "externalTrafficPolicy"),
        "ports": ports,
        "selector": gateway.labels,
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": gateway.meta(), "spec": spec}


def _autoscaler(gateway: _Gateway) -> Data:
    target = given(gateway.values, "cpu", "targetAverageUtilization") or 80
    utilization = {"type": "Utilization", "averageUtilization": target}
    spec: Data = {
        "minReplicas": given(gateway.values, "autoscaleMin") or 1,
        "maxReplicas": given(gateway.values, "autoscaleMax") or 5,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
    }
    spec = overlaid(spec, given(gateway.k8s, "hpaSpec"))
    spec = {**spec, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": gateway.name}}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": gateway.meta(), "spec": spec}
