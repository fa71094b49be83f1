"""What is sent where: the target, the requests, how connections are kept."""

from __future__ import annotations

import os
import resource
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np

from gwsim.envoy.load.schedule import Schedule

MOST_FILES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One kind of request."""

    method: str = "GET"
    host: str = "localhost"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def http1(self) -> bytes:
        """As HTTP/1.1 writes it."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"host: {self.host}", *(f"{name}: {value}" for name, value in self.headers)]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    def http2(self, scheme: str) -> list[tuple[str, str]]:
        """Its headers as HTTP/2 has them."""
        own = [(":method", self.method), (":scheme", scheme), (":authority", self.host), (":path", self.path)]
        return own + [(name.lower(), value) for name, value in self.headers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The client's side of TLS. The server's certificate is not checked: it is one of our own."""

    sni: str = ""
    version: Literal["1.2", "1.3"] | None = None
    offers_ticket: float = 0.0
    """Share of the connections that offer a session they have."""
    certificate: Path | None = None
    key: Path | None = None

    def context(self, http: int) -> ssl.SSLContext:
        """For connections of one run."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        made.set_alpn_protocols(["h2"] if http == 2 else ["http/1.1"])
        if self.version is not None:
            wanted = ssl.TLSVersion.TLSv1_2 if self.version == "1.2" else ssl.TLSVersion.TLSv1_3
            made.minimum_version = made.maximum_version = wanted
        if self.certificate is not None:
            made.load_cert_chain(str(self.certificate), None if self.key is None else str(self.key))
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where connections go."""

    port: int
    address: str = "127.0.0.1"
    http: Literal[1, 2] = 1
    tls: Tls | None = None


class Backend:
    """A port of loopback that the generator answers itself: a backend that takes microseconds, and never waits for the
    processor that the generator has. Requests have no bodies. A context manager."""

    def __init__(self, body: bytes = b"ok") -> None:
        self.answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        self.matched = np.full(descriptors(), -1, np.int64)
        """By descriptor of an accepted connection: how much of a request's end has come; -1: there is none."""
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._socket.setblocking(False)

    @property
    def port(self) -> int:
        """Where it is."""
        return int(self._socket.getsockname()[1])

    def fileno(self) -> int:
        """The listening descriptor."""
        return self._socket.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        for fd in np.flatnonzero(self.matched >= 0):
            os.close(int(fd))
        self.matched[:] = -1


def descriptors() -> int:
    """How many files this process may have open, within reason."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_FILES if files == resource.RLIM_INFINITY else min(files, MOST_FILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A run. `connections` are kept; each carries `per_connection` requests (0: any number), `streams` at a time.

    The least recently used connection with room is taken; with none, one more is opened. `warm`: all connections
    stand, handshakes done, before the first request is due. Values of response headers named in `capture` are kept.
    """

    target: Target
    requests: tuple[Request, ...]
    schedule: Schedule
    connections: int = 32
    per_connection: int = 0
    streams: int = 1
    warm: bool = True
    timeout_s: float = 30.0
    capture: tuple[str, ...] = ()
    seed: int = 0
    spin_s: float = 1e-4
    """The generator does not sleep when the next request is due within this."""
    backend: Backend | None = None
    """HTTP/1.1: also answer what comes there meanwhile, in the same loop."""


__all__ = ["Backend", "Load", "Request", "Target", "Tls", "descriptors"]
