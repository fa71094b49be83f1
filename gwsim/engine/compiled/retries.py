"""Attempts of a stream at its cluster, the retry decision and back-off.

Source: envoy source/common/router/{router,retry_state_impl,upstream_request}.cc.
"""

from __future__ import annotations

from gwsim.engine.codes import Counter, Flag, Purpose
from gwsim.engine.compiled.accounting import BACKOFF, serve
from gwsim.engine.compiled.draws import below, draw64, fold
from gwsim.engine.compiled.heaps import key_a, key_b, push
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.load_balancing import pick
from gwsim.engine.compiled.pools import admit
from gwsim.engine.compiled.replies import local_reply
from gwsim.engine.compiled.state import rule_of

ON_5XX, ON_GATEWAY_ERROR, ON_4XX, ON_CODES, ON_RESET, ON_CONNECT_FAILURE, ON_RESET_BEFORE_REQUEST = (
    1, 2, 4, 8, 16, 32, 64
)
"""Bits of `conditions`."""
TIMED_OUT, NOT_CONNECTED, LOST_UNSENT, LOST = -1, -2, -3, -4
"""In place of a status: the try timed out; there was no connection; it was lost before or after the request was written."""
UH, UO, URX = int(Flag.UH), int(Flag.UO), int(Flag.URX)
RETRY, LIMIT, OVERFLOW = (
    int(Counter.UPSTREAM_RQ_RETRY), int(Counter.UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED), int(Counter.UPSTREAM_RQ_RETRY_OVERFLOW)
)
NONE_HEALTHY = int(Counter.UPSTREAM_CX_NONE_HEALTHY)
DRAW_BACKOFF = int(Purpose.BACKOFF)


@kernel
def attempt(w, i, x, s, e):
    """Start attempt `a` of stream `x` in the visit from `s` to `e`; False if it was answered at once."""
    r = w.streams[x]
    r.attempt_key = fold(r.key, r.a)
    selections = 1 if r.a == 0 else rule_of(w, r).reselections
    r.position = pick(w, i, x, selections, s)
    if r.position < 0:
        w.cluster_out[r.cluster, NONE_HEALTHY] += 1
        local_reply(w, i, x, 503, UH, 0, e)
        return False
    r.attempts += 1
    if admit(w, i, x, e):
        return True
    local_reply(w, i, x, 503, UO, 0, e)
    return False


@kernel
def _matches(w, c, status):
    on = c.conditions
    if status < 0:
        some = ON_5XX | ON_GATEWAY_ERROR | ON_RESET
        if status == NOT_CONNECTED:
            some |= ON_CONNECT_FAILURE | ON_RESET_BEFORE_REQUEST
        elif status == LOST_UNSENT:
            some |= ON_RESET_BEFORE_REQUEST
        return on & some != 0
    if on & ON_5XX and status >= 500:
        return True
    if on & ON_GATEWAY_ERROR and 502 <= status <= 504:
        return True
    if on & ON_4XX and status == 409:
        return True
    if on & ON_CODES:
        for j in range(c.codes_first, c.codes_first + c.codes):
            if w.codes[j] == status:
                return True
    return False


@kernel
def retry(w, i, x, status, s, e):
    """Decide whether the failed attempt of stream `x` (ended in the visit from `s` to `e`) is retried."""
    r = w.streams[x]
    c = rule_of(w, r)
    if c.has_retry == 0 or not _matches(w, c, status):
        return False
    if r.retries_used >= c.num_retries:
        r.flags |= URX
        w.cluster_out[r.cluster, LIMIT] += 1
        return False
    r.retries_used += 1
    q = w.podclusters[w.workers[i].pod, r.cluster]
    k = w.clusters[r.cluster]
    most = k.max_retries
    if w.has_connections and k.budget_percent >= 0.0:
        most = max(int(k.budget_percent / 100.0 * (q.requests + q.pending)), k.budget_least)
    if q.retries >= most:
        r.flags |= UO
        w.cluster_out[r.cluster, OVERFLOW] += 1
        return False
    w.cluster_out[r.cluster, RETRY] += 1
    q.retries += 1
    r.holds_retry = 1
    r.failed_ns += s - r.admit_end_ns
    _back_off(w, i, x, c, e)
    return True


@kernel
def _back_off(w, i, x, c, e):
    r = w.streams[x]
    bound_ms = min(c.base_ms << min(r.retries_used - 1, 20), c.max_ms)
    r.backoff_at_ns = e + max(1, below(draw64(r.attempt_key, DRAW_BACKOFF, 0), bound_ms) * 1_000_000)
    r.state = BACKOFF
    r.since_ns = e
    r.refs += 1
    k = w.workers[i]
    push(w.backoff[i], k.backoff_n, r.backoff_at_ns, key_a(r.client, r.number), key_b(r.k, r.a, 0, x))
    k.backoff_n += 1
    if r.backoff_at_ns < k.timer_at_ns:
        k.timer_at_ns = r.backoff_at_ns
    g = w.g[0]
    if k.backoff_n > g.backoff_max:
        g.backoff_max = k.backoff_n


@kernel
def resume(w, i, x, s, cost):
    """BACKOFF visit: the next attempt."""
    r = w.streams[x]
    serve(w, r, s, cost)
    r.a += 1
    attempt(w, i, x, s, s + cost)
