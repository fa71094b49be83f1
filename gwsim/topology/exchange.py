"""What both ends see of a decision: the request at the backend, the answer at the client, and whether it is in time.

Route choice leaves this out because engines have no use for it. Headers that Envoy or Istio add of themselves
(`x-request-id`, `x-envoy-*`, `x-forwarded-*`, `server`, ...) are not told.
Sources: envoyproxy/envoy source/common/router/{router,config_impl,header_parser}.cc, source/common/grpc/common.cc.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gwsim.topology import cors
from gwsim.topology.decision import Decision, Outcome, Request
from gwsim.topology.headers import Headers, apply
from gwsim.topology.routes import WeightedCluster

GRPC_STATUS = {
    200: "OK", 400: "INTERNAL", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "UNIMPLEMENTED",
    429: "UNAVAILABLE", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "UNAVAILABLE",
}  # fmt: skip
"""What a gRPC client sees for an HTTP status; any other is UNKNOWN. Source: grpc/common.cc `httpToGrpcStatus`."""
_RETRIED_TIMEOUTS = frozenset({"5xx", "gateway-error", "reset"})
"""Conditions under which an attempt that took too long is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Headers with lower-case names, several values joined with commas; `removed` is taken away by the proxy."""

    request_headers: dict[str, str] = field(default_factory=dict)
    """At the backend; empty when the request does not get there."""
    removed_request_headers: tuple[str, ...] = ()
    response_headers: dict[str, str] = field(default_factory=dict)
    """At the client: those the proxy makes, beside whatever the backend says."""
    removed_response_headers: tuple[str, ...] = ()
    body: str = ""
    """Of an answer the proxy gives by itself."""
    grpc_status: str = ""
    """Empty for other clients than gRPC's."""


def exchange(decision: Decision, request: Request) -> Exchange:
    """The headers and body at both ends. With weighted destinations, those of the heaviest."""
    if decision.carried_headers is not None:
        request = replace(request, headers=decision.carried_headers)
    original = Headers(request.headers)
    own = {":authority": request.host, "host": request.host, ":method": request.method, ":path": request.path}

    def lookup(name: str) -> str | None:
        return own[name] if name in own else original.get(name)

    heaviest = heaviest_of(decision)
    sent = Headers()
    if decision.outcome in (Outcome.FORWARD, Outcome.TIMEOUT, Outcome.PASSTHROUGH) and request.scheme not in ("tcp", "tls"):
        sent = _sent(decision, request, heaviest, lookup)
    answer = _answer(decision, request, heaviest, lookup)
    return Exchange(
        request_headers=sent.plain(),
        removed_request_headers=tuple(sent.removed),
        response_headers=answer.plain(),
        removed_response_headers=tuple(answer.removed),
        body=decision.body,
        grpc_status=_grpc_status(decision, request),
    )


def heaviest_of(decision: Decision) -> WeightedCluster | None:
    """The destination with the largest share, of those that exist if any does."""
    return max(decision.clusters, key=lambda one: (not one.missing, one.weight), default=None)


def _sent(decision: Decision, request: Request, cluster: WeightedCluster | None, lookup: cors.Lookup) -> Headers:
    sent = Headers({name: value for name, value in request.headers.items() if not _written_anew(name.lower())})
    route = decision.rule
    changes = (
        cluster.request_headers if cluster else None,
        route.request_headers if route else None,
        decision.host_request_headers,
    )
    apply(changes, sent, lookup)
    sent.set("host", rewritten_host(decision) or request.host)
    return sent


def _written_anew(name: str) -> bool:
    """Whether Envoy writes the header itself, whatever the client (which it does not trust) put there.

    Source: envoyproxy/envoy source/common/http/conn_manager_utility.cc `mutateRequestHeaders`.
    """
    return name in ("x-forwarded-for", "x-forwarded-proto", "x-request-id") or name.startswith("x-envoy-")


def rewritten_host(decision: Decision) -> str | None:
    """The host at the backend, where it is rewritten: the route's rewrite counts more than the destination's."""
    heaviest = heaviest_of(decision)
    own = decision.rewrite.host if decision.rewrite is not None else None
    return own or (heaviest.host_rewrite if heaviest is not None else None) or None


def _answer(decision: Decision, request: Request, cluster: WeightedCluster | None, lookup: cors.Lookup) -> Headers:
    answer = Headers()
    route = decision.rule
    if route is None or decision.outcome in (Outcome.DENIED, Outcome.FAULT_ABORT, Outcome.NOT_FOUND):
        return answer
    if decision.preflight:
        assert route.cors is not None
        return Headers(cors.preflight_headers(route.cors, lookup))
    changes = (cluster.response_headers if cluster else None, route.response_headers, decision.host_response_headers)
    apply(changes, answer, lookup)
    if route.cors is not None and decision.outcome not in (Outcome.REDIRECT, Outcome.DIRECT_RESPONSE):
        for name, value in cors.answer_headers(route.cors, lookup).items():
            answer.set(name, value)
    return answer


def is_grpc(request: Request) -> bool:
    """Whether the client speaks gRPC."""
    if request.scheme == "grpc":
        return True
    kind = next((str(value) for name, value in request.headers.items() if name.lower() == "content-type"), "")
    return kind == "application/grpc" or kind.startswith("application/grpc+")


def _grpc_status(decision: Decision, request: Request) -> str:
    if not decision.status or not is_grpc(request):
        return ""
    if decision.fault_abort is not None and decision.outcome is Outcome.FAULT_ABORT and decision.fault_abort.grpc_status:
        return decision.fault_abort.grpc_status
    return GRPC_STATUS.get(decision.status, "UNKNOWN")


def in_time(decision: Decision, backend_delay_s: float) -> Decision:
    """The decision when the backend takes so long for every attempt: a timeout (504 UT) if no attempt may take that long.

    The route's time-out covers all attempts, `perTryTimeout` each of them; one that is tried again ends no better.
    """
    if decision.outcome is not Outcome.FORWARD or not decision.status:
        return decision
    per_try = decision.retry_policy.per_try_timeout_s if decision.retry_policy is not None else None
    whole = decision.timeout_s
    if whole and backend_delay_s >= whole:
        reason = f"the backend takes {backend_delay_s:g} s, the route allows {whole:g} s"
    elif per_try and backend_delay_s >= per_try:
        reason = f"the backend takes {backend_delay_s:g} s, an attempt may take {per_try:g} s"
        reason += _retried(decision)
    else:
        return decision
    return replace(decision, outcome=Outcome.TIMEOUT, status=504, flags=("UT",), reason=reason)


def _retried(decision: Decision) -> str:
    policy = decision.retry_policy
    if policy is None or not policy.num_retries or not _RETRIED_TIMEOUTS & set(policy.retry_on):
        return " and is not tried again"
    return f", as do {policy.num_retries} more"
