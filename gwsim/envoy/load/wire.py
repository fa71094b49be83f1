"""A connection that never blocks: it connects, shakes hands, then moves bytes."""

from __future__ import annotations

import errno
import select
import socket
import ssl
from collections.abc import Callable

from gwsim.envoy.load.plan import Target
from gwsim.envoy.load.sent import CLOSED, REFUSED

CONNECTING, SHAKING, READY, LOST = range(4)
IN, OUT = select.EPOLLIN, select.EPOLLOUT
CHUNK = 1 << 16


class Wire:
    """The transport; `Http2` says what the bytes mean.

    `lost` is told with the connection and CLOSED or REFUSED once it has ended by itself.
    """

    __slots__ = (
        "_context", "_out", "_poll", "_session", "_sni", "fd", "lost", "number", "resumed", "sock", "state",
    )  # fmt: skip

    def __init__(
        self, target: Target, context: ssl.SSLContext | None, session: ssl.SSLSession | None, poll: select.epoll, number: int
    ) -> None:
        self.number = number
        self.resumed = False
        self.lost: Callable[[Wire, int, float], None] = _ignore
        self._context, self._session, self._poll = context, session, poll
        self._sni = target.tls.sni if target.tls is not None else ""
        self._out = bytearray()
        self.sock: socket.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fd = self.sock.fileno()
        self.state = CONNECTING
        code = self.sock.connect_ex((target.address, target.port))
        if code not in (0, errno.EINPROGRESS):
            self.sock.close()
            raise OSError(code, "cannot connect")
        poll.register(self.fd, IN | OUT)

    # --- what the protocols fill in ---

    def on_ready(self) -> None:
        """The handshakes are done."""

    def on_bytes(self, data: bytes, now: float) -> None:
        """Bytes came."""

    # --- the loop's side ---

    def handle(self, mask: int, now: float) -> None:
        """What epoll reported."""
        if self.state < READY and not self._open(now):
            return
        if self._out and mask & OUT:
            self._flush(now)
        if self.state == READY and mask & ~OUT:
            self._read(now)

    def _open(self, now: float) -> bool:
        if self.state == CONNECTING:
            if self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._end(REFUSED, now)
                return False
            if self._context is not None:
                self.sock = self._context.wrap_socket(
                    self.sock, server_hostname=self._sni or None, do_handshake_on_connect=False, session=self._session
                )
                self.state = SHAKING
        if self.state == SHAKING and not self._shake(now):
            return False
        self.state = READY
        self.on_ready()
        self._flush(now)
        return self.state == READY

    def _shake(self, now: float) -> bool:
        assert isinstance(self.sock, ssl.SSLSocket)
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            self._poll.modify(self.fd, IN)
            return False
        except ssl.SSLWantWriteError:
            self._poll.modify(self.fd, IN | OUT)
            return False
        except OSError:
            self._end(REFUSED, now)
            return False
        self.resumed = bool(self.sock.session_reused)
        return True

    def _read(self, now: float) -> None:
        while self.state == READY:
            try:
                data = self.sock.recv(CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError:
                data = b""
            if not data:
                self._end(CLOSED, now)
                return
            self.on_bytes(data, now)
            # Plain sockets are level triggered: what is left is told again.
            if self._context is None:
                return

    def write(self, data: bytes, now: float) -> None:
        """Send now, or as soon as it can be."""
        if self._out or self.state != READY:
            self._out += data
            return
        try:
            sent = self.sock.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            sent = 0
        except OSError:
            self._end(CLOSED, now)
            return
        if sent < len(data):
            self._out += data[sent:]
            self._poll.modify(self.fd, IN | OUT)

    def _flush(self, now: float) -> None:
        data, self._out = bytes(self._out), bytearray()
        self._poll.modify(self.fd, IN)
        if data:
            self.write(data, now)

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a later connection may resume."""
        return self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None

    def close(self) -> None:
        """End it without telling."""
        if self.state != LOST:
            self.state = LOST
            self._poll.unregister(self.fd)
            self.sock.close()

    def _end(self, why: int, now: float) -> None:
        if self.state != LOST:
            self.close()
            self.lost(self, why, now)


def _ignore(wire: Wire, why: int, now: float) -> None:
    """Nobody listens yet."""


__all__ = ["LOST", "READY", "Wire"]
