"""Sidecar injection: namespaces without a label or with two, pods without a proxy."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import RawObject, mapping, text
from gwsim.topology.lint.mesh import embedded
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import SYSTEM_NAMESPACES, View

_INJECTION, _REVISION, _MODE = "istio-injection", "istio.io/rev", "istio.io/dataplane-mode"
_INJECT = "sidecar.istio.io/inject"


def injector_values(view: View, revision: str = "") -> dict[str, object]:
    """The Helm values in the injector's ConfigMap of a revision; empty where it is not in the input."""
    name = "istio-sidecar-injector" + (f"-{revision}" if revision not in ("", "default") else "")
    found = next((one for one in view.of("ConfigMap") if one.name == name), None)
    return embedded(text(mapping(found.data.get("data")).get("values"))) if found is not None else {}


def _users(view: View) -> Iterator[RawObject]:
    """Namespaces that are neither Kubernetes' nor Istio's own."""
    for namespace in view.of("Namespace"):
        if namespace.name not in SYSTEM_NAMESPACES and namespace.name != view.mesh.root_namespace:
            yield namespace


def _unlabelled(view: View) -> Iterator[tuple[RawObject, bool]]:
    """Namespaces without any label of the mesh, and whether injection is on by default."""
    on = mapping(injector_values(view).get("sidecarInjectorWebhook")).get("enableNamespacesByDefault") is True
    for namespace in _users(view):
        labels = namespace.labels
        if not labels.get(_INJECTION) and _REVISION not in labels and labels.get(_MODE) != "ambient":
            yield namespace, on


def check_namespaces(view: View) -> Iterator[Hit]:
    """Namespaces that say nothing about injection."""
    for namespace, on in _unlabelled(view):
        if not on:
            message = f"{namespace.ref}: no injection label, so its pods get no sidecar"
            yield Hit(namespace, "metadata.name", message, "label it istio-injection=enabled, or istio-injection=disabled to say that it is meant")


def check_default(view: View) -> Iterator[Hit]:
    """Namespaces that say nothing where injection is the default."""
    for namespace, on in _unlabelled(view):
        if on:
            yield Hit(namespace, "metadata.name", f"{namespace.ref}: no injection label; injection is on by default, so its pods get a sidecar")


def check_labels(view: View) -> Iterator[Hit]:
    """Namespaces with more than one kind of label."""
    for namespace in _users(view):
        labels = namespace.labels
        found = [name for name in (_INJECTION, _REVISION) if labels.get(name)]
        if labels.get(_MODE) == "ambient" and labels.get(_INJECTION) != "disabled":
            found.append(_MODE)
        if len(found) > 1:
            message = f"{namespace.ref}: has {' and '.join(found)}, which say different things"
            yield Hit(namespace, "metadata.labels", message, "keep one of them")


def check_pods(view: View) -> Iterator[Hit]:
    """Pods without a sidecar where the namespace asks for one."""
    injected = {
        one.name for one in _users(view)
        if one.labels.get(_INJECTION) == "enabled" or (_REVISION in one.labels and not one.labels.get(_INJECTION))
    }
    for pod in view.workloads:
        if pod.source is None or not pod.is_pod or pod.namespace not in injected or pod.has_proxy:
            continue
        asked = pod.labels.get(_INJECT, pod.annotations.get(_INJECT, ""))
        if asked.lower() != "false" and pod.spec.get("hostNetwork") is not True:
            yield Hit(pod.source, "metadata.name", f"{pod.source.ref}: has no sidecar in a namespace with injection", "create the pod again")


_NAMESPACE = """apiVersion: v1
kind: Namespace
metadata: {name: shop%s}
"""
_DEFAULT = """apiVersion: v1
kind: ConfigMap
metadata: {name: istio-sidecar-injector, namespace: istio-system}
data:
  values: '{"sidecarInjectorWebhook": {"enableNamespacesByDefault": true}}'
---
"""
_POD = """---
apiVersion: v1
kind: Pod
metadata: {name: cart, namespace: shop%s}
spec:
  containers: [{name: app, image: cart}]
"""
_ENABLED = ", labels: {istio-injection: enabled}"
_SOURCE = "istio/istio pkg/config/analysis/analyzers/injection/injection.go"
RULES = (
    Rule(
        code="NAMESPACE_NOT_INJECTED", check=check_namespaces,
        trigger="A Namespace has none of `istio-injection`, `istio.io/rev` and `istio.io/dataplane-mode: ambient`.",
        fix="Label it `istio-injection: enabled`, or `disabled` where it is meant.", source=_SOURCE,
        bad=_NAMESPACE % "", good=_NAMESPACE % _ENABLED,
    ),
    Rule(
        code="INJECTED_BY_DEFAULT", check=check_default,
        trigger="The same, where the injector's ConfigMap in the input sets `enableNamespacesByDefault`.",
        fix="Label the Namespace.", source=_SOURCE, needs="the ConfigMap istio-sidecar-injector",
        bad=_DEFAULT + _NAMESPACE % "", good=_DEFAULT + _NAMESPACE % _ENABLED,
    ),
    Rule(
        code="INJECTION_LABELS_CONFLICT", check=check_labels,
        trigger="A Namespace has more than one of `istio-injection`, `istio.io/rev` and `istio.io/dataplane-mode: ambient`.",
        fix="Keep one.", source=_SOURCE,
        bad=_NAMESPACE % ", labels: {istio-injection: enabled, istio.io/rev: canary}", good=_NAMESPACE % _ENABLED,
    ),
    Rule(
        code="POD_WITHOUT_PROXY", check=check_pods,
        trigger="A Pod has no container `istio-proxy` in a Namespace with injection; not where the pod opts out or uses the host's network.",
        fix="Create the pod again.", source=_SOURCE, needs="Pods as the cluster gives them",
        bad=_NAMESPACE % _ENABLED + _POD % "", good=_NAMESPACE % _ENABLED + _POD % ', labels: {sidecar.istio.io/inject: "false"}',
    ),
)
