"""Scenario and topology to the model: the one place where defaults are filled in and names become objects.

Whatever had to be assumed is told in `Resolved.assumptions`; whatever looks wrong or is not simulated is a
finding. Nothing here draws a random number or reads YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gwsim import costs
from gwsim.costs import Network as NetworkCosts
from gwsim.diagnostics import Collector, code
from gwsim.scenario import file, limits, model
from gwsim.scenario.backends import Backends
from gwsim.scenario.chains import DEFAULT_PORT, Chains, Draft
from gwsim.scenario.costing import Pricing, profile_of
from gwsim.scenario.fleets import SIDECAR, Fleets, fleet_name, names_of, pod_labels
from gwsim.scenario.lasting import check_paths, long_stream
from gwsim.scenario.memory import footprint
from gwsim.scenario.memory import report as report_memory
from gwsim.scenario.nat import port_pools
from gwsim.scenario.placement import placed
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.resolved import Resolved, RunPlan
from gwsim.scenario.rollouts import Rollouts
from gwsim.scenario.shapes import Asked, Asker, Router, Taken, request_of, tls_of, written_port
from gwsim.scenario.traffic import Traffic, age_limit_s, entry_name, limited, retry
from gwsim.scenario.workloads import sidecar_named
from gwsim.topology import FilterChain, Listener, Locality, Proxy, Request, TargetMissing, Topology, Wire
from gwsim.topology.dialling import dial
from gwsim.units import format_duration_s

WARMUP_SHARE = 0.1
WARMUP_AT_LEAST_S = 1.0
DEFAULT_TLS_PORT = 443
INBOUND = "sidecars of called services (inbound) are in the way where the files say that there are some; their access rules and limits are not modelled"
NO_INBOUND = "only the sidecars of workloads that send requests are in the way; those of called services (sidecars.inbound) add no time"


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
    drafts = [work.client(name, client) for name, client in loaded.scenario.clients.items()]
    own.raise_if_errors()
    resolved = work.finish([one for one in drafts if one is not None])
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
        backends = Backends(loaded, topology, pricing, fleets, network.cross_region_near_rtt_s, network.same_node_rtt_s, collector)
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

    def client(self, name: str, client: file.Client) -> Draft | None:
        """A client of the model; None when what it names does not exist (which is reported)."""
        place = self._in_mesh(name, client) if client.from_ is not None else self._at_gateway(name, client)
        if place is None:
            return None
        proxy, listener = place
        tls, guessed = tls_of(client, listener)
        if guessed:
            self.assumptions[f"client {name}: {'TLS ' + tls if tls else 'plaintext'}, as port {listener.port} expects"] = None
        taken = [self._taken(name, client, proxy, listener, tls, at) for at in range(len(client.mix))]
        chain = self._chain(name, taken)
        self._limits(proxy, chain)
        asker = _asker(name, client, proxy, port_of(client, client.mix[0], listener, tls), tls)
        mix = self._mix(name, client, taken)
        if self.topology.later:
            mix = [replace(shape, later=self._later(name, proxy, one)) for shape, one in zip(mix, taken, strict=True)]
        return Draft(self._made(name, client, proxy, listener, tls, chain), asker, chain, mix=mix, taken=taken)

    def _later(self, name: str, proxy: Proxy, first: Taken) -> tuple[tuple[float, model.Outcome], ...]:
        """What becomes of an entry after each change of the configuration that changes it."""
        found: list[tuple[float, model.Outcome]] = []
        last = first.outcome
        for at_s, topology in self.topology.later:
            same = next((one for one in topology.proxies if (one.kind, one.qualified) == (proxy.kind, proxy.qualified)), None)
            if same is None or last.tcp:
                self._not_followed(name, at_s)
                continue
            asker = replace(first.asker, proxy=same)
            outcome = self.router.take(asker, first.asked).outcome
            if outcome != last:
                found.append((at_s, outcome))
                last = outcome
        self.assumptions["configuration that changes during the run is followed at the gateway that clients dial, in all its pods at once"] = None
        return tuple(found)

    def _not_followed(self, name: str, at_s: float) -> None:
        text = f"client {name}: the configuration of {format_duration_s(at_s)} takes its gateway away, or its bytes are only handed on; it stays as it was"
        self.collector.add(code("SCENARIO_NOT_MODELLED"), text, self.loaded.span("clients", name))

    def _at_gateway(self, name: str, client: file.Client) -> tuple[Proxy, Listener] | None:
        try:
            return self.topology.resolve(client.target or "")
        except TargetMissing as error:
            message, _, help = str(error).partition("; ")
            span = self.loaded.span("clients", name, "target")
            self.collector.add(code("TARGET_MISSING"), message, span, help=help or None, object_ref=f"clients.{name}.target")
            return None

    def _in_mesh(self, name: str, client: file.Client) -> tuple[Proxy, Listener] | None:
        """The sidecar of a client's workload, and the listener that takes what its first entry dials."""
        proxy = sidecar_named(self.topology, client.from_ or "")
        if proxy is None:
            return None  # Reported where the workload was looked for.
        first = client.mix[0]
        port = first.port or written_port(first, client) or (DEFAULT_TLS_PORT if client.connection.tls in ("1.2", "1.3") else DEFAULT_PORT)
        dialled = dial(proxy, port, Request(host=first.host or client.sni or ""))
        if dialled is None:
            span = self.loaded.span("clients", name, "mix", 0)
            self.collector.add(code("TARGET_MISSING"), f"{fleet_name(proxy)} takes nothing on port {port}", span)
            return None
        return proxy, dialled.listener

    def _taken(self, name: str, client: file.Client, proxy: Proxy, listener: Listener, tls: str | None, at: int) -> Taken:
        """An entry of a client's mix at its first proxy."""
        entry = client.mix[at]
        asker = _asker(name, client, proxy, port_of(client, entry, listener, tls), tls)
        wire = Wire(request_of(client, entry, listener, tls))
        steps = ("clients", name, "mix", at)
        taken = self.router.take(asker, Asked(name=entry_name(entry, client.sni or ""), entry=entry, wire=wire, steps=steps))
        if client.from_ is None:
            self._check_entry(client, entry, taken, listener)
        return taken

    def _check_entry(self, client: file.Client, entry: file.MixEntry, taken: Taken, listener: Listener) -> None:
        """Report what an entry says of HTTP where a port reads none, and what it does not say where one does."""
        steps, tls = taken.asked.steps, taken.label.tls
        if not taken.label.tcp:
            if entry.host is None and client.sni is None:
                text = f"port {listener.port} speaks HTTP, but the entry has no host, and the client no sni to take it from"
                self.collector.add(code("SCENARIO_VALUE"), text, self.loaded.span(*steps), help="give the entry its host")
            return
        if tls:
            return  # The host is the server name, and HTTP may be what is inside.
        for name in ("host", "method", "path", "headers"):
            if name in entry.model_fields_set:
                text = f"port {listener.port} hands bytes on (TCP) and reads no HTTP, so {name} means nothing"
                help = "leave it out; a name, request_size and response_size are what an exchange of bytes has"
                self.collector.add(code("SCENARIO_VALUE"), text, self.loaded.span(*steps, name), help=help)

    def _chain(self, name: str, taken: list[Taken]) -> FilterChain | None:
        """The filter chain of the client's connections: that of the first entry that is not rejected."""
        used = list({id(one.chain): one.chain for one in taken if one.chain is not None}.values())
        if len(used) > 1 and taken[0].label.gateway.partition(" ")[0] != SIDECAR:
            names = ", ".join(one.name for one in used)
            text = f"client {name}: its entries belong to filter chains {names}; connections are priced as those of {used[0].name}"
            self.collector.add(code("SCENARIO_NOT_MODELLED"), text, self.loaded.span("clients", name, "mix"))
        if len({one.label.tcp for one in taken if one.chain is not None}) > 1:
            text = f"client {name}: the sidecar reads HTTP of some entries and only hands bytes on for others"
            span = self.loaded.span("clients", name, "mix")
            self.collector.add(code("SCENARIO_VALUE"), text, span, help="make two clients of it, as they have connections of different kinds")
        return next(iter(used), None)

    def _made(
        self, name: str, client: file.Client, proxy: Proxy, listener: Listener, tls: str | None, chain: FilterChain | None
    ) -> model.Client:
        return model.Client(
            name=name,
            fleet=self.fleets.index(proxy),
            arrivals=self.traffic.arrivals(name, client),
            connection=limited(self.traffic.connection(name, client, tls), chain),
            rtt_s=self.traffic.rtt(name, client),
            costs=self.pricing.downstream(proxy, listener, chain, client.connection.http, tls),
            mix=(),
            timeout_s=client.timeout,
            retry=retry(client.retries),
            max_connection_duration_s=age_limit_s(chain),
        )

    def _mix(self, name: str, client: file.Client, taken: list[Taken]) -> list[model.Shape]:
        return [
            model.Shape(
                name=one.asked.name,
                weight=entry.weight,
                outcome=one.outcome,
                request_bytes=self.traffic.request_bytes(name, entry, tcp=one.label.tcp),
                response_bytes=self.traffic.response_bytes(name, entry),
                long=long_stream(client, one, self.pricing, self.loaded, self.collector, self.assumptions),
            )
            for entry, one in zip(client.mix, taken, strict=True)
        ]

    def _limits(self, proxy: Proxy, chain: FilterChain | None) -> None:
        limits.report_proxy(proxy, self.collector)
        if chain is not None:
            limits.report_chain(proxy, chain, self.collector)

    def finish(self, drafts: list[Draft]) -> Resolved:
        """Everything beyond the clients, and all put together."""
        scenario = self.loaded.scenario
        chains = self._chains(drafts)
        fleets, fleet_labels = self.fleets.build(*self.pricing.loop_s())
        clients = tuple(one.finished() for one in drafts)
        labels = tuple(taken.label for one in drafts for taken in one.taken)
        run, plan = self._run()
        dialled, pools = port_pools(self.loaded, self.backends.clusters, chains.stations(), self.backends.labels, self.collector)
        pairs = zip(self.backends.clusters, self.backends.given, strict=True)
        clusters = [placed(one, given, self.fleets.used, fleets) for one, given in pairs]
        rolling = Rollouts(self.loaded, self.topology, self.backends, self.collector, self.assumptions)
        stations, labels_of_stations, clusters = rolling.apply(dialled, self.backends.labels, clusters)
        built = model.Model(
            clients=clients,
            fleets=fleets,
            clusters=tuple(clusters),
            stations=tuple(stations),
            network=self._network({pod.zone for fleet in fleets for pod in fleet.pods}),
            buckets=tuple(self.router.programs.buckets),
            port_pools=pools,
            run=run,
        )
        check_paths(built, self.loaded, self.collector)
        pods, worker_pods = pod_labels(fleets)
        costs_used = self.pricing.facts(self.fleets.used[0] if self.fleets.used else None, clients[0] if clients else None)
        if costs_used.memory is not None:
            for at, label in enumerate(fleet_labels):
                needed = footprint(costs_used.memory, label.proxy, at, built)
                report_memory(needed, label.name, label.memory_limit_bytes, label.proxy.origin, self.collector)
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
            costs=costs_used,
            budgets=self.loaded.budgets,
            assumptions=self._assumed(),
            findings=self.collector.findings,
            effective=effective(scenario),
        )

    def _chains(self, drafts: list[Draft]) -> Chains:
        """What is beyond the clients' first proxies; `drafts` grows."""
        chains = Chains(
            loaded=self.loaded, topology=self.topology, router=self.router, backends=self.backends, fleets=self.fleets,
            pricing=self.pricing, traffic=self.traffic, network=self.network, collector=self.collector, drafts=drafts,
        )  # fmt: skip
        chains.follow()
        self.collector.raise_if_errors()
        if any(draft.asker.proxy.kind == "sidecar" for draft in drafts):
            self.assumptions[INBOUND if self.loaded.scenario.sidecars.inbound else NO_INBOUND] = None
        return chains

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

    def _network(self, pod_zones: set[str]) -> model.Network:
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
        for zone, rtt_s in self.backends.rtts_s.items():
            for pod_zone in pod_zones:
                pairs[pod_zone, zone] = pairs[zone, pod_zone] = rtt_s
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


def _asker(name: str, client: file.Client, proxy: Proxy, port: int, tls: str | None) -> Asker:
    return Asker(name=name, proxy=proxy, port=port, http=client.connection.http, tls=tls, users=client.users, sni=client.sni or "")


def port_of(client: file.Client, entry: file.MixEntry, listener: Listener, tls: str | None) -> int:
    """Where the proxy is dialled: a gateway's listening port; through a sidecar, the port that the entry is for."""
    if client.from_ is None:
        return listener.port
    return entry.port or written_port(entry, client) or (DEFAULT_TLS_PORT if tls is not None else DEFAULT_PORT)


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
