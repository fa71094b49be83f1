"""Destinations of routes: the cluster they name, and whether the proxy has it.

Source: istio/istio pilot/pkg/networking/core/route/route.go (`GetDestinationCluster`, `HashForHTTPDestination`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gwsim.diagnostics import did_you_mean, did_you_mean_host
from gwsim.resources.models import ConsistentHash, Destination, Resource
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.converted import RefusedDestination
from gwsim.topology.from_istio.destination_rules import Rule, RuleIndex, port_policy
from gwsim.topology.from_istio.fleet import Workload
from gwsim.topology.from_istio.hosts import DOMAIN, fqdn
from gwsim.topology.from_istio.registry import Host
from gwsim.topology.routes import HashPolicy
from gwsim.topology.upstream import Cluster, cluster_name


@dataclass(frozen=True, slots=True)
class Use:
    """Where a destination is written."""

    source: Resource
    path: str
    missing_status: int = 503
    """What requests are answered when the destination does not exist."""


@dataclass(slots=True)
class Destinations:
    """Resolves destinations for one workload and reports those that lead nowhere."""

    ctx: Context
    workload: Workload
    rules: RuleIndex
    clusters: Mapping[str, Cluster]

    def host(self, destination: Destination, namespace: str) -> Host | None:
        """The known host that a destination written in `namespace` means."""
        return self.ctx.registry.host(fqdn(destination.host, namespace), self.workload.namespace)

    def cluster(self, destination: Destination, listener_port: int, use: Use) -> str:
        """Name of the destination's cluster; without a port it is the service's only one, else the listener's."""
        if isinstance(destination, RefusedDestination):
            return cluster_name(listener_port, "", "")
        name = fqdn(destination.host, use.source.namespace)
        host = self.host(destination, use.source.namespace)
        if host is not None and host.known.alias_of:
            name = host.known.alias_of
        port, ambiguous = listener_port, False
        if destination.port is not None:
            port = destination.port.number
        elif host is not None and len(host.known.ports) == 1:
            port = host.known.ports[0].number
        elif host is not None:
            ambiguous = len(host.known.ports) > 1
        cluster = cluster_name(port, destination.subset or "", name)
        if ambiguous:
            self._report_ambiguous(host, port, use)
        elif cluster not in self.clusters:
            self._report_missing(name, host, port, destination.subset or "", use)
        return cluster

    def _report_ambiguous(self, host: Host | None, port: int, use: Use) -> None:
        assert host is not None
        ports = ", ".join(str(one.number) for one in host.known.ports)
        self.ctx.find(
            "PORT_AMBIGUOUS",
            f"{use.source.ref}: {host.known.host} has the ports {ports}; without destination.port the Gateway's "
            f"port {port} is taken",
            use.source,
            f"{use.path}.destination",
            help=f"write port: {{number: {host.known.ports[0].number}}}",
        )

    def _report_missing(self, name: str, host: Host | None, port: int, subset: str, use: Use) -> None:
        status = f"{use.missing_status} NC"
        known = self.ctx.registry.hosts
        where = f"{use.path}.destination"
        if host is not None and host.known.alias_of and name not in known:
            message = f"{use.source.ref}: {host.known.host} stands for {name}, which is no service: {status}"
            help = f"write a ServiceEntry for {name}"
            self.ctx.find("DESTINATION_HOST_UNKNOWN", message, use.source, f"{where}.host", help=help)
        elif host is None:
            hint = did_you_mean_host(name, known)
            if name.count(".") == 1 and f"{name}.svc.{DOMAIN}" in known:
                hint = f"write {name}.svc.{DOMAIN}: a name with a dot is taken as it is"
            elsewhere = " in this namespace's view (exportTo)" if name in known else ""
            message = f"{use.source.ref}: there is no service {name}{elsewhere}: {status}"
            self.ctx.find("DESTINATION_HOST_UNKNOWN", message, use.source, f"{where}.host", help=hint)
        elif host.port(port) is None:
            ports = ", ".join(str(one.number) for one in host.known.ports) or "none"
            message = f"{use.source.ref}: {name} has no port {port} (it has {ports}): {status}"
            self.ctx.find("DESTINATION_PORT_UNKNOWN", message, use.source, f"{where}.port")
        else:
            rule = self.rules.find(host, self.workload.namespace, self.workload.labels)
            self._report_subset(name, rule, subset, replace(use, path=where))

    def _report_subset(self, name: str, rule: Rule | None, subset: str, use: Use) -> None:
        if rule is None:
            why = f"no DestinationRule for {name} is in force at {self.workload.namespace}/{self.workload.name}"
            hint = None
        else:
            why = f"{rule.sources[0].ref} has no such subset"
            hint = did_you_mean(subset, rule.subsets)
        message = f"{use.source.ref}: subset {subset} of {name} does not exist: {why}: {use.missing_status} NC"
        self.ctx.find("SUBSET_UNKNOWN", message, use.source, f"{use.path}.subset", help=hint)

    def hash_of(self, destination: Destination, namespace: str) -> tuple[HashPolicy, ...]:
        """The hash of a destination: of the subset's port, the subset, the rule's port (if named), the rule."""
        host = self.host(destination, namespace)
        rule = self.rules.find(host, self.workload.namespace, self.workload.labels) if host is not None else None
        if rule is None:
            return ()
        port = destination.port.number if destination.port is not None else 0
        subset = rule.subset(destination.subset) if destination.subset else None
        for policy in (subset.traffic_policy if subset else None, rule.policy):
            candidates = (port_policy(policy, port), policy) if port else (policy,)
            for one in candidates:
                if one is not None and one.load_balancer is not None and one.load_balancer.consistent_hash is not None:
                    return hash_policy(one.load_balancer.consistent_hash)
        return ()


def meant_of(destination: Destination) -> str:
    """The cluster a destination would have been that may not be used; empty for all others."""
    return destination.meant if isinstance(destination, RefusedDestination) else ""


def hash_policy(consistent: ConsistentHash) -> tuple[HashPolicy, ...]:
    """The route's hash policy of a consistentHash block."""
    if consistent.http_header_name:
        return (HashPolicy(kind="header", name=consistent.http_header_name),)
    if consistent.http_cookie is not None:
        cookie = consistent.http_cookie
        return (HashPolicy(kind="cookie", name=cookie.name, cookie_path=cookie.path or "", cookie_ttl_s=cookie.ttl_s),)
    if consistent.use_source_ip:
        return (HashPolicy(kind="source_ip"),)
    if consistent.http_query_parameter_name:
        return (HashPolicy(kind="query_parameter", name=consistent.http_query_parameter_name),)
    return ()


def shares(weights: Sequence[int]) -> list[tuple[int, int]]:
    """(position, weight) of the destinations that get traffic: a single one takes all, zeros get nothing."""
    if len(weights) == 1:
        return [(0, 1)]
    return [(position, weight) for position, weight in enumerate(weights) if weight > 0]
