"""CPU limits: the pool of a pod's CPU time per period, and a worker that is stopped when it is empty.

Linux CFS bandwidth control (Documentation/scheduler/sched-bwc.rst): period 100 ms, slices of 5 ms, up to 1 ms kept by a
sleeping thread. A visit's end is known at its start, so its CPU is taken then, from coming periods too.
"""

from __future__ import annotations

from bisect import bisect_right

from gwsim.engine.draws import ns

PERIOD = 100_000_000
SLICE = 5_000_000
KEPT = 1_000_000


class Quota:
    """The CPU that a pod may use in each period."""

    __slots__ = ("_offset", "_size", "_used")

    def __init__(self, cores: float, offset: int) -> None:
        self._size = max(1, ns(cores * 0.1))
        self._offset = offset
        self._used: dict[int, int] = {}

    def take(self, t: int) -> int:
        """A slice of the period that `t` lies in; 0 if nothing is left of it."""
        k = (t - self._offset) // PERIOD
        used = self._used.get(k, 0)
        slice_ = min(SLICE, self._size - used)
        self._used[k] = used + slice_
        return slice_

    def give_back(self, t: int, amount: int) -> None:
        """Return CPU to the period that `t` lies in."""
        k = (t - self._offset) // PERIOD
        self._used[k] = self._used.get(k, 0) - amount

    def next_period(self, t: int) -> int:
        """The begin of the next period that has something left."""
        k = (t - self._offset) // PERIOD + 1
        while self._used.get(k, 0) >= self._size:
            k += 1
        return self._offset + k * PERIOD


class Budget:
    """What a worker has of its pod's quota, and when it was stopped for want of it."""

    __slots__ = ("_left", "_quota", "_resumed", "_stopped", "_total")

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._left = 0
        self._stopped: list[int] = []
        self._resumed: list[int] = []
        self._total: list[int] = []
        """Stopped time before each stop."""

    def run(self, t: int, cost: int) -> int:
        """When work of `cost` is done that begins at `t`."""
        while self._left < cost:
            t += self._left
            cost -= self._left
            t = self._refill(t)
        self._left -= cost
        return t + cost

    def pay(self, t: int, cost: int) -> int:
        """When work is paid for that was done before `t`."""
        while self._left < cost:
            cost -= self._left
            t = self._refill(t)
        self._left -= cost
        return t

    def _refill(self, t: int) -> int:
        """Get a slice, if need be in a later period; gives when."""
        self._left = self._quota.take(t)
        if not self._left:
            resumed = self._quota.next_period(t)
            self._total.append(self.stopped_before(t))
            self._stopped.append(t)
            self._resumed.append(resumed)
            t = resumed
            self._left = self._quota.take(t)
        return t

    def sleep(self, now: int) -> None:
        """Keep a little, return the rest."""
        if self._left > KEPT:
            self._quota.give_back(now, self._left - KEPT)
            self._left = KEPT

    def stopped_before(self, t: int) -> int:
        """S(t): for how long the worker has been stopped before `t`, ns."""
        at = bisect_right(self._stopped, t) - 1
        if at < 0:
            return 0
        return self._total[at] + min(t, self._resumed[at]) - self._stopped[at]

    @property
    def stopped_ns(self) -> int:
        """All of it."""
        return self._total[-1] + self._resumed[-1] - self._stopped[-1] if self._total else 0
