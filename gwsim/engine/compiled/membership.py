"""Hosts that come and go: control events at the instants at which gateways hear of them.

Python makes the tables anew (`hosts`); the connections to hosts that left are drained by the kernel when it goes on.
Source: envoy source/common/upstream/upstream_impl.cc (updateDynamicHostList), cluster_manager_impl.cc (removed hosts are drained).
"""

from __future__ import annotations

from typing import Any

from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.layout import NEVER
from gwsim.engine.compiled.pools import drain
from gwsim.engine.draws import ns

PART = 2
"""Of the control events, after ticks and updates."""


@kernel
def drain_left(w):
    """The kernel's part of a change of hosts that Python has begun."""
    w.g[0].leavings = 0
    for d in range(w.podhosts.shape[0]):
        for ep in range(w.podhosts.shape[1]):
            if w.podhosts[d, ep].leaving == 1:
                w.podhosts[d, ep].leaving = 0
                drain(w, d, ep, w.g[0].stop_ns)


class Membership:
    """The changes of hosts that pods will hear of (`control`)."""

    def __init__(self, model: Any, clusters: Any) -> None:
        self.clusters = clusters
        horizon_ns = ns(model.run.duration_s)
        self._instants: dict[tuple[int, int, int], list[int]] = {}
        self._due: dict[tuple[int, int, int], list[int]] = {}
        for (d, k), view in clusters.views.items():
            for p, level in enumerate(view.levels):
                instants = {at for h in level.known for at in view.presence(h) if 0 < at < horizon_ns}
                if instants:
                    self._instants[d, k, p] = sorted(instants)

    def begin(self, d: int, now: int) -> None:
        """Pod `d` serves from now on."""
        for place, instants in self._instants.items():
            if place[0] == d:
                self._due[place] = [at for at in instants if at > now]

    def end(self, d: int) -> None:
        """Pod `d` hears of nothing any more."""
        self._due = {place: due for place, due in self._due.items() if place[0] != d}

    def events(self) -> list[tuple[int, int, int, int, int]]:
        """(instant, pod, cluster, priority, part) of the next change of each."""
        return [(due[0], *place, PART) for place, due in self._due.items() if due]

    def carry_out(self, d: int, k: int, p: int, now: int) -> None:
        """The hosts of priority `p` change now."""
        self._due[d, k, p].pop(0)
        view, w = self.clusters.views[d, k], self.clusters.world
        first = int(w.clusters[k].endpoint_first)
        for h in view.levels[p].known:
            if view.presence(h)[1] == now:
                self._forget(d, k, w.podhosts[d, first + h])
                w.g[0].leavings = 1
        level = w.levels[d, int(w.clusters[k].level_first) + p]
        level.update_at_ns, level.updated_ns = NEVER, now
        view.hear(p, now)
        view.refresh(p, now)

    def _forget(self, d: int, k: int, host: Any) -> None:
        """A host has left."""
        host.leaving, host.gone = 1, 1
        if host.ejected:
            host.ejected = 0
            self.clusters.world.detectors[d, k].ejected -= 1
        host.ok = host.total = host.failures_5xx = host.failures_gateway = host.local_failures = host.backoff = 0
        host.back_at_ns = -1
