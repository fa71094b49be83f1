"""A match of a VirtualService that an earlier match covers."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.topology.lint.matches import blocked
from gwsim.topology.lint.routes import virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """Matches that duplicate an earlier one or lie within its prefix."""
    for service in virtual_services(view):
        for one in blocked(service):
            if not one.whole:
                yield Hit(service, one.path, f"{service.ref}: {one.path} is never used: {one.reason}", "put the longer prefix first")


_TEXT = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [web]
  http:
  - match: [{uri: {prefix: %s}}]
    directResponse: {status: 200}
  - match: [{uri: {prefix: %s}}]
    directResponse: {status: 204}
"""
RULE = Rule(
    code="MATCH_OVERLAPS",
    check=check,
    trigger="A match has the same conditions as an earlier one, or an earlier prefix covers its path and asks for nothing more.",
    fix="Put the more specific match first.",
    source="istio/istio pkg/config/validation/validation.go coveredValidation",
    bad=_TEXT % ("/api", "/api/orders"),
    good=_TEXT % ("/api/orders", "/api"),
)
