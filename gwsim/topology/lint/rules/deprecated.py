"""Fields and kinds that Istio has deprecated or dropped."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import mapping, mappings, text
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View

_DROPPED_GROUPS = ("rbac.istio.io", "config.istio.io", "authentication.istio.io")
_RBAC = ("ClusterRbacConfig", "RbacConfig", "ServiceRole", "ServiceRoleBinding")


def check(view: View) -> Iterator[Hit]:
    """All of them."""
    yield from _fields(view)
    for crd in view.of("CustomResourceDefinition", "apiextensions.k8s.io"):
        kind = text(mapping(crd.spec.get("names")).get("kind"))
        if crd.spec.get("group") == "rbac.istio.io" and kind in _RBAC:
            yield Hit(crd, "", f"{crd.ref}: {kind} (rbac.istio.io) was removed", "use AuthorizationPolicy")
    for one in view.objects:
        if one.group in _DROPPED_GROUPS:
            yield Hit(one, "kind", f"{one.ref}: {one.group} was removed; the object has no effect", "use the kinds of security.istio.io")
    yield from _lightstep(view)


def _fields(view: View) -> Iterator[Hit]:
    for service in view.istio("VirtualService"):
        for at, rule in enumerate(mappings(service.spec.get("http"))):
            for kind in ("delay", "abort"):
                fault = mapping(mapping(rule.get("fault")).get(kind))
                if fault.get("percent"):
                    yield Hit(service, f"http[{at}].fault.{kind}.percent", f"{service.ref}: fault.{kind}.percent is deprecated", "write percentage: {value: ...}")
    for sidecar in view.istio("Sidecar"):
        if mapping(sidecar.spec.get("outboundTrafficPolicy")).get("egressProxy"):
            yield Hit(sidecar, "outboundTrafficPolicy.egressProxy", f"{sidecar.ref}: outboundTrafficPolicy.egressProxy is ignored", "route by a VirtualService")
    for filter_ in view.istio("EnvoyFilter"):
        for field in ("workloadLabels", "filters"):
            if field in filter_.spec:
                yield Hit(filter_, field, f"{filter_.ref}: {field} was removed and is ignored", "use workloadSelector and configPatches")


def _lightstep(view: View) -> Iterator[Hit]:
    providers = [text(one.get("name")) for one in mappings(view.mesh.config.get("extensionProviders")) if "lightstep" in one]
    for telemetry in view.istio("Telemetry"):
        for at, tracing in enumerate(mappings(telemetry.spec.get("tracing"))):
            for provider in mappings(tracing.get("providers")):
                if text(provider.get("name")) in providers:
                    message = f"{telemetry.ref}: the Lightstep provider {text(provider.get('name'))} is deprecated"
                    yield Hit(telemetry, f"tracing[{at}].providers", message, "use an opentelemetry provider")


_TEXT = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart]
  http:
  - fault: {delay: {fixedDelay: 1s, %s}}
    route: [{destination: {host: cart}}]
"""
RULE = Rule(
    code="DEPRECATED",
    check=check,
    trigger="`fault.delay.percent`, `outboundTrafficPolicy.egressProxy`, `workloadLabels` and `filters` of an EnvoyFilter, objects or CRDs of rbac.istio.io, config.istio.io and authentication.istio.io, and tracing by a Lightstep provider.",
    fix="Use the replacement that the finding names.",
    source="istio/istio pkg/config/analysis/analyzers/deprecation/deprecation.go, telemetry/lightstep.go",
    bad=_TEXT % "percent: 10",
    good=_TEXT % "percentage: {value: 10}",
)
