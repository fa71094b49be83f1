"""Timers of constant duration: one list per worker and duration, in order of deadline; O(1) to arm and to cancel.

Back-offs, whose duration varies, are in a heap per worker (`retries`), and so are the timers of clients' connections below.
"""

from __future__ import annotations

from gwsim.engine.compiled.heaps import index_of, key_b, pop, push
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import FREE_FOREVER
from gwsim.engine.compiled.state import drop_conn, rule_of


@kernel
def _after(p, r, t):
    """Whether a timer of stream `p` with the same deadline goes after that of stream `r`."""
    if p.client != r.client:
        return p.client > r.client
    if p.number != r.number:
        return p.number > r.number
    if p.k != r.k:
        return p.k > r.k
    return p.a > r.a


@kernel
def _count(k, at_ns):
    """One more timer at worker `k`."""
    k.timers_n += 1
    if at_ns < k.timer_at_ns:
        k.timer_at_ns = at_ns


@kernel
def arm_route(w, i, x, at_ns):
    """Arm the route time-out of stream `x` at worker `i`."""
    r = w.streams[x]
    head = w.timers[i, rule_of(w, r).route_class]
    r.route_at_ns = at_ns
    r.route_armed = 1
    after = head.tail
    while after >= 0 and w.streams[after].route_at_ns == at_ns and _after(w.streams[after], r, at_ns):
        after = w.streams[after].route_prev
    r.route_prev = after
    following = head.head if after < 0 else w.streams[after].route_next
    r.route_next = following
    if after < 0:
        head.head = x
    else:
        w.streams[after].route_next = x
    if following < 0:
        head.tail = x
    else:
        w.streams[following].route_prev = x
    _count(w.workers[i], at_ns)


@kernel
def cancel_route(w, i, x):
    """Cancel the route time-out of stream `x`, if armed."""
    r = w.streams[x]
    if r.route_armed == 0:
        return
    r.route_armed = 0
    head = w.timers[i, rule_of(w, r).route_class]
    if r.route_prev < 0:
        head.head = r.route_next
    else:
        w.streams[r.route_prev].route_next = r.route_next
    if r.route_next < 0:
        head.tail = r.route_prev
    else:
        w.streams[r.route_next].route_prev = r.route_prev
    w.workers[i].timers_n -= 1


@kernel
def arm_try(w, i, x, d, at_ns):
    """Arm a timer of class `d` for stream `x`: a per-try time-out, a delay, or an exchange's time-out."""
    r = w.streams[x]
    r.try_class = d
    head = w.timers[i, d]
    r.try_at_ns = at_ns
    r.try_armed = 1
    after = head.tail
    while after >= 0 and w.streams[after].try_at_ns == at_ns and _after(w.streams[after], r, at_ns):
        after = w.streams[after].try_prev
    r.try_prev = after
    following = head.head if after < 0 else w.streams[after].try_next
    r.try_next = following
    if after < 0:
        head.head = x
    else:
        w.streams[after].try_next = x
    if following < 0:
        head.tail = x
    else:
        w.streams[following].try_prev = x
    _count(w.workers[i], at_ns)


@kernel
def cancel_try(w, i, x):
    """Cancel that timer of stream `x`, if armed."""
    r = w.streams[x]
    if r.try_armed == 0:
        return
    r.try_armed = 0
    head = w.timers[i, r.try_class]
    if r.try_prev < 0:
        head.head = r.try_next
    else:
        w.streams[r.try_prev].try_next = r.try_next
    if r.try_next < 0:
        head.tail = r.try_prev
    else:
        w.streams[r.try_next].try_prev = r.try_prev
    w.workers[i].timers_n -= 1


# --- of clients' connections -------------------------------------------------------------------------------------


@kernel
def arm_connection(w, n, at_ns, order):
    """A timer of downstream connection `n`, in the name of its opener; void when it is closed."""
    c = w.conns[n]
    k = w.workers[c.worker]
    c.refs += 1
    push(w.downtimers[c.worker], k.downtimers_n, at_ns, c.a, key_b(c.k, 0, order, n))
    k.downtimers_n += 1
    if at_ns < k.timer_at_ns:
        k.timer_at_ns = at_ns
    g = w.g[0]
    if k.downtimers_n > g.downtimers_max:
        g.downtimers_max = k.downtimers_n


@kernel
def first_connection_timer(w, i):
    """Deadline of the worker's first timer of a downstream connection that is not closed."""
    k = w.workers[i]
    while k.downtimers_n > 0:
        n = index_of(w.downtimers[i, 0].b)
        if w.conns[n].closed == 0:
            return w.downtimers[i, 0].t
        take_connection_timer(w, i)
        drop_conn(w, n)
    return FREE_FOREVER


@kernel
def take_connection_timer(w, i):
    """Take that timer out of the heap (its reference to the connection stays with the caller): its name."""
    k = w.workers[i]
    a, b = w.downtimers[i, 0].a, w.downtimers[i, 0].b
    pop(w.downtimers[i], k.downtimers_n)
    k.downtimers_n -= 1
    return a, b
