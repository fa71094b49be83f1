"""Short ways to Gateway API objects and decisions about them."""

from __future__ import annotations

import textwrap
from typing import Any

from topology_build import Built, build

from gwsim.topology import Decision, Request, choose

SERVICES = """
apiVersion: v1
kind: Namespace
metadata: {name: infra, labels: {kind: infra}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {kind: app}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {kind: none}}
---
apiVersion: v1
kind: Service
metadata: {name: one, namespace: infra}
spec: {selector: {app: one}, ports: [{name: first, port: 8080}, {name: second, port: 8081, appProtocol: kubernetes.io/h2c}]}
---
apiVersion: v1
kind: Service
metadata: {name: two, namespace: infra}
spec: {selector: {app: two}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Secret
metadata: {name: cert, namespace: infra}
type: kubernetes.io/tls
data: {tls.crt: eA==, tls.key: eA==}
---
apiVersion: v1
kind: Secret
metadata: {name: cert, namespace: shop}
type: kubernetes.io/tls
data: {tls.crt: eA==, tls.key: eA==}
"""
ONE, TWO, CART = (f"outbound|8080||{name}.svc.cluster.local" for name in ("one.infra", "two.infra", "cart.shop"))
TO_ONE = "backendRefs: [{name: one, port: 8080}]"
TO_TWO = "backendRefs: [{name: two, port: 8080}]"
HTTP = "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}"


def gateway(listeners: str = f"[{HTTP}]", *, name: str = "public", namespace: str = "infra", more: str = "") -> str:
    """A Gateway of class istio."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  gatewayClassName: istio
  listeners:
{textwrap.indent(textwrap.dedent(listeners).strip(), "    ")}
{textwrap.indent(textwrap.dedent(more), "  ")}
"""


def route(
    rules: str, *, kind: str = "HTTPRoute", name: str = "routes", namespace: str = "infra",
    parents: str = "[{name: public, namespace: infra}]", hosts: str = "", created: str = "",
) -> str:  # fmt: skip
    """A route with these rules."""
    version = "v1alpha2" if kind == "TCPRoute" else "v1"
    stamp = f', creationTimestamp: "{created}"' if created else ""
    hostnames = f"hostnames: {hosts}" if hosts else ""
    return f"""
apiVersion: gateway.networking.k8s.io/{version}
kind: {kind}
metadata: {{name: {name}, namespace: {namespace}{stamp}}}
spec:
  parentRefs: {parents}
  {hostnames}
  rules:
{textwrap.indent(textwrap.dedent(rules).strip(), "  ")}
"""


def grant(source: str, namespace: str, *, to: str = "Service", name: str = "", of: str = "shop") -> str:
    """A ReferenceGrant in namespace `of` for objects of kind `source` in `namespace`."""
    named = f", name: {name}" if name else ""
    return f"""
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {{name: grant-{source.lower()}-{to.lower()}, namespace: {of}}}
spec:
  from: [{{group: gateway.networking.k8s.io, kind: {source}, namespace: {namespace}}}]
  to: [{{group: "", kind: {to}{named}}}]
"""


def made(*texts: str, **options: Any) -> Built:
    """The topology of these objects beside the services above."""
    return build(SERVICES, *texts, **options)


def ask(built: Built, path: str = "/", *, host: str = "shop.example", port: int = 80, gateway: str = "infra/public", **more: Any) -> Decision:
    """What the proxy of a Gateway does with a request."""
    _, proxies = built.topology.proxies_of(*gateway.split("/"))
    return choose(proxies[0], port, Request(host=host, path=path, **more))


def clusters(decision: Decision) -> list[str]:
    """Names of the clusters of a decision."""
    return [one.cluster for one in decision.clusters]


def outcome(decision: Decision) -> tuple[str, int]:
    """Outcome and status."""
    return decision.outcome.value, decision.status
