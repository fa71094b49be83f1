"""Istio's port protocols: what a Service port speaks and what a gateway's server is.

Sources: istio/istio pkg/config/kube/conversion.go, pkg/config/protocol/instance.go,
pilot/pkg/networking/core/cluster_builder.go `setUpstreamProtocol`.
"""

from __future__ import annotations

from typing import Literal

_APP_PROTOCOLS = {"kubernetes.io/h2c": "HTTP2", "kubernetes.io/ws": "HTTP", "kubernetes.io/wss": "HTTPS"}
_NAMES = {
    "tcp": "TCP", "udp": "UDP", "grpc": "GRPC", "grpc-web": "GRPC-Web", "http": "HTTP", "http_proxy": "HTTP_PROXY",
    "http2": "HTTP2", "https": "HTTPS", "tls": "TLS", "mongo": "Mongo", "redis": "Redis", "mysql": "MySQL",
}  # fmt: skip
HTTP_FAMILY = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-Web", "HTTP_PROXY"})
HTTP2_FAMILY = frozenset({"HTTP2", "GRPC", "GRPC-Web"})
PLAIN_TCP = frozenset({"TCP", "Mongo", "Redis", "MySQL"})


def parse(text: str | None) -> str:
    """A protocol word as Istio reads it, without regard to case; `Unsupported` for all others."""
    return _NAMES.get((text or "").lower(), "Unsupported")


def of_service_port(name: str | None, app_protocol: str | None, transport: str = "TCP") -> str:
    """Protocol of a Kubernetes Service port: `appProtocol` first, then the name up to its first dash."""
    if transport == "UDP":
        return "UDP"
    if app_protocol:
        found = _APP_PROTOCOLS.get(app_protocol.lower()) or parse(app_protocol)
        if found != "Unsupported":
            return found
    text = (name or "").lower()
    if text == "grpc-web" or text.startswith("grpc-web-"):
        return "GRPC-Web"
    return parse(text.partition("-")[0])


def upstream_http(protocol: str) -> Literal[1, 2]:
    """HTTP version a gateway speaks to a port of that protocol when nothing overrides it."""
    return 2 if protocol in HTTP2_FAMILY else 1
