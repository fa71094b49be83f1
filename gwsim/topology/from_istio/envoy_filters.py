"""Patches of EnvoyFilters on the listeners, routes and clusters of a workload.

Filters that limit, authorize, script, compress or buffer are recognised, with their configuration of routes and virtual
hosts; all else is reported as not modelled, with its line. A patch that nothing matches changes nothing, as in Istio.
Source: istio/istio pilot/pkg/networking/core/envoyfilter/{listener_patch,rc_patch,cluster_patch}.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gwsim.topology import filters as f
from gwsim.topology.from_config_dump.clusters import cluster as cluster_of
from gwsim.topology.from_config_dump.filters import (
    http_filters,
    network_filter,
    on_route,
    rate_limit_rules,
)
from gwsim.topology.from_config_dump.nodes import Node
from gwsim.topology.from_istio.attachment import Attached
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.envoy_patches import (
    BoundPatch,
    chain_fits,
    host_fits,
    http_filter_name,
    listener_fits,
    main_filter,
    network_filter_name,
    patches_for,
    route_fits,
    routes_fit,
)
from gwsim.topology.from_istio.envoy_values import merged, reading
from gwsim.topology.from_istio.manager_patches import patched_manager
from gwsim.topology.listeners import FilterChain, HttpConnectionManager, HttpFilter, Listener, NetworkFilter
from gwsim.topology.routes import Forward, Route, RouteConfiguration, VirtualHost
from gwsim.topology.upstream import Cluster, Locality

_MODELLED = frozenset({"HTTP_FILTER", "NETWORK_FILTER", "ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE", "CLUSTER"})
_INSERTS = ("INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "ADD")


@dataclass(slots=True)
class _Entry:
    """A filter in a chain, with the value it was made of when a patch brought it (None: istiod's)."""

    name: str
    filter: Any
    value: dict[str, Any] | None = None
    patch: BoundPatch | None = None


class Patcher:
    """Applies the patches for one workload."""

    def __init__(self, ctx: Context, workload: Attached, *, context: str = "GATEWAY") -> None:
        self.ctx = ctx
        self.patches = patches_for(ctx, ctx.policies.envoy_filters, workload, context)
        ctx.policies.use(one.source for one in self.patches)

    def of(self, target: str) -> list[BoundPatch]:
        """The patches of one kind of thing, in order."""
        return [one for one in self.patches if one.config.apply_to == target]

    def listeners(self, listeners: tuple[Listener, ...]) -> tuple[Listener, ...]:
        """The listeners after all patches, whose shortcomings are reported."""
        made = tuple(self._listener(one) for one in listeners) if self.patches else listeners
        for patch in self.patches:
            if patch.config.apply_to not in _MODELLED:
                self._not_modelled(patch, f"patches of {patch.config.apply_to} have no effect in the model", "applyTo")
            elif not patch.applied and listeners:
                self._without_effect(patch)
        return made

    def clusters(self, clusters: Mapping[str, Cluster]) -> dict[str, Cluster]:
        """The clusters with those that patches add; other changes of clusters are not modelled."""
        made = dict(clusters)
        for patch in self.of("CLUSTER"):
            patch.applied = True
            if patch.operation == "ADD":
                with reading(self.ctx, patch.source, f"{patch.path}.patch.value", patch.value) as node:
                    added = cluster_of(node, None, Locality())
                made[added.name] = replace(added, origin=patch.source.span_of(patch.path))
            else:
                self._not_modelled(patch, f"{patch.operation} of a cluster has no effect in the model", "patch.operation")
        return made

    def _listener(self, listener: Listener) -> Listener:
        return replace(listener, filter_chains=tuple(self._chain(listener, one) for one in listener.filter_chains))

    def _chain(self, listener: Listener, chain: FilterChain) -> FilterChain:
        chain = self._network_filters(listener, chain)
        manager = chain.filter
        if not isinstance(manager, HttpConnectionManager):
            return chain
        chain_patches = [
            one
            for one in self.of("HTTP_FILTER")
            if listener_fits(one, listener) and chain_fits(one, chain) and network_filter_name(one) in (None, main_filter(chain))
        ]
        for patch in self.of("NETWORK_FILTER"):
            fits = listener_fits(patch, listener) and chain_fits(patch, chain)
            if patch.operation == "MERGE" and fits and network_filter_name(patch) in (None, main_filter(chain)):
                patch.applied = True
                manager = patched_manager(self.ctx, patch, manager)
        configuration = self._routes(listener, manager.route_config)
        filters = self._http_filters(chain_patches, manager.http_filters) if chain_patches else manager.http_filters
        return replace(chain, filter=replace(manager, http_filters=filters, route_config=configuration))

    # --- filters -----------------------------------------------------------------------------------------------

    def _network_filters(self, listener: Listener, chain: FilterChain) -> FilterChain:
        entries = [_Entry(one.name, one) for one in chain.network_filters]
        last = _Entry(main_filter(chain), chain.filter)
        entries.append(last)
        for patch in self.of("NETWORK_FILTER"):
            if patch.operation != "MERGE" and listener_fits(patch, listener) and chain_fits(patch, chain):
                self._change(entries, patch, network_filter_name(patch), last)
        made: list[NetworkFilter] = []
        for one in entries:
            if one is last:
                break
            if one.patch is not None:
                with reading(self.ctx, one.patch.source, f"{one.patch.path}.patch.value", one.value) as node:
                    one.filter = network_filter(node)
                one.filter = replace(one.filter, origin=one.patch.source.span_of(one.patch.path))
            made.append(one.filter)
        return replace(chain, network_filters=tuple(made)) if tuple(made) != chain.network_filters else chain

    def _http_filters(self, patches: list[BoundPatch], before: tuple[HttpFilter, ...]) -> tuple[HttpFilter, ...]:
        entries = [_Entry(one.name, one) for one in before]
        last = _Entry(f.ROUTER, None)
        entries.append(last)
        for patch in patches:
            if patch.operation != "MERGE":
                self._change(entries, patch, http_filter_name(patch), last)
        for patch in patches:
            if patch.operation == "MERGE":
                self._merge(entries, patch)
        return tuple(self._made(one) for one in entries if one is not last)

    def _made(self, entry: _Entry) -> HttpFilter:
        if entry.patch is None:
            return entry.filter  # type: ignore[no-any-return]
        with reading(self.ctx, entry.patch.source, f"{entry.patch.path}.patch.value", entry.value) as node:
            found = http_filters([node])
        origin = entry.patch.source.span_of(entry.patch.path)
        return replace(found[0], origin=origin) if found else HttpFilter(name=entry.name, origin=origin)

    def _change(self, entries: list[_Entry], patch: BoundPatch, name: str | None, last: _Entry) -> None:
        """Insert, replace or remove; only the first filter of the name counts for inserts."""
        operation = patch.operation
        at = next((n for n, one in enumerate(entries) if one.name == name), None) if name is not None else None
        if operation == "REMOVE":
            kept = [one for one in entries if name is None or one.name != name or one is last]
            patch.applied = patch.applied or len(kept) < len(entries)
            entries[:] = kept
            return
        new = _Entry(str(patch.value.get("name", "")), None, patch.value, patch)
        if operation == "REPLACE":
            if at is not None and entries[at] is not last:
                entries[at], patch.applied = new, True
            return
        if operation not in _INSERTS:
            return
        if operation == "INSERT_FIRST":
            position: int | None = 0
        elif operation == "ADD":
            position = len(entries)
        elif name is None:
            position = 0 if operation == "INSERT_BEFORE" else len(entries)
        else:
            position = None if at is None else at + (operation == "INSERT_AFTER")
        if position is None:
            return
        patch.applied = True
        if position > entries.index(last):
            self._breaks(patch, last.name)
            return
        entries.insert(position, new)

    def _merge(self, entries: list[_Entry], patch: BoundPatch) -> None:
        name = http_filter_name(patch)
        for one in entries:
            if name is not None and one.name != name:
                continue
            patch.applied = True
            if one.value is None:
                self._not_modelled(patch, f"changes of Istio's own filter {one.name} have no effect in the model", "patch.value")
                if name is None:
                    return
                continue
            one.value = merged(one.value, patch.value)
            one.name = str(one.value.get("name", one.name))

    # --- routes ------------------------------------------------------------------------------------------------

    def _routes(self, listener: Listener, routes: RouteConfiguration) -> RouteConfiguration:
        own = {
            target: [one for one in self.of(target) if routes_fit(one, routes, listener)]
            for target in ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")
        }
        if not any(own.values()):
            return routes
        shared: dict[str, f.HttpConfig] = {}
        for patch in own["ROUTE_CONFIGURATION"]:
            patch.applied = True
            if self._is_merge(patch):
                with self._value(patch) as node:
                    shared |= _per_filter(node)
        hosts = [self._host(own["VIRTUAL_HOST"], own["HTTP_ROUTE"], one, shared) for one in routes.virtual_hosts]
        return replace(routes, virtual_hosts=tuple(one for one in hosts if one is not None))

    def _host(
        self, patches: list[BoundPatch], routes: list[BoundPatch], host: VirtualHost, shared: dict[str, f.HttpConfig]
    ) -> VirtualHost | None:
        configs, limits = {**shared, **host.filter_config}, host.rate_limits
        for patch in patches:
            if not host_fits(patch, host):
                continue
            patch.applied = True
            if patch.operation == "REMOVE":
                return None
            if self._is_merge(patch):
                with self._value(patch) as node:
                    limits += rate_limit_rules(node)
                    configs |= _per_filter(node)
        mine = [one for one in routes if host_fits(one, host)]
        made = tuple(found for one in host.routes if (found := self._route(mine, one)) is not None)
        return replace(host, filter_config=configs, rate_limits=limits, routes=made)

    def _route(self, patches: list[BoundPatch], route: Route) -> Route | None:
        for patch in patches:
            if not route_fits(patch, route):
                continue
            patch.applied = True
            if patch.operation == "REMOVE":
                return None
            if self._is_merge(patch):
                with self._value(patch) as node:
                    route = _patched_route(node, route)
        return route

    # --- reports -----------------------------------------------------------------------------------------------

    def _value(self, patch: BoundPatch) -> Any:
        return reading(self.ctx, patch.source, f"{patch.path}.patch.value", patch.value)

    def _is_merge(self, patch: BoundPatch) -> bool:
        if patch.operation == "MERGE":
            return True
        target = patch.config.apply_to
        self._not_modelled(patch, f"{patch.operation} on {target} has no effect in the model", "patch.operation")
        return False

    def _not_modelled(self, patch: BoundPatch, what: str, field: str) -> None:
        self.ctx.find("NOT_MODELLED", f"{patch.source.ref}: {what}", patch.source, f"{patch.path}.{field}")

    def _without_effect(self, patch: BoundPatch) -> None:
        target = patch.config.apply_to.lower().replace("_", " ")
        self.ctx.find(
            "PATCH_WITHOUT_EFFECT",
            f"{patch.source.ref}: {patch.operation} finds no {target} that it matches, so it changes nothing",
            patch.source,
            f"{patch.path}.match",
        )

    def _breaks(self, patch: BoundPatch, last: str) -> None:
        self.ctx.find(
            "PATCH_BREAKS",
            f"{patch.source.ref}: {patch.operation} puts a filter behind {last}, which must be the last; Envoy refuses the listener",
            patch.source,
            f"{patch.path}.patch.operation",
            help="use INSERT_BEFORE with a match of the last filter, or INSERT_FIRST",
        )


def _per_filter(node: Node) -> dict[str, f.HttpConfig]:
    """Configuration of filters for one route or virtual host, by the filters' names."""
    found = {name: on_route(typed, name) for name, typed in node.entries("typedPerFilterConfig")}
    return {name: config for name, config in found.items() if config is not None}


def _patched_route(node: Node, route: Route) -> Route:
    """Rate limits, filter configuration and the timeout of a route."""
    configs = {**route.filter_config, **_per_filter(node)}
    inner, action, limits, include = node.node("route"), route.action, route.rate_limits, route.include_vh_rate_limits
    if inner is not None:
        limits += rate_limit_rules(inner)
        vhost = inner.node("includeVhRateLimits")
        include = include or (vhost.flag("value") if vhost is not None else False)
        timeout_s = inner.maybe_seconds("timeout")
        if timeout_s is not None and isinstance(action, Forward):
            action = replace(action, timeout_s=timeout_s)
    return replace(route, filter_config=configs, rate_limits=limits, include_vh_rate_limits=include, action=action)
