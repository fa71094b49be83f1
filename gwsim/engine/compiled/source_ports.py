"""Source ports: what connections of gateways to one destination take, and how long they rest after use.

An owner is a pod, or all pods together (the row after the pods'). What rests is in two lists by how long it does, so each is in the
order of its ends. Source: Linux net/ipv4/inet_hashtables.c (ports), include/net/tcp.h (TIME_WAIT).
"""

from __future__ import annotations

from gwsim.engine.compiled.kernel import kernel

BY_GATEWAY, BY_STATION = 0, 1
"""Who closed a connection first: the list that its port rests in."""


@kernel
def _owned(w, u):
    """The ports of the owner of connection `u` for its station."""
    station = w.endpoints[u.ep].station
    pool = w.port_pools[w.stations[station].ports]
    return w.ports[w.pods.shape[0] if pool.shared == 1 else w.workers[u.worker].pod, station]


@kernel
def take_port(w, u, s):
    """Connection `u` is opened in a visit at `s`: whether there is a port for it."""
    number = w.stations[w.endpoints[u.ep].station].ports
    pool, out = w.port_pools[number], w.port_out[number]
    own = _owned(w, u)
    for which in range(2):
        _wake_rested(w, own, which, s)
    used = own.taken + own.resting
    if used >= pool.ports:
        out.refused += 1
        return False
    u.has_port = 1
    own.taken += 1
    out.taken += 1
    out.peak = max(out.peak, used + 1)
    return True


@kernel
def _wake_rested(w, own, which, s):
    """Ports of a list that have rested long enough by `s` are free."""
    g = w.g[0]
    while own.head[which] >= 0 and w.resting[own.head[which]].until_ns <= s:
        j = own.head[which]
        own.head[which] = w.resting[j].next_free
        own.resting -= 1
        w.resting[j].next_free = g.rest_free
        g.rest_free = j
        g.rest_used -= 1


@kernel
def give_back(w, u):
    """Connection `u` was never established: its port is free."""
    if u.has_port == 1:
        u.has_port = 0
        _owned(w, u).taken -= 1


@kernel
def rest(w, u, which):
    """Connection `u`, established, has been closed now: its port rests."""
    if u.has_port == 0:
        return
    u.has_port = 0
    own = _owned(w, u)
    pool = w.port_pools[w.stations[w.endpoints[u.ep].station].ports]
    g = w.g[0]
    j = g.rest_free
    g.rest_free = w.resting[j].next_free
    g.rest_used += 1
    w.resting[j].until_ns = g.now_ns + (pool.hold_remote_ns if which == BY_STATION else pool.hold_ns)
    w.resting[j].next_free = -1
    if own.head[which] < 0:
        own.head[which] = j
    else:
        w.resting[own.tail[which]].next_free = j
    own.tail[which] = j
    own.taken -= 1
    own.resting += 1
