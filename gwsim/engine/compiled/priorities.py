"""How a cluster's load is shared among the priorities of its hosts, and which of them are in panic.

Source: envoy source/extensions/load_balancing_policies/common/load_balancer_impl.cc `recalculatePerPriorityState`.
"""

from __future__ import annotations

from collections.abc import Sequence

from gwsim.engine.compiled.draws import below
from gwsim.engine.compiled.kernel import kernel

HEALTHY, DEGRADED = 1, 2


def loads(counts: Sequence[tuple[int, int, int]], threshold_percent: float) -> list[tuple[int, int, bool]]:
    """(load, load of degraded hosts, panic) of each priority from its numbers of (all, healthy, degraded) hosts."""
    h, d = ([min(100, 140 * count[kind] // count[0]) if count[0] else 0 for count in counts] for kind in (HEALTHY, DEGRADED))
    norm, rest = min(100, sum(h) + sum(d)), 100
    healthy, degraded = [0] * len(counts), [0] * len(counts)
    if norm > 0:
        for share, out in ((h, healthy), (d, degraded)):
            for p, x in enumerate(share):
                out[p] = min(rest, x * 100 // norm)
                rest -= out[p]
    for share, out in ((h, healthy), (d, degraded)):
        first = next((p for p, x in enumerate(share) if x > 0), None)
        if first is not None:
            out[first] += rest
            break
    threshold = min(100, int(threshold_percent + 0.5))
    panics = [threshold > 0 and norm < 100 and _available(*count) < threshold for count in counts]
    total = sum(count[0] for count in counts)
    if threshold == 0 and norm == 0 and counts:
        healthy[0] = 100
    elif all(panics) and total > 0:
        healthy, degraded = [100 * count[0] // total for count in counts], [0] * len(counts)
        healthy[next(p for p, count in enumerate(counts) if count[0])] += 100 - sum(healthy)
    return list(zip(healthy, degraded, panics, strict=True))


def _available(hosts: int, healthy: int, degraded: int) -> float:
    return 100.0 * healthy / hosts + 100.0 * degraded / hosts if hosts else 0.0


@kernel
def choose_priority(w, d, c, levels, z):
    """Priority and kind of hosts for the 64 bits `z`, on pod `d` for cluster `c`; (-1, 0) if there is none."""
    r = below(z, 100) + 1
    total = 0
    for p in range(levels):
        total += w.levels[d, c.level_first + p].load
        if r <= total:
            return p, HEALTHY
    for p in range(levels):
        total += w.levels[d, c.level_first + p].degraded
        if r <= total:
            return p, DEGRADED
    return -1, 0
