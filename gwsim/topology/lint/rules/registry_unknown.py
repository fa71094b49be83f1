"""Mesh networks that take endpoints from a registry nobody knows."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import did_you_mean
from gwsim.resources.raw import mapping, mappings, text
from gwsim.topology.lint.rule import Hit, Rule, level_if
from gwsim.topology.lint.view import View

_OWN = ("Kubernetes", "External", "Mock")


def check(view: View) -> Iterator[Hit]:
    """`fromRegistry` names that are neither built in nor a remote cluster's secret."""
    source = view.mesh.networks_source
    if source is None:
        return
    remote = [one for one in view.of("Secret") if one.labels.get("istio/multiCluster") == "true"]
    known = [*_OWN, *(key for one in remote for field in ("data", "stringData") for key in mapping(one.data.get(field)))]
    for name, network in view.mesh.networks.items():
        for endpoint in mappings(mapping(network).get("endpoints")):
            registry = text(endpoint.get("fromRegistry"))
            if registry and registry not in known:
                path = "data.meshNetworks" if source.kind == "ConfigMap" else ""
                message = f"{source.ref}: network {name} has endpoints of {registry}, which is no known cluster"
                yield Hit(source, path, message, did_you_mean(registry, known), level_if(bool(remote)))


_TEXT = """apiVersion: v1
kind: Secret
metadata: {name: istio-remote-secret-west, namespace: istio-system, labels: {istio/multiCluster: "true"}}
data: {west: ""}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  meshNetworks: |
    networks:
      net2:
        endpoints: [{fromRegistry: %s}]
        gateways: [{address: 192.0.2.7, port: 15443}]
"""
RULE = Rule(
    code="REGISTRY_UNKNOWN",
    check=check,
    trigger="`fromRegistry` is neither Kubernetes nor a key of a remote secret (`istio/multiCluster: \"true\"`). A note where the input has no remote secret.",
    fix="Use the cluster name of the remote secret.",
    source="istio/istio pkg/config/analysis/analyzers/multicluster/meshnetworks.go",
    bad=_TEXT % "wets",
    good=_TEXT % "west",
)
