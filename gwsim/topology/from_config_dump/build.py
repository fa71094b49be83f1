"""From the files of a dump to the topology of its one proxy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from gwsim.diagnostics import Collector, Span, code
from gwsim.topology.from_config_dump.clusters import cluster, locality
from gwsim.topology.from_config_dump.files import load, parse
from gwsim.topology.from_config_dump.listeners import ListenerReader
from gwsim.topology.from_config_dump.nodes import Node, Source
from gwsim.topology.from_config_dump.parts import Parts
from gwsim.topology.model import KnownService, Proxy, ProxyPod, ServicePort, Topology
from gwsim.topology.upstream import Cluster, Locality

DEFAULT_VERSION = "1.30"
_KINDS = {"router": "gateway", "sidecar": "sidecar", "waypoint": "waypoint"}
_INDEX = re.compile(r"\[(?:\d+|'[^']*')\]")


def from_config_dump(
    paths: Iterable[str | Path], *, collector: Collector | None = None, istio_version: str | None = None
) -> Topology:
    """The topology of one proxy from its `config_dump`, in one file or several (as istioctl prints them by kind).

    What the model does not represent goes to `collector` as findings NOT_MODELLED with the JSON path. Raises InputError
    with file and line for what is not JSON, or no dump.
    """
    found = Collector() if collector is None else collector
    return _build([(str(path), load(path, found)) for path in paths], found, istio_version)


def from_config_dump_text(
    text: str, *, name: str = "config_dump.json", collector: Collector | None = None, istio_version: str | None = None
) -> Topology:
    """The same from a text."""
    found = Collector() if collector is None else collector
    return _build([(name, parse(text, name, found))], found, istio_version)


def _build(files: list[tuple[str, Any]], collector: Collector, istio_version: str | None) -> Topology:
    local = Collector()
    sources, parts = [], Parts()
    for name, value in files:
        source = Source(name, local)
        parts.take(value, source)
        sources.append(source)
    who = _Who.of(parts.node)
    reader = ListenerReader(parts.routes, parts.secrets)
    listeners = [made for one in parts.listeners if (made := reader.listener(one)) is not None]
    if not parts.listeners and parts.routes:
        listeners = reader.without_listeners()
        parts.notes.append("the dump has routes and no listeners: each route configuration is put behind one of its own")
    reader.close()
    clusters = _clusters(parts, who.locality)
    for source in sources:
        _list_unread(source)
    collector.extend(local.findings)
    local.raise_if_errors()
    proxy = Proxy(
        name=who.name,
        namespace=who.namespace,
        cluster=who.cluster,
        kind=cast(Any, who.kind),
        labels=who.labels,
        workers=who.workers,
        network=who.network,
        identity=who.identity,
        pods=(ProxyPod(name=who.pod, locality=who.locality),) if who.pod else (),
        listeners=tuple(sorted(listeners, key=lambda one: (one.port, one.bind))),
        clusters=clusters,
        assumed=tuple(parts.notes),
        origin=Span(files[0][0]) if files else None,
    )
    return Topology(
        istio_version=istio_version or who.istio_version or DEFAULT_VERSION,
        proxies=(proxy,),
        services=_services(clusters.values()),
        assumptions=tuple(parts.notes),
    )


def _clusters(parts: Parts, where: Locality) -> dict[str, Cluster]:
    clusters: dict[str, Cluster] = {}
    for name, node in parts.clusters.items():
        load = parts.assignments.get(name)
        clusters[name] = cluster(node, load if load is not None else parts.statuses.get(name), where)
    return clusters


def _services(clusters: Iterable[Cluster]) -> tuple[KnownService, ...]:
    """The services that the clusters lead to."""
    ports: dict[str, dict[int, ServicePort]] = {}
    external: dict[str, bool] = {}
    for one in clusters:
        if one.port and one.name.startswith("outbound|"):
            ports.setdefault(one.host, {}).setdefault(one.port, ServicePort(number=one.port, protocol=one.protocol))
            external[one.host] = external.get(one.host, False) or one.external
    return tuple(_service(host, numbers, external[host]) for host, numbers in ports.items())


def _service(host: str, ports: Mapping[int, ServicePort], external: bool) -> KnownService:
    name, _, rest = host.partition(".")
    inside = rest.partition(".")[2].startswith("svc.")
    return KnownService(
        host=host,
        name=name if inside else host,
        namespace=rest.partition(".")[0] if inside else "",
        ports=tuple(ports[number] for number in sorted(ports)),
        external=external,
    )


@dataclass(slots=True)
class _Who:
    """The proxy as its node message tells it."""

    name: str = "proxy"
    pod: str = ""
    namespace: str = "default"
    cluster: str = ""
    kind: str = "gateway"
    labels: dict[str, str] = field(default_factory=dict)
    workers: int = 2
    network: str = ""
    identity: str = ""
    istio_version: str = ""
    locality: Locality = field(default_factory=Locality)

    @classmethod
    def of(cls, node: Node | None) -> _Who:
        self = cls()
        if node is None:
            return self
        self._identify(node.text("id"), node.text("cluster"))
        self.locality = locality(node.node("locality"))
        told = node.raw("metadata")
        if isinstance(told, dict):
            self._describe(told)
        node.ignore_all()
        return self

    def _identify(self, id_: str, cluster: str) -> None:
        parts = id_.split("~")
        if len(parts) == 4:
            self.kind = _KINDS.get(parts[0], "gateway")
            self.pod, _, self.namespace = parts[2].rpartition(".")
            self.name = re.sub(r"-[a-z0-9]{6,10}-[a-z0-9]{5}$", "", self.pod) or self.pod
        if cluster and "." in cluster:
            self.name = cluster.rpartition(".")[0]

    def _describe(self, told: Mapping[str, Any]) -> None:
        self.name = str(told.get("WORKLOAD_NAME") or self.name)
        self.namespace = str(told.get("NAMESPACE") or self.namespace)
        self.cluster = str(told.get("CLUSTER_ID") or "")
        self.network = str(told.get("NETWORK") or "")
        account, trust = told.get("SERVICE_ACCOUNT"), told.get("TRUST_DOMAIN") or "cluster.local"
        self.identity = f"{trust}/ns/{self.namespace}/sa/{account}" if account else ""
        labels = told.get("LABELS")
        if isinstance(labels, dict):
            self.labels = {str(key): str(value) for key, value in labels.items()}
        version = re.match(r"\d+\.\d+", str(told.get("ISTIO_VERSION", "")))
        self.istio_version = version[0] if version else ""
        config = told.get("PROXY_CONFIG")
        concurrency = config.get("concurrency") if isinstance(config, dict) else None
        if isinstance(concurrency, (int, float)) and 1 <= concurrency <= 4096:
            self.workers = int(concurrency)


def _list_unread(source: Source) -> None:
    """Fields that nobody asked for, by the shape of their path: the first place, and how often."""
    places: dict[str, list[str]] = {}
    for node in source.nodes:
        for name in node.unread():
            path = node.path_of(name)
            places.setdefault(_INDEX.sub("[*]", path), []).append(path)
    for paths in places.values():
        more = f" (and {len(paths) - 1} more like it)" if len(paths) > 1 else ""
        name = paths[0].rpartition(".")[2]
        source.collector.add(code("NOT_MODELLED"), f"{paths[0]}: {name} is not modelled{more}", Span(source.name))


__all__ = ["from_config_dump", "from_config_dump_text"]
