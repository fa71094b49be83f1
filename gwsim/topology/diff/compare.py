"""The comparison, from the outside in: what belongs together is found first, then its fields are held side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from gwsim.topology.diff.differences import Difference, FieldChange, Kind
from gwsim.topology.diff.endpoints import compare_endpoints
from gwsim.topology.diff.excuses import UNTOLD, Excuses, chains_of
from gwsim.topology.diff.plain import facts, plain
from gwsim.topology.listeners import FilterChain, HttpConnectionManager, HttpFilter, Listener
from gwsim.topology.model import Proxy, Topology
from gwsim.topology.routes import Route, RouteConfiguration, VirtualHost

View = Literal["full", "config", "envoy"]
"""`full`: everything, for two configurations. `config`: listeners and clusters to the last field, and not the fleet.
`envoy`: only what an Envoy has, for files and a dump of istiod's."""
T = TypeVar("T")
Where = tuple[str, ...]
_NONE: frozenset[str] = frozenset()
_INSIDE: dict[str, frozenset[str]] = {
    "proxy": frozenset(["listeners", "clusters", "assumed"]),
    "listener": frozenset(["filter_chains", "default_chain"]),
    "filter_chain": frozenset(["filter"]),
    "virtual_host": frozenset(["routes"]),
    "route": _NONE,
    "cluster": frozenset(["endpoints"]),
    "route_configuration": frozenset(["virtual_hosts"]),
}
"""Fields that are objects of their own here."""
_ORDER = "order"


def diff(left: Topology, right: Topology, *, view: View = "full") -> tuple[Difference, ...]:
    """Everything that differs; proxies belong together by cluster, namespace and name."""
    found: list[Difference] = []
    pairs = _paired(left.proxies, right.proxies, lambda one: (one.cluster, one.namespace, one.name))
    for ours, theirs in pairs:
        if ours is not None and theirs is not None:
            found += diff_proxies(ours, theirs, left=left, right=right, view=view)
        else:
            found.append(_alone("proxy", (ours or theirs).key, (), ours, theirs))  # type: ignore[union-attr]
    return tuple(found)


def diff_proxies(
    ours: Proxy, theirs: Proxy, *, left: Topology | None = None, right: Topology | None = None, view: View = "full"
) -> tuple[Difference, ...]:
    """What differs between two proxies, whatever their names; the topologies tell what is known around them."""
    left = left or Topology(istio_version="", proxies=(ours,))
    right = right or Topology(istio_version="", proxies=(theirs,))
    comparison = _Comparison(view, Excuses.of(left, right, ours, theirs))
    return tuple(comparison.proxies(ours, theirs))


def _paired(left: Iterable[T], right: Iterable[T], key: Callable[[T], Any]) -> list[tuple[T | None, T | None]]:
    """Objects with equal keys side by side, in order; of several with one key, the first with the first."""
    waiting: dict[Any, list[T]] = {}
    for one in right:
        waiting.setdefault(key(one), []).append(one)
    pairs: list[tuple[T | None, T | None]] = []
    for one in left:
        others = waiting.get(key(one))
        pairs.append((one, others.pop(0) if others else None))
    return [*pairs, *((None, one) for others in waiting.values() for one in others)]


def _alone(kind: Kind, name: str, where: Where, ours: Any, theirs: Any, excuse: str = "") -> Difference:
    return Difference(
        kind=kind,
        change="added" if ours is None else "removed",
        name=name,
        where=where,
        left=getattr(ours, "origin", None),
        right=getattr(theirs, "origin", None),
        excuse=excuse,
    )


@dataclass(slots=True)
class _Comparison:
    view: View
    excuses: Excuses

    @property
    def _full(self) -> bool:
        return self.view != "envoy"

    def proxies(self, ours: Proxy, theirs: Proxy) -> Iterator[Difference]:
        if self.view == "full":
            yield from self._fields("proxy", ours.key, (), ours, theirs)
        for a, b in _paired(ours.listeners, theirs.listeners, lambda one: (one.port, one.bind, one.protocol)):
            yield from self._listeners(a, b)
        for name in [*ours.clusters, *(name for name in theirs.clusters if name not in ours.clusters)]:
            mine, other = ours.clusters.get(name), theirs.clusters.get(name)
            if mine is None or other is None:
                excuse = "" if self._full else self.excuses.cluster((mine or other), added=mine is None)  # type: ignore[arg-type]
                yield _alone("cluster", name, (), mine, other, excuse)
                continue
            yield from self._fields("cluster", name, (), mine, other)
            excuse = "" if self._full else self.excuses.endpoints(mine)
            yield from compare_endpoints(mine, other, by_address=self._full, excuse=excuse)

    def _listeners(self, ours: Listener | None, theirs: Listener | None) -> Iterator[Difference]:
        if ours is None or theirs is None:
            one = ours or theirs
            assert one is not None
            excuse = self.excuses.listener(one) if ours is None and not self._full else ""
            yield _alone("listener", one.name, (), ours, theirs, excuse)
            return
        where = (f"listener {ours.name}",)
        yield from self._fields("listener", ours.name, (), ours, theirs)
        for a, b in _paired(chains_of(ours), chains_of(theirs), _chain_key(ours, theirs)):
            if a is None or b is None:
                yield _alone("filter_chain", _chain_name(a or b), where, a, b)
            else:
                yield from self._chains(a, b, where)

    def _chains(self, ours: FilterChain, theirs: FilterChain, where: Where) -> Iterator[Difference]:
        name = _chain_name(ours)
        inner = (*where, f"filter chain {name}")
        a, b = ours.filter, theirs.filter
        fields = list(self._changed("filter_chain", ours, theirs))
        if type(a) is not type(b):
            fields.append(FieldChange(name="filter", left=type(a).__name__, right=type(b).__name__))
        elif isinstance(a, HttpConnectionManager):
            hidden = frozenset(["route_config", "http_filters"])
            fields += self._changed("filter_chain", a, b, prefix="filter.", without=hidden)
        else:
            fields += self._changed("filter_chain", a, b, prefix="filter.")
        if fields:
            yield Difference(
                kind="filter_chain", change="changed", name=name, where=where, fields=tuple(fields), left=ours.origin, right=theirs.origin
            )
        if isinstance(a, HttpConnectionManager) and isinstance(b, HttpConnectionManager):
            yield from self._http_filters(a.http_filters, b.http_filters, inner)
            yield from self._routes(a.route_config, b.route_config, inner)

    def _http_filters(
        self, ours: Sequence[HttpFilter], theirs: Sequence[HttpFilter], where: Where
    ) -> Iterator[Difference]:
        pairs = _paired(ours, theirs, lambda one: one.name)
        for a, b in pairs:
            if a is None or b is None:
                one = a or b
                assert one is not None
                excuse = "" if self._full else self.excuses.http_filter(one, ours, added=a is None)
                yield _alone("http_filter", one.name, where, a, b, excuse)
            elif plain(a.config) != plain(b.config):
                yield from self._fields("http_filter", a.name, where, a, b)
        common = [(a, b) for a, b in pairs if a is not None and b is not None]
        there = [b.name for one in theirs for _, b in common if b is one]
        here = [a.name for a, _ in common if a is not None]
        if here != there:
            change = FieldChange(name=_ORDER, left=here, right=there)
            yield Difference(kind="http_filter", change="changed", name="all", where=where, fields=(change,))

    def _routes(self, ours: RouteConfiguration, theirs: RouteConfiguration, where: Where) -> Iterator[Difference]:
        yield from self._fields("route_configuration", ours.name, where, ours, theirs)
        for a, b in _paired_hosts(ours.virtual_hosts, theirs.virtual_hosts):
            if a is None or b is None:
                one = a or b
                assert one is not None
                # A server without any route has nothing but this on Istio's side.
                yield _alone("virtual_host", one.name, where, a, b)
                continue
            yield from self._fields("virtual_host", a.name, where, a, b)
            yield from self._route_lists(a, b, (*where, f"virtual host {a.name}"))

    def _route_lists(self, ours: VirtualHost, theirs: VirtualHost, where: Where) -> Iterator[Difference]:
        pairs = _paired_routes(ours.routes, theirs.routes)
        position = {id(one): n for n, one in enumerate(theirs.routes)}
        last = -1
        for a, b in pairs:
            if a is None or b is None:
                one = a or b
                assert one is not None
                yield _alone("route", _route_name(one), where, a, b)
                continue
            yield from self._fields("route", _route_name(a), where, a, b)
            if position[id(b)] < last:
                change = FieldChange(name=_ORDER, left="after the route before it", right="earlier")
                yield Difference(
                    kind="route", change="changed", name=_route_name(a), where=where, fields=(change,), left=a.origin, right=b.origin
                )
            last = max(last, position[id(b)])

    def _fields(self, kind: Kind, name: str, where: Where, ours: Any, theirs: Any) -> Iterator[Difference]:
        changed = tuple(self._changed(kind, ours, theirs))
        if changed:
            left, right = getattr(ours, "origin", None), getattr(theirs, "origin", None)
            yield Difference(kind=kind, change="changed", name=name, where=where, fields=changed, left=left, right=right)

    def _changed(
        self, kind: Kind, ours: Any, theirs: Any, *, prefix: str = "", without: frozenset[str] = _NONE
    ) -> Iterator[FieldChange]:
        hidden = without if prefix else without | _INSIDE.get(kind, _NONE)
        a, b = facts(ours, without=hidden), facts(theirs, without=hidden)
        untold = _NONE if self._full else UNTOLD.get(kind, _NONE)
        for key in [*a, *(key for key in b if key not in a)]:
            name = prefix + key
            left, right = a.get(key), b.get(key)
            if left == right or name in untold:
                continue
            # Inner objects that one side lacks are told once, by their own name.
            outer = key.rpartition(".")[0]
            if outer and (outer not in a or outer not in b or a[outer] != b[outer]):
                continue
            excuse = "" if self._full else self.excuses.field(kind, name, left, right)
            yield FieldChange(name=name, left=left, right=right, excuse=excuse)


def _chain_key(ours: Listener, theirs: Listener) -> Callable[[FilterChain], Any]:
    """What makes a chain the same on both sides: what it matches; the default chain matches whatever is left."""
    defaults = {id(ours.default_chain), id(theirs.default_chain)}
    return lambda chain: (id(chain) in defaults, repr(plain(chain.match)))


def _chain_name(chain: FilterChain | None) -> str:
    if chain is None:
        return ""
    match = chain.match
    told = ", ".join(match.server_names) or match.transport_protocol or chain.name or "all connections"
    return f"{told} (port {match.destination_port})" if match.destination_port else told


def _route_name(route: Route) -> str:
    path = route.match.path
    shown = path.value or "/"
    return f"{route.name} ({path.kind} {shown})" if route.name else f"{path.kind} {shown}"


def _paired_hosts(
    ours: Sequence[VirtualHost], theirs: Sequence[VirtualHost]
) -> list[tuple[VirtualHost | None, VirtualHost | None]]:
    """Virtual hosts that share a domain; each once."""
    by_domain = {domain.lower(): one for one in theirs for domain in one.domains}
    taken: set[int] = set()
    pairs: list[tuple[VirtualHost | None, VirtualHost | None]] = []
    for one in ours:
        found = [by_domain[domain.lower()] for domain in one.domains if domain.lower() in by_domain]
        other = next((each for each in found if id(each) not in taken), None)
        if other is not None:
            taken.add(id(other))
        pairs.append((one, other))
    return [*pairs, *((None, one) for one in theirs if id(one) not in taken)]


def _paired_routes(ours: Sequence[Route], theirs: Sequence[Route]) -> list[tuple[Route | None, Route | None]]:
    """Routes with the same conditions; of those left over, the ones with the same name."""
    pairs = _paired(ours, theirs, lambda one: repr(plain(one.match)))
    lonely = {one.name: one for a, one in pairs if a is None and one is not None and one.name}
    result: list[tuple[Route | None, Route | None]] = []
    taken: set[int] = set()
    for a, b in pairs:
        if a is not None and b is None and a.name in lonely and id(lonely[a.name]) not in taken:
            taken.add(id(lonely[a.name]))
            result.append((a, lonely[a.name]))
        elif a is not None:
            result.append((a, b))
    return [*result, *((None, b) for a, b in pairs if a is None and id(b) not in taken)]
