"""Where an object came from, and where in it each field stands.

Keeping the parsed YAML nodes of thousands of objects would cost some 30 kB each. An origin keeps the
object's own text instead and parses it again when the place of a field is asked for, which takes a
fraction of a millisecond and is remembered for the last few objects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from gwsim.diagnostics import Span
from gwsim.resources.yaml_nodes import Node, Scalar, Sequence, documents, entries_of

_ROOT_KEYS = frozenset({"apiVersion", "kind", "metadata", "spec", "status", "data", "stringData", "type", "webhooks"})
_STEP = re.compile(r"""\.?(?:\[(?:(\d+)|"([^"]*)"|'([^']*)')\]|([^.\[\]]+))""")


@dataclass(frozen=True, slots=True)
class Origin:
    """The file and place of an object.

    `line` and `column` count from 1. `text` is the object's text beginning at that column, or None when
    it must not or cannot be kept (Secrets, items of a List that use aliases): every field then has the
    object's own place.
    """

    file: str = "<memory>"
    line: int = 0
    column: int = 0
    text: str | None = None

    @property
    def span(self) -> Span:
        """Where the object begins."""
        shown = None
        if self.text is not None:
            shown = self.text.split("\n", 1)[0].rstrip("\r")
        return Span(self.file, self.line, self.column, shown)

    def span_of(self, path: str) -> Span:
        """Where the field of that path stands; see `Resource.span_of`."""
        if self.text is None:
            return self.span
        indent = max(self.column - 1, 0)
        root = _parse(self.text, indent)
        node = walk(root, readable_steps(path)) if root is not None else None
        if node is None or node is root:
            return self.span
        return Span(self.file, self.line + node.line, node.column + 1, _line(self.text, node.line))


def steps_of(path: str) -> list[str | int]:
    """A field path as steps: `http[0].route` is ["http", 0, "route"].

    Raises ValueError when the path cannot be read.
    """
    steps: list[str | int] = []
    end = 0
    for step in _STEP.finditer(path):
        if step.start() != end:
            break
        index, double, single, name = step.groups()
        steps.append(int(index) if index is not None else next(s for s in (double, single, name) if s is not None))
        end = step.end()
    if end != len(path):
        raise ValueError(f"{path!r} is not a field path; write e.g. http[0].route[1].weight")
    return steps


def readable_steps(path: str) -> list[str | int]:
    """The path as steps, as far as it can be read: a map of a file may have any text for a key."""
    while path:
        try:
            return steps_of(path)
        except ValueError:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return []


def _line(text: str, row: int) -> str | None:
    lines = text.split("\n", row + 1)
    return lines[row].rstrip("\r") if row < len(lines) else None


@lru_cache(maxsize=16)
def _parse(text: str, indent: int) -> Node | None:
    """The object's node; the indentation cut off with the text before it is put back first."""
    first = next(iter(documents(" " * indent + text)), None)
    return first if isinstance(first, Node) else None


def walk(root: Node, steps: list[str | int]) -> Node:
    """The node of the path, or of the longest part of it that exists."""
    if steps and steps[0] not in _ROOT_KEYS:
        steps = ["spec", *steps]
    node = found = root
    for step in steps:
        if isinstance(step, int):
            if not isinstance(node, Sequence) or step >= len(node.items):
                return found
            node = found = node.items[step]
            continue
        entry = _entry(entries_of(node), step)
        if entry is None:
            return found
        # The key's own place is where an editor should jump to; the search goes on in its value.
        found, node = entry
    return found


def _entry(entries: list[tuple[Scalar, Node]], name: str) -> tuple[Scalar, Node] | None:
    plain = name.replace("_", "").lower()
    loose: tuple[Scalar, Node] | None = None
    for key, value in entries:
        if key.value == name:
            return key, value
        if key.value.replace("_", "").lower() == plain:
            loose = key, value
    return loose
