"""Waypoints: filters that may undo authorization, and DestinationRules that they do not read."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import RawObject, mapping, mappings, text, texts
from gwsim.topology.lint.hosts import fqdn, matches
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import GATEWAY_API, View

_WAYPOINT = "istio.io/use-waypoint"


def check_route_cache(view: View) -> Iterator[Hit]:
    """HTTP filters at gateways, where an AuthorizationPolicy holds for an HTTPRoute."""
    policies = view.istio("AuthorizationPolicy")
    if not any(_targets_route(ref) for one in policies for ref in [one.spec.get("targetRef"), *mappings(one.spec.get("targetRefs"))]):
        return
    for filter_ in view.istio("EnvoyFilter"):
        for at, patch in enumerate(mappings(filter_.spec.get("configPatches"))):
            context = text(mapping(patch.get("match")).get("context"))
            if text(patch.get("applyTo")) == "HTTP_FILTER" and context not in ("SIDECAR_INBOUND", "SIDECAR_OUTBOUND"):
                message = f"{filter_.ref}: if this filter clears the route cache, requests take another route than the one authorized"
                yield Hit(filter_, f"configPatches[{at}]", message, "authorize by path and host instead of by HTTPRoute")
                break


def _targets_route(ref: object) -> bool:
    found = mapping(ref)
    return found.get("kind") == "HTTPRoute" and found.get("group") == GATEWAY_API


def check_selector(view: View) -> Iterator[Hit]:
    """DestinationRules with a workloadSelector for hosts that use a waypoint."""
    hosts: list[str] = []
    for one in [*view.of("Service"), *view.istio("ServiceEntry")]:
        if _uses_waypoint(view, one):
            named = texts(one.spec.get("hosts")) if one.kind == "ServiceEntry" else [fqdn(one.name, one.namespace, view.mesh.domain)]
            hosts += named
    for rule in view.istio("DestinationRule"):
        host = fqdn(text(rule.spec.get("host")), rule.namespace, view.mesh.domain)
        if mapping(rule.spec.get("workloadSelector")) and any(matches(host, one) for one in hosts):
            yield Hit(rule, "workloadSelector", f"{rule.ref}: {host} uses a waypoint, which reads no rule with a workloadSelector", "remove the selector")


def _uses_waypoint(view: View, one: RawObject) -> bool:
    own = one.labels.get(_WAYPOINT)
    if own is not None:
        return own not in ("", "none")
    namespace = view.namespaces.get(one.namespace)
    return namespace is not None and namespace.labels.get(_WAYPOINT, "none") not in ("", "none")


_CACHE = """apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: %s, name: cart}]
  rules: [{}]
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: lua, namespace: shop}
spec:
  priority: 10
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: GATEWAY}
    patch: {operation: INSERT_FIRST, value: {name: envoy.filters.http.lua}}
"""
_RULE = """apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: "%s"}}
spec:
  ports: [{name: http, port: 80}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec:
  host: cart
  workloadSelector: {matchLabels: {app: web}}
"""
_ROOT = "istio/istio pkg/config/analysis/analyzers"
RULES = (
    Rule(
        code="ROUTE_CACHE_CLEARED", check=check_route_cache,
        trigger="An AuthorizationPolicy targets an HTTPRoute, and an EnvoyFilter patches HTTP filters of gateways or waypoints.",
        fix="Authorize by operation instead of by route, or be sure that the filter leaves the route alone.",
        source=f"{_ROOT}/envoyfilter/routecache.go (newer than 1.31)", bad=_CACHE % "HTTPRoute", good=_CACHE % "Gateway",
    ),
    Rule(
        code="WAYPOINT_IGNORES_SELECTOR", check=check_selector,
        trigger="A DestinationRule has a `workloadSelector`, and its host, or the host's namespace, has the label `istio.io/use-waypoint`.",
        fix="Remove the selector.",
        source=f"{_ROOT}/destinationrule/workloadselector.go (newer than 1.31)", bad=_RULE % "waypoint", good=_RULE % "none",
    ),
)
