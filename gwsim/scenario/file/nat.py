"""Source ports that gateways share when they dial out: the `nat` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from gwsim.scenario.file.base import Count, Duration, FileModel

PRESETS: dict[str, tuple[int, float, float, Literal["pod", "shared"], Literal["refuse", "drop"]]] = {
    "aws": (55_000, 60.0, 60.0, "shared", "drop"),
    "gcp": (64, 120.0, 120.0, "pod", "drop"),
    "azure": (64_512, 60.0, 60.0, "shared", "drop"),
    "linux": (28_232, 60.0, 0.0, "pod", "refuse"),
}
"""Ports for each address and destination, rest after a close by the gateway and by the other side, who shares, what happens
without one.

Sources: AWS VPC documentation, NAT gateways (55,000 connections for each destination and address); Google Cloud NAT (64 ports
for each VM by default, TIME_WAIT 120 s); Azure NAT gateway (64,512 ports for each address); Linux ip-sysctl
(32768-60999) and TIME_WAIT of the side that closes first (include/net/tcp.h).
"""


class Nat(FileModel):
    """A limit on the connections that gateways open to some backends: ports are used, and rest after use."""

    kind: Literal["aws", "gcp", "azure", "linux"] = Field(
        default="aws", description="where the defaults come from: a cloud's NAT, or a pod's own ephemeral ports (linux)"
    )
    backends: tuple[str, ...] = Field(default=(), description="backends behind it; default: all outside the mesh")
    addresses: Count = Field(default=1, description="addresses it has")
    ports: Count | None = Field(default=None, description="ports for each address and destination")
    hold: Duration | None = Field(default=None, description="how long a port rests after its connection")
    scope: Literal["pod", "shared"] | None = Field(default=None, description="whether each gateway pod has its own, or all share them")
    when_empty: Literal["refuse", "drop"] | None = Field(
        default=None, description="without a port: refuse (the connection fails at once) or drop (it times out)"
    )

    @model_validator(mode="after")
    def _addresses_are_of_a_nat(self) -> Nat:
        if self.kind == "linux" and self.addresses > 1:
            raise ValueError("a pod has one address; addresses is for a cloud's NAT")
        return self


__all__ = ["PRESETS", "Nat"]
