"""Sums that must hold in every run to the last nanosecond. One that does not is a fault of an engine (70)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsim.engine.schema import RawRun
from gwsim.errors import InternalError
from gwsim.results.labels import Labels


def check(labels: Labels, raws: Sequence[RawRun]) -> None:
    """Raise InternalError, naming the sums and the replications, if a run contradicts itself."""
    broken = [f"replication {r}: {text}" for r, raw in enumerate(raws) for text in violations(labels, raw)]
    if broken:
        raise InternalError("the engine's counts contradict each other: " + "; ".join(broken[:10]))


def violations(labels: Labels, raw: RawRun) -> list[str]:
    """The identities one replication breaks, in words."""
    return [text for text, holds in (*_workers(labels, raw), *_requests(labels, raw), *_latencies(raw), *_streams(raw)) if not holds]


def _workers(labels: Labels, raw: RawRun) -> list[tuple[str, bool]]:
    costs = {fleet.name: (fleet.wakeup_ns, fleet.iteration_ns) for fleet in labels.fleets}
    rows = np.array([costs[w.gateway] for w in labels.workers], dtype=np.int64).reshape(-1, 2)
    expected = raw.worker_visit_ns + rows[:, 0] * raw.worker_wakeups + rows[:, 1] * raw.worker_iterations
    return [
        ("CPU of a worker = visits + wake-ups + iterations", bool(np.array_equal(expected, raw.worker_cpu))),
        ("CPU in the window <= CPU", bool((raw.worker_window_cpu <= raw.worker_cpu).all())),
        ("CPU by time bin <= CPU", int(raw.fleet_bin_cpu.sum()) <= int(raw.worker_cpu.sum())),
    ]


def _requests(labels: Labels, raw: RawRun) -> list[tuple[str, bool]]:
    """What is made for other requests may be unfinished at the end, and is no request of the whole."""
    roots, unfinished = labels.roots, raw.offered - raw.finished
    ending = [i for i in roots if not labels.classes[i].stream]  # long streams may be open at the end
    complete = bool(raw.saturated[0]) or not unfinished[ending].any()
    return [
        ("offered = finished + unfinished", bool((unfinished >= 0).all()) and complete),
        ("unfinished measured requests <= requests in flight", int(unfinished[roots].sum()) <= int(raw.in_flight[0])),
        ("statuses = finished", bool(np.array_equal(raw.status.sum(axis=1), raw.finished))),
        ("good = statuses 101 and 200 to 399", bool(np.array_equal(raw.status[:, 200:400].sum(axis=1) + raw.status[:, 101], raw.good))),
        ("handshakes = finished", bool(np.array_equal(raw.handshakes.sum(axis=1), raw.finished))),
        ("covered <= finished", bool((raw.covered <= raw.finished).all())),
        ("measured <= requests", int(raw.offered[roots].sum()) <= int(raw.requests[0])),
        ("arrivals by time bin <= requests", int(raw.bin_arrivals.sum()) <= int(raw.requests[0])),
        ("requests in the system, summed over time = times in the system, summed over requests",
         int(raw.area[0]) == int(raw.sojourn[0])),
        ("time bins of that sum <= that sum", int(raw.bin_area.sum()) <= int(raw.area[0])),
    ]


def _latencies(raw: RawRun) -> list[tuple[str, bool]]:
    return [
        ("components = latency", bool(np.array_equal(raw.component_sum.sum(axis=1), raw.latency_sum))),
        ("latency histogram = covered", bool(np.array_equal(raw.latency_hist.sum(axis=1), raw.covered))),
        ("anatomy table = covered", bool(np.array_equal(raw.anatomy_count.sum(axis=1), raw.covered))),
        ("anatomy table = components", bool(np.array_equal(raw.anatomy_sum.sum(axis=1), raw.component_sum))),
        ("gateway overheads = gateway latencies",
         bool(np.array_equal(raw.overhead_hist.sum(axis=1), raw.gw_hist.sum(axis=1)))),
        ("streams >= gateway latencies", bool((raw.gw_hist.sum(axis=1) <= raw.gw_streams).all())),
    ]


def _streams(raw: RawRun) -> list[tuple[str, bool]]:
    return [
        ("messages delivered <= messages sent", bool((raw.message_count <= raw.message_sent).all())),
        ("histogram of messages = messages delivered", bool(np.array_equal(raw.message_hist.sum(axis=2), raw.message_count))),
        ("open streams by class = open streams by pod", bool(np.array_equal(raw.long_bin_open.sum(axis=0), raw.pod_bin_open.sum(axis=0)))),
    ]
