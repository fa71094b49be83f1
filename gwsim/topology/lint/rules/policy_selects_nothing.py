"""Security policies that select no workload."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import did_you_mean
from gwsim.resources.raw import RawObject, mapping
from gwsim.topology.lint.rule import Hit, Rule, level_if
from gwsim.topology.lint.view import View, Workload, selector_of, selector_text


def check(view: View) -> Iterator[Hit]:
    """AuthorizationPolicies, RequestAuthentications and PeerAuthentications without a workload in the mesh."""
    reached = [one for one in view.workloads if view.in_mesh(one) or one.namespace not in view.namespaces]
    for kind in ("AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication"):
        for policy in view.istio(kind):
            if policy.spec.get("targetRef") or policy.spec.get("targetRefs"):
                continue
            if _idle(view, policy, reached):
                selector = selector_of(policy.spec)
                what = f"with the labels {selector_text(selector)}" if selector else f"in namespace {policy.namespace}"
                words = [f"{key}={value}" for one in reached for key, value in one.labels.items()]
                hint = did_you_mean(selector_text(selector), words) if selector else None
                path = "selector" if selector else ""
                yield Hit(policy, path, f"{policy.ref}: there is no workload in the mesh {what}", hint, level_if(view.has_workloads))


def _idle(view: View, policy: RawObject, reached: list[Workload]) -> bool:
    whole_mesh = policy.namespace == view.mesh.root_namespace
    if not mapping(policy.spec.get("selector")):
        # Without a selector the others are defaults, which may well stand before the first workload.
        return policy.kind == "AuthorizationPolicy" and not whole_mesh and not any(one.namespace == policy.namespace for one in reached)
    selector = selector_of(policy.spec)
    return not any(one.selected_by(selector) and (whole_mesh or one.namespace == policy.namespace) for one in reached)


_TEXT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      containers: [{name: app, image: cart}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: %s}}
  rules: [{to: [{operation: {methods: [GET]}}]}]
"""
RULE = Rule(
    code="POLICY_SELECTS_NOTHING",
    check=check,
    trigger="No workload of the mesh in the policy's namespace (in any, for the root namespace) has the selector's labels; for an AuthorizationPolicy without a selector: its namespace has no workload. A note where the input has no workload at all.",
    fix="Correct the labels or the namespace.",
    source="istio/istio pkg/config/analysis/analyzers/authz/authorizationpolicies.go",
    bad=_TEXT % "carts",
    good=_TEXT % "cart",
)
