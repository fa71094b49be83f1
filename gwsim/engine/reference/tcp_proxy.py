"""Byte streams: every downstream connection has one upstream connection of its own, and what comes in on one goes out on the other.

Envoy: `TcpProxy::Filter` (source/common/tcp_proxy/tcp_proxy.cc). It reads nothing from the client until the upstream connection is
established (`readDisable`); what it has upstream is in `tcp_pools`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.codes import Counter, Flag, Part, Visit
from gwsim.engine.draws import fold
from gwsim.engine.hashing import rotl64
from gwsim.engine.reference import tls
from gwsim.engine.reference.accounting import CLIENT_NETWORK, POOL_WAIT, PROXY_CPU, WORKER_QUEUE
from gwsim.engine.reference.agenda import name_of
from gwsim.engine.reference.connections import Connection, Slot, State
from gwsim.engine.reference.lifetimes import within
from gwsim.engine.reference.load_balancing import NONE
from gwsim.engine.reference.sampling import byte_cost
from gwsim.engine.reference.streams import Stream, UpstreamRequest
from gwsim.engine.reference.tcp_pools import Pair, Passing
from gwsim.engine.schema import ANSWER_UPSTREAM

if TYPE_CHECKING:
    from gwsim.engine.reference.clients import Client
    from gwsim.engine.reference.worker import Worker

WARM_PAIR = 4093
"""In the place of `k` in the names of pairs that are older than the run."""


class TcpConnection(Connection):
    """The client's side of a pair."""

    __slots__ = ("begun", "flags", "holding", "key", "longest", "name", "pair", "passthrough", "patience")

    def __init__(self, client: Client, slot: Slot, opener: int, worker: Worker, up: int, down: int) -> None:
        super().__init__(client, slot, opener, worker, up, down)
        outcome = client.model.mix[0].outcome
        horizon = client.world.horizon
        self.key = slot.connection_key()
        self.name = opener
        self.pair: Pair | None = None
        self.passthrough = outcome.passthrough and client.tls is not None
        self.patience = within(outcome.idle_timeout_s, horizon)
        self.longest = within(outcome.max_duration_s, horizon)
        self.begun = -1
        """End of the visit that began the pair."""
        self.holding = False
        """Nothing is read, because there is nowhere to send it."""
        self.flags = Flag.NONE

    # --- the pair --------------------------------------------------------------------------------------------

    def accept(self, start: int) -> int:
        """ACCEPT visit: with it the way upstream begins, unless the name in the client's hello decides it."""
        if self.passthrough:
            return super().accept(start)
        end = self.worker.spend(Visit.ACCEPT, self.opener, start, self.client.costs.accept)
        self.worker.accepted()
        self.accepted = True
        self.begin(start, end)
        return end

    def begin(self, start: int, end: int) -> None:
        """Choose cluster and host, and ask for a connection (Envoy: `establishUpstreamConnection`)."""
        self.begun = end
        self.holding = True
        for instant, _, stream in self.backlog:
            if stream is not None:
                stream.timeline.enter(max(instant, end), POOL_WAIT)
        pair, refusal = self._choose(start, counted=True)
        if pair is None:
            self.cut(start, end, refusal)
        else:
            pair.pool.admit(pair, start, end)  # type: ignore[arg-type]

    def begin_warm(self) -> bool:
        """It has been open since before the run, unless it would have been refused."""
        if self.link is None:
            self.name = name_of(self.client.index, self.slot.index, WARM_PAIR)
        pair, _ = self._choose(0, counted=False)
        if pair is None:
            return False
        self.accepted = True
        self.begun = 0
        return pair.pool.open_warm(pair)

    def _choose(self, start: int, counted: bool) -> tuple[Pair | None, Flag]:
        """The pair, or why there is none."""
        route = self.client.classes[0].route
        target = route.choose(self.key)
        if target < 0:
            return None, Flag.NC
        cluster = self.worker.router.clusters[target]
        shared = cluster.shared
        if shared.connections >= shared.breakers.max_connections:
            if counted:
                shared.count(Counter.UPSTREAM_CX_OVERFLOW)
            return None, Flag.UO
        key = fold(self.key, 0)
        host = cluster.balancer.pick(key, 0, start, self._hash() if cluster.hashed else None)
        if host == NONE:
            if counted:
                shared.count(Counter.UPSTREAM_CX_NONE_HEALTHY)
            return None, Flag.UH
        self.pair = Pair(self, cluster.tcp_pools[host], self.name, key)
        return self.pair, Flag.NONE

    def _hash(self) -> int | None:
        """What the policies of a TCP proxy can hash: where the connection comes from."""
        x: int | None = None
        for rule in self.client.classes[0].route.hash:
            if rule.kind == "connection":
                x = self.slot.key if x is None else rotl64(x, 1) ^ self.slot.key
        return x

    def established(self, start: int, end: int) -> None:
        """There is somewhere to send to: what was held can be read."""
        self.holding = False
        self.open_from = end
        held, self.backlog = self.backlog, []
        for instant, tie, stream in held:
            self.worker.deliver(max(instant, end), tie, self, stream)
            if stream is not None:
                self._leave_queue(stream, instant, start, end)

    def _leave_queue(self, stream: Stream, instant: int, start: int, end: int) -> None:
        """A request delivered at `instant` waits for the worker again, after the visit [start, end]."""
        stream.timeline.cut(max(instant, start))
        if instant <= start:
            stream.timeline.enter(start, PROXY_CPU)
        stream.timeline.enter(max(instant, end) if instant <= start else instant, WORKER_QUEUE)

    def overflow(self, pair: Pair, start: int, end: int) -> None:
        """Too many wait for a connection already (Envoy: `PoolFailureReason::Overflow`)."""
        self.cut(start, end, Flag.URX)

    def failed(self, pair: Pair, flag: Flag, start: int, end: int) -> None:
        """There is no connection to be had."""
        self.cut(start, end, flag | Flag.URX)

    def cut(self, start: int, end: int, flags: Flag) -> None:
        """The gateway closes the connection; the client will find out."""
        if self.over:
            return
        self.over = True
        self.flags = flags
        self.backlog = []
        slot = self.slot
        kept = slot.state is not State.CLOSED and slot.connection is self
        ended = dict(self.streams) if self.link is None else self.streams | self.link.sent_by(start)
        if kept:
            ended |= slot.streams
        for name in sorted(ended):
            if not ended[name].over:
                self._end(ended[name], start, end, flags)
        if kept:
            self.client.reset_at(self, end + self.down + 1)
        if self.link is not None:
            self.link.cut(end + self.down + 1)

    def _end(self, stream: Stream, start: int, end: int, flags: Flag) -> None:
        """A stream ends without an answer."""
        exchange = stream.upstream
        if exchange is not None:
            if exchange.hop is not None and exchange.connection is not None and exchange.connection.link is not None:
                exchange.connection.link.give_up(exchange, start, end)
            exchange.over = True
            stream.upstream = None
            if exchange.written >= 0:
                stream.upstream_ns += start - exchange.written
        if not stream.done:
            stream.timeline.cut(start)
            if stream.sent and stream.timeline.marks[-1][1] is not CLIENT_NETWORK:
                stream.timeline.enter(start, PROXY_CPU)
                stream.timeline.enter(end, CLIENT_NETWORK)
        if stream.gw_start < 0:
            stream.gw_start = start
        stream.flags |= flags
        stream.status = 0
        self._ended(stream, end, counted=False)

    def _ended(self, stream: Stream, end: int, counted: bool) -> None:
        stream.gw_end = end
        stream.over = True
        self.streams.pop(stream.name, None)
        self.worker.recorder.stream_ended(stream, counted)

    # --- reading ---------------------------------------------------------------------------------------------

    def deliver(self, instant: int, part: Part, name: int, stream: Stream | None) -> None:
        """As ever, but nothing is ready while there is nowhere to send it."""
        if not self.holding:
            super().deliver(instant, part, name, stream)
            return
        self.backlog.append((instant, name | part, stream))
        if stream is not None:
            stream.timeline.enter(max(instant, self.begun), POOL_WAIT)

    def read(self, start: int) -> int:
        """The first hello of a passthrough says where it goes; all else goes there."""
        if self.pair is None:
            tie = self.due[0][0]
            end = self.worker.spend(Visit.CLIENT_HELLO, tie, start, self.client.costs.hello[False])
            self.backlog = [(start, tie, stream) for tie, stream in self.due] + self.worker.take_back(self)
            self.due = []
            self.begin(start, end)
            return end
        items, self.due = self.due, []
        kind, cost = self._cost_of(items)
        end = self.worker.spend(kind, items[0][0], start, cost)
        for tie, stream in items:
            self._pass_on(tie, stream, start, end)
            if self.over:
                self.tell_end(tie, end)
                break
        self.pair.moved(end)
        return end

    def _cost_of(self, items: list[tuple[int, Stream | None]]) -> tuple[Visit, int]:
        """Of a passthrough all that a client sends is bytes."""
        if not self.passthrough:
            return super()._cost_of(items)
        costs, cost, said = self.client.costs, 0, False
        for tie, stream in items:
            if tie & 15 == Part.CLOSE:
                cost += costs.close
                break
            said = True
            cost += costs.read_stream
            if stream is not None and tie & 15 == Part.REQUEST:
                cost += byte_cost(stream.request.request_bytes, costs.read_byte_s)
        return (Visit.READ, cost + costs.read) if said else (Visit.CLOSE, cost)

    def _pass_on(self, tie: int, stream: Stream | None, start: int, end: int) -> None:
        """One item takes effect; the end of what a client says is passed on like its words."""
        assert self.pair is not None
        part = Part(tie & 15)
        if stream is not None:
            if part is Part.REQUEST:
                self._begin_exchange(stream, start, end)
            else:
                self._cancel(stream, start, end)
        elif part is Part.CLOSE:
            for name in sorted(self.streams):
                self._end(self.streams[name], start, end, Flag.DC)
            self.over = True
            self.pair.put(Passing(part, tie - part, self, self.pair))
        elif self.passthrough:
            self.pair.put(Passing(part, tie - part, self, self.pair))
        else:
            self._take(part, stream, start, end)

    def _cancel(self, stream: Stream, start: int, end: int) -> None:
        """The client takes a request back: nobody waits for its answer, and only a proxy behind it hears so; a backend goes on."""
        exchange, pair = stream.upstream, self.pair
        if stream in self.answers:
            self.answers.remove(stream)
        if not stream.over:
            self._end(stream, start, end, Flag.DC)
        if pair is not None and pair.connection is not None and pair.connection.link is not None:
            pair.put(Passing(Part.CANCEL, stream.name, self, pair, exchange))

    def _begin_exchange(self, stream: Stream, start: int, end: int) -> None:
        pair, worker = self.pair, self.worker
        assert pair is not None
        pool = pair.pool
        self.streams[stream.name] = stream
        worker.streams_read()
        stream.gw_start = start
        stream.timeline.enter(start, PROXY_CPU)
        stream.timeline.enter(end, WORKER_QUEUE)
        stream.cluster = worker.router.clusters[pool.limits.index]
        stream.attempts = 1
        stream.station = pool.station.index
        worker.recorder.cluster_chosen(stream.request, pool.limits.index)
        exchange = UpstreamRequest(stream, 0, fold(stream.key, 0), worker.router, stream.timeline)
        exchange.pool = pool
        exchange.connection = pair.connection
        exchange.admitted = end
        stream.upstream = exchange
        pair.put(exchange)

    # --- writing ---------------------------------------------------------------------------------------------

    def answered(self, exchange: UpstreamRequest, size: int, end: int) -> None:
        """The answer to a request was read; it ends here."""
        stream = exchange.stream
        stream.status = exchange.status
        stream.answer = ANSWER_UPSTREAM
        stream.response_bytes = size
        stream.upstream = None
        stream.timeline.enter(end, WORKER_QUEUE)
        self._ended(stream, end, counted=True)
        self.answer(stream)

    def answer(self, stream: Stream | Passing) -> None:
        """As ever, for answers to handshakes too."""
        super().answer(stream)

    def write(self, start: int) -> int:
        """WRITE_DOWN visit: what the endpoint has said leaves."""
        assert self.pair is not None
        end = self.worker.spend(Visit.WRITE_DOWN, self.answers[0].name, start, self._cost_of_answers())
        self._send(start, end)
        self.pair.moved(end)
        return end

    def cost_of_flush(self) -> int:
        """Of writing what is about to be written, before the connection is closed."""
        return self._cost_of_answers() if self.answers and not self.over else 0

    def flush(self, start: int, end: int) -> None:
        """Write it."""
        if not self.over:
            self._send(start, end)

    def _cost_of_answers(self) -> int:
        costs, answers = self.client.costs, self.answers
        sizes = [one.response_bytes for one in answers if isinstance(one, Stream)]
        return costs.write_down + costs.write_down_stream * len(answers) + sum(byte_cost(size, costs.write_down_byte_s) for size in sizes)

    def _send(self, start: int, end: int) -> None:
        answers: list[Stream | Passing] = self.answers
        self.answers = []
        self.armed = False
        for one in answers:
            if isinstance(one, Stream):
                one.timeline.enter(start, PROXY_CPU)
                one.timeline.enter(end, CLIENT_NETWORK)
                (self.link or self.client).answered_at(one, end + self.down)
            elif one.part is Part.CLIENT_HELLO:
                tls.hello_read(self, end)
            else:
                tls.finished_read(self, end)
