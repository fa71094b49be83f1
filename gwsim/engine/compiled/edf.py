"""Weighted turns: an earliest-deadline-first queue per worker and source, a heap on (deadline, order).

Source: envoy source/common/upstream/edf_scheduler.h.
"""

from __future__ import annotations

import math

from gwsim.engine.compiled.kernel import kernel


def slow_factor(c, joined_ns, s):
    """By what an endpoint's weight is lowered at `s` since it joined; -1.0 where it is not."""
    age = s - joined_ns
    if age >= c.slow_window_ns:
        return -1.0
    x = max(1, age // 1_000_000) / (c.slow_window_ns // 1_000_000)
    if c.aggression != 1.0 and x != 1.0:
        x = math.pow(x, 1.0 / c.aggression)
    return max(c.slow_least, x)


_slow_factor = kernel(slow_factor)


@kernel
def _weight(w, d, k, member, least, s):
    c = w.clusters[k]
    ep = c.endpoint_first + member
    weight = w.endpoints[ep].weight
    if least:
        weight = weight / (w.active[d, ep] + 1)
    if w.endpoints[ep].joins == 1 and w.podhosts[d, ep].healthy == 1:
        slow = _slow_factor(c, w.endpoints[ep].joined_ns, s)
        if slow >= 0.0:
            return weight * slow
    return weight


@kernel
def scheduled(w, i, d, k, number, least, s):
    """The next member of source `number` (cluster `k`) in weighted turn on worker `i`, at `s`."""
    schedule = w.scheds[i, number]
    first = w.sources[d, number].first
    top = w.edf[i, first]
    member, weight = top.member, top.weight
    if weight < 0.0:
        weight = _weight(w, d, k, member, least, s)
    deadline, order = top.deadline + 1.0 / weight, schedule.order
    kept = top.weight
    schedule.order += 1
    j = 0
    while True:
        c = 2 * j + 1
        if c >= schedule.n:
            break
        if c + 1 < schedule.n and _before(w.edf[i, first + c + 1], w.edf[i, first + c].deadline, w.edf[i, first + c].order):
            c += 1
        if not _before(w.edf[i, first + c], deadline, order):
            break
        w.edf[i, first + j] = w.edf[i, first + c]
        j = c
    last = w.edf[i, first + j]
    last.deadline = deadline
    last.order = order
    last.member = member
    last.weight = kept
    return member


@kernel
def _before(entry, deadline, order):
    return entry.deadline < deadline or (entry.deadline == deadline and entry.order < order)
