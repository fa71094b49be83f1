"""The access log of the gateways, in Istio's default text format and in its JSON form, of sampled requests.

Source: istio pilot/pkg/model/telemetry_logging.go. Addresses of clients are made up (from the range for documentation);
what the model does not know (the gateway's own addresses) is `-`, as Envoy writes what it does not have.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from gwsim.report.emit import Wanted
from gwsim.report.emit.records import Sampled, sampled
from gwsim.results.results import Results

TEXT = (
    '[{start_time}] "{method} {path} {protocol}" {response_code} {response_flags} {response_code_details} '
    '{connection_termination_details} "{upstream_transport_failure_reason}" {bytes_received} {bytes_sent} {duration} '
    '{upstream_service_time} "{x_forwarded_for}" "{user_agent}" "{request_id}" "{authority}" "{upstream_host}" '
    "{upstream_cluster} {upstream_local_address} {downstream_local_address} {downstream_remote_address} "
    "{requested_server_name} {route_name}"
)
PORTS = (32768, 28232)
"""Where Linux takes client ports from: the first, and how many."""


def text(results: Results, wanted: Wanted) -> str:
    """One line a request."""
    rows = (fields(one, wanted) for one in sampled(results, wanted))
    return "".join(TEXT.format(**{name: "-" if value is None else value for name, value in row.items()}) + "\n" for row in rows)


def as_json(results: Results, wanted: Wanted) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(fields(one, wanted)) + "\n" for one in sampled(results, wanted))


def fields(one: Sampled, wanted: Wanted) -> dict[str, Any]:
    """The fields of a line, in the order of Istio's JSON form; None for what there is not. Of byte streams it is an exchange; gateways log connections."""
    values, label = one.values, one.label
    upstream_ms = values["upstream_ns"] // 1_000_000
    client = f"198.51.100.{values['slot'] % 254 + 1}"
    return {
        "start_time": moment(wanted.began_s, values["gw_start_ns"]),
        "route_name": label.route if label.route != "-" else None,
        "method": None if label.tcp else label.method,
        "path": None if label.tcp else label.path,
        "protocol": None if label.tcp else "HTTP/2" if label.http == 2 else "HTTP/1.1",
        "response_code": 0 if label.tcp else values["status"],
        "response_flags": one.flags,
        "response_code_details": one.details if one.details != "-" and not label.tcp else None,
        "connection_termination_details": None,
        "bytes_received": values["request_bytes"],
        "bytes_sent": values["response_bytes"],
        "duration": (values["gw_end_ns"] - values["gw_start_ns"]) // 1_000_000,
        "upstream_service_time": upstream_ms if one.details == "via_upstream" and not label.tcp else None,
        "x_forwarded_for": client,
        "user_agent": label.client,
        "request_id": "-".join((one.request_id[:8], one.request_id[8:12], one.request_id[12:16], one.request_id[16:20], one.request_id[20:])),
        "authority": label.host or None,
        "upstream_host": one.address or None,
        "upstream_cluster": one.cluster or None,
        "upstream_local_address": None,
        "downstream_local_address": None,
        "downstream_remote_address": f"{client}:{PORTS[0] + values['slot'] % PORTS[1]}",
        "requested_server_name": label.sni or None,
        "upstream_transport_failure_reason": None,
    }


def moment(began_s: float, ns: int) -> str:
    """A time as Envoy prints it, in UTC with milliseconds."""
    whole_ms = int(began_s * 1000) + ns // 1_000_000
    when = datetime.fromtimestamp(whole_ms // 1000, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{whole_ms % 1000:03d}Z"


__all__ = ["as_json", "fields", "moment", "text"]
