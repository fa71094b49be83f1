"""Connection pools towards endpoints, their limits, and the upstream visits of a worker.

Envoy: `ConnPoolImplBase` (source/common/conn_pool/conn_pool_base.cc): pools are per worker and host, limits
(`ResourceManagerImpl`) per cluster and process, that is: per pod. A connection refused by `max_connections` leaves
its stream pending; a pool without any connection may always open one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from gwsim.engine.codes import Counter, Part, Visit
from gwsim.engine.draws import ns
from gwsim.engine.reference.accounting import POOL_WAIT, PROXY_CPU, UPSTREAM_NETWORK, WORKER_QUEUE
from gwsim.engine.reference.hosts import HostSet
from gwsim.engine.reference.load_balancing import policy_of
from gwsim.engine.reference.sampling import byte_cost
from gwsim.engine.reference.streams import same_tie_key
from gwsim.scenario.model import SimCluster, UpstreamCosts
from gwsim.topology import LbPolicy

if TYPE_CHECKING:
    from gwsim.engine.reference.backends import Station
    from gwsim.engine.reference.outliers import Detector
    from gwsim.engine.reference.recording import Recorder
    from gwsim.engine.reference.streams import UpstreamRequest
    from gwsim.engine.reference.worker import Worker


class CostsNs:
    """`UpstreamCosts` in ns."""

    __slots__ = ("read_up", "read_up_byte_s", "up_connected", "up_tls", "write_up", "write_up_byte_s")

    def __init__(self, costs: UpstreamCosts) -> None:
        self.write_up = ns(costs.write_up_s)
        self.write_up_byte_s = costs.write_up_byte_s
        self.read_up = ns(costs.read_up_s)
        self.read_up_byte_s = costs.read_up_byte_s
        self.up_connected = ns(costs.up_connected_s)
        self.up_tls = ns(costs.up_tls_s)


class ClusterOnPod:
    """A cluster's state that the workers of a pod share: breakers and active requests."""

    __slots__ = (
        "active", "breakers", "connections", "costs", "counters", "detector", "hosts", "http2", "index", "model", "pending",
        "pools", "recorder", "requests", "retries",
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
        self.detector: Detector | None = None
        self.pools: list[list[Pool]] = [[] for _ in model.stations]
        """Those of all workers, by host."""
        self.connections = 0
        self.pending = 0
        self.requests = 0
        self.retries = 0

    def count(self, counter: Counter) -> None:
        """One more of Envoy's `cluster.<name>.<counter>`."""
        self.counters[counter] += 1

    def drain(self, host: int) -> None:
        """Have the connections to a host closed (Envoy: `postThreadLocalHealthFailure`, `drainConnections`)."""
        for pool in self.pools[host]:
            pool.drain()


class WorkerCluster:
    """A cluster as one worker sees it: its own pools and load balancing."""

    __slots__ = ("balancer", "hashed", "pools", "shared")

    def __init__(self, worker: Worker, shared: ClusterOnPod, stations: list[Station], zones: list[tuple[int, int]]) -> None:
        policy = shared.model.cluster.lb_policy
        self.shared = shared
        self.balancer = policy_of(policy)(shared.hosts, worker.key, shared.count)
        self.hashed = policy in (LbPolicy.RING_HASH, LbPolicy.MAGLEV)
        self.pools = [
            Pool(worker, shared, endpoint, station, up, down)
            for endpoint, (station, (up, down)) in enumerate(zip(stations, zones, strict=True))
        ]
        for pool in self.pools:
            shared.pools[pool.endpoint].append(pool)


class Connecting:
    """A connection that a pool opens."""

    __slots__ = ("name", "over", "pool")

    def __init__(self, pool: Pool, name: int) -> None:
        self.pool = pool
        self.name = name
        self.over = False
        """Never given up: even if nobody waits for it any more, it becomes idle."""

    def __lt__(self, other: object) -> bool:
        """Reached only when two items have the same tie key."""
        return same_tie_key()


class Pool:
    """One worker's connections to one endpoint, and the streams that wait for one.

    HTTP/2: `idle` counts established connections; any number of streams fits on them.
    """

    __slots__ = (
        "busy", "connecting", "down", "draining", "endpoint", "idle", "limits", "pending", "station", "up", "worker",
    )

    def __init__(self, worker: Worker, limits: ClusterOnPod, endpoint: int, station: Station, up: int, down: int) -> None:
        self.worker = worker
        self.limits = limits
        self.endpoint = endpoint
        self.station = station
        self.up = up
        self.down = down
        self.idle = 0
        self.busy = 0
        self.connecting = 0
        self.draining = 0
        """Busy connections to be closed as soon as they are free."""
        self.pending: deque[UpstreamRequest] = deque()

    def warm(self) -> None:
        """One connection has been open since before the run, if the breaker allows it."""
        if self.limits.connections < self.limits.breakers.max_connections:
            self.idle += 1
            self.limits.connections += 1
            self.limits.count(Counter.UPSTREAM_CX_TOTAL)

    # --- admission -------------------------------------------------------------------------------------------

    def admit(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """A stream enters the pool in the visit [start, end] (Envoy: `newStreamImpl`)."""
        limits = self.limits
        upstream.admitted = end
        if self.idle > 0:
            if self._attach(upstream, start, end) and not limits.http2:
                self.idle -= 1
                self.busy += 1
        elif limits.pending >= limits.breakers.max_pending_requests:
            limits.count(Counter.UPSTREAM_RQ_PENDING_OVERFLOW)
            upstream.owner.overflow(upstream, start, end)
        else:
            self.pending.append(upstream)
            limits.pending += 1
            limits.count(Counter.UPSTREAM_RQ_PENDING_TOTAL)
            upstream.timeline.enter(end, POOL_WAIT)
            self._connect_if_needed(upstream.name, end)

    def _attach(self, upstream: UpstreamRequest, start: int, end: int) -> bool:
        """Give a stream its connection, unless too many requests are active (Envoy: `attachStreamToClient`)."""
        limits = self.limits
        if limits.requests >= limits.breakers.max_requests:
            limits.count(Counter.UPSTREAM_RQ_ACTIVE_OVERFLOW)
            upstream.owner.overflow(upstream, start, end)
            return False
        limits.requests += 1
        limits.active[self.endpoint] += 1
        limits.count(Counter.UPSTREAM_RQ_TOTAL)
        if limits.detector is not None:
            limits.detector.attached(self.endpoint)
        upstream.attached = True
        if upstream.attempt:
            upstream.stream.station = self.station.index
        upstream.timeline.enter(end, WORKER_QUEUE)
        self.worker.arm(Visit.WRITE_UP, upstream)
        return True

    def _connect_if_needed(self, name: int, end: int) -> None:
        """Open a connection if the pending streams outnumber those on their way (Envoy: `tryCreateNewConnections`)."""
        limits = self.limits
        if not self.pending or self.connecting >= (1 if limits.http2 else len(self.pending)):
            return
        if limits.connections >= limits.breakers.max_connections and (self.idle or self.busy or self.connecting):
            limits.count(Counter.UPSTREAM_CX_OVERFLOW)
            return
        self.connecting += 1
        limits.connections += 1
        limits.count(Counter.UPSTREAM_CX_TOTAL)
        self.worker.deliver(end + self.up + self.down, name | Part.UP_CONNECTED, Connecting(self, name), None)

    # --- connections -----------------------------------------------------------------------------------------

    def connected(self, connecting: Connecting, start: int) -> int:
        """UP_CONNECTED visit (Envoy: `onConnectionEvent`, plaintext); returns its end, as all visits do."""
        end = self.worker.spend(Visit.UP_CONNECTED, connecting.name, start, self.limits.costs.up_connected)
        round_trips = self.limits.model.tls_round_trips
        if round_trips > 0:
            instant = end + (self.up + self.down) * round_trips
            self.worker.deliver(instant, connecting.name | Part.UP_TLS, connecting, None)
        else:
            self._established(start, end)
        return end

    def handshaken(self, connecting: Connecting, start: int) -> int:
        """UP_TLS visit: the handshake with the endpoint is complete."""
        end = self.worker.spend(Visit.UP_TLS, connecting.name, start, self.limits.costs.up_tls)
        self._established(start, end)
        return end

    def _established(self, start: int, end: int) -> None:
        self.connecting -= 1
        self._use(start, end)

    def attach(self, freed: tuple[Pool, int], start: int) -> int:
        """ATTACH visit: a freed connection takes what waits (Envoy: `upstream_ready_cb_`, a zero-delay callback)."""
        end = self.worker.spend(Visit.ATTACH, freed[1], start, 0)
        self._less_busy()
        self._use(start, end)
        return end

    def _less_busy(self) -> None:
        self.busy -= 1
        self.draining = min(self.draining, self.busy)

    def _use(self, start: int, end: int) -> None:
        """A connection is usable: the oldest pending stream gets it (HTTP/2: all of them), or it is idle."""
        http2 = self.limits.http2
        if http2:
            self.idle += 1
        while self.pending:
            upstream = self.pending.popleft()
            self.limits.pending -= 1
            upstream.timeline.enter(start, PROXY_CPU)
            if self._attach(upstream, start, end) and not http2:
                self.busy += 1
                return
        if not http2:
            self.idle += 1

    # --- exchanges -------------------------------------------------------------------------------------------

    def write(self, upstream: UpstreamRequest, start: int) -> int:
        """WRITE_UP visit: the request leaves at its end (Envoy: `encodeHeaders` of the upstream codec)."""
        worker, costs = self.worker, self.limits.costs
        cost = costs.write_up + byte_cost(upstream.sent_bytes, costs.write_up_byte_s)
        end = worker.spend(Visit.WRITE_UP, upstream.name, start, cost)
        upstream.timeline.enter(start, PROXY_CPU)
        upstream.timeline.enter(end, UPSTREAM_NETWORK)
        upstream.written = end
        self.station.deliver(upstream, end + self.up)
        if upstream.per_try_ns:
            worker.set_timer(end + upstream.per_try_ns, upstream.name, Visit.TRY_TIMEOUT, upstream)
        return end

    def read(self, upstream: UpstreamRequest, start: int) -> int:
        """READ_UP visit: the answer ends the attempt and frees its connection (Envoy: `onStreamComplete`)."""
        worker, limits = self.worker, self.limits
        costs, status = limits.costs, upstream.status
        size = upstream.answer_bytes if status < 500 else 0
        cost = costs.read_up + byte_cost(size, costs.read_up_byte_s)
        end = worker.spend(Visit.READ_UP, upstream.name, start, cost)
        upstream.timeline.enter(start, PROXY_CPU)
        limits.count(Counter.UPSTREAM_RQ_COMPLETED)
        if status // 100 in CLASS_COUNTERS:
            limits.count(CLASS_COUNTERS[status // 100])
        if upstream.attempt:
            upstream.stream.upstream_ns += upstream.ready - upstream.written
            limits.recorder.attempt_answered(upstream, limits.index)
        self._detach(upstream)
        if not limits.http2:
            self._freed(upstream, end)
        if limits.detector is not None:
            limits.detector.answered(self.endpoint, status, start)
        upstream.owner.answered(upstream, start, end)
        return end

    def _freed(self, upstream: UpstreamRequest, end: int) -> None:
        """An HTTP/1.1 connection has done its exchange."""
        if self.draining:
            self.draining -= 1
            self.busy -= 1
            self._destroyed(1)
            self._connect_if_needed(upstream.name, end)
        elif self.pending:
            self.worker.arm(Visit.ATTACH, (self, upstream.name))
        else:
            self.busy -= 1
            self.idle += 1

    def _destroyed(self, connections: int) -> None:
        self.limits.connections -= connections
        for _ in range(connections):
            self.limits.count(Counter.UPSTREAM_CX_DESTROY)

    def drain(self) -> None:
        """Close what is idle, and what is busy later."""
        if not self.limits.http2:
            self._destroyed(self.idle)
            self.idle = 0
            self.draining = self.busy

    def _detach(self, upstream: UpstreamRequest) -> None:
        upstream.over = True
        self.limits.requests -= 1
        self.limits.active[self.endpoint] -= 1

    def abandon(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """The attempt ends without its answer (Envoy: `resetStream`, `onPendingStreamCancel`)."""
        limits = self.limits
        if not upstream.attached:
            upstream.over = True
            self.pending.remove(upstream)
            limits.pending -= 1
            limits.count(Counter.UPSTREAM_RQ_CANCELLED)
            return
        if upstream.written >= 0 and upstream.attempt:
            upstream.stream.upstream_ns += start - upstream.written
        self._detach(upstream)
        if not limits.http2:
            self._less_busy()
            self._destroyed(1)
        self._connect_if_needed(upstream.name, end)


CLASS_COUNTERS = {2: Counter.UPSTREAM_RQ_2XX, 4: Counter.UPSTREAM_RQ_4XX, 5: Counter.UPSTREAM_RQ_5XX}
"""By the first digit of the status; gwsim keeps none for the others."""
