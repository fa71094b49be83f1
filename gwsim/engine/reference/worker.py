"""The worker: an event loop that polls, visits what is ready, then what was armed before, then what is due.

Envoy: a worker thread's `Event::Dispatcher` on libevent (source/common/event/dispatcher_impl.cc). A write is not done
where it is produced: it is armed and done one iteration later, after that iteration's ready sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, TypeAlias

from gwsim.engine.codes import Part, Visit
from gwsim.engine.draws import fold
from gwsim.engine.reference.agenda import RANK_WORKER, Agenda, Happening, place_of
from gwsim.engine.reference.filters import Filters
from gwsim.engine.reference.router import Router

if TYPE_CHECKING:
    from gwsim.engine.reference.connections import Connection
    from gwsim.engine.reference.conversations import Conversation, Deadline
    from gwsim.engine.reference.cpu import Budget
    from gwsim.engine.reference.fleets import Pod
    from gwsim.engine.reference.lifetimes import Notice, UpstreamConnection
    from gwsim.engine.reference.recording import Recorder
    from gwsim.engine.reference.streams import Stream, UpstreamRequest
    from gwsim.engine.reference.tcp_pools import Pair, Passing

    Socket: TypeAlias = Connection | Conversation | UpstreamRequest | UpstreamConnection | Notice | Passing
    Armed: TypeAlias = Connection | Conversation | UpstreamRequest | Pair | tuple[UpstreamConnection, UpstreamRequest]
    Timed: TypeAlias = Connection | Deadline | Stream | UpstreamRequest | UpstreamConnection | Notice

MS = 1_000_000
NEVER = 1 << 62
WRITE_DOWN, ATTACH, BACKOFF = Visit.WRITE_DOWN, Visit.ATTACH, Visit.BACKOFF
TIMER_ORDER = {Visit.ROUTE_TIMEOUT: 0, Visit.TRY_TIMEOUT: 1, Visit.BACKOFF: 2, Visit.DELAY: 3, Visit.CALL_TIMEOUT: 4, Visit.DOWN_EXPIRE: 9, Visit.DOWN_CLOSE: 10}
UPSTREAM_VISIT: dict[int, Visit] = {
    Part.UP_RESPONSE: Visit.READ_UP,
    Part.UP_CONNECTED: Visit.UP_CONNECTED,
    Part.UP_TLS: Visit.UP_TLS,
    Part.UP_CLOSE: Visit.UP_CLOSE,
    Part.UP_CLOSE_UNUSED: Visit.UP_CLOSE,
    Part.UP_FAILED: Visit.UP_FAILED,
    Part.UP_MESSAGE: Visit.READ_UP,
    Part.UP_PONG: Visit.READ_UP,
}


class Worker:
    """One event loop of a pod."""

    __slots__ = (
        "accepting",
        "agenda",
        "alarm",
        "armed",
        "asleep",
        "connections",
        "cpu",
        "dead",
        "filters",
        "fleet",
        "index",
        "items",
        "iteration_ns",
        "key",
        "place",
        "pod",
        "recorder",
        "router",
        "slept",
        "timers",
        "visits",
        "waiting",
        "wakeup_ns",
    )

    def __init__(self, agenda: Agenda, recorder: Recorder, pod: Pod, index: int, position: int) -> None:
        self.agenda = agenda
        self.recorder = recorder
        self.pod = pod
        self.fleet = pod.fleet
        self.index = index
        self.key = fold(pod.fleet.key, position)
        self.wakeup_ns = pod.fleet.wakeup_ns
        self.iteration_ns = pod.fleet.iteration_ns
        self.place = place_of(RANK_WORKER, index)
        self.router = Router(self, recorder)
        self.filters = Filters(self, self.router)
        self.items: list[tuple[int, int, Any, Any]] = []
        """What is delivered to accepted connections and from upstream: a heap by tie key."""
        self.accepting: list[tuple[int, int, Connection]] = []
        """The listener's accept queue: a heap by tie key."""
        self.armed: list[tuple[Visit, Any]] = []
        self.timers: list[tuple[int, int, Visit, Timed]] = []
        """A heap by (deadline, name)."""
        self.cpu: Budget | None = None
        """Its share of the pod's CPU quota; None: no limit."""
        self.connections = 0
        """Placed on it and not closed by their clients."""
        self.dead = False
        self.waiting: Happening | None = None
        self.asleep = False
        self.slept = 0
        self.alarm: tuple[int, Happening] = (NEVER, Happening(agenda, [], None))
        """While asleep: the instant at which it wakes, and the event of the poll after that."""
        self.visits: dict[Visit, Callable[[Any, int], int]] = {
            Visit.ACCEPT: lambda connection, start: connection.accept(start),
            Visit.READ: lambda connection, start: connection.read(start),
            Visit.WRITE_DOWN: lambda connection, start: connection.write(start),
            Visit.WRITE_UP: lambda upstream, start: upstream.pool.write(upstream, start),
            Visit.READ_UP: lambda upstream, start: upstream.pool.read(upstream, start),
            Visit.UP_CONNECTED: lambda connecting, start: connecting.pool.connected(connecting, start),
            Visit.UP_TLS: lambda connecting, start: connecting.pool.handshaken(connecting, start),
            Visit.ATTACH: lambda freed, start: freed[0].pool.attach(freed, start),
            Visit.UP_CLOSE: lambda notice, start: notice.connection.pool.reset(notice, start),
            Visit.UP_EXPIRE: lambda thing, start: thing.connection.pool.expired(thing, start),
            Visit.UP_FAILED: lambda connection, start: connection.pool.refused(connection, start),
            Visit.CONNECT_TIMEOUT: lambda notice, start: notice.connection.pool.unanswered(notice, start),
            Visit.ROUTE_TIMEOUT: self.router.route_time_out,
            Visit.TRY_TIMEOUT: self.router.timed_out,
            Visit.BACKOFF: self.router.back_off_over,
            Visit.DELAY: self.filters.delay_over,
            Visit.CALL_TIMEOUT: lambda upstream, start: upstream.owner.timed_out(upstream, start),
            Visit.STREAM_IDLE: lambda deadline, start: deadline.conversation.idle_over(start),
            Visit.DOWN_EXPIRE: lambda connection, start: connection.expired(start),
            Visit.DOWN_CLOSE: lambda connection, start: connection.drained(start),
        }

    # --- the loop --------------------------------------------------------------------------------------------

    def run(self) -> Generator[Happening, None, None]:
        """The life of a worker, a SimPy process; every `yield` is a poll or the start of a visit."""
        agenda, place = self.agenda, self.place
        now = agenda._now
        while True:
            if not self._busy_at(now):
                yield self._sleep(now)
                now = agenda._now
                self.asleep = False
                if self.cpu is not None:
                    paid = self.cpu.pay(now, self.wakeup_ns)
                    if paid > now:
                        yield self._wait(paid, place)
                        now = paid
                self.recorder.woke(self, now)
                continue  # what it was woken for may be void by now
            entries = self._collect(now)
            self.recorder.iterated(self, now)
            now = self._after(now, self.iteration_ns)
            for visit, thing in entries:
                if not lost(visit, thing):
                    yield self._wait(now, place)
                    # what happens between two visits may take the object of the next: an ejection drains connections
                    if not lost(visit, thing):
                        now = self.visits[visit](thing, now)
                        continue
                if visit is WRITE_DOWN:
                    thing.armed = False
            yield self._wait(now, place)

    def _wait(self, instant: int, place: int) -> Happening:
        self.waiting = self.agenda.wait(instant, place)
        return self.waiting

    def die(self) -> None:
        """The pod has ended: nothing happens here any more, and nothing that was here is heard of again."""
        for waiting in (self.waiting, self.alarm[1]):
            if waiting is not None and waiting.callbacks is not None:
                waiting.cancel()
        self.dead = True
        self.asleep = False
        self.items, self.accepting, self.armed, self.timers = [], [], [], []

    def tell_stops(self) -> None:
        """Add the time it was stopped to the records."""
        if self.cpu is not None:
            self.recorder.workers[self.index].worker_throttled += self.cpu.stopped_ns

    def _busy_at(self, now: int) -> bool:
        """Whether anything is armed, ready or due."""
        self._forget_lost()
        return bool(
            self.armed
            or (self.items and self.items[0][0] <= now)
            or (self.accepting and self.accepting[0][0] <= now)
            or (self.timers and self.timers[0][0] <= now)
        )

    def _forget_lost(self) -> None:
        """Items, timers and armed actions of what has ended neither wake the loop nor keep it awake."""
        items, timers = self.items, self.timers
        while items and items[0][2].over:
            heappop(items)
        while timers and lost(timers[0][2], timers[0][3]):
            heappop(timers)
        for entry in [entry for entry in self.armed if lost(*entry)]:
            self.armed.remove(entry)
            if entry[0] is WRITE_DOWN:
                entry[1].armed = False

    def _sleep(self, now: int) -> Happening:
        """Fall asleep: the event of the poll after the wake-up, which new items may bring forward."""
        ready = min(
            self.items[0][0] if self.items else NEVER,
            self.accepting[0][0] if self.accepting else NEVER,
            now - (now - self.timers[0][0]) // MS * MS if self.timers else NEVER,
        )
        poll = Happening(self.agenda, [], None)
        if ready < NEVER:
            self.agenda.put(poll, ready + self.wakeup_ns, self.place)
        self.asleep = True
        self.slept = now
        if self.cpu is not None:
            self.cpu.sleep(now)
        self.alarm = (ready, poll)
        return poll

    def _rouse(self, ready: int) -> None:
        """Something will be ready at `ready`: if that is before the alarm, the alarm goes off then."""
        if ready < self.alarm[0]:
            poll = self.alarm[1]
            self.agenda.put(poll, ready + self.wakeup_ns, self.place)
            self.alarm = (ready, poll)

    def _collect(self, now: int) -> list[tuple[Visit, Any]]:
        """The entries of an iteration, fixed at the poll: ready sockets, armed actions, timers due."""
        entries: list[tuple[Visit, Any]] = []
        items, timers = self.items, self.timers
        accept = self.accepting[0] if self.accepting and self.accepting[0][0] <= now else None
        while items and items[0][0] <= now:
            ready, tie, socket, stream = heappop(items)
            if socket.over:
                continue
            if accept is not None and accept[:2] < (ready, tie):
                entries.append((Visit.ACCEPT, accept[2]))
                accept = None
            part = tie & 15
            if part in UPSTREAM_VISIT and part < Part.UP_MESSAGE:
                entries.append((UPSTREAM_VISIT[part], socket))
            else:
                if not socket.due:
                    entries.append((UPSTREAM_VISIT.get(part, Visit.READ), socket))
                socket.due.append((tie, stream))
        if accept is not None:
            entries.append((Visit.ACCEPT, accept[2]))
        if self.accepting and self.accepting[0][0] <= now:
            heappop(self.accepting)
        entries += self.armed
        self.armed = []
        while timers and timers[0][0] <= now:
            _, _, visit, thing = heappop(timers)
            if not lost(visit, thing):
                entries.append((visit, thing))
        return entries

    # --- what others ask of it -------------------------------------------------------------------------------

    def deliver(self, ready: int, tie: int, socket: Socket, stream: Any) -> None:
        """Something becomes ready at `ready`."""
        if self.dead:
            return
        heappush(self.items, (ready, tie, socket, stream))
        if self.asleep:
            self._rouse(ready)

    def take_back(self, socket: Connection) -> list[tuple[int, int, Stream | None]]:
        """What is on its way to a connection that nothing is to be read from: (instant, tie key, stream)."""
        taken = [(ready, tie, stream) for ready, tie, one, stream in self.items if one is socket]
        if taken:
            self.items = [item for item in self.items if item[2] is not socket]
            heapify(self.items)
        return taken

    def deliver_connection(self, ready: int, connection: Connection) -> None:
        """A connection waits to be accepted from `ready` on."""
        if self.dead:
            return
        heappush(self.accepting, (ready, connection.opener | Part.ACCEPT, connection))
        if self.asleep:
            self._rouse(ready)

    def arm(self, visit: Visit, thing: Armed) -> None:
        """Do it one iteration later."""
        self.armed.append((visit, thing))

    def set_timer(self, deadline: int, name: int, visit: Visit, thing: Timed, order: int | None = None) -> None:
        """Do it when `deadline` has passed, unless `thing` has ended; `order` among timers of equal deadline and name."""
        heappush(self.timers, (deadline, name | (TIMER_ORDER[visit] if order is None else order), visit, thing))
        if self.asleep:  # A warm start sets timers of workers that sleep.
            self._rouse(self.slept + -(-(deadline - self.slept) // MS) * MS)

    def spend(self, visit: Visit, name: int, start: int, cost: int) -> int:
        """A visit is made, in the name of `name`; returns its end."""
        self.recorder.visited(self, visit, start, cost, name)
        return self._after(start, cost)

    def _after(self, start: int, cost: int) -> int:
        """When work that begins at `start` is done."""
        return start + cost if self.cpu is None else self.cpu.run(start, cost)

    def accepted(self) -> None:
        """A connection was accepted."""
        self.recorder.workers[self.index].worker_connections += 1

    def streams_read(self) -> None:
        """A request was read."""
        self.recorder.workers[self.index].worker_streams += 1


def lost(visit: Visit, thing: Any) -> bool:
    """Whether an entry has lost its object."""
    if visit is WRITE_DOWN:
        return thing.over or not thing.answers
    if visit is BACKOFF:
        return bool(thing.stream.over)
    return bool(thing[0].over if visit is ATTACH else thing.over)

