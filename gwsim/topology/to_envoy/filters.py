"""HTTP and network filters as Envoy's typed configuration; the larger ones are in `access` and `calls`.

Source: envoyproxy/envoy api/envoy/extensions/filters/{http,network}; Istio's own filters: istio/proxy extensions/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gwsim.topology import filters
from gwsim.topology.listeners import HttpFilter, NetworkFilter
from gwsim.topology.routes import FaultAbort, FaultDelay
from gwsim.topology.to_envoy.access import jwt_authn, rbac
from gwsim.topology.to_envoy.calls import ext_authz, ext_proc, lua, rate_limit, wasm
from gwsim.topology.to_envoy.limits import (
    buffer,
    compressor,
    connection_limit,
    local_rate_limit,
    network_local_rate_limit,
)
from gwsim.topology.to_envoy.words import (
    Json,
    any_of,
    duration,
    extension,
    fraction,
    runtime_fraction,
    without_none,
)

_HTTP = "envoy.extensions.filters.http"
_ROUTER = extension(filters.ROUTER, f"{_HTTP}.router.v3.Router")
GRPC_STATUS = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip


def fault(delay: FaultDelay | None, abort: FaultAbort | None) -> Json:
    """An HTTPFault."""
    return any_of(
        f"{_HTTP}.fault.v3.HTTPFault",
        delay=None if delay is None else {"fixedDelay": duration(delay.delay_s), "percentage": fraction(delay.percent)},
        abort=None if abort is None else _abort(abort),
    )


def _abort(abort: FaultAbort) -> Json:
    share = {"percentage": fraction(abort.percent)}
    if abort.grpc_status:
        name = abort.grpc_status.upper()
        return {"grpcStatus": GRPC_STATUS.index(name) if name in GRPC_STATUS else int(abort.grpc_status), **share}
    return {"httpStatus": abort.status, **share}


def _stats(config: filters.IstioStats) -> Json:
    metrics: list[Json] = [{"name": name, "drop": True} for name in config.disabled]
    if config.tags:
        metrics.append({"dimensions": {f"tag_{n}": "''" for n in range(config.tags)}})
    return any_of("stats.PluginConfig", metrics=metrics or None)


_MESSAGES: dict[type, Callable[[Any], Json]] = {
    filters.MetadataExchange: lambda _: any_of("io.istio.http.peer_metadata.Config"),
    filters.GrpcStats: lambda _: any_of(
        f"{_HTTP}.grpc_stats.v3.FilterConfig", emitFilterState=True, statsForAllMethods=False
    ),
    filters.Alpn: lambda _: any_of("istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig"),
    filters.IstioStats: _stats,
    filters.GrpcWeb: lambda _: any_of(f"{_HTTP}.grpc_web.v3.GrpcWeb"),
    filters.Fault: lambda one: fault(one.delay, one.abort),
    filters.CorsFilter: lambda _: any_of(f"{_HTTP}.cors.v3.Cors"),
    filters.Rbac: rbac,
    filters.JwtAuthn: jwt_authn,
    filters.ExtAuthz: ext_authz,
    filters.ExtProc: ext_proc,
    filters.LocalRateLimit: local_rate_limit,
    filters.RateLimit: rate_limit,
    filters.Lua: lua,
    filters.Wasm: wasm,
    filters.Compressor: compressor,
    filters.Buffer: buffer,
    filters.ConnectionLimit: connection_limit,
    filters.NetworkLocalRateLimit: network_local_rate_limit,
    filters.Disabled: lambda _: any_of("envoy.config.route.v3.FilterConfig", disabled=True),
    filters.Unmodelled: lambda one: {"@type": one.type or "type.googleapis.com/google.protobuf.Struct"},
}


def message(config: object) -> Json:
    """The configuration of a filter as a typed message."""
    return _MESSAGES[type(config)](config)


def http_filters(chain: Iterable[HttpFilter]) -> list[Json]:
    """The filters of a connection manager in order, and the router."""
    return [*({"name": one.name, "typedConfig": message(one.config)} for one in chain), _ROUTER]


def network_filter(one: NetworkFilter) -> Json:
    """A network filter before the last one."""
    fields = message(one.config)
    if isinstance(one.config, filters.Rbac):
        fields = rbac(one.config, network=True)
    elif isinstance(one.config, filters.ExtAuthz):
        fields = ext_authz(one.config, network=True)
    return {"name": one.name, "typedConfig": fields}


def per_filter(config: Mapping[str, object]) -> Json:
    """`typedPerFilterConfig` by filter name."""
    return {name: _on_route(one) for name, one in config.items()}


def _on_route(config: object) -> Json:
    fields = message(config)
    if isinstance(config, filters.Rbac):
        inner = {name: value for name, value in fields.items() if name != "@type"}
        return any_of(f"{_HTTP}.rbac.v3.RBACPerRoute", rbac=inner or None)
    if isinstance(config, filters.Buffer):
        return any_of(f"{_HTTP}.buffer.v3.BufferPerRoute", buffer={"maxRequestBytes": config.max_request_bytes})
    if isinstance(config, filters.Lua):
        return any_of(f"{_HTTP}.lua.v3.LuaPerRoute", sourceCode={"inlineString": config.source})
    return fields


__all__ = [
    "GRPC_STATUS", "fault", "http_filters", "message", "network_filter", "per_filter", "runtime_fraction", "without_none",
]  # fmt: skip
