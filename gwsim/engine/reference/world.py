"""A run: everything the model names, put together, and run until nothing measured is left.

`run` is the entry. Pods and workers are numbered through all fleets, in the order of the model.
"""

from __future__ import annotations

from simpy.core import EmptySchedule, Environment

from gwsim.engine.codes import Purpose
from gwsim.engine.draws import below, draw64, fold, name64, ns, run_key
from gwsim.engine.reference import network
from gwsim.engine.reference.agenda import MAX_ATTEMPTS, Agenda
from gwsim.engine.reference.backends import Station
from gwsim.engine.reference.clients import Client
from gwsim.engine.reference.connections import place
from gwsim.engine.reference.cpu import PERIOD, Budget, Quota
from gwsim.engine.reference.outliers import Detector
from gwsim.engine.reference.pools import ClusterOnPod, WorkerCluster
from gwsim.engine.reference.rate_limits import Bucket
from gwsim.engine.reference.recording import Recorder
from gwsim.engine.reference.sources import ClosedSource, OpenSource, Source
from gwsim.engine.reference.worker import Worker
from gwsim.engine.schema import Options, RawRun
from gwsim.errors import UsageError
from gwsim.scenario.model import Call, ClosedLoop, Model
from gwsim.scenario.model import Fleet as FleetModel
from gwsim.scenario.model import Pod as PodModel

DEFAULT = Options()


class Pod:
    """A proxy pod: workers that share breakers, active counts and ticket keys."""

    __slots__ = ("buckets", "clusters", "fleet", "index", "model", "workers")

    def __init__(self, fleet: Fleet, index: int, model: PodModel) -> None:
        self.fleet = fleet
        self.index = index
        self.model = model
        self.workers: list[Worker] = []
        self.clusters: dict[int, ClusterOnPod] = {}
        self.buckets: list[Bucket] = []


class Fleet:
    """The pods of one gateway, and the front load balancer's cursor."""

    __slots__ = ("cursor", "exact", "index", "iteration_ns", "key", "pods", "round_robin", "wakeup_ns", "zones")

    def __init__(self, run: int, index: int, model: FleetModel) -> None:
        self.index = index
        self.key = fold(run, name64("worker/" + model.name))
        self.wakeup_ns = ns(model.wakeup_s)
        self.iteration_ns = ns(model.iteration_s)
        self.round_robin = model.front == "round_robin"
        self.cursor = 0
        self.exact = model.balance == "exact"
        self.pods: list[Pod] = []
        self.zones: dict[str, list[Pod]] | None = None if model.cross_zone else {}
        """Pods by zone, if the load balancer keeps to zones."""

    def add(self, pod: Pod) -> None:
        """One more pod."""
        self.pods.append(pod)
        if self.zones is not None:
            self.zones.setdefault(pod.model.zone, []).append(pod)

    def choose_pod(self, connection_key: int, cursor: int | None) -> Pod:
        """The pod of a connection; `cursor` None: by hash."""
        if self.zones is None:
            return self.pods[place(connection_key, len(self.pods), cursor)]
        zones = list(self.zones.values())
        if cursor is not None:
            zone = zones[cursor % len(zones)]
            return zone[cursor // len(zones) % len(zone)]
        zone = zones[below(draw64(connection_key, Purpose.FRONT, 1), len(zones))]
        return zone[place(connection_key, len(zone), None)]


class World:
    """All that acts in a run."""

    def __init__(self, model: Model, replication: int, options: Options) -> None:
        self.model = model
        self.run_key = run_key(model.run.seed, replication)
        self.horizon = ns(model.run.duration_s)
        self.agenda = Agenda()
        self.recorder = Recorder(model, options, self.horizon, ns(model.run.warmup_s))
        self.stations = [Station(self.agenda, self.recorder, i, station) for i, station in enumerate(model.stations)]
        self.pods: list[Pod] = []
        self.workers: list[Worker] = []
        self.fleets = [self._fleet(i, fleet) for i, fleet in enumerate(model.fleets)]
        self._clusters()
        self.clients: list[Client] = []
        for i, client in enumerate(model.clients):
            first_class = sum(len(earlier.mix) for earlier in model.clients[:i])
            self.clients.append(Client(self, i, client, first_class))
        self.sources = [self._source(client) for client in self.clients]
        self.open_sources = sum(isinstance(source, OpenSource) for source in self.sources)
        """Open-loop sources that have an arrival before the horizon left."""
        self.closed_loops = self.open_sources < len(self.sources)

    # --- putting it together ---------------------------------------------------------------------------------

    def _fleet(self, index: int, model: FleetModel) -> Fleet:
        fleet = Fleet(self.run_key, index, model)
        in_fleet = 0
        for pod_model in model.pods:
            pod = Pod(fleet, len(self.pods), pod_model)
            pod.buckets = [Bucket(bucket) for bucket in self.model.buckets]
            self.pods.append(pod)
            fleet.add(pod)
            quota = self._quota(fleet, pod)
            for _ in range(pod_model.workers):
                worker = Worker(self.agenda, self.recorder, pod, len(self.workers), in_fleet)
                worker.cpu = None if quota is None else Budget(quota)
                pod.workers.append(worker)
                self.workers.append(worker)
                in_fleet += 1
        return fleet

    def _quota(self, fleet: Fleet, pod: Pod) -> Quota | None:
        cores = pod.model.cpu_limit_cores
        if cores is None:
            return None
        key = fold(fold(self.run_key, name64("quota/" + self.model.fleets[fleet.index].name)), len(fleet.pods) - 1)
        return Quota(cores, below(draw64(key, Purpose.QUOTA), PERIOD))

    def _clusters(self) -> None:
        """Pools exist where a client of the fleet has a route to the cluster, whatever its weight."""
        for index, sim in enumerate(self.model.clusters):
            stations = [self.stations[s] for s in sim.stations]
            for pod in self.pods:
                if index not in self._reached(pod.fleet.index):
                    continue
                shared = ClusterOnPod(index, sim, self.recorder, [s.model.name for s in stations], pod.model.view)
                pod.clusters[index] = shared
                delays = [network.between(self.model.network, pod.model.zone, s.model.zone) for s in stations]
                for worker in pod.workers:
                    worker.router.clusters[index] = WorkerCluster(worker, shared, stations, delays)
                if sim.cluster.outlier_detection is not None and shared.hosts.all:
                    shared.detector = Detector(
                        self.agenda, self.run_key, pod.index, index, shared.hosts, shared.count, shared.drain
                    )

    def _reached(self, fleet: int) -> set[int]:
        """Clusters that the fleet's requests, their filters and their copies go to."""
        outcomes = [shape.outcome for client in self.model.clients if client.fleet == fleet for shape in client.mix]
        routed = {target.cluster for outcome in outcomes for target in outcome.targets}
        called = {one.cluster for outcome in outcomes for one in outcome.program if isinstance(one, Call)}
        return routed | called | {mirror.cluster for outcome in outcomes for mirror in outcome.mirrors}

    def _source(self, client: Client) -> Source:
        key = fold(self.run_key, name64(client.model.name))
        arrivals = client.model.arrivals
        source: Source
        if isinstance(arrivals, ClosedLoop):
            source = ClosedSource(client, key, arrivals)
        else:
            source = OpenSource(client, key)
        client.source = source
        return source

    def _warm_up(self) -> None:
        """What was open before the run: pools first, then the clients' connections."""
        for index in range(len(self.model.clusters)):
            for pod in self.pods:
                if index not in pod.clusters:
                    continue
                pickable = pod.clusters[index].hosts.pickable()
                for worker in pod.workers:
                    for pool in worker.router.clusters[index].pools:
                        if pool.endpoint in pickable:
                            pool.warm(index)
        for client in self.clients:
            for slot in client.slots.all:
                client.open_warm(slot)

    # --- running it ------------------------------------------------------------------------------------------

    def run(self) -> RawRun:
        """From time 0 to the stop."""
        agenda, recorder = self.agenda, self.recorder
        processes = [agenda.process(worker.run()) for worker in self.workers]
        for _ in processes:
            Environment.step(agenda)  # each worker falls asleep; this is no event of the specification
        if self.model.run.start == "warm":
            self._warm_up()
        for pod in self.pods:
            for shared in pod.clusters.values():
                if shared.detector is not None:
                    shared.detector.start(self.horizon, self.model.run.start == "warm")
        for source in self.sources:
            source.start()
        limit = self.model.run.max_in_flight
        events = 0
        saturated = False
        try:
            while not saturated:
                agenda.step()
                events += 1
                saturated = recorder.in_flight > limit
                if recorder.last_change == agenda._now and self._done():
                    break
        except EmptySchedule:
            pass
        for process in processes:
            if process.triggered and isinstance(process.value, BaseException):
                raise process.value
        for worker in self.workers:
            recorder.workers[worker.index].worker_throttled = 0 if worker.cpu is None else worker.cpu.stopped_ns
        return recorder.result(agenda._now, events, saturated)

    def _done(self) -> bool:
        """Nothing measured is left, and nothing measured will arrive; closed loops are judged by the clock."""
        if self.recorder.measured_in_flight or self.open_sources:
            return False
        return not self.closed_loops or self.agenda._now >= self.horizon


def run(model: Model, replication: int, options: Options = DEFAULT) -> RawRun:
    """One replication of `model`."""
    for client in model.clients:
        policies = [shape.outcome.retry for shape in client.mix]
        attempts = [policy.num_retries for policy in policies if policy is not None]
        attempts += [client.retry.attempts] if client.retry is not None else []
        if max(attempts, default=0) >= MAX_ATTEMPTS:
            raise UsageError(f"client {client.name}: {max(attempts)} retries are more than can be told apart")
    return World(model, replication, options).run()
