"""Arrivals: one pending arrival per open-loop source; closed loops and retries wait in the heap of client acts."""

from __future__ import annotations

import math

from gwsim.engine.codes import Purpose
from gwsim.engine.compiled.draws import draw64, fold, ns, ramp_time, uniform
from gwsim.engine.compiled.heaps import key_a, key_b, push
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import FREE_FOREVER
from gwsim.engine.compiled.network import sample

ARRIVAL, STATE, THINK, PACING = int(Purpose.ARRIVAL), int(Purpose.STATE), int(Purpose.THINK), int(Purpose.PACING)
POISSON, PACED, BURSTS, REPLAY, CLOSED = range(5)
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
