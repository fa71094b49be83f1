"""Sidecars of client workloads as proxies, made on demand.

Source: istio/istio pilot/pkg/networking/core/{listener,cluster}.go for proxies of type sidecar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gwsim.resources.models import PodOwner
from gwsim.topology.from_istio.attachment import Attached
from gwsim.topology.from_istio.clusters import ClusterBuilder
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.destinations import Destinations
from gwsim.topology.from_istio.envoy_filters import Patcher
from gwsim.topology.from_istio.fleet import Workload
from gwsim.topology.from_istio.outbound import OutboundListeners
from gwsim.topology.from_istio.outbound_chains import OutboundChains
from gwsim.topology.from_istio.outbound_hosts import OutboundHosts
from gwsim.topology.from_istio.placement import locality, replicas_at_start, zones_of
from gwsim.topology.from_istio.registry import contains
from gwsim.topology.from_istio.scope import Scope, Scopes, alternative_names
from gwsim.topology.from_istio.virtual_services import VirtualServiceIndex
from gwsim.topology.from_istio.workload_filters import WorkloadFilters, outbound_filtered
from gwsim.topology.model import Proxy, ProxyPod
from gwsim.topology.upstream import BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER, Cluster, LbPolicy


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
        deployment = self._deployment(namespace, labels)
        name = deployment.name if deployment is not None else _name(labels)
        workload = Workload(name=name, namespace=namespace, labels=labels, deployment=deployment)
        destinations = Destinations(self.ctx, workload, self.clusters.rules, clusters)
        listeners = OutboundListeners(
            scope, OutboundHosts(self.ctx, scope, destinations), OutboundChains(scope, destinations), clusters
        ).build()
        seen = Attached(namespace=namespace, labels=labels, root_namespace=self.ctx.root_namespace)
        filters = WorkloadFilters(self.ctx, self.ctx.policies, seen)
        patches = Patcher(self.ctx, seen, context="SIDECAR_OUTBOUND")
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
            zones=self.ctx.zones,
            **self._pods(deployment),
        )

    def _deployment(self, namespace: str, labels: Mapping[str, str]) -> PodOwner | None:
        if not labels:
            return None
        found = self.ctx.registry.deployments
        return next((one for one in found if one.namespace == namespace and contains(one.labels, labels)), None)

    def _pods(self, deployment: PodOwner | None) -> dict[str, Any]:
        """Number and places of the client's pods."""
        if deployment is None:
            return {"pods": (ProxyPod(name="client-0", locality=locality(self.ctx, self.ctx.zones, 0)),)}
        spec = deployment.template.spec
        zones = zones_of(self.ctx, spec, f"{deployment.namespace}/{deployment.name}")
        count = replicas_at_start(self.ctx, deployment)
        pods = tuple(
            ProxyPod(name=f"{deployment.name}-{ordinal}", locality=locality(self.ctx, zones, ordinal, spec))
            for ordinal in range(count)
        )
        return {"replicas": count, "pods": pods, "origin": deployment.span}


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
