"""Load balancing: which host of a cluster an attempt goes to.

Envoy: source/extensions/load_balancing_policies. Every policy is a class with `pick(key, t, now, x)`: `key` is that of the
gateway's attempt, `t` counts the tries to find a host not tried before, `x` is the request's hash, if it has one.
Priorities, health and panic are those of the pod's `HostSet`; cursors and schedulers are the worker's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from gwsim.engine.codes import Counter, Purpose
from gwsim.engine.draws import below, draw64, fold, name64
from gwsim.engine.reference.edf import Edf
from gwsim.engine.reference.hosts import HostSet
from gwsim.topology import LbPolicy

ALL, HEALTHY, DEGRADED = 0, 1, 2
NO_GROUP = -1
NONE = -1
"""No host."""


class Source:
    """The hosts that one choice is made among."""

    __slots__ = ("hosts", "index", "scheduler")

    def __init__(self, index: int) -> None:
        self.hosts: list[int] = []
        self.index = index
        self.scheduler: Edf | None = None


class Balancer(ABC):
    """One worker's load balancing over one cluster."""

    weighted = True
    """Whether the policy looks at weights."""

    def __init__(self, hosts: HostSet, worker_key: int, count: Callable[[Counter], None], now: int = 0) -> None:
        self.hosts = hosts
        self.active = hosts.active
        self.candidates = hosts.cluster.choice_count
        self.count = count
        self.key = fold(worker_key, name64(hosts.cluster.name))
        self.seed = below(draw64(self.key, Purpose.ROUND_ROBIN), max(1, sum(hosts.weights)))
        self.sources: dict[tuple[int, int, int], Source] = {}
        self.localities: dict[tuple[int, int], Edf | None] = {}
        self.simple: Source | None = None
        """The only source there is at present, if so."""
        hosts.listeners.append(self)
        for p in range(len(hosts.all)):
            self.refresh(p, now)

    # --- changes ---------------------------------------------------------------------------------------------

    def refresh(self, p: int, now: int) -> None:
        """Sources and schedulers of a priority, made anew (Envoy: `EdfLoadBalancerBase::refresh`)."""
        hosts, groups = self.hosts, self.hosts.placement.groups
        slow = hosts.in_slow_start(now)
        for kind, members in ((ALL, hosts.all[p]), (HEALTHY, hosts.healthy[p]), (DEGRADED, hosts.degraded[p])):
            self._source(p, kind, NO_GROUP, members, slow, now)
            if hosts.placement.group_weights is None or kind == ALL:
                continue
            for g in hosts.groups[p]:
                self._source(p, kind, g, [h for h in members if groups[h] == g], slow, now)
            self.localities[p, kind] = self._locality(p, hosts.effective_weights(p, members), now)
        plain = len(hosts.all) == 1 and hosts.loads.healthy == [100] and not hosts.loads.panic[0] and not any(self.localities.values())
        self.simple = self.sources[0, HEALTHY, NO_GROUP] if plain else None

    def _source(self, p: int, kind: int, group: int, members: list[int], slow: bool, now: int) -> None:
        source = self.sources.setdefault((p, kind, group), Source(self.seed))
        source.hosts = members
        unequal = len({self.hosts.weights[h] for h in members}) > 1
        source.scheduler = None
        if self.weighted and len(members) > 1 and (unequal or slow):
            source.scheduler = Edf(members, self.weight, self.seed, now)

    def _locality(self, p: int, weights: dict[int, float], now: int) -> Edf | None:
        given = self.hosts.placement.group_weights
        if not weights or given is None:
            return None
        total = sum(given[g] for g in self.hosts.groups[p])
        seed = below(draw64(self.key, Purpose.LOCALITY, p), max(1, total))
        return Edf(list(weights), lambda group, _: weights[group], seed, now)

    def weight(self, h: int, now: int) -> float:
        """Weight of a host in a scheduler."""
        return self.hosts.slowed(float(self.hosts.weights[h]), h, now)

    # --- picking ---------------------------------------------------------------------------------------------

    def pick(self, key: int, t: int, now: int, x: int | None) -> int:
        """A host, or NONE."""
        source = self.simple or self._choose_source(key, t, now)
        if source is None or not source.hosts:
            return NONE
        if source.scheduler is not None:
            return source.scheduler.pick(now)
        return self.choose(source, key, t)

    def _choose_source(self, key: int, t: int, now: int) -> Source | None:
        """Priority, then panic or locality (Envoy: `hostSourceToUse`)."""
        chosen = self.hosts.loads.choose(draw64(key, Purpose.PRIORITY, t))
        if chosen is None:
            return None
        p, degraded = chosen
        if self.hosts.loads.panic[p]:
            self.count(Counter.LB_HEALTHY_PANIC)
            return self.sources[p, ALL, NO_GROUP]
        kind = DEGRADED if degraded else HEALTHY
        locality = self.localities.get((p, kind))
        return self.sources[p, kind, NO_GROUP if locality is None else locality.pick(now)]

    @abstractmethod
    def choose(self, source: Source, key: int, t: int) -> int:
        """One of the hosts of a source without a scheduler."""


class RoundRobin(Balancer):
    """One after the other; the cursor is the worker's own."""

    def choose(self, source: Source, key: int, t: int) -> int:
        """The host under the cursor, which moves on."""
        host = source.hosts[source.index % len(source.hosts)]
        source.index += 1
        return host


class LeastRequest(Balancer):
    """The least busy of two (or more) at random (power of two choices); the first if they are equally busy."""

    def weight(self, h: int, now: int) -> float:
        """With unequal weights: the weight per request that is active."""
        return self.hosts.slowed(self.hosts.weights[h] / (self.active[h] + 1), h, now)

    def choose(self, source: Source, key: int, t: int) -> int:
        """One of the candidates."""
        hosts, active = source.hosts, self.active
        n = len(hosts)
        if n == 1:
            return hosts[0]
        first = self.candidates * t
        best = hosts[below(draw64(key, Purpose.LOAD_BALANCER, first), n)]
        for i in range(first + 1, first + self.candidates):
            other = hosts[below(draw64(key, Purpose.LOAD_BALANCER, i), n)]
            if active[other] < active[best]:
                best = other
        return best


class Random(Balancer):
    """Uniformly at random, whatever the weights."""

    weighted = False

    def choose(self, source: Source, key: int, t: int) -> int:
        """Any host."""
        return source.hosts[below(draw64(key, Purpose.LOAD_BALANCER, t), len(source.hosts))]


class Hashed(Balancer):
    """RING_HASH and MAGLEV: the host that the request's hash belongs to; the table is the pod's."""

    weighted = False

    def pick(self, key: int, t: int, now: int, x: int | None) -> int:
        """The host of the hash (Envoy: `ThreadAwareLoadBalancerBase`); without a hash any."""
        z = draw64(key, Purpose.LOAD_BALANCER) if x is None else x
        chosen = self.hosts.loads.choose(z)
        if chosen is None:
            return NONE
        if t == 0 and self.hosts.loads.panic[chosen[0]]:
            self.count(Counter.LB_HEALTHY_PANIC)
        table = self.hosts.tables[chosen[0]]
        return NONE if table is None else table.host(z, t)

    def choose(self, source: Source, key: int, t: int) -> int:
        """There are no sources here: the table decides."""
        return NONE


POLICIES: dict[LbPolicy, type[Balancer]] = {
    LbPolicy.ROUND_ROBIN: RoundRobin,
    LbPolicy.LEAST_REQUEST: LeastRequest,
    LbPolicy.RANDOM: Random,
    LbPolicy.RING_HASH: Hashed,
    LbPolicy.MAGLEV: Hashed,
}
"""Policies modelled; any other runs as least request."""


def policy_of(policy: LbPolicy) -> type[Balancer]:
    """The policy of that name, or its stand-in."""
    return POLICIES.get(policy, LeastRequest)
