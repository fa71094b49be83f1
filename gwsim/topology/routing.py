"""Route choice: which filter chain, virtual host, route and clusters a request gets. One function for all.

Used by the engines (once per distinct request shape), by `gwsim route` and by the tests against real Envoy.
Sources: envoyproxy/envoy source/common/listener_manager/filter_chain_manager_impl.cc (chains),
source/common/router/config_impl.cc (virtual hosts, routes, redirects, rewrites).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gwsim.topology.chains import find_chain
from gwsim.topology.conditions import CompiledRules, Facts
from gwsim.topology.cors import answers_preflight
from gwsim.topology.decision import Decision, Outcome, Request, Rewrite, Step
from gwsim.topology.dialling import Dialled, dial
from gwsim.topology.filtering import (
    Answer,
    after_token,
    evaluate,
    facts_of,
    filters_of,
    pass_filters,
    token_of,
)
from gwsim.topology.filters import ExtAuthz, Rbac
from gwsim.topology.listeners import FilterChain, HttpConnectionManager, Listener, TcpProxy
from gwsim.topology.location import location_of, rewritten_path
from gwsim.topology.matching import CompiledHost, CompiledRoute, RequestView, domains_of, host_without_port
from gwsim.topology.model import Proxy
from gwsim.topology.routes import DirectResponse, Forward, Redirect, Route, WeightedCluster
from gwsim.topology.upstream import BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER, Cluster

BLOCK_ALL = "block_all"
"""Virtual host of a sidecar that refuses hosts unknown to the registry. Source: istio pilot/pkg/networking/util/util.go."""

Steps = list[Step] | None
Known = dict[str, Any]
"""Fields of the decision found so far: one object made at the end is several times faster than many copies."""


def choose(proxy: Proxy, listener: Listener | int, request: Request, *, explain: bool = False) -> Decision:
    """What `proxy` does with `request` arriving at `listener` (or at that listening port).

    For a sidecar the port is the one its client dials at `request.destination`, whatever takes the connection there.
    With `explain`, the decision's `steps` say what was looked at, in order, and why it was taken or not.
    """
    steps: Steps = [] if explain else None
    if isinstance(listener, int):
        dialled = dial(proxy, listener, request)
        if dialled is None:
            _note(steps, Step(kind="listener", name=str(listener), taken=False, why="nothing listens on this port"))
            decision = Decision(outcome=Outcome.NO_LISTENER, reason=f"nothing listens on port {listener}")
            return _with(decision, steps)
    else:
        dialled = Dialled(listener, "", listener.port, f"listens on port {listener.port}")
    _note(steps, Step(kind="listener", name=dialled.listener.name, taken=True, why=dialled.why))
    return _with(_on_listener(proxy, dialled, request, steps), steps)


def _note(steps: Steps, step: Step) -> None:
    if steps is not None:
        steps.append(step)


def _with(decision: Decision, steps: Steps) -> Decision:
    return replace(decision, steps=tuple(steps)) if steps else decision


def sni_of(request: Request) -> str:
    """The server name in the client hello, lower case; empty when there is none."""
    if not request.encrypted:
        return ""
    if request.sni is not None:
        return request.sni.lower()
    host = host_without_port(request.host)
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host
    return ""


def _on_listener(proxy: Proxy, dialled: Dialled, request: Request, steps: Steps) -> Decision:
    sni, listener = sni_of(request), dialled.listener
    chain = find_chain(listener, request, sni, address=dialled.address, port=dialled.port)
    if steps is not None:
        _explain_chains(listener, chain, sni if request.encrypted else None, steps)
    if chain is None:
        reason = f"no filter chain for SNI {sni!r}" if request.encrypted else "every filter chain wants TLS"
        return Decision(outcome=Outcome.CONNECTION_REJECTED, reason=reason, listener=listener.name)
    refusal = _refused(chain, request)
    if refusal:
        _note(steps, Step(kind="tls", name=chain.name, taken=False, why=refusal, span=chain.origin))
        return Decision(
            outcome=Outcome.CONNECTION_REJECTED, reason=refusal, listener=listener.name, filter_chain=chain.name
        )
    if isinstance(chain.filter, TcpProxy):
        return _tcp(proxy, listener, chain, chain.filter, request, steps)
    return _http(proxy, listener, chain, chain.filter, request, steps)


def _explain_chains(listener: Listener, chosen: FilterChain | None, sni: str | None, steps: list[Step]) -> None:
    for chain in listener.filter_chains:
        names = ", ".join(chain.match.server_names) or "any server name"
        shown = f"SNI {sni!r}" if sni is not None else "plaintext connection"
        verdict = "most specific match for" if chain is chosen else "not the match for"
        steps.append(
            Step(
                kind="filter_chain",
                name=chain.name,
                taken=chain is chosen,
                why=f"{names}: {verdict} {shown}",
                span=chain.origin,
            )
        )


def _refused(chain: FilterChain, request: Request) -> str:
    """Why no request can be made on the chain; empty when the connection stands."""
    tls = chain.tls
    if request.scheme == "tcp" and isinstance(chain.filter, HttpConnectionManager):
        return "the chain speaks HTTP, and the client sends something else"
    if tls is None:
        if request.encrypted and isinstance(chain.filter, HttpConnectionManager):
            return "the chain expects plaintext HTTP, and the client starts a TLS handshake"
        return ""
    if not request.encrypted:
        return "the chain terminates TLS, and the client sends plaintext"
    if not tls.usable:
        return f"no certificate: secret {tls.credential_name!r} is missing"
    if tls.require_client_certificate and request.client_certificate is False:
        return "the client has no certificate, and the chain requires one"
    return ""


def _tcp(
    proxy: Proxy, listener: Listener, chain: FilterChain, tcp: TcpProxy, request: Request, steps: Steps
) -> Decision:
    known: Known = {"listener": listener.name, "filter_chain": chain.name, "route": tcp.route}
    refusal = _connection_refused(listener, chain, request, steps)
    if refusal:
        return Decision(outcome=Outcome.DENIED, reason=refusal, **known)
    known["hash_policy"] = tcp.hash_policy
    return _served(proxy, known, _resolved(proxy, tcp.clusters, steps), http=False, not_found=0)


def _connection_refused(listener: Listener, chain: FilterChain, request: Request, steps: Steps) -> str:
    """Why access rules close a TCP connection; empty when they do not."""
    if not chain.network_filters:
        return ""
    facts = facts_of(request, None, chain, listener.port, sni_of(request))
    for one in chain.network_filters:
        if isinstance(one.config, Rbac) and one.config.rules is not None:
            refusal = evaluate(CompiledRules(one.config.rules), facts, steps)
            if refusal is not None:
                return f"access denied: {refusal}"
        elif isinstance(one.config, ExtAuthz) and steps is not None:
            only = one.config.only
            asked = only is None or CompiledRules(only).match(facts) is not None
            why = f"{one.config.cluster} is asked" if asked else "no CUSTOM rule matches"
            _note(steps, Step(kind="filter", name=one.name, taken=asked, why=why, span=one.origin))
    return ""


def _http(
    proxy: Proxy,
    listener: Listener,
    chain: FilterChain,
    manager: HttpConnectionManager,
    request: Request,
    steps: Steps,
) -> Decision:
    known: Known = {"listener": listener.name, "filter_chain": chain.name, "route_config": manager.route_config.name}
    if request.http_version == "1.0" and not manager.accept_http_10:
        reason = "HTTP/1.0, which Istio's proxies refuse (PILOT_HTTP10)"
        return Decision(outcome=Outcome.ERROR, status=426, flags=("DPE",), reason=reason, **known)
    if "#" in request.path:
        # Envoy's guard `http_reject_path_with_fragment`, which is on.
        return Decision(outcome=Outcome.ERROR, status=400, reason="a fragment (#) in the path, which Envoy refuses", **known)
    scheme = _scheme_of(chain, manager, request)
    view = RequestView(request, scheme=scheme, manager=manager)
    compiled_filters = filters_of(manager)
    token = token_of(compiled_filters, request, view)
    changed = after_token(compiled_filters, token, request)
    if changed is not request:
        request, view = changed, RequestView(changed, scheme=scheme, manager=manager)
        known["carried_headers"] = changed.headers
    view.claims = token.claims
    compiled, reason = _virtual_host(manager, request, steps)
    virtual_host = compiled.host if compiled is not None else None
    route = None
    to_https = virtual_host is not None and virtual_host.require_tls and scheme != "https"
    if compiled is not None and virtual_host is not None:
        known["virtual_host"] = virtual_host.name
        known["host_request_headers"] = virtual_host.request_headers
        known["host_response_headers"] = virtual_host.response_headers
        if not to_https:
            route = _first_match(compiled.routes, view, steps)
            reason = f"no route of virtual host {virtual_host.name} matches"

    def facts() -> Facts:
        return facts_of(request, view, chain, listener.port, sni_of(request), manager.xff_num_trusted_hops)

    passage = pass_filters(compiled_filters, facts, token, virtual_host, route, steps)
    known["filters"] = passage.active
    if passage.answer is not None:
        return _answered(known, passage.answer, route)
    if to_https:
        return _redirect(known, Redirect(scheme="https"), None, view, "the server redirects all plaintext to https")
    if route is None:
        return _not_found(known, reason)
    return _act(proxy, known, route, view, steps)


def _virtual_host(
    manager: HttpConnectionManager, request: Request, steps: Steps
) -> tuple[CompiledHost | None, str]:
    """The virtual host of a request, or None and why there is none."""
    configuration = manager.route_config
    host = host_without_port(request.host) if configuration.ignore_port_in_host else request.host.lower()
    found = domains_of(configuration).find(host)
    if found is None:
        _note(steps, Step(kind="virtual_host", name="", taken=False, why=f"no virtual host for {host!r}"))
        return None, f"no virtual host for {host!r} in {configuration.name}"
    domain, compiled = found
    if steps is not None:
        why = f"{host!r} is {domain!r}" if domain == host else f"{host!r} falls under {domain!r}, no more specific domain does"
        steps.append(Step(kind="virtual_host", name=compiled.host.name, taken=True, why=why, span=compiled.host.origin))
    return compiled, ""


def _answered(known: Known, answer: Answer, route: Route | None) -> Decision:
    """A filter's refusal, whatever route was found."""
    if route is not None:
        known |= {"route": route.name, "rule": route}
    known |= {"status": answer.status, "reason": answer.reason, "body": answer.body, "answered_by": answer.by}
    return Decision(outcome=Outcome.DENIED, **known)


def _scheme_of(chain: FilterChain, manager: HttpConnectionManager, request: Request) -> str:
    """The scheme of the connection; what a trusted proxy in front says counts more.

    Source: envoyproxy/envoy source/common/http/conn_manager_utility.cc `mutateRequestHeaders`.
    """
    if manager.xff_num_trusted_hops or not manager.use_remote_address:
        told = next((str(value).lower() for name, value in request.headers.items() if name.lower() == "x-forwarded-proto"), "")
        if told in ("http", "https"):
            return told
    return "https" if chain.tls is not None else "http"


def _not_found(known: Known, reason: str) -> Decision:
    return Decision(outcome=Outcome.NOT_FOUND, status=404, flags=("NR",), reason=reason, **known)


def _first_match(routes: tuple[CompiledRoute, ...], view: RequestView, steps: Steps) -> Route | None:
    if steps is None:
        path = view.path
        for candidate in routes:
            if candidate.path(path) and candidate.holds(view):
                return candidate.route
        return None
    for candidate in routes:
        route, miss = candidate.route, candidate.miss(view)
        why = miss or "every condition holds"
        steps.append(Step(kind="route", name=route.name, taken=not miss, why=why, span=route.origin))
        if not miss:
            return route
    return None


def _act(proxy: Proxy, known: Known, route: Route, view: RequestView, steps: Steps) -> Decision:
    action, abort = route.action, route.fault_abort
    known |= {"route": route.name, "rule": route, "fault_delay": route.fault_delay, "fault_abort": abort}
    if abort is not None and abort.percent >= 100.0:
        body = "fault filter abort"
        return Decision(outcome=Outcome.FAULT_ABORT, status=abort.status or 200, flags=("FI",), body=body, **known)
    if isinstance(action, Forward):
        if route.cors is not None and answers_preflight(route.cors, view.method, view.header):
            reason = "a CORS preflight, which the gateway answers by itself"
            return Decision(outcome=Outcome.DIRECT_RESPONSE, status=200, preflight=True, reason=reason, **known)
        return _forward(proxy, known, action, route, view, steps)
    if isinstance(action, Redirect):
        return _redirect(known, action, route, view, "the route redirects")
    if isinstance(action, DirectResponse):
        if known["virtual_host"] == BLOCK_ALL:
            reason = "the registry does not know the host, and the outbound policy is REGISTRY_ONLY"
            return Decision(outcome=Outcome.BLACKHOLE, status=action.status, reason=reason, **known)
        return Decision(outcome=Outcome.DIRECT_RESPONSE, status=action.status, body=action.body, **known)
    return Decision(outcome=Outcome.ERROR, status=503, flags=("NC",), reason=action.reason, **known)


def _redirect(known: Known, action: Redirect, route: Route | None, view: RequestView, reason: str) -> Decision:
    location = location_of(action, route.match.path if route else None, view, plain_upgrade=route is None)
    return Decision(outcome=Outcome.REDIRECT, status=action.status, redirect=location, reason=reason, **known)


def _forward(proxy: Proxy, known: Known, action: Forward, route: Route, view: RequestView, steps: Steps) -> Decision:
    if action.path_rewrite is not None or action.host_rewrite:
        path = rewritten_path(action.path_rewrite, route.match.path, view) if action.path_rewrite else None
        known["rewrite"] = Rewrite(path=path, host=action.host_rewrite or None)
    known["timeout_s"] = action.timeout_s
    known["retry_policy"] = action.retry_policy
    known["hash_policy"] = action.hash_policy
    known["mirrors"] = action.mirrors
    clusters = _resolved(proxy, action.clusters, steps)
    return _served(proxy, known, clusters, http=True, not_found=action.cluster_not_found_status)


def _resolved(proxy: Proxy, clusters: tuple[WeightedCluster, ...], steps: Steps) -> tuple[WeightedCluster, ...]:
    known: Mapping[str, Cluster] = proxy.clusters
    if steps is not None:
        total = sum(one.weight for one in clusters) or 1
        for one in clusters:
            cluster = known.get(one.cluster)
            exists = f"{len(cluster.endpoints)} endpoints" if cluster is not None else "the proxy has no such cluster"
            why = f"{100 * one.weight / total:g} % of the traffic; {exists}"
            origin = cluster.origin if cluster is not None else None
            steps.append(Step(kind="cluster", name=one.cluster, taken=cluster is not None, why=why, span=origin))
    if all(one.cluster in known for one in clusters):
        return clusters
    return tuple(one if one.cluster in known else replace(one, missing=True) for one in clusters)


def _outside(cluster: str) -> Outcome | None:
    """What becomes of traffic for the two clusters of unknown destinations."""
    return {PASSTHROUGH_CLUSTER: Outcome.PASSTHROUGH, BLACKHOLE_CLUSTER: Outcome.BLACKHOLE}.get(cluster)


def _reachable(cluster: Cluster) -> bool:
    """Whether there is anybody to send to. The addresses of some clusters are those the client asks for."""
    return bool(cluster.endpoints) or cluster.discovery in ("ORIGINAL_DST", "DYNAMIC_DNS")


def _refusing(cluster: Cluster) -> bool:
    """Whether no endpoint takes what the cluster sends: plaintext to STRICT, mutual TLS to DISABLE."""
    if not cluster.endpoints or cluster.name.startswith("outbound_."):
        return False
    return all(
        (one.accepts == "STRICT" and not one.mtls) or (one.accepts == "DISABLE" and one.mtls) for one in cluster.endpoints
    )


def _served(
    proxy: Proxy, known: Known, clusters: tuple[WeightedCluster, ...], *, http: bool, not_found: int
) -> Decision:
    """The decision with its status: an error when no destination can serve anything."""
    known["clusters"] = clusters
    if len(clusters) == 1 and (unknown := _outside(clusters[0].cluster)) is not None:
        status = 200 if http and unknown is Outcome.PASSTHROUGH else 0
        return Decision(outcome=unknown, status=status, reason="the registry does not know the destination", **known)
    if not clusters or all(one.missing for one in clusters):
        reason = "no such cluster: " + (", ".join(one.cluster for one in clusters) or "none")
        status = not_found if http else 0
        return Decision(outcome=Outcome.ERROR, status=status, flags=("NC",), reason=reason, **known)
    if not any(one.missing or _reachable(proxy.clusters[one.cluster]) for one in clusters):
        reason = "no endpoints: " + ", ".join(one.cluster for one in clusters)
        return Decision(outcome=Outcome.ERROR, status=503 if http else 0, flags=("UH",), reason=reason, **known)
    if all(one.missing or _refusing(proxy.clusters[one.cluster]) for one in clusters):
        reason = "every endpoint refuses the connection: its sidecar and this proxy do not agree on mutual TLS"
        return Decision(outcome=Outcome.ERROR, status=503 if http else 0, flags=("UC",), reason=reason, **known)
    if all(one.missing or _untrusting(proxy.clusters[one.cluster]) for one in clusters):
        reason = "no TLS connection can be made to the backend: its certificate authority is missing or not usable"
        return Decision(outcome=Outcome.ERROR, status=503 if http else 0, flags=("UF",), reason=reason, **known)
    return Decision(outcome=Outcome.FORWARD, status=200 if http else 0, **known)


def _untrusting(cluster: Cluster) -> bool:
    return cluster.tls is not None and not cluster.tls.usable
