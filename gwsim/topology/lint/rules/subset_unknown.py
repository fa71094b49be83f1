"""A route names a subset that no DestinationRule of the host defines."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import did_you_mean
from gwsim.resources.raw import mappings, text
from gwsim.topology.lint.hosts import fqdn, matches
from gwsim.topology.lint.routes import destinations, virtual_services
from gwsim.topology.lint.rule import Hit, Rule, level_if
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """Destinations whose subset is nowhere defined."""
    rules = view.istio("DestinationRule")
    known: list[tuple[str, str]] = []
    for rule in rules:
        host = fqdn(text(rule.spec.get("host")), rule.namespace, view.mesh.domain)
        known += [(host, text(subset.get("name"))) for subset in mappings(rule.spec.get("subsets"))]
    for service in virtual_services(view):
        for one in destinations(service):
            if not one.subset:
                continue
            host = fqdn(one.host, service.namespace, view.mesh.domain)
            of_host = [name for owner, name in known if owner == host or (owner.startswith("*") and matches(owner, host))]
            if one.subset in of_host:
                continue
            effect = "mirrored requests are lost" if one.mirror else "503 NC"
            message = f"{service.ref}: no DestinationRule of {host} has a subset {one.subset}: {effect}"
            hint = did_you_mean(one.subset, of_host) or (f"it has {', '.join(of_host)}" if of_host else None)
            yield Hit(service, f"{one.path}.subset", message, hint, level_if(bool(rules)))


_TEXT = """apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  ports: [{name: http, port: 80}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {host: reviews, subset: %s}
"""
RULE = Rule(
    code="SUBSET_UNKNOWN",
    check=check,
    trigger="The subset of a destination or mirror is defined by no DestinationRule of its host. A note where the input has no DestinationRule at all.",
    fix="Define the subset, or correct its name.",
    source="istio/istio pkg/config/analysis/analyzers/virtualservice/destinationrules.go",
    bad=_TEXT % "v2",
    good=_TEXT % "v1",
)
