"""The rest of a Kubernetes cluster that traffic depends on: other owners of pods, nodes, endpoints, budgets.

Source modelled: the Kubernetes API reference v1.34 (core/v1, apps/v1, discovery/v1, policy/v1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from gwsim.resources.models.base import Natural, Resource
from gwsim.resources.models.kubernetes import LabelSelector, PodOwner, ResourceList, Toleration


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StatefulSet(PodOwner):
    """An apps/v1 StatefulSet."""

    other_fields: ClassVar[frozenset[str]] = frozenset(
        ["minReadySeconds", "ordinals", "persistentVolumeClaimRetentionPolicy", "podManagementPolicy", "revisionHistoryLimit", "serviceName", "updateStrategy", "volumeClaimTemplates"]
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DaemonSet(PodOwner):
    """An apps/v1 DaemonSet: a pod on every node that its pods may run on."""

    other_fields: ClassVar[frozenset[str]] = frozenset(
        ["minReadySeconds", "revisionHistoryLimit", "templateGeneration", "updateStrategy"]
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplicaSet(PodOwner):
    """An apps/v1 ReplicaSet; one that a Deployment of the files owns is the Deployment's own."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"minReadySeconds"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pod(PodOwner):
    """A core/v1 Pod, as an owner of one pod: itself. One that another object of the files owns is that object's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """Keeps pods away that do not tolerate it."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"timeAdded"})

    key: str
    effect: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """Whether pods may be placed on a node."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"*"})

    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """What a node has, and what it has for pods."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"*"})

    allocatable: ResourceList = field(default_factory=ResourceList)
    capacity: ResourceList = field(default_factory=ResourceList)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node(Resource):
    """A core/v1 Node. Zone and region are labels of it."""

    other_fields: ClassVar[frozenset[str]] = frozenset(["apiVersion", "kind", "metadata"])

    spec: NodeSpec = field(default_factory=NodeSpec)
    status: NodeStatus = field(default_factory=NodeStatus)

    @property
    def zone(self) -> str:
        """Its zone, empty when it has none."""
        return self.meta.labels.get("topology.kubernetes.io/zone", "")

    @property
    def region(self) -> str:
        """Its region, empty when it has none."""
        return self.meta.labels.get("topology.kubernetes.io/region", "")

    @property
    def cpus(self) -> float | None:
        """Cores that pods may use."""
        allocatable = self.status.allocatable.cpu_cores
        return self.status.capacity.cpu_cores if allocatable is None else allocatable


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConditions:
    """State of an endpoint; `ready` None is unknown and counts as ready."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """The object an endpoint stands for, normally a pod."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"*"})

    kind: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceEndpoint:
    """One endpoint; of several addresses the first counts."""

    other_fields: ClassVar[frozenset[str]] = frozenset(["deprecatedTopology", "hints", "hostname", "nodeName"])

    addresses: tuple[str, ...]
    conditions: EndpointConditions = field(default_factory=EndpointConditions)
    target_ref: ObjectRef | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicePort:
    """A port of all endpoints; `name` is that of the Service's port."""

    other_fields: ClassVar[frozenset[str]] = frozenset({"appProtocol"})

    name: str | None = None
    port: Natural | None = None
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EndpointSlice(Resource):
    """A discovery.k8s.io EndpointSlice. Which Service it is of, a label says."""

    other_fields: ClassVar[frozenset[str]] = frozenset(["apiVersion", "kind", "metadata"])

    address_type: Literal["IPv4", "IPv6", "FQDN"] = "IPv4"
    endpoints: tuple[SliceEndpoint, ...] | None = None
    ports: tuple[SlicePort, ...] = ()

    @property
    def service(self) -> str:
        """Name of the Service."""
        return self.meta.labels.get("kubernetes.io/service-name", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetAddress:
    """An address of an Endpoints object."""

    other_fields: ClassVar[frozenset[str]] = frozenset(["hostname", "nodeName"])

    ip: str
    target_ref: ObjectRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSubset:
    """Addresses with the ports they have in common."""

    addresses: tuple[SubsetAddress, ...] = ()
    not_ready_addresses: tuple[SubsetAddress, ...] = ()
    ports: tuple[SlicePort, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Endpoints(Resource):
    """A core/v1 Endpoints object: the endpoints of the Service of the same name."""

    other_fields: ClassVar[frozenset[str]] = frozenset(["apiVersion", "kind", "metadata"])

    subsets: tuple[EndpointSubset, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PodDisruptionBudget(Resource):
    """How many pods may be evicted at a time; numbers or percentages."""

    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    selector: LabelSelector | None = None
    unhealthy_pod_eviction_policy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServiceAccount(Resource):
    """The identity of pods; only its name counts."""


__all__ = [
    "DaemonSet",
    "EndpointConditions",
    "EndpointSlice",
    "EndpointSubset",
    "Endpoints",
    "Node",
    "NodeSpec",
    "NodeStatus",
    "ObjectRef",
    "Pod",
    "PodDisruptionBudget",
    "PodOwner",
    "ReplicaSet",
    "ServiceAccount",
    "SliceEndpoint",
    "SlicePort",
    "StatefulSet",
    "SubsetAddress",
    "Taint",
    "Toleration",
]
