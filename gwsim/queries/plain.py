"""YAML nodes as plain data, with the place of every key kept beside it."""

from __future__ import annotations

import re
from typing import Any

from gwsim.resources.yaml_nodes import Mapping as MappingNode
from gwsim.resources.yaml_nodes import Node, Scalar, Sequence, entries_of

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)$")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$")
_WORDS: dict[str, Any] = {"true": True, "True": True, "false": False, "False": False}


def plain(node: Node | None) -> Any:
    """The node as None, bool, int, float, str, list or dict; only JSON's words are taken for something but text."""
    if isinstance(node, Scalar):
        return _scalar(node)
    if isinstance(node, Sequence):
        return [plain(one) for one in node.items]
    if isinstance(node, MappingNode):
        return {key.value: plain(value) for key, value in entries_of(node)}
    return None


def _scalar(node: Scalar) -> Any:
    if not node.plain:
        return node.value
    if node.is_null:
        return None
    if node.value in _WORDS:
        return _WORDS[node.value]
    if _INTEGER.match(node.value):
        return int(node.value)
    return float(node.value) if _NUMBER.match(node.value) else node.value


def texts(node: Node | None) -> dict[str, Any]:
    """A mapping whose values stay text as written (headers): `1.0` is not a number, a list keeps its order."""
    made: dict[str, Any] = {}
    for key, value in entries_of(node) if node is not None else ():
        if isinstance(value, Scalar):
            made[key.value] = "" if value.is_null else value.value
        elif isinstance(value, Sequence):
            made[key.value] = [one.value for one in value.items if isinstance(one, Scalar)]
    return made


def lines_of(node: Node | None, prefix: str = "", depth: int = 2) -> dict[str, int]:
    """Dotted path of every key to its line, counted from 1."""
    found: dict[str, int] = {}
    for key, value in entries_of(node) if node is not None else ():
        path = f"{prefix}{key.value}"
        found[path] = key.line + 1
        if depth > 1:
            found |= lines_of(value, f"{path}.", depth - 1)
    return found
