"""The build from beginning to end; each step is a module of this package.

Order of istiod, istio/istio pilot/pkg/networking/core: select Gateways, merge servers by port, attach
VirtualServices, make clusters with the DestinationRule in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gwsim.diagnostics import Collector
from gwsim.resources import ResourceSet
from gwsim.resources.mesh import mesh_of
from gwsim.resources.models import KubernetesGateway, Resource
from gwsim.topology.from_istio.attachment import WAYPOINT_CLASS, Attached, PolicyIndex
from gwsim.topology.from_istio.auto_passthrough import east_west, passthrough_clusters
from gwsim.topology.from_istio.checks import check_destination_rules, check_duplicate_matches, check_hosts
from gwsim.topology.from_istio.clusters import ClusterBuilder
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.converted import GeneratedGateway, ListenerGateway
from gwsim.topology.from_istio.destination_rules import RuleIndex
from gwsim.topology.from_istio.destinations import Destinations
from gwsim.topology.from_istio.envoy_filters import Patcher
from gwsim.topology.from_istio.fleet import Workload, workloads
from gwsim.topology.from_istio.l4_routes import L4Configurator
from gwsim.topology.from_istio.listeners import ListenerBuilder
from gwsim.topology.from_istio.mesh_defaults import with_mesh_defaults
from gwsim.topology.from_istio.networks import Networks, network_of, networks_of
from gwsim.topology.from_istio.nodes import regions_by_zone, zones_in
from gwsim.topology.from_istio.registry import Assumed, Registry
from gwsim.topology.from_istio.rolling import rolling_workloads
from gwsim.topology.from_istio.servers import BoundServer, bound_servers, merge
from gwsim.topology.from_istio.sidecars import SidecarBuilder
from gwsim.topology.from_istio.versions import VersionRules, rules_for
from gwsim.topology.from_istio.virtual_hosts import HttpConfigurator
from gwsim.topology.from_istio.virtual_services import VirtualServiceIndex, check_gateways
from gwsim.topology.from_istio.workload_filters import WorkloadFilters, report_unused
from gwsim.topology.model import Proxy, ServedGateway, Topology

Names = Sequence[tuple[str, Mapping[str, str]]]
"""Workloads by (namespace, pod labels)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """The configuration of one Kubernetes cluster.

    `network` is the Istio network of its pods. `zones` are in placement order; `node_cpus` the cores of a node
    (0: not known); Nodes in the files say both where these do not. `gateways` declares gateway workloads that the files
    do not hold; `sidecars` asks for the proxies of client workloads: each becomes a proxy of kind `sidecar`, after the
    gateways. `mesh_config` are MeshConfig fields in their JSON form, which replace those of the files.
    """

    resources: ResourceSet
    name: str = ""
    network: str = ""
    zones: Sequence[str] = ()
    node_cpus: int = 0
    gateways: Names = ()
    sidecars: Names = ()
    mesh_config: Mapping[str, Any] | None = None


def from_istio(
    resources: ResourceSet,
    *,
    istio_version: str = "1.30",
    assume_exists: Iterable[str] = (),
    cluster: str = "",
    network: str = "",
    zones: Sequence[str] = (),
    node_cpus: int = 0,
    gateways: Names = (),
    sidecars: Names = (),
    mesh_config: Mapping[str, Any] | None = None,
    collector: Collector | None = None,
) -> Topology:
    """The gateways (and wanted sidecars) of one Kubernetes cluster as istiod would configure them.

    `assume_exists` names objects kept elsewhere as `Kind/namespace/name`; see `ClusterConfig` for the rest. What
    Istio accepts and what will not work goes to `collector`; nothing is raised for it. Raises InputError for an Istio
    version not known.
    """
    one = ClusterConfig(
        resources=resources,
        name=cluster,
        network=network,
        zones=zones,
        node_cpus=node_cpus,
        gateways=gateways,
        sidecars=sidecars,
        mesh_config=mesh_config,
    )
    return build_mesh([one], istio_version=istio_version, assume_exists=assume_exists, collector=collector)


def build_mesh(
    clusters: Sequence[ClusterConfig],
    *,
    istio_version: str = "1.30",
    assume_exists: Iterable[str] = (),
    collector: Collector | None = None,
) -> Topology:
    """The proxies of several clusters that are one mesh.

    Istio's objects count in the cluster that holds them. Services of the same name and namespace are one service with
    the pods of all clusters; those on another network are reached through its gateways.
    """
    rules = rules_for(istio_version)
    collector = Collector() if collector is None else collector
    assumed = Assumed.parse(assume_exists)
    contexts = [_context(one, rules, assumed, collector) for one in clusters]
    for ctx in contexts:
        for other in contexts:
            if other is not ctx:
                ctx.registry.learn(other.registry)
    for ctx, one in zip(contexts, clusters, strict=True):
        _convert(ctx, one.resources)
    found = [workloads(ctx, one.gateways) for ctx, one in zip(contexts, clusters, strict=True)]
    for ctx, gateways in zip(contexts, found, strict=True):
        ctx.registry.add_services(service for one in gateways for service in one.services)
    networks = networks_of(zip(contexts, found, strict=True)) if any(ctx.network for ctx in contexts) else Networks()
    proxies: list[Proxy] = []
    for ctx, one, gateways in zip(contexts, clusters, found, strict=True):
        peers = tuple(other for other in contexts if other is not ctx)
        proxies += _proxies(ctx, gateways, one.sidecars, peers, networks)
    told = dict.fromkeys(text for proxy in proxies for text in proxy.assumed)
    for ctx in contexts:
        told |= ctx.assumptions
    return Topology(
        istio_version=rules.version,
        proxies=tuple(proxies),
        services=tuple(
            host.known for ctx in contexts for hosts in ctx.registry.hosts.values() for host in hosts if not host.remote
        ),
        workloads=tuple(one for ctx in contexts for one in rolling_workloads(ctx)),
        assumptions=tuple(told),
    )


def _context(one: ClusterConfig, rules: VersionRules, assumed: Assumed, collector: Collector) -> Context:
    mesh = mesh_of(one.resources, one.mesh_config, collector=collector)
    seen = with_mesh_defaults(one.resources, mesh.config)
    registry = Registry.of(seen, assumed)
    ctx = Context(
        registry=registry,
        rules=rules,
        collector=collector,
        cluster=one.name,
        zones=tuple(one.zones) or zones_in(registry.nodes),
        node_cpus=one.node_cpus,
        regions=regions_by_zone(registry),
        in_force=mesh,
        policies=PolicyIndex.of(seen),
    )
    ctx.network = network_of(ctx, one.network)
    return ctx


def _convert(ctx: Context, resources: ResourceSet) -> None:
    """The Gateway API and Ingresses in Istio's own terms, from here on like what is written in them."""
    # Imported here, because that package builds on this one.
    from gwsim.topology.from_gateway_api.conversion import convert

    ctx.converted = convert(ctx, resources)
    ctx.registry.add_gateways((*ctx.converted.listeners, *ctx.converted.ingresses))


def _proxies(
    ctx: Context, found: list[Workload], sidecars: Names, peers: tuple[Context, ...], networks: Networks
) -> list[Proxy]:
    """The proxies of one cluster, gateways first."""
    index = VirtualServiceIndex(ctx)
    rule_index = RuleIndex(
        ctx.registry, ctx.root_namespace, ctx.converted.policies, rules_first=ctx.rules.rules_beat_backend_policies
    )
    check_gateways(ctx, index)
    check_hosts(ctx, index)
    check_destination_rules(ctx)
    check_duplicate_matches(ctx)
    builder = ClusterBuilder(ctx, rule_index, peers, networks)
    proxies = [_proxy(ctx, one, index, builder) for one in found]
    if sidecars:
        registry_only = ctx.mesh.outbound_traffic_policy.mode == "REGISTRY_ONLY"
        clients = SidecarBuilder.of(ctx, builder, registry_only=registry_only)
        proxies += [clients.proxy(namespace, labels) for namespace, labels in sidecars]
    report_unused(ctx)
    return proxies


def _proxy(ctx: Context, workload: Workload, index: VirtualServiceIndex, builder: ClusterBuilder) -> Proxy:
    clusters = builder.clusters_for(workload.namespace, workload.labels)
    servers = bound_servers(ctx, workload)
    if east_west(servers):
        clusters |= passthrough_clusters(clusters, builder.network_of(workload.labels))
    destinations = Destinations(ctx, workload, builder.rules, clusters)
    waypoint = workload.gateway is not None and workload.gateway.gateway_class_name == WAYPOINT_CLASS
    seen = Attached(
        namespace=workload.namespace, labels=workload.labels, root_namespace=ctx.root_namespace, waypoint=waypoint
    )
    filters = WorkloadFilters(ctx, ctx.policies, seen)
    listeners = ListenerBuilder(
        ctx, workload, HttpConfigurator(ctx, index, destinations), L4Configurator(ctx, index, destinations), filters
    )
    groups = merge(ctx, servers)
    built = [made for group in groups if (made := listeners.listener(group)) is not None]
    patches = Patcher(ctx, seen)
    return Proxy(
        name=workload.name,
        namespace=workload.namespace,
        cluster=ctx.cluster,
        labels=dict(workload.labels),
        gateways=_served(workload, servers),
        services=workload.services,
        clusters=patches.clusters(clusters),
        listeners=patches.listeners(tuple(sorted(built, key=lambda one: (one.port, one.bind)))),
        assumed=tuple(workload.assumed),
        **workload.fields
        | filters.telemetry.fields(workload.fields)
        | {"network": builder.network_of(workload.labels)},
    )


def _served(workload: Workload, servers: list[BoundServer]) -> tuple[ServedGateway, ...]:
    """The Gateways whose servers are on the workload, and the one it was made for."""
    found: dict[ServedGateway, None] = {}
    written: list[Resource] = [workload.gateway] if workload.gateway is not None else []
    written += [one.gateway.gateway if isinstance(one.gateway, ListenerGateway) else one.gateway for one in servers]
    for one in written:
        if isinstance(one, GeneratedGateway):
            continue  # An Ingress's.
        api: Literal["istio", "gateway-api"] = "gateway-api" if isinstance(one, KubernetesGateway) else "istio"
        found[ServedGateway(api=api, namespace=one.namespace, name=one.name)] = None
    return tuple(found)
