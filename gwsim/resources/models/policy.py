"""What policies have in common: which workloads they are for.

Source modelled: istio/api type/v1beta1/selector.proto, 1.30.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gwsim.resources.models.base import Natural, Resource
from gwsim.resources.models.mesh import MatchLabels

WorkloadMode = Literal["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"]
"""Which side of a proxy: a gateway is always a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRef:
    """An object that a policy is attached to, in the policy's own namespace."""

    group: str = ""
    kind: str
    name: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Policy(Resource):
    """An object that is attached to workloads by labels or by reference. None of both: to its whole namespace."""

    selector: MatchLabels | None = None
    target_ref: TargetRef | None = None
    target_refs: tuple[TargetRef, ...] = ()

    @property
    def targets(self) -> tuple[TargetRef, ...]:
        """`targetRefs`, or the single `targetRef` of old."""
        if self.target_refs or self.target_ref is None:
            return self.target_refs
        return (self.target_ref,)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPort:
    """A port that a plugin is for."""

    number: Natural


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSelector:
    """Which traffic of a workload a plugin is for."""

    mode: WorkloadMode = "CLIENT_AND_SERVER"
    ports: tuple[TrafficPort, ...] = ()
