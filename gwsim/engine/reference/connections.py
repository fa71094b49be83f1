"""Connections between client and gateway: the client's slots, and the gateway's side with its visits.

The gateway's side is Envoy's `ConnectionImpl` (source/common/network/connection_impl.cc) with its codec: one read
event takes all that was delivered, one write event sends all that was buffered before it.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from heapq import heappush
from typing import TYPE_CHECKING, Any

from gwsim.engine.codes import Part, Purpose, Visit
from gwsim.engine.draws import below, draw64, fold
from gwsim.engine.reference import tls
from gwsim.engine.reference.accounting import CLIENT_NETWORK, PROXY_CPU
from gwsim.engine.reference.conversations import Conversation, Said
from gwsim.engine.reference.sampling import byte_cost
from gwsim.engine.reference.streams import Stream, same_tie_key

if TYPE_CHECKING:
    from gwsim.engine.reference.agenda import Happening
    from gwsim.engine.reference.clients import Client
    from gwsim.engine.reference.conversations import Terms
    from gwsim.engine.reference.fleets import Pod
    from gwsim.engine.reference.relays import Link
    from gwsim.engine.reference.worker import Worker


class State(Enum):
    """Of a slot."""

    CLOSED = 0
    OPENING = 1
    OPEN = 2


class Slot:
    """A connection that a client keeps: opened, used, retired and opened again."""

    __slots__ = (
        "connection", "full", "generation", "group", "in_use", "index", "key", "limit", "lost", "not_before", "remaining",
        "retiring", "state", "streams", "ticket_pod", "waiting",
    )

    connection: Connection
    group: Slots

    def __init__(self, index: int, limit: int, key: int) -> None:
        self.index = index
        self.limit = limit
        """Requests that a connection may carry (0: any number)."""
        self.key = key
        """Key of its draws; that of one connection is `connection_key`."""
        self.generation = 0
        self.state = State.CLOSED
        self.in_use = 0
        self.remaining = limit
        self.retiring = False
        self.full = False
        self.ticket_pod = -1
        self.not_before = 0
        self.waiting: list[Stream] = []
        self.streams: dict[int, Stream] = {}
        """Attempts on it, by packed name."""
        self.lost: Happening | None = None
        """The event at which the client will find its connection gone."""

    def connection_key(self) -> int:
        """Key of the draws of the present generation."""
        return fold(self.key, self.generation)

    def take(self, streams: int) -> None:
        """One more request is on it."""
        self.in_use += 1
        self.remaining -= 1
        self.retiring = self.remaining == 0
        self.full = self.in_use == streams

    def close(self) -> None:
        """The client closes it; the next request that takes it opens a new connection."""
        self.generation += 1
        if self.lost is not None:
            self.lost.cancel()
            self.lost = None
        self.state = State.CLOSED
        self.remaining = self.limit
        self.retiring = False
        self.full = False
        self.waiting = []


class Slots:
    """The slots of a client: least recently used first, one more when none is free."""

    __slots__ = ("all", "available", "key", "limit", "pod", "queued", "streams")

    def __init__(self, count: int, limit: int, streams: int, key: int, queued: bool, pod: Pod | None = None) -> None:
        self.pod = pod
        """Where all connections go; None: wherever the load balancer sends each."""
        self.limit = limit
        self.streams = streams
        self.key = key
        self.queued = queued
        """False for closed loops: each loop has its own slot."""
        self.all: list[Slot] = []
        self.available: deque[Slot] = deque()
        for _ in range(count):
            self.available.append(self.add())

    def add(self) -> Slot:
        """A new slot, closed."""
        index = len(self.all)
        slot = Slot(index, self.limit, fold(self.key, index))
        slot.group = self
        self.all.append(slot)
        return slot

    def take(self, loop: int) -> Slot:
        """A slot for one request: the head of the queue, or that of a closed loop."""
        if not self.queued:
            slot = self.all[loop]
            slot.take(self.streams)
            return slot
        slot = self.available.popleft() if self.available else self.add()
        slot.take(self.streams)
        if not slot.retiring and not slot.full:
            self.available.append(slot)
        return slot

    def release(self, slot: Slot) -> bool:
        """A request on it has ended; True if the slot was retiring and is to be closed now."""
        slot.in_use -= 1
        if slot.retiring:
            return slot.in_use == 0
        if slot.full:
            slot.full = False
            self.requeue(slot)
        return False

    def retire(self, slot: Slot) -> None:
        """It takes no more requests, and is closed when it carries none."""
        if not slot.retiring:
            slot.retiring = True
            if self.queued and not slot.full:
                self.available.remove(slot)

    def requeue(self, slot: Slot) -> None:
        """To the tail of the queue."""
        if self.queued:
            self.available.append(slot)


class Connection:
    """The gateway's side of a connection: it belongs to one worker for life."""

    __slots__ = (
        "accepted", "answers", "armed", "backlog", "client", "down", "draining", "due", "link", "open_from", "opener", "over", "resumed", "slot",
        "streams", "up", "worker",
    )

    flags: int = 0
    """What the attempts that its end ends are marked with."""
    passthrough = False
    """Whether the client's TLS is not opened here."""

    def __init__(self, client: Client, slot: Slot, opener: int, worker: Worker, up: int, down: int) -> None:
        self.client = client
        self.slot = slot
        self.opener = opener
        """Packed name of the attempt that caused the opening."""
        self.worker = worker
        self.up = up
        self.down = down
        self.link: Link | None = None
        """The other side, if that is a proxy."""
        self.resumed = False
        self.accepted = False
        self.draining = False
        """It is too old: its answers ask the client to close it."""
        self.over = False
        self.backlog: list[tuple[int, int, Any]] = []
        """What was delivered before the connection was accepted: (instant, tie key, stream or what is said on one)."""
        self.due: list[tuple[int, Any]] = []
        """Items of the visit to come, as (tie key, stream), in order."""
        self.streams: dict[int, Stream] = {}
        """Streams that have not ended, by packed name."""
        self.answers: list[Any] = []
        """What the next write sends: streams that are answered, and long streams on which something is said."""
        self.open_from = 0
        """End of the accept visit: nothing is readable before."""
        self.armed = False
        """Whether a write is armed."""

    def __lt__(self, other: object) -> bool:
        """Reached only when two items have the same tie key."""
        return same_tie_key()

    # --- what arrives ----------------------------------------------------------------------------------------

    def deliver(self, instant: int, part: Part, name: int, stream: Any) -> None:
        """Bytes from the client are delivered at `instant`; they are ready once the connection is accepted, and lost when it is gone."""
        if self.over:
            return
        if self.accepted:
            self.worker.deliver(max(instant, self.open_from), name | part, self, stream)
        else:
            self.backlog.append((instant, name | part, stream))

    def begin_warm(self) -> bool:
        """It has been open since before the run; False: it could not have been."""
        self.accepted = True
        return True

    def accept(self, start: int) -> int:
        """ACCEPT visit (Envoy: `TcpListenerImpl::onSocketEvent`); returns its end, as all visits do."""
        end = self.worker.spend(Visit.ACCEPT, self.opener, start, self.client.costs.accept)
        self.worker.accepted()
        self.accepted = True
        self.open_from = end
        for instant, tie, stream in self.backlog:
            heappush(self.worker.items, (max(instant, end), tie, self, stream))
        self.backlog = []
        if self.client.age_limit and self.link is None:
            self.expire_at(end + self.client.age_limit)
        return end

    def read(self, start: int) -> int:
        """The visit that takes all that was delivered (Envoy: `ConnectionImpl::onReadReady`)."""
        items = self.due
        self.due = []
        kind, cost = self._cost_of(items)
        end = self.worker.spend(kind, items[0][0], start, cost)
        for tie, stream in items:
            self._take(tie & 15, stream, start, end)
            if self.over:
                self.tell_end(tie, end)
                break
        return end

    def _cost_of(self, items: list[tuple[int, Any]]) -> tuple[Visit, int]:
        """Kind and cost of a visit; what follows a close is never looked at."""
        costs = self.client.costs
        parts = []
        cost = 0
        messages: Terms | None = None
        for tie, stream in items:
            part = tie & 15
            parts.append(part)
            if part == Part.REQUEST and isinstance(stream, Stream):
                cost += costs.read_stream + byte_cost(stream.request.request_bytes, costs.read_byte_s)
            elif isinstance(stream, Said):
                messages = stream.conversation.terms
                cost += byte_cost(stream.size, messages.costs.read_byte_s)
            elif part == Part.CANCEL:
                cost += costs.read_stream
            elif part == Part.CLIENT_HELLO:
                cost += costs.hello[self.resumed]
            elif part == Part.FINISHED:
                cost += costs.finished[self.resumed]
            else:
                cost += costs.close
                break
        if Part.REQUEST in parts or Part.CANCEL in parts:
            return Visit.READ, cost + costs.read
        if messages is not None:
            return Visit.READ, cost + messages.read
        if Part.FINISHED in parts:
            return Visit.FINISHED, cost
        return (Visit.CLIENT_HELLO if Part.CLIENT_HELLO in parts else Visit.CLOSE), cost

    def _take(self, part: int, stream: Any, start: int, end: int) -> None:
        """One item takes effect."""
        worker = self.worker
        if isinstance(stream, Said):
            stream.conversation.taken(stream, end)
        elif part == Part.REQUEST and stream is not None:
            self.streams[stream.name] = stream
            worker.streams_read()
            worker.filters.begin(stream, start, end)
        elif part == Part.CANCEL and stream is not None:
            if stream in self.answers:
                self.answers.remove(stream)
            if stream.name in self.streams:
                worker.router.cancel(stream, start, end)
        elif part == Part.CLIENT_HELLO:
            tls.hello_read(self, end)
        elif part == Part.FINISHED:
            tls.finished_read(self, end)
        else:
            for name in sorted(self.streams):
                worker.router.cancel(self.streams[name], start, end)
            self.over = True

    def tell_end(self, tie: int, end: int) -> None:
        """The other side has closed, and hears that this one has too, where it waits for that."""
        if self.link is not None:
            self.link.closed(tie & ~15, end)

    # --- what leaves -----------------------------------------------------------------------------------------

    def answer(self, stream: Any) -> None:
        """An answer is to be written: it joins the write that is armed, or arms one."""
        self.answers.append(stream)
        if not self.armed:
            self.armed = True
            self.worker.arm(Visit.WRITE_DOWN, self)

    def write(self, start: int) -> int:
        """WRITE_DOWN visit (Envoy: `ConnectionImpl::onWriteReady`): all answers leave at its end."""
        answers = self.answers
        self.answers = []
        self.armed = False
        end = self.worker.spend(Visit.WRITE_DOWN, answers[0].name, start, self._write_cost(answers))
        draining = self.worker.pod.draining or self.draining
        for stream in answers:
            if isinstance(stream, Conversation):
                stream.leave(end)
                continue
            upgraded = stream.conversation is not None and stream.conversation.opened and self.client.http1
            stream.closing = draining or upgraded
            stream.timeline.enter(start, PROXY_CPU)
            stream.timeline.enter(end, CLIENT_NETWORK)
            (self.link or self.client).answered_at(stream, end + self.down)
        return end

    def _write_cost(self, answers: list[Any]) -> int:
        """Cost of a write; messages alone cost what theirs does."""
        costs = self.client.costs
        heads = cost = 0
        for one in answers:
            if isinstance(one, Conversation):
                heads += one.heads
                cost += sum(byte_cost(said.size, one.terms.costs.write_down_byte_s) for said in one.outbox)
            else:
                heads += 1
                cost += byte_cost(one.response_bytes, costs.write_down_byte_s)
        first = answers[0]
        if not heads and isinstance(first, Conversation):
            return cost + first.terms.write_down
        return cost + costs.write_down + costs.write_down_stream * heads

    # --- its age ---------------------------------------------------------------------------------------------

    def expire_at(self, deadline: int) -> None:
        """It will be too old then."""
        self.worker.set_timer(deadline, self.opener, Visit.DOWN_EXPIRE, self)

    def expired(self, start: int) -> int:
        """DOWN_EXPIRE visit (Envoy: `ConnectionManagerImpl::onConnectionDurationTimeout`): the drain begins."""
        client = self.client
        end = self.worker.spend(Visit.DOWN_EXPIRE, self.opener, start, client.costs.timer)
        self.draining = True
        if client.model.connection.http == 2:
            client.goaway_at(self, end + self.down)
        self.worker.set_timer(end + client.drain_ns, self.opener, Visit.DOWN_CLOSE, self)
        return end

    def drained(self, start: int) -> int:
        """DOWN_CLOSE visit (Envoy: `onDrainTimeout`, `checkForDeferredClose`): closed, if nothing is under way."""
        end = self.worker.spend(Visit.DOWN_CLOSE, self.opener, start, self.client.costs.close)
        if not self.streams and not self.armed:
            self.over = True
            if self.slot.state is not State.CLOSED and self.slot.connection is self:
                self.client.reset_at(self, end + self.down)
        return end


def place(connection_key: int, pods: int, cursor: int | None) -> int:
    """Position of the pod that the front load balancer chooses; `cursor` None: by hash."""
    if cursor is None:
        return below(draw64(connection_key, Purpose.FRONT), pods)
    return cursor % pods


def kernel_choice(connection_key: int, workers: int) -> int:
    """The worker whose listener the kernel gives a connection to (SO_REUSEPORT, no exact balance)."""
    return below(draw64(connection_key, Purpose.KERNEL), workers)
