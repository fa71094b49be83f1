"""One certificate in several Gateways of the same pods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gwsim.resources.raw import mapping, mappings, text_map
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """Gateways whose selector is within another's, with an equal certificate."""
    for gateway in view.gateways.values():
        selector = text_map(gateway.spec.get("selector"))
        for other in view.gateways.values():
            labels = text_map(other.spec.get("selector"))
            if other is gateway or any(labels.get(key) != value for key, value in selector.items()):
                continue
            for at, server in enumerate(mappings(gateway.spec.get("servers"))):
                if any(_same(mapping(server.get("tls")), mapping(one.get("tls"))) for one in mappings(other.spec.get("servers"))):
                    message = f"{gateway.ref}: Gateway {other.full_name} has the same certificate; clients that reuse HTTP/2 connections get 404"
                    yield Hit(gateway, f"servers[{at}].tls", message, "serve the names of one certificate from one Gateway")
                    break


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    if left.get("credentialName") or right.get("credentialName"):
        return bool(left.get("credentialName")) and left.get("credentialName") == right.get("credentialName")
    pair = (left.get("serverCertificate"), left.get("privateKey"))
    return all(pair) and pair == (right.get("serverCertificate"), right.get("privateKey"))


_TEXT = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https-shop, protocol: HTTPS}
    tls: {mode: SIMPLE, credentialName: wildcard}
    hosts: [shop.example]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: pay, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https-pay, protocol: HTTPS}
    tls: {mode: SIMPLE, credentialName: %s}
    hosts: [pay.example]
"""
RULE = Rule(
    code="CERTIFICATE_SHARED",
    check=check,
    trigger="Two Gateways of the same pods have a `credentialName` (or certificate and key files) in common.",
    fix="Put the hosts of one certificate into one server, or give each Gateway a certificate of its own.",
    source="istio/istio pkg/config/analysis/analyzers/gateway/certificate.go; envoyproxy/envoy issue 6767",
    bad=_TEXT % "wildcard",
    good=_TEXT % "pay",
)
