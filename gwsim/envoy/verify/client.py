"""One request at a time to a real Envoy, said exactly as a case says it, over HTTP/1.1 or HTTP/2, plain or TLS."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any

from gwsim.envoy.certificates import KeyPair

TIMEOUT_S = 15.0
REMOTE = "100.66.77.88"
"""The client's address where a request names none: of a range kept for carriers, which policies rarely name."""
DESTINATION = "198.51.100.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A request and its connection. `destination` and `remote` are what the PROXY header says; headers in order."""

    method: str
    host: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    http: int = 1
    version: str = "1.1"
    tls: bool = False
    sni: str = ""
    alpn: tuple[str, ...] = ()
    certificate: KeyPair | None = None
    remote: str = REMOTE
    destination: tuple[str, int] = (DESTINATION, 80)
    raw: bool = False
    """Bytes that are not HTTP."""


@dataclass(slots=True)
class Seen:
    """What came back: a status, or that the connection was refused or ended."""

    rejected: str = ""
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """All values of a header joined with commas; None where there is none."""
        values = [value for key, value in self.headers if key == name]
        return ",".join(values) if values else None


def ask(port: int, asking: Asking, *, timeout_s: float = TIMEOUT_S) -> Seen:
    """Send it to a port of loopback and read the answer."""
    try:
        with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=timeout_s)) as sock:
            sock.sendall(proxy_header(asking))
            stream: socket.socket = _encrypted(sock, asking) if asking.tls else sock
            return _http2(stream, asking) if asking.http == 2 else _http1(stream, asking)
    except (ssl.SSLError, ConnectionError) as error:
        return Seen(rejected=f"{type(error).__name__}: {error}")
    except TimeoutError:
        return Seen(rejected="no answer in time")


def proxy_header(asking: Asking) -> bytes:
    """Version 1 of the PROXY protocol: the addresses that filters are to see."""
    remote, destination = asking.remote, asking.destination[0]
    kinds = {ipaddress.ip_address(one).version for one in (remote, destination)}
    if kinds == {4, 6}:
        destination = "2001:db8::1" if ipaddress.ip_address(remote).version == 6 else DESTINATION
    kind = "TCP6" if ipaddress.ip_address(remote).version == 6 else "TCP4"
    return f"PROXY {kind} {remote} {destination} 40000 {asking.destination[1]}\r\n".encode()


def _encrypted(sock: socket.socket, asking: Asking) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    offered = asking.alpn or (("h2",) if asking.http == 2 else ("http/1.1",))
    context.set_alpn_protocols([one for one in offered if one])
    if asking.certificate is not None:
        context.load_cert_chain(str(asking.certificate.certificate), str(asking.certificate.key))
    return context.wrap_socket(sock, server_hostname=asking.sni or None)


def _http1(sock: socket.socket, asking: Asking) -> Seen:
    if asking.raw:
        sock.sendall(b"\x00\x01\x02 not http\r\n\r\n")
    else:
        lines = [f"{asking.method} {asking.path} HTTP/{asking.version}", f"host: {asking.host}"]
        lines += [f"{name}: {value}" for name, value in asking.headers]
        if asking.method in ("POST", "PUT", "PATCH"):
            lines.append("content-length: 0")
        sock.sendall("\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1", "replace"))
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part:
            return Seen(rejected="closed without an answer")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0].startswith("HTTP/"):
        return Seen(rejected="an answer that is not HTTP")
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
    status = int(lines[0].split(" ")[1])
    return Seen(status=status, headers=headers, body=_body(sock, dict(headers), body, asking.method, status))


def _body(sock: socket.socket, headers: dict[str, str], body: bytes, method: str, status: int) -> bytes:
    if method == "HEAD" or status in (204, 304):
        return b""
    length = int(headers["content-length"]) if "content-length" in headers else None
    while length is None or len(body) < length:
        part = sock.recv(65536)
        if not part:
            break
        body += part
    return _unchunked(body) if headers.get("transfer-encoding") == "chunked" else body


def _unchunked(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        count = int(size.split(b";")[0] or b"0", 16)
        if not count:
            break
        body, data = body + data[:count], data[count + 2 :]
    return body


def _http2(sock: socket.socket, asking: Asking) -> Seen:
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.exceptions import ProtocolError

    if isinstance(sock, ssl.SSLSocket) and sock.selected_alpn_protocol() not in (None, "h2"):
        return Seen(rejected="HTTP/2 was not agreed on")
    config = H2Configuration(header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False)
    connection: Any = H2Connection(config)
    connection.initiate_connection()
    number = connection.get_next_available_stream_id()
    scheme = "https" if asking.tls else "http"
    own = [(":method", asking.method), (":scheme", scheme), (":authority", asking.host), (":path", asking.path)]
    connection.send_headers(number, own + [(name.lower(), value) for name, value in asking.headers], end_stream=not _grpc(asking))
    if _grpc(asking):
        connection.send_data(number, b"\x00\x00\x00\x00\x00", end_stream=True)
    sock.sendall(connection.data_to_send())
    seen = Seen()
    while True:
        data = sock.recv(65536)
        if not data:
            return seen if seen.status else Seen(rejected="closed without an answer")
        try:
            events = connection.receive_data(data)
        except ProtocolError as error:
            return Seen(rejected=f"not HTTP/2: {error}")
        for event in events:
            kind = type(event).__name__
            if kind in ("ResponseReceived", "TrailersReceived"):
                headers = [(str(name), str(value)) for name, value in event.headers]
                seen.status = int(dict(headers).get(":status", seen.status))
                seen.headers += [one for one in headers if not one[0].startswith(":")]
            elif kind == "DataReceived":
                seen.body += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif kind == "StreamReset":
                return Seen(rejected=f"stream reset ({event.error_code})")
            elif kind == "StreamEnded":
                return seen
        sock.sendall(connection.data_to_send())


def _grpc(asking: Asking) -> bool:
    return any(name.lower() == "content-type" and value.startswith("application/grpc") for name, value in asking.headers)


__all__ = ["REMOTE", "Asking", "Seen", "ask", "proxy_header"]
