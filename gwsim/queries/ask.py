"""One request asked of a configuration: which proxy, which port, and what becomes of it there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gwsim.diagnostics import Collector, Finding, did_you_mean
from gwsim.errors import UsageError
from gwsim.queries.actual import actual_of
from gwsim.resources import ResourceSet, read
from gwsim.resources.models import Deployment, Namespace, PodOwner
from gwsim.topology import (
    Decision,
    HttpConnectionManager,
    Listener,
    Outcome,
    Proxy,
    ProxyService,
    Request,
    TargetMissing,
    Topology,
    choose,
)
from gwsim.topology.exchange import in_time
from gwsim.topology.from_istio import ClusterConfig, build_mesh
from gwsim.topology.from_istio.injection import injection, looks_like_gateway
from gwsim.topology.from_istio.registry import owners

GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name"
NOWHERE = frozenset(
    {Outcome.NOT_FOUND, Outcome.DENIED, Outcome.ERROR, Outcome.TIMEOUT, Outcome.MISDIRECTED, Outcome.CONNECTION_REJECTED, Outcome.NO_LISTENER, Outcome.BLACKHOLE}
)
"""Outcomes with which a request does not get what it was made for."""
_CLUSTER = re.compile(r"([A-Za-z0-9][\w.-]*)=(.+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The objects of every cluster and the topology they come to."""

    resources: Mapping[str, ResourceSet]
    topology: Topology
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """A port as the client dials it, as Gateways declare it, and as the proxy listens on it."""

    dialled: int
    listening: int
    service: ProxyService | None = None
    declared: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What becomes of a request at one proxy; `notes` say how the proxy and the port were found."""

    request: Request
    proxy: Proxy
    ports: Ports
    decision: Decision
    actual: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    istio_version: str = ""

    @property
    def served(self) -> bool:
        """Whether the request gets what it was made for."""
        return self.decision.outcome not in NOWHERE


def load(
    configs: Sequence[str],
    *,
    istio_version: str = "1.30",
    assume_exists: Sequence[str] = (),
    gateways: Sequence[tuple[str, Mapping[str, str]]] = (),
    client: str = "",
    everyone: bool = False,
    unknown_fields: str = "warn",
) -> Configuration:
    """Read and build; `configs` are paths, or `cluster=path` for several clusters. `client` names a workload
    (`[cluster/]namespace/name` or `namespace/label=value`) whose sidecar is wanted too; `everyone`: those of all workloads.

    Raises InputError with everything that is wrong, UsageError for paths that are not there.
    """
    collector = Collector()
    resources: dict[str, ResourceSet] = {}
    clusters: list[ClusterConfig] = []
    for name, paths in _by_cluster(configs).items():
        resources[name] = read(paths, collector=collector, unknown_fields=unknown_fields)
        clusters.append(
            ClusterConfig(
                resources=resources[name],
                name=name,
                gateways=gateways,
                sidecars=_everyone(resources[name]) if everyone else _sidecar(client, name, resources[name]),
            )
        )
    topology = build_mesh(clusters, istio_version=istio_version, assume_exists=assume_exists, collector=collector)
    collector.raise_if_errors()
    return Configuration(resources=resources, topology=topology, findings=collector.findings)


def _by_cluster(configs: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for config in configs:
        match = _CLUSTER.match(config)
        name, path = match.groups() if match and not Path(config).exists() else ("", config)
        if path != "-" and not Path(path).exists():
            raise UsageError(f"--config: there is no file or folder {path}")
        found.setdefault(name, []).append(path)
    if len(found) > 1 and "" in found:
        raise UsageError("--config: with several clusters, write cluster=DIR for each of them")
    return found


def _sidecar(client: str, cluster: str, resources: ResourceSet) -> list[tuple[str, Mapping[str, str]]]:
    """Namespace and pod labels of the client, if it is of this cluster."""
    if not client:
        return []
    wanted, namespace, name = _parts(client, "--from", "NAMESPACE/WORKLOAD")
    if wanted not in (None, cluster):
        return []
    if "=" in name:
        return [(namespace, labels_of(name))]
    deployment = resources.get("Deployment", namespace, name)
    if isinstance(deployment, Deployment):
        return [(namespace, dict(deployment.labels))]
    # A workload kept elsewhere: only its namespace and the usual label count.
    return [(namespace, {"app": name})]


def _everyone(resources: ResourceSet) -> list[tuple[str, Mapping[str, str]]]:
    """Namespace and pod labels of every workload that has a sidecar, or of which the files do not say."""
    namespaces = {one.name: one for one in resources.namespaces}
    return [(one.namespace, dict(one.labels)) for one in owners(resources) if has_sidecar(one, namespaces.get(one.namespace))]


def has_sidecar(owner: PodOwner, namespace: Namespace | None) -> bool:
    """Whether pods are asked for as clients: they are no gateway, and the files do not say that they have no sidecar."""
    return not looks_like_gateway(owner) and injection(owner, namespace) is not False


@dataclass(slots=True)
class Finder:
    """Finds the proxy that is meant, and says how."""

    configuration: Configuration
    notes: list[str] = field(default_factory=list)

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """All gateways; sidecars are asked for with `--from`."""
        return tuple(one for one in self.configuration.topology.proxies if one.kind != "sidecar")

    def gateway(self, text: str) -> Proxy:
        """The proxy of a Gateway: of the Gateway API, or the workload that an Istio Gateway selects; or a proxy's own name."""
        cluster, namespace, name = _parts(text, "--gateway", "NAMESPACE/NAME")
        managed = [one for one in self.proxies if one.labels.get(GATEWAY_NAME_LABEL) == name and one.namespace == namespace]
        if managed:
            return self._one(managed, text, cluster)
        selected = self._selected(namespace, name)
        if selected:
            proxy = self._one(selected, text, cluster)
            self.notes.append(f"Gateway {namespace}/{name} selects the gateway {proxy.key}, which serves all Gateways that select it")
            return proxy
        named = [one for one in self.proxies if (one.namespace, one.name) == (namespace, name)]
        if named:
            return self._one(named, text, cluster)
        have = self._gateway_names()
        hint = did_you_mean(f"{namespace}/{name}", have) or (f"there is {', '.join(have[:5])}" if have else "the configuration has none")
        raise TargetMissing(f"there is no Gateway {namespace}/{name}; {hint}")

    def _selected(self, namespace: str, name: str) -> list[Proxy]:
        found: list[Proxy] = []
        for cluster, resources in self.configuration.resources.items():
            for gateway in resources.gateways:
                if (gateway.namespace, gateway.name) == (namespace, name):
                    found += [one for one in self.proxies if one.cluster == cluster and _has(one, gateway.selector)]
        return found

    def _gateway_names(self) -> list[str]:
        names = [f"{one.namespace}/{one.name}" for all_ in self.configuration.resources.values() for one in all_.gateways]
        names += [f"{one.namespace}/{one.labels.get(GATEWAY_NAME_LABEL, one.name)}" for one in self.proxies]
        return list(dict.fromkeys(names))

    def workload(self, text: str) -> Proxy:
        """The gateway whose pods have some labels: `NAMESPACE/label=value,...`."""
        cluster, namespace, rest = _parts(text, "--workload", "NAMESPACE/label=value")
        labels = labels_of(rest)
        found = [one for one in self.proxies if one.namespace == namespace and _has(one, labels)]
        if not found:
            have = ", ".join(one.key for one in self.proxies) or "none"
            raise TargetMissing(f"--workload: no gateway in namespace {namespace} has the labels {rest}; the gateways are {have}")
        return self._one(found, text, cluster)

    def client(self, text: str) -> Proxy:
        """The sidecar of the workload that was loaded as client."""
        cluster, namespace, name = _parts(text, "--from", "NAMESPACE/WORKLOAD")
        found = [one for one in self.configuration.topology.proxies if one.kind == "sidecar" and one.namespace == namespace]
        proxy = self._one(found, text, cluster)
        known = any(isinstance(one.get("Deployment", namespace, name), Deployment) for one in self.configuration.resources.values())
        if not known and "=" not in name:
            self.notes.append(f"there is no Deployment {namespace}/{name} in the files: a pod labelled app={name} is taken")
        return proxy

    def only(self) -> Proxy:
        """The only gateway there is."""
        if len(self.proxies) != 1:
            names = ", ".join(one.key for one in self.proxies) or "none"
            raise UsageError(f"say which gateway with --gateway, --workload or --from; the configuration has {names}")
        self.notes.append(f"{self.proxies[0].key} is the only gateway of the configuration")
        return self.proxies[0]

    def _one(self, found: list[Proxy], text: str, cluster: str | None) -> Proxy:
        unique = list({id(one): one for one in found if cluster in (None, one.cluster)}.values())
        if len(unique) == 1:
            return unique[0]
        names = ", ".join(f"{one.cluster}/{one.key}" if one.cluster else one.key for one in unique) or "none"
        raise UsageError(f"{text} means several gateways: {names}; choose one with --workload, or put the cluster's name first")


def labels_of(text: str) -> dict[str, str]:
    """`a=b,c=d` as labels. Raises UsageError."""
    labels: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise UsageError(f"{text!r} is not a list of labels; write label=value,label=value")
        labels[key.strip()] = value.strip()
    return labels


def _has(proxy: Proxy, labels: Mapping[str, str]) -> bool:
    return all(proxy.labels.get(key) == value for key, value in labels.items())


def _parts(text: str, option: str, form: str) -> tuple[str | None, str, str]:
    """`[cluster/]namespace/rest`; a label may have a slash of its own."""
    head, slash, rest = text.partition("/")
    if not slash or not head or not rest:
        raise UsageError(f"{option} {text!r} cannot be read; write {form}")
    second, slash, third = rest.partition("/")
    if slash and "=" not in second and "." not in second and third:
        return head, second, third
    return None, head, rest


def ports_of(proxy: Proxy, port: int, notes: list[str]) -> tuple[Ports, Listener | None]:
    """Where a port dialled at the Service leads; one that no Service has is taken as the pods' own."""
    for service in proxy.services:
        for one in service.ports:
            if one.port == port and one.protocol == "TCP":
                listener = proxy.listener(one.target_port)
                declared = listener.declared_ports if listener is not None else ()
                return Ports(dialled=port, listening=one.target_port, service=service, declared=declared), listener
    listener = proxy.listener(port)
    if proxy.services and listener is not None:
        names = ", ".join(f"{one.namespace}/{one.name}" for one in proxy.services)
        notes.append(f"Service {names} has no port {port}: the pods are dialled directly")
    return Ports(dialled=port, listening=port, declared=listener.declared_ports if listener else ()), listener


def ask(
    configuration: Configuration, proxy: Proxy, port: int, request: Request, notes: Sequence[str] = (), *, backend_delay_s: float = 0.0
) -> Answer:
    """What becomes of the request at a gateway."""
    told = list(notes)
    ports = Ports(dialled=port, listening=port)
    if proxy.kind != "sidecar":
        ports, _ = ports_of(proxy, port, told)
    decision = choose(proxy, ports.listening, request, explain=True)
    if backend_delay_s:
        decision = in_time(decision, backend_delay_s)
    if decision.outcome is Outcome.NO_LISTENER:
        have = ", ".join(str(one.port) for one in proxy.listeners) or "nothing"
        told.append(f"{proxy.key} listens on {have}")
    if decision.outcome is Outcome.NOT_FOUND and not decision.virtual_host:
        told.append(f"hosts here: {_domains(proxy, decision.route_config)}")
    return Answer(
        request=request,
        proxy=proxy,
        ports=ports,
        decision=decision,
        actual=actual_of(decision, request, proxy),
        notes=tuple(told),
        istio_version=configuration.topology.istio_version,
    )


def _domains(proxy: Proxy, name: str, most: int = 8) -> str:
    """The domains of a route configuration, in a few words."""
    found: dict[str, None] = {}
    for listener in proxy.listeners:
        for chain in listener.filter_chains:
            if isinstance(chain.filter, HttpConnectionManager) and chain.filter.route_config.name == name:
                found |= {domain: None for host in chain.filter.route_config.virtual_hosts if host.routes for domain in host.domains}
    names = list(found)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "none"
