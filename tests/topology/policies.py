"""Short ways to security policies on the gateway of `topology_build`."""

from __future__ import annotations

import textwrap
from typing import Any

from topology_build import GATEWAY, SERVICES, TO_SHOP, Built, build, routes

ROUTES = routes(f"- name: shop\n  {TO_SHOP}")


def authorization(
    spec: str, *, name: str = "policy", namespace: str = "istio-system", dry_run: bool = False, created: str = ""
) -> str:
    """An AuthorizationPolicy; `spec` is what stands below `spec:`."""
    more = ', annotations: {"istio.io/dry-run": "true"}' if dry_run else ""
    more += f', creationTimestamp: "{created}"' if created else ""
    body = textwrap.indent(textwrap.dedent(spec).strip(), "  ")
    return f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: {namespace}{more}}}
spec:
{body}
"""


def tokens(rules: str, *, name: str = "tokens", namespace: str = "istio-system", more: str = "") -> str:
    """A RequestAuthentication with these JWT rules."""
    return f"""
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  {more}
  jwtRules: {rules}
"""


def guarded(*texts: str, http: str = ROUTES, **options: Any) -> Built:
    """The gateway with one route and these objects. Its pods are in istio-system, with the labels of the chart."""
    return build(SERVICES, GATEWAY, http, *texts, **options)


def rule(text: str, action: str = "ALLOW") -> str:
    """A policy of one rule."""
    return authorization(f"action: {action}\nrules: [{text}]")
