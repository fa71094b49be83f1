"""Regular expressions of a VirtualService that RE2 refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gwsim.resources.raw import mapping, mappings, text
from gwsim.resources.validation.check import re2_problem
from gwsim.topology.lint.routes import virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """Every `regex` of matches and of CORS origins."""
    for service in virtual_services(view):
        for at, rule in enumerate(mappings(service.spec.get("http"))):
            for path, pattern in _patterns(rule, f"http[{at}]"):
                problem = re2_problem(pattern) if pattern else None
                if problem:
                    yield Hit(service, path, f"{service.ref}: {pattern!r} is no RE2 expression: {problem}")


def _patterns(rule: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for place, match in enumerate(mappings(rule.get("match"))):
        here = f"{path}.match[{place}]"
        for field in ("uri", "scheme", "method", "authority"):
            yield f"{here}.{field}.regex", text(mapping(match.get(field)).get("regex"))
        for field in ("headers", "queryParams"):
            for key, value in mapping(match.get(field)).items():
                yield f'{here}.{field}["{key}"]' if '"' not in key else f"{here}.{field}", text(mapping(value).get("regex"))
    for place, origin in enumerate(mappings(mapping(rule.get("corsPolicy")).get("allowOrigins"))):
        yield f"{path}.corsPolicy.allowOrigins[{place}].regex", text(origin.get("regex"))


_TEXT = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [web]
  http:
  - match: [{uri: {regex: "%s"}}]
    directResponse: {status: 204}
"""
RULE = Rule(
    code="REGEX_INVALID",
    check=check,
    trigger="A `regex` is not an expression of RE2 (no look-around, no back references).",
    fix="Write it in RE2's syntax, or use `prefix` or `exact`.",
    source="istio/istio pkg/config/analysis/analyzers/virtualservice/regexes.go",
    bad=_TEXT % "/item/(?!old).*",
    good=_TEXT % "/item/[0-9]+",
)
