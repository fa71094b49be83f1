"""What the rules look at: the raw objects of one cluster, indexed, with what Istio would add to them.

Like `istioctl analyze` on files, the view assumes the default ingress gateway where the files have none of their own:
a pod with `istio: ingressgateway` and its Service in istio-system. Unlike it, the pod templates of Deployments,
StatefulSets and DaemonSets count as pods, because files seldom hold pods.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from gwsim.resources.origin import Origin
from gwsim.resources.raw import RawObject, mapping, mappings, number, text, text_map, texts
from gwsim.topology.lint.hosts import EVERYWHERE, Backend, Backends, fqdn, scopes
from gwsim.topology.lint.mesh import Mesh, mesh_of

ISTIO = "networking.istio.io"
GATEWAY_API = "gateway.networking.k8s.io"
ROOT_NAMESPACE = "istio-system"
SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})
_TEMPLATES = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
_INJECT = "sidecar.istio.io/inject"
_INGRESS_PORTS = ((15021, 15021), (80, 8080), (443, 8443), (31400, 31400), (15443, 15443))
"""Port and target port of Istio's own ingress gateway (manifests/charts/gateways/istio-ingress)."""


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A pod, or the pods of a template. `source` is None for the ingress gateway that is assumed."""

    source: RawObject | None
    namespace: str
    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: dict[str, Any]

    @property
    def is_pod(self) -> bool:
        """Whether it is a pod itself."""
        return self.source is None or self.source.kind == "Pod"

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Its containers, without those that initialise."""
        return mappings(self.spec.get("containers"))

    def selected_by(self, selector: dict[str, str]) -> bool:
        """Whether all labels of the selector are on it; an empty selector selects everything."""
        return all(self.labels.get(key) == value for key, value in selector.items())

    @property
    def has_proxy(self) -> bool:
        """Whether a container named istio-proxy with an image is there (a native sidecar too)."""
        both = [*self.containers, *mappings(self.spec.get("initContainers"))]
        return any(one.get("name") == "istio-proxy" and one.get("image") for one in both)


class View:
    """The objects of one cluster. Read only."""

    def __init__(
        self,
        objects: Sequence[RawObject],
        *,
        assume_exists: Iterable[str] = (),
        istio_version: str = "1.30",
        now: datetime | None = None,
    ) -> None:
        self.now = now or datetime.now(UTC)
        """The time certificates are held against."""
        self.objects = tuple(one for one in objects if one.kind)
        self.bare = tuple(one for one in objects if not one.kind)
        """Documents without `kind`."""
        self.istio_version = istio_version
        self._assumed = tuple(assume_exists)
        self._by_kind: dict[tuple[str, str], list[RawObject]] = {}
        for one in self.objects:
            self._by_kind.setdefault((one.group, one.kind), []).append(one)

    def of(self, kind: str, group: str = "") -> list[RawObject]:
        """The objects of a kind, in the order read."""
        return self._by_kind.get((group, kind), [])

    def istio(self, kind: str) -> list[RawObject]:
        """The objects of one of Istio's kinds, whatever its group."""
        return [one for (group, name), found in self._by_kind.items() if name == kind and group.endswith("istio.io") for one in found]

    def assumed(self, kind: str, namespace: str, name: str) -> bool:
        """Whether the object was declared to exist elsewhere; entries may use `*`."""
        ref = f"{kind}/{namespace}/{name}" if namespace else f"{kind}/{name}"
        return any(fnmatch.fnmatchcase(ref, entry) for entry in self._assumed)

    def assumed_of(self, kind: str) -> bool:
        """Whether any object of the kind was declared to exist elsewhere."""
        return any(entry.partition("/")[0] == kind for entry in self._assumed)

    @cached_property
    def mesh(self) -> Mesh:
        """The mesh configuration of the files, or Istio's defaults."""
        return mesh_of(self.objects, self.bare)

    @cached_property
    def namespaces(self) -> dict[str, RawObject]:
        """Namespaces by name."""
        return {one.name: one for one in self.of("Namespace")}

    @cached_property
    def gateways(self) -> dict[str, RawObject]:
        """Istio's Gateways by `namespace/name`."""
        return {one.full_name: one for one in self.of("Gateway", ISTIO)}

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Pods and pod templates, the assumed ingress gateway last."""
        found = list(self._workloads())
        if self.mesh.ingress_assumed and not any(one.labels.get("istio") == "ingressgateway" for one in found):
            proxy = {"containers": [{"name": "istio-proxy", "image": "auto"}]}
            found.append(Workload(None, ROOT_NAMESPACE, "istio-ingressgateway", {"istio": "ingressgateway"}, {}, proxy))
        return tuple(found)

    def _workloads(self) -> Iterator[Workload]:
        for one in self.of("Pod"):
            yield Workload(one, one.namespace, one.name, one.labels, one.annotations, one.spec)
        for one in self.objects:
            if one.kind in _TEMPLATES and one.group in ("apps", "extensions", "batch"):
                template = mapping(one.spec.get("template"))
                meta = mapping(template.get("metadata"))
                labels, annotations = text_map(meta.get("labels")), text_map(meta.get("annotations"))
                yield Workload(one, one.namespace, one.name, labels, annotations, mapping(template.get("spec")))

    @property
    def has_workloads(self) -> bool:
        """Whether the files hold any workload themselves."""
        return any(one.source is not None for one in self.workloads)

    def selected(self, selector: dict[str, str], namespace: str | None = None) -> list[Workload]:
        """The workloads with all these labels, in one namespace or in all."""
        return [one for one in self.workloads if namespace in (None, one.namespace) and one.selected_by(selector)]

    @cached_property
    def services(self) -> tuple[RawObject, ...]:
        """Kubernetes Services, that of the assumed ingress gateway last."""
        found = list(self.of("Service"))
        if self.workloads and self.workloads[-1].source is None:
            ports = [{"port": port, "targetPort": target, "protocol": "TCP"} for port, target in _INGRESS_PORTS]
            data = {"spec": {"ports": ports, "selector": {"istio": "ingressgateway"}}}
            found.append(RawObject("", "v1", "Service", ROOT_NAMESPACE, "istio-ingressgateway", data, Origin(), 0))
        return tuple(found)

    @cached_property
    def backends(self) -> Backends:
        """Every host a route can name."""
        known = Backends(self.mesh.domain)
        for entry in self.of("ServiceEntry", ISTIO):
            ports = tuple(number(port.get("number")) for port in mappings(entry.spec.get("ports")))
            selector = text_map(mapping(entry.spec.get("workloadSelector")).get("labels"))
            visible = scopes(texts(entry.spec.get("exportTo")), entry.namespace)
            for host in texts(entry.spec.get("hosts")):
                known.add(Backend(fqdn(host, entry.namespace, known.domain), ports, entry, selector), visible)
        for service in self.of("Service"):
            ports = tuple(number(port.get("port")) for port in mappings(service.spec.get("ports")))
            host = fqdn(service.name, service.namespace, known.domain)
            noted = service.annotations.get("networking.istio.io/exportTo", "")
            visible = scopes([one.strip() for one in noted.split(",") if one.strip()], service.namespace)
            known.add(Backend(host, ports, service, text_map(service.spec.get("selector"))), visible)
        for entry_text in self._assumed:
            kind, _, rest = entry_text.partition("/")
            namespace, _, name = rest.partition("/")
            if kind == "Service" and name and "*" not in rest:
                known.add(Backend(fqdn(name, namespace, known.domain), None, None, {}), [EVERYWHERE])
        return known

    @property
    def has_backends(self) -> bool:
        """Whether the files hold any Service or ServiceEntry."""
        return bool(self.of("Service") or self.of("ServiceEntry", ISTIO) or self.assumed_of("Service"))

    def backend(self, host: str, namespace: str, export_to: Iterable[str] = ()) -> Backend | None:
        """The host as an object of that namespace sees it; see `Backends.find`."""
        found = self.backends.find(host, namespace, export_to)
        if found is None and self._assumed:
            name, _, rest = fqdn(host, namespace, self.mesh.domain).partition(".")
            owner, _, suffix = rest.partition(".")
            if suffix.startswith("svc.") and self.assumed("Service", owner, name):
                return Backend(host, None, None, {})
        return found

    def in_mesh(self, workload: Workload) -> bool:
        """Whether the workload has a sidecar, or will get one; the order of istioctl's in_mesh.go."""
        if workload.has_proxy or workload.annotations.get("ambient.istio.io/redirection") == "enabled":
            return True
        for noted in (workload.labels, workload.annotations):
            if _INJECT in noted:
                return noted[_INJECT] == "true"
        namespace = self.namespaces.get(workload.namespace)
        return namespace is not None and namespace.labels.get("istio-injection") == "enabled"

    def is_ambient(self, namespace: RawObject | None) -> bool:
        """Whether the namespace uses ambient mode, and no sidecars."""
        if namespace is None or namespace.labels.get("istio-injection") == "enabled" or namespace.labels.get("istio.io/rev"):
            return False
        return namespace.labels.get("istio.io/dataplane-mode") == "ambient"


def is_control_plane(one: RawObject) -> bool:
    """Whether an object belongs to Istio's own installation."""
    labels = one.labels
    return labels.get("istio") == "pilot" or labels.get("app") == "istiod" or "operator.istio.io/component" in labels


def selector_text(selector: dict[str, str]) -> str:
    """A selector as `a=b,c=d`, in the order of its keys."""
    return ",".join(f"{key}={selector[key]}" for key in sorted(selector)) or "(everything)"


def selector_of(spec: dict[str, Any], field: str = "selector") -> dict[str, str]:
    """The labels of `selector.matchLabels` or `workloadSelector.labels`."""
    found = mapping(spec.get(field))
    return text_map(found.get("matchLabels") or found.get("labels"))


def label_selector_matches(selector: Any, labels: dict[str, str]) -> bool:
    """A Kubernetes LabelSelector; None selects everything."""
    if selector is None:
        return True
    wanted = text_map(mapping(selector).get("matchLabels"))
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression(one, labels) for one in mappings(mapping(selector).get("matchExpressions")))


def _expression(one: dict[str, Any], labels: dict[str, str]) -> bool:
    key, values = text(one.get("key")), texts(one.get("values"))
    operator = one.get("operator")
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    if operator == "Exists":
        return key in labels
    return operator == "DoesNotExist" and key not in labels


__all__ = [
    "GATEWAY_API", "ISTIO", "ROOT_NAMESPACE", "SYSTEM_NAMESPACES", "View", "Workload", "is_control_plane",
    "label_selector_matches", "selector_of", "selector_text",
]
