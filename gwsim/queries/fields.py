"""The vocabulary of case files: every field with what it means. Reading, the schema and the documentation use it."""

from __future__ import annotations

from collections.abc import Mapping

from gwsim.topology import Outcome

SCHEMES = ("http", "https", "grpc", "tls", "tcp")
OUTCOMES = tuple(one.value for one in Outcome)

CASE: Mapping[str, str] = {
    "id": "unique name of the case in its file",
    "name": "what it shows, in words",
    "config": "files and folders of the configuration: only these are loaded",
    "gateway": "the proxy that is asked",
    "port": "port the proxy listens on; for a sidecar, the destination's port",
    "mesh_config": "overrides of MeshConfig",
    "request": "the request as its client makes it",
    "expect": "what should become of it",
    "assert_only": "compare only these paths (`expect.outcome`, ...)",
    "skip": "why a difference does not count for now",
    "istio_version": "the Istio minor version that serves it, before the one of the command",
    "istio_support": "`skipped` and `unsupported` do not count; `supported-at-head` asks the newest Istio known here",
    "area": "free text", "tags": "free text", "source": "where the expectation comes from", "note": "free text",
    "derived": "paths of the expectation that follow from the source", "validated": "free text",
}  # fmt: skip

GATEWAY: Mapping[str, str] = {
    "api": "`gateway.networking.k8s.io` (the default with a name) or `networking.istio.io`",
    "namespace": "namespace of the Gateway, or of the pods",
    "name": "name of the Gateway",
    "selector": "labels of the gateway's pods",
    "mesh": "true: a client with a sidecar",
    "labels": "labels of that client's pods",
}

REQUEST: Mapping[str, str] = {
    "scheme": "http, https, grpc, tls (an opaque TLS connection) or tcp",
    "host": "Host or :authority, with or without a port",
    "method": "GET unless given",
    "path": "path with its query",
    "headers": "names without regard to case; a list is several values",
    "sni": "server name of the client hello; the host unless given, '' for none",
    "alpn": "protocols offered in the client hello",
    "mtls": "whether the client has a certificate; false unless given",
    "destination": "sidecars: the service or address it connects to",
    "remote_ip": "the client's address",
    "backend_delay": "how long the backend takes for every attempt",
    "http_version": "1.0, 1.1, 2 or 3",
    "jwt": "{valid: true, claims: {...}} or {valid: false}",
}

EXPECT: Mapping[str, str] = {
    "outcome": ", ".join(OUTCOMES),
    "status": "HTTP status; 200 also stands for \"answered by the backend\"",
    "grpc_status": "what a gRPC client sees",
    "backends": "[{host, port, subset, weight}], weight in percent",
    "redirect": "{scheme, host, port, path} of the Location header, or {location}",
    "rewrite": "{path, host} at the backend, where changed",
    "request_headers": "at the backend; several values joined with commas",
    "absent_request_headers": "not at the backend",
    "response_headers": "at the client",
    "absent_response_headers": "not at the client",
    "body": "of an answer that the proxy gives itself",
    "mirrors": "[{host, port, subset, percent}]",
    "timeout": "of the route; 0s is none",
    "fault_delay": "delay put in on purpose",
    "upstream_tls": "whether the proxy starts TLS towards the backend",
    "upstream_sni": "server name it sends then",
    "reason": "why, in words; not compared",
    "route_name": "name of the route",
    "envoy": "{listener, route_config, virtual_host, cluster}; not compared",
}  # fmt: skip

SHAPES: Mapping[str, type] = {
    "status": int, "backends": list, "redirect": dict, "rewrite": dict, "request_headers": dict,
    "response_headers": dict, "absent_request_headers": list, "absent_response_headers": list, "mirrors": list,
}  # fmt: skip
"""What the values of an expectation must be."""
