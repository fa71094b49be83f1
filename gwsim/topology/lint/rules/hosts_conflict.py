"""Several VirtualServices of the mesh define one host."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import Level
from gwsim.resources.raw import RawObject, texts
from gwsim.topology.lint.hosts import EVERYWHERE, fqdn, matches, scopes
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
    public = [(host, services) for (scope, host), services in defined.items() if scope == EVERYWHERE]
    wild = [(host, services) for host, services in public if host.startswith("*")]
    reported: set[int] = set()
    for (scope, host), services in defined.items():
        same, wider = list(services), []
        if scope != EVERYWHERE:
            same += [one for one in defined.get((EVERYWHERE, host), []) if one not in same]
            # A wildcard that only overlaps is no tie: sidecars take the most specific host.
            near = public if host.startswith("*") else wild
            wider = [one for name, found in near if name != host and matches(host, name) for one in found]
        for service in [*same, *wider] if len(same) + len(wider) > 1 else []:
            if id(service) not in reported:
                reported.add(id(service))
                others = ", ".join(dict.fromkeys(one.full_name for one in [*same, *wider] if one is not service))
                message = f"{service.ref}: sidecars find {host} in {others} too; only the oldest, or the most specific, is used"
                yield Hit(service, "hosts", message, "merge them into one VirtualService, or narrow exportTo", None if len(same) > 1 else Level.INFO)


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
    trigger="Two VirtualServices for the `mesh` gateway have a host in common (short names completed) and a namespace that sees both. A note where only a wildcard overlaps.",
    fix="Merge them; Istio merges VirtualServices of one host at gateways only.",
    source="istio/istio pkg/config/analysis/analyzers/virtualservice/conflictingmeshgatewayhosts.go",
    bad=_ONE + _TWO % "reviews",
    good=_ONE + _TWO % "ratings",
)
