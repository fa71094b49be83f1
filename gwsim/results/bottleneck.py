"""What runs out first: every limited resource with its utilisation, the nearest to its limit first.

Load is taken to grow in proportion: at utilisation u there is headroom for about 1/u times the load, less the
more unevenly connections fall on workers. A pool whose breaker refuses more than a thousandth of the attempts is
at its limit whatever its mean. Where the pods behind such a pool are full, they come first: the pool fills because
they do not keep up, and a larger one would only hold more that waits.
"""

from __future__ import annotations

from dataclasses import replace

from gwsim.results.labels import Labels
from gwsim.results.machines import refused_share
from gwsim.results.parts import (
    BackendFigures,
    Bottleneck,
    ClusterFigures,
    FleetFigures,
    Limit,
    PodFigures,
    PortFigures,
    WorkerFigures,
)
from gwsim.units import format_share

NOTICEABLE = 1e-3
KEPT = 50
FULL = 0.95
"""A backend pod busier than this is why the pool before it overflows."""


def bottleneck_of(
    labels: Labels,
    workers: tuple[WorkerFigures, ...],
    pods: tuple[PodFigures, ...],
    fleets: tuple[FleetFigures, ...],
    clusters: tuple[ClusterFigures, ...],
    backends: tuple[BackendFigures, ...],
    ports: tuple[PortFigures, ...] = (),
) -> Bottleneck:
    """All limits, the nearest first, at most 50."""
    pools = [limit for cluster in clusters for limit in _pool(cluster)]
    limits = [
        *(_worker(fleet, workers) for fleet in fleets if fleet.workers),
        *_cpu_limits(labels, pods),
        *(limit for fleet, label in zip(fleets, labels.fleets, strict=True) for limit in _memory(fleet, label.memory_bytes[3])),
        *_causes(labels, [_backend(backend) for backend in backends if backend.concurrency], pools),
        *pools,
        *(_ports(one) for one in ports),
    ]
    ranked = sorted((one for one in limits if one.utilisation > 0 or one.exhausted > 0), key=_order)[:KEPT]
    if not ranked:
        return Bottleneck(sentence="Nothing was used.")
    first = ranked[0]
    if first.utilisation >= 1.0 or first.exhausted >= NOTICEABLE:
        end = "; this is the limit now."
    else:
        end = f"; about {_factor(first.headroom)} times this load until it is full."
    return Bottleneck(sentence=first.text + end, limits=tuple(ranked))


def _order(limit: Limit) -> tuple[float, str]:
    level = limit.utilisation
    if limit.exhausted >= NOTICEABLE:
        level = max(level, 1.0) + limit.exhausted
    return -level, f"{limit.kind == 'pool':d}{limit.name}"


def _factor(headroom: float) -> str:
    return f"{headroom:.2f}" if headroom < 10 else f"{headroom:.0f}"


def _worker(fleet: FleetFigures, workers: tuple[WorkerFigures, ...]) -> Limit:
    own = [w for w in workers if w.gateway == fleet.gateway]
    busiest = max(own, key=lambda w: w.utilisation.value or 0.0)
    level, average = busiest.utilisation.value or 0.0, fleet.utilisation.value or 0.0
    name = f"{busiest.pod}/{busiest.worker}"
    others = f" (mean of {len(own)} workers: {format_share(average)})" if len(own) > 1 else ""
    text = f"gateway {fleet.gateway}: worker {name} is {format_share(level)} busy{others}"
    return Limit(kind="worker", name=name, utilisation=level, text=text)


def _cpu_limits(labels: Labels, pods: tuple[PodFigures, ...]) -> list[Limit]:
    limits = []
    for fleet in labels.fleets:
        own = [pod for pod in pods if pod.gateway == fleet.name]
        if not own or not fleet.cpu_limit_cores:
            continue
        busiest = max(own, key=lambda pod: pod.cpu_cores.value or 0.0)
        level = (busiest.cpu_cores.value or 0.0) / fleet.cpu_limit_cores
        text = f"gateway {fleet.name}: pod {busiest.pod} uses {format_share(level)} of its CPU limit"
        limits.append(Limit(kind="cpu", name=busiest.pod, utilisation=level, text=text))
    return limits


def _memory(fleet: FleetFigures, fixed_bytes: float) -> list[Limit]:
    """What the connections of a pod are expected to need, of what its limit leaves them."""
    if not fleet.memory_limit_bytes or not fleet.memory_bytes_range.value:
        return []
    needed = fleet.memory_bytes_range
    room = fleet.memory_limit_bytes - fixed_bytes
    level = (needed.value - fixed_bytes) / room if room > 0 else needed.value / fleet.memory_limit_bytes
    span = f"{needed.low / 2**20:.0f} to {needed.high / 2**20:.0f} MiB"
    text = f"gateway {fleet.gateway}: a pod needs {format_share(needed.value / fleet.memory_limit_bytes)} of its memory limit ({span} of {fleet.memory_limit_bytes / 2**20:.0f})"
    return [Limit(kind="memory", name=fleet.gateway, utilisation=level, text=text)]


def _ports(ports: PortFigures) -> Limit:
    level, refused = ports.peak / ports.ports, ports.refused.value or 0.0
    whose = "" if ports.shared else " of a pod"
    text = f"nat {ports.name}: {ports.peak:,} of {ports.ports:,} source ports{whose} for one destination in use or at rest at the peak"
    if refused:
        text += f", {format_share(refused)} of connections got none"
    return Limit(kind="ports", name=ports.name, utilisation=level, exhausted=refused, text=text)


def _backend(backend: BackendFigures) -> Limit:
    level, rejected = backend.utilisation.value or 0.0, backend.rejected.value or 0.0
    text = f"backend {backend.name}: its {backend.concurrency} servers are {format_share(level)} busy"
    if rejected >= NOTICEABLE:
        text += f", {format_share(rejected)} of requests find the queue full"
    return Limit(kind="backend", name=backend.name, utilisation=level, exhausted=rejected, text=text)


def _causes(labels: Labels, backends: list[Limit], pools: list[Limit]) -> list[Limit]:
    """The backend pods; the fullest one behind a pool that overflows says so, and ranks before it."""
    found = {one.name: one for one in backends}
    overflowing = {pool.name: pool for pool in pools if pool.exhausted >= NOTICEABLE}
    for cluster in labels.clusters:
        pool = overflowing.get(cluster.name)
        behind = [found[name] for at in cluster.stations if (name := labels.stations[at].name) in found]
        fullest = max(behind, key=lambda one: (one.utilisation, one.name), default=None)
        if pool is None or fullest is None or fullest.utilisation < FULL:
            continue
        level = max(fullest.utilisation, pool.utilisation, 1.0)
        text = f"{fullest.text}, so the pool before it overflows ({format_share(pool.exhausted)} of requests)"
        found[fullest.name] = replace(fullest, utilisation=level, exhausted=max(fullest.exhausted, pool.exhausted), text=text)
    return list(found.values())


def _pool(cluster: ClusterFigures) -> list[Limit]:
    """The tightest of the two limits on what is under way, and whatever breakers refused."""
    refused = refused_share(cluster)
    in_use = cluster.in_use.value or 0.0
    bounds = [(cluster.limits[name], name) for name in ("max_connections", "max_requests")]
    known = [(bound, name) for bound, name in bounds if bound]
    if not known and not refused:
        return []
    bound, name = min(known, default=(None, ""))
    level = in_use / bound if bound else 0.0
    text = f"cluster {cluster.name}:"
    if bound:
        text += f" {in_use:.3g} of {name} {bound} in use per gateway pod on average"
    if refused:
        limits = [key for key in ("max_connections", "max_pending_requests", "max_requests") if cluster.limits[key]]
        of = f" ({', '.join(limits)})" if limits else ""
        text += f"{',' if bound else ''} {format_share(refused)} of requests overflow{of}"
    return [Limit(kind="pool", name=cluster.name, utilisation=level, exhausted=refused, text=text)]
