"""The tables of the consistent-hashing policies: ring and Maglev.

Envoy: source/extensions/load_balancing_policies/ring_hash/ring_hash_lb.cc and maglev/maglev_lb.cc, built on the main
thread and shared by the workers. Equal tables are built once.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from math import ceil
from typing import Protocol

from gwsim.engine.hashing import MASK, xxh64

LARGEST_RING = 8_388_608.0

Entries = tuple[tuple[int, str, float], ...]
"""(host, its key, its normalised weight), in the order of the specification."""


class Table(Protocol):
    """A host for every hash; `attempt` > 0 asks for another one."""

    def host(self, x: int, attempt: int) -> int:
        """The host of hash `x`, -1 if there is none."""
        ...


class Ring:
    """Ketama: every host has points on a ring, a hash belongs to the next point."""

    __slots__ = ("hashes", "hosts")

    def __init__(self, entries: Entries, size: int) -> None:
        points: list[tuple[int, int]] = []
        if entries:
            least = min(weight for _, _, weight in entries)
            scale = min(ceil(least * size) / least, LARGEST_RING)
            current = target = 0.0
            for host, key, weight in entries:
                target += scale * weight
                i = 0
                while current < target:
                    points.append((xxh64(f"{key}_{i}"), host))
                    i += 1
                    current += 1.0
            points.sort(key=lambda point: point[0])
        self.hashes = [point[0] for point in points]
        self.hosts = [point[1] for point in points]

    def host(self, x: int, attempt: int) -> int:
        """The host of the first point at or after `x`, or of the attempt-th point after that one."""
        if not self.hosts:
            return -1
        at = bisect_left(self.hashes, x)
        first = 0 if at == len(self.hashes) else at
        return self.hosts[(first + attempt) % len(self.hosts)]


class MaglevTable:
    """Eisenbud et al. 2016, with weights: hosts take turns to fill slots, each in an order of its own."""

    __slots__ = ("slots",)

    def __init__(self, entries: Entries, size: int) -> None:
        self.slots = [-1] * size if entries else []
        ordered = sorted(entries, key=lambda entry: entry[1])
        places = [[xxh64(key) % size, xxh64(key, 1) % (size - 1) + 1] for _, key, _ in ordered]
        most = max((weight for _, _, weight in ordered), default=0.0)
        targets = [0.0] * len(ordered)
        left = len(self.slots)
        turn = 0
        while left:
            turn += 1
            for i, (host, _, weight) in enumerate(ordered):
                if left and not turn * weight < targets[i]:
                    targets[i] += most
                    self._take(places[i], host, size)
                    left -= 1

    def _take(self, place: list[int], host: int, size: int) -> None:
        """The next free slot in the host's order; `place` is the next slot and the step."""
        while self.slots[place[0]] >= 0:
            place[0] = (place[0] + place[1]) % size
        self.slots[place[0]] = host
        place[0] = (place[0] + place[1]) % size

    def host(self, x: int, attempt: int) -> int:
        """The host of a slot."""
        if not self.slots:
            return -1
        if attempt:
            x ^= (1 << 64) - attempt
        return self.slots[(x & MASK) % len(self.slots)]


@lru_cache(maxsize=256)
def ring(entries: Entries, size: int) -> Table:
    """The ring of these hosts."""
    return Ring(entries, size)


@lru_cache(maxsize=256)
def maglev(entries: Entries, size: int) -> Table:
    """The Maglev table of these hosts."""
    return MaglevTable(entries, size)
