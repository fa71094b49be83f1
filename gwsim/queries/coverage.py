"""Which routes of the tested configurations no case reached.

A route counts where it is written: one rule that serves several hosts or gateways is one route. Only gateways that a
case asks something of are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gwsim.diagnostics import Span
from gwsim.queries.run import CaseResult
from gwsim.topology import HttpConnectionManager, Proxy, TcpProxy


@dataclass(frozen=True, slots=True, order=True)
class RouteRef:
    """A route and where it is written."""

    file: str
    line: int
    name: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """All routes of the proxies asked, and those that at least one case took."""

    routes: tuple[RouteRef, ...]
    reached: frozenset[RouteRef]

    @property
    def missed(self) -> tuple[RouteRef, ...]:
        """Routes that no case reached, by file and line."""
        return tuple(one for one in self.routes if one not in self.reached)


def coverage_of(results: Iterable[CaseResult]) -> Coverage:
    """The coverage of all cases together."""
    routes: dict[RouteRef, None] = {}
    reached: set[RouteRef] = set()
    seen: set[int] = set()
    for result in results:
        if result.built is None or result.decision is None:
            continue
        if id(result.built.proxy) not in seen:
            seen.add(id(result.built.proxy))
            routes |= dict.fromkeys(_routes_of(result.built.proxy))
        rule, decision = result.decision.rule, result.decision
        if rule is not None:
            reached.add(_ref(rule.name, rule.origin))
        elif decision.route:
            reached |= set(_tcp_routes(result.built.proxy, decision.filter_chain))
    return Coverage(tuple(sorted(routes)), frozenset(reached & routes.keys()))


def _ref(name: str, origin: Span | None) -> RouteRef:
    return RouteRef(origin.file if origin is not None else "", origin.line if origin is not None else 0, name)


def _routes_of(proxy: Proxy) -> list[RouteRef]:
    found: list[RouteRef] = []
    for listener in proxy.listeners:
        for chain in listener.filter_chains:
            if isinstance(chain.filter, HttpConnectionManager):
                hosts = chain.filter.route_config.virtual_hosts
                found += [_ref(route.name, route.origin) for host in hosts for route in host.routes]
            elif isinstance(chain.filter, TcpProxy):
                found.append(_ref(chain.filter.route, chain.filter.origin))
    # Default routes of a sidecar to services were not written by anybody.
    return [one for one in found if one.file and one.name != "default"]


def _tcp_routes(proxy: Proxy, chain_name: str) -> list[RouteRef]:
    return [
        _ref(chain.filter.route, chain.filter.origin)
        for listener in proxy.listeners
        for chain in listener.filter_chains
        if chain.name == chain_name and isinstance(chain.filter, TcpProxy)
    ]
