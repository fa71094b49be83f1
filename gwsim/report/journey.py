"""The flow of a chain: clients, then proxies and workloads in the order in which requests come to them.

A column is a step of the journey: a proxy is one step after what sends to it, a workload one after the proxy before it,
and the proxy that its calls go through one after the workload. A proxy that requests come to after different numbers
of steps is drawn at each. Routes and clusters have no columns here: there would be five for every proxy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gwsim.report.flow import LOCAL, Flow, Node, workload_of
from gwsim.report.names import Names
from gwsim.results.labels import Labels

Key = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The requests of a class: a second, by cluster chosen, answered by the proxy itself, and the share that ends badly."""

    rps: float
    clusters: Mapping[str, float]
    local: float = 0.0
    errors: float = 0.0


def journey(plain: Flow, labels: Labels, names: Names, sent: Sequence[Sent]) -> Flow:
    """The flow of a scenario with chains; proxies and workloads look as in the plain flow of the same scenario.

    `sent` is in class order.
    """
    made = _Journey(plain, labels, names, sent)
    for class_id in range(len(labels.classes)):
        made.add(class_id)
    return made.finished()


class _Journey:
    def __init__(self, plain: Flow, labels: Labels, names: Names, sent: Sequence[Sent]) -> None:
        self.plain, self.labels, self.names, self.sent = plain, labels, names, sent
        self.flow = Flow()
        self.bad: dict[Key, float] = {}
        self.proxies = {fleet.name for fleet in labels.fleets}
        self.stations = {one.name: one.stations for one in labels.clusters}
        self.causes: dict[int, list[int]] = {}
        for cause, caused in enumerate(labels.next_hops):
            for one in caused:
                self.causes.setdefault(one, []).append(cause)
        self.steps: dict[int, int] = {}

    def add(self, class_id: int) -> None:
        """The requests of a class: into its proxy, out of it, and on to what they cause."""
        label, sent = self.labels.classes[class_id], self.sent[class_id]
        proxy = self._proxy(class_id)
        self._flows(proxy, self.plain.nodes.get((1, proxy[1])), sent.rps, sent.errors)
        if not label.derived:
            client = (0, label.client)
            self._flows(client, self.plain.nodes.get(client), sent.rps, sent.errors)
            self.flow.link(client, proxy, sent.rps)
        workloads: dict[Key, float] = {}
        for cluster, chosen in sent.clusters.items():
            rps = max(chosen - self._handed(class_id, cluster), 0.0)
            if rps:
                workload = self._workload(proxy[0] + 1, cluster)
                before = self.plain.nodes.get((4, workload[1]))
                workloads[workload] = workloads.get(workload, 0.0) + rps
                self._flows(workload, before, rps, before.errors if before else 0.0)
                self.flow.link(proxy, workload, rps)
        if sent.local > 1e-6 * sent.rps:
            self._flows((proxy[0] + 1, LOCAL), None, sent.local, 0.0)
            self.flow.link(proxy, (proxy[0] + 1, LOCAL), sent.local)
        for caused in self.labels.next_hops[class_id]:
            self._on(class_id, caused, {proxy: 1.0} if self._handed_on(class_id, caused) else workloads)

    def finished(self) -> Flow:
        """The flow, with the shares that end badly, and what its columns are called."""
        for key, bad in self.bad.items():
            node = self.flow.nodes[key]
            self.flow.nodes[key] = replace(node, errors=bad / node.rps if node.rps else 0.0)
        last = max(column for column, _ in self.flow.nodes)
        self.flow.columns = tuple(self._heading(column) for column in range(last + 1))
        return self.flow

    def _heading(self, column: int) -> str:
        own = {name for at, name in self.flow.nodes if at == column}
        proxies = own & set(self.names.gateways.values())
        if column == 0:
            return "clients"
        return "backends" if not proxies else "proxies" if proxies == own - {LOCAL} else "proxies, backends"

    def _on(self, cause: int, caused: int, starts: Mapping[Key, float]) -> None:
        """Link what sends a caused class to its proxy."""
        total = sum(starts.values()) or 1.0
        for start, weight in starts.items():
            self.flow.link(start, self._proxy(caused), self._part(cause, caused) * weight / total)

    def _flows(self, key: Key, like: Node | None, rps: float, errors: float) -> None:
        before = self.flow.nodes.get(key)
        looks = replace(like, column=key[0]) if like else Node(column=key[0], name=key[1], rps=0.0)
        self.flow.nodes[key] = replace(looks, rps=rps + (before.rps if before else 0.0))
        self.bad[key] = self.bad.get(key, 0.0) + rps * errors

    def _proxy(self, class_id: int) -> Key:
        return self._step(class_id), self.names.gateways[self.labels.classes[class_id].gateway]

    def _step(self, class_id: int) -> int:
        """Steps before the proxy of a class: no class causes itself, so this ends."""
        if class_id not in self.steps:
            self.steps[class_id] = max(
                (self._step(one) + (1 if self._handed_on(one, class_id) else 2) for one in self.causes.get(class_id, ())), default=1,
            )
        return self.steps[class_id]

    def _handed_on(self, cause: int, caused: int) -> bool:
        """Whether the proxy of the caused class is an endpoint of the cause's clusters, rather than called by a workload."""
        gateway = self.labels.classes[caused].gateway
        return any(self.labels.stations[s].backend == gateway for name in self.sent[cause].clusters for s in self.stations[name])

    def _handed(self, class_id: int, cluster: str) -> float:
        """Requests a second for a cluster that go to further proxies among its endpoints, and not to workloads."""
        own = {self.labels.stations[s].backend for s in self.stations[cluster]}
        if own <= self.proxies:
            return self.sent[class_id].clusters[cluster]
        return sum(self._part(class_id, one) for one in self.labels.next_hops[class_id] if self.labels.classes[one].gateway in own)

    def _part(self, cause: int, caused: int) -> float:
        """Requests a second of a caused class that one of its causes accounts for: by its own rate."""
        total = sum(self.sent[one].rps for one in self.causes[caused])
        return self.sent[caused].rps * self.sent[cause].rps / total if total else 0.0

    def _workload(self, column: int, cluster: str) -> Key:
        """The workload behind a cluster, or the cluster where it has no endpoints."""
        own = [self.labels.stations[s] for s in self.stations[cluster] if self.labels.stations[s].backend not in self.proxies]
        return column, workload_of([self.names.backends[one.name] for one in own]) if own else self.names.clusters[cluster]


__all__ = ["Sent", "journey"]
