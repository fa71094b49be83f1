"""Which EnvoyFilters are for a workload, and what their patches match.

Sources: istio/istio pilot/pkg/model/push_context.go (`EnvoyFilters`),
pilot/pkg/networking/core/envoyfilter/{listener_patch,rc_patch,cluster_patch}.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import re2

from gwsim.resources.models import ConfigPatch, EnvoyFilter
from gwsim.topology.from_istio.attachment import Attached
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.registry import contains
from gwsim.topology.listeners import FilterChain, HttpConnectionManager, Listener
from gwsim.topology.routes import DirectResponse, Forward, Redirect, Route, RouteConfiguration, VirtualHost

MANAGER = "envoy.filters.network.http_connection_manager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"
OLD_NAMES = {"envoy.http_connection_manager": MANAGER, "envoy.tcp_proxy": TCP_PROXY, "envoy.router": "envoy.filters.http.router"}
"""Names of filters that Istio's validation still warns about; istiod no longer takes them for the new ones."""
_HTTPS_NAME = re.compile(r"https\.(\d+)\.([^.]*)\.([^.]+)\.([^.]+)")


@dataclass(slots=True, eq=False)
class BoundPatch:
    """A patch of an EnvoyFilter that is for the workload; `applied` once something matched it."""

    source: EnvoyFilter
    position: int
    config: ConfigPatch
    applied: bool = False

    @property
    def path(self) -> str:
        """Where the patch stands in its object."""
        return f"configPatches[{self.position}]"

    @property
    def operation(self) -> str:
        """What it does."""
        return self.config.patch.operation if self.config.patch else "INVALID"

    @property
    def value(self) -> Any:
        """Its value, as plain data."""
        value = self.config.patch.value if self.config.patch else None
        return value if isinstance(value, dict) else {}


def patches_for(ctx: Context, filters: Iterable[EnvoyFilter], workload: Attached, context: str) -> list[BoundPatch]:
    """The patches for a workload in istiod's order: by priority, root namespace first, then by age."""
    rank = {namespace: n for n, namespace in enumerate(workload.namespaces)}
    chosen = [one for one in filters if one.namespace in rank and _selects(one, workload)]
    chosen.sort(
        key=lambda one: (one.priority, rank[one.namespace], one.meta.creation_timestamp or "", f"{one.name}.{one.namespace}")
    )
    return [
        BoundPatch(source, position, config)
        for source in chosen
        for position, config in enumerate(source.config_patches)
        if config.match.context in ("ANY", context) and _version_fits(ctx, config)
    ]


def _selects(source: EnvoyFilter, workload: Attached) -> bool:
    """By labels; target references name Gateway API Gateways."""
    if source.target_refs:
        wanted = ("gateway.networking.k8s.io", "Gateway", workload.gateway_name)
        own = source.namespace == workload.namespace
        return own and any((ref.group, ref.kind, ref.name) == wanted for ref in source.target_refs)
    return source.workload_selector is None or contains(workload.labels, source.workload_selector.labels)


def _version_fits(ctx: Context, config: ConfigPatch) -> bool:
    proxy = config.match.proxy
    if proxy is None or not proxy.proxy_version:
        return True
    try:
        return re2.search(proxy.proxy_version, f"{ctx.rules.version}.0") is not None
    except re2.error:
        return False


def listener_fits(patch: BoundPatch, listener: Listener) -> bool:
    """By name and by the port listened on."""
    match = patch.config.match.listener
    if match is None:
        return True
    return match.name in ("", listener.name) and match.port_number in (None, 0, listener.port)


def chain_fits(patch: BoundPatch, chain: FilterChain) -> bool:
    """By what the chain matches, all of it as written."""
    match = patch.config.match.listener.filter_chain if patch.config.match.listener else None
    if match is None:
        return True
    own = chain.match
    wanted = [one.strip() for one in match.application_protocols.split(",") if one.strip()]
    return (
        match.name in ("", chain.name)
        and (not match.sni or match.sni in own.server_names)
        and match.transport_protocol in ("", own.transport_protocol)
        and all(one in own.application_protocols for one in wanted)
        and match.destination_port in (None, 0, own.destination_port)
    )


def network_filter_name(patch: BoundPatch) -> str | None:
    """The network filter a patch names; None: it names none."""
    listener = patch.config.match.listener
    found = listener.filter_chain.filter if listener is not None and listener.filter_chain is not None else None
    return found.name if found is not None else None


def http_filter_name(patch: BoundPatch) -> str | None:
    """The HTTP filter a patch names; None: it names none."""
    listener = patch.config.match.listener
    found = listener.filter_chain.filter if listener is not None and listener.filter_chain is not None else None
    return found.sub_filter.name if found is not None and found.sub_filter is not None else None


def main_filter(chain: FilterChain) -> str:
    """Envoy's name of the filter that a chain ends in."""
    return MANAGER if isinstance(chain.filter, HttpConnectionManager) else TCP_PROXY


def routes_fit(patch: BoundPatch, routes: RouteConfiguration, listener: Listener) -> bool:
    """By the declared Gateway port, the port's name and the Gateway, as the name of the routes tells them."""
    match = patch.config.match.route_configuration
    if match is None:
        return True
    ports, port_name, gateway = _identity(routes.name, listener)
    return (
        (not match.port_number or match.port_number in ports)
        and match.port_name in ("", port_name)
        and match.gateway in ("", gateway)
        and match.name in ("", routes.name)
    )


def _identity(name: str, listener: Listener) -> tuple[tuple[int, ...], str, str]:
    found = _HTTPS_NAME.match(name)
    if found is None:
        return listener.declared_ports or (listener.port,), "", ""
    return (int(found[1]),), found[2], f"{found[4]}/{found[3]}"


def host_fits(patch: BoundPatch, host: VirtualHost) -> bool:
    """By the name of the virtual host."""
    match = patch.config.match.route_configuration
    vhost = match.vhost if match is not None else None
    if vhost is None:
        return True
    return vhost.name in ("", host.name) and (not vhost.domain_name or vhost.domain_name in host.domains)


def route_fits(patch: BoundPatch, route: Route) -> bool:
    """By the name of the route and what it does."""
    match = patch.config.match.route_configuration
    wanted = match.vhost.route if match is not None and match.vhost is not None else None
    if wanted is None:
        return True
    kinds = {"ROUTE": Forward, "REDIRECT": Redirect, "DIRECT_RESPONSE": DirectResponse}
    kind = kinds.get(wanted.action)
    return wanted.name in ("", route.name) and (kind is None or isinstance(route.action, kind))
