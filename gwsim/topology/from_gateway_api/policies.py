"""Policies towards backends as DestinationRules.

Source: istio/istio pilot/pkg/config/kube/gateway/backend_policies.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from gwsim.resources import ResourceSet
from gwsim.resources.models import (
    BackendTLSPolicy,
    BackendTlsValidation,
    ClientTls,
    DestinationRule,
    Meta,
    PolicyTarget,
    PortSelector,
    PortTrafficPolicy,
    Resource,
    RetryBudget,
    TrafficPolicy,
    XBackendTrafficPolicy,
)
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.converted import INVALID_CREDENTIAL
from gwsim.topology.from_istio.hosts import service_host

CONFIG_MAP_PREFIX = "configmap://"
DEFAULT_MIN_RETRIES = 10
DEFAULT_RETRY_PERCENT = 20


@dataclass(slots=True)
class _Target:
    """What policies say about one host. The oldest policy that says something counts."""

    first: Resource
    tls: ClientTls | None = None
    by_port: dict[int, ClientTls] = field(default_factory=dict)
    budget: RetryBudget | None = None


def backend_policies(ctx: Context, resources: ResourceSet) -> tuple[DestinationRule, ...]:
    """One DestinationRule for every host that a policy is for."""
    targets: dict[tuple[str, str], _Target] = {}
    for policy in _by_age(resources.backend_tls_policies):
        tls = _client_tls(ctx, policy)
        for position, ref in enumerate(policy.target_refs):
            for host, port in _hosts(ctx, policy, ref, f"targetRefs[{position}]"):
                target = targets.setdefault((policy.namespace, host), _Target(policy))
                if port is not None:
                    target.by_port.setdefault(port, tls)
                else:
                    target.tls = target.tls or tls
    for traffic in _by_age(resources.backend_traffic_policies):
        for position, ref in enumerate(traffic.target_refs):
            for host, _ in _hosts(ctx, traffic, ref, f"targetRefs[{position}]"):
                target = targets.setdefault((traffic.namespace, host), _Target(traffic))
                target.budget = target.budget or _budget(traffic)
    return tuple(_rule(namespace, host, target) for (namespace, host), target in targets.items())


_Policy = TypeVar("_Policy", BackendTLSPolicy, XBackendTrafficPolicy)


def _by_age(policies: Iterable[_Policy]) -> list[_Policy]:
    return sorted(policies, key=lambda one: (one.meta.creation_timestamp or "", one.namespace, one.name))


def _hosts(ctx: Context, policy: Resource, ref: PolicyTarget, path: str) -> list[tuple[str, int | None]]:
    """Hosts of a target, with the port that `sectionName` means (None: all)."""
    found: list[tuple[str, int | None]] = []
    problem = ""
    if (ref.group, ref.kind) == ("", "Service"):
        host = service_host(ref.name, policy.namespace)
        known = ctx.registry.hosts.get(host)
        ports = {port.name: port.number for one in known or () for port in one.known.ports}
        if not known:
            problem = f"there is no Service {policy.namespace}/{ref.name}"
        elif ref.section_name and ref.section_name not in ports:
            problem = f"Service {policy.namespace}/{ref.name} has no port named {ref.section_name}"
        else:
            found = [(host, ports[ref.section_name] if ref.section_name else None)]
    elif (ref.group, ref.kind) == ("networking.istio.io", "ServiceEntry"):
        entries = [one for one in ctx.registry.service_entries if (one.namespace, one.name) == (policy.namespace, ref.name)]
        found = [(host.lower(), None) for one in entries for host in one.hosts]
        problem = "" if found else f"there is no ServiceEntry {policy.namespace}/{ref.name}"
    else:
        problem = f"Istio has no policies for kind {ref.kind} ({ref.group or 'core'})"
    if problem:
        ctx.find("RULE_HOST_UNKNOWN", f"{policy.ref}: {problem}", policy, path)
    return found


def _client_tls(ctx: Context, policy: BackendTLSPolicy) -> ClientTls:
    validation = policy.validation
    names = tuple(one.hostname or one.uri or "" for one in validation.subject_alt_names)
    return ClientTls(
        mode="SIMPLE", sni=validation.hostname, subject_alt_names=names,
        credential_name=_authority(ctx, policy, validation),
    )  # fmt: skip


def _authority(ctx: Context, policy: BackendTLSPolicy, validation: BackendTlsValidation) -> str | None:
    """The certificate authority; None for the system's. One that Istio cannot use blocks the traffic."""
    if validation.well_known_ca_certificates or not validation.ca_certificate_refs:
        return None
    ref = validation.ca_certificate_refs[0]
    if len(validation.ca_certificate_refs) > 1:
        message = f"{policy.ref}: only the first of caCertificateRefs counts"
        ctx.find("GATEWAY_PART_IGNORED", message, policy, "validation.caCertificateRefs")
    if (ref.group or "", ref.kind) == ("", "ConfigMap"):
        return f"{CONFIG_MAP_PREFIX}{policy.namespace}/{ref.name}"
    message = f"{policy.ref}: Istio takes certificate authorities from ConfigMaps, not from {ref.kind}; connections to the backend fail"
    ctx.find("BACKEND_REFUSED", message, policy, "validation.caCertificateRefs[0]")
    return INVALID_CREDENTIAL


def _budget(policy: XBackendTrafficPolicy) -> RetryBudget | None:
    if policy.retry_constraint is None:
        return None
    budget = policy.retry_constraint.budget
    percent = budget.percent if budget is not None and budget.percent is not None else DEFAULT_RETRY_PERCENT
    rate = policy.retry_constraint.min_retry_rate
    least = rate.count if rate is not None and rate.count is not None else DEFAULT_MIN_RETRIES
    return RetryBudget(percent=float(percent), min_retry_concurrency=least)


def _rule(namespace: str, host: str, target: _Target) -> DestinationRule:
    first = target.first
    meta = Meta(api_version=first.meta.api_version, kind=first.meta.kind, name=first.name, namespace=namespace)
    ports = tuple(PortTrafficPolicy(port=PortSelector(number=n), tls=tls) for n, tls in target.by_port.items())
    policy = TrafficPolicy(tls=target.tls, retry_budget=target.budget, port_level_settings=ports)
    return DestinationRule(meta=meta, origin=first.origin, host=host, traffic_policy=policy)
