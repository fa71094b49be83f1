"""A run: everything the model names, put together, and run until nothing measured is left.

`run` is the entry. Pods and workers are numbered through all fleets, in the order of the model.
"""

from __future__ import annotations

from simpy.core import EmptySchedule, Environment
from simpy.events import Process

from gwsim.engine.draws import fold, name64, ns, run_key
from gwsim.engine.reference.agenda import MAX_ATTEMPTS, RANK_CONTROL, Agenda, place_of
from gwsim.engine.reference.backends import Station
from gwsim.engine.reference.calls import CallingStation
from gwsim.engine.reference.chains import check_chains
from gwsim.engine.reference.clients import Client
from gwsim.engine.reference.fleets import Fleet, Pod, make_pod
from gwsim.engine.reference.lifecycle import Lifecycle
from gwsim.engine.reference.recording import Recorder
from gwsim.engine.reference.source_ports import PortPools
from gwsim.engine.reference.sources import ClosedSource, Demand, OpenSource, Source
from gwsim.engine.reference.worker import Worker
from gwsim.engine.schema import Options, RawRun
from gwsim.errors import UsageError
from gwsim.scenario.model import ClosedLoop, Model, OnDemand
from gwsim.scenario.model import Fleet as FleetModel
from gwsim.scenario.model import Station as StationModel

DEFAULT = Options()
WINDOW = 10**6
"""Entity of the event at which the measured window ends."""


class World:
    """All that acts in a run."""

    def __init__(self, model: Model, replication: int, options: Options) -> None:
        self.model = model
        self.run_key = run_key(model.run.seed, replication)
        self.horizon = ns(model.run.duration_s)
        self.agenda = Agenda()
        self.recorder = Recorder(model, options, self.horizon, ns(model.run.warmup_s))
        self.stations = [self._station(i, station) for i, station in enumerate(model.stations)]
        self.port_pools = PortPools(model.port_pools, self.recorder.ports)
        self.pods: list[Pod] = []
        self.workers: list[Worker] = []
        self.fleets: list[Fleet] = []
        for i, fleet in enumerate(model.fleets):
            self.fleets.append(self._fleet(i, fleet))
        self.lifecycles = [Lifecycle(self, fleet) for fleet in self.fleets if fleet.model.lifecycle is not None]
        self._processes: list[Process] = []
        self.clients: list[Client] = []
        for i, client in enumerate(model.clients):
            first_class = sum(len(earlier.mix) for earlier in model.clients[:i])
            self.clients.append(Client(self, i, client, first_class))
        for station in self.stations:
            station.meet(self.clients)
        self.sources = [self._source(client) for client in self.clients]
        self.open_sources = sum(isinstance(source, OpenSource) for source in self.sources)
        """Open-loop sources that have an arrival before the horizon left."""
        self.closed_loops = any(isinstance(source, ClosedSource) for source in self.sources)

    # --- putting it together ---------------------------------------------------------------------------------

    def _station(self, index: int, model: StationModel) -> Station:
        kind = CallingStation if model.calls else Station
        return kind(self.agenda, self.recorder, index, model)

    def _fleet(self, index: int, model: FleetModel) -> Fleet:
        fleet = Fleet(self.run_key, index, model, len(self.pods), len(self.workers))
        for position in range(len(model.pods)):
            pod = make_pod(self, fleet, position, 0)
            fleet.pods.append(pod)
            self.pods.append(pod)
            self.workers += pod.workers
        fleet.targets = fleet.pods[: model.lifecycle.initial if model.lifecycle else len(fleet.pods)]
        return fleet

    def begin(self, pods: list[Pod], now: int) -> None:
        """Pods begin to serve: their workers fall asleep at once; this is no event of the specification."""
        processes = [self.agenda.process(worker.run()) for pod in pods for worker in pod.workers]
        for _ in processes:
            Environment.step(self.agenda)
        self._processes += processes
        for pod in pods:
            for shared in pod.clusters.values():
                if shared.membership is not None:
                    shared.membership.start(now, self.horizon)
                if shared.detector is not None:
                    shared.detector.start(now, self.horizon, now == 0 and self.model.run.start == "warm")

    def _source(self, client: Client) -> Source:
        key = fold(self.run_key, name64(client.model.name))
        arrivals = client.model.arrivals
        source: Source
        if isinstance(arrivals, ClosedLoop):
            source = ClosedSource(client, key, arrivals)
        elif isinstance(arrivals, OnDemand):
            source = Demand()
        else:
            source = OpenSource(client, key)
        client.source = source
        return source

    def _warm_up(self) -> None:
        """What was open before the run: pools first, then the clients' connections."""
        for index in range(len(self.model.clusters)):
            for pod in [pod for fleet in self.fleets for pod in fleet.targets]:
                if index not in pod.clusters or not pod.clusters[index].warm:
                    continue
                pickable = pod.clusters[index].hosts.pickable()
                for worker in pod.workers:
                    for pool in worker.router.clusters[index].pools:
                        if pool.endpoint in pickable:
                            pool.warm(index)
        relayed = {station.model.relay.client for station in self.stations if station.model.relay is not None}
        for client in self.clients:
            if client.index not in relayed:
                for slot in client.slots():
                    client.open_warm(slot)

    # --- running it ------------------------------------------------------------------------------------------

    def run(self) -> RawRun:
        """From time 0 to the stop."""
        agenda, recorder = self.agenda, self.recorder
        self.begin([pod for fleet in self.fleets for pod in fleet.targets], 0)
        if self.model.run.start == "warm":
            self._warm_up()
        for lifecycle in self.lifecycles:
            lifecycle.start()
        for source in self.sources:
            source.start()
        if recorder.long:
            agenda.at(self.horizon, place_of(RANK_CONTROL, WINDOW), lambda happening: recorder.window_over(agenda._now), None)
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
        for process in self._processes:
            if process.triggered and isinstance(process.value, BaseException):
                raise process.value
        for worker in self.workers:
            worker.tell_stops()
        for lifecycle in self.lifecycles:
            lifecycle.finish(agenda._now)
        return recorder.result(agenda._now, events, saturated)

    def _done(self) -> bool:
        """Nothing measured is left, and nothing measured will arrive; closed loops are judged by the clock."""
        if self.recorder.measured_in_flight or self.open_sources:
            return False
        return not self.closed_loops or self.agenda._now >= self.horizon


def run(model: Model, replication: int, options: Options = DEFAULT) -> RawRun:
    """One replication of `model`."""
    for client in model.clients:
        policies = [outcome.retry for shape in client.mix for outcome in shape.outcomes()]
        attempts = [policy.num_retries for policy in policies if policy is not None]
        attempts += [client.retry.attempts] if client.retry is not None else []
        if max(attempts, default=0) >= MAX_ATTEMPTS:
            raise UsageError(f"client {client.name}: {max(attempts)} retries are more than can be told apart")
    check_chains(model)
    return World(model, replication, options).run()
