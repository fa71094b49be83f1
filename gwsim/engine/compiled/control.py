"""Control events (rank 0): what Python carries out between slices of the kernel.

They are few: ticks and updates of outlier detection, backend pods and gateway pods that come and go, autoscalers. The kernel stops before the first
of them; what of an event is better done by the kernel (ejections, the end of a pod) it finds noted in the world when it goes on.
"""

from __future__ import annotations

from typing import Any

from gwsim.engine.compiled.fleets import write_targets
from gwsim.engine.compiled.hosts import Clusters
from gwsim.engine.compiled.layout import NEVER
from gwsim.engine.compiled.lifecycle import ENTITY_FLEET, Lifecycle
from gwsim.engine.compiled.membership import PART, Membership
from gwsim.engine.compiled.outliers import Detectors


class Control:
    """The control events of a run."""

    def __init__(self, model: Any, world: Any, run: int) -> None:
        world.levels["update_at_ns"], world.levels["updated_ns"] = NEVER, -1
        self.clusters = Clusters(model, world, run)
        self.detectors = Detectors(model, self.clusters, run)
        self.membership = Membership(model, self.clusters)
        self.lifecycles = {f: Lifecycle(self, f, model, run) for f, fleet in enumerate(model.fleets) if fleet.lifecycle is not None}
        first = 0
        for f, fleet in enumerate(model.fleets):
            pods = list(range(first, first + len(fleet.pods)))
            first += len(fleet.pods)
            serving = self.lifecycles[f].serving() if f in self.lifecycles else pods
            write_targets(world, f, serving, fleet.cross_zone)
            for d in serving:
                world.pods[d].serving = 1
                self.clusters.begin(d, 0, 0)
                self.detectors.begin(d, 0, model.run.start == "warm")
                self.membership.begin(d, 0)
        self._look()

    @property
    def world(self) -> Any:
        """The world of the run."""
        return self.clusters.world

    def begin(self, d: int, now: int, life: int) -> None:
        """Pod `d` begins to serve: its workers are asleep, with nothing of an earlier life."""
        w = self.world
        pod = w.pods[d]
        pod.over, pod.draining = 0, 0
        pod.life += 1
        for i in range(int(pod.worker_first), int(pod.worker_first + pod.workers)):
            k = w.workers[i]
            k.asleep, k.slept_ns, k.connections = 1, now, 0
            k.stops_first = k.stops_n
        self.clusters.begin(d, now, life)
        self.detectors.begin(d, now, False)
        self.membership.begin(d, now)

    def end(self, d: int) -> None:
        """Pod `d` ends: the kernel clears it when it goes on."""
        self.world.pods[d].ending, self.world.g[0].endings = 1, 1
        self.detectors.end(d)
        self.membership.end(d)

    def _events(self) -> list[tuple[int, int, int, int, int]]:
        events = self.detectors.events() + self.membership.events()
        for one in self.lifecycles.values():
            events += one.events()
        return events

    def _look(self) -> None:
        self.world.g[0].control_at_ns = min((event[0] for event in self._events()), default=NEVER)

    def step(self) -> None:
        """Carry out the next control event."""
        now, entity, source, number, part = min(self._events())
        g = self.world.g[0]
        g.stop_ns = now
        g.events += 1
        if entity < ENTITY_FLEET and part == PART:
            self.membership.carry_out(entity, source, number, now)
        elif entity < ENTITY_FLEET:
            self.detectors.carry_out(entity, source, number, part, now)
        else:
            self.lifecycles[entity - ENTITY_FLEET].carry_out(number, part, now)
        self._look()

    def finish(self) -> None:
        """The run has stopped."""
        for one in self.lifecycles.values():
            one.count(int(self.world.g[0].stop_ns))
