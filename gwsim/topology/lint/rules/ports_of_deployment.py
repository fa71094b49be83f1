"""Pods behind several Services that declare a port differently."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import RawObject, mappings, number, text, text_map
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View, Workload

_WAYPOINT = "istio.io-mesh-controller"


def _behind(view: View) -> Iterator[tuple[RawObject, list[RawObject]]]:
    """Deployments in the mesh, each with the Services that select its pods."""
    for one in view.workloads:
        source = one.source
        if source is None or source.kind != "Deployment" or source.labels.get("gateway.istio.io/managed") == _WAYPOINT:
            continue
        if view.in_mesh(one):
            found = [service for service in view.of("Service") if _selects(service, one)]
            if len(found) > 1:
                yield source, found


def _selects(service: RawObject, pod: Workload) -> bool:
    selector = text_map(service.spec.get("selector"))
    return bool(selector) and service.namespace == pod.namespace and pod.selected_by(selector)


def check_protocols(view: View) -> Iterator[Hit]:
    """One port number declared with several transport protocols."""
    for deployment, services in _behind(view):
        ports: dict[int, dict[str, list[str]]] = {}
        for service in services:
            for port in mappings(service.spec.get("ports")):
                protocol = text(port.get("protocol")) or "TCP"
                ports.setdefault(number(port.get("port")), {}).setdefault(protocol, []).append(service.full_name)
        for value, protocols in sorted(ports.items()):
            if len(protocols) > 1:
                said = "; ".join(f"{name} in {', '.join(who)}" for name, who in sorted(protocols.items()))
                yield Hit(deployment, "metadata.name", f"{deployment.ref}: port {value} has several protocols: {said}", "declare it alike in all Services")


def check_targets(view: View) -> Iterator[Hit]:
    """One target port behind several port numbers."""
    for deployment, services in _behind(view):
        targets: dict[str, dict[int, str]] = {}
        for service in services:
            for port in mappings(service.spec.get("ports")):
                value = number(port.get("port"))
                target = text(port.get("targetPort")) or str(value)
                targets.setdefault(str(value) if target == "0" else target, {})[value] = service.full_name
        for target, ports in sorted(targets.items()):
            if len(ports) > 1:
                said = ", ".join(f"{value} in {who}" for value, who in sorted(ports.items()))
                message = f"{deployment.ref}: target port {target} is behind different ports: {said}"
                yield Hit(deployment, "metadata.name", message, "give the port one number in all Services")


_TEXT = """apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews}}
  template:
    metadata: {labels: {app: reviews}}
    spec:
      containers: [{name: app, image: reviews}]
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
---
apiVersion: v1
kind: Service
metadata: {name: reviews-too, namespace: shop}
spec:
  selector: {app: reviews}
  ports: [%s]
"""
_SAME = "{name: http, port: 9080}"
_SOURCE = "istio/istio pkg/config/analysis/analyzers/deployment/services.go"
RULES = (
    Rule(
        code="PORT_PROTOCOLS_DIFFER", check=check_protocols,
        trigger="Services that select the same Deployment in the mesh declare one port with different `protocol`s.",
        fix="Declare the port alike, or give it two numbers.",
        source=_SOURCE, bad=_TEXT % "{name: dns, port: 9080, protocol: UDP}", good=_TEXT % _SAME,
    ),
    Rule(
        code="TARGET_PORT_CONFLICT", check=check_targets,
        trigger="Services that select the same Deployment in the mesh lead to one target port by different ports.",
        fix="Use one port number, or one Service.",
        source=_SOURCE, bad=_TEXT % "{name: http, port: 80, targetPort: 9080}", good=_TEXT % _SAME,
    ),
)
