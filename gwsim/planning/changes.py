"""What two configurations say differently, object by object, and what each difference does to the gateways.

Each object that changed is put into the first configuration alone and the topology is built again: what differs then
is what that object does, to gateways or to how a Deployment replaces its pods. An object that changes nothing there is
either one whose changed fields the model does not represent, or one that no gateway takes notice of; both are told,
never taken for "no difference". Objects that `updates` of a cluster apply or delete are held side by side too, at every
moment at which either configuration changes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from gwsim.diagnostics import Collector, Span
from gwsim.resources import ResourceSet
from gwsim.resources.models.base import Resource
from gwsim.resources.not_modelled import NOT_MODELLED
from gwsim.scenario.project import Project, build_topology
from gwsim.scenario.updates import updates
from gwsim.topology import Topology
from gwsim.topology.diff import Difference, diff
from gwsim.units import format_duration_s

Key = tuple[str, str, str, str]
"""Kubernetes cluster, kind, namespace, name."""
_IDENTITY = frozenset({"origin", "api_version", "creation_timestamp"})
MOST_PATHS = 6
Effects = tuple[tuple[Difference, ...], tuple[str, ...]]
"""What an object does to gateways, and to which Deployments."""


@dataclass(frozen=True, kw_only=True)
class ObjectChange:
    """An object that only one configuration has (`added`, `removed`) or that says something else (`changed`).

    `paths` are the fields that differ; `not_modelled` those of them without effect in the model, with the reason;
    `effects` what differs in the topology when this object alone is exchanged, `workloads` the Deployments
    (`namespace/name`) that then replace their pods in another way. `span` is its place in the second
    configuration, or in the first where it was removed. `at_s` is the first moment of a run from which an object of
    `updates` differs; None for one that is there from the start.
    """

    key: Key
    change: str
    paths: tuple[str, ...]
    not_modelled: tuple[tuple[str, str], ...]
    effects: tuple[Difference, ...]
    span: Span | None
    workloads: tuple[str, ...] = ()
    at_s: float | None = None

    @property
    def ref(self) -> str:
        """`[cluster: ]Kind/namespace/name[, update at 4 s]`."""
        cluster, *rest = self.key
        name = "/".join(part for part in rest if part)
        when = "" if self.at_s is None else f", update at {format_duration_s(self.at_s)}"
        return (f"{cluster}: {name}" if cluster else name) + when


def changed_objects(before: Project, after: Project) -> tuple[ObjectChange, ...]:
    """Every object that differs, in the order of cluster, kind and name; then those of `updates`."""
    left, right = _by_key(before.resources), _by_key(after.resources)
    states = _States.of(before)
    found = []
    for key in sorted({*left, *right}):
        a, b = left.get(key), right.get(key)
        if not _same(a, b):
            made = _effects(before, before.resources, before.topology, key, b)
            # What nothing takes notice of at the start may be what an update of another object waits for.
            for at in states.at_s:
                if not any(made) and states.objects(at).get(key) is a:
                    made = _effects(before, states.resources(at), states.topology(at), key, b)
            found.append(_change(key, a, b, made))
    return (*found, *_updated(states, _States.of(after)))


def _updated(left: _States, right: _States) -> Iterator[ObjectChange]:
    """Objects that `updates` touch in either configuration and that differ at some moment."""
    moments = sorted({*left.at_s, *right.at_s})
    for key in sorted({*left.touched, *right.touched}):
        differing = [at for at in moments if not _same(left.objects(at).get(key), right.objects(at).get(key))]
        if not differing:
            continue
        effects: list[Difference] = []
        workloads: dict[str, None] = {}
        for at in differing:
            made = _effects(left.project, left.resources(at), left.topology(at), key, right.objects(at).get(key))
            effects += [one for one in made[0] if one not in effects]
            workloads |= dict.fromkeys(made[1])
        first = differing[0]
        pair = left.objects(first).get(key), right.objects(first).get(key)
        yield _change(key, *pair, (tuple(effects), tuple(workloads)), at_s=first)


def _change(key: Key, a: Resource | None, b: Resource | None, made: Effects, at_s: float | None = None) -> ObjectChange:
    values_a, values_b = (_values(one) if one is not None else {} for one in (a, b))
    paths = tuple(path for path in dict.fromkeys([*values_a, *values_b]) if values_a.get(path) != values_b.get(path))
    return ObjectChange(
        key=key, change="added" if a is None else "removed" if b is None else "changed", paths=_shortest(paths),
        not_modelled=_without_effect(a, b, set(paths)), effects=made[0], workloads=made[1],
        span=(b if b is not None else a).span,  # type: ignore[union-attr]
        at_s=at_s,
    )


def _same(a: Resource | None, b: Resource | None) -> bool:
    if a is None or b is None:
        return a is b
    return a is b or _values(a) == _values(b)


@dataclass(frozen=True, slots=True)
class _States:
    """A configuration from every moment on at which its `updates` change it; the start is not among them."""

    project: Project
    at_s: tuple[float, ...]
    later: tuple[dict[str, ResourceSet], ...]

    @classmethod
    def of(cls, project: Project) -> _States:
        steps = list(updates(project.loaded, project.resources, Collector()))
        return cls(project, tuple(at for at, _ in steps), tuple(objects for _, objects in steps))

    @property
    def touched(self) -> set[Key]:
        """Objects that any update adds, exchanges or deletes."""
        states = [_by_key(one) for one in (self.project.resources, *self.later)]
        return {
            key for old, new in pairwise(states) for key in {*old, *new} if old.get(key) is not new.get(key)
        }

    def resources(self, at_s: float) -> Mapping[str, ResourceSet]:
        """What is there from a moment on."""
        step = bisect_right(self.at_s, at_s)
        return self.later[step - 1] if step else self.project.resources

    def objects(self, at_s: float) -> dict[Key, Resource]:
        """The same by key."""
        return _by_key(self.resources(at_s))

    def topology(self, at_s: float) -> Topology:
        """What gateways do from a moment on."""
        step = bisect_right(self.at_s, at_s)
        return self.project.topology.later[step - 1][1] if step else self.project.topology


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


def _effects(
    project: Project, resources: Mapping[str, ResourceSet], topology: Topology, key: Key, replacement: Resource | None
) -> Effects:
    """What differs from the topology of some objects when one alone is exchanged (None: taken out)."""
    cluster, kind, namespace, name = key
    exchanged = {}
    for where, objects in resources.items():
        if cluster in ("", where):
            kept: list[Resource] = []
            placed = replacement is None
            for one in objects:
                if (one.meta.kind, one.namespace, one.name) != (kind, namespace, name):
                    kept.append(one)
                elif replacement is not None and not placed:
                    kept.append(replacement)
                    placed = True
            exchanged[where] = ResourceSet(kept if placed or replacement is None else [*kept, replacement])
        else:
            exchanged[where] = objects
    made = build_topology(project.loaded, exchanged, Collector(), later=False)
    old, new = ({(one.cluster, one.key): one for one in each.workloads} for each in (topology, made))
    return diff(topology, made), tuple(sorted({one[1] for one in {*old, *new} if old.get(one) != new.get(one)}))


__all__ = ["Key", "ObjectChange", "changed_objects"]
