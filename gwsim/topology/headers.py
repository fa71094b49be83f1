"""Headers on their way through a proxy: what is set, added and removed, and with which values.

A set of changes removes first, then overwrites, then appends. Of several sets (weighted cluster, route, virtual
host) the more specific one acts first, so that a less specific one overwrites it.
Source: envoyproxy/envoy source/common/router/header_parser.cc (`evaluateHeaders`),
source/common/router/config_impl.cc (`finalizeRequestHeaders`, `getRequestHeaderParsers`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from gwsim.topology.routes import HeaderChanges

Lookup = Callable[[str], str | None]
"""A header's value by its lower-case name, pseudo-headers included."""

_COMMAND = re.compile(r"%%|%([A-Z_]+)(?:\(([^)]*)\))?(?::\d+)?%")


class Headers:
    """Headers in order, with any number of values each; names in lower case."""

    __slots__ = ("_values", "removed")

    def __init__(self, headers: Mapping[str, object] | None = None) -> None:
        self._values: dict[str, list[str]] = {}
        self.removed: dict[str, None] = {}
        for name, value in (headers or {}).items():
            many = value if isinstance(value, (list, tuple)) else [value]
            self._values.setdefault(name.lower(), []).extend(str(one) for one in many)

    def get(self, name: str) -> str | None:
        """All values of a header joined with commas."""
        values = self._values.get(name.lower())
        return ",".join(values) if values else None

    def set(self, name: str, value: str) -> None:
        """One value in place of all."""
        self._values[name.lower()] = [value]
        self.removed.pop(name.lower(), None)

    def add(self, name: str, value: str) -> None:
        """One more value."""
        self._values.setdefault(name.lower(), []).append(value)
        self.removed.pop(name.lower(), None)

    def remove(self, name: str) -> None:
        """Take a header away, whether or not it is there."""
        self._values.pop(name.lower(), None)
        self.removed[name.lower()] = None

    def plain(self) -> dict[str, str]:
        """Names and joined values."""
        return {name: ",".join(values) for name, values in self._values.items()}


def apply(changes: Iterable[HeaderChanges | None], headers: Headers, lookup: Lookup) -> None:
    """Change headers by several sets of changes, each after the one before."""
    for one in changes:
        if one is not None:
            _apply(one, headers, lookup)


def _apply(changes: HeaderChanges, headers: Headers, lookup: Lookup) -> None:
    for name in changes.remove:
        headers.remove(name)
    for name, text in changes.set.items():
        value = formatted(text, lookup)
        if value:
            headers.set(name, value)
    for name, text in changes.add.items():
        value = formatted(text, lookup)
        if value:
            headers.add(name, value)


def joined(first: HeaderChanges | None, second: HeaderChanges | None) -> HeaderChanges | None:
    """Two sets of changes as one: a route's with those of its only destination, which overwrite it."""
    if first is None or second is None:
        return first or second
    add = dict(first.add)
    for name, value in second.add.items():
        add[name] = f"{add[name]},{value}" if name in add else value
    return HeaderChanges(set={**first.set, **second.set}, add=add, remove=(*first.remove, *second.remove))


def formatted(text: str, lookup: Lookup) -> str:
    """A value with its commands filled in: `%REQ(name?other)%`, `%%`. What depends on the connection stays as written."""
    if "%" not in text:
        return text

    def replace(found: re.Match[str]) -> str:
        command, argument = found.group(1), found.group(2)
        if command is None:
            return "%"
        if command != "REQ" or argument is None:
            return found.group(0)
        values = (lookup(name.strip().lower()) for name in argument.split("?"))
        return next((value for value in values if value), "")

    return _COMMAND.sub(replace, text)
