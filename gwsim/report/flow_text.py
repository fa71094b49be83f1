"""The topology picture for terminals: columns below each other, each node with its load, how busy its pods are, and where its requests go."""

from __future__ import annotations

from gwsim.report.flow import Flow, Node, Tile
from gwsim.report.lines import EMPTY, Line, Part, clip, line
from gwsim.units import format_rate_rps, format_share

NAME, BAR = 34, 20
STYLES = ((0.5, "green"), (0.7, "yellow"), (0.9, "dark_orange"))
"""Colour of a utilisation below; above the last it is red."""
BAD_SHARE = 1e-3


def lines(flow: Flow) -> list[Line]:
    """The picture."""
    most = max((node.rps for node in flow.nodes.values()), default=0.0) or 1.0
    made: list[Line] = []
    for index, column in enumerate(flow.columns):
        nodes = flow.column(index)
        if not nodes:
            continue
        made.append(line(Part(column.upper(), "bold")))
        for node in nodes:
            made += _node(flow, index, node, most)
        made.append(EMPTY)
    return made


def _node(flow: Flow, index: int, node: Node, most: float) -> list[Line]:
    bad = max(node.errors, node.refused) >= BAD_SHARE
    bar = "█" * max(round(node.rps / most * BAR), 1 if node.rps else 0)
    head: list[str | Part] = ["  ", Part(clip(node.name, NAME).ljust(NAME), "red" if bad else ""), f"{format_rate_rps(node.rps):>12}  ", bar.ljust(BAR), f"  {node.note}"]
    if bad:
        told = f"{format_share(node.errors, 2)} errors" if node.errors >= BAD_SHARE else f"{format_share(node.refused, 2)} refused"
        head.append(Part(f"  {told}", "red"))
    rows = [line(*head)]
    if node.tiles and any(tile.utilisation is not None for tile in node.tiles):
        rows.append(line("      busy: ", *_busy(node.tiles)))
    ends = sorted(((end[1], rps) for (start, end), rps in flow.links.items() if start == (index, node.name)), key=lambda one: (-one[1], one[0]))
    return [*rows, *(line(f"    → {clip(name, NAME).ljust(NAME - 2)}{format_rate_rps(rps):>12}  {format_share(rps / node.rps if node.rps else 0.0, 2)}") for name, rps in ends)]


def _busy(tiles: tuple[Tile, ...]) -> list[str | Part]:
    """Pods by how busy they are, equal ones together."""
    counted: dict[str, tuple[int, float]] = {}
    for tile in tiles:
        if tile.utilisation is not None:
            text = format_share(tile.utilisation, 2)
            counted[text] = (counted.get(text, (0, 0.0))[0] + 1, tile.utilisation)
    parts: list[str | Part] = []
    for text, (count, utilisation) in counted.items():
        style = next((style for limit, style in STYLES if utilisation < limit), "red")
        parts += [Part(f"{count} × {text}" if count > 1 else text, style), "  "]
    return parts


__all__ = ["lines"]
