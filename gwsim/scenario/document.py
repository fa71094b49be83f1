"""A YAML document as values that know where they stand, so that every message can say file, line and column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gwsim.diagnostics import Collector, Span, code
from gwsim.resources import yaml_nodes
from gwsim.resources.context import SourceFile

MAX_ITEMS = 200_000
"""Values a scenario may hold, aliases expanded."""

_CODES = {"syntax": "YAML_SYNTAX", "duplicate": "DUPLICATE_KEY", "key": "WRONG_TYPE", "size": "TOO_LARGE"}
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(slots=True)
class Item:
    """A value and its place; `value` of a mapping or list holds items. `key_span` is where its name stands."""

    value: Any
    span: Span
    key_span: Span | None = None

    @property
    def place(self) -> Span:
        """Where an editor should jump to: the name, or the value where there is none."""
        return self.key_span or self.span


class TooLarge(Exception):
    """More than `MAX_ITEMS` values."""


def read_document(text: str, name: str, collector: Collector) -> Item | None:
    """The one document of a text. Problems go to `collector`; None when there is nothing to go on with."""
    text = yaml_nodes.prepare(text)
    source = SourceFile(name, text)
    found: list[yaml_nodes.Node] = []
    for part in yaml_nodes.documents(text):
        if isinstance(part, yaml_nodes.Problem):
            collector.add(code(_CODES[part.kind]), part.message, source.span(part.line, part.column))
        else:
            found.append(part)
    if collector.has_errors:
        return None
    if not found:
        collector.add(code("SCENARIO_MISSING"), "the scenario is empty", Span(name), help="begin with apiVersion: gwsim/v1")
        return None
    if len(found) > 1:
        place = source.span(found[1].line, found[1].column)
        collector.add(code("SCENARIO_VALUE"), "a scenario file holds one document, and here begins a second", place)
        return None
    try:
        return next(_items(found[0], source, [0], None))
    except TooLarge:
        collector.add(code("TOO_LARGE"), f"aliases expand to more than {MAX_ITEMS} values", Span(name))
        return None


def _items(node: yaml_nodes.Node, source: SourceFile, count: list[int], key: Span | None) -> Iterator[Item]:
    """The item of a node (the only one); the depth of nodes is bounded by their reader."""
    count[0] += 1
    if count[0] > MAX_ITEMS:
        raise TooLarge
    span = source.span(node.line, node.column)
    value: Any
    if isinstance(node, yaml_nodes.Mapping):
        value = {}
        for name, child in yaml_nodes.entries_of(node):
            value[name.value] = next(_items(child, source, count, source.span(name.line, name.column)))
    elif isinstance(node, yaml_nodes.Sequence):
        value = [next(_items(child, source, count, None)) for child in node.items]
    else:
        value = scalar(node)
    yield Item(value, span, key)


def scalar(node: yaml_nodes.Node) -> Any:
    """The value of a leaf by the core schema of YAML 1.2: `on` and `1:30` are text, not YAML 1.1's surprises."""
    if not isinstance(node, yaml_nodes.Scalar):
        return None
    text = node.value
    if not node.plain:
        return text
    if node.is_null:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def item_from(value: Any, span: Span) -> Item:
    """Plain data as an item, all of it at one place."""
    if isinstance(value, dict):
        return Item({str(key): item_from(child, span) for key, child in value.items()}, span, span)
    if isinstance(value, (list, tuple)):
        return Item([item_from(child, span) for child in value], span, span)
    return Item(value, span, span)


def plain(item: Item) -> Any:
    """The item as plain data."""
    if isinstance(item.value, dict):
        return {key: plain(child) for key, child in item.value.items()}
    if isinstance(item.value, list):
        return [plain(child) for child in item.value]
    return item.value


def locate(root: Item, steps: Sequence[str | int]) -> tuple[Item, int]:
    """The item at a path, or the nearest one above it; and how many of the steps were found."""
    item = root
    for found, step in enumerate(steps):
        child = item.value.get(step) if isinstance(item.value, dict) else None
        if isinstance(item.value, list) and isinstance(step, int) and step < len(item.value):
            child = item.value[step]
        if child is None:
            return item, found
        item = child
    return item, len(steps)


def without_nulls(item: Item) -> Item:
    """A copy in which fields without a value (`sni:`) are left out, as if they were not written."""
    if isinstance(item.value, dict):
        kept = {key: without_nulls(child) for key, child in item.value.items() if child.value is not None}
        return Item(kept, item.span, item.key_span)
    if isinstance(item.value, list):
        return Item([without_nulls(child) for child in item.value], item.span, item.key_span)
    return item
