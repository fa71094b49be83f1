"""What is measured: a listener of the gateway for each thing, and how its slices are driven."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gwsim.envoy.certificates import KeyPair

Json = dict[str, Any]

BASE, TWIN = "base", "twin"
"""Plain HTTP/1.1 proxied on kept connections; and the same again, whose difference is the detection limit."""
BODY_BYTES = 16384
BODY_PATH, SMALL_PATH, LOOP_PATH = "/body", "/", "/loop"
"""The last is for what the load generator answers itself."""
_HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER: Json = {"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One row of the calibration.

    `drive`: kept connections, a new one for every request, or HTTP/2 streams in flight together. `against`: the subject
    whose cost is taken off.
    """

    name: str
    title: str
    against: str = BASE
    drive: Literal["kept", "new", "http2"] = "kept"
    kind: Literal["proxy", "direct", "tcp"] = "proxy"
    certificate: str = ""
    resume: bool = False
    path: str = SMALL_PATH
    cluster: str = "backend"
    filters: tuple[Mapping[str, Any], ...] = ()
    handshake: bool = False
    """A row of its own kind: it scatters less from run to run."""
    spec: str = ""
    """Filters: its name in the cost profile, with its count."""


SUBJECTS: tuple[Subject, ...] = (
    Subject(name=BASE, title="HTTP/1.1 proxied, connections kept", against=""),
    Subject(name=TWIN, title="the same again (A/A)"),
    Subject(name="direct", title="answered by the gateway itself", kind="direct"),
    Subject(name="body", title=f"a response of {BODY_BYTES // 1024} KiB", path=BODY_PATH),
    Subject(name="new", title="a new connection for every request", drive="new"),
    Subject(name="tls_kept", title="TLS on kept connections", certificate="p256"),
    Subject(name="p256", title="TLS 1.3 handshake, P-256", drive="new", certificate="p256", against="new", handshake=True),
    Subject(name="rsa2048", title="TLS 1.3 handshake, RSA-2048", drive="new", certificate="rsa2048", against="new", handshake=True),
    Subject(name="rsa4096", title="TLS 1.3 handshake, RSA-4096", drive="new", certificate="rsa4096", against="new", handshake=True),
    Subject(name="resumed", title="TLS 1.3 handshake, resumed", drive="new", certificate="rsa2048", resume=True, against="new", handshake=True),
    Subject(name="http2_in", title="HTTP/2 in, HTTP/1.1 out", drive="http2"),
    Subject(name="http2_both", title="HTTP/2 in and out", drive="http2", cluster="backend2", against="http2_in"),
    Subject(name="tcp", title="TCP proxy, connections kept", kind="tcp", against=""),
)


def filter_subject(name: str, title: str, filters: Iterable[Mapping[str, Any]], spec: str) -> Subject:
    """A subject for a filter of the user's own."""
    return Subject(name=name, title=title, filters=tuple(filters), spec=spec)


# --- Envoy's configuration -------------------------------------------------------------------------------------


def gateway(subjects: Iterable[Subject], ports: Mapping[str, int], backends: tuple[int, int, int], keys: Mapping[str, KeyPair], admin: int) -> Json:
    """The gateway's bootstrap: a listener a subject. `backends`: ports of HTTP/1.1, HTTP/2, and the load generator's own."""
    clusters = [_cluster("backend", backends[0], http2=False), _cluster("backend2", backends[1], http2=True), _cluster("loop", backends[2], http2=False)]
    return _bootstrap([_listener(one, ports[one.name], keys) for one in subjects], clusters, admin)


def backend(ports: tuple[int, int], admin: int) -> Json:
    """The backend's bootstrap: it answers at once, over HTTP/1.1 on one port and HTTP/2 on the other."""
    routes: list[Json] = [
        {"match": {"path": BODY_PATH}, "direct_response": {"status": 200, "body": {"inline_string": "x" * BODY_BYTES}}},
        {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}},
    ]
    listeners = [
        _plain_listener(f"answer{n}", port, _manager(f"answer{n}", routes, codec="HTTP2" if n else "HTTP1"))
        for n, port in enumerate(ports)
    ]  # fmt: skip
    return _bootstrap(listeners, [], admin)


def _bootstrap(listeners: list[Json], clusters: list[Json], admin: int) -> Json:
    return {
        "node": {"id": "calibrate", "cluster": "calibrate"},
        "admin": {"address": _address(admin)},
        # Statistics are flushed rarely, so that the flush falls into few slices.
        "stats_flush_interval": "60s",
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _listener(one: Subject, port: int, keys: Mapping[str, KeyPair]) -> Json:
    if one.kind == "tcp":
        tcp = {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": one.name, "cluster": one.cluster}
        return _plain_listener(one.name, port, {"name": "envoy.filters.network.tcp_proxy", "typed_config": tcp})
    answer: Json = {"route": {"cluster": one.cluster, "timeout": "30s"}}
    if one.kind == "direct":
        answer = {"direct_response": {"status": 200, "body": {"inline_string": "ok"}}}
    own: Json = {"match": {"path": LOOP_PATH}, "route": {"cluster": "loop", "timeout": "30s"}}
    routes: list[Json] = [own, {"match": {"prefix": "/"}, **answer}]
    made = _plain_listener(one.name, port, _manager(one.name, routes, codec="AUTO", filters=one.filters))
    if one.certificate:
        made["filter_chains"][0]["transport_socket"] = _tls(keys[one.certificate])
    return made


def _plain_listener(name: str, port: int, network_filter: Json) -> Json:
    return {"name": name, "address": _address(port), "filter_chains": [{"filters": [network_filter]}], "max_connections_to_accept_per_socket_event": 1}


def _manager(name: str, routes: list[Json], *, codec: str, filters: Iterable[Mapping[str, Any]] = ()) -> Json:
    config = {
        "@type": _HCM, "stat_prefix": name, "codec_type": codec,
        "route_config": {
            "name": name, "max_direct_response_body_size_bytes": 2 * BODY_BYTES,
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
        },
        "http_filters": [*filters, _ROUTER],
        "http2_protocol_options": {"max_concurrent_streams": 100},
    }  # fmt: skip
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


def _tls(pair: KeyPair) -> Json:
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [{"certificate_chain": {"filename": str(pair.certificate)}, "private_key": {"filename": str(pair.key)}}],
        },
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _cluster(name: str, port: int, *, http2: bool) -> Json:
    made: Json = {
        "name": name, "type": "STATIC", "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [{"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]},
    }
    if http2:
        made["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }}  # fmt: skip
    return made


def certificates(subjects: Iterable[Subject], folder: Path) -> dict[str, KeyPair]:
    """A certificate of every kind that the subjects ask for."""
    from gwsim.envoy.certificates import self_signed

    return {kind: self_signed(folder, kind, kind=kind) for kind in sorted({one.certificate for one in subjects} - {""})}


@dataclass(frozen=True, kw_only=True)
class OfUser:
    """Filters of the user's YAML: those that can be measured, and why others cannot."""

    subjects: tuple[Subject, ...] = ()
    left_out: tuple[str, ...] = field(default=())


__all__ = ["BASE", "BODY_BYTES", "BODY_PATH", "LOOP_PATH", "SMALL_PATH", "SUBJECTS", "TWIN", "OfUser", "Subject", "backend", "certificates", "filter_subject", "gateway"]
