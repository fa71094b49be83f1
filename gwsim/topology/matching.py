"""Tables made once from a RouteConfiguration, so that choosing a route is a few look-ups.

Sources: envoyproxy/envoy source/common/router/config_impl.cc (virtual host and route matching),
source/common/common/matchers.cc, source/common/http/path_utility.cc.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from gwsim.topology.decision import Request
from gwsim.topology.listeners import HttpConnectionManager
from gwsim.topology.routes import (
    ClaimMatch,
    HeaderMatch,
    PathMatch,
    QueryMatch,
    Route,
    RouteConfiguration,
    StringMatch,
    VirtualHost,
)

_ESCAPED_PLAIN = re.compile("%(?:2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])")
"""Letters, digits, `-`, `.`, `_` and `~` that need no escaping."""
_ESCAPED_SLASH = re.compile("%2[fF]|%5[cC]")
_SLASHES = re.compile("//+")


class RequestView:
    """A request taken apart the way the matchers need it; headers and query only when asked for."""

    __slots__ = ("_headers", "_params", "_query", "authority", "claims", "host", "method", "path", "raw_headers", "scheme")

    def __init__(self, request: Request, *, scheme: str, manager: HttpConnectionManager) -> None:
        full = request.path.partition("#")[0]
        path, _, self._query = full.partition("?")
        self.path = path_handed_on(path, manager)
        self.authority = request.host
        self.method = request.method
        self.scheme = scheme
        self.claims = request.claims
        self.raw_headers = request.headers
        self._headers: dict[str, str] | None = None
        self._params: dict[str, str] | None = None

    def header(self, name: str) -> str | None:
        """A header's value by its lower-case name, pseudo-headers included."""
        if self._headers is None:
            self._headers = {key.lower(): value for key, value in self.raw_headers.items()}
            pseudo = {":authority": self.authority, "host": self.authority, ":method": self.method}
            self._headers |= {**pseudo, ":path": self.path_and_query, ":scheme": self.scheme}
        return self._headers.get(name)

    def param(self, name: str) -> str | None:
        """The first value of a query parameter, not decoded."""
        if self._params is None:
            self._params = {}
            for part in self._query.split("&"):
                key, _, value = part.partition("=")
                self._params.setdefault(key, value)
        return self._params.get(name)

    @property
    def query(self) -> str:
        """The query with its question mark, or nothing."""
        return f"?{self._query}" if self._query else ""

    @property
    def path_and_query(self) -> str:
        """The path with its query."""
        return self.path + self.query


def path_handed_on(path: str, manager: HttpConnectionManager) -> str:
    """The path as the connection manager gives it to its filters: slashes unescaped, dots removed, slashes merged."""
    if manager.unescape_slashes and "%" in path:
        path = _ESCAPED_SLASH.sub(lambda found: "/" if found[0][2] in "fF" else "\\", path)
    if manager.normalize_path:
        path = normalized(path)
    return _SLASHES.sub("/", path) if manager.merge_slashes and "//" in path else path


def normalized(path: str) -> str:
    """The path without dot segments and escaped plain characters, backslashes as slashes (Istio's BASE normalisation).

    Source: envoyproxy/envoy source/common/chromium_url/url_canon_path.cc (`DoPath`).
    """
    if "%" in path:
        path = _ESCAPED_PLAIN.sub(lambda found: chr(int(found[0][1:], 16)), path)
    if "/." not in path and "\\" not in path:
        return path
    clean = path.replace("\\", "/")
    out: list[str] = []
    segments = clean.split("/")
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        if segment == "..":
            if len(out) > 1:
                out.pop()
        elif segment != ".":
            out.append(segment)
            continue
        if last:
            out.append("")
    return "/".join(out)


def host_without_port(host: str) -> str:
    """`host[:port]` in lower case without the port, whatever it is; an IPv6 address keeps its brackets.

    Source: envoyproxy/envoy source/common/http/header_utility.cc `getPortStart`.
    """
    host = host.lower()
    if host.endswith("]"):
        return host
    name, colon, _ = host.rpartition(":")
    return name if colon and (":" not in name or name.endswith("]")) else host


TextTest = Callable[[str], bool]


def text_test(match: StringMatch) -> TextTest:
    """A StringMatch as a function."""
    value = match.value
    if match.ignore_case:
        inner = text_test(StringMatch(kind=match.kind, value=value if match.kind == "regex" else value.lower()))
        if match.kind == "regex":
            return _regex_test(f"(?i:{value})")
        return lambda text: inner(text.lower())
    match match.kind:
        case "exact":
            return lambda text: text == value
        case "prefix":
            return lambda text: text.startswith(value)
        case "suffix":
            return lambda text: text.endswith(value)
        case "contains":
            return lambda text: value in text
        case "regex":
            return _regex_test(value)
        case "present":
            return lambda text: True


def _regex_test(pattern: str) -> TextTest:
    """RE2, whole text. A pattern that RE2 refuses matches nothing, as Envoy would refuse the route."""
    try:
        full = re2.compile(pattern).fullmatch
    except re2.error:
        return lambda text: False
    return lambda text: full(text) is not None


def path_test(match: PathMatch) -> TextTest:
    """A PathMatch as a function of the path without query."""
    if match.kind == "any":
        return lambda path: True
    if match.kind == "path_separated_prefix":
        return _segment_test(match)
    return text_test(StringMatch(kind=match.kind, value=match.value, ignore_case=match.ignore_case))


def _segment_test(match: PathMatch) -> TextTest:
    value = match.value.lower() if match.ignore_case else match.value
    below = value + "/"
    if match.ignore_case:
        return lambda path: path.lower() == value or path.lower().startswith(below)
    return lambda path: path == value or path.startswith(below)


Condition = tuple[str, Callable[[RequestView], bool]]


def describe(match: StringMatch) -> str:
    """A StringMatch in a few words."""
    return "present" if match.kind == "present" else f"{match.kind} {match.value!r}"


def _header(match: HeaderMatch) -> Condition:
    test, name = text_test(match.match), match.name

    def check(view: RequestView) -> bool:
        value = view.header(name)
        return value is not None and test(value)

    return f"header {name} {describe(match.match)}", check


def _without_header(match: HeaderMatch) -> Condition:
    name = match.name
    if match.match.kind == "present":
        return f"without header {name}", lambda view: view.header(name) is None
    test = text_test(match.match)
    return f"header {name} not {describe(match.match)}", lambda view: not test(view.header(name) or "")


def _query(match: QueryMatch) -> Condition:
    test, name = text_test(match.match), match.name

    def check(view: RequestView) -> bool:
        value = view.param(name)
        return value is not None and test(value)

    return f"query parameter {name} {describe(match.match)}", check


def claim_values(claims: Mapping[str, Any] | None, path: tuple[str, ...]) -> list[str]:
    """The texts at a path of a token: a text, or the texts of a list. Numbers and booleans are not compared."""
    found: Any = claims
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found]
    return [one for one in found if isinstance(one, str)] if isinstance(found, list | tuple) else []


def _claim(match: ClaimMatch) -> Condition:
    test = text_test(match.match)

    def check(view: RequestView) -> bool:
        return any(test(value) for value in claim_values(view.claims, match.path)) != match.invert

    return f"claim {'.'.join(match.path)} {'not ' if match.invert else ''}{describe(match.match)}", check


def _pseudo(name: str, match: StringMatch, attribute: str) -> Condition:
    test = text_test(match)
    return f"{name} {describe(match)}", lambda view: test(getattr(view, attribute))


class CompiledRoute:
    """A route with its conditions as functions; the path's comes first because it decides most often."""

    __slots__ = ("conditions", "path", "route")

    def __init__(self, route: Route) -> None:
        match = route.match
        self.route = route
        self.path = path_test(match.path)
        conditions = [_header(one) for one in match.headers]
        conditions += [_without_header(one) for one in match.without_headers]
        conditions += [_query(one) for one in match.query_params]
        conditions += [_claim(one) for one in match.claims]
        for name in ("method", "authority", "scheme"):
            condition = getattr(match, name)
            if condition is not None:
                conditions.append(_pseudo(name, condition, name))
        self.conditions: tuple[Condition, ...] = tuple(conditions)


    def holds(self, view: RequestView) -> bool:
        """Whether every condition but the path's holds."""
        return not self.conditions or all(check(view) for _, check in self.conditions)

    def miss(self, view: RequestView) -> str:
        """The first condition that does not hold, in words; empty when all hold."""
        if not self.path(view.path):
            path = self.route.match.path
            return f"path is not {path.kind} {path.value!r}"
        return next((f"not: {text}" for text, check in self.conditions if not check(view)), "")


class CompiledHost:
    """A virtual host; its routes are compiled when it is first chosen."""

    __slots__ = ("_routes", "host")

    def __init__(self, host: VirtualHost) -> None:
        self.host = host
        self._routes: tuple[CompiledRoute, ...] | None = None

    @property
    def routes(self) -> tuple[CompiledRoute, ...]:
        """The routes in order."""
        if self._routes is None:
            self._routes = tuple(CompiledRoute(route) for route in self.host.routes)
        return self._routes


@dataclass(slots=True)
class Domains:
    """Virtual hosts by domain: exact, `*.suffix` and `prefix.*` grouped by length (longest first), `*`."""

    exact: dict[str, CompiledHost]
    suffixes: list[tuple[int, dict[str, CompiledHost]]]
    prefixes: list[tuple[int, dict[str, CompiledHost]]]
    default: CompiledHost | None

    def find(self, host: str) -> tuple[str, CompiledHost] | None:
        """The domain and virtual host for a lower-case host; a wildcard stands for at least one character."""
        found = self.exact.get(host)
        if found is not None:
            return host, found
        size = len(host)
        for length, table in self.suffixes:
            if length < size and (found := table.get(host[-length:])) is not None:
                return "*" + host[-length:], found
        for length, table in self.prefixes:
            if length < size and (found := table.get(host[:length])) is not None:
                return host[:length] + "*", found
        return ("*", self.default) if self.default is not None else None


def _by_length(names: dict[str, CompiledHost]) -> list[tuple[int, dict[str, CompiledHost]]]:
    groups: dict[int, dict[str, CompiledHost]] = {}
    for name, host in names.items():
        groups.setdefault(len(name), {})[name] = host
    return sorted(groups.items(), reverse=True)


def _build(configuration: RouteConfiguration) -> Domains:
    exact: dict[str, CompiledHost] = {}
    suffixes: dict[str, CompiledHost] = {}
    prefixes: dict[str, CompiledHost] = {}
    default: CompiledHost | None = None
    for virtual_host in configuration.virtual_hosts:
        compiled = CompiledHost(virtual_host)
        for domain in (name.lower() for name in virtual_host.domains):
            if domain == "*":
                default = default or compiled
            elif domain.startswith("*"):
                suffixes.setdefault(domain[1:], compiled)
            elif domain.endswith("*"):
                prefixes.setdefault(domain[:-1], compiled)
            else:
                exact.setdefault(domain, compiled)
    return Domains(exact, _by_length(suffixes), _by_length(prefixes), default)


_tables: dict[int, tuple[weakref.ref[RouteConfiguration], Domains]] = {}


def domains_of(configuration: RouteConfiguration) -> Domains:
    """The tables of a route configuration, made on first use and kept as long as it lives."""
    key = id(configuration)
    entry = _tables.get(key)
    if entry is not None and entry[0]() is configuration:
        return entry[1]
    tables = _build(configuration)
    _tables[key] = (weakref.ref(configuration, lambda _: _tables.pop(key, None)), tables)
    return tables
