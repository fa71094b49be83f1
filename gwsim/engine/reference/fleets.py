"""The pods of a gateway: what each holds, and how the load balancer chooses among them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gwsim.engine.codes import Purpose
from gwsim.engine.draws import below, draw64, fold, name64, ns
from gwsim.engine.reference import network
from gwsim.engine.reference.chains import reached
from gwsim.engine.reference.connections import kernel_choice, place
from gwsim.engine.reference.cpu import PERIOD, Budget, Quota
from gwsim.engine.reference.load_balancing import policy_of
from gwsim.engine.reference.membership import Membership
from gwsim.engine.reference.outliers import Detector
from gwsim.engine.reference.pool_limits import ClusterOnPod
from gwsim.engine.reference.pools import Pool
from gwsim.engine.reference.rate_limits import Bucket
from gwsim.engine.reference.tcp_pools import TcpPool
from gwsim.engine.reference.worker import Worker
from gwsim.scenario.model import Fleet as FleetModel
from gwsim.scenario.model import Pod as PodModel
from gwsim.topology import LbPolicy

if TYPE_CHECKING:
    from gwsim.engine.reference.backends import Station
    from gwsim.engine.reference.source_ports import PortPools
    from gwsim.engine.reference.world import World


AnyPool = TypeVar("AnyPool", bound=Pool)


class WorkerCluster:
    """A cluster as one worker sees it: its own pools and load balancing."""

    __slots__ = ("balancer", "hashed", "pools", "shared", "tcp_pools", "worker")

    def __init__(self, worker: Worker, shared: ClusterOnPod) -> None:
        policy = shared.model.cluster.lb_policy
        self.worker = worker
        self.shared = shared
        self.balancer = policy_of(policy)(shared.hosts, worker.key, shared.count, worker.agenda._now)
        self.hashed = policy in (LbPolicy.RING_HASH, LbPolicy.MAGLEV)
        self.pools: list[Pool] = []
        """One an endpoint; none if no request goes there."""
        self.tcp_pools: list[TcpPool] = []
        """The same for byte streams."""

    def make(self, kind: type[AnyPool], stations: list[Station], zones: list[tuple[int, int]], ports: PortPools) -> list[AnyPool]:
        """Pools to all endpoints."""
        pod = self.worker.pod.index
        return [
            kind(self.worker, self.shared, endpoint, station, up, down, ports.of(station.model.ports, pod, station.index))
            for endpoint, (station, (up, down)) in enumerate(zip(stations, zones, strict=True))
        ]


class Pod:
    """A proxy pod: workers that share breakers, active counts and ticket keys."""

    __slots__ = ("buckets", "clusters", "draining", "fleet", "incarnation", "index", "model", "over", "workers")

    def __init__(self, fleet: Fleet, index: int, model: PodModel, incarnation: int) -> None:
        self.fleet = fleet
        self.index = index
        self.model = model
        self.incarnation = incarnation
        self.workers: list[Worker] = []
        self.clusters: dict[int, ClusterOnPod] = {}
        self.buckets: list[Bucket] = []
        self.draining = False
        """Its answers ask clients to close their connections."""
        self.over = False

    def end(self, now: int) -> None:
        """The proxy is gone, with all that was in it."""
        self.over = True
        for worker in self.workers:
            worker.die()
            worker.router.leave(now)
        for shared in self.clusters.values():
            if shared.detector is not None:
                shared.detector.stop()
            if shared.membership is not None:
                shared.membership.stop()


class Fleet:
    """The pods of one gateway, and those among them that the front load balancer sends connections to."""

    __slots__ = ("cursor", "exact", "first_pod", "first_worker", "index", "iteration_ns", "key", "model", "pods", "round_robin", "targets", "wakeup_ns")

    def __init__(self, run: int, index: int, model: FleetModel, first_pod: int, first_worker: int) -> None:
        self.model = model
        self.index = index
        self.first_pod = first_pod
        self.first_worker = first_worker
        self.key = fold(run, name64("worker/" + model.name))
        self.wakeup_ns = ns(model.wakeup_s)
        self.iteration_ns = ns(model.iteration_s)
        self.round_robin = model.front == "round_robin"
        self.cursor = 0
        self.exact = model.balance == "exact"
        self.pods: list[Pod] = []
        self.targets: list[Pod] = []

    def place(self, connection_key: int, pod: Pod | None = None) -> Worker:
        """Place a connection: on `pod`, or on one that the load balancer chooses."""
        if pod is None:
            cursor = None
            if self.round_robin:
                cursor, self.cursor = self.cursor, self.cursor + 1
            pod = self.choose_pod(connection_key, cursor) or self.pods[0]
        if self.exact:
            worker = min(pod.workers, key=lambda one: one.connections)
        else:
            worker = pod.workers[kernel_choice(connection_key, len(pod.workers))]
        worker.connections += 1
        return worker

    def choose_pod(self, connection_key: int, cursor: int | None) -> Pod | None:
        """The pod of a connection, None without any; `cursor` None: by hash."""
        targets = self.targets
        if not targets:
            return None
        if self.model.cross_zone:
            return targets[place(connection_key, len(targets), cursor)]
        zones: dict[str, list[Pod]] = {}
        for pod in targets:
            zones.setdefault(pod.model.node or pod.model.zone, []).append(pod)
        within = list(zones.values())
        if cursor is not None:
            zone = within[cursor % len(within)]
            return zone[cursor // len(within) % len(zone)]
        zone = within[below(draw64(connection_key, Purpose.FRONT, 1), len(within))]
        return zone[place(connection_key, len(zone), None)]


def make_pod(world: World, fleet: Fleet, position: int, incarnation: int) -> Pod:
    """A new pod of a fleet, at its place: workers asleep, nothing open."""
    model = fleet.model.pods[position]
    pod = Pod(fleet, fleet.first_pod + position, model, incarnation)
    pod.buckets = [Bucket(bucket) for bucket in world.model.buckets]
    quota = _quota(world, fleet, position)
    before = sum(one.workers for one in fleet.model.pods[:position])
    for i in range(before, before + model.workers):
        worker = Worker(world.agenda, world.recorder, pod, fleet.first_worker + i, i)
        if incarnation:
            worker.key = fold(worker.key, incarnation)
        worker.cpu = None if quota is None else Budget(quota)
        pod.workers.append(worker)
    _give_clusters(world, pod)
    return pod


def _quota(world: World, fleet: Fleet, position: int) -> Quota | None:
    cores = fleet.model.pods[position].cpu_limit_cores
    if cores is None:
        return None
    key = fold(fold(world.run_key, name64("quota/" + fleet.model.name)), position)
    return Quota(cores, below(draw64(key, Purpose.QUOTA), PERIOD))


def _give_clusters(world: World, pod: Pod) -> None:
    """Pools exist where a client of the fleet has a route to the cluster, whatever its weight."""
    requests, streams = _reached(world, pod.fleet.index)
    first, _ = _reached(world, pod.fleet.index, later=False)
    passing = _passing(world, pod.fleet.index)
    for index, sim in enumerate(world.model.clusters):
        if index not in requests | streams:
            continue
        stations = [world.stations[s] for s in sim.stations]
        shared = ClusterOnPod(index, sim, world.recorder, [s.model.name for s in stations], pod.model.view)
        shared.warm = index in first
        pod.clusters[index] = shared
        delays = [network.between(world.model.network, pod.model.zone, s.model.zone) for s in stations]
        for worker in pod.workers:
            made = WorkerCluster(worker, shared)
            if index in requests:
                made.pools = made.make(Pool, stations, delays, world.port_pools)
            if index in streams:
                made.tcp_pools = made.make(TcpPool, stations, delays, world.port_pools)
                for pool in made.tcp_pools:
                    if pool.links is not None:
                        pool.links.passing = index in passing
            worker.router.clusters[index] = made
        if any(host.from_s > 0.0 or host.to_s is not None for host in sim.hosts):
            shared.membership = Membership(world.agenda, pod.index, shared)
        if sim.cluster.outlier_detection is not None and shared.hosts.members:
            shared.detector = Detector(world.agenda, world.run_key, pod.index, index, shared.hosts, shared.count, shared.drain, partial(world.recorder.ejected, index, pod.index))


def _reached(world: World, fleet: int, later: bool = True) -> tuple[set[int], set[int]]:
    """Clusters that the fleet's requests, their filters and their copies go to, and those that its byte streams go to.

    Not `later`: with the configuration at the start.
    """
    shapes = [shape for client in world.model.clients if client.fleet == fleet for shape in client.mix]
    outcomes = [outcome for shape in shapes for outcome in (shape.outcomes() if later else (shape.outcome,))]
    streams = {target.cluster for outcome in outcomes if outcome.tcp for target in outcome.targets}
    return {cluster for outcome in outcomes if not outcome.tcp for cluster in reached(outcome)}, streams


def _passing(world: World, fleet: int) -> set[int]:
    """Clusters that byte streams go to whose TLS is not opened."""
    outcomes = [shape.outcome for client in world.model.clients if client.fleet == fleet for shape in client.mix]
    return {target.cluster for outcome in outcomes if outcome.tcp and outcome.passthrough for target in outcome.targets}
