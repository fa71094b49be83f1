"""Source ports: what connections to one destination take, and how long they rest after use.

Linux: `inet_csk` ports and TIME_WAIT (net/ipv4/inet_hashtables.c, include/net/tcp.h); NAT devices keep a number of ports
for each of their addresses and each destination, and drop what they have no port for.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from gwsim.engine.codes import Part
from gwsim.engine.draws import ns
from gwsim.scenario.model import PortPool

if TYPE_CHECKING:
    from gwsim.engine.reference.lifetimes import UpstreamConnection
    from gwsim.engine.reference.tallies import PortTally

SHARED = -1


class SourcePorts:
    """The ports that one owner has for one destination."""

    __slots__ = ("hold", "hold_remote", "ports", "refuses", "resting", "taken", "tally")

    def __init__(self, model: PortPool, tally: PortTally) -> None:
        self.ports = model.ports
        self.refuses = model.when_empty == "refuse"
        self.hold, self.hold_remote = ns(model.hold_s), ns(model.hold_remote_s)
        self.taken = 0
        self.resting: list[int] = []
        """When those that are held become free; a heap."""
        self.tally = tally

    def take(self, connection: UpstreamConnection, now: int) -> bool:
        """Give a connection a port, if there is one."""
        while self.resting and self.resting[0] <= now:
            heappop(self.resting)
        if self.taken + len(self.resting) >= self.ports:
            self.tally.port_refused += 1
            return False
        connection.has_port = True
        self.taken += 1
        self.tally.port_taken += 1
        self.tally.port_peak = max(self.tally.port_peak, self.taken + len(self.resting))
        return True

    def refusal(self, end: int) -> tuple[int | None, Part]:
        """When the worker hears that there is none; None: never."""
        return (end + 1 if self.refuses else None), Part.UP_FAILED

    def give_back(self, connection: UpstreamConnection, free_from: int) -> None:
        """A connection has ended; its port rests until `free_from`."""
        if connection.has_port:
            connection.has_port = False
            self.taken -= 1
            heappush(self.resting, free_from)


class PortPools:
    """The ports of all owners and destinations."""

    __slots__ = ("_by_key", "models", "tallies")

    def __init__(self, models: tuple[PortPool, ...], tallies: list[PortTally]) -> None:
        self.models = models
        self.tallies = tallies
        self._by_key: dict[tuple[int, int], SourcePorts] = {}

    def of(self, pool: int, pod: int, station: int) -> SourcePorts | None:
        """The ports that a pod's connections to a station take; None: they never run out."""
        if pool < 0:
            return None
        key = (pod if self.models[pool].scope == "pod" else SHARED, station)
        if key not in self._by_key:
            self._by_key[key] = SourcePorts(self.models[pool], self.tallies[pool])
        return self._by_key[key]
