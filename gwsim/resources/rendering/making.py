"""Nodes made from data. Nodes within the data stay as they are, so what a user wrote keeps its place."""

from __future__ import annotations

from typing import Any

from gwsim.resources.yaml_nodes import Mapping, Node, Scalar, Sequence, entries_of, text_of, value_at

Data = Any
"""Plain data with nodes in it; None is left out of mappings."""

_TRUE = frozenset({"true", "True", "TRUE", "yes", "on"})


def made(data: Data, at: Node) -> Node:
    """A node for the data; what is not a node in it has the place of `at`."""
    place = (at.line, at.column, at.start, at.end)
    if isinstance(data, Node):
        return data
    if isinstance(data, dict):
        mapping = Mapping(*place)
        mapping.pairs = [(_scalar(str(key), False, at), made(value, at)) for key, value in data.items() if value is not None]
        return mapping
    if isinstance(data, list | tuple):
        sequence = Sequence(*place)
        sequence.items = [made(item, at) for item in data]
        return sequence
    if isinstance(data, bool):
        return _scalar("true" if data else "false", True, at)
    return _scalar(str(data), isinstance(data, int | float), at)


def _scalar(value: str, plain: bool, at: Node) -> Scalar:
    scalar = Scalar(at.line, at.column, at.start, at.end)
    scalar.value, scalar.plain = value, plain
    return scalar


def quoted(node: Node) -> Node:
    """A scalar as the text that a chart's `quote` makes of it; other nodes as they are."""
    return _scalar(node.value, False, node) if isinstance(node, Scalar) else node


def given(node: Node | None, *names: str) -> Node | None:
    """The value under the names, or None when it is missing or null."""
    found = value_at(node, *names)
    return None if found is None or (isinstance(found, Scalar) and found.is_null) else found


def is_on(node: Node | None, default: bool) -> bool:
    """A switch, or its default when it is not given."""
    text = text_of(node)
    return default if text is None else text in _TRUE


def pairs(node: Node | None) -> dict[str, Node]:
    """The entries of a mapping by name."""
    return {key.value: value for key, value in entries_of(node)} if node is not None else {}


def overlaid(base: Data, over: Node | None) -> Data:
    """`base` with the entries of a mapping over it, one level deep."""
    if over is None:
        return base
    below = dict(base) if isinstance(base, dict) else pairs(base)
    return {**below, **pairs(over)} if isinstance(over, Mapping) else over
