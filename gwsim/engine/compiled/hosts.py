"""What load balancing sees of a cluster's hosts on a pod: loads of priorities, lists, schedulers and hash tables.

Python that runs at the start of a run and, between slices of the kernel, when the health of hosts changes; it writes the
tables that `load_balancing` reads. Source: envoy source/extensions/load_balancing_policies/common/load_balancer_impl.cc.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np

from gwsim.engine.codes import Purpose
from gwsim.engine.compiled import layout, tables
from gwsim.engine.compiled.chains import reached
from gwsim.engine.compiled.edf import slow_factor
from gwsim.engine.compiled.priorities import DEGRADED, HEALTHY, loads
from gwsim.engine.compiled.relays import begin_links
from gwsim.engine.draws import below, draw64, fold, name64, ns
from gwsim.scenario.model import Host, Model, Placement, SimCluster
from gwsim.topology import LbPolicy

ALL = 0
"""A kind of source, beside HEALTHY and DEGRADED."""
LOCALITY_KINDS = 2
HASHED = (LbPolicy.RING_HASH, LbPolicy.MAGLEV)
SCHEDULED = (LbPolicy.ROUND_ROBIN, LbPolicy.LEAST_REQUEST)


def hosts_of(sim: SimCluster, names: list[str]) -> tuple[Host, ...]:
    """The hosts of a cluster, one a station."""
    return sim.hosts or tuple(Host(key=names[s]) for s in sim.stations)


def reaches(model: Model, first: bool = False) -> set[tuple[int, int]]:
    """(fleet, cluster) pairs that some shape of some client of the fleet can use; `first`: at the start of the run."""
    out = set()
    for client in model.clients:
        for outcome in (o for shape in client.mix for o in (shape.outcomes()[:1] if first else shape.outcomes())):
            out |= {(client.fleet, k) for k in reached(outcome) if k >= 0}
    return out


def is_simple(sim: SimCluster) -> bool:
    """Whether the hosts stay equal, healthy and in one list for the whole run: nothing to keep but a turn."""
    return not (
        sim.placements or sim.cluster.lb_policy in HASHED or sim.cluster.choice_count != 2 or sim.cluster.outlier_detection
        or any(h.health != "healthy" or h.joined_s is not None or h.from_s > 0.0 or h.to_s is not None for h in sim.hosts) or len({h.weight for h in sim.hosts}) > 1
    )


@dataclass(slots=True)
class Level:
    """One priority as a pod sees it: all hosts that it ever has, those that are there, and which of them are of each kind since the last refresh."""

    known: list[int]
    localities: list[int]
    hosts: list[int]
    groups: list[int]
    kinds: list[list[int]]
    panic: bool = False


class View:
    """A cluster's hosts on one pod."""

    def __init__(self, cluster: Clusters, d: int, k: int, placement: Placement) -> None:
        self.owner, self.d, self.k, self.placement = cluster, d, k, placement
        self.sim, self.hosts = cluster.sims[k], cluster.hosts[k]
        count = 1 + max(placement.priorities, default=-1)
        self.levels = []
        for p in range(max(0, count)):
            own = [h for h, priority in enumerate(placement.priorities) if priority == p]
            groups = sorted({placement.groups[h] for h in own})
            self.levels.append(Level(own, groups, own, groups, [own, [], []]))
        self._sizes()

    # --- where things are -------------------------------------------------------------------------------------

    def source(self, p: int, kind: int, group: int) -> int:
        """Index of the source (p, kind, group or -1)."""
        c = self.owner.world.clusters[self.k]
        return int(c.source_first + p * c.level_sources + kind * (c.groups + 1) + group + 1)

    def locality(self, p: int, kind: int) -> int:
        """Index of the source whose members are p's groups, for healthy or degraded hosts."""
        c = self.owner.world.clusters[self.k]
        return int(c.source_first + p * c.level_sources + 3 * (c.groups + 1) + kind - 1)

    def _sizes(self) -> None:
        """Where each source's members are kept."""
        w = self.owner.world
        w.podclusters[self.d, self.k].levels = len(self.levels)
        if is_simple(self.sim):
            return
        at = int(w.clusters[self.k].member_first)
        for p, level in enumerate(self.levels):
            for kind in (ALL, HEALTHY, DEGRADED):
                for group in (-1, *level.localities):
                    w.sources[self.d, self.source(p, kind, group)].first = at
                    at += sum(group in (-1, self.placement.groups[h]) for h in level.known)
            for kind in (HEALTHY, DEGRADED):
                w.sources[self.d, self.locality(p, kind)].first = at
                at += len(level.localities)

    # --- refresh ----------------------------------------------------------------------------------------------

    def refresh(self, p: int, now: int) -> None:
        """Lists, schedulers and tables of priority `p` anew, loads of all priorities too."""
        level = self.levels[p]
        health = [self._health(h) for h in level.hosts]
        for h, one in zip(level.hosts, health, strict=True):
            self.owner.world.podhosts[self.d, self.owner.world.clusters[self.k].endpoint_first + h].healthy = one == "healthy"
        level.kinds = [level.hosts, *([h for h, x in zip(level.hosts, health, strict=True) if x == one] for one in ("healthy", "degraded"))]
        panics = self._loads()
        policy = self.sim.cluster.lb_policy
        for q, panic in enumerate(panics):
            if (q == p or panic != self.levels[q].panic) and policy in HASHED:
                self._table(q, panic)
            self.levels[q].panic = panic
        slow = self._any_slow(now)
        self.owner.world.podclusters[self.d, self.k].plain = self._is_plain(slow)
        if is_simple(self.sim):
            return
        for kind in (ALL, HEALTHY, DEGRADED):
            for group in (-1, *level.localities):
                self._list(p, kind, group, slow, now)
        if self.placement.group_weights is not None:
            for kind in (HEALTHY, DEGRADED):
                self._localities(p, kind)

    def presence(self, h: int) -> tuple[int, int]:
        """From when and until when the host is there, ns."""
        host = self.hosts[h]
        return ns(host.from_s), layout.NEVER if host.to_s is None else ns(host.to_s)

    def hear(self, p: int, now: int) -> None:
        """The hosts of priority `p` are those that are present now."""
        w, level = self.owner.world, self.levels[p]
        first = int(w.clusters[self.k].endpoint_first)
        level.hosts = [h for h in level.known if self.presence(h)[0] <= now < self.presence(h)[1]]
        level.groups = sorted({self.placement.groups[h] for h in level.hosts})
        for h in level.known:
            w.podhosts[self.d, first + h].present = h in level.hosts
        w.detectors[self.d, self.k].hosts = sum(len(one.hosts) for one in self.levels)

    def _health(self, h: int) -> str:
        w = self.owner.world
        ejected = w.podhosts[self.d, w.clusters[self.k].endpoint_first + h].ejected
        return "unhealthy" if ejected else self.hosts[h].health

    def _is_plain(self, slow: bool) -> bool:
        """Whether a pick needs no more than the number of hosts."""
        level = self.levels[0] if len(self.levels) == 1 else None
        return (
            level is not None and len(level.kinds[HEALTHY]) == len(self.hosts) and self.placement.group_weights is None
            and not self._is_scheduled(level.kinds[HEALTHY], slow) and not level.panic and self.sim.cluster.lb_policy not in HASHED and self.sim.cluster.choice_count == 2
        )

    def _loads(self) -> list[bool]:
        """Shares of the priorities anew; which of them are in panic."""
        counts = [(len(level.hosts), len(level.kinds[HEALTHY]), len(level.kinds[DEGRADED])) for level in self.levels]
        first = int(self.owner.world.clusters[self.k].level_first)
        panics = []
        for p, (load, degraded, panic) in enumerate(loads(counts, self.sim.cluster.panic_threshold_percent)):
            row = self.owner.world.levels[self.d, first + p]
            row.load, row.degraded, row.panic = load, degraded, panic
            panics.append(panic)
        return panics

    def _any_slow(self, now: int) -> bool:
        """Whether a host of the pod's, of whatever health, is in slow start."""
        w, k = self.owner.world, self.k
        first = w.clusters[k].endpoint_first
        return any(
            w.endpoints[first + h].joins and slow_factor(w.clusters[k], w.endpoints[first + h].joined_ns, now) >= 0.0
            for level in self.levels for h in level.hosts
        )

    def _is_scheduled(self, members: list[int], slow: bool) -> bool:
        """Whether a source of these hosts takes weighted turns."""
        if self.sim.cluster.lb_policy not in SCHEDULED or len(members) < 2:
            return False
        return slow or len({self.hosts[h].weight for h in members}) > 1

    def _is_joining(self, h: int) -> bool:
        return self.hosts[h].joined_s is not None and self._health(h) == "healthy" and self.sim.cluster.slow_start is not None

    def _list(self, p: int, kind: int, group: int, slow: bool, now: int) -> None:
        w, number = self.owner.world, self.source(p, kind, group)
        members = [h for h in self.levels[p].kinds[kind] if group in (-1, self.placement.groups[h])]
        source = w.sources[self.d, number]
        source.n = len(members)
        for j, h in enumerate(members):
            w.members[self.d, source.first + j] = h
        scheduled = self._is_scheduled(members, slow)
        for i, seed in self.owner.seeds(self.d, self.k):
            w.scheds[i, number].n = 0
            if scheduled:
                self._schedule(i, number, members, seed, now)

    def _schedule(self, i: int, number: int, members: list[int], seed: int, now: int) -> None:
        w, c = self.owner.world, self.owner.world.clusters[self.k]
        least = self.sim.cluster.lb_policy is LbPolicy.LEAST_REQUEST

        def weight(h: int) -> float:
            ep = int(c.endpoint_first) + h
            x: float = self.hosts[h].weight / (int(w.active[self.d, ep]) + 1) if least else self.hosts[h].weight * 1.0
            slow = slow_factor(c, w.endpoints[ep].joined_ns, now) if self._is_joining(h) else -1.0
            return x * slow if slow >= 0.0 else x

        self.owner.write_scheduler(self.d, i, number, spread([(h, weight(h)) for h in members], seed, weight))

    def _localities(self, p: int, kind: int) -> None:
        weights = self.placement.group_weights
        assert weights is not None
        level, groups = self.levels[p], self.placement.groups
        effective = {}
        for g in level.groups:
            total = len([h for h in level.hosts if groups[h] == g])
            eligible = len([h for h in level.kinds[kind] if groups[h] == g])
            effective[g] = weights[g] * min(1.0, 1.4 * (1.0 * eligible / total))
        entries = [(g, x) for g, x in effective.items() if x > 0]
        number, w = self.locality(p, kind), self.owner.world
        w.sources[self.d, number].n = len(entries)
        whole = max(1, sum(weights[g] for g in level.groups))
        for i, key in self.owner.keys(self.d, self.k):
            seed = below(draw64(key, Purpose.LOCALITY, p), whole)
            self.owner.write_scheduler(self.d, i, number, spread(entries, seed, effective.__getitem__), effective)

    def _table(self, p: int, panic: bool) -> None:
        level = self.levels[p]
        weighted = self._normalised(level, level.hosts if panic else level.kinds[HEALTHY])
        table = self.owner.table(self.k, tuple(h for h, _ in weighted), tuple(x for _, x in weighted))
        self.owner.world.levels[self.d, self.owner.world.clusters[self.k].level_first + p].table = table

    def _normalised(self, level: Level, own: list[int]) -> list[tuple[int, float]]:
        """Hosts in the order in which they enter a hash table, with their shares."""
        weights, groups = self.placement.group_weights, self.placement.groups
        if weights is None:
            total = sum(self.hosts[h].weight for h in own)
            return [(h, self.hosts[h].weight * 1.0 / total) for h in own]
        out, whole = [], sum(weights[g] for g in level.groups)
        for g in level.groups:
            members = [h for h in own if groups[h] == g]
            if weights[g] > 0:
                share, total = weights[g] / whole, sum(self.hosts[h].weight for h in members)
                out += [(h, self.hosts[h].weight * share / total) for h in members]
        return out

    def pickable(self) -> set[int]:
        """Hosts that can be picked now."""
        out: set[int] = set()
        first = self.owner.world.clusters[self.k].level_first
        hashed = self.sim.cluster.lb_policy in HASHED
        for p, level in enumerate(self.levels):
            row = self.owner.world.levels[self.d, first + p]
            if row.load + row.degraded <= 0:
                continue
            if level.panic:
                out.update(level.hosts)
                continue
            for kind, load in ((HEALTHY, row.load), (DEGRADED, row.degraded)):
                if load > 0 or (hashed and kind == HEALTHY):
                    out.update(self._eligible(p, HEALTHY if hashed else kind, hashed))
        return out

    def _eligible(self, p: int, kind: int, hashed: bool) -> list[int]:
        weights, groups, own = self.placement.group_weights, self.placement.groups, self.levels[p].kinds[kind]
        if weights is None:
            return own
        if hashed:
            return [h for h in own if weights[groups[h]] > 0]
        source = self.owner.world.sources[self.d, self.locality(p, kind)]
        members = {int(self.owner.world.members[self.d, source.first + j]) for j in range(source.n)}
        return [h for h in own if groups[h] in members] if members else own


def spread(entries: list[tuple[int, float]], seed: int, weight: Any) -> list[tuple[float, int, int]]:
    """An earliest-deadline-first queue of (deadline, order, entry) after `seed` picks, in order."""
    if not entries:
        return []
    whole = 0.0
    for _, x in entries:
        whole += x
    done = [int(seed * (x / whole)) if seed else 0 for _, x in entries]
    queue = [((f + 1) / (x + 1e-13), j, one) for j, ((one, x), f) in enumerate(zip(entries, done, strict=True))]
    heapq.heapify(queue)
    order = len(queue)
    for _ in range(seed - sum(done)):
        deadline, _, one = queue[0]
        heapq.heapreplace(queue, (deadline + 1.0 / weight(one), order, one))
        order += 1
    return sorted(queue)


class Clusters:
    """The views of all pods on all clusters of a run."""

    def __init__(self, model: Any, world: Any, run: int) -> None:
        names = [s.name for s in model.stations]
        self.world, self.sims, self.warmed = world, model.clusters, reaches(model, first=True)
        self.hosts = [hosts_of(sim, names) for sim in model.clusters]
        self._keys: list[list[tuple[int, int]]] = []
        self._tables: dict[Any, int] = {}
        self._rows, self._hashes, self._at = np.zeros(0, layout.TABLE), np.zeros(0, np.uint64), np.zeros(0, np.int64)
        self.views: dict[tuple[int, int], View] = {}
        i, pods = 0, []
        for fleet in model.fleets:
            first = i
            for pod in fleet.pods:
                base = fold(run, name64("worker/" + fleet.name))
                self._keys.append([(j, fold(base, j - first)) for j in range(i, i + pod.workers)])
                i += pod.workers
                pods.append(pod)
        self._first_keys = list(self._keys)
        for d, pod in enumerate(pods):
            for k, sim in enumerate(model.clusters):
                if world.podclusters[d, k].connections >= 0:
                    n = len(sim.stations)
                    default = Placement(priorities=(0,) * n, groups=(0,) * n)
                    self.views[d, k] = View(self, d, k, sim.placements.get(pod.view, default))

    def keys(self, d: int, k: int) -> list[tuple[int, int]]:
        """(worker, its key for cluster `k`) of the pod's workers."""
        name = name64(self.sims[k].cluster.name)
        return [(i, fold(key, name)) for i, key in self._keys[d]]

    def seeds(self, d: int, k: int) -> list[tuple[int, int]]:
        """(worker, where it starts its turns) of the pod's workers."""
        whole = max(1, sum(h.weight for h in self.hosts[k]))
        return [(i, below(draw64(key, Purpose.ROUND_ROBIN), whole)) for i, key in self.keys(d, k)]

    def begin(self, d: int, now: int, life: int) -> None:
        """Pod `d` begins to serve, for the `life`-th time (0: the first): turns, lists, and which hosts warm pools are for."""
        w = self.world
        self._keys[d] = [(i, fold(key, life) if life else key) for i, key in self._first_keys[d]]
        begin_links(w, [sim.cluster.name for sim in self.sims], self._keys[d])
        for k in range(len(self.sims)):
            if (d, k) not in self.views:
                continue
            view, c = self.views[d, k], w.clusters[k]
            for i, seed in self.seeds(d, k):
                for number in range(int(c.source_first), int(c.source_first + c.sources)):
                    w.cursors[i, number] = seed
            for p in range(len(view.levels)):
                view.hear(p, now)
            for p in range(len(view.levels)):
                view.refresh(p, now)
            for h in view.pickable() if (int(w.pods[d].fleet), k) in self.warmed else ():
                w.podhosts[d, c.endpoint_first + h].warm = 1

    def write_scheduler(self, d: int, i: int, number: int, queue: list[tuple[float, int, int]], weights: Any = None) -> None:
        """The queue of source `number` on worker `i`; `weights` if they do not depend on the state of hosts."""
        w = self.world
        first = w.sources[d, number].first
        w.scheds[i, number].n = len(queue)
        w.scheds[i, number].order = 1 + max((order for _, order, _ in queue), default=-1)
        for j, (deadline, order, one) in enumerate(queue):
            entry = w.edf[i, first + j]
            entry.deadline, entry.order, entry.member = deadline, order, one
            entry.weight = -1.0 if weights is None else weights[one]
            if weights is not None:
                w.members[d, first + j] = one

    def table(self, k: int, hosts: tuple[int, ...], weights: tuple[float, ...]) -> int:
        """Number of the hash table of these hosts of cluster `k`, made if it is not there yet; -1 without hosts."""
        if not hosts:
            return -1
        key = (k, hosts, weights)
        if key not in self._tables:
            cluster = self.sims[k].cluster
            names = tuple(self.hosts[k][h].key for h in hosts)
            made = tables.ring if cluster.lb_policy is LbPolicy.RING_HASH else tables.maglev
            hashes, at = made(names, weights, cluster.ring_size)
            self._tables[key] = len(self._rows)
            self._rows = np.append(self._rows, np.array([(len(self._at), len(at))], layout.TABLE))
            self._hashes = np.append(self._hashes, hashes)
            self._at = np.append(self._at, np.array(hosts, np.int64)[at])
            for name, array in (("tables", self._rows), ("table_hash", self._hashes), ("table_host", self._at)):
                self.world.replace(name, array)
        return self._tables[key]


