"""A Gateway listens on a port that no Service of its pods exposes."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import Level
from gwsim.resources.raw import RawObject, mapping, mappings, number, text, text_map
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View, selector_text


def check(view: View) -> Iterator[Hit]:
    """Servers whose port is behind no Service; any Service of any selected pod counts."""
    for gateway in view.gateways.values():
        selector = text_map(gateway.spec.get("selector"))
        if not view.selected(selector):
            continue
        services = _services(view, selector)
        ports = [port for service in services for port in mappings(service.spec.get("ports"))]
        tcp = [port for port in ports if text(port.get("protocol")) in ("", "TCP")]
        exposed = {number(port.get("port")) for port in tcp}
        targets = {number(port.get("targetPort")): number(port.get("port")) for port in tcp}
        for at, server in enumerate(mappings(gateway.spec.get("servers"))):
            wanted = number(mapping(server.get("port")).get("number"))
            if not wanted or wanted in exposed:
                continue
            path = f"servers[{at}].port"
            if wanted in targets:
                message = f"{gateway.ref}: port {wanted} is reached by port {targets[wanted]} of the Service, not by its own number"
                yield Hit(gateway, path, message, level=Level.INFO)
                continue
            where = ", ".join(sorted(f"{one.namespace}/{one.name}" for one in services)) or "no Service"
            message = f"{gateway.ref}: port {wanted} is not exposed by a Service of the pods {selector_text(selector)} ({where})"
            listed = ", ".join(map(str, sorted(exposed)))
            yield Hit(gateway, path, message, f"the Service exposes {listed}" if listed else "add a Service for the gateway's pods")


def _services(view: View, selector: dict[str, str]) -> list[RawObject]:
    found: dict[str, RawObject] = {}
    for pod in view.selected(selector):
        for service in view.services:
            wanted = text_map(service.spec.get("selector"))
            if service.namespace == pod.namespace and wanted and pod.selected_by(wanted):
                found[service.full_name] = service
    return list(found.values())


_TEXT = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {app: edge}
  servers:
  - port: {number: %d, name: http, protocol: HTTP}
    hosts: ["*"]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge, namespace: edge}
spec:
  selector: {matchLabels: {app: edge}}
  template:
    metadata: {labels: {app: edge}}
    spec:
      containers: [{name: istio-proxy, image: auto}]
---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: edge}
spec:
  selector: {app: edge}
  ports: [{name: http, port: 80, targetPort: 8080}]
"""
RULE = Rule(
    code="PORT_NOT_EXPOSED",
    check=check,
    trigger="`servers[].port.number` is no port of any Service that selects the Gateway's pods. A note where it is a target port, and so reachable by another number.",
    fix="Add the port to the gateway's Service, or use the number of one of its ports.",
    source="istio/istio pkg/config/analysis/analyzers/gateway/gateway.go; pilot/pkg/model/gateway.go",
    bad=_TEXT % 8443,
    good=_TEXT % 80,
)
