"""Backend pods: a FIFO queue before a number of servers. A departure is known on entry, so it needs no event."""

from __future__ import annotations

from gwsim.engine.codes import Purpose
from gwsim.engine.compiled.accounting import UPSTREAM
from gwsim.engine.compiled.calls import SERVED, enter, is_full, served
from gwsim.engine.compiled.draws import draw64, fold, ns, uniform
from gwsim.engine.compiled.faults import done_at, errors_at, slow_at
from gwsim.engine.compiled.heaps import attempt_of, index_of, key_a, key_b, part_of, pop, push
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import FREE_FOREVER
from gwsim.engine.compiled.network import sample
from gwsim.engine.compiled.pools import (
    CLOSED,
    PART_ENDS,
    hang_up,
    list_hang_up,
    outage_at,
    pod_ends,
    refuse_on,
)
from gwsim.engine.compiled.state import deliver_answer, drop_cx, drop_stream

SERVICE, ERROR = int(Purpose.SERVICE), int(Purpose.ERROR)
TRACKED = 1 << 34
"""Bit of an index that is one of `hold` (stream, connection, times swallowed) instead of a stream."""
FIRST_RESEND_NS = 200_000_000


@kernel
def arrive(w):
    """The next delivery to a station, or its end of a connection; False if that was none after all."""
    g = w.g[0]
    top = w.station_heap[0]
    t, b, place = top.t, top.b, top.a >> 49
    a_of_name = top.a - (place << 49)
    pop(w.station_heap, g.station_n)
    g.station_n -= 1
    if w.has_membership and part_of(b) == PART_ENDS:
        pod_ends(w, index_of(b), t, a_of_name, b)
        return True
    if w.has_chains and part_of(b) == SERVED:
        served(w, index_of(b), t)
        return True
    if w.has_connections and part_of(b) != 0:
        return _hangs_up(w, index_of(b), t)
    x = index_of(b)
    if w.has_connections and x & TRACKED:
        x = _reaches(w, t, place, a_of_name, b)
        if x < 0:
            return True
    r = w.streams[x]
    a = attempt_of(b)
    current = r.live == 1 and r.a == a and r.state == UPSTREAM
    key = r.attempt_key if r.a == a else fold(r.key, a)
    out = w.station_out[place]
    out.jobs += 1
    status = 200
    start, depart = t, t
    if _refuses(w, place, t):
        out.rejected += 1
        status = 503
    else:
        service = _service(w, w.stations[place], key, t)
        if w.has_chains and w.stations[place].stages > 0:
            enter(w, place, x, a_of_name, b - index_of(b), key, service, _status(w, place, key, t), t)
            return True
        start, depart = _start(w, place, t, service)
        status = _status(w, place, key, t)
        if status >= 400:
            out.errors += 1
        out.busy += service
        out.wait += start - t
        if g.cut_ns <= t < g.horizon_ns:
            out.window_busy += service
    if current:
        r.service_ns = start
        deliver_answer(w, x, depart, status)
    drop_stream(w, x)
    return True


@kernel
def _hangs_up(w, n, t):
    """The station of connection `n` would close it at `t`; whether that was an event."""
    u = w.upstream[n]
    if u.state != CLOSED and u.closes_ns > t and u.closes_ns < FREE_FOREVER:
        list_hang_up(w, n)
        return False
    u.closes_listed = 0
    due = u.state != CLOSED and u.closes_ns == t
    if due:
        hang_up(w, n)
    drop_cx(w, n)
    return due


@kernel
def set_out(w, i, x, k, e):
    """The request of stream `x` to cluster `k` leaves for its station at `e`."""
    r = w.streams[x]
    r.arrive_ns = e + w.rtt[w.workers[i].zone, w.stations[r.station].zone, 0]
    r.service_ns = FREE_FOREVER
    if w.has_chains:
        r.served_ns = FREE_FOREVER
    g = w.g[0]
    index = x
    if w.has_connections and k.fragile == 1:
        index = _track(w, x)
    push(w.station_heap, g.station_n, r.arrive_ns, (r.station << 49) | key_a(r.client, r.number), key_b(r.k, r.a, 0, index))
    g.station_n += 1


@kernel
def _track(w, x):
    """The request of stream `x` sets out on a connection that may be lost: what stands for it in its delivery."""
    g = w.g[0]
    j = g.hold_free
    h = w.hold[j]
    g.hold_free = h.next
    g.hold_used += 1
    h.t = 0
    h.a = x
    h.b = w.streams[x].cx
    w.upstream[h.b].refs += 1
    return TRACKED | j


@kernel
def _reaches(w, t, place, a, b):
    """The stream whose tracked request reaches its station at `t`; -1 if it is lost, refused, or to be sent again."""
    g = w.g[0]
    j = index_of(b) - TRACKED
    h = w.hold[j]
    x, n = h.a, h.b
    u = w.upstream[n]
    lost = False
    if u.state != CLOSED:
        lost = t >= u.closes_ns
    if not lost and u.state != CLOSED:
        at = outage_at(w, w.stations[place], t)
        if at >= 0 and w.outages[at].drops == 1:
            again = FIRST_RESEND_NS << h.t
            h.t += 1
            _still_under_way(w, x, b, t + again)
            u.closes_ns = FREE_FOREVER
            push(w.station_heap, g.station_n, t + again, (place << 49) | a, b)
            g.station_n += 1
            return -1
        if at >= 0:
            lost = True
            refuse_on(w, n, t, a, b - index_of(b))
        else:
            u.closes_ns = FREE_FOREVER
    h.next = g.hold_free
    g.hold_free = j
    g.hold_used -= 1
    drop_cx(w, n)
    if lost:
        _still_under_way(w, x, b, FREE_FOREVER)
        drop_stream(w, x)
        return -1
    return x


@kernel
def _still_under_way(w, x, b, t):
    """Nobody has taken the request of stream `x`: it arrives at `t`, if it is still waited for."""
    r = w.streams[x]
    if r.live == 1 and r.a == attempt_of(b) and r.state == UPSTREAM:
        r.arrive_ns = t


@kernel
def _service(w, s, key, t):
    seconds = sample(w, s.service, key, SERVICE)
    if w.has_modes and s.modes > 0:
        seconds *= slow_at(w, s, t)
    return ns(seconds)


@kernel
def _status(w, place, key, t):
    s = w.stations[place]
    first, n = s.error_first, s.errors
    if w.has_modes and s.modes > 0:
        first, n = errors_at(w, s, t)
    if n == 0:
        return 200
    u = uniform(draw64(key, ERROR, 0))
    total = 0.0
    for j in range(first, first + n):
        total += w.shares[j].share
        if u < total:
            return w.shares[j].status
    return 200


@kernel
def _start(w, place, t, service):
    """When a server takes the job (at once without a limit, else when the first one is free), and when it is done."""
    s = w.stations[place]
    if s.concurrency < 0:
        return t, _end(w, s, t, service)
    free = w.free_at[s.server_first : s.server_first + s.concurrency]
    start = max(t, free[0])
    depart = _end(w, s, start, service)
    _replace_first(free, depart)
    if s.queue >= 0:
        slot = (s.leave_head + s.leave_n) % (s.queue + 1)
        w.leave[s.leave_first + slot] = start
        s.leave_n += 1
    return start, depart


@kernel
def _end(w, s, start, service):
    if w.has_modes and s.stalls > 0:
        return done_at(w, s, start, service)
    return start + service


@kernel
def _replace_first(heap, v):
    """Replace the smallest of a heap of instants by `v`."""
    n = heap.shape[0]
    i = 0
    while True:
        c = 2 * i + 1
        if c >= n:
            break
        if c + 1 < n and heap[c + 1] < heap[c]:
            c += 1
        if heap[c] >= v:
            break
        heap[i] = heap[c]
        i = c
    heap[i] = v


@kernel
def _refuses(w, place, t):
    """Whether the queue is full: jobs leave the queue (a ring of starts) when their service starts."""
    s = w.stations[place]
    if w.has_chains and s.stages > 0:
        return is_full(s)
    if s.concurrency < 0 or s.queue < 0:
        return False
    while s.leave_n > 0 and w.leave[s.leave_first + s.leave_head] <= t:
        s.leave_head = (s.leave_head + 1) % (s.queue + 1)
        s.leave_n -= 1
    return w.free_at[s.server_first] > t and s.leave_n >= s.queue
