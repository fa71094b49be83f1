"""HTTP/2 on a connection, by the h2 library: several requests at a time."""

from __future__ import annotations

import select
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gwsim.envoy.load.plan import Request, Target
from gwsim.envoy.load.sent import CLOSED
from gwsim.envoy.load.wire import Wire
from gwsim.errors import UsageError

_WINDOW = 1 << 24
Answered = Callable[[Wire, int, int, bytes, int, bool, float], None]
"""Told with the connection, the request's number, status, head, bytes read, whether the connection goes on, and when."""


@dataclass(slots=True)
class _Stream:
    number: int
    head: bytes = b""
    status: int = 0
    read: int = 0
    body: bytes = b""


class Http2(Wire):
    """Streams are numbered by h2; their requests by the run."""

    __slots__ = ("_answered", "_encrypted", "_h2", "_streams")

    def __init__(
        self, target: Target, context: ssl.SSLContext | None, session: ssl.SSLSession | None, poll: select.epoll, number: int,
        answered: Answered,
    ) -> None:  # fmt: skip
        try:
            from h2.config import H2Configuration
            from h2.connection import H2Connection
        except ImportError:
            raise UsageError("HTTP/2 needs the h2 library: pip install 'istio-gwsim[envoy]'") from None
        super().__init__(target, context, session, poll, number)
        config = H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False,
            validate_inbound_headers=False, normalize_inbound_headers=False,
        )  # fmt: skip
        self._answered = answered
        self._encrypted = context is not None
        self._h2: Any = H2Connection(config)
        self._streams: dict[int, _Stream] = {}
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self._out += self._h2.data_to_send()

    @property
    def active(self) -> list[int]:
        """Numbers of the requests in flight."""
        return [one.number for one in self._streams.values()]

    def begin(self, number: int, request: Request, now: float) -> None:
        """Send a request."""
        stream = self._h2.get_next_available_stream_id()
        made = self._streams[stream] = _Stream(number, body=request.body)
        self._h2.send_headers(stream, request.http2("https" if self._encrypted else "http"), end_stream=not request.body)
        if made.body:
            self._more_body(stream, made)
        self.write(self._h2.data_to_send(), now)

    def drop(self, number: int) -> bool:
        """Give a request up: its stream is reset and the connection stays."""
        stream = next((key for key, one in self._streams.items() if one.number == number), None)
        if stream is not None:
            del self._streams[stream]
            self._h2.reset_stream(stream)
            self.write(self._h2.data_to_send(), 0.0)
        return True

    def _more_body(self, stream: int, one: _Stream) -> None:
        while one.body:
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if room <= 0:
                return
            part, one.body = one.body[:room], one.body[room:]
            self._h2.send_data(stream, part, end_stream=not one.body)

    def on_bytes(self, data: bytes, now: float) -> None:
        from h2.exceptions import ProtocolError

        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            self._end(CLOSED, now)
            return
        for event in events:
            self._event(event, now)
        out = self._h2.data_to_send()
        if out:
            self.write(out, now)

    def _event(self, event: Any, now: float) -> None:
        kind = type(event).__name__
        if kind == "ConnectionTerminated":
            self._end(CLOSED, now)
            return
        if kind in ("WindowUpdated", "RemoteSettingsChanged"):
            for key, waiting in list(self._streams.items()):
                self._more_body(key, waiting)
            return
        one = self._streams.get(getattr(event, "stream_id", 0) or 0)
        if one is None:
            return
        if kind == "ResponseReceived":
            headers = dict(event.headers)
            one.status = int(headers.get(":status", 0))
            one.head = "".join(f"\r\n{name}: {value}" for name, value in event.headers).encode("latin-1", "replace")
        elif kind == "DataReceived":
            one.read += len(event.data)
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif kind in ("StreamEnded", "StreamReset"):
            del self._streams[event.stream_id]
            status = one.status if kind == "StreamEnded" else CLOSED
            self._answered(self, one.number, status, one.head, one.read, True, now)


__all__ = ["Http2"]
