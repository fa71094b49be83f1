"""Typed configuration of HTTP and network filters, by message type.

Source: envoyproxy/envoy api/envoy/extensions/filters/{http,network}; Istio's own filters: istio/proxy extensions/.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from gwsim.topology import filters
from gwsim.topology.from_config_dump.access import jwt_authn, rbac
from gwsim.topology.from_config_dump.limits import (
    buffer,
    compressor,
    connection_limit,
    local_rate_limit,
    network_local_rate_limit,
    rate_limit_rule,
    status,
)
from gwsim.topology.from_config_dump.matches import percent
from gwsim.topology.from_config_dump.nodes import TYPE, Node
from gwsim.topology.listeners import HttpFilter, NetworkFilter
from gwsim.topology.routes import FaultAbort, FaultDelay

GRPC_STATUS = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
_CALL = re.compile(r"httpCall\s*\(\s*[\"']([^\"']+)[\"']")


def fault(node: Node) -> tuple[FaultDelay | None, FaultAbort | None]:
    """Delay and abort of an HTTPFault."""
    delay, abort = node.node("delay"), node.node("abort")
    made_delay = made_abort = None
    if delay is not None:
        share = percent(delay.node("percentage"), 0.0)
        made_delay = FaultDelay(percent=share, delay_s=delay.seconds("fixedDelay"))
    if abort is not None:
        number = abort.integer("grpcStatus") if "grpcStatus" in abort else None
        name = "" if number is None else GRPC_STATUS[number] if 0 <= number < len(GRPC_STATUS) else str(number)
        share = percent(abort.node("percentage"), 0.0)
        made_abort = FaultAbort(percent=share, status=abort.integer("httpStatus"), grpc_status=name)
    return made_delay, made_abort


def _fault_filter(node: Node) -> filters.Fault:
    delay, abort = fault(node)
    return filters.Fault(delay=delay, abort=abort)


def _stats(node: Node) -> filters.IstioStats:
    node.ignore("disableHostHeaderFallback", "tcpReportingDuration", "reporter", "definitions")
    disabled: list[str] = []
    tags = 0
    for metric in node.nodes("metrics"):
        if metric.flag("drop"):
            disabled.append(metric.text("name"))
        else:
            dimensions = metric.raw("dimensions")
            tags += len(dimensions) if isinstance(dimensions, dict) else 0
    return filters.IstioStats(disabled=tuple(disabled), tags=tags)


def _quiet(make: Callable[[], Any]) -> Callable[[Node], Any]:
    """A filter that costs time and decides nothing: whatever it is told."""

    def read(node: Node) -> Any:
        node.ignore_all()
        return make()

    return read


def _grpc_cluster(node: Node | None) -> tuple[str, float | None]:
    """The cluster and time limit of a GrpcService."""
    if node is None:
        return "", None
    inner = node.node("envoyGrpc")
    return (inner.text("clusterName") if inner is not None else ""), node.maybe_seconds("timeout")


def _ext_authz(node: Node) -> filters.ExtAuthz:
    node.ignore("transportApiVersion", "filterEnabledMetadata")
    grpc, http, body = node.node("grpcService"), node.node("httpService"), node.node("withRequestBody")
    cluster, timeout_s = _grpc_cluster(grpc)
    prefix = ""
    if http is not None:
        uri = http.node("serverUri")
        prefix = http.text("pathPrefix")
        if uri is not None:
            uri.ignore("uri")
            cluster, timeout_s = uri.text("cluster"), uri.maybe_seconds("timeout")
    return filters.ExtAuthz(
        cluster=cluster,
        protocol="http" if http is not None else "grpc",
        timeout_s=0.2 if timeout_s is None else timeout_s,
        fail_open=node.flag("failureModeAllow"),
        status_on_error=status(node.node("statusOnError"), 403),
        path_prefix=prefix,
        with_body_max_bytes=body.integer("maxRequestBytes") if body is not None else 0,
        allow_partial_body=body is not None and body.flag("allowPartialMessage"),
        clear_route_cache=node.flag("clearRouteCache"),
    )


def _ext_proc(node: Node) -> filters.ExtProc:
    cluster, _ = _grpc_cluster(node.node("grpcService"))
    mode = node.node("processingMode")

    def sent(name: str, default: str) -> bool:
        value = mode.text(name, default) if mode is not None else default
        return value not in ("SKIP", "NONE")

    return filters.ExtProc(
        cluster=cluster,
        message_timeout_s=node.seconds("messageTimeout", 0.2),
        failure_mode_allow=node.flag("failureModeAllow"),
        request_headers=sent("requestHeaderMode", "SEND"),
        response_headers=sent("responseHeaderMode", "SEND"),
        request_body=sent("requestBodyMode", "NONE"),
        response_body=sent("responseBodyMode", "NONE"),
    )


def _rate_limit(node: Node) -> filters.RateLimit:
    service = node.node("rateLimitService")
    if service is not None:
        service.ignore("transportApiVersion")
    cluster, _ = _grpc_cluster(service.node("grpcService") if service is not None else None)
    kind = node.text("requestType", "both")
    return filters.RateLimit(
        domain=node.text("domain"),
        cluster=cluster,
        timeout_s=node.seconds("timeout", 0.02),
        failure_mode_deny=node.flag("failureModeDeny"),
        status=status(node.node("rateLimitedStatus"), 429),
        status_on_error=status(node.node("statusOnError"), 500),
        stage=node.integer("stage"),
        request_type=cast(Any, kind if kind in ("internal", "external") else "both"),
    )


def lua_source(node: Node) -> str:
    """The script of a Lua filter, wherever it stands."""
    source = node.node("defaultSourceCode") or node.node("sourceCode")
    return (source.text("inlineString") if source is not None else "") or node.text("inlineCode")


def _lua(node: Node) -> filters.Lua:
    text = lua_source(node)
    calls = tuple(filters.LuaCall(cluster=name) for name in dict.fromkeys(_CALL.findall(text)))
    return filters.Lua(
        source=text,
        on_request="envoy_on_request" in text,
        on_response="envoy_on_response" in text,
        reads_body=":body(" in text or ":bodyChunks(" in text,
        may_respond=":respond(" in text,
        calls=calls,
    )


def _wasm(node: Node) -> filters.Wasm:
    config = node.node("config")
    if config is None:
        return filters.Wasm(name="")
    policy = config.text("failurePolicy", "FAIL_CLOSED").removeprefix("FAIL_").lower()
    url = ""
    machine = config.node("vmConfig")
    if machine is not None:
        machine.ignore_all()
        text = re.search(r"['\"]uri['\"]: ['\"]([^'\"]+)", str(machine.value))
        url = text[1] if text else ""
    on_failure = policy if policy in ("open", "reload") or not config.flag("failOpen") else "open"
    config.ignore("configuration", "rootId", "failOpen")
    return filters.Wasm(name=config.text("name"), url=url, on_failure=cast(Any, on_failure if on_failure in ("open", "reload") else "closed"))


_HTTP = "envoy.extensions.filters.http"
_NETWORK = "envoy.extensions.filters.network"
_READERS: dict[str, Callable[[Node], Any]] = {
    "io.istio.http.peer_metadata.Config": _quiet(filters.MetadataExchange),
    f"{_HTTP}.grpc_stats.v3.FilterConfig": _quiet(filters.GrpcStats),
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig": _quiet(filters.Alpn),
    "stats.PluginConfig": _stats,
    f"{_HTTP}.grpc_web.v3.GrpcWeb": _quiet(filters.GrpcWeb),
    f"{_HTTP}.fault.v3.HTTPFault": _fault_filter,
    f"{_HTTP}.cors.v3.Cors": _quiet(filters.CorsFilter),
    f"{_HTTP}.rbac.v3.RBAC": rbac,
    f"{_HTTP}.jwt_authn.v3.JwtAuthentication": jwt_authn,
    f"{_HTTP}.ext_authz.v3.ExtAuthz": _ext_authz,
    f"{_HTTP}.ext_proc.v3.ExternalProcessor": _ext_proc,
    f"{_HTTP}.local_ratelimit.v3.LocalRateLimit": local_rate_limit,
    f"{_HTTP}.ratelimit.v3.RateLimit": _rate_limit,
    f"{_HTTP}.lua.v3.Lua": _lua,
    f"{_HTTP}.wasm.v3.Wasm": _wasm,
    f"{_HTTP}.compressor.v3.Compressor": compressor,
    f"{_HTTP}.buffer.v3.Buffer": buffer,
    f"{_NETWORK}.rbac.v3.RBAC": rbac,
    f"{_NETWORK}.ext_authz.v3.ExtAuthz": _ext_authz,
    f"{_NETWORK}.connection_limit.v3.ConnectionLimit": connection_limit,
    f"{_NETWORK}.local_ratelimit.v3.LocalRateLimit": network_local_rate_limit,
    f"{_NETWORK}.wasm.v3.Wasm": _wasm,
}
_BY_NAME = {
    filters.METADATA_EXCHANGE: filters.MetadataExchange, filters.ALPN: filters.Alpn, filters.ISTIO_STATS: filters.IstioStats,
    filters.CORS: filters.CorsFilter, filters.FAULT: filters.Fault, filters.GRPC_STATS: filters.GrpcStats,
}  # fmt: skip
"""Filters that may come without a configuration."""


def config_of(node: Node, name: str, *, path: str) -> Any:
    """The configuration of a filter; one that the model does not have is listed."""
    reader = _READERS.get(node.type)
    if reader is not None:
        return reader(node)
    if node.type.startswith("google.protobuf") and name in _BY_NAME:
        return _BY_NAME[name]()
    node.ignore_all()
    node.source.not_modelled(path, f"filter {name} ({node.type or 'no type'})")
    return filters.Unmodelled(type=str(node.value.get(TYPE, "")))


def http_filters(nodes: list[Node]) -> tuple[HttpFilter, ...]:
    """The filters of a connection manager in order; the router goes without saying."""
    found: list[HttpFilter] = []
    for node in nodes:
        name = node.text("name")
        if name == filters.ROUTER:
            node.ignore_all()
            continue
        found.append(HttpFilter(name=name, config=_config(node, name)))
    return tuple(found)


def _config(node: Node, name: str) -> Any:
    inner = node.typed()
    if inner is not None:
        return config_of(inner, name, path=node.path)
    if "configDiscovery" in node:
        node.ignore("configDiscovery")
        node.source.not_modelled(node.path, f"filter {name} is configured by discovery (ECDS)")
        return filters.Unmodelled()
    return _BY_NAME[name]() if name in _BY_NAME else filters.Unmodelled()


def network_filter(node: Node) -> NetworkFilter:
    """A network filter before the last one."""
    name = node.text("name")
    return NetworkFilter(name=name, config=_config(node, name))


_DISABLED = "envoy.config.route.v3.FilterConfig"


def on_route(node: Node, name: str) -> Any:
    """The configuration of a filter for one route or virtual host; None when it says nothing."""
    if node.type == _DISABLED:
        if node.flag("disabled"):
            return filters.Disabled()
        inner = node.typed("config")
        return on_route(inner, name) if inner is not None else None
    if node.type == f"{_HTTP}.rbac.v3.RBACPerRoute":
        inner = node.node("rbac")
        return rbac(inner) if inner is not None else filters.Disabled()
    if node.type == f"{_HTTP}.buffer.v3.BufferPerRoute":
        inner = node.node("buffer")
        return buffer(inner) if inner is not None else filters.Disabled()
    if node.type == f"{_HTTP}.lua.v3.LuaPerRoute":
        return filters.Disabled() if node.flag("disabled") else _lua(node)
    if node.flag("disabled"):
        return filters.Disabled()
    return config_of(node, name, path=node.path)


def rate_limit_rules(node: Node) -> tuple[filters.RateLimitRule, ...]:
    """`rateLimits` of a route action or a virtual host."""
    return tuple(rate_limit_rule(one) for one in node.nodes("rateLimits"))
