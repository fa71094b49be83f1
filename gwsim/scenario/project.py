"""From a path to scenario, objects and topology in one step: what every command begins with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gwsim.diagnostics import Collector, Span, code, did_you_mean
from gwsim.resources import ResourceSet, read
from gwsim.resources.patches import Patches
from gwsim.scenario.defaults import DEFAULT_CLUSTER, default_scenario
from gwsim.scenario.fleets import refuse_under_autoscaler
from gwsim.scenario.overrides import ObjectOverride, split
from gwsim.scenario.reading import LoadedScenario, find_file, load
from gwsim.scenario.updates import updates
from gwsim.scenario.workloads import Names, sidecars
from gwsim.topology import Proxy, Topology
from gwsim.topology.from_istio import ClusterConfig, build_mesh, from_istio


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A scenario with the configuration it speaks of. `resources` is by Kubernetes cluster."""

    loaded: LoadedScenario
    resources: Mapping[str, ResourceSet]
    topology: Topology


def open_project(
    path: str | Path | Sequence[str | Path],
    *,
    set_: Sequence[str] = (),
    collector: Collector | None = None,
    unknown_fields: str = "warn",
    fix_replicas: bool = False,
) -> Project:
    """The scenario at a path with its objects and topology.

    `path` is a scenario file, a folder with `scenario.yaml`, or plain Istio and Kubernetes YAML (files and
    folders), which gets a default workload. `set_` are overrides of the scenario or of objects.

    Raises InputError, carrying every problem found, when anything is wrong.
    """
    own = Collector() if collector is None else collector
    paths = [path] if isinstance(path, (str, Path)) else list(path)
    file = find_file(paths[0]) if len(paths) == 1 else None
    if file is None and (len(paths) > 1 or Path(paths[0]).exists() or str(paths[0]) == "-"):
        return _without_scenario(paths, set_, own, unknown_fields, fix_replicas)
    loaded = load(paths[0], set_=set_, collector=own)
    resources = read_resources(loaded, own, unknown_fields)
    topology = _with_replicas(loaded.object_overrides, build_topology(loaded, resources, own), fix_replicas, own)
    own.raise_if_errors()
    return Project(loaded=loaded, resources=resources, topology=topology)


def _without_scenario(
    paths: Sequence[str | Path], set_: Sequence[str], collector: Collector, unknown_fields: str, fix_replicas: bool
) -> Project:
    """Plain configuration with the default workload."""
    objects = split(set_, Collector())[1]
    patches = Patches(one.patch for one in objects)
    resources = read(paths, collector=collector, unknown_fields=unknown_fields, patches=patches)
    patches.report_unused(collector)
    topology = from_istio(resources, cluster=DEFAULT_CLUSTER, collector=collector)
    topology = _with_replicas(objects, topology, fix_replicas, collector)
    collector.raise_if_errors()
    loaded = default_scenario(topology, config=[str(one) for one in paths], set_=set_, collector=collector)
    return Project(loaded=loaded, resources={DEFAULT_CLUSTER: resources}, topology=topology)


def read_resources(loaded: LoadedScenario, collector: Collector, unknown_fields: str = "warn") -> dict[str, ResourceSet]:
    """The objects of every cluster of the scenario, with the overrides of objects applied."""
    clusters = loaded.scenario.clusters
    made: dict[str, ResourceSet] = {}
    _check_clusters(loaded.object_overrides, clusters, collector)
    everywhere = Patches(one.patch for one in loaded.object_overrides if not one.cluster)
    for name, section in clusters.items():
        own = [one.patch for one in loaded.object_overrides if one.cluster == name]
        patches = Patches([*own, *everywhere.patches])
        paths = [loaded.path(one) for one in section.config]
        made[name] = read(paths, collector=collector, unknown_fields=unknown_fields, patches=patches)
        everywhere.join(patches)
        patches.report_unused(collector, of=own)
    everywhere.report_unused(collector)
    return made


def _check_clusters(objects: Iterable[ObjectOverride], clusters: Iterable[str], collector: Collector) -> None:
    names = list(clusters)
    for one in objects:
        if one.cluster and one.cluster not in names:
            message = f"there is no cluster {one.cluster}"
            collector.add(code("SET_PATH"), message, Span(one.patch.label), help=did_you_mean(one.cluster, names))


def build_topology(
    loaded: LoadedScenario, resources: Mapping[str, ResourceSet], collector: Collector, *, later: bool = True
) -> Topology:
    """The topology of all clusters, which are one mesh, with the sidecars of the workloads that send requests.

    What `updates` of clusters make of it follows in `Topology.later`, unless it is not wanted.
    """
    in_mesh = sidecars(loaded, resources, collector)
    if not later:
        return _built(loaded, resources, in_mesh, collector)
    follows = [
        # What was to be said of the objects that stay has been said once.
        (at_s, _built(loaded, objects, in_mesh, Collector()))
        for at_s, objects in updates(loaded, resources, collector)
    ]
    return replace(_built(loaded, resources, in_mesh, collector), later=tuple(follows))


def _built(
    loaded: LoadedScenario, resources: Mapping[str, ResourceSet], in_mesh: Names, collector: Collector
) -> Topology:
    scenario = loaded.scenario
    clusters = [
        ClusterConfig(
            resources=resources[name],
            name=name,
            network=section.network,
            zones=section.zones,
            node_cpus=section.node.cpus or 0,
            sidecars=in_mesh[name],
        )
        for name, section in scenario.clusters.items()
    ]
    return build_mesh(
        clusters, istio_version=scenario.istio.version, assume_exists=scenario.assume_exists, collector=collector
    )


def _with_replicas(
    objects: Iterable[ObjectOverride], topology: Topology, fix_replicas: bool, collector: Collector
) -> Topology:
    """The topology after overrides of `Deployment/...:spec.replicas`.

    Under an autoscaler they are reported, or, with `fix_replicas`, take the autoscaler out.
    """
    proxies = list(topology.proxies)
    for one in objects:
        patch = one.patch
        if patch.kind != "Deployment" or patch.path not in ("spec.replicas", "replicas"):
            continue
        for at, proxy in enumerate(proxies):
            fits = (proxy.namespace, proxy.name) == (patch.namespace, patch.name) and one.cluster in ("", proxy.cluster)
            if not fits or proxy.autoscaler is None:
                continue
            if fix_replicas and patch.value.strip().isdecimal():
                proxies[at] = _fixed(proxy, int(patch.value))
            elif not fix_replicas:
                refuse_under_autoscaler(proxy, Span(patch.label), collector)
    return replace(topology, proxies=tuple(proxies))


def _fixed(proxy: Proxy, replicas: int) -> Proxy:
    """The proxy with so many pods and no autoscaler; `resolve` places the pods that are new."""
    return replace(proxy, replicas=replicas, pods=proxy.pods[:replicas], autoscaler=None)


__all__ = ["Project", "build_topology", "open_project", "read_resources"]
