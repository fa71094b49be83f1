"""Endpoints that the files list themselves: EndpointSlices and Endpoints of Services.

Source: istio/istio pilot/pkg/serviceregistry/kube/controller/endpointslice.go. Services without a selector have no
others; of Services whose pods are in the files the pods count, because the lists say less of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gwsim.resources.models import (
    EndpointSlice,
    Service,
    ServicePort,
    SliceEndpoint,
    SlicePort,
    SubsetAddress,
)
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.registry import Host
from gwsim.topology.upstream import Endpoint, Locality


@dataclass(frozen=True, slots=True)
class _Listed:
    address: str
    port: int
    pod: str
    zone: str
    ready: bool


def listed_endpoints(ctx: Context, host: Host, service: Service, port: ServicePort) -> tuple[Endpoint, ...] | None:
    """The listed endpoints of a Service's port; those not ready only where istiod sends them (from 1.31).

    None when the files hold no list for the Service.
    """
    if not has_list(ctx, service):
        return None
    found = dict.fromkeys([*_of_slices(ctx, service, port), *_of_endpoints(ctx, service, port)])
    return tuple(
        Endpoint(
            address=one.address,
            port=one.port,
            locality=Locality(region=ctx.regions.get(one.zone, ""), zone=one.zone),
            labels=dict(service.selector),
            workload=f"{service.namespace}/{service.name}",
            pod=one.pod,
            network=ctx.network,
            cluster=ctx.cluster,
            mtls_known=False,
            healthy=one.ready,
        )
        for one in found
        if one.ready or ctx.rules.unhealthy_endpoints_sent
    )


def has_list(ctx: Context, service: Service) -> bool:
    """Whether the files list endpoints of the Service. An object without the list is one that is filled elsewhere."""
    named = (service.namespace, service.name)
    return any(
        (one.namespace, one.service) == named and one.endpoints is not None for one in ctx.registry.endpoint_slices
    ) or any((one.namespace, one.name) == named and one.subsets is not None for one in ctx.registry.endpoints)


def _of_slices(ctx: Context, service: Service, port: ServicePort) -> Iterator[_Listed]:
    for slice_ in ctx.registry.endpoint_slices:
        if slice_.namespace == service.namespace and slice_.service == service.name:
            yield from _of_slice(slice_, port)


def _of_slice(slice_: EndpointSlice, port: ServicePort) -> Iterator[_Listed]:
    for number in _numbers(slice_.ports, port):
        for one in slice_.endpoints or ():
            if one.addresses:
                yield _Listed(one.addresses[0], number, _pod(one, one.addresses[0]), one.zone or "", one.conditions.ready is not False)


def _of_endpoints(ctx: Context, service: Service, port: ServicePort) -> Iterator[_Listed]:
    for endpoints in ctx.registry.endpoints:
        if (endpoints.namespace, endpoints.name) != (service.namespace, service.name):
            continue
        for subset in endpoints.subsets or ():
            for number in _numbers(subset.ports, port):
                for ready, addresses in ((True, subset.addresses), (False, subset.not_ready_addresses)):
                    for one in addresses:
                        yield _Listed(one.ip, number, _pod(one, one.ip), "", ready)


def _numbers(ports: tuple[SlicePort, ...], port: ServicePort) -> list[int]:
    """Numbers of the listed ports that are this port of the Service: those of its name."""
    return [one.port for one in ports if one.port and one.protocol == port.protocol and (one.name or "") == (port.name or "")]


def _pod(endpoint: SliceEndpoint | SubsetAddress, address: str) -> str:
    ref = endpoint.target_ref
    return ref.name if ref is not None and ref.kind == "Pod" and ref.name else address
