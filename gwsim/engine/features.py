"""What a model asks of an engine beyond the basics, and which of it the compiled engine has.

The reference engine has all features. A model that uses one the compiled engine lacks runs on the reference engine
(`auto`) or is refused (`compiled`), never run without it.
"""

from __future__ import annotations

from enum import StrEnum

from gwsim.engine import cache
from gwsim.scenario.model import Model, OnDemand, SimCluster
from gwsim.topology import LbPolicy


class Feature(StrEnum):
    """A part of the model that came after the first version; the value is what users read."""

    LOAD_BALANCING = "weights, health, localities and consistent hashing in load balancing"
    OUTLIERS = "outlier detection"
    FILTERS = "faults, rate limits, calls of filters and mirrors"
    FRONT = "CPU limits, exact balance and zones of the load balancer"
    MODES = "backends that are slow, failing or stalled for a time"
    LIFECYCLE = "gateway pods that come and go"
    AUTOSCALING = "autoscaling during the run"
    CONNECTIONS = "lifetimes, limits and failures of upstream connections, and retry budgets"
    CHAINS = "requests that go on through further proxies, and calls between services"
    MEMBERSHIP = "backend pods that come and go"
    AGEING = "connections of clients that the gateway ends"
    UPDATES = "configuration that changes during the run"
    PORTS = "source ports that run out"
    LONG_STREAMS = "WebSockets and gRPC streams"
    TCP = "gateways that hand bytes on, and TLS that they do not open"


COMPILED: frozenset[Feature] = frozenset({
    Feature.LOAD_BALANCING, Feature.OUTLIERS, Feature.FILTERS, Feature.CONNECTIONS, Feature.MODES, Feature.FRONT,
    Feature.LIFECYCLE, Feature.AUTOSCALING, Feature.AGEING, Feature.PORTS, Feature.UPDATES, Feature.MEMBERSHIP,
    Feature.CHAINS,
})
"""The features that the compiled engine has."""
LEAN: frozenset[Feature] = frozenset()
"""Those of them that its lean kernel has too."""
KERNELS: dict[str, frozenset[Feature]] = dict(zip(cache.KERNELS, (LEAN, COMPILED), strict=True))
"""The kernels that the one source of the compiled engine is compiled into, the quickest first, and the features of each.

A kernel without a feature holds no code for it (`compiled/kernel.py`): it runs faster, and is compiled and loaded sooner.
"""


def kernels(model: Model) -> tuple[str, ...]:
    """The kernels that can run a model, the quickest first; none if the compiled engine lacks something."""
    needed = used(model)
    return tuple(name for name, features in KERNELS.items() if needed <= features)


def is_ready(model: Model) -> bool:
    """Whether a kernel that can run a model is compiled."""
    return any(cache.is_warm(name) for name in kernels(model))


def used(model: Model) -> frozenset[Feature]:
    """The features that a model needs."""
    found = set()
    if any(_balanced(cluster) for cluster in model.clusters):
        found.add(Feature.LOAD_BALANCING)
    if any(cluster.cluster.outlier_detection is not None and cluster.stations for cluster in model.clusters):
        found.add(Feature.OUTLIERS)
    outcomes = [outcome for client in model.clients for shape in client.mix for outcome in shape.outcomes()]
    if any(one.program or one.mirrors or one.local_bytes for one in outcomes):
        found.add(Feature.FILTERS)
    if any(_connected(cluster, model) for cluster in model.clusters):
        found.add(Feature.CONNECTIONS)
    pods = [pod for fleet in model.fleets for pod in fleet.pods]
    if any(pod.cpu_limit_cores is not None for pod in pods) or any(not f.cross_zone or f.balance == "exact" for f in model.fleets):
        found.add(Feature.FRONT)
    if any(station.modes for station in model.stations):
        found.add(Feature.MODES)
    if any(fleet.lifecycle is not None for fleet in model.fleets):
        found.add(Feature.LIFECYCLE)
    if any(fleet.lifecycle is not None and fleet.lifecycle.scaling is not None for fleet in model.fleets):
        found.add(Feature.AUTOSCALING)
    if any(isinstance(client.arrivals, OnDemand) for client in model.clients):
        found.add(Feature.CHAINS)
    if any(station.relay is not None for station in model.stations):
        found.add(Feature.CONNECTIONS)  # between proxies they have connect time-outs
    if any(one.kind == "end" for station in model.stations for one in station.outages):
        found.add(Feature.MEMBERSHIP)
    if any(host.from_s > 0.0 or host.to_s is not None for cluster in model.clusters for host in cluster.hosts):
        found.add(Feature.MEMBERSHIP)
    if any(client.max_connection_duration_s is not None for client in model.clients):
        found.add(Feature.AGEING)
    if any(shape.later for client in model.clients for shape in client.mix):
        found.add(Feature.UPDATES)
    if model.port_pools:
        found.add(Feature.PORTS)
    if model.long_classes():
        found.add(Feature.LONG_STREAMS)
    if any(one.tcp for one in outcomes):
        found.add(Feature.TCP)
    return frozenset(found)


def missing(model: Model) -> tuple[str, ...]:
    """What a model needs and the compiled engine lacks, in words; empty: it can run the model."""
    return tuple(sorted(used(model) - COMPILED))


def _balanced(sim: SimCluster) -> bool:
    """Whether a cluster's load balancing is more than a choice among equals."""
    cluster = sim.cluster
    return bool(
        cluster.lb_policy in (LbPolicy.RING_HASH, LbPolicy.MAGLEV)
        or cluster.choice_count != 2
        or sim.placements
        or any(host.health != "healthy" or host.joined_s is not None for host in sim.hosts)
        or len({host.weight for host in sim.hosts}) > 1
    )


def _connected(sim: SimCluster, model: Model) -> bool:
    """Whether a cluster's connections may end or fail, or fill up, within the run."""
    cluster, run_s = sim.cluster, model.run.duration_s
    lifetimes = (cluster.idle_timeout_s or None, cluster.max_connection_duration_s, *(model.stations[s].keepalive_s for s in sim.stations))
    return bool(
        any(one is not None and one < run_s for one in lifetimes)
        or cluster.max_requests_per_connection is not None
        or (cluster.upstream_http == 2 and cluster.max_concurrent_streams is not None)
        or cluster.circuit_breakers.retry_budget is not None
        or cluster.connect_timeout_s < 1.0
        or any(model.stations[s].outages for s in sim.stations)
    )
