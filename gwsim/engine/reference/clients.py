"""Clients: they start requests on their connections, wait, give up, try again, and say when a request is done.

Client retries follow the common libraries' exponential back-off with full jitter and the retry budget of
gRPC's A6 proposal (tokens earned by requests, spent by retries).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.codes import Component, Flag, Part, Purpose
from gwsim.engine.draws import below, draw64, fold, name64, ns
from gwsim.engine.reference import network, tls
from gwsim.engine.reference.accounting import (
    CLIENT_BACKOFF,
    CLIENT_NETWORK,
    CONNECTION_SETUP,
    WORKER_QUEUE,
    Timeline,
)
from gwsim.engine.reference.agenda import (
    ENTITY_CLIENT,
    ENTITY_SOURCE,
    RANK_BYTES,
    RANK_CLIENT,
    name_of,
    place_of,
)
from gwsim.engine.reference.calls import Job
from gwsim.engine.reference.chains import callers
from gwsim.engine.reference.connections import Connection, Slot, Slots, State
from gwsim.engine.reference.conversations import Terms
from gwsim.engine.reference.lifetimes import WARM, within
from gwsim.engine.reference.router import Route
from gwsim.engine.reference.sampling import Quantity, u01
from gwsim.engine.reference.streams import Cause, Request, Stream
from gwsim.engine.reference.tcp_proxy import TcpConnection
from gwsim.engine.schema import (
    ANSWER_RESET,
    ANSWER_TIMEOUT,
    HANDSHAKE_FULL,
    HANDSHAKE_PLAIN,
    HANDSHAKE_RESUMED,
)
from gwsim.scenario.model import Client as ClientModel
from gwsim.scenario.model import ClosedLoop, DownstreamCosts, Shape

if TYPE_CHECKING:
    from gwsim.engine.reference.agenda import Happening
    from gwsim.engine.reference.fleets import Pod
    from gwsim.engine.reference.sources import Source
    from gwsim.engine.reference.worker import Worker
    from gwsim.engine.reference.world import World

CONNECTED, ANSWERED, RESET, GOAWAY = 0, 1, 2, 3
SHARED = -1
"""In the place of a station, of slots that belong to none."""
QUICKEST_REFUSAL = 1_000_000
"""Nobody finds out faster than in 1 ms that there is nobody, ns."""
ARRIVAL, TIME_OUT, RETRY = 0, 1, 2
FULL_BUDGET, COST_OF_RETRY = 10_000, 1_000


class CostsNs:
    """`DownstreamCosts` in ns."""

    __slots__ = (
        "accept", "close", "finished", "hello", "read", "read_byte_s", "read_stream", "timer", "write_down",
        "write_down_byte_s", "write_down_stream",
    )

    def __init__(self, costs: DownstreamCosts) -> None:
        self.accept = ns(costs.accept_s)
        self.hello = (ns(costs.client_hello_full_s), ns(costs.client_hello_resumed_s))
        self.finished = (ns(costs.finished_full_s), ns(costs.finished_resumed_s))
        self.read = ns(costs.read_s)
        self.read_stream = ns(costs.read_stream_s)
        self.read_byte_s = costs.read_byte_s
        self.write_down = ns(costs.write_down_s)
        self.write_down_stream = ns(costs.write_down_stream_s)
        self.write_down_byte_s = costs.write_down_byte_s
        self.timer = ns(costs.timer_s)
        self.close = ns(costs.close_s)


class TrafficClass:
    """A client's requests of one shape."""

    __slots__ = ("class_id", "client", "later", "long", "request_bytes", "response_bytes", "route", "shape", "source")

    def __init__(self, client: Client, class_id: int, shape: Shape, index: int) -> None:
        self.client = client
        self.source = client.index
        self.shape = index
        self.class_id = class_id
        self.route = Route(shape.outcome)
        self.later = [(ns(at_s), Route(outcome)) for at_s, outcome in shape.later]
        self.long = None if shape.long is None else Terms(shape.long, client.world.model.long_classes().index(class_id))
        self.request_bytes = Quantity(shape.request_bytes, Purpose.REQUEST_BYTES)
        self.response_bytes = Quantity(shape.response_bytes, Purpose.RESPONSE_BYTES)

    def route_at(self, now: int) -> Route:
        """What the configuration of the moment does with it."""
        route = self.route
        for begin, other in self.later:
            if begin <= now:
                route = other
        return route


class Client:
    """One population of clients: its slots, its patience and its retries."""

    __slots__ = (
        "age_limit", "arrival_place", "classes", "connection_place", "costs", "derived", "drain_ns", "fleet", "groups", "http1", "index", "model", "reconnect",
        "retry", "rtt", "running_weights", "source", "tcp", "time_out_ns", "tls", "tokens", "tokens_per_request",
        "weight", "world",
    )

    source: Source

    def __init__(self, world: World, index: int, model: ClientModel, first_class: int) -> None:
        self.world = world
        self.index = index
        self.model = model
        self.fleet = world.fleets[model.fleet]
        self.costs = CostsNs(model.costs)
        self.tls = model.connection.tls
        self.tcp = any(shape.outcome.tcp for shape in model.mix)
        self.http1 = model.connection.http == 1 and model.connection.streams == 1
        self.classes = [TrafficClass(self, first_class + i, shape, i) for i, shape in enumerate(model.mix)]
        self.derived = 0
        """Requests made so far on behalf of others."""
        self.running_weights: list[float] = []
        self.weight = 0.0
        for shape in model.mix:
            self.weight += shape.weight
            self.running_weights.append(self.weight)
        self.rtt = Quantity(model.rtt_s, Purpose.RTT)
        delay = model.connection.reconnect_delay_s
        self.reconnect = None if delay is None else Quantity(delay, Purpose.RECONNECT)
        self.age_limit = within(model.max_connection_duration_s, world.horizon)
        """Of a connection, ns; 0: none."""
        self.drain_ns = max(1, ns(model.drain_s))
        self.time_out_ns = None if model.timeout_s is None else max(1, ns(model.timeout_s))
        self.retry = model.retry
        self.tokens = FULL_BUDGET
        budget = model.retry.budget if model.retry else None
        self.tokens_per_request = None if budget is None else int(budget * 1000 + 0.5)
        self.connection_place = place_of(RANK_BYTES, ENTITY_CLIENT + index)
        self.arrival_place = place_of(RANK_CLIENT, ENTITY_SOURCE + index)
        key = fold(world.run_key, name64("connection/" + model.name))
        self.groups: dict[int, Slots] = {}
        """Its slots; those of backends that dial the proxy beside them by station."""
        if model.own_pod:
            for s in callers(world.model, index):
                self.groups[s] = self._group(fold(key, s), self.fleet.pods[world.model.stations[s].pod])
        else:
            self.groups[SHARED] = self._group(key, None)

    def _group(self, key: int, pod: Pod | None) -> Slots:
        """Slots on `pod`, or (None) on any."""
        connection, arrivals = self.model.connection, self.model.arrivals
        closed = arrivals.connections if isinstance(arrivals, ClosedLoop) else None
        count = connection.count if closed is None else closed
        return Slots(count, connection.requests, connection.streams, key, queued=closed is None, pod=pod)

    def slots(self) -> list[Slot]:
        """All of them."""
        return [slot for group in self.groups.values() for slot in group.all]

    # --- a request -------------------------------------------------------------------------------------------

    def shape_of(self, request_key: int) -> TrafficClass:
        """The class of a request, by the weights of the mix."""
        if len(self.classes) == 1:
            return self.classes[0]
        share = u01(request_key, Purpose.SHAPE) * self.weight
        for traffic, running in zip(self.classes, self.running_weights, strict=True):
            if running > share:
                return traffic
        return self.classes[-1]

    def arrive(self, traffic: TrafficClass, number: int, key: int, now: int, loop: int = -1) -> None:
        """A request arrives."""
        request = Request(traffic, number, key, now, loop)
        self.world.recorder.arrived(request)
        self._first_attempt(request, now)

    def call(self, shape: int, key: int, now: int, job: Job) -> Request:
        """A backend makes a request."""
        request = self.derive(shape, key, now, job)
        self._first_attempt(request, now)
        return request

    def _first_attempt(self, request: Request, now: int) -> None:
        """A request earns a share of a retry, and sets out."""
        if self.tokens_per_request is not None:
            self.tokens = min(FULL_BUDGET, self.tokens + self.tokens_per_request)
        self.attempt(request, 0, now)

    def derive(self, shape: int, key: int, start: int, cause: Cause) -> Request:
        """A request that is made for another one."""
        request = Request(self.classes[shape], self.derived, key, start, cause=cause)
        self.derived += 1
        self.world.recorder.derived(request)
        return request

    def attempt(self, request: Request, k: int, now: int) -> None:
        """Attempt `k` starts: it takes a slot and is sent, or waits for the slot's connection."""
        stream = Stream(request, k, now)
        if self.time_out_ns is not None:
            key = self.arrival_place | stream.name | TIME_OUT
            stream.time_out = self.world.agenda.at(now + self.time_out_ns, key, self.timed_out, stream)
        group = self.groups[request.cause.station.index if self.model.own_pod and isinstance(request.cause, Job) else SHARED]
        slot = group.take(request.loop)
        slot.streams[stream.name] = stream
        stream.slot = slot
        if slot.state is State.OPEN:
            stream.connection = slot.connection
            stream.timeline = Timeline(now, CLIENT_NETWORK)
            self.send(stream, now)
        else:
            if slot.state is State.CLOSED:
                self.open(slot, stream, now)
            else:
                stream.timeline = Timeline(now, CONNECTION_SETUP)
            stream.connection = slot.connection
            slot.waiting.append(stream)

    def send(self, stream: Stream, now: int) -> None:
        """The request leaves."""
        connection = stream.connection
        stream.sent = True
        delivery = now + connection.up
        stream.timeline.enter(delivery, WORKER_QUEUE)
        connection.deliver(delivery, Part.REQUEST, stream.name, stream)

    # --- connections -----------------------------------------------------------------------------------------

    def connect(self, slot: Slot, opener: int) -> tuple[Connection, int]:
        """A new connection of a slot, placed on a worker, and the key of its draws."""
        key = slot.connection_key()
        worker = self.fleet.place(key, slot.group.pod)
        up, down = network.halves(self.rtt.ns(key))
        connection = self.side(slot, opener, worker, up, down)
        slot.connection = connection
        return connection, key

    def side(self, slot: Slot, opener: int, worker: Worker, up: int, down: int) -> Connection:
        """The gateway's side of a connection."""
        return (TcpConnection if self.tcp else Connection)(self, slot, opener, worker, up, down)

    def open_warm(self, slot: Slot) -> None:
        """The slot has been open since before the run."""
        if not self.fleet.targets:
            return
        connection, key = self.connect(slot, name_of(self.index, slot.index, WARM))
        if not connection.begin_warm():
            connection.worker.connections -= 1
            return
        if self.age_limit:
            connection.expire_at(1 + below(draw64(key, Purpose.AGE), self.age_limit))
        slot.state = State.OPEN
        if slot.limit > 0:
            slot.remaining = 1 + below(draw64(key, Purpose.REMAINING), slot.limit)
        if self.tls is not None:
            slot.ticket_pod = connection.worker.pod.index

    def open(self, slot: Slot, stream: Stream, now: int) -> None:
        """Open a slot's connection on behalf of `stream`: TCP, then TLS if the listener speaks it."""
        connection, key = self.connect(slot, stream.name)
        slot.state = State.OPENING
        at = max(now, slot.not_before)
        stream.timeline = Timeline(now, CLIENT_BACKOFF)
        stream.timeline.enter(at, CONNECTION_SETUP)
        synchronised = at + connection.up + connection.down
        if connection.worker.dead or not self.fleet.targets:
            self.reset_at(connection, max(synchronised, at + QUICKEST_REFUSAL))
            return
        connection.worker.deliver_connection(synchronised + connection.up, connection)
        if self.tls is None:
            stream.handshake = HANDSHAKE_PLAIN
            self.connected_at(connection, synchronised)
            return
        pod = connection.worker.pod.index
        if not connection.passthrough:
            connection.resumed = tls.resumes(self.model.connection.offers_ticket, slot.ticket_pod, pod, key)
        stream.handshake = HANDSHAKE_RESUMED if connection.resumed else HANDSHAKE_FULL
        slot.ticket_pod = pod
        connection.deliver(synchronised + connection.up, Part.CLIENT_HELLO, stream.name, None)

    def connected_at(self, connection: Connection, instant: int) -> None:
        """The client will find its connection established at `instant`."""
        key = self.connection_place | connection.opener | CONNECTED
        self.world.agenda.at(instant, key, self.connected, connection)

    def reset_at(self, connection: Connection, instant: int) -> None:
        """The client will find at `instant` that there is nobody at the other end."""
        slot = connection.slot
        key = self.connection_place | name_of(self.index, slot.index, 0) | RESET
        slot.lost = self.world.agenda.at(instant, key, self.reset, connection)

    def cut_at(self, connection: Connection, instant: int) -> None:
        """The gateway has closed a connection; nothing is to be found of that if the client has given it up."""
        slot = connection.slot
        if slot.connection is connection and slot.state is State.OPEN and slot.lost is None:
            self.reset_at(connection, instant)

    def lose(self, slot: Slot, pod: Pod, now: int) -> None:
        """A pod has ended: what a slot has on it is lost."""
        if slot.state is State.CLOSED or slot.connection.worker.pod is not pod or slot.lost is not None:
            return
        for stream in slot.streams.values():
            stream.over = True
            for upstream in (stream.upstream, stream.call):
                if upstream is not None:
                    upstream.over = True
            stream.timeline.cut(now)
            stream.timeline.enter(now, CLIENT_NETWORK)
        self.reset_at(slot.connection, now + slot.connection.down)

    def reset(self, happening: Happening) -> None:
        """RESET: the connection is gone, and what was on it fails."""
        connection: Connection = happening.subject
        slot = connection.slot
        now = self.world.agenda._now
        lost = [slot.streams[name] for name in sorted(slot.streams)]
        queued = slot.group.queued and slot in slot.group.available
        connection.worker.connections -= 1
        slot.streams.clear()
        slot.in_use = 0
        slot.close()
        slot.not_before = now + (0 if self.reconnect is None else self.reconnect.ns(slot.connection_key()))
        if not queued:
            slot.group.requeue(slot)
        for stream in lost:
            self._done(stream, now, cut=True)
            stream.flags |= connection.flags
            if not self.retried(stream, now, self.retry is not None and self.retry.on_5xx):
                self.finish(stream, now, 0, stream.flags, ANSWER_RESET, 0)

    def goaway_at(self, connection: Connection, instant: int) -> None:
        """The client will read at `instant` that the connection takes no more requests."""
        key = self.connection_place | connection.opener | GOAWAY
        self.world.agenda.at(instant, key, self.goaway, connection)

    def goaway(self, happening: Happening) -> None:
        """GOAWAY: what is under way is finished, what comes takes another connection."""
        connection: Connection = happening.subject
        slot = connection.slot
        if slot.connection is not connection or slot.state is not State.OPEN:
            return
        slot.group.retire(slot)
        if not slot.in_use:
            self.close(slot, connection.opener, self.world.agenda._now)
            slot.group.requeue(slot)

    def connected(self, happening: Happening) -> None:
        """CONNECTED: what waits on the slot is sent, unless the client has given up."""
        connection: Connection = happening.subject
        slot = connection.slot
        if slot.connection is not connection or slot.state is not State.OPENING:
            return
        now = self.world.agenda._now
        slot.state = State.OPEN
        waiting, slot.waiting = slot.waiting, []
        for stream in waiting:
            stream.timeline.enter(now, CLIENT_NETWORK)
            self.send(stream, now)

    def close(self, slot: Slot, name: int, now: int) -> None:
        """The client closes a slot's connection, in the name of an attempt."""
        connection = slot.connection
        connection.deliver(now + connection.up, Part.CLOSE, name, None)
        connection.worker.connections -= 1
        slot.close()

    # --- the end of an attempt -------------------------------------------------------------------------------

    def answered_at(self, stream: Stream, instant: int) -> None:
        """An answer will be delivered at `instant`."""
        self.world.agenda.at(instant, self.answer_key(stream), self.answered, stream)

    def answer_key(self, stream: Stream) -> int:
        """Key of the delivery of an answer."""
        return self.connection_place | stream.name | ANSWERED

    def answered(self, happening: Happening) -> None:
        """The answer is here, in time or too late."""
        stream: Stream = happening.subject
        if stream.done:
            return
        now = self.world.agenda._now
        self._done(stream, now, cut=False)
        self._leave_slot(stream, now)
        if stream.status < 500 or not self.retried(stream, now, self.retry is not None and self.retry.on_5xx):
            self.finish(stream, now, stream.status, stream.flags, stream.answer, stream.response_bytes)

    def _done(self, stream: Stream, now: int, cut: bool) -> None:
        """An attempt has ended at the client."""
        stream.done = True
        if stream.time_out is not None:
            stream.time_out.cancel()
        if stream.opened >= 0:
            self.world.recorder.closed(stream, now, cut)

    def _leave_slot(self, stream: Stream, now: int) -> None:
        slot = stream.slot
        del slot.streams[stream.name]
        if stream.closing and slot.connection is stream.connection:
            slot.group.retire(slot)
        if slot.group.release(slot):
            self.close(slot, stream.name, now)
            slot.group.requeue(slot)

    def stream_reset(self, stream: Stream, now: int) -> None:
        """The gateway has reset a long stream; the connection goes on."""
        self._done(stream, now, cut=True)
        self._leave_slot(stream, now)
        if not self.retried(stream, now, self.retry is not None and self.retry.on_5xx):
            self.finish(stream, now, 0, stream.flags, ANSWER_RESET, 0)

    def timed_out(self, happening: Happening) -> None:
        """The client's patience is at its end."""
        stream: Stream = happening.subject
        now = self.world.agenda._now
        stream.done = True
        if self.http1:
            self.abandon_connection(stream, now)
        else:
            self.abandon_stream(stream, now)
        if not self.retried(stream, now, self.retry is not None and self.retry.on_timeout):
            self.finish(stream, now, 0, stream.flags | Flag.DC, ANSWER_TIMEOUT, 0)

    def abandon_connection(self, stream: Stream, now: int) -> None:
        """HTTP/1.1 has no way to give up an exchange but to close the connection."""
        slot = stream.slot
        slot.in_use -= 1
        del slot.streams[stream.name]
        self.close(slot, stream.name, now)
        if self.reconnect is not None:
            slot.not_before = now + self.reconnect.ns(slot.connection_key())
        else:
            slot.not_before = now
        slot.group.requeue(slot)

    def abandon_stream(self, stream: Stream, now: int) -> None:
        """HTTP/2: RST_STREAM with CANCEL, if the request was sent at all."""
        slot, connection = stream.slot, stream.connection
        del slot.streams[stream.name]
        if stream.sent:
            connection.deliver(now + connection.up, Part.CANCEL, stream.name, stream)
        else:
            slot.waiting.remove(stream)
        if slot.group.release(slot):
            self.close(slot, stream.name, now)
            slot.group.requeue(slot)

    def retried(self, stream: Stream, now: int, listed: bool) -> bool:
        """Whether a failed attempt is tried again by the client; if so, after a back-off."""
        retry = self.retry
        if retry is None or not listed or stream.k >= retry.attempts:
            return False
        if self.tokens_per_request is not None:
            if self.tokens < COST_OF_RETRY:
                return False
            self.tokens -= COST_OF_RETRY
        bound = min(retry.base_s * 2.0**stream.k, retry.max_s)
        back_off = max(1, ns(u01(stream.key, Purpose.CLIENT_BACKOFF) * bound))
        request = stream.request
        stream.timeline.charge(now, request.spent, stream.connection.worker.cpu)
        request.spent[Component.CLIENT_BACKOFF] += back_off
        request.failed_ns += now - stream.start
        key = self.arrival_place | name_of(self.index, request.number, stream.k + 1) | RETRY
        self.world.agenda.at(now + back_off, key, self.try_again, (request, stream.k + 1))
        return True

    def try_again(self, happening: Happening) -> None:
        """The back-off is over."""
        request, k = happening.subject
        self.attempt(request, k, self.world.agenda._now)

    def finish(self, stream: Stream, now: int, status: int, flags: int, answer: int, response_bytes: int) -> None:
        """The request is done, with the fate of its last attempt."""
        request = stream.request
        stream.timeline.charge(now, request.spent, stream.connection.worker.cpu)
        request.failed_ns += stream.failed_ns
        self.world.recorder.finished(stream, now, status, flags, answer, response_bytes)
        self.source.finished(request, status, now)

