"""One try of a capacity search: so many pods under so much load, and whether the budgets hold.

All tries share their random numbers. A try is as long as its budgets need: a p99 wants some 20,000 requests of its
route in each replication, so a larger load is simulated for a shorter time. One whose budgets stay undecided is
repeated with twice the replications, twice; after that it counts as not holding, and is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gwsim.engine import EngineName, suited
from gwsim.engine.schema import RawRun
from gwsim.errors import UsageError
from gwsim.planning.day import constant
from gwsim.planning.executors import Executor
from gwsim.planning.figures import Row, figures
from gwsim.planning.preparation import Prepared
from gwsim.planning.replications import Progress, Runs
from gwsim.results import Results, Status
from gwsim.results.budgets import Budget, matching
from gwsim.results.evaluation import Answer, Budgets, check
from gwsim.results.intervals import EXCEEDANCES
from gwsim.results.labels import labels_of
from gwsim.scenario.rates import load_rps, with_load
from gwsim.scenario.resolved import Resolved
from gwsim.scenario.zone_loss import fullest_zone, without_zone

REPLICATIONS = 5
DOUBLINGS = 2
FRESH = 10_000
"""Number of the first replication of a confirmation: none that a search has looked at."""
LEAST_S, WARMUP_S = 4.0, 1.0
MARGIN = 1.3
"""More requests than a quantile needs: arrivals are random."""


@dataclass(frozen=True, kw_only=True)
class Try:
    """What a try came to; `holds` None: undecided."""

    replicas: int
    load_rps: float
    holds: bool | None
    budgets: Budgets
    row: Row
    results: Results = field(repr=False)

    @property
    def failing(self) -> str:
        """The budget that is missed most, or what is full; empty where everything holds."""
        if self.results.verdict.status is Status.SATURATED:
            first = self.results.bottleneck.first
            return f"saturated ({first.kind} {first.name})" if first else "saturated"
        if self.results.verdict.status is Status.METASTABLE:
            return "metastable"
        missed = [one for one in self.budgets.checked if one.budget.level == "error" and one.answer is not Answer.PASS]
        if not missed:
            return "" if self.holds else self.results.verdict.sentence
        return min(missed, key=lambda one: one.margin if one.margin is not None else 0.0).budget.text


@dataclass
class Prober:
    """Tries of one scenario with one gateway's replicas varied."""

    prepared: Prepared
    gateway: str
    budgets: Sequence[Budget]
    pool: Executor
    engine: EngineName = "auto"
    zone_lost: bool = False
    told: Callable[[Try], None] | None = None
    tries: dict[tuple[int, float, bool], Try] = field(default_factory=dict)

    def at(self, replicas: int, load: float, *, fresh: bool = False) -> Try:
        """A try, from memory if it was made before; `fresh` uses replications of its own."""
        key = (replicas, load, fresh)
        if key not in self.tries:
            self.tries[key] = self._run(replicas, load, FRESH if fresh else 0)
            if self.told is not None:
                self.told(self.tries[key])
        return self.tries[key]

    @property
    def requests(self) -> int:
        """Requests simulated so far."""
        return sum(one.results.requests for one in self.tries.values())

    def resolved(self, replicas: int, load: float) -> Resolved:
        """The scenario with so many pods of the gateway under so much load, as long as its budgets need."""
        made = self.prepared.with_replicas({self.gateway: replicas}, fix=True)
        model = with_load(constant(made.model), load)
        if self.zone_lost:
            model = without_zone(model, fullest_zone(model, self.gateway))
        sized = replace(made, model=model)
        run = model.run
        long = self._length_s(sized)
        warm = min(max(run.warmup_s, WARMUP_S), long / 4.0)
        return replace(sized, model=replace(model, run=replace(run, duration_s=long + warm, warmup_s=warm)))

    def _length_s(self, resolved: Resolved) -> float:
        """Measured time that gives every percentile its requests."""
        labels, model = labels_of(resolved), resolved.model
        total, weights = load_rps(model), _class_rates(resolved)
        longest = LEAST_S
        for budget in self.budgets:
            beyond = 0.01 if budget.percent is None else 1.0 - budget.percent / 100.0
            if budget.percent is None and budget.kind != "share":
                continue
            needed = EXCEEDANCES / min(beyond, 1.0 - beyond) if budget.percent is not None else 3.5 / max(budget.limit, 1e-5) / REPLICATIONS
            ids = matching(budget, labels) if budget.metric not in ("upstream.latency", "overflow") else ()
            traffic = budget.is_latency or budget.metric in ("errors", "local_replies", "retries", "client.retries")
            rate = sum(weights[i] for i in ids) if ids and traffic else total
            longest = max(longest, MARGIN * needed / rate if rate else LEAST_S)
        return min(longest, max(model.run.duration_s, LEAST_S) * 20.0)

    def _run(self, replicas: int, load: float, first: int) -> Try:
        resolved = self.resolved(replicas, load)
        engine = suited(resolved.model, self.engine)
        runs, raws, count = Runs(self.pool, engine, None), list[RawRun](), REPLICATIONS
        for doubling in range(DOUBLINGS + 1):
            raws += runs.all(resolved.model, range(first + len(raws), first + count))
            results = Results.of(resolved, raws)
            budgets = check(results, self.budgets)
            holds = holds_of(results, budgets)
            if holds is not None or doubling == DOUBLINGS:
                break
            count *= 2
        return Try(
            replicas=replicas, load_rps=load, holds=holds, budgets=budgets, row=figures(results, budgets), results=results
        )


def holds_of(results: Results, budgets: Budgets) -> bool | None:
    """Whether every budget that counts as an error holds; None: undecided."""
    if results.verdict.status in (Status.SATURATED, Status.METASTABLE):
        return False
    answers = {one.answer for one in budgets.checked if one.budget.level == "error"}
    if Answer.FAIL in answers:
        return False
    return None if answers & {Answer.UNDECIDED, Answer.NO_DATA} else True


def _class_rates(resolved: Resolved) -> list[float]:
    """Offered rate of every traffic class, in class order."""
    from gwsim.scenario.rates import mean_rps

    rates = []
    for client in resolved.model.clients:
        total = sum(shape.weight for shape in client.mix) or 1.0
        rate = mean_rps(client.arrivals) or 0.0
        rates += [rate * shape.weight / total for shape in client.mix]
    return rates


def gateway_named(resolved: Resolved, name: str) -> str:
    """The full name of a fleet of the scenario; UsageError, with those there are, for another."""
    from gwsim.diagnostics import did_you_mean

    known = [fleet.name for fleet in resolved.fleets if fleet.proxy.kind != "sidecar"]
    found = [one for one in known if one == name or one.rpartition("/")[2] == name or one.partition("/")[2] == name]
    if len(found) == 1:
        return found[0]
    hint = did_you_mean(name, [one.rpartition("/")[2] for one in known]) or f"there is {', '.join(known)}"
    raise UsageError(f"no request of the scenario goes through a gateway {name}; {hint}")


__all__ = ["DOUBLINGS", "REPLICATIONS", "Prober", "Progress", "Try", "gateway_named", "holds_of"]
