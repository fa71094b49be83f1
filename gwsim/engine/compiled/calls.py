"""Calls: backends that ask other services before they answer.

A job at such a station holds a server until the last of its calls has ended, so its departure is not known on entry: jobs are
records, wait in a queue of their own, and every step of one is an event. Times are absolute, `t` the present.
"""

from __future__ import annotations

import numpy as np

from gwsim.engine.codes import Purpose
from gwsim.engine.compiled.accounting import UPSTREAM
from gwsim.engine.compiled.chains import BY_BACKEND, derive
from gwsim.engine.compiled.draws import draw64, fold, uniform
from gwsim.engine.compiled.faults import done_at
from gwsim.engine.compiled.heaps import attempt_of, key_b, push
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.network import sample
from gwsim.engine.compiled.sources import earn, start_try
from gwsim.engine.compiled.state import deliver_answer, drop_stream
from gwsim.engine.draws import name64

CALL = np.uint64(name64("call"))
DRAW_CALL = int(Purpose.CALL)
REQUEST_BYTES, RESPONSE_BYTES = int(Purpose.REQUEST_BYTES), int(Purpose.RESPONSE_BYTES)
SERVED = 3
"""Part of the key of the event at which a job's own work is done."""


# --- queue and service -------------------------------------------------------------------------------------------


@kernel
def is_full(s):
    """Whether all servers of calling station `s` are busy and as many jobs wait as may."""
    return s.concurrency >= 0 and s.queue >= 0 and s.busy >= s.concurrency and s.waits >= s.queue


@kernel
def enter(w, place, x, a, b, key, service_ns, status, t):
    """The attempt (a, b) of stream `x`, of this key, is delivered at station `place`; the job takes over the reference to `x`."""
    g = w.g[0]
    n = g.job_free
    job = w.jobs[n]
    g.job_free = job.next_free
    g.jobs_live += 1
    job.stream = x
    job.a = a
    job.b = b
    job.key = key
    job.station = place
    job.delivered_ns = t
    job.service_ns = service_ns
    job.status = status
    job.stage = 0
    job.open = 0
    job.failed = 0
    job.next = -1
    s = w.stations[place]
    if s.concurrency < 0 or s.busy < s.concurrency:
        _start(w, n, t)
        return
    s.waits += 1
    if s.wait_head < 0:
        s.wait_head = n
    else:
        w.jobs[s.wait_tail].next = n
    s.wait_tail = n


@kernel
def _is_wanted(w, job):
    """Whether the attempt that a job is done for still runs."""
    r = w.streams[job.stream]
    return r.live == 1 and r.a == attempt_of(job.b) and r.state == UPSTREAM


@kernel
def _start(w, n, t):
    """A server takes job `n`."""
    g = w.g[0]
    job = w.jobs[n]
    s = w.stations[job.station]
    s.busy += 1
    done = done_at(w, s, t, job.service_ns) if w.has_modes and s.stalls > 0 else t + job.service_ns
    out = w.station_out[job.station]
    out.busy += job.service_ns
    out.wait += t - job.delivered_ns
    if g.cut_ns <= job.delivered_ns < g.horizon_ns:
        out.window_busy += job.service_ns
    if _is_wanted(w, job):
        r = w.streams[job.stream]
        r.service_ns = t
        r.served_ns = done
    push(w.station_heap, g.station_n, done, (job.station << 49) | job.a, job.b + key_b(0, 0, SERVED, n))
    g.station_n += 1


@kernel
def served(w, n, t):
    """The own work of job `n` is done."""
    if w.jobs[n].status < 500:
        _go_on(w, n, t)
    else:
        _depart(w, n, t)


@kernel
def _depart(w, n, t):
    """Job `n` is answered, and its server is free."""
    job = w.jobs[n]
    place = job.station
    if job.status >= 400:
        w.station_out[place].errors += 1
    if _is_wanted(w, job):
        deliver_answer(w, job.stream, t, job.status)
    drop_stream(w, job.stream)
    g = w.g[0]
    job.next_free = g.job_free
    g.job_free = n
    g.jobs_live -= 1
    s = w.stations[place]
    s.busy -= 1
    n = s.wait_head
    if n >= 0:
        s.wait_head = w.jobs[n].next
        s.waits -= 1
        _start(w, n, t)


# --- calls -------------------------------------------------------------------------------------------------------


@kernel
def _go_on(w, n, t):
    """The next stage of job `n` that has a call begins; after the last one it departs."""
    job = w.jobs[n]
    s = w.stations[job.station]
    keys = fold(job.key, CALL)
    while job.stage < s.stages:
        stage = w.stages[s.stage_first + job.stage]
        for j in range(stage.n):
            key = fold(fold(keys, job.stage), j)
            if _applies(w, job, stage.first + j, key):
                job.open += 1
                _make(w, n, stage.first + j, key, t)
        job.stage += 1
        if job.open > 0:
            return
    _depart(w, n, t)


@kernel
def _applies(w, job, j, key):
    """Whether a job needs call `j`, which has this key."""
    call = w.calls[j]
    if call.classes >= 0 and w.call_classes[call.classes, w.streams[job.stream].class_id] == 0:
        return False
    return uniform(draw64(key, DRAW_CALL, 0)) * 100.0 < call.percent


@kernel
def _make(w, n, j, key, t):
    """Job `n` makes call `j` at `t`: a request of a derived client, as at an arrival."""
    call = w.calls[j]
    c = w.classes[call.class_id]
    x = derive(w, call.class_id, key, t, w.jobs[n].stream, BY_BACKEND, n)
    r = w.streams[x]
    r.asked = j
    r.queue = call.queue
    r.request_bytes = int(sample(w, c.request_dist, key, REQUEST_BYTES) + 0.5)
    r.response_bytes = int(sample(w, c.response_dist, key, RESPONSE_BYTES) + 0.5)
    earn(w, r.client)
    start_try(w, r.client, x, -1, t)


@kernel
def ended(w, n, j, status, t):
    """Call `j` of job `n` has ended at its client with a status."""
    job = w.jobs[n]
    job.open -= 1
    if w.calls[j].critical == 1 and (status == 0 or status >= 500):
        job.failed = 1
    if job.open > 0:
        return
    if job.failed == 1:
        job.status = w.stations[job.station].call_error
        _depart(w, n, t)
    else:
        _go_on(w, n, t)
