"""Backends: the pods behind the clusters, with the service times the scenario gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from gwsim.diagnostics import Collector, code, nearest
from gwsim.scenario.costing import Pricing
from gwsim.scenario.file import Backend, BackendVersion, Times
from gwsim.scenario.fleets import zone_of
from gwsim.scenario.model import Mode, Outage, SimCluster, Station
from gwsim.scenario.placement import hosts_of
from gwsim.scenario.reading import LoadedScenario
from gwsim.scenario.resolved import StationLabel
from gwsim.topology import Cluster, Endpoint, Proxy, Topology

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
    collector: Collector
    clusters: list[SimCluster] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    """Kubernetes cluster of each of `clusters`."""
    stations: list[Station] = field(default_factory=list)
    labels: list[StationLabel] = field(default_factory=list)
    assumptions: dict[str, None] = field(default_factory=dict)
    _by_pod: dict[Pod, int] = field(default_factory=dict)
    _by_cluster: dict[tuple[str, str], list[int]] = field(default_factory=dict)
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
        for key, section in self.loaded.scenario.backends.items():
            written, _, subset = key.partition("#")
            full = self._full_name(written, known)
            if full is None or (subset and subset not in known[full]):
                self._unknown((key,), written, subset, full, known)
                continue
            if subset:
                self._subsets[_Named(full, subset)] = section
            else:
                self._sections[full] = section
            for one, version in section.subsets.items():
                if one in known[full]:
                    self._subsets[_Named(full, one)] = version
                else:
                    self._unknown((key, "subsets", one), written, one, full, known)

    def _full_name(self, written: str, known: dict[str, set[str]]) -> str | None:
        """The backend a key means; the Kubernetes cluster may be left out when only one has the service."""
        if written in known:
            return written
        host = written.removesuffix(LOCAL)
        fits = [name for name in known if name == host or name.partition("/")[2] == host]
        return fits[0] if len(fits) == 1 else None

    def _unknown(
        self, steps: tuple[str, ...], written: str, subset: str, name: str | None, known: dict[str, set[str]]
    ) -> None:
        span = self.loaded.span("backends", *steps)
        if name is not None:
            have = sorted(one for one in known[name] if one)
            near = nearest(subset, have)
            help = f"did you mean {near}?" if near else f"it has {', '.join(have)}" if have else "it has none"
            self.collector.add(code("BACKEND_UNKNOWN"), f"{written} has no subset {subset}", span, help=help)
            return
        near = nearest(written, known)
        some = sorted(known)[:5]
        help = f"did you mean {near}?" if near else f"there is {', '.join(some)}" if some else "no service is known to any gateway"
        self.collector.add(code("BACKEND_UNKNOWN"), f"there is no backend {written}", span, help=help)

    def cluster(self, proxy: Proxy, cluster: Cluster, *, tcp: bool) -> int:
        """The index of a cluster in the model, where it is added at its first use."""
        same = self._by_cluster.setdefault((proxy.cluster, cluster.name), [])
        costs, round_trips = self.pricing.upstream(proxy, cluster, tcp=tcp)
        for at in same:
            have = self.clusters[at]
            if have.costs == costs and (have.cluster is cluster or have.cluster == cluster):
                return at
        stations = tuple(self._station(proxy, cluster, one) for one in cluster.endpoints)
        self.clusters.append(
            SimCluster(cluster=cluster, stations=stations, costs=costs, tls_round_trips=round_trips, hosts=hosts_of(cluster))
        )
        self.owners.append(proxy.cluster)
        same.append(len(self.clusters) - 1)
        return same[-1]

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
        made = self._made(name, endpoint, base, version)
        self.stations.append(_faulty(made, base, ordinal))
        assumed = version.service_time is None and (section is None or section.service_time is None)
        if assumed:
            self.assumptions[f"backend {backend}: {DEFAULT_TEXT}, because the scenario does not say"] = None
        zone = self.stations[-1].zone
        self.labels.append(StationLabel(
            name=name, backend=backend, subset=subset, zone=zone, assumed=assumed, workload=endpoint.workload,
            app=_label(endpoint, "app"), version=_label(endpoint, "version"),
            address=f"{endpoint.address}:{endpoint.port}", mtls=endpoint.mtls,
        ))
        self._by_pod[pod] = taken
        return taken

    def _unique(self, name: str) -> str:
        taken = {one.name for one in self.stations}
        number, unique = 2, name
        while unique in taken:
            number, unique = number + 1, f"{name} ({number})"
        return unique

    def _made(self, name: str, endpoint: Endpoint, base: BackendVersion, version: BackendVersion) -> Station:
        """A station: the subset's settings, then the backend's, then the default."""
        service = version.service_time or base.service_time or DEFAULT_SERVICE_TIME
        errors = version.errors if version.errors is not None else base.errors or {}
        return Station(
            name=name,
            zone=zone_of(endpoint.locality.region, endpoint.locality.zone),
            service_time_s=service.resolved(),
            concurrency=version.concurrency if version.concurrency is not None else base.concurrency,
            queue=version.queue if version.queue is not None else base.queue,
            errors=error_shares(errors),
        )

    def cluster_names(self) -> tuple[str, ...]:
        """A name for each cluster that no other has."""
        names = [one.cluster.name for one in self.clusters]
        unique: list[str] = []
        for owner, name in zip(self.owners, names, strict=True):
            text = f"{owner}/{name}" if names.count(name) > 1 and owner else name
            unique.append(text if text not in unique else f"{text} ({unique.count(text) + 1})")
        return tuple(unique)


__all__ = ["DEFAULT_SERVICE_TIME", "Backends", "backend_name", "pod_of"]
