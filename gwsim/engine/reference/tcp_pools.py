"""What byte streams have upstream: pairs of connections, the pools they come from, and the bytes on their way.

Envoy: `Tcp::ConnPoolImpl` (source/common/tcp/conn_pool.cc), the same `ConnPoolImplBase` as for HTTP; a connection it has given to a
`TcpProxy::Filter` never comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from gwsim.engine.codes import Counter, Flag, Part, Visit
from gwsim.engine.draws import ns
from gwsim.engine.reference.accounting import NEXT_HOP, PROXY_CPU, UPSTREAM_NETWORK, Unaccounted
from gwsim.engine.reference.lifetimes import Notice, UpstreamConnection
from gwsim.engine.reference.pools import Pool
from gwsim.engine.reference.sampling import byte_cost
from gwsim.engine.reference.streams import UpstreamRequest, same_tie_key

if TYPE_CHECKING:
    from gwsim.engine.reference.backends import Station
    from gwsim.engine.reference.pool_limits import ClusterOnPod
    from gwsim.engine.reference.source_ports import SourcePorts
    from gwsim.engine.reference.tcp_proxy import TcpConnection
    from gwsim.engine.reference.worker import Worker

    Piece: TypeAlias = "UpstreamRequest | Passing"

ORDER_IDLE, ORDER_AGE = 9, 10
"""Of timers with equal deadline and name."""
CLOSE_HEARD = 5
"""Part of the key of a station's event, beside those of `backends`."""


class Passing:
    """Bytes on their way that are no request: a step of a handshake, a cancellation, or the end of what the client says."""

    __slots__ = ("connection", "name", "of", "owner", "part", "pool", "ready", "resent")

    sent_bytes = 0

    def __init__(self, part: Part, name: int, owner: TcpConnection, pair: Pair, of: UpstreamRequest | None = None) -> None:
        self.part = part
        self.name = name
        self.owner = owner
        self.pool = pair.pool
        self.connection = pair.connection
        self.of = of
        """The request that is cancelled."""
        self.ready = -1
        """Delivery of its answer at the worker."""
        self.resent = 0

    @property
    def over(self) -> bool:
        """Whether nobody waits for its answer any more."""
        return self.owner.over

    @property
    def place(self) -> int:
        """Part of the key of the event in which the endpoint hears it."""
        return CLOSE_HEARD if self.part is Part.CLOSE else 0

    @property
    def heeded(self) -> bool:
        """Whether the endpoint does anything when it hears it."""
        return self.part is not Part.FINISHED or self.owner.client.tls == "1.2"

    def heard(self, station: Station, now: int) -> None:
        """It has arrived at the endpoint."""
        connection = self.connection
        assert connection is not None
        if self.part is Part.CLOSE:
            connection.closes = max(now, connection.busy_until)
            self.pool.hung_up(connection, self.name, unused=False)
        else:
            thinking = ns(station.model.tls_hello_s) if self.part is Part.CLIENT_HELLO else 0
            self.ready = now + thinking + self.pool.down
            self.pool.worker.deliver(self.ready, self.name | Part.UP_RESPONSE, self, None)

    def __lt__(self, other: object) -> bool:
        """Reached only when two items have the same tie key."""
        return same_tie_key()


class Pair:
    """What a downstream connection has upstream: a place in a pool's queue at first, then a connection."""

    __slots__ = ("admitted", "age", "armed", "attempt", "connection", "idle", "key", "moved_at", "name", "output", "over", "owner", "pool", "timeline", "written")

    def __init__(self, owner: TcpConnection, pool: TcpPool, name: int, key: int) -> None:
        self.owner = owner
        self.pool = pool
        self.name = name
        self.key = key
        self.connection: UpstreamConnection | None = None
        self.over = False
        self.output: list[Piece] = []
        """What the next WRITE_UP sends."""
        self.armed = False
        self.moved_at = -1
        self.idle: Notice | None = None
        self.age: Notice | None = None
        # as pools know those they serve
        self.timeline = Unaccounted()
        self.attempt = False
        self.admitted = self.written = -1

    def put(self, piece: Piece) -> None:
        """It is to be written."""
        self.output.append(piece)
        if not self.armed:
            self.armed = True
            self.pool.worker.arm(Visit.WRITE_UP, self)

    def established(self, end: int) -> None:
        """Its times begin to run."""
        assert self.connection is not None
        if self.owner.longest:
            self.age = Notice(self.connection, self.name)
            self.pool.worker.set_timer(self.owner.begun + self.owner.longest, self.name, Visit.UP_EXPIRE, self.age, ORDER_AGE)
        self.moved(end)

    def moved(self, end: int) -> None:
        """Bytes have moved on it (Envoy: `resetIdleTimer`)."""
        patience = self.owner.patience
        if not patience or self.over or end == self.moved_at:
            return
        assert self.connection is not None
        self.moved_at = end
        if self.idle is not None:
            self.idle.void = True
        self.idle = Notice(self.connection, self.name)
        self.pool.worker.set_timer(end + patience, self.name, Visit.UP_EXPIRE, self.idle, ORDER_IDLE)

    def release(self) -> None:
        """Its connection is closed."""
        self.over = True
        self.pool.limits.active[self.pool.endpoint] -= 1
        assert self.connection is not None
        self.connection.streams.clear()

    def __lt__(self, other: object) -> bool:
        """Reached only when two items have the same tie key."""
        return same_tie_key()


class TcpPool(Pool):
    """Connections to one endpoint, each for one pair."""

    __slots__ = ()

    def __init__(self, worker: Worker, limits: ClusterOnPod, endpoint: int, station: Station, up: int, down: int, ports: SourcePorts | None) -> None:
        super().__init__(worker, limits, endpoint, station, up, down, ports)
        self.capacity = 1
        if self.links is not None:
            self.links.streaming = True
        self.times.idle = self.times.duration = 0

    def open_warm(self, pair: Pair) -> bool:
        """A pair has had its connection since before the run, if there was a port for it."""
        connection = UpstreamConnection(self, pair.name)
        if not self._open_warm(connection):
            return False
        self.limits.connections += 1
        self.limits.count(Counter.UPSTREAM_CX_TOTAL)
        self._begin(connection, 0)
        self._give(connection, pair, 0, 0)
        return True

    def resting(self, connection: UpstreamConnection) -> bool:
        """Whether nobody waits for an answer on it."""
        pairs: list[Pair] = list(connection.streams.values())  # type: ignore[arg-type]
        return all(not pair.owner.streams for pair in pairs)

    def _attach(self, connection: UpstreamConnection, upstream: Pair, start: int, end: int) -> None:  # type: ignore[override]
        """A pair gets its connection (Envoy: `onPoolReady`, `LocalOriginConnectSuccessFinal`)."""
        if self.limits.detector is not None:
            self.limits.detector.connected(self.endpoint, start)
        self._give(connection, upstream, start, end)
        upstream.owner.established(start, end)

    def _give(self, connection: UpstreamConnection, pair: Pair, start: int, end: int) -> None:
        self.limits.active[self.endpoint] += 1
        self.limits.count(Counter.UPSTREAM_RQ_TOTAL)
        used = connection.ready
        pair.connection = connection
        connection.take(pair)  # type: ignore[arg-type]
        if used:
            self._not_ready(connection)
        else:
            self._watch(connection, pair.name, start, end, None)
        pair.established(end)

    def _idle(self, connection: UpstreamConnection, name: int, start: int, end: int, last: UpstreamRequest | None) -> None:
        self._watch(connection, name, start, end, last)

    def _watch(self, connection: UpstreamConnection, name: int, start: int, end: int, last: Piece | None) -> None:
        """The endpoint begins to wonder what the connection is for."""
        since = end if last is None else last.ready - self.down
        if self.station.outages.end <= start:
            connection.closes = since
            self.hung_up(connection, name, last is None)
        elif self.times.keepalive:
            connection.closes = self.times.keepalive + since
            self.station.hang_up(connection, name, connection.closes, start, last is None)

    # --- visits ----------------------------------------------------------------------------------------------

    def write(self, pair: Pair, start: int) -> int:  # type: ignore[override]
        """WRITE_UP visit: all that the client has said goes on."""
        pieces, pair.output = pair.output, []
        pair.armed = False
        costs = self.limits.costs
        cost = costs.write_up
        for piece in pieces:
            cost += byte_cost(piece.sent_bytes, costs.write_up_byte_s)
        end = self.worker.spend(Visit.WRITE_UP, pieces[0].name, start, cost)
        link = None if pair.connection is None else pair.connection.link
        for piece in pieces:
            if isinstance(piece, UpstreamRequest):
                piece.written = end
                if not piece.over:
                    piece.timeline.enter(start, PROXY_CPU)
                    piece.timeline.enter(end, UPSTREAM_NETWORK if link is None else NEXT_HOP)
            if link is not None:
                link.carry(piece, end)
            elif isinstance(piece, UpstreamRequest) or piece.heeded:
                self.station.deliver(piece, end + self.up)
        pair.moved(end)
        return end

    def read(self, piece: Piece, start: int) -> int:
        """READ_UP visit: what the endpoint says goes on."""
        connection, costs, size = piece.connection, self.limits.costs, 0
        assert connection is not None
        if isinstance(piece, UpstreamRequest):
            size = piece.answer_bytes
        end = self.worker.spend(Visit.READ_UP, piece.name, start, costs.read_up + byte_cost(size, costs.read_up_byte_s))
        pair: Pair = next(iter(connection.streams.values()))  # type: ignore[assignment]
        self._watch(connection, piece.name, start, end, piece)
        if isinstance(piece, UpstreamRequest):
            piece.over = True
            piece.timeline.enter(start, PROXY_CPU)
            piece.stream.upstream_ns += piece.ready - piece.written
            self.limits.recorder.attempt_answered(piece, self.limits.index)
            pair.owner.answered(piece, size, end)
        else:
            pair.owner.answer(piece)
        pair.moved(end)
        return end

    def reset(self, thing: Notice, start: int) -> int:
        """UP_CLOSE visit: the endpoint has closed (Envoy: `onUpstreamEvent`, `close(FlushWrite)` of the other side)."""
        connection = thing.connection
        pair: Pair | None = next(iter(connection.streams.values()), None)  # type: ignore[assignment]
        cost = self.limits.costs.close + (0 if pair is None else pair.owner.cost_of_flush())
        end = self.worker.spend(Visit.UP_CLOSE, thing.name, start, cost)
        self.limits.count(Counter.UPSTREAM_CX_DESTROY_REMOTE)
        self.close(connection, thing.name, end, remote=True)
        if pair is not None:
            pair.release()
            pair.owner.flush(start, end)
            pair.owner.cut(start, end, Flag.NONE)
        return end

    def expired(self, thing: Notice | UpstreamConnection, start: int) -> int:
        """UP_EXPIRE visit (Envoy: `onIdleTimeout`, `onMaxDownstreamConnectionDuration`)."""
        connection = thing.connection
        pair: Pair = next(iter(connection.streams.values()))  # type: ignore[assignment]
        end = self.worker.spend(Visit.UP_EXPIRE, thing.name, start, self.limits.costs.close)
        self.close(connection, thing.name, end)
        pair.release()
        pair.owner.cut(start, end, Flag.DT if thing is pair.age else Flag.NONE)
        return end
