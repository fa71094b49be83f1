"""Names in policies and selectors of Sidecars and Telemetries that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import did_you_mean
from gwsim.resources.raw import mapping, mappings, texts
from gwsim.topology.lint.rule import Hit, Rule, level_if
from gwsim.topology.lint.view import View, selector_of, selector_text

_SELECTORS = (("Sidecar", "workloadSelector"), ("Telemetry", "selector"))


def check(view: View) -> Iterator[Hit]:
    """Namespaces of AuthorizationPolicies, extension providers, selectors of Sidecars and Telemetries."""
    yield from _namespaces(view)
    yield from _providers(view)
    for kind, field in _SELECTORS:
        for one in view.istio(kind):
            selector = selector_of(one.spec, field)
            if selector and not view.selected(selector, one.namespace):
                message = f"{one.ref}: no workload of namespace {one.namespace} has the labels {selector_text(selector)}"
                words = [f"{key}={value}" for pod in view.selected({}, one.namespace) for key, value in pod.labels.items()]
                yield Hit(one, field, message, did_you_mean(selector_text(selector), words), level_if(view.has_workloads))


def _namespaces(view: View) -> Iterator[Hit]:
    for policy in view.istio("AuthorizationPolicy"):
        for at, rule in enumerate(mappings(policy.spec.get("rules"))):
            for place, origin in enumerate(mappings(rule.get("from"))):
                for field in ("namespaces", "notNamespaces"):
                    for item, name in enumerate(texts(mapping(origin.get("source")).get(field))):
                        if any(_matches(name, known) for known in view.namespaces) or view.assumed("Namespace", "", name):
                            continue
                        path = f"rules[{at}].from[{place}].source.{field}[{item}]"
                        message = f"{policy.ref}: there is no namespace {name}"
                        yield Hit(policy, path, message, did_you_mean(name, view.namespaces), level_if(bool(view.namespaces)))


def _matches(pattern: str, name: str) -> bool:
    pattern, name = pattern.lower(), name.lower()
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _providers(view: View) -> Iterator[Hit]:
    """CUSTOM policies and the extension provider they call; only where the mesh config is in the input."""
    known = [str(one.get("name")) for one in mappings(view.mesh.config.get("extensionProviders"))]
    for policy in view.istio("AuthorizationPolicy"):
        name = mapping(policy.spec.get("provider")).get("name")
        if policy.spec.get("action") == "CUSTOM" and view.mesh.given and isinstance(name, str) and name not in known:
            message = f"{policy.ref}: the mesh config has no extension provider {name}: its requests are denied with 403"
            yield Hit(policy, "provider", message, did_you_mean(name, known))


_TEXT = """apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow-shop, namespace: istio-system}
spec:
  rules: [{from: [{source: {namespaces: [%s]}}]}]
"""
RULE = Rule(
    code="REFERENCE_MISSING",
    check=check,
    trigger="`source.namespaces` of an AuthorizationPolicy matches no Namespace; the provider of a CUSTOM policy is not in the mesh config; the selector of a Sidecar or Telemetry is on no workload of its namespace. A note where the input has no Namespace, or no workload, at all.",
    fix="Correct the name or the labels.",
    source="istio/istio pkg/config/analysis/analyzers/authz/authorizationpolicies.go, sidecar/selector.go, telemetry/selector.go",
    bad=_TEXT % "shpo",
    good=_TEXT % "sh*",
)
