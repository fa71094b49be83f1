"""What becomes of an upstream connection: it comes up, takes streams that wait, is freed, and ends."""

from __future__ import annotations

from gwsim.engine.codes import Counter, Visit
from gwsim.engine.compiled.accounting import PENDING, UPSTREAM, serve
from gwsim.engine.compiled.filters import refused
from gwsim.engine.compiled.heaps import index_of, key_a, key_b, part_of, pop, push
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import FREE_FOREVER
from gwsim.engine.compiled.pools import (
    ACTIVE_OVERFLOW,
    CLOSED,
    CONNECTING,
    ORDER_CONNECT,
    ORDER_DURATION,
    ORDER_IDLE,
    ORDER_UNUSED,
    PART_UP_CLOSE,
    PART_UP_CLOSE_UNUSED,
    attach,
    await_end,
    close_cx,
    connect_if_needed,
    detach,
    hang_up,
    is_spent,
    leave_pending,
    list_hang_up,
    make_ready,
    open_cx,
    takes_more,
    unready,
    upstream_timer,
)
from gwsim.engine.compiled.relays import give_up
from gwsim.engine.compiled.state import arm, drop_cx

ATTACH = int(Visit.ATTACH)
IDLE_TIMEOUT, MAX_DURATION = int(Counter.UPSTREAM_CX_IDLE_TIMEOUT), int(Counter.UPSTREAM_CX_MAX_DURATION)
CANCELLED = int(Counter.UPSTREAM_RQ_CANCELLED)


@kernel
def idles(w, n, s, e, a, b):
    """Connection `n` is ready without a stream, after the visit from `s` to `e` in the name (a, b): what may end it now."""
    u = w.upstream[n]
    c = w.clusters[w.endpoints[u.ep].cluster]
    if not w.has_connections or c.fragile == 0:
        return
    if c.idle_ns > 0:
        u.idle_at_ns = e + c.idle_ns
        u.idle_a = a
        u.idle_b = b
        if u.idle_listed == 0:
            u.idle_listed = 1
            upstream_timer(w, u.worker, n, u.idle_at_ns, a, b, ORDER_IDLE if u.used == 1 else ORDER_UNUSED)
    station = w.endpoints[u.ep].station
    if w.has_membership and w.stations[station].end_ns <= s:
        u.closes_ns = u.freed_ns if u.used == 1 else e
        u.closes_a = a
        u.closes_b = b
        hang_up(w, n)
        return
    keepalive = w.stations[station].keepalive_ns
    if c.http == 1 and keepalive > 0:
        u.closes_ns = (u.freed_ns if u.used == 1 else e) + keepalive
        u.closes_a = a
        u.closes_b = b
        if s >= u.closes_ns:
            hang_up(w, n)
        elif u.closes_listed == 0:
            u.closes_listed = 1
            u.refs += 1
            list_hang_up(w, n)


@kernel
def feed(w, n, s, cost):
    """Connection `n` takes the oldest streams that wait in its pool, as long as it has room, in the visit at `s`."""
    u = w.upstream[n]
    i, ep = u.worker, u.ep
    p = w.pools[i, ep]
    k = w.endpoints[ep].cluster
    q = w.podclusters[w.workers[i].pod, k]
    while p.pending > 0 and takes_more(w, u):
        x = p.pending_head
        leave_pending(w, i, x)
        if q.requests >= w.clusters[k].max_requests:
            w.cluster_out[k, ACTIVE_OVERFLOW] += 1
            refused(w, i, x, s, cost)
        else:
            serve(w, w.streams[x], s, cost)
            attach(w, i, x, n, s + cost)


@kernel
def _offer(w, n, a, b, s, cost):
    """Connection `n`, in no list, takes what waits, and is ready with room left, in the name (a, b)."""
    feed(w, n, s, cost)
    u = w.upstream[n]
    if w.pools[u.worker, u.ep].pending > 0:
        connect_if_needed(w, u.worker, u.ep, a, b, s + cost)
    if takes_more(w, u):
        make_ready(w, n)
        if u.streams == 0:
            idles(w, n, s, s + cost, a, b)


@kernel
def established(w, n, s, cost):
    """Connection `n` has come up."""
    u = w.upstream[n]
    w.pools[u.worker, u.ep].connecting -= 1
    open_cx(w, n)
    if w.has_membership:
        await_end(w, n, s + cost)
    c = w.clusters[w.endpoints[u.ep].cluster]
    if w.has_connections and c.duration_ns > 0:
        upstream_timer(w, u.worker, n, s + cost + c.duration_ns, u.a, u.b, ORDER_DURATION)
    _offer(w, n, u.a, u.b, s, cost)


@kernel
def reattach(w, n, a, b, s):
    """ATTACH visit: a freed connection takes the oldest waiting stream, or becomes ready."""
    u = w.upstream[n]
    u.attach_armed = 0
    if is_spent(w, u):
        i, ep = u.worker, u.ep
        close_cx(w, n, a, b, s)
        connect_if_needed(w, i, ep, a, b, s)
    else:
        _offer(w, n, a, b, s, 0)


@kernel
def free(w, i, x, s, cost):
    """Stream `x`, detached by now, leaves its connection open for others."""
    r = w.streams[x]
    n = r.cx
    u = w.upstream[n]
    a, b = key_a(r.client, r.number), key_b(r.k, r.a, 0, 0)
    u.freed_ns = r.depart_ns
    if w.has_membership and r.depart_ns == FREE_FOREVER:
        u.freed_ns = s + cost + w.rtt[w.workers[i].zone, w.stations[r.station].zone, 0]
    if is_spent(w, u):
        if u.streams == 0:
            close_cx(w, n, a, b, s + cost)
            connect_if_needed(w, i, u.ep, a, b, s + cost)
    elif w.clusters[r.cluster].http == 1:
        if w.pools[i, u.ep].pending > 0:
            u.refs += 1
            u.attach_armed = 1
            arm(w, i, ATTACH, a, b + n)
        else:
            make_ready(w, n)
            idles(w, n, s, s + cost, a, b)
    else:
        if u.ready == 0:
            make_ready(w, n)
        feed(w, n, s, cost)
        if w.pools[i, u.ep].pending > 0:
            connect_if_needed(w, i, u.ep, a, b, s + cost)
        if u.ready == 1 and u.streams == 0:
            idles(w, n, s, s + cost, a, b)


@kernel
def end_attempt(w, i, x, s, cost):
    """End the running attempt of stream `x`, if any, without its answer; whether it had a connection."""
    r = w.streams[x]
    if r.live == 0:
        return False
    if r.state == PENDING:
        leave_pending(w, i, x)
        r.live = 0
        w.cluster_out[r.cluster, CANCELLED] += 1
        return False
    if r.state == UPSTREAM:
        r.upstream_ns += s - r.write_end_ns
        if w.has_chains and r.hop >= 0:
            give_up(w, x, s, s + cost)
    else:
        r.depart_ns = FREE_FOREVER
    detach(w, i, x)
    if w.clusters[r.cluster].http == 2:
        free(w, i, x, s, cost)
        return True
    ep = w.upstream[r.cx].ep
    a, b = key_a(r.client, r.number), key_b(r.k, r.a, 0, 0)
    close_cx(w, r.cx, a, b, s + cost)
    connect_if_needed(w, i, ep, a, b, s + cost)
    return True


# --- timers -------------------------------------------------------------------------------------------------------


@kernel
def first_upstream_timer(w, i):
    """Deadline of the worker's first timer of a connection that still has its object."""
    k = w.workers[i]
    while k.uptimers_n > 0:
        top = w.uptimers[i, 0]
        at, b = top.t, top.b
        n = index_of(b)
        u = w.upstream[n]
        if part_of(b) == ORDER_CONNECT:
            valid = u.state == CONNECTING
        elif part_of(b) == ORDER_DURATION:
            valid = u.state != CLOSED
        else:
            valid = u.state != CLOSED and u.idle_at_ns == at and top.a == u.idle_a and b == _idle_name(u, n)
        if valid:
            return at
        pop(w.uptimers[i], k.uptimers_n)
        k.uptimers_n -= 1
        if part_of(b) <= ORDER_UNUSED and u.state != CLOSED:
            if u.idle_at_ns < FREE_FOREVER:
                push(w.uptimers[i], k.uptimers_n, u.idle_at_ns, u.idle_a, _idle_name(u, n))
                k.uptimers_n += 1
                continue
            u.idle_listed = 0
        drop_cx(w, n)
    return FREE_FOREVER


@kernel
def _idle_name(u, n):
    return u.idle_b + key_b(0, 0, ORDER_IDLE if u.used == 1 else ORDER_UNUSED, n)


@kernel
def take_upstream_timer(w, i):
    """Take the first timer out of the worker's heap (its reference to the connection stays with the caller): its name."""
    k = w.workers[i]
    a, b = w.uptimers[i, 0].a, w.uptimers[i, 0].b
    pop(w.uptimers[i], k.uptimers_n)
    k.uptimers_n -= 1
    if part_of(b) == ORDER_IDLE or part_of(b) == ORDER_UNUSED:
        w.upstream[index_of(b)].idle_listed = 0
    return a, b


@kernel
def is_expired(w, b, at_ns):
    """Whether the timer `b` of a connection, due at `at_ns`, still has its object."""
    u = w.upstream[index_of(b)]
    if part_of(b) == ORDER_CONNECT:
        return u.state == CONNECTING
    return u.state != CLOSED and (part_of(b) == ORDER_DURATION or u.idle_at_ns == at_ns)


@kernel
def expire(w, n, order, a, b, e):
    """UP_EXPIRE visit, in the name (a, b), to `e`: connection `n` has been idle, or has lived, for long enough."""
    u = w.upstream[n]
    k = w.endpoints[u.ep].cluster
    if order != ORDER_DURATION:
        w.cluster_out[k, IDLE_TIMEOUT] += 1
        close_cx(w, n, a, b, e)
        return
    w.cluster_out[k, MAX_DURATION] += 1
    u.left = 0
    if u.ready == 1:
        unready(w, n)
    if u.streams == 0 and u.attach_armed == 0:
        close_cx(w, n, a, b, e)


@kernel
def is_void(w, part, n):
    """Whether the item `part` has lost its connection `n`."""
    if part == PART_UP_CLOSE or part == PART_UP_CLOSE_UNUSED:
        return w.upstream[n].state == CLOSED
    return w.upstream[n].state != CONNECTING
