"""Clients' connections: slots, opening and closing, and the gateway's visits to a downstream connection."""

from __future__ import annotations

from gwsim.engine.codes import Flag, Part, Purpose, Visit
from gwsim.engine.compiled.accounting import CLIENT_BACKOFF, CUT, RETURNING, SENT, SETUP, serve, settle
from gwsim.engine.compiled.draws import below, draw64, fold, ns, uniform
from gwsim.engine.compiled.filters import begin
from gwsim.engine.compiled.fleets import choose_pod, choose_worker
from gwsim.engine.compiled.heaps import index_of, key_a, key_b, part_of, push
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.network import byte_cost, sample
from gwsim.engine.compiled.recording import record_visit
from gwsim.engine.compiled.relays import answered_at, closed
from gwsim.engine.compiled.replies import end_stream
from gwsim.engine.compiled.router import abandon
from gwsim.engine.compiled.slots import (
    CLOSED,
    OPEN,
    OPENING,
    free_slot,
    join_slot,
    leave_slot,
    queue_slot,
    stop_waiting,
    wait_on,
)
from gwsim.engine.compiled.state import (
    deliver_accept,
    deliver_conn,
    drop_conn,
    drop_cx,
    drop_stream,
    is_stream_part,
    new_conn,
)
from gwsim.engine.compiled.timers import arm_connection
from gwsim.engine.compiled.tls import PLAINTEXT, connected_at, finished_answered, hello_answered
from gwsim.engine.schema import HANDSHAKE_FULL, HANDSHAKE_NONE, HANDSHAKE_PLAIN, HANDSHAKE_RESUMED

RTT, TICKET = int(Purpose.RTT), int(Purpose.TICKET)
RECONNECT, REMAINING = int(Purpose.RECONNECT), int(Purpose.REMAINING)
PART_ACCEPT, PART_HELLO, PART_FINISHED = int(Part.ACCEPT), int(Part.CLIENT_HELLO), int(Part.FINISHED)
PART_REQUEST, PART_CANCEL, PART_CLOSE = int(Part.REQUEST), int(Part.CANCEL), int(Part.CLOSE)
PART_UP_CONNECTED, PART_UP_RESPONSE = int(Part.UP_CONNECTED), int(Part.UP_RESPONSE)
READ, WRITE_DOWN, CLOSE = int(Visit.READ), int(Visit.WRITE_DOWN), int(Visit.CLOSE)
VISIT_HELLO, VISIT_FINISHED = int(Visit.CLIENT_HELLO), int(Visit.FINISHED)
DC = int(Flag.DC)
PART_ANSWER, PART_RESET, PART_GOAWAY = 1, 2, 3
DOWN_EXPIRE, DOWN_CLOSE, AGE = int(Visit.DOWN_EXPIRE), int(Visit.DOWN_CLOSE), int(Purpose.AGE)
ORDER_AGE, ORDER_DRAIN = 9, 10
"""Of timers with the same deadline and identity, after those of upstream connections."""
WARM = 4095
"""In the place of the opener's attempt of a connection that is open from the start."""
QUICKEST_RESET_NS = 1_000_000


# --- the client's side -----------------------------------------------------------------------------------------


@kernel
def take(w, c, x, bound_slot, t):
    """Attempt of stream `x` takes a slot of client `c` (or the one it is bound to) and is sent as soon as can be."""
    client = w.clients[c]
    r = w.streams[x]
    j = bound_slot if bound_slot >= 0 else free_slot(w, c, r.queue)
    s = w.slots[j]
    s.in_use += 1
    if client.per_connection > 0:
        s.remaining -= 1
        if s.remaining == 0:
            s.retiring = 1
    if bound_slot < 0 and s.retiring == 0 and s.in_use < client.streams:
        queue_slot(w, c, j)
    r.slot = j
    r.since_ns = t
    r.state = SETUP
    if s.state == CLOSED:
        t_open = max(t, s.not_before_ns)
        r.component[CLIENT_BACKOFF] += t_open - t
        r.since_ns = t_open
        r.handshake = open_connection(w, c, j, key_a(c, r.number), r.k, t_open)
    r.conn = s.conn
    w.conns[s.conn].refs += 1
    if (w.has_lifecycle or w.has_ageing) and w.g[0].living == 1:
        join_slot(w, s, x)
    if s.state == OPEN:
        send(w, x, t)
    else:
        wait_on(w, s, x)


@kernel
def send(w, x, t):
    """The request of stream `x` leaves the client at `t`."""
    r = w.streams[x]
    settle(w, r, t)
    r.state = SENT
    r.due_ns = t + w.conns[r.conn].up_ns
    r.refs += 1
    deliver_conn(w, r.conn, r.due_ns, key_a(r.client, r.number), key_b(r.k, 0, PART_REQUEST, x))


@kernel
def place(w, c, j):
    """A connection record for slot `j`: pod by the front, worker by the kernel, round trip by draw."""
    client = w.clients[c]
    s = w.slots[j]
    n = new_conn(w)
    conn = w.conns[n]
    key = fold(s.key, s.generation)
    conn.key = s.key
    conn.index = s.index
    fleet = w.fleets[client.fleet]
    pod = w.queues[s.queue].pod if w.has_chains else -1
    if pod < 0:
        pod = choose_pod(w, fleet, key)
    if w.has_lifecycle:
        if pod < 0 or w.pods[pod].over == 1:
            conn.closed = 1
        pod = max(pod, fleet.pod_first)
    conn.pod = pod
    conn.life = w.pods[pod].life
    conn.worker = choose_worker(w, fleet, pod, key)
    w.workers[conn.worker].connections += 1
    rtt_ns = max(2, ns(sample(w, client.rtt, key, RTT)))
    conn.up_ns = rtt_ns // 2
    conn.down_ns = rtt_ns - conn.up_ns
    conn.client = c
    conn.slot = j
    conn.a = 0
    conn.k = 0
    s.conn = n
    if w.has_lifecycle and conn.closed == 1:
        return n
    offered = client.tls != PLAINTEXT and s.ticket_pod >= 0 and uniform(draw64(key, TICKET, 0)) < client.ticket_share
    conn.resumed = 1 if offered and s.ticket_pod == pod else 0
    if client.tls != PLAINTEXT:
        s.ticket_pod = pod
    return n


@kernel
def reset_at(w, n, t):
    """The client of connection `n` will find at `t` that there is nobody at the other end."""
    c = w.conns[n]
    g = w.g[0]
    c.refs += 1
    push(w.client_heap, g.client_n, t, key_a(c.client, w.slots[c.slot].index), key_b(0, 0, PART_RESET, n))
    g.client_n += 1


@kernel
def open_connection(w, c, j, a, k, t):
    """Client `c` opens the connection of slot `j` at `t` for the attempt (a, k); which handshake that takes."""
    n = place(w, c, j)
    conn = w.conns[n]
    conn.a = a
    conn.k = k
    w.slots[j].state = OPENING
    if w.has_lifecycle and conn.closed == 1:
        reset_at(w, n, t + max(conn.up_ns + conn.down_ns, QUICKEST_RESET_NS))
        return HANDSHAKE_NONE
    arrives = t + conn.up_ns + conn.down_ns + conn.up_ns
    conn.refs += 1
    deliver_accept(w, conn.worker, arrives, a, key_b(k, 0, PART_ACCEPT, n))
    if w.clients[c].tls == PLAINTEXT:
        connected_at(w, n, t + conn.up_ns + conn.down_ns)
        return HANDSHAKE_PLAIN
    conn.refs += 1
    deliver_conn(w, n, arrives, a, key_b(k, 0, PART_HELLO, n))
    return HANDSHAKE_RESUMED if conn.resumed == 1 else HANDSHAKE_FULL


@kernel
def open_warm(w, c, j):
    """Slot `j` is open from the start."""
    client = w.clients[c]
    s = w.slots[j]
    n = place(w, c, j)
    w.conns[n].accepted = 1
    s.state = OPEN
    if client.per_connection > 0:
        key = fold(s.key, s.generation)
        s.remaining = 1 + below(draw64(key, REMAINING, 0), client.per_connection)
    if w.has_ageing and client.age_ns > 0:
        key = fold(s.key, s.generation)
        w.conns[n].a = key_a(c, s.index)
        w.conns[n].k = WARM
        arm_connection(w, n, 1 + below(draw64(key, AGE, 0), client.age_ns), ORDER_AGE)


@kernel
def connected(w, n, t):
    """The client learns at `t` that connection `n` is ready: what waited is sent, unless it has given up."""
    c = w.conns[n]
    s = w.slots[c.slot]
    if s.conn == n:
        s.state = OPEN
        x = s.waiting_head
        s.waiting_head = -1
        s.waiting_tail = -1
        while x >= 0:
            following = w.streams[x].waiting_next
            send(w, x, t)
            x = following
    drop_conn(w, n)


@kernel
def close(w, c, j, a, k, t):
    """The client closes the connection of slot `j` at `t`, in the name of the attempt (a, k)."""
    n = w.slots[j].conn
    deliver_conn(w, n, t + w.conns[n].up_ns, a, key_b(k, 0, PART_CLOSE, n))
    vacate(w, c, j)


@kernel
def vacate(w, c, j):
    """Slot `j` has no connection any more."""
    s = w.slots[j]
    conn = w.conns[s.conn]
    if conn.life == w.pods[conn.pod].life:
        w.workers[conn.worker].connections -= 1
    s.generation += 1
    s.state = CLOSED
    s.remaining = w.clients[c].per_connection
    s.retiring = 0
    s.conn = -1


@kernel
def pause(w, c, j, t):
    """Slot `j` lost its connection at `t`: it is not opened again before the reconnect delay is over."""
    client = w.clients[c]
    s = w.slots[j]
    s.not_before_ns = t
    if client.reconnect >= 0:
        key = fold(s.key, s.generation)
        s.not_before_ns = t + ns(sample(w, client.reconnect, key, RECONNECT))


@kernel
def release(w, c, x, t):
    """The attempt of stream `x` no longer uses its slot."""
    r = w.streams[x]
    j = r.slot
    s = w.slots[j]
    s.in_use -= 1
    if (w.has_lifecycle or w.has_ageing) and w.g[0].living == 1:
        leave_slot(w, s, x)
    if s.retiring == 1:
        if s.in_use == 0:
            close(w, c, j, key_a(c, r.number), r.k, t)
            queue_slot(w, c, j)
    elif s.queued == 0:
        queue_slot(w, c, j)


@kernel
def give_up(w, c, x, t):
    """The client stops waiting for stream `x` at `t`: HTTP/1.1 closes the connection, HTTP/2 cancels the stream."""
    r = w.streams[x]
    client = w.clients[c]
    j = r.slot
    s = w.slots[j]
    if client.http == 2:
        if r.state == SETUP or r.state == CUT:
            stop_waiting(w, s, x)
        else:
            r.refs += 1
            deliver_conn(
                w, r.conn, t + w.conns[r.conn].up_ns, key_a(c, r.number), key_b(r.k, 0, PART_CANCEL, x)
            )
        release(w, c, x, t)
        return
    s.waiting_head = -1
    s.waiting_tail = -1
    s.in_use = 0
    s.attempt_head = -1
    close(w, c, j, key_a(c, r.number), r.k, t)
    pause(w, c, j, t)
    queue_slot(w, c, j)


# --- the gateway's side ----------------------------------------------------------------------------------------


@kernel
def visit_connection(w, i, n, first, s):
    """One visit to downstream connection `n`: everything delivered by the poll, from task `first` on; its cost."""
    cost, visit = _connection_cost(w, i, n, first)
    cost = record_visit(w, i, visit, s, cost, first.a, first.b)
    b, following = first.b, first.next
    while True:
        if w.conns[n].closed == 1:
            drop_item(w, b)
        else:
            _connection_item(w, i, n, b, s, cost)
        if following < 0:
            return cost
        b = w.batch[i, following].b
        following = w.batch[i, following].next


@kernel
def _connection_cost(w, i, n, first):
    client = w.clients[w.conns[n].client]
    resumed = w.conns[n].resumed
    cost = 0
    reads, finishes, hellos = 0, 0, 0
    b, following = first.b, first.next
    while True:
        part = part_of(b)
        if part == PART_REQUEST or part == PART_CANCEL:
            cost += client.read_stream_ns if reads > 0 else client.read_ns + client.read_stream_ns
            reads += 1
            if part == PART_REQUEST:
                cost += byte_cost(w.streams[index_of(b)].request_bytes, client.read_byte_s)
        elif part == PART_FINISHED:
            cost += client.finished_resumed_ns if resumed == 1 else client.finished_full_ns
            finishes += 1
        elif part == PART_HELLO:
            cost += client.hello_resumed_ns if resumed == 1 else client.hello_full_ns
            hellos += 1
        else:
            cost += client.close_ns
            break
        if following < 0:
            break
        b = w.batch[i, following].b
        following = w.batch[i, following].next
    visit = READ if reads > 0 else VISIT_FINISHED if finishes > 0 else VISIT_HELLO if hellos > 0 else CLOSE
    return cost, visit


@kernel
def drop_item(w, b):
    """Item `b` has lost its object: give up what it refers to."""
    part = part_of(b)
    if part == PART_UP_RESPONSE or is_stream_part(part):
        drop_stream(w, index_of(b))
    elif part < PART_UP_CONNECTED:
        drop_conn(w, index_of(b))
    else:
        drop_cx(w, index_of(b))


@kernel
def _connection_item(w, i, n, b, s, cost):
    part = part_of(b)
    x = index_of(b)
    if part == PART_REQUEST:
        begin(w, i, x, s, cost)
        drop_stream(w, x)
    elif part == PART_CANCEL:
        _end_cancelled(w, i, x, s, cost)
        drop_stream(w, x)
    elif part == PART_FINISHED:
        finished_answered(w, n, s + cost)
        drop_conn(w, n)
    elif part == PART_HELLO:
        hello_answered(w, n, s + cost)
        drop_conn(w, n)
    else:
        _end_connection(w, i, n, s, cost)
        drop_conn(w, n)


@kernel
def _end_cancelled(w, i, x, s, cost):
    r = w.streams[x]
    r.dropped = 1
    if r.gw_begun == 0 or r.gw_done == 1:
        return
    abandon(w, i, x, s, cost)
    r.flags |= DC
    r.status = 0
    r.answer = 0
    end_stream(w, i, x, s + cost)
    drop_stream(w, x)


@kernel
def _end_connection(w, i, n, s, cost):
    """The client has closed connection `n`: its streams end, in order of their numbers."""
    c = w.conns[n]
    while c.stream_head >= 0:
        first = c.stream_head
        x = first
        while x >= 0:
            if (w.streams[x].number, w.streams[x].k) < (w.streams[first].number, w.streams[first].k):
                first = x
            x = w.streams[x].conn_next
        _end_cancelled(w, i, first, s, cost)
    c.closed = 1
    if w.has_chains and c.link >= 0:
        closed(w, n)


@kernel
def has_output(w, n):
    """Whether the armed write of connection `n` still has an answer to send."""
    c = w.conns[n]
    if c.closed == 1:
        return False
    x = c.out_head
    while x >= 0:
        if w.streams[x].dropped == 0:
            return True
        x = w.streams[x].out_next
    return False


@kernel
def write_down(w, i, n, s):
    """WRITE_DOWN visit: all answers armed on connection `n` by now leave together; its cost."""
    c = w.conns[n]
    client = w.clients[c.client]
    cost = client.write_down_ns
    name = -1
    x = c.out_head
    while x >= 0:
        r = w.streams[x]
        if r.dropped == 0:
            name = x if name < 0 else name
            cost += client.write_down_stream_ns + byte_cost(r.sent_bytes, client.write_down_byte_s)
        x = r.out_next
    r = w.streams[name]
    cost = record_visit(w, i, WRITE_DOWN, s, cost, key_a(r.client, r.number), key_b(r.k, 0, 0, 0))
    g = w.g[0]
    draining = w.pods[c.pod].draining
    if w.has_ageing and c.draining == 1:
        draining = 1
    x = c.out_head
    while x >= 0:
        r = w.streams[x]
        following = r.out_next
        if r.dropped == 0:
            serve(w, r, s, cost)
            r.state = RETURNING
            r.closing = draining
            r.refs += 1
            push(w.client_heap, g.client_n, s + cost + c.down_ns, key_a(r.client, r.number), key_b(r.k, 0, PART_ANSWER, x))
            g.client_n += 1
            if w.has_chains and c.link >= 0:
                answered_at(w, x, s + cost + c.down_ns)
        x = following
    clear_output(w, n)
    return cost


@kernel
def clear_output(w, n):
    """The armed write of connection `n` is over (or skipped)."""
    c = w.conns[n]
    x = c.out_head
    while x >= 0:
        following = w.streams[x].out_next
        drop_stream(w, x)
        x = following
    c.out_head = -1
    c.out_tail = -1
    c.armed = 0
    drop_conn(w, n)


@kernel
def visit_aged(w, i, task, s):
    """DOWN_EXPIRE or DOWN_CLOSE visit: a connection has lived for long enough, or drained; its cost, -1 if it is closed by now."""
    n = index_of(task.b)
    c = w.conns[n]
    cost = -1
    if c.closed == 0:
        client = w.clients[c.client]
        cost = record_visit(w, i, task.visit, s, client.timer_ns if task.visit == DOWN_EXPIRE else client.close_ns, task.a, task.b)
        if task.visit == DOWN_EXPIRE:
            _drain(w, n, s + cost)
        elif c.stream_head < 0 and c.armed == 0:
            c.closed = 1
            reset_at(w, n, s + cost + c.down_ns)
    drop_conn(w, n)
    return cost


@kernel
def _drain(w, n, e):
    """Connection `n` is to end, from a visit on that ends at `e`: answers say so, over HTTP/2 a GOAWAY before them."""
    c = w.conns[n]
    g = w.g[0]
    c.draining = 1
    if w.clients[c.client].http == 2:
        c.refs += 1
        push(w.client_heap, g.client_n, e + c.down_ns, c.a, key_b(c.k, 0, PART_GOAWAY, n))
        g.client_n += 1
    arm_connection(w, n, e + w.clients[c.client].drain_ns, ORDER_DRAIN)
