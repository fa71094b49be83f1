"""Tables of consistent hashing, built in Python and looked up by the kernel.

Source: envoy source/extensions/load_balancing_policies/{ring_hash/ring_hash_lb,maglev/maglev_lb}.cc.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np

from gwsim.engine.hashing import xxh64

LARGEST = 8388608.0
Table = tuple[Any, Any]
"""Hashes (uint64; all zero where positions are slots), and for each entry a position among the hosts."""


@lru_cache(maxsize=64)
def ring(keys: tuple[str, ...], weights: tuple[float, ...], size: int) -> Table:
    """The ring of hosts with these normalised weights, at least `size` entries."""
    smallest = min(weights)
    scale = min(ceil(smallest * size) / smallest, LARGEST)
    current = target = 0.0
    entries = []
    for j, (key, weight) in enumerate(zip(keys, weights, strict=True)):
        target += scale * weight
        i = 0
        while current < target:
            entries.append((xxh64(f"{key}_{i}"), j))
            current += 1.0
            i += 1
    entries.sort(key=lambda entry: entry[0])
    return np.array([h for h, _ in entries], np.uint64), np.array([j for _, j in entries], np.int64)


@lru_cache(maxsize=64)
def maglev(keys: tuple[str, ...], weights: tuple[float, ...], size: int) -> Table:
    """The table of `size` slots."""
    order = sorted(range(len(keys)), key=keys.__getitem__)
    offsets = [xxh64(keys[j]) % size for j in order]
    skips = [xxh64(keys[j], 1) % (size - 1) + 1 for j in order]
    largest, targets = max(weights), [0.0] * len(order)
    table, left, turn = [-1] * size, size, 1
    while left:
        for n, j in enumerate(order):
            if not left:
                break
            if turn * weights[j] < targets[n]:
                continue
            targets[n] += largest
            at = offsets[n]
            while table[at] >= 0:
                at = (at + skips[n]) % size
            table[at] = j
            offsets[n] = (at + skips[n]) % size
            left -= 1
        turn += 1
    return np.zeros(size, np.uint64), np.array(table, np.int64)
