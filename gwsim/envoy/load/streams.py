"""The loop that sends HTTP/2: a request leaves when it is due; connections are taken in the order in which they were last used."""

from __future__ import annotations

import gc
import math
import select
import ssl
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from gwsim.envoy.load.http1 import value
from gwsim.envoy.load.http2 import Http2
from gwsim.envoy.load.plan import Load
from gwsim.envoy.load.sent import REFUSED, TIMED_OUT, Sent, Watch
from gwsim.envoy.load.wire import READY, Wire

_LEAD_S = 0.02
_WARM_S = 10.0
_EVENTS = 64


def send_http2(load: Load, watch: Watch, every_s: float) -> Sent:
    """Run a load to its end."""
    run = _Run(load)
    try:
        with _no_collection():
            run.all(watch, every_s)
    finally:
        run.close()
    return run.sent()


@contextmanager
def _no_collection() -> Iterator[None]:
    """A garbage collection in the middle of a run would make requests late."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass(slots=True, eq=False)
class _Slot:
    """A place for a connection; `used` requests have been sent on the present one."""

    wire: Http2 | None = None
    used: int = 0
    active: int = 0
    listed: bool = False
    waiting: deque[int] = field(default_factory=deque)
    """Requests recorded for this connection while it is busy."""


class _Run:
    """One run."""

    def __init__(self, load: Load) -> None:
        self.load = load
        n = len(load.schedule)
        self.due: list[float] = load.schedule.times_s.tolist()
        self.which: list[int] = load.schedule.requests.tolist()
        self.acted = [math.nan] * n
        self.done = [math.nan] * n
        self.status = [0] * n
        self.carrier = [-1] * n
        self.opened = [False] * n
        self.read = [0] * n
        self.heads: list[bytes] = [b""] * n if load.capture else []
        self.context = load.target.tls.context(load.target.http) if load.target.tls is not None else None
        self.session: ssl.SSLSession | None = None
        self.random = np.random.default_rng(load.seed)
        self.poll = select.epoll()
        self.wires: dict[int, Http2] = {}
        self.homes: dict[int, _Slot] = {}
        self.resumed: dict[int, bool] = {}
        self.free: deque[_Slot] = deque()
        self.named: dict[int, _Slot] = {}
        self.pending: deque[int] = deque()
        self.opened_so_far = 0
        self.finished = 0
        self.start = self.started_at = 0.0
        self.streams = load.streams

    # --- the loop ---

    def all(self, watch: Watch, every_s: float) -> None:
        """Everything, in order."""
        self._warm()
        clock, due, n = time.perf_counter, self.due, len(self.due)
        self.start = clock() + _LEAD_S
        self.started_at = time.time() + _LEAD_S
        at, watched = 0, self.start
        while self.finished < n:
            now = clock()
            if now >= watched:
                watch(now - self.start)
                watched += every_s
            most = at + _EVENTS  # answers are read in between, however late the run is
            while at < n and at < most and due[at] <= now - self.start:
                self._begin(at, now)
                at += 1
                now = clock()
            self._give_up(now)
            wait = self._wait(at, now)
            if wait > self.load.spin_s:
                # epoll sleeps whole milliseconds; select on its descriptor sleeps microseconds.
                select.select([self.poll], [], [], wait - self.load.spin_s)
            self._events()
        watch(clock() - self.start)

    def _wait(self, at: int, now: float) -> float:
        """Seconds until something is due, whatever comes before."""
        wait = self.start + self.due[at] - now if at < len(self.due) else 1.0
        if self.pending:
            wait = min(wait, self.start + self.acted[self.pending[0]] + self.load.timeout_s - now)
        return wait

    def _events(self) -> None:
        for fd, mask in self.poll.poll(0, _EVENTS):
            wire = self.wires.get(fd)
            if wire is not None:
                wire.handle(mask, time.perf_counter())

    def _give_up(self, now: float) -> None:
        limit = now - self.start - self.load.timeout_s
        while self.pending and (self.status[self.pending[0]] or self.acted[self.pending[0]] <= limit):
            number = self.pending.popleft()
            if self.status[number]:
                continue
            self._record(number, TIMED_OUT, b"", 0, now)
            slot = self._slot_of(number)
            if slot is not None and slot.wire is not None:
                slot.active -= 1
                if not slot.wire.drop(number):
                    self._forget(slot)
                self._room(slot, now)

    # --- connections ---

    def _warm(self) -> None:
        """Connections that stand at the start."""
        load = self.load
        if load.schedule.connections is not None:
            return
        slots = [_Slot(listed=True) for _ in range(load.connections)]
        self.free.extend(slots)
        if not load.warm:
            return
        for slot in slots:
            self._open(slot)
        deadline = time.perf_counter() + _WARM_S
        while time.perf_counter() < deadline and any(one.state < READY for one in self.wires.values()):
            select.select([self.poll], [], [], 0.05)
            self._events()
        # The settings of HTTP/2, and session tickets, come after the handshake.
        time.sleep(0.02)
        self._events()

    def _open(self, slot: _Slot) -> None:
        load, target = self.load, self.load.target
        offered = None
        if target.tls is not None and self.session is not None and self.random.random() < target.tls.offers_ticket:
            offered = self.session
        self.opened_so_far += 1
        slot.used = slot.active = 0
        wire = Http2(load.target, self.context, offered, self.poll, self.opened_so_far - 1, self._answered)
        wire.lost = self._lost
        slot.wire = wire
        self.wires[wire.fd] = wire
        self.homes[wire.number] = slot

    def _slot(self, number: int) -> _Slot:
        """Where a request goes: the connection recorded for it, else the one longest unused with room, else a new one."""
        recorded = self.load.schedule.connections
        if recorded is not None:
            return self.named.setdefault(int(recorded[number]), _Slot())
        if self.free:
            slot = self.free.popleft()
            slot.listed = False
            return slot
        return _Slot()

    def _slot_of(self, number: int) -> _Slot | None:
        return self.homes.get(self.carrier[number])

    # --- requests ---

    def _begin(self, number: int, now: float) -> None:
        slot = self._slot(number)
        if slot.active >= self.streams or slot.waiting:
            self.acted[number] = now - self.start
            slot.waiting.append(number)
            return
        self._on(slot, number, now)

    def _on(self, slot: _Slot, number: int, now: float) -> None:
        if math.isnan(self.acted[number]):
            self.acted[number] = now - self.start
        self.pending.append(number)
        if slot.wire is None:
            try:
                self._open(slot)
            except OSError:
                self._record(number, REFUSED, b"", 0, now)
                self._room(slot, now)
                return
            self.opened[number] = True
        wire = slot.wire
        assert wire is not None
        slot.used += 1
        slot.active += 1
        self.carrier[number] = wire.number
        wire.begin(number, self.load.requests[self.which[number]], now)
        if slot.wire is not None and self._takes_more(slot):
            self._room(slot, now)

    def _takes_more(self, slot: _Slot) -> bool:
        limit = self.load.per_connection
        return slot.active < self.streams and not (limit and slot.used >= limit)

    def _answered(self, wire: Wire, number: int, status: int, head: bytes, read: int, goes_on: bool, now: float) -> None:
        slot = self.homes[wire.number]
        self._record(number, status, head, read, now)
        slot.active -= 1
        if self.context is not None and wire.state == READY:
            self.session = wire.session or self.session
        limit = self.load.per_connection
        if not goes_on or (limit and slot.used >= limit and not slot.active):
            wire.close()
            self._forget(slot)
        self._room(slot, now)

    def _record(self, number: int, status: int, head: bytes, read: int, now: float) -> None:
        if self.status[number]:
            return
        self.status[number] = status
        self.done[number] = now - self.start
        self.read[number] = read
        if self.heads:
            self.heads[number] = head
        self.finished += 1

    def _lost(self, wire: Wire, why: int, now: float) -> None:
        slot = self.homes[wire.number]
        assert isinstance(wire, Http2)
        for number in wire.active:
            self._record(number, why, b"", 0, now)
        self._forget(slot)
        self._room(slot, now)

    def _forget(self, slot: _Slot) -> None:
        wire = slot.wire
        if wire is not None:
            self.resumed[wire.number] = wire.resumed
            self.wires.pop(wire.fd, None)
        slot.wire, slot.used, slot.active = None, 0, 0

    def _room(self, slot: _Slot, now: float) -> None:
        """A slot that may have room: it takes what waits for it, or goes to the end of the list."""
        while slot.waiting and self._takes_more(slot):
            number = slot.waiting.popleft()
            if not self.status[number]:
                self._on(slot, number, now)
        if self.load.schedule.connections is None and not slot.listed and self._takes_more(slot):
            slot.listed = True
            self.free.append(slot)

    # --- the end ---

    def close(self) -> None:
        """Close all that is open."""
        for wire in list(self.wires.values()):
            self.resumed[wire.number] = wire.resumed
            wire.close()
        self.poll.close()

    def sent(self) -> Sent:
        """What became of everything."""
        carrier = np.asarray(self.carrier, dtype=np.int64)
        resumed = np.asarray([self.resumed.get(one, False) for one in self.carrier], dtype=np.bool_)
        opened = np.asarray(self.opened, dtype=np.bool_)
        return Sent(
            due_s=self.load.schedule.times_s, acted_s=np.asarray(self.acted), done_s=np.asarray(self.done),
            status=np.asarray(self.status, dtype=np.int64), request=self.load.schedule.requests, connection=carrier,
            started_at_s=self.started_at, opened=opened, resumed=resumed & opened, bytes_read=np.asarray(self.read, dtype=np.int64),
            captured=tuple(tuple(value(head, name) for head in self.heads) for name in self.load.capture),
        )  # fmt: skip


__all__ = ["send_http2"]
