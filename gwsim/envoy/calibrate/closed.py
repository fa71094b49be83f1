"""Closed-loop slices: as many requests as the gateway answers, on connections of the measuring thread itself."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from typing import Protocol

from gwsim.envoy.calibrate.subjects import Subject

CONNECTIONS = 8
STREAMS = 12
TIMEOUT_S = 5.0
_END = b"\r\n\r\n"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1


class Stuck(RuntimeError):
    """The gateway stopped answering, or refused."""


class Driver(Protocol):
    """Drives one subject."""

    def slice(self, seconds: float) -> int:
        """Requests answered in about that time; all are answered when it returns."""

    def close(self) -> None:
        """Close what is open."""


def driver(subject: Subject, port: int) -> Driver:
    """The driver of a subject."""
    if subject.drive == "http2":
        return Streams(port, subject.path)
    if subject.drive == "new":
        return Fresh(port, subject)
    return Kept(port, subject)


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: calibrate.example\r\nuser-agent: gwsim\r\naccept: */*\r\n\r\n".encode()


def _context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.set_alpn_protocols(["http/1.1"])
    return made


def _connect(port: int, context: ssl.SSLContext | None, session: ssl.SSLSession | None = None) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock if context is None else context.wrap_socket(sock, server_hostname="localhost", session=session)


def _length(data: bytes) -> int:
    """Length of the answer that begins there, 0 while its head is not whole. Raises Stuck when it is no success."""
    end = data.find(_END)
    if end < 0:
        return 0
    head = data[:end].lower()
    if head[9:10] != b"2":
        raise Stuck(f"answered {head[9:12].decode('latin-1')}")
    at = head.find(b"content-length:")
    return end + 4 + (int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0)


class Kept:
    """Connections that send their next request once the last was answered."""

    def __init__(self, port: int, subject: Subject) -> None:
        context = _context() if subject.certificate else None
        self._request = _request(subject.path)
        self._socks = {}
        self._poll = select.epoll()
        for _ in range(CONNECTIONS):
            sock = _connect(port, context)
            self._socks[sock.fileno()] = sock
            self._poll.register(sock.fileno(), select.EPOLLIN)
        self._data = dict.fromkeys(self._socks, b"")

    def slice(self, seconds: float) -> int:
        """Requests answered."""
        end = time.perf_counter() + seconds
        for sock in self._socks.values():
            sock.sendall(self._request)
        busy, done = len(self._socks), 0
        while busy:
            events = self._poll.poll(TIMEOUT_S)
            if not events:
                raise Stuck("no answer in time")
            goes_on = time.perf_counter() < end
            for fd, _ in events:
                if self._read(fd):
                    done += 1
                    if goes_on:
                        self._socks[fd].sendall(self._request)
                    else:
                        busy -= 1
        return done

    def _read(self, fd: int) -> bool:
        sock = self._socks[fd]
        data = self._data[fd]
        while True:
            part = sock.recv(65536)
            if not part:
                raise Stuck("the connection was closed")
            data += part
            length = _length(data)
            if length and len(data) >= length:
                self._data[fd] = data[length:]
                return True
            if not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
                self._data[fd] = data
                return False

    def close(self) -> None:
        """Close what is open."""
        for sock in self._socks.values():
            sock.close()
        self._poll.close()


class Fresh:
    """A new connection for every request, as many at a time as `Kept` has."""

    def __init__(self, port: int, subject: Subject) -> None:
        self._port = port
        self._context = _context() if subject.certificate else None
        self._request = _request(subject.path)
        self._resume = subject.resume
        self._session: ssl.SSLSession | None = None
        self._poll = select.epoll()
        self._open: dict[int, _Fresh] = {}
        if self._resume:
            with _connect(port, self._context) as sock:
                sock.sendall(self._request)
                while not _length(sock.recv(65536)):
                    pass
                assert isinstance(sock, ssl.SSLSocket)
                self._session = sock.session

    def slice(self, seconds: float) -> int:
        """Requests answered."""
        end, done = time.perf_counter() + seconds, 0
        for _ in range(CONNECTIONS):
            self._begin()
        while self._open:
            events = self._poll.poll(TIMEOUT_S)
            if not events:
                raise Stuck("no answer in time")
            for fd, _ in events:
                if self._step(self._open[fd]):
                    done += 1
                    if time.perf_counter() < end:
                        self._begin()
        return done

    def _begin(self) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect_ex(("127.0.0.1", self._port))
        self._open[sock.fileno()] = _Fresh(sock)
        self._poll.register(sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _step(self, one: _Fresh) -> bool:
        """Whatever can be done now; True once it was answered and closed."""
        if not one.ready and not self._shaken(one):
            return False
        try:
            part = one.sock.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        if not part:
            raise Stuck("the connection was closed")
        one.data += part
        length = _length(one.data)
        if not length or len(one.data) < length:
            return False
        fd = one.sock.fileno()
        self._poll.unregister(fd)
        del self._open[fd]
        one.sock.close()
        return True

    def _shaken(self, one: _Fresh) -> bool:
        """Whether the connection stands; the request is sent when it does."""
        sock, fd = one.sock, one.sock.fileno()
        if self._context is not None:
            if not isinstance(sock, ssl.SSLSocket):
                sock = one.sock = self._context.wrap_socket(
                    sock, server_hostname="localhost", do_handshake_on_connect=False, session=self._session
                )
            try:
                sock.do_handshake()
            except ssl.SSLWantReadError:
                self._poll.modify(fd, select.EPOLLIN)
                return False
            except ssl.SSLWantWriteError:
                return False
            if self._session is not None and not sock.session_reused:
                raise Stuck("the gateway does not resume sessions")
        one.ready = True
        self._poll.modify(fd, select.EPOLLIN)
        sock.sendall(self._request)
        return True

    def close(self) -> None:
        """Close what a failure left open."""
        for one in self._open.values():
            one.sock.close()
        self._poll.close()


class _Fresh:
    """A connection on its way."""

    __slots__ = ("data", "ready", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.ready, self.data = sock, False, b""


class Streams:
    """One HTTP/2 connection with a dozen requests in flight, sent together; frames are written and read by hand, for speed."""

    def __init__(self, port: int, path: str) -> None:
        self._sock = _connect(port, None)
        # :method GET and :scheme http are in the static table; path and authority are literals that are not kept.
        self._block = b"\x82\x86" + b"\x04" + _text(path) + b"\x01" + _text("calibrate.example")
        self._next = 1
        self._data = b""
        window = struct.pack(">I", 2**31 - 1 - 65535)
        self._sock.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + _frame(_WINDOW, 0, 0, window))

    def slice(self, seconds: float) -> int:
        """Requests answered."""
        end, done = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            out = b"".join(_frame(_HEADERS, _END_STREAM | _END_HEADERS, self._next + 2 * i, self._block) for i in range(STREAMS))
            self._next += 2 * STREAMS
            self._sock.sendall(out)
            left = STREAMS
            while left:
                left -= self._read()
            done += STREAMS
        return done

    def _read(self) -> int:
        """Streams that ended with what is read next."""
        part = self._sock.recv(65536)
        if not part:
            raise Stuck("the connection was closed")
        data, at, ended = self._data + part, 0, 0
        while len(data) - at >= 9:
            size = int.from_bytes(data[at : at + 3], "big")
            if len(data) - at < 9 + size:
                break
            kind, flags = data[at + 3], data[at + 4]
            ended += self._frame_read(kind, flags, data[at + 9 : at + 9 + size])
            at += 9 + size
        self._data = data[at:]
        return ended

    def _frame_read(self, kind: int, flags: int, payload: bytes) -> int:
        if kind == _SETTINGS and not flags & _ACK:
            self._sock.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._sock.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            raise Stuck("the gateway went away")
        elif kind == _HEADERS and payload[:1] != b"\x88":
            raise Stuck("answered other than 200")
        return int(kind in (_DATA, _HEADERS) and bool(flags & _END_STREAM))

    def close(self) -> None:
        """Close it."""
        self._sock.close()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _text(value: str) -> bytes:
    raw = value.encode()
    assert len(raw) < 127
    return bytes((len(raw),)) + raw


__all__ = ["CONNECTIONS", "STREAMS", "Driver", "Fresh", "Kept", "Streams", "Stuck", "driver"]
