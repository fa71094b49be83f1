"""Service ports whose name or appProtocol says no protocol."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import RawObject, mappings, number, text
from gwsim.topology.from_istio.protocols import of_service_port
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import SYSTEM_NAMESPACES, View, is_control_plane

_WELL_KNOWN = frozenset({25, 53, 3306, 27017})
"""Ports Istio takes for TCP without being told."""
_HBONE = ("hbone", "double-hbone")


def _undeclared(service: RawObject) -> Iterator[tuple[int, str, int]]:
    """Ports of unknown protocol: position, name, number."""
    for at, port in enumerate(mappings(service.spec.get("ports"))):
        name, value = text(port.get("name")), number(port.get("port"))
        said = text(port.get("appProtocol"))
        if said.lower() in _HBONE or value in _WELL_KNOWN:
            continue
        if of_service_port(name, said, text(port.get("protocol")) or "TCP") == "Unsupported":
            yield at, name, value


def check_names(view: View) -> Iterator[Hit]:
    """Ports of Services in the cluster."""
    for service in view.of("Service"):
        if service.namespace in SYSTEM_NAMESPACES or is_control_plane(service) or text(service.spec.get("type")) == "ExternalName":
            continue
        for at, name, value in _undeclared(service):
            said = f"the name {name!r} of port {value}" if name else f"port {value}, which has no name,"
            message = f"{service.ref}: {said} does not say its protocol"
            yield Hit(service, f"ports[{at}]", message, f"name it e.g. http-{name or 'web'}, or set appProtocol")


def check_external(view: View) -> Iterator[Hit]:
    """Ports of ExternalName Services; `tcp` is no better than no name there."""
    for service in view.of("Service"):
        if text(service.spec.get("type")) != "ExternalName" or service.namespace in SYSTEM_NAMESPACES:
            continue
        found = {at: value for at, _, value in _undeclared(service)}
        for at, port in enumerate(mappings(service.spec.get("ports"))):
            if text(port.get("name")) == "tcp":
                found[at] = number(port.get("port"))
        for at, value in sorted(found.items()):
            message = f"{service.ref}: port {value} of an ExternalName Service needs a name with its protocol"
            yield Hit(service, f"ports[{at}]", message, "name it tcp-..., https-... or http-...")


_SERVICE = """apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  selector: {app: reviews}
  ports: [{name: %s, port: 9080}]
"""
_EXTERNAL = """apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec:
  type: ExternalName
  externalName: pay.example
  ports: [{name: %s, port: 443}]
"""
RULES = (
    Rule(
        code="PORT_PROTOCOL_UNKNOWN", check=check_names,
        trigger="A Service port's name does not begin with a protocol Istio knows (`http`, `http2`, `grpc`, `https`, `tls`, `tcp`, ...) and a dash, and it has no `appProtocol`. Not in kube-system and Istio's own Services.",
        fix="Name the port `<protocol>-<name>`, or set `appProtocol`.",
        source="istio/istio pkg/config/analysis/analyzers/service/portname.go; pkg/config/kube/conversion.go",
        bad=_SERVICE % "web", good=_SERVICE % "http-web",
    ),
    Rule(
        code="EXTERNAL_NAME_PORT", check=check_external,
        trigger="A port of an ExternalName Service has no protocol in its name, or is named plain `tcp`.",
        fix="Name the port `<protocol>-<name>`.",
        source="istio/istio pkg/config/analysis/analyzers/service/portname.go",
        bad=_EXTERNAL % "tcp", good=_EXTERNAL % "https-pay",
    ),
)
