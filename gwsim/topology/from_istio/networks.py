"""Endpoints as a proxy of one network sees them: those of other networks stand behind their network's gateways.

Source: istio/istio pilot/pkg/xds/endpoints/ep_filters.go `EndpointsByNetworkFilter`,
pilot/pkg/model/network.go (gateways of networks), pilot/pkg/serviceregistry/kube/controller/network.go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gwsim.resources.models import Service
from gwsim.topology.from_istio.auto_passthrough import east_west
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.endpoints import NETWORK_LABEL
from gwsim.topology.from_istio.fleet import Workload
from gwsim.topology.from_istio.hosts import service_host
from gwsim.topology.from_istio.registry import contains
from gwsim.topology.from_istio.servers import bound_servers
from gwsim.topology.upstream import Endpoint, Locality

GATEWAY_PORT_LABEL = "networking.istio.io/gatewayPort"
DEFAULT_PORT = 15443


@dataclass(frozen=True, slots=True)
class NetworkGateway:
    """An address that leads into a network; `via` is the proxy there (`cluster/namespace/name`), if it is known."""

    network: str
    cluster: str
    address: str
    port: int
    via: str = ""


@dataclass(frozen=True, slots=True)
class Networks:
    """All gateways of all networks."""

    gateways: tuple[NetworkGateway, ...] = ()

    @property
    def scale(self) -> int:
        """By how much weights grow, so that a remote endpoint's can be split over its gateways without a rest."""
        counts = [len(self._of(one.network, "")) for one in self.gateways]
        counts += [len(self._of(one.network, one.cluster)) for one in self.gateways]
        return math.lcm(*counts) if counts else 1

    def _of(self, network: str, cluster: str) -> list[NetworkGateway]:
        return [one for one in self.gateways if one.network == network and cluster in ("", one.cluster)]

    def towards(self, network: str, cluster: str) -> list[NetworkGateway]:
        """The gateways of a network, those of the endpoint's own cluster where it has any."""
        return (self._of(network, cluster) if cluster else []) or self._of(network, "")

    def view(self, endpoints: tuple[Endpoint, ...], network: str) -> tuple[Endpoint, ...]:
        """The endpoints from a network; only mutual TLS can pass a gateway, so others behind one are dropped."""
        if not self.gateways or not endpoints:
            return endpoints
        scale = self.scale
        direct: list[Endpoint] = []
        split: dict[tuple[Locality, NetworkGateway], list[tuple[Endpoint, int]]] = {}
        for one in endpoints:
            gateways = self._between(network, one)
            if not gateways:
                direct.append(replace(one, weight=one.weight * scale))
            elif one.mtls or not one.mtls_known:
                for gateway in gateways:
                    split.setdefault((one.locality, gateway), []).append((one, one.weight * scale // len(gateways)))
        return (*direct, *(_standing_for(gateway, found) for (_, gateway), found in split.items()))

    def _between(self, network: str, endpoint: Endpoint) -> list[NetworkGateway]:
        """The gateways to take; none for an endpoint that is dialled directly."""
        if endpoint.network in ("", network):
            return []
        return self.towards(endpoint.network, endpoint.cluster)


def _standing_for(gateway: NetworkGateway, found: list[tuple[Endpoint, int]]) -> Endpoint:
    """One entry for all endpoints of a locality behind a gateway, with their weights together."""
    first = found[0][0]
    return Endpoint(
        address=gateway.address,
        port=gateway.port,
        weight=sum(weight for _, weight in found),
        locality=first.locality,
        workload=first.workload,
        pod=gateway.address,
        network=gateway.network,
        cluster=first.cluster,
        mtls=True,
        via=gateway.via,
    )


def network_of(ctx: Context, given: str) -> str:
    """The network of a cluster: as given, as its root namespace is labelled, or as meshNetworks say."""
    namespace = ctx.registry.namespaces.get(ctx.root_namespace)
    labelled = namespace.meta.labels.get(NETWORK_LABEL, "") if namespace is not None else ""
    registered = (
        name
        for name, network in ctx.networks.networks.items()
        if any(one.from_registry and one.from_registry == ctx.cluster for one in network.endpoints)
    )
    return given or labelled or next(registered, "")


def networks_of(clusters: Iterable[tuple[Context, list[Workload]]]) -> Networks:
    """The gateways between networks: labelled Services, AUTO_PASSTHROUGH gateways without a Service, meshNetworks."""
    clusters = list(clusters)
    found: dict[NetworkGateway, None] = {}
    for ctx, workloads in clusters:
        found |= dict.fromkeys(_labelled(ctx, workloads))
        found |= dict.fromkeys(_unlabelled(ctx, workloads))
    for ctx, _ in clusters:
        found |= dict.fromkeys(_declared(ctx, clusters))
    return Networks(tuple(found))


def _labelled(ctx: Context, workloads: list[Workload]) -> Iterable[NetworkGateway]:
    for service in ctx.registry.services:
        network = service.meta.labels.get(NETWORK_LABEL)
        if network:
            port = service.meta.labels.get(GATEWAY_PORT_LABEL, "")
            yield _gateway(ctx, service, network, int(port) if port.isdigit() else DEFAULT_PORT, workloads)


def _unlabelled(ctx: Context, workloads: list[Workload]) -> Iterable[NetworkGateway]:
    """Gateways whose Service is not in the files: their labels, or the network of their cluster, say where they lead."""
    for workload in workloads:
        network = workload.labels.get(NETWORK_LABEL) or ctx.network
        servers = bound_servers(ctx.quiet(), workload)
        if workload.services_known or not network or not east_west(servers):
            continue
        port = next(one.declared_port for one in servers if east_west([one]))
        address = f"{workload.name}.{workload.namespace}.{ctx.cluster}".rstrip(".")
        yield NetworkGateway(network, ctx.cluster, address, port, f"{ctx.cluster}/{workload.namespace}/{workload.name}")


def _gateway(ctx: Context, service: Service, network: str, port: int, workloads: list[Workload]) -> NetworkGateway:
    behind = (
        one
        for one in workloads
        if one.namespace == service.namespace and service.selector and contains(one.labels, service.selector)
    )
    workload = next(behind, None)
    via = f"{ctx.cluster}/{workload.namespace}/{workload.name}" if workload is not None else ""
    address = f"{service.name}.{service.namespace}.{ctx.cluster}".rstrip(".")
    return NetworkGateway(network, ctx.cluster, address, port, via)


def _declared(ctx: Context, clusters: list[tuple[Context, list[Workload]]]) -> Iterable[NetworkGateway]:
    """Gateways that meshNetworks name, by address or by a Service of a cluster of the network."""
    for name, network in ctx.networks.networks.items():
        registries = {one.from_registry for one in network.endpoints if one.from_registry}
        for gateway in network.gateways:
            if gateway.address:
                yield NetworkGateway(name, "", gateway.address, gateway.port)
            for other, workloads in clusters if gateway.registry_service_name else ():
                if other.cluster not in registries:
                    continue
                for service in other.registry.services:
                    if service_host(service.name, service.namespace) == gateway.registry_service_name:
                        yield _gateway(other, service, name, gateway.port, workloads)
