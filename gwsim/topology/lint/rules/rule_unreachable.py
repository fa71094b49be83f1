"""A rule of a VirtualService that no request can reach."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.topology.lint.matches import blocked
from gwsim.topology.lint.routes import virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """Rules after a catch-all, and rules all of whose matches are duplicates."""
    for service in virtual_services(view):
        for one in blocked(service):
            if one.whole:
                yield Hit(service, one.path, f"{service.ref}: {one.path} is never used: {one.reason}", "move it before that rule, or remove it")


_TEXT = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [web]
  http:
%s
"""
_ALL = "  - directResponse: {status: 204}"
_CART = "  - match: [{uri: {prefix: /cart}}]\n    directResponse: {status: 200}"
RULE = Rule(
    code="RULE_UNREACHABLE",
    check=check,
    trigger="A rule (http, tls or tcp) stands after one without `match`, or each of its matches stands in an earlier rule already.",
    fix="Put the more specific rule first, or remove it.",
    source="istio/istio pkg/config/validation/validation.go analyzeUnreachableHTTPRules",
    bad=_TEXT % f"{_ALL}\n{_CART}",
    good=_TEXT % f"{_CART}\n{_ALL}",
)
