"""Endpoints of a service: the pods of the Deployments it selects, or what a ServiceEntry lists.

Sources: istio/istio pilot/pkg/serviceregistry/{kube/controller,serviceentry}, pilot/pkg/xds/endpoints.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from gwsim.resources.models import (
    PodOwner,
    RegisteredWorkload,
    Service,
    ServiceEntry,
    ServiceEntryPort,
    ServicePort,
    WorkloadEntry,
)
from gwsim.topology.chains import networks_of
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.injection import TLS_MODE_LABEL, injection
from gwsim.topology.from_istio.listed import has_list, listed_endpoints
from gwsim.topology.from_istio.peer import peer_mode
from gwsim.topology.from_istio.placement import locality, replicas_at_start, zones_of
from gwsim.topology.from_istio.registry import Host, contains, workload_labels
from gwsim.topology.upstream import Discovery, Endpoint, Locality

NETWORK_LABEL = "topology.istio.io/network"
LOCALITY_LABEL = "istio-locality"
"""Locality of a workload as a label, with dots for slashes."""
_DISCOVERY: dict[str, Discovery] = {"DNS": "STRICT_DNS", "DNS_ROUND_ROBIN": "LOGICAL_DNS"}


def discovery_of(host: Host) -> Discovery:
    """How the cluster learns its endpoints; NONE and headless services are EDS on a gateway."""
    return _DISCOVERY.get(host.known.resolution, "EDS")


def has_workloads(ctx: Context, service: Service) -> bool:
    """Whether the files hold anything that the Service selects."""
    return bool(
        ctx.registry.deployments_behind(service.selector, service.namespace)
        or ctx.registry.workload_entries_behind(service.selector, service.namespace)
        or has_list(ctx, service)
    )


def endpoints_of(
    ctx: Context, host: Host, port: int, subset: Mapping[str, str] | None, *, assume: bool = True
) -> tuple[Endpoint, ...]:
    """The endpoints of a service port that carry the labels of a subset (None: all).

    `assume`: a Service without workloads in the files gets a pod that stands for them.
    """
    source = host.source
    if isinstance(source, Service):
        if not assume and not has_workloads(ctx, source):
            return ()
        found = _of_service(ctx, host, source, port, subset)
    elif isinstance(source, ServiceEntry):
        found = _of_entry(ctx, host, source, port)
    else:
        found = (_assumed(ctx, host, port, subset),)
    return tuple(one for one in found if contains(one.labels, subset or {}))


def _of_service(
    ctx: Context, host: Host, service: Service, port: int, subset: Mapping[str, str] | None
) -> tuple[Endpoint, ...]:
    service_port = next(one for one in service.ports if one.port == port)
    behind = ctx.registry.deployments_behind(service.selector, service.namespace)
    machines = ctx.registry.workload_entries_behind(service.selector, service.namespace)
    outside = tuple(_machine(ctx, one, service_port.name or "", service_port.target_port, port) for one in machines)
    if not behind and not outside:
        listed = listed_endpoints(ctx, host, service, service_port)
        if listed is not None:
            return listed
        ctx.assume(f"{host.known.host}: no workload for it in the files; one pod is taken to be there")
        return (_assumed(ctx, host, port, subset),)
    return tuple(
        endpoint
        for deployment in behind
        for endpoint in _pods(ctx, deployment, _target_port(service_port, deployment))
    ) + outside


def _target_port(port: ServicePort, deployment: PodOwner) -> int:
    if isinstance(port.target_port, int):
        return port.target_port
    for container in deployment.containers:
        for one in container.ports:
            if one.name is not None and one.name == port.target_port:
                return one.container_port
    return port.port


def _pods(ctx: Context, deployment: PodOwner, port: int) -> list[Endpoint]:
    spec, labels = deployment.template.spec, deployment.labels
    workload = f"{deployment.namespace}/{deployment.name}"
    zones = zones_of(ctx, spec, workload)
    injected = has_sidecar(ctx, deployment)
    mode = peer_mode(ctx.registry, deployment.namespace, labels, port)
    return [
        Endpoint(
            address=f"{deployment.name}-{ordinal}",
            port=port,
            locality=locality(ctx, zones, ordinal, spec),
            labels=dict(labels),
            workload=workload,
            pod=f"{deployment.name}-{ordinal}",
            network=labels.get(NETWORK_LABEL, ctx.network),
            cluster=ctx.cluster,
            mtls=injected and mode != "DISABLE",
            mtls_known=injected or sidecar_told(ctx, deployment),
            accepts=mode if injected else "",
        )
        for ordinal in range(replicas_at_start(ctx, deployment))
    ]


def _assumed(ctx: Context, host: Host, port: int, subset: Mapping[str, str] | None) -> Endpoint:
    """One pod standing for a workload that the files do not hold; it has whatever labels a subset asks for."""
    known = host.known
    labels = dict(host.source.selector) if isinstance(host.source, Service) else {}
    labels |= dict(subset or {})
    service_port = host.port(port)
    target = service_port.target_port if service_port and service_port.target_port else port
    pod = "-".join([known.name, *sorted((subset or {}).values()), "0"])
    return Endpoint(
        address=pod,
        port=target,
        locality=locality(ctx, ctx.zones, 0),
        labels=labels,
        workload=f"{known.namespace}/{known.name}",
        pod=pod,
        network=ctx.network,
        cluster=ctx.cluster,
        mtls_known=False,
    )


def has_sidecar(ctx: Context, deployment: PodOwner) -> bool:
    """Whether the pods have an Istio sidecar, so that gateways reach them over mutual TLS."""
    found = injection(deployment, ctx.registry.namespaces.get(deployment.namespace))
    if found is None:
        ctx.assume(
            f"namespace {deployment.namespace} is not in the files: its pods are taken to have no sidecar, "
            "so gateways reach them in plaintext"
        )
    return bool(found)


def sidecar_told(ctx: Context, deployment: PodOwner) -> bool:
    """Whether the files tell if the pods have a sidecar, so that its absence is no mere guess."""
    return injection(deployment, ctx.registry.namespaces.get(deployment.namespace)) is not None


def _of_entry(ctx: Context, host: Host, entry: ServiceEntry, port: int) -> tuple[Endpoint, ...]:
    entry_port = next(one for one in entry.ports if one.number == port)
    if entry.resolution == "DYNAMIC_DNS" or (entry.resolution == "NONE" and entry.workload_selector is None):
        return ()
    if entry.workload_selector is not None:
        selector = entry.workload_selector.labels
        selected = ctx.registry.deployments_behind(selector, entry.namespace)
        machines = ctx.registry.workload_entries_behind(selector, entry.namespace)
        target = entry_port.target_port or port
        pods = (endpoint for one in selected for endpoint in _pods(ctx, one, target))
        return (*pods, *(_machine(ctx, one, entry_port.name, entry_port.target_port, port) for one in machines))
    if not entry.endpoints and entry.resolution in ("DNS", "DNS_ROUND_ROBIN"):
        name = host.known.host
        target = entry_port.target_port or port
        return (Endpoint(address=name, port=target, workload=f"{entry.namespace}/{entry.name}", pod=name),)
    return tuple(_entry_endpoint(ctx, entry, entry_port, one, i) for i, one in enumerate(entry.endpoints))


def _machine(
    ctx: Context, workload: RegisteredWorkload, port_name: str, target: int | str | None, port: int
) -> Endpoint:
    """A WorkloadEntry as an endpoint of a service port."""
    number = workload.entry.ports.get(port_name) or (target if isinstance(target, int) else 0) or port
    return _outside(
        ctx, workload.entry, number, workload_labels(workload), f"{workload.namespace}/{workload.name}", workload.name, mesh=True
    )


def _entry_endpoint(
    ctx: Context, entry: ServiceEntry, port: ServiceEntryPort, one: WorkloadEntry, ordinal: int
) -> Endpoint:
    number = one.ports.get(port.name) or port.target_port or port.number
    workload, pod = f"{entry.namespace}/{entry.name}", f"{entry.name}-{ordinal}"
    return _outside(ctx, one, number, dict(one.labels), workload, pod, mesh=entry.location == "MESH_INTERNAL")


def _by_address(ctx: Context, address: str | None) -> str:
    """The network whose ranges in meshNetworks hold the address."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    for name, network in ctx.networks.networks.items():
        if any(ip in one for one in networks_of(one.from_cidr or "" for one in network.endpoints)):
            return name
    return ""


def locality_of_entry(one: WorkloadEntry, labels: Mapping[str, str]) -> Locality:
    """Where something written down is: as it says, else by its label."""
    region, zone, subzone = [*(one.locality or labels.get(LOCALITY_LABEL, "").replace(".", "/")).split("/"), "", ""][:3]
    return Locality(region=region, zone=zone, subzone=subzone)


def _outside(
    ctx: Context, one: WorkloadEntry, port: int, labels: dict[str, str], workload: str, pod: str, *, mesh: bool
) -> Endpoint:
    """An endpoint that is written down rather than scheduled. A service account means that a sidecar runs there."""
    injected = mesh and (bool(one.service_account) or labels.get(TLS_MODE_LABEL) == "istio")
    mode = peer_mode(ctx.registry, workload.partition("/")[0], labels, port)
    return Endpoint(
        address=one.address or pod,
        port=port,
        weight=one.weight or 1,
        locality=locality_of_entry(one, labels),
        labels=labels,
        workload=workload,
        pod=pod,
        network=one.network or labels.get(NETWORK_LABEL, "") or _by_address(ctx, one.address) or ctx.network,
        cluster=ctx.cluster,
        mtls=injected and mode != "DISABLE",
        accepts=mode if injected else "",
    )
