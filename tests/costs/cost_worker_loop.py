"""An oracle: one proxy worker as an event loop, in a few dozen lines, knowing nothing of gwsim's engines.

An iteration runs the sockets that are ready, in order, then the writes armed in earlier iterations. What one
HTTP/2 connection has ready is one visit. Times are microseconds.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from gwsim.costs import VisitCosts

US = 1e6


@dataclass
class Outcome:
    cpu: float = 0.0
    wakeups: int = 0
    iterations: int = 0
    done: int = 0
    end: float = 0.0

    @property
    def cpu_us(self) -> float:
        """CPU a request."""
        return self.cpu / self.done


@dataclass
class Loop:
    """One worker. `h2` says which of the two sides, client and upstream, carry many streams a connection."""

    costs: VisitCosts
    upstream_us: float
    h2: tuple[bool, bool] = (False, False)
    body_bytes: float = 0.0
    finished: Callable[[int, float], tuple[float, int] | None] = lambda connection, now: None

    def _visit_us(self, kind: str, streams: int) -> float:
        base, stream, byte = (getattr(self.costs, f"{kind}{part}_s") for part in ("", "_stream", "_byte"))
        return (base + streams * (stream + self.body_bytes * byte)) * US

    def run(self, arrivals: list[tuple[float, int]], requests: int) -> Outcome:
        """Serve `requests`; an arrival is (time, connection); `finished` may return the next of its connection."""
        wake, turn = self.costs.wakeup_s * US, self.costs.iteration_s * US
        out, now, number = Outcome(), -1.0, len(arrivals)  # asleep since before the first arrival
        ready = [(at, i, "read", connection) for i, (at, connection) in enumerate(arrivals)]
        heapq.heapify(ready)
        armed: dict[tuple[str, int], list[int]] = {}
        while out.done < requests:
            if not armed and ready[0][0] > now:
                now, out.cpu, out.wakeups = ready[0][0] + wake, out.cpu + wake, out.wakeups + 1
            batch: dict[tuple[str, int], list[int]] = {}
            while ready and ready[0][0] <= now:
                _, i, kind, connection = heapq.heappop(ready)
                shared = self.h2[kind == "read_up"]
                socket = (connection if kind == "read" else 0) if shared else -1 - i
                batch.setdefault((kind, socket), []).append(connection)
            batch |= armed
            armed = {}
            now, out.cpu, out.iterations = now + turn, out.cpu + turn, out.iterations + 1
            for (kind, _), connections in batch.items():
                cost = self._visit_us(kind, len(connections))
                now, out.cpu = now + cost, out.cpu + cost
                for connection in connections:
                    number += 1
                    if kind == "read":
                        armed.setdefault(("write_up", 0 if self.h2[1] else -number), []).append(connection)
                    elif kind == "write_up":
                        heapq.heappush(ready, (now + self.upstream_us, number, "read_up", connection))
                    elif kind == "read_up":
                        socket = connection if self.h2[0] else -number
                        armed.setdefault(("write_down", socket), []).append(connection)
                    else:
                        out.done, out.end = out.done + 1, now
                        if follow := self.finished(connection, now):
                            heapq.heappush(ready, (follow[0], number, "read", follow[1]))
        return out


def poisson(rps: float, requests: int, seed: int) -> list[tuple[float, int]]:
    """Arrivals of an open loop, each on a connection of its own."""
    rng, now, arrivals = random.Random(seed), 0.0, []
    for i in range(requests):
        now += rng.expovariate(rps) * US
        arrivals.append((now, i))
    return arrivals


def closed_loop(loop: Loop, connections: int, streams: int, requests: int, seed: int = 1) -> Outcome:
    """Each connection keeps `streams` requests open; the client answers after 60 to 90 us."""
    rng = random.Random(seed)
    loop.finished = lambda connection, now: (now + 60 + rng.random() * 30, connection)
    start = [(rng.random() * 50, c) for c in range(connections) for _ in range(streams)]
    return loop.run(start, requests)
