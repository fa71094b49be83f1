"""How an attempt ends at the router: an answer, a time-out, a cancelled stream; and what the client gets.

Source: envoy source/common/router/{router,upstream_request}.cc.
"""

from __future__ import annotations

from gwsim.engine.codes import Counter, Flag, Part, Visit
from gwsim.engine.compiled.accounting import UPSTREAM, serve
from gwsim.engine.compiled.filters import CALL, REQUEST, call_ended, end_exchange, exchange_failed
from gwsim.engine.compiled.heaps import index_of, key_b, part_of
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.lifetimes import (
    end_attempt,
    established,
    expire,
    free,
    is_expired,
    is_void,
    reattach,
)
from gwsim.engine.compiled.outliers import heard
from gwsim.engine.compiled.pools import CLOSED, close_cx, connect_if_needed, detach
from gwsim.engine.compiled.recording import COUNTERS_AND_SUM, MIDDLE, bucket, record_visit
from gwsim.engine.compiled.relays import close_link, greets, own_name, shaken, unhook
from gwsim.engine.compiled.replies import arm_answer, end_stream, local_reply, release_retry
from gwsim.engine.compiled.retries import LOST, LOST_UNSENT, NOT_CONNECTED, TIMED_OUT, retry
from gwsim.engine.compiled.source_ports import give_back
from gwsim.engine.compiled.state import deliver, drop_cx
from gwsim.engine.schema import ANSWER_TIMEOUT, ANSWER_UPSTREAM

ATTACH, UP_CONNECTED, UP_TLS = int(Visit.ATTACH), int(Visit.UP_CONNECTED), int(Visit.UP_TLS)
UP_CLOSE, UP_EXPIRE, UP_FAILED = int(Visit.UP_CLOSE), int(Visit.UP_EXPIRE), int(Visit.UP_FAILED)
VISIT_CONNECT_TIMEOUT, PART_UP_TLS = int(Visit.CONNECT_TIMEOUT), int(Part.UP_TLS)
UT, UC, UF = int(Flag.UT), int(Flag.UC), int(Flag.UF)
DESTROY_REMOTE, EJECT = int(Counter.UPSTREAM_CX_DESTROY_REMOTE), int(Counter.UPSTREAM_RQ_PENDING_FAILURE_EJECT)
CONNECT_FAIL, CONNECT_TIMEOUT = int(Counter.UPSTREAM_CX_CONNECT_FAIL), int(Counter.UPSTREAM_CX_CONNECT_TIMEOUT)
COMPLETED, RETRY_SUCCESS = int(Counter.UPSTREAM_RQ_COMPLETED), int(Counter.UPSTREAM_RQ_RETRY_SUCCESS)
RQ_2XX, RQ_4XX, RQ_5XX = int(Counter.UPSTREAM_RQ_2XX), int(Counter.UPSTREAM_RQ_4XX), int(Counter.UPSTREAM_RQ_5XX)
TIMEOUT, TRY_TIMEOUT = int(Counter.UPSTREAM_RQ_TIMEOUT), int(Counter.UPSTREAM_RQ_PER_TRY_TIMEOUT)


@kernel
def read_answer(w, i, x, s, cost):
    """READ_UP visit: the attempt has its answer."""
    r = w.streams[x]
    e = s + cost
    serve(w, r, s, cost)
    if w.has_chains and r.hop >= 0:
        unhook(w, x)
    upstream = r.answer_ns - r.write_end_ns
    r.upstream_ns += upstream
    counters = w.cluster_out[r.cluster]
    counters[COMPLETED] += 1
    status = r.answer_status
    if status < 300:
        counters[RQ_2XX] += 1
    elif status >= 500:
        counters[RQ_5XX] += 1
    elif status >= 400:
        counters[RQ_4XX] += 1
    if r.measured == 1:
        counters[COUNTERS_AND_SUM - 1] += upstream
        w.cluster_hist[r.cluster, bucket(upstream, MIDDLE)] += 1
    detach(w, i, x)
    release_retry(w, i, x)
    free(w, i, x, s, cost)
    if w.has_outliers and w.clusters[r.cluster].outlier >= 0:
        heard(w, i, r, status, s)
    if w.has_filters and r.kind != REQUEST:
        _exchange_answered(w, i, x, status, s, cost)
        return
    if retry(w, i, x, status, s, e):
        return
    if r.a > 0 and status < 500:
        counters[RETRY_SUCCESS] += 1
    r.status = status
    r.answer = ANSWER_UPSTREAM
    r.sent_bytes = answered_bytes(w, r, status)
    end_stream(w, i, x, e)
    arm_answer(w, i, x, e)


@kernel
def answered_bytes(w, r, status):
    """Bytes of the answer of stream `r`'s attempt."""
    if w.has_chains:
        return r.answer_bytes
    return r.response_bytes if status < 500 else 0


@kernel
def _exchange_answered(w, i, y, status, s, cost):
    kind, x = w.streams[y].kind, w.streams[y].parent
    end_exchange(w, i, y)
    if kind == CALL:
        call_ended(w, i, x, status, s, cost)


@kernel
def _time_out(w, i, x, s, cost):
    """The running attempt of stream `x`, if any, is given up."""
    r = w.streams[x]
    if end_attempt(w, i, x, s, cost) and w.has_outliers and w.clusters[r.cluster].outlier >= 0:
        heard(w, i, r, TIMED_OUT, s)


@kernel
def route_timeout(w, i, x, s, cost):
    """ROUTE_TIMEOUT visit: whatever runs is given up; 504 UT."""
    r = w.streams[x]
    serve(w, r, s, cost)
    _time_out(w, i, x, s, cost)
    release_retry(w, i, x)
    w.cluster_out[r.cluster, TIMEOUT] += 1
    r.answer = ANSWER_TIMEOUT
    local_reply(w, i, x, 504, UT, 0, s + cost)


@kernel
def try_timeout(w, i, x, s, cost):
    """TRY_TIMEOUT visit: this attempt is given up, and retried if the policy lets it."""
    r = w.streams[x]
    serve(w, r, s, cost)
    w.cluster_out[r.cluster, TRY_TIMEOUT] += 1
    _time_out(w, i, x, s, cost)
    release_retry(w, i, x)
    if not retry(w, i, x, TIMED_OUT, s, s + cost):
        r.answer = ANSWER_TIMEOUT
        local_reply(w, i, x, 504, UT, 0, s + cost)


@kernel
def call_timeout(w, i, y, s, cost):
    """CALL_TIMEOUT visit: an exchange has taken too long."""
    _time_out(w, i, y, s, cost)
    exchange_failed(w, i, y, s, cost)


@kernel
def _fail(w, i, x, status, flag, s, cost):
    """The attempt of stream `x`, detached by now, has failed with its connection (or without one)."""
    r = w.streams[x]
    serve(w, r, s, cost)
    if w.has_outliers and w.clusters[r.cluster].outlier >= 0:
        heard(w, i, r, status, s)
    if w.has_filters and r.kind != REQUEST:
        exchange_failed(w, i, x, s, cost)
        return
    release_retry(w, i, x)
    if not retry(w, i, x, status, s, s + cost):
        local_reply(w, i, x, 503, flag, 0, s + cost)


@kernel
def connection_lost(w, n, a, b, s, cost):
    """UP_CLOSE visit: the station has closed connection `n`; what was on it fails, in the order of names."""
    u = w.upstream[n]
    i, ep = u.worker, u.ep
    u.lost = 1
    close_cx(w, n, a, b, s + cost)
    w.cluster_out[w.endpoints[ep].cluster, DESTROY_REMOTE] += 1
    while u.stream_head >= 0:
        x = u.stream_head
        y = w.streams[x].cx_next
        while y >= 0:
            r, first = w.streams[y], w.streams[x]
            if (r.client, r.number, r.k, r.a) < (first.client, first.number, first.k, first.a):
                x = y
            y = r.cx_next
        r = w.streams[x]
        status = LOST_UNSENT
        if r.state == UPSTREAM:
            status = LOST
            r.upstream_ns += s - r.write_end_ns
        detach(w, i, x)
        _fail(w, i, x, status, UC, s, cost)
    connect_if_needed(w, i, ep, a, b, s + cost)


@kernel
def connect_failed(w, n, timed_out, s, cost):
    """UP_FAILED or CONNECT_TIMEOUT visit: connection `n` has not come up; all that wait in its pool fail."""
    u = w.upstream[n]
    i, k = u.worker, w.endpoints[u.ep].cluster
    p = w.pools[i, u.ep]
    u.state = CLOSED
    p.connecting -= 1
    if w.has_ports:
        give_back(w, u)
    w.podclusters[w.workers[i].pod, k].connections -= 1
    w.cluster_out[k, CONNECT_FAIL] += 1
    if timed_out:
        w.cluster_out[k, CONNECT_TIMEOUT] += 1
    if w.has_chains and u.conn >= 0:
        a, b = own_name(w, n)
        close_link(w, n, a, b, s + cost)
    drop_cx(w, n)
    x = p.pending_head
    p.pending_head = -1
    p.pending_tail = -1
    p.pending = 0
    while x >= 0:
        following = w.streams[x].pool_next
        w.podclusters[w.workers[i].pod, k].pending -= 1
        w.g[0].pending -= 1
        w.streams[x].live = 0
        w.cluster_out[k, EJECT] += 1
        _fail(w, i, x, NOT_CONNECTED, UF, s, cost)
        x = following


@kernel
def abandon(w, i, x, s, cost):
    """The client is gone: end what runs for stream `x`."""
    y = w.streams[x].call
    if w.has_filters and y >= 0:
        end_attempt(w, i, y, s, cost)
        end_exchange(w, i, y)
    end_attempt(w, i, x, s, cost)


@kernel
def visit_upstream(w, i, task, s):
    """A visit of an upstream connection: it comes up, takes what waits, ends or fails; its cost, -1 if that is void."""
    visit, a, b = task.visit, task.a, task.b
    n = index_of(b)
    if w.has_connections and (visit == UP_EXPIRE or visit == VISIT_CONNECT_TIMEOUT):
        gone = not is_expired(w, b, task.next)
    elif visit == ATTACH:
        gone = w.upstream[n].state == CLOSED
    else:
        gone = is_void(w, part_of(b), n)
    cost = -1
    if not gone:
        k = w.clusters[w.endpoints[w.upstream[n].ep].cluster]
        cost = k.up_connected_ns if visit == UP_CONNECTED else k.up_tls_ns if visit == UP_TLS else 0 if visit == ATTACH else k.close_ns
        cost = record_visit(w, i, visit, s, cost, a, b)
        _upstream_visit(w, i, visit, n, a, b, s, cost)
    drop_cx(w, n)
    return cost


@kernel
def _upstream_visit(w, i, visit, n, a, b, s, cost):
    ep = w.upstream[n].ep
    round_trips = w.clusters[w.endpoints[ep].cluster].tls_round_trips
    name = b - key_b(0, 0, part_of(b), n)
    if visit == ATTACH:
        reattach(w, n, a, name, s)
    elif w.has_connections and visit == UP_EXPIRE:
        expire(w, n, part_of(b), a, name, s + cost)
    elif w.has_connections and visit == UP_CLOSE:
        connection_lost(w, n, a, name, s, cost)
    elif w.has_connections and (visit == UP_FAILED or visit == VISIT_CONNECT_TIMEOUT):
        connect_failed(w, n, visit == VISIT_CONNECT_TIMEOUT, s, cost)
    elif w.has_chains and w.upstream[n].conn >= 0:
        if visit == UP_CONNECTED and greets(w, n, s + cost):
            return
        if visit == UP_TLS:
            shaken(w, n, s + cost)
        established(w, n, s, cost)
    elif visit == UP_CONNECTED and round_trips > 0:
        zone = w.stations[w.endpoints[ep].station].zone
        trip = w.rtt[w.workers[i].zone, zone, 0] + w.rtt[w.workers[i].zone, zone, 1]
        w.upstream[n].refs += 1
        deliver(w, i, s + cost + trip * round_trips, a, name + key_b(0, 0, PART_UP_TLS, n))
    else:
        established(w, n, s, cost)
