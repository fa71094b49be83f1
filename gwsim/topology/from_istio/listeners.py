"""Listeners of a gateway workload: one for every port and address that a server is left for.

Source: istio/istio pilot/pkg/networking/core/{gateway,listener,listener_builder}.go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gwsim.resources.models import KeyKind, ServerTls
from gwsim.topology.from_istio.auto_passthrough import east_west, passthrough_chains
from gwsim.topology.from_istio.context import Context, place
from gwsim.topology.from_istio.converted import SECRET_PREFIX, WORKLOAD_CREDENTIAL
from gwsim.topology.from_istio.fleet import Workload
from gwsim.topology.from_istio.l4_routes import L4Configurator
from gwsim.topology.from_istio.mesh_defaults import manager_fields
from gwsim.topology.from_istio.servers import BoundServer, PortGroup
from gwsim.topology.from_istio.virtual_hosts import HttpConfigurator
from gwsim.topology.from_istio.workload_filters import WorkloadFilters
from gwsim.topology.listeners import (
    DownstreamTls,
    FilterChain,
    FilterChainMatch,
    HttpConnectionManager,
    Listener,
)

KEY_KINDS: dict[KeyKind, str] = {
    "rsa-2048": "rsa2048",
    "rsa-3072": "rsa3072",
    "rsa-4096": "rsa4096",
    "ecdsa-p256": "p256",
    "ecdsa-p384": "p384",
    "unknown": "unknown",
}
WORKLOAD_KEY = "rsa2048"
"""Kind of key of Istio's own workload certificates."""
_TLS_VERSIONS = {"TLSV1_0": "1.0", "TLSV1_1": "1.1", "TLSV1_2": "1.2", "TLSV1_3": "1.3"}


@dataclass(slots=True)
class ListenerBuilder:
    """Builds the listeners of one workload."""

    ctx: Context
    workload: Workload
    http: HttpConfigurator
    l4: L4Configurator
    filters: WorkloadFilters

    def listener(self, group: PortGroup) -> Listener | None:
        """The listener of a port, or None when no server comes to a filter chain."""
        chains: list[FilterChain] = []
        plain = [server for server in group.servers if server.plain_http]
        taken: set[str] = set()
        for server in group.servers:
            if server.plain_http:
                if server is plain[0]:
                    chains.append(self._plain_http(plain, group))
            elif server.passthrough:
                chains.extend(self._guarded(self._passthrough(server, taken), server))
            elif server.http:
                chains.append(self._https(server, group))
            else:
                chains.extend(self._guarded(self._tcp(server, taken), server))
        if not chains or self._overlap(chains, group):
            return None
        return Listener(
            name=f"{group.bind or '0.0.0.0'}_{group.port}",
            port=group.port,
            bind=group.bind,
            declared_ports=tuple(sorted({server.declared_port for server in group.servers})),
            filter_chains=tuple(chains),
            proxy_protocol=self.workload.proxy_protocol,
        )

    def _overlap(self, chains: list[FilterChain], group: PortGroup) -> bool:
        """Whether two chains want the same server name, for which Envoy refuses the whole listener.

        istiod drops servers with the same host only where the namespaces before it are the same too (`ns1/a`, `ns2/a`).
        Source: envoyproxy/envoy filter_chain_manager_impl.cc (overlapping matching rules).
        """
        taken: dict[tuple[str, tuple[str, ...]], FilterChain] = {}
        for chain in chains:
            if chain.tls is None:
                continue
            for name in chain.match.server_names or ("*",):
                other = taken.setdefault((name, chain.match.application_protocols), chain)
                if other is not chain:
                    server = next(one for one in group.servers if one.server.tls is not None)
                    message = (
                        f"{server.gateway.ref}: Envoy refuses the listener of port {group.port}, because two filter chains are for the "
                        f"server name {name!r}: {other.name} and {chain.name}"
                    )
                    self.ctx.find("LISTENER_INVALID", message, server.gateway, server.path)
                    return True
        return False

    def _guarded(self, chains: list[FilterChain], server: BoundServer) -> list[FilterChain]:
        """Chains with the network filters of policies; those that pass Istio's own TLS through have none."""
        tls = server.server.tls
        if tls is not None and tls.mode == "AUTO_PASSTHROUGH":
            return chains
        network = self.filters.network()
        return [replace(one, network_filters=network + one.network_filters) for one in chains] if network else chains

    def _manager(self, name: str, servers: list[BoundServer]) -> HttpConnectionManager:
        configuration = self.http.route_configuration(name, servers)
        return HttpConnectionManager(
            route_config=configuration,
            stat_prefix=f"outbound_{name}",
            http_filters=self.filters.http(servers[0].port),
            **manager_fields(self.ctx, self.workload.settings),
        )

    def _plain_http(self, servers: list[BoundServer], group: PortGroup) -> FilterChain:
        name = f"http.{group.port}" + (f".{group.bind}" if group.bind else "")
        origin = place(servers[0].gateway, servers[0].path)
        return FilterChain(name=name, filter=self._manager(name, servers), origin=origin)

    def _https(self, server: BoundServer, group: PortGroup) -> FilterChain:
        gateway, port = server.gateway, server.server.port
        name = f"https.{port.number}.{port.name}.{gateway.name}.{gateway.namespace}"
        name += f".{group.bind}" if group.bind else ""
        return FilterChain(
            name=name,
            match=FilterChainMatch(server_names=server.server_names),
            tls=self._tls(server, http=True),
            filter=self._manager(name, [server]),
            origin=place(gateway, server.path),
        )

    def _tcp(self, server: BoundServer, taken: set[str]) -> list[FilterChain]:
        proxy = self.l4.tcp_proxy(server)
        if proxy is None and server.tls:
            chains = self.l4.terminated_chains(server, taken, self._tls(server, http=False))
            if chains:
                return chains
        if proxy is None:
            self._report_no_route(server, "tcp")
            return []
        terminated = server.tls
        return [
            FilterChain(
                name=f"{server.gateway_key}/{server.path}",
                match=FilterChainMatch(server_names=server.server_names if terminated else ()),
                tls=self._tls(server, http=False) if terminated else None,
                filter=proxy,
                origin=place(server.gateway, server.path),
            )
        ]

    def _passthrough(self, server: BoundServer, taken: set[str]) -> list[FilterChain]:
        if east_west([server]):
            return list(passthrough_chains(server, self.l4.destinations.clusters))
        chains = self.l4.passthrough_chains(server, taken)
        if not chains:
            self._report_no_route(server, "tls")
        return chains

    def _report_no_route(self, server: BoundServer, kind: str) -> None:
        self.ctx.find(
            "L4_ROUTE_MISSING",
            f"{server.gateway.ref}: no VirtualService has a {kind} route for the {server.protocol} server on port "
            f"{server.declared_port}, so it gets no filter chain and connections are refused",
            server.gateway,
            server.path,
        )

    def _tls(self, server: BoundServer, *, http: bool) -> DownstreamTls:
        tls = server.server.tls or ServerTls()
        mode: Any = tls.mode.lower()
        mutual = tls.mode == "ISTIO_MUTUAL"
        certificate, usable = (WORKLOAD_KEY, True) if mutual else self._certificate(server, tls)
        alpn = ("h2", "http/1.1") if http or not mutual else ("istio-peer-exchange", "h2", "http/1.1")
        return DownstreamTls(
            mode=mode,
            certificate=certificate,
            require_client_certificate=tls.mode in ("MUTUAL", "ISTIO_MUTUAL"),
            min_version=_TLS_VERSIONS.get(self.ctx.mesh.mesh_mtls.min_protocol_version, "1.2") if mutual else _TLS_VERSIONS.get(tls.min_protocol_version, "1.2"),
            max_version="1.3" if mutual else _TLS_VERSIONS.get(tls.max_protocol_version, "1.3"),
            alpn=alpn,
            credential_name=", ".join(_credentials(tls)),
            usable=usable,
            cipher_suites=() if mutual else tls.cipher_suites or self.ctx.mesh.tls_defaults.cipher_suites,
        )

    def _certificate(self, server: BoundServer, tls: ServerTls) -> tuple[str, bool]:
        """Kind of key, and whether the chain has a certificate at all. Secrets count in the pods' namespace."""
        names, kinds = _credentials(tls), []
        if not names:
            return "unknown", True
        if names == (WORKLOAD_CREDENTIAL,):
            return WORKLOAD_KEY, True
        for written in names:
            namespace, name = self._secret(written)
            secret = self.ctx.registry.secrets.get((namespace, name))
            if secret is not None:
                kinds.append(KEY_KINDS[secret.key_kind])
            elif self.ctx.registry.assumed.has("Secret", namespace, name):
                kinds.append("unknown")
            else:
                self._report_credential(server, name)
        # Clients of today choose the ECDSA certificate where a server offers both kinds.
        kinds.sort(key=lambda kind: not kind.startswith("p"))
        return (kinds[0] if kinds else "unknown"), bool(kinds)

    def _secret(self, credential: str) -> tuple[str, str]:
        """Namespace and name of the Secret that a credential means."""
        if credential.startswith(SECRET_PREFIX):
            namespace, _, name = credential.removeprefix(SECRET_PREFIX).partition("/")
            return namespace, name
        return self.workload.namespace, credential

    def _report_credential(self, server: BoundServer, name: str) -> None:
        elsewhere = sorted(ns for ns, one in self.ctx.registry.secrets if one == name)
        namespace = self.workload.namespace
        hint = f"if it is kept elsewhere, declare it: assume_exists: [Secret/{namespace}/{name}]"
        if elsewhere:
            hint = f"it is in namespace {elsewhere[0]}, but counts only where the gateway's pods are"
        self.ctx.find(
            "CREDENTIAL_MISSING",
            f"{server.gateway.ref}: there is no Secret {namespace}/{name}, so TLS handshakes on port "
            f"{server.declared_port} fail",
            server.gateway,
            f"{server.path}.tls.credentialName",
            help=hint,
        )


def _credentials(tls: ServerTls) -> tuple[str, ...]:
    if tls.credential_names:
        return tls.credential_names
    return (tls.credential_name,) if tls.credential_name else ()
