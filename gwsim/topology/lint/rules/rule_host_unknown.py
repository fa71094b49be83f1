"""A DestinationRule for a host that is not there."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import did_you_mean_host
from gwsim.resources.raw import text, texts
from gwsim.topology.lint.hosts import fqdn, matches
from gwsim.topology.lint.rule import Hit, Rule, level_if
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """DestinationRules whose host no Service and no ServiceEntry has."""
    for rule in view.istio("DestinationRule"):
        host = text(rule.spec.get("host"))
        full = fqdn(host, rule.namespace, view.mesh.domain)
        if not host or view.backend(host, rule.namespace, texts(rule.spec.get("exportTo"))):
            continue
        if host.startswith("*") and any(matches(full, name) for name in view.backends.names):
            continue
        hint = did_you_mean_host(full, view.backends.names)
        yield Hit(rule, "host", f"{rule.ref}: there is no service {full}, so the rule is not used", hint, level_if(view.has_backends))


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
  host: %s
  trafficPolicy: {connectionPool: {tcp: {maxConnections: 100}}}
"""
RULE = Rule(
    code="RULE_HOST_UNKNOWN",
    check=check,
    trigger="`host` is no Service and no host of a ServiceEntry, short names completed with the rule's namespace. A note where the input has no Service at all.",
    fix="Correct the host; write it with its namespace where the rule is in another one.",
    source="istio/istio pkg/config/analysis/analyzers/destinationrule/subset.go",
    bad=_TEXT % "review",
    good=_TEXT % "reviews",
)
