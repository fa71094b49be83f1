"""Whether the connection pools can carry the load a scenario declares, by Little's law and before any simulation.

Requests in flight at a gateway pod are at least its rate times the backend's mean service time: waiting, the network and
retries only add to it. A pool that allows fewer refuses the rest with 503 UO, however long it runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from gwsim.diagnostics import Collector, code
from gwsim.scenario.model import (
    Arrivals,
    Bursts,
    ClosedLoop,
    Model,
    OnDemand,
    Paced,
    Poisson,
    Replay,
    SimCluster,
)
from gwsim.scenario.rates import class_rates
from gwsim.scenario.resolved import Resolved


def peak_rps(arrivals: Arrivals) -> float | None:
    """The highest rate of an arrival process; None for clients that wait for their answers and have no rate."""
    match arrivals:
        case Poisson():
            return max((max(one.start_rps, one.end_rps) for one in arrivals.segments), default=0.0)
        case Paced():
            return arrivals.rate_rps
        case Bursts():
            return max(arrivals.base_rps, arrivals.peak_rps)
        case ClosedLoop():
            return arrivals.rate_rps
        case OnDemand():
            return None
        case Replay():
            times = arrivals.times_s
            return len(times) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else None


@dataclass(frozen=True, slots=True)
class Load:
    """What one gateway pod sends to a cluster at the peak: requests per second, and the clients it comes from."""

    rps: float
    clients: tuple[str, ...]


def loads(model: Model) -> dict[tuple[int, int], Load]:
    """The peak load by (fleet, cluster); a request goes to each destination by its weight."""
    found: dict[tuple[int, int], Load] = {}
    for (c, s), rate in class_rates(model, lambda client: peak_rps(client.arrivals) or 0.0).items():
        client = model.clients[c]
        if not rate:
            continue
        pods = max(len(model.fleets[client.fleet].pods), 1)
        shape = client.mix[s]
        weights = sum(target.weight for target in shape.outcome.targets)
        for target in shape.outcome.targets:
            if target.cluster < 0 or not weights:
                continue
            key = (client.fleet, target.cluster)
            before = found.get(key, Load(0.0, ()))
            share = rate * target.weight / weights / pods
            found[key] = Load(before.rps + share, tuple(dict.fromkeys((*before.clients, client.name))))
    return found


def report_pools(resolved: Resolved, collector: Collector) -> None:
    """Report clusters whose pool is below the least number of requests in flight."""
    model = resolved.model
    for (fleet, at), load in loads(model).items():
        cluster = model.clusters[at]
        service = _service_s(model, cluster)
        limit, name = _limit(cluster)
        needed = load.rps * service
        if needed <= limit:
            continue
        gateway = resolved.fleets[fleet]
        served = limit / service
        message = (
            f"{resolved.clusters[at]}: {name} {limit} at each of {gateway.replicas} pods of {gateway.name} carries "
            f"{served:.0f} of {load.rps:.0f} requests/s at the peak ({', '.join(load.clients)}): with {1000 * service:.3g} ms of service "
            f"time at least {needed:.0f} are in flight, and the rest is answered 503 UO"
        )
        help = f"allow {needed * 1.5:.0f} or more, or add gateway pods (limits hold for each pod)"
        origin = cluster.cluster.origin or gateway.proxy.origin
        collector.add(code("POOL_TOO_SMALL"), message, origin, help=help, object_ref=f"Cluster {cluster.cluster.name}")


def _service_s(model: Model, cluster: SimCluster) -> float:
    """Mean service time over the cluster's pods, seconds."""
    means = [model.stations[at].service_time_s.mean for at in cluster.stations]
    return sum(means) / len(means) if means else 0.0


def _limit(cluster: SimCluster) -> tuple[int, str]:
    """The limit of requests in flight, and the field it comes from: for HTTP/1 one a connection."""
    breakers = cluster.cluster.circuit_breakers
    if cluster.cluster.upstream_http == 1 and breakers.max_connections < breakers.max_requests:
        return breakers.max_connections, "maxConnections"
    return breakers.max_requests, "http2MaxRequests"


__all__ = ["Load", "loads", "peak_rps", "report_pools"]
