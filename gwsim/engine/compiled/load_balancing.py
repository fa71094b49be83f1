"""The choice of an endpoint, one function per policy: round robin, least request, random.

Source: envoy source/extensions/load_balancing_policies/{round_robin,least_request,random}.
"""

from __future__ import annotations

from gwsim.engine.codes import Purpose
from gwsim.engine.compiled.draws import below, draw64
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import MAX_TRIED

LOAD_BALANCER = int(Purpose.LOAD_BALANCER)
POLICY_ROUND_ROBIN, POLICY_LEAST_REQUEST, POLICY_RANDOM = 0, 1, 2


@kernel
def round_robin(w, i, k, n):
    """The next endpoint in turn; every worker has a turn of its own."""
    position = w.cursors[i, k] % n
    w.cursors[i, k] += 1
    return position


@kernel
def least_request(w, pod, first, n, key, t):
    """Of two endpoints drawn with replacement, the one with fewer active requests; the first on a tie."""
    one = below(draw64(key, LOAD_BALANCER, 2 * t), n)
    two = below(draw64(key, LOAD_BALANCER, 2 * t + 1), n)
    return two if w.active[pod, first + two] < w.active[pod, first + one] else one


@kernel
def random(key, n, t):
    """Any endpoint."""
    return below(draw64(key, LOAD_BALANCER, t), n)


@kernel
def _tried(r, position):
    for j in range(r.tried_n):
        if r.tried[j] == position:
            return True
    return False


@kernel
def pick(w, i, x, selections):
    """Position of an endpoint for the attempt of stream `x`, avoiding those it was sent to before.

    `selections`: how many candidates are looked at before one that was tried before is taken all the same.
    """
    r = w.streams[x]
    c = w.clusters[r.cluster]
    position = 0
    for t in range(selections):
        if c.policy == POLICY_ROUND_ROBIN:
            position = round_robin(w, i, r.cluster, c.endpoints)
        elif c.policy == POLICY_RANDOM:
            position = random(r.attempt_key, c.endpoints, t)
        else:
            position = least_request(w, w.workers[i].pod, c.endpoint_first, c.endpoints, r.attempt_key, t)
        if selections == 1 or not _tried(r, position):
            break
    if r.tried_n < MAX_TRIED:
        r.tried[r.tried_n] = position
        r.tried_n += 1
    return position
