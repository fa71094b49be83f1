"""Runs of a real Envoy under Poisson load, each twice with the same arrivals; disturbed slices of time are thrown away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gwsim.envoy.calibrate.bench import Bench
from gwsim.envoy.calibrate.rounds import ACCEPTED_WAIT
from gwsim.envoy.latency.cases import Case
from gwsim.envoy.load import Load, Request, Target, Tls, poisson, send
from gwsim.envoy.load.sent import ACCEPTED_LATENESS
from gwsim.envoy.workers import Thread, Usage

Floats = npt.NDArray[np.float64]
SLICE_S = 0.25
CONNECTIONS = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """One run. Latency counts from when a request was really sent, which is what the model is driven by."""

    rate_rps: float
    arrivals_s: Floats
    latency_s: Floats
    kept: npt.NDArray[np.bool_]
    """Requests that were answered, and due in a slice in which the worker did not wait for its core."""
    busy_s: float
    duration_s: float
    slices: int
    slices_kept: int
    lateness: float
    """The generator's mean lateness over the median latency."""

    @property
    def utilisation(self) -> float:
        """CPU of the worker over the time of the arrivals."""
        return self.busy_s / self.duration_s

    @property
    def late(self) -> bool:
        """Whether the generator itself was too late for the run to count."""
        return self.lateness > ACCEPTED_LATENESS

    def figures(self) -> dict[str, float]:
        """Utilisation, and mean and quantiles of the latency of what was kept, seconds."""
        return {"utilisation": self.utilisation, **figures(self.latency_s[self.kept])}


def figures(latency_s: Floats) -> dict[str, float]:
    """Mean, p50, p90 and p99; NaN without requests."""
    if not len(latency_s):
        return dict.fromkeys(("mean", "p50", "p90", "p99"), float("nan"))
    p50, p90, p99 = np.quantile(latency_s, [0.5, 0.9, 0.99])
    return {"mean": float(latency_s.mean()), "p50": float(p50), "p90": float(p90), "p99": float(p99)}


def measure(bench: Bench, case: Case, rate_rps: float, seconds: float, seed: int) -> Run:
    """One run at a rate."""
    schedule = poisson(rate_rps, seconds, seed=seed)
    load = Load(
        target=Target(port=bench.ports[case.subject], tls=Tls(sni="localhost", version="1.3") if case.certificate else None), requests=(Request(),),
        schedule=schedule, connections=CONNECTIONS, per_connection=0 if case.kept else 1, warm=case.kept, timeout_s=10.0,
    )  # fmt: skip
    with _watched(bench.worker) as seen:
        before = bench.worker.usage()
        sent = send(load)
        end = time.perf_counter()
        used = bench.worker.usage() - before
    start = end - float(np.nanmax(sent.done_s))
    quiet, slices, slices_kept = _quiet(seen, start, sent.due_s)
    arrivals = np.nan_to_num(sent.acted_s, nan=0.0)
    order = np.argsort(arrivals, kind="stable")
    return Run(
        rate_rps=rate_rps, arrivals_s=arrivals[order], latency_s=(sent.done_s - sent.acted_s)[order], kept=(sent.answered & quiet)[order],
        busy_s=used.run_s, duration_s=max(schedule.duration_s, 1e-3), slices=slices, slices_kept=slices_kept, lateness=sent.lateness,
    )  # fmt: skip


@contextmanager
def _watched(worker: Thread) -> Iterator[list[tuple[float, Usage]]]:
    """What the worker used, read a few times a second."""
    seen = [(time.perf_counter(), worker.usage())]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(SLICE_S):
            seen.append((time.perf_counter(), worker.usage()))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(5)


def _quiet(seen: list[tuple[float, Usage]], start: float, due_s: Floats) -> tuple[npt.NDArray[np.bool_], int, int]:
    """Which requests were due in quiet slices; how many slices there were, and how many were quiet."""
    if len(seen) < 2:
        return np.zeros(len(due_s), dtype=np.bool_), 0, 0
    at = np.array([time for time, _ in seen]) - start
    good = np.array([(b.wait_s - a.wait_s) <= ACCEPTED_WAIT * (t1 - t0) for (t0, a), (t1, b) in pairwise(seen)])
    which = np.clip(np.searchsorted(at, due_s, side="right") - 1, 0, len(good) - 1)
    return np.asarray(good[which], dtype=np.bool_), len(good), int(good.sum())


__all__ = ["Run", "figures", "measure"]
