"""What decoding and validation of one object share: where it is, and how findings about it are made."""

from __future__ import annotations

from typing import Any

from gwsim.diagnostics import Collector, Level, Span, code
from gwsim.resources.yaml_nodes import Node

Path = tuple[Any, ...]
"""A place in an object as nested pairs (parent, step), rendered only when something is to be said."""


def path_text(path: Path) -> str:
    """`(((), "http"), 0)` as `http[0]`."""
    steps: list[str] = []
    while path:
        path, step = path
        if isinstance(step, int):
            steps.append(f"[{step}]")
        elif "." in step or "[" in step:
            steps.append(f'["{step}"]')
        else:
            steps.append(f".{step}")
    return "".join(reversed(steps)).removeprefix(".")


class SourceFile:
    """A file's name and its text, which findings quote."""

    __slots__ = ("_labels", "_lines", "name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self._lines: list[str] | None = None
        self._labels: list[str] = []

    def label(self, text: str) -> int:
        """A line number (below 0) that stands for an override's own text instead of a line of the file."""
        self._labels.append(text)
        return -len(self._labels)

    def span(self, line: int, column: int, *, quote: bool = True) -> Span:
        """A place given by line and column from 0; a line below 0 is one of `label`."""
        if line < 0:
            return Span(self._labels[-line - 1])
        if self._lines is None:
            self._lines = self.text.split("\n")
        shown = self._lines[line].rstrip("\r") if quote and line < len(self._lines) else None
        return Span(self.name, line + 1, column + 1, shown)


class ObjectContext:
    """The object being read: makes findings that carry its name, the field and the place."""

    __slots__ = ("collector", "error_paths", "incomplete_lists", "quote", "ref", "source", "unknown_fields")

    def __init__(self, source: SourceFile, collector: Collector, ref: str, unknown_fields: str, *, quote: bool = True) -> None:
        self.source, self.collector, self.ref = source, collector, ref
        self.unknown_fields = unknown_fields
        self.quote = quote
        self.error_paths: list[str] = []
        self.incomplete_lists: set[str] = set()

    def report(self, code_name: str, message: str, node: Node, path: Path = (), help: str | None = None, **kw: Any) -> None:
        """Add a finding at the node. `code_name` is a symbolic name of the table of codes."""
        span = self.source.span(node.line, node.column, quote=self.quote)
        where = path_text(path)
        ref = f"{self.ref} {where}" if where else self.ref
        finding = self.collector.add(code(code_name), message, span, help=help, object_ref=ref, **kw)
        if finding.level is Level.ERROR:
            self.error_paths.append(where)
