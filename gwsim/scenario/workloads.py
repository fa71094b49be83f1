"""Workloads of the mesh that a scenario speaks of: those that clients are, and those whose backends make calls.

Their sidecars become proxies of the topology. A workload of which the files say that it has no sidecar is refused: what
it sends is decided by nothing that this model knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gwsim.diagnostics import Collector, Span, code, did_you_mean
from gwsim.resources import ResourceSet
from gwsim.resources.models import PodOwner, RegisteredWorkload, Service, ServiceEntry
from gwsim.scenario.reading import LoadedScenario
from gwsim.topology import Endpoint, Proxy, Topology
from gwsim.topology.from_istio.injection import injection
from gwsim.topology.from_istio.registry import contains, owners, workload_labels

LOCAL = ".svc.cluster.local"
Names = dict[str, list[tuple[str, Mapping[str, str]]]]
"""By Kubernetes cluster: namespace and pod labels of workloads."""


@dataclass(frozen=True, slots=True)
class Name:
    """A workload as written; `cluster` empty: of whichever cluster has it."""

    cluster: str
    namespace: str
    name: str

    @classmethod
    def of(cls, text: str) -> Name:
        """`[cluster/]namespace/name`."""
        *cluster, namespace, name = text.split("/")
        return cls(cluster[0] if cluster else "", namespace, name)


def sidecars(loaded: LoadedScenario, resources: Mapping[str, ResourceSet], collector: Collector) -> Names:
    """The workloads whose sidecars a scenario needs; what is wrong with them is reported."""
    found: Names = {name: [] for name in resources}
    for name, client in loaded.scenario.clients.items():
        if client.from_ is not None:
            span = loaded.span("clients", name, "from")
            for cluster, one in _named(Name.of(client.from_), resources, span, collector):
                _add(found, cluster, one, resources[cluster], span, collector)
    for key, backend in loaded.scenario.backends.items():
        if backend.calls:
            span = loaded.span("backends", key, "calls")
            for cluster, behind in _behind(key, resources):
                _add(found, cluster, behind, resources[cluster], span, collector)
    if loaded.scenario.sidecars.inbound:
        _add_injected(found, resources)
    return found


Found = PodOwner | RegisteredWorkload | Service


def _named(name: Name, resources: Mapping[str, ResourceSet], span: Span, collector: Collector) -> Sequence[tuple[str, Found]]:
    """The workload of a name, with its cluster; reported, and none, when it does not exist or several have it."""
    everything = [(cluster, one) for cluster, objects in resources.items() for one in _workloads(objects)]
    fits = [
        (cluster, one)
        for cluster, one in everything
        if (one.namespace, one.name) == (name.namespace, name.name) and name.cluster in ("", cluster)
    ]
    written = f"{name.namespace}/{name.name}"
    if len({cluster for cluster, _ in fits}) > 1:
        listed = ", ".join(f"{cluster}/{written}" for cluster, _ in fits)
        collector.add(code("TARGET_MISSING"), f"{written} is a workload of several clusters", span, help=f"write one of {listed}")
        return []
    if not fits:
        have = sorted({f"{one.namespace}/{one.name}" for cluster, one in everything if name.cluster in ("", cluster)})
        some = f"there is {', '.join(have[:5])}" if have else "the configuration has no Deployment, StatefulSet, DaemonSet or WorkloadEntry"
        help = did_you_mean(written, have) or some
        collector.add(code("TARGET_MISSING"), f"there is no workload {written}{' in cluster ' + name.cluster if name.cluster else ''}", span, help=help)
    return fits[:1]


def _workloads(objects: ResourceSet) -> Iterator[PodOwner | RegisteredWorkload]:
    yield from owners(objects)
    yield from objects.of(RegisteredWorkload)


def _behind(key: str, resources: Mapping[str, ResourceSet]) -> Iterator[tuple[str, Found]]:
    """The workloads behind a backend of the scenario; names of none are reported where backends are read."""
    written = key.partition("#")[0]
    head, slash, rest = written.partition("/")
    cluster, host = (head, rest) if slash else ("", written)
    for name, objects in resources.items():
        if cluster not in ("", name):
            continue
        for service in objects.services:
            if host.removesuffix(LOCAL) == f"{service.name}.{service.namespace}" and service.selector:
                found = list(_selected(objects, service.namespace, service.selector))
                yield from ((name, one) for one in found or [service])
        for entry in objects.of(ServiceEntry):
            if entry.workload_selector is not None and host in entry.hosts:
                yield from ((name, one) for one in _selected(objects, entry.namespace, entry.workload_selector.labels))


def _selected(objects: ResourceSet, namespace: str, selector: Mapping[str, str]) -> Iterator[Found]:
    for one in _workloads(objects):
        if one.namespace == namespace and contains(labels_of(one), selector):
            yield one


def labels_of(one: Found) -> Mapping[str, str]:
    """Labels of a workload's pods; of a Service without workloads in the files, those it selects."""
    if isinstance(one, RegisteredWorkload):
        return workload_labels(one)
    return one.selector if isinstance(one, Service) else one.labels


def _add(found: Names, cluster: str, one: Found, objects: ResourceSet, span: Span, collector: Collector) -> None:
    """Add a workload, unless it is there, or the files say that it has no sidecar, which is reported."""
    if isinstance(one, PodOwner):
        namespace = next((each for each in objects.namespaces if each.name == one.namespace), None)
        if injection(one, namespace) is False:
            message = f"{one.namespace}/{one.name} has no sidecar, so no configuration of the mesh decides where its requests go"
            help = f"label the Namespace {one.namespace} istio-injection: enabled, or the pods sidecar.istio.io/inject: \"true\""
            collector.add(code("SCENARIO_VALUE"), message, span, help=help)
            return
    entry = (one.namespace, dict(labels_of(one)))
    if entry not in found[cluster]:
        found[cluster].append(entry)


def _add_injected(found: Names, resources: Mapping[str, ResourceSet]) -> None:
    """Add every workload of which the files say that it has a sidecar."""
    for cluster, objects in resources.items():
        namespaces = {one.name: one for one in objects.namespaces}
        for one in _workloads(objects):
            own = injection(one, namespaces.get(one.namespace)) if isinstance(one, PodOwner) else bool(one.entry.service_account)
            entry = (one.namespace, dict(labels_of(one)))
            if own and entry not in found[cluster]:
                found[cluster].append(entry)


def sidecar_named(topology: Topology, text: str) -> Proxy | None:
    """The sidecar of a workload by its name; of machines by that of any of them."""
    name = Name.of(text)
    here = [one for one in topology.proxies if one.kind == "sidecar" and one.namespace == name.namespace and name.cluster in ("", one.cluster)]
    by_pod = (one for one in here if any(pod.name == name.name for pod in one.pods))
    return next((one for one in here if one.name == name.name), next(by_pod, None))


def sidecar_beside(topology: Topology, cluster: str, endpoint: Endpoint) -> tuple[Proxy, int] | None:
    """The sidecar of an endpoint's pod, and the position of the pod in it."""
    namespace = endpoint.workload.partition("/")[0]
    here = [one for one in topology.proxies if one.kind == "sidecar" and (one.cluster, one.namespace) == (cluster, namespace)]
    for proxy in here:
        at = next((at for at, pod in enumerate(proxy.pods) if pod.name == endpoint.pod), None)
        if at is not None:
            return proxy, at
    standing = next((one for one in here if endpoint.labels and contains(endpoint.labels, one.labels)), None)
    return (standing, 0) if standing is not None else None


__all__ = ["Name", "labels_of", "sidecar_beside", "sidecar_named", "sidecars"]
