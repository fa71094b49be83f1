"""Runs of a real Envoy under Poisson load, each twice with the same arrivals; disturbed slices of time are thrown away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gwsim.envoy.calibrate.bench import Bench
from gwsim.envoy.calibrate.subjects import LOOP_PATH
from gwsim.envoy.latency.cases import Case
from gwsim.envoy.load import Load, Request, Target, Tls, poisson, send
from gwsim.envoy.load.sent import ACCEPTED_LATENESS
from gwsim.envoy.workers import stolen_s, this_thread

Floats = npt.NDArray[np.float64]
SLICE_S = 0.1
ACCEPTED_WAIT = 0.015
"""Share of a slice that worker or generator may have waited for their cores; a slice after a worse one still feels it."""
ACCEPTED_BUSY = 0.5
"""Share of a run in which the generator may have been at work itself: what waits for it looks like the gateway's latency."""
LEAST_KEPT = 0.5
TRIES = 3
CONNECTIONS = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """One run. Latency counts from when a request was really sent, which is what the model is driven by."""

    rate_rps: float
    arrivals_s: Floats
    latency_s: Floats
    kept: npt.NDArray[np.bool_]
    """Requests that were answered, and due in a slice in which neither the worker nor the generator waited for its core."""
    busy_s: float
    duration_s: float
    slices: int
    slices_kept: int
    lateness: float
    """The generator's mean lateness over the median latency, of what was kept."""
    generator_busy: float = 0.0
    own_s: Floats = field(default_factory=lambda: np.zeros(0))
    """How much of each latency the generator worked for that request."""
    late_s: Floats = field(default_factory=lambda: np.zeros(0))
    """How late each request was sent: what anything that happens waits for the generator."""

    @property
    def utilisation(self) -> float:
        """CPU of the worker over the time of the arrivals."""
        return self.busy_s / self.duration_s

    @property
    def late(self) -> bool:
        """Whether the generator itself was too late, or too busy, for the run to count."""
        return self.lateness > ACCEPTED_LATENESS or self.generator_busy > ACCEPTED_BUSY

    @property
    def usable(self) -> bool:
        """Whether it says something about the gateway."""
        return not self.late and self.slices_kept >= LEAST_KEPT * self.slices

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
    """One run at a rate, tried again while the machine disturbs it; the least disturbed where none is usable.

    Whether a run is usable depends on generator and host alone, so that trying again does not choose among results.
    """
    best = _once(bench, case, rate_rps, seconds, seed)
    for _ in range(TRIES - 1):
        if best.usable:
            break
        best = max(best, _once(bench, case, rate_rps, seconds, seed), key=lambda run: (run.usable, not run.late, run.slices_kept))
    return best


def _once(bench: Bench, case: Case, rate_rps: float, seconds: float, seed: int) -> Run:
    schedule = poisson(rate_rps, seconds, seed=seed)
    load = Load(
        target=Target(port=bench.ports[case.subject], tls=Tls(sni="localhost", version="1.3") if case.certificate else None),
        requests=(Request(path=LOOP_PATH),), schedule=schedule, connections=CONNECTIONS, per_connection=0 if case.kept else 1, warm=case.kept,
        timeout_s=10.0, backend=bench.backend, spin_s=bench.spin_s,
    )  # fmt: skip
    seen: list[Seen] = []
    own = this_thread()

    def watch(now_s: float) -> None:
        seen.append(Seen(now_s, bench.worker.usage().wait_s, own.usage().wait_s, stolen_s()))

    before = bench.worker.usage()
    sent = send(load, watch=watch, every_s=SLICE_S)
    used = bench.worker.usage() - before
    quiet, slices, slices_kept = _quiet(seen, sent.due_s)
    kept = sent.answered & quiet
    median = float(np.median(sent.latency_s[kept])) if kept.any() else 0.0
    arrivals = np.nan_to_num(sent.acted_s, nan=0.0)
    order = np.argsort(arrivals, kind="stable")
    return Run(
        rate_rps=rate_rps, arrivals_s=arrivals[order], latency_s=(sent.done_s - sent.acted_s)[order], kept=kept[order],
        busy_s=used.run_s, duration_s=max(schedule.duration_s, 1e-3), slices=slices, slices_kept=slices_kept,
        lateness=float(sent.lateness_s[kept].mean()) / median if median else math.inf,
        generator_busy=sent.busy, own_s=np.zeros(len(sent)) if sent.own_s is None else sent.own_s[order],
        late_s=sent.lateness_s[order],
    )  # fmt: skip


class Seen(NamedTuple):
    """At an instant: for how long the worker and the generator have waited for their cores so far, and what the host took."""

    at_s: float
    worker_s: float
    generator_s: float
    stolen_s: float


def _quiet(seen: Sequence[Seen], due_s: Floats) -> tuple[npt.NDArray[np.bool_], int, int]:
    """Which requests were due in quiet slices; how many slices there were, and how many were quiet."""
    if len(seen) < 2:
        return np.zeros(len(due_s), dtype=np.bool_), 0, 0
    good = np.array([max(x - y for x, y in zip(b[1:], a[1:], strict=True)) <= ACCEPTED_WAIT * (b.at_s - a.at_s) for a, b in pairwise(seen)])
    good[1:] &= good[:-1]
    which = np.clip(np.searchsorted([one.at_s for one in seen], due_s, side="right") - 1, 0, len(good) - 1)
    return np.asarray(good[which], dtype=np.bool_), len(good), int(good.sum())


__all__ = ["Run", "figures", "measure"]
