"""Earliest deadline first: picks entries in proportion to their weights, smoothly.

Envoy: `EdfScheduler` (source/extensions/load_balancing_policies/common/edf_scheduler.h). The float operations and their
order are those of the specification, so that deadlines are equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

EPSILON = 1e-13
"""Added to a first weight, so that of equal deadlines that of the smaller weight comes first."""


class Edf:
    """A scheduler over entries (hosts or groups), as if `seed` picks had been made before."""

    __slots__ = ("_heap", "_order", "_weight")

    def __init__(self, entries: Sequence[int], weight: Callable[[int, int], float], seed: int, now: int) -> None:
        """`weight(entry, now)` is above 0 and looked at whenever the entry is put in."""
        self._weight = weight
        weights = [weight(entry, now) for entry in entries]
        total = 0.0
        for w in weights:
            total += w
        done = [int(seed * (w / total)) for w in weights]
        self._heap = [
            ((picks + 1) / (w + EPSILON), order, entry)
            for order, (entry, w, picks) in enumerate(zip(entries, weights, done, strict=True))
        ]
        heapify(self._heap)
        self._order = len(entries)
        for _ in range(seed - sum(done)):
            self.pick(now)

    def pick(self, now: int) -> int:
        """The entry whose turn it is; it comes again after 1 / (its weight now)."""
        deadline, _, entry = heappop(self._heap)
        heappush(self._heap, (deadline + 1.0 / self._weight(entry, now), self._order, entry))
        self._order += 1
        return entry
