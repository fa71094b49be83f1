"""The backends' process: every port speaks whatever it is spoken to in (TLS, HTTP/1.1, HTTP/2, gRPC, a PROXY header).

An answer tells the endpoint (`x-gwsim-backend`) and, asked with `x-gwsim-echo`, the request as it arrived, as JSON.
`x-gwsim-delay: SECONDS` waits as long, `x-gwsim-answer: a=b&c=d` adds headers to the answer, `x-gwsim-status` is its status.
"""

from __future__ import annotations

import bisect
import json
import random
import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

Pairs = list[tuple[str, str]]


@dataclass(slots=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: Pairs

    def header(self, name: str) -> str:
        """A header's first value."""
        return next((value for key, value in self.headers if key == name), "")


@dataclass(slots=True)
class Answer:
    """What is sent back."""

    status: int
    headers: Pairs
    body: bytes


class Station:
    """Serves requests in the order of their arrival, `concurrency` at a time; a full queue is answered 503 at once."""

    def __init__(self, given: dict[str, Any], seed: int) -> None:
        self.given = given
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.turn = threading.Condition(self.lock)
        self.serving = 0
        self.next_ticket = self.now_serving = 0
        self.start = time.monotonic()

    def drawn(self) -> float:
        """A service time, seconds."""
        points = self.given["service_time"]
        p = self.random.random()
        at = min(max(bisect.bisect_right([q for q, _ in points], p), 1), len(points) - 1)
        (p0, v0), (p1, v1) = points[at - 1], points[at]
        return float(v0 if p1 <= p0 else v0 + (v1 - v0) * (p - p0) / (p1 - p0))

    def serve(self) -> int:
        """Wait for one's turn and for the service; gives the status."""
        concurrency, queue = self.given["concurrency"], self.given["queue"]
        with self.turn:
            service_s = self.drawn()
            status = self._status()
            if concurrency is not None:
                waiting = self.next_ticket - self.now_serving
                if queue is not None and self.serving >= concurrency and waiting >= queue:
                    return 503
                mine = self.next_ticket
                self.next_ticket += 1
                while self.now_serving != mine or self.serving >= concurrency:
                    self.turn.wait()
                self.now_serving += 1
            self.serving += 1
            self.turn.notify_all()
        if service_s > 0:
            time.sleep(service_s)
        with self.turn:
            self.serving -= 1
            self.turn.notify_all()
        return status

    def _status(self) -> int:
        since = time.monotonic() - self.start
        for start, end, status in self.given["failures"]:
            if start <= since < end:
                return int(status)
        p = self.random.random()
        for share, status in self.given["errors"]:
            if p < share:
                return int(status)
            p -= share
        return 200


@dataclass(slots=True)
class Port:
    """A listening port and what has arrived at it."""

    name: str
    station: Station
    context: ssl.SSLContext | None
    arrived: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, asked: Asked, version: str) -> Answer:
        """Serve a request."""
        with self.lock:
            self.arrived += 1
        status = self.station.serve()
        delay = asked.header("x-gwsim-delay")
        if delay:
            time.sleep(min(float(delay), 60.0))
        status = int(asked.header("x-gwsim-status") or status)
        headers = [("x-gwsim-backend", self.name), *parse_qsl(asked.header("x-gwsim-answer"), keep_blank_values=True)]
        body = b"ok"
        if asked.header("x-gwsim-echo"):
            told = {"backend": self.name, "version": version, "method": asked.method, "path": asked.path, "headers": asked.headers}
            body = json.dumps(told).encode()
        return Answer(status, headers, body)


class Buffered:
    """A connection and the bytes that have come and are not used yet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""

    def more(self) -> bool:
        """Read once; False at the end."""
        data = self.sock.recv(65536)
        self.data += data
        return bool(data)

    def until(self, end: bytes) -> bytes | None:
        """What comes before `end`, which is taken too."""
        while end not in self.data:
            if not self.more():
                return None
        head, _, self.data = self.data.partition(end)
        return head

    def take(self, count: int) -> bytes | None:
        """So many bytes."""
        while len(self.data) < count:
            if not self.more():
                return None
        taken, self.data = self.data[:count], self.data[count:]
        return taken


def serve(sock: socket.socket, port: Port) -> None:
    """One connection, in whatever it speaks."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        _skip_proxy_header(sock)
        first = sock.recv(1, socket.MSG_PEEK)
        if first == b"\x16" and port.context is not None:
            sock = port.context.wrap_socket(sock, server_side=True)
        stream = Buffered(sock)
        while len(stream.data) < 3:
            if not stream.more():
                return
        if stream.data.startswith(b"PRI"):
            from gwsim.envoy.backends.streams import serve_http2

            serve_http2(stream, port)
        else:
            _serve_http1(stream, port)
    except (OSError, ValueError):
        pass
    finally:
        sock.close()


def _skip_proxy_header(sock: socket.socket) -> None:
    start = sock.recv(12, socket.MSG_PEEK)
    if start.startswith(b"PROXY "):
        line = b""
        while not line.endswith(b"\r\n"):
            line += sock.recv(1)
    elif start == b"\r\n\r\n\x00\r\nQUIT\n":
        head = sock.recv(16, socket.MSG_WAITALL)
        sock.recv(int.from_bytes(head[14:16], "big"), socket.MSG_WAITALL)


def _serve_http1(stream: Buffered, port: Port) -> None:
    while True:
        head = stream.until(b"\r\n\r\n")
        if head is None:
            return
        lines = head.decode("latin-1").split("\r\n")
        method, path, version = lines[0].split(" ", 2)
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        asked = Asked(method, path, headers)
        if not _skip_body(stream, asked):
            return
        made = port.answer(asked, version)
        text = f"HTTP/1.1 {made.status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in made.headers)
        body = b"" if method == "HEAD" else made.body
        stream.sock.sendall(f"{text}content-length: {len(made.body)}\r\n\r\n".encode("latin-1") + body)


def _skip_body(stream: Buffered, asked: Asked) -> bool:
    if asked.header("transfer-encoding").lower() == "chunked":
        while True:
            line = stream.until(b"\r\n")
            if line is None:
                return False
            size = int(line.split(b";")[0], 16)
            if stream.take(size + 2) is None:
                return False
            if size == 0:
                return True
    length = asked.header("content-length")
    return not length or stream.take(int(length)) is not None


# --- the process ---------------------------------------------------------------------------------------------------


def main() -> None:
    """Read what to do from standard input, a JSON object a line; end with it."""
    given = json.loads(sys.stdin.readline())
    context = None
    if given["pair"] is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given["pair"]["certificate"], given["pair"]["key"])
        context.set_alpn_protocols(["h2", "http/1.1"])
    stations = [Station(one, given["seed"] * 1000 + at) for at, one in enumerate(given["stations"])]
    ports: list[Port] = []
    listening: list[socket.socket] = []
    for one in given["endpoints"]:
        port = Port(one["name"], stations[one["station"]], context)
        sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
        ports.append(port)
        listening.append(sock)
    threading.Thread(target=_accept_all, args=(listening, ports), daemon=True).start()
    _say({"ports": [one.getsockname()[1] for one in listening]})
    for line in sys.stdin:
        what = json.loads(line)["do"]
        if what == "reset":
            for port in ports:
                port.arrived = 0
            for station in stations:
                station.start = time.monotonic()
            _say({})
        else:
            _say({port.name: port.arrived for port in ports})


def _accept_all(listening: list[socket.socket], ports: list[Port]) -> None:
    import selectors

    selector = selectors.DefaultSelector()
    for sock, port in zip(listening, ports, strict=True):
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ, port)
    while True:
        for key, _ in selector.select():
            try:
                peer, _address = key.fileobj.accept()  # type: ignore[union-attr]
            except OSError:
                continue
            peer.setblocking(True)
            threading.Thread(target=serve, args=(peer, key.data), daemon=True).start()


def _say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
