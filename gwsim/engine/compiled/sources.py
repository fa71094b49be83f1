"""Arrivals: one pending arrival per open-loop source; closed loops and retries wait in the heap of client acts.

And what an arrival begins: a request, and its first attempt.
"""

from __future__ import annotations

import math

from gwsim.engine.codes import Purpose
from gwsim.engine.compiled.connections import take
from gwsim.engine.compiled.draws import draw64, fold, ns, ramp_time, uniform
from gwsim.engine.compiled.heaps import key_a, key_b, push
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import FREE_FOREVER
from gwsim.engine.compiled.network import sample
from gwsim.engine.compiled.recording import record_start
from gwsim.engine.compiled.state import new_stream

ARRIVAL, STATE, THINK, PACING = int(Purpose.ARRIVAL), int(Purpose.STATE), int(Purpose.THINK), int(Purpose.PACING)
SHAPE, REQUEST_BYTES, RESPONSE_BYTES = int(Purpose.SHAPE), int(Purpose.REQUEST_BYTES), int(Purpose.RESPONSE_BYTES)
POISSON, PACED, BURSTS, REPLAY, CLOSED, DERIVED = range(6)
MOST_TOKENS = 10_000
JITTERED = 2


@kernel
def request_key(w, c, number):
    """Key of request `number` of client `c`."""
    client = w.clients[c]
    if client.arrivals == CLOSED:
        return fold(fold(client.source_key, number % client.loops), number // client.loops)
    return fold(client.source_key, number)


@kernel
def _segment(w, c):
    """Rates and duration of the current segment of the rate profile: (r0, r1, duration)."""
    client = w.clients[c]
    if client.arrivals == POISSON:
        s = w.segments[client.seg_first + client.seg % client.segs]
        return s.r0, s.r1, s.duration_s
    base = client.seg % 2 == 0
    if client.seg_duration_s < 0.0:
        u = uniform(draw64(client.source_key, STATE, client.seg))
        client.seg_duration_s = -(client.mean_base_s if base else client.mean_peak_s) * math.log(1.0 - u)
    rate = client.rate if base else client.peak
    return rate, rate, client.seg_duration_s


@kernel
def _rate_arrival(w, c):
    """Instant at which the integrated rate reaches the next unit-rate arrival."""
    client = w.clients[c]
    client.unit_sum += -math.log(1.0 - uniform(draw64(client.next_key, ARRIVAL, 0)))
    while True:
        r0, r1, duration = _segment(w, c)
        area = 0.5 * (r0 + r1) * duration
        if client.unit_sum < client.seg_area + area:
            break
        client.seg_area += area
        client.seg_begin_s += duration
        client.seg += 1
        client.seg_duration_s = -1.0
    left = client.unit_sum - client.seg_area
    x = left / r0 if r0 == r1 else ramp_time(left, r0, r1, duration)
    return ns(client.seg_begin_s + x)


@kernel
def schedule_open(w, c):
    """Find the instant (and the key) of the next arrival of open-loop client `c`."""
    client = w.clients[c]
    client.next_key = fold(client.source_key, client.next_number)
    if client.arrivals != REPLAY and client.rate <= 0.0 and client.peak <= 0.0:
        client.next_at_ns = FREE_FOREVER
    elif client.arrivals == PACED:
        client.next_at_ns = int(client.next_number / client.rate * 1e9 + 0.5)
    elif client.arrivals == REPLAY:
        n = client.next_number
        client.next_at_ns = w.replay[client.replay_first + n].at_ns if n < client.replays else FREE_FOREVER
    else:
        client.next_at_ns = _rate_arrival(w, c)


@kernel
def act_later(w, t, c, number, k, part, index):
    """Client `c` does something at `t`: part 0 sends a closed loop's request, 2 a retry."""
    g = w.g[0]
    push(w.act_heap, g.act_n, t, key_a(c, number), key_b(k, 0, part, index))
    g.act_n += 1
    if t <= g.act_at_ns:
        g.act_at_ns = t
        g.act_known = 0


@kernel
def _target(w, c, j, schedule):
    client = w.clients[c]
    offset = j / client.rate if client.uniform == 1 else 0.0
    return ns(offset + schedule * client.loops / client.rate)


@kernel
def _think(w, c, number):
    client = w.clients[c]
    if client.think < 0:
        return 0
    return ns(sample(w, client.think, request_key(w, c, number), THINK))


@kernel
def start_loop(w, c, j):
    """First request of closed loop `j` of client `c`."""
    client = w.clients[c]
    if client.has_rate == 1 and client.rate <= 0.0:
        return
    loop = w.loops[client.loop_first + j]
    loop.made = 1
    loop.schedule = 0
    t = _target(w, c, j, 0) if client.has_rate == 1 else _think(w, c, j)
    act_later(w, t, c, j, 0, 0, j)


@kernel
def continue_loop(w, c, number, t):
    """Request `number` of closed-loop client `c` ended at `t`: when its connection sends the next one."""
    client = w.clients[c]
    j = number % client.loops
    loop = w.loops[client.loop_first + j]
    following = loop.made * client.loops + j
    loop.made += 1
    if client.has_rate == 0:
        act_later(w, t + _think(w, c, following), c, following, 0, 0, j)
        return
    loop.schedule += 1
    if client.catch_up == 0:
        while _target(w, c, j, loop.schedule) < t:
            loop.schedule += 1
    sleep = _target(w, c, j, loop.schedule) - t
    if sleep <= 0:
        sleep = 0
    elif client.pacing == JITTERED:
        u = uniform(draw64(request_key(w, c, following), PACING, 0))
        sleep = int(sleep * (0.9 + 0.2 * u) + 0.5)
    act_later(w, t + sleep, c, following, 0, 0, j)


# --- a request begins --------------------------------------------------------------------------------------------


@kernel
def _shape(w, c, number, key):
    client = w.clients[c]
    if client.arrivals == REPLAY:
        recorded = w.replay[client.replay_first + number].shape
        if recorded >= 0:
            return client.class_first + recorded
    u = uniform(draw64(key, SHAPE, 0)) * client.weight_sum
    total = 0.0
    for j in range(client.class_first, client.class_first + client.classes):
        total += w.classes[j].weight
        if total > u:
            return j
    return client.class_first + client.classes - 1


@kernel
def arrive(w, c, number, key, bound_slot, t):
    """Request `number` (of this key) of client `c` arrives at `t`."""
    x = new_stream(w)
    r = w.streams[x]
    r.client = c
    r.number = number
    r.request_key = key
    r.class_id = _shape(w, c, number, r.request_key)
    r.queue = w.clients[c].queue_first
    k = w.classes[r.class_id]
    r.request_bytes = int(sample(w, k.request_dist, r.request_key, REQUEST_BYTES) + 0.5)
    r.response_bytes = int(sample(w, k.response_dist, r.request_key, RESPONSE_BYTES) + 0.5)
    r.start_ns = t
    r.failed_before_ns = 0
    for j in range(r.component.shape[0]):
        r.component[j] = 0
    earn(w, c)
    record_start(w, x, t)
    start_try(w, c, x, bound_slot, t)


@kernel
def earn(w, c):
    """A request of client `c` earns a share of a retry."""
    client = w.clients[c]
    if client.budget >= 0:
        client.tokens = min(MOST_TOKENS, client.tokens + client.budget)


@kernel
def start_try(w, c, x, bound_slot, t):
    """The client's attempt of stream `x` begins at `t`."""
    client = w.clients[c]
    r = w.streams[x]
    r.key = fold(r.request_key, r.k)
    r.try_start_ns = t
    take(w, c, x, bound_slot, t)
    if client.timeout_ns > 0:
        _arm_timeout(w, client, x, t + client.timeout_ns)


@kernel
def _arm_timeout(w, client, x, at_ns):
    """Time-outs of a client are in order of their instants; of equal ones, in order of names (derived ones may come otherwise)."""
    r = w.streams[x]
    r.client_at_ns = at_ns
    r.client_armed = 1
    after = client.timeout_tail
    while w.has_chains and after >= 0 and w.streams[after].client_at_ns == at_ns and w.streams[after].number > r.number:
        after = w.streams[after].client_prev
    r.client_prev = after
    following = -1
    if after < 0:
        following = client.timeout_head
        client.timeout_head = x
        if at_ns <= w.g[0].act_at_ns:
            w.g[0].act_at_ns = at_ns
            w.g[0].act_known = 0
    else:
        following = w.streams[after].client_next
        w.streams[after].client_next = x
    r.client_next = following
    if following < 0:
        client.timeout_tail = x
    else:
        w.streams[following].client_prev = x
