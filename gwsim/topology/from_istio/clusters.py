"""The clusters of a proxy: one for every port of every service it sees, and one for every subset.

Source: istio/istio pilot/pkg/networking/core/{cluster,cluster_builder}.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gwsim.diagnostics import Span
from gwsim.resources.models import Service, TrafficPolicy
from gwsim.topology.from_istio import protocols
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.destination_rules import (
    Rule,
    RuleIndex,
    effective_policy,
    origin_of,
    with_default,
)
from gwsim.topology.from_istio.endpoints import NETWORK_LABEL, discovery_of, endpoints_of, has_workloads
from gwsim.topology.from_istio.hosts import DOMAIN, most_specific
from gwsim.topology.from_istio.networks import Networks
from gwsim.topology.from_istio.policy import cluster_fields
from gwsim.topology.from_istio.registry import Host
from gwsim.topology.model import ServicePort
from gwsim.topology.upstream import Cluster, Endpoint, LbPolicy, LocalityLb, cluster_name

RESOLVED_LATE = protocols.HTTP2_FAMILY | {"HTTP", "TLS"}
"""Protocols whose connections name the host that DYNAMIC_DNS resolves (cluster_builder.go)."""
NO_NETWORKS = Networks()
CLOSE = ("topology.istio.io/network", "topology.kubernetes.io/region", "topology.kubernetes.io/zone")
"""Labels that a Service's `trafficDistribution` prefers to share (loadbalancer.go)."""


def _prefers_close(host: Host) -> bool:
    source = host.source
    return isinstance(source, Service) and source.traffic_distribution in ("PreferClose", "PreferSameZone")


def _has_locality_setting(policy: TrafficPolicy | None) -> bool:
    balancer = policy.load_balancer if policy is not None else None
    return balancer is not None and balancer.locality_lb_setting is not None


def _as_sidecar(host: Host, cluster: Cluster) -> Cluster:
    """How a sidecar's cluster differs: original destinations, and the client's protocol where it is detected.

    Source: istio/istio pilot/pkg/networking/core/cluster.go `convertResolution`, cluster_builder.go `setUpstreamProtocol`.
    """
    if host.known.headless or host.known.resolution == "NONE":
        cluster = replace(cluster, discovery="ORIGINAL_DST", lb_policy=LbPolicy.ORIGINAL_DST)
    elif host.known.resolution == "DYNAMIC_DNS":
        cluster = replace(cluster, discovery="DYNAMIC_DNS")
    if cluster.protocol == "Unsupported" and cluster.upstream_http == 1:
        cluster = replace(cluster, use_downstream_protocol=True)
    return cluster


@dataclass(slots=True)
class ClusterBuilder:
    """Makes clusters for proxies; those that see the same rules share them."""

    ctx: Context
    rules: RuleIndex
    peers: tuple[Context, ...] = ()
    """Other clusters of the mesh, whose pods are endpoints of services of the same name."""
    networks: Networks = NO_NETWORKS
    _endpoints: dict[tuple[str, str, int, tuple[tuple[str, str], ...]], tuple[Endpoint, ...]] = field(default_factory=dict)

    def network_of(self, labels: Mapping[str, str]) -> str:
        """The network of a proxy with these labels."""
        return labels.get(NETWORK_LABEL, self.ctx.network)

    def clusters_for(self, namespace: str, labels: Mapping[str, str]) -> dict[str, Cluster]:
        """Every cluster of a proxy with these labels in this namespace, by name."""
        return self.clusters_of(self.ctx.registry.hosts_visible_from(namespace), namespace, labels)

    def clusters_of(
        self, hosts: Iterable[Host], namespace: str, labels: Mapping[str, str], *, sidecar: bool = False
    ) -> dict[str, Cluster]:
        """The clusters of some services for a proxy of this namespace, by name."""
        clusters: dict[str, Cluster] = {}
        for host in hosts:
            if host.known.alias_of:
                continue  # An alias has the clusters of the service it stands for.
            rule = self.rules.find(host, namespace, labels)
            for port in host.known.ports:
                if port.protocol == "UDP" or (host.known.resolution == "DYNAMIC_DNS" and port.protocol not in RESOLVED_LATE):
                    continue
                for subset in ("", *(rule.subsets if rule else ())):
                    cluster = self._cluster(host, port, subset, rule)
                    if self.networks.gateways:
                        seen = self.networks.view(cluster.endpoints, self.network_of(labels))
                        cluster = replace(cluster, endpoints=seen)
                    clusters.setdefault(cluster.name, _as_sidecar(host, cluster) if sidecar else cluster)
        return clusters

    def _cluster(self, host: Host, port: ServicePort, subset: str, rule: Rule | None) -> Cluster:
        labels = dict(rule.subsets[subset].labels) if rule is not None and subset else {}
        policy = effective_policy(rule, port.number, subset)
        if self.ctx.rules.default_traffic_policy:
            policy = with_default(policy, self.ctx.mesh.default_traffic_policy)
        fields = cluster_fields(policy, port.protocol, self.ctx.mesh)
        endpoints = self._endpoints_of(host, port.number, labels)
        if policy is not None and policy.tls is not None:
            mesh = policy.tls.mode == "ISTIO_MUTUAL"
            endpoints = tuple(replace(one, mtls=mesh) for one in endpoints)
        elif host.known.external or not self.ctx.mesh.enable_auto_mtls:
            endpoints = tuple(replace(one, mtls=False) for one in endpoints)
        if _prefers_close(host) and not _has_locality_setting(policy):
            fields["locality_lb"] = LocalityLb(priorities=True, failover_priority=CLOSE)
            fields["panic_threshold_percent"] = 0.0
        if self.ctx.rules.unhealthy_endpoints_sent:
            fields.setdefault("panic_threshold_percent", 0.0)
        origin: Span | None = origin_of(rule, subset) if rule is not None else None
        return Cluster(
            name=cluster_name(port.number, subset, host.known.host),
            host=host.known.host,
            port=port.number,
            subset=subset,
            discovery=discovery_of(host),
            endpoints=endpoints,
            external=host.known.external,
            protocol=port.protocol,
            origin=origin,
            **fields,
        )

    def _endpoints_of(self, host: Host, port: int, labels: Mapping[str, str]) -> tuple[Endpoint, ...]:
        key = (host.known.namespace, host.known.host, port, tuple(sorted(labels.items())))
        if key not in self._endpoints:
            self._endpoints[key] = self._gathered(host, port, labels)
        return self._endpoints[key]

    def _gathered(self, host: Host, port: int, labels: Mapping[str, str]) -> tuple[Endpoint, ...]:
        """Endpoints of all clusters; a pod is only assumed where no cluster has any."""
        places = self._places(host)
        if not places and host.remote:
            return ()  # It exists elsewhere, and its traffic stays there.
        if len(places) < 2:
            ctx, own = places[0] if places else (self.ctx, host)
            return endpoints_of(ctx, own, port, labels or None)
        known = any(isinstance(own.source, Service) and has_workloads(ctx, own.source) for ctx, own in places)
        return tuple(
            endpoint
            for n, (ctx, own) in enumerate(places)
            if own.port(port) is not None
            for endpoint in endpoints_of(ctx, own, port, labels or None, assume=not known and n == 0)
        )

    def _places(self, host: Host) -> list[tuple[Context, Host]]:
        """The clusters that have the service, each with its own definition."""
        if not self.peers or not isinstance(host.source, Service):
            return []
        everywhere = (self.ctx,) if cluster_local(self.ctx, host.known.host) else (self.ctx, *self.peers)
        return [
            (ctx, one)
            for ctx in everywhere
            for one in ctx.registry.hosts.get(host.known.host, ())
            if isinstance(one.source, Service) and not one.remote
        ]


def cluster_local(ctx: Context, host: str) -> bool:
    """Whether traffic to a service stays in its cluster. The more specific setting counts, then istiod's defaults.

    Source: istio/istio pilot/pkg/model/cluster_local.go.
    """
    wanted = {name: one.settings.cluster_local for one in ctx.mesh.service_settings for name in one.hosts}
    for name in (f"*.kube-system.svc.{DOMAIN}", f"kubernetes.default.svc.{DOMAIN}"):
        wanted.setdefault(name, True)
    best = most_specific(host, wanted)
    return bool(best is not None and wanted[best])
