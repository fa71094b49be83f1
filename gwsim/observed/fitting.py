"""Service times of backends fitted to the durations that a gateway recorded.

A gateway's duration is its own time and the backend's. The model says what its own time is, so the service time's median
and p90 are moved until the model's durations, counted into the same buckets, have the recorded p50 and p90.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gwsim.observed import prometheus
from gwsim.observed.replay import Predicted
from gwsim.observed.window import UNROUTED, Observed
from gwsim.planning.preparation import Prepared

ROUNDS = 4
CLOSE = 0.02
"""A fit ends when both quantiles are this near, relative."""
SHORTEST_S = 0.2e-3
LEAST_RATIO, MOST_RATIO = 1.02, 50.0
"""Bounds of p90 over median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A backend's service time: lognormal by its median and p90, and upstream's own errors by status."""

    service: str
    backend: str
    median_s: float
    p90_s: float
    errors: Mapping[int, float] = field(default_factory=dict)
    subsets: tuple[str, ...] = ()

    def settings(self) -> list[str]:
        """The settings of the scenario that say so; subsets are taken as equal."""
        time = f"{{lognormal: {{median: {self.median_s * 1e3:.6g}ms, p90: {self.p90_s * 1e3:.6g}ms}}}}"
        made = [f'backends["{self.backend}"].service_time={time}']
        made += [f'backends["{self.backend}"].subsets["{subset}"].service_time={time}' for subset in self.subsets]
        if self.errors:
            shares = ", ".join(f"{status}: {share:.6f}" for status, share in sorted(self.errors.items()))
            made.append(f'backends["{self.backend}"].errors={{{shares}}}')
        return made


def start(prepared: Prepared, observed: Observed) -> list[Fitted]:
    """Where a fit begins: the recorded durations themselves. Services without enough durations stay as the scenario has them."""
    names = _backends(prepared)
    made = []
    for service, (bounds, cumulative) in observed.durations.items():
        if service not in names or service == UNROUTED:
            continue
        median, p90 = (prometheus.quantile(bounds, cumulative, q) for q in (0.5, 0.9))
        if not (math.isfinite(median) and median > 0):
            continue
        rate = observed.rate_of(service)
        errors = {status: per_s / rate for status, per_s in observed.statuses.get(service, {}).items() if rate > 0}
        backend, subsets = names[service]
        made.append(_bounded(Fitted(service=service, backend=backend, median_s=median, p90_s=p90, errors=errors, subsets=subsets)))
    return made


def _backends(prepared: Prepared) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Services by name: what the scenario calls the backend, and its subsets that have a service time of their own."""
    written = prepared.project.loaded.scenario.backends
    made: dict[str, tuple[str, tuple[str, ...]]] = {}
    for label in prepared.resolved.stations:
        service = label.backend.rpartition("/")[2]
        key = next((name for name in (label.backend, service) if name in written), label.backend)
        section = written.get(key)
        subsets = tuple(name for name, one in section.subsets.items() if one.service_time is not None) if section else ()
        made.setdefault(service, (key, subsets))
    return made


def _bounded(one: Fitted) -> Fitted:
    median = max(one.median_s, SHORTEST_S)
    p90 = min(max(one.p90_s, median * LEAST_RATIO), median * MOST_RATIO)
    return Fitted(service=one.service, backend=one.backend, median_s=median, p90_s=p90, errors=one.errors, subsets=one.subsets)


def fit(begin: list[Fitted], observed: Observed, run: Callable[[list[Fitted]], Predicted]) -> tuple[list[Fitted], list[str]]:
    """Move medians and p90s until the model's bucketed quantiles are the recorded ones; gives notes on what stayed apart."""
    now = begin
    off: dict[str, float] = {}
    for _ in range(ROUNDS):
        if not now:
            break
        predicted = run(now)
        moved = []
        for one in now:
            bounds, cumulative = observed.durations[one.service]
            wanted = [prometheus.quantile(bounds, cumulative, q) for q in (0.5, 0.9)]
            found = [predicted.quantile(one.service, bounds, q) for q in (0.5, 0.9)]
            if not all(map(math.isfinite, (*wanted, *found))):
                moved.append(one)
                continue
            off[one.service] = max(abs(f / w - 1.0) for f, w in zip(found, wanted, strict=True) if w > 0)
            moved.append(_bounded(Fitted(
                service=one.service, backend=one.backend, median_s=one.median_s + wanted[0] - found[0],
                p90_s=one.p90_s + wanted[1] - found[1], errors=one.errors, subsets=one.subsets,
            )))  # fmt: skip
        if all(value <= CLOSE for value in off.values()):
            break
        now = moved
    notes = [f"{service}: the fit still differs by {value:.0%} at p50 or p90" for service, value in off.items() if value > 5 * CLOSE]
    notes += [f"{one.service}: its subsets {', '.join(one.subsets)} are fitted as one" for one in now if one.subsets]
    return now, notes


__all__ = ["Fitted", "fit", "start"]
