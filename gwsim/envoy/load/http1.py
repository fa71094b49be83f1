"""HTTP/1.1 on a connection: one request at a time."""

from __future__ import annotations

import select
import ssl
from collections.abc import Callable

from gwsim.envoy.load.plan import Request, Target
from gwsim.envoy.load.wire import Wire

END = b"\r\n\r\n"
Answered = Callable[[Wire, int, int, bytes, int, bool, float], None]
"""Told with the connection, the request's number, status, head, bytes read, whether the connection goes on, and when."""


class Http1(Wire):
    """Reads answers; bodies by content-length, in chunks, or to the end of the connection."""

    __slots__ = ("_answered", "_buffer", "_head", "_head_only", "_length", "_number", "_raw", "_read_bytes")

    def __init__(
        self, target: Target, context: ssl.SSLContext | None, session: ssl.SSLSession | None, poll: select.epoll, number: int,
        answered: Answered,
    ) -> None:  # fmt: skip
        super().__init__(target, context, session, poll, number)
        self._answered = answered
        self._buffer = b""
        self._number = -1
        self._head_only = False
        self._head = self._raw = b""
        self._length = 0
        self._read_bytes = 0

    @property
    def active(self) -> list[int]:
        """Numbers of the requests in flight."""
        return [self._number] if self._number >= 0 else []

    def begin(self, number: int, request: Request, wire: bytes, now: float) -> None:
        """Send a request, of which `wire` is the text."""
        self._number, self._head_only = number, request.method == "HEAD"
        self._read_bytes = 0
        self.write(wire, now)

    def drop(self, number: int) -> bool:
        """Give a request up: here the connection goes with it."""
        self.close()
        return False

    def on_bytes(self, data: bytes, now: float) -> None:
        self._read_bytes += len(data)
        self._buffer = self._buffer + data if self._buffer else data
        while True:
            if not self._head and not (self._buffer and self._parse_head()):
                return
            if self._head and not self._body_done(now):
                return

    def _parse_head(self) -> bool:
        end = self._buffer.find(END)
        if end < 0:
            return False
        raw, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        status = int(raw[9:12])
        if status < 200:
            return True
        self._raw, self._head = raw, raw.lower()
        self._length = -1
        if self._head_only or status in (204, 304):
            self._length = 0
        else:
            at = self._head.find(b"\r\ncontent-length:")
            if at >= 0:
                self._length = int(self._head[at + 17 :].split(b"\r\n", 1)[0])
        return True

    def _body_done(self, now: float) -> bool:
        if self._length >= 0:
            if len(self._buffer) < self._length:
                return False
            self._buffer = self._buffer[self._length :]
        elif b"\r\ntransfer-encoding: chunked" in self._head:
            end = _chunks_end(self._buffer)
            if end < 0:
                return False
            self._buffer = self._buffer[end:]
        else:
            return False
        self._finish(now)
        return True

    def _finish(self, now: float) -> None:
        number, self._number = self._number, -1
        goes_on = b"\r\nconnection: close" not in self._head
        self._head = b""
        if number >= 0:
            self._answered(self, number, int(self._raw[9:12]), self._raw, self._read_bytes, goes_on, now)

    def _end(self, why: int, now: float) -> None:
        # An answer without a length ends with its connection.
        if self._head and self._number >= 0 and self._length < 0 and b"chunked" not in self._head:
            self.close()
            number, self._number, self._head = self._number, -1, b""
            self._answered(self, number, int(self._raw[9:12]), self._raw, self._read_bytes, False, now)
            return
        super()._end(why, now)


def _chunks_end(data: bytes) -> int:
    """Where a chunked body ends; -1: not yet."""
    at = 0
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return -1
        size = int(data[at:line].split(b";", 1)[0], 16)
        at = line + 2 + size + 2
        if size == 0:
            end = data.find(b"\r\n", line + 2)
            while end > line + 2:  # trailers
                line = end
                end = data.find(b"\r\n", line + 2)
            return -1 if end < 0 else end + 2
        if at > len(data):
            return -1


__all__ = ["Answered", "Http1"]
