"""CPU limits: what a pod may use of CPU in a period, what of that a worker has in hand, and when it was stopped for want of it.

Source: Linux Documentation/scheduler/sched-bwc.rst: periods of 100 ms, slices of 5 ms, 1 ms kept by who goes to sleep.
"""

from __future__ import annotations

from gwsim.engine.compiled.kernel import kernel

PERIOD_NS, SLICE_NS, KEPT_NS = 100_000_000, 5_000_000, 1_000_000
NO_PERIOD = -2
"""Before all periods: nothing has been taken of such an entry of the ring."""


@kernel
def worked(w, i, t, cost):
    """When worker `i` is done with work of `cost` that begins at `t`."""
    if w.has_front and w.workers[i].limited == 1:
        return _run(w, i, t, cost)
    return t + cost


@kernel
def _run(w, i, t, cost):
    k = w.workers[i]
    latest = _latest(w, k, t)
    while k.budget_ns < cost:
        t += k.budget_ns
        cost -= k.budget_ns
        t = _refill(w, i, t, latest)
    k.budget_ns -= cost
    return t + cost


@kernel
def paid(w, i, t, cost):
    """When worker `i`, whose pod has a quota, may go on that has spent `cost` up to `t`."""
    k = w.workers[i]
    latest = _latest(w, k, t)
    while k.budget_ns < cost:
        cost -= k.budget_ns
        t = _refill(w, i, t, latest)
    k.budget_ns -= cost
    return t


@kernel
def rest(w, i, t):
    """Worker `i` falls asleep at `t`: what it has in hand goes back, but for a little."""
    k = w.workers[i]
    if k.budget_ns > KEPT_NS:
        pod = w.pods[k.pod]
        _entry(w, k.pod, _period(pod, t)).used_ns -= k.budget_ns - KEPT_NS
        k.budget_ns = KEPT_NS


@kernel
def stopped(w, n, t):
    """For how long the worker of downstream connection `n` had been stopped before `t`, ns."""
    c = w.conns[n]
    k = w.workers[c.worker]
    first, j = k.stops_first, k.stops_n
    if c.stops_n >= 0:
        first, j = c.stops_first, c.stops_n
    while j > first:
        s = w.stops[c.worker, j - 1]
        if s.from_ns <= t:
            return s.before_ns + min(t, s.to_ns) - s.from_ns
        j -= 1
    return 0


@kernel
def _period(pod, t):
    return (t - pod.offset_ns) // PERIOD_NS


@kernel
def _latest(w, k, t):
    """The last period for which there is room beside that of `t`; work that reaches further ends the run as a fault."""
    return _period(w.pods[k.pod], t) + w.quota.shape[1] - 1


@kernel
def _entry(w, d, period):
    """What pod `d` has taken of a period: periods that are over make room for others."""
    q = w.quota[d, period % w.quota.shape[1]]
    if q.period != period:
        q.period = period
        q.used_ns = 0
    return q


@kernel
def _refill(w, i, t, latest):
    """Worker `i` takes a slice of its pod's quota at `t`, or is stopped until there is one; when it has it."""
    k = w.workers[i]
    pod = w.pods[k.pod]
    period = _period(pod, t)
    if period >= latest:
        w.g[0].fault = 1
        w.g[0].done = 1
        k.budget_ns = 1 << 60
        return t
    q = _entry(w, k.pod, period)
    if q.used_ns >= pod.quota_ns:
        while q.used_ns >= pod.quota_ns and period < latest:
            period += 1
            q = _entry(w, k.pod, period)
        resumed = pod.offset_ns + period * PERIOD_NS
        _stop(w, i, t, resumed)
        t = resumed
    k.budget_ns = min(SLICE_NS, pod.quota_ns - q.used_ns)
    q.used_ns += k.budget_ns
    return t


@kernel
def _stop(w, i, t, resumed):
    """Worker `i` is stopped from `t` to `resumed`."""
    k = w.workers[i]
    before = 0
    if k.stops_n > k.stops_first:
        last = w.stops[i, k.stops_n - 1]
        before = last.before_ns + last.to_ns - last.from_ns
    s = w.stops[i, k.stops_n]
    s.from_ns, s.to_ns, s.before_ns = t, resumed, before
    k.stops_n += 1
    g = w.g[0]
    if k.stops_n > g.stops_max:
        g.stops_max = k.stops_n
    w.worker_out[i].throttled += resumed - t
