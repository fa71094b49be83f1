"""Outlier detection: each pod watches what its hosts answer and leaves out those that fail.

Envoy: `DetectorImpl` (source/common/upstream/outlier_detection_impl.cc); the merge of updates is
`ClusterManagerImpl::scheduleUpdate`. Detection is immediate; that workers see it waits for an update of the hosts.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import TYPE_CHECKING

from gwsim.engine.codes import Counter, Purpose
from gwsim.engine.draws import below, draw64, fold, name64, ns
from gwsim.engine.reference.agenda import RANK_CONTROL, Agenda, Happening, name_of, place_of

if TYPE_CHECKING:
    from gwsim.engine.reference.hosts import HostSet
    from gwsim.topology import OutlierDetection

TICK, UPDATE = 0, 1
GATEWAY_STATUSES = (502, 503, 504)
D5, DG, DL = Counter.OUTLIER_DETECTED_5XX, Counter.OUTLIER_DETECTED_GATEWAY, Counter.OUTLIER_DETECTED_LOCAL_ORIGIN
DS, DF = Counter.OUTLIER_DETECTED_SUCCESS_RATE, Counter.OUTLIER_DETECTED_FAILURE_PERCENTAGE


class Updates:
    """Changes of the hosts of one cluster on one pod, on their way to the workers."""

    __slots__ = ("agenda", "apply", "last", "name", "pending", "place", "window")

    def __init__(self, agenda: Agenda, pod: int, cluster: int, window: int, apply: Callable[[int, int], None]) -> None:
        self.agenda = agenda
        self.window = window
        self.place = place_of(RANK_CONTROL, pod)
        self.name = cluster
        self.apply = apply
        self.last: dict[int, int] = {}
        self.pending: dict[int, Happening] = {}

    def due(self, p: int, now: int) -> None:
        """Hosts of priority `p` have changed: the update comes at once, or merged with others a second later."""
        last = self.last.get(p)
        if last is None or now - last > self.window:
            if p in self.pending:
                self.pending[p].cancel()
            self.last[p] = now
            self._schedule(p, now + 1, merged=False)
        elif p not in self.pending:
            self._schedule(p, now + self.window, merged=True)

    def overtaken(self, p: int, now: int) -> None:
        """An update that could not wait has taken everything with it."""
        if p in self.pending:
            self.pending.pop(p).cancel()
        self.last[p] = now

    def _schedule(self, p: int, at: int, merged: bool) -> None:
        key = self.place | name_of(self.name, p, 0) | UPDATE
        self.pending[p] = self.agenda.at(at, key, self._update, (p, merged))

    def _update(self, happening: Happening) -> None:
        p, merged = happening.subject
        now = self.agenda._now
        del self.pending[p]
        if merged:
            self.last[p] = now
        self.apply(p, now)


class Watched:
    """What is known of one host."""

    __slots__ = ("all", "back_at", "backoff", "ejected_at", "failures", "noted", "ok")

    def __init__(self) -> None:
        self.failures = {D5: 0, DG: 0, DL: 0}
        """Consecutive ones, by what they are detected as."""
        self.ejected_at = -1
        self.back_at = -1
        self.backoff = 0
        self.noted: list[int] | None = None
        """The results' row of the ejection, if it has one."""
        self.ok = 0
        self.all = 0

    def take_rate(self) -> tuple[int, float]:
        """Requests of the interval that ends and the percentage of good ones; the next one starts at 0."""
        ok, count = self.ok, self.all
        self.ok = self.all = 0
        return count, ok * 100.0 / count if count else 0.0


class Detector:
    """Outlier detection of one cluster on one pod."""

    __slots__ = (
        "agenda", "base", "count", "drain", "enforcing", "horizon", "hosts", "interval", "key", "longest", "members", "next_tick", "note", "settings",
        "tick_key", "tried", "updates", "watched",
    )

    def __init__(
        self, agenda: Agenda, run_key: int, pod: int, cluster: int, hosts: HostSet, count: Callable[[Counter], None],
        drain: Callable[[int, int], None], note: Callable[[int, int], list[int] | None],
    ) -> None:
        settings = hosts.cluster.outlier_detection
        assert settings is not None
        self.agenda = agenda
        self.key = fold(fold(run_key, name64("outlier/" + hosts.cluster.name)), pod)
        self.settings: OutlierDetection = settings
        self.hosts = hosts
        self.count = count
        self.drain = drain
        """Have the pools to a host closed on all workers of the pod."""
        self.note = note
        """Have an ejection written down."""
        self.interval = max(1, ns(settings.interval_s))
        self.base = max(1, ns(settings.base_ejection_time_s))
        self.longest = max(self.base, ns(settings.max_ejection_time_s))
        self.enforcing = {
            D5: settings.enforcing_consecutive_5xx, DG: settings.enforcing_consecutive_gateway_failure,
            DL: settings.enforcing_consecutive_local_origin_failure, DS: settings.enforcing_success_rate,
            DF: settings.enforcing_failure_percentage,
        }
        self.members = sorted(h for members in hosts.all for h in members)
        self.watched = {h: Watched() for h in self.members}
        self.tried = 0
        self.updates = Updates(agenda, pod, cluster, max(1, ns(hosts.cluster.update_merge_window_s)), self._apply)
        self.tick_key = place_of(RANK_CONTROL, pod) | name_of(cluster, 0, 0) | TICK
        self.horizon = 0
        self.next_tick: Happening | None = None

    def start(self, now: int, horizon: int, warm: bool) -> None:
        """Set the first tick; with a warm start the interval is somewhere in its course."""
        self.horizon = horizon
        self._tick_at(now + (1 + below(draw64(self.key, Purpose.OUTLIER), self.interval) if warm else self.interval))

    def stop(self) -> None:
        """The pod is gone."""
        for event in (self.next_tick, *self.updates.pending.values()):
            if event is not None:
                event.cancel()

    def hosts_changed(self) -> None:
        """Hosts have come or gone: what is known of those that left is forgotten."""
        self.members = sorted(h for members in self.hosts.all for h in members)
        self.watched = {h: self.watched.get(h) or Watched() for h in self.members}

    # --- results ---------------------------------------------------------------------------------------------

    def answered(self, h: int, status: int, now: int) -> None:
        """A host's answer (Envoy: `putHttpResponseCode`)."""
        host = self.watched.get(h)
        if host is None:
            return
        host.all += 1
        if status < 500:
            host.ok += 1
            host.failures[D5] = host.failures[DG] = 0
            return
        if status in GATEWAY_STATUSES:
            self._failed(h, DG, self.settings.consecutive_gateway_failure, now)
        else:
            host.failures[DG] = 0
        self._failed(h, D5, self.settings.consecutive_5xx, now)

    def failed(self, h: int, now: int, status: int) -> None:
        """No answer: a failure of local origin, or as good as a status (504 for a time-out, 503 for a reset)."""
        if h not in self.watched:
            return
        if self.settings.split_external_local_origin_errors:
            self._failed(h, DL, self.settings.consecutive_local_origin_failure, now)
        else:
            self.answered(h, status, now)

    def attached(self, h: int) -> None:
        """A stream got a connection to the host, so that it can be reached."""
        if self.settings.split_external_local_origin_errors and h in self.watched:
            self.watched[h].failures[DL] = 0

    def connected(self, h: int, now: int) -> None:
        """A byte stream got a connection to the host, which is all that can be told of it."""
        if self.settings.split_external_local_origin_errors:
            self.attached(h)
        else:
            self.answered(h, 200, now)

    def _failed(self, h: int, kind: Counter, threshold: int, now: int) -> None:
        failures = self.watched[h].failures
        failures[kind] += 1
        if failures[kind] == threshold:
            self._detected(h, kind, now)

    # --- ejection --------------------------------------------------------------------------------------------

    def _detected(self, h: int, kind: Counter, now: int) -> None:
        """A host is found bad: eject it, unless too many are out (Envoy: `onConsecutiveErrorWorker`, `ejectHost`)."""
        if self.hosts.ejected[h]:
            return
        self.count(kind)
        host = self.watched[h]
        if kind in host.failures:
            host.failures[kind] = 0
        ejected = sum(self.hosts.ejected)
        if not 100.0 * (ejected + 1) / len(self.members) <= self.settings.max_ejection_percent:
            self.count(Counter.OUTLIER_EJECTIONS_OVERFLOW)
            return
        z = draw64(fold(self.key, self.tried), Purpose.ENFORCING)
        self.tried += 1
        if below(z, 100) >= self.enforcing[kind]:
            return
        self.count(Counter.OUTLIER_EJECTIONS_ENFORCED_TOTAL)
        self.hosts.ejected[h] = True
        host.ejected_at = now
        host.noted = self.note(h, now)
        if host.backoff * self.base < self.longest + self.base:
            host.backoff += 1
        self.drain(h, now)
        self.updates.due(self.hosts.priority(h), now)

    def _apply(self, p: int, now: int) -> None:
        self.hosts.refresh(p, now)

    # --- ticks -----------------------------------------------------------------------------------------------

    def _tick_at(self, at: int) -> None:
        if at < self.horizon:
            self.next_tick = self.agenda.at(at, self.tick_key, self._tick, None)

    def _tick(self, happening: Happening) -> None:
        """Bring hosts back, judge the interval, forgive (Envoy: `onIntervalTimer`)."""
        now = self.agenda._now
        for h in self.members:
            self._bring_back(h, now)
        rates = {h: self.watched[h].take_rate() for h in self.members}
        rates = {h: rate for h, rate in rates.items() if not self.hosts.ejected[h] and rate[0] > 0}
        if self.settings.enforcing_success_rate > 0:
            self._judge_success_rates(rates, now)
        if self.settings.enforcing_failure_percentage > 0:
            self._judge_failure_percentages(rates, now)
        for h in self.members:
            host = self.watched[h]
            if not self.hosts.ejected[h] and host.back_at >= 0 and now - host.back_at >= self.interval and host.backoff > 0:
                host.backoff -= 1
        self._tick_at(now + self.interval)

    def _bring_back(self, h: int, now: int) -> None:
        host = self.watched[h]
        if self.hosts.ejected[h] and now - host.ejected_at >= min(self.base * host.backoff, self.longest):
            self.hosts.ejected[h] = False
            host.back_at = now
            if host.noted is not None:
                host.noted[-1] = now
            host.failures = {D5: 0, DG: 0, DL: 0}
            self.updates.due(self.hosts.priority(h), now)

    def _judge_success_rates(self, rates: dict[int, tuple[int, float]], now: int) -> None:
        """Eject what lies far below the mean (Envoy: `processSuccessRateEjections`)."""
        settings = self.settings
        valid = {h: rate for h, (count, rate) in rates.items() if count >= settings.success_rate_request_volume}
        if len(valid) < max(1, settings.success_rate_minimum_hosts):
            return
        mean = 0.0
        for rate in valid.values():
            mean += rate
        mean /= len(valid)
        variance = 0.0
        for rate in valid.values():
            variance += (rate - mean) * (rate - mean)
        threshold = mean - settings.success_rate_stdev_factor / 1000.0 * sqrt(variance / len(valid))
        for h, rate in valid.items():
            if rate < threshold:
                self._detected(h, DS, now)

    def _judge_failure_percentages(self, rates: dict[int, tuple[int, float]], now: int) -> None:
        settings = self.settings
        valid = {h: rate for h, (count, rate) in rates.items() if count >= settings.failure_percentage_request_volume}
        if len(valid) < max(1, settings.failure_percentage_minimum_hosts):
            return
        for h, rate in valid.items():
            if 100.0 - rate >= settings.failure_percentage_threshold:
                self._detected(h, DF, now)
