"""Several VirtualServices of the mesh define one host."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import RawObject, texts
from gwsim.topology.lint.hosts import fqdn, scopes
from gwsim.topology.lint.routes import on_mesh, virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """Hosts that more than one VirtualService bound to `mesh` defines for a namespace."""
    defined: dict[tuple[str, str], list[RawObject]] = {}
    for service in virtual_services(view):
        if not on_mesh(service):
            continue
        for scope in scopes(texts(service.spec.get("exportTo")), service.namespace):
            for host in dict.fromkeys(fqdn(one, service.namespace, view.mesh.domain) for one in texts(service.spec.get("hosts"))):
                defined.setdefault((scope, host), []).append(service)
    for (_, host), services in defined.items():
        if len(services) < 2:
            continue
        for service in services:
            others = ", ".join(one.full_name for one in services if one is not service)
            message = f"{service.ref}: sidecars find {host} in {others} too; only the oldest is used"
            yield Hit(service, "hosts", message, "merge them into one VirtualService, or narrow exportTo")


_ONE = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews-canary, namespace: shop}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  http:
  - directResponse: {status: 204}
---
"""
_TWO = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [%s]
  http:
  - directResponse: {status: 204}
"""
RULE = Rule(
    code="HOST_IN_SEVERAL_SERVICES",
    check=check,
    trigger="Two VirtualServices for the `mesh` gateway have a host in common (short names completed) and a namespace that sees both.",
    fix="Merge them; Istio merges VirtualServices of one host at gateways only.",
    source="istio/istio pkg/config/analysis/analyzers/virtualservice/conflictingmeshgatewayhosts.go",
    bad=_ONE + _TWO % "reviews",
    good=_ONE + _TWO % "ratings",
)
