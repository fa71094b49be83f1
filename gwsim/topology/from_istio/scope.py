"""What a sidecar sees: the Sidecar in force, and the services and VirtualServices of each of its egress listeners.

Source: istio/istio pilot/pkg/model/sidecar.go (`ConvertToSidecarScope`, `convertIstioListenerToWrapper`,
`selectServices`, `selectVirtualServices`, `computeWildcardHostVirtualServiceIndex`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gwsim.resources.models import EgressListener, Resource, Sidecar
from gwsim.topology.from_istio import protocols
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.hosts import DOMAIN, fqdn, subset_of
from gwsim.topology.from_istio.registry import Host, contains
from gwsim.topology.from_istio.virtual_services import MESH, Bound, VirtualServiceIndex

EVERYTHING = EgressListener(hosts=("*/*",))
"""The egress listener of workloads that no Sidecar concerns."""


@dataclass(frozen=True, slots=True, eq=False)
class Egress:
    """An egress listener with what it imports, in istiod's order."""

    listener: EgressListener
    services: tuple[Host, ...]
    virtual_services: tuple[Bound, ...]
    exact: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Positions of the VirtualServices that have a host, for hosts without a wildcard."""
    wildcards: tuple[tuple[str, int], ...] = ()
    """Hosts with a wildcard and the positions of their VirtualServices."""

    @classmethod
    def of(cls, listener: EgressListener, services: Iterable[Host], virtual_services: Iterable[Bound]) -> Egress:
        """The listener with its tables."""
        bound = tuple(virtual_services)
        exact: dict[str, tuple[int, ...]] = {}
        wildcards: list[tuple[str, int]] = []
        for position, one in enumerate(bound):
            for name in dict.fromkeys(one.hosts):
                if name.startswith("*"):
                    wildcards.append((name, position))
                else:
                    exact[name] = (*exact.get(name, ()), position)
        return cls(listener, tuple(services), bound, exact, tuple(wildcards))

    @property
    def port(self) -> int | None:
        """The port it is for; None: all that no other egress listener has."""
        return self.listener.port.number if self.listener.port is not None else None

    @property
    def http_proxy(self) -> bool:
        """Whether it is an HTTP proxy for requests to any port."""
        port = self.listener.port
        return port is not None and protocols.parse(port.protocol) == "HTTP_PROXY"

    def concerning(self, host: str) -> list[Bound]:
        """The VirtualServices with a host that overlaps a service's, in order."""
        if host.startswith("*"):
            found = {position for name, positions in self.exact.items() if subset_of(name, host) for position in positions}
        else:
            found = set(self.exact.get(host, ()))
        found |= {at for name, at in self.wildcards if subset_of(host, name) or subset_of(name, host)}
        return [self.virtual_services[position] for position in sorted(found)]

    def wildcard_owner(self, host: str) -> Bound | None:
        """The VirtualService that a service gets when only wildcards may match: of the most specific host."""
        if host in self.exact:
            return self.virtual_services[self.exact[host][0]]
        covering = [(-len(name), position) for name, position in self.wildcards if subset_of(host, name)]
        return self.virtual_services[min(covering)[1]] if covering else None


@dataclass(frozen=True, slots=True)
class Scope:
    """The view of one sidecar."""

    namespace: str
    labels: Mapping[str, str]
    sidecar: Sidecar | None
    egress: tuple[Egress, ...]
    services: tuple[Host, ...]
    """All that it has clusters for: imported, or destinations of imported VirtualServices."""
    registry_only: bool = False
    egress_proxy: str = ""
    """Name of the cluster for unknown destinations, where the Sidecar names one."""
    aliases: tuple[Host, ...] = ()
    """Those of the services that stand for others (ExternalName)."""

    def egress_for(self, port: int) -> Egress | None:
        """The egress listener whose services and VirtualServices count on a port."""
        return next((one for one in self.egress if one.port is None or one.port == port), None)


@dataclass(slots=True)
class Scopes:
    """Makes scopes; one for all sidecars of a build."""

    ctx: Context
    index: VirtualServiceIndex
    registry_only: bool = False
    """The mesh's outbound traffic policy is REGISTRY_ONLY."""
    _visible: dict[str, list[Host]] = field(default_factory=dict)

    def of(self, namespace: str, labels: Mapping[str, str]) -> Scope:
        """The scope of a workload."""
        sidecar = sidecar_for(self.ctx, namespace, labels)
        listeners = sidecar.egress if sidecar is not None and sidecar.egress else (EVERYTHING,)
        egress = tuple(self._egress(one, namespace) for one in listeners)
        policy = sidecar.outbound_traffic_policy if sidecar is not None else None
        proxy = policy.egress_proxy if policy is not None else None
        services = self._all_services(egress, namespace)
        return Scope(
            namespace=namespace,
            labels=labels,
            sidecar=sidecar,
            egress=egress,
            services=services,
            aliases=tuple(one for one in services if one.known.alias_of),
            registry_only=self.registry_only if policy is None else policy.mode == "REGISTRY_ONLY",
            egress_proxy=""
            if proxy is None
            else f"outbound|{proxy.port.number if proxy.port else 0}|{proxy.subset or ''}|{fqdn(proxy.host, namespace)}",
        )

    def visible_from(self, namespace: str) -> list[Host]:
        """Services that a namespace sees, oldest first."""
        if namespace not in self._visible:
            self._visible[namespace] = sorted(self.ctx.registry.hosts_visible_from(namespace), key=_age)
        return self._visible[namespace]

    def _egress(self, listener: EgressListener, namespace: str) -> Egress:
        imported = _imports(listener.hosts, namespace)
        bound = self.index.bound_to(MESH, namespace)
        empty = Egress(listener, (), ())
        needs_port = bool(empty.port) and not empty.http_proxy
        services = [one for one in self.visible_from(namespace) if _covers(imported, one.known.namespace, one.known.host)]
        if needs_port:
            services = [_trimmed(one, empty.port or 0) for one in services if one.port(empty.port or 0) is not None]
        if listener is not EVERYTHING:
            services = _one_definition(services, namespace)
        return Egress.of(
            listener,
            services,
            (one for one in bound if any(_touches(imported, one.source.namespace, host) for host in one.hosts)),
        )

    def _all_services(self, egress: Sequence[Egress], namespace: str) -> tuple[Host, ...]:
        found: dict[tuple[str, str, tuple[int, ...]], Host] = {}
        names: set[str] = set()
        for one in egress:
            for host in one.services:
                names.add(host.known.host)
                found[_identity(host)] = host
        wanted = {name for one in egress for bound in one.virtual_services for name in _destinations(bound)} - names
        for host in self.visible_from(namespace) if wanted else ():
            if host.known.host in wanted:
                found.setdefault(_identity(host), host)
        return tuple(found.values())


def sidecar_for(ctx: Context, namespace: str, labels: Mapping[str, str]) -> Sidecar | None:
    """The Sidecar in force: one that selects the workload, else the namespace's, else that of the root namespace."""
    own = [one for one in ctx.registry.sidecars if one.namespace == namespace]
    for one in own:
        if one.workload_selector is not None and one.workload_selector.labels and contains(labels, one.workload_selector.labels):
            return one
    root = [one for one in ctx.registry.sidecars if one.namespace == ctx.root_namespace]
    return next((one for one in own + root if one.workload_selector is None or not one.workload_selector.labels), None)


def _age(host: Host) -> tuple[str, str]:
    source = host.source
    created = source.meta.creation_timestamp if isinstance(source, Resource) else None
    return (created or "", f"{host.known.name}.{host.known.namespace}")


def _identity(host: Host) -> tuple[str, str, tuple[int, ...]]:
    return (host.known.host, host.known.namespace, tuple(port.number for port in host.known.ports))


def _trimmed(host: Host, port: int) -> Host:
    ports = tuple(one for one in host.known.ports if one.number == port)
    return Host(replace(host.known, ports=ports), host.source)


def _imports(hosts: Iterable[str], namespace: str) -> dict[str, list[str]]:
    """Imported hosts by namespace."""
    found: dict[str, list[str]] = {}
    for text in hosts:
        owner, _, name = text.partition("/")
        found.setdefault(namespace if owner == "." else owner, []).append(name.lower())
    return found


def _covers(imported: Mapping[str, list[str]], owner: str, host: str) -> bool:
    return any(subset_of(host, name) for name in [*imported.get(owner, ()), *imported.get("*", ())])


def _touches(imported: Mapping[str, list[str]], owner: str, host: str) -> bool:
    """Whether a VirtualService's host and an imported one have names in common."""
    names = [*imported.get(owner, ()), *imported.get("*", ())]
    return any(subset_of(host, name) or subset_of(name, host) for name in names)


def _one_definition(services: Iterable[Host], namespace: str) -> list[Host]:
    """Of a host that several namespaces define, the definitions of its own namespace, else of the first."""
    services = list(services)
    owner: dict[str, str] = {}
    for one in services:
        if one.known.host not in owner or one.known.namespace == namespace:
            owner[one.known.host] = one.known.namespace
    return [one for one in services if owner[one.known.host] == one.known.namespace]


def _destinations(bound: Bound) -> Iterable[str]:
    """Full names of all destinations of a VirtualService and its delegates."""
    for rule in bound.http:
        for route in rule.rule.route:
            yield fqdn(route.destination.host, rule.source.namespace)
        if rule.rule.mirror is not None:
            yield fqdn(rule.rule.mirror.host, rule.source.namespace)
        for mirror in rule.rule.mirrors:
            yield fqdn(mirror.destination.host, rule.source.namespace)
    targets = [one for rule in bound.source.tcp for one in rule.route] + [one for rule in bound.source.tls for one in rule.route]
    for target in targets:
        yield fqdn(target.destination.host, bound.source.namespace)


def alternative_names(host: str, namespace: str) -> tuple[str, ...]:
    """Shorter names of a Kubernetes service as clients of `namespace` may write them.

    Source: istio/istio pilot/pkg/networking/core/httproute.go `generateAltVirtualHostsForKubernetesService`.
    """
    name, dot, rest = host.partition(".")
    owner, svc, _ = rest.partition(".svc.")
    if not dot or not svc or not host.endswith(f".svc.{DOMAIN}") or "." in owner:
        return ()
    if owner == namespace:
        return (name, f"{name}.{owner}.svc", f"{name}.{owner}")
    return (f"{name}.{owner}", f"{name}.{owner}.svc")
