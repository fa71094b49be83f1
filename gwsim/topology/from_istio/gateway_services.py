"""Services in front of a gateway that are written as ServiceEntries, and Gateways bound to Services by name.

A ServiceEntry maps ports like a Service when its endpoints are the gateway's pods. istiod knows that from their
addresses; in files it is told by their labels, by a host named after the workload, or by a Gateway that names the host.
Source: istio/istio pilot/pkg/model/push_context.go `mergeGateways`, pilot/pkg/model/gateway.go `resolvePorts`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gwsim.resources.models import Gateway, ServiceEntry
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.hosts import service_host
from gwsim.topology.from_istio.registry import contains
from gwsim.topology.model import ProxyService, ProxyServicePort

BOUND_SERVICE = "internal.istio.io/gateway-service"
"""Annotation of Gateways that istiod makes itself: hosts of the Services that they are bound to, with commas."""
NO_TRANSLATION_LABEL = "experimental.istio.io/disable-gateway-port-translation"


def bound_hosts(gateway: Gateway) -> tuple[str, ...]:
    """Hosts of the Services a Gateway is bound to; empty for one that selects pods."""
    text = gateway.meta.annotations.get(BOUND_SERVICE, "")
    return tuple(part.strip() for part in text.split(",") if part.strip())


def entries_in_front(ctx: Context, name: str, namespace: str, labels: Mapping[str, str]) -> list[ProxyService]:
    """The ServiceEntries of the workload's namespace whose endpoints are its pods."""
    named = {host for gateway in ctx.registry.gateways for host in bound_hosts(gateway)} | {service_host(name, namespace)}
    return [
        _proxy_service(entry, host)
        for entry in ctx.registry.service_entries
        if entry.namespace == namespace
        for host in entry.hosts
        if host in named or _selects(entry, labels)
    ]


def _selects(entry: ServiceEntry, labels: Mapping[str, str]) -> bool:
    if entry.workload_selector is not None:
        return bool(entry.workload_selector.labels) and contains(labels, entry.workload_selector.labels)
    return any(one.labels and contains(labels, one.labels) for one in entry.endpoints)


def _proxy_service(entry: ServiceEntry, host: str) -> ProxyService:
    return ProxyService(
        name=entry.name,
        namespace=entry.namespace,
        host=host,
        ports=tuple(
            ProxyServicePort(port=port.number, target_port=port.target_port or port.number, name=port.name)
            for port in entry.ports
        ),
        translate_ports=NO_TRANSLATION_LABEL not in entry.meta.labels,
        origin=entry.span,
    )
