"""Measured against modelled, load by load, and what it comes to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gwsim.costs import CostProfile
from gwsim.envoy.calibrate import run as calibrating
from gwsim.envoy.calibrate.bench import bench
from gwsim.envoy.calibrate.profile import Calibration, laid_over_shipped
from gwsim.envoy.calibrate.subjects import OfUser
from gwsim.envoy.latency import modelling
from gwsim.envoy.latency.cases import (
    BEFORE_LOAD,
    BENCH_SUBJECTS,
    CASES,
    LOADS,
    LUA_SUBJECT,
    MOST_RPS,
    Case,
)
from gwsim.envoy.latency.measuring import LEAST_KEPT, Run, measure
from gwsim.envoy.workers import machine_class
from gwsim.errors import UndecidedError

FIGURES = ("utilisation", "mean", "p50", "p90", "p99")
MEAN_BOUNDS, P99_BOUNDS = (0.8, 1.25), (0.7, 1.4)
"""Modelled over measured, service time from the same run."""
UTILISATION_OFF = 0.1
SECONDS = 3.0
WAKEUPS = 1.6
"""Wake-ups of a request at low load, to find the rates."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A case at a load: two real runs, and the model."""

    case: Case
    target: float
    rate_rps: float
    measured: Mapping[str, float]
    again: Mapping[str, float]
    """The second real run, with the same arrivals."""
    same_run: Mapping[str, float]
    """The model, with the service time of the first run."""
    same_factor: float
    """Service time of that run over the calibration's."""
    before: Mapping[str, tuple[float, float, float]]
    """The model from the calibration: low, value, high by figure."""
    slices: int
    slices_kept: int
    lateness: float
    late: bool
    generator_busy: float = 0.0

    @property
    def noise(self) -> dict[str, float]:
        """The second real run over the first, less 1."""
        return {name: self.again[name] / self.measured[name] - 1.0 for name in FIGURES}

    @property
    def usable(self) -> bool:
        """Whether it can be judged."""
        return not self.late and self.slices_kept >= LEAST_KEPT * self.slices and math.isfinite(self.measured["p99"])

    def ratio(self, name: str) -> float:
        """Modelled over measured, service time from the same run."""
        return self.same_run[name] / self.measured[name]

    @property
    def met_same_run(self) -> bool:
        """Whether mean and p99 are within their bounds."""
        return MEAN_BOUNDS[0] <= self.ratio("mean") <= MEAN_BOUNDS[1] and P99_BOUNDS[0] <= self.ratio("p99") <= P99_BOUNDS[1]

    def inside(self, name: str) -> bool:
        """Whether the measured figure lies in the range that the calibration gives."""
        low, _, high = self.before[name]
        return low <= self.measured[name] <= high

    @property
    def met_before(self) -> bool:
        """Whether utilisation is near, and mean and p99 lie in their ranges."""
        near = abs(self.before["utilisation"][1] - self.measured["utilisation"]) <= UTILISATION_OFF
        return near and self.inside("mean") and self.inside("p99")


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Everything a verification of latency found."""

    rows: tuple[Row, ...]
    calibration: Calibration
    machine: Mapping[str, object]
    seconds: float

    @property
    def slices(self) -> tuple[int, int]:
        """Slices kept, and all."""
        return sum(row.slices_kept for row in self.rows), sum(row.slices for row in self.rows)

    def check(self) -> None:
        """Raise UndecidedError when the machine was too noisy for the rows to say anything."""
        kept, everything = self.slices
        if kept < LEAST_KEPT * everything or not any(row.usable for row in self.rows):
            raise UndecidedError(
                f"host too noisy: the gateway's worker waited for its core in {everything - kept} of {everything} slices, and "
                f"{sum(row.late for row in self.rows)} of {len(self.rows)} runs had a load generator that was late or busy itself; nothing can be said about the model"
            )

    @property
    def met(self) -> bool:
        """Whether every usable row holds, in both tables."""
        return all(row.met_same_run and row.met_before for row in self.rows if row.usable)


def verify(
    *, realtime: bool = False, seconds: float = SECONDS, seed: int = 1, cases: Sequence[Case] = CASES, loads: Sequence[float] = LOADS,
    told: Callable[[str, int, int], None] = lambda *_: None,
) -> Accuracy:
    """Calibrate, then run every case at every load twice and model it. Raises UndecidedError where calibrating does."""
    calibration = calibrating.calibrate(OfUser(subjects=(LUA_SUBJECT,)), realtime=realtime, seed=seed, told=told)
    profile = laid_over_shipped(calibration)
    measured: list[tuple[Case, float, Run, Run, modelling.Outside]] = []
    total = len(cases) * len(loads)
    with bench(BENCH_SUBJECTS, realtime=realtime) as made:
        for c, case in enumerate(cases):
            before = modelling.outside_of(measure(made, case, rate_of(case, BEFORE_LOAD, profile), seconds, seed + 100 * c), case)
            for n, load in enumerate(loads):
                rate, number = rate_of(case, load, profile), seed + 100 * c + n + 1
                measured.append((case, load, measure(made, case, rate, seconds, number), measure(made, case, rate, seconds, number), before))
                told("latency under load", c * len(loads) + n + 1, total)
    rows = tuple(_row(case, load, first, second, profile, outside) for case, load, first, second, outside in measured)
    return Accuracy(rows=rows, calibration=calibration, machine=machine_class(), seconds=seconds)


def rate_of(case: Case, load: float, profile: CostProfile) -> float:
    """The rate at which the worker is about as busy as wanted, within what the generator can send."""
    priced = modelling.priced(profile, case)
    visits = priced.read_s + priced.write_up_s + priced.read_up_s + priced.write_down_s
    if not case.kept:
        visits += priced.accept_s + priced.close_s + priced.client_hello_full_s + priced.finished_full_s
    each = visits + (WAKEUPS if case.kept else 2 * WAKEUPS) * (1 - load) * priced.wakeup_s + 2 * priced.iteration_s
    # Loads beyond the generator's limit would all be the same: they are spread below it.
    most = MOST_RPS["kept" if case.kept else "new"]
    return min(load / each, most * min(1.0, load / LOADS[-1]))


def _row(case: Case, load: float, first: Run, second: Run, profile: CostProfile, outside: modelling.Outside) -> Row:
    """`outside`: as the run before the rows had it."""
    priced = modelling.priced(profile, case)
    now = modelling.outside_of(first, case)
    same, factor = modelling.from_same_run(first, case, priced, now)
    bounds = [modelling.simulate(first, case, modelling.priced(one, case), outside) for one in (profile.at("low"), profile, profile.at("high"))]
    return Row(
        case=case, target=load, rate_rps=first.rate_rps, measured=first.figures(), again=second.figures(),
        same_run=modelling.simulate(first, case, same, now), same_factor=factor,
        before={name: (bounds[0][name], bounds[1][name], bounds[2][name]) for name in FIGURES},
        slices=first.slices + second.slices, slices_kept=first.slices_kept + second.slices_kept,
        lateness=max(first.lateness, second.lateness), late=first.late or second.late,
        generator_busy=max(first.generator_busy, second.generator_busy),
    )  # fmt: skip


__all__ = ["FIGURES", "MEAN_BOUNDS", "P99_BOUNDS", "UTILISATION_OFF", "Accuracy", "Row", "rate_of", "verify"]
