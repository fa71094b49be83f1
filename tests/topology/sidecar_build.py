"""Short ways to a sidecar and what it does with a request."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from gwsim.diagnostics import Collector
from gwsim.resources import read_text
from gwsim.topology import Decision, Proxy, Request, choose
from gwsim.topology.from_istio import from_istio


def sidecar(*texts: str, namespace: str = "app", labels: Mapping[str, str] | None = None, **options: Any) -> Proxy:
    """The sidecar of a client workload under this configuration."""
    text = "\n---\n".join(textwrap.dedent(one) for one in texts)
    collector = Collector()
    resources = read_text(text, "config.yaml", collector=collector)
    assert not collector.errors, collector.errors
    return from_istio(resources, sidecars=[(namespace, labels or {})], **options).proxies[-1]


def ask(proxy: Proxy, url: str, **more: Any) -> Decision:
    """What becomes of `scheme://host:port/path`; the client dials the host unless `destination` says otherwise."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host, _, port = authority.partition(":")
    number = int(port or {"http": 80, "https": 443, "grpc": 80}[scheme])
    return choose(proxy, number, Request(scheme=scheme, host=host, path=slash + path or "/", **more), explain=True)  # type: ignore[arg-type]


def to(decision: Decision) -> list[str]:
    """Names of the clusters it may go to."""
    return [one.cluster for one in decision.clusters]


def service(name: str, ports: str, namespace: str = "app", more: str = "") -> str:
    """A Service; `ports` as `name:port, ...`."""
    written = ", ".join(f"{{name: {one.split(':')[0].strip()}, port: {one.split(':')[1]}}}" for one in ports.split(","))
    return f"""
    apiVersion: v1
    kind: Service
    metadata: {{name: {name}, namespace: {namespace}}}
    spec: {{selector: {{app: {name}}}, ports: [{written}]{", " + more if more else ""}}}
    """


def virtual_service(name: str, hosts: str, spec: str, namespace: str = "app", created: str = "", more: str = "") -> str:
    """A VirtualService bound to the mesh unless `more` says otherwise; `spec` is `http: [...]` and the like."""
    stamp = f', creationTimestamp: "{created}"' if created else ""
    body = textwrap.indent(textwrap.dedent(spec).strip(), "      ").lstrip()
    return f"""
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {{name: {name}, namespace: {namespace}{stamp}}}
    spec:
      hosts: {hosts}
      {more}
      {body}
    """


def entry(name: str, spec: str, namespace: str = "app") -> str:
    """A ServiceEntry."""
    return f"""
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {{name: {name}, namespace: {namespace}}}
    spec: {spec}
    """


def scope(spec: str, namespace: str = "app", name: str = "default") -> str:
    """A Sidecar."""
    return f"""
    apiVersion: networking.istio.io/v1
    kind: Sidecar
    metadata: {{name: {name}, namespace: {namespace}}}
    spec: {spec}
    """
