"""A Gateway's Secret lacks a key, holds no certificate, or one that has expired."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime

from gwsim.diagnostics import Level
from gwsim.resources.certificates import validity
from gwsim.resources.raw import RawObject, mapping, text
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.rules.credential_missing import credentials
from gwsim.topology.lint.view import View

_PAIRS = (("tls.crt", "tls.key"), ("cert", "key"))


def check(view: View) -> Iterator[Hit]:
    """Secrets of Gateways that istiod or Envoy would refuse."""
    secrets = {one.full_name: one for one in view.of("Secret")}
    for gateway, path, namespace, name in credentials(view):
        secret = secrets.get(name if "/" in name else f"{namespace}/{name}")
        problem = _problem(secret, view.now) if secret is not None else None
        if secret is not None and problem:
            yield Hit(gateway, path, f"{gateway.ref}: Secret {secret.full_name} {problem[0]}", "clients cannot connect, or are warned", problem[1])


def _problem(secret: RawObject, now: datetime) -> tuple[str, Level | None] | None:
    """What is wrong, and the level where it is not the code's own."""
    entries = _entries(secret)
    pair = next((one for one in _PAIRS if all(name in entries for name in one)), None)
    if pair is None:
        has = ", ".join(entries) or "nothing"
        return f"needs tls.crt and tls.key (or cert and key), and has {has}", None
    times = validity(entries[pair[0]])
    if times is None:
        # Files under version control seldom hold one, so a placeholder may well be meant.
        return f"holds no certificate in {pair[0]}", None if "-----BEGIN" in entries[pair[0]] else Level.INFO
    begin, end = times
    if now > end:
        return f"holds a certificate that expired on {end:%Y-%m-%d}", None
    if now < begin:
        return f"holds a certificate that is valid from {begin:%Y-%m-%d} on", None
    if "PRIVATE KEY-----" not in entries[pair[1]]:
        # Files under version control hold a certificate at the most, so this may well be meant.
        return f"holds no private key in {pair[1]}", Level.INFO
    return None


def _entries(secret: RawObject) -> dict[str, str]:
    """The entries as text; what is not base64 becomes empty."""
    found: dict[str, str] = {}
    for key, value in mapping(secret.data.get("data")).items():
        try:
            found[key] = base64.b64decode("".join(text(value).split()), validate=True).decode("latin-1")
        except (binascii.Error, ValueError):
            found[key] = ""
    return found | {key: text(value) for key, value in mapping(secret.data.get("stringData")).items()}


_GATEWAY = """apiVersion: networking.istio.io/v1
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
metadata: {name: shop-tls, namespace: istio-system}
stringData:
"""
_CERTIFICATE = """  tls.crt: |
    -----BEGIN CERTIFICATE-----
    MIIBhDCCASugAwIBAgIUbBxo93leeX5ktRganDFzICNpC70wCgYIKoZIzj0EAwIw
    FzEVMBMGA1UEAwwMc2hvcC5leGFtcGxlMCAXDTI2MTEyNzA2MDMxMFoYDzIxMjYx
    MTAzMDYwMzEwWjAXMRUwEwYDVQQDDAxzaG9wLmV4YW1wbGUwWTATBgcqhkjOPQIB
    BggqhkjOPQMBBwNCAASwMeDPpCIrn53aY1HtemS9Y96e7ityRR9XJ/5QOnxDVzCy
    EajceWf3/ODnp8qBC7a2DoRzVbR7Z0ZNa2PBKxiDo1MwUTAdBgNVHQ4EFgQUTlCN
    2YT/MfW5GSDltLDMrECFdRowHwYDVR0jBBgwFoAUTlCN2YT/MfW5GSDltLDMrECF
    dRowDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAq/fsUl/6SptJ4
    7hvzGp0VOjZdKfCaFNOsM/9TWRBUGwIgXTTNec0JirvytfbGXUHDBwnejdsvtS5O
    lEshw2caL80=
    -----END CERTIFICATE-----
  tls.key: |
    -----BEGIN PRIVATE KEY-----
    Zm9yIHNob3c=
    -----END PRIVATE KEY-----
"""
RULE = Rule(
    code="CREDENTIAL_INVALID",
    check=check,
    trigger="The Secret of a `credentialName` lacks the certificate or key entry, its certificate cannot be read, or the time now is outside its validity. A note where a placeholder stands for the certificate, or the private key is left out.",
    fix="Renew the certificate; keys are `tls.crt` and `tls.key` (`cert` and `key` for generic Secrets).",
    source="istio/istio pkg/config/analysis/analyzers/gateway/secret.go",
    bad=_GATEWAY + "  tls.cert: misspelt\n  tls.key: misspelt\n",
    good=_GATEWAY + _CERTIFICATE,
)
