"""How an attempt ends at the router: an answer, a time-out, a cancelled stream; and what the client gets.

Source: envoy source/common/router/{router,upstream_request}.cc.
"""

from __future__ import annotations

from gwsim.engine.codes import Counter, Flag
from gwsim.engine.compiled.accounting import serve
from gwsim.engine.compiled.filters import CALL, REQUEST, call_ended, end_exchange, exchange_failed
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.lifetimes import end_attempt, free
from gwsim.engine.compiled.outliers import heard
from gwsim.engine.compiled.pools import detach
from gwsim.engine.compiled.recording import COUNTERS_AND_SUM, MIDDLE, bucket
from gwsim.engine.compiled.replies import arm_answer, end_stream, local_reply, release_retry
from gwsim.engine.compiled.retries import TIMED_OUT, retry
from gwsim.engine.schema import ANSWER_TIMEOUT, ANSWER_UPSTREAM

UT = int(Flag.UT)
COMPLETED, RETRY_SUCCESS = int(Counter.UPSTREAM_RQ_COMPLETED), int(Counter.UPSTREAM_RQ_RETRY_SUCCESS)
RQ_2XX, RQ_4XX, RQ_5XX = int(Counter.UPSTREAM_RQ_2XX), int(Counter.UPSTREAM_RQ_4XX), int(Counter.UPSTREAM_RQ_5XX)
TIMEOUT, TRY_TIMEOUT = int(Counter.UPSTREAM_RQ_TIMEOUT), int(Counter.UPSTREAM_RQ_PER_TRY_TIMEOUT)


@kernel
def read_answer(w, i, x, s, cost):
    """READ_UP visit: the attempt has its answer."""
    r = w.streams[x]
    e = s + cost
    serve(r, s, cost)
    upstream = r.answer_ns - r.write_end_ns
    r.upstream_ns += upstream
    counters = w.cluster_out[r.cluster]
    counters[COMPLETED] += 1
    status = r.answer_status
    if status < 400:
        counters[RQ_2XX] += 1
    elif status < 500:
        counters[RQ_4XX] += 1
    else:
        counters[RQ_5XX] += 1
    if r.measured == 1:
        counters[COUNTERS_AND_SUM - 1] += upstream
        w.cluster_hist[r.cluster, bucket(upstream, MIDDLE)] += 1
    detach(w, i, x)
    release_retry(w, i, x)
    free(w, i, x, s, cost)
    if w.clusters[r.cluster].outlier >= 0:
        heard(w, i, r, status, s)
    if r.kind != REQUEST:
        _exchange_answered(w, i, x, status, s, cost)
        return
    if retry(w, i, x, status, s, e):
        return
    if r.a > 0 and status < 500:
        counters[RETRY_SUCCESS] += 1
    r.status = status
    r.answer = ANSWER_UPSTREAM
    r.sent_bytes = r.response_bytes if status < 500 else 0
    end_stream(w, i, x, e)
    arm_answer(w, i, x, e)


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
    if end_attempt(w, i, x, s, cost) and w.clusters[r.cluster].outlier >= 0:
        heard(w, i, r, TIMED_OUT, s)


@kernel
def route_timeout(w, i, x, s, cost):
    """ROUTE_TIMEOUT visit: whatever runs is given up; 504 UT."""
    r = w.streams[x]
    serve(r, s, cost)
    _time_out(w, i, x, s, cost)
    release_retry(w, i, x)
    w.cluster_out[r.cluster, TIMEOUT] += 1
    r.answer = ANSWER_TIMEOUT
    local_reply(w, i, x, 504, UT, 0, s + cost)


@kernel
def try_timeout(w, i, x, s, cost):
    """TRY_TIMEOUT visit: this attempt is given up, and retried if the policy lets it."""
    r = w.streams[x]
    serve(r, s, cost)
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
def abandon(w, i, x, s, cost):
    """The client is gone: end what runs for stream `x`."""
    y = w.streams[x].call
    if y >= 0:
        end_attempt(w, i, y, s, cost)
        end_exchange(w, i, y)
    end_attempt(w, i, x, s, cost)
