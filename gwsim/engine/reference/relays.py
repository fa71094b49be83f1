"""Relays: stations that are pods of a further proxy.

A connection of a pool (of the caller, A) to such a station is a downstream connection of that pod (B): a *link*. What A
writes is read by B as a request of a derived client, and B's answer is what A reads. Neither side knows: the visits of both
are those of any proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.codes import Flag, Part, Purpose
from gwsim.engine.draws import fold, name64
from gwsim.engine.reference.accounting import CLIENT_NETWORK, WORKER_QUEUE, Timeline
from gwsim.engine.reference.agenda import attempt_of
from gwsim.engine.reference.connections import Slot
from gwsim.engine.reference.lifetimes import Notice
from gwsim.engine.reference.sampling import u01
from gwsim.engine.reference.streams import Stream, UpstreamRequest
from gwsim.engine.schema import (
    ANSWER_TIMEOUT,
    HANDSHAKE_FULL,
    HANDSHAKE_NONE,
    HANDSHAKE_PLAIN,
    HANDSHAKE_RESUMED,
)

if TYPE_CHECKING:
    from gwsim.engine.reference.agenda import Happening
    from gwsim.engine.reference.clients import Client
    from gwsim.engine.reference.connections import Connection
    from gwsim.engine.reference.lifetimes import UpstreamConnection
    from gwsim.engine.reference.pools import Pool
    from gwsim.engine.reference.tcp_pools import Passing, Piece
    from gwsim.scenario.model import Relay as RelayModel

HOP = name64("hop")
DRAINED = 4094
"""In the place of `k` in the names of connections that are closed on behalf of no visit."""
ATTEMPTS = 4096
"""Numbers that fit into the place of `a` in a name."""


class Relay:
    """What stands behind a station: pods of a further proxy, and the client whose requests they see."""

    __slots__ = ("client", "pod", "shapes")

    def __init__(self, client: Client, model: RelayModel) -> None:
        self.client = client
        self.pod = None if model.pod is None else client.fleet.pods[model.pod]
        """None: each connection goes through the load balancer before them."""
        self.shapes = model.shapes


class Links:
    """The connections of one pool to a further proxy."""

    __slots__ = ("known", "links", "opened", "passing", "pool", "streaming")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.opened = 0
        self.links: list[Link] = []
        """Those that are not closed, in the order of their opening."""
        self.streaming = False
        """They carry the bytes of byte streams."""
        self.passing = False
        """TLS is that of whoever sends these."""
        self.known: set[int] = set()
        """Pods that have given the pool a ticket."""

    def open(self, upstream: UpstreamConnection, end: int) -> None:
        """The SYN leaves at `end`."""
        pool, downstream = self.pool, self._link(upstream).downstream
        downstream.worker.deliver_connection(end + pool.up + pool.down + pool.up, downstream)

    def open_warm(self, upstream: UpstreamConnection) -> bool:
        """It has been open since before the run; False: it could not have been."""
        link = self._link(upstream)
        link.handshake = HANDSHAKE_NONE
        if not link.downstream.begin_warm():
            link.forget()
            upstream.link = None
            return False
        if link.tls:
            self.known.add(link.downstream.worker.pod.index)
        return True

    def _link(self, upstream: UpstreamConnection) -> Link:
        pool, relay = self.pool, self.pool.station.relay
        assert relay is not None
        key = fold(fold(pool.worker.key, name64("link/" + pool.limits.model.cluster.name)), pool.endpoint)
        slot = Slot(self.opened, 0, fold(key, self.opened))
        self.opened += 1
        worker = relay.client.fleet.place(slot.key, relay.pod)
        downstream = relay.client.side(slot, upstream.name, worker, pool.up, pool.down)
        link = Link(self, relay, upstream, downstream)
        self.links.append(link)
        return link

    def end(self, now: int) -> None:
        """The caller's pod is gone."""
        for link in list(self.links):
            link.close(None, now)
            for name in sorted(link.running):
                link.abort(link.running[name], now)


class Link:
    """A connection between two proxies: A's side is `upstream`, B's side `downstream`."""

    __slots__ = ("client", "closing", "downstream", "handshake", "hello_piece", "links", "relay", "running", "tls", "upstream")

    def __init__(self, links: Links, relay: Relay, upstream: UpstreamConnection, downstream: Connection) -> None:
        self.links = links
        self.relay = relay
        self.client = relay.client
        self.upstream = upstream
        self.downstream = downstream
        self.running: dict[int, Stream] = {}
        """Requests at B that have not ended for A, by packed name."""
        self.closing = False
        """A has closed it."""
        self.hello_piece: Passing | None = None
        """A hello that A has handed on."""
        self.tls = relay.client.tls is not None and not links.passing
        self.handshake = HANDSHAKE_FULL if self.tls else HANDSHAKE_PLAIN
        """What its first request says of its opening."""
        upstream.link = downstream.link = self

    # --- the handshake ---------------------------------------------------------------------------------------

    def hello(self, end: int) -> None:
        """A's UP_CONNECTED visit ends: its hello leaves."""
        pod, slot = self.downstream.worker.pod.index, self.downstream.slot
        if pod in self.links.known and not self.downstream.passthrough and u01(slot.key, Purpose.TICKET) < self.client.model.connection.offers_ticket:
            self.downstream.resumed = True
            self.handshake = HANDSHAKE_RESUMED
        self.downstream.deliver(end + self.downstream.up, Part.CLIENT_HELLO, self.upstream.name, None)

    def hello_read(self, end: int) -> None:
        """B's CLIENT_HELLO visit ends: its flight leaves."""
        upstream, piece, instant = self.upstream, self.hello_piece, end + self.downstream.down
        if piece is not None:
            piece.ready = instant
            upstream.pool.worker.deliver(instant, piece.name | Part.UP_RESPONSE, piece, None)
        else:
            upstream.pool.worker.deliver(instant, upstream.name | Part.UP_TLS, upstream, None)

    def handshaken(self, end: int) -> None:
        """A's UP_TLS visit ends: its Finished leaves, and requests may."""
        self.links.known.add(self.downstream.worker.pod.index)
        self.downstream.deliver(end + self.downstream.up, Part.FINISHED, self.upstream.name, None)

    def close(self, name: int | None, end: int) -> None:
        """A closes it at `end`, in the name of a visit or (None) in its own."""
        downstream = self.downstream
        if self.closing:
            return
        self.closing = True
        if not downstream.over:
            downstream.deliver(end + downstream.up, Part.CLOSE, self._own_name() if name is None else name, None)
        self.forget()

    def forget(self) -> None:
        """It is not there any more, as far as A is concerned."""
        self.downstream.worker.connections -= 1
        self.links.links.remove(self)

    def _own_name(self) -> int:
        """In the name of which it ends, where that is on behalf of no visit of A."""
        pool = self.upstream.pool
        return pool.name_as(pool.limits.index, DRAINED) | attempt_of(self.downstream.slot.index % ATTEMPTS)

    def cut(self, instant: int) -> None:
        """B, which hands bytes on, closes it: A finds out at `instant`."""
        name = self._own_name()
        self.upstream.pool.worker.deliver(instant, name | Part.UP_CLOSE, Notice(self.upstream, name), None)

    def closed(self, name: int, end: int) -> None:
        """B has read A's CLOSE in a visit that ends at `end`; where A hands bytes on it waits for B to close too."""
        if self.links.streaming:
            pool = self.upstream.pool
            pool.worker.deliver(end + self.downstream.down, name | Part.UP_CLOSE, Notice(self.upstream, name), None)

    def carry(self, piece: Piece, end: int) -> None:
        """A hands bytes on, which leave at `end`; of a request that has ended nobody hears."""
        if isinstance(piece, UpstreamRequest):
            if not piece.over:
                self.send(piece, end)
        elif piece.part is Part.CLOSE:
            self.close(piece.name, end)
        elif piece.part is Part.CANCEL:
            if piece.of is not None and piece.of.hop is not None:
                self.downstream.deliver(end + self.downstream.up, Part.CANCEL, piece.of.hop.name, piece.of.hop)
        else:
            if piece.part is Part.CLIENT_HELLO:
                self.hello_piece = piece
                self.handshake = HANDSHAKE_FULL
            self.downstream.deliver(end + self.downstream.up, piece.part, piece.name, None)

    # --- requests --------------------------------------------------------------------------------------------

    def send(self, upstream: UpstreamRequest, end: int) -> None:
        """A's WRITE_UP visit ends: what leaves is a request of the derived client."""
        client, downstream = self.client, self.downstream
        traffic = upstream.stream.request.traffic
        request = client.derive(self.relay.shapes[traffic.source, traffic.shape], fold(upstream.key, HOP), end, upstream)
        request.request_bytes, request.response_bytes = upstream.sent_bytes, upstream.answer_bytes
        upstream.pool.station.relayed()
        stream = Stream(request, 0, end)
        stream.sent = True
        stream.handshake, self.handshake = self.handshake, HANDSHAKE_NONE
        stream.slot, stream.connection = downstream.slot, downstream
        stream.timeline = Timeline(end, CLIENT_NETWORK)
        stream.timeline.enter(end + downstream.up, WORKER_QUEUE)
        upstream.hop = stream
        self.running[stream.name] = stream
        downstream.deliver(end + downstream.up, Part.REQUEST, stream.name, stream)

    def answered_at(self, stream: Stream, instant: int) -> None:
        """B's answer will be delivered to A at `instant`."""
        upstream, client = stream.request.cause, self.client
        assert isinstance(upstream, UpstreamRequest)
        client.world.agenda.at(instant, client.answer_key(stream), self._answered, stream)
        if not upstream.over:
            upstream.status = stream.status
            upstream.answer_bytes = stream.response_bytes
            upstream.ready = instant
            upstream.timeline.enter(instant, WORKER_QUEUE)
            upstream.pool.worker.deliver(instant, upstream.name | Part.UP_RESPONSE, upstream, None)

    def _answered(self, happening: Happening) -> None:
        stream: Stream = happening.subject
        if not stream.done:
            stream.done = True
            del self.running[stream.name]
            now = self.client.world.agenda._now
            self.client.finish(stream, now, stream.status, stream.flags, stream.answer, stream.response_bytes)

    def sent_by(self, instant: int) -> dict[int, Stream]:
        """The requests under way that have left A by then."""
        return {name: stream for name, stream in self.running.items() if stream.start <= instant}

    def give_up(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """A waits no longer, in the visit [start, end]; over HTTP/1.1 it closes the connection besides."""
        stream = upstream.hop
        if stream is None:
            return
        if not stream.done:
            self.abort(stream, start)
        if upstream.pool.limits.http2 and not self.links.streaming and not self.upstream.over:
            self.downstream.deliver(end + self.downstream.up, Part.CANCEL, stream.name, stream)

    def abort(self, stream: Stream, now: int) -> None:
        """A request ends without its answer, if need be before it has begun."""
        stream.done = True
        del self.running[stream.name]
        self.client.finish(stream, max(now, stream.start), 0, stream.flags | Flag.DC, ANSWER_TIMEOUT, 0)
