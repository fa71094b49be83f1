"""Where the time of the median, the p95 and the p99 requests went: by proxy on the way, and by cause.

Requests are taken by their latency: those around the median (p40 to p60), around the p95 (p94 to p96) and around the p99
(p98.5 to p99.5), in whole buckets of the anatomy table. Times are means over each group, from integer sums, so that
the parts add up to the total.

In a chain of proxies a request waits for others, of *derived* classes; to it that time is one part (NEXT_HOP). That part is
divided as the time of those requests was: of the ones that took as long as the time to be divided, or, where
a request causes several of them, of all. Derived and caller's requests are counted, not matched one by one, so below the first proxy the
division is an estimate; its sum is exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gwsim.engine.codes import Component
from gwsim.engine.schema import COARSE, RECORD_FIELDS, bucket
from gwsim.results.counts import Counts
from gwsim.results.histograms import NS, Ints, lower_edges_ns

GROUPS = ((50.0, 0.40, 0.60), (95.0, 0.94, 0.96), (99.0, 0.985, 0.995))
"""Percentile, and the ranks between which requests count as being there."""
SEVERAL = 1.5
"""Derived requests a caller's from which on their times overlap or add up, and none is as long as the part they explain."""
DEEPEST = 12
"""Proxies in a row; more are a circle."""

Place = tuple[str, Component]
"""The full name of a proxy (of the gateway workload) and a component of the time there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The requests around a percentile: how many, from which latency to which, and their mean latency, seconds."""

    percent: float
    count: int
    from_s: float
    to_s: float
    total_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A component of the time at a proxy: mean seconds of a request of each group, in their order."""

    gateway: str
    depth: int
    """0: the proxy that the client talks to."""
    component: Component
    times_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """The groups, and the causes by proxy and component. `estimated`: a chain was divided (see the module)."""

    groups: tuple[Group, ...]
    causes: tuple[Cause, ...]
    estimated: bool

    @property
    def hops(self) -> tuple[str, ...]:
        """The proxies on the way, the nearest to the client first."""
        return tuple(dict.fromkeys(cause.gateway for cause in self.causes))

    def share(self, cause: Cause, group: int) -> float:
        """Part of the latency of a group that a cause is."""
        total = self.groups[group].total_s
        return cause.times_s[group] / total if total else 0.0

    def gap(self, cause: Cause) -> float:
        """Part that a cause has in the difference between the p99 and the median; negative where it shrinks."""
        wide = self.groups[-1].total_s - self.groups[0].total_s
        return (cause.times_s[-1] - cause.times_s[0]) / wide if wide > 0 else 0.0

    @property
    def widest(self) -> Cause:
        """The cause that makes most of the difference between the median and the p99."""
        return max(self.causes, key=lambda cause: cause.times_s[-1] - cause.times_s[0])


def anatomy_of(counts: Counts, ids: Sequence[int] | None = None) -> Anatomy | None:
    """The anatomy of some classes together (None: all that clients send); None without covered requests."""
    chosen = list(counts.labels.roots if ids is None else ids)
    table = counts.classes("anatomy_count", chosen).sum(axis=0)
    total = int(table.sum())
    if not total:
        return None
    chains, upto = _Chains(counts), np.cumsum(table)
    groups, found = [], []
    for percent, low, high in GROUPS:
        where = np.flatnonzero((table > 0) & (upto > low * total) & (upto - table < high * total))
        edges = lower_edges_ns(np.array([where[0], where[-1] + 1], dtype=np.int64), COARSE)
        times = chains.of_band(chosen, where, edges)
        count = int(table[where].sum())
        groups.append(Group(
            percent=percent, count=count, from_s=float(edges[0]) * NS, to_s=float(edges[1]) * NS, total_s=sum(times.values()) * NS / count,
        ))
        found.append({place: ns * NS / count for place, ns in times.items()})
    depths = chains.depths(chosen)
    places = {place for times in found for place, time in times.items() if time > 0}
    causes = tuple(
        Cause(gateway=gateway, depth=depths[gateway], component=component, times_s=tuple(times.get((gateway, component), 0.0) for times in found))
        for gateway, component in sorted(places, key=lambda place: (depths[place[0]], place))
    )
    return Anatomy(groups=tuple(groups), causes=causes, estimated=any(cause.depth for cause in causes)) if causes else None


class _Chains:
    """The anatomy tables of all classes, all replications together, and how the time of one leads to those of others."""

    def __init__(self, counts: Counts) -> None:
        self.counts, self.labels = counts, counts.labels
        self.table = counts.of("anatomy_count").sum(axis=0)
        self.sums = counts.of("anatomy_sum").sum(axis=0)
        self.offered = counts.of("offered").sum(axis=0)
        self.next = counts.labels.next_hops or ((),) * len(self.labels.classes)
        self.division = lru_cache(maxsize=None)(self._division)

    def depths(self, ids: Iterable[int]) -> dict[str, int]:
        """How far from the client each proxy is, the nearest way."""
        found: dict[str, int] = {}
        here, depth = set(ids), 0
        while here and depth < DEEPEST:
            for i in here:
                found.setdefault(self.labels.classes[i].gateway, depth)
            here, depth = {j for i in here for j in self.next[i]}, depth + 1
        return found

    def of_band(self, ids: Sequence[int], where: Ints, edges: Ints) -> Mapping[Place, float]:
        """ns by place, of all requests of the classes in the buckets `where`, which reach from edge to edge."""
        out: defaultdict[Place, float] = defaultdict(float)
        for i in ids:
            parts = self.sums[i, where].sum(axis=0)
            waits = self._waits(i, edges) if self.next[i] else ()
            self._add(out, i, parts, waits or (_mean(parts[Component.NEXT_HOP], int(self.table[i, where].sum())),), 0)
        return out

    def _add(self, out: defaultdict[Place, float], i: int, parts: Ints, waits: Sequence[int], depth: int) -> None:
        """Add a class's parts (ns by component); its NEXT_HOP is divided as waits of these lengths (ns) are."""
        gateway = self.labels.classes[i].gateway
        for component in Component:
            if component is not Component.NEXT_HOP and parts[component]:
                out[gateway, component] += float(parts[component])
        left = float(parts[Component.NEXT_HOP])
        if not left:
            return
        shares = self._divided(i, waits, depth + 1)
        for place, share in (shares or {(gateway, Component.NEXT_HOP): 1.0}).items():
            out[place] += left * share

    def _waits(self, i: int, edges: Ints) -> tuple[int, ...]:
        """How long sampled requests of a class with a latency between the edges waited for further hops, ns."""
        start, end, wait, cls = (RECORD_FIELDS.index(name) for name in ("start_ns", "end_ns", "next_hop_ns", "class_id"))
        found: list[int] = []
        for raw in self.counts.raws:
            took = raw.samples[:, end] - raw.samples[:, start]
            rows = (raw.samples[:, cls] == i) & (took >= edges[0]) & (took < edges[1]) & (raw.samples[:, wait] > 0)
            found += raw.samples[rows, wait].tolist()
        return tuple(found)

    def _divided(self, i: int, waits: Sequence[int], depth: int) -> dict[Place, float]:
        """Shares by place of waits (ns) of a class for its next hops; each wait counts by its length."""
        nexts = self.next[i] if depth < DEEPEST else ()
        made = int(self.offered[list(nexts)].sum()) if nexts else 0
        if not made:
            return {}
        alike = made <= SEVERAL * max(int(self.offered[i]), 1)
        out: defaultdict[Place, float] = defaultdict(float)
        for wait in waits:
            for place, share in self.division(nexts, bucket(wait, COARSE) if alike else -1, depth):
                out[place] += share * max(wait, 1)
        total = sum(out.values())
        return {place: value / total for place, value in out.items()} if total else {}

    def _division(self, nexts: tuple[int, ...], at: int, depth: int) -> tuple[tuple[Place, float], ...]:
        """Shares by place of the time of requests of derived classes that lie in a bucket (-1: of all of them)."""
        used = np.flatnonzero(self.table[list(nexts)].sum(axis=0))
        if not used.size:
            return ()
        where = used if at < 0 else used[[int(np.argmin(np.abs(used - at)))]]
        out: defaultdict[Place, float] = defaultdict(float)
        for j in nexts:
            parts = self.sums[j, where].sum(axis=0)
            self._add(out, j, parts, (_mean(parts[Component.NEXT_HOP], int(self.table[j, where].sum())),), depth)
        total = sum(out.values())
        return tuple((place, value / total) for place, value in sorted(out.items())) if total else ()


def _mean(total: int, count: int) -> int:
    return int(total) // count if count else 0


__all__ = ["Anatomy", "Cause", "Group", "anatomy_of"]
