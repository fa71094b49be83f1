"""Pods of another size: the fewest pods for every number of workers, what each fleet costs, and which is chosen.

Few large pods spread connections over fewer, larger pools and need less memory; many small ones lose less with a pod, and
their workers share less. What CPU is used is nearly the same, so fleets often cost the same within what a simulation can
tell: then those that no other beats in money, pods and latency together are all told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gwsim.errors import UsageError
from gwsim.planning.capacity import Need, needed
from gwsim.planning.preparation import Prepared
from gwsim.planning.probes import Prober
from gwsim.planning.recommendation import Bill, bill
from gwsim.scenario.fleets import fleet_name
from gwsim.scenario.resolved import FleetLabel

TIE = 0.02
"""Fleets whose compute costs differ by less than this share cost the same."""


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """The fewest pods of so many workers for the highest load; `best` of the set that no other beats."""

    workers: int
    need: Need
    bill: Bill | None
    best: bool = False
    chosen: bool = False

    def plain(self) -> dict[str, Any]:
        """As data; None where no fleet carries the load."""
        found = self.need.best
        return {
            "workers": self.workers, "replicas": found.replicas if found else None,
            "compute_usd_per_month": self.bill.compute if self.bill else None,
            "client_latency_p99_s": found.row["client_latency_p99_s"] if found else None,
            "busiest_worker_utilisation": found.row["busiest_worker_utilisation"] if found else None,
            "pareto": self.best, "chosen": self.chosen,
        }

    def beats(self, other: Alternative) -> bool:
        """Whether it is nowhere worse (money within the tie) and somewhere better; anything beats what carries nothing."""
        if self.need.best is None or self.bill is None:
            return False
        if other.need.best is None or other.bill is None:
            return True
        mine, theirs = _cost(self), _cost(other)
        if mine > theirs * (1.0 + TIE):
            return False
        pairs = ((self.need.best.replicas, other.need.best.replicas), (_latency_s(self), _latency_s(other)))
        return all(a <= b for a, b in pairs) and (mine < theirs * (1.0 - TIE) or any(a < b for a, b in pairs))


def _cost(one: Alternative) -> float:
    return one.bill.compute if one.bill else float("inf")


def _latency_s(one: Alternative) -> float:
    value = one.need.best.row["client_latency_p99_s"] if one.need.best else None
    return float("inf") if value is None else float(value)


def with_workers(prepared: Prepared, gateway: str, workers: int) -> Prepared:
    """The scenario with so many workers in every pod of a gateway, and the CPU limit that goes with it where there is one.

    Raises UsageError where the scenario fixes them itself.
    """
    from gwsim.scenario import resolve

    topology = prepared.project.topology
    for name, said in prepared.project.loaded.scenario.gateway.items():
        if said.workers is not None and gateway.endswith(name):
            raise UsageError(f"--vary {name}.workers: the scenario says gateway.{name}.workers; leave that out")
    proxies = tuple(
        replace(one, workers=workers, cpu_limit_cores=None if one.cpu_limit_cores is None else float(workers))
        if fleet_name(one) == gateway else one for one in topology.proxies
    )
    project = replace(prepared.project, topology=replace(topology, proxies=proxies))
    again = resolve(project.loaded, project.topology, fix_replicas=prepared.given.fix_replicas)
    again = replace(again, name=prepared.name, findings=prepared.resolved.findings)
    return replace(prepared, project=project, resolved=again)


def fleet_of(prober: Prober) -> FleetLabel:
    """The gateway whose pods are varied."""
    return next(one for one in prober.prepared.resolved.fleets if one.name == prober.gateway)


def alternatives(
    prober: Prober, counts: Sequence[int], load: float, fewest: int, most: int
) -> tuple[tuple[Alternative, ...], dict[int, Prober]]:
    """The fewest pods under a load for every number of workers, one of them chosen, and their tries.

    Chosen is the cheapest; of several that cost the same the one with the fewest pods, then the lowest latency.
    """
    found, probers = list[Alternative](), dict[int, Prober]()
    for count in sorted(set(counts)):
        made = replace(prober, prepared=with_workers(prober.prepared, prober.gateway, count), tries={})
        need = needed(made, load, fewest, most)
        cost = bill(made.prepared, fleet_of(made), need.best) if need.best is not None else None
        found.append(Alternative(workers=count, need=need, bill=cost))
        probers[count] = made
    return ranked(found), probers


def ranked(found: Sequence[Alternative]) -> tuple[Alternative, ...]:
    """The same, with those that no other beats marked, and one of them chosen."""
    undominated = [one for one in found if one.need.best is not None and not any(other.beats(one) for other in found)]
    cheapest = min((_cost(one) for one in undominated), default=0.0)
    tied = [one for one in undominated if _cost(one) <= cheapest * (1.0 + TIE)]
    pick = min(tied, key=lambda one: (one.need.best.replicas if one.need.best else 0, _latency_s(one)), default=None)
    return tuple(replace(one, best=one in undominated, chosen=one is pick) for one in found)


__all__ = ["TIE", "Alternative", "alternatives", "fleet_of", "ranked", "with_workers"]
