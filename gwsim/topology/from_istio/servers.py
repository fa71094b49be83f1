"""Servers of Gateways on a workload: which apply, on which port they listen, and which of them merge.

Sources: istio/istio pilot/pkg/model/gateway.go (`mergeGateways`, `resolvePorts`), pkg/config/gateway/gateway.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gwsim.diagnostics import Level
from gwsim.resources.models import Gateway, Server
from gwsim.topology.from_istio import protocols
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.converted import ListenerGateway
from gwsim.topology.from_istio.fleet import Workload
from gwsim.topology.from_istio.gateway_services import bound_hosts
from gwsim.topology.from_istio.hosts import server_host, service_host
from gwsim.topology.from_istio.registry import contains
from gwsim.topology.model import ProxyService


@dataclass(frozen=True, slots=True, eq=False)
class BoundServer:
    """A server of a Gateway on the port where it listens."""

    gateway: Gateway
    position: int
    server: Server
    port: int
    protocol: str
    hosts: tuple[tuple[str, str], ...]
    """(namespace whose VirtualServices may use it or `*`, host)."""

    @property
    def gateway_key(self) -> str:
        """`namespace/name` of its Gateway."""
        return f"{self.gateway.namespace}/{self.gateway.name}"

    @property
    def declared_port(self) -> int:
        """The number in the Gateway, which VirtualServices compare with."""
        return self.server.port.number

    @property
    def bind(self) -> str:
        """The address it is bound to; empty for all."""
        return self.server.bind or ""

    @property
    def path(self) -> str:
        """Where it stands in its Gateway."""
        return f"servers[{self.position}]"

    @property
    def passthrough(self) -> bool:
        """Whether TLS is handed on unopened."""
        tls = self.server.tls
        return tls is not None and not self.plain_http and tls.mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH")

    @property
    def plain_http(self) -> bool:
        """HTTP without TLS."""
        return self.protocol in protocols.HTTP_FAMILY

    @property
    def tls(self) -> bool:
        """HTTPS or TLS, terminated or passed through."""
        return self.protocol in ("HTTPS", "TLS")

    @property
    def http(self) -> bool:
        """Whether an HTTP connection manager serves it."""
        return self.plain_http or (self.protocol == "HTTPS" and not self.passthrough)

    @property
    def https_redirect(self) -> bool:
        """Whether plaintext requests are sent to https."""
        return self.server.tls is not None and self.server.tls.https_redirect

    def hosts_for(self, namespace: str) -> list[str]:
        """The hosts that VirtualServices of a namespace may use."""
        return [host for owner, host in self.hosts if owner in ("*", namespace)]

    @property
    def server_names(self) -> tuple[str, ...]:
        """Server names of its filter chain: sorted hosts, none when one of them is `*`."""
        names = {host for _, host in self.hosts}
        return () if "*" in names else tuple(sorted(names))


@dataclass(slots=True)
class PortGroup:
    """The servers of one listener, in order."""

    port: int
    bind: str
    servers: list[BoundServer] = field(default_factory=list)


def resolve_port(services: Sequence[ProxyService], number: int) -> int | None:
    """The listening port for a Gateway's port, through the first Service that has it."""
    for service in services:
        if service.translate_ports:
            for port in service.ports:
                if port.port == number and port.protocol == "TCP":
                    return port.target_port
    return None


def bound_servers(ctx: Context, workload: Workload) -> list[BoundServer]:
    """The servers of all Gateways on the workload, oldest Gateway first."""
    found: list[BoundServer] = []
    for gateway in ctx.registry.gateways:
        services = _services_for(gateway, workload)
        if services is None or (ctx.rules.strict_gateway_merging and _is_strange(gateway, workload)):
            continue
        for position, server in enumerate(gateway.servers):
            port = resolve_port(services, server.port.number)
            if port is None:
                if bound_hosts(gateway):
                    _check_exposed(ctx, workload, gateway, position, server)
                    continue
                port = server.port.number
            _check_exposed(ctx, workload, gateway, position, server)
            if workload.unprivileged and port < 1024:
                ctx.find(
                    "PORT_NOT_EXPOSED",
                    f"{gateway.ref}: the pods of {workload.namespace}/{workload.name} may not listen on port {port}, which is below 1024",
                    gateway,
                    f"servers[{position}].port.number",
                )
                continue
            hosts = tuple(server_host(host, gateway.namespace) for host in server.hosts)
            protocol = protocols.parse(server.port.protocol)
            found.append(BoundServer(gateway, position, server, port, protocol, hosts))
    return found


def _is_strange(gateway: Gateway, workload: Workload) -> bool:
    """Whether a Gateway of another namespace wants to join the proxies that Istio deploys for a Gateway API Gateway."""
    return workload.gateway is not None and not isinstance(gateway, ListenerGateway) and gateway.namespace != workload.namespace


def _services_for(gateway: Gateway, workload: Workload) -> list[ProxyService] | None:
    """The Services that translate a Gateway's ports on a workload; None when it does not apply there."""
    hosts = bound_hosts(gateway)
    if not hosts:
        return list(workload.services) if contains(workload.labels, gateway.selector) else None
    named = [one for one in workload.services if (one.host or service_host(one.name, one.namespace)) in hosts]
    return named or None


def _check_exposed(ctx: Context, workload: Workload, gateway: Gateway, position: int, server: Server) -> None:
    if not workload.services_known:
        return
    number = server.port.number
    exposed = {port for service in workload.services for one in service.ports for port in (one.port, one.target_port)}
    if number not in exposed:
        names = ", ".join(f"{one.namespace}/{one.name}" for one in workload.services)
        ctx.find(
            "PORT_NOT_EXPOSED",
            f"{gateway.ref}: port {number} is not a port of Service {names}, so it cannot be reached through it",
            gateway,
            f"servers[{position}].port.number",
        )


def merge(ctx: Context, servers: list[BoundServer]) -> list[PortGroup]:
    """Servers by listener. One that cannot share its port with an older one is left out, and reported."""
    groups: dict[tuple[int, str], PortGroup] = {}
    tls_hosts: dict[tuple[int, str], dict[str, BoundServer]] = {}
    for server in servers:
        key = (server.port, server.bind)
        if server.server.tls is not None:
            taken = tls_hosts.setdefault(key, {})
            names = [f"{owner}/{host}" for owner, host in server.hosts]
            clash = next((name for name in names if name in taken), None)
            if clash is not None:
                _drop(ctx, server, taken[clash], f"host {clash.removeprefix('*/')} is already served on the port")
                continue
            taken.update(dict.fromkeys(names, server))
        group = groups.setdefault(key, PortGroup(server.port, server.bind))
        if group.servers and (reason := _conflict(group.servers[0], server)):
            _drop(ctx, server, group.servers[0], reason)
            continue
        group.servers.append(server)
    return list(groups.values())


def _conflict(first: BoundServer, server: BoundServer) -> str:
    """Why a server cannot join the port; empty when it can. A TLS port takes plaintext too, not the other way round."""
    if first.tls:
        return ""
    if first.plain_http and server.plain_http:
        return ""
    return f"the port already carries {first.protocol}, which cannot be mixed with {server.protocol}"


def _drop(ctx: Context, server: BoundServer, other: BoundServer, reason: str) -> None:
    # Of redirect servers that share a host the older one redirects for both, so nothing is lost.
    harmless = server.plain_http and server.https_redirect and other.https_redirect
    ctx.find(
        "SERVER_DROPPED",
        f"{server.gateway.ref}: server on port {server.declared_port} is left out by istiod: {reason} "
        f"(by {other.gateway.ref} {other.path})",
        server.gateway,
        server.path,
        level=Level.INFO if harmless else None,
    )
