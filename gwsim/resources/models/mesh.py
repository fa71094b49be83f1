"""networking.istio.io Sidecar, WorkloadEntry and WorkloadGroup, security.istio.io PeerAuthentication.

Sources modelled: istio/api networking/v1alpha3/{sidecar,workload_entry,workload_group}.proto,
security/v1beta1/peer_authentication.proto, 1.30.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gwsim.resources.models.base import Labels, Natural, Opaque, Resource
from gwsim.resources.models.destination_rule import ConnectionPoolSettings
from gwsim.resources.models.gateway import ServerTls
from gwsim.resources.models.service_entry import EndpointSelector, WorkloadEntry
from gwsim.resources.models.virtual_service import Destination

CaptureMode = Literal["DEFAULT", "IPTABLES", "NONE"]
MtlsMode = Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarPort:
    """A port of a sidecar's listener; `protocol` is as written, read without regard to case."""

    number: Natural = 0
    protocol: str = ""
    name: str = ""
    target_port: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressListener:
    """What the sidecar accepts for its workload. `default_endpoint` is where the workload listens."""

    port: SidecarPort
    bind: str | None = None
    capture_mode: CaptureMode = "DEFAULT"
    default_endpoint: str | None = None
    tls: ServerTls | None = None
    connection_pool: ConnectionPoolSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressListener:
    """What the workload may reach: `hosts` are `namespace/name`. Without `port` it is for all other ports."""

    hosts: tuple[str, ...]
    port: SidecarPort | None = None
    bind: str | None = None
    capture_mode: CaptureMode = "DEFAULT"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundTrafficPolicy:
    """What becomes of traffic to destinations that the registry does not have."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS"] = "REGISTRY_ONLY"
    egress_proxy: Destination | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sidecar(Resource):
    """The scope of the sidecars of a namespace, of some of its workloads, or (root namespace) of the mesh."""

    workload_selector: EndpointSelector | None = None
    ingress: tuple[IngressListener, ...] = ()
    egress: tuple[EgressListener, ...] = ()
    inbound_connection_pool: ConnectionPoolSettings | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegisteredWorkload(Resource):
    """The object WorkloadEntry: a workload outside Kubernetes that Services and ServiceEntries may select."""

    entry: WorkloadEntry = field(default_factory=WorkloadEntry)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadGroupMeta:
    """Labels and annotations that the group's WorkloadEntries get."""

    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessProbe:
    """How the agent on a machine finds out whether the workload is ready."""

    initial_delay_seconds: Natural | None = None
    timeout_seconds: Natural | None = None
    period_seconds: Natural | None = None
    success_threshold: Natural | None = None
    failure_threshold: Natural | None = None
    http_get: Opaque | None = None
    tcp_socket: Opaque | None = None
    exec: Opaque | None = None
    grpc: Opaque | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkloadGroup(Resource):
    """Template of the WorkloadEntries that machines register themselves with; it is no endpoint itself."""

    template: WorkloadEntry
    metadata: WorkloadGroupMeta | None = None
    probe: ReadinessProbe | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MutualTls:
    """Mode of mutual TLS; UNSET takes that of the wider scope."""

    mode: MtlsMode = "UNSET"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchLabels:
    """Pods that a policy concerns, by label."""

    match_labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PeerAuthentication(Resource):
    """Whether workloads accept plaintext and mutual TLS. `port_level_mtls` is by port of the workload, as text."""

    selector: MatchLabels | None = None
    mtls: MutualTls | None = None
    port_level_mtls: Mapping[str, MutualTls] = field(default_factory=dict)
