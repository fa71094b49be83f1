"""Taking and giving back records, and the queues of a worker: what every component of the engine calls."""

from __future__ import annotations

from gwsim.engine.codes import Part
from gwsim.engine.compiled.heaps import index_of, key_a, key_b, part_of, push
from gwsim.engine.compiled.kernel import kernel

PART_REQUEST, PART_CANCEL = int(Part.REQUEST), int(Part.CANCEL)
PART_UP_RESPONSE = int(Part.UP_RESPONSE)


@kernel
def new_stream(w):
    """Index of a fresh stream record (the driver sees to it that there is one)."""
    g = w.g[0]
    x = g.stream_free
    r = w.streams[x]
    g.stream_free = r.next_free
    g.streams_live += 1
    r.refs = 1
    r.kind = 0
    r.call = -1
    r.k = 0
    r.a = 0
    r.client_done = 0
    r.gw_begun = 0
    r.gw_done = 0
    r.live = 0
    r.conn = -1
    r.slot = -1
    r.handshake = 0
    r.gw_start_ns = -1
    r.gw_end_ns = -1
    r.upstream_ns = 0
    r.failed_ns = 0
    r.cluster = -1
    r.station = -1
    r.attempts = 0
    r.retries_used = 0
    r.holds_retry = 0
    r.tried_n = 0
    r.status = 0
    r.flags = 0
    r.answer = 0
    r.sent_bytes = 0
    r.dropped = 0
    r.route_armed = 0
    r.try_armed = 0
    r.client_armed = 0
    r.closing = 0
    if w.has_chains:
        r.derived = 0
        r.hop = -1
        r.cause = -1
    return x


@kernel
def rule_of(w, r):
    """What the route of stream `r` says: the outcome of its class, or the one that it had when the request was read."""
    return w.classes[r.rule if w.has_updates else r.class_id]


@kernel
def drop_stream(w, x):
    """Give up one reference to stream `x`; the last one frees it and its hold on the connection."""
    r = w.streams[x]
    r.refs -= 1
    if r.refs == 0:
        if r.conn >= 0:
            drop_conn(w, r.conn)
        g = w.g[0]
        r.next_free = g.stream_free
        g.stream_free = x
        g.streams_live -= 1


@kernel
def made(records):
    """As many records as may ever have been in use (those that never were have no references)."""
    return records.shape[0]


@kernel
def new_conn(w):
    """Index of a fresh connection record."""
    g = w.g[0]
    n = g.conn_free
    c = w.conns[n]
    g.conn_free = c.next_free
    g.conns_live += 1
    c.refs = 1
    c.resumed = 0
    c.accepted = 0
    c.accept_end_ns = 0
    c.closed = 0
    c.hold_head = -1
    c.hold_tail = -1
    c.out_head = -1
    c.out_tail = -1
    c.armed = 0
    c.stream_head = -1
    c.batch_poll = -1
    c.stops_n = -1
    c.draining = 0
    c.link = -1
    return n


@kernel
def drop_conn(w, n):
    """Give up one reference to connection `n`; the last one frees it."""
    c = w.conns[n]
    c.refs -= 1
    if c.refs == 0:
        g = w.g[0]
        c.next_free = g.conn_free
        g.conn_free = n
        g.conns_live -= 1


@kernel
def drop_cx(w, n):
    """Give up one reference to upstream connection `n`; the last one frees it, and its hold on its other side."""
    u = w.upstream[n]
    u.refs -= 1
    if u.refs == 0:
        if w.has_chains and u.conn >= 0:
            drop_conn(w, u.conn)
        g = w.g[0]
        u.next_free = g.cx_free
        g.cx_free = n
        g.cx_live -= 1


@kernel
def is_stream_part(part):
    """Whether an item of a downstream connection is about one of its streams."""
    return part == PART_REQUEST or part == PART_CANCEL


@kernel
def wake_at(w, i, ready_ns):
    """Something becomes ready at worker `i`: a sleeping worker wakes no later than for it."""
    k = w.workers[i]
    if k.asleep == 1 and ready_ns + k.wakeup_ns < w.next_at[i]:
        w.next_at[i] = ready_ns + k.wakeup_ns


@kernel
def deliver(w, i, t, a, b):
    """An item for worker `i` that becomes ready at `t`."""
    k = w.workers[i]
    push(w.ready[i], k.ready_n, t, a, b)
    k.ready_n += 1
    g = w.g[0]
    if k.ready_n > g.ready_max:
        g.ready_max = k.ready_n
    wake_at(w, i, t)


@kernel
def deliver_answer(w, x, depart, status):
    """The station answers the attempt of stream `x` at `depart`: its worker will read that."""
    r = w.streams[x]
    c = w.conns[r.conn]
    r.depart_ns = depart
    zone = w.stations[r.station].zone
    r.answer_ns = depart + w.rtt[w.workers[c.worker].zone, zone, 1]
    r.answer_status = status
    if w.has_chains:
        r.answer_bytes = r.response_bytes if status < 500 else 0
    r.refs += 1
    deliver(w, c.worker, r.answer_ns, key_a(r.client, r.number), key_b(r.k, r.a, PART_UP_RESPONSE, x))


@kernel
def deliver_accept(w, i, t, a, b):
    """A connection that waits in the accept queue of worker `i` from `t`."""
    k = w.workers[i]
    push(w.accept[i], k.accept_n, t, a, b)
    k.accept_n += 1
    g = w.g[0]
    if k.accept_n > g.accept_max:
        g.accept_max = k.accept_n
    wake_at(w, i, t)


@kernel
def deliver_conn(w, n, t, a, b):
    """An item for downstream connection `n`; it is held back until the connection's accept visit has ended.

    What is sent to a pod that has ended is lost.
    """
    c = w.conns[n]
    if c.closed == 1:
        if is_stream_part(part_of(b)):
            drop_stream(w, index_of(b))
        else:
            drop_conn(w, index_of(b))
        return
    if c.accepted == 1:
        deliver(w, c.worker, max(t, c.accept_end_ns), a, b)
        return
    g = w.g[0]
    j = g.hold_free
    h = w.hold[j]
    g.hold_free = h.next
    g.hold_used += 1
    h.next = -1
    h.t = t
    h.a = a
    h.b = b
    if c.hold_head < 0:
        c.hold_head = j
    else:
        w.hold[c.hold_tail].next = j
    c.hold_tail = j


@kernel
def release_held(w, n):
    """The accept visit of connection `n` is under way: its held items become ready at its end at the earliest."""
    c = w.conns[n]
    g = w.g[0]
    j = c.hold_head
    c.hold_head = -1
    c.hold_tail = -1
    while j >= 0:
        h = w.hold[j]
        deliver(w, c.worker, max(h.t, c.accept_end_ns), h.a, h.b)
        following = h.next
        h.next = g.hold_free
        g.hold_free = j
        g.hold_used -= 1
        j = following


@kernel
def arm(w, i, visit, a, b):
    """Arm an action on worker `i`: it runs in the next iteration."""
    k = w.workers[i]
    task = w.armed[i, k.armed_n]
    task.visit = visit
    task.a = a
    task.b = b
    task.next = -1
    k.armed_n += 1
    g = w.g[0]
    if k.armed_n > g.armed_max:
        g.armed_max = k.armed_n
