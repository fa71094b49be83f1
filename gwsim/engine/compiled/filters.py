"""What filters do with a request before the router sees it: the program of its shape, and exchanges with other services.

A program is a row of operations (delay, abort, bucket, call), data made by lowering. A call and a mirror are *exchanges*:
stream records of their own (`kind`), with one attempt and no client. Source: envoy source/extensions/filters/http/.
"""

from __future__ import annotations

from gwsim.engine.codes import Counter, Flag, Purpose
from gwsim.engine.compiled.accounting import CALLING, DELAYED, serve
from gwsim.engine.compiled.draws import below, draw64, fold, uniform
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.load_balancing import pick
from gwsim.engine.compiled.pools import admit
from gwsim.engine.compiled.rate_limits import take_token
from gwsim.engine.compiled.replies import link_conn, local_reply
from gwsim.engine.compiled.retries import attempt
from gwsim.engine.compiled.state import drop_stream, new_stream, rule_of
from gwsim.engine.compiled.timers import arm_route, arm_try, cancel_try

CLUSTER, FAULT_DELAY, FAULT_ABORT = int(Purpose.CLUSTER), int(Purpose.FAULT_DELAY), int(Purpose.FAULT_ABORT)
DRAW_BUCKET, DRAW_MIRROR = int(Purpose.BUCKET), int(Purpose.MIRROR)
NC, DI, FI, RL, UO = int(Flag.NC), int(Flag.DI), int(Flag.FI), int(Flag.RL), int(Flag.UO)
NONE_HEALTHY = int(Counter.UPSTREAM_CX_NONE_HEALTHY)
OP_DELAY, OP_ABORT, OP_BUCKET, OP_CALL = range(4)
REQUEST, CALL, MIRROR = 0, 1, 2
"""Kinds of stream records."""
CALL_ATTEMPT, MIRROR_ATTEMPT = 3000, 3500
"""Numbers of exchanges among the attempts of a stream."""
NO_EXCHANGE = -1


@kernel
def begin(w, i, x, s, cost):
    """The request of stream `x` has been read in the visit of `cost` ns starting at `s`: filters, then the router."""
    r = w.streams[x]
    serve(w, r, s, cost)
    r.gw_begun = 1
    r.gw_start_ns = s
    r.refs += 1
    link_conn(w, x)
    w.worker_out[i].streams += 1
    if w.has_updates:
        r.rule = _rule_at(w, r.class_id, s)
    if w.has_filters and rule_of(w, r).ops > 0:
        go_on(w, i, x, 0, s, s + cost)
    else:
        route(w, i, x, s, s + cost)


@kernel
def _rule_at(w, number, s):
    """The outcome (a row of `classes`) of class `number` at `s`."""
    c = w.classes[number]
    for j in range(c.later_first, c.later_first + c.laters):
        if w.classes[j].from_ns <= s:
            number = j
    return number


# --- the router --------------------------------------------------------------------------------------------------


@kernel
def route(w, i, x, s, e):
    """The request of stream `x` gets its cluster and its first attempt in the visit from `s` to `e`."""
    r = w.streams[x]
    c = rule_of(w, r)
    if c.targets == 0:
        local_reply(w, i, x, c.local_status, c.flags, c.local_bytes, e)
        return
    r.cluster = _choose_cluster(w, c, r.key)
    if r.cluster < 0:
        local_reply(w, i, x, 503, NC, 0, e)
        return
    if r.measured == 1:
        w.class_cluster[r.class_id, r.cluster] += 1
    if c.route_class >= 0:
        arm_route(w, i, x, e + w.timer_ns[c.route_class])
    if attempt(w, i, x, s, e) and w.has_filters and c.mirrors > 0:
        _mirror(w, i, x, s, e)


@kernel
def _choose_cluster(w, c, key):
    """One value per request, compared with running weights; unchanged by retries."""
    if c.targets == 1:
        return w.targets[c.target_first].cluster
    z = below(draw64(key, CLUSTER, 0), c.weight_sum)
    total = 0
    for j in range(c.target_first, c.target_first + c.targets):
        total += w.targets[j].weight
        if z < total:
            return w.targets[j].cluster
    return -1


@kernel
def _mirror(w, i, x, s, e):
    """Copies of the request of stream `x`, whose answers nobody waits for."""
    r = w.streams[x]
    c = rule_of(w, r)
    for j in range(c.mirrors):
        m = w.mirrors[c.mirror_first + j]
        if _chance(r.key, DRAW_MIRROR, j, m.percent) and m.cluster >= 0:
            exchange(w, i, x, MIRROR, MIRROR_ATTEMPT + j, fold(r.key, m.name), m.cluster, r.request_bytes, r.response_bytes, m.timer, s, e)


# --- the program -------------------------------------------------------------------------------------------------


@kernel
def _chance(key, purpose, j, percent):
    return uniform(draw64(key, purpose, j)) * 100.0 < percent


@kernel
def go_on(w, i, x, first, s, e):
    """The program of stream `x` from operation `first` on, in the visit from `s` to `e`, until something takes time."""
    r = w.streams[x]
    c = rule_of(w, r)
    for j in range(first, c.ops):
        o = w.ops[c.op_first + j]
        if o.kind == OP_DELAY:
            if _chance(r.key, FAULT_DELAY, j, o.percent):
                _delay(w, i, x, j, o.timer, e)
                return
        elif o.kind == OP_ABORT:
            if _chance(r.key, FAULT_ABORT, j, o.percent):
                local_reply(w, i, x, o.status, FI, 0, e)
                return
        elif o.kind == OP_BUCKET:
            if _is_limited(w, w.workers[i].pod, r.key, j, o, s):
                local_reply(w, i, x, o.status, RL, 0, e)
                return
        elif _call(w, i, x, j, o, s, e):
            return
        elif o.fail_open == 0:
            local_reply(w, i, x, o.status, o.error_flag, 0, e)
            return
    route(w, i, x, s, e)


@kernel
def _delay(w, i, x, j, timer, e):
    r = w.streams[x]
    r.flags |= DI
    r.op = j
    r.state = DELAYED
    r.since_ns = e
    r.due_ns = e + w.timer_ns[timer]
    arm_try(w, i, x, timer, r.due_ns)


@kernel
def _is_limited(w, d, key, j, o, s):
    """Whether a bucket of operation `j` is empty, and its limit enforced."""
    if not _chance(key, DRAW_BUCKET, 2 * j, o.percent):
        return False
    for at in range(o.first, o.first + o.n):
        if not take_token(w.buckets[d, w.op_buckets[at]], s):
            return _chance(key, DRAW_BUCKET, 2 * j + 1, o.enforced)
    return False


# --- exchanges ---------------------------------------------------------------------------------------------------


@kernel
def _call(w, i, x, j, o, s, e):
    """Start the call of operation `j`; False if it has failed at once."""
    r = w.streams[x]
    up = o.request_bytes + min(r.request_bytes, o.body_most)
    y = exchange(w, i, x, CALL, CALL_ATTEMPT + j, fold(r.key, o.name), o.cluster, up, o.response_bytes, o.timer, s, e)
    if y < 0:
        return False
    r.op = j
    r.call = y
    r.state = CALLING
    r.since_ns = e
    return True


@kernel
def exchange(w, i, x, kind, a, key, cluster, request_bytes, response_bytes, timer, s, e):
    """Send a request of its own to `cluster` for stream `x`; its record, or NO_EXCHANGE if it could not be sent."""
    y = new_stream(w)
    r, n = w.streams[x], w.streams[y]
    n.kind = kind
    n.parent = x
    n.client, n.number, n.k, n.a = r.client, r.number, r.k, a
    n.rule, n.class_id, n.conn, n.slot, n.request_key = r.rule, r.class_id, r.conn, r.slot, r.request_key
    n.key = n.attempt_key = key
    n.cluster = cluster
    n.request_bytes, n.response_bytes = request_bytes, response_bytes
    n.measured = 0
    n.client_done = 1
    if w.has_chains:
        n.root_key = r.root_key
        n.root_measured = r.root_measured
    w.conns[r.conn].refs += 1
    if timer >= 0:
        arm_try(w, i, y, timer, e + w.timer_ns[timer])
    n.position = pick(w, i, y, 1, s)
    if n.position < 0:
        w.cluster_out[cluster, NONE_HEALTHY] += 1
    elif admit(w, i, y, e):
        return y
    end_exchange(w, i, y)
    return NO_EXCHANGE


@kernel
def end_exchange(w, i, y):
    """The exchange `y` is over (its attempt has ended)."""
    n = w.streams[y]
    n.live = 0
    cancel_try(w, i, y)
    if n.kind == CALL:
        w.streams[n.parent].call = -1
    drop_stream(w, y)


@kernel
def call_ended(w, i, x, status, s, cost):
    """The call that stream `x` waits for has ended with a status (0: an error of any kind), in the visit at `s`."""
    r = w.streams[x]
    o = w.ops[rule_of(w, r).op_first + r.op]
    serve(w, r, s, cost)
    if 400 <= status < 500:
        local_reply(w, i, x, status, o.deny_flag, 0, s + cost)
    elif 0 < status < 400 or o.fail_open == 1:
        go_on(w, i, x, r.op + 1, s, s + cost)
    else:
        local_reply(w, i, x, o.status, o.error_flag, 0, s + cost)


@kernel
def exchange_failed(w, i, y, s, cost):
    """The exchange `y` ends without an answer: an error for who waits for it."""
    kind, x = w.streams[y].kind, w.streams[y].parent
    end_exchange(w, i, y)
    if kind == CALL:
        call_ended(w, i, x, 0, s, cost)


@kernel
def refused(w, i, x, s, cost):
    """A breaker is full when stream `x` would get the connection it waited for."""
    r = w.streams[x]
    r.live = 0
    if w.has_filters and r.kind != REQUEST:
        exchange_failed(w, i, x, s, cost)
        return
    serve(w, r, s, cost)
    local_reply(w, i, x, 503, UO, 0, s + cost)
