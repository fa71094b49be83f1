"""The proxy's image: of another version than injection gives, or `auto` where nothing is injected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gwsim.resources.raw import mapping, mappings, text
from gwsim.topology.lint.rule import Hit, Rule, level_if
from gwsim.topology.lint.rules.injection import injector_values
from gwsim.topology.lint.view import View, Workload, label_selector_matches


def check_version(view: View) -> Iterator[Hit]:
    """Namespaces with pods whose sidecar is not the image that injection would use."""
    stale: dict[str, list[str]] = {}
    for pod in view.workloads:
        namespace = view.namespaces.get(pod.namespace)
        if pod.source is None or not pod.is_pod or namespace is None or pod.annotations.get("sidecar.istio.io/proxyImage"):
            continue
        revision = namespace.labels.get("istio.io/rev")
        if namespace.labels.get("istio-injection") != "enabled" and revision is None:
            continue
        wanted = _image(injector_values(view, revision or ""))
        both = [*pod.containers, *mappings(pod.spec.get("initContainers"))]
        images = [text(one.get("image")) for one in both if one.get("name") == "istio-proxy"]
        # An image type (distroless, debug) is a suffix of the tag, and chosen per pod.
        if wanted and any(one != wanted and not one.startswith(f"{wanted}-") for one in images):
            stale.setdefault(pod.namespace, []).append(pod.name)
    for name, pods in stale.items():
        listed = ", ".join(pods[:5]) + (" and more" if len(pods) > 5 else "")
        namespace = view.namespaces[name]
        yield Hit(namespace, "metadata.name", f"{namespace.ref}: sidecars of another version than injection gives: {listed}", "restart the workloads")


def _image(values: dict[str, Any]) -> str:
    globals_ = mapping(values.get("global"))
    image = text(mapping(globals_.get("proxy")).get("image"))
    if not image or "/" in image:
        return image
    return f"{text(globals_.get('hub'))}/{image}:{text(globals_.get('tag'))}"


def _auto(workload: Workload) -> bool:
    return any(one.get("name") == "istio-proxy" and one.get("image") == "auto" for one in workload.containers)


def check_templates(view: View) -> Iterator[Hit]:
    """Deployments with `image: auto` that no webhook in the input selects; without webhooks, Istio's own rules decide."""
    hooks = [
        hook for one in view.of("MutatingWebhookConfiguration", "admissionregistration.k8s.io")
        for hook in mappings(one.data.get("webhooks")) if text(hook.get("name")).endswith("istio.io")
    ]
    for one in view.workloads:
        if one.source is None or one.is_pod or not _auto(one):
            continue
        namespace = view.namespaces.get(one.namespace)
        labels = namespace.labels if namespace is not None else {}
        if any(_selects(hook, labels, one.labels) for hook in hooks):
            continue
        if not hooks and (_asks(one.labels, labels) or _asks(one.annotations, labels)):
            continue
        message = f"{one.source.ref}: image: auto, but injection does not select its pods, which cannot start"
        yield Hit(one.source, "template.metadata.labels", message, 'label the pods sidecar.istio.io/inject: "true", or the namespace istio-injection: enabled', level_if(bool(hooks) or namespace is not None))


def _selects(hook: dict[str, Any], namespace: dict[str, str], labels: dict[str, str]) -> bool:
    return label_selector_matches(hook.get("namespaceSelector"), namespace) and label_selector_matches(hook.get("objectSelector"), labels)


def _asks(pod: dict[str, str], namespace: dict[str, str]) -> bool:
    asked = pod.get("sidecar.istio.io/inject")
    if asked is not None:
        return asked == "true"
    return namespace.get("istio-injection") == "enabled" or bool(namespace.get("istio.io/rev") or pod.get("istio.io/rev"))


def check_pods(view: View) -> Iterator[Hit]:
    """Pods that still say `image: auto`."""
    for one in view.workloads:
        if one.source is not None and one.is_pod and _auto(one):
            yield Hit(one.source, "containers", f"{one.source.ref}: image: auto was never replaced, so the pod cannot start", "let a Deployment create it where injection is on")


_IMAGES = """apiVersion: v1
kind: ConfigMap
metadata: {name: istio-sidecar-injector, namespace: istio-system}
data:
  values: '{"global": {"hub": "docker.io/istio", "tag": "1.30.1", "proxy": {"image": "proxyv2"}}}'
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: cart, namespace: shop}
spec:
  containers: [{name: istio-proxy, image: "docker.io/istio/proxyv2:%s"}]
"""
_DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: edge, namespace: edge}
spec:
  selector: {matchLabels: {app: edge}}
  template:
    metadata: {labels: {app: edge%s}}
    spec:
      containers: [{name: istio-proxy, image: auto}]
"""
_POD = """apiVersion: v1
kind: Pod
metadata: {name: edge, namespace: edge}
spec:
  containers: [{name: istio-proxy, image: "%s"}]
"""
_ROOT = "istio/istio pkg/config/analysis/analyzers/injection"
RULES = (
    Rule(
        code="PROXY_IMAGE_DIFFERS", check=check_version,
        trigger="The image of a pod's `istio-proxy` is not that of the injector's ConfigMap of the namespace's revision (image types apart).",
        fix="Restart the workloads after the upgrade.", source=f"{_ROOT}/injection-image.go",
        bad=_IMAGES % "1.29.0", good=_IMAGES % "1.30.1-distroless", needs="Pods and the ConfigMap istio-sidecar-injector",
    ),
    Rule(
        code="IMAGE_AUTO_NOT_INJECTED", check=check_templates,
        trigger="A pod template has `istio-proxy` with `image: auto`, and neither a webhook of the input selects it nor (without webhooks) its labels or those of its Namespace ask for injection. A note where neither a webhook nor the Namespace is in the input.",
        fix="Label the pods `sidecar.istio.io/inject: \"true\"`.", source=f"{_ROOT}/image-auto.go",
        bad=_DEPLOYMENT % "", good=_DEPLOYMENT % ', sidecar.istio.io/inject: "true"',
    ),
    Rule(
        code="IMAGE_AUTO_IN_POD", check=check_pods,
        trigger="A Pod has `istio-proxy` with `image: auto`.",
        fix="Create it through a Deployment where injection is on.", source=f"{_ROOT}/image-auto.go",
        bad=_POD % "auto", good=_POD % "docker.io/istio/proxyv2:1.30.1",
    ),
)
