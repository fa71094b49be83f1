"""Upstream connection pools and circuit breakers, in Envoy's order of admission.

A pool's *ready* connections (established, with room for a stream) are a list, the last that joined in front. Draining a
pool ends an epoch: connections of an earlier one take no more streams.
Source: envoy source/common/conn_pool/conn_pool_base.cc, source/common/upstream/resource_manager_impl.h.
"""

from __future__ import annotations

from gwsim.engine.codes import Counter, Part, Visit
from gwsim.engine.compiled.accounting import ARMED, PENDING
from gwsim.engine.compiled.heaps import MAX_SOURCES, key_a, key_b, push
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import FREE_FOREVER
from gwsim.engine.compiled.relays import close_link, open_link, own_name
from gwsim.engine.compiled.source_ports import BY_GATEWAY, BY_STATION, rest, take_port
from gwsim.engine.compiled.state import arm, deliver, drop_cx
from gwsim.engine.compiled.timers import cancel_try

WRITE_UP = int(Visit.WRITE_UP)
PART_UP_CONNECTED, PART_UP_FAILED = int(Part.UP_CONNECTED), int(Part.UP_FAILED)
PART_UP_CLOSE, PART_UP_CLOSE_UNUSED = int(Part.UP_CLOSE), int(Part.UP_CLOSE_UNUSED)
PART_ENDS, ENDED, WARM_WORKER = 4, 4093, 1_000_000
"""Part of the event at a station whose pod ends, and what its name is made of."""
ORDER_IDLE, ORDER_UNUSED, ORDER_DURATION, ORDER_CONNECT = 5, 6, 7, 8
"""Of timers with the same deadline and identity, after those of streams."""
SYN_SECONDS = (0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67)
"""Seconds after the first at which a connection attempt is sent again. Source: Linux, RFC 6298 with an initial second and linear tries."""
MOST_CONNECT = 1_000_000_000
"""A connect time-out from this on matters in outages only."""
RQ_TOTAL, PENDING_TOTAL = int(Counter.UPSTREAM_RQ_TOTAL), int(Counter.UPSTREAM_RQ_PENDING_TOTAL)
PENDING_OVERFLOW, ACTIVE_OVERFLOW = int(Counter.UPSTREAM_RQ_PENDING_OVERFLOW), int(Counter.UPSTREAM_RQ_ACTIVE_OVERFLOW)
CX_TOTAL, CX_OVERFLOW = int(Counter.UPSTREAM_CX_TOTAL), int(Counter.UPSTREAM_CX_OVERFLOW)
CX_DESTROY, CX_MAX_REQUESTS = int(Counter.UPSTREAM_CX_DESTROY), int(Counter.UPSTREAM_CX_MAX_REQUESTS)
CONNECTING, ESTABLISHED, CLOSED = 0, 1, 2
"""States of an upstream connection."""


# --- connections ------------------------------------------------------------------------------------------------


@kernel
def new_cx(w, i, ep):
    """Index of a fresh connection record of worker `i` to endpoint `ep`, connecting."""
    g = w.g[0]
    n = g.cx_free
    u = w.upstream[n]
    g.cx_free = u.next_free
    g.cx_live += 1
    u.refs = 1
    u.worker = i
    u.ep = ep
    u.state = CONNECTING
    u.streams = 0
    u.ready = 0
    u.used = 0
    u.attach_armed = 0
    u.stream_head = -1
    u.idle_at_ns = FREE_FOREVER
    u.idle_listed = 0
    u.closes_ns = FREE_FOREVER
    u.closes_listed = 0
    u.gone = 0
    u.has_port = 0
    u.lost = 0
    u.conn = -1
    return n


@kernel
def make_ready(w, n):
    """Connection `n` has room: in front of its pool's ready ones."""
    u = w.upstream[n]
    p = w.pools[u.worker, u.ep]
    u.ready = 1
    u.prev = -1
    u.next = p.ready
    if p.ready >= 0:
        w.upstream[p.ready].prev = n
    p.ready = n


@kernel
def unready(w, n):
    """Connection `n` leaves the ready ones."""
    u = w.upstream[n]
    u.ready = 0
    if u.prev < 0:
        w.pools[u.worker, u.ep].ready = u.next
    else:
        w.upstream[u.prev].next = u.next
    if u.next >= 0:
        w.upstream[u.next].prev = u.prev


@kernel
def takes_more(w, u):
    """Whether connection `u` may take a stream now."""
    p = w.pools[u.worker, u.ep]
    return u.left > 0 and u.epoch == p.epoch and u.streams < w.clusters[w.endpoints[u.ep].cluster].capacity


@kernel
def is_spent(w, u):
    """Whether connection `u` will never take a stream again."""
    return u.left == 0 or u.epoch != w.pools[u.worker, u.ep].epoch


@kernel
def open_cx(w, n):
    """Connection `n` is established (and in no list yet)."""
    u = w.upstream[n]
    u.state = ESTABLISHED
    u.left = w.clusters[w.endpoints[u.ep].cluster].per_connection
    p = w.pools[u.worker, u.ep]
    u.epoch = p.epoch
    p.established += 1


@kernel
def close_cx(w, n, a, b, e):
    """Connection `n` (established) is closed, in the visit of the name (a, b) that ends at `e`."""
    u = w.upstream[n]
    if w.has_chains and u.conn >= 0:
        close_link(w, n, a, b, e)
    if u.ready == 1:
        unready(w, n)
    u.state = CLOSED
    k = w.endpoints[u.ep].cluster
    w.pools[u.worker, u.ep].established -= 1
    w.podclusters[w.workers[u.worker].pod, k].connections -= 1
    w.cluster_out[k, CX_DESTROY] += 1
    if w.has_ports:
        rest(w, u, BY_STATION if u.lost == 1 else BY_GATEWAY)
    drop_cx(w, n)


@kernel
def connect_if_needed(w, i, ep, a, b, e):
    """Open a connection for the pool if more streams wait than connections are coming for, and the breaker lets it.

    It is opened at `e` in the name (a, b) of an attempt (`b` without part and index).
    """
    p = w.pools[i, ep]
    k = w.endpoints[ep].cluster
    c = w.clusters[k]
    if p.pending <= p.connecting * c.capacity:
        return
    q = w.podclusters[w.workers[i].pod, k]
    if q.connections >= c.max_connections and p.established + p.connecting > 0:
        w.cluster_out[k, CX_OVERFLOW] += 1
        return
    p.connecting += 1
    q.connections += 1
    w.cluster_out[k, CX_TOTAL] += 1
    n = new_cx(w, i, ep)
    u = w.upstream[n]
    u.a = a
    u.b = b
    station = w.stations[w.endpoints[ep].station]
    up, down = w.rtt[w.workers[i].zone, station.zone, 0], w.rtt[w.workers[i].zone, station.zone, 1]
    part = PART_UP_CONNECTED
    if w.has_connections and station.outages > 0:
        up, part = _first_heard(w, station, e, up)
    if w.has_ports and station.ports >= 0 and not take_port(w, u, w.g[0].now_ns):
        up, down = 1, 0
        part = PART_UP_FAILED if w.port_pools[station.ports].refuses == 1 else -1
    if part >= 0:
        u.refs += 1
        deliver(w, i, e + up + down, a, b + key_b(0, 0, part, n))
    if w.has_chains and station.relay >= 0 and part == PART_UP_CONNECTED:
        open_link(w, n, up, down, e)
    late = station.outages > 0 or station.ports >= 0 or station.relay >= 0
    if w.has_connections and c.connect_ns > 0 and (late or c.connect_ns < MOST_CONNECT):
        upstream_timer(w, i, n, e + c.connect_ns, a, b, ORDER_CONNECT)


@kernel
def outage_at(w, station, t):
    """The outage of a station in force at `t`, or -1."""
    for j in range(station.outage_first, station.outage_first + station.outages):
        if w.outages[j].from_ns <= t < w.outages[j].to_ns:
            return j
    return -1


@kernel
def _first_heard(w, station, e, up):
    """When a connection attempt of `e` first gets through (from `e`), and what comes of it; part -1: nothing ever."""
    for second in SYN_SECONDS:
        after = second * 1_000_000_000 + up
        j = outage_at(w, station, e + after)
        if j < 0:
            return after, PART_UP_CONNECTED
        if w.outages[j].drops == 0:
            return after, PART_UP_FAILED
    return up, -1


@kernel
def upstream_timer(w, i, n, at_ns, a, b, order):
    """A timer of connection `n` on worker `i` in the name (a, b)."""
    k = w.workers[i]
    w.upstream[n].refs += 1
    push(w.uptimers[i], k.uptimers_n, at_ns, a, b + key_b(0, 0, order, n))
    k.uptimers_n += 1
    if at_ns < k.timer_at_ns:
        k.timer_at_ns = at_ns
    g = w.g[0]
    if k.uptimers_n > g.uptimers_max:
        g.uptimers_max = k.uptimers_n


@kernel
def list_hang_up(w, n):
    """An event at the station of connection `n`: it hangs up, unless that has been put off by then."""
    u = w.upstream[n]
    g = w.g[0]
    station = w.endpoints[u.ep].station
    push(w.station_heap, g.station_n, u.closes_ns, (station << 49) | u.closes_a, u.closes_b + key_b(0, 0, 2 - u.used, n))
    g.station_n += 1


@kernel
def hang_up(w, n):
    """The station of connection `n` closes it: the worker hears of that."""
    u = w.upstream[n]
    part = PART_UP_CLOSE if u.used == 1 else PART_UP_CLOSE_UNUSED
    _tell(w, n, u.closes_ns, u.closes_a, u.closes_b + key_b(0, 0, part, n))


@kernel
def await_end(w, n, e):
    """Connection `n` is established from `e` on: an event at its station when the pod there ends."""
    u = w.upstream[n]
    place = w.endpoints[u.ep].station
    station = w.stations[place]
    if not e < station.end_ns < FREE_FOREVER:
        return
    k = w.endpoints[u.ep].cluster
    a = key_a(k & (MAX_SOURCES - 1), WARM_WORKER * u.worker + u.ep - w.clusters[k].endpoint_first)
    u.refs += 1
    push(w.station_heap, w.g[0].station_n, station.end_ns, (place << 49) | a, key_b(ENDED, station.greeted & 4095, PART_ENDS, n))
    w.g[0].station_n += 1
    station.greeted += 1


@kernel
def pod_ends(w, n, t, a, b):
    """The pod of connection `n` ends at `t`: it closes what carries no request, in the name (a, b) of that event."""
    u = w.upstream[n]
    if u.state != CLOSED and u.streams == 0 and u.closes_ns > t:
        u.closes_ns = t
        _tell(w, n, t, a, b - key_b(0, 0, PART_ENDS, 0) + key_b(0, 0, PART_UP_CLOSE_UNUSED, 0))
    drop_cx(w, n)


@kernel
def refuse_on(w, n, t, a, b):
    """The station refuses the request (a, b) on connection `n` at `t`: it is closed from there."""
    w.upstream[n].closes_ns = t
    _tell(w, n, t, a, b + key_b(0, 0, PART_UP_CLOSE, n))


@kernel
def _tell(w, n, t, a, b):
    u = w.upstream[n]
    if u.gone == 1:
        return
    u.refs += 1
    zone = w.stations[w.endpoints[u.ep].station].zone
    deliver(w, u.worker, t + w.rtt[w.workers[u.worker].zone, zone, 1], a, b)


@kernel
def drain(w, d, ep, s):
    """At `s` the connections of pod `d` to endpoint `ep` take no more streams; those without one are closed."""
    pod = w.pods[d]
    for i in range(pod.worker_first, pod.worker_first + pod.workers):
        p = w.pools[i, ep]
        p.epoch += 1
        while p.ready >= 0:
            n = p.ready
            unready(w, n)
            if w.upstream[n].streams == 0:
                a, b = own_name(w, n)
                close_cx(w, n, a, b, s)


# --- streams ------------------------------------------------------------------------------------------------------


@kernel
def admit(w, i, x, e):
    """Admit stream `x` to the pool of its endpoint, in the visit that ends at `e`; False if a breaker is full."""
    r = w.streams[x]
    k = r.cluster
    c = w.clusters[k]
    ep = c.endpoint_first + r.position
    p = w.pools[i, ep]
    q = w.podclusters[w.workers[i].pod, k]
    r.admit_end_ns = e
    r.live = 1
    if p.ready >= 0:
        if q.requests >= c.max_requests:
            w.cluster_out[k, ACTIVE_OVERFLOW] += 1
            r.live = 0
            return False
        attach(w, i, x, p.ready, e)
        return True
    if q.pending >= c.max_pending:
        w.cluster_out[k, PENDING_OVERFLOW] += 1
        r.live = 0
        return False
    r.state = PENDING
    r.since_ns = e
    _append(w, p, x)
    q.pending += 1
    w.g[0].pending += 1
    w.cluster_out[k, PENDING_TOTAL] += 1
    connect_if_needed(w, i, ep, key_a(r.client, r.number), key_b(r.k, r.a, 0, 0), e)
    return True


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
def leave_pending(w, i, x):
    """Stream `x` no longer waits for a connection."""
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
def attach(w, i, x, n, e):
    """Stream `x` gets connection `n`: its request is written in the next iteration."""
    r = w.streams[x]
    u = w.upstream[n]
    pod = w.workers[i].pod
    c = w.clusters[r.cluster]
    r.cx = n
    if w.has_connections and c.fragile == 1:
        _link(w, u, x)
    u.streams += 1
    u.left -= 1
    if u.left == 0:
        w.cluster_out[r.cluster, CX_MAX_REQUESTS] += 1
    if u.ready == 1 and (u.streams == c.capacity or u.left == 0):
        unready(w, n)
    w.podclusters[pod, r.cluster].requests += 1
    w.active[pod, u.ep] += 1
    if w.has_outliers and c.splits == 1:
        w.podhosts[pod, u.ep].local_failures = 0
    w.cluster_out[r.cluster, RQ_TOTAL] += 1
    r.station = w.endpoints[u.ep].station
    r.state = ARMED
    r.since_ns = e
    r.refs += 1
    arm(w, i, WRITE_UP, x, r.a)


@kernel
def _link(w, u, x):
    """Stream `x` is on connection `u`, which is idle no longer."""
    r = w.streams[x]
    u.idle_at_ns = FREE_FOREVER
    u.used = 1
    r.cx_prev = -1
    r.cx_next = u.stream_head
    if u.stream_head >= 0:
        w.streams[u.stream_head].cx_prev = x
    u.stream_head = x


@kernel
def _unlink(w, u, x):
    r = w.streams[x]
    if r.cx_prev < 0:
        u.stream_head = r.cx_next
    else:
        w.streams[r.cx_prev].cx_next = r.cx_next
    if r.cx_next >= 0:
        w.streams[r.cx_next].cx_prev = r.cx_prev


@kernel
def detach(w, i, x):
    """The running attempt of stream `x` is over: it no longer counts as active."""
    r = w.streams[x]
    pod = w.workers[i].pod
    w.podclusters[pod, r.cluster].requests -= 1
    w.active[pod, w.clusters[r.cluster].endpoint_first + r.position] -= 1
    u = w.upstream[r.cx]
    u.streams -= 1
    if w.has_connections and w.clusters[r.cluster].fragile == 1:
        _unlink(w, u, x)
    r.live = 0
    cancel_try(w, i, x)
