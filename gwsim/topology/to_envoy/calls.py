"""Filters that call another service or run foreign code, as Envoy's typed configuration."""

from __future__ import annotations

from gwsim.topology import filters
from gwsim.topology.to_envoy.words import Json, any_of, duration, unless

_HTTP = "envoy.extensions.filters.http"
_NETWORK = "envoy.extensions.filters.network"
_FAIL = {"closed": "FAIL_CLOSED", "open": "FAIL_OPEN", "reload": "FAIL_RELOAD"}


def _grpc(cluster: str, timeout_s: float | None = None) -> Json:
    service: Json = {"envoyGrpc": {"clusterName": cluster}}
    return service if timeout_s is None else {**service, "timeout": duration(timeout_s)}


def ext_authz(one: filters.ExtAuthz, *, network: bool = False) -> Json:
    """An ExtAuthz; which requests it is asked for is told by the shadow RBAC filter before it."""
    grpc = _grpc(one.cluster, one.timeout_s) if one.protocol == "grpc" or network else None
    if network:
        return any_of(
            f"{_NETWORK}.ext_authz.v3.ExtAuthz",
            statPrefix="tcp.", grpcService=grpc, failureModeAllow=one.fail_open or None, transportApiVersion="V3",
        )  # fmt: skip
    http = None
    if grpc is None:
        uri = {"uri": f"http://{one.cluster}", "cluster": one.cluster, "timeout": duration(one.timeout_s)}
        http = {"serverUri": uri, **({"pathPrefix": one.path_prefix} if one.path_prefix else {})}
    body: Json = {"maxRequestBytes": one.with_body_max_bytes}
    if one.allow_partial_body:
        body["allowPartialMessage"] = True
    return any_of(
        f"{_HTTP}.ext_authz.v3.ExtAuthz",
        grpcService=grpc,
        httpService=http,
        failureModeAllow=one.fail_open or None,
        withRequestBody=body if one.with_body_max_bytes else None,
        statusOnError=unless({"code": one.status_on_error}, {"code": 403}),
        clearRouteCache=one.clear_route_cache or None,
        transportApiVersion="V3",
    )


def ext_proc(one: filters.ExtProc) -> Json:
    """An ExternalProcessor."""
    return any_of(
        f"{_HTTP}.ext_proc.v3.ExternalProcessor",
        grpcService=_grpc(one.cluster),
        failureModeAllow=one.failure_mode_allow or None,
        messageTimeout=duration(one.message_timeout_s),
        processingMode={
            "requestHeaderMode": "SEND" if one.request_headers else "SKIP",
            "responseHeaderMode": "SEND" if one.response_headers else "SKIP",
            "requestBodyMode": "STREAMED" if one.request_body else "NONE",
            "responseBodyMode": "STREAMED" if one.response_body else "NONE",
        },
    )


def rate_limit(one: filters.RateLimit) -> Json:
    """A RateLimit."""
    return any_of(
        f"{_HTTP}.ratelimit.v3.RateLimit",
        domain=one.domain,
        stage=one.stage or None,
        requestType=unless(one.request_type, "both"),
        timeout=duration(one.timeout_s),
        failureModeDeny=one.failure_mode_deny or None,
        rateLimitService={"grpcService": _grpc(one.cluster), "transportApiVersion": "V3"},
        rateLimitedStatus=unless({"code": one.status}, {"code": 429}),
        statusOnError=unless({"code": one.status_on_error}, {"code": 500}),
    )


def lua(one: filters.Lua) -> Json:
    """A Lua script; what the model knows of it is read from its text."""
    return any_of(f"{_HTTP}.lua.v3.Lua", defaultSourceCode={"inlineString": one.source})


def wasm(one: filters.Wasm) -> Json:
    """A Wasm plugin."""
    code = {"remote": {"httpUri": {"uri": one.url, "cluster": "_", "timeout": "30s"}, "sha256": ""}} if one.url else None
    vm: Json = {"runtime": "envoy.wasm.runtime.v8"}
    if code is not None:
        vm["code"] = code
    return any_of(
        f"{_HTTP}.wasm.v3.Wasm",
        config={"name": one.name, "failurePolicy": _FAIL[one.on_failure], "vmConfig": vm},
    )
