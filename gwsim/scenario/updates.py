"""Configuration that changes during a run: the objects of every cluster after each of its `updates`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gwsim.diagnostics import Collector, code, did_you_mean
from gwsim.resources import ResourceSet, read
from gwsim.resources.models import Resource
from gwsim.scenario.file.system import ConfigUpdate
from gwsim.scenario.reading import LoadedScenario

Key = tuple[str, str, str]
"""Kind, namespace, name."""


def updates(
    loaded: LoadedScenario, resources: Mapping[str, ResourceSet], collector: Collector
) -> Iterator[tuple[float, dict[str, ResourceSet]]]:
    """(seconds, objects by cluster) from each moment on at which any cluster changes, ascending.

    What is wrong with the files or the names goes to `collector`.
    """
    steps = [
        (update.at, name, at, update)
        for name, section in loaded.scenario.clusters.items()
        for at, update in enumerate(section.updates)
    ]
    now = dict(resources)
    moments = sorted({step[0] for step in steps})
    for moment in moments:
        for at_s, name, at, update in steps:
            if at_s == moment:
                now[name] = _applied(loaded, name, at, update, now[name], collector)
        yield moment, dict(now)


def _applied(
    loaded: LoadedScenario, cluster: str, at: int, update: ConfigUpdate, objects: ResourceSet, collector: Collector
) -> ResourceSet:
    """The objects of a cluster after an update."""
    new = {_key(one): one for one in read([loaded.path(one) for one in update.apply], collector=collector)} if update.apply else {}
    gone: set[Key] = set()
    known = {_key(one) for one in objects}
    for i, text in enumerate(update.delete):
        kind, _, rest = text.partition("/")
        namespace, _, name = rest.partition("/")
        key = (kind, namespace, name)
        if key not in known:
            span = loaded.span("clusters", cluster, "updates", at, "delete", i)
            collector.add(
                code("SCENARIO_VALUE"), f"there is no {text} to delete", span, help=did_you_mean(text, ["/".join(one) for one in sorted(known)]),
            )
        gone.add(key)
    kept = [new.pop(_key(one), one) for one in objects if _key(one) not in gone]
    return ResourceSet([*kept, *new.values()])


def _key(one: Resource) -> Key:
    return one.meta.kind, one.namespace, one.name


__all__ = ["updates"]
