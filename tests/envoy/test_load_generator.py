"""The load generator against a server of its own: what is sent when, on which connection, and what is made of the answers."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from gwsim.envoy.backends import BackendProcess, Endpoint, Station
from gwsim.envoy.certificates import self_signed
from gwsim.envoy.load import (
    CLOSED,
    REFUSED,
    TIMED_OUT,
    Backend,
    Late,
    Load,
    Request,
    Target,
    Tls,
    paced,
    poisson,
    recorded,
    send,
)
from gwsim.errors import UsageError

Answer = Callable[[int, int, bytes], bytes | None]
"""Connection, number of the request on it, its head -> what to send; None: close."""


@contextmanager
def server(answer: Answer, wait_s: float = 0.0, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server with a thread per connection; gives its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve(number: int, peer: socket.socket) -> None:
        with peer:
            buffer, count = b"", 0
            while not stop.is_set():
                while b"\r\n\r\n" not in buffer:
                    data = peer.recv(65536)
                    if not data:
                        return
                    buffer += data
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                time.sleep(wait_s)
                made = answer(number, count, head)
                count += 1
                if made is None:
                    return
                peer.sendall(made)

    def accept() -> None:
        number = 0
        while not stop.is_set():
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            peer.settimeout(10)
            if context is not None:
                peer = context.wrap_socket(peer, server_side=True)
            threading.Thread(target=serve, args=(number, peer), daemon=True).start()
            number += 1

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        stop.set()
        listening.close()


def text(body: bytes = b"hi", status: int = 200, more: bytes = b"") -> bytes:
    """An answer with a length."""
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), more, body)


def load(port: int, **fields: object) -> Load:
    """Thirty paced requests, unless said otherwise."""
    given: dict[str, object] = {
        "target": Target(port=port), "requests": (Request(),), "schedule": paced(300, 0.1), "connections": 4, "timeout_s": 5.0,
    }  # fmt: skip
    return Load(**{**given, **fields})  # type: ignore[arg-type]


def test_every_request_is_answered_on_the_connections_that_are_kept() -> None:
    with server(lambda c, n, head: text(more=b"X-On: C%d\r\n" % c)) as port:
        sent = send(load(port, capture=("x-on",)))
    assert sent.statuses() == {200: 30}
    assert {*sent.captured[0]} == {"C0", "C1", "C2", "C3"}
    assert not sent.opened.any()
    assert (sent.latency_s > 0).all() and (sent.lateness_s >= -1e-9).all()  # both in whole ns
    assert (sent.bytes_read > 20).all()


def test_a_connection_carries_as_many_requests_as_it_may() -> None:
    with server(lambda c, n, head: text()) as port:
        sent = send(load(port, connections=1, per_connection=3, schedule=paced(100, 0.12)))
    assert [int((sent.connection == one).sum()) for one in np.unique(sent.connection)] == [3, 3, 3, 3]
    assert int(sent.opened.sum()) == 3  # the first stood at the start


def test_more_connections_are_opened_while_all_are_busy() -> None:
    with server(lambda c, n, head: text(), wait_s=0.2) as port:
        sent = send(load(port, connections=2, schedule=recorded([0.0] * 6)))
    assert sent.statuses() == {200: 6}
    assert len(np.unique(sent.connection)) == 6
    assert int(sent.opened.sum()) == 4


def test_no_coordinated_omission() -> None:
    """A stall of the server is in the latency of everything that was due meanwhile, not only of what it hit."""
    with server(lambda c, n, head: (time.sleep(0.3) if n == 0 else None) or text()) as port:
        connections = np.zeros(20, dtype=np.int64)
        sent = send(load(port, schedule=recorded(np.arange(20) * 0.01, connections=connections)))
    assert sent.statuses() == {200: 20}
    expected = 0.3 - np.arange(20) * 0.01
    assert (sent.latency_s > expected - 0.02).all()
    assert sent.latency_s[10] > 0.15


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=1\r\nabc\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 204 No\r\n\r\n", 204),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", 503),
        (b"HTTP/1.1 304 Same\r\ncontent-length: 10\r\n\r\n", 304),
        (text(status=404, more=b"Connection: close\r\n"), 404),
    ],
)
def test_ways_to_say_how_long_an_answer_is(answer: bytes, status: int) -> None:
    with server(lambda c, n, head: answer) as port:
        assert send(load(port)).statuses() == {status: 30}


def test_an_answer_to_the_end_of_its_connection() -> None:
    def answer(c: int, n: int, head: bytes) -> bytes | None:
        return b"HTTP/1.0 200 OK\r\n\r\nall there is" if n == 0 else None

    with server(answer) as port:
        listening = socket.create_server(("127.0.0.1", 0))

        def once() -> None:
            for _ in range(3):
                peer, _address = listening.accept()
                peer.recv(1000)
                peer.sendall(b"HTTP/1.0 200 OK\r\n\r\nall there is")
                peer.close()

        threading.Thread(target=once, daemon=True).start()
        sent = send(load(listening.getsockname()[1], connections=0, schedule=recorded([0.0, 0.05, 0.1])))
        listening.close()
    assert port and sent.statuses() == {200: 3}


def test_failures_are_told_apart() -> None:
    with server(lambda c, n, head: None) as port:
        assert send(load(port)).statuses() == {CLOSED: 30}
    with server(lambda c, n, head: text(), wait_s=1.0) as port:
        assert send(load(port, timeout_s=0.1, schedule=recorded([0.0]))).statuses() == {TIMED_OUT: 1}
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    assert send(load(port)).statuses() == {REFUSED: 30}


def test_a_run_without_answers_proves_nothing() -> None:
    with server(lambda c, n, head: None) as port, pytest.raises(Late):
        send(load(port)).check()


def test_lateness_is_held_against_the_median_latency() -> None:
    with server(lambda c, n, head: text(), wait_s=0.02) as port:
        sent = send(load(port, connections=8))
    sent.check(accepted=0.5)
    with pytest.raises(Late, match="late by"):
        sent.check(accepted=-1.0)
    assert sent.summary()["requests"] == 30


def test_methods_hosts_headers_and_bodies_are_sent_as_given() -> None:
    seen: list[bytes] = []

    def answer(c: int, n: int, head: bytes) -> bytes:
        seen.append(head)
        return text()

    request = Request(method="GET", host="shop.example", path="/a?b=c", headers=(("X-One", "1"),))
    with server(answer) as port:
        send(load(port, requests=(request,), schedule=recorded([0.0])))
    assert seen == [b"GET /a?b=c HTTP/1.1\r\nhost: shop.example\r\nX-One: 1"]


def test_the_generator_answers_what_it_is_the_backend_of() -> None:
    """Client and backend in one loop: ten thousand requests a second, late by microseconds on a processor that is free."""
    with Backend(b"own") as backend:
        for _ in range(2):  # accepted connections stay from load to load
            sent = send(load(backend.port, schedule=poisson(10_000, 0.2, seed=2), backend=backend, connections=8))
            assert sent.statuses() == {200: len(sent)}
        assert (backend.matched >= 0).any()
    assert (backend.matched == -1).all()
    assert sent.own_s is not None and (sent.own_s > 0).all()
    assert 0 < sent.busy < 1
    # A tenth leave at once even where other work shares the processor; what one of them takes is microseconds.
    assert float(np.quantile(sent.lateness_s, 0.1)) < 1e-3
    assert float(np.quantile(sent.own_s, 0.1)) < 3e-4


def test_requests_that_come_in_pieces_are_answered_once_each() -> None:
    with Backend() as backend:
        peer = socket.create_connection(("127.0.0.1", backend.port))
        for piece in (b"GET / HTTP/1.1\r\na: b\r", b"\n\r", b"\nGET / HTTP/1.1\r\n\r\nGET"):
            peer.sendall(piece)
            with server(lambda c, n, head: text(), wait_s=0.02) as port:
                send(load(port, schedule=recorded([0.0]), backend=backend, connections=1))
        assert peer.recv(1000) == 2 * backend.answer
        peer.close()


def test_a_run_is_watched_while_it_lasts() -> None:
    seen: list[float] = []
    with server(lambda c, n, head: text()) as port:
        send(load(port), watch=seen.append, every_s=0.03)
    assert seen[0] == 0.0 and len(seen) >= 4
    assert seen == sorted(seen)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_tls_with_sessions_that_are_resumed(version: str, tmp_path: Path) -> None:
    pair = self_signed(tmp_path, "p256", kind="p256")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, of: names.append(name)
    tls = Tls(sni="shop.example", version=version, offers_ticket=1.0)  # type: ignore[arg-type]
    with server(lambda c, n, head: text(b"x" * 40_000), context=context) as port:
        sent = send(load(port, target=Target(port=port, tls=tls), schedule=paced(50, 0.2), per_connection=1, warm=False))
    assert sent.statuses() == {200: 10}
    assert sent.opened.all()
    assert (sent.bytes_read > 40_000).all()
    assert not sent.resumed[0] and sent.resumed.sum() > 4  # those that came after an answer
    assert set(names) == {"shop.example"}


def test_a_server_that_speaks_no_tls_refuses() -> None:
    with server(lambda c, n, head: text()) as port:
        sent = send(load(port, target=Target(port=port, tls=Tls()), schedule=recorded([0.0]), warm=False, timeout_s=0.3))
    assert set(sent.statuses()) <= {REFUSED, TIMED_OUT}


def test_http2_goes_by_its_own_loop() -> None:
    with BackendProcess([Endpoint(name="e", station=0)], [Station(name="at once")]) as backends:
        seen: list[float] = []
        sent = send(load(0, target=Target(port=backends.ports[0], http=2), connections=2, streams=4), watch=seen.append)
    assert sent.statuses() == {200: 30}
    assert seen
    with Backend() as backend, pytest.raises(UsageError, match="own backend"):
        send(load(1, target=Target(port=1, http=2), backend=backend))


def test_schedules() -> None:
    made = poisson(200, 50, seed=3, weights=(1, 3))
    assert 9_500 < len(made) < 10_500
    assert (np.diff(made.times_s) >= 0).all() and made.duration_s < 50
    gaps = np.diff(made.times_s)
    assert 0.9 < gaps.std() / gaps.mean() < 1.1
    assert 0.7 < made.requests.mean() < 0.8
    assert (poisson(200, 50, seed=3).times_s == poisson(200, 50, seed=3).times_s).all()
    assert paced(10, 1).times_s.tolist() == pytest.approx([k / 10 for k in range(10)])
    assert recorded([0.2, 0.1], [5, 6]).requests.tolist() == [6, 5]
    with pytest.raises(ValueError, match="above 0"):
        paced(0, 1)
    with pytest.raises(ValueError, match="one length"):
        recorded([0.0], [1, 2])


def test_a_request_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="names request 4 of 1"):
        send(load(1, schedule=recorded([0.0], [4])))
