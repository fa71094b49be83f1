"""Gateways that stop before the requests they carry are answered."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import Level
from gwsim.resources.raw import RawObject, mapping, mappings, text, text_map
from gwsim.topology.lint.mesh import embedded
from gwsim.topology.lint.routes import gateway_names, virtual_services
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.timing import seconds
from gwsim.topology.lint.view import View, Workload

_DEFAULT_S = 5.0


def check(view: View) -> Iterator[Hit]:
    """Deployments of gateways whose drain is shorter than the longest timeout of a route they serve."""
    for gateway in view.gateways.values():
        longest = _longest(view, gateway)
        if longest is None:
            continue
        for pod in view.selected(text_map(gateway.spec.get("selector"))):
            if pod.source is None or pod.is_pod:
                continue
            drain, said = _drain(view, pod)
            if drain is not None and drain < longest[0]:
                message = f"{pod.source.ref}: drains for {drain:g}s, and {longest[1]} allows requests of {longest[0]:g}s: they are reset when a pod goes"
                hint = "set terminationDrainDuration in proxy.istio.io/config, or EXIT_ON_ZERO_ACTIVE_CONNECTIONS, and terminationGracePeriodSeconds above it"
                yield Hit(pod.source, "template.metadata.annotations" if said else "template", message, hint, None if said else Level.INFO)


def _longest(view: View, gateway: RawObject) -> tuple[float, str] | None:
    found = [
        (timeout, one.ref)
        for one in virtual_services(view) if gateway.full_name in [name for _, name in gateway_names(one)]
        for rule in mappings(one.spec.get("http")) if (timeout := seconds(rule.get("timeout")))
    ]
    return max(found, default=None)


def _drain(view: View, pod: Workload) -> tuple[float | None, bool]:
    """The drain in seconds, None when the proxy waits for its connections; and whether it is written."""
    own = embedded(pod.annotations.get("proxy.istio.io/config", ""))
    mesh = mapping(view.mesh.config.get("defaultConfig"))
    for config in (own, mesh):
        if text(mapping(config.get("proxyMetadata")).get("EXIT_ON_ZERO_ACTIVE_CONNECTIONS")) == "true":
            return None, True
    for config in (own, mesh):
        written = seconds(config.get("terminationDrainDuration"))
        if written is not None:
            return written, True
    return _DEFAULT_S, False


_TEXT = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {app: edge}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [shop.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: edge}
spec:
  hosts: [shop.example]
  gateways: [web]
  http:
  - timeout: 30s
    route: [{destination: {host: web.shop.svc.cluster.local}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge, namespace: edge}
spec:
  selector: {matchLabels: {app: edge}}
  template:
    metadata:
      labels: {app: edge, sidecar.istio.io/inject: "true"}
      annotations: {proxy.istio.io/config: "terminationDrainDuration: %s"}
    spec:
      terminationGracePeriodSeconds: 60
      containers: [{name: istio-proxy, image: auto}]
"""
RULE = Rule(
    code="DRAIN_TOO_SHORT",
    check=check,
    trigger="A gateway's Deployment is in the input, and its `terminationDrainDuration` is shorter than the longest `timeout` of a rule bound to its Gateways. A note where the drain is Istio's default of 5 s.",
    fix="Raise `terminationDrainDuration` and `terminationGracePeriodSeconds`, or let the proxy wait for its connections.",
    source="istio/istio pkg/envoy/agent.go",
    bad=_TEXT % "10s",
    good=_TEXT % "35s",
)
