"""The flow of a scenario before it is run: from rates, weights and routes alone.

What is drawn is what is offered: no retries, no refusals, no injected aborts. Gateways are as busy as the cost profile's charges
make them (without wake-ups and iterations: a lower bound), backend pods as their service times and concurrency do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gwsim.report.flow import LOCAL, Flow, Node, Tile, cut, workload_of
from gwsim.report.journey import Sent, journey
from gwsim.report.names import Names
from gwsim.results.labels import Labels, labels_of
from gwsim.scenario.model import Client, Model
from gwsim.scenario.rates import class_rates, mean_rps
from gwsim.scenario.resolved import ClassLabel, Resolved


@dataclass(slots=True)
class _Offered:
    """Sums while the classes are gone through."""

    clients: dict[str, float] = field(default_factory=dict)
    gateways: dict[str, float] = field(default_factory=dict)
    cores: dict[str, float] = field(default_factory=dict)
    routes: dict[str, float] = field(default_factory=dict)
    failing: dict[str, float] = field(default_factory=dict)
    clusters: dict[int, float] = field(default_factory=dict)
    local: float = 0.0
    sent: list[Sent] = field(default_factory=list)


def flow_of_scenario(resolved: Resolved) -> Flow:
    """What a scenario offers to whom."""
    flow, model, labels = Flow(), resolved.model, labels_of(resolved)
    names, sums = Names.of(labels), _Offered()
    for class_id, rps in enumerate(class_rates(model, _rate).values()):
        _class(flow, names, labels, sums, resolved, class_id, rps)
    _nodes(flow, names, labels, model, sums)
    if labels.next_hops:
        flow = journey(flow, labels, names, sums.sent)
    cut(flow)
    return flow


def _rate(client: Client) -> float:
    """Requests per second of a client; a closed loop without a rate is drawn as one per connection."""
    rate = mean_rps(client.arrivals)
    return float(getattr(client.arrivals, "connections", 0)) if rate is None else rate


def _class(flow: Flow, names: Names, labels: Labels, sums: _Offered, resolved: Resolved, class_id: int, rps: float) -> None:
    label, charge = labels.classes[class_id], labels.charges[class_id]
    at, entry = resolved.model.classes()[class_id]
    outcome = resolved.model.clients[at].mix[entry].outcome
    gateway, route = names.gateways[label.gateway], _route(label)
    sums.clients[label.client] = sums.clients.get(label.client, 0.0) + rps
    sums.gateways[gateway] = sums.gateways.get(gateway, 0.0) + rps
    sums.cores[gateway] = sums.cores.get(gateway, 0.0) + rps * (charge.request + charge.attempt * bool(outcome.targets) + charge.calls) * 1e-9
    sums.routes[route] = sums.routes.get(route, 0.0) + rps
    flow.link((0, label.client), (1, gateway), rps)
    flow.link((1, gateway), (2, route), rps)
    total = sum(one.weight for one in outcome.targets)
    chosen: dict[str, float] = {}
    for one in outcome.targets:
        part = rps * one.weight / total if total else 0.0
        if one.cluster >= 0:
            cluster = labels.clusters[one.cluster].name
            sums.clusters[one.cluster] = sums.clusters.get(one.cluster, 0.0) + part
            chosen[cluster] = chosen.get(cluster, 0.0) + part
            flow.link((2, route), (3, names.clusters[cluster]), part)
        else:
            _answered(flow, sums, route, part, 503)
    if not outcome.targets:
        _answered(flow, sums, route, rps, outcome.local_status)
    local = rps - sum(chosen.values())
    failing = local if outcome.targets or outcome.local_status >= 400 or not outcome.local_status else 0.0
    sums.sent.append(Sent(rps=rps, clusters=chosen, local=local, errors=failing / rps if rps else 0.0))


def _route(label: ClassLabel) -> str:
    return label.route if label.route not in ("", "-") else "no route"


def _answered(flow: Flow, sums: _Offered, route: str, rps: float, status: int) -> None:
    """What the gateway answers itself; status 0: a connection that is refused."""
    sums.local += rps
    if status >= 400 or not status:
        sums.failing[route] = sums.failing.get(route, 0.0) + rps
    flow.link((2, route), (3, LOCAL), rps)


def _nodes(flow: Flow, names: Names, labels: Labels, model: Model, sums: _Offered) -> None:
    for client, rps in sums.clients.items():
        flow.nodes[0, client] = Node(column=0, name=client, rps=rps)
    for fleet in labels.fleets:
        name = names.gateways[fleet.name]
        cores = sums.cores.get(name, 0.0)
        pods = list(dict.fromkeys(one.pod for one in labels.workers if one.gateway == fleet.name))
        tiles = tuple(Tile(pod, cores / max(fleet.workers, 1)) for pod in pods)
        note = f"{fleet.pods} pod{'' if fleet.pods == 1 else 's'}, ≥ {cores:.2g} cores"
        flow.nodes[1, name] = Node(column=1, name=name, rps=sums.gateways.get(name, 0.0), note=note, tiles=tiles)
    for route, rps in sums.routes.items():
        flow.nodes[2, route] = Node(column=2, name=route, rps=rps, errors=sums.failing.get(route, 0.0) / rps if rps else 0.0)
    if sums.local:
        flow.nodes[3, LOCAL] = Node(column=3, name=LOCAL, rps=sums.local)
    into: dict[int, float] = {}
    for k, rps in sums.clusters.items():
        one = labels.clusters[k]
        limit = f"max_connections {one.max_connections}" if one.max_connections else ""
        flow.nodes[3, names.clusters[one.name]] = Node(column=3, name=names.clusters[one.name], rps=rps, note=limit)
        for s in one.stations:
            into[s] = into.get(s, 0.0) + rps / len(one.stations)
    _backends(flow, names, labels, model, sums, into)


def _backends(flow: Flow, names: Names, labels: Labels, model: Model, sums: _Offered, into: dict[int, float]) -> None:
    proxies = {fleet.name for fleet in labels.fleets}
    for k, rps in sums.clusters.items():
        stations = [s for s in labels.clusters[k].stations if labels.stations[s].backend not in proxies]
        if not stations:
            continue
        name = workload_of([names.backends[labels.stations[s].name] for s in stations])
        tiles = tuple(Tile(names.backends[labels.stations[s].name], _busy(model, s, into[s])) for s in stations)
        before = flow.nodes.get((4, name))
        note = f"{len(tiles)} pod{'' if len(tiles) == 1 else 's'}"
        flow.nodes[4, name] = Node(column=4, name=name, rps=rps + (before.rps if before else 0.0), note=note, tiles=tiles)
        flow.link((3, names.clusters[labels.clusters[k].name]), (4, name), rps)


def _busy(model: Model, station: int, rps: float) -> float | None:
    one = model.stations[station]
    return rps * one.service_time_s.mean / one.concurrency if one.concurrency else None


__all__ = ["flow_of_scenario"]
