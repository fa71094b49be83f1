"""The pods of a gateway: which of them, and which of its workers, a connection comes to.

The targets of the front load balancer are a table that Python writes: at the start, and when pods come or go.
"""

from __future__ import annotations

from typing import Any

from gwsim.engine.codes import Purpose
from gwsim.engine.compiled.draws import below, draw64
from gwsim.engine.compiled.kernel import kernel

FRONT, KERNEL = int(Purpose.FRONT), int(Purpose.KERNEL)
FRONT_HASH = 0


@kernel
def choose_pod(w, fleet, key):
    """The pod of the connection of this key; -1 without any target."""
    cursor = fleet.cursor
    if fleet.front != FRONT_HASH:
        fleet.cursor += 1
    if fleet.zones == 0:
        return -1
    zone = 0
    if fleet.front != FRONT_HASH:
        zone = cursor % fleet.zones
        cursor //= fleet.zones
    elif fleet.zones > 1:
        zone = below(draw64(key, FRONT, 1), fleet.zones)
    within = w.front_zones[fleet.pod_first + zone]
    at = below(draw64(key, FRONT, 0), within.n) if fleet.front == FRONT_HASH else cursor % within.n
    return w.front_pods[within.first + at]


@kernel
def choose_worker(w, fleet, d, key):
    """The worker of pod `d` that the connection of this key comes to."""
    pod = w.pods[d]
    if fleet.exact == 0:
        return pod.worker_first + below(draw64(key, KERNEL, 0), pod.workers)
    best = pod.worker_first
    for i in range(pod.worker_first + 1, pod.worker_first + pod.workers):
        if w.workers[i].connections < w.workers[best].connections:
            best = i
    return best


def write_targets(world: Any, f: int, targets: list[int], cross_zone: bool) -> None:
    """The pods (ascending) that the front load balancer of fleet `f` sends connections to, by zone or node if what comes to one stays there."""
    fleet = world.fleets[f]
    zones: dict[int, list[int]] = {}
    for d in targets:
        zones.setdefault(0 if cross_zone else int(world.pods[d].front), []).append(d)
    fleet.zones, at = len(zones), int(fleet.pod_first)
    for z, pods in enumerate(zones.values()):
        row = world.front_zones[fleet.pod_first + z]
        row.first, row.n = at, len(pods)
        for d in pods:
            world.front_pods[at] = d
            at += 1
