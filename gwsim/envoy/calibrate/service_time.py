"""The worker's loop: service time under open-loop load at several rates, and the three costs it is made of.

CPU a request = S (its visits) + W x wake-ups + I x iterations. Wake-ups are measured (the worker's voluntary context
switches); iterations are not, and depend on the costs themselves, so the fit runs the loop's model at the measured rates until
both agree. S and I are not told apart by such data: their ratio stays the shipped profile's. A closed loop, in which the worker
hardly sleeps, is the point that tells S from W.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gwsim import costs
from gwsim.costs import CostProfile, VisitCosts
from gwsim.envoy.calibrate import loop
from gwsim.envoy.calibrate.bench import Bench
from gwsim.envoy.calibrate.rounds import ACCEPTED_WAIT, LEAST_KEPT
from gwsim.envoy.calibrate.subjects import LOOP_PATH, SUBJECTS, Subject
from gwsim.errors import UndecidedError

Floats = npt.NDArray[np.float64]

TARGETS = (0.15, 0.4, 0.75)
"""Utilisations aimed at."""
OVERHEAD = (2.2, 1.6, 1.15)
"""CPU of a request at those, over its CPU in a closed loop: a first guess, to find the rate."""
SLICE_S, SLICES = 0.9, 8
MOST_RPS = 20000.0
CONNECTIONS = 16
ROUNDS = 6
RTT_S = 40e-6
"""Of loopback, both ways, with the kernel's work on either side."""
SHORTEST_UPSTREAM_S, LONGEST_UPSTREAM_S = 20e-6, 400e-6
CLOSED_ITERATIONS = 1.0
"""Iterations a request in a closed loop whose worker is always busy: four visits, shared with the others in flight."""
ARRIVALS = 6000
PLAIN = SUBJECTS[0]
VISITS = ("read", "write_up", "read_up", "write_down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """CPU of a request at a rate."""

    target: float
    rate_rps: float
    service_s: float
    spread_s: float
    """Half the width of the range: twice the median's standard error."""
    utilisation: float
    p50_s: float
    sleeps: float
    """Wake-ups a request."""
    kept: int
    slices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What the loop costs, seconds, each with half the width of its range.

    `residuals`: CPU of a request as the whole model has it over CPU measured, less 1, a point each. `upstream_s`: the time
    between the gateway's write and the backend's answer in this bench.
    """

    visits_s: float
    visits_spread_s: float
    wakeup_s: float
    wakeup_spread_s: float
    iteration_s: float
    upstream_s: float
    residuals: tuple[float, ...]
    identified: bool
    """False: wake-ups could not be told apart from visits, and keep the shipped cost."""


def measure(bench: Bench, closed_s: float, *, seed: int = 1, told: Callable[[int, int], None] = lambda _, __: None) -> list[Point]:
    """Open-loop Poisson load at three rates, slices in shuffled order. Raises UndecidedError when too few slices are quiet."""
    rates = [min(target / (closed_s * over), MOST_RPS) for target, over in zip(TARGETS, OVERHEAD, strict=True)]
    order = [at for at in range(len(rates)) for _ in range(SLICES)]
    random.Random(seed).shuffle(order)
    found: dict[int, list[_Slice]] = {at: [] for at in range(len(rates))}
    for number, at in enumerate(order):
        found[at].append(_slice(bench, rates[at], seed * 1000 + number))
        told(number + 1, len(order))
    return [_point(TARGETS[at], rates[at], slices, np.random.default_rng(seed)) for at, slices in found.items()]


@dataclass(frozen=True, slots=True)
class _Slice:
    service_s: float
    sleeps: float
    waited: float
    utilisation: float
    p50_s: float


def _slice(bench: Bench, rate: float, seed: int, subject: Subject = PLAIN, seconds: float = SLICE_S) -> _Slice:
    from gwsim.envoy.load import Load, Request, Target, Tls, poisson, send

    schedule, fresh = poisson(rate, seconds, seed=seed), subject.drive == "new"
    tls = Tls(sni="localhost", version="1.3", offers_ticket=1.0 if subject.resume else 0.0) if subject.certificate else None
    load = Load(
        target=Target(port=bench.ports[subject.name], tls=tls), requests=(Request(path=LOOP_PATH),), schedule=schedule,
        connections=CONNECTIONS, per_connection=1 if fresh else 0, warm=not fresh, timeout_s=10.0, backend=bench.backend, spin_s=bench.spin_s,
    )  # fmt: skip
    before = bench.worker.usage()
    sent = send(load)
    used = bench.worker.usage() - before
    length, count = float(np.nanmax(sent.done_s)), max(len(sent), 1)
    return _Slice(used.run_s / count, used.sleeps / count, used.wait_s / length, used.run_s / length, sent.quantile_s(0.5)[0])


def _point(target: float, rate: float, slices: Sequence[_Slice], rng: np.random.Generator) -> Point:
    kept = [one for one in slices if one.waited <= ACCEPTED_WAIT]
    if len(kept) < max(3, LEAST_KEPT * len(slices)):
        raise UndecidedError(
            f"host too noisy to calibrate: at {rate:.0f} requests/s the worker waited for its core for more than {ACCEPTED_WAIT:.0%} of the time in "
            f"{len(slices) - len(kept)} of {len(slices)} slices; nothing was written"
        )
    service = np.array([one.service_s for one in kept])
    medians = np.median(rng.choice(service, (400, len(service))), axis=1)

    def median(name: str) -> float:
        return float(np.median([getattr(one, name) for one in kept]))

    return Point(
        target=target, rate_rps=rate, service_s=median("service_s"), spread_s=2 * float(medians.std()), sleeps=median("sleeps"), kept=len(kept),
        slices=len(slices), utilisation=median("utilisation"), p50_s=median("p50_s"),
    )  # fmt: skip


# --- what a handshake or a filter adds under load --------------------------------------------------------------

LOADED_S, LOADED_SLICES, LOADED_TARGET = 0.6, 5, 0.4
COLD = 1.4
"""CPU of a request under such a load over its CPU in a closed loop, to find the rate."""
MOST_HANDSHAKES = 800.0
"""A second: what the generator does without being busy itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """CPU of a request of a subject under open-loop load; and the arrivals of one slice, for the model."""

    rate_rps: float
    service_s: float
    spread_s: float
    kept: int


def under_load(bench: Bench, subject: Subject, gross_s: float, *, seed: int = 1) -> Loaded | None:
    """Open-loop slices of one subject at part load; None when too few were quiet."""
    rate = min(LOADED_TARGET / (COLD * gross_s), MOST_HANDSHAKES if subject.drive == "new" else MOST_RPS)
    slices = [_slice(bench, rate, seed * 1000 + 500 + n, subject, LOADED_S) for n in range(LOADED_SLICES)]
    kept = np.array([one.service_s for one in slices if one.waited <= ACCEPTED_WAIT])
    if len(kept) < LEAST_KEPT * len(slices):
        return None
    return Loaded(rate_rps=rate, service_s=float(np.median(kept)), spread_s=float(2 * kept.std() / np.sqrt(len(kept))), kept=len(kept))


def extra(loaded: Loaded, begin_s: float, cost_at: Callable[[float], VisitCosts], *, upstream_s: float, traffic: loop.Traffic, seed: int = 1) -> float:
    """What has to be added to a request for the model to use as much CPU as was measured; `cost_at` gives the costs with it."""
    times, now = _arrivals(loaded.rate_rps, seed)[:3000], begin_s
    for _ in range(3):
        made = loop.simulate(cost_at(max(now, 0.0)), times, upstream_s=upstream_s, rtt_s=RTT_S, traffic=traffic)
        now += loaded.service_s - made.busy_s / len(times)
    return max(now, 0.0)


# --- the fit ---------------------------------------------------------------------------------------------------


def fit(points: Sequence[Point], closed: tuple[float, float], *, seed: int = 1) -> Loop:
    """S and W that reproduce the points and `closed`: CPU and wake-ups of a request in a closed loop."""
    shipped = costs.load()
    visits, wakeup = _visits(shipped), shipped.si("worker.wakeup_us")
    ratio, first_wakeup = shipped.si("worker.iteration_us") / visits, wakeup
    quietest = min(points, key=lambda point: point.rate_rps)
    upstream = min(max(quietest.p50_s - quietest.service_s - RTT_S, SHORTEST_UPSTREAM_S), LONGEST_UPSTREAM_S)
    arrivals = [_arrivals(point.rate_rps, seed + at) for at, point in enumerate(points)]
    measured = np.array([closed[0], *(point.service_s for point in points)])
    sleeps = np.array([closed[1], *(point.sleeps for point in points)])
    design = np.ones((len(measured), 2))
    for _ in range(ROUNDS):
        made = _simulated(shipped, visits, wakeup, visits * ratio, arrivals, upstream)
        iterations = np.array([CLOSED_ITERATIONS, *(one.iterations for one in made)])
        design = np.column_stack([1.0 + ratio * iterations, sleeps])
        (visits, wakeup), *_ = np.linalg.lstsq(design / measured[:, None], np.ones(len(measured)), rcond=None)
        visits, wakeup = max(float(visits), 1e-6), max(float(wakeup), 0.0)
    identified = 0.1 * first_wakeup <= wakeup <= 4 * first_wakeup
    if not identified:
        wakeup = first_wakeup
        visits = max(float(np.mean((measured - wakeup * sleeps) / design[:, 0])), 1e-6)
    made = _simulated(shipped, visits, wakeup, visits * ratio, arrivals, upstream)
    again = [one.busy_s / len(times) / point.service_s - 1.0 for one, times, point in zip(made, arrivals, points, strict=True)]
    off = float(np.sqrt(np.mean((design @ np.array([visits, wakeup]) / measured - 1.0) ** 2)))
    spread = _spreads(design, np.maximum(off * measured, [points[0].spread_s, *(point.spread_s for point in points)]))
    return Loop(
        visits_s=visits, visits_spread_s=spread[0], wakeup_s=wakeup, wakeup_spread_s=spread[1] if identified else wakeup / 2,
        iteration_s=visits * ratio, upstream_s=upstream, residuals=tuple(again), identified=identified,
    )  # fmt: skip


def _simulated(shipped: CostProfile, visits: float, wakeup: float, iteration: float, arrivals: Sequence[Floats], upstream_s: float) -> list[loop.Simulated]:
    priced = with_loop(shipped, visits, wakeup, iteration)
    return [loop.simulate(priced, times, upstream_s=upstream_s, rtt_s=RTT_S, traffic=loop.Traffic(connections=CONNECTIONS)) for times in arrivals]


def _visits(profile: CostProfile) -> float:
    return sum(profile.si(f"http1.{name}_us") for name in VISITS)


def _arrivals(rate: float, seed: int) -> Floats:
    draw = np.random.default_rng(seed)
    return np.cumsum(draw.exponential(1.0 / rate, ARRIVALS))


def _spreads(design: Floats, errors: Floats) -> tuple[float, float]:
    """How far S and W move when every point moves by its error, as independent ones; twice that."""
    moved = 2 * np.sqrt((np.linalg.pinv(design) ** 2) @ errors**2)
    return float(moved[0]), float(moved[1])


def with_loop(shipped: CostProfile, visits_s: float, wakeup_s: float, iteration_s: float) -> VisitCosts:
    """Costs of a plain request whose visits cost so much together, split as the shipped profile has it."""
    priced = loop.priced_by(shipped)
    factor = visits_s / _visits(shipped)
    parts = {f"{name}_s": getattr(priced, f"{name}_s") * factor for name in VISITS}
    return replace(priced, **parts, wakeup_s=wakeup_s, iteration_s=iteration_s)


__all__ = ["TARGETS", "Loaded", "Loop", "Point", "extra", "fit", "measure", "under_load", "with_loop"]
