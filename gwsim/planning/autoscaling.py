"""Which bounds and target to give an autoscaler, for a load that changes.

Every target and lower bound is tried on a fluid model (`fluid`), whose pods may carry what the search for a steady load found;
the one with the fewest pod-hours in which no pod has more, as long as there might be more pods, is simulated in full, with the
autoscaler at work. Where the budgets do not hold there, pods are allowed less, or one pod more is, and the next is tried:
connections that stay on old pods, queues while new pods start, and the spread over workers are only in the full run. It ends
where a fixed fleet is as cheap: then no autoscaler is worth having, which is an answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gwsim.engine import suited
from gwsim.planning.day import Day, with_day
from gwsim.planning.fluid import Course, Fleet, course, rest
from gwsim.planning.preparation import Prepared
from gwsim.planning.probes import FRESH, Prober, Try, holds_of
from gwsim.planning.recommendation import request_cores
from gwsim.planning.replications import Runs
from gwsim.results import Results
from gwsim.results.budgets import Budget
from gwsim.results.evaluation import Budgets, check
from gwsim.scenario.file import GatewayOverride
from gwsim.scenario.lifecycles import SPARE_PLACES, scaling_of
from gwsim.scenario.model import Lifecycle, Scaling
from gwsim.scenario.resolved import FleetLabel, Resolved
from gwsim.topology import Autoscaler

TARGETS = tuple(range(30, 95, 5))
"""Targets tried, percent of the CPU request."""
LADDER = ((1.0, 0), (0.8, 0), (0.6, 0), (0.6, 1), (0.45, 1))
"""One after the other: how much of what a pod carries in a steady search it is given while pods are added, and pods beyond the fixed fleet's."""
WORTH = 0.97
"""An autoscaler is worth having with less than this share of the pod-hours of a fixed fleet."""
REPLICATIONS = 3
MOST_REQUESTS = 30e6
"""Of one full run; a longer day is cut around its steepest rise."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """An autoscaler: bounds and target (percent of the request, cores), and what the fluid model says of it."""

    minimum: int
    maximum: int
    target: int
    request_cores: float
    course: Course


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """A full run with an autoscaler at work; `holds` None: undecided."""

    chosen: Chosen
    holds: bool | None
    budgets: Budgets
    results: Results = field(repr=False)
    gateway: str

    @property
    def mean_pods(self) -> float:
        """Over the run, of the pods that exist."""
        line = self.results.timeline
        pods, lengths = line.pods[self.gateway].value, line.edges_s[1:] - line.edges_s[:-1]
        return float((pods * lengths).sum() / lengths.sum())

    @property
    def most_pods(self) -> float:
        """The largest number of pods, in the mean of the replications."""
        return float(self.results.timeline.pods[self.gateway].value.max())

    @property
    def worst(self) -> tuple[float, float]:
        """When the clients' p99 was highest, and how high, seconds."""
        line = self.results.timeline
        p99 = [0.0 if math.isnan(one) else float(one) for one in line.p99_latency_s.value]
        at = p99.index(max(p99))
        return float(line.edges_s[at]), p99[at]

    @property
    def failing(self) -> str:
        """The first budget that does not hold, and what was seen."""
        missed = [one for one in self.budgets.checked if one.budget.level == "error" and one.answer.value != "pass"]
        return f"{missed[0].budget.text}: {missed[0].sentence}" if missed else ("" if self.holds else self.results.verdict.sentence)


@dataclass(frozen=True, kw_only=True)
class Autoscaling:
    """What to write into the autoscaler for a day, and how it was found."""

    day: Day
    confirmed_day: Day
    searched: int
    tries: tuple[Confirmation, ...]
    fixed_pods: int
    """The fleet that holds the budgets at the highest load."""

    @property
    def answer(self) -> Confirmation | None:
        """The one that holds; None: the fixed fleet is as good as any. One that stays undecided does not count, as in the search for a fleet."""
        return next((one for one in self.tries if one.holds), None)

    @property
    def saved(self) -> float:
        """Share of the pod-hours of the fixed fleet that are not needed; 0 without an answer."""
        return 1.0 - self.answer.chosen.course.pod_s / (self.fixed_pods * self.day.duration_s) if self.answer else 0.0

    def plain(self) -> dict[str, object]:
        """As data."""
        rows = []
        for one in self.tries:
            chosen, (at_s, p99_s) = one.chosen, one.worst
            rows.append({
                "min_replicas": chosen.minimum, "max_replicas": chosen.maximum, "target_percent": chosen.target,
                "request_cores": chosen.request_cores, "holds": one.holds, "failing": one.failing, "requests": one.results.requests,
                "mean_pods": one.mean_pods, "most_pods": one.most_pods, "worst_p99_s": p99_s, "worst_p99_at_s": at_s,
                "fluid_mean_pods": chosen.course.pod_s / self.day.duration_s, "fluid_most_pods": chosen.course.most_pods,
            })
        return {
            "lowest_rps": self.day.lowest_rps, "highest_rps": self.day.highest_rps, "duration_s": self.day.duration_s,
            "confirmed_s": self.confirmed_day.duration_s, "searched": self.searched, "fixed_pods": self.fixed_pods,
            "saved_share": self.saved, "worth_it": self.answer is not None, "tries": rows,
        }


def autoscaling(prober: Prober, fleet: FleetLabel, budgets: Sequence[Budget], day: Day, top: Try, pod_rps: float, fewest: int) -> Autoscaling:
    """The autoscaler for a day; `top` carries the day's highest load, a pod of it `pod_rps`."""
    figures = next(one for one in top.results.fleets if one.gateway == fleet.name)
    request = request_cores(figures)
    override = prober.prepared.project.loaded.scenario.gateway.get(fleet.name, GatewayOverride())
    served = figures.requests_per_s.value or 1.0
    pod = Fleet(
        request_cpu_s=(figures.cpu_cores.value or 0.0) / served, cores=min(fleet.cpu_limit_cores or math.inf, fleet.workers), start_s=override.pod_start,
    )
    cut = day if day.requests <= MOST_REQUESTS else day.around_steepest_rise(MOST_REQUESTS / day.highest_rps)
    tries: list[Confirmation] = []
    searched = 0
    for allowance, more in LADDER:
        most = top.replicas + more
        found = [
            (target, minimum, _scaling(fleet, request, minimum, most, target))
            for target in TARGETS for minimum in range(min(fewest, most), most + 1)
        ]
        searched += len(found)
        chosen = _cheapest(day, pod, pod_rps * allowance, found)
        if chosen.course.pod_s > WORTH * top.replicas * day.duration_s:
            break
        if tries and _same(chosen, tries[-1].chosen):
            continue
        tries.append(_confirm(prober, fleet, budgets, cut, pod, chosen))
        if tries[-1].holds:
            break
    return Autoscaling(day=day, confirmed_day=cut, searched=searched, tries=tuple(tries), fixed_pods=top.replicas)


def _scaling(fleet: FleetLabel, request: float, minimum: int, maximum: int, target: int) -> Scaling:
    """As the fleet's own autoscaler, or Kubernetes' defaults, but for bounds, target and request."""
    own = fleet.autoscaler or Autoscaler(name=fleet.proxy.name, max_replicas=maximum)
    asked = replace(own, min_replicas=minimum, max_replicas=maximum, target_cpu_utilization=target / 100.0, target_cpu_cores=None)
    scaling = scaling_of(replace(fleet.proxy, cpu_request_cores=request), asked)
    assert scaling is not None
    return scaling


def _cheapest(day: Day, pod: Fleet, pod_rps: float, found: Sequence[tuple[int, int, Scaling]]) -> Chosen:
    """The fewest pod-hours of those that are never short, else the shortest time of being short; equal ones: the lower target."""
    best: tuple[tuple[float, ...], Chosen] | None = None
    for target, minimum, scaling in found:
        came = course(day, pod, scaling, pod_rps)
        rank = (came.short_s, came.pod_s, target, minimum)
        if best is None or rank < best[0]:
            best = rank, Chosen(minimum=minimum, maximum=scaling.maximum, target=target, request_cores=scaling.cpu_request_cores, course=came)
    assert best is not None
    return best[1]


def _same(one: Chosen, other: Chosen) -> bool:
    return (one.minimum, one.maximum, one.target) == (other.minimum, other.maximum, other.target)


def _confirm(prober: Prober, fleet: FleetLabel, budgets: Sequence[Budget], day: Day, pod: Fleet, chosen: Chosen) -> Confirmation:
    scaling = _scaling(fleet, chosen.request_cores, chosen.minimum, chosen.maximum, chosen.target)
    resolved = _scaled(prober.prepared, fleet, day, pod, scaling)
    runs = Runs(prober.pool, suited(resolved.model, prober.engine), None)
    results = Results.of(resolved, runs.all(resolved.model, range(FRESH, FRESH + REPLICATIONS)))
    judged = check(results, budgets)
    return Confirmation(chosen=chosen, holds=holds_of(results, judged), budgets=judged, results=results, gateway=fleet.name)


def _scaled(prepared: Prepared, fleet: FleetLabel, day: Day, pod: Fleet, scaling: Scaling) -> Resolved:
    """The scenario on that day with that autoscaler, from the pods that it rests at under the first load."""
    places = scaling.maximum + min(scaling.maximum, SPARE_PLACES)
    made = prepared.with_replicas({fleet.name: places}, fix=True)
    model = with_day(made.model, day)
    lifecycle = Lifecycle(
        initial=rest(day.segments[0].start_rps, pod, scaling), start_s=pod.start_s,
        deregister_s=prepared.project.loaded.scenario.front.deregistration, drain_s=fleet.proxy.termination_drain_s, scaling=scaling,
    )
    fleets = tuple(replace(one, lifecycle=lifecycle) if one.name == fleet.name else one for one in model.fleets)
    return replace(made, model=replace(model, fleets=fleets))


__all__ = ["Autoscaling", "Chosen", "Confirmation", "autoscaling"]
