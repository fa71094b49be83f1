"""Routes by JWT claim at a gateway where no token is checked."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import RawObject, mapping, mappings, text_map
from gwsim.topology.lint.routes import gateway_names, virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View, selector_of

_CLAIM = "@request.auth.claims"


def check(view: View) -> Iterator[Hit]:
    """VirtualServices that match claims, bound to gateways whose pods no RequestAuthentication selects."""
    requests = view.istio("RequestAuthentication")
    for service in virtual_services(view):
        claim = _claim(service)
        if claim is None:
            continue
        for _, name in gateway_names(service):
            gateway = view.gateways.get(name)
            if gateway is None:
                continue
            for pod in view.selected(text_map(gateway.spec.get("selector"))):
                held = [one for one in requests if one.namespace in (view.mesh.root_namespace, pod.namespace)]
                if any(pod.selected_by(selector_of(one.spec)) for one in held):
                    continue
                message = f"{service.ref}: matches the claim {claim[1]}, but no RequestAuthentication checks tokens on {pod.namespace}/{pod.name}"
                yield Hit(service, claim[0], message, f"add a RequestAuthentication for the pods of Gateway {name}")
                break


def _claim(service: RawObject) -> tuple[str, str] | None:
    for at, rule in enumerate(mappings(service.spec.get("http"))):
        for place, match in enumerate(mappings(rule.get("match"))):
            for field in ("headers", "withoutHeaders"):
                for key in mapping(match.get(field)):
                    if key.startswith(_CLAIM):
                        return f"http[{at}].match[{place}].{field}", key
    return None


_ROUTE = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [shop.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: admin, namespace: edge}
spec:
  hosts: [shop.example]
  gateways: [web]
  http:
  - match: [{headers: {"@request.auth.claims.group": {exact: admin}}}]
    directResponse: {status: 204}
"""
_CHECK = """---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  jwtRules: [{issuer: "https://id.example", jwksUri: "https://id.example/keys"}]
"""
RULE = Rule(
    code="CLAIM_ROUTE_UNAUTHENTICATED",
    check=check,
    trigger="A header match begins with `@request.auth.claims`, and no RequestAuthentication selects the gateway's pods.",
    fix="Add a RequestAuthentication in the gateway pods' namespace or the root namespace.",
    source="istio/istio pkg/config/analysis/analyzers/virtualservice/jwtclaimroute.go",
    bad=_ROUTE,
    good=_ROUTE + _CHECK,
)
