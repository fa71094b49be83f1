"""How many pods a load needs, and how much load so many pods carry.

Both are searches on simulated tries that share their random numbers. The number of pods is found by doubling and
halving, as if more pods were always better; then the neighbours are tried, and where they say otherwise (more pods can
lower throughput: each keeps its own pool of connections) every number is, and that is told. The answer is confirmed
on replications that no search has looked at. Capacity is an interval: from the largest load that held to the
smallest that did not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gwsim.planning.probes import Prober, Try

PRECISION = 0.03
"""A capacity is known when the two ends of its interval are this close."""
MOST_STEPS = 12
FULL = 0.95
"""A worker that is busier has no time left for what fewer pods would send it."""
GROWTH = 1.6
"""The first step of a search for the capacity; each is this factor longer than the last."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """The fewest pods that carry a load; `best` None: none of those allowed does. `notes` are told to the user."""

    load_rps: float
    best: Try | None
    below: Try | None
    """The try with one pod less, which does not hold; None at the least number allowed."""
    confirmed: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The load that so many pods carry: budgets hold at `low_rps` and not at `high_rps` (None: never seen to fail)."""

    replicas: int
    low_rps: float | None
    high_rps: float | None
    limit: str
    """What fails at `high_rps`."""


def needed(prober: Prober, load: float, fewest: int, most: int) -> Need:
    """The fewest pods, within the bounds, with which the budgets hold under a load."""
    notes: list[str] = []
    low, high = _bracket(prober, load, fewest, most)
    while high is not None and low is not None and high - low > 1:
        middle = (low + high) // 2
        if prober.at(middle, load).holds:
            high = middle
        else:
            low = middle
    best = _fewer(prober, load, fewest, most, notes) if high is None else _neighbours(prober, load, high, fewest, most, notes)
    if best is None:
        return Need(load_rps=load, best=None, below=None, confirmed=False, notes=(_why_not(prober, load, most),))
    confirmed = prober.at(best, load, fresh=True)
    while not confirmed.holds and best < most:
        notes.append(f"{best} pods held in the search, but not on fresh replications ({confirmed.failing})")
        best += 1
        confirmed = prober.at(best, load, fresh=True)
    below = prober.at(best - 1, load) if best > fewest else None
    if below is not None and below.holds is None:
        notes.append(f"with {below.replicas} pods it stays undecided ({below.failing})")
    return Need(load_rps=load, best=confirmed, below=below, confirmed=bool(confirmed.holds), notes=tuple(notes))


def _bracket(prober: Prober, load: float, fewest: int, most: int) -> tuple[int | None, int | None]:
    """A number that fails and a larger one that holds; None where there is none of the kind."""
    here = min(max(_guess(prober, load, most), fewest), most)
    if prober.at(here, load).holds:
        high, step = here, 1
        while high > fewest:
            lower = max(high - step, fewest)
            if not prober.at(lower, load).holds:
                return lower, high
            high, step = lower, 2 * step
        return None, high
    low, step = here, 1
    while low < most:
        higher = min(low + step, most)
        if prober.at(higher, load).holds:
            return low, higher
        low, step = higher, 2 * step
    return low, None


def _fewer(prober: Prober, load: float, fewest: int, most: int, notes: list[str]) -> int | None:
    """The least number below all those that failed: where backends are full, more pods only send them more at once.

    It ends where a worker is full, which with fewer pods would be so all the more.
    """
    found = None
    for n in range(min(replicas for replicas, at, _ in prober.tries if at == load) - 1, fewest - 1, -1):
        tried = prober.at(n, load)
        if tried.holds:
            found = n
        if (tried.row.get("busiest_worker_utilisation") or 0.0) >= FULL:
            break
    if found is not None:
        notes.append(f"more pods are not always better here: {found} hold the budgets, {most} do not ({prober.at(most, load).failing})")
    return found


def _guess(prober: Prober, load: float, most: int) -> int:
    """Pods at 60 % of their workers' time, from the CPU of whatever try is nearest; at first a middling number."""
    known = [one for one in prober.tries.values() if one.row["gateway_cpu_cores"] and one.row["served_rps"]]
    if not known:
        return max(1, round(math.sqrt(most)))
    near = min(known, key=lambda one: abs(math.log(one.load_rps / load)))
    fleet = next(one for one in near.results.fleets if one.gateway == prober.gateway)
    per_pod = fleet.workers / max(fleet.pods, 1)
    served = fleet.requests_per_s.value or near.row["served_rps"]
    cores = (fleet.cpu_cores.value or 0.0) / served * load if served else 0.0
    return max(1, math.ceil(cores / per_pod / 0.6))


def _neighbours(prober: Prober, load: float, best: int, fewest: int, most: int, notes: list[str]) -> int:
    """Try the next larger numbers; where one fails, more pods are not always better, and all are tried."""
    larger = [n for n in (best + 1, best + 2) if n <= most]
    if all(prober.at(n, load).holds for n in larger):
        return best
    notes.append("more pods are not always better here, so every number of pods was tried")
    holding = [n for n in range(fewest, most + 1) if prober.at(n, load).holds]
    return holding[0] if holding else best


def _why_not(prober: Prober, load: float, most: int) -> str:
    return f"even {most} pods do not carry it: {prober.at(most, load).failing}"


def carried(prober: Prober, replicas: int, start: float) -> Capacity:
    """The load that so many pods carry, to within a few percent; `start` is where to begin."""
    low, high = _loads(prober, replicas, start)
    steps = 0
    while low is not None and high is not None and high / low > 1.0 + PRECISION and steps < MOST_STEPS:
        middle = _round(math.sqrt(low * high))
        if not low < middle < high:
            break
        if prober.at(replicas, middle).holds:
            low = middle
        else:
            high = middle
        steps += 1
    limit = prober.at(replicas, high).failing if high is not None else ""
    return Capacity(replicas=replicas, low_rps=low, high_rps=high, limit=limit)


def _loads(prober: Prober, replicas: int, start: float) -> tuple[float | None, float | None]:
    load = _round(start)
    if prober.at(replicas, load).holds:
        low, growth = load, GROWTH
        for _ in range(MOST_STEPS):
            higher, growth = _round(low * growth), growth * GROWTH
            if not prober.at(replicas, higher).holds:
                return low, higher
            low = higher
        return low, None
    high, growth = load, GROWTH
    for _ in range(MOST_STEPS):
        lower, growth = _round(high / growth), growth * GROWTH
        if prober.at(replicas, lower).holds:
            return lower, high
        high = lower
    return None, high


def _round(load: float) -> float:
    """Three figures: tries are found again, and nobody plans for 4,817.3 rps."""
    return float(f"{load:.3g}")


__all__ = ["Capacity", "Need", "carried", "needed"]
