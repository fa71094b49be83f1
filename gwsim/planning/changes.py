"""What two configurations say differently, object by object, and what each difference does to the gateways.

Each object that changed is put into the first configuration alone and the topology is built again: what differs then
is what that object does. An object that changes nothing there is either one whose changed fields the model does not
represent, or one that no gateway takes notice of; both are told, never taken for "no difference".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

from gwsim.diagnostics import Collector, Span
from gwsim.resources import ResourceSet
from gwsim.resources.models.base import Resource
from gwsim.resources.not_modelled import NOT_MODELLED
from gwsim.scenario.project import Project, build_topology
from gwsim.topology.diff import Difference, diff

Key = tuple[str, str, str, str]
"""Kubernetes cluster, kind, namespace, name."""
_IDENTITY = frozenset({"origin", "api_version", "creation_timestamp"})
MOST_PATHS = 6


@dataclass(frozen=True, kw_only=True)
class ObjectChange:
    """An object that only one configuration has (`added`, `removed`) or that says something else (`changed`).

    `paths` are the fields that differ; `not_modelled` those of them without effect in the model, with the reason;
    `effects` what differs in the topology when this object alone is exchanged. `span` is its place in the second
    configuration, or in the first where it was removed.
    """

    key: Key
    change: str
    paths: tuple[str, ...]
    not_modelled: tuple[tuple[str, str], ...]
    effects: tuple[Difference, ...]
    span: Span | None

    @property
    def ref(self) -> str:
        """`[cluster: ]Kind/namespace/name`."""
        cluster, *rest = self.key
        name = "/".join(part for part in rest if part)
        return f"{cluster}: {name}" if cluster else name


def changed_objects(before: Project, after: Project) -> tuple[ObjectChange, ...]:
    """Every object that differs, in the order of cluster, kind and name."""
    left, right = _by_key(before.resources), _by_key(after.resources)
    found = []
    for key in sorted({*left, *right}):
        a, b = left.get(key), right.get(key)
        values_a, values_b = (_values(one) if one is not None else {} for one in (a, b))
        if a is not None and b is not None and values_a == values_b:
            continue
        paths = tuple(path for path in dict.fromkeys([*values_a, *values_b]) if values_a.get(path) != values_b.get(path))
        found.append(
            ObjectChange(
                key=key, change="added" if a is None else "removed" if b is None else "changed", paths=_shortest(paths),
                not_modelled=_without_effect(a, b, set(paths)), effects=_effects(before, key, b),
                span=(b if b is not None else a).span,  # type: ignore[union-attr]
            )
        )
    return tuple(found)


def _by_key(resources: Mapping[str, ResourceSet]) -> dict[Key, Resource]:
    alone = len(resources) == 1
    return {
        ("" if alone else cluster, one.meta.kind, one.namespace, one.name): one
        for cluster, objects in resources.items() for one in objects
    }


def _values(value: object, path: str = "") -> dict[str, Any]:
    """Every value of an object by its path."""
    return dict(_flat(value, path))


def _flat(value: object, path: str) -> Iterator[tuple[str, Any]]:
    if is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            if one.name not in _IDENTITY:
                inner = getattr(value, one.name)
                yield from _flat(inner, f"{path}.{one.name}" if path else one.name)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}")
    elif isinstance(value, (tuple, list)):
        for n, inner in enumerate(value):
            yield from _flat(inner, f"{path}[{n}]")
    elif value is not None:
        yield path, value


def _shortest(paths: Sequence[str]) -> tuple[str, ...]:
    return (*paths[:MOST_PATHS], f"and {len(paths) - MOST_PATHS} more") if len(paths) > MOST_PATHS else tuple(paths)


def _without_effect(a: Resource | None, b: Resource | None, changed: set[str]) -> tuple[tuple[str, str], ...]:
    """The changed fields that the model does not represent."""
    found: dict[str, str] = {}
    for one in (a, b):
        if one is not None:
            for path, reason in _marked(one, ""):
                if any(each == path or each.startswith((f"{path}.", f"{path}[")) for each in changed):
                    found[path] = reason
    return tuple(found.items())


def _marked(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Fields that are set and have no effect, with the reason."""
    if is_dataclass(value) and not isinstance(value, type):
        reasons = _reasons(type(value))
        for one in fields(value):
            inner = getattr(value, one.name)
            if one.name in _IDENTITY or inner is None or inner == ():
                continue
            at = f"{path}.{one.name}" if path else one.name
            if one.name in reasons:
                yield at, reasons[one.name]
            else:
                yield from _marked(inner, at)
    elif isinstance(value, (tuple, list)):
        for n, inner in enumerate(value):
            yield from _marked(inner, f"{path}[{n}]")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _marked(inner, f"{path}.{name}")


@cache
def _reasons(message: type) -> dict[str, str]:
    """Attributes of a message that have no effect."""
    from gwsim.resources.decode import camel

    found = {}
    for one in fields(message):
        for name in (camel(one.name), camel(one.name.removesuffix("_s")), camel(one.name.removesuffix("_cores"))):
            if f"{message.__name__}.{name}" in NOT_MODELLED:
                found[one.name] = NOT_MODELLED[f"{message.__name__}.{name}"]
    return found


def _effects(before: Project, key: Key, replacement: Resource | None) -> tuple[Difference, ...]:
    """What differs in the topology when one object alone is exchanged (None: taken out)."""
    cluster, kind, namespace, name = key
    resources = {}
    for where, objects in before.resources.items():
        if cluster in ("", where):
            kept: list[Resource] = []
            placed = replacement is None
            for one in objects:
                if (one.meta.kind, one.namespace, one.name) != (kind, namespace, name):
                    kept.append(one)
                elif replacement is not None and not placed:
                    kept.append(replacement)
                    placed = True
            resources[where] = ResourceSet(kept if placed or replacement is None else [*kept, replacement])
        else:
            resources[where] = objects
    return diff(before.topology, build_topology(before.loaded, resources, Collector()))


__all__ = ["Key", "ObjectChange", "changed_objects"]
