"""The whole scenario file."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gwsim.scenario.file.base import FileModel
from gwsim.scenario.file.clients import Client
from gwsim.scenario.file.nat import Nat
from gwsim.scenario.file.system import (
    Backend,
    ClusterSection,
    Costs,
    Front,
    GatewayOverride,
    Istio,
    NetworkSection,
    Run,
    Sidecars,
)

API_VERSION = "gwsim/v1"
_REFERENCE = re.compile(r"[A-Z][A-Za-z]*/[^/\s]+/[^/\s]+")


def _references(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        if not _REFERENCE.fullmatch(entry):
            raise ValueError(f"{entry!r} does not name an object; write Kind/namespace/name, e.g. Gateway/platform/public")
    return entries


def _budgets(entries: tuple[str, ...]) -> tuple[str, ...]:
    if any(not entry.strip() for entry in entries):
        raise ValueError("a budget is empty")
    return entries


class Scenario(FileModel):
    """A question about gateways, and everything needed to answer it."""

    api_version: Literal["gwsim/v1"] = Field(alias="apiVersion", description="always gwsim/v1")
    question: str = Field(default="", description="what the scenario is to answer")
    istio: Istio = Field(default=Istio(), description="the control plane")
    clusters: dict[str, ClusterSection] = Field(min_length=1, description="Kubernetes clusters by name")
    assume_exists: Annotated[tuple[str, ...], AfterValidator(_references)] = Field(
        default=(), description="objects kept elsewhere: Kind/namespace/name"
    )
    front: Front = Field(default=Front(), description="the load balancer before the gateway")
    clients: dict[str, Client] = Field(min_length=1, description="populations of clients by name")
    gateway: dict[str, GatewayOverride] = Field(default={}, description="changes to gateways by name: [cluster/][namespace/]name")
    backends: dict[str, Backend] = Field(default={}, description="services by name: [cluster/]service.namespace[#subset]; without a cluster those of all clusters")
    sidecars: Sidecars = Field(default=Sidecars(), description="the proxies beside the pods of workloads")
    network: NetworkSection = Field(default=NetworkSection(), description="round trips between zones")
    nat: dict[str, Nat] = Field(default={}, description="source ports that gateways share when they dial out, by name")
    costs: Costs = Field(default=Costs(), description="what work costs the gateway")
    uncertain: dict[str, str] = Field(
        default={}, description="ranges of values that are not known exactly, by path: 1800rps..2600rps, or low..middle..high; for gwsim uncertainty"
    )
    run: Run = Field(default=Run(), description="how long, how often, from what state")
    budgets: Annotated[tuple[str, ...], AfterValidator(_budgets)] = Field(
        default=(), description='limits that must hold, e.g. gateway.latency{route="cart"} p(99) < 250ms'
    )

    @model_validator(mode="after")
    def _names(self) -> Scenario:
        for section in (self.clusters, self.clients):
            bad = next((name for name in section if not name or "/" in name or name != name.strip()), None)
            if bad is not None:
                raise ValueError(f"the name {bad!r} must not be empty, hold a slash or begin or end with a blank")
        return self


__all__ = ["API_VERSION", "Scenario"]
