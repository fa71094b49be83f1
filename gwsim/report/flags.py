"""What Envoy's response flags mean, as seen by whoever runs the gateway.

Source: Envoy's documentation of access logs (command operator %RESPONSE_FLAGS%) and source/common/stream_info/utility.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlagNote:
    """A response flag: its long name, what happened, what is usually behind it, the status clients see."""

    flag: str
    name: str
    meaning: str
    look_at: str
    status: str
    where: str
    """Where gwsim produces it, or why it does not."""


_ROWS = (
    ("DI", "DelayInjected", "a fault filter delayed the request on purpose", "VirtualService http[].fault.delay", "that of the backend"),
    ("FI", "FaultInjected", "a fault filter answered with an error on purpose", "VirtualService http[].fault.abort", "as configured"),
    ("URX", "UpstreamRetryLimitExceeded", "the last retry allowed failed too", "VirtualService http[].retries.attempts, and why the backend fails", "that of the last attempt"),
    ("UF", "UpstreamConnectionFailure", "no connection to the backend could be opened", "endpoints that are not ready, connectTimeout, mutual TLS settings", "503"),
    ("UC", "UpstreamConnectionTermination", "the backend closed the connection before it answered", "a keep-alive time-out of the backend below the gateway's idle time-out", "503"),
    ("UR", "UpstreamRemoteReset", "the backend reset the stream", "crashes, GOAWAY, limits on streams of the backend", "503"),
    ("UT", "UpstreamRequestTimeout", "the route's time-out ended before the backend answered", "VirtualService http[].timeout against the backend's slowest answers", "504"),
    ("UO", "UpstreamOverflow", "a circuit breaker of the cluster refused the request", "DestinationRule connectionPool: maxConnections, http1MaxPendingRequests, http2MaxRequests", "503"),
    ("UH", "NoHealthyUpstream", "the cluster has no endpoint that may be used", "subsets without pods, outlier detection, readiness", "503"),
    ("NR", "NoRouteFound", "no virtual host or route matches the request", "hosts and matches of the VirtualService and the Gateway", "404"),
    ("NC", "NoClusterFound", "the route leads to a cluster that does not exist", "destination host, port and subset", "503"),
    ("RL", "RateLimited", "a rate limit refused the request", "rate limit configuration (EnvoyFilter)", "429"),
    ("RLSE", "RateLimitServiceError", "the rate limit service failed, and requests are refused then", "the rate limit service, failure_mode_deny", "500"),
    ("UAEX", "UnauthorizedExternalService", "the external authorisation service refused the request", "AuthorizationPolicy with a CUSTOM action", "403"),
    ("DT", "DurationTimeout", "the connection was older than its longest duration", "DestinationRule connectionPool.tcp.maxConnectionDuration", "none: the connection is closed"),
    ("SI", "StreamIdleTimeout", "nothing moved on the stream for too long", "stream_idle_timeout, which Istio switches off and EnvoyFilters set; pings and messages that are further apart", "the stream is reset; before it is answered 408, or 504 where the request is complete"),
    ("DC", "DownstreamConnectionTermination", "the client went away before the answer", "client time-outs below the latency of the route", "none: the client has gone"),
)

_SIMULATED = "the simulation counts it"
_ROUTED = "gwsim route and the simulation"
_WHERE = {
    "NR": _ROUTED, "NC": _ROUTED, "UH": _ROUTED, "FI": _ROUTED, "DI": "gwsim route shows the delay", "RL": "the simulation, for rate limits of EnvoyFilters",
    "DT": "the simulation, for byte streams (TCP, TLS that is passed through)", "SI": "the simulation, for WebSockets and gRPC streams", "UT": "the simulation; gwsim route with --backend-delay", "UAEX": "the simulation, for ext_authz filters",
}  # fmt: skip
FLAGS: Mapping[str, FlagNote] = {row[0]: FlagNote(*row, where=_WHERE.get(row[0], _SIMULATED)) for row in _ROWS}
"""Every response flag of the model."""

_NEVER = "never: "
_OTHER_ROWS = (
    ("LH", "FailedLocalHealthCheck", "the service's own health check filter failed the request", "health_check filters in EnvoyFilters; Istio sets none", "503", _NEVER + "Istio sets no such filter"),
    ("LR", "LocalReset", "Envoy itself reset the connection", "reloads of listeners, drains, overload", "503", _NEVER + "configuration does not change during a run"),
    ("DR", "DownstreamRemoteReset", "the client reset the stream", "browsers that cancel, HTTP/2 clients with short deadlines", "none: the client has gone", _NEVER + "clients that give up close their connection (DC)"),
    ("RLSE", "RateLimitServiceError", "the rate limit service did not answer", "the service behind envoy.filters.http.ratelimit, its timeout and failure_mode_deny", "500 where failure_mode_deny is set", "the simulation, for global rate limits"),
    ("IH", "InvalidEnvoyRequestHeaders", "a header of Envoy's own had a value that is not allowed", "x-envoy-* headers set by clients or EnvoyFilters", "400", _NEVER + "such headers are not checked"),
    ("DPE", "DownstreamProtocolError", "the client broke the protocol", "HTTP/1.1 sent to an HTTP/2 port, TLS to a plaintext one, HTTP/1.0 where it is not accepted", "400, 426", _NEVER + "clients keep to their protocol"),
    ("UPE", "UpstreamProtocolError", "the backend broke the protocol", "HTTP/2 to a backend that speaks HTTP/1.1: the Service port's name or h2UpgradePolicy", "502", _NEVER + "backends are taken to speak what their port says"),
    ("UMSDR", "UpstreamMaxStreamDurationReached", "the stream to the backend was older than its longest duration", "max_stream_duration in EnvoyFilters", "504", _NEVER + "durations are not limited in the model"),
    ("RFCF", "ResponseFromCacheFilter", "a cache answered", "the cache filter in EnvoyFilters", "as cached", _NEVER + "caches are not modelled"),
    ("NFCF", "NoFilterConfigFound", "a filter's configuration did not arrive in time", "WasmPlugin modules that cannot be fetched, with failStrategy FAIL_CLOSE", "500", _NEVER + "modules are taken to be loaded"),
    ("OM", "OverloadManagerTerminated", "the overload manager refused the request", "memory limits of the proxy", "503", _NEVER + "memory is not limited in the model"),
    ("DF", "DnsResolutionFailed", "the name of the destination could not be resolved", "ServiceEntry resolution DYNAMIC_DNS, dynamic forward proxies", "503", _NEVER + "names are taken to resolve"),
    ("DO", "DropOverload", "the control plane asked for some requests to be dropped", "drop_overloads of the endpoints; istiod sends none", "503", _NEVER + "istiod asks for none"),
    ("UDO", "UnconditionalDropOverload", "the control plane asked for all requests to be dropped", "drop_overloads of the endpoints; istiod sends none", "503", _NEVER + "istiod asks for none"),
)  # fmt: skip

EVERY_FLAG: Mapping[str, FlagNote] = {**FLAGS, **{row[0]: FlagNote(*row) for row in _OTHER_ROWS}}
"""Every response flag that Envoy documents."""


NO_ANSWER = "no answer"
"""What is printed for status 0."""


def meaning_of(name: str) -> str:
    """What a response flag or a status means, in a few words; `0` is no answer: a client's own time-out, or a reset."""
    if name in FLAGS:
        return FLAGS[name].meaning
    if name == "0":
        return "the client gave up waiting, or its connection was reset"
    return f"answered with status {name}"


__all__ = ["EVERY_FLAG", "FLAGS", "NO_ANSWER", "FlagNote", "meaning_of"]
