"""What a pod sees of a cluster's hosts: their priorities, groups and health, and what follows for the load.

Envoy: `PrioritySet` and `HostSet` (source/common/upstream/upstream_impl.cc). All workers of a pod see the same; each
keeps its own schedulers (`load_balancing`), told of every change by `refresh`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gwsim.engine.draws import ns
from gwsim.engine.reference.priorities import OVERPROVISIONING, Loads
from gwsim.engine.reference.tables import Entries, Table, maglev, ring
from gwsim.scenario.model import Host, Placement, SimCluster
from gwsim.topology import LbPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

MS = 1_000_000
TABLES = {LbPolicy.RING_HASH: ring, LbPolicy.MAGLEV: maglev}


class Listener(Protocol):
    """Who keeps something made of the hosts."""

    def refresh(self, p: int, now: int) -> None:
        """Hosts of priority `p` have changed at `now`."""


class HostSet:
    """The hosts of one cluster, for one pod."""

    __slots__ = (
        "active", "all", "cluster", "degraded", "ejected", "groups", "healthy", "hosts", "joined", "keys", "listeners", "loads", "members", "placement", "present",
        "tables", "threshold", "unhealthy", "weights", "window",
    )

    def __init__(self, sim: SimCluster, view: str, names: Sequence[str], active: list[int]) -> None:
        hosts = sim.hosts or tuple(Host(key=name) for name in names)
        count = len(hosts)
        self.cluster = sim.cluster
        self.hosts = hosts
        self.active = active
        self.present = [host.from_s <= 0.0 for host in hosts]
        self.keys = [host.key for host in hosts]
        self.weights = [host.weight for host in hosts]
        self.joined = [None if host.joined_s is None else ns(host.joined_s) for host in hosts]
        self.window = 0 if sim.cluster.slow_start is None else ns(sim.cluster.slow_start.window_s)
        self.placement = sim.placements.get(view) or Placement(priorities=(0,) * count, groups=(0,) * count)
        self.threshold = min(100, int(sim.cluster.panic_threshold_percent + 0.5))
        self.ejected = [False] * count
        """By outlier detection; the workers see it at the next refresh."""
        self.unhealthy = [host.health == "unhealthy" for host in hosts]
        """As the workers see it: by its own health, or ejected."""
        self.listeners: list[Listener] = []
        priorities = self.placement.priorities
        count_p = max(priorities, default=-1) + 1
        self.members = [[h for h in range(count) if priorities[h] == p] for p in range(count_p)]
        """By priority, whether they are there or not."""
        self.all = [[h for h in members if self.present[h]] for members in self.members]
        self.groups = [sorted({self.placement.groups[h] for h in members}) for members in self.all]
        self.healthy: list[list[int]] = [[] for _ in self.all]
        self.degraded: list[list[int]] = [[] for _ in self.all]
        self.tables: list[Table | None] = [None] * count_p
        self.loads = Loads([0] * count_p, [0] * count_p, [0] * count_p, self.threshold)
        for p in range(count_p):
            self._sort(p)
        self._balance(set(range(count_p)))

    # --- changes ---------------------------------------------------------------------------------------------

    def refresh(self, p: int, now: int) -> None:
        """The health of a host of priority `p` has changed."""
        for h in self.all[p]:
            self.unhealthy[h] = self.ejected[h] or self.hosts[h].health == "unhealthy"
        self._sort(p)
        self._balance({p})
        for listener in self.listeners:
            listener.refresh(p, now)

    def come_and_go(self, p: int, now: int) -> list[int]:
        """Hosts of priority `p` begin or cease to be there; returns those that left. The refresh is to follow."""
        left = []
        for h in self.members[p]:
            host = self.hosts[h]
            there = ns(host.from_s) <= now and (host.to_s is None or now < ns(host.to_s))
            if self.present[h] and not there:
                left.append(h)
                self.ejected[h] = False
            self.present[h] = there
        self.all[p] = [h for h in self.members[p] if self.present[h]]
        self.groups[p] = sorted({self.placement.groups[h] for h in self.all[p]})
        return left

    def changes(self) -> list[tuple[int, int]]:
        """(instant, priority) of every change there will be, in order."""
        found = set()
        for p, members in enumerate(self.members):
            for h in members:
                found |= {(ns(at), p) for at in (self.hosts[h].from_s, self.hosts[h].to_s) if at}
        return sorted(found)

    def _sort(self, p: int) -> None:
        up = [h for h in self.all[p] if not self.unhealthy[h]]
        self.degraded[p] = [h for h in up if self.hosts[h].health == "degraded"]
        self.healthy[p] = [h for h in up if self.hosts[h].health == "healthy"]

    def _balance(self, changed: set[int]) -> None:
        """Loads of all priorities; tables where the hosts or the panic changed."""
        before = self.loads.panic
        self.loads = Loads([len(x) for x in self.all], [len(x) for x in self.healthy], [len(x) for x in self.degraded], self.threshold)
        make = TABLES.get(self.cluster.lb_policy)
        if make is not None:
            for p, panic in enumerate(self.loads.panic):
                if p in changed or panic != before[p]:
                    self.tables[p] = make(self._entries(p), self.cluster.ring_size)

    def _entries(self, p: int) -> Entries:
        """Hosts with normalised weights (Envoy: `normalizeWeights`)."""
        usable = self.all[p] if self.loads.panic[p] else self.healthy[p]
        weights = self.placement.group_weights
        if weights is None:
            return self._normalised(usable, 1.0)
        total = sum(weights[g] for g in self.groups[p])
        entries: Entries = ()
        for g in self.groups[p]:
            if weights[g] > 0:
                entries += self._normalised([h for h in usable if self.placement.groups[h] == g], weights[g] / total)
        return entries

    def _normalised(self, hosts: list[int], share: float) -> Entries:
        total = sum(self.weights[h] for h in hosts)
        return tuple((h, self.keys[h], self.weights[h] * share / total) for h in hosts)

    def priority(self, h: int) -> int:
        """The priority of a host."""
        return self.placement.priorities[h]

    # --- questions -------------------------------------------------------------------------------------------

    def effective_weights(self, p: int, eligible: list[int]) -> dict[int, float]:
        """Weights of the groups of `p` by how many of their hosts are eligible, those above 0 (Envoy: `LocalityWrr`)."""
        found: dict[int, float] = {}
        if self.placement.group_weights is not None:
            for g in self.groups[p]:
                here = sum(self.placement.groups[h] == g for h in eligible)
                total = sum(self.placement.groups[h] == g for h in self.all[p])
                share = min(1.0, OVERPROVISIONING / 100.0 * (1.0 * here / total))
                weight = self.placement.group_weights[g] * share
                if weight > 0.0:
                    found[g] = weight
        return found

    def in_slow_start(self, now: int) -> bool:
        """Whether any of the pod's hosts is in slow start, whatever its health (Envoy: `noHostsAreInSlowStart`)."""
        return self.window > 0 and any(self._young(h, now) for members in self.all for h in members)

    def _young(self, h: int, now: int) -> bool:
        joined = self.joined[h]
        return joined is not None and now - joined < self.window

    def slowed(self, weight: float, h: int, now: int) -> float:
        """A host's weight while it is new (Envoy: `applySlowStartFactor`)."""
        slow = self.cluster.slow_start
        joined = self.joined[h]
        if slow is None or joined is None or not self._young(h, now) or self.unhealthy[h] or self.hosts[h].health != "healthy":
            return weight
        x = max(1, (now - joined) // MS) / (self.window // MS)
        if slow.aggression != 1.0 and x != 1.0:
            x = pow(x, 1.0 / slow.aggression)
        return weight * max(slow.min_weight_percent / 100.0, x)

    def pickable(self) -> set[int]:
        """Hosts that can be picked as things are."""
        found: set[int] = set()
        for p, members in enumerate(self.all):
            loads = self.loads
            if loads.panic[p]:
                if loads.healthy[p] + loads.degraded[p] > 0:
                    found.update(members)
                continue
            if self.cluster.lb_policy in TABLES:
                if loads.healthy[p] + loads.degraded[p] > 0:
                    found.update(h for h, _, _ in self._entries(p))
                continue
            for load, eligible in ((loads.healthy[p], self.healthy[p]), (loads.degraded[p], self.degraded[p])):
                if load > 0:
                    weights = self.effective_weights(p, eligible)
                    found.update(h for h in eligible if not weights or self.placement.groups[h] in weights)
        return found
