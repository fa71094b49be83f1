"""A route names a port that the service does not have."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import texts
from gwsim.topology.lint.routes import destinations, virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """Destinations whose port is not one of the service's."""
    for service in virtual_services(view):
        for one in destinations(service):
            if not one.host or not one.port:
                continue
            backend = view.backend(one.host, service.namespace, texts(service.spec.get("exportTo")))
            if backend is None or backend.ports is None or one.port in backend.ports:
                continue
            has = ", ".join(map(str, backend.ports)) or "no ports"
            message = f"{service.ref}: {backend.host} has no port {one.port}: 503 NC"
            yield Hit(service, f"{one.path}.port", message, f"it has {has}; a route names the Service's port, not the container's")


_TEXT = """apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  ports: [{name: http, port: 80, targetPort: 9080}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {host: reviews, port: {number: %d}}
"""
RULE = Rule(
    code="DESTINATION_PORT_UNKNOWN",
    check=check,
    trigger="`destination.port.number` is not a port of the Service or ServiceEntry.",
    fix="Name a port of the Service, not a target port.",
    source="istio/istio pkg/config/analysis/analyzers/virtualservice/destinationhosts.go",
    bad=_TEXT % 9080,
    good=_TEXT % 80,
)
