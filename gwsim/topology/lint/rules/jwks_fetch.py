"""istiod may fetch JWT keys from any address that a RequestAuthentication names."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import mapping, mappings
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View

_VARIABLE = "BLOCKED_CIDRS_IN_JWKS_URIS"


def check(view: View) -> Iterator[Hit]:
    """istiod Deployments without the restriction, where RequestAuthentications exist."""
    requests = view.istio("RequestAuthentication")
    for deployment in view.of("Deployment", "apps") if requests else []:
        if deployment.labels.get("app") != "istiod":
            continue
        spec = mapping(mapping(deployment.spec.get("template")).get("spec"))
        variables = [one for container in mappings(spec.get("containers")) for one in mappings(container.get("env"))]
        if not any(one.get("name") == _VARIABLE and one.get("value") for one in variables):
            message = f"{deployment.ref}: {_VARIABLE} is not set, and {len(requests)} RequestAuthentication(s) name keys to fetch"
            yield Hit(deployment, "template.spec.containers[0].env", message, f"set {_VARIABLE}, e.g. to 169.254.169.254/32,10.0.0.0/8")


_TEXT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}
spec:
  selector: {matchLabels: {app: istiod}}
  template:
    metadata: {labels: {app: istiod}}
    spec:
      containers: [{name: discovery, image: istio/pilot, env: [{name: BLOCKED_CIDRS_IN_JWKS_URIS, value: "%s"}]}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec:
  jwtRules: [{issuer: "https://id.example", jwksUri: "https://id.example/keys"}]
"""
RULE = Rule(
    code="JWKS_FETCH_UNRESTRICTED",
    check=check,
    trigger="The input has RequestAuthentications and istiod's Deployment, and that sets no `BLOCKED_CIDRS_IN_JWKS_URIS`.",
    fix="Set it to the ranges that istiod must not call.",
    source="istio/istio pkg/config/analysis/analyzers/authn/blockedcidrs.go",
    bad=_TEXT % "",
    good=_TEXT % "169.254.169.254/32",
    needs="istiod's Deployment among the files",
)
