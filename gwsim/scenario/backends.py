"""Backends: the pods behind the clusters, with the service times the scenario gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from gwsim.diagnostics import Collector, code, nearest
from gwsim.scenario.costing import PASSTHROUGH_PREFIX, Pricing
from gwsim.scenario.file import Backend, BackendVersion, Times
from gwsim.scenario.fleets import Fleets, fleet_name, zone_of
from gwsim.scenario.inbound import ZONE, InboundClusters
from gwsim.scenario.model import Mode, Outage, SimCluster, Station, constant
from gwsim.scenario.placement import hosts_of, locality_of
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.resolved import StationLabel
from gwsim.scenario.workloads import sidecar_beside
from gwsim.topology import Cluster, Endpoint, Proxy, Reached, Topology, reached
from gwsim.units import format_duration_s

LOCAL = ".svc.cluster.local"
DEFAULT_SERVICE_TIME = Times.model_validate({"lognormal": {"median": "10ms", "cv": 1}})
"""Source of the shape: docs/reference/costs.md, workload shapes (lognormal, CV 1)."""
DEFAULT_TEXT = "service time lognormal, median 10 ms, CV 1, no limit on concurrency"

Pod = tuple[str, str, str, str, int]
"""Kubernetes cluster, workload, pod, address and port: what makes two endpoints the same pod."""


class _Named(NamedTuple):
    """A backend and subset of the configuration."""

    backend: str
    subset: str


def backend_name(cluster: Cluster, kube_cluster: str) -> str:
    """`[cluster/]service.namespace`, or the host of a service outside the mesh."""
    host = cluster.host.removesuffix(LOCAL)
    return f"{kube_cluster}/{host}" if kube_cluster else host


def pod_of(endpoint: Endpoint, proxy: Proxy) -> Pod:
    """The identity of the pod behind an endpoint."""
    return (endpoint.cluster or proxy.cluster, endpoint.workload, endpoint.pod, endpoint.address, endpoint.port)


@dataclass(frozen=True, slots=True)
class Relaying:
    """What makes a station a pod of a further proxy: `pod` is its position there (None: the front load balancer chooses)."""

    reached: Reached
    endpoint: Endpoint
    pod: int | None
    inbound: int = -1
    """Of a sidecar's receiving side: the cluster of its application."""


@dataclass(frozen=True, slots=True)
class Calling:
    """A station that makes calls: its backend, the section of the file that says which, and the pod."""

    name: str
    key: str
    backend: Backend
    cluster: str
    endpoint: Endpoint


CANONICAL = {"app": "service.istio.io/canonical-name", "version": "service.istio.io/canonical-revision"}
"""Labels that win over `app` and `version`. Source: istio pkg/model, canonical service."""


def _label(endpoint: Endpoint, name: Literal["app", "version"]) -> str:
    return endpoint.labels.get(CANONICAL[name]) or endpoint.labels.get(name, "")


def _faulty(station: Station, backend: Backend, ordinal: int) -> Station:
    """A pod of a backend, the one with that number, with its faults."""
    mine = [one for one in backend.faults if one.pods is None or ordinal < one.pods]
    outages = tuple(
        Outage(from_s=one.from_, to_s=one.from_ + one.for_, kind="drop" if one.kind == "drop" else "refuse")
        for one in mine
        if one.kind in ("refuse", "drop")
    )
    modes = [
        Mode(
            from_s=one.from_,
            to_s=one.from_ + one.for_,
            slow=1.0 if one.slow is None else one.slow,
            errors=None if one.errors is None else error_shares(one.errors),
            stall=one.kind == "stall",
        )
        for one in mine
        if one.kind == "stall" or one.slow is not None or one.errors is not None
    ]
    return replace(station, keepalive_s=backend.keepalive_timeout, outages=outages, modes=_apart(modes))


def _apart(modes: list[Mode]) -> tuple[Mode, ...]:
    """Modes in the order of time, with stalls that overlap cut to what each adds."""
    apart: list[Mode] = []
    standing = 0.0
    for one in sorted(modes, key=lambda mode: mode.from_s):
        made = one
        if one.stall:
            start = max(one.from_s, standing)
            made = replace(one, stall=False) if start >= one.to_s else one
            if one.from_s < start < one.to_s:
                apart.append(replace(one, stall=False))
                made = Mode(from_s=start, to_s=one.to_s, stall=True)
            standing = max(standing, one.to_s)
        apart.append(made)
    return tuple(apart)


def error_shares(errors: Mapping[str, float]) -> tuple[tuple[float, int], ...]:
    """Shares and statuses, by status."""
    return tuple((share, int(status)) for status, share in sorted(errors.items()) if share > 0)


@dataclass(slots=True)
class Backends:
    """The clusters that requests can reach, and the stations behind them, in the order of their first use."""

    loaded: LoadedScenario
    topology: Topology
    pricing: Pricing
    fleets: Fleets
    far_s: float
    """Round trip to a service outside the mesh that nothing is said of, seconds."""
    beside_s: float
    """Round trip between an application and the sidecar beside it, seconds."""
    collector: Collector
    clusters: list[SimCluster] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    """Kubernetes cluster of each of `clusters`."""
    given: list[tuple[Endpoint, ...]] = field(default_factory=list)
    """Endpoints of each of `clusters` in the topology; those of a gateway follow its replicas."""
    stations: list[Station] = field(default_factory=list)
    labels: list[StationLabel] = field(default_factory=list)
    relays: dict[int, Relaying] = field(default_factory=dict)
    """By station: those that are pods of further proxies."""
    callers: dict[int, Calling] = field(default_factory=dict)
    """By station: those that make calls."""
    rtts_s: dict[str, float] = field(default_factory=dict)
    """Zones of their own: round trip to them from everywhere, seconds."""
    assumptions: dict[str, None] = field(default_factory=dict)
    _inbounds: InboundClusters | None = None
    _keys: dict[str, str] = field(default_factory=dict)
    """Key of each backend's section in the file."""
    _by_pod: dict[Pod, int] = field(default_factory=dict)
    _by_cluster: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    _names: dict[Pod, dict[_Named, None]] = field(default_factory=dict)
    _sections: dict[str, Backend] = field(default_factory=dict)
    _subsets: dict[_Named, BackendVersion] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    """Number of the last pod of each backend."""

    def read_sections(self) -> None:
        """Match the `backends` section with the services there are; report names of none."""
        known: dict[str, set[str]] = {}
        for proxy in self.topology.proxies:
            for cluster in proxy.clusters.values():
                name = backend_name(cluster, proxy.cluster)
                known.setdefault(name, set()).add(cluster.subset)
                for endpoint in cluster.endpoints:
                    self._names.setdefault(pod_of(endpoint, proxy), {})[_Named(name, cluster.subset)] = None
        # A name with its cluster says more than one without, wherever it stands.
        for key, section in sorted(self.loaded.scenario.backends.items(), key=lambda pair: pair[0].partition("#")[0] in known):
            written, _, subset = key.partition("#")
            names = self._full_names(written, known)
            if not names or (subset and not any(subset in known[one] for one in names)):
                self._unknown((key,), written, subset, names, known)
                continue
            for full in names:
                if not subset:
                    self._sections[full] = section
                    self._keys[full] = key
                elif subset in known[full]:
                    self._subsets[_Named(full, subset)] = section
                self._subsets |= {_Named(full, one): version for one, version in section.subsets.items() if one in known[full]}
            for one in section.subsets:
                if not any(one in known[full] for full in names):
                    self._unknown((key, "subsets", one), written, one, names, known)

    def section(self, backend: str) -> tuple[str, Backend] | None:
        """What the scenario says of a backend, by its full name, and the key it says it under; None: nothing."""
        found = self._sections.get(backend)
        return None if found is None else (self._keys[backend], found)

    def _full_names(self, written: str, known: dict[str, set[str]]) -> list[str]:
        """The backends a key means; without a Kubernetes cluster those of all clusters."""
        if written in known:
            return [written]
        host = written.removesuffix(LOCAL)
        return [name for name in known if name == host or name.partition("/")[2] == host]

    def _unknown(
        self, steps: tuple[str, ...], written: str, subset: str, names: list[str], known: dict[str, set[str]]
    ) -> None:
        span = self.loaded.span("backends", *steps)
        if names:
            have = sorted({one for name in names for one in known[name] if one})
            near = nearest(subset, have)
            help = f"did you mean {near}?" if near else f"it has {', '.join(have)}" if have else "it has none"
            self.collector.add(code("BACKEND_UNKNOWN"), f"{written} has no subset {subset}", span, help=help)
            return
        near = nearest(written, known)
        some = sorted(known)[:5]
        help = f"did you mean {near}?" if near else f"there is {', '.join(some)}" if some else "no service is known to any gateway"
        self.collector.add(code("BACKEND_UNKNOWN"), f"there is no backend {written}", span, help=help)

    def cluster(self, proxy: Proxy, cluster: Cluster, *, tcp: bool, onward: bool = True) -> int:
        """The index of a cluster in the model, where it is added at its first use.

        `onward`: endpoints that are pods of a gateway are further proxies; else they answer as backends do.
        """
        given = cluster.endpoints
        onwards = [reached(self.topology, proxy, cluster, one) if onward else None for one in given]
        # What AUTO_PASSTHROUGH hands on is opened by the sidecar that gets it.
        http = not tcp or (cluster.name.startswith(PASSTHROUGH_PREFIX) and cluster.protocol.startswith(("HTTP", "GRPC")) and cluster.protocol != "HTTPS")
        received = onward and http and self.loaded.scenario.sidecars.inbound and any(one.accepts and not one.via for one in given)
        own = fleet_name(proxy) if any(onwards) or received else ""
        if any(onwards):
            cluster, onwards = self._fitted(cluster, onwards)
        same = self._by_cluster.setdefault((proxy.cluster, cluster.name, own), [])
        costs, round_trips = self.pricing.upstream(proxy, cluster, tcp=tcp)
        for at in same:
            have = self.clusters[at]
            if have.costs == costs and (have.cluster is cluster or have.cluster == cluster):
                return at
        stations = tuple(
            self._relay(one, to) if to is not None else self._received(proxy, cluster, one) if received else self._station(proxy, cluster, one)
            for one, to in zip(cluster.endpoints, onwards, strict=True)
        )
        self.clusters.append(
            SimCluster(cluster=cluster, stations=stations, costs=costs, tls_round_trips=round_trips, hosts=hosts_of(cluster))
        )
        self.owners.append(proxy.cluster)
        self.given.append(given)
        same.append(len(self.clusters) - 1)
        return same[-1]

    def _fitted(self, cluster: Cluster, onwards: list[Reached | None]) -> tuple[Cluster, list[Reached | None]]:
        """The cluster with as many endpoints of each gateway as the gateway has pods in this scenario."""
        endpoints: list[Endpoint] = []
        kept: list[Reached | None] = []
        done: list[Proxy] = []
        for endpoint, to in zip(cluster.endpoints, onwards, strict=True):
            if to is None or endpoint.via:
                endpoints.append(endpoint)
                kept.append(to)
            elif not any(one is to.proxy for one in done):
                done.append(to.proxy)
                own = [one for one, other in zip(cluster.endpoints, onwards, strict=True) if other is not None and other.proxy is to.proxy and not one.via]
                pods = self.fleets.pods_of(to.proxy)
                if len(own) != len(pods):
                    own = [
                        replace(own[0], address=pod.name, pod=pod.name, locality=locality_of(to.proxy, at)) for at, pod in enumerate(pods)
                    ]
                endpoints += own
                kept += [to] * len(own)
        same = tuple(endpoints) == cluster.endpoints
        return (cluster if same else replace(cluster, endpoints=tuple(endpoints))), kept

    def _relay(self, endpoint: Endpoint, to: Reached) -> int:
        """A station that is a pod of a further proxy, or its load balancer."""
        gateway = fleet_name(to.proxy)
        pods = self.fleets.pods_of(to.proxy)
        pod = None
        if not endpoint.via:
            pod = next((at for at, one in enumerate(pods) if one.name == endpoint.pod), None)
        name = self._unique(f"{gateway}/{endpoint.pod}" if pod is not None else f"{gateway} ({endpoint.address})")
        # A gateway that stands for endpoints without a locality is where its pods are.
        zone = pods[pod].zone if pod is not None else zone_of(endpoint.locality.region, endpoint.locality.zone) or (pods[0].zone if pods else "")
        at = len(self.stations)
        self.stations.append(Station(name=name, zone=zone, service_time_s=constant(0.0)))
        self.labels.append(StationLabel(
            name=name, backend=gateway, subset="", zone=zone, assumed=False, workload=to.proxy.key,
            address=f"{endpoint.address}:{endpoint.port}", mtls=endpoint.mtls, relay=True,
        ))
        self.relays[at] = Relaying(to, endpoint, pod)
        return at

    def _received(self, proxy: Proxy, cluster: Cluster, endpoint: Endpoint) -> int:
        """The station of an endpoint: its sidecar, where it has one, with its application behind it."""
        application = self._station(proxy, cluster, endpoint)
        beside = sidecar_beside(self.topology, endpoint.cluster or proxy.cluster, endpoint) if endpoint.accepts else None
        if beside is None:
            return application
        sidecar, pod = beside
        zone = self.labels[application].zone
        self.stations[application] = replace(self.stations[application], zone=ZONE)
        self.rtts_s[ZONE] = self.beside_s
        inbound = self._inbound().index(sidecar, cluster, endpoint, pod, application)
        name = self._unique(f"{fleet_name(sidecar)}/{endpoint.pod}")
        at = len(self.stations)
        self.stations.append(Station(name=name, zone=zone, service_time_s=constant(0.0)))
        self.labels.append(StationLabel(
            name=name, backend=fleet_name(sidecar), subset="", zone=zone, assumed=False, workload=sidecar.key,
            address=f"{endpoint.address}:{endpoint.port}", mtls=endpoint.mtls, relay=True,
        ))
        self.relays[at] = Relaying(Reached(sidecar, endpoint.port, endpoint.port), endpoint, pod, inbound)
        return at

    def _inbound(self) -> InboundClusters:
        if self._inbounds is None:
            self._inbounds = InboundClusters(self.fleets, self.pricing, self.clusters, self.owners, self.given)
        return self._inbounds

    def _station(self, proxy: Proxy, cluster: Cluster, endpoint: Endpoint) -> int:
        pod = pod_of(endpoint, proxy)
        if pod in self._by_pod:
            return self._by_pod[pod]
        names = self._names.get(pod, {}) or {_Named(backend_name(cluster, proxy.cluster), cluster.subset): None}
        backend = next((one.backend for one in names if one.backend in self._sections), next(iter(names)).backend)
        subset = next((one.subset for one in names if one.backend == backend and one.subset), "")
        version = next((self._subsets[one] for one in names if one in self._subsets), BackendVersion())
        section = self._sections.get(backend)
        taken = len(self.stations)
        name = self._unique(f"{backend}/{endpoint.pod or endpoint.address}")
        base = section or Backend()
        ordinal = self._counts[backend] = self._counts.get(backend, -1) + 1
        zone = self._zone(backend, base, cluster, endpoint)
        made = self._made(name, zone, base, version)
        self.stations.append(_faulty(made, base, ordinal))
        assumed = version.service_time is None and (section is None or section.service_time is None)
        if assumed:
            self.assumptions[f"backend {backend}: {DEFAULT_TEXT}, because the scenario does not say"] = None
        self.labels.append(StationLabel(
            name=name, backend=backend, subset=subset, zone=zone_of(endpoint.locality.region, endpoint.locality.zone), assumed=assumed,
            workload=endpoint.workload,
            app=_label(endpoint, "app"), version=_label(endpoint, "version"),
            address=f"{endpoint.address}:{endpoint.port}", mtls=endpoint.mtls,
        ))
        self._by_pod[pod] = taken
        if base.calls:
            self.callers[taken] = Calling(backend, self._keys.get(backend, backend), base, pod[0], endpoint)
        return taken

    def _zone(self, backend: str, base: Backend, cluster: Cluster, endpoint: Endpoint) -> str:
        """Where a pod runs; one of its own for a backend with a round trip of its own."""
        zone = zone_of(endpoint.locality.region, endpoint.locality.zone)
        if base.rtt is not None:
            self.rtts_s[backend] = base.rtt
            return backend
        if cluster.external and not zone:
            self.rtts_s[backend] = self.far_s
            told = f"backend {backend} is outside the mesh: its round trip is that to a region nearby ({format_duration_s(self.far_s)})"
            self.assumptions[f"{told}; give backends.{backend}.rtt"] = None
            return backend
        return zone

    def _unique(self, name: str) -> str:
        taken = {one.name for one in self.stations}
        number, unique = 2, name
        while unique in taken:
            number, unique = number + 1, f"{name} ({number})"
        return unique

    def _made(self, name: str, zone: str, base: Backend, version: BackendVersion) -> Station:
        """A station: the subset's settings, then the backend's, then the default."""
        service = version.service_time or base.service_time or DEFAULT_SERVICE_TIME
        errors = version.errors if version.errors is not None else base.errors or {}
        return Station(
            name=name,
            zone=zone,
            service_time_s=service.resolved(),
            concurrency=version.concurrency if version.concurrency is not None else base.concurrency,
            queue=version.queue if version.queue is not None else base.queue,
            errors=error_shares(errors),
            tls_hello_s=self.pricing.hello_s() if base.tls_handshake is None else base.tls_handshake,
        )

    def cluster_names(self) -> tuple[str, ...]:
        """A name for each cluster that no other has."""
        names = [one.cluster.name for one in self.clusters]
        unique: list[str] = []
        for owner, name in zip(self.owners, names, strict=True):
            text = f"{owner}/{name}" if names.count(name) > 1 and owner else name
            unique.append(text if text not in unique else f"{text} ({unique.count(text) + 1})")
        return tuple(unique)


__all__ = ["DEFAULT_SERVICE_TIME", "Backends", "Calling", "Relaying", "backend_name", "pod_of"]
