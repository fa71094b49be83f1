"""Requests made from a topology's own conditions: every route is asked for what it takes, and for what it just does not take.

A condition that holds is broken one at a time: a path with more or less at its end, in other case, with other slashes; a
header that is missing, empty or different; another method, host, port, server name or client address.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from gwsim.envoy.verify.expressions import matching
from gwsim.envoy.verify.routes import Question
from gwsim.topology import (
    FilterChain,
    HttpConnectionManager,
    Listener,
    PathMatch,
    Proxy,
    Request,
    Route,
    StringMatch,
    VirtualHost,
    access,
)

METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
STRAYS = ("/", "/index.html", "/api/v1/things/7", "/a%2Fb", "/a/../b", "//a//b", "/A/B", "/a;b=c", "/.well-known/x", "/a.b/c_d/e-f~g")
HOSTS = ("unknown.example", "sub.unknown.example", "192.0.2.1", "localhost")


@dataclass(slots=True)
class _Hints:
    """What policies on a chain look at."""

    paths: list[StringMatch] = field(default_factory=list)
    headers: list[tuple[str, StringMatch]] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    claims: list[tuple[tuple[str, ...], StringMatch]] = field(default_factory=list)


_Pool = tuple[Listener, FilterChain, VirtualHost, Route | None]


class Matchers:
    """The conditions of a proxy's routes and policies, to make requests from."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.pools: list[_Pool] = [
            (listener, chain, host, route)
            for listener in proxy.listeners
            if listener.protocol == "tcp"
            for chain in (*listener.filter_chains, *([listener.default_chain] if listener.default_chain else []))
            if isinstance(chain.filter, HttpConnectionManager)
            for host in chain.filter.route_config.virtual_hosts
            for route in (*host.routes, None)
        ]
        self._hints = {id(chain): _hints(chain) for _, chain, _, _ in self.pools}

    def question(self, rng: random.Random, *, name: str = "generated", route: int | None = None) -> Question:
        """A request that a route takes (that one, or any), as a rule with something changed."""
        listener, chain, host, chosen = rng.choice(self.pools) if route is None else self.pools[route]
        request = _request(self.proxy, chain, host, chosen, self._hints[id(chain)], rng)
        if route is None or rng.random() < 0.3:
            for _ in range(rng.choice((1, 1, 1, 2))):
                request = _changed(request, rng)
        return Question(id=name, port=listener.port, request=request)


def questions(proxy: Proxy, *, count: int, seed: int = 1) -> Iterator[Question]:
    """At most `count` questions, spread over all routes of a gateway; the same for the same seed."""
    rng, matchers = random.Random(seed), Matchers(proxy)
    if not matchers.pools:
        yield from _connections(proxy, rng, count)
        return
    for number in range(count):
        yield matchers.question(rng, name=f"generated-{number}", route=number if number < len(matchers.pools) else None)


def _connections(proxy: Proxy, rng: random.Random, count: int) -> Iterator[Question]:
    """Of a gateway without HTTP: server names."""
    named = [
        (listener, name)
        for listener in proxy.listeners
        for chain in listener.filter_chains
        for name in (*chain.match.server_names, "unknown.example", "")
    ]
    for number in range(min(count, 3 * len(named))):
        listener, name = rng.choice(named)
        yield Question(id=f"generated-{number}", port=listener.port, request=Request(scheme="tls", sni=name.replace("*", "a"), host=name or "x"))


def _request(proxy: Proxy, chain: FilterChain, host: VirtualHost, route: Route | None, hints: _Hints, rng: random.Random) -> Request:
    name = _domain(rng.choice(host.domains) if host.domains else "*", chain, rng)
    made = Request(scheme="https" if chain.tls is not None else "http", host=name, path=rng.choice(STRAYS))
    if chain.match.server_names and not any(_covers(one, name) for one in chain.match.server_names):
        made = replace(made, sni=rng.choice(chain.match.server_names).replace("*", "www"))
    if proxy.kind == "sidecar":
        made = replace(made, destination=name)
    if route is not None:
        made = _fulfilled(made, route, rng)
    return _hinted(made, hints, rng)


def _covers(pattern: str, name: str) -> bool:
    bare = name.partition(":")[0]
    return pattern == bare or (pattern.startswith("*") and bare.endswith(pattern[1:]))


def _domain(domain: str, chain: FilterChain, rng: random.Random) -> str:
    if domain == "*":
        named = [one.replace("*", "www") for one in chain.match.server_names]
        return rng.choice(named or list(HOSTS))
    if domain.startswith("*"):
        return rng.choice(("www", "a.b", "x-1")) + domain[1:]
    return domain[:-1] + rng.choice(("org", "x")) if domain.endswith("*") else domain


def _fulfilled(made: Request, route: Route, rng: random.Random) -> Request:
    """The request with all conditions of the route met, as far as that can be done."""
    match = route.match
    headers = {one.name: _text(one.match, rng) for one in match.headers if not one.name.startswith(":")}
    path = _path(match.path, rng)
    if match.query_params:
        path += "?" + "&".join(f"{one.name}={_text(one.match, rng)}" for one in match.query_params)
    elif rng.random() < 0.15:
        path += "?a=1&b=/x"
    if route.cors is not None and rng.random() < 0.6:
        origins = [_text(one, rng) for one in route.cors.allow_origins] or ["https://elsewhere.example"]
        headers["origin"] = rng.choice([*origins, "https://elsewhere.example"])
        if rng.random() < 0.5:
            headers["access-control-request-method"] = rng.choice([*(one for one in route.cors.allow_methods if one != "*"), "GET"])
            made = replace(made, method="OPTIONS")
    if match.method is not None and made.method != "OPTIONS":
        made = replace(made, method=_text(match.method, rng) or "GET")
    if match.authority is not None:
        made = replace(made, host=_text(match.authority, rng) or made.host)
    if match.claims:
        made = replace(made, claims=_claims([(one.path, one.match) for one in match.claims], rng))
    return replace(made, path=path, headers=headers)


def _claims(wanted: list[tuple[tuple[str, ...], StringMatch]], rng: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for path, match in wanted:
        at = made
        for step in path[:-1]:
            at = at.setdefault(step, {}) if isinstance(at.setdefault(step, {}), dict) else {}
        value = _text(match, rng)
        at[path[-1]] = rng.choice([value, [value, "other"]])
    return made


def _text(match: StringMatch, rng: random.Random) -> str:
    """A text that fulfils a condition."""
    value = match.value
    if match.kind == "present":
        return rng.choice(("1", "yes", ""))
    if match.kind == "regex":
        return matching(value, rng)
    made = {
        "exact": value, "prefix": value + rng.choice(("", "x", "-1")), "suffix": rng.choice(("", "x", "1-")) + value,
        "contains": rng.choice(("", "a")) + value + rng.choice(("", "b")),
    }[match.kind]  # fmt: skip
    return _other_case(made, rng) if match.ignore_case else made


def _other_case(text: str, rng: random.Random) -> str:
    return rng.choice((text, text.upper(), text.lower(), text.title()))


def _path(match: PathMatch, rng: random.Random) -> str:
    value = match.value
    if match.kind == "any":
        made = rng.choice(STRAYS)
    elif match.kind == "regex":
        made = matching(value, rng)
    elif match.kind == "prefix":
        made = value + rng.choice(("", "", "x", "/x", "x/y", "/"))
    elif match.kind == "path_separated_prefix":
        made = value + rng.choice(("", "/", "/x", "/x/y"))
    else:
        made = value
    made = _other_case(made, rng) if match.ignore_case else made
    return made if made.startswith("/") else f"/{made}"


def _hinted(made: Request, hints: _Hints, rng: random.Random) -> Request:
    """Now and then, what a policy looks at."""
    if hints.blocks and rng.random() < 0.5:
        made = replace(made, remote_ip=_address(rng.choice(hints.blocks), rng))
    if hints.paths and rng.random() < 0.3:
        path = _text(rng.choice(hints.paths), rng)
        made = replace(made, path=path if path.startswith("/") else f"/{path}")
    if hints.headers and rng.random() < 0.3:
        name, match = rng.choice(hints.headers)
        if name == ":method":
            made = replace(made, method=_text(match, rng) or "GET")
        elif not name.startswith(":") and name != "host":
            made = replace(made, headers={**made.headers, name: _text(match, rng)})
    if hints.claims and rng.random() < 0.5:
        made = replace(made, claims=_claims([rng.choice(hints.claims)], rng))
    return made


def _address(block: str, rng: random.Random) -> str:
    network = ipaddress.ip_network(block, strict=False)
    span = min(network.num_addresses, 200)
    return str(network[rng.randrange(span)])


def _changed(made: Request, rng: random.Random) -> Request:
    """The request with one thing different."""
    kind = rng.choice(("path", "path", "path", "header", "header", "method", "host", "port", "sni", "claims", "http"))
    if kind == "path":
        return replace(made, path=_other_path(made.path, rng))
    if kind == "header" and made.headers:
        name = rng.choice(list(made.headers))
        value = str(made.headers[name])
        others: list[str | None] = [None, "", f"{value}x", value[:-1], _other_case(value, rng), "other"]
        return replace(made, headers=_with(made.headers, name, rng.choice(others)))
    if kind == "header":
        return replace(made, headers={"x-other": rng.choice(("1", "", "a,b"))})
    if kind == "method":
        return replace(made, method=rng.choice(METHODS))
    if kind == "host":
        return replace(made, host=rng.choice((*HOSTS, made.host.upper(), f"a.{made.host}", made.host.partition(".")[2] or made.host)), sni=made.sni or made.host.partition(":")[0] if made.encrypted else made.sni)
    if kind == "port" and ":" not in made.host:
        return replace(made, host=f"{made.host}:{rng.choice((80, 443, 8080))}")
    if kind == "sni" and made.encrypted:
        return replace(made, sni=rng.choice(("unknown.example", "", f"a.{made.host.partition(':')[0]}")))
    if kind == "claims" and made.claims is not None:
        return replace(made, claims=None) if rng.random() < 0.5 else replace(made, claims=None, token_rejected=True)
    if kind == "http":
        return replace(made, http_version="2")
    return made


def _with(headers: Mapping[str, Any], name: str, value: str | None) -> dict[str, Any]:
    made = {key: one for key, one in headers.items() if key != name}
    return made if value is None else {**made, name: value}


def _other_path(path: str, rng: random.Random) -> str:
    bare, mark, query = path.partition("?")
    tail = mark + query
    return rng.choice((
        f"{bare}/{tail}", f"{bare}x{tail}", f"{bare}/x{tail}", (bare[:-1] or "/") + tail, bare.upper() + tail, (bare.rstrip("/") or "/") + tail,
        f"/{bare}{tail}", f"{bare}/../{tail}", f"{bare}/./x{tail}", bare.replace("/", "//") + tail, f"{bare}%2F{tail}", f"{bare}?{query}x=1",
        f"{bare}#f", f"{bare}%41{tail}", bare, rng.choice(STRAYS),
    ))  # fmt: skip


# --- policies ------------------------------------------------------------------------------------------------------


def _hints(chain: FilterChain) -> _Hints:
    made = _Hints()
    assert isinstance(chain.filter, HttpConnectionManager)
    for one in chain.filter.http_filters:
        for condition in _conditions(one.config):
            if isinstance(condition, access.PathIs):
                made.paths.append(condition.match)
            elif isinstance(condition, access.HeaderIs):
                made.headers.append((condition.name, condition.match))
            elif isinstance(condition, access.AddressIn) and condition.which != "destination":
                made.blocks.append(condition.block)
            elif isinstance(condition, access.ClaimIs):
                made.claims.append((condition.path, condition.match))
    return made


def _conditions(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _conditions(one)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _conditions(one)
    elif is_dataclass(value):
        yield value
        for one in fields(value):
            yield from _conditions(getattr(value, one.name))


def listeners_with_http(proxy: Proxy) -> list[Listener]:
    """Listeners of which requests can be asked."""
    return [one for one in proxy.listeners if any(isinstance(chain.filter, HttpConnectionManager) for chain in one.filter_chains)]


__all__ = ["Matchers", "listeners_with_http", "questions"]
