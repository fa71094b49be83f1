"""A Gateway's selector finds no workload."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import did_you_mean
from gwsim.resources.raw import text_map
from gwsim.topology.lint.rule import Hit, Rule, level_if
from gwsim.topology.lint.view import View, selector_text


def check(view: View) -> Iterator[Hit]:
    """Gateways that no proxy serves."""
    for gateway in view.gateways.values():
        selector = text_map(gateway.spec.get("selector"))
        if view.selected(selector) or view.assumed_of("Deployment"):
            continue
        words = [f"{key}={value}" for one in view.workloads for key, value in one.labels.items()]
        wanted = selector_text(selector)
        hint = did_you_mean(wanted, words) or "lint the gateway's Deployment too, or say --assume-exists Deployment/namespace/name"
        message = f"{gateway.ref}: no workload has the labels {wanted}, so nothing listens: connections are refused"
        yield Hit(gateway, "selector", message, hint, level_if(view.has_workloads))


_TEXT = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {app: %s}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge-proxy, namespace: edge}
spec:
  selector: {matchLabels: {app: edge-proxy}}
  template:
    metadata: {labels: {app: edge-proxy}}
    spec:
      containers: [{name: istio-proxy, image: auto}]
"""
RULE = Rule(
    code="SELECTOR_MATCHES_NOTHING",
    check=check,
    trigger="No Pod or pod template has all labels of the Gateway's `selector`. The stock `istio: ingressgateway` is taken to exist. A note where the input has no workload at all.",
    fix="Correct the selector, or lint the gateway's Deployment together with it.",
    source="istio/istio pkg/config/analysis/analyzers/gateway/gateway.go",
    bad=_TEXT % "edge-proxi",
    good=_TEXT % "edge-proxy",
)
