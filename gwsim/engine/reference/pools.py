"""Connection pools towards endpoints, their limits, and the upstream visits of a worker.

Envoy: `ConnPoolImplBase` (source/common/conn_pool/conn_pool_base.cc): pools are per worker and host, limits
(`ResourceManagerImpl`) per cluster and process, that is: per pod. A connection refused by `max_connections` leaves
its stream pending; a pool without any connection may always open one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from gwsim.engine.codes import Counter, Flag, Part, Visit
from gwsim.engine.reference.accounting import NEXT_HOP, POOL_WAIT, PROXY_CPU, UPSTREAM_NETWORK, WORKER_QUEUE
from gwsim.engine.reference.agenda import name_of
from gwsim.engine.reference.lifetimes import WARM, Lifetimes, Notice, UpstreamConnection
from gwsim.engine.reference.relays import Links
from gwsim.engine.reference.sampling import byte_cost
from gwsim.scenario.model import UNLIMITED

if TYPE_CHECKING:
    from gwsim.engine.reference.backends import Station
    from gwsim.engine.reference.pool_limits import ClusterOnPod
    from gwsim.engine.reference.source_ports import SourcePorts
    from gwsim.engine.reference.streams import UpstreamRequest
    from gwsim.engine.reference.worker import Worker

WARM_WORKER = 10**6
ORDER_IDLE, ORDER_IDLE_UNUSED, ORDER_AGE, ORDER_CONNECT = 5, 6, 7, 8
"""Of timers with equal deadline and name."""


class Pool:
    """One worker's connections to one endpoint, and the streams that wait for one."""

    __slots__ = (
        "capacity", "connecting", "down", "endpoint", "established", "limits", "links", "pending", "ports", "ready", "station", "times", "up",
        "worker",
    )

    def __init__(self, worker: Worker, limits: ClusterOnPod, endpoint: int, station: Station, up: int, down: int, ports: SourcePorts | None) -> None:
        self.worker = worker
        self.limits = limits
        self.endpoint = endpoint
        self.station = station
        self.up = up
        self.down = down
        self.capacity = limits.model.cluster.max_concurrent_streams or UNLIMITED if limits.http2 else 1
        self.times = Lifetimes(limits.model.cluster, station.model, limits.horizon)
        self.ports = ports
        """The source ports of its connections; None: they do not run out."""
        self.links = None if station.model.relay is None else Links(self)
        self.ready: list[UpstreamConnection] = []
        """Established connections with room; the last one is in front."""
        self.established = 0
        self.connecting = 0
        self.pending: deque[UpstreamRequest] = deque()

    def warm(self, cluster: int) -> None:
        """One connection has been open since before the run, if the breaker allows it."""
        limits = self.limits
        connection = UpstreamConnection(self, self.name_as(cluster, WARM))
        if limits.connections < limits.breakers.max_connections and self._open_warm(connection):
            limits.connections += 1
            limits.count(Counter.UPSTREAM_CX_TOTAL)
            self._begin(connection, 0)
            self._use(connection, connection.name, -1, 0, None)

    def _open_warm(self, connection: UpstreamConnection) -> bool:
        """Whether a connection can have been there since before the run: a port for it, and what is behind it."""
        if self.ports is not None and not self.ports.take(connection, 0):
            return False
        if self.links is not None and not self.links.open_warm(connection):
            if self.ports is not None:
                self.ports.give_back(connection, 0)
            return False
        return True

    def name_as(self, cluster: int, k: int) -> int:
        """A name for what the pool does on behalf of no attempt."""
        return name_of(cluster, WARM_WORKER * self.worker.index + self.endpoint, k)

    # --- admission -------------------------------------------------------------------------------------------

    def admit(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """A stream enters the pool in the visit [start, end] (Envoy: `newStreamImpl`)."""
        limits = self.limits
        upstream.admitted = end
        if self.ready:
            self._attach(self.ready[-1], upstream, start, end)
        elif limits.pending >= limits.breakers.max_pending_requests:
            limits.count(Counter.UPSTREAM_RQ_PENDING_OVERFLOW)
            upstream.owner.overflow(upstream, start, end)
        else:
            self.pending.append(upstream)
            limits.pending += 1
            limits.count(Counter.UPSTREAM_RQ_PENDING_TOTAL)
            upstream.timeline.enter(end, POOL_WAIT)
            self._connect_if_needed(upstream.name, end)

    def _attach(self, connection: UpstreamConnection, upstream: UpstreamRequest, start: int, end: int) -> None:
        """Give a stream a connection, unless too many requests are active (Envoy: `attachStreamToClient`)."""
        limits = self.limits
        if limits.requests >= limits.breakers.max_requests:
            limits.count(Counter.UPSTREAM_RQ_ACTIVE_OVERFLOW)
            upstream.owner.overflow(upstream, start, end)
            return
        limits.requests += 1
        limits.active[self.endpoint] += 1
        limits.count(Counter.UPSTREAM_RQ_TOTAL)
        if limits.detector is not None:
            limits.detector.attached(self.endpoint)
        upstream.connection = connection
        if upstream.attempt:
            upstream.stream.station = self.station.index
        upstream.timeline.enter(end, WORKER_QUEUE)
        if connection.take(upstream):
            limits.count(Counter.UPSTREAM_CX_MAX_REQUESTS)
        if connection.ready and not connection.room:
            self._not_ready(connection)
        self.worker.arm(Visit.WRITE_UP, upstream)

    def _connect_if_needed(self, name: int, end: int) -> None:
        """Open a connection if the pending streams outnumber the room on its way (Envoy: `tryCreateNewConnections`)."""
        limits = self.limits
        if len(self.pending) <= self.connecting * self.capacity:
            return
        if limits.connections >= limits.breakers.max_connections and (self.established or self.connecting):
            limits.count(Counter.UPSTREAM_CX_OVERFLOW)
            return
        self.connecting += 1
        limits.connections += 1
        limits.count(Counter.UPSTREAM_CX_TOTAL)
        connection = UpstreamConnection(self, name)
        instant, part = self.station.outages.answer_to_syn(end, self.up, self.down)
        if self.ports is not None and not self.ports.take(connection, self._now()):
            instant, part = self.ports.refusal(end)
        if instant is not None:
            self.worker.deliver(instant, name | part, connection, None)
        if self.links is not None and part == Part.UP_CONNECTED:
            self.links.open(connection, end)
        if self.times.connect:
            connection.patience = Notice(connection, name)
            self.worker.set_timer(end + self.times.connect, name, Visit.CONNECT_TIMEOUT, connection.patience, ORDER_CONNECT)

    # --- connections -----------------------------------------------------------------------------------------

    def connected(self, connection: UpstreamConnection, start: int) -> int:
        """UP_CONNECTED visit (Envoy: `onConnectionEvent`, plaintext); returns its end, as all visits do."""
        end = self.worker.spend(Visit.UP_CONNECTED, connection.name, start, self.limits.costs.up_connected)
        round_trips = self.limits.model.tls_round_trips
        if connection.link is not None and connection.link.tls:
            connection.link.hello(end)
        elif connection.link is None and round_trips > 0:
            instant = end + (self.up + self.down) * round_trips
            self.worker.deliver(instant, connection.name | Part.UP_TLS, connection, None)
        else:
            self._establish(connection, start, end)
        return end

    def handshaken(self, connection: UpstreamConnection, start: int) -> int:
        """UP_TLS visit: the handshake with the endpoint is complete."""
        end = self.worker.spend(Visit.UP_TLS, connection.name, start, self.limits.costs.up_tls)
        if connection.link is not None:
            connection.link.handshaken(end)
        self._establish(connection, start, end)
        return end

    def _establish(self, connection: UpstreamConnection, start: int, end: int) -> None:
        self.connecting -= 1
        if connection.patience is not None:
            connection.patience.void = True
        self._begin(connection, end)
        self._use(connection, connection.name, start, end, None)

    def attach(self, freed: tuple[UpstreamConnection, UpstreamRequest], start: int) -> int:
        """ATTACH visit: a freed connection takes what waits (Envoy: `upstream_ready_cb_`, a zero-delay callback)."""
        connection, last = freed
        end = self.worker.spend(Visit.ATTACH, last.name, start, 0)
        connection.attaching = False
        if connection.left == 0:
            self.close(connection, last.name, end)
            self._connect_if_needed(last.name, end)
        else:
            self._use(connection, last.name, start, end, last)
        return end

    def _use(self, connection: UpstreamConnection, name: int, start: int, end: int, last: UpstreamRequest | None) -> None:
        """A connection has room: the oldest pending streams get it, and then it is ready."""
        while self.pending and connection.room:
            upstream = self.pending.popleft()
            self.limits.pending -= 1
            upstream.timeline.enter(start, PROXY_CPU)
            self._attach(connection, upstream, start, end)
        if self.pending:
            self._connect_if_needed(name, end)
        if connection.room and not connection.ready:
            connection.ready = True
            self.ready.append(connection)
            if not connection.streams:
                self._idle(connection, name, start, end, last)

    def _not_ready(self, connection: UpstreamConnection) -> None:
        connection.ready = False
        if self.ready[-1] is connection:
            self.ready.pop()
        else:
            self.ready.remove(connection)

    def close(self, connection: UpstreamConnection, name: int | None, end: int, remote: bool = False) -> None:
        """It is gone (`remote`: by the endpoint's doing); a proxy behind it hears so, in the name of a visit (None: in its own) that ends at `end`."""
        connection.over = True
        if connection.link is not None:
            connection.link.close(name, end)
        if connection.ready:
            self._not_ready(connection)
        self.established -= 1
        self.limits.connections -= 1
        self.limits.count(Counter.UPSTREAM_CX_DESTROY)
        if self.ports is not None:
            self.ports.give_back(connection, self._now() + (self.ports.hold_remote if remote else self.ports.hold))

    def _now(self) -> int:
        """The start of the visit that is made."""
        return self.worker.agenda._now

    def retire(self, connection: UpstreamConnection, name: int | None, end: int) -> None:
        """It takes no more streams, and is closed when it has none."""
        connection.left = 0
        if not connection.streams and not connection.attaching:
            self.close(connection, name, end)
        elif connection.ready:
            self._not_ready(connection)

    # --- lifetimes: what ends a connection, in `lifetimes` -----------------------------------------------------

    def _begin(self, connection: UpstreamConnection, end: int) -> None:
        """A connection is established from `end` on."""
        connection.open = True
        self.established += 1
        self.limits.established[self.endpoint].append(connection)
        self.station.farewell(connection, end)
        if self.times.duration:
            self.worker.set_timer(end + self.times.duration, connection.name, Visit.UP_EXPIRE, connection, ORDER_AGE)

    def _idle(self, connection: UpstreamConnection, name: int, start: int, end: int, last: UpstreamRequest | None) -> None:
        """A connection is idle from `end` on: both sides begin to wonder what it is for."""
        times, unused = self.times, last is None
        if times.idle:
            connection.expiry = Notice(connection, name)
            order = ORDER_IDLE_UNUSED if unused else ORDER_IDLE
            self.worker.set_timer(end + times.idle, name, Visit.UP_EXPIRE, connection.expiry, order)
        if self.station.outages.end <= start:
            connection.closes = end if last is None else last.ready - self.down if last.ready >= 0 else end + self.up
            self.hung_up(connection, name, unused)
        elif times.keepalive and not self.limits.http2:
            connection.closes = times.keepalive + (end if last is None else last.ready - self.down)
            self.station.hang_up(connection, name, connection.closes, start, unused)

    def resting(self, connection: UpstreamConnection) -> bool:
        """Whether nothing is under way on it."""
        return not connection.streams

    def hung_up(self, connection: UpstreamConnection, name: int, unused: bool) -> None:
        """The endpoint has closed the connection: the gateway will hear of it."""
        part = Part.UP_CLOSE_UNUSED if unused else Part.UP_CLOSE
        self.worker.deliver(connection.closes + self.down, name | part, Notice(connection, name), None)

    def expired(self, thing: Notice | UpstreamConnection, start: int) -> int:
        """UP_EXPIRE visit: the idle time-out, or the connection's age (Envoy: `ActiveClient::onConnectionDurationTimeout`)."""
        connection = thing.connection
        old = thing is connection
        end = self.worker.spend(Visit.UP_EXPIRE, thing.name, start, self.limits.costs.close)
        if old:
            self.limits.count(Counter.UPSTREAM_CX_MAX_DURATION)
            self.retire(connection, thing.name, end)
        else:
            self.limits.count(Counter.UPSTREAM_CX_IDLE_TIMEOUT)
            self.close(connection, thing.name, end)
        return end

    def reset(self, thing: Notice, start: int) -> int:
        """UP_CLOSE visit: the endpoint has closed the connection (Envoy: `ActiveClient::onEvent`, RemoteClose)."""
        connection = thing.connection
        if not connection.open:
            return self.refused(connection, start)
        end = self.worker.spend(Visit.UP_CLOSE, thing.name, start, self.limits.costs.close)
        self.limits.count(Counter.UPSTREAM_CX_DESTROY_REMOTE)
        self.close(connection, thing.name, end, remote=True)
        for name in sorted(connection.streams):
            self._fail(connection.streams[name], Flag.UC, start, end)
        connection.streams.clear()
        self._connect_if_needed(thing.name, end)
        return end

    def refused(self, connection: UpstreamConnection, start: int) -> int:
        """UP_FAILED visit: no connection there."""
        end = self.worker.spend(Visit.UP_FAILED, connection.name, start, self.limits.costs.close)
        self._give_up(connection, start, end)
        return end

    def unanswered(self, notice: Notice, start: int) -> int:
        """CONNECT_TIMEOUT visit (Envoy: `ActiveClient::onConnectTimeout`)."""
        end = self.worker.spend(Visit.CONNECT_TIMEOUT, notice.name, start, self.limits.costs.close)
        self.limits.count(Counter.UPSTREAM_CX_CONNECT_TIMEOUT)
        self._give_up(notice.connection, start, end)
        return end

    def _give_up(self, connection: UpstreamConnection, start: int, end: int) -> None:
        """Whoever waits in this pool has waited in vain (Envoy: `purgePendingStreams`)."""
        connection.over = True
        if self.ports is not None:
            self.ports.give_back(connection, start)
        if connection.link is not None:
            connection.link.close(None, end)
        self.connecting -= 1
        self.limits.connections -= 1
        self.limits.count(Counter.UPSTREAM_CX_CONNECT_FAIL)
        purged, self.pending = self.pending, deque()
        for upstream in purged:
            self.limits.pending -= 1
            self.limits.count(Counter.UPSTREAM_RQ_PENDING_FAILURE_EJECT)
            self._fail(upstream, Flag.UF, start, end)

    def _fail(self, upstream: UpstreamRequest, flag: Flag, start: int, end: int) -> None:
        """An attempt is over, without an answer from the host."""
        if upstream.connection is not None:
            self._detach(upstream)
            if upstream.written >= 0 and upstream.attempt:
                upstream.stream.upstream_ns += start - upstream.written
            if upstream.connection.link is not None:
                upstream.connection.link.give_up(upstream, start, end)
        upstream.over = True
        if self.limits.detector is not None:
            self.limits.detector.failed(self.endpoint, start, 503)
        upstream.owner.failed(upstream, flag, start, end)

    # --- exchanges -------------------------------------------------------------------------------------------

    def write(self, upstream: UpstreamRequest, start: int) -> int:
        """WRITE_UP visit: the request leaves at its end (Envoy: `encodeHeaders` of the upstream codec)."""
        worker, costs = self.worker, self.limits.costs
        cost = costs.write_up + byte_cost(upstream.sent_bytes, costs.write_up_byte_s)
        end = worker.spend(Visit.WRITE_UP, upstream.name, start, cost)
        upstream.timeline.enter(start, PROXY_CPU)
        upstream.written = end
        if upstream.connection is not None and upstream.connection.link is not None:
            upstream.timeline.enter(end, NEXT_HOP)
            upstream.connection.link.send(upstream, end)
        else:
            upstream.timeline.enter(end, UPSTREAM_NETWORK)
            self.station.deliver(upstream, end + self.up)
        if upstream.per_try_ns:
            worker.set_timer(end + upstream.per_try_ns, upstream.name, Visit.TRY_TIMEOUT, upstream)
        return end

    def read(self, upstream: UpstreamRequest, start: int) -> int:
        """READ_UP visit: the answer ends the attempt and frees its connection (Envoy: `onStreamComplete`)."""
        worker, limits = self.worker, self.limits
        conversation = upstream.stream.conversation if upstream.attempt else None
        if conversation is not None and not conversation.opened and upstream.status < 400:
            return conversation.open(start)
        open_ = conversation is not None and conversation.opened
        costs, status = limits.costs, upstream.status
        cost = costs.read_up + byte_cost(upstream.answer_bytes, costs.read_up_byte_s)
        end = worker.spend(Visit.READ_UP, upstream.name, start, cost)
        upstream.timeline.enter(start, PROXY_CPU)
        if not open_:  # else that was done when it opened
            limits.completed(status)
        if upstream.attempt:
            upstream.stream.upstream_ns += upstream.ready - upstream.written
            limits.recorder.attempt_answered(upstream, limits.index)
        self._detach(upstream)
        if open_ and not limits.http2 and upstream.connection is not None:
            upstream.connection.left = 0  # upgraded: it speaks HTTP no more
        self._freed(upstream, start, end)
        if limits.detector is not None and not open_:
            limits.detector.answered(self.endpoint, status, start)
        upstream.owner.answered(upstream, start, end)
        return end

    def _detach(self, upstream: UpstreamRequest) -> None:
        upstream.over = True
        self.limits.requests -= 1
        self.limits.active[self.endpoint] -= 1

    def _freed(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """A stream has left its connection (Envoy: `onStreamClosed`)."""
        connection = upstream.connection
        assert connection is not None
        del connection.streams[upstream.name]
        if connection.left == 0:
            if not connection.streams:
                self.close(connection, upstream.name, end)
                self._connect_if_needed(upstream.name, end)
        elif self.pending and not self.limits.http2:
            connection.attaching = True
            self.worker.arm(Visit.ATTACH, (connection, upstream))
        elif not connection.ready:
            self._use(connection, upstream.name, start, end, upstream)
        elif not connection.streams:
            self._idle(connection, upstream.name, start, end, upstream)

    def abandon(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """The attempt ends without its answer (Envoy: `resetStream`, `onPendingStreamCancel`)."""
        limits = self.limits
        if upstream.connection is None:
            upstream.over = True
            self.pending.remove(upstream)
            limits.pending -= 1
            limits.count(Counter.UPSTREAM_RQ_CANCELLED)
            return
        if upstream.written >= 0 and upstream.attempt:
            upstream.stream.upstream_ns += start - upstream.written
        if upstream.connection.link is not None:
            upstream.connection.link.give_up(upstream, start, end)
        self._detach(upstream)
        if limits.http2:
            self._freed(upstream, start, end)
        else:
            self.close(upstream.connection, upstream.name, end)
            self._connect_if_needed(upstream.name, end)
