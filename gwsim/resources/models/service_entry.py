"""networking.istio.io ServiceEntry. Source modelled: istio/api networking/v1alpha3/service_entry.proto, 1.30."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gwsim.resources.models.base import Labels, Natural, Port, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEntryPort:
    """A port of the service. `target_port` None: the endpoints listen on `number`."""

    number: Port
    name: str
    protocol: str | None = None
    target_port: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadEntry:
    """An endpoint: a virtual machine, a host name or an address. `ports` maps port names to numbers."""

    address: str | None = None
    ports: Mapping[str, Port] = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)
    network: str | None = None
    locality: str | None = None
    weight: Natural | None = None
    service_account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSelector:
    """Labels of the WorkloadEntries and pods that are the endpoints."""

    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServiceEntry(Resource):
    """A service added to the registry. `location` left out is MESH_EXTERNAL, `resolution` NONE."""

    hosts: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    ports: tuple[ServiceEntryPort, ...] = ()
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] = "MESH_EXTERNAL"
    resolution: Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] = "NONE"
    endpoints: tuple[WorkloadEntry, ...] = ()
    workload_selector: EndpointSelector | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
