"""A route or a mirror leads to a host that is not there."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import did_you_mean_host
from gwsim.resources.raw import texts
from gwsim.topology.lint.hosts import fqdn
from gwsim.topology.lint.routes import destinations, virtual_services
from gwsim.topology.lint.rule import Hit, Rule, level_if
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """Destinations without a Service or ServiceEntry that the VirtualService's namespace sees."""
    for service in virtual_services(view):
        for one in destinations(service):
            if not one.host or view.backend(one.host, service.namespace, texts(service.spec.get("exportTo"))):
                continue
            full = fqdn(one.host, service.namespace, view.mesh.domain)
            effect = "mirrored requests are lost" if one.mirror else "503 NC"
            message = f"{service.ref}: there is no service {full} that it may use: {effect}"
            hint = _dotted(view, full) or did_you_mean_host(full, view.backends.names) or _elsewhere(full)
            yield Hit(service, f"{one.path}.host", message, hint, level_if(view.has_backends))


def _dotted(view: View, name: str) -> str | None:
    """`reviews.shop` is taken as it is: only names without a dot are completed."""
    meant = f"{name}.svc.{view.mesh.domain}"
    return f"write {meant}: a name with a dot is taken as it is" if name.count(".") == 1 and meant in view.backends.names else None


def _elsewhere(full: str) -> str:
    parts = full.split(".")
    if len(parts) > 3 and parts[2] == "svc":
        return f"if it is kept elsewhere: --assume-exists Service/{parts[1]}/{parts[0]}"
    return "hosts outside the mesh need a ServiceEntry"


_TEXT = """apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  ports: [{name: http, port: 80}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {host: %s}
"""
RULE = Rule(
    code="DESTINATION_HOST_UNKNOWN",
    check=check,
    trigger="The host of a destination or mirror is neither a Service nor a host of a ServiceEntry exported to the VirtualService's namespace; short names are completed with that namespace. A note where the input has no Service at all.",
    fix="Correct the host, write it with its namespace, add a ServiceEntry, or say `--assume-exists Service/namespace/name`.",
    source="istio/istio pkg/config/analysis/analyzers/virtualservice/destinationhosts.go",
    bad=_TEXT % "review",
    good=_TEXT % "reviews",
)
