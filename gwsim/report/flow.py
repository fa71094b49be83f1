"""Who sends how much to whom, as columns of nodes and links: what the topology picture draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gwsim.report.names import Names, route_name
from gwsim.results.results import Results

COLUMNS = ("clients", "gateways", "routes", "clusters", "backends")
MOST = 10
"""Nodes of a column; the smallest are drawn as one."""
LOCAL = "local reply"


@dataclass(frozen=True, slots=True)
class Tile:
    """A pod within a node: its name and how busy it is (None: nothing limits it)."""

    name: str
    utilisation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node; `rps` flows through it, `errors` is the share that ends badly, `refused` what a breaker refuses."""

    column: int
    name: str
    rps: float
    note: str = ""
    errors: float = 0.0
    refused: float = 0.0
    tiles: tuple[Tile, ...] = ()


@dataclass(slots=True)
class Flow:
    """Nodes by (column, name), and requests per second by pair of such keys."""

    nodes: dict[tuple[int, str], Node] = field(default_factory=dict)
    links: dict[tuple[tuple[int, str], tuple[int, str]], float] = field(default_factory=dict)

    def column(self, index: int) -> list[Node]:
        """The nodes of a column, the largest first."""
        return sorted((n for n in self.nodes.values() if n.column == index), key=lambda n: (n.name.startswith(LOCAL), -n.rps, n.name))

    def link(self, start: tuple[int, str], end: tuple[int, str], rps: float) -> None:
        """Add to what flows between two nodes."""
        if rps > 0:
            self.links[start, end] = self.links.get((start, end), 0.0) + rps


def flow_of(results: Results) -> Flow:
    """The flow of a run, columns that are too long cut."""
    flow, names = Flow(), Names.of(results.labels)
    _clients(flow, results)
    _gateways(flow, results, names)
    _routes(flow, results, names)
    _clusters(flow, results, names)
    cut(flow)
    return flow


def cut(flow: Flow) -> None:
    """Columns that are too long: their smallest nodes as one."""
    for index in range(len(COLUMNS)):
        _cut(flow, index)


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
    into: dict[tuple[int, str], float] = {}
    for (_, end), rps in flow.links.items():
        into[end] = into.get(end, 0.0) + rps
    for label, one in zip(results.labels.clusters, results.clusters, strict=True):
        key = (3, names.clusters[one.name])
        if key not in into:
            continue
        refused = one.overflow.value or 0.0
        flow.nodes[key] = Node(column=3, name=key[1], rps=into[key], note=_limits(one.limits, one.in_use.value), refused=refused)
        backends = [results.backends[i] for i in label.stations]
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


def workload_of(pods: list[str]) -> str:
    """What the names of pods have in common, their ordinals left out."""
    stems = {name.rsplit("-", 1)[0] if name.rsplit("-", 1)[-1].isdecimal() else name for name in pods}
    return sorted(stems)[0] if len(stems) == 1 else " + ".join(sorted(stems)[:2]) + (" …" if len(stems) > 2 else "")


def _cut(flow: Flow, index: int) -> None:
    """The smallest nodes of a column as one."""
    ordered = flow.column(index)
    if len(ordered) <= MOST:
        return
    gone = {(index, node.name) for node in ordered[MOST - 1 :]}
    rest = Node(
        column=index, name=f"{len(gone)} more", rps=sum(node.rps for node in ordered[MOST - 1 :]),
        errors=_weighted(ordered[MOST - 1 :]),
    )
    for key in gone:
        del flow.nodes[key]
    flow.nodes[index, rest.name] = rest
    links, flow.links = flow.links, {}
    for (start, end), rps in links.items():
        flow.link((index, rest.name) if start in gone else start, (index, rest.name) if end in gone else end, rps)


def _weighted(nodes: Iterable[Node]) -> float:
    pairs = [(node.errors * node.rps, node.rps) for node in nodes]
    total = sum(rps for _, rps in pairs)
    return sum(bad for bad, _ in pairs) / total if total else 0.0


__all__ = ["COLUMNS", "LOCAL", "Flow", "Node", "Tile", "cut", "flow_of", "workload_of"]
