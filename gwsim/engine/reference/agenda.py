"""The order of events: SimPy's queue, with the key of the specification as its priority.

SimPy orders events by (time, priority, order of insertion). Here time is integer nanoseconds and the priority is
the whole rest of the key, packed into one integer, so that insertion never decides. Two pending events with the
same key would be decided by insertion: that is a fault of gwsim.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import simpy

from gwsim.errors import InternalError

RANK_CONTROL, RANK_BYTES, RANK_CLIENT, RANK_WORKER = 0, 2, 3, 4
ENTITY_CLIENT, ENTITY_SOURCE = 10**6, 2 * 10**6

_PART, _A, _K, _NUMBER, _SOURCE = 4, 12, 12, 44, 20
_NAME = _PART + _A + _K + _NUMBER + _SOURCE
MAX_ATTEMPTS = 2999
"""Attempts of a client, or of the gateway, that can be told apart; higher numbers are those of filters' calls and copies."""


def name_of(source: int, number: int, k: int) -> int:
    """Packed name of a client attempt; `| attempt_of(a) | part` makes it a tie key (without its instant)."""
    return ((((source << _NUMBER) | number) << _K) | k) << (_A + _PART)


def attempt_of(a: int) -> int:
    """The gateway attempt's place in a packed name."""
    return a << _PART


def parts_of(name: int) -> tuple[int, int, int, int]:
    """(source, number, k, a) of a packed name."""
    name >>= _PART
    a = name & ((1 << _A) - 1)
    name >>= _A
    k = name & ((1 << _K) - 1)
    name >>= _K
    return name >> _NUMBER, name & ((1 << _NUMBER) - 1), k, a


def place_of(rank: int, entity: int) -> int:
    """Packed rank and entity; `| name | part` makes it a priority."""
    return (((rank + 1) << 24) | entity) << _NAME  # Above SimPy's own priorities.


class Happening(simpy.Event):
    """An event that is on the agenda from the start, about `subject`."""

    _ok = True
    _value = None

    def __init__(self, agenda: Agenda, callbacks: list[Callable[[Any], None]], subject: Any) -> None:
        self.env = agenda
        self.callbacks = callbacks
        self.subject = subject

    def cancel(self) -> None:
        """Make it void: it stays on the agenda, but is no event any more."""
        self.callbacks = None  # type: ignore[assignment]  # SimPy's own mark of an event that is over
        self.subject = None


class Agenda(simpy.Environment):
    """SimPy's environment, ordered by the specification's key."""

    _now: int
    _queue: list[tuple[int, int, int, Any]]  # type: ignore[assignment]  # times and keys are plain integers here

    def at(self, time: int, key: int, action: Callable[[Any], None], subject: Any) -> Happening:
        """Have `action(happening)` called at `time`, in the order of `key`."""
        happening = Happening(self, [action], subject)
        heappush(self._queue, (time, key, next(self._eid), happening))
        return happening

    def wait(self, time: int, key: int) -> Happening:
        """An event for a process to yield: it goes on at `time`, in the order of `key`."""
        happening = Happening(self, [], None)
        heappush(self._queue, (time, key, next(self._eid), happening))
        return happening

    def put(self, happening: Happening, time: int, key: int) -> None:
        """Put an event on the agenda, or put it there again at an earlier time: it happens once, at the earliest."""
        heappush(self._queue, (time, key, next(self._eid), happening))

    def step(self) -> None:
        """Take the next event that is not void. Raises `simpy.core.EmptySchedule` when nothing is pending."""
        queue = self._queue
        callbacks = None
        while callbacks is None:
            if not queue:
                raise simpy.core.EmptySchedule
            now, key, _, event = heappop(queue)
            callbacks = event.callbacks
        self._now = now
        if queue and queue[0][1] == key and queue[0][0] == now and queue[0][3].callbacks is not None:
            raise InternalError(f"two events at {now} ns have the same key {key:#x}")
        event.callbacks = None
        for callback in callbacks:
            callback(event)
        if not event._ok and not hasattr(event, "_defused"):
            raise event._value  # a process that failed: SimPy hands its exception on as an event
