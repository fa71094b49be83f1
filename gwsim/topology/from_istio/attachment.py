"""Which policies are for a workload, in the order istiod takes them.

Sources: istio/istio pilot/pkg/model/policyattachment.go (`ShouldAttachPolicy`), pilot/pkg/model/authorization.go,
pilot/pkg/model/authentication.go (namespaces and order).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from gwsim.resources import ResourceSet
from gwsim.resources.models import (
    AuthorizationPolicy,
    EnvoyFilter,
    Policy,
    ProxyConfig,
    RequestAuthentication,
    Resource,
    TargetRef,
    Telemetry,
    TrafficExtension,
    WasmPlugin,
)
from gwsim.topology.from_istio.registry import contains

GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name"
WAYPOINT_CLASS = "istio-waypoint"
_GATEWAY_API = "gateway.networking.k8s.io"
_P = TypeVar("_P", bound=Policy)
_R = TypeVar("_R", bound=Resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A workload as policies see it.

    `services` are the (kind, namespace, name) of Services and ServiceEntries that a waypoint stands before.
    """

    namespace: str
    labels: Mapping[str, str]
    root_namespace: str = "istio-system"
    waypoint: bool = False
    services: frozenset[tuple[str, str, str]] = frozenset()

    @property
    def gateway_name(self) -> str | None:
        """Name of the Gateway API Gateway that the pods belong to; None for all other workloads."""
        return self.labels.get(GATEWAY_NAME_LABEL)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Namespaces whose policies count: the root's first."""
        return tuple(dict.fromkeys((self.root_namespace, self.namespace)))

    def takes(self, policy: Policy) -> bool:
        """Whether a policy of one of `namespaces` is for the workload.

        Pods of a classic gateway ignore policies with target references; those of a Gateway API Gateway take both
        kinds, and waypoints take references only.
        """
        if self.gateway_name is None:
            return not policy.targets and self._selected(policy)
        if not policy.targets:
            return not self.waypoint and self._selected(policy)
        return any(self._targeted(policy, ref) for ref in policy.targets)

    def _selected(self, policy: Policy) -> bool:
        return policy.selector is None or contains(self.labels, policy.selector.match_labels)

    def _targeted(self, policy: Policy, ref: TargetRef) -> bool:
        if self.waypoint and (ref.kind, policy.namespace, ref.name) in self.services:
            return ref.group in ("", "core", "networking.istio.io")
        if (ref.group, ref.kind) == (_GATEWAY_API, "GatewayClass"):
            return self.waypoint and policy.namespace == self.root_namespace and ref.name == WAYPOINT_CLASS
        own = policy.namespace == self.namespace and ref.namespace in (None, "", self.namespace)
        return own and (ref.group, ref.kind, ref.name) == (_GATEWAY_API, "Gateway", self.gateway_name)


def _age(resource: Resource) -> tuple[str, str, str]:
    return (resource.meta.creation_timestamp or "", resource.name, resource.namespace)


@dataclass(slots=True)
class PolicyIndex:
    """Policies and plugins, oldest first."""

    authorization: list[AuthorizationPolicy] = field(default_factory=list)
    authentication: list[RequestAuthentication] = field(default_factory=list)
    telemetry: list[Telemetry] = field(default_factory=list)
    wasm: list[WasmPlugin] = field(default_factory=list)
    extensions: list[TrafficExtension] = field(default_factory=list)
    envoy_filters: list[EnvoyFilter] = field(default_factory=list)
    proxy_configs: list[ProxyConfig] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    """Identities of the objects that some proxy takes."""

    def use(self, objects: Iterable[Resource]) -> None:
        """Remember that a proxy takes these objects."""
        self.used.update(id(one) for one in objects)

    @property
    def unused(self) -> list[Resource]:
        """Policies and plugins that no proxy takes: they are for workloads that are not simulated."""
        every: list[Resource] = [*self.authorization, *self.authentication, *self.wasm, *self.extensions, *self.envoy_filters]
        return [one for one in every if id(one) not in self.used]

    @classmethod
    def of(cls, resources: ResourceSet) -> PolicyIndex:
        """Sort the objects into the index."""

        def sorted_of(model: type[_R]) -> list[_R]:
            return sorted(resources.of(model), key=_age)

        return cls(
            authorization=sorted_of(AuthorizationPolicy),
            authentication=sorted_of(RequestAuthentication),
            telemetry=sorted_of(Telemetry),
            wasm=sorted_of(WasmPlugin),
            extensions=sorted_of(TrafficExtension),
            envoy_filters=sorted_of(EnvoyFilter),
            proxy_configs=sorted_of(ProxyConfig),
        )


def attached(policies: Iterable[_P], workload: Attached) -> list[_P]:
    """The policies for a workload: those of the root namespace first, then its own; oldest first in each."""
    rank = {namespace: n for n, namespace in enumerate(workload.namespaces)}
    found = [one for one in policies if one.namespace in rank and workload.takes(one)]
    return sorted(found, key=lambda one: rank[one.namespace])
