"""The objects in the order Istio takes them, and the services that routes can name.

Source of the order: istio/istio pilot/pkg/model/config.go `sortConfigByCreationTime`.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gwsim.resources import ResourceSet
from gwsim.resources.models import (
    DestinationRule,
    Endpoints,
    EndpointSlice,
    Gateway,
    HorizontalPodAutoscaler,
    Namespace,
    Node,
    PeerAuthentication,
    PodOwner,
    RegisteredWorkload,
    Resource,
    Secret,
    Service,
    ServiceEntry,
    Sidecar,
    VirtualService,
)
from gwsim.topology.from_istio import protocols
from gwsim.topology.from_istio.hosts import fqdn, service_host, visible
from gwsim.topology.model import KnownService, ProxyService, ServicePort

EXPORT_ANNOTATION = "networking.istio.io/exportTo"
NAME_LABEL = "kubernetes.io/metadata.name"
"""A namespace's name as a label of its own, which the API server sets."""


@dataclass(frozen=True, slots=True, eq=False)
class Host:
    """A known host and the object that defines it (None: declared with assume_exists)."""

    known: KnownService
    source: Service | ServiceEntry | None
    remote: bool = False
    """It is there because another cluster of the mesh has it."""

    @property
    def by_workload(self) -> bool:
        """Whether sidecars have a listener for each workload, if not HTTP: headless, or picked with resolution NONE."""
        if self.known.headless:
            return True
        picked = isinstance(self.source, ServiceEntry) and self.source.workload_selector is not None
        return picked and self.known.resolution == "NONE" and not self.known.addresses

    def port(self, number: int) -> ServicePort | None:
        """The port of that number; where TCP and UDP share it, TCP's."""
        found = [one for one in self.known.ports if one.number == number]
        return next((one for one in found if one.protocol != "UDP"), next(iter(found), None))


@dataclass(frozen=True, slots=True)
class Assumed:
    """Objects kept elsewhere: `Kind/namespace/name` entries of assume_exists."""

    refs: frozenset[tuple[str, str, str]] = frozenset()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Assumed:
        """Entries as written; one that has not three parts is left out (the scenario reader reports it)."""
        parts = [tuple(entry.split("/")) for entry in entries]
        return cls(frozenset((p[0], p[1], p[2]) for p in parts if len(p) == 3))

    def has(self, kind: str, namespace: str, name: str) -> bool:
        """Whether the object was declared to exist."""
        return (kind, namespace, name) in self.refs

    def of(self, kind: str) -> list[tuple[str, str]]:
        """Namespace and name of all declared objects of a kind."""
        return sorted((namespace, name) for one, namespace, name in self.refs if one == kind)


def _age(resource: Resource) -> tuple[str, str, str]:
    return (resource.meta.creation_timestamp or "", resource.name, resource.namespace)


def contains(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether the selector is a subset of the labels."""
    return all(labels.get(key) == value for key, value in selector.items())


@dataclass(slots=True)
class Registry:
    """Objects by kind, oldest first, and hosts by name."""

    gateways: list[Gateway] = field(default_factory=list)
    virtual_services: list[VirtualService] = field(default_factory=list)
    destination_rules: list[DestinationRule] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    service_entries: list[ServiceEntry] = field(default_factory=list)
    deployments: list[PodOwner] = field(default_factory=list)
    """Deployments and the other owners of pods, without those that another of them keeps."""
    nodes: list[Node] = field(default_factory=list)
    endpoint_slices: list[EndpointSlice] = field(default_factory=list)
    endpoints: list[Endpoints] = field(default_factory=list)
    autoscalers: list[HorizontalPodAutoscaler] = field(default_factory=list)
    sidecars: list[Sidecar] = field(default_factory=list)
    workload_entries: list[RegisteredWorkload] = field(default_factory=list)
    peer_authentications: list[PeerAuthentication] = field(default_factory=list)
    secrets: dict[tuple[str, str], Secret] = field(default_factory=dict)
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    namespace_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    """Labels of every namespace that holds an object, whether or not the files hold the Namespace itself."""
    backends: list[tuple[str, int, str]] = field(default_factory=list)
    """Service host, port and protocol of every backend of a Gateway API route or Ingress."""
    hosts: dict[str, list[Host]] = field(default_factory=lambda: defaultdict(list))
    assumed: Assumed = field(default_factory=Assumed)
    free_addresses: Iterator[str] = field(default_factory=lambda: iter(()))
    _owners_by_label: dict[tuple[str, str, str], list[PodOwner]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, resources: ResourceSet, assumed: Assumed) -> Registry:
        """Sort the objects into the registry."""
        self = cls(
            gateways=sorted(resources.gateways, key=_age),
            virtual_services=sorted(resources.virtual_services, key=_age),
            destination_rules=sorted(resources.destination_rules, key=_age),
            services=sorted(resources.services, key=_age),
            service_entries=sorted(resources.service_entries, key=_age),
            deployments=sorted(owners(resources), key=_age),
            nodes=sorted(resources.of(Node), key=_age),
            endpoint_slices=sorted(resources.of(EndpointSlice), key=_age),
            endpoints=sorted(resources.of(Endpoints), key=_age),
            autoscalers=sorted(resources.autoscalers, key=_age),
            sidecars=sorted(resources.of(Sidecar), key=_age),
            workload_entries=sorted(resources.of(RegisteredWorkload), key=_age),
            peer_authentications=sorted(resources.of(PeerAuthentication), key=_age),
            secrets={(one.namespace, one.name): one for one in resources.secrets},
            namespaces={one.name: one for one in resources.namespaces},
            namespace_labels=_namespace_labels(resources),
            backends=list(_backends(resources)),
            assumed=assumed,
        )
        self._index_hosts()
        return self

    def add_gateways(self, gateways: Iterable[Gateway]) -> None:
        """Take in Gateways made from other objects."""
        self.gateways = sorted([*self.gateways, *gateways], key=_age)

    def _index_hosts(self) -> None:
        self.free_addresses = cluster_addresses(one.cluster_ip for one in self.services)
        for service in self.services:
            known = _known(service, self.free_addresses)
            self.hosts[known.host].append(Host(known, service))
        for entry in self.service_entries:
            for known in _known_of_entry(entry):
                self.hosts[known.host].append(Host(known, entry))
        for namespace, name in self.assumed.of("Service"):
            host = service_host(name, namespace)
            if not self.hosts.get(host):
                known = KnownService(host=host, name=name, namespace=namespace, ports=self._ports_used(host))
                self.hosts[host].append(Host(known, None))

    def _ports_used(self, host: str) -> tuple[ServicePort, ...]:
        """The ports that routes name for a Service kept elsewhere: all that the files tell about it."""
        used: dict[int, str] = {}
        for owner, port, protocol in self.backends:
            if owner == host:
                used.setdefault(port, protocol)
        for service in self.virtual_services:
            named = [(one.destination, "HTTP") for rule in service.http for one in rule.route]
            named += [(one.destination, "TCP") for rule in service.tcp for one in rule.route]
            named += [(one.destination, "TLS") for rule in service.tls for one in rule.route]
            for destination, protocol in named:
                if destination.port is not None and fqdn(destination.host, service.namespace) == host:
                    used.setdefault(destination.port.number, protocol)
        return tuple(ServicePort(number=number, protocol=protocol) for number, protocol in sorted(used.items()))

    def add_services(self, services: Iterable[ProxyService]) -> None:
        """Take up Services of gateways that are not in the files: those Istio or its chart makes."""
        for service in services:
            if service.origin is not None or self.hosts.get(service.fqdn):
                continue
            ports = tuple(
                ServicePort(
                    number=port.port,
                    name=port.name,
                    protocol=protocols.of_service_port(port.name, port.app_protocol, port.protocol),
                    target_port=port.target_port,
                )
                for port in service.ports
            )
            addresses = (next(self.free_addresses),)
            known = KnownService(
                host=service.fqdn, name=service.name, namespace=service.namespace, ports=ports, addresses=addresses
            )
            self.hosts[service.fqdn].append(Host(known, None))

    def learn(self, other: Registry) -> None:
        """Take up the Services that another cluster has and this one has not."""
        for name, found in other.hosts.items():
            here = any(isinstance(one.source, Service) for one in self.hosts.get(name, ()))
            if not here:
                services = (one for one in found if isinstance(one.source, Service) and not one.remote)
                self.hosts[name] += [replace(one, remote=True) for one in services][:1]
                if not self.hosts[name]:
                    del self.hosts[name]

    def _definitions(self, name: str, namespace: str) -> list[Host]:
        """Definitions of a host that `namespace` sees: Kubernetes' first, then its own, then by age."""
        found = [one for one in self.hosts.get(name, ()) if visible(one.known.exported_to, one.known.namespace, namespace)]
        if len(found) > 1:
            found.sort(key=lambda one: (isinstance(one.source, ServiceEntry), one.known.namespace != namespace))
        return found

    def host(self, name: str, namespace: str) -> Host | None:
        """The host of that name as `namespace` sees it, with the ports of all its definitions."""
        found = self._definitions(name, namespace)
        if len(found) < 2:
            return next(iter(found), None)
        ports = {port.number: port for one in reversed(found) for port in one.known.ports}
        merged = tuple(ports[number] for number in sorted(ports))
        return replace(found[0], known=replace(found[0].known, ports=merged))

    def hosts_visible_from(self, namespace: str) -> list[Host]:
        """The definitions of every host that `namespace` sees; of a port defined twice, the first counts."""
        result: list[Host] = []
        for name in list(self.hosts):
            taken: set[int] = set()
            for one in self._definitions(name, namespace):
                ports = one.known.ports
                if taken:
                    ports = tuple(port for port in ports if port.number not in taken)
                    if not ports:
                        continue
                    one = replace(one, known=replace(one.known, ports=ports))
                taken.update(port.number for port in ports)
                result.append(one)
        return result

    def workload_entries_behind(self, selector: Mapping[str, str], namespace: str) -> list[RegisteredWorkload]:
        """The WorkloadEntries that the selector of a Service or ServiceEntry of that namespace selects."""
        if not selector:
            return []
        return [
            one
            for one in self.workload_entries
            if one.namespace == namespace and contains(workload_labels(one), selector)
        ]

    def services_selecting(self, labels: Mapping[str, str], namespace: str) -> list[Service]:
        """The Services of the namespace that select pods with these labels."""
        return [
            one
            for one in self.services
            if one.namespace == namespace and one.selector and contains(labels, one.selector)
        ]

    def deployments_behind(self, selector: Mapping[str, str], namespace: str) -> list[PodOwner]:
        """The owners of pods that the selector of a Service of that namespace selects."""
        if not selector:
            return []
        if not self._owners_by_label:
            for one in self.deployments:
                for key, value in one.labels.items():
                    self._owners_by_label[one.namespace, key, value].append(one)
        lists = [self._owners_by_label.get((namespace, key, value), []) for key, value in selector.items()]
        return [one for one in min(lists, key=len) if contains(one.labels, selector)]


def workload_labels(workload: RegisteredWorkload) -> dict[str, str]:
    """Labels of a WorkloadEntry: those of its spec and, before them, of its metadata."""
    return {**workload.entry.labels, **workload.meta.labels}


def _backends(resources: ResourceSet) -> Iterator[tuple[str, int, str]]:
    """Services that routes of the Gateway API and Ingresses name by port."""
    kinds = (
        (resources.http_routes, "HTTP"), (resources.grpc_routes, "GRPC"), (resources.tls_routes, "TLS"), (resources.tcp_routes, "TCP"),
    )  # fmt: skip
    for routes, protocol in kinds:
        for route in routes:
            for ref in (one for rule in route.rules for one in rule.backend_refs):
                if ref.port is not None and ref.kind in (None, "Service"):
                    yield service_host(ref.name, ref.namespace or route.namespace), ref.port, protocol
    for ingress in resources.ingresses:
        for path in (one for rule in ingress.rules if rule.http is not None for one in rule.http.paths):
            service = path.backend.service
            if service is not None and service.port.number:
                yield service_host(service.name, ingress.namespace), service.port.number, "HTTP"


def cluster_addresses(taken: Iterable[str | None]) -> Iterator[str]:
    """Addresses for Services whose own the API server has not given yet, in the usual range of Services."""
    used = set(taken)
    network = ipaddress.ip_network("10.96.0.0/12")
    return (str(one) for one in network.hosts() if str(one) not in used)


def _namespace_labels(resources: ResourceSet) -> dict[str, dict[str, str]]:
    written = {one.name: one.meta.labels for one in resources.namespaces}
    names = {one.namespace for one in resources if one.namespace} | set(written)
    return {name: {**written.get(name, {}), NAME_LABEL: name} for name in sorted(names)}


def owners(resources: ResourceSet) -> list[PodOwner]:
    """Owners of pods; ReplicaSets and Pods of a dump that belong to another owner of it are that owner's."""
    found = resources.of(PodOwner)
    names = {(one.meta.kind, one.namespace, one.name) for one in found}

    def is_owned(one: PodOwner) -> bool:
        kind, _, name = one.meta.controller.partition("/")
        if (kind, one.namespace, name) in names:
            return True
        # A dump without ReplicaSets: their names are those of the Deployment and a hash.
        return kind == "ReplicaSet" and ("Deployment", one.namespace, name.rpartition("-")[0]) in names

    return [one for one in found if not is_owned(one)]


def _known(service: Service, free: Iterator[str]) -> KnownService:
    export = service.meta.annotations.get(EXPORT_ANNOTATION, "")
    ports = tuple(
        ServicePort(
            number=port.port,
            name=port.name or "",
            protocol=protocols.of_service_port(port.name, port.app_protocol, port.protocol),
            target_port=port.target_port if isinstance(port.target_port, int) else None,
        )
        for port in service.ports
    )
    return KnownService(
        host=service_host(service.name, service.namespace),
        name=service.name,
        namespace=service.namespace,
        ports=ports,
        exported_to=tuple(part.strip() for part in export.split(",") if part.strip()) or ("*",),
        external=service.type == "ExternalName",
        addresses=_addresses(service, free),
        headless=service.cluster_ip == "None",
        alias_of=(service.external_name or "").lower() if service.type == "ExternalName" else "",
        origin=service.span,
    )


def _addresses(service: Service, free: Iterator[str]) -> tuple[str, ...]:
    if service.type == "ExternalName" or service.cluster_ip == "None":
        return ()
    return (service.cluster_ip or next(free),)


def _known_of_entry(entry: ServiceEntry) -> list[KnownService]:
    ports = tuple(
        ServicePort(
            number=port.number,
            name=port.name,
            protocol=protocols.parse(port.protocol) if port.protocol else protocols.of_service_port(port.name, None),
            target_port=port.target_port,
        )
        for port in entry.ports
    )
    return [
        KnownService(
            host=host.lower(),
            name=entry.name,
            namespace=entry.namespace,
            ports=ports,
            external=entry.location == "MESH_EXTERNAL",
            resolution=entry.resolution,
            addresses=tuple(one.removesuffix("/128" if ":" in one else "/32") for one in entry.addresses),
            exported_to=entry.export_to or ("*",),
            origin=entry.span,
        )
        for host in entry.hosts
    ]
