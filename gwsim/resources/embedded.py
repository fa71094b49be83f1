"""YAML kept as text inside an object, read with the place that it has in the file."""

from __future__ import annotations

from gwsim.resources.context import ObjectContext, Path
from gwsim.resources.yaml_nodes import Mapping, Node, Problem, Scalar, Sequence, documents, prepare

_CODES = {"syntax": "YAML_SYNTAX", "duplicate": "DUPLICATE_KEY", "key": "WRONG_TYPE", "size": "TOO_LARGE"}


def embedded(ctx: ObjectContext, holder: Scalar, path: Path) -> Node | None:
    """The first document of the text, or None when it is empty or cannot be read, which is then reported.

    Lines are right where the text is a literal block (`|`); of other text every node has the place of the whole.
    """
    shift = _Shift.of(ctx, holder)
    for found in documents(prepare(holder.value)):
        if isinstance(found, Problem):
            place = Scalar(*shift.place(found.line, found.column), holder.start, holder.end)
            place.value, place.plain = "", False
            ctx.report(_CODES[found.kind], found.message, place, path)
            continue
        shift.move(found)
        return found
    return None


class _Shift:
    """Moves nodes of an inner text to where they stand in the file."""

    def __init__(self, line: int, column: int, literal: bool) -> None:
        self.line, self.column, self.literal = line, column, literal
        self._moved: set[int] = set()

    @classmethod
    def of(cls, ctx: ObjectContext, holder: Scalar) -> _Shift:
        text = ctx.source.text
        literal = holder.line >= 0 and text[holder.start : holder.start + 1] == "|"
        if not literal:
            return cls(holder.line, holder.column, False)
        body = text[holder.start : holder.end].split("\n")[1:]
        first = next((line for line in body if line.strip()), "")
        return cls(holder.line + 1, len(first) - len(first.lstrip(" ")), True)

    def place(self, line: int, column: int) -> tuple[int, int]:
        return (self.line + line, self.column + column) if self.literal else (self.line, self.column)

    def move(self, node: Node) -> None:
        # An anchor's node hangs in several places and is moved once.
        if id(node) in self._moved:
            return
        self._moved.add(id(node))
        node.line, node.column = self.place(node.line, node.column)
        if isinstance(node, Mapping):
            for key, value in node.pairs:
                self.move(key)
                self.move(value)
        elif isinstance(node, Sequence):
            for item in node.items:
                self.move(item)
