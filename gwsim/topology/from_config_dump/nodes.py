"""A message of the dump, read field by field; whatever nobody asked for is not modelled, and known by its path.

Field names are accepted as the admin page prints them (`lb_policy`) and as istioctl does (`lbPolicy`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gwsim.diagnostics import Collector, Span, code

TYPE = "@type"
_STRUCTS = ("xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct")
_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)s")

SILENT = frozenset([
    TYPE, "versionInfo", "lastUpdated", "statPrefix", "altStatName", "decorator", "validateClusters", "trackRemaining",
    "overprovisioningFactor", "resourceApiVersion", "maxDirectResponseBodySizeBytes", "initialFetchTimeout", "updatedAt",
    "healthCheckConfig", "statName", "observabilityName", "statsForAllMethods", "emitFilterState", "clientStatus",
])  # fmt: skip
"""Fields that change nothing about traffic: names of statistics, versions, what Envoy keeps for itself."""


@lru_cache(maxsize=4096)
def camel(name: str) -> str:
    """`lb_policy` as `lbPolicy`; names in lowerCamelCase stay."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _whole(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and abs(value) < 2**63


@dataclass(slots=True)
class Source:
    """One file of a dump: where findings go, and all messages read from it."""

    name: str
    collector: Collector
    nodes: list[Node] = field(default_factory=list)

    def root(self, value: dict[str, Any], path: str) -> Node:
        """The message at a path of the file."""
        return Node(self, value, path)

    def wrong(self, path: str, expected: str, found: object) -> None:
        """Report a value of the wrong kind."""
        shown = repr(found) if isinstance(found, (str, int, float, bool)) else type(found).__name__
        message = f"{path}: expected {expected}, found {shown[:60]}"
        self.collector.add(code("WRONG_TYPE"), message, Span(self.name))

    def not_modelled(self, path: str, what: str) -> None:
        """List something the model does not represent."""
        message = f"{path}: {what}"
        self.collector.add(code("NOT_MODELLED"), message, Span(self.name))


class Node:
    """A message. Asking for a field marks it as read."""

    __slots__ = ("_keys", "_parent", "_step", "_unread", "source", "value")

    def __init__(self, source: Source, value: dict[str, Any], step: str, parent: Node | None = None) -> None:
        self.source = source
        self.value = value
        self._parent = parent
        self._step = step
        self._keys = {camel(key): key for key in value}
        self._unread = set(self._keys)
        source.nodes.append(self)

    @property
    def path(self) -> str:
        """Where it stands in the file, from `$`."""
        return self._step if self._parent is None else f"{self._parent.path}{self._step}"

    def path_of(self, name: str) -> str:
        """Path of a field."""
        return f"{self.path}.{self._keys.get(name, name)}"

    @property
    def type(self) -> str:
        """Message of an Any, without the host before it."""
        return str(self.value.get(TYPE, "")).rpartition("/")[2]

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def raw(self, name: str) -> Any:
        """The value as it stands; None when absent."""
        key = self._keys.get(name)
        if key is None:
            return None
        self._unread.discard(name)
        return self.value[key]

    def ignore(self, *names: str) -> None:
        """Take fields for read."""
        self._unread.difference_update(names)

    def ignore_all(self) -> None:
        """Take the whole message for read."""
        self._unread.clear()

    def _wrong(self, name: str, expected: str, value: object) -> None:
        self.source.wrong(self.path_of(name), expected, value)

    def text(self, name: str, default: str = "") -> str:
        """A string (numbers are taken as text)."""
        value = self.raw(name)
        if value is None:
            return default
        if isinstance(value, (dict, list)):
            self._wrong(name, "text", value)
            return default
        return value if isinstance(value, str) else str(value)

    def number(self, name: str, default: float = 0.0) -> float:
        """A number; 64-bit ones are text in JSON."""
        value = self.raw(name)
        if value is None:
            return default
        try:
            if isinstance(value, bool):
                raise ValueError
            return float(value)
        except (TypeError, ValueError):
            self._wrong(name, "a number", value)
            return default

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number."""
        value = self.number(name, float(default))
        if value != value or value in (float("inf"), float("-inf")):
            self._wrong(name, "a whole number", value)
            return default
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._wrong(name, "true or false", value)
            return default
        return value

    def maybe_seconds(self, name: str) -> float | None:
        """A duration in seconds; None when absent."""
        value = self.raw(name)
        if value is None:
            return None
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            self._wrong(name, 'a duration like "1.5s"', value)
            return None
        return float(found[1])

    def seconds(self, name: str, default: float = 0.0) -> float:
        """A duration in seconds."""
        value = self.maybe_seconds(name)
        return default if value is None else value

    def node(self, name: str) -> Node | None:
        """A message; None when absent."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self._wrong(name, "a message", value)
            return None
        return Node(self.source, value, f".{self._keys[name]}", self)

    def nodes(self, name: str) -> list[Node]:
        """A list of messages."""
        value = self.raw(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self._wrong(name, "a list", value)
            return []
        found: list[Node] = []
        for position, one in enumerate(value):
            if isinstance(one, dict):
                found.append(Node(self.source, one, f".{self._keys[name]}[{position}]", self))
            else:
                self.source.wrong(f"{self.path_of(name)}[{position}]", "a message", one)
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self.raw(name)
        if value is None:
            return ()
        if not isinstance(value, list) or any(isinstance(one, (dict, list)) for one in value):
            self._wrong(name, "a list of texts", value)
            return ()
        return tuple(str(one) for one in value)

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        found = self.raw(name)
        numbers = found if isinstance(found, list) else []
        if found is not None and (not isinstance(found, list) or any(not _whole(one) for one in numbers)):
            self._wrong(name, "a list of whole numbers", found)
            return ()
        return tuple(int(one) for one in numbers)

    def labels(self, name: str) -> dict[str, str]:
        """A map of texts."""
        value = self.raw(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._wrong(name, "a map", value)
            return {}
        return {str(key): str(one) for key, one in value.items()}

    def entries(self, name: str) -> Iterator[tuple[str, Node]]:
        """The messages of a map, by key as written."""
        value = self.raw(name)
        if value is None:
            return
        if not isinstance(value, dict):
            self._wrong(name, "a map", value)
            return
        for key, one in value.items():
            if isinstance(one, dict):
                yield key, Node(self.source, one, f".{self._keys[name]}[{key!r}]", self)
            else:
                self.source.wrong(f"{self.path_of(name)}[{key!r}]", "a message", one)

    def typed(self, name: str = "typedConfig") -> Node | None:
        """The message of an extension's configuration; a TypedStruct gives what it holds."""
        inner = self.node(name)
        if inner is None or inner.type not in _STRUCTS:
            return inner
        url, value = inner.text("typeUrl"), inner.node("value")
        if value is None:
            return Node(self.source, {TYPE: url}, ".value", inner)
        value.ignore_all()
        return Node(self.source, {TYPE: url, **value.value}, ".value", inner)

    def own(self) -> Node:
        """`metadata.filterMetadata.gwsim`: what an export of ours wrote beside Envoy's own fields."""
        return self.block("gwsim")

    def block(self, name: str) -> Node:
        """A block of `metadata.filterMetadata` as a message; empty where there is none."""
        node = Node(self.source, self.metadata().get(name, {}), f".metadata.filterMetadata[{name!r}]", self)
        node.ignore_all()
        return node

    def metadata(self) -> dict[str, dict[str, Any]]:
        """The blocks of `metadata.filterMetadata`."""
        found = self.raw("metadata")
        if not isinstance(found, dict):
            return {}
        blocks = found.get("filterMetadata", found.get("filter_metadata"))
        if not isinstance(blocks, dict):
            return {}
        return {name: block for name, block in blocks.items() if isinstance(block, dict)}

    def unread(self) -> Iterator[str]:
        """Fields that nobody asked for, and that say something."""
        for name in sorted(self._unread):
            if name not in SILENT and self.value[self._keys[name]] not in (None, False, "", 0, [], {}):
                yield name
