"""Access logging that names no provider."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import mapping, mappings, sequence
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View


def check(view: View) -> Iterator[Hit]:
    """`accessLogging` entries without providers, where the mesh config has no default one."""
    if sequence(mapping(view.mesh.config.get("defaultProviders")).get("accessLogging")):
        return
    for one in view.istio("Telemetry"):
        for at, entry in enumerate(mappings(one.spec.get("accessLogging"))):
            if not sequence(entry.get("providers")) and entry.get("disabled") is not True:
                message = f"{one.ref}: accessLogging names no provider, and the mesh config has no default: nothing is logged"
                yield Hit(one, f"accessLogging[{at}]", message, "add providers: [{name: envoy}]")


_TEXT = """apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: default, namespace: istio-system}
spec:
  accessLogging: [{filter: {expression: "response.code >= 500"}%s}]
"""
RULE = Rule(
    code="TELEMETRY_PROVIDER_MISSING",
    check=check,
    trigger="An entry of `accessLogging` has no `providers` and is not `disabled`, and the mesh config in the input (or Istio's default) has no `defaultProviders.accessLogging`.",
    fix="Name a provider, e.g. `envoy`.",
    source="istio/istio pkg/config/analysis/analyzers/telemetry/providers.go",
    bad=_TEXT % "",
    good=_TEXT % ", providers: [{name: envoy}]",
)
