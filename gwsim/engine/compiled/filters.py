"""A request at the gateway: the route's outcome, the cluster, the first attempt; and the reading of an answer."""

from __future__ import annotations

from gwsim.engine.codes import Counter, Flag, Purpose
from gwsim.engine.compiled.accounting import serve
from gwsim.engine.compiled.draws import below, draw64
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.pools import detach, free_connection
from gwsim.engine.compiled.recording import COUNTERS_AND_SUM, MIDDLE, bucket
from gwsim.engine.compiled.replies import arm_answer, end_stream, link_conn, local_reply, release_retry
from gwsim.engine.compiled.retries import attempt, retry
from gwsim.engine.compiled.timers import arm_route
from gwsim.engine.schema import ANSWER_UPSTREAM

CLUSTER = int(Purpose.CLUSTER)
NC = int(Flag.NC)
COMPLETED, RETRY_SUCCESS = int(Counter.UPSTREAM_RQ_COMPLETED), int(Counter.UPSTREAM_RQ_RETRY_SUCCESS)
RQ_2XX, RQ_4XX, RQ_5XX = int(Counter.UPSTREAM_RQ_2XX), int(Counter.UPSTREAM_RQ_4XX), int(Counter.UPSTREAM_RQ_5XX)


@kernel
def begin(w, i, x, s, cost):
    """The request of stream `x` has been read in the visit of `cost` ns starting at `s`: route it and send it on."""
    r = w.streams[x]
    c = w.classes[r.class_id]
    e = s + cost
    serve(r, s, cost)
    r.gw_begun = 1
    r.gw_start_ns = s
    r.refs += 1
    link_conn(w, x)
    w.worker_out[i].streams += 1
    if c.targets == 0:
        local_reply(w, i, x, c.local_status, c.flags, e)
        return
    r.cluster = _choose_cluster(w, c, r.key)
    if r.cluster < 0:
        local_reply(w, i, x, 503, NC, e)
        return
    if r.measured == 1:
        w.class_cluster[r.class_id, r.cluster] += 1
    if c.route_class >= 0:
        arm_route(w, i, x, e + w.timer_ns[c.route_class])
    attempt(w, i, x, s, e)


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
    free_connection(w, i, x)
    if retry(w, i, x, status, s, e):
        return
    if r.a > 0 and status < 500:
        counters[RETRY_SUCCESS] += 1
    r.status = status
    r.answer = ANSWER_UPSTREAM
    r.sent_bytes = r.response_bytes if status < 500 else 0
    end_stream(w, i, x, e)
    arm_answer(w, i, x, e)
