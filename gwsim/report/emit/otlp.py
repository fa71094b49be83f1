"""Spans of sampled requests as OTLP JSON: one of the client, one of the gateway within it, with where the time went.

Names and attributes of the gateway's span are Envoy's (source/common/tracing/http_tracer_impl.cc); `gwsim.*` are the
components of the request's time in milliseconds, which sum to the client's span.
"""

from __future__ import annotations

import json
from typing import Any

from gwsim.engine.codes import Component
from gwsim.report.emit import Wanted
from gwsim.report.emit.records import Sampled, identity, sampled
from gwsim.results.results import Results
from gwsim.scenario.fleets import SIDECAR

KIND_SERVER, KIND_CLIENT = 2, 3
ERROR = 2


def render(results: Results, wanted: Wanted) -> str:
    """An ExportTraceServiceRequest (or TracesData: they have the same fields), one resource for every client and gateway."""
    by_service: dict[str, list[dict[str, Any]]] = {}
    for one in sampled(results, wanted):
        by_service.setdefault(one.label.client, []).append(_client(one, wanted))
        if not one.label.tcp:  # What hands bytes on has no spans.
            by_service.setdefault(_service(one.label.gateway), []).append(_gateway(one, wanted))
    return json.dumps({"resourceSpans": [_resource(name, spans) for name, spans in by_service.items()]}, indent=1) + "\n"


def _service(gateway: str) -> str:
    """Istio's service name of a workload: `name.namespace`."""
    parts = gateway.split("/")
    return ".".join(reversed(parts[-2:]))


def _resource(name: str, spans: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "resource": {"attributes": _attributes({"service.name": name})},
        "scopeSpans": [{"scope": {"name": "gwsim"}, "spans": spans}],
    }


def _span(one: Sampled, wanted: Wanted, role: str, name: str, kind: int, times: tuple[int, int], more: dict[str, Any]) -> dict[str, Any]:
    base = int(wanted.began_s * 1e9)
    made = {
        "traceId": one.request_id, "spanId": identity(f"{one.request_id}/{role}")[:16], "name": name, "kind": kind,
        "startTimeUnixNano": str(base + times[0]), "endTimeUnixNano": str(base + times[1]), "attributes": _attributes(more),
    }
    return made | ({"status": {"code": ERROR}} if _failed(one) else {})


def _failed(one: Sampled) -> bool:
    return one.values["status"] == 0 or one.values["status"] >= 500


def _client(one: Sampled, wanted: Wanted) -> dict[str, Any]:
    values = one.values
    spent = {f"gwsim.{c.name.lower()}_ms": values[f"{c.name.lower()}_ns"] * 1e-6 for c in Component if values[f"{c.name.lower()}_ns"]}
    more = {"http.status_code": str(values["status"]), "gwsim.attempts": values["client_attempts"], **spent}
    return _span(one, wanted, "client", one.label.shape if one.label.tcp else f"{one.label.method} {one.label.path}", KIND_CLIENT, (values["start_ns"], values["end_ns"]), more)


def _gateway(one: Sampled, wanted: Wanted) -> dict[str, Any]:
    values, label = one.values, one.label
    port = one.cluster.split("|")[1] if one.cluster.count("|") == 3 else ""
    name = f"{one.host}:{port}/*" if one.host else label.host
    more = {
        "component": "proxy", "node_id": f"{'sidecar' if label.gateway.startswith(SIDECAR + ' ') else 'router'}~{one.pod}", "guid:x-request-id": one.request_id, "http.method": label.method,
        "http.url": f"{'https' if label.tls else 'http'}://{label.host}{label.path}", "http.protocol": "HTTP/2" if label.http == 2 else "HTTP/1.1",
        "http.status_code": str(values["status"]), "response_flags": one.flags, "upstream_cluster": one.cluster, "upstream_cluster.name": one.cluster,
        "upstream_address": one.address, "request_size": str(values["request_bytes"]), "response_size": str(values["response_bytes"]),
        "gwsim.attempts": values["gateway_attempts"], "gwsim.upstream_ms": values["upstream_ns"] * 1e-6,
    }
    span = _span(one, wanted, "gateway", name, KIND_SERVER, (values["gw_start_ns"], values["gw_end_ns"]), more)
    return span | {"parentSpanId": identity(f"{one.request_id}/client")[:16]}


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    def typed(value: Any) -> dict[str, Any]:
        if isinstance(value, str):
            return {"stringValue": value}
        return {"intValue": str(value)} if isinstance(value, int) else {"doubleValue": value}

    return [{"key": key, "value": typed(value)} for key, value in values.items() if value != ""]


__all__ = ["render"]
