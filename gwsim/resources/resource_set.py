"""All objects of a configuration, typed and in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TypeVar

from gwsim.resources.kinds import CLUSTER_SCOPED
from gwsim.resources.models import (
    BackendTLSPolicy,
    Deployment,
    DestinationRule,
    Gateway,
    GatewayClass,
    GatewayGRPCRoute,
    GatewayHTTPRoute,
    GatewayTCPRoute,
    GatewayTLSRoute,
    GatewayUDPRoute,
    HorizontalPodAutoscaler,
    Ingress,
    IngressClass,
    KubernetesGateway,
    ListenerSet,
    Namespace,
    ReferenceGrant,
    Secret,
    Service,
    ServiceEntry,
    VirtualService,
    XBackendTrafficPolicy,
)
from gwsim.resources.models.base import Resource

_R = TypeVar("_R", bound=Resource)


class ResourceSet:
    """Immutable set of objects, ordered by creation timestamp, then as read.

    Istio breaks ties between objects by age, so the order is part of the meaning. Objects from files
    have no timestamp and come before those that have one. Objects with errors are in the set as far as
    they could be read; call `Collector.raise_if_errors` before relying on them.
    """

    def __init__(self, objects: Iterable[Resource] = ()) -> None:
        numbered = sorted(enumerate(objects), key=lambda pair: (pair[1].meta.creation_timestamp or "", pair[0]))
        self._all = tuple(resource for _, resource in numbered)

    @property
    def all(self) -> tuple[Resource, ...]:
        """Every object."""
        return self._all

    def of(self, model: type[_R]) -> tuple[_R, ...]:
        """The objects of one model class."""
        return tuple(resource for resource in self._all if isinstance(resource, model))

    @cached_property
    def gateways(self) -> tuple[Gateway, ...]:
        """networking.istio.io Gateways."""
        return self.of(Gateway)

    @cached_property
    def virtual_services(self) -> tuple[VirtualService, ...]:
        """VirtualServices."""
        return self.of(VirtualService)

    @cached_property
    def destination_rules(self) -> tuple[DestinationRule, ...]:
        """DestinationRules."""
        return self.of(DestinationRule)

    @cached_property
    def service_entries(self) -> tuple[ServiceEntry, ...]:
        """ServiceEntries."""
        return self.of(ServiceEntry)

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """Kubernetes Services."""
        return self.of(Service)

    @cached_property
    def deployments(self) -> tuple[Deployment, ...]:
        """Kubernetes Deployments."""
        return self.of(Deployment)

    @cached_property
    def autoscalers(self) -> tuple[HorizontalPodAutoscaler, ...]:
        """HorizontalPodAutoscalers."""
        return self.of(HorizontalPodAutoscaler)

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """Secrets, without their secrets."""
        return self.of(Secret)

    @cached_property
    def namespaces(self) -> tuple[Namespace, ...]:
        """Namespaces."""
        return self.of(Namespace)

    @cached_property
    def gateway_classes(self) -> tuple[GatewayClass, ...]:
        """GatewayClasses of the Gateway API."""
        return self.of(GatewayClass)

    @cached_property
    def kubernetes_gateways(self) -> tuple[KubernetesGateway, ...]:
        """Gateways of the Gateway API."""
        return self.of(KubernetesGateway)

    @cached_property
    def listener_sets(self) -> tuple[ListenerSet, ...]:
        """ListenerSets and XListenerSets."""
        return self.of(ListenerSet)

    @cached_property
    def http_routes(self) -> tuple[GatewayHTTPRoute, ...]:
        """HTTPRoutes of the Gateway API."""
        return self.of(GatewayHTTPRoute)

    @cached_property
    def grpc_routes(self) -> tuple[GatewayGRPCRoute, ...]:
        """GRPCRoutes."""
        return self.of(GatewayGRPCRoute)

    @cached_property
    def tls_routes(self) -> tuple[GatewayTLSRoute, ...]:
        """TLSRoutes of the Gateway API."""
        return self.of(GatewayTLSRoute)

    @cached_property
    def tcp_routes(self) -> tuple[GatewayTCPRoute, ...]:
        """TCPRoutes of the Gateway API."""
        return self.of(GatewayTCPRoute)

    @cached_property
    def udp_routes(self) -> tuple[GatewayUDPRoute, ...]:
        """UDPRoutes."""
        return self.of(GatewayUDPRoute)

    @cached_property
    def reference_grants(self) -> tuple[ReferenceGrant, ...]:
        """ReferenceGrants."""
        return self.of(ReferenceGrant)

    @cached_property
    def backend_tls_policies(self) -> tuple[BackendTLSPolicy, ...]:
        """BackendTLSPolicies."""
        return self.of(BackendTLSPolicy)

    @cached_property
    def backend_traffic_policies(self) -> tuple[XBackendTrafficPolicy, ...]:
        """XBackendTrafficPolicies."""
        return self.of(XBackendTrafficPolicy)

    @cached_property
    def ingresses(self) -> tuple[Ingress, ...]:
        """Kubernetes Ingresses."""
        return self.of(Ingress)

    @cached_property
    def ingress_classes(self) -> tuple[IngressClass, ...]:
        """IngressClasses."""
        return self.of(IngressClass)

    @cached_property
    def _index(self) -> dict[tuple[str, str, str], list[Resource]]:
        index: dict[tuple[str, str, str], list[Resource]] = {}
        for resource in self._all:
            index.setdefault((resource.meta.kind, resource.meta.namespace, resource.meta.name), []).append(resource)
        return index

    def get(self, kind: str, namespace: str, name: str, *, group: str | None = None) -> Resource | None:
        """The object of that kind and name, or None. The namespace is ignored for kinds without one.

        `group` tells kinds of the same name apart: Gateways of `networking.istio.io` and of
        `gateway.networking.k8s.io`. Without it the oldest object counts.
        """
        found = self._index.get((kind, "" if kind in CLUSTER_SCOPED else namespace, name), ())
        return next((one for one in found if group is None or one.meta.group == group), None)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for resource in self._all:
            counts[resource.meta.kind] = counts.get(resource.meta.kind, 0) + 1
        return f"ResourceSet({', '.join(f'{n} {kind}' for kind, n in sorted(counts.items()))})"
