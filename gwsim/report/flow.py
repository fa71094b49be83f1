"""Who sends how much to whom, as columns of nodes and links: what the topology picture draws."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

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
    columns: tuple[str, ...] = COLUMNS
    """What the columns are called."""

    def column(self, index: int) -> list[Node]:
        """The nodes of a column, the largest first."""
        return sorted((n for n in self.nodes.values() if n.column == index), key=lambda n: (n.name.startswith(LOCAL), -n.rps, n.name))

    def link(self, start: tuple[int, str], end: tuple[int, str], rps: float) -> None:
        """Add to what flows between two nodes."""
        if rps > 0:
            self.links[start, end] = self.links.get((start, end), 0.0) + rps


def cut(flow: Flow) -> None:
    """Columns that are too long: their smallest nodes as one."""
    for index in range(len(flow.columns)):
        _cut(flow, index)


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


__all__ = ["COLUMNS", "LOCAL", "Flow", "Node", "Tile", "cut", "workload_of"]
