"""Path prefixes: those that match more than meant, and those that hide the rules of another VirtualService."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gwsim.resources.raw import RawObject, mapping, mappings, text, texts
from gwsim.topology.lint.hosts import fqdn
from gwsim.topology.lint.matches import covers
from gwsim.topology.lint.routes import gateway_names, virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View


def check_slash(view: View) -> Iterator[Hit]:
    """Prefixes that end within a segment."""
    for service in virtual_services(view):
        for at, rule in enumerate(mappings(service.spec.get("http"))):
            for place, match in enumerate(mappings(rule.get("match"))):
                prefix = text(mapping(match.get("uri")).get("prefix"))
                if prefix and not prefix.endswith("/"):
                    path = f"http[{at}].match[{place}].uri.prefix"
                    yield Hit(service, path, f"{service.ref}: prefix {prefix} matches {prefix}x too", f"match exact: {prefix} and prefix: {prefix}/")


def check_shadow(view: View) -> Iterator[Hit]:
    """Rules behind an older VirtualService's prefix on the same host and Gateway."""
    before: dict[tuple[str, str], list[RawObject]] = {}
    for newer in sorted((one for one in virtual_services(view) if gateway_names(one)), key=_age):
        places = _places(view, newer)
        olders = {id(one): one for place in places for one in before.get(place, [])}
        for path, match in _matches(newer) if olders else []:
            for older in olders.values():
                if hit := _first(older, match):
                    shown = text(mapping(match.get("uri")).get("prefix")) or text(mapping(match.get("uri")).get("exact"))
                    message = f"{newer.ref}: requests for {shown} are taken by {older.ref} {hit}, which is older and comes first"
                    yield Hit(newer, path, message, "put both rules into one VirtualService, the longer prefix first")
                    break
        for place in places:
            before.setdefault(place, []).append(newer)


def _age(one: RawObject) -> tuple[str, str, str]:
    return text(one.metadata.get("creationTimestamp")), one.name, one.namespace


def _places(view: View, one: RawObject) -> list[tuple[str, str]]:
    """The virtual hosts it adds to, as (Gateway, host)."""
    hosts = dict.fromkeys(fqdn(host, one.namespace, view.mesh.domain) for host in texts(one.spec.get("hosts")))
    return [(name, host) for _, name in gateway_names(one) for host in hosts]


def _matches(service: RawObject) -> Iterator[tuple[str, dict[str, Any]]]:
    for at, rule in enumerate(mappings(service.spec.get("http"))):
        for place, match in enumerate(mappings(rule.get("match"))):
            yield f"http[{at}].match[{place}]", match


def _first(service: RawObject, wanted: dict[str, Any]) -> str | None:
    """The match of the older service that covers this one; catch-alls do not count, since istiod sorts them last."""
    for path, match in _matches(service):
        if text(mapping(match.get("uri")).get("prefix")) != "/" and covers(match, wanted, same_rule=False):
            return path
    return None


_ONE = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [edge/web]
  http:
  - match: [{uri: {prefix: %s}}]
    directResponse: {status: 204}
"""
_TWO = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a-web, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [edge/web]
  http:
  - match: [{uri: {prefix: %s}}]
    directResponse: {status: 200}
---
"""
RULES = (
    Rule(
        code="PREFIX_WITHOUT_SLASH", check=check_slash,
        trigger="`uri.prefix` does not end with a slash. Not reported unless it is selected (`--select GW0466`): it is often meant.",
        fix="Match the path exactly, and the prefix with a slash.", source="envoyproxy/envoy api/envoy/config/route/v3 RouteMatch.prefix",
        bad=_ONE % "/cart", good=_ONE % "/cart/",
    ),
    Rule(
        code="PREFIX_SHADOWS", check=check_shadow,
        trigger="Two VirtualServices share a host and a Gateway, and a prefix of the older one (by creation time, then name) covers a match of the newer.",
        fix="Put the rules into one VirtualService.", source="istio/istio pilot/pkg/networking/core/gateway.go; SortVHostRoutes",
        bad=_TWO % "/api" + _ONE % "/api/orders", good=_TWO % "/api/orders" + _ONE % "/api",
    ),
)
