"""Which DestinationRule applies to a host, and the policy it comes to for a port and subset.

Sources: istio/istio pilot/pkg/model/push_context.go `destinationRule`, pilot/pkg/model/destination_rule.go (merge),
pilot/pkg/networking/util/util.go `GetPortLevelTrafficPolicy`, `MergeSubsetTrafficPolicy`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gwsim.diagnostics import Span
from gwsim.resources.models import DestinationRule, Subset, TrafficPolicy
from gwsim.resources.models.mesh_config import DefaultTrafficPolicy
from gwsim.topology.from_istio.context import ROOT_NAMESPACE, place
from gwsim.topology.from_istio.hosts import fqdn, most_specific, private, visible
from gwsim.topology.from_istio.registry import Host, Registry, contains


@dataclass(slots=True, eq=False)
class Rule:
    """Rules for one host in one namespace that Istio merges: all subsets, the oldest policy."""

    host: str
    export_to: tuple[str, ...]
    selector: Mapping[str, str] | None
    policy: TrafficPolicy | None
    subsets: dict[str, Subset]
    sources: list[DestinationRule]

    def subset(self, name: str) -> Subset | None:
        """The subset of that name."""
        return self.subsets.get(name)

    @property
    def namespace(self) -> str:
        """Where the rule lives."""
        return self.sources[0].namespace


Table = dict[str, list[Rule]]


def _merge_into(rules: list[Rule], rule: DestinationRule, host: str, *, fill: bool) -> None:
    selector = rule.workload_selector.match_labels if rule.workload_selector else None
    for known in rules:
        if set(known.export_to) == set(rule.export_to) and known.selector == selector:
            for subset in rule.subsets:
                known.subsets.setdefault(subset.name, subset)
            known.policy = _filled(known.policy, rule.traffic_policy) if fill else known.policy or rule.traffic_policy
            known.sources.append(rule)
            return
    subsets: dict[str, Subset] = {}
    for subset in rule.subsets:
        subsets.setdefault(subset.name, subset)
    rules.append(Rule(host, rule.export_to, selector, rule.traffic_policy, subsets, [rule]))


def _filled(policy: TrafficPolicy | None, more: TrafficPolicy | None) -> TrafficPolicy | None:
    """The policy with the TLS and retry budget of another where it has none."""
    if policy is None or more is None:
        return policy or more
    ports = {one.port.number for one in policy.port_level_settings}
    return replace(
        policy,
        tls=policy.tls or more.tls,
        retry_budget=policy.retry_budget or more.retry_budget,
        port_level_settings=(
            *policy.port_level_settings,
            *(one for one in more.port_level_settings if one.port.number not in ports),
        ),
    )


class RuleIndex:
    """All rules by namespace and host."""

    def __init__(
        self,
        registry: Registry,
        root_namespace: str = ROOT_NAMESPACE,
        policies: Sequence[DestinationRule] = (),
        *,
        rules_first: bool = False,
    ) -> None:
        self._root, rules = root_namespace, registry.destination_rules
        self._own: dict[str, Table] = defaultdict(lambda: defaultdict(list))
        self._exported: dict[str, Table] = defaultdict(lambda: defaultdict(list))
        self._root_private: Table = defaultdict(list)
        # Policies of the Gateway API have no age, so they are the oldest rules and their traffic policy is taken whole.
        first, last = (rules, policies) if rules_first else (policies, rules)
        for rule in (*first, *last):
            self._add(rule, fill=rules_first and rule in policies)

    def _add(self, rule: DestinationRule, *, fill: bool) -> None:
        host, namespace = fqdn(rule.host, rule.namespace), rule.namespace
        if visible(rule.export_to, namespace, namespace):
            _merge_into(self._own[namespace][host], rule, host, fill=fill)
        if not private(rule.export_to, namespace):
            _merge_into(self._exported[namespace][host], rule, host, fill=fill)
        elif namespace == self._root:
            _merge_into(self._root_private[host], rule, host, fill=fill)

    def find(self, host: Host, namespace: str, labels: Mapping[str, str]) -> Rule | None:
        """The rule for a host as proxies with `labels` in `namespace` see it. The first step with a hit decides."""
        name = host.known.host
        own = self._root_private if namespace == self._root else self._own.get(namespace, {})
        best = most_specific(name, own)
        if best is not None and (rule := _for_workload(own[best], labels)) is not None:
            return rule
        for other in (host.known.namespace, self._root):
            exported = self._exported.get(other, {})
            best = most_specific(name, exported)
            if best is not None:
                # The most specific host is taken first and only then asked whether it is exported to here.
                candidates = [one for one in exported[best] if visible(one.export_to, other, namespace)]
                found = next((one for one in candidates if one.selector is None), None)
                if found is not None:
                    return found
        return None


def _for_workload(rules: list[Rule], labels: Mapping[str, str]) -> Rule | None:
    selected = [one for one in rules if one.selector and contains(labels, one.selector)]
    return next(iter(selected), None) or next((one for one in rules if not one.selector), None)


def port_policy(policy: TrafficPolicy | None, port: int) -> TrafficPolicy | None:
    """The policy of a port: a port-level setting replaces it whole and keeps four blocks only."""
    if policy is None:
        return None
    for one in policy.port_level_settings:
        if one.port.number == port:
            return TrafficPolicy(
                load_balancer=one.load_balancer,
                connection_pool=one.connection_pool,
                outlier_detection=one.outlier_detection,
                tls=one.tls,
            )
    return policy


def effective_policy(rule: Rule | None, port: int, subset: str = "") -> TrafficPolicy | None:
    """The policy of a cluster: rule, port, subset, port of the subset, in this order."""
    if rule is None:
        return None
    base = port_policy(rule.policy, port)
    own = rule.subsets[subset].traffic_policy if subset in rule.subsets else None
    if own is None:
        return base
    base = base or TrafficPolicy()
    merged = replace(
        base,
        connection_pool=own.connection_pool or base.connection_pool,
        outlier_detection=own.outlier_detection or base.outlier_detection,
        load_balancer=own.load_balancer or base.load_balancer,
        tls=own.tls or base.tls,
        tunnel=own.tunnel or base.tunnel,
        proxy_protocol=own.proxy_protocol or base.proxy_protocol,
        retry_budget=own.retry_budget or base.retry_budget,
    )
    for one in own.port_level_settings:
        if one.port.number == port:
            return replace(
                merged,
                connection_pool=one.connection_pool,
                outlier_detection=one.outlier_detection,
                load_balancer=one.load_balancer,
                tls=one.tls,
            )
    return merged


def with_default(policy: TrafficPolicy | None, default: DefaultTrafficPolicy | None) -> TrafficPolicy | None:
    """A policy with the blocks it leaves out taken from the mesh's `defaultTrafficPolicy`."""
    if default is None:
        return policy
    policy = policy or TrafficPolicy()
    return replace(
        policy,
        connection_pool=policy.connection_pool or default.connection_pool,
        outlier_detection=policy.outlier_detection or default.outlier_detection,
    )


def origin_of(rule: Rule, subset: str) -> Span:
    """Span of the rule, or of the subset where there is one."""
    for source in rule.sources:
        for position, one in enumerate(source.subsets):
            if subset and one.name == subset:
                return place(source, f"subsets[{position}]")
    return place(rule.sources[0])
