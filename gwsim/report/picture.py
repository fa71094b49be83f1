"""The topology picture: clients, gateways, routes, clusters and backends, as wide as their traffic. Plain SVG."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

from gwsim.report.flow import COLUMNS, Flow, Node, Tile
from gwsim.report.happened import flow_of
from gwsim.report.lines import clip
from gwsim.results.results import Results
from gwsim.units import format_rate_rps, format_share

WIDTH, TOP, GAP = 1160, 34, 16
WIDE, NARROW, BETWEEN = 172, 160, 40
"""Width of a node where there are as many columns as usual, and where there are more; least space between columns."""
LETTER, SLIM, WIDE_LETTER = 8.2, 5.0, 12.0
"""Widths of bold letters, about."""
BAND = 300.0
"""Height of all traffic together."""
TILE, PER_ROW = (38, 18), 4
LEVELS = ((0.5, "low"), (0.7, "some"), (0.9, "high"))
"""Utilisation below which a tile has a colour; above the last it is `full`."""
LINE = 16
BAD_SHARE = 1e-3
_STYLE = (
    ":root{--ink:#1f2328;--muted:#59636f;--bad:#c4302b;--line:#e3e6eb;--low:#cfe9d9;--some:#f5e6a9;--high:#f6c08d;--full:#ee9a93;--any:#e6e9ee;"
    "--on-tile:#1f2328;--node:#fff;--flow:#7f9cc4}"
    "@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--muted:#9aa5b3;--bad:#f0736a;--line:#2c333d;--low:#235c3d;--some:#6b5a14;--high:#7d4a1a;"
    "--full:#8c332d;--any:#353d49;--on-tile:#f2f4f7;--node:#222932;--flow:#5b79a6}}"
    "svg{font-family:system-ui,sans-serif}.head{text-anchor:middle;fill:var(--muted);font-size:13px}.node rect{fill:var(--node);stroke:var(--line)}"
    ".node.bad>rect{stroke:var(--bad);stroke-width:2}.name{font-size:12.5px;font-weight:600;fill:var(--ink)}.rate,.note{font-size:11.5px;fill:var(--muted)}"
    ".bad .rate{fill:var(--bad)}.flow{fill:var(--flow);fill-opacity:.38}.flow.bad{fill:var(--bad)}"
    ".tile text{text-anchor:middle;font-size:11px;fill:var(--on-tile)}.tile rect{stroke:none}"
    ".tile.low rect{fill:var(--low)}.tile.some rect{fill:var(--some)}.tile.high rect{fill:var(--high)}.tile.full rect{fill:var(--full)}.tile.any rect{fill:var(--any)}"
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How wide the picture and its nodes are."""

    columns: int
    width: float = WIDTH
    node: float = WIDE

    @staticmethod
    def of(flow: Flow) -> Layout:
        """As usual, or wider with narrower nodes for a long journey."""
        count = len(flow.columns)
        return Layout(count) if count <= len(COLUMNS) else Layout(count, max(WIDTH, count * (NARROW + BETWEEN) - BETWEEN), NARROW)

    def x(self, index: int) -> float:
        """Where a column begins."""
        return index * (self.width - self.node) / max(self.columns - 1, 1)


@dataclass(frozen=True, slots=True)
class Box:
    """A node and where it is drawn."""

    node: Node
    x: float
    y: float
    width: float
    height: float


def topology(results: Results) -> str:
    """The picture of a run as an `<svg>` element, with a title and a description in words."""
    return draw(flow_of(results))


def standalone(flow: Flow) -> str:
    """The picture as a file of its own: with its colours, light or dark as the viewer is."""
    return draw(flow).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace("><title", f"><style>{_STYLE}</style><title", 1) + "\n"


def draw(flow: Flow) -> str:
    """A flow as an `<svg>` element."""
    scale = BAND / max(1e-9, *(sum(_carried(flow, node) for node in flow.column(i)) for i in range(len(flow.columns))))
    layout = Layout.of(flow)
    boxes = {(box.node.column, box.node.name): box for i in range(layout.columns) for box in _column(flow, layout, i, scale)}
    height = max((box.y + box.height for box in boxes.values()), default=TOP) + 8
    boxes = _centred(boxes, layout.columns, height)
    body = [*_headings(flow, layout), *_links(flow, boxes, scale), *(part for box in boxes.values() for part in _box(box))]
    return (
        f'<svg viewBox="0 0 {layout.width:.0f} {height:.0f}" class="topology" role="img" aria-labelledby="topology-title topology-description">'
        f'<title id="topology-title">Traffic from clients to backends: {escape(", ".join(flow.columns))}</title>'
        f'<desc id="topology-description">{escape(in_words(flow))}</desc>' + "".join(body) + "</svg>"
    )


def in_words(flow: Flow) -> str:
    """The picture for those who cannot see it."""
    texts = []
    for i, column in enumerate(flow.columns):
        named = ", ".join(f"{node.name} {format_rate_rps(node.rps)}" for node in flow.column(i))
        texts.append(f"{column}: {named or 'none'}.")
    return " ".join(texts)


def level(utilisation: float | None) -> str:
    """The colour class of a utilisation."""
    if utilisation is None:
        return "any"
    return next((name for limit, name in LEVELS if utilisation < limit), "full")


def _column(flow: Flow, layout: Layout, index: int, scale: float) -> list[Box]:
    boxes, y = [], float(TOP)
    for node in flow.column(index):
        height = max(_carried(flow, node) * scale, _content(node))
        boxes.append(Box(node, layout.x(index), y, layout.node, height))
        y += height + GAP
    return boxes


def _carried(flow: Flow, node: Node) -> float:
    """Requests per second that flow through a node: what comes in, or what goes out where retries and calls make that more."""
    key = (node.column, node.name)
    return max(node.rps, sum(rps for (start, _), rps in flow.links.items() if start == key))


def _fitting(name: str, room: float) -> str:
    """A name cut in its middle until it is no wider than the room for it."""
    for letters in range(len(name), 3, -1):
        text = clip(name, letters)
        if sum(SLIM if one in "fijlrt.,:-I|/ " else WIDE_LETTER if one in "mwMW…" else LETTER for one in text) <= room:
            return text
    return clip(name, 3)


def _content(node: Node) -> float:
    rows = -(-len(_tiles(node)) // PER_ROW)
    return 8 + LINE * (2 + bool(node.note)) + rows * (TILE[1] + 4) + (4 if rows else 0)


def _tiles(node: Node) -> list[Tile | str]:
    """At most three rows of tiles; the last says how many are left out."""
    most = 3 * PER_ROW
    if len(node.tiles) <= most:
        return list(node.tiles)
    return [*node.tiles[: most - 1], f"+{len(node.tiles) - most + 1}"]


def _centred(boxes: dict[tuple[int, str], Box], columns: int, height: float) -> dict[tuple[int, str], Box]:
    """Every column in the middle of the picture."""
    moved: dict[tuple[int, str], Box] = {}
    for i in range(columns):
        own = {key: box for key, box in boxes.items() if key[0] == i}
        bottom = max((box.y + box.height for box in own.values()), default=height)
        shift = max((height - 8 - bottom) / 2, 0.0)
        moved |= {key: replace(box, y=box.y + shift) for key, box in own.items()}
    return moved


def _headings(flow: Flow, layout: Layout) -> list[str]:
    return [
        f'<text x="{layout.x(i) + layout.node / 2:.1f}" y="16" class="head">{escape(name)}</text>'
        for i, name in enumerate(flow.columns)
    ]


def _links(flow: Flow, boxes: dict[tuple[int, str], Box], scale: float) -> list[str]:
    """Bands between nodes, each at its place on both sides, in the order of the nodes beyond."""
    ends = [(start, end, rps) for (start, end), rps in flow.links.items() if start in boxes and end in boxes]
    ordered = sorted(ends, key=lambda e: (boxes[e[0]].x, boxes[e[0]].y, boxes[e[1]].y))
    left = _places(ordered, boxes, scale, side=0, other=1)
    right = _places(ordered, boxes, scale, side=1, other=0)
    drawn = []
    for start, end, rps in ordered:
        half = max(rps * scale, 1.0) / 2
        x1, x2 = boxes[start].x + boxes[start].width, boxes[end].x
        y1, y2, x = left[start, end], right[start, end], (x1 + x2) / 2
        bad = " bad" if max(boxes[end].node.errors, boxes[end].node.refused) >= BAD_SHARE else ""
        drawn.append(
            f'<path class="flow{bad}" d="M{x1:.1f} {y1 - half:.1f}C{x:.1f} {y1 - half:.1f} {x:.1f} {y2 - half:.1f} {x2:.1f} {y2 - half:.1f}'
            f'V{y2 + half:.1f}C{x:.1f} {y2 + half:.1f} {x:.1f} {y1 + half:.1f} {x1:.1f} {y1 + half:.1f}Z">'
            f'<title>{escape(start[1])} to {escape(end[1])}: {format_rate_rps(rps)}</title></path>'
        )
    return drawn


def _places(
    ends: list[tuple[tuple[int, str], tuple[int, str], float]], boxes: dict[tuple[int, str], Box], scale: float,
    *, side: int, other: int,
) -> dict[tuple[tuple[int, str], tuple[int, str]], float]:
    """The middle of each band on one side, stacked in the order of the nodes on the other."""
    by_node: dict[tuple[int, str], list[tuple[tuple[int, str], tuple[int, str], float]]] = {}
    for one in ends:
        by_node.setdefault(one[:2][side], []).append(one)
    places = {}
    for key, own in by_node.items():
        box = boxes[key]
        used = sum(max(rps * scale, 1.0) for _, _, rps in own)
        y = box.y + (box.height - used) / 2
        for start, end, rps in sorted(own, key=lambda e: boxes[e[:2][other]].y):
            width = max(rps * scale, 1.0)
            places[start, end] = y + width / 2
            y += width
    return places


def _box(box: Box) -> list[str]:
    node = box.node
    bad = " bad" if max(node.errors, node.refused) >= BAD_SHARE else ""
    rate = format_rate_rps(node.rps)
    if node.errors >= BAD_SHARE:
        rate += f", {format_share(node.errors, 2)} errors"
    if node.refused >= BAD_SHARE:
        rate += f", {format_share(node.refused, 2)} refused"
    parts = [
        f'<g class="node{bad}"><title>{escape(node.name)}: {rate}</title>',
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width}" height="{box.height:.1f}" rx="5"/>',
    ]
    y = box.y + (box.height - _content(node)) / 2 + 4 + 12
    for style, text in (("name", _fitting(node.name, box.width - 14)), ("rate", rate), ("note", node.note)):
        if text:
            parts.append(f'<text x="{box.x + 9:.1f}" y="{y:.1f}" class="{style}">{escape(text)}</text>')
            y += LINE
    return [*parts, *_tile_parts(node, box.x + 9, y - 8), "</g>"]


def _tile_parts(node: Node, x: float, y: float) -> list[str]:
    parts = []
    for i, tile in enumerate(_tiles(node)):
        left, top = x + i % PER_ROW * TILE[0], y + i // PER_ROW * (TILE[1] + 4)
        if isinstance(tile, str):
            parts.append(f'<text x="{left + 4:.1f}" y="{top + 13:.1f}" class="note">{tile}</text>')
            continue
        text = "–" if tile.utilisation is None else f"{tile.utilisation * 100:.0f}%"
        busy = "no limit known" if tile.utilisation is None else f"{format_share(tile.utilisation)} busy"
        parts.append(
            f'<g class="tile {level(tile.utilisation)}"><title>{escape(tile.name)}: {busy}</title>'
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{TILE[0] - 4}" height="{TILE[1]}" rx="3"/>'
            f'<text x="{left + (TILE[0] - 4) / 2:.1f}" y="{top + 13:.1f}">{text}</text></g>'
        )
    return parts


__all__ = ["in_words", "level", "topology"]
