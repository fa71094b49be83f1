"""Where a request's time goes: adjacent intervals, each charged to one component.

Whoever moves a request on says from which instant on it is in which component, often ahead of time (bytes sent at
`e` are in the network from then on and wait in a queue from their delivery on). What ends the wait early cuts
off what lay ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.codes import Component

if TYPE_CHECKING:
    from gwsim.engine.reference.cpu import Budget

CLIENT_NETWORK = Component.CLIENT_NETWORK
CONNECTION_SETUP = Component.CONNECTION_SETUP
WORKER_QUEUE = Component.WORKER_QUEUE
PROXY_CPU = Component.PROXY_CPU
POOL_WAIT = Component.POOL_WAIT
UPSTREAM_NETWORK = Component.UPSTREAM_NETWORK
UPSTREAM_QUEUE = Component.UPSTREAM_QUEUE
UPSTREAM_SERVICE = Component.UPSTREAM_SERVICE
FILTER_CALLS = Component.FILTER_CALLS
INJECTED_DELAY = Component.INJECTED_DELAY
RETRY_BACKOFF = Component.RETRY_BACKOFF
CLIENT_BACKOFF = Component.CLIENT_BACKOFF
NEXT_HOP = Component.NEXT_HOP


class Timeline:
    """The components of one client attempt, in the order of time."""

    __slots__ = ("marks",)

    def __init__(self, start: int, component: Component) -> None:
        self.marks = [(start, component)]

    def enter(self, instant: int, component: Component) -> None:
        """From `instant` (not before the last one told) on, the attempt is in `component`."""
        self.marks.append((instant, component))

    def cut(self, instant: int) -> None:
        """Forget what was told of the time after `instant`."""
        marks = self.marks
        while marks[-1][0] > instant:
            marks.pop()

    def charge(self, end: int, spent: list[int], cpu: Budget | None) -> None:
        """Add the time up to `end` to `spent`, by component; `cpu` is that of the worker, if it may be stopped."""
        for instant, component in reversed(self.marks):
            if instant < end:
                spent[component] += end - instant
                if cpu is not None and component in (WORKER_QUEUE, PROXY_CPU):
                    stopped = cpu.stopped_before(end) - cpu.stopped_before(instant)
                    spent[component] -= stopped
                    spent[Component.THROTTLING] += stopped
                end = instant


class Unaccounted(Timeline):
    """Of what takes no time of a request's own: filter calls (charged as a whole) and mirrored copies."""

    def __init__(self) -> None:
        super().__init__(0, FILTER_CALLS)

    def enter(self, instant: int, component: Component) -> None:
        """Nothing to note."""
