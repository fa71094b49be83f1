"""Scenario and topology to the model: the one place where defaults are filled in and names become objects.

Whatever had to be assumed is told in `Resolved.assumptions`; whatever looks wrong or is not simulated is a
finding. Nothing here draws a random number or reads YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gwsim import costs
from gwsim.costs import Network as NetworkCosts
from gwsim.diagnostics import Collector, code
from gwsim.scenario import file, limits, model
from gwsim.scenario.backends import Backends
from gwsim.scenario.costing import Pricing, profile_of
from gwsim.scenario.fleets import Fleets, names_of, pod_labels
from gwsim.scenario.nat import port_pools
from gwsim.scenario.placement import placed
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.resolved import ClassLabel, Resolved, RunPlan
from gwsim.scenario.rollouts import Rollouts
from gwsim.scenario.shapes import Routed, Router, tls_of
from gwsim.scenario.traffic import Traffic, entry_name, retry
from gwsim.topology import FilterChain, Listener, Locality, Proxy, TargetMissing, Topology
from gwsim.units import format_duration_s

WARMUP_SHARE = 0.1
WARMUP_AT_LEAST_S = 1.0


def resolve(
    loaded: LoadedScenario,
    topology: Topology,
    *,
    collector: Collector | None = None,
    replicas: Mapping[str, int] | None = None,
    fix_replicas: bool = False,
) -> Resolved:
    """The model of a scenario and everything reports need beside it.

    `replicas` gives the number of pods of gateways by name (`[cluster/][namespace/]name`): what an autoscaler
    settled at, or what a planner tries. `fix_replicas` allows the `gateway` section to set the replicas of a
    gateway under an autoscaler.

    Raises InputError, carrying every problem found, when the scenario does not fit the topology.
    """
    own = Collector() if collector is None else collector
    work = _Resolution.begin(loaded, topology, own, dict(replicas or {}), fix_replicas)
    pairs = [work.client(name, client) for name, client in loaded.scenario.clients.items()]
    own.raise_if_errors()
    resolved = work.finish([pair for pair in pairs if pair is not None])
    own.raise_if_errors()
    return resolved


@dataclass(slots=True)
class _Resolution:
    """One run of `resolve`: the parts at work."""

    loaded: LoadedScenario
    topology: Topology
    collector: Collector
    pricing: Pricing
    network: NetworkCosts
    fleets: Fleets
    backends: Backends
    router: Router
    traffic: Traffic
    assumptions: dict[str, None]

    @classmethod
    def begin(
        cls, loaded: LoadedScenario, topology: Topology, collector: Collector, replicas: dict[str, int], fix_replicas: bool
    ) -> _Resolution:
        pricing = Pricing(profile_of(loaded, collector))
        network = costs.network(pricing.profile)
        fleets = Fleets(loaded, topology, replicas, fix_replicas, collector)
        backends = Backends(loaded, topology, pricing, collector)
        _check_replicas(replicas, topology)
        fleets.read_overrides()
        backends.read_sections()
        limits.report_scenario(loaded, collector)
        return cls(
            loaded=loaded,
            topology=topology,
            collector=collector,
            pricing=pricing,
            network=network,
            fleets=fleets,
            backends=backends,
            router=Router(loaded, backends, collector),
            traffic=Traffic(loaded, network, collector),
            assumptions={},
        )

    def client(self, name: str, client: file.Client) -> tuple[model.Client, Routed] | None:
        """A client of the model; None when its target does not exist (which is reported)."""
        try:
            proxy, listener = self.topology.resolve(client.target)
        except TargetMissing as error:
            message, _, help = str(error).partition("; ")
            span = self.loaded.span("clients", name, "target")
            self.collector.add(code("TARGET_MISSING"), message, span, help=help or None, object_ref=f"clients.{name}.target")
            return None
        tls, guessed = tls_of(client, listener)
        if guessed:
            self.assumptions[f"client {name}: {'TLS ' + tls if tls else 'plaintext'}, as port {listener.port} expects"] = None
        routed = self.router.route(name, client, proxy, listener, tls)
        self._limits(proxy, routed.chain)
        return self._made(name, client, proxy, listener, tls, routed), routed

    def _made(
        self, name: str, client: file.Client, proxy: Proxy, listener: Listener, tls: str | None, routed: Routed
    ) -> model.Client:
        return model.Client(
            name=name,
            fleet=self.fleets.index(proxy),
            arrivals=self.traffic.arrivals(name, client),
            connection=self.traffic.connection(name, client, tls),
            rtt_s=self.traffic.rtt(name, client),
            costs=self.pricing.downstream(proxy, listener, routed.chain, client.connection.http, tls),
            mix=self._mix(name, client, routed),
            timeout_s=client.timeout,
            retry=retry(client.retries),
        )

    def _mix(self, name: str, client: file.Client, routed: Routed) -> tuple[model.Shape, ...]:
        return tuple(
            model.Shape(
                name=entry_name(entry, client.sni or ""),
                weight=entry.weight,
                outcome=outcome,
                request_bytes=self.traffic.request_bytes(name, entry),
                response_bytes=self.traffic.response_bytes(name, entry),
            )
            for entry, outcome in zip(client.mix, routed.outcomes, strict=True)
        )

    def _limits(self, proxy: Proxy, chain: FilterChain | None) -> None:
        limits.report_proxy(proxy, self.collector)
        if chain is not None:
            limits.report_chain(proxy, chain, self.collector)

    def finish(self, pairs: list[tuple[model.Client, Routed]]) -> Resolved:
        """Everything put together."""
        scenario = self.loaded.scenario
        fleets, fleet_labels = self.fleets.build(*self.pricing.loop_s())
        clients = tuple(client for client, _ in pairs)
        labels: tuple[ClassLabel, ...] = tuple(label for _, routed in pairs for label in routed.labels)
        run, plan = self._run()
        dialled, pools = port_pools(self.loaded, self.backends.clusters, self.backends.stations, self.backends.labels, self.collector)
        clusters = [placed(one, self.fleets.used, fleets) for one in self.backends.clusters]
        rolling = Rollouts(self.loaded, self.topology, self.collector, self.assumptions)
        stations, labels_of_stations, clusters = rolling.apply(dialled, self.backends.labels, clusters)
        built = model.Model(
            clients=clients,
            fleets=fleets,
            clusters=tuple(clusters),
            stations=tuple(stations),
            network=self._network(),
            buckets=tuple(self.router.programs.buckets),
            port_pools=pools,
            run=run,
        )
        pods, worker_pods = pod_labels(fleets)
        return Resolved(
            model=built,
            name=self.loaded.name,
            question=scenario.question,
            istio_version=self.topology.istio_version,
            classes=labels,
            fleets=fleet_labels,
            clusters=self.backends.cluster_names(),
            stations=tuple(labels_of_stations),
            pods=pods,
            worker_pods=worker_pods,
            plan=plan,
            costs=self.pricing.facts(self.fleets.used[0] if self.fleets.used else None, clients[0] if clients else None),
            budgets=self.loaded.budgets,
            assumptions=self._assumed(),
            findings=self.collector.findings,
            effective=effective(scenario),
        )

    def _assumed(self) -> tuple[str, ...]:
        """Everything assumed, each once: by the reader, the topology, then here in the order of the file."""
        parts = (self.assumptions, self.fleets.assumptions, self.router.assumptions, self.traffic.assumptions, self.backends.assumptions, self.pricing.assumptions)
        own = [text for part in parts for text in part]
        return tuple(dict.fromkeys([*self.loaded.assumptions, *self.topology.assumptions, *own]))

    def _run(self) -> tuple[model.Run, RunPlan]:
        given = self.loaded.scenario.run
        warmup = given.warmup
        if warmup is None:
            warmup = 0.0 if given.kind == "timeline" else auto_warmup_s(given.duration)
            if warmup:
                self.assumptions[f"the first {format_duration_s(warmup)} of each replication are left out as warm-up"] = None
        made = model.Run(
            kind=given.kind,
            duration_s=given.duration,
            warmup_s=warmup,
            replications=given.replications,
            seed=given.seed,
            start=given.start,
            max_in_flight=given.max_in_flight,
        )
        plan = RunPlan(
            kind=given.kind,
            warmup_auto=given.kind == "steady" and given.warmup is None,
            precision=given.precision,
            max_requests=given.max_requests,
        )
        return made, plan

    def _network(self) -> model.Network:
        given = self.loaded.scenario.network
        same = self.network.same_zone_rtt_s if given.same_zone is None else given.same_zone
        cross = self.network.cross_zone_rtt_s if given.cross_zone is None else given.cross_zone
        if given.same_zone is None or given.cross_zone is None:
            told = f"{format_duration_s(same)} within a zone, {format_duration_s(cross)} between zones"
            self.assumptions[f"network: round trips of {told}"] = None
        pairs: dict[tuple[str, str], float] = {}
        for one in given.between:
            (a, b) = one.zones
            pairs[a, b] = pairs[b, a] = one.rtt
        self._check_zones(pairs)
        return model.Network(same_zone_rtt_s=same, cross_zone_rtt_s=cross, rtt_s=pairs)

    def _check_zones(self, pairs: Mapping[tuple[str, str], float]) -> None:
        known = {Locality.of(zone).zone for one in self.loaded.scenario.clusters.values() for zone in one.zones}
        known |= {label.zone for label in self.backends.labels}
        for at, one in enumerate(self.loaded.scenario.network.between):
            for zone in one.zones:
                if zone not in known:
                    listed = ", ".join(sorted(one for one in known if one)) or "none"
                    span = self.loaded.span("network", "between", at)
                    self.collector.add(code("SCENARIO_VALUE"), f"there is no zone {zone}", span, help=f"the zones are: {listed}")


def auto_warmup_s(duration_s: float) -> float:
    """The warm-up left out when the file says `auto`: a tenth, at least a second, at most half of the run."""
    return min(max(WARMUP_SHARE * duration_s, WARMUP_AT_LEAST_S), duration_s / 2.0)


def _check_replicas(replicas: Mapping[str, int], topology: Topology) -> None:
    """Raises ValueError for a gateway that does not exist or a number of pods below 1: a fault of the caller."""
    known = {name for proxy in topology.proxies for name in names_of(proxy)}
    for name, count in replicas.items():
        if name not in known or count < 1:
            raise ValueError(f"replicas of {name!r} cannot be {count!r}; gateways are {sorted(known)}")


def effective(scenario: file.Scenario) -> dict[str, Any]:
    """The scenario with its defaults as plain data in SI units; it reads back as the same scenario."""
    return scenario.model_dump(mode="json", by_alias=True, exclude_none=True)


__all__ = ["auto_warmup_s", "effective", "resolve"]
