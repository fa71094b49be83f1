"""Sidecars of client workloads as proxies, made on demand.

Source: istio/istio pilot/pkg/networking/core/{listener,cluster}.go for proxies of type sidecar.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gwsim.resources.models import PodOwner
from gwsim.topology.from_istio.attachment import Attached
from gwsim.topology.from_istio.clusters import ClusterBuilder
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.destinations import Destinations
from gwsim.topology.from_istio.endpoints import locality_of_entry
from gwsim.topology.from_istio.envoy_filters import Patcher
from gwsim.topology.from_istio.fleet import ASSUMED_NODE_CPUS, Workload, identity
from gwsim.topology.from_istio.mesh_defaults import CONFIG_ANNOTATION, settings_of, telemetry_fields
from gwsim.topology.from_istio.outbound import OutboundListeners
from gwsim.topology.from_istio.outbound_chains import OutboundChains
from gwsim.topology.from_istio.outbound_hosts import OutboundHosts
from gwsim.topology.from_istio.placement import locality, replicas_at_start, zones_of
from gwsim.topology.from_istio.registry import contains, workload_labels
from gwsim.topology.from_istio.scope import Scope, Scopes, alternative_names
from gwsim.topology.from_istio.virtual_services import VirtualServiceIndex
from gwsim.topology.from_istio.workload_filters import WorkloadFilters, outbound_filtered
from gwsim.topology.model import Proxy, ProxyPod
from gwsim.topology.upstream import BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER, Cluster, LbPolicy
from gwsim.units import parse_quantity

LIMIT_ANNOTATION = "sidecar.istio.io/proxyCPULimit"
INJECTED_LIMIT_CORES = 2.0
"""CPU limit that the injector gives. Source: istio/istio manifests/charts/istio-control/istio-discovery/values.yaml."""


@dataclass(slots=True)
class SidecarBuilder:
    """Makes the proxies of client workloads. Findings about routes are made with the gateways, not here again."""

    ctx: Context
    clusters: ClusterBuilder
    scopes: Scopes

    @classmethod
    def of(cls, ctx: Context, clusters: ClusterBuilder, *, registry_only: bool) -> SidecarBuilder:
        """A builder whose findings go nowhere."""
        quiet = ctx.quiet()
        return cls(quiet, clusters, Scopes(quiet, VirtualServiceIndex(quiet), registry_only))

    def proxy(self, namespace: str, labels: Mapping[str, str]) -> Proxy:
        """The sidecar of pods with these labels. Its size is that of the Deployment which has them, if any."""
        scope = self.scopes.of(namespace, labels)
        clusters = self.clusters.clusters_of(scope.services, namespace, labels, sidecar=True)
        clusters |= {one.name: one for one in _unknown_destinations()}
        deployment = self._owner(namespace, labels)
        name = deployment.name if deployment is not None else _name(labels)
        workload = Workload(name=name, namespace=namespace, labels=labels, deployment=deployment)
        destinations = Destinations(self.ctx, workload, self.clusters.rules, clusters)
        listeners = OutboundListeners(
            scope, OutboundHosts(self.ctx, scope, destinations), OutboundChains(scope, destinations), clusters
        ).build()
        seen = Attached(namespace=namespace, labels=labels, root_namespace=self.ctx.root_namespace)
        filters = WorkloadFilters(self.ctx, self.ctx.policies, seen)
        patches = Patcher(self.ctx, seen, context="SIDECAR_OUTBOUND")
        pods = self._pods(deployment, namespace, labels)
        return Proxy(
            name=name,
            namespace=namespace,
            cluster=self.ctx.cluster,
            kind="sidecar",
            labels=dict(labels),
            listeners=patches.listeners(outbound_filtered(listeners, filters)),
            clusters=patches.clusters(clusters),
            addresses=_addresses(scope, clusters),
            network=self.clusters.network_of(labels),
            identity=identity(self.ctx, namespace, self._account(deployment, namespace, labels)),
            zones=self.ctx.zones,
            **pods | filters.telemetry.fields(pods),
        )

    def _owner(self, namespace: str, labels: Mapping[str, str]) -> PodOwner | None:
        """What keeps the pods: with just these labels, else with more."""
        if not labels:
            return None
        found = [one for one in self.ctx.registry.deployments if one.namespace == namespace and contains(one.labels, labels)]
        return next((one for one in found if dict(one.labels) == dict(labels)), next(iter(found), None))

    def _account(self, owner: PodOwner | None, namespace: str, labels: Mapping[str, str]) -> str | None:
        """The service account of the client's pods, or of its machines."""
        if owner is not None:
            return owner.template.spec.service_account_name
        machines = self.ctx.registry.workload_entries_behind(labels, namespace) if labels else []
        return next((one.entry.service_account for one in machines), None)

    def _pods(self, owner: PodOwner | None, namespace: str, labels: Mapping[str, str]) -> dict[str, Any]:
        """Number, places and size of the client's pods (or machines)."""
        if owner is None:
            machines = [] if not labels else self.ctx.registry.workload_entries_behind(labels, namespace)
            pods = tuple(ProxyPod(name=one.name, locality=locality_of_entry(one.entry, workload_labels(one))) for one in machines)
            if pods:
                return {"replicas": len(pods), "pods": pods, "origin": machines[0].span}
            return {"pods": (ProxyPod(name="client-0", locality=locality(self.ctx, self.ctx.zones, 0)),)}
        spec = owner.template.spec
        zones = zones_of(self.ctx, spec, f"{owner.namespace}/{owner.name}")
        count = replicas_at_start(self.ctx, owner)
        pods = tuple(
            ProxyPod(name=f"{owner.name}-{ordinal}", locality=locality(self.ctx, zones, ordinal, spec)) for ordinal in range(count)
        )
        return {"replicas": count, "pods": pods, "origin": owner.span, **self._size(owner)}

    def _size(self, owner: PodOwner) -> dict[str, Any]:
        """Workers and CPU limit: those of the annotations, else the injector's (a limit of 2 cores, so 2 workers)."""
        settings = settings_of(
            self.ctx, owner.annotations, f"{owner.ref} {CONFIG_ANNOTATION}", namespace=owner.namespace, labels=owner.labels
        )
        limit = _cores(owner.annotations.get(LIMIT_ANNOTATION, ""))
        given = settings.concurrency
        workers = given or (max(1, math.ceil(limit)) if given is None else self.ctx.node_cpus or ASSUMED_NODE_CPUS)
        return {"workers": workers, "cpu_limit_cores": limit, **telemetry_fields(self.ctx, settings)}


def _cores(text: str) -> float:
    """A CPU quantity; the injector's own limit where there is none."""
    try:
        return parse_quantity(text) if text else INJECTED_LIMIT_CORES
    except ValueError:
        return INJECTED_LIMIT_CORES


def _name(labels: Mapping[str, str]) -> str:
    for key in ("app", "app.kubernetes.io/name", "k8s-app"):
        if key in labels:
            return labels[key]
    return next(iter(labels.values()), "client")


def _unknown_destinations() -> tuple[Cluster, Cluster]:
    return (
        Cluster(
            name=PASSTHROUGH_CLUSTER,
            host="",
            port=0,
            discovery="ORIGINAL_DST",
            lb_policy=LbPolicy.ORIGINAL_DST,
            use_downstream_protocol=True,
            external=True,
        ),
        Cluster(name=BLACKHOLE_CLUSTER, host="", port=0, discovery="STATIC"),
    )


def _addresses(scope: Scope, clusters: Mapping[str, Cluster]) -> dict[str, tuple[str, ...]]:
    """What names mean to the client: cluster addresses, pods of headless services, addresses of ServiceEntries."""
    known: dict[str, tuple[str, ...]] = {}
    for host in scope.services:
        addresses = tuple(one for one in host.known.addresses if "/" not in one)
        if host.by_workload:
            made = (clusters.get(f"outbound|{port.number}||{host.known.host}") for port in host.known.ports)
            endpoints = {one.address: one.pod for cluster in made if cluster is not None for one in cluster.endpoints}
            addresses = tuple(endpoints)
            for address, pod in endpoints.items():
                for name in (host.known.host, *alternative_names(host.known.host, scope.namespace)):
                    known.setdefault(f"{pod}.{name}", (address,))
                known.setdefault(address, (address,))
        for name in (host.known.host, *alternative_names(host.known.host, scope.namespace)):
            if addresses and not name.startswith("*"):
                known.setdefault(name, addresses)
    for host in scope.services:
        if host.known.alias_of in known:
            for name in (host.known.host, *alternative_names(host.known.host, scope.namespace)):
                known.setdefault(name, known[host.known.alias_of])
    return known
