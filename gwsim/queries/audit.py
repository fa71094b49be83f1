"""Ways out of the mesh: how each workload reaches each external host, through an egress gateway or past it.

External hosts are those of ServiceEntries outside the mesh; one host that nobody has declared stands for all others.
Each is asked for as an application would, by the protocol of its port, and followed from the workload's sidecar on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from gwsim.queries.ask import Configuration, has_sidecar
from gwsim.resources.models import ServiceEntry
from gwsim.topology import Proxy, Request, Topology, journey
from gwsim.topology.from_istio.injection import looks_like_gateway
from gwsim.topology.from_istio.registry import owners

UNDECLARED = "undeclared.invalid"
"""Stands for every host that no ServiceEntry declares."""
_SCHEMES: dict[str, Literal["http", "grpc", "tls"]] = {
    "HTTP": "http", "HTTP2": "http", "GRPC": "grpc", "GRPC-WEB": "grpc", "HTTPS": "tls", "TLS": "tls",
}  # fmt: skip


class Exit(StrEnum):
    """What becomes of a workload's requests to a host."""

    GATEWAY = "gateway"
    """They leave through an egress gateway."""
    PAST = "past"
    """They leave from the sidecar, although there is a way through a gateway."""
    DIRECT = "direct"
    """They leave from the sidecar, and there is no other way."""
    REFUSED = "refused"
    UNWATCHED = "unwatched"
    """The workload has no sidecar, so nothing here decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A host and port outside; `host` as declared, `request` as an application makes it."""

    host: str
    port: int
    protocol: str
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one workload reaches one host. `gateways` are those on the way, `status` what a refusal is answered with (0: no answer)."""

    cluster: str
    workload: str
    host: str
    port: int
    protocol: str
    exit: Exit
    gateways: tuple[str, ...] = ()
    status: int = 0
    reason: str = ""


def audit(configuration: Configuration) -> tuple[Way, ...]:
    """The ways of all workloads of a configuration that was loaded with `everyone`, workload by workload."""
    targets = _targets(configuration)
    found = [one for proxy in _sidecars(configuration.topology) for one in _ways(configuration.topology, proxy, targets)]
    led = {one.host for one in found if one.exit is Exit.GATEWAY}
    # A host that nobody has declared cannot have a way of its own: any gateway is the way it passes by.
    known = led | ({UNDECLARED} if led else set())
    ways = [replace(one, exit=Exit.PAST) if one.exit is Exit.DIRECT and one.host in known else one for one in found]
    return (*ways, *_unwatched(configuration))


def _sidecars(topology: Topology) -> list[Proxy]:
    return [one for one in topology.proxies if one.kind == "sidecar"]


def _targets(configuration: Configuration) -> list[Target]:
    found: dict[tuple[str, int], Target] = {}
    for resources in configuration.resources.values():
        for entry in resources.of(ServiceEntry):
            if entry.location == "MESH_EXTERNAL":
                for one in _of_entry(entry):
                    found.setdefault((one.host, one.port), one)
    others = [_target(UNDECLARED, 80, "HTTP"), _target(UNDECLARED, 443, "TLS")]
    return [*sorted(found.values(), key=lambda one: (one.host, one.port)), *others]


def _of_entry(entry: ServiceEntry) -> Iterator[Target]:
    for host in entry.hosts:
        for port in entry.ports:
            yield _target(host, port.number, (port.protocol or "TCP").upper())


def _target(host: str, port: int, protocol: str) -> Target:
    """A host as an application asks for it: of a wildcard, some name below it."""
    name = f"any{host[1:]}" if host.startswith("*.") else host
    scheme: Literal["http", "grpc", "tls", "tcp"] = _SCHEMES.get(protocol, "tcp")
    return Target(host=host, port=port, protocol=protocol, request=Request(scheme=scheme, host=name, sni=name if scheme == "tls" else None))


def _ways(topology: Topology, proxy: Proxy, targets: list[Target]) -> Iterator[Way]:
    for target in targets:
        hops = journey(topology, proxy, target.port, target.request)
        last = hops[-1]
        gateways = tuple(hop.proxy.key for hop in hops if hop.proxy.kind != "sidecar")
        way = Way(
            cluster=proxy.cluster, workload=proxy.key, host=target.host, port=target.port, protocol=target.protocol,
            exit=Exit.GATEWAY if gateways else Exit.DIRECT, gateways=gateways,
        )
        if last.leg is None or last.end == "loop":
            way = replace(way, exit=Exit.REFUSED, status=last.decision.status, reason=last.decision.reason)
        yield way


def _unwatched(configuration: Configuration) -> Iterator[Way]:
    """Workloads without a sidecar reach whatever the network lets them."""
    for cluster, resources in configuration.resources.items():
        namespaces = {one.name: one for one in resources.namespaces}
        for owner in owners(resources):
            if not looks_like_gateway(owner) and not has_sidecar(owner, namespaces.get(owner.namespace)):
                yield Way(cluster=cluster, workload=f"{owner.namespace}/{owner.name}", host="*", port=0, protocol="", exit=Exit.UNWATCHED)


__all__ = ["UNDECLARED", "Exit", "Target", "Way", "audit"]
