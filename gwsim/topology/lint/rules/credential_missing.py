"""A Gateway's credential is not in the namespace of its pods."""

from __future__ import annotations

from collections.abc import Iterator

from gwsim.diagnostics import did_you_mean
from gwsim.resources.raw import RawObject, mapping, mappings, text, text_map
from gwsim.topology.lint.rule import Hit, Rule, level_if
from gwsim.topology.lint.view import View

_GENERATED = ("builtin://", "sds://", "configmap://")


def credentials(view: View) -> Iterator[tuple[RawObject, str, str, str]]:
    """Every `credentialName` of a Gateway with pods: the Gateway, the field's path, the pods' namespace, the name."""
    for gateway in view.gateways.values():
        pods = view.selected(text_map(gateway.spec.get("selector")))
        if not pods:
            continue
        for at, server in enumerate(mappings(gateway.spec.get("servers"))):
            name = text(mapping(server.get("tls")).get("credentialName"))
            if name and not name.startswith(_GENERATED):
                yield gateway, f"servers[{at}].tls.credentialName", pods[0].namespace, name.removeprefix("kubernetes://")


def check(view: View) -> Iterator[Hit]:
    """Credentials without a Secret."""
    secrets = {one.full_name: one for one in view.of("Secret")}
    for gateway, path, namespace, name in credentials(view):
        wanted = name if "/" in name else f"{namespace}/{name}"
        if wanted in secrets or view.assumed("Secret", *wanted.split("/", 1)):
            continue
        message = f"{gateway.ref}: there is no Secret {wanted}, so TLS handshakes fail"
        elsewhere = [one for one in secrets if one.endswith(f"/{name}")]
        hint = f"there is one in {elsewhere[0]}; it has to be in the namespace of the gateway's pods" if elsewhere else None
        yield Hit(gateway, path, message, hint or did_you_mean(wanted, secrets) or f"if it is kept elsewhere: --assume-exists Secret/{wanted}", level_if(bool(secrets)))


_TEXT = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    tls: {mode: SIMPLE, credentialName: shop-tls}
    hosts: [shop.example]
---
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {name: shop-tls, namespace: %s}
data: {tls.crt: "", tls.key: ""}
"""
RULE = Rule(
    code="CREDENTIAL_MISSING",
    check=check,
    trigger="`credentialName` names a Secret that is not in the namespace of the gateway's pods. A note where the input has no Secret at all, as it should be in version control.",
    fix="Create the Secret in the pods' namespace (not the Gateway's), or say `--assume-exists Secret/namespace/name`.",
    source="istio/istio pkg/config/analysis/analyzers/gateway/secret.go",
    bad=_TEXT % "edge",
    good=_TEXT % "istio-system",
)
