"""TLS to a service whose certificate is checked against the system's authorities only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gwsim.resources.raw import RawObject, mapping, mappings, text
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View

_MODES = ("SIMPLE", "MUTUAL")


def _unverified(rule: RawObject, tls: dict[str, Any]) -> bool:
    if text(tls.get("mode")) not in _MODES or tls.get("caCertificates") or tls.get("insecureSkipVerify") is True:
        return False
    # A credential is only used by the workloads that a workloadSelector names, or by gateways.
    return not (tls.get("credentialName") and mapping(rule.spec.get("workloadSelector")))


def check_rule(view: View) -> Iterator[Hit]:
    """The rule's own TLS settings."""
    for rule in view.istio("DestinationRule"):
        tls = mapping(mapping(rule.spec.get("trafficPolicy")).get("tls"))
        if _unverified(rule, tls):
            message = f"{rule.ref}: {text(tls.get('mode'))} TLS to {text(rule.spec.get('host'))} without caCertificates"
            yield Hit(rule, "trafficPolicy.tls", message, "set caCertificates where the server has a certificate of a private CA")


def check_ports(view: View) -> Iterator[Hit]:
    """TLS settings of single ports."""
    for rule in view.istio("DestinationRule"):
        for at, port in enumerate(mappings(mapping(rule.spec.get("trafficPolicy")).get("portLevelSettings"))):
            tls = mapping(port.get("tls"))
            if _unverified(rule, tls):
                number = text(mapping(port.get("port")).get("number"))
                message = f"{rule.ref}: {text(tls.get('mode'))} TLS to port {number} of {text(rule.spec.get('host'))} without caCertificates"
                yield Hit(rule, f"trafficPolicy.portLevelSettings[{at}].tls", message, "set caCertificates where the server has a certificate of a private CA")


_RULE = """apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: database, namespace: shop}
spec:
  host: database.example
  trafficPolicy:
    tls: {mode: SIMPLE%s}
"""
_PORT = """apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: database, namespace: shop}
spec:
  host: database.example
  trafficPolicy:
    portLevelSettings:
    - port: {number: 5432}
      tls: {mode: SIMPLE%s}
"""
_CA = ", caCertificates: /etc/certs/ca.pem"
_SOURCE = "istio/istio pkg/config/analysis/analyzers/destinationrule/ca-certificates.go"
RULES = (
    Rule(
        code="SERVER_NOT_VERIFIED", check=check_rule,
        trigger="`tls.mode` is SIMPLE or MUTUAL without `caCertificates`. A note, because Istio checks such servers against the system's authorities.",
        fix="Set `caCertificates`, if the server's certificate is not of a public authority.",
        source=_SOURCE, bad=_RULE % "", good=_RULE % _CA,
    ),
    Rule(
        code="SERVER_NOT_VERIFIED_ON_PORT", check=check_ports,
        trigger="The same in `portLevelSettings`.",
        fix="Set `caCertificates`, if the server's certificate is not of a public authority.",
        source=_SOURCE, bad=_PORT % "", good=_PORT % _CA,
    ),
)
