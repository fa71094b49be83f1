"""From a fleet that carries the load to what to write into the YAML, and what it costs.

CPU and latency are simulated. Memory is a sum of the cost profile's figures; pools are sized by the mean number of
requests under way and its spread, as for a Poisson number; the autoscaler's target is what the pods of the largest
planned load use. Traffic across zones is counted as if a pod chose among all endpoints alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gwsim import costs
from gwsim.costs import CostProfile
from gwsim.planning.preparation import Prepared
from gwsim.planning.probes import Try
from gwsim.results import Results
from gwsim.results.parts import FleetFigures
from gwsim.scenario.resolved import FleetLabel

if TYPE_CHECKING:
    from gwsim.planning.autoscaling import Autoscaling

HOURS_A_MONTH = 730.0
MONTH_S = 3600.0 * HOURS_A_MONTH
GB = 1e9
POOL_SPREAD = 4.0
"""Standard deviations above the mean that a pool is given."""
MEMORY_MARGIN = 1.5
REQUEST_STEP_CORES = 0.05


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One thing to write: where, what, and why."""

    path: str
    value: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Bill:
    """US dollars per month of 730 hours; `cross_zone` None where everything runs in one zone or no zone is known.

    `internet`: answers to clients outside the mesh, which leave the cluster; no part of a fleet's own costs, since it is the
    same for every fleet.
    """

    compute: float
    cross_zone: float | None
    internet: float = 0.0

    @property
    def total(self) -> float:
        """What depends on the fleet."""
        return self.compute + (self.cross_zone or 0.0)


def profile_of(prepared: Prepared) -> CostProfile:
    """The cost profile of the scenario."""
    from gwsim.diagnostics import Collector
    from gwsim.scenario.costing import profile_of as read

    return read(prepared.project.loaded, Collector())


def request_cores(fleet: FleetFigures) -> float:
    """The CPU request of a pod: what it uses at the planned load, rounded up to a twentieth of a core; no more than its workers can use."""
    each = min(fleet.cpu_cores_range.high, float(fleet.workers)) / max(fleet.pods, 1)
    return round(max(math.ceil(each / REQUEST_STEP_CORES - 1e-9), 1) * REQUEST_STEP_CORES, 2)


def settings(fleet: FleetLabel, tries: Sequence[Try], scaled: Autoscaling | None = None) -> tuple[Setting, ...]:
    """What to write for a plan over several loads, the smallest first; `tries` are those that hold, `scaled` an autoscaler found for a day."""
    small, large = tries[0], tries[-1]
    figures = next(one for one in large.results.fleets if one.gateway == fleet.name)
    cores = request_cores(figures)
    kind = f"Deployment/{fleet.proxy.namespace}/{fleet.proxy.name}"
    container = f"{kind}:spec.template.spec.containers[istio-proxy].resources"
    used = (figures.cpu_cores.value or 0.0) / max(figures.pods, 1)
    needs = figures.memory_bytes_range
    memory, most = needs.value * MEMORY_MARGIN, needs.high * MEMORY_MARGIN
    made = [
        Setting(
            path=f"{container}.requests.cpu", value=f"{round(cores * 1000)}m",
            reason=f"a pod uses {used:.2f} cores at the largest load (the top of the range of uncalibrated costs counts)",
        ),
        Setting(
            path=f"{container}.limits.cpu", value=str(max(fleet.workers, math.ceil(cores))),
            reason=f"one core for each of its {fleet.workers} workers: a lower limit throttles them within 100 ms periods",
        ),
        Setting(
            path=f"{container}.requests.memory", value=f"{_mib(memory)}Mi",
            reason="base, configuration and connections, half as much again for buffers",
        ),
        Setting(
            path=f"{container}.limits.memory", value=f"{_mib(most)}Mi",
            reason="the upper end of what a pod may need, half as much again: beyond its limit it is killed with all its connections",
        ),
    ]
    scaler = f"HorizontalPodAutoscaler/{fleet.proxy.namespace}/{fleet.autoscaler.name if fleet.autoscaler else fleet.proxy.name}"
    if scaled is not None:
        return (*made, *_autoscaler(scaler, scaled), *_pools(large.results))
    if small.replicas == large.replicas:
        made.insert(0, Setting(path=f"{kind}:spec.replicas", value=str(large.replicas), reason="the fewest that hold every budget"))
        return (*made, *_pools(large.results))
    target = max(min(math.floor(used / cores * 100.0 + 1e-9), 95), 1)
    made += [
        Setting(path=f"{scaler}:spec.minReplicas", value=str(small.replicas), reason="what the smallest load needs"),
        Setting(path=f"{scaler}:spec.maxReplicas", value=str(large.replicas + 1), reason="what the largest load needs, and one to roll out with"),
        Setting(
            path=f"{scaler}:spec.metrics[0].resource.target.averageUtilization", value=str(target),
            reason="the share of its request that a pod uses when the budgets just hold; --hpa searches it, and confirms it on a timeline",
        ),
    ]
    return (*made, *_pools(large.results))


def _autoscaler(scaler: str, scaled: Autoscaling) -> list[Setting]:
    if scaled.answer is None:
        told = "no autoscaler that was tried holds the budgets with clearly fewer pod-hours than a fixed fleet"
        return [Setting(path=f"{scaler}:spec.{bound}Replicas", value=str(scaled.fixed_pods), reason=told) for bound in ("min", "max")]
    chosen = scaled.answer.chosen
    return [
        Setting(path=f"{scaler}:spec.minReplicas", value=str(chosen.minimum), reason="the fewest pod-hours of those that keep up with the rise"),
        Setting(path=f"{scaler}:spec.maxReplicas", value=str(chosen.maximum), reason="what the highest load needs; more would be used, for nothing, wherever the target asks for more"),
        Setting(path=f"{scaler}:spec.metrics[0].resource.target.averageUtilization", value=str(chosen.target), reason="a full run with it holds every budget"),
    ]


def _mib(size: float) -> int:
    return max(math.ceil(size / 2**20 / 16.0) * 16, 64)


def _pools(results: Results) -> list[Setting]:
    """Pools that are limited and would overflow at the planned load."""
    made = []
    for one in results.clusters:
        limit, mean = one.limits.get("max_connections"), one.in_use.value
        if limit is None or mean is None:
            continue
        enough = math.ceil(mean + POOL_SPREAD * math.sqrt(mean)) + 1
        if enough > limit:
            made.append(Setting(
                path=f"DestinationRule of {one.host}: trafficPolicy.connectionPool.tcp.maxConnections", value=str(enough),
                reason=f"{mean:.1f} requests are under way per pod on average; {limit} connections queue them",
            ))
    return made


def bill(prepared: Prepared, fleet: FleetLabel, one: Try) -> Bill:
    """What a fleet costs a month at a load held all the time."""
    prices = costs.prices(profile_of(prepared))
    figures = next(f for f in one.results.fleets if f.gateway == fleet.name)
    compute = one.replicas * request_cores(figures) * prices.vcpu_hour * HOURS_A_MONTH
    crossing = cross_zone_share(one.results, fleet.name)
    clients = prepared.project.loaded.scenario.clients
    outside = [row for row in one.results.classes if (said := clients.get(row.client)) is not None and said.from_ is None]
    internet = sum(row.response_bytes_per_s.value or 0.0 for row in outside) * MONTH_S / GB * prices.internet_gb
    if crossing is None:
        return Bill(compute=compute, cross_zone=None, internet=internet)
    through = one.results.throughput
    per_s = (through.request_bytes_per_s.value or 0.0) + (through.response_bytes_per_s.value or 0.0)
    return Bill(compute=compute, cross_zone=crossing * per_s * MONTH_S / GB * prices.cross_zone_gb, internet=internet)


def cross_zone_share(results: Results, gateway: str) -> float | None:
    """Share of the requests whose backend pod is in another zone than the gateway pod; None where no zone is known."""
    pods = [one for one in results.pods if one.gateway == gateway]
    zones: Mapping[str, float] = _shares([one.zone for one in pods])
    if set(zones) == {""} or len(set(zones) | {one.zone for one in results.backends}) < 2:
        return None
    rates = [(one.zone, one.requests_per_s.value or 0.0) for one in results.backends]
    total = sum(rate for _, rate in rates)
    if not total:
        return None
    return sum(rate * (1.0 - zones.get(zone, 0.0)) for zone, rate in rates) / total


def _shares(names: Sequence[str]) -> dict[str, float]:
    return {name: names.count(name) / len(names) for name in dict.fromkeys(names)}


__all__ = ["Bill", "Setting", "bill", "cross_zone_share", "profile_of", "request_cores", "settings"]
