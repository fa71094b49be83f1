"""What clients do: a request arrives, an answer comes back, patience ends, a retry is sent."""

from __future__ import annotations

from gwsim.engine.codes import Flag, Purpose
from gwsim.engine.compiled.accounting import RESTING, settle
from gwsim.engine.compiled.calls import ended
from gwsim.engine.compiled.chains import BY_BACKEND, BY_PROXY
from gwsim.engine.compiled.connections import (
    PART_GOAWAY,
    PART_RESET,
    close,
    connected,
    give_up,
    pause,
    release,
    vacate,
)
from gwsim.engine.compiled.draws import draw64, ns, uniform
from gwsim.engine.compiled.heaps import index_of, key_a, key_b, number_of, part_of, pop, source_of, try_of
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import FREE_FOREVER
from gwsim.engine.compiled.recording import record_finish
from gwsim.engine.compiled.relays import answered
from gwsim.engine.compiled.slots import OPEN, leave_slot, queue_slot, retire
from gwsim.engine.compiled.sources import (
    CLOSED,
    act_later,
    arrive,
    continue_loop,
    request_key,
    schedule_open,
    start_try,
)
from gwsim.engine.compiled.state import drop_conn, drop_stream, new_stream
from gwsim.engine.schema import ANSWER_RESET, ANSWER_TIMEOUT

DRAW_BACKOFF = int(Purpose.CLIENT_BACKOFF)
DC = int(Flag.DC)
PART_RETRY = 2
TOKEN = 1000


@kernel
def _cancel_timeout(w, client, x):
    r = w.streams[x]
    if r.client_armed == 0:
        return
    r.client_armed = 0
    if r.client_prev < 0:
        client.timeout_head = r.client_next
        if r.client_at_ns <= w.g[0].act_at_ns:
            w.g[0].act_known = 0
    else:
        w.streams[r.client_prev].client_next = r.client_next
    if r.client_next < 0:
        client.timeout_tail = r.client_prev
    else:
        w.streams[r.client_next].client_prev = r.client_prev


@kernel
def deliver_to_client(w):
    """The next delivery to a client: a connection is ready, an answer, or the end of a connection; False if that was none."""
    g = w.g[0]
    top = w.client_heap[0]
    t, top_a, b = top.t, top.a, top.b
    pop(w.client_heap, g.client_n)
    g.client_n -= 1
    x = index_of(b)
    if part_of(b) == 0:
        connected(w, x, t)
        return True
    if (w.has_lifecycle or w.has_ageing) and part_of(b) == PART_RESET:
        return _reset(w, x, t)
    if w.has_ageing and part_of(b) == PART_GOAWAY:
        _go_away(w, x, top_a, try_of(b), t)
        return True
    r = w.streams[x]
    if w.has_chains and r.derived == BY_PROXY:
        answered(w, x, t)
    elif r.client_done == 0:
        c = r.client
        client = w.clients[c]
        settle(w, r, t)
        _cancel_timeout(w, client, x)
        if (w.has_lifecycle or w.has_ageing) and r.closing == 1 and w.slots[r.slot].conn == r.conn:
            retire(w, r.slot)
        release(w, c, x, t)
        if not (r.status >= 500 and client.retry_5xx == 1 and _retry(w, c, x, t)):
            _finish(w, c, x, t)
    drop_stream(w, x)
    return True


@kernel
def _reset(w, n, t):
    """The client of connection `n` finds that it is gone: what was on it fails; False if the slot has another by now."""
    conn = w.conns[n]
    c, j = conn.client, conn.slot
    s = w.slots[j]
    if s.conn != n:
        drop_conn(w, n)
        return False
    vacate(w, c, j)
    s.in_use = 0
    s.waiting_head = -1
    s.waiting_tail = -1
    pause(w, c, j, t)
    if s.queued == 0:
        queue_slot(w, c, j)
    while s.attempt_head >= 0:
        x = s.attempt_head
        y = w.streams[x].slot_next
        while y >= 0:
            if (w.streams[y].number, w.streams[y].k) < (w.streams[x].number, w.streams[x].k):
                x = y
            y = w.streams[y].slot_next
        leave_slot(w, s, x)
        _fail(w, c, x, t)
    drop_conn(w, n)
    return True


@kernel
def _go_away(w, n, a, k, t):
    """The client of connection `n` hears at `t` that the gateway will end it: it takes no more requests."""
    conn = w.conns[n]
    c, j = conn.client, conn.slot
    s = w.slots[j]
    if s.conn == n and s.state == OPEN:
        retire(w, j)
        if s.in_use == 0:
            close(w, c, j, a, k, t)
            queue_slot(w, c, j)
    drop_conn(w, n)


@kernel
def _fail(w, c, x, t):
    """The attempt of stream `x` is reset at `t`."""
    client = w.clients[c]
    r = w.streams[x]
    settle(w, r, t)
    _cancel_timeout(w, client, x)
    r.status, r.answer, r.sent_bytes = 0, ANSWER_RESET, 0
    if not (client.retry_5xx == 1 and _retry(w, c, x, t)):
        _finish(w, c, x, t)


@kernel
def time_out(w, c, x, t):
    """Client `c` has waited long enough for stream `x`."""
    client = w.clients[c]
    r = w.streams[x]
    _cancel_timeout(w, client, x)
    settle(w, r, t)
    give_up(w, c, x, t)
    if client.retry_timeout == 1 and _retry(w, c, x, t):
        return
    status, flags, answer, sent = r.status, r.flags, r.answer, r.sent_bytes
    r.status, r.flags, r.answer, r.sent_bytes = 0, flags | DC, ANSWER_TIMEOUT, 0
    record_finish(w, x, t)
    r.status, r.flags, r.answer, r.sent_bytes = status, flags, answer, sent
    _leave(w, c, x, 0, t)


@kernel
def _finish(w, c, x, t):
    record_finish(w, x, t)
    _leave(w, c, x, w.streams[x].status, t)


@kernel
def _leave(w, c, x, status, t):
    """The request of stream `x` has ended at its client with a status: who waits for that goes on."""
    r = w.streams[x]
    number = r.number
    r.client_done = 1
    if w.has_chains and r.derived == BY_BACKEND:
        job, asked = r.cause, r.asked
        drop_stream(w, x)
        ended(w, job, asked, status, t)
        return
    drop_stream(w, x)
    if w.clients[c].arrivals == CLOSED:
        continue_loop(w, c, number, t)


@kernel
def _retry(w, c, x, t):
    """Retry the failed attempt of stream `x`, if the client may: a new stream after a back-off."""
    client = w.clients[c]
    r = w.streams[x]
    if r.k >= client.retries:
        return False
    if client.budget >= 0:
        if client.tokens < TOKEN:
            return False
        client.tokens -= TOKEN
    bound_s = min(client.base_s * 2.0**r.k, client.max_s)
    wait_ns = max(1, ns(uniform(draw64(r.key, DRAW_BACKOFF, 0)) * bound_s))
    y = new_stream(w)
    n = w.streams[y]
    n.client = c
    n.number = r.number
    n.request_key = r.request_key
    n.class_id = r.class_id
    n.request_bytes = r.request_bytes
    n.response_bytes = r.response_bytes
    n.start_ns = r.start_ns
    n.start_bin = r.start_bin
    n.measured = r.measured
    n.k = r.k + 1
    n.failed_before_ns = r.failed_before_ns + (t - r.try_start_ns)
    n.queue = r.queue
    if w.has_chains:
        n.derived, n.cause, n.asked = r.derived, r.cause, r.asked
        n.root_key, n.root_measured = r.root_key, r.root_measured
    n.state = RESTING
    n.since_ns = t
    for j in range(n.component.shape[0]):
        n.component[j] = r.component[j]
    slot = r.slot
    n.slot = slot
    act_later(w, t + wait_ns, c, n.number, n.k, PART_RETRY, y)
    r.client_done = 1
    drop_stream(w, x)
    return True


@kernel
def next_act(w):
    """The earliest act of any client: (instant, client, kind, key b); kinds: 0 open arrival, 1 time-out, 2 heap."""
    g = w.g[0]
    t, kind, best, a, b = FREE_FOREVER, -1, -1, 0, 0
    for c in range(w.clients.shape[0]):
        client = w.clients[c]
        if client.next_at_ns < t:
            t, kind, best = client.next_at_ns, 0, c
            a, b = key_a(c, client.next_number), 0
        if client.timeout_head >= 0:
            r = w.streams[client.timeout_head]
            a2, b2 = key_a(c, r.number), key_b(r.k, 0, 1, 0)
            if r.client_at_ns < t or (r.client_at_ns == t and (a2 < a or (a2 == a and b2 < b))):
                t, kind, best = r.client_at_ns, 1, c
                a, b = a2, b2
    if g.act_n > 0:
        top = w.act_heap[0]
        b2 = top.b - index_of(top.b)
        if top.t < t or (top.t == t and (top.a < a or (top.a == a and b2 < b))):
            t, kind, best = top.t, 2, -1
    return t, kind, best


@kernel
def act(w, kind, c):
    """Carry out the act that `next_act` found."""
    if kind == 0:
        client = w.clients[c]
        t, number, key = client.next_at_ns, client.next_number, client.next_key
        client.next_number += 1
        schedule_open(w, c)
        if t < w.g[0].horizon_ns <= client.next_at_ns:
            w.g[0].open_sources -= 1
        arrive(w, c, number, key, -1, t)
    elif kind == 1:
        x = w.clients[c].timeout_head
        time_out(w, c, x, w.streams[x].client_at_ns)
    else:
        _act_from_heap(w)


@kernel
def _act_from_heap(w):
    g = w.g[0]
    top = w.act_heap[0]
    t, a, b = top.t, top.a, top.b
    pop(w.act_heap, g.act_n)
    g.act_n -= 1
    c = source_of(a)
    bound = w.clients[c].slot_first + number_of(a) % w.clients[c].loops if w.clients[c].loops > 0 else -1
    if part_of(b) == PART_RETRY:
        x = index_of(b)
        settle(w, w.streams[x], t)
        start_try(w, c, x, bound, t)
    else:
        arrive(w, c, number_of(a), request_key(w, c, number_of(a)), bound, t)
