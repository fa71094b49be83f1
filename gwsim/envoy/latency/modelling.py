"""The model driven by recorded arrivals: with service times from the same run, or from a calibration."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np

from gwsim.costs import CostProfile, VisitCosts
from gwsim.envoy.calibrate import loop
from gwsim.envoy.latency.cases import Case
from gwsim.envoy.latency.measuring import CONNECTIONS, Run, figures
from gwsim.scenario.model import Distribution, constant

SHORTEST_S = 1e-6
SHARES = (0.0, 0.01, 0.05, *(n / 10 for n in range(1, 10)), 0.95, 0.98, 0.99, 0.995, 1.0)
EVENTS_KEPT, EVENTS_NEW = 2, 4
"""What the generator waits for in a request: it comes to the backend, and is answered; before that, connected and the ServerHello."""
ROUNDS = 4
SAME = 0.005
"""A service time is fitted once utilisation is this near, relative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Time of a request that is not the gateway's: backend and client, the kernel's work for their sockets among it; as it scatters."""

    upstream: Distribution
    rtt_s: float = 0.0


def priced(base: CostProfile, case: Case) -> VisitCosts:
    """Costs of a case."""
    extra = base.si("filters.lua.base_us") if case.subject == "lua" else 0.0
    return loop.priced_by(base, tls=bool(case.certificate), certificate=case.certificate or "rsa2048", extra_read_s=extra)


def simulate(run: Run, case: Case, costs_: VisitCosts, outside: Outside) -> dict[str, float]:
    """Figures of the requests that were kept of the run, as the model has them."""
    made = _run(run, case, costs_, outside)
    return {"utilisation": made.busy_s / run.duration_s, **figures(made.latency_s[run.kept])}


def _run(run: Run, case: Case, costs_: VisitCosts, outside: Outside) -> loop.Simulated:
    traffic = loop.Traffic(connections=CONNECTIONS, per_connection=0 if case.kept else 1, tls=bool(case.certificate))
    return loop.simulate(costs_, run.arrivals_s, upstream_s=outside.upstream, rtt_s=outside.rtt_s, traffic=traffic, in_order=True)


def scaled(costs_: VisitCosts, factor: float) -> VisitCosts:
    """All CPU times multiplied."""
    return replace(costs_, **{one.name: getattr(costs_, one.name) * factor for one in fields(costs_) if one.name.endswith("_s")})


def from_same_run(run: Run, case: Case, costs_: VisitCosts, outside: Outside) -> tuple[VisitCosts, float]:
    """Costs scaled so that the model is as busy as the worker was in this very run, and the factor."""
    factor = 1.0
    for _ in range(ROUNDS):
        found = _run(run, case, scaled(costs_, factor), outside).busy_s / run.busy_s
        factor /= found
        if abs(found - 1.0) < SAME:
            break
    return scaled(costs_, factor), factor


def outside_of(run: Run, case: Case) -> Outside:
    """What the generator itself, backend and client in one, adds to the requests of a run, as the time of the model's backend.

    It is what it worked for each, and how long what happened had to wait for it. Requests fall due at random instants and
    find it as anything else does, asleep or at work, so that wait is drawn from how late they were sent, once an event.
    """
    own, late = run.own_s[run.kept], run.late_s[run.kept]
    if not len(own):
        return Outside(upstream=constant(SHORTEST_S))
    rng = np.random.default_rng(len(own))
    for _ in range(EVENTS_KEPT if case.kept else EVENTS_NEW):
        own = own + rng.permutation(late)
    points = tuple((float(q), max(float(np.quantile(own, q)), SHORTEST_S)) for q in SHARES)
    mean = sum((p1 - p0) * (x0 + x1) / 2 for (p0, x0), (p1, x1) in pairwise(points))
    return Outside(upstream=Distribution(kind="quantiles", points=points, mean=mean))


__all__ = ["Outside", "from_same_run", "outside_of", "priced", "scaled", "simulate"]
