"""A route to a service of several ports names none of them."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import texts
from gwsim.topology.lint.routes import destinations, virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """Destinations without a port where the service has more than one."""
    for service in virtual_services(view):
        for one in destinations(service):
            if not one.host or one.port:
                continue
            backend = view.backend(one.host, service.namespace, texts(service.spec.get("exportTo")))
            if backend is None or backend.ports is None or len(backend.ports) < 2:
                continue
            has = ", ".join(map(str, backend.ports))
            message = f"{service.ref}: {backend.host} has ports {has}, and the route does not say which"
            yield Hit(service, one.path, message, f"add port: {{number: {backend.ports[0]}}} to the destination")


_TEXT = """apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  ports: [{name: http, port: 80}, {name: grpc, port: 9000}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {host: reviews%s}
"""
RULE = Rule(
    code="PORT_AMBIGUOUS",
    check=check,
    trigger="A destination names no port, and the service has several.",
    fix="Write `port: {number: ...}` in the destination.",
    source="istio/istio pkg/config/analysis/analyzers/virtualservice/destinationhosts.go",
    bad=_TEXT % "",
    good=_TEXT % ", port: {number: 80}",
)
