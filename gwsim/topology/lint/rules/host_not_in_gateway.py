"""None of a VirtualService's hosts is served by the Gateway it binds to."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import Level, did_you_mean
from gwsim.resources.raw import mappings, texts
from gwsim.topology.lint.hosts import EVERYWHERE, matches, server_host
from gwsim.topology.lint.routes import gateway_names, virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.rules.gateway_missing import INTERNAL
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """VirtualServices that add no virtual host to a Gateway; one matching host is enough."""
    for service in virtual_services(view):
        hosts = texts(service.spec.get("hosts"))
        for at, name in gateway_names(service):
            namespace, _, short = name.partition("/")
            gateway = view.gateways.get(name)
            if gateway is None:
                if INTERNAL not in name and not view.assumed("Gateway", namespace, short):
                    message = f"{service.ref}: no Gateway serves its hosts, because {name} is not there"
                    yield Hit(service, f"gateways[{at}]", message, level=Level.INFO)
                continue
            owned = [
                server_host(host, gateway.namespace)
                for server in mappings(gateway.spec.get("servers")) for host in texts(server.get("hosts"))
            ]
            served = [host for owner, host in owned if owner in (EVERYWHERE, service.namespace)]
            if any(matches(one, host) for one in served for host in hosts):
                continue
            listed = ", ".join(host if owner == EVERYWHERE else f"{owner}/{host}" for owner, host in owned) or "no hosts"
            message = f"{service.ref}: Gateway {name} serves none of its hosts (it has {listed}): 404 NR"
            hint = did_you_mean(hosts[0], served) if hosts else None
            yield Hit(service, f"gateways[{at}]", message, hint)


_TEXT = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["%s"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart.shop.example]
  gateways: [edge/shop]
  http:
  - directResponse: {status: 204}
"""
RULE = Rule(
    code="NO_HOST_MATCHES",
    check=check,
    trigger="No host of the VirtualService matches a host of the Gateway that its namespace may bind (`namespace/host`). A note where the Gateway is missing.",
    fix="Add the host to a server of the Gateway, or open the server to the namespace (`*/host`).",
    source="istio/istio pkg/config/analysis/analyzers/virtualservice/gateways.go",
    bad=_TEXT % "edge/*.shop.example",
    good=_TEXT % "*.shop.example",
)
