"""Overrides of single fields of objects (`--set Kind/namespace/name:path=value`), applied before typed reading.

A patched value is decoded and validated like any other. Its nodes carry a negative line, which
`SourceFile.span` turns into the override's own text, so that messages name the override and not the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gwsim.diagnostics import Collector, Span, code, nearest
from gwsim.resources.context import SourceFile
from gwsim.resources.origin import steps_of
from gwsim.resources.yaml_nodes import (
    Mapping,
    Node,
    Problem,
    Scalar,
    Sequence,
    documents,
    entries_of,
    prepare,
)

_ROOTS = frozenset({"apiVersion", "kind", "metadata", "spec", "data", "stringData", "type"})


@dataclass(frozen=True, slots=True)
class Patch:
    """One override. `path` is below the object, `spec` may be left out; `value` is YAML; `label` is how it was given."""

    kind: str
    namespace: str
    name: str
    path: str
    value: str
    label: str

    @property
    def ref(self) -> str:
        """`Kind/namespace/name`."""
        return f"{self.kind}/{self.namespace}/{self.name}"


class Patches:
    """The overrides of one run; remembers which objects there were, to say which override met none."""

    def __init__(self, patches: Iterable[Patch] = ()) -> None:
        self.patches = tuple(patches)
        self._met: set[Patch] = set()
        self._refs: set[str] = set()

    def apply(self, source: SourceFile, node: Node, ref: tuple[str, str, str], collector: Collector) -> Node:
        """The object's node with every override of it in place; what cannot be done is reported."""
        if not self.patches:
            return node
        self._refs.add("/".join(ref))
        for patch in self.patches:
            if (patch.kind, patch.namespace, patch.name) == ref:
                self._met.add(patch)
                try:
                    node = _patched(source, node, patch)
                except ValueError as error:
                    collector.add(code("SET_PATH"), str(error), Span(patch.label), object_ref=patch.ref)
        return node

    def join(self, other: Patches) -> None:
        """Take over what another set of overrides has met."""
        self._met |= other._met
        self._refs |= other._refs

    def report_unused(self, collector: Collector, of: Iterable[Patch] | None = None) -> None:
        """Report every override (or those of `of`) whose object was never read."""
        for patch in self.patches if of is None else of:
            if patch not in self._met:
                near = nearest(patch.ref, self._refs)
                help = f"did you mean {near}?" if near else None
                collector.add(code("SET_PATH"), f"there is no object {patch.ref}", Span(patch.label), help=help)


def _patched(source: SourceFile, node: Node, patch: Patch) -> Node:
    """Raises ValueError when the path or the value cannot be used."""
    steps = steps_of(patch.path)
    if not steps:
        raise ValueError("the path is empty; write e.g. spec.http[0].timeout")
    if steps[0] not in _ROOTS:
        steps = ["spec", *steps]
    line = source.label(patch.label)
    return _replaced(node, steps, _value(patch.value, line), line, "")


def _value(text: str, line: int) -> Node:
    found = list(documents(prepare(text)))
    if any(isinstance(part, Problem) for part in found) or len(found) > 1:
        raise ValueError(f"the value {text!r} is not YAML")
    first = found[0] if found else None
    return _moved(first if isinstance(first, Node) else _scalar("", line), line)


def _moved(node: Node, line: int) -> Node:
    node.line, node.column = line, 0
    if isinstance(node, Mapping):
        for key, child in node.pairs:
            _moved(key, line)
            _moved(child, line)
    elif isinstance(node, Sequence):
        for child in node.items:
            _moved(child, line)
    return node


def _scalar(text: str, line: int) -> Scalar:
    made = Scalar(line, 0, 0, 0)
    made.value, made.plain = text, True
    return made


def _replaced(node: Node | None, steps: list[str | int], value: Node, line: int, done: str) -> Node:
    """A copy of `node` with `value` at the path; what is missing on the way is made."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        if not isinstance(node, Sequence) or step >= len(node.items):
            have = f"{len(node.items)} entries" if isinstance(node, Sequence) else "no list"
            raise ValueError(f"{done}[{step}] does not exist; there is {have} at {done}")
        items = list(node.items)
        items[step] = _replaced(items[step], rest, value, line, f"{done}[{step}]")
        return _list_like(node, items)
    if node is not None and not isinstance(node, Mapping) and not (isinstance(node, Scalar) and node.is_null):
        raise ValueError(f"{done} is no mapping, so it has no field {step}")
    pairs = list(entries_of(node)) if isinstance(node, Mapping) else []
    at = next((i for i, (key, _) in enumerate(pairs) if key.value == step), None)
    if rest and isinstance(rest[0], int) and at is None:
        raise ValueError(f"{f'{done}.{step}'.lstrip('.')} does not exist, so it has no entry {rest[0]}")
    old = pairs[at][1] if at is not None else None
    new = _replaced(old, rest, value, line, f"{done}.{step}".lstrip("."))
    if at is None:
        pairs.append((_scalar(step, line), new))
    else:
        pairs[at] = pairs[at][0], new
    return _mapping_like(node, pairs, line)


def _list_like(node: Sequence, items: list[Node]) -> Sequence:
    made = Sequence(node.line, node.column, node.start, node.end)
    made.items = items
    return made


def _mapping_like(node: Node | None, pairs: list[tuple[Scalar, Node]], line: int) -> Mapping:
    made = Mapping(node.line, node.column, node.start, node.end) if isinstance(node, Mapping) else Mapping(line, 0, 0, 0)
    made.pairs = pairs
    return made
