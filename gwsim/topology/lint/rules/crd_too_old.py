"""Gateway API CRDs below the version that this Istio watches."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View

_MINIMUM = {
    "grpcroutes.gateway.networking.k8s.io": (1, 1, 0),
    "backendtlspolicies.gateway.networking.k8s.io": (1, 4, 0),
    "tlsroutes.gateway.networking.k8s.io": (1, 5, 0),
}
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def check(view: View) -> Iterator[Hit]:
    """CRDs whose `bundle-version` annotation is too low."""
    for crd in view.of("CustomResourceDefinition", "apiextensions.k8s.io"):
        minimum = _MINIMUM.get(crd.name)
        found = _VERSION.match(crd.annotations.get("gateway.networking.k8s.io/bundle-version", ""))
        if minimum is None or found is None:
            continue
        version = tuple(int(part or 0) for part in found.groups())
        if version < minimum:
            wanted = ".".join(map(str, minimum))
            message = f"{crd.ref}: Gateway API {found[0]} is older than {wanted}, so istiod does not watch these objects"
            yield Hit(crd, "metadata.annotations", message, f"install Gateway API {wanted} or newer")


_TEXT = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: tlsroutes.gateway.networking.k8s.io
  annotations: {gateway.networking.k8s.io/bundle-version: %s}
spec:
  group: gateway.networking.k8s.io
  names: {kind: TLSRoute, plural: tlsroutes}
"""
RULE = Rule(
    code="CRD_TOO_OLD",
    check=check,
    trigger="The bundle version of the CRD is below what Istio 1.30 needs (GRPCRoute 1.1, BackendTLSPolicy 1.4, TLSRoute 1.5).",
    fix="Install newer Gateway API CRDs.",
    source="istio/istio pkg/config/schema/gatewayapi/minimumversions.go",
    bad=_TEXT % "v1.4.1",
    good=_TEXT % "v1.5.0",
    needs="CRDs among the files",
)
