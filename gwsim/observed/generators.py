"""Reports of load generators: Fortio's JSON and Nighthawk's JSON, as clients.

What was sent is in such a report; what the gateway cost is not. Latencies are told, as something to hold a run against.
Sources: fortio/fortio periodic/periodic.go and fhttp/httprunner.go; envoyproxy/nighthawk api/client/options.proto, output.proto.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gwsim.observed.fragment import Imported
from gwsim.observed.traffic import DEFAULT_TARGET
from gwsim.units import format_duration_s

Json = Mapping[str, Any]
_QUANTILES = ("p50", "p90", "p99")


def is_fortio(document: Any) -> bool:
    """Whether this is a result of Fortio (or of something that writes its form)."""
    return isinstance(document, dict) and isinstance(document.get("DurationHistogram"), dict) and "NumThreads" in document


def is_nighthawk(document: Any) -> bool:
    """Whether this is an output of Nighthawk in its own JSON."""
    return isinstance(document, dict) and isinstance(document.get("options"), dict) and isinstance(document.get("results"), list)


@dataclass(slots=True)
class _Told:
    inferred: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


# --- Fortio ----------------------------------------------------------------------------------------------------


def fortio(document: Json, source: str, *, target: str = "") -> Imported:
    """The closed-loop client of a Fortio run. Raises ValueError when the report lacks what a client needs."""
    told = _Told()
    connections = _count(document.get("NumThreads"), "NumThreads")
    url = str(document.get("URL") or "")
    if not url:
        raise ValueError("it has no URL: only HTTP runs are read")
    client = _client(url, target, told, method="POST" if _number(document.get("PayloadSize") or _nested(document, "RunnerOptions", "PayloadSize")) else "GET")
    client["arrivals"] = {"closed": {"connections": connections, **_fortio_pacing(document, told)}}
    http2 = bool(document.get("H2") or _nested(document, "HTTPOptions", "H2"))
    client["connection"] = {"http": 2 if http2 else 1}
    calls = _number(_nested(document, "DurationHistogram", "Count")) or 0
    sockets = _number(document.get("SocketCount"))
    if sockets and calls and sockets > 1.5 * connections:
        client["connection"]["requests"] = max(1, round(calls / sockets))
        told.inferred.append(f"{sockets:.0f} sockets for {calls:.0f} calls: connections are closed after {client['connection']['requests']}")
    entry = client["mix"][0]
    body = _number(_nested(document, "Sizes", "Avg"))
    headers = _number(_nested(document, "HeaderSizes", "Avg")) or 0.0
    if body is not None:
        # Fortio counts the header in with the body.
        entry["response_size"] = f"{max(0, round(body - headers))}B"
    _fortio_told(document, calls, told)
    told.unknown.append("what the gateway and the backends took of the latency, and the gateway's CPU")
    return _imported(source, "Fortio result", client, told)


def _fortio_pacing(document: Json, told: _Told) -> dict[str, Any]:
    asked = str(document.get("RequestedQPS", "")).strip().lower()
    rate = _number(asked)
    if asked in ("", "max", "0", "-1") or rate is None or rate <= 0:
        told.inferred.append("as fast as answers came (no rate was asked for)")
        return {}
    pacing = "jittered" if document.get("Jitter") else "uniform" if document.get("Uniform") else "together"
    told.inferred.append(f"{rate:g} requests/s asked for, {_number(document.get('ActualQPS')) or 0:.4g} sent; connections fire {pacing}")
    return {"rate": f"{rate:g}rps", "pacing": pacing, "catch_up": not document.get("NoCatchUp", False)}


def _fortio_told(document: Json, calls: float, told: _Told) -> None:
    points = {f"p{one.get('Percentile'):g}": one.get("Value") for one in _nested(document, "DurationHistogram", "Percentiles") or [] if isinstance(one, dict)}
    found = {name: _number(points.get(name)) for name in _QUANTILES}
    shown = [f"{name} {format_duration_s(value)}" for name, value in found.items() if value is not None]
    if shown:
        told.inferred.append(f"client latency measured: {', '.join(shown)} (from the actual send, not the intended one)")
    codes = document.get("RetCodes")
    if isinstance(codes, dict):
        bad = sum(int(_number(n) or 0) for code, n in codes.items() if not str(code).startswith(("2", "3")))
        told.inferred.append(f"{bad} of {calls:.0f} calls were not answered with 2xx or 3xx")


# --- Nighthawk -------------------------------------------------------------------------------------------------


def nighthawk(document: Json, source: str, *, target: str = "") -> Imported:
    """The client of a Nighthawk run. Raises ValueError when the report lacks what a client needs."""
    told = _Told()
    options = document["options"]
    url = str(_nested(options, "uri") if isinstance(options.get("uri"), str) else _nested(options, "uri", "value") or "")
    if not url:
        targets = _nested(options, "multi_target", "endpoints")
        path = str(_value(_nested(options, "multi_target", "path")) or "/")
        first = targets[0] if isinstance(targets, list) and targets and isinstance(targets[0], dict) else {}
        url = f"http://{_value(first.get('address'))}:{_value(first.get('port'))}{path}" if first else ""
    if not url:
        raise ValueError("its options name neither a uri nor endpoints")
    workers = _workers(document, options)
    method = str(_nested(options, "request_options", "request_method") or "GET")
    client = _client(url, target, told, method=method if method != "METHOD_UNSPECIFIED" else "GET")
    connections = int(_number(_value(options.get("connections"))) or 100) * workers
    rate = (_number(_value(options.get("requests_per_second"))) or 5.0) * workers
    if _value(options.get("open_loop")) is True:
        client["arrivals"] = {"paced": f"{rate:g}rps"}
    else:
        client["arrivals"] = {"closed": {"connections": connections, "rate": f"{rate:g}rps", "pacing": "uniform", "catch_up": False}}
        told.assumed.append("Nighthawk leaves out a request when all connections are busy: slots are skipped, not caught up")
    told.inferred.append(f"{rate:g} requests/s over {connections} connections ({workers} workers)")
    if _number(_value(options.get("burst_size"))):
        told.assumed.append(f"bursts of {_value(options['burst_size'])} requests are spread evenly")
    http2 = _value(options.get("h2")) is True or str(_value(options.get("protocol"))).upper() == "HTTP2"
    client["connection"] = {"http": 2 if http2 else 1, "count": connections}
    limit = _number(_value(options.get("max_requests_per_connection")))
    if limit and limit < 2**31:
        client["connection"]["requests"] = int(limit)
    _nighthawk_told(document, client, told)
    told.unknown.append("what the gateway and the backends took of the latency, and the gateway's CPU")
    return _imported(source, "Nighthawk output", client, told)


def _workers(document: Json, options: Json) -> int:
    asked = _number(_value(options.get("concurrency")))
    if asked:
        return int(asked)
    return max(1, sum(1 for one in document["results"] if isinstance(one, dict) and one.get("name") != "global"))


def _nighthawk_told(document: Json, client: dict[str, Any], told: _Told) -> None:
    total = next((one for one in document["results"] if isinstance(one, dict) and one.get("name") == "global"), None)
    for one in (total or {}).get("statistics", []):
        name = str(one.get("id", ""))
        if name == "benchmark_http_client.request_to_response":
            points = {round(float(p.get("percentile", -1)), 3): p.get("duration") for p in one.get("percentiles", []) if isinstance(p, dict)}
            shown = [f"p{q * 100:g} {points[q]}" for q in (0.5, 0.9, 0.99) if points.get(q)]
            mean = one.get("mean")
            told.inferred.append(f"latency measured: mean {mean}{', ' if shown else ''}{', '.join(shown)}")
        elif name == "benchmark_http_client.response_body_size":
            size = _number(one.get("raw_mean"))
            if size is not None:
                client["mix"][0]["response_size"] = f"{round(size)}B"


# --- both ------------------------------------------------------------------------------------------------------


def _client(url: str, target: str, told: _Told, *, method: str) -> dict[str, Any]:
    parts = urlsplit(url if "//" in url else f"http://{url}")
    secured = parts.scheme == "https"
    if not target:
        target = f"{DEFAULT_TARGET}:{443 if secured else 80}"
        told.assumed.append(f"the target {target}; --target names another")
    host = parts.hostname or "localhost"
    made: dict[str, Any] = {"target": target}
    if secured:
        made["sni"] = host
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    made |= {"arrivals": {}, "connection": {}, "rtt": "0.2ms", "mix": [{"name": "request", "method": method, "host": host, "path": path}]}
    told.assumed.append("the generator stood beside the gateway: a round trip of 0.2 ms")
    return made


def _imported(source: str, kind: str, client: Mapping[str, Any], told: _Told) -> Imported:
    return Imported(
        source=source, kind=kind, clients={"generator": dict(client)},
        inferred=tuple(told.inferred), assumed=tuple(told.assumed), unknown=tuple(told.unknown),
    )


def _count(value: Any, name: str) -> int:
    number = _number(value)
    if number is None or number < 1:
        raise ValueError(f"{name} must be a number above 0, not {value!r}")
    return int(number)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _value(value: Any) -> Any:
    """A protobuf wrapper's value."""
    return value.get("value") if isinstance(value, dict) else value


def _nested(document: Any, *steps: str) -> Any:
    for step in steps:
        document = document.get(step) if isinstance(document, dict) else None
    return document




__all__ = ["fortio", "is_fortio", "is_nighthawk", "nighthawk"]
