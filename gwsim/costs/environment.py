"""What a profile says about everything that is not a worker's CPU: network, memory, prices, Kubernetes, ports.

Seconds, bytes and plain numbers. Machine speed changes none of it. Sources are in the profile.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from gwsim.costs.profile import SI, CostProfile

End = Literal["low", "value", "high"]


@dataclass(frozen=True, slots=True)
class Network:
    """Round trips and fixed latencies, in seconds."""

    same_node_rtt_s: float
    same_zone_rtt_s: float
    cross_zone_rtt_s: float
    cross_region_near_rtt_s: float
    transatlantic_rtt_s: float
    far_rtt_s: float
    internet_rtt_median_s: float
    """Internet clients, lognormal."""
    internet_rtt_p95_s: float
    hop_vm_median_s: float
    """Kernel and virtual-machine time of one proxy traversal, lognormal; outside the worker, so not CPU."""
    hop_vm_p99_s: float
    hop_bare_metal_median_s: float
    hop_bare_metal_p99_s: float
    lb_l4_hop_s: float
    lb_l7_hop_s: float
    kube_proxy_first_packet_per_1000_services_s: float
    loss_intra_region: float
    loss_internet: float
    tcp_rtts: float
    """Round trips to open a TCP connection; those of TLS are in `VisitCosts`."""
    initial_window_segments: float
    mss_bytes: float
    rto_min_s: float
    syn_timeout_s: float


@dataclass(frozen=True, slots=True)
class Services:
    """Lognormal answer times, in seconds, of services that filters call and a scenario does not describe."""

    ext_authz_median_s: float
    ext_authz_p99_s: float
    rate_limit_median_s: float
    rate_limit_p99_s: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a gateway, in bytes."""

    base_bytes: float
    per_cluster_bytes: float
    per_endpoint_bytes: float
    per_route_bytes: float
    per_connection_plain_bytes: float
    per_connection_tls_bytes: float
    per_connection_h2_tls_bytes: float

    def gateway_bytes(
        self,
        *,
        clusters: int = 0,
        endpoints: int = 0,
        routes: int = 0,
        plain: int = 0,
        tls: int = 0,
        h2_tls: int = 0,
    ) -> float:
        """Memory of one gateway pod with so many clusters, endpoints, routes and open connections by kind."""
        configured = (
            clusters * self.per_cluster_bytes
            + endpoints * self.per_endpoint_bytes
            + routes * self.per_route_bytes
        )
        connected = (
            plain * self.per_connection_plain_bytes
            + tls * self.per_connection_tls_bytes
            + h2_tls * self.per_connection_h2_tls_bytes
        )
        return self.base_bytes + configured + connected


@dataclass(frozen=True, slots=True)
class Prices:
    """List prices in US dollars; dates are in the profile's sources. A GB is 10^9 bytes."""

    vcpu_hour: float
    cross_zone_gb: float
    internet_gb: float
    nat_gb: float
    nat_hour: float


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """Defaults of Kubernetes and of Istio's gateway chart: seconds, bytes, vCPU, shares."""

    hpa_sync_s: float
    hpa_tolerance: float
    hpa_scale_down_window_s: float
    hpa_metric_lag_s: float
    hpa_target: float
    """Share of the CPU request."""
    hpa_min_replicas: float
    hpa_max_replicas: float
    gateway_cpu_request: float
    gateway_cpu_limit: float
    gateway_memory_request_bytes: float
    gateway_memory_limit_bytes: float
    pod_start_median_s: float
    pod_start_p99_s: float
    image_pull_s: float
    new_node_s: float
    cfs_period_s: float
    cfs_slice_s: float


@dataclass(frozen=True, slots=True)
class Ports:
    """Limits on ports of outgoing connections, and how long a closed one stays taken (seconds)."""

    ephemeral: float
    time_wait_s: float
    nat_aws_per_destination: float
    nat_gcp_per_vm: float
    nat_azure_lb_per_vm: float
    nat_azure_gateway_per_address: float


_SUFFIXES = (("_bytes", "_mib"), ("_bytes", "_kib"), ("_s", "_ms"))


def network(profile: CostProfile) -> Network:
    """Network latencies of the profile."""
    return Network(**_section(profile, "network", Network))


def services(profile: CostProfile) -> Services:
    """Answer times of called services."""
    return Services(**_section(profile, "services", Services))


def memory(profile: CostProfile, end: End = "value") -> Memory:
    """Memory figures of the profile, or one end of their ranges."""
    return Memory(**_section(profile, "memory", Memory, end))


def prices(profile: CostProfile) -> Prices:
    """Prices of the profile."""
    return Prices(**_section(profile, "prices", Prices))


def kubernetes(profile: CostProfile) -> Kubernetes:
    """Kubernetes facts of the profile."""
    return Kubernetes(**_section(profile, "kubernetes", Kubernetes))


def ports(profile: CostProfile) -> Ports:
    """Port limits of the profile."""
    return Ports(**_section(profile, "ports", Ports))


def _section(profile: CostProfile, section: str, form: type, end: End = "value") -> dict[str, float]:
    """The fields of `form` from the paths of `section`, whose names end in their own unit."""
    values: dict[str, float] = {}
    for item in fields(form):
        path = f"{section}.{item.name}"
        for suffix, unit in _SUFFIXES:
            shorter = path.removesuffix(suffix) + unit
            if path not in profile.costs and path.endswith(suffix) and shorter in profile.costs:
                path = shorter
        cost = profile[path]
        values[item.name] = profile.si(path) if end == "value" else getattr(cost, end) * SI[cost.unit]
    return values
