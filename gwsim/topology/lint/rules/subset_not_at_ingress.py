"""A gateway's route goes past the split that the mesh's VirtualService makes of the same host."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import RawObject, mapping, mappings, text, texts
from gwsim.topology.lint.routes import virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """Routes without a subset, bound to gateways, to hosts that another VirtualService splits by subset."""
    split: dict[str, list[RawObject]] = {}
    for service in virtual_services(view):
        hosts = texts(service.spec.get("hosts"))
        for rule in mappings(service.spec.get("http")):
            for route in mappings(rule.get("route")):
                target = mapping(route.get("destination"))
                host = text(target.get("host"))
                if target.get("subset") and host in hosts and service not in split.setdefault(host, []):
                    split[host].append(service)
    for service in virtual_services(view):
        if not texts(service.spec.get("gateways")):
            continue
        for at, rule in enumerate(mappings(service.spec.get("http"))):
            for place, route in enumerate(mappings(rule.get("route"))):
                target = mapping(route.get("destination"))
                host = text(target.get("host"))
                others = [one for one in split.get(host, []) if one is not service]
                if target.get("subset") or not others:
                    continue
                path = f"http[{at}].route[{place}].destination"
                message = f"{service.ref}: this route goes to all versions of {host}; the subsets of {others[0].full_name} do not hold here"
                yield Hit(service, path, message, "name the subsets and weights here too")


_TEXT = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  http:
  - route:
    - destination: {host: reviews.shop.svc.cluster.local, subset: v1}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge, namespace: shop}
spec:
  hosts: [reviews.example]
  gateways: [web]
  http:
  - route:
    - destination: {host: reviews.shop.svc.cluster.local%s}
"""
RULE = Rule(
    code="SUBSET_NOT_AT_INGRESS",
    check=check,
    trigger="A VirtualService bound to a gateway routes to a host without a subset, while the VirtualService of that host routes it by subset.",
    fix="Repeat the subsets in the gateway's VirtualService; a gateway does not consult that of the mesh.",
    source="istio/istio pkg/config/analysis/analyzers/virtualservice/destinationhosts.go analyzeSubset",
    bad=_TEXT % "",
    good=_TEXT % ", subset: v1",
)
