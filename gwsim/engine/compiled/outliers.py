"""Outlier detection: each pod counts the failures of its hosts, ejects some for a time and takes them back.

Counting and ejecting are kernel code. Ticks and the updates that follow an ejection are *control events*: the kernel
stops before one, and `Detectors` (Python) carries it out. Source: envoy source/common/upstream/outlier_detection_impl.cc.
"""

from __future__ import annotations

import math
from typing import Any

from gwsim.engine.codes import Counter, Purpose
from gwsim.engine.compiled import draws as compiled
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import NEVER
from gwsim.engine.compiled.pools import drain
from gwsim.engine.compiled.retries import TIMED_OUT
from gwsim.engine.draws import below, draw64, fold, name64, ns

ENFORCING = int(Purpose.ENFORCING)
BY_5XX, BY_GATEWAY, BY_LOCAL_ORIGIN, BY_SUCCESS_RATE, BY_FAILURE_PERCENTAGE = range(5)
DETECTED = int(Counter.OUTLIER_DETECTED_5XX)
OVERFLOW, ENFORCED = int(Counter.OUTLIER_EJECTIONS_OVERFLOW), int(Counter.OUTLIER_EJECTIONS_ENFORCED_TOTAL)


def put_due(level, window_ns, s):
    """The hosts of a priority have changed at `s`: when its pending update is due."""
    if level.updated_ns < 0 or s - level.updated_ns > window_ns:
        level.update_at_ns = s + 1
        level.merged = 0
        level.updated_ns = s
    elif level.update_at_ns == NEVER:
        level.update_at_ns = s + window_ns
        level.merged = 1
    return level.update_at_ns


_put_due = kernel(put_due)


@kernel
def heard(w, i, r, status, s):
    """The attempt of stream `r` has ended at `s` with a status, or without one (a time-out, a lost connection)."""
    k, d = r.cluster, w.workers[i].pod
    c = w.clusters[k]
    o = w.outliers[c.outlier]
    ep = c.endpoint_first + r.position
    h = w.podhosts[d, ep]
    if w.has_membership and h.gone == 1:
        return
    if status < 0:
        if c.splits == 1:
            h.local_failures += 1
            if h.local_failures == o.consecutive_local:
                detected(w, d, k, ep, BY_LOCAL_ORIGIN, s)
            return
        status = 504 if status == TIMED_OUT else 503
    h.total += 1
    if status < 500:
        h.ok += 1
        h.failures_5xx = 0
        h.failures_gateway = 0
        return
    if 502 <= status <= 504:
        h.failures_gateway += 1
        if h.failures_gateway == o.consecutive_gateway:
            detected(w, d, k, ep, BY_GATEWAY, s)
    else:
        h.failures_gateway = 0
    h.failures_5xx += 1
    if h.failures_5xx == o.consecutive_5xx:
        detected(w, d, k, ep, BY_5XX, s)


@kernel
def detected(w, d, k, ep, kind, s):
    """Host `ep` of cluster `k` on pod `d` is an outlier of this kind: eject it, if the limits let that be."""
    h = w.podhosts[d, ep]
    if h.ejected == 1:
        return
    w.cluster_out[k, DETECTED + kind] += 1
    c = w.clusters[k]
    o = w.outliers[c.outlier]
    detector = w.detectors[d, k]
    if kind == BY_5XX:
        h.failures_5xx = 0
    elif kind == BY_GATEWAY:
        h.failures_gateway = 0
    elif kind == BY_LOCAL_ORIGIN:
        h.local_failures = 0
    if not 100.0 * (detector.ejected + 1) / detector.hosts <= o.most_percent:
        w.cluster_out[k, OVERFLOW] += 1
        return
    z = compiled.draw64(compiled.fold(detector.key, detector.tried), ENFORCING, 0)
    detector.tried += 1
    if compiled.below(z, 100) >= o.enforcing[kind]:
        return
    w.cluster_out[k, ENFORCED] += 1
    h.ejected = 1
    h.ejected_at_ns = s
    note(w, d, k, ep, s)
    if h.backoff * o.base_ns < o.longest_ns + o.base_ns:
        h.backoff += 1
    detector.ejected += 1
    drain(w, d, ep, s)
    g = w.g[0]
    g.control_at_ns = min(g.control_at_ns, _put_due(w.levels[d, c.level_first + h.priority], o.window_ns, s))


@kernel
def note(w, d, k, ep, s):
    """Write an ejection down, while there is room."""
    g, h = w.g[0], w.podhosts[d, ep]
    h.ejection = -1
    if g.ejections < w.ejections.shape[0]:
        row = w.ejections[g.ejections]
        row[0], row[1], row[2], row[3], row[4] = k, ep - w.clusters[k].endpoint_first, d, s, -1
        h.ejection = g.ejections
        g.ejections += 1


@kernel
def finish_tick(w):
    """The kernel's part of the tick that Python has begun: eject what it found, and let old ejections be forgotten."""
    g = w.g[0]
    d, k = g.tick_pod, g.tick_cluster
    g.tick_pod = -1
    c = w.clusters[k]
    for j in range(g.found):
        detected(w, d, k, w.found[j, 0], w.found[j, 1], g.stop_ns)
    interval = w.outliers[c.outlier].interval_ns
    for ep in range(c.endpoint_first, c.endpoint_first + c.endpoints):
        h = w.podhosts[d, ep]
        if h.priority >= 0 and h.ejected == 0 and h.back_at_ns >= 0 and g.stop_ns - h.back_at_ns >= interval and h.backoff > 0:
            h.backoff -= 1


class Detectors:
    """Ticks and updates of a run, carried out between slices of the kernel (`control`)."""

    def __init__(self, model: Any, clusters: Any, run: int) -> None:
        self.clusters, self.views, self.horizon_ns = clusters, clusters.views, ns(model.run.duration_s)
        world, views = self.world, self.views
        for (d, k), view in views.items():
            o = view.sim.cluster.outlier_detection
            if o is None:
                continue
            one, c = world.detectors[d, k], world.clusters[k]
            one.key = fold(fold(run, name64("outlier/" + view.sim.cluster.name)), d)
            for h, p in enumerate(view.placement.priorities):
                world.podhosts[d, c.endpoint_first + h].priority = p
                world.podhosts[d, c.endpoint_first + h].back_at_ns = -1
            one.tick_at_ns = NEVER

    def begin(self, d: int, now: int, warm: bool) -> None:
        """The detectors of pod `d` begin; with a warm start the interval is somewhere in its course."""
        for one, _, interval in self._of(d):
            first = 1 + below(draw64(int(one.key), Purpose.OUTLIER), interval) if warm else interval
            one.tick_at_ns = now + first if now + first < self.horizon_ns else NEVER

    def end(self, d: int) -> None:
        """Nothing that is due on pod `d` happens any more."""
        for one, levels, _ in self._of(d):
            one.tick_at_ns = NEVER
            for level in levels:
                level.update_at_ns, level.updated_ns = NEVER, -1

    def _of(self, d: int) -> list[tuple[Any, list[Any], int]]:
        """Detectors of pod `d`, with the priorities and the interval of each."""
        w, out = self.world, []
        for (pod, k), view in self.views.items():
            if pod == d and view.sim.cluster.outlier_detection is not None:
                c = w.clusters[k]
                levels = [w.levels[d, int(c.level_first) + p] for p in range(len(view.levels))]
                out.append((w.detectors[d, k], levels, int(w.outliers[c.outlier].interval_ns)))
        return out

    @property
    def world(self) -> Any:
        """The world of the run."""
        return self.clusters.world

    def events(self) -> list[tuple[int, int, int, int, int]]:
        """(instant, pod, cluster, priority, 0 tick or 1 update) of everything pending."""
        w, out = self.world, []
        for (d, k), view in self.views.items():
            if view.sim.cluster.outlier_detection is None:
                continue
            out.append((int(w.detectors[d, k].tick_at_ns), d, k, 0, 0))
            first = int(w.clusters[k].level_first)
            out += [(int(w.levels[d, first + p].update_at_ns), d, k, p, 1) for p in range(len(view.levels))]
        return out

    def carry_out(self, d: int, k: int, p: int, update: int, now: int) -> None:
        """The tick of cluster `k` on pod `d`, or the update of its priority `p`, happens now."""
        if update:
            level = self.world.levels[d, self.world.clusters[k].level_first + p]
            level.update_at_ns = NEVER
            if level.merged:
                level.updated_ns = now
            self.views[d, k].refresh(p, now)
        else:
            self._tick(d, k, now)

    def _tick(self, d: int, k: int, now: int) -> None:
        w = self.world
        c, o, one = w.clusters[k], self.views[d, k].sim.cluster.outlier_detection, w.detectors[d, k]
        settings = w.outliers[c.outlier]
        one.tick_at_ns = now + int(settings.interval_ns) if now + int(settings.interval_ns) < self.horizon_ns else NEVER
        rates = []
        for ep in range(c.endpoint_first, c.endpoint_first + c.endpoints):
            h = w.podhosts[d, ep]
            if not h.present:
                continue
            if h.ejected and now - h.ejected_at_ns >= min(settings.base_ns * h.backoff, settings.longest_ns):
                h.ejected, h.back_at_ns = 0, now
                if h.ejection >= 0:
                    w.ejections[h.ejection, 4] = now
                h.failures_5xx = h.failures_gateway = h.local_failures = 0
                one.ejected -= 1
                put_due(w.levels[d, c.level_first + h.priority], int(settings.window_ns), now)
        for ep in range(c.endpoint_first, c.endpoint_first + c.endpoints):
            h = w.podhosts[d, ep]
            if h.present and not h.ejected and h.total > 0:
                rates.append((ep, int(h.ok) * 100.0 / int(h.total), int(h.total)))
            h.ok = h.total = 0
        g = w.g[0]
        g.tick_pod, g.tick_cluster = d, k
        g.found = 0
        for ep, kind in _outliers(o, rates):
            w.found[g.found, 0], w.found[g.found, 1] = ep, kind
            g.found += 1


def _outliers(o: Any, rates: list[tuple[int, float, int]]) -> list[tuple[int, int]]:
    """(host, kind) of the hosts that stand out among these success rates (host, percent, results)."""
    out = []
    if o.enforcing_success_rate > 0:
        some = [(ep, rate) for ep, rate, n in rates if n >= o.success_rate_request_volume]
        if some and len(some) >= o.success_rate_minimum_hosts:
            total = spread = 0.0
            for _, rate in some:
                total += rate
            mean = total / len(some)
            for _, rate in some:
                spread += (rate - mean) * (rate - mean)
            threshold = mean - (o.success_rate_stdev_factor / 1000.0) * math.sqrt(spread / len(some))
            out += [(ep, BY_SUCCESS_RATE) for ep, rate in some if rate < threshold]
    if o.enforcing_failure_percentage > 0:
        some = [(ep, rate) for ep, rate, n in rates if n >= o.failure_percentage_request_volume]
        if some and len(some) >= o.failure_percentage_minimum_hosts:
            out += [(ep, BY_FAILURE_PERCENTAGE) for ep, rate in some if 100.0 - rate >= o.failure_percentage_threshold]
    return out

