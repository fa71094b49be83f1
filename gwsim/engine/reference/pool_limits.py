"""What the workers of a pod share of a cluster: circuit breakers, counters and active requests.

Envoy: `ResourceManagerImpl` (source/common/upstream/resource_manager_impl.h) and the statistics of hosts, which are of the whole process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.codes import Counter
from gwsim.engine.draws import ns
from gwsim.engine.reference.hosts import HostSet
from gwsim.scenario.model import SimCluster, UpstreamCosts

if TYPE_CHECKING:
    from gwsim.engine.reference.lifetimes import UpstreamConnection
    from gwsim.engine.reference.membership import Membership
    from gwsim.engine.reference.outliers import Detector
    from gwsim.engine.reference.recording import Recorder


CLASS_COUNTERS = {2: Counter.UPSTREAM_RQ_2XX, 4: Counter.UPSTREAM_RQ_4XX, 5: Counter.UPSTREAM_RQ_5XX}
"""By the first digit of the status; gwsim keeps none for the others."""


class CostsNs:
    """`UpstreamCosts` in ns."""

    __slots__ = ("close", "read_up", "read_up_byte_s", "up_connected", "up_tls", "write_up", "write_up_byte_s")

    def __init__(self, costs: UpstreamCosts) -> None:
        self.write_up = ns(costs.write_up_s)
        self.write_up_byte_s = costs.write_up_byte_s
        self.read_up = ns(costs.read_up_s)
        self.read_up_byte_s = costs.read_up_byte_s
        self.up_connected = ns(costs.up_connected_s)
        self.up_tls = ns(costs.up_tls_s)
        self.close = ns(costs.close_s)


class ClusterOnPod:
    """A cluster's state that the workers of a pod share: breakers and active requests."""

    __slots__ = (
        "active", "breakers", "connections", "costs", "counters", "detector", "established", "horizon", "hosts", "http2", "index", "membership",
        "model", "pending", "recorder", "requests", "retries", "warm",
    )

    def __init__(self, index: int, model: SimCluster, recorder: Recorder, names: list[str], view: str) -> None:
        self.index = index
        self.model = model
        self.recorder = recorder
        self.costs = CostsNs(model.costs)
        self.http2 = model.cluster.upstream_http == 2
        self.breakers = model.cluster.circuit_breakers
        self.counters = recorder.clusters[index].cluster_counters
        self.active = [0] * len(model.stations)
        self.hosts = HostSet(model, view, names, self.active)
        self.warm = True
        """There were connections to it before the run."""
        self.detector: Detector | None = None
        self.membership: Membership | None = None
        """Set where hosts come and go."""
        self.established: list[list[UpstreamConnection]] = [[] for _ in model.stations]
        """Connections of all workers by host, in the order of their opening; some may be closed."""
        self.horizon = recorder.horizon
        self.connections = 0
        self.pending = 0
        self.requests = 0
        self.retries = 0

    def count(self, counter: Counter) -> None:
        """One more of Envoy's `cluster.<name>.<counter>`."""
        self.counters[counter] += 1

    def completed(self, status: int) -> None:
        """A request is answered from upstream."""
        self.count(Counter.UPSTREAM_RQ_COMPLETED)
        if status // 100 in CLASS_COUNTERS:
            self.count(CLASS_COUNTERS[status // 100])

    def drain(self, host: int, now: int) -> None:
        """Have the connections to a host closed (Envoy: `postThreadLocalHealthFailure`, `drainConnections`)."""
        connections, self.established[host] = self.established[host], []
        for connection in connections:
            if not connection.over:
                connection.pool.retire(connection, None, now)
                if not connection.over:
                    self.established[host].append(connection)
