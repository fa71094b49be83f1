"""The flow of a run: what came of what clients sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gwsim.report.flow import LOCAL, Flow, Node, Tile, cut, workload_of
from gwsim.report.journey import Sent, journey
from gwsim.report.names import Names, route_name
from gwsim.results.parts import Traffic
from gwsim.results.results import Results


def flow_of(results: Results) -> Flow:
    """The flow of a run, columns that are too long cut; of chains, the journey."""
    flow, names = Flow(), Names.of(results.labels)
    _clients(flow, results)
    _gateways(flow, results, names)
    _routes(flow, results, names)
    _clusters(flow, results, names)
    if results.labels.next_hops:
        flow = journey(flow, results.labels, names, [_sent(one) for one in results.classes])
    cut(flow)
    return flow


def _sent(one: Traffic) -> Sent:
    rps, chosen = one.offered_rps.value or 0.0, sum(share.count for share in one.clusters)
    forwarded = min(chosen / max(one.requests, 1), 1.0)
    return Sent(
        rps=rps, errors=one.errors.value or 0.0, local=rps * min(1.0 - forwarded, one.local_replies.value or 0.0),
        clusters={share.name: rps * forwarded * share.count / chosen for share in one.clusters if share.count},
    )


def _clients(flow: Flow, results: Results) -> None:
    for one in results.clients:
        rps = one.offered_rps.value or 0.0
        flow.nodes[0, one.client] = Node(column=0, name=one.client, rps=rps, errors=one.errors.value or 0.0)


def _gateways(flow: Flow, results: Results, names: Names) -> None:
    sent: dict[str, float] = {}
    for one in results.classes:
        rps = one.offered_rps.value or 0.0
        sent[one.gateway] = sent.get(one.gateway, 0.0) + rps
        flow.link((0, one.client), (1, names.gateways[one.gateway]), rps)
    for fleet in results.fleets:
        name = names.gateways[fleet.gateway]
        tiles = tuple(Tile(pod.pod, pod.utilisation.value) for pod in results.pods if pod.gateway == fleet.gateway)
        note = f"{fleet.pods} pod{'' if fleet.pods == 1 else 's'}, {(fleet.cpu_cores.value or 0.0):.2f} cores"
        flow.nodes[1, name] = Node(column=1, name=name, rps=sent.get(fleet.gateway, 0.0), note=note, tiles=tiles)


def _routes(flow: Flow, results: Results, names: Names) -> None:
    for route in results.routes:
        rps = route.offered_rps.value or 0.0
        name = route_name(route)
        key = (2, name)
        flow.nodes[key] = Node(column=2, name=name, rps=rps, errors=route.errors.value or 0.0)
        chosen = sum(share.count for share in route.clusters)
        # A client's own retries make more streams than requests.
        forwarded = min(chosen / max(route.requests, 1), 1.0)
        for share in route.clusters:
            flow.link(key, (3, names.clusters[share.name]), rps * forwarded * (share.count / chosen if chosen else 0.0))
        # What never got to a cluster was answered here, or had not got that far when a saturated run was stopped.
        answered = rps * min(1.0 - forwarded, route.local_replies.value or 0.0)
        if answered > 1e-6 * rps:
            local = (3, LOCAL)
            before = flow.nodes.get(local, Node(column=3, name=LOCAL, rps=0.0))
            flow.nodes[local] = replace(before, rps=before.rps + answered)
            flow.link(key, local, answered)
    for one in results.classes:
        flow.link((1, names.gateways[one.gateway]), (2, route_name(one)), one.offered_rps.value or 0.0)


def _clusters(flow: Flow, results: Results, names: Names) -> None:
    proxies = {fleet.gateway for fleet in results.fleets}
    into: dict[tuple[int, str], float] = {}
    for (_, end), rps in flow.links.items():
        into[end] = into.get(end, 0.0) + rps
    for label, one in zip(results.labels.clusters, results.clusters, strict=True):
        key = (3, names.clusters[one.name])
        if key not in into:
            continue
        refused = one.overflow.value or 0.0
        flow.nodes[key] = Node(column=3, name=key[1], rps=into[key], note=_limits(one.limits, one.in_use.value), refused=refused)
        backends = [results.backends[i] for i in label.stations if results.backends[i].backend not in proxies]
        if not backends:
            continue
        name = workload_of([names.backends[b.name] for b in backends])
        tiles = tuple(Tile(names.backends[b.name], b.utilisation.value if b.concurrency else None) for b in backends)
        rates = [b.requests_per_s.value or 0.0 for b in backends]
        errors = sum((b.errors.value or 0.0) * rate for b, rate in zip(backends, rates, strict=True)) / max(sum(rates), 1e-9)
        before = flow.nodes.get((4, name))
        sent = into[key] * (1.0 - refused)
        rps = sent + (before.rps if before else 0.0)
        note = f"{len(tiles)} pod{'' if len(tiles) == 1 else 's'}"
        flow.nodes[4, name] = Node(column=4, name=name, rps=rps, note=note, errors=errors, tiles=tiles)
        flow.link(key, (4, name), sent)


def _limits(limits: Mapping[str, int | None], in_use: float | None) -> str:
    most = limits.get("max_connections") or limits.get("max_requests")
    if not most or in_use is None:
        return ""
    return f"{in_use:.3g} of {most} in use"


__all__ = ["flow_of"]
