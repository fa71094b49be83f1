"""A decision in the words of a case's `expect`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gwsim.topology import Decision, Outcome, Proxy, Request, WeightedCluster
from gwsim.topology.exchange import Exchange, exchange, heaviest_of, rewritten_host
from gwsim.topology.matching import host_without_port
from gwsim.topology.upstream import BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER
from gwsim.units import duration_text

HTTP = ("http", "https", "grpc")


def actual_of(
    decision: Decision, request: Request, proxy: Proxy, asked: Iterable[str] = (), spelling: Iterable[str] = ()
) -> dict[str, Any]:
    """Everything the decision says, in the vocabulary of `expect`.

    `asked`: names of headers that should be absent, beside those the proxy removes. Names of headers are in lower
    case, but for those in `asked` and `spelling`, which keep their own.
    """
    seen = exchange(decision, request)
    made: dict[str, Any] = {"outcome": decision.outcome.value}
    status = decision.status
    if not status and decision.outcome in (Outcome.FORWARD, Outcome.PASSTHROUGH) and request.scheme in HTTP:
        status = 200  # HTTP inside the bytes that are passed on, answered by the backend.
    if status:
        made["status"] = status
    if seen.grpc_status:
        made["grpc_status"] = seen.grpc_status
    made |= _destinations(decision, request, proxy)
    names = list(asked)
    spelt = {name.lower(): name for name in (*spelling, *names)}
    made |= _headers(decision, seen, {name.lower() for name in names}, spelt)
    if seen.body:
        made["body"] = seen.body
    if decision.fault_delay is not None:
        made["fault_delay"] = duration_text(decision.fault_delay.delay_s)
        made["fault_delay_percent"] = _number(decision.fault_delay.percent)
    if decision.fault_abort is not None:
        made["fault_abort"] = _abort(decision)
    if decision.reason:
        made["reason"] = decision.reason
    if decision.flags:
        made["flags"] = list(decision.flags)
    if decision.route:
        made["route_name"] = decision.route
    envoy = _envoy(decision)
    return made | ({"envoy": envoy} if envoy else {})


def _abort(decision: Decision) -> dict[str, Any]:
    assert decision.fault_abort is not None
    abort = decision.fault_abort
    made: dict[str, Any] = {"percent": _number(abort.percent)}
    return made | ({"grpc_status": abort.grpc_status} if abort.grpc_status else {"status": abort.status})


def _destinations(decision: Decision, request: Request, proxy: Proxy) -> dict[str, Any]:
    made: dict[str, Any] = {}
    backends = _backends(decision.clusters, proxy)
    if backends:
        made["backends"] = backends
    if decision.redirect is not None:
        to = decision.redirect
        made["redirect"] = {"scheme": to.scheme, "host": to.host, "path": to.path, "location": str(to)}
        if to.port is not None:
            made["redirect"]["port"] = to.port
    rewrite = _rewrite(decision)
    if rewrite:
        made["rewrite"] = rewrite
    mirrors = [
        {**_target(one.cluster, proxy), "percent": _number(one.percent)} for one in decision.mirrors if one.cluster in proxy.clusters
    ]
    if mirrors:
        made["mirrors"] = mirrors
    reached = decision.outcome in (Outcome.FORWARD, Outcome.TIMEOUT, Outcome.ERROR)
    if reached and request.scheme in HTTP and decision.rule is not None:
        made["timeout"] = duration_text(decision.timeout_s)
    return made | _upstream_tls(decision, request, proxy)


def _backends(clusters: tuple[WeightedCluster, ...], proxy: Proxy) -> list[dict[str, Any]]:
    total = sum(one.weight for one in clusters) or 1
    shares: dict[str, float] = {}
    for one in clusters:
        if one.cluster in (PASSTHROUGH_CLUSTER, BLACKHOLE_CLUSTER):
            continue
        shares[one.cluster] = shares.get(one.cluster, 0.0) + 100 * one.weight / total
    return [{**_target(name, proxy), "weight": _number(share)} for name, share in shares.items()]


def _number(value: float) -> float | int:
    rounded = round(value, 4)
    return int(rounded) if rounded == int(rounded) else rounded


def _target(name: str, proxy: Proxy) -> dict[str, Any]:
    """Host, port and subset of a cluster, of its name where the proxy does not have it."""
    cluster = proxy.clusters.get(name)
    if cluster is not None:
        host, port, subset = cluster.host, cluster.port, cluster.subset
    else:
        parts = name.split("|")
        if len(parts) != 4 or not parts[1].isdigit():
            return {"host": name}
        host, port, subset = parts[3], int(parts[1]), parts[2]
    made: dict[str, Any] = {"host": host, "port": port}
    return made | ({"subset": subset} if subset else {})


def _rewrite(decision: Decision) -> dict[str, str]:
    path = decision.rewrite.path if decision.rewrite is not None else None
    made = {"path": path, "host": rewritten_host(decision)}
    return {name: value for name, value in made.items() if value is not None}


def _upstream_tls(decision: Decision, request: Request, proxy: Proxy) -> dict[str, Any]:
    """Whether TLS is started towards the heaviest destination, and the server name sent.

    Without one of its own, mutual TLS of the mesh names the cluster, and other TLS the host (auto SNI).
    """
    heaviest = heaviest_of(decision)
    cluster = proxy.clusters.get(heaviest.cluster) if heaviest is not None else None
    if cluster is None or decision.outcome is not Outcome.FORWARD:
        return {}
    tls = cluster.tls
    handed_on = cluster.name.startswith("outbound_.")  # An east-west gateway opens nothing.
    if handed_on or (tls is None and not any(one.mtls for one in cluster.endpoints)):
        return {"upstream_tls": False}
    mode = tls.mode if tls is not None else "istio_mutual"
    sni = tls.sni if tls is not None else ""
    if not sni and mode == "istio_mutual":
        sni = f"outbound_.{cluster.port}_.{cluster.subset}_.{cluster.host}"
    elif not sni and decision.rule is not None:
        sni = host_without_port(rewritten_host(decision) or request.host)
    made: dict[str, Any] = {"upstream_tls": True, "upstream_tls_mode": mode.upper()}
    return made | ({"upstream_sni": sni} if sni else {})


def _headers(decision: Decision, seen: Exchange, asked: set[str], spelt: Mapping[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {}

    def shown(headers: Mapping[str, str]) -> dict[str, str]:
        return {spelt.get(name, name): value for name, value in headers.items()}

    if seen.request_headers:
        absent = {*seen.removed_request_headers, *asked} - seen.request_headers.keys()
        made["request_headers"] = shown(seen.request_headers)
        made["absent_request_headers"] = sorted(spelt.get(name, name) for name in absent)
    if seen.response_headers:
        made["response_headers"] = shown(seen.response_headers)
    gone = {*seen.removed_response_headers, *asked} - seen.response_headers.keys()
    if decision.status and gone:
        made["absent_response_headers"] = sorted(spelt.get(name, name) for name in gone)
    return made


def _envoy(decision: Decision) -> dict[str, str]:
    heaviest = heaviest_of(decision)
    named = {
        "listener": decision.listener,
        "filter_chain": decision.filter_chain,
        "route_config": decision.route_config,
        "virtual_host": decision.virtual_host,
        "cluster": heaviest.cluster if heaviest is not None else "",
    }
    return {name: value for name, value in named.items() if value}
