"""The choice of an endpoint: a priority, a source of hosts, and one of them by the cluster's policy.

Most clusters have equal, healthy hosts in one list (`plain`): for them the policy draws a position and that is all.
Source: envoy source/extensions/load_balancing_policies/.
"""

from __future__ import annotations

import numpy as np

from gwsim.engine.codes import Counter, Purpose
from gwsim.engine.compiled.draws import below, draw64, fold
from gwsim.engine.compiled.edf import scheduled
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import MAX_TRIED
from gwsim.engine.compiled.priorities import choose_priority
from gwsim.engine.compiled.state import rule_of
from gwsim.engine.draws import name64

LOAD_BALANCER, PRIORITY, HASH = int(Purpose.LOAD_BALANCER), int(Purpose.PRIORITY), int(Purpose.HASH)
POLICY_ROUND_ROBIN, POLICY_LEAST_REQUEST, POLICY_RANDOM, POLICY_RING_HASH, POLICY_MAGLEV = range(5)
HEALTHY_PANIC = int(Counter.LB_HEALTHY_PANIC)
ALL = 0
RULE_FIXED, RULE_USER, RULE_CONNECTION = 0, 1, 2
USER = np.uint64(name64("user"))
ONE, TOP = np.uint64(1), np.uint64(63)


# --- policies: one position (of n hosts, or of a list) -----------------------------------------------------------


@kernel
def round_robin(w, i, number, n):
    """The next endpoint in turn; every worker has a turn of its own for each source."""
    position = w.cursors[i, number] % n
    w.cursors[i, number] += 1
    return position


@kernel
def least_request(w, pod, first, n, key, t):
    """Of two endpoints drawn with replacement, the one with fewer active requests; the first on a tie."""
    one = below(draw64(key, LOAD_BALANCER, 2 * t), n)
    two = below(draw64(key, LOAD_BALANCER, 2 * t + 1), n)
    return two if w.active[pod, first + two] < w.active[pod, first + one] else one


@kernel
def random(key, n, t):
    """Any endpoint."""
    return below(draw64(key, LOAD_BALANCER, t), n)


@kernel
def least_of(w, d, c, source, key, t):
    """Of several hosts of a source drawn with replacement, the first with the fewest active requests."""
    best, fewest = -1, 0
    for j in range(c.choices if source.n > 1 else 1):
        at = below(draw64(key, LOAD_BALANCER, c.choices * t + j), source.n)
        h = w.members[d, source.first + at]
        active = w.active[d, c.endpoint_first + h]
        if best < 0 or active < fewest:
            best, fewest = h, active
    return best


# --- sources --------------------------------------------------------------------------------------


@kernel
def _from_source(w, i, d, k, t, key, s):
    """A host of cluster `k` for try `t` by priority, locality and policy; -1 if there is none."""
    c = w.clusters[k]
    p, kind = choose_priority(w, d, c, w.podclusters[d, k].levels, draw64(key, PRIORITY, t))
    if p < 0:
        return -1
    number = c.source_first + p * c.level_sources
    group = -1
    if w.levels[d, c.level_first + p].panic == 1:
        kind = ALL
        w.cluster_out[k, HEALTHY_PANIC] += 1
    else:
        localities = number + 3 * (c.groups + 1) + kind - 1
        if w.scheds[i, localities].n > 0:
            group = scheduled(w, i, d, k, localities, False, s)
    number += kind * (c.groups + 1) + group + 1
    source = w.sources[d, number]
    if source.n == 0:
        return -1
    if w.scheds[i, number].n > 0:
        return scheduled(w, i, d, k, number, c.policy == POLICY_LEAST_REQUEST, s)
    if c.policy == POLICY_ROUND_ROBIN:
        return w.members[d, source.first + round_robin(w, i, number, source.n)]
    if c.policy == POLICY_RANDOM:
        return w.members[d, source.first + random(key, source.n, t)]
    return least_of(w, d, c, source, key, t)


# --- consistent hashing ------------------------------------------------------------------------------------------


@kernel
def request_hash(w, r):
    """What the route's hash policy makes of the request of stream `r`; without one, a draw of the attempt."""
    c = rule_of(w, r)
    if c.hashes == 0:
        return draw64(r.attempt_key, LOAD_BALANCER, 0)
    x = np.uint64(0)
    for j in range(c.hash_first, c.hash_first + c.hashes):
        rule = w.hash_rules[j]
        v = rule.value
        if rule.kind == RULE_USER:
            v = fold(USER, below(draw64(r.root_key if w.has_chains else r.request_key, HASH, 0), rule.users))
        elif rule.kind == RULE_CONNECTION:
            v = w.conns[r.conn].key
        x = ((x << ONE) | (x >> TOP)) ^ v if j > c.hash_first else v
    return x


@kernel
def _hashed(w, d, k, x, t):
    """The host at hash `x`, try `t`; -1 if there is none."""
    c = w.clusters[k]
    p, _ = choose_priority(w, d, c, w.podclusters[d, k].levels, x)
    if p < 0:
        return -1
    level = w.levels[d, c.level_first + p]
    if level.panic == 1 and t == 0:
        w.cluster_out[k, HEALTHY_PANIC] += 1
    if level.table < 0:
        return -1
    table = w.tables[level.table]
    if c.policy == POLICY_MAGLEV:
        if t > 0:
            x = x ^ (np.uint64(0) - np.uint64(t))
        return w.table_host[table.first + below(x, table.n)]
    low, high = 0, table.n
    while low < high:
        middle = (low + high) // 2
        if w.table_hash[table.first + middle] < x:
            low = middle + 1
        else:
            high = middle
    return w.table_host[table.first + (low + t) % table.n]


# --- the pick ----------------------------------------------------------------------------------------------------


@kernel
def _tried(r, position):
    for j in range(r.tried_n):
        if r.tried[j] == position:
            return True
    return False


@kernel
def _candidate(w, i, r, t, s):
    """A candidate for try `t` of the attempt of stream `r`."""
    k, d = r.cluster, w.workers[i].pod
    c = w.clusters[k]
    if w.podclusters[d, k].plain == 1:
        if c.policy == POLICY_ROUND_ROBIN:
            return round_robin(w, i, c.turn, c.endpoints)
        if c.policy == POLICY_RANDOM:
            return random(r.attempt_key, c.endpoints, t)
        return least_request(w, d, c.endpoint_first, c.endpoints, r.attempt_key, t)
    if not w.has_load_balancing and not w.has_outliers:
        return -1  # a cluster without hosts
    if c.policy >= POLICY_RING_HASH:
        return _hashed(w, d, k, request_hash(w, r), t)
    return _from_source(w, i, d, k, t, r.attempt_key, s)


@kernel
def pick(w, i, x, selections, s):
    """Position of an endpoint for the attempt of stream `x` in the visit at `s`, avoiding those it was sent to before.

    `selections`: how many candidates are looked at before one that was tried before is taken all the same. -1: no host.
    """
    r = w.streams[x]
    position = -1
    for t in range(selections):
        position = _candidate(w, i, r, t, s)
        if position < 0:
            return -1
        if selections == 1 or not _tried(r, position):
            break
    if r.tried_n < MAX_TRIED:
        r.tried[r.tried_n] = position
        r.tried_n += 1
    return position
