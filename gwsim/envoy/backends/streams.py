"""HTTP/2 and gRPC at a backend, by the h2 library: a thread a stream."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gwsim.envoy.backends.server import Answer, Asked, Buffered, Port

EMPTY_MESSAGE = b"\x00\x00\x00\x00\x00"
"""A gRPC message without fields: "ok" to Envoy's authorization and rate limit services alike."""


def serve_http2(stream: Buffered, port: Port) -> None:
    """All streams of a connection, to its end."""
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.exceptions import ProtocolError

    connection = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1", validate_inbound_headers=False))
    served = _Served(stream, port, connection)
    connection.initiate_connection()
    served.flush()
    while True:
        data, stream.data = stream.data, b""
        if data:
            try:
                with served.lock:
                    events = connection.receive_data(data)
            except ProtocolError:
                return
            served.flush()
            for event in events:
                served.event(event)
        if not stream.more():
            return


class _Served:
    """A connection; `lock` keeps the threads of its streams apart."""

    def __init__(self, stream: Buffered, port: Port, connection: Any) -> None:
        self.stream, self.port, self.connection = stream, port, connection
        self.lock = threading.Lock()
        self.asked: dict[int, Asked] = {}

    def flush(self) -> None:
        """Send what the library has made."""
        with self.lock:
            data = self.connection.data_to_send()
            if data:
                self.stream.sock.sendall(data)

    def event(self, event: Any) -> None:
        """What the library has read."""
        from gwsim.envoy.backends.server import Asked

        kind = type(event).__name__
        if kind == "RequestReceived":
            headers = [(str(name), str(value)) for name, value in event.headers]
            pseudo = dict(headers)
            plain = [(name, value) for name, value in headers if not name.startswith(":")]
            if ":authority" in pseudo:
                plain.insert(0, ("host", pseudo[":authority"]))
            self.asked[event.stream_id] = Asked(pseudo.get(":method", ""), pseudo.get(":path", ""), plain)
        elif kind == "DataReceived":
            with self.lock:
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.flush()
        elif kind == "StreamEnded":
            asked = self.asked.pop(event.stream_id, None)
            if asked is not None:
                threading.Thread(target=self._serve, args=(event.stream_id, asked), daemon=True).start()

    def _serve(self, number: int, asked: Asked) -> None:
        from h2.exceptions import ProtocolError

        made = self.port.answer(asked, "HTTP/2")
        try:
            with self.lock:
                self._answer(number, asked, made)
            self.flush()
        except (OSError, ProtocolError, KeyError):
            pass

    def _answer(self, number: int, asked: Asked, made: Answer) -> None:
        connection = self.connection
        headers = [(":status", str(made.status)), *made.headers]
        if asked.header("content-type").startswith("application/grpc"):
            connection.send_headers(number, [*headers, ("content-type", "application/grpc")])
            connection.send_data(number, EMPTY_MESSAGE)
            connection.send_headers(number, [("grpc-status", "0")], end_stream=True)
            return
        connection.send_headers(number, [*headers, ("content-length", str(len(made.body)))], end_stream=asked.method == "HEAD")
        if asked.method != "HEAD":
            connection.send_data(number, made.body, end_stream=True)


__all__ = ["serve_http2"]
