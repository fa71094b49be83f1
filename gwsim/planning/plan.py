"""The cheapest fleet for a forecast: replicas at every load, what fails with one less, headroom, settings, costs.

    made = plan(prepared, budgets, pool, loads=(5e3, 1e4, 2e4))
    made.steps[-1].need.best.replicas
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gwsim.engine import EngineName
from gwsim.errors import ExitCode, UsageError
from gwsim.planning.autoscaling import Autoscaling, autoscaling
from gwsim.planning.capacity import Capacity, Need, carried, needed
from gwsim.planning.day import Day
from gwsim.planning.executors import Executor
from gwsim.planning.preparation import Prepared
from gwsim.planning.probes import Prober, Try, gateway_named
from gwsim.planning.recommendation import Bill, Setting, bill, settings
from gwsim.planning.worker_counts import Alternative, alternatives, fleet_of
from gwsim.results.budgets import Budget, read
from gwsim.results.labels import labels_of
from gwsim.results.parts import Limit
from gwsim.scenario.rates import load_rps
from gwsim.scenario.resolved import FleetLabel

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "gwsim/plan/v1"
MOST_REPLICAS = 40
LEAST_SHARE = 0.05
"""Of the highest load: less is not looked at, for want of requests."""


@dataclass(frozen=True, kw_only=True)
class PlanStep:
    """One load of the forecast: the fleet it needs, what that carries at most, what it costs."""

    need: Need
    capacity: Capacity | None
    bill: Bill | None

    @property
    def first(self) -> Limit | None:
        """What of the fleet is nearest its limit: a worker, a CPU limit, memory, a pool, a backend, or source ports."""
        return self.need.best.results.bottleneck.first if self.need.best else None

    @property
    def headroom(self) -> tuple[float, float | None] | None:
        """How many times the load the fleet carries: an interval; None where it was not looked for."""
        if self.capacity is None or self.capacity.low_rps is None:
            return None
        high = self.capacity.high_rps
        return self.capacity.low_rps / self.need.load_rps, None if high is None else high / self.need.load_rps


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan for one gateway of a scenario, over loads from the smallest to the largest."""

    name: str
    question: str
    gateway: str
    others: tuple[str, ...]
    """Other gateways of the scenario and their replicas, which stay as they are."""
    zone_lost: bool
    budgets: tuple[Budget, ...]
    steps: tuple[PlanStep, ...]
    settings: tuple[Setting, ...]
    notes: tuple[str, ...]
    requests: int
    tries: int
    autoscaling: Autoscaling | None = None
    """For a load that changes."""
    alternatives: tuple[Alternative, ...] = ()
    """Pods with other numbers of workers, at the highest load."""

    @property
    def feasible(self) -> bool:
        """Whether every load has a fleet."""
        return all(step.need.best is not None and step.need.confirmed for step in self.steps)

    @property
    def exit_code(self) -> ExitCode:
        """1 where a load has no fleet within the bounds."""
        return ExitCode.OK if self.feasible else ExitCode.ANSWER_IS_NO

    def frame(self) -> pd.DataFrame:
        """A pandas frame, one row a load."""
        import pandas as pd

        return pd.DataFrame([_row(step) for step in self.steps])

    def plain(self) -> dict[str, Any]:
        """The plan as data."""
        return {
            "format": FORMAT, "name": self.name, "question": self.question, "gateway": self.gateway,
            "others": list(self.others), "zone_lost": self.zone_lost, "budgets": [one.text for one in self.budgets],
            "feasible": self.feasible, "steps": [_row(step) | {"notes": list(step.need.notes)} for step in self.steps],
            "settings": [{"path": s.path, "value": s.value, "reason": s.reason} for s in self.settings],
            "alternatives": [one.plain() for one in self.alternatives],
            "notes": list(self.notes), "autoscaling": self.autoscaling.plain() if self.autoscaling else None,
        }


def _row(step: PlanStep) -> dict[str, Any]:
    best, capacity, headroom = step.need.best, step.capacity, step.headroom
    row: dict[str, Any] = {
        "load_rps": step.need.load_rps, "replicas": best.replicas if best else None, "confirmed": step.need.confirmed,
        "fails_with_one_less": step.need.below.failing if step.need.below else None,
        "carries_low_rps": capacity.low_rps if capacity else None,
        "carries_high_rps": capacity.high_rps if capacity else None,
        "limit": capacity.limit if capacity else None,
        "headroom_low": headroom[0] if headroom else None, "headroom_high": headroom[1] if headroom else None,
        "compute_usd_per_month": step.bill.compute if step.bill else None,
        "cross_zone_usd_per_month": step.bill.cross_zone if step.bill else None,
        "internet_usd_per_month": step.bill.internet if step.bill else None,
        "saturates_first": step.first.text if step.first else None,
    }
    names = ("client_latency_p99_s", "gateway_latency_p99_s", "errors_share", "gateway_cpu_cores", "busiest_worker_utilisation")
    return row | {name: best.row[name] if best else None for name in names}


def plan(
    prepared: Prepared,
    pool: Executor,
    *,
    budgets: Sequence[Budget] = (),
    loads: Sequence[float] = (),
    gateway: str = "",
    replicas: tuple[int, int] = (1, MOST_REPLICAS),
    workers: Sequence[int] = (),
    zone_lost: bool = False,
    headroom: bool = True,
    day: Day | None = None,
    engine: EngineName = "auto",
    told: Callable[[Try], None] | None = None,
) -> Plan:
    """Find the fewest pods of a gateway for every load.

    Without `budgets` those of the scenario count, without `loads` its own load, without `gateway` the one whose
    workers are busiest. With `zone_lost` all tries are made after the zone with most of its pods has gone. With a `day`
    an autoscaler is planned too; its highest load is the largest of `loads`. With numbers of `workers` pods of each are
    tried at the highest load, and the plan is made with the cheapest. Raises UsageError where there is no budget
    to hold, or a name is wrong.
    """
    resolved = prepared.resolved
    own = read(labels_of(resolved).budgets)
    chosen = tuple(budgets) or tuple(one for one in own if one.level == "error")
    if not chosen:
        raise UsageError("there is no budget to plan for; give one, e.g. --budget 'gateway.latency p(99) < 50ms'")
    if day is not None and zone_lost:
        raise UsageError("an autoscaler, and the loss of a zone: plan the one, then the other")
    extremes = [] if day is None else [max(day.lowest_rps, day.highest_rps * LEAST_SHARE), day.highest_rps]
    wanted = sorted(set(loads)) or extremes or [load_rps(resolved.model)]
    name = gateway_named(resolved, gateway) if gateway else ""
    prober = Prober(
        prepared=prepared, gateway=name, budgets=chosen, pool=pool, engine=engine, zone_lost=zone_lost, told=told
    )
    if not name:
        prober.gateway = _busiest(prober, wanted[-1])
    fewest = max(replicas[0], 2) if zone_lost else replicas[0]
    others: tuple[Alternative, ...] = ()
    if workers:
        others, probers = alternatives(prober, workers, wanted[-1], fewest, replicas[1])
        prober = next((probers[one.workers] for one in others if one.chosen), probers[others[-1].workers])
    fleet = fleet_of(prober)
    steps = []
    for load in wanted:
        need = needed(prober, load, fewest, replicas[1])
        fewest = max(fewest, need.best.replicas - 1) if need.best else fewest
        steps.append(_step(prober, fleet, need, headroom and load in (wanted[0], wanted[-1])))
    scaled = _autoscaling(prober, fleet, chosen, day, steps[-1], fewest=replicas[0]) if day is not None else None
    made = _plan(prober, fleet, chosen, steps, scaled)
    return replace(made, alternatives=others)


def _busiest(prober: Prober, load: float) -> str:
    """The gateway whose workers are busiest under the load, with the replicas that the scenario has."""
    fleets = {one.name: one for one in prober.prepared.resolved.fleets if one.proxy.kind != "sidecar"}
    if not fleets:
        raise UsageError("no request of the scenario goes through a gateway, and sidecars have the pods of their workloads")
    first = next(iter(fleets.values()))
    if len(fleets) == 1:
        return first.name
    prober.gateway = first.name
    results = prober.at(first.replicas, load).results
    prober.tries.clear()
    return max((one for one in results.fleets if one.gateway in fleets), key=lambda one: one.utilisation.value or 0.0).gateway


def _step(prober: Prober, fleet: FleetLabel, need: Need, headroom: bool) -> PlanStep:
    if need.best is None:
        return PlanStep(need=need, capacity=None, bill=None)
    capacity = carried(prober, need.best.replicas, need.load_rps) if headroom else None
    return PlanStep(need=need, capacity=capacity, bill=bill(prober.prepared, fleet, need.best))


def _autoscaling(
    prober: Prober, fleet: FleetLabel, budgets: tuple[Budget, ...], day: Day, top: PlanStep, *, fewest: int
) -> Autoscaling | None:
    """The autoscaler for a day whose highest load is that of the last step; None where no fleet carries that."""
    best = top.need.best
    if best is None:
        return None
    capacity = top.capacity or carried(prober, best.replicas, best.load_rps)
    return autoscaling(prober, fleet, budgets, day, best, (capacity.low_rps or best.load_rps) / best.replicas, fewest)


def _plan(prober: Prober, fleet: FleetLabel, budgets: tuple[Budget, ...], steps: list[PlanStep], scaled: Autoscaling | None) -> Plan:
    resolved = prober.prepared.resolved
    best = [step.need.best for step in steps if step.need.best is not None]
    notes = [
        f"connections grow with the load: at {steps[-1].need.load_rps:,.0f} rps there are "
        f"{steps[-1].need.load_rps / load_rps(resolved.model):.3g} times those of the scenario",
        f"{prober.prepared.name}: {prober.requests:,} requests in {len(prober.tries)} tries",
    ]
    if not resolved.costs.calibrated:
        notes.append(
            f"costs are not calibrated: CPU may be {resolved.costs.low:.2g} to {resolved.costs.high:.2g} times what is "
            "simulated, and the number of pods with it (gwsim calibrate)"
        )
    return Plan(
        name=prober.prepared.name, question=resolved.question, gateway=fleet.name,
        others=tuple(f"{one.name}: {one.replicas}" for one in resolved.fleets if one.name != fleet.name),
        zone_lost=prober.zone_lost, budgets=budgets, steps=tuple(steps),
        settings=settings(fleet, best, scaled) if best else (), notes=tuple(notes),
        requests=prober.requests, tries=len(prober.tries), autoscaling=scaled,
    )


__all__ = ["FORMAT", "MOST_REPLICAS", "Plan", "PlanStep", "plan"]
