"""Access logs of Envoy and Istio, read in full: who asked for what, how large, how long, over which connection.

Three forms: Istio's default text, Envoy's default text, and Istio's JSON. Other lines (a proxy's own messages stand
between them in `kubectl logs`) are counted and left out.
Sources: istio/istio pilot/pkg/model/telemetry_logging.go; envoyproxy/envoy source/common/formatter/substitution_format_utility.cc.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gwsim.scenario.replay import time_of

_TOKEN = re.compile(r'\[[^\]]*\]|"[^"]*"|\S+')
_COMMON = ("time", "request", "response_code", "response_flags")
_SIZES = ("bytes_received", "bytes_sent", "duration", "upstream_service_time", "x_forwarded_for", "user_agent", "request_id", "authority", "upstream_host")
ENVOY_TEXT = (*_COMMON, *_SIZES)
"""The fields of Envoy's default text, in their order."""
ISTIO_TEXT = (
    *_COMMON, "response_code_details", "connection_termination_details", "upstream_transport_failure_reason", *_SIZES,
    "upstream_cluster", "upstream_local_address", "downstream_local_address", "downstream_remote_address",
    "requested_server_name", "route_name",
)  # fmt: skip
"""The fields of Istio's default text, in their order."""
_BY_COUNT = {len(ENVOY_TEXT): ENVOY_TEXT, len(ISTIO_TEXT): ISTIO_TEXT}
_TIMES = ("start_time", "time", "timestamp", "@timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of a log. Empty text and None: the log does not say."""

    time_s: float
    method: str
    path: str
    host: str
    http: str = ""
    """As logged: HTTP/1.1, HTTP/2, HTTP/3."""
    status: int = 0
    flags: str = ""
    details: str = ""
    received_bytes: int | None = None
    """Of the request's body."""
    sent_bytes: int | None = None
    """Of the response's body."""
    duration_s: float | None = None
    upstream_s: float | None = None
    """From the request's first byte sent upstream to the response's headers, as the upstream proxy filter has it."""
    cluster: str = ""
    remote: str = ""
    """Address and port of the client's connection."""
    sni: str = ""
    route: str = ""


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Requests in order of their start, and the numbers of the lines that hold none."""

    requests: tuple[Request, ...]
    skipped: tuple[int, ...]


def read(paths: Iterable[Path]) -> AccessLog:
    """The requests of one or more logs (one a gateway pod) as one. Raises OSError, and ValueError without any request."""
    requests: list[Request] = []
    skipped: list[int] = []
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
            if not line.strip():
                continue
            made = parse(line)
            if made is None:
                skipped.append(number)
            else:
                requests.append(made)
    if not requests:
        raise ValueError(f"none of {len(skipped)} lines is a request in Istio's or Envoy's default text, or in Istio's JSON")
    return AccessLog(tuple(sorted(requests, key=lambda one: one.time_s)), tuple(skipped))


def parse(line: str) -> Request | None:
    """The request of one line, or None."""
    text = line.strip()
    if text.startswith("{"):
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return _request(fields) if isinstance(fields, dict) else None
    start = text.find("[")
    tokens = _TOKEN.findall(text[start:]) if start >= 0 else []
    names = _BY_COUNT.get(len(tokens))
    if names is None or not tokens[1].startswith('"'):
        return None
    fields = {name: token.strip('"') for name, token in zip(names, tokens, strict=True)}
    method, _, rest = fields["request"].partition(" ")
    path, _, protocol = rest.rpartition(" ")
    return _request(fields | {"method": method, "path": path, "protocol": protocol, "time": tokens[0].strip("[]")})


def _request(fields: Mapping[str, Any]) -> Request | None:
    when = time_of(next((fields[name] for name in _TIMES if fields.get(name) not in (None, "")), None))
    if when is None:
        return None
    host = _text(fields, "authority") or _text(fields, ":authority")
    duration, upstream = _number(fields, "duration"), _number(fields, "upstream_service_time")
    received, sent = _number(fields, "bytes_received"), _number(fields, "bytes_sent")
    return Request(
        time_s=when, method=_text(fields, "method"), path=_text(fields, "path"), host=host.lower(),
        http=_text(fields, "protocol"), status=int(_number(fields, "response_code") or 0),
        flags=_text(fields, "response_flags"), details=_text(fields, "response_code_details"),
        received_bytes=None if received is None else int(received), sent_bytes=None if sent is None else int(sent),
        duration_s=None if duration is None else duration / 1e3, upstream_s=None if upstream is None else upstream / 1e3,
        cluster=_text(fields, "upstream_cluster"), remote=_text(fields, "downstream_remote_address"),
        sni=_text(fields, "requested_server_name"), route=_text(fields, "route_name"),
    )


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return "" if value in (None, "-") else str(value)


def _number(fields: Mapping[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if isinstance(value, bool) or value in (None, "", "-"):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < 1e18 else None


__all__ = ["ENVOY_TEXT", "ISTIO_TEXT", "AccessLog", "Request", "parse", "read"]
