"""Outlier detection against published numbers: section 13 of docs/background/engine-semantics.md.

Sources: Envoy's outlier_detection_impl_test.cc, and a measured Envoy 1.40 (one host that always fails: interval 1 s,
base 1.5 s, `max_ejection_percent` 100).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from builders import MS, client, cluster, fleet, model, records, replay, shape, station, to
from simpy.core import EmptySchedule

from gwsim.engine.codes import Counter, Flag
from gwsim.engine.reference import Options, run
from gwsim.engine.reference.agenda import Agenda
from gwsim.engine.reference.hosts import HostSet
from gwsim.engine.reference.outliers import Detector
from gwsim.scenario.model import SimCluster
from gwsim.topology import OutlierDetection

ALL = Options(records=100_000)
S = 10**9


def watched(hosts: int, **settings: Any) -> SimCluster:
    """A cluster with outlier detection; without panic, as Istio sets it."""
    sim = cluster(*range(hosts))
    fields = {"max_ejection_percent": 100.0} | settings
    return replace(sim, cluster=replace(sim.cluster, outlier_detection=OutlierDetection(**fields), panic_threshold_percent=0.0))


class Bench:
    """A detector on a clock of its own."""

    def __init__(self, hosts: int, **settings: Any) -> None:
        self.counters: dict[Counter, int] = {}
        self.drained: list[int] = []
        self.agenda = Agenda()
        self.hosts = HostSet(watched(hosts, **settings), "", [f"h{i}" for i in range(hosts)], [0] * hosts)
        self.detector = Detector(self.agenda, 1, 0, 0, self.hosts, self._count, lambda host, _: self.drained.append(host), lambda host, now: None)
        self.detector.start(0, 10**13, warm=False)

    def _count(self, counter: Counter) -> None:
        self.counters[counter] = self.counters.get(counter, 0) + 1

    def until(self, seconds: float) -> None:
        """Everything up to and with that instant happens."""
        try:
            while self.agenda._queue and self.agenda._queue[0][0] <= seconds * S:
                self.agenda.step()
        except EmptySchedule:
            pass

    def answers(self, seconds: float, h: int, status: int, times: int = 1) -> None:
        for _ in range(times):
            self.detector.answered(h, status, int(seconds * S))

    @property
    def out(self) -> list[int]:
        return [h for h, ejected in enumerate(self.hosts.ejected) if ejected]

    @property
    def seen_out(self) -> list[int]:
        return [h for h, out in enumerate(self.hosts.unhealthy) if out]


def test_success_rates() -> None:
    """Rates 100, 100, 100, 100, 50: mean 90, deviation 20, threshold 52; out at 10 s, back at the first tick after 40 s."""
    bench = Bench(5, enforcing_success_rate=100, consecutive_5xx=0, consecutive_gateway_failure=0)
    for h in range(5):
        bench.answers(1, h, 200, 200)
    bench.answers(2, 4, 503, 200)
    bench.until(10)
    assert bench.out == [4]
    assert bench.counters[Counter.OUTLIER_DETECTED_SUCCESS_RATE] == 1
    bench.until(39.999)
    assert bench.out == [4]
    bench.until(40)
    assert bench.out == []


def test_success_rates_of_too_few_requests() -> None:
    bench = Bench(5, enforcing_success_rate=100, consecutive_5xx=0)
    for h in range(5):
        bench.answers(1, h, 200, 25)
    bench.answers(2, 4, 503, 25)
    bench.until(10)
    assert bench.out == []


def test_failure_percentages() -> None:
    """83.3 % of failures stay, 85.7 % are ejected."""
    bench = Bench(5, enforcing_failure_percentage=100, consecutive_5xx=0)
    for h in range(5):
        bench.answers(1, h, 200, 50)
    bench.answers(2, 3, 503, 250)
    bench.answers(2, 4, 503, 300)
    bench.until(10)
    assert bench.out == [4]


def test_ejections_grow_and_shrink() -> None:
    """Interval and base 10 s: out for 10, 20, 30 s; two healthy ticks forgive two; then 20 s, and after long health 10 s."""
    bench = Bench(1, interval_s=10.0, base_ejection_time_s=10.0)
    spans = []
    for start, end in ((0, 10), (10, 30), (30, 60), (80, 100), (610, 620)):
        bench.until(start)
        bench.answers(start, 0, 500, 5)
        assert bench.out == [0]
        bench.until(end - 0.001)
        assert bench.out == [0]
        bench.until(end)
        assert bench.out == []
        spans.append(end - start)
    assert spans == [10, 20, 30, 20, 10]


def test_ejections_grow_to_a_maximum() -> None:
    """10, 20, ... 300 s, then 300 s again."""
    bench = Bench(1, interval_s=10.0, base_ejection_time_s=10.0, max_ejection_time_s=300.0)
    now, spans = 0, []
    for _ in range(33):
        bench.answers(now, 0, 500, 5)
        out = now
        while bench.out:
            now += 10
            bench.until(now)
        spans.append(now - out)
    assert spans == [min(10 * (k + 1), 300) for k in range(33)]


@pytest.mark.parametrize(("hosts", "percent", "ejected"), [(3, 50.0, 1), (3, 30.0, 0), (1, 90.0, 0), (10, 10.0, 1), (3, 34.0, 1), (4, 50.0, 2)])
def test_at_most_so_many_percent(hosts: int, percent: float, ejected: int) -> None:
    bench = Bench(hosts, max_ejection_percent=percent)
    for h in range(hosts):
        bench.answers(0, h, 500, 5)
    assert len(bench.out) == ejected
    assert bench.counters.get(Counter.OUTLIER_EJECTIONS_OVERFLOW, 0) == hosts - ejected


def test_detections_without_ejection() -> None:
    """Measured: 3 hosts, 10 %: every fifth failure is a detection, none an ejection."""
    bench = Bench(3, max_ejection_percent=10.0)
    for h in range(3):
        bench.answers(0, h, 503, 15)
    assert bench.counters == {
        Counter.OUTLIER_DETECTED_5XX: 9, Counter.OUTLIER_DETECTED_GATEWAY: 9, Counter.OUTLIER_EJECTIONS_OVERFLOW: 18,
    }


def test_a_good_answer_ends_a_series() -> None:
    bench = Bench(1)
    bench.answers(0, 0, 503, 4)
    bench.answers(0, 0, 404)
    bench.answers(0, 0, 503, 4)
    assert bench.out == []
    bench.answers(0, 0, 503)
    assert bench.out == [0]


def test_gateway_failures_are_a_series_of_their_own() -> None:
    bench = Bench(1, consecutive_5xx=0, consecutive_gateway_failure=3, enforcing_consecutive_gateway_failure=100)
    bench.answers(0, 0, 502, 2)
    bench.answers(0, 0, 500)
    bench.answers(0, 0, 504, 2)
    assert bench.out == []
    bench.answers(0, 0, 503)
    assert bench.out == [0]


@pytest.mark.parametrize("split", [False, True])
def test_time_outs(split: bool) -> None:
    """As good as a 504, or, split, failures of local origin that a connection forgives."""
    bench = Bench(1, split_external_local_origin_errors=split)
    for _ in range(4):
        bench.detector.failed(0, 0, 504)
    bench.detector.attached(0)
    bench.detector.failed(0, 0, 504)
    assert bench.out == ([] if split else [0])
    for _ in range(4):
        bench.detector.failed(0, 0, 504)
    assert bench.out == [0]
    assert (Counter.OUTLIER_DETECTED_LOCAL_ORIGIN in bench.counters) is split


def test_an_enforcing_share() -> None:
    """Half of the detections eject; the rest is only counted."""
    bench = Bench(400, enforcing_consecutive_5xx=50)
    for h in range(400):
        bench.answers(0, h, 500, 5)
    assert 160 < len(bench.out) < 240


def test_updates_within_a_second_are_merged() -> None:
    """The first change is seen at once; the next one, and all until then, a second after it happened."""
    bench = Bench(4)
    bench.answers(1.0, 0, 500, 5)
    bench.until(1.1)
    assert bench.seen_out == [0]
    bench.answers(1.2, 1, 500, 5)
    bench.until(1.5)
    bench.answers(1.6, 2, 500, 5)
    bench.until(2.199)
    assert bench.seen_out == [0]
    bench.until(2.2)
    assert bench.seen_out == [0, 1, 2]
    bench.answers(3.3, 3, 500, 5)
    bench.until(3.301)
    assert bench.seen_out == [0, 1, 2, 3]


# --- in a run ------------------------------------------------------------------------------------------------


def failing(pods: int = 1, seconds: float = 8.0, **settings: Any) -> Any:
    """One host that always answers 503, asked every 10 ms."""
    sim = watched(1, interval_s=1.0, base_ejection_time_s=1.5, **settings)
    web = client(replay(*(i * 10 * MS for i in range(int(seconds * 100)))), shape(to(0)))
    return run(
        model(web, clusters=(sim,), stations=(station(errors=((1.0, 503),)),), fleets=(fleet(pods),), duration_s=seconds, start="cold"),
        0, ALL,
    )


def test_a_host_that_always_fails_as_measured() -> None:
    """Out after five failures, for 1.5, 3, 4.5 s up to the next tick; a return is seen at once, a new ejection a second late."""
    raw = failing(seconds=12.0)
    no_host = [r.start_ns / S for r in records(raw) if r.flags & Flag.UH]
    edges = [(a, b) for a, b in pairwise(no_host) if b - a > 0.02]
    assert no_host[0] == pytest.approx(0.05, abs=0.011)
    assert [a for a, _ in edges] == pytest.approx([1.99, 5.99], abs=0.011)
    assert [b for _, b in edges] == pytest.approx([3.05, 7.05], abs=0.021)
    assert raw.cluster_counters[0, Counter.OUTLIER_EJECTIONS_ENFORCED_TOTAL] == 4


def test_pods_learn_alone() -> None:
    """Each of two pods pays its own five failures before it stops asking."""
    raw = failing(pods=2, seconds=1.0)
    asked = [r for r in records(raw) if r.status == 503 and not r.flags & Flag.UH]
    assert len(asked) == 10
    assert raw.cluster_counters[0, Counter.OUTLIER_EJECTIONS_ENFORCED_TOTAL] == 2


def test_an_ejected_host_loses_its_connections() -> None:
    """Its idle connection is closed, so that a new one is opened when it comes back."""
    raw = failing(seconds=3.0)
    counters = raw.cluster_counters[0]
    assert counters[Counter.UPSTREAM_CX_DESTROY] >= 1
    assert counters[Counter.UPSTREAM_CX_TOTAL] >= counters[Counter.UPSTREAM_CX_DESTROY] + 1
