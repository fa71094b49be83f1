"""Long streams: what is said on them while they are open, and how they open and end.

Envoy: an upgraded request (docs: intro/arch_overview/http/upgrades) and a gRPC stream are streams like others, whose data passes the worker
in both directions for as long as they last. They hold their connection, and count as active requests, all that time
(`ConnPoolImplBase::attachStreamToClient`); `FilterManager`'s idle timer (`resetIdleTimer`) begins anew with whatever passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.codes import Flag, Part, Purpose, Visit
from gwsim.engine.draws import fold, name64, ns
from gwsim.engine.reference.accounting import CLIENT_NETWORK, PROXY_CPU, UPSTREAM_SERVICE
from gwsim.engine.reference.sampling import Quantity, byte_cost
from gwsim.engine.reference.streams import same_tie_key
from gwsim.scenario.model import LongStream, Messages

if TYPE_CHECKING:
    from gwsim.engine.reference.agenda import Happening
    from gwsim.engine.reference.backends import Station
    from gwsim.engine.reference.router import Router
    from gwsim.engine.reference.streams import Stream, UpstreamRequest

UP, DOWN = 0, 1
SAYS, PINGS = 3, 4
"""Parts of the keys of what a client does on a long stream, beside arrivals, time-outs and retries."""
HEARD, STREAM_RESET = 4, 5
"""Parts of the keys of what it hears there, beside CONNECTED, ANSWERED, RESET and GOAWAY."""
STATION_HEARS, STATION_SAYS, STATION_ENDS = 6, 7, 8
"""Parts of the keys of a station's events on it."""
ORDER_STREAM_IDLE = 11
PING_BYTES, PONG_BYTES = 6, 2
"""Frames without payload; what clients send is masked (RFC 6455, section 5.2)."""
MESSAGE = name64("message")


class Flow:
    """Messages in one direction."""

    __slots__ = ("gap", "size")

    def __init__(self, model: Messages, gap: Purpose, size: Purpose) -> None:
        self.gap = Quantity(model.every_s, gap)
        self.size = Quantity(model.size, size)


class Terms:
    """What the long streams of a class are like."""

    __slots__ = ("complete", "costs", "down", "duration", "ping", "read", "read_up", "row", "status", "up", "websocket", "write_down", "write_up")

    def __init__(self, model: LongStream, row: int) -> None:
        self.row = row
        """Among the classes of long streams."""
        self.websocket = model.websocket
        self.status = 101 if model.websocket else 200
        self.complete = model.request_complete
        self.duration = Quantity(model.duration_s, Purpose.STREAM_DURATION)
        self.up = None if model.up is None else Flow(model.up, Purpose.GAP_UP, Purpose.BYTES_UP)
        self.down = None if model.down is None else Flow(model.down, Purpose.GAP_DOWN, Purpose.BYTES_DOWN)
        self.ping = 0 if model.ping_s is None else max(1, ns(model.ping_s))
        self.costs = model.costs
        self.read, self.write_up = ns(model.costs.read_s), ns(model.costs.write_up_s)
        self.read_up, self.write_down = ns(model.costs.read_up_s), ns(model.costs.write_down_s)


class Said:
    """A message, a ping or a pong on its way."""

    __slots__ = ("conversation", "message", "sent", "size")

    def __init__(self, conversation: Conversation, sent: int, size: int, message: bool = True) -> None:
        self.conversation = conversation
        self.sent = sent
        self.size = size
        self.message = message
        """False: a ping or a pong."""


class Deadline:
    """The instant at which a stream has been silent for too long."""

    __slots__ = ("conversation", "void")

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.void = False

    @property
    def over(self) -> bool:
        """Whether it does not matter any more."""
        return self.void or self.conversation.stream.over

    def __lt__(self, other: object) -> bool:
        """Reached only when two items have the same tie key."""
        return same_tie_key()


class Conversation:
    """A long stream at the gateway, from the moment the router has it, with its two ends."""

    __slots__ = (
        "armed", "due", "ends_at", "forward", "heads", "idle", "key", "moved_at", "name", "on_way_down", "on_way_up", "opened", "outbox", "queued", "router", "said", "station",
        "stream", "terms", "upstream",
    )

    station: Station
    upstream: UpstreamRequest

    def __init__(self, stream: Stream, terms: Terms, router: Router) -> None:
        self.stream = stream
        self.terms = terms
        self.router = router
        self.name = stream.name
        self.opened = False
        """The backend's 101 or response headers were read at the gateway."""
        self.said = [0, 0]
        """Messages sent so far, up and down."""
        self.due: list[tuple[int, Said]] = []
        """What the next READ_UP takes."""
        self.forward: list[Said] = []
        """What the next WRITE_UP sends."""
        self.armed = False
        self.outbox: list[Said] = []
        """What the next WRITE_DOWN of the connection sends of it."""
        self.heads = 0
        """1 while the outbox holds the opening answer."""
        self.queued = False
        self.on_way_up: tuple[int, list[Said]] = (-1, [])
        """What was written last, and when it is delivered."""
        self.on_way_down: tuple[int, list[Said]] = (-1, [])
        self.idle: Deadline | None = None
        self.moved_at = -1

    def __lt__(self, other: object) -> bool:
        """Reached only when two items have the same tie key."""
        return same_tie_key()

    @property
    def over(self) -> bool:
        """Whether nothing passes upstream any more."""
        return self.stream.over or self.upstream.over

    @property
    def pool(self) -> Conversation:
        """It makes the visits itself that pools make for requests."""
        return self

    # --- the backend's end -----------------------------------------------------------------------------------

    def accepted(self, station: Station, upstream: UpstreamRequest, departure: int) -> int:
        """The backend will accept it at `departure`; returns the status with which it does."""
        self.station, self.upstream = station, upstream
        self.key = fold(upstream.key, MESSAGE)
        self.ends_at = departure + max(1, self.terms.duration.ns(upstream.key))
        if departure < station.outages.end:  # a pod that ends as it should takes leave on its streams
            self.ends_at = min(self.ends_at, station.outages.end)
        station.agenda.at(self.ends_at, station.place | upstream.name | STATION_ENDS, self._ends, None)
        self._next_down(departure)
        return self.terms.status

    def _next_down(self, now: int) -> None:
        if self.terms.down is not None:
            at = now + max(1, self.terms.down.gap.ns(fold(self.key, self.said[DOWN])))
            if at < self.ends_at:
                self.station.agenda.at(at, self.station.place | self.upstream.name | STATION_SAYS, self._says_down, None)

    def _says_down(self, happening: Happening) -> None:
        """The backend sends a message."""
        if self.over:
            return
        now, down = self.station.agenda._now, self.terms.down
        assert down is not None
        if self._outage(now) is None:
            said = Said(self, now, down.size.size(fold(self.key, self.said[DOWN])))
            self.router.recorder.said(self, DOWN, now)
            self._answer(said, now, Part.UP_MESSAGE)
        self.said[DOWN] += 1
        self._next_down(now)

    def _answer(self, said: Said, now: int, part: Part) -> None:
        """It leaves the backend."""
        self.router.worker.deliver(now + self.upstream.pool.down, self.upstream.name | part, self, said)

    def _hears_up(self, happening: Happening) -> None:
        """Messages are delivered at the backend, which answers pings."""
        said: list[Said] = happening.subject
        now = self.station.agenda._now
        if self.over or self._lost(now):
            return
        for one in said:
            if one.message:
                self.router.recorder.heard(self, UP, one, now)
        if not all(one.message for one in said):
            self._answer(Said(self, now, PONG_BYTES, message=False), now, Part.UP_PONG)

    def _ends(self, happening: Happening) -> None:
        """The backend ends the stream: a close frame, or trailers."""
        now = self.station.agenda._now
        # in the instant of its own pod's end it still takes leave
        if not self.over and (now == self.station.outages.end or not self._lost(now)):
            self.station.answer(self.upstream, now, self.terms.status)

    def _outage(self, now: int) -> str | None:
        return self.station.outages.at(now) if self.station.outages else None

    def _lost(self, now: int) -> bool:
        """Whether the backend hears nothing; one that refuses resets the connection then."""
        outage, connection = self._outage(now), self.upstream.connection
        if outage == "refuse" and connection is not None and not connection.over and connection.closes > now:
            connection.closes = now
            self.upstream.pool.hung_up(connection, self.upstream.name, unused=False)
        return outage is not None

    # --- the gateway -----------------------------------------------------------------------------------------

    def moved(self, end: int) -> None:
        """Something has passed (Envoy: `resetIdleTimer`)."""
        patience = self.stream.route.idle_ns
        if not patience or self.stream.over or end == self.moved_at:
            return
        self.moved_at = end
        if self.idle is not None:
            self.idle.void = True
        self.idle = Deadline(self)
        self.router.worker.set_timer(end + patience, self.name, Visit.STREAM_IDLE, self.idle, ORDER_STREAM_IDLE)

    def open(self, start: int) -> int:
        """READ_UP visit of the opening answer (Envoy: `onUpstreamHeaders`)."""
        upstream, limits = self.upstream, self.upstream.pool.limits
        end = self.router.worker.spend(Visit.READ_UP, upstream.name, start, limits.costs.read_up)
        upstream.timeline.enter(start, PROXY_CPU)
        upstream.timeline.enter(end, UPSTREAM_SERVICE)
        limits.completed(self.terms.status)
        if limits.detector is not None:
            limits.detector.answered(upstream.pool.endpoint, self.terms.status, start)
        self.router.settled(upstream)
        self.opened = True
        self.heads = 1
        self._put(end)
        return end

    def read(self, _: Conversation, start: int) -> int:
        """READ_UP visit: all that was delivered of it is read, and is to be written to the client."""
        due, self.due = self.due, []
        cost = self.terms.read_up + sum(byte_cost(said.size, self.terms.costs.read_up_byte_s) for _, said in due)
        end = self.router.worker.spend(Visit.READ_UP, self.upstream.name, start, cost)
        self.outbox += [said for _, said in due]
        self._put(end)
        return end

    def _put(self, end: int) -> None:
        if not self.queued:
            self.queued = True
            self.stream.connection.answer(self)
        self.moved(end)

    def leave(self, end: int) -> None:
        """What it has for the client leaves with a WRITE_DOWN that ends at `end`."""
        client, connection = self.stream.connection.client, self.stream.connection
        at, head, said = end + connection.down, self.heads, self.outbox
        self.heads, self.outbox, self.queued = 0, [], False
        if self.on_way_down[0] == at:  # two writes that cost nothing
            self.on_way_down[1].extend(said)
            return
        self.on_way_down = (at, said)
        client.world.agenda.at(at, client.connection_place | self.name | HEARD, self._heard, (head, said))

    def taken(self, said: Said, end: int) -> None:
        """Something of the client's was read: it is to be written upstream."""
        if self.over:
            return
        self.forward.append(said)
        if not self.armed:
            self.armed = True
            self.router.worker.arm(Visit.WRITE_UP, self)
        self.moved(end)

    def write(self, _: Conversation, start: int) -> int:
        """WRITE_UP visit: all that waits leaves at its end."""
        said, self.forward = self.forward, []
        self.armed = False
        cost = self.terms.write_up + sum(byte_cost(one.size, self.terms.costs.write_up_byte_s) for one in said)
        end = self.router.worker.spend(Visit.WRITE_UP, self.upstream.name, start, cost)
        key = self.station.place | self.upstream.name | STATION_HEARS
        at = end + self.upstream.pool.up
        if self.on_way_up[0] == at:
            self.on_way_up[1].extend(said)
        else:
            self.on_way_up = (at, said)
            self.station.agenda.at(at, key, self._hears_up, said)
        return end

    def idle_over(self, start: int) -> int:
        """STREAM_IDLE visit (Envoy: `ActiveStream::onIdleTimeout`)."""
        stream, router = self.stream, self.router
        end = router.interrupt(Visit.STREAM_IDLE, stream, start)
        if self.opened:
            self.cut(Flag.SI, end)
        else:
            router.reply(stream, 504 if self.terms.complete else 408, Flag.SI, end)
        return end

    def cut(self, flags: int, end: int) -> None:
        """The gateway resets the open stream: HTTP/1.1 has no way but to close the connection."""
        stream, connection = self.stream, self.stream.connection
        stream.timeline.enter(end, CLIENT_NETWORK)
        self.router.ended(stream, self.terms.status, flags, end)
        self.forget()
        client = connection.client
        if not client.http1:
            client.world.agenda.at(end + connection.down, client.connection_place | self.name | STREAM_RESET, self._reset, None)
            return
        connection.over = True
        client.cut_at(connection, end + connection.down)

    def forget(self) -> None:
        """Nothing more of it is written to the client."""
        if self.queued:
            self.queued = False
            self.stream.connection.answers.remove(self)

    # --- the client's end ------------------------------------------------------------------------------------

    def _heard(self, happening: Happening) -> None:
        """What the gateway sent is delivered at the client."""
        head, said = happening.subject
        stream, world = self.stream, self.stream.connection.client.world
        if stream.done:
            return
        now = world.agenda._now
        if head:
            if stream.time_out is not None:
                stream.time_out.cancel()
            stream.opened = now
            world.recorder.opened(stream, self.terms.row, now)
            self._next_up(now)
            self._next_ping(now)
        for one in said:
            if one.message:
                world.recorder.heard(self, DOWN, one, now)

    def _next_up(self, now: int) -> None:
        if self.terms.up is not None:
            client = self.stream.connection.client
            at = now + max(1, self.terms.up.gap.ns(fold(self.key, self.said[UP])))
            client.world.agenda.at(at, client.arrival_place | self.name | SAYS, self._says_up, None)

    def _says_up(self, happening: Happening) -> None:
        """The client sends a message."""
        if self.stream.done:
            return
        now, up = self.stream.connection.client.world.agenda._now, self.terms.up
        assert up is not None
        said = Said(self, now, up.size.size(fold(self.key, self.said[UP])))
        self.said[UP] += 1
        self.router.recorder.said(self, UP, now)
        self._send(said, Part.MESSAGE, now)
        self._next_up(now)

    def _next_ping(self, now: int) -> None:
        if self.terms.ping:
            client = self.stream.connection.client
            client.world.agenda.at(now + self.terms.ping, client.arrival_place | self.name | PINGS, self._pings, None)

    def _pings(self, happening: Happening) -> None:
        """The client sends a ping."""
        if not self.stream.done:
            now = self.stream.connection.client.world.agenda._now
            self._send(Said(self, now, PING_BYTES, message=False), Part.PING, now)
            self._next_ping(now)

    def _send(self, said: Said, part: Part, now: int) -> None:
        connection = self.stream.connection
        connection.deliver(now + connection.up, part, self.name, said)

    def _reset(self, happening: Happening) -> None:
        """RST_STREAM at the client: the stream has failed, its connection goes on."""
        client = self.stream.connection.client
        if not self.stream.done:
            client.stream_reset(self.stream, client.world.agenda._now)
