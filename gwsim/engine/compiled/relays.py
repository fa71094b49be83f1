"""Relays: stations that are pods of a further proxy.

An upstream connection of a pool to one (of side A) is a downstream connection there (of side B): a *link*, which is a record
of `upstream` and one of `conns` that know each other (`conn`, `link`). What A writes is a stream record of a derived client at B;
A's attempt knows it as its `hop`, and it knows A's stream as its `cause`, until that attempt ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gwsim.engine.codes import Flag, Part, Purpose
from gwsim.engine.compiled.accounting import SENT, settle
from gwsim.engine.compiled.chains import BY_PROXY, derive
from gwsim.engine.compiled.draws import draw64, fold, uniform
from gwsim.engine.compiled.fleets import choose_pod, choose_worker
from gwsim.engine.compiled.heaps import MAX_SOURCES, key_a, key_b
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.recording import record_finish
from gwsim.engine.compiled.state import (
    deliver,
    deliver_accept,
    deliver_conn,
    drop_cx,
    drop_stream,
    made,
    new_conn,
)
from gwsim.engine.draws import fold as plain_fold
from gwsim.engine.draws import name64
from gwsim.engine.schema import (
    ANSWER_TIMEOUT,
    HANDSHAKE_FULL,
    HANDSHAKE_NONE,
    HANDSHAKE_PLAIN,
    HANDSHAKE_RESUMED,
)

PART_ACCEPT, PART_HELLO, PART_FINISHED = int(Part.ACCEPT), int(Part.CLIENT_HELLO), int(Part.FINISHED)
PART_REQUEST, PART_CANCEL, PART_CLOSE = int(Part.REQUEST), int(Part.CANCEL), int(Part.CLOSE)
PART_UP_TLS, PART_UP_RESPONSE = int(Part.UP_TLS), int(Part.UP_RESPONSE)
TICKET = int(Purpose.TICKET)
DC = int(Flag.DC)
HOP = np.uint64(name64("hop"))
DRAINED = 4094
"""In the place of `k` in the names of links that are closed on behalf of no visit."""
CLOSED = 2
"""State of an upstream connection (`pools`)."""


# --- a link comes up ---------------------------------------------------------------------------------------------


@kernel
def _link(w, n, up_ns, down_ns):
    """The other side of upstream connection `n`: a connection of a worker behind its station."""
    u = w.upstream[n]
    p = w.pools[u.worker, u.ep]
    relay = w.relays[w.stations[w.endpoints[u.ep].station].relay]
    fleet = w.fleets[w.clients[relay.client].fleet]
    key = fold(p.link_key, p.links)
    m = new_conn(w)
    c = w.conns[m]
    c.index = p.links
    p.links += 1
    c.key = key
    c.pod = relay.pod if relay.pod >= 0 else choose_pod(w, fleet, key)
    c.life = w.pods[c.pod].life
    c.worker = choose_worker(w, fleet, c.pod, key)
    w.workers[c.worker].connections += 1
    c.up_ns = up_ns
    c.down_ns = down_ns
    c.client = relay.client
    c.slot = -1
    c.a = u.a
    c.k = 0
    c.running_head = -1
    c.handshake = HANDSHAKE_FULL if relay.tls == 1 else HANDSHAKE_PLAIN
    c.link = n
    u.refs += 1
    u.conn = m
    u.parted = 0
    w.g[0].links_live += 1
    return m


@kernel
def open_link(w, n, up_ns, down_ns, e):
    """The SYN of upstream connection `n` to a further proxy leaves at `e`."""
    m = _link(w, n, up_ns, down_ns)
    c, u = w.conns[m], w.upstream[n]
    c.refs += 1
    deliver_accept(w, c.worker, e + up_ns + down_ns + up_ns, u.a, u.b + key_b(0, 0, PART_ACCEPT, m))


@kernel
def open_warm_link(w, n, up_ns, down_ns):
    """Upstream connection `n` has been open since before the run, at its other side too."""
    c = w.conns[_link(w, n, up_ns, down_ns)]
    c.accepted = 1
    c.handshake = HANDSHAKE_NONE
    _keep_ticket(w, n)


@kernel
def _ticket_at(w, n):
    """Where it is written whether the pool of link `n` has a ticket of the pod that the link leads to: row and column."""
    u = w.upstream[n]
    c = w.conns[u.conn]
    return w.endpoints[u.ep].tickets, c.pod - w.fleets[w.workers[c.worker].fleet].pod_first


@kernel
def _keep_ticket(w, n):
    row, column = _ticket_at(w, n)
    w.tickets[w.upstream[n].worker, row, column] = 1


@kernel
def greets(w, n, e):
    """A's UP_CONNECTED visit ends at `e`: its hello leaves, if the link has TLS; whether it has."""
    u = w.upstream[n]
    m = u.conn
    c = w.conns[m]
    relay = w.relays[w.stations[w.endpoints[u.ep].station].relay]
    if relay.tls == 0:
        return False
    row, column = _ticket_at(w, n)
    if w.tickets[u.worker, row, column] == 1 and uniform(draw64(c.key, TICKET, 0)) < relay.ticket_share:
        c.resumed = 1
        c.handshake = HANDSHAKE_RESUMED
    c.refs += 1
    deliver_conn(w, m, e + c.up_ns, u.a, u.b + key_b(0, 0, PART_HELLO, m))
    return True


@kernel
def hello_read(w, m, e):
    """B's CLIENT_HELLO visit of connection `m` ends at `e`: its flight leaves."""
    c = w.conns[m]
    n = c.link
    u = w.upstream[n]
    if u.gone == 1:
        return
    u.refs += 1
    deliver(w, u.worker, e + c.down_ns, u.a, u.b + key_b(0, 0, PART_UP_TLS, n))


@kernel
def shaken(w, n, e):
    """A's UP_TLS visit ends at `e`: its Finished leaves, and requests may."""
    u = w.upstream[n]
    c = w.conns[u.conn]
    _keep_ticket(w, n)
    c.refs += 1
    deliver_conn(w, u.conn, e + c.up_ns, u.a, u.b + key_b(0, 0, PART_FINISHED, u.conn))


# --- a link ends -------------------------------------------------------------------------------------------------


@kernel
def close_link(w, n, a, b, e):
    """A closes link `n` at `e`, in the name (a, b) of a visit."""
    u = w.upstream[n]
    if u.parted == 1:
        return
    u.parted = 1
    c = w.conns[u.conn]
    w.g[0].links_live -= 1
    w.workers[c.worker].connections -= 1
    c.refs += 1
    deliver_conn(w, u.conn, e + c.up_ns, a, b + key_b(0, 0, PART_CLOSE, u.conn))


@kernel
def own_name(w, n):
    """The name in which upstream connection `n` is closed on behalf of no visit; no matter what it is, if `n` is no link."""
    if not w.has_chains:
        return 0, 0
    u = w.upstream[n]
    if u.conn < 0:
        return 0, 0
    k = w.endpoints[u.ep].cluster
    number = 1_000_000 * u.worker + u.ep - w.clusters[k].endpoint_first
    return key_a(k & (MAX_SOURCES - 1), number), key_b(DRAINED, w.conns[u.conn].index & 4095, 0, 0)


@kernel
def closed(w, m):
    """B has read that its connection `m` is closed."""
    n = w.conns[m].link
    w.conns[m].link = -1
    drop_cx(w, n)


@kernel
def end_links(w, d, t):
    """Pod `d` ends at `t`: its links are closed in their own names, and nobody waits for the requests on them."""
    pod = w.pods[d]
    for i in range(pod.worker_first, pod.worker_first + pod.workers):
        for ep in range(w.pools.shape[1]):
            after = -1
            while w.pools[i, ep].links > 0:
                n = _next_link(w, i, ep, after)
                if n < 0:
                    break
                m = w.upstream[n].conn
                after = w.conns[m].index
                a, b = own_name(w, n)
                close_link(w, n, a, b, t)
                while w.conns[m].running_head >= 0:
                    abort(w, _first_running(w, m), t)


@kernel
def _next_link(w, i, ep, after):
    """The first link opened after the `after`-th by the pool of worker `i` and endpoint `ep` that A has not closed; -1: none."""
    best = -1
    for n in range(made(w.upstream)):
        u = w.upstream[n]
        if u.refs == 0 or u.worker != i or u.ep != ep or u.conn < 0 or u.parted == 1 or u.gone == 1:
            continue
        index = w.conns[u.conn].index
        if index > after and (best < 0 or index < w.conns[w.upstream[best].conn].index):
            best = n
    return best


@kernel
def _first_running(w, m):
    """The request on connection `m` that has not ended for A and has the smallest number."""
    x = w.conns[m].running_head
    y = x
    while y >= 0:
        if w.streams[y].number < w.streams[x].number:
            x = y
        y = w.streams[y].slot_next
    return x


@kernel
def forget_links(w, d):
    """What the pools of pod `d` have opened and been given."""
    pod = w.pods[d]
    for i in range(pod.worker_first, pod.worker_first + pod.workers):
        for ep in range(w.pools.shape[1]):
            w.pools[i, ep].links = 0
        for row in range(w.tickets.shape[1]):
            for column in range(w.tickets.shape[2]):
                w.tickets[i, row, column] = 0


# --- requests ----------------------------------------------------------------------------------------------------


@kernel
def send(w, x, e):
    """A's WRITE_UP visit ends at `e`: what stream `x` sends is a request at B."""
    r = w.streams[x]
    m = w.upstream[r.cx].conn
    c = w.conns[m]
    j = w.relay_classes[w.stations[r.station].relay, r.class_id]
    y = derive(w, j, fold(r.attempt_key, HOP), e, x, BY_PROXY, x)
    h = w.streams[y]
    h.request_bytes = r.request_bytes
    h.response_bytes = r.response_bytes
    h.key = fold(h.request_key, 0)
    h.conn = m
    c.refs += 1
    h.handshake = c.handshake
    c.handshake = HANDSHAKE_NONE
    h.state = SENT
    h.since_ns = e
    h.due_ns = e + c.up_ns
    r.arrive_ns = e
    r.service_ns = e
    r.served_ns = e
    r.hop = y
    h.slot_prev = -1
    h.slot_next = c.running_head
    if c.running_head >= 0:
        w.streams[c.running_head].slot_prev = y
    c.running_head = y
    w.station_out[r.station].jobs += 1
    h.refs += 2  # the attempt's and the delivery's
    deliver_conn(w, m, h.due_ns, key_a(h.client, h.number), key_b(0, 0, PART_REQUEST, y))


@kernel
def unhook(w, x):
    """The attempt of stream `x` and the request that it made at B do not know each other any more."""
    r = w.streams[x]
    y = r.hop
    r.hop = -1
    w.streams[y].cause = -1
    drop_stream(w, y)


@kernel
def answered_at(w, y, instant):
    """B's answer to request `y` will be delivered to A at `instant`."""
    h = w.streams[y]
    x = h.cause
    if x < 0:
        return
    r = w.streams[x]
    r.answer_status = h.status
    r.answer_bytes = h.sent_bytes
    r.depart_ns = instant
    r.answer_ns = instant
    r.refs += 1
    deliver(w, w.conns[r.conn].worker, instant, key_a(r.client, r.number), key_b(r.k, r.a, PART_UP_RESPONSE, x))


@kernel
def answered(w, y, t):
    """B's answer to request `y` is delivered at `t`: it ends, if A has not given it up."""
    if w.streams[y].client_done == 0:
        settle(w, w.streams[y], t)
        record_finish(w, y, t)
        _leave(w, y)


@kernel
def _leave(w, y):
    """Request `y` has ended for A."""
    h = w.streams[y]
    h.client_done = 1
    if h.slot_prev < 0:
        w.conns[h.conn].running_head = h.slot_next
    else:
        w.streams[h.slot_prev].slot_next = h.slot_next
    if h.slot_next >= 0:
        w.streams[h.slot_next].slot_prev = h.slot_prev
    drop_stream(w, y)


@kernel
def give_up(w, x, s, e):
    """A waits for stream `x`'s request at B no longer, in the visit from `s` to `e`; over HTTP/2 it says so."""
    r = w.streams[x]
    y = r.hop
    h = w.streams[y]
    if h.client_done == 0:
        abort(w, y, s)
    if w.clusters[r.cluster].http == 2 and w.upstream[r.cx].state != CLOSED:
        h.refs += 1
        deliver_conn(w, h.conn, e + w.conns[h.conn].up_ns, key_a(h.client, h.number), key_b(0, 0, PART_CANCEL, y))
    unhook(w, x)


@kernel
def abort(w, y, t):
    """Request `y` ends at `t` without its answer, if need be before it has begun."""
    h = w.streams[y]
    at = max(t, h.start_ns)
    settle(w, h, at)
    status, flags, answer, sent = h.status, h.flags, h.answer, h.sent_bytes
    h.status, h.flags, h.answer, h.sent_bytes = 0, flags | DC, ANSWER_TIMEOUT, 0
    record_finish(w, y, at)
    h.status, h.flags, h.answer, h.sent_bytes = status, flags, answer, sent
    _leave(w, y)


def begin_links(world: Any, names: list[str], workers: list[tuple[int, int]]) -> None:
    """Pools of these workers (index, key) begin: the keys of the links that they will open. `names`: of all clusters."""
    for ep in range(world.endpoints.shape[0]):
        endpoint = world.endpoints[ep]
        if endpoint.tickets >= 0:
            k = int(endpoint.cluster)
            name, position = name64("link/" + names[k]), ep - int(world.clusters[k].endpoint_first)
            for i, key in workers:
                world.pools[i, ep].link_key = plain_fold(plain_fold(key, name), position)
