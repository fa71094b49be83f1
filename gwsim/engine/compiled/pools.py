"""Upstream connection pools and circuit breakers, in Envoy's order of admission.

Source: envoy source/common/conn_pool/conn_pool_base.cc, source/common/upstream/resource_manager_impl.h.
"""

from __future__ import annotations

from gwsim.engine.codes import Counter, Flag, Part, Visit
from gwsim.engine.compiled.accounting import ARMED, PENDING, UPSTREAM, serve
from gwsim.engine.compiled.heaps import key_a, key_b
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.replies import local_reply
from gwsim.engine.compiled.state import arm, deliver
from gwsim.engine.compiled.timers import cancel_try

ATTACH, WRITE_UP = int(Visit.ATTACH), int(Visit.WRITE_UP)
PART_UP_CONNECTED = int(Part.UP_CONNECTED)
UO = int(Flag.UO)
RQ_TOTAL, PENDING_TOTAL = int(Counter.UPSTREAM_RQ_TOTAL), int(Counter.UPSTREAM_RQ_PENDING_TOTAL)
PENDING_OVERFLOW, ACTIVE_OVERFLOW = int(Counter.UPSTREAM_RQ_PENDING_OVERFLOW), int(Counter.UPSTREAM_RQ_ACTIVE_OVERFLOW)
CANCELLED, CX_DESTROY = int(Counter.UPSTREAM_RQ_CANCELLED), int(Counter.UPSTREAM_CX_DESTROY)
CX_TOTAL, CX_OVERFLOW = int(Counter.UPSTREAM_CX_TOTAL), int(Counter.UPSTREAM_CX_OVERFLOW)


@kernel
def admit(w, i, x, e):
    """Admit stream `x` to the pool of its endpoint, in the visit that ends at `e`."""
    r = w.streams[x]
    c = w.clusters[r.cluster]
    ep = c.endpoint_first + r.position
    p = w.pools[i, ep]
    q = w.podclusters[w.workers[i].pod, r.cluster]
    r.admit_end_ns = e
    r.live = 1
    if p.idle > 0:
        if q.requests >= c.max_requests:
            overflow(w, i, x, ACTIVE_OVERFLOW, e)
            return
        if c.http == 1:
            p.idle -= 1
            p.busy += 1
        attach(w, i, x, ep, e)
        return
    if q.pending >= c.max_pending:
        overflow(w, i, x, PENDING_OVERFLOW, e)
        return
    r.state = PENDING
    r.since_ns = e
    _append(w, p, x)
    q.pending += 1
    w.g[0].pending += 1
    w.cluster_out[r.cluster, PENDING_TOTAL] += 1
    connect_if_needed(w, i, ep, key_a(r.client, r.number), key_b(r.k, r.a, PART_UP_CONNECTED, ep), e)


@kernel
def _append(w, p, x):
    r = w.streams[x]
    r.pool_next = -1
    r.pool_prev = p.pending_tail
    if p.pending_tail < 0:
        p.pending_head = x
    else:
        w.streams[p.pending_tail].pool_next = x
    p.pending_tail = x
    p.pending += 1


@kernel
def _unlink(w, i, x):
    r = w.streams[x]
    p = w.pools[i, w.clusters[r.cluster].endpoint_first + r.position]
    if r.pool_prev < 0:
        p.pending_head = r.pool_next
    else:
        w.streams[r.pool_prev].pool_next = r.pool_next
    if r.pool_next < 0:
        p.pending_tail = r.pool_prev
    else:
        w.streams[r.pool_next].pool_prev = r.pool_prev
    p.pending -= 1
    w.podclusters[w.workers[i].pod, r.cluster].pending -= 1
    w.g[0].pending -= 1


@kernel
def overflow(w, i, x, counter, e):
    """A breaker is full: answer 503 UO."""
    r = w.streams[x]
    w.cluster_out[r.cluster, counter] += 1
    r.live = 0
    local_reply(w, i, x, 503, UO, e)


@kernel
def attach(w, i, x, ep, e):
    """Stream `x` has an upstream connection: its request is written in the next iteration."""
    r = w.streams[x]
    pod = w.workers[i].pod
    w.podclusters[pod, r.cluster].requests += 1
    w.active[pod, ep] += 1
    w.cluster_out[r.cluster, RQ_TOTAL] += 1
    r.station = w.endpoints[ep].station
    r.state = ARMED
    r.since_ns = e
    r.refs += 1
    arm(w, i, WRITE_UP, x, r.a)


@kernel
def connect_if_needed(w, i, ep, a, b, e):
    """Open a connection for the pool if more streams wait than connections are coming, and the breaker lets it."""
    p = w.pools[i, ep]
    k = w.endpoints[ep].cluster
    c = w.clusters[k]
    if p.connecting > 0 if c.http == 2 else p.pending <= p.connecting:
        return
    q = w.podclusters[w.workers[i].pod, k]
    if q.connections >= c.max_connections and p.idle + p.busy + p.connecting > 0:
        w.cluster_out[k, CX_OVERFLOW] += 1
        return
    p.connecting += 1
    q.connections += 1
    w.cluster_out[k, CX_TOTAL] += 1
    zone = w.stations[w.endpoints[ep].station].zone
    deliver(w, i, e + w.rtt[w.workers[i].zone, zone, 0] + w.rtt[w.workers[i].zone, zone, 1], a, b)


@kernel
def take_pending(w, i, ep, s, cost):
    """Attach the oldest waiting stream of the pool in the visit at `s`; whether there was one to attach."""
    p = w.pools[i, ep]
    k = w.endpoints[ep].cluster
    q = w.podclusters[w.workers[i].pod, k]
    while p.pending > 0:
        x = p.pending_head
        _unlink(w, i, x)
        serve(w.streams[x], s, cost)
        if q.requests >= w.clusters[k].max_requests:
            overflow(w, i, x, ACTIVE_OVERFLOW, s + cost)
        else:
            attach(w, i, x, ep, s + cost)
            return True
    return False


@kernel
def established(w, i, ep, s, cost):
    """A connection of the pool is ready: it takes the oldest waiting stream (HTTP/2: all of them)."""
    p = w.pools[i, ep]
    p.connecting -= 1
    if w.clusters[w.endpoints[ep].cluster].http == 2:
        p.idle = 1
        while take_pending(w, i, ep, s, cost):
            pass
    elif take_pending(w, i, ep, s, cost):
        p.busy += 1
    else:
        p.idle += 1


@kernel
def free_connection(w, i, x):
    """The answer of stream `x` has been read: its connection is free for the next one."""
    r = w.streams[x]
    c = w.clusters[r.cluster]
    ep = c.endpoint_first + r.position
    p = w.pools[i, ep]
    if c.http == 2:
        return
    if p.pending > 0:
        arm(w, i, ATTACH, key_a(r.client, r.number), key_b(r.k, r.a, 0, ep))
    else:
        p.busy -= 1
        p.idle += 1


@kernel
def reattach(w, i, ep, s):
    """ATTACH visit: a freed connection takes the oldest waiting stream, or becomes idle."""
    if not take_pending(w, i, ep, s, 0):
        p = w.pools[i, ep]
        p.busy -= 1
        p.idle += 1


@kernel
def detach(w, i, x):
    """The running attempt of stream `x` is over: it no longer counts as active."""
    r = w.streams[x]
    pod = w.workers[i].pod
    w.podclusters[pod, r.cluster].requests -= 1
    w.active[pod, w.clusters[r.cluster].endpoint_first + r.position] -= 1
    r.live = 0
    cancel_try(w, i, x)


@kernel
def abandon(w, i, x, s, e):
    """End the running attempt of stream `x`, if any, without its answer, in the visit from `s` to `e`."""
    r = w.streams[x]
    if r.live == 0:
        return
    c = w.clusters[r.cluster]
    if r.state == PENDING:
        _unlink(w, i, x)
        r.live = 0
        w.cluster_out[r.cluster, CANCELLED] += 1
        return
    if r.state == UPSTREAM:
        r.upstream_ns += s - r.write_end_ns
    detach(w, i, x)
    if c.http == 2:
        return
    ep = c.endpoint_first + r.position
    p = w.pools[i, ep]
    p.busy -= 1
    w.podclusters[w.workers[i].pod, r.cluster].connections -= 1
    w.cluster_out[r.cluster, CX_DESTROY] += 1
    if p.pending > 0:
        connect_if_needed(w, i, ep, key_a(r.client, r.number), key_b(r.k, r.a, PART_UP_CONNECTED, ep), e)
