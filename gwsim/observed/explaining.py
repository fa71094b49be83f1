"""Which inputs would explain a miss best.

Each candidate is changed by itself and the replay run again with the same seed; that gives the direction in which the
metrics move. The best step along it is a least-squares fit of one number, kept within what is plausible; what is left
of the squared error says how much the candidate explains. Metrics count as logarithms, so a factor is a factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gwsim.observed.fitting import Fitted
from gwsim.observed.prometheus import Floats
from gwsim.planning.preparation import Prepared

NOISE = 0.02
"""Differences of less than this, relative, are no miss."""
MOST_BACKENDS = 3
BODY = ("body.read_ns_per_byte", "body.write_ns_per_byte", "tls.record_ns_per_byte")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An input, how to write it when multiplied by a factor, and how far it may plausibly be off."""

    name: str
    settings: Callable[[float], list[str]]
    probe: float
    low: float
    high: float
    value: Callable[[float], str]
    """What the input would be at a factor, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How much of the squared error an input explains at its best factor."""

    name: str
    factor: float
    explained: float
    suggestion: str
    bounded: bool
    """The best factor lies outside what is plausible; `factor` is the bound."""


def candidates(prepared: Prepared, fitted: Sequence[Fitted]) -> list[Candidate]:
    """The inputs that a metric of Istio cannot tell, and those that were fitted on another window."""
    scenario = prepared.project.loaded.scenario
    speed = scenario.costs.speed or 1.0
    made = [
        Candidate(
            name="speed of the gateway's machines (costs.speed)", settings=lambda f: [f"costs.speed={speed * f:.6g}"], probe=1.25, low=1 / 3, high=3.0,
            value=lambda f: f"costs.speed={speed * f:.3g}",
        )
    ]
    made += [_service_time(one) for one in fitted[:MOST_BACKENDS]]
    for one in fitted[:MOST_BACKENDS]:
        section = scenario.backends.get(one.backend)
        if section is not None and section.concurrency:
            made.append(_concurrency(one.backend, section.concurrency))
    for name, client in scenario.clients.items():
        made.append(_reuse(name, client.connection.requests))
    made.append(_bodies(prepared))
    return made


def _service_time(one: Fitted) -> Candidate:
    def at(f: float) -> list[str]:
        return Fitted(service=one.service, backend=one.backend, median_s=one.median_s * f, p90_s=one.p90_s * f, subsets=one.subsets).settings()

    return Candidate(
        name=f"service time of {one.backend}", settings=at, probe=1.25, low=0.2, high=5.0,
        value=lambda f: f"median {one.median_s * f * 1e3:.3g} ms (fitted: {one.median_s * 1e3:.3g} ms)",
    )


def _concurrency(backend: str, now: int) -> Candidate:
    return Candidate(
        name=f"concurrency of {backend}", settings=lambda f: [f'backends["{backend}"].concurrency={max(1, round(now * f))}'], probe=0.5, low=0.1,
        high=4.0, value=lambda f: f"{max(1, round(now * f))} at a time (scenario: {now})",
    )


def _reuse(client: str, now: int) -> Candidate:
    # Without a limit a connection lives for ever; a thousand requests is near enough to that to start from.
    base = now or 1000
    return Candidate(
        name=f"requests per connection of client {client}", settings=lambda f: [f"clients.{client}.connection.requests={max(1, round(base * f))}"],
        probe=0.5, low=1 / base, high=20.0, value=lambda f: f"{max(1, round(base * f))} requests per connection (scenario: {now or 'no limit'})",
    )


def _bodies(prepared: Prepared) -> Candidate:
    from gwsim.diagnostics import Collector
    from gwsim.scenario.costing import profile_of

    profile = profile_of(prepared.project.loaded, Collector())
    return Candidate(
        name="sizes of bodies", settings=lambda f: [f'costs.overrides["{path}"]={profile[path].value * f:.6g}' for path in BODY], probe=2.0, low=0.1,
        high=10.0, value=lambda f: f"{f:.2g} times the bytes",
    )


def explain(
    wanted: Mapping[str, float], base: Mapping[str, float], made: Sequence[Candidate], run: Callable[[list[str]], Mapping[str, float]], most: int = 3
) -> list[Explanation]:
    """The candidates that explain the difference of `wanted` to `base` best, each alone, the best first."""
    names = [name for name in wanted if _usable(wanted[name]) and _usable(base.get(name, math.nan))]
    miss = np.array([math.log(wanted[name] / base[name]) for name in names])
    miss = np.where(np.abs(miss) < NOISE, 0.0, miss)
    if not names or not miss.any():
        return []
    found = []
    for one in made:
        moved = run(one.settings(one.probe))
        if not all(_usable(moved.get(name, math.nan)) for name in names):
            continue
        direction = np.array([math.log(moved[name] / base[name]) for name in names]) / math.log(one.probe)
        found.append(_best(one, direction, miss))
    found.sort(key=lambda one: -one.explained)
    return [one for one in found if one.explained > 0.01][:most]


def _usable(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _best(one: Candidate, direction: Floats, miss: Floats) -> Explanation:
    strength = float(direction @ direction)
    step = float(direction @ miss) / strength if strength > 1e-9 else 0.0
    kept = min(max(step, math.log(one.low)), math.log(one.high))
    left = miss - kept * direction
    factor = math.exp(kept)
    return Explanation(
        name=one.name, factor=factor, explained=max(0.0, 1.0 - float(left @ left) / float(miss @ miss)), suggestion=one.value(factor),
        bounded=kept != step,
    )


__all__ = ["Candidate", "Explanation", "candidates", "explain"]
