"""YAML and JSON text to nodes that know their place.

Built from the event stream of PyYAML's C parser and not with its `compose`, because `compose` recurses
in C (a few thousand open brackets end the process), resolves scalars by YAML 1.1 rules (`on` becomes a
boolean), keeps duplicate keys silently, and lets aliases expand without bound. Here a scalar stays text
with the knowledge whether it was written plain, depth and expansion are bounded, and problems are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 100
"""Nesting beyond this is refused; the deepest field of the APIs read here is at about 15."""

MAX_NODES = 5_000_000
"""Nodes one document may expand to through aliases."""

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_JSON_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class Node:
    """A node with its place: `line` and `column` count from 0, `start` and `end` are offsets in the text."""

    __slots__ = ("column", "end", "line", "start")

    line: int
    column: int
    start: int
    end: int

    def __init__(self, line: int, column: int, start: int, end: int) -> None:
        self.line, self.column, self.start, self.end = line, column, start, end


class Scalar(Node):
    """A leaf, as text. `plain` is False for quoted and block scalars and for those with a tag of their own."""

    __slots__ = ("plain", "value")

    value: str
    plain: bool

    @property
    def is_null(self) -> bool:
        """Whether YAML reads it as nothing."""
        return self.plain and self.value in _NULLS


class Sequence(Node):
    """A list of nodes."""

    __slots__ = ("items",)

    items: list[Node]


class Mapping(Node):
    """Pairs in the order written; duplicate keys are reported when the document is built, the last stands."""

    __slots__ = ("pairs",)

    pairs: list[tuple[Scalar, Node]]


class Problem:
    """Something wrong with the text itself. `kind` is `syntax`, `duplicate`, `key` or `size`; places count from 0."""

    __slots__ = ("column", "kind", "line", "message")

    def __init__(self, kind: str, message: str, line: int, column: int) -> None:
        self.kind, self.message, self.line, self.column = kind, message, line, column


class _Refused(Exception):
    """Ends the building of a document; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def prepare(text: str) -> str:
    """Text as the parser takes it: no byte order mark, and JSON's surrogate pairs written out."""
    text = text.removeprefix("\ufeff")
    if "\\u" in text:
        text = _JSON_PAIR.sub(_join_pair, text)
    return text


def _join_pair(match: re.Match[str]) -> str:
    high, low = int(match[2], 16), int(match[3], 16)
    return match[1] + chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def documents(text: str) -> Iterator[Node | Problem]:
    """Every document of a prepared text, and every problem, in the order of the text.

    After a syntax error reading goes on at the next line that begins with `---`.
    """
    bad = _UNPRINTABLE.search(text)
    if bad:
        line = text.count("\n", 0, bad.start())
        column = bad.start() - (text.rfind("\n", 0, bad.start()) + 1)
        yield Problem("syntax", f"character U+{ord(bad[0]):04X} is not allowed in YAML", line, column)
        return
    base_line, base = 0, 0
    while True:
        resume: int | None = None
        for found in _stream(text[base:] if base else text, base_line, base):
            if isinstance(found, int):
                resume = found
            else:
                yield found
        if resume is None:
            return
        # The error may be noticed at the `---` itself; each round begins later than the one before.
        following = text.find("\n---", max(resume - 1, base))
        if following < 0:
            return
        base_line, base = text.count("\n", 0, following + 1), following + 1


def _stream(text: str, base_line: int, base: int) -> Iterator[Node | Problem | int]:
    """Documents and problems of one text; at a syntax error, last of all, the offset to look on from."""
    import yaml

    loader_class: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        loader = loader_class(text)
        builder = _Builder(loader, base_line, base)
        while builder.next_document():
            node = builder.build()
            yield from builder.problems
            builder.problems.clear()
            if node is not None:
                yield node
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (mark.line, mark.column) if mark else (0, 0)
        message = str(getattr(error, "problem", None) or error).split("\n", 1)[0]
        context = getattr(error, "context", None)
        yield Problem("syntax", f"{message} {context}" if context else message, base_line + line, column)
        yield base + (mark.index if mark else len(text))
    except _Refused as refused:
        yield refused.problem
        yield base + _next_place(loader, len(text))


def _next_place(loader: Any, end: int) -> int:
    """Where the parser is; the end of the text when what follows cannot be parsed either."""
    import yaml

    try:
        return int(loader.get_event().start_mark.index) if loader.check_event() else end
    except yaml.YAMLError:
        return end


class _Builder:
    """Builds the documents of one event stream."""

    def __init__(self, loader: Any, base_line: int, base: int) -> None:
        from yaml import events

        self.loader, self.base_line, self.base = loader, base_line, base
        self.events = events
        self.problems: list[Problem] = []
        self.count = 0
        self.anchors: dict[str, tuple[Node, int] | None] = {}

    def next_document(self) -> bool:
        """Move to the content of the next document; False at the end of the stream."""
        while self.loader.check_event():
            event = self.loader.get_event()
            if isinstance(event, self.events.DocumentStartEvent):
                self.count, self.anchors = 0, {}
                return True
        return False

    def build(self) -> Node | None:
        """The document's root, or None for an empty one."""
        stack: list[_Open] = []
        get_event, scalar_event, alias_event = self.loader.get_event, self.events.ScalarEvent, self.events.AliasEvent
        start_events = (self.events.MappingStartEvent, self.events.SequenceStartEvent)
        while True:
            event = get_event()
            kind = type(event)
            if kind is scalar_event:
                node: Node = self._scalar(event)
            elif kind is alias_event:
                node = self._alias(event)
            elif kind in start_events:
                if len(stack) >= MAX_DEPTH:
                    raise _Refused(self._problem("size", f"nested deeper than {MAX_DEPTH} levels", event))
                stack.append(self._open(event))
                continue
            else:
                node = self._close(stack.pop(), event)
            if not stack:
                return None if isinstance(node, Scalar) and node.is_null else node
            stack[-1].children.append(node)

    def _problem(self, kind: str, message: str, event: Any) -> Problem:
        mark = event.start_mark
        return Problem(kind, message, self.base_line + mark.line, mark.column)

    def _scalar(self, event: Any) -> Scalar:
        mark = event.start_mark
        node = Scalar(self.base_line + mark.line, mark.column, self.base + mark.index, self.base + event.end_mark.index)
        node.value, node.plain = event.value, event.implicit[0]
        self.count += 1
        if event.anchor is not None:
            self.anchors[event.anchor] = node, 1
        return node

    def _alias(self, event: Any) -> Node:
        """The node the alias stands for; its size counts again, which bounds what aliases can expand to."""
        if event.anchor not in self.anchors:
            raise _Refused(self._problem("syntax", f"alias *{event.anchor} has no anchor before it", event))
        target = self.anchors[event.anchor]
        if target is None:
            raise _Refused(self._problem("size", f"alias *{event.anchor} is inside its own anchor", event))
        self.count += target[1]
        if self.count > MAX_NODES:
            raise _Refused(self._problem("size", f"aliases expand to more than {MAX_NODES} nodes", event))
        return target[0]

    def _open(self, event: Any) -> _Open:
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.count += 1
        return _Open(event, self.count)

    def _close(self, opened: _Open, end_event: Any) -> Node:
        event, children = opened.event, opened.children
        mark = event.start_mark
        place = (self.base_line + mark.line, mark.column, self.base + mark.index, self.base + end_event.end_mark.index)
        node: Node
        if isinstance(event, self.events.MappingStartEvent):
            node = mapping = Mapping(*place)
            mapping.pairs = self._pairs(children)
        else:
            node = sequence = Sequence(*place)
            sequence.items = children
        if event.anchor is not None:
            self.anchors[event.anchor] = node, self.count - opened.count + 1
        return node

    def _pairs(self, children: list[Node]) -> list[tuple[Scalar, Node]]:
        pairs: list[tuple[Scalar, Node]] = []
        places: dict[str, int] = {}
        for at in range(0, len(children), 2):
            key, value = children[at], children[at + 1]
            if not isinstance(key, Scalar):
                self.problems.append(Problem("key", "a key must be text, not a list or a mapping", key.line, key.column))
                continue
            name = key.value
            if name == "<<" and key.plain:
                pairs.append((key, value))
            elif name in places:
                first = pairs[places[name]][0].line + 1
                message = f"key {name!r} is given twice, first in line {first}"
                self.problems.append(Problem("duplicate", message, key.line, key.column))
                pairs[places[name]] = key, value
            else:
                places[name] = len(pairs)
                pairs.append((key, value))
        return pairs


class _Open:
    """A mapping or sequence whose end has not come yet."""

    __slots__ = ("children", "count", "event")

    def __init__(self, event: Any, count: int) -> None:
        self.event, self.count = event, count
        self.children: list[Node] = []


def entries_of(node: Node) -> list[tuple[Scalar, Node]]:
    """The pairs of a mapping, merge keys (`<<: *defaults`) resolved; empty for other nodes."""
    if not isinstance(node, Mapping):
        return []
    if not any(key.value == "<<" and key.plain for key, _ in node.pairs):
        return node.pairs
    own = {key.value for key, _ in node.pairs}
    merged: list[tuple[Scalar, Node]] = []
    for key, value in node.pairs:
        if key.value != "<<" or not key.plain:
            merged.append((key, value))
            continue
        for source in value.items if isinstance(value, Sequence) else (value,):
            for pair in entries_of(source):
                if pair[0].value not in own:
                    own.add(pair[0].value)
                    merged.append(pair)
    return merged


def value_at(node: Node | None, *names: str) -> Node | None:
    """The value under the names, or None when a step is missing."""
    for name in names:
        if node is None:
            return None
        node = next((value for key, value in entries_of(node) if key.value == name), None)
    return node


def text_of(node: Node | None) -> str | None:
    """The text of a scalar that is not null, else None."""
    return node.value if isinstance(node, Scalar) and not node.is_null else None
