"""Sidecars and Telemetries that get in each other's way, or have nothing to configure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gwsim.resources.raw import RawObject
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View, selector_of


def _without_selector(kind: str, field: str) -> Callable[[View], Iterator[Hit]]:
    def check(view: View) -> Iterator[Hit]:
        """Objects of a namespace that all hold for the whole namespace."""
        by_namespace: dict[str, list[RawObject]] = {}
        for one in view.istio(kind):
            targeted = one.spec.get("targetRef") or one.spec.get("targetRefs")
            if not selector_of(one.spec, field) and not targeted:
                by_namespace.setdefault(one.namespace, []).append(one)
        for namespace, found in by_namespace.items():
            for one in found if len(found) > 1 else []:
                others = ", ".join(other.name for other in found if other is not one)
                yield Hit(one, "metadata.name", f"{one.ref}: {others} has no selector in namespace {namespace} either", "keep one, or give the others a selector")

    return check


def _overlapping(kind: str, field: str) -> Callable[[View], Iterator[Hit]]:
    def check(view: View) -> Iterator[Hit]:
        """Objects that select the same workload."""
        reported: set[tuple[int, int]] = set()
        selecting: dict[int, list[RawObject]] = {}
        names: dict[int, str] = {}
        for one in view.istio(kind):
            selector = selector_of(one.spec, field)
            for pod in view.selected(selector, one.namespace) if selector else []:
                selecting.setdefault(id(pod), []).append(one)
                names[id(pod)] = f"{pod.namespace}/{pod.name}"
        for pod_id, found in selecting.items():
            for one in found if len(found) > 1 else []:
                others = [other for other in found if other is not one]
                key = (id(one), id(others[0]))
                if key not in reported:
                    reported.add(key)
                    message = f"{one.ref}: {', '.join(other.name for other in others)} selects {names[pod_id]} too"
                    yield Hit(one, field, message, "make the selectors disjoint")

    return check


def check_ambient(view: View) -> Iterator[Hit]:
    """Sidecars for namespaces or pods in ambient mode."""
    for one in view.istio("Sidecar"):
        selector = selector_of(one.spec, "workloadSelector")
        ambient = view.is_ambient(view.namespaces.get(one.namespace))
        if selector:
            pods = view.selected(selector, one.namespace)
            marked = [pod.annotations.get("ambient.istio.io/redirection") == "enabled" for pod in pods]
            ambient = any(marked) or (ambient and bool(pods))
        if ambient:
            yield Hit(one, "metadata.name", f"{one.ref}: its workloads are in ambient mode and have no sidecar", "remove it; a waypoint takes no Sidecar object")


_PODS = """apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart, tier: web}}
    spec:
      containers: [{name: app, image: cart}]
---
"""
_SIDECARS = """apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: one, namespace: shop}
spec:%s
  egress: [{hosts: ["./*"]}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: two, namespace: shop}
spec:%s
  egress: [{hosts: ["istio-system/*"]}]
"""
_TELEMETRIES = """apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: one, namespace: shop}
spec:%s
  metrics: [{providers: [{name: prometheus}]}]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: two, namespace: shop}
spec:%s
  metrics: [{providers: [{name: prometheus}]}]
"""
_NAMESPACE = """apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {%s}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec:
  egress: [{hosts: ["./*"]}]
"""
_CART, _WEB = "\n  workloadSelector: {labels: {app: cart}}", "\n  workloadSelector: {labels: {tier: web}}"
_OTHER = "\n  workloadSelector: {labels: {app: other}}"
_T_CART, _T_WEB, _T_OTHER = (one.replace("workloadSelector: {labels", "selector: {matchLabels") for one in (_CART, _WEB, _OTHER))
_ROOT = "istio/istio pkg/config/analysis/analyzers"
RULES = (
    Rule(
        code="SIDECARS_CONFLICT", check=_overlapping("Sidecar", "workloadSelector"),
        trigger="Two Sidecars of a namespace have selectors that a workload meets both.",
        fix="Make the selectors disjoint.", source=f"{_ROOT}/sidecar/selector.go",
        bad=_PODS + _SIDECARS % (_CART, _WEB), good=_PODS + _SIDECARS % (_CART, _OTHER),
    ),
    Rule(
        code="SIDECARS_WITHOUT_SELECTOR", check=_without_selector("Sidecar", "workloadSelector"),
        trigger="Two Sidecars of a namespace have no `workloadSelector`.",
        fix="Keep one per namespace.", source=f"{_ROOT}/sidecar/defaultselector.go",
        bad=_SIDECARS % ("", ""), good=_SIDECARS % ("", _CART),
    ),
    Rule(
        code="TELEMETRIES_CONFLICT", check=_overlapping("Telemetry", "selector"),
        trigger="Two Telemetries of a namespace have selectors that a workload meets both.",
        fix="Make the selectors disjoint.", source=f"{_ROOT}/telemetry/selector.go",
        bad=_PODS + _TELEMETRIES % (_T_CART, _T_WEB), good=_PODS + _TELEMETRIES % (_T_CART, _T_OTHER),
    ),
    Rule(
        code="TELEMETRIES_WITHOUT_SELECTOR", check=_without_selector("Telemetry", "selector"),
        trigger="Two Telemetries of a namespace have neither `selector` nor `targetRefs`.",
        fix="Keep one per namespace.", source=f"{_ROOT}/telemetry/defaultselector.go",
        bad=_TELEMETRIES % ("", ""), good=_TELEMETRIES % ("", _T_CART),
    ),
    Rule(
        code="SIDECAR_INEFFECTIVE", check=check_ambient,
        trigger="A Sidecar without a selector in a namespace with `istio.io/dataplane-mode: ambient` (and no injection label), or one that selects pods in ambient mode.",
        fix="Remove it.", source=f"{_ROOT}/sidecar/selector.go",
        bad=_NAMESPACE % "istio.io/dataplane-mode: ambient", good=_NAMESPACE % "istio-injection: enabled",
    ),
)
