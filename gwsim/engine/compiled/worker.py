"""The event loop of a worker: poll, one list per iteration, visits in list order.

Source: envoy on libevent: ready sockets first, then what was armed (deferred writes are zero-delay timers), then timers.
"""

from __future__ import annotations

from gwsim.engine.codes import Part, Visit
from gwsim.engine.compiled.accounting import ARMED, BACKOFF, DELAYED, UPSTREAM, serve
from gwsim.engine.compiled.backends import set_out
from gwsim.engine.compiled.connections import (
    DOWN_CLOSE,
    DOWN_EXPIRE,
    ORDER_AGE,
    clear_output,
    drop_item,
    has_output,
    visit_aged,
    visit_connection,
    write_down,
)
from gwsim.engine.compiled.cpu import paid, rest, worked
from gwsim.engine.compiled.filters import REQUEST, go_on
from gwsim.engine.compiled.heaps import attempt_of, earlier, index_of, key_a, key_b, part_of, pop
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import FREE_FOREVER
from gwsim.engine.compiled.lifetimes import first_upstream_timer, is_void, take_upstream_timer
from gwsim.engine.compiled.network import byte_cost
from gwsim.engine.compiled.pools import CLOSED, ORDER_CONNECT
from gwsim.engine.compiled.recording import charge_cpu, record_visit
from gwsim.engine.compiled.relays import send
from gwsim.engine.compiled.retries import resume
from gwsim.engine.compiled.router import (
    answered_bytes,
    call_timeout,
    read_answer,
    route_timeout,
    try_timeout,
    visit_upstream,
)
from gwsim.engine.compiled.state import drop_conn, drop_cx, drop_stream, release_held, rule_of
from gwsim.engine.compiled.timers import (
    arm_connection,
    arm_try,
    cancel_route,
    cancel_try,
    first_connection_timer,
    take_connection_timer,
)

ACCEPT, READ, WRITE_UP, READ_UP = int(Visit.ACCEPT), int(Visit.READ), int(Visit.WRITE_UP), int(Visit.READ_UP)
WRITE_DOWN, UP_CONNECTED, UP_TLS = int(Visit.WRITE_DOWN), int(Visit.UP_CONNECTED), int(Visit.UP_TLS)
ROUTE_TIMEOUT, TRY_TIMEOUT = int(Visit.ROUTE_TIMEOUT), int(Visit.TRY_TIMEOUT)
VISIT_BACKOFF, ATTACH = int(Visit.BACKOFF), int(Visit.ATTACH)
VISIT_DELAY, CALL_TIMEOUT = int(Visit.DELAY), int(Visit.CALL_TIMEOUT)
UP_CLOSE, UP_EXPIRE = int(Visit.UP_CLOSE), int(Visit.UP_EXPIRE)
UP_FAILED, CONNECT_TIMEOUT = int(Visit.UP_FAILED), int(Visit.CONNECT_TIMEOUT)
PART_UP_CLOSE, PART_UP_FAILED = int(Part.UP_CLOSE), int(Part.UP_FAILED)
ORDER_ROUTE, ORDER_TRY, ORDER_BACKOFF, ORDER_DELAY, ORDER_CALL = range(5)
"""Of timers with the same deadline and identity."""
PART_REQUEST, PART_CANCEL, PART_CLOSE = int(Part.REQUEST), int(Part.CANCEL), int(Part.CLOSE)
PART_UP_CONNECTED, PART_UP_TLS, PART_UP_RESPONSE = int(Part.UP_CONNECTED), int(Part.UP_TLS), int(Part.UP_RESPONSE)
MS = 1_000_000


# --- what is there to do -----------------------------------------------------------------------------------------


@kernel
def _is_stale(w, b):
    """Whether the item `b` has lost its object: the attempt has ended, the connection is closed."""
    part = part_of(b)
    x = index_of(b)
    if part == PART_UP_RESPONSE:
        r = w.streams[x]
        return r.live == 0 or r.a != attempt_of(b) or r.state != UPSTREAM
    if part == PART_REQUEST or part == PART_CANCEL:
        return w.conns[w.streams[x].conn].closed == 1
    if part >= PART_UP_CONNECTED:
        return is_void(w, part, x)
    return w.conns[x].closed == 1


@kernel
def _clean(w, i):
    """Remove items and back-offs that have lost their object from the top of the worker's heaps."""
    k = w.workers[i]
    while k.ready_n > 0 and _is_stale(w, w.ready[i, 0].b):
        b = w.ready[i, 0].b
        pop(w.ready[i], k.ready_n)
        k.ready_n -= 1
        drop_item(w, b)
    while k.backoff_n > 0 and _is_stale_backoff(w, w.backoff[i, 0].b):
        b = w.backoff[i, 0].b
        pop(w.backoff[i], k.backoff_n)
        k.backoff_n -= 1
        drop_stream(w, index_of(b))


@kernel
def _is_stale_backoff(w, b):
    r = w.streams[index_of(b)]
    return r.gw_done == 1 or r.state != BACKOFF or r.a != attempt_of(b)


@kernel
def _is_lost_write(w, x, a):
    r = w.streams[x]
    return r.live == 0 or r.a != a or r.state != ARMED


@kernel
def _first_timer(w, i):
    """Earliest deadline among the worker's timers (`timer_at_ns` is a lower bound of it, kept without looking)."""
    k = w.workers[i]
    t = w.backoff[i, 0].t if k.backoff_n > 0 else FREE_FOREVER
    if k.timers_n > 0:
        for d in range(w.timer_ns.shape[0]):
            x = w.timers[i, d].head
            if x >= 0:
                at = w.streams[x].route_at_ns if w.timer_visit[d] == ROUTE_TIMEOUT else w.streams[x].try_at_ns
                t = min(t, at)
    if w.has_connections and k.uptimers_n > 0:
        t = min(t, first_upstream_timer(w, i))
    if w.has_ageing and k.downtimers_n > 0:
        t = min(t, first_connection_timer(w, i))
    return t


@kernel
def poll(w, i, t):
    """Poll at `t`: fix the list of this iteration, or fall asleep; sets the instant of the worker's next event."""
    k = w.workers[i]
    k.poll += 1
    k.list_n = 0
    k.list_at = 0
    k.batch_n = 0
    _list_sockets(w, i, t)
    _list_armed(w, i)
    if k.timer_at_ns <= t:
        _list_timers(w, i, t)
        k.timer_at_ns = _first_timer(w, i)
    if k.list_n == 0:
        _sleep(w, i, t)
        return
    w.worker_out[i].iterations += 1
    charge_cpu(w, i, t, k.iteration_ns)
    w.next_at[i] = worked(w, i, t, k.iteration_ns)


@kernel
def _sleep(w, i, t):
    """Nothing to do at `t`: sleep until the first item or timer; a deadline counts in whole ms from falling asleep."""
    k = w.workers[i]
    _clean(w, i)
    ready = w.ready[i, 0].t if k.ready_n > 0 else FREE_FOREVER
    if k.accept_n > 0:
        ready = min(ready, w.accept[i, 0].t)
    if k.timer_at_ns < ready:
        k.timer_at_ns = _first_timer(w, i)
    timer = k.timer_at_ns
    if timer < FREE_FOREVER:
        timer = t + (timer - t + MS - 1) // MS * MS
    k.asleep = 1
    k.slept_ns = t
    if w.has_front and k.limited == 1:
        rest(w, i, t)
    first = min(ready, timer)
    w.next_at[i] = first + k.wakeup_ns if first < FREE_FOREVER else FREE_FOREVER


@kernel
def _list_armed(w, i):
    """What earlier iterations armed, in arming order, less the writes that have lost their object."""
    k = w.workers[i]
    for j in range(k.armed_n):
        task = w.armed[i, j]
        if task.visit == WRITE_DOWN:
            if not has_output(w, task.a):
                clear_output(w, task.a)
                continue
        elif task.visit == WRITE_UP and _is_lost_write(w, task.a, task.b):
            drop_stream(w, task.a)
            continue
        elif task.visit == ATTACH and w.upstream[index_of(task.b)].state == CLOSED:
            drop_cx(w, index_of(task.b))
            continue
        _add(w, i, task.visit, task.a, task.b)
    k.armed_n = 0


@kernel
def wake(w, i, t):
    """The sleeping worker has woken at `t`: it polls as soon as the CPU of that is paid."""
    k = w.workers[i]
    if w.has_front and k.asleep == 1 and k.limited == 1:
        k.asleep = 0
        at = paid(w, i, t, k.wakeup_ns)
        if at > t:
            k.paying = 1
            w.next_at[i] = at
            return
    k.asleep, k.paying = 0, 0
    w.worker_out[i].wakeups += 1
    charge_cpu(w, i, t, k.wakeup_ns)
    poll(w, i, t)


@kernel
def _add(w, i, visit, a, b):
    k = w.workers[i]
    task = w.tasks[i, k.list_n]
    task.visit = visit
    task.a = a
    task.b = b
    task.next = -1
    k.list_n += 1


@kernel
def _list_sockets(w, i, t):
    """Sockets ready at or before `t` in the order of their first item; the listener gives one connection."""
    k = w.workers[i]
    may_accept = True
    while True:
        has = k.ready_n > 0 and w.ready[i, 0].t <= t
        if k.accept_n > 0 and may_accept and w.accept[i, 0].t <= t:
            q = w.accept[i, 0]
            first = w.ready[i, 0]
            if not has or earlier(q.t, q.a, q.b, first.t, first.a, first.b):
                a, b = q.a, q.b
                pop(w.accept[i], k.accept_n)
                k.accept_n -= 1
                may_accept = False
                _add(w, i, ACCEPT, a, b)
                continue
        if not has:
            return
        a, b = w.ready[i, 0].a, w.ready[i, 0].b
        pop(w.ready[i], k.ready_n)
        k.ready_n -= 1
        if _is_stale(w, b):
            drop_item(w, b)
        else:
            _list_item(w, i, a, b)


@kernel
def _list_item(w, i, a, b):
    part = part_of(b)
    if part == PART_UP_RESPONSE:
        _add(w, i, READ_UP, a, b)
    elif part == PART_UP_CONNECTED:
        _add(w, i, UP_CONNECTED, a, b)
    elif part == PART_UP_TLS:
        _add(w, i, UP_TLS, a, b)
    elif w.has_connections and part == PART_UP_FAILED:
        _add(w, i, UP_FAILED, a, b)
    elif w.has_connections and part >= PART_UP_CLOSE:
        _add(w, i, UP_CLOSE, a, b)
    else:
        x = index_of(b)
        n = w.streams[x].conn if part == PART_REQUEST or part == PART_CANCEL else x
        _list_connection_item(w, i, n, a, b)


@kernel
def _list_connection_item(w, i, n, a, b):
    """Items of one connection make one visit, at the place of the first."""
    k = w.workers[i]
    c = w.conns[n]
    if c.batch_poll != k.poll:
        c.batch_poll = k.poll
        c.batch_tail = -1 - k.list_n
        _add(w, i, READ, a, b)
        return
    item = w.batch[i, k.batch_n]
    item.a = a
    item.b = b
    item.next = -1
    if c.batch_tail < 0:
        w.tasks[i, -1 - c.batch_tail].next = k.batch_n
    else:
        w.batch[i, c.batch_tail].next = k.batch_n
    c.batch_tail = k.batch_n
    k.batch_n += 1


@kernel
def _list_timers(w, i, t):
    """Timers due at or before `t` by (deadline, stream, attempt, order)."""
    k = w.workers[i]
    first = k.list_n
    for d in range(w.timer_ns.shape[0]):
        route = w.timer_visit[d] == ROUTE_TIMEOUT
        while w.timers[i, d].head >= 0:
            x = w.timers[i, d].head
            r = w.streams[x]
            at = r.route_at_ns if route else r.try_at_ns
            if at > t:
                break
            r.refs += 1
            if route:
                cancel_route(w, i, x)
                _insert_timer(w, i, first, at, ROUTE_TIMEOUT, key_a(r.client, r.number), key_b(r.k, 0, ORDER_ROUTE, x))
            else:
                cancel_try(w, i, x)
                visit = w.timer_visit[d]
                a = 0 if visit == VISIT_DELAY else r.a
                order = ORDER_TRY if visit == TRY_TIMEOUT else ORDER_DELAY if visit == VISIT_DELAY else ORDER_CALL
                _insert_timer(w, i, first, at, visit, key_a(r.client, r.number), key_b(r.k, a, order, x))
    while k.backoff_n > 0 and w.backoff[i, 0].t <= t:
        q = w.backoff[i, 0]
        at, a, b = q.t, q.a, q.b
        pop(w.backoff[i], k.backoff_n)
        k.backoff_n -= 1
        if _is_stale_backoff(w, b):
            drop_stream(w, index_of(b))
        else:
            _insert_timer(w, i, first, at, VISIT_BACKOFF, a, b + key_b(0, 0, ORDER_BACKOFF, 0))
    while w.has_connections and k.uptimers_n > 0:
        at = first_upstream_timer(w, i)
        if at > t:
            break
        a, b = take_upstream_timer(w, i)
        _insert_timer(w, i, first, at, CONNECT_TIMEOUT if part_of(b) == ORDER_CONNECT else UP_EXPIRE, a, b)
    while w.has_ageing and k.downtimers_n > 0:
        at = first_connection_timer(w, i)
        if at > t:
            break
        a, b = take_connection_timer(w, i)
        _insert_timer(w, i, first, at, DOWN_EXPIRE if part_of(b) == ORDER_AGE else DOWN_CLOSE, a, b)


@kernel
def _insert_timer(w, i, first, at, visit, a, b):
    """Insert into the timers at the end of the list, by deadline (kept in `next` meanwhile) and key."""
    k = w.workers[i]
    j = k.list_n
    while j > first:
        p = w.tasks[i, j - 1]
        if not earlier(at, a, b, p.next, p.a, p.b):
            break
        w.tasks[i, j] = p
        j -= 1
    task = w.tasks[i, j]
    task.visit = visit
    task.a = a
    task.b = b
    task.next = at
    k.list_n += 1


# --- visits ------------------------------------------------------------------------------------------------------


@kernel
def turn(w, i, t):
    """The worker's next event: the next visit of the list that still has its object, else a poll."""
    k = w.workers[i]
    if k.asleep + k.paying > 0:
        wake(w, i, t)
        return
    while k.list_at < k.list_n:
        task = w.tasks[i, k.list_at]
        k.list_at += 1
        cost = _visit(w, i, task, t)
        if cost >= 0:
            w.next_at[i] = t + cost
            return
    poll(w, i, t)


@kernel
def _visit(w, i, task, s):
    """Run one task at `s`; its cost, or -1 if it has lost its object."""
    visit = task.visit
    if visit == READ:
        return _read(w, i, task, s)
    if visit == READ_UP:
        return _read_up(w, i, task, s)
    if visit == WRITE_UP:
        return _write_up(w, i, task.a, task.b, s)
    if visit == WRITE_DOWN:
        if not has_output(w, task.a):
            clear_output(w, task.a)
            return -1
        return write_down(w, i, task.a, s)
    if visit == ACCEPT:
        return _accept(w, i, task, s)
    if ROUTE_TIMEOUT <= visit <= VISIT_BACKOFF or visit == VISIT_DELAY or visit == CALL_TIMEOUT:
        return _timer(w, i, visit, task.a, task.b, s)
    if w.has_ageing and (visit == DOWN_EXPIRE or visit == DOWN_CLOSE):
        return visit_aged(w, i, task, s)
    return visit_upstream(w, i, task, s)


@kernel
def _read(w, i, task, s):
    b = task.b
    part = part_of(b)
    n = w.streams[index_of(b)].conn if part == PART_REQUEST or part == PART_CANCEL else index_of(b)
    return visit_connection(w, i, n, task, s)


@kernel
def _accept(w, i, task, s):
    n = index_of(task.b)
    c = w.conns[n]
    cost = w.clients[c.client].accept_ns
    cost = record_visit(w, i, ACCEPT, s, cost, task.a, task.b)
    w.worker_out[i].connections += 1
    c.accepted = 1
    c.accept_end_ns = s + cost
    if w.has_ageing and w.clients[c.client].age_ns > 0:
        arm_connection(w, n, s + cost + w.clients[c.client].age_ns, ORDER_AGE)
    release_held(w, n)
    drop_conn(w, n)
    return cost


@kernel
def _write_up(w, i, x, a, s):
    r = w.streams[x]
    if _is_lost_write(w, x, a):
        drop_stream(w, x)
        return -1
    k = w.clusters[r.cluster]
    cost = k.write_up_ns + byte_cost(r.request_bytes, k.write_up_byte_s)
    cost = record_visit(w, i, WRITE_UP, s, cost, key_a(r.client, r.number), key_b(r.k, r.a, 0, x))
    serve(w, r, s, cost)
    e = s + cost
    r.state = UPSTREAM
    r.write_end_ns = e
    r.depart_ns = FREE_FOREVER
    r.answer_ns = FREE_FOREVER
    if w.has_chains and w.upstream[r.cx].conn >= 0:
        send(w, x, e)
    else:
        set_out(w, i, x, k, e)
    c = rule_of(w, r)
    if c.try_class >= 0 and (not w.has_filters or r.kind == REQUEST):
        arm_try(w, i, x, c.try_class, e + w.timer_ns[c.try_class])
    return cost


@kernel
def _read_up(w, i, task, s):
    b = task.b
    x = index_of(b)
    if _is_stale(w, b):
        drop_stream(w, x)
        return -1
    r = w.streams[x]
    k = w.clusters[r.cluster]
    nbytes = answered_bytes(w, r, r.answer_status)
    cost = k.read_up_ns + byte_cost(nbytes, k.read_up_byte_s)
    cost = record_visit(w, i, READ_UP, s, cost, task.a, b)
    read_answer(w, i, x, s, cost)
    drop_stream(w, x)
    return cost


@kernel
def _timer(w, i, visit, a, b, s):
    x = index_of(b)
    r = w.streams[x]
    if visit == ROUTE_TIMEOUT:
        gone = r.gw_done == 1
    elif visit == VISIT_DELAY:
        gone = r.gw_done == 1 or r.state != DELAYED
    elif visit != VISIT_BACKOFF:
        gone = r.live == 0 or r.a != attempt_of(b)
    else:
        gone = _is_stale_backoff(w, b)
    if gone:
        drop_stream(w, x)
        return -1
    cost = w.clients[r.client].timer_ns
    cost = record_visit(w, i, visit, s, cost, a, b)
    if visit == ROUTE_TIMEOUT:
        route_timeout(w, i, x, s, cost)
    elif visit == TRY_TIMEOUT:
        try_timeout(w, i, x, s, cost)
    elif w.has_filters and visit == CALL_TIMEOUT:
        call_timeout(w, i, x, s, cost)
    elif w.has_filters and visit == VISIT_DELAY:
        serve(w, r, s, cost)
        go_on(w, i, x, r.op + 1, s, s + cost)
    else:
        resume(w, i, x, s, cost)
    drop_stream(w, x)
    return cost
