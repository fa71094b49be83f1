"""Rolling updates of backends: old pods end, new ones begin, and gateways hear of both a little later.

The Deployment's strategy and preStop hook say how (`gwsim.topology.Workload`). A new pod is an endpoint when it is ready; an
old one stops being one when it is told to end, works on for its preStop time, and then refuses. What gateways are told takes
`propagation`: the endpoint slice, istiod's debounce (100 ms of quiet, at most 10 s) and the push.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from gwsim.diagnostics import Collector, code
from gwsim.scenario.backends import Backends
from gwsim.scenario.file.system import Rollout
from gwsim.scenario.model import Outage, Placement, SimCluster, Station
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.resolved import StationLabel
from gwsim.topology import Topology, Workload
from gwsim.units import format_duration_s

FOR_EVER_S = 1e9
NEW_POD = " (new)"
"""What the name of a pod ends with that takes the place of another."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """An old pod ends at `end_s`, a new one is ready at `ready_s`, seconds."""

    end_s: float
    ready_s: float


def replacements(workload: Workload, pods: int, at_s: float, start_s: float) -> tuple[Replacement, ...]:
    """When each of `pods` old pods is told to end, and each new one is ready, both in order.

    A Deployment keeps at most `pods + max_surge` pods and at least `pods - max_unavailable` ready ones; a new pod takes
    `start_s` and `min_ready_s` until it counts.
    """
    created = deleted = 0
    ends: list[float] = []
    readies: list[float] = []
    starting: list[float] = []
    now, ready = at_s, pods
    while deleted < pods or starting:
        while deleted < pods and ready > max(pods - workload.max_unavailable, 0):
            deleted, ready = deleted + 1, ready - 1
            ends.append(now)
        while created < pods and pods - deleted + created < pods + workload.max_surge:
            created += 1
            heappush(starting, now + start_s + workload.min_ready_s)
            readies.append(now + start_s)
        if not starting:
            break
        now = heappop(starting)
        ready += 1
    return tuple(Replacement(end_s=end, ready_s=begin) for end, begin in zip(ends, readies, strict=True))


@dataclass(slots=True)
class Rollouts:
    """Applies the `rollout` of backends to the model's parts; remembers what had to be assumed."""

    loaded: LoadedScenario
    topology: Topology
    backends: Backends
    collector: Collector
    assumptions: dict[str, None]

    def apply(
        self, stations: Sequence[Station], labels: Sequence[StationLabel], clusters: Sequence[SimCluster]
    ) -> tuple[list[Station], list[StationLabel], list[SimCluster]]:
        """Stations with those of the new pods behind them, their labels, and the clusters that have them as hosts."""
        made, named, changed = list(stations), list(labels), list(clusters)
        for backend, key, rollout in self._sections(labels):
            for workload, members in self._workloads(labels, backend, key):
                plan = replacements(workload, len(members), rollout.at, rollout.pod_start)
                self._tell(backend, workload, rollout, plan)
                for old, one in zip(members, plan, strict=True):
                    new = len(made)
                    dead_s = one.end_s + workload.pre_stop_s
                    made.append(replace(made[old], name=made[old].name + NEW_POD, outages=(), modes=()))
                    named.append(replace(named[old], name=named[old].name + NEW_POD))
                    made[old] = replace(made[old], outages=(*made[old].outages, Outage(from_s=dead_s, to_s=FOR_EVER_S, kind="end")))
                    times = (one.end_s + rollout.propagation, one.ready_s + rollout.propagation)
                    changed = [_replaced(cluster, old, new, *times) for cluster in changed]
        return made, named, changed

    def _sections(self, labels: Sequence[StationLabel]) -> Iterator[tuple[str, str, Rollout]]:
        """Backends that are updated: full name, key in the file, and how."""
        for backend in dict.fromkeys(label.backend for label in labels):
            said = self.backends.section(backend)
            if said is not None and said[1].rollout is not None:
                yield backend, said[0], said[1].rollout

    def _workloads(self, labels: Sequence[StationLabel], backend: str, key: str) -> Iterator[tuple[Workload, list[int]]]:
        """The workloads behind a backend, with the stations of each."""
        members: dict[str, list[int]] = {}
        for s, label in enumerate(labels):
            if label.backend == backend and label.workload:
                members.setdefault(label.workload, []).append(s)
        known = {one.key: one for one in self.topology.workloads}
        found = [(known[key], pods) for key, pods in members.items() if key in known]
        if not found:
            self.collector.add(
                code("SCENARIO_VALUE"), f"backend {backend} has no Deployment in the files, so nothing can be updated",
                self.loaded.span("backends", key, "rollout"), help="add its Deployment, or leave rollout out",
            )
        yield from found

    def _tell(self, backend: str, workload: Workload, rollout: Rollout, plan: Sequence[Replacement]) -> None:
        stop = f"{format_duration_s(workload.pre_stop_s)} of preStop" if workload.pre_stop_s else "no preStop pause"
        last = max((max(one.end_s, one.ready_s) for one in plan), default=rollout.at)
        self.assumptions[
            f"backend {backend}: {len(plan)} pods of {workload.key} are replaced from {format_duration_s(rollout.at)} to {format_duration_s(last)} "
            f"(surge {workload.max_surge}, unavailable {workload.max_unavailable}, {stop}); gateways hear of it {format_duration_s(rollout.propagation)} later"
        ] = None


def _replaced(cluster: SimCluster, old: int, new: int, leaves_s: float, joins_s: float) -> SimCluster:
    """The cluster with a new host for an old one."""
    if old not in cluster.stations:
        return cluster
    at = cluster.stations.index(old)
    hosts = [*cluster.hosts, replace(cluster.hosts[at], key=f"{cluster.hosts[at].key}-new", from_s=joins_s, joined_s=joins_s)]
    hosts[at] = replace(hosts[at], to_s=leaves_s)
    placements = {view: _beside(one, at) for view, one in cluster.placements.items()}
    return replace(cluster, stations=(*cluster.stations, new), hosts=tuple(hosts), placements=placements)


def _beside(placement: Placement, at: int) -> Placement:
    """One more host, placed like another."""
    return replace(placement, priorities=(*placement.priorities, placement.priorities[at]), groups=(*placement.groups, placement.groups[at]))


__all__ = ["NEW_POD", "Replacement", "Rollouts", "replacements"]
