"""A request's way from proxy to proxy: from a client's sidecar through every gateway to the service at the end.

The next proxy is the gateway whose Service is the destination. What it sees is what the one before sends: path, host
and headers as they were changed, TLS and its server name as the cluster says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gwsim.queries.ask import Answer, Configuration, ask
from gwsim.topology import Cluster, Outcome, Proxy, Request
from gwsim.topology.exchange import rewritten_host

MOST_HOPS = 10


def follow(configuration: Configuration, first: Answer) -> list[Answer]:
    """The answers of the proxies after the first one, in order; the heaviest destination is followed."""
    hops: list[Answer] = []
    answer, seen = first, {(first.proxy.cluster, first.proxy.key, first.ports.dialled)}
    while len(hops) < MOST_HOPS:
        cluster = _destination(answer)
        proxy = _behind(configuration, answer.proxy, cluster) if cluster is not None else None
        if cluster is None or proxy is None:
            return hops
        if (proxy.cluster, proxy.key, cluster.port) in seen:
            hops[-1:] = [replace(answer, notes=(*answer.notes, f"the request comes back to {proxy.key}: it goes round in a circle"))]
            return hops
        seen.add((proxy.cluster, proxy.key, cluster.port))
        answer = ask(configuration, proxy, cluster.port, _handed_on(answer, cluster))
        hops.append(answer)
    return hops


def _destination(answer: Answer) -> Cluster | None:
    if answer.decision.outcome is not Outcome.FORWARD:
        return None
    heaviest = max(answer.decision.clusters, key=lambda one: one.weight, default=None)
    return answer.proxy.clusters.get(heaviest.cluster) if heaviest is not None else None


def _behind(configuration: Configuration, caller: Proxy, cluster: Cluster) -> Proxy | None:
    """The gateway whose Service is the cluster's; in the caller's own Kubernetes cluster if there is one."""
    found = [
        proxy
        for proxy in configuration.topology.proxies
        if proxy.kind != "sidecar" and proxy is not caller
        for service in proxy.services
        if (service.host or f"{service.name}.{service.namespace}.svc.cluster.local") == cluster.host
        and any(port.port == cluster.port for port in service.ports)
    ]
    return next((one for one in found if one.cluster == caller.cluster), next(iter(found), None))


def _handed_on(answer: Answer, cluster: Cluster) -> Request:
    """The request (or connection) as the next proxy gets it."""
    request, decision = answer.request, answer.decision
    changes: dict[str, Any] = {"destination": "", "remote_ip": ""}
    if decision.rule is not None:
        headers = dict(answer.actual.get("request_headers", {}))
        headers.pop("host", None)
        changes |= {"headers": headers, "host": rewritten_host(decision) or request.host}
        if decision.rewrite is not None and decision.rewrite.path is not None:
            changes["path"] = decision.rewrite.path
    if cluster.tls is None:
        if decision.rule is not None and request.scheme == "https":
            changes["scheme"] = "http"
        return replace(request, **changes)
    changes["scheme"] = "https" if decision.rule is not None else "tls"
    changes["sni"] = cluster.tls.sni or changes.get("host", request.host).partition(":")[0]
    changes["client_certificate"] = cluster.tls.mode != "simple"
    changes["alpn"] = ("istio",) if cluster.tls.mode == "istio_mutual" else ()
    return replace(request, **changes)
