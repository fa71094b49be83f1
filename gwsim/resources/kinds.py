"""The kinds gwsim reads: API group and versions, model, and how an object of the kind is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gwsim.resources import models
from gwsim.resources.hpa import WrittenHpa, build_hpa
from gwsim.resources.models.base import Meta, Resource
from gwsim.resources.origin import Origin

ISTIO_GROUP = "networking.istio.io"
SECURITY_GROUP = "security.istio.io"
GATEWAY_GROUP = "gateway.networking.k8s.io"
EXPERIMENTAL_GROUP = "gateway.networking.x-k8s.io"
INGRESS_GROUP = "networking.k8s.io"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind: `spec` is the class whose fields `spec:` is decoded into; `build` makes the object of them."""

    group: str
    name: str
    versions: tuple[str, ...]
    model: type[Resource]
    spec: type
    build: Callable[[Meta, Origin, dict[str, Any]], Resource] | None = None
    namespaced: bool = True
    root_fields: tuple[str, ...] = ()
    root: str = "spec"
    """Where the fields are; empty: at the root of the object. In `data` each of them is YAML kept as text."""
    former: tuple[str, ...] = ()
    """Versions of the same shape that no cluster of today serves."""

    @property
    def is_istio(self) -> bool:
        """Whether it is one of Istio's kinds, which accept proto field names too."""
        return self.group.endswith("istio.io")

    @property
    def schema_name(self) -> str:
        """Whose schema it is, for messages."""
        return "Istio 1.30" if self.is_istio else "Kubernetes"

    @property
    def proto_names(self) -> bool:
        """Whether proto's snake_case field names are accepted."""
        return self.is_istio or self.root == "data"

    def make(self, meta: Meta, origin: Origin, values: dict[str, Any]) -> Resource:
        """The object from its decoded fields."""
        if self.build:
            return self.build(meta, origin, values)
        return self.model(meta=meta, origin=origin, **values)


def _pod(meta: Meta, origin: Origin, values: dict[str, Any]) -> Resource:
    """A Pod as the owner of itself."""
    metadata = models.PodMeta(labels=meta.labels, annotations=meta.annotations)
    template = models.PodTemplate(metadata=metadata, spec=models.PodSpec(**values))
    return models.Pod(meta=meta, origin=origin, template=template, replicas=1)


def _istio(name: str, model: type[Resource]) -> Kind:
    return Kind(ISTIO_GROUP, name, ("v1", "v1beta1", "v1alpha3"), model, model)


def _policy(group: str, model: type[Resource], *versions: str) -> Kind:
    return Kind(group, model.__name__, versions or ("v1", "v1beta1"), model, model)


def _gateway_api(
    name: str, model: type[Resource], *versions: str, group: str = GATEWAY_GROUP, namespaced: bool = True, former: tuple[str, ...] = ()
) -> Kind:
    return Kind(group, name, versions, model, model, namespaced=namespaced, former=former)


_KINDS = (
    _istio("Gateway", models.Gateway),
    _istio("VirtualService", models.VirtualService),
    _istio("DestinationRule", models.DestinationRule),
    _istio("ServiceEntry", models.ServiceEntry),
    _istio("Sidecar", models.Sidecar),
    Kind(
        ISTIO_GROUP,
        "WorkloadEntry",
        ("v1", "v1beta1", "v1alpha3"),
        models.RegisteredWorkload,
        models.WorkloadEntry,
        build=lambda meta, origin, values: models.RegisteredWorkload(
            meta=meta, origin=origin, entry=models.WorkloadEntry(**values)
        ),
    ),
    _istio("WorkloadGroup", models.WorkloadGroup),
    Kind(
        SECURITY_GROUP,
        "PeerAuthentication",
        ("v1", "v1beta1"),
        models.PeerAuthentication,
        models.PeerAuthentication,
    ),
    _policy(SECURITY_GROUP, models.AuthorizationPolicy),
    _policy(SECURITY_GROUP, models.RequestAuthentication),
    _policy("telemetry.istio.io", models.Telemetry, "v1", "v1alpha1"),
    _policy("extensions.istio.io", models.WasmPlugin, "v1alpha1"),
    _policy("extensions.istio.io", models.TrafficExtension, "v1alpha1"),
    Kind(ISTIO_GROUP, "EnvoyFilter", ("v1alpha3",), models.EnvoyFilter, models.EnvoyFilter),
    Kind(ISTIO_GROUP, "ProxyConfig", ("v1beta1",), models.ProxyConfig, models.ProxyConfig),
    Kind("", "Service", ("v1",), models.Service, models.Service),
    Kind("", "Secret", ("v1",), models.Secret, models.Secret, root_fields=("type", "data", "stringData", "immutable")),
    Kind("", "ConfigMap", ("v1",), models.MeshConfigMap, models.MeshData, root_fields=("data", "binaryData", "immutable"), root="data"),
    Kind("install.istio.io", "IstioOperator", ("v1alpha1",), models.IstioOperator, models.IstioOperator),
    Kind("sailoperator.io", "Istio", ("v1", "v1alpha1"), models.SailIstio, models.SailIstio, namespaced=False),
    Kind("", "Namespace", ("v1",), models.Namespace, models.Namespace, namespaced=False),
    Kind("apps", "Deployment", ("v1", "v1beta2", "v1beta1"), models.Deployment, models.Deployment),
    Kind("apps", "StatefulSet", ("v1", "v1beta2", "v1beta1"), models.StatefulSet, models.StatefulSet),
    Kind("apps", "DaemonSet", ("v1", "v1beta2"), models.DaemonSet, models.DaemonSet),
    Kind("apps", "ReplicaSet", ("v1", "v1beta2"), models.ReplicaSet, models.ReplicaSet),
    Kind("", "Pod", ("v1",), models.Pod, models.PodSpec, build=_pod),
    Kind("", "Node", ("v1",), models.Node, models.Node, namespaced=False, root=""),
    Kind("", "Endpoints", ("v1",), models.Endpoints, models.Endpoints, root=""),
    Kind("discovery.k8s.io", "EndpointSlice", ("v1", "v1beta1"), models.EndpointSlice, models.EndpointSlice, root=""),
    Kind("policy", "PodDisruptionBudget", ("v1", "v1beta1"), models.PodDisruptionBudget, models.PodDisruptionBudget),
    Kind("", "ServiceAccount", ("v1",), models.ServiceAccount, models.ServiceAccount, root_fields=("secrets", "imagePullSecrets", "automountServiceAccountToken")),
    Kind("extensions", "Deployment", ("v1beta1",), models.Deployment, models.Deployment),
    Kind(
        "autoscaling",
        "HorizontalPodAutoscaler",
        ("v2", "v2beta2", "v2beta1", "v1"),
        models.HorizontalPodAutoscaler,
        WrittenHpa,
        build=build_hpa,
    ),
    # Versions that a cluster with Gateway API 1.5 serves, standard and experimental channel together.
    _gateway_api("GatewayClass", models.GatewayClass, "v1", "v1beta1", namespaced=False, former=("v1alpha2",)),
    _gateway_api("Gateway", models.KubernetesGateway, "v1", "v1beta1", former=("v1alpha2",)),
    _gateway_api("ListenerSet", models.ListenerSet, "v1"),
    _gateway_api("XListenerSet", models.ListenerSet, "v1alpha1", group=EXPERIMENTAL_GROUP),
    _gateway_api("HTTPRoute", models.GatewayHTTPRoute, "v1", "v1beta1", former=("v1alpha2",)),
    _gateway_api("GRPCRoute", models.GatewayGRPCRoute, "v1", "v1alpha2"),
    _gateway_api("TLSRoute", models.GatewayTLSRoute, "v1", "v1alpha3", "v1alpha2"),
    _gateway_api("TCPRoute", models.GatewayTCPRoute, "v1", "v1alpha2"),
    _gateway_api("UDPRoute", models.GatewayUDPRoute, "v1", "v1alpha2"),
    _gateway_api("ReferenceGrant", models.ReferenceGrant, "v1", "v1beta1", "v1alpha2"),
    _gateway_api("BackendTLSPolicy", models.BackendTLSPolicy, "v1", "v1alpha3"),
    _gateway_api("XBackendTrafficPolicy", models.XBackendTrafficPolicy, "v1alpha1", group=EXPERIMENTAL_GROUP),
    Kind(INGRESS_GROUP, "Ingress", ("v1",), models.Ingress, models.Ingress),
    Kind(INGRESS_GROUP, "IngressClass", ("v1",), models.IngressClass, models.IngressClass, namespaced=False),
)

KINDS: dict[tuple[str, str], Kind] = {(kind.group, kind.name): kind for kind in _KINDS}
"""The kinds that are read, by API group and name."""

CLOSED_GROUPS = frozenset(kind.group for kind in _KINDS if kind.is_istio) | {GATEWAY_GROUP}
"""API groups all of whose kinds are read: another kind of theirs is a mistake."""

CLUSTER_SCOPED = frozenset(kind.name for kind in _KINDS if not kind.namespaced)
"""Kinds whose objects have no namespace."""
