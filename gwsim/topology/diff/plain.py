"""Objects of the topology as plain data in one form: what means the same is written the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import singledispatch
from typing import Any, TypeVar

from gwsim.topology.access import AccessPolicy, AllOf, AnyOf, Not
from gwsim.topology.from_config_dump.access import simplified
from gwsim.topology.listeners import FilterChainMatch, TcpProxy
from gwsim.topology.routes import (
    Forward,
    HeaderChanges,
    HeaderMatch,
    PathMatch,
    PathRewrite,
    RouteMatch,
    StringMatch,
    WeightedCluster,
)
from gwsim.topology.upstream import Cluster, LbPolicy

T = TypeVar("T")
_PSEUDO = (":method", ":authority", ":scheme")
UNTOLD = frozenset(["origin", "missing", "meant"])
"""Fields that are no part of the configuration."""


_FIELDS: dict[Any, tuple[str, ...]] = {}


def _all_names(kind: Any) -> tuple[str, ...]:
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(one.name for one in fields(kind))
    return _FIELDS[kind]


def _names(kind: Any) -> list[str]:
    return [name for name in _all_names(kind) if name not in UNTOLD]


def plain(value: object) -> Any:
    """Plain data: dictionaries (with `kind`, the class), lists, numbers, texts; equal for equal meaning."""
    if value is None or isinstance(value, (str, int, float)):
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value)}
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    one: Any = canonical(value)
    if one is None:
        return None
    assert is_dataclass(one), one
    kind = type(one)
    return {"kind": kind.__name__} | {name: plain(getattr(one, name)) for name in _names(kind)}


def facts(value: object, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The fields of an object by dotted name, those of inner objects beside them; `without` leaves fields out."""
    found: dict[str, Any] = {}
    outer: Any = canonical(value)
    for name in _names(type(outer)):
        if name in without:
            continue
        inner = canonical(getattr(outer, name))
        if is_dataclass(inner) and not isinstance(inner, type):
            found[name] = type(inner).__name__
            found |= {f"{name}.{key}": one for key, one in facts(inner).items()}
        else:
            found[name] = plain(inner)
    return found


@singledispatch
def canonical(value: object) -> Any:
    """The one form of several that mean the same."""
    return value


@canonical.register
def _(value: PathMatch) -> PathMatch:
    if value.kind == "any":
        return PathMatch(kind="prefix", value="/")
    # Nothing to ignore the case of.
    return _replaced(value, ignore_case=False) if value.ignore_case and value.value.lower() == value.value.upper() else value


@canonical.register
def _(value: StringMatch) -> StringMatch:
    return StringMatch(kind="present") if (value.kind, value.value) == ("regex", ".*") else value


@canonical.register
def _(value: RouteMatch) -> RouteMatch:
    pseudo: dict[str, StringMatch] = {}
    for one in value.headers:
        name = one.name.removeprefix(":")
        if one.name in _PSEUDO and getattr(value, name) is None:
            pseudo.setdefault(name, one.match)
    plain_headers = [one for one in value.headers if pseudo.get(one.name.removeprefix(":")) is not one.match]
    return _replaced(
        value,
        **pseudo,
        headers=_sorted(plain_headers),
        without_headers=_sorted(value.without_headers),
        query_params=tuple(sorted(value.query_params, key=lambda one: (one.name, repr(one.match)))),
    )


def _sorted(matches: Iterable[HeaderMatch]) -> tuple[HeaderMatch, ...]:
    return tuple(sorted(matches, key=lambda one: (one.name, repr(one.match))))


@canonical.register
def _(value: HeaderChanges) -> HeaderChanges | None:
    if not (value.set or value.add or value.remove):
        return None
    return HeaderChanges(
        set={name.lower(): text for name, text in value.set.items()},
        add={name.lower(): text for name, text in value.add.items()},
        remove=tuple(sorted(name.lower() for name in value.remove)),
    )


@canonical.register
def _(value: PathRewrite) -> PathRewrite:
    whole = value.kind == "regex" and value.pattern == "/.*" and "\\" not in value.value
    return PathRewrite(kind="full", value=value.value) if whole else value


@canonical.register
def _(value: Forward) -> Forward:
    return _replaced(value, clusters=_relative(value.clusters))


def _relative(clusters: tuple[WeightedCluster, ...]) -> tuple[WeightedCluster, ...]:
    """Weights in percent: only their proportion counts."""
    total = sum(one.weight for one in clusters)
    return tuple(_replaced(one, weight=100 * one.weight / total) for one in clusters) if total else clusters


@canonical.register
def _(value: TcpProxy) -> TcpProxy:
    return _replaced(value, clusters=_relative(value.clusters))


@canonical.register
def _(value: FilterChainMatch) -> FilterChainMatch:
    names = () if "*" in value.server_names else tuple(sorted(name.lower() for name in value.server_names))
    return _replaced(value, server_names=names)


@canonical.register
def _(value: Cluster) -> Cluster:
    changes: dict[str, Any] = {}
    if value.lb_policy not in (LbPolicy.RING_HASH, LbPolicy.MAGLEV):
        changes["ring_size"] = 1024
    if value.lb_policy is not LbPolicy.LEAST_REQUEST:
        changes["choice_count"] = 2
    return _replaced(value, **changes)


@canonical.register(AllOf)
@canonical.register(AnyOf)
@canonical.register(Not)
def _(value: AllOf | AnyOf | Not) -> Any:
    return simplified(value)


@canonical.register
def _(value: AccessPolicy) -> AccessPolicy:
    return _replaced(value, condition=simplified(value.condition))


def _replaced(value: T, **changes: Any) -> T:
    """`dataclasses.replace`, and the object itself where nothing changes."""
    if all(getattr(value, name) == one for name, one in changes.items()):
        return value
    return type(value)(**{name: changes.get(name, getattr(value, name)) for name in _all_names(type(value))})
