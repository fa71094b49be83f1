"""The clusters of a proxy: one for every port of every service it sees, and one for every subset.

Source: istio/istio pilot/pkg/networking/core/{cluster,cluster_builder}.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gwsim.diagnostics import Span
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.destination_rules import Rule, RuleIndex, effective_policy, origin_of
from gwsim.topology.from_istio.endpoints import discovery_of, endpoints_of
from gwsim.topology.from_istio.policy import cluster_fields
from gwsim.topology.from_istio.registry import Host
from gwsim.topology.model import ServicePort
from gwsim.topology.upstream import Cluster, Endpoint, LbPolicy, cluster_name


@dataclass(slots=True)
class ClusterBuilder:
    """Makes clusters for proxies; those that see the same rules share them."""

    ctx: Context
    rules: RuleIndex
    _endpoints: dict[tuple[str, str, int, tuple[tuple[str, str], ...]], tuple[Endpoint, ...]] = field(default_factory=dict)

    def clusters_for(self, namespace: str, labels: Mapping[str, str]) -> dict[str, Cluster]:
        """Every cluster of a proxy with these labels in this namespace, by name."""
        clusters: dict[str, Cluster] = {}
        for host in self.ctx.registry.hosts_visible_from(namespace):
            rule = self.rules.find(host, namespace, labels)
            for port in host.known.ports:
                if port.protocol == "UDP":
                    continue
                for subset in ("", *(rule.subsets if rule else ())):
                    cluster = self._cluster(host, port, subset, rule)
                    clusters[cluster.name] = cluster
        return clusters

    def _cluster(self, host: Host, port: ServicePort, subset: str, rule: Rule | None) -> Cluster:
        labels = dict(rule.subsets[subset].labels) if rule is not None and subset else {}
        fields = cluster_fields(effective_policy(rule, port.number, subset), port.protocol)
        endpoints = self._endpoints_of(host, port.number, labels)
        if fields["tls"] is not None and fields["tls"].mode == "istio_mutual":
            endpoints = tuple(replace(one, mtls=True) for one in endpoints)
        elif fields["tls"] is not None or host.known.external:
            endpoints = tuple(replace(one, mtls=False) for one in endpoints)
        fields.setdefault("lb_policy", LbPolicy.LEAST_REQUEST)
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
            self._endpoints[key] = endpoints_of(self.ctx, host, port, labels or None)
        return self._endpoints[key]
