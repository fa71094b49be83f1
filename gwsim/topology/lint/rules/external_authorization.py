"""External authorization services that may keep every request waiting."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.resources.raw import mapping, mappings, text
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View

_KINDS = ("envoyExtAuthzHttp", "envoyExtAuthzGrpc")


def check(view: View) -> Iterator[Hit]:
    """Extension providers without a timeout."""
    source = view.mesh.source
    if source is None:
        return
    path = {"ConfigMap": "data.mesh", "IstioOperator": "meshConfig.extensionProviders"}.get(source.kind, "")
    for provider in mappings(view.mesh.config.get("extensionProviders")):
        for kind in _KINDS:
            settings = mapping(provider.get(kind))
            if settings and not settings.get("timeout"):
                message = f"{source.ref or source.origin.file}: provider {text(provider.get('name'))} has no timeout: requests wait for it up to 600 s"
                yield Hit(source, path, message, "set timeout: 250ms or so, and failOpen where an outage must not stop all traffic")


_TEXT = """apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    extensionProviders:
    - name: policy
      envoyExtAuthzGrpc: {service: policy.auth.svc.cluster.local, port: 9000%s}
"""
RULE = Rule(
    code="AUTHORIZATION_UNBOUNDED",
    check=check,
    trigger="An `envoyExtAuthzHttp` or `envoyExtAuthzGrpc` provider of the mesh config in the input has no `timeout`.",
    fix="Set a timeout of some hundred milliseconds.",
    source="istio/istio pilot/pkg/security/authz/builder/extauthz.go: 600 s",
    bad=_TEXT % "",
    good=_TEXT % ", timeout: 0.25s",
)
