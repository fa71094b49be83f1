"""Policies that reach a Gateway API Gateway by its pods' labels."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View, selector_of

LABEL = "gateway.networking.k8s.io/gateway-name"
_KINDS = ("AuthorizationPolicy", "RequestAuthentication", "Telemetry", "WasmPlugin")


def check(view: View) -> Iterator[Hit]:
    """Policies with a selector, and no target reference, that select such pods."""
    pods = [one for one in view.workloads if LABEL in one.labels]
    for kind in _KINDS:
        for policy in view.istio(kind):
            selector = selector_of(policy.spec)
            if not selector or policy.spec.get("targetRef") or policy.spec.get("targetRefs"):
                continue
            hit = next((one for one in pods if one.namespace == policy.namespace and one.selected_by(selector)), None)
            if hit is not None:
                name = hit.labels[LABEL]
                message = f"{policy.ref}: selects the pods of Gateway {name} by label, which waypoints ignore"
                yield Hit(policy, "selector", message, f"write targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: {name}}}]")


_POLICY = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web-istio, namespace: shop}
spec:
  selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: web}}
  template:
    metadata: {labels: {gateway.networking.k8s.io/gateway-name: web}}
    spec:
      containers: [{name: istio-proxy, image: auto}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  %s
  jwtRules: [{issuer: "https://id.example"}]
"""
RULE = Rule(
    code="SELECTOR_INEFFECTIVE",
    check=check,
    trigger="The `selector` of an AuthorizationPolicy, RequestAuthentication, Telemetry or WasmPlugin without `targetRefs` is on pods with the label `gateway.networking.k8s.io/gateway-name`.",
    fix="Use `targetRefs`.",
    source="istio/istio pkg/config/analysis/analyzers/k8sgateway/workloadselector.go",
    bad=_POLICY % "selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: web}}",
    good=_POLICY % "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: web}]",
)
