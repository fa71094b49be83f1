"""What each visit of a proxy worker costs, in seconds, for one listener and cluster.

A worker is an event loop: CPU = visits + W per wake-up from sleep + I per iteration. A proxied HTTP/1.1
request makes four visits (read, write up, read up, write down); connections, handshakes and filters' own
calls add more. `visit_costs` resolves a profile into the floats the engines charge; every number's source is
in the profile (`docs/reference/costs.md` lists them all).

HTTP/2 visits cost their base once and a stream cost for each request they carry, so `*_stream_s` is 0 for
HTTP/1.1. What a filter or Istio's own filters cost per request is in the stream cost of an HTTP/2 visit and in
the visit's cost for HTTP/1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

from gwsim.costs.profile import CostProfile, Visit, did_you_mean
from gwsim.errors import UsageError

CERTIFICATES = ("rsa2048", "rsa3072", "rsa4096", "p256", "p384")
"""Kinds of certificate key the profile prices."""

TlsVersion = Literal["1.2", "1.3"]
UpstreamTls = Literal["simple", "mutual", "istio_mutual"]


@dataclass(frozen=True, slots=True)
class VisitCosts:
    """CPU of each visit in seconds, round trips and bytes of handshakes. Times are of one worker's CPU."""

    wakeup_s: float
    """W: a wake-up from sleep."""
    iteration_s: float
    """I: one turn of the event loop."""

    accept_s: float
    """One accept, without TLS."""
    close_s: float
    """Reading a FIN or RST and destroying the connection, either side."""
    timer_s: float
    """A timeout or back-off expiry."""
    tls_inspector_s: float
    """Parsing a ClientHello to choose a filter chain; part of no other field. Charge it with SNI matching."""

    client_hello_full_s: float
    client_hello_resumed_s: float
    finished_full_s: float
    """With mutual TLS this holds the check of the client's certificate."""
    finished_resumed_s: float

    read_s: float
    read_stream_s: float
    read_byte_s: float
    """Per byte of request body."""
    write_up_s: float
    write_up_stream_s: float
    write_up_byte_s: float
    read_up_s: float
    """End-of-stream work (statistics, access log) falls here."""
    read_up_stream_s: float
    read_up_byte_s: float
    """Per byte of response body."""
    write_down_s: float
    write_down_stream_s: float
    write_down_byte_s: float

    call_write_s: float
    """A filter's own call (ext_authz, rate limit service, mirror): the armed write."""
    call_read_s: float
    """The read of its answer."""

    up_connected_s: float
    """Opening an upstream connection: connect, attach and, with TLS, writing the ClientHello."""
    up_tls_s: float
    """Client side of a full handshake: the visit that reads the server's flight; 0 without TLS."""
    up_tls_finished_s: float
    """TLS 1.2 full handshakes only: the second read."""
    up_tls_resumed_s: float
    up_tls_visits_full: int
    up_tls_visits_resumed: int

    tls_rtts_full: int
    """Downstream round trips before the first request byte, TCP's own not counted; 0 without TLS."""
    tls_rtts_resumed: int
    up_tls_rtts_full: int
    up_tls_rtts_resumed: int
    handshake_bytes_up: int
    """Client to gateway, full handshake; without a client certificate the server sends an intermediate too."""
    handshake_bytes_down: int
    resumed_bytes_up: int
    resumed_bytes_down: int


@dataclass(frozen=True, slots=True)
class Charge:
    """What a filter adds to one visit: seconds a request, and seconds a byte of body that visit reads."""

    visit: Visit
    seconds: float
    per_byte_s: float = 0.0


class Situation(TypedDict, total=False):
    """The keyword arguments of `visit_costs`."""

    downstream_http: int
    downstream_tls: TlsVersion | None
    certificate: str
    mutual: bool
    client_certificate: str | None
    upstream_http: int
    upstream_tls: UpstreamTls | None
    upstream_tls_version: TlsVersion
    upstream_certificate: str
    istio_filters: bool
    filters: Sequence[str]
    traced: float
    tcp: bool


def visit_costs(
    profile: CostProfile,
    *,
    downstream_http: int = 1,
    downstream_tls: TlsVersion | None = None,
    certificate: str = "rsa2048",
    mutual: bool = False,
    client_certificate: str | None = None,
    upstream_http: int = 1,
    upstream_tls: UpstreamTls | None = None,
    upstream_tls_version: TlsVersion = "1.3",
    upstream_certificate: str = "rsa2048",
    istio_filters: bool = True,
    filters: Sequence[str] = (),
    traced: float = 0.0,
    tcp: bool = False,
) -> VisitCosts:
    """The costs of a listener and a cluster.

    `certificate` is the gateway's, `client_certificate` what clients show with `mutual` (default: the same
    kind), `upstream_certificate` both sides' kind upstream (Istio's workload certificates are RSA-2048).
    `filters` are names below `filters` in the profile, with a count where they have one ("rbac:100").
    `traced` is the share of requests whose spans are exported (0: no tracing); every request is charged the mean.
    `tcp` prices TCP proxying: no HTTP, no HTTP filters; a TCP connection's statistics fall in `close_s`.
    Raises UsageError for an unknown protocol, certificate or filter.
    """
    _check(downstream_http, upstream_http, downstream_tls, upstream_tls, upstream_tls_version)
    if tcp and filters:
        raise UsageError("TCP proxying runs no HTTP filters: give filters or tcp, not both")
    secured_down, secured_up = downstream_tls is not None, upstream_tls is not None
    if tcp:
        exchange = _tcp_exchange(profile, secured_down, secured_up)
    else:
        exchange = _http_exchange(profile, (downstream_http, upstream_http), secured_down, secured_up)
        charges = istio_charges(profile) if istio_filters else ()
        _add_charges(exchange, (downstream_http, upstream_http), (*charges, *tracing_charges(profile, traced)))
        _add_charges(exchange, (downstream_http, upstream_http), [one for spec in filters for one in filter_charges(profile, spec)])
    # Both connections of a TCP proxy close; its statistics are reported once.
    closing = profile.si("istio_filters.tcp_connection_us") / 2 if tcp and istio_filters else 0.0
    handshakes: dict[str, Any] = {
        **_downstream(profile, downstream_tls, certificate, mutual, client_certificate),
        **_upstream(profile, upstream_tls, upstream_tls_version, upstream_certificate),
    }
    return VisitCosts(
        wakeup_s=profile.si("worker.wakeup_us"),
        iteration_s=profile.si("worker.iteration_us"),
        accept_s=profile.si("connections.accept_us"),
        close_s=profile.si("connections.close_us") + closing,
        timer_s=profile.si("connections.timer_us"),
        call_write_s=profile.si("calls.write_us"),
        call_read_s=profile.si("calls.read_us"),
        **exchange,
        **handshakes,
    )


def filter_charges(profile: CostProfile, spec: str) -> tuple[Charge, ...]:
    """What one filter adds to which visit. `spec` is its name, or "name:count" for rules, calls, header operations.

    ext_authz, rate_limit_global and mirror also make a call: an armed write and a read more
    (`VisitCosts.call_write_s`, `call_read_s`), which the engine charges where they happen.
    Raises UsageError for an unknown filter or a count that is not a whole number.
    """
    name, _, count_text = spec.partition(":")
    parts = profile.below(f"filters.{name}")
    if not parts:
        known = {path.split(".")[0]: None for path in profile.below("filters")}
        raise UsageError(f"unknown filter {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}")
    if count_text and not count_text.isdecimal():
        raise UsageError(f"filter {spec!r}: the count after ':' must be a whole number")
    count = int(count_text) if count_text else 1
    charges = []
    for part, cost in parts.items():
        value = profile.si(f"filters.{name}.{part}")
        visit = cost.visit or Visit.READ
        if cost.unit == "ns_per_byte":
            charges.append(Charge(visit, 0.0, value))
        else:
            charges.append(Charge(visit, value * count if cost.unit == "us_per_item" else value))
    return tuple(charges)


def istio_charges(profile: CostProfile) -> tuple[Charge, ...]:
    """What the filters every Istio gateway runs add to a request: stats, metadata exchange, grpc_stats, alpn."""
    return tuple(
        Charge(cost.visit or Visit.READ, profile.si(f"istio_filters.{name}"))
        for name, cost in profile.below("istio_filters").items()
        if cost.visit in (Visit.READ, Visit.READ_UP)
    )


def tracing_charges(profile: CostProfile, share: float) -> tuple[Charge, ...]:
    """What tracing adds to a request on average when a `share` (0 to 1) of them is sampled: spans of those, the decision
    about the others. Nothing at 0: a proxy without a tracing provider decides nothing."""
    kinds = (("tracing_sampled", share), ("tracing_unsampled", 1.0 - share)) if share > 0.0 else ()
    return tuple(
        Charge(one.visit, one.seconds * part) for name, part in kinds if part > 0.0 for one in filter_charges(profile, name)
    )


def cpu_per_request(
    profile: CostProfile,
    *,
    wakeups: float = 2.0,
    iterations: float = 4.0,
    request_bytes: float = 0.0,
    response_bytes: float = 0.0,
    **situation: Unpack[Situation],
) -> float:
    """CPU seconds of one request on a warm connection, each HTTP/2 visit carrying one stream.

    A request alone on its worker costs 2 wake-ups and 4 iterations (the defaults: an upper bound); both are
    shared as load grows, and at saturation wake-ups are 0 and iterations a small fraction.
    """
    v = visit_costs(profile, **situation)
    down = v.read_s + v.read_stream_s + v.write_down_s + v.write_down_stream_s
    up = v.write_up_s + v.write_up_stream_s + v.read_up_s + v.read_up_stream_s
    moved = request_bytes * (v.read_byte_s + v.write_up_byte_s)
    moved += response_bytes * (v.read_up_byte_s + v.write_down_byte_s)
    calls = sum(spec.split(":")[0] in CALLING for spec in situation.get("filters", ()))
    called = calls * (v.call_write_s + v.call_read_s)
    return wakeups * v.wakeup_s + iterations * v.iteration_s + down + up + moved + called


CALLING = frozenset({"ext_authz", "rate_limit_global", "mirror"})
"""Filters that make a call of their own."""


def cpu_per_request_range(
    profile: CostProfile,
    *,
    wakeups: float = 2.0,
    iterations: float = 4.0,
    request_bytes: float = 0.0,
    response_bytes: float = 0.0,
    **situation: Unpack[Situation],
) -> tuple[float, float]:
    """Multipliers (low <= 1 <= high) on the CPU of a request, for printing uncalibrated answers as ranges.

    All costs at the low end of their ranges together, and all at the high end: an outer bound, because errors
    of one machine point the same way. A calibrated profile has the narrow ranges of its measurements.
    """
    low, middle, high = (
        cpu_per_request(
            one,
            wakeups=wakeups,
            iterations=iterations,
            request_bytes=request_bytes,
            response_bytes=response_bytes,
            **situation,
        )
        for one in (profile.at("low"), profile, profile.at("high"))
    )
    return (low / middle, high / middle) if middle > 0 else (1.0, 1.0)


def _http_exchange(
    profile: CostProfile, versions: tuple[int, int], secured_down: bool, secured_up: bool
) -> dict[str, Any]:
    """The four visits of a request, without filters: per visit, per stream, per byte of body."""
    record, record_byte = profile.si("tls.record_us"), profile.si("tls.record_ns_per_byte")
    costs: dict[str, Any] = {}
    for visit, kind, version, secured in (
        ("read", "read", versions[0], secured_down),
        ("write_up", "write", versions[1], secured_up),
        ("read_up", "read", versions[1], secured_up),
        ("write_down", "write", versions[0], secured_down),
    ):
        base = profile.si(f"http{version}.{visit}_us")
        costs[f"{visit}_s"] = base + (record if secured else 0.0)
        costs[f"{visit}_stream_s"] = profile.si(f"http2.{visit}_stream_us") if version == 2 else 0.0
        byte = profile.si(f"body.{kind}_ns_per_byte")
        costs[f"{visit}_byte_s"] = byte + (record_byte if secured else 0.0)
    return costs


def _tcp_exchange(profile: CostProfile, secured_down: bool, secured_up: bool) -> dict[str, Any]:
    """The same four visits when bytes are only copied."""
    record, record_byte = profile.si("tls.record_us"), profile.si("tls.record_ns_per_byte")
    costs: dict[str, Any] = {}
    for visit in ("read", "write_up", "read_up", "write_down"):
        secured = secured_up if visit.endswith("_up") else secured_down
        byte = profile.si(f"tcp.{'read' if visit.startswith('read') else 'write'}_ns_per_byte")
        costs[f"{visit}_s"] = profile.si(f"tcp.{visit}_us") + (record if secured else 0.0)
        costs[f"{visit}_stream_s"] = 0.0
        costs[f"{visit}_byte_s"] = byte + (record_byte if secured else 0.0)
    return costs


def _add_charges(exchange: dict[str, Any], versions: tuple[int, int], charges: Sequence[Charge]) -> None:
    """Add what filters cost a request to its visits, or to the stream costs of HTTP/2 visits."""
    for charge in charges:
        visit = str(charge.visit)
        version = versions[1] if visit.endswith("_up") else versions[0]
        exchange[f"{visit}_stream_s" if version == 2 else f"{visit}_s"] += charge.seconds
        exchange[f"{visit}_byte_s"] += charge.per_byte_s


def _downstream(
    profile: CostProfile, version: TlsVersion | None, certificate: str, mutual: bool, client: str | None
) -> dict[str, Any]:
    """Server side of the handshake: CPU of its two visits, round trips, bytes; all 0 without TLS."""
    if version is None:
        seconds = ("client_hello_full_s", "client_hello_resumed_s", "finished_full_s", "finished_resumed_s")
        counts = ("tls_rtts_full", "tls_rtts_resumed", "handshake_bytes_up", "handshake_bytes_down")
        counts_resumed = ("resumed_bytes_up", "resumed_bytes_down")
        zeros: dict[str, Any] = dict.fromkeys((*seconds, "tls_inspector_s"), 0.0)
        return zeros | dict.fromkeys((*counts, *counts_resumed), 0)
    for kind in (certificate, client or certificate):
        _check_certificate(kind)
    tls = f"tls{version.replace('.', '')}"
    full = profile.si(f"tls.handshake.{certificate}.{tls}_full_us")
    resumed = profile.si(f"tls.handshake.{tls}_resumed_us")
    hello_full, finished_full = _split(full, profile.si(f"tls.finished.{tls}_full_us"))
    hello_resumed, finished_resumed = _split(resumed, profile.si(f"tls.finished.{tls}_resumed_us"))
    extra = profile.si(f"tls.mutual_server.{client or certificate}_us") if mutual else 0.0
    extra_resumed = profile.si("tls.mutual_server.resumed_us") if mutual else 0.0
    bytes_up, bytes_down = _handshake_bytes(profile, certificate, mutual)
    return {
        "tls_inspector_s": profile.si("connections.tls_inspector_us"),
        "client_hello_full_s": hello_full,
        "client_hello_resumed_s": hello_resumed,
        "finished_full_s": finished_full + extra,
        "finished_resumed_s": finished_resumed + extra_resumed,
        "tls_rtts_full": round(profile.si(f"tls.round_trips.{tls}_full")),
        "tls_rtts_resumed": round(profile.si(f"tls.round_trips.{tls}_resumed")),
        "handshake_bytes_up": bytes_up,
        "handshake_bytes_down": bytes_down,
        "resumed_bytes_up": round(profile.si("tls.bytes.resumed_up")),
        "resumed_bytes_down": round(profile.si("tls.bytes.resumed_down")),
    }


def _split(total: float, finished: float) -> tuple[float, float]:
    """A handshake's CPU as (client_hello, finished); a total below the Finished share is all Finished."""
    return max(0.0, total - finished), min(total, finished)


def _handshake_bytes(profile: CostProfile, certificate: str, mutual: bool) -> tuple[int, int]:
    """Bytes up and down. Server-only handshakes carry a public chain's intermediate, mutual ones do not."""
    kind = "mutual" if mutual else "full"
    family = "rsa" if certificate.startswith("rsa") else "ecdsa"
    chain = 0.0 if mutual else profile.si(f"tls.bytes.intermediate_{family}")
    up = profile.si(f"tls.bytes.{certificate}.{kind}_up")
    return round(up), round(profile.si(f"tls.bytes.{certificate}.{kind}_down") + chain)


def _upstream(
    profile: CostProfile, mode: UpstreamTls | None, version: TlsVersion, certificate: str
) -> dict[str, Any]:
    """Opening an upstream connection: the connected visit and the client side of its handshake."""
    connected = profile.si("connections.up_connect_us") + profile.si("connections.up_attach_us")
    if mode is None:
        seconds = dict.fromkeys(("up_tls_s", "up_tls_finished_s", "up_tls_resumed_s"), 0.0)
        none = dict.fromkeys(("up_tls_visits_full", "up_tls_visits_resumed"), 0)
        rtts = dict.fromkeys(("up_tls_rtts_full", "up_tls_rtts_resumed"), 0)
        return {"up_connected_s": connected, **seconds, **none, **rtts}
    _check_certificate(certificate)
    old, tls = version == "1.2", f"tls{version.replace('.', '')}"
    ratio = profile.si("tls.client.tls12_ratio") if old else 1.0
    full = profile.si(f"tls.client.{certificate}.full_us") * ratio
    extra = 0.0 if mode == "simple" else profile.si(f"tls.client.{certificate}.mutual_extra_us")
    hello = profile.si("tls.client.hello_us")
    last = profile.si("tls.client.finished_us") if old else 0.0
    return {
        "up_connected_s": connected + hello,
        "up_tls_s": max(0.0, full - hello - last) + extra,
        "up_tls_finished_s": last,
        "up_tls_resumed_s": max(0.0, profile.si(f"tls.client.{tls}_resumed_us") - hello),
        "up_tls_visits_full": 2 if old else 1,
        "up_tls_visits_resumed": 1,
        "up_tls_rtts_full": round(profile.si(f"tls.round_trips.{tls}_full")),
        "up_tls_rtts_resumed": round(profile.si(f"tls.round_trips.{tls}_resumed")),
    }


def _check(downstream: int, upstream: int, down_tls: str | None, up_tls: str | None, up_version: str) -> None:
    for side, version in (("downstream_http", downstream), ("upstream_http", upstream)):
        if version not in (1, 2):
            raise UsageError(f"{side} must be 1 or 2, not {version!r} (HTTP/3 is not priced)")
    if down_tls not in (None, "1.2", "1.3"):
        raise UsageError(f'downstream_tls must be None, "1.2" or "1.3", not {down_tls!r}')
    if up_tls not in (None, "simple", "mutual", "istio_mutual"):
        raise UsageError(f'upstream_tls must be None, "simple", "mutual" or "istio_mutual", not {up_tls!r}')
    if up_version not in ("1.2", "1.3"):
        raise UsageError(f'upstream_tls_version must be "1.2" or "1.3", not {up_version!r}')


def _check_certificate(kind: str) -> None:
    if kind not in CERTIFICATES:
        hint = did_you_mean(kind, dict.fromkeys(CERTIFICATES))
        raise UsageError(f"unknown certificate {kind!r}{hint}; known: {', '.join(CERTIFICATES)}")
