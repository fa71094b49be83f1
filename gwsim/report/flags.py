"""What Envoy's response flags mean, as seen by whoever runs the gateway.

Source: envoyproxy/envoy, docs/root/configuration/observability/access_log/usage.rst (%RESPONSE_FLAGS%) and
source/common/stream_info/utility.h.
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
    ("UAEX", "UnauthorizedExternalService", "the external authorisation service refused the request", "AuthorizationPolicy with a CUSTOM action", "403"),
    ("DC", "DownstreamConnectionTermination", "the client went away before the answer", "client time-outs below the latency of the route", "none: the client has gone"),
)

FLAGS: Mapping[str, FlagNote] = {row[0]: FlagNote(*row) for row in _ROWS}
"""Every response flag of the model."""


def meaning_of(name: str) -> str:
    """What a response flag or a status means, in a few words; `0` is a client's own time-out."""
    if name in FLAGS:
        return FLAGS[name].meaning
    if name == "0":
        return "the client gave up waiting"
    return f"answered with status {name}"


__all__ = ["FLAGS", "FlagNote", "meaning_of"]
