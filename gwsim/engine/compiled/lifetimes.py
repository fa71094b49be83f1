"""What becomes of an upstream connection: it comes up, takes streams that wait, is freed, and ends."""

from __future__ import annotations

from gwsim.engine.codes import Counter, Visit
from gwsim.engine.compiled.accounting import PENDING, UPSTREAM, serve
from gwsim.engine.compiled.filters import refused
from gwsim.engine.compiled.heaps import key_a, key_b
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.pools import (
    ACTIVE_OVERFLOW,
    attach,
    close_cx,
    connect_if_needed,
    detach,
    is_spent,
    leave_pending,
    make_ready,
    open_cx,
    takes_more,
)
from gwsim.engine.compiled.state import arm

ATTACH = int(Visit.ATTACH)
CANCELLED = int(Counter.UPSTREAM_RQ_CANCELLED)


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
            serve(w.streams[x], s, cost)
            attach(w, i, x, n, s + cost)


@kernel
def _offer(w, n, s, cost):
    """Connection `n`, in no list, takes what waits, and is ready with room left."""
    feed(w, n, s, cost)
    if takes_more(w, w.upstream[n]):
        make_ready(w, n)


@kernel
def established(w, n, s, cost):
    """Connection `n` has come up."""
    u = w.upstream[n]
    w.pools[u.worker, u.ep].connecting -= 1
    open_cx(w, n)
    _offer(w, n, s, cost)


@kernel
def reattach(w, n, a, b, s):
    """ATTACH visit: a freed connection takes the oldest waiting stream, or becomes ready."""
    u = w.upstream[n]
    if is_spent(w, u):
        i, ep = u.worker, u.ep
        close_cx(w, n)
        connect_if_needed(w, i, ep, a, b, s)
    else:
        _offer(w, n, s, 0)


@kernel
def free(w, i, x, s, cost):
    """Stream `x`, detached by now, leaves its connection open for others."""
    r = w.streams[x]
    n = r.cx
    u = w.upstream[n]
    a, b = key_a(r.client, r.number), key_b(r.k, r.a, 0, 0)
    if is_spent(w, u):
        if u.streams == 0:
            close_cx(w, n)
            connect_if_needed(w, i, u.ep, a, b, s + cost)
    elif w.clusters[r.cluster].http == 1:
        if w.pools[i, u.ep].pending > 0:
            u.refs += 1
            arm(w, i, ATTACH, a, b + n)
        else:
            make_ready(w, n)
    else:
        if u.ready == 0:
            make_ready(w, n)
        feed(w, n, s, cost)


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
    detach(w, i, x)
    if w.clusters[r.cluster].http == 2:
        free(w, i, x, s, cost)
        return True
    ep = w.upstream[r.cx].ep
    close_cx(w, r.cx)
    connect_if_needed(w, i, ep, key_a(r.client, r.number), key_b(r.k, r.a, 0, 0), s + cost)
    return True
