"""Ways out: entries without endpoints, TLS without the name that a gateway chooses by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gwsim.resources.raw import RawObject, mapping, mappings, text, text_map, texts
from gwsim.topology.lint.hosts import server_host
from gwsim.topology.lint.routes import destinations, gateway_names, virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View

_TLS = ("SIMPLE", "MUTUAL", "ISTIO_MUTUAL")


def check_passthrough(view: View) -> Iterator[Hit]:
    """Routes of gateways to ServiceEntries with resolution NONE."""
    for service in virtual_services(view):
        if not gateway_names(service):
            continue
        for one in destinations(service):
            backend = view.backend(one.host, service.namespace, texts(service.spec.get("exportTo"))) if one.host else None
            entry = backend.source if backend is not None else None
            if entry is not None and entry.kind == "ServiceEntry" and text(entry.spec.get("resolution")) in ("", "NONE"):
                message = f"{service.ref}: {one.host} has resolution NONE ({entry.ref}), so a gateway has no endpoint for it: 503 UH"
                yield Hit(service, f"{one.path}.host", message, "use resolution: DNS")


def check_sni(view: View) -> Iterator[Hit]:
    """TLS to the Service of a gateway whose TLS servers are all chosen by name, without `sni`."""
    for rule in view.istio("DestinationRule"):
        backend = view.backend(text(rule.spec.get("host")), rule.namespace, texts(rule.spec.get("exportTo")))
        if backend is None or backend.source is None or backend.source.kind != "Service" or not _by_name(view, backend.source):
            continue
        for path, tls in _settings(rule):
            if text(tls.get("mode")) in _TLS and not tls.get("sni"):
                message = f"{rule.ref}: TLS to the gateway {backend.host} without sni, and its servers are for named hosts only: the connection is closed"
                yield Hit(rule, path, message, "set sni to the host of the server")


def _settings(rule: RawObject) -> Iterator[tuple[str, dict[str, Any]]]:
    """All TLS settings of a rule that has them."""
    policies = [("trafficPolicy", mapping(rule.spec.get("trafficPolicy")))]
    policies += [(f"subsets[{at}].trafficPolicy", mapping(one.get("trafficPolicy"))) for at, one in enumerate(mappings(rule.spec.get("subsets")))]
    for path, policy in policies:
        yield f"{path}.tls", mapping(policy.get("tls"))
        for at, port in enumerate(mappings(policy.get("portLevelSettings"))):
            yield f"{path}.portLevelSettings[{at}].tls", mapping(port.get("tls"))


def _by_name(view: View, service: RawObject) -> bool:
    """Whether the Service is that of gateway pods with TLS servers, none of which is for every name."""
    pods = view.selected(text_map(service.spec.get("selector")), service.namespace) if service.spec.get("selector") else []
    hosts: list[str] = []
    for gateway in view.gateways.values():
        selector = text_map(gateway.spec.get("selector"))
        if any(pod.selected_by(selector) for pod in pods):
            for server in mappings(gateway.spec.get("servers")):
                if text(mapping(server.get("port")).get("protocol")) in ("HTTPS", "TLS"):
                    hosts += [server_host(host, gateway.namespace)[1] for host in texts(server.get("hosts"))]
    return bool(hosts) and "*" not in hosts


_ENTRY = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: pay, namespace: shop}
spec:
  hosts: [pay.example]
  location: MESH_EXTERNAL
  resolution: %s
  ports: [{number: 443, name: tls, protocol: TLS}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec:
  hosts: [pay.example]
  gateways: [edge/egress]
  http:
  - route: [{destination: {host: pay.example, port: {number: 443}}}]
"""
_SNI = """apiVersion: apps/v1
kind: Deployment
metadata: {name: egress, namespace: edge}
spec:
  selector: {matchLabels: {app: egress}}
  template:
    metadata: {labels: {app: egress, sidecar.istio.io/inject: "true"}}
    spec:
      containers: [{name: istio-proxy, image: auto}]
---
apiVersion: v1
kind: Service
metadata: {name: egress, namespace: edge}
spec:
  selector: {app: egress}
  ports: [{name: https, port: 443}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: edge}
spec:
  selector: {app: egress}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    tls: {mode: ISTIO_MUTUAL}
    hosts: [pay.example]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: egress, namespace: shop}
spec:
  host: egress.edge.svc.cluster.local
  subsets:
  - name: pay
    trafficPolicy: {tls: {mode: ISTIO_MUTUAL%s}}
"""
RULES = (
    Rule(
        code="PASSTHROUGH_ENTRY_ROUTED", check=check_passthrough,
        trigger="A VirtualService bound to a gateway routes to a ServiceEntry with `resolution: NONE` (the default).",
        fix="Use `resolution: DNS`.", source="istio/istio pilot/pkg/networking/core/cluster.go: ORIGINAL_DST",
        bad=_ENTRY % "NONE", good=_ENTRY % "DNS",
    ),
    Rule(
        code="EGRESS_TLS_WITHOUT_SNI", check=check_sni,
        trigger="A DestinationRule turns on TLS to the Service of gateway pods, without `sni`, while the HTTPS and TLS servers of their Gateways are for named hosts.",
        fix="Set `sni` to the host that the gateway serves.", source="istio.io docs: egress gateways; pilot/pkg/networking/core/cluster_tls.go",
        bad=_SNI % "", good=_SNI % ", sni: pay.example",
    ),
)
