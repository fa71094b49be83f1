"""Filter chain choice by destination address, server name, transport protocol and application protocol.

Envoy decides criterion by criterion and never goes back: when the most specific server name has no chain for
the transport protocol, less specific names are not tried, and the listener's default chain takes the connection.
Source: envoyproxy/envoy source/common/listener_manager/filter_chain_manager_impl.cc; order of criteria:
api/envoy/config/listener/v3/listener_components.proto, FilterChainMatch.
"""

from __future__ import annotations

import ipaddress
import weakref
from collections.abc import Iterable, Sequence

from gwsim.topology.decision import Request
from gwsim.topology.listeners import FilterChain, Listener

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Names = dict[str, tuple[FilterChain, ...]]
Table = tuple[tuple[Network | None, Names], ...]
"""Chains by server name for every range of destination addresses, narrowest first; None: any address."""

PLAINTEXT_HTTP = ("http/1.1", "h2c")
"""What the HTTP inspector says of the plaintext HTTP that a sidecar looks into; HTTP/1.0 passes as bytes.

Sources: envoyproxy/envoy http_inspector.cc, istio pilot/pkg/networking/core/listener.go `plaintextHTTPALPNs`.
"""

_tables: dict[tuple[int, int], tuple[weakref.ref[Listener], Table]] = {}


def networks_of(ranges: Iterable[str]) -> list[Network]:
    """Ranges as networks; what is none (the reader has reported it) is left out."""
    found: list[Network] = []
    for one in ranges:
        try:
            found.append(ipaddress.ip_network(one, strict=False))
        except ValueError:
            continue
    return found


def _table_of(listener: Listener, port: int) -> Table:
    key = (id(listener), port)
    entry = _tables.get(key)
    if entry is not None and entry[0]() is listener:
        return entry[1]
    table = _build(listener, port)
    _tables[key] = (weakref.ref(listener, lambda _: _tables.pop(key, None)), table)
    return table


def _build(listener: Listener, port: int) -> Table:
    ports = {chain.match.destination_port for chain in listener.filter_chains}
    wanted = port if port in ports else None
    networks: dict[Network | None, dict[str, list[FilterChain]]] = {}
    for chain in listener.filter_chains:
        if chain.match.destination_port != wanted:
            continue
        ranges: Sequence[Network | None] = networks_of(chain.match.prefix_ranges)
        for network in ranges if chain.match.prefix_ranges else (None,):
            names = networks.setdefault(network, {})
            for name in chain.match.server_names or ("",):
                names.setdefault("" if name == "*" else name.lower(), []).append(chain)
    narrowest_first = sorted(networks.items(), key=lambda item: -1 if item[0] is None else item[0].prefixlen, reverse=True)
    return tuple(
        (network, {name: tuple(chains) for name, chains in names.items()}) for network, names in narrowest_first
    )


def find_chain(
    listener: Listener, request: Request, sni: str, *, address: str = "", port: int | None = None
) -> FilterChain | None:
    """The chain that takes the connection; None closes it.

    `address` and `port` are those the client dialled, where they can differ from the listener's (sidecars).
    """
    names = _by_address(_table_of(listener, listener.port if port is None else port), address)
    return _among(_by_name(names, sni), request) or listener.default_chain


def _among(chains: tuple[FilterChain, ...], request: Request) -> FilterChain | None:
    """By transport and application protocol."""
    transport = "tls" if request.encrypted else "raw_buffer"
    exact = [chain for chain in chains if chain.match.transport_protocol == transport]
    chains = tuple(exact) or tuple(chain for chain in chains if not chain.match.transport_protocol)
    # A chain that terminates TLS needs no explicit transport match to be unusable for plaintext beside one that
    # does not: Istio sets the transport protocol on neither, and tells them apart by server names.
    if len(chains) > 1:
        fitting = tuple(chain for chain in chains if (chain.tls is not None) == request.encrypted)
        chains = fitting or chains
    spoken = set(request.alpn) if request.encrypted else {_plaintext_protocol(request)}
    alpn = [chain for chain in chains if spoken & set(chain.match.application_protocols)]
    rest = [chain for chain in chains if not chain.match.application_protocols]
    return next(iter(alpn or rest), None)


def _plaintext_protocol(request: Request) -> str:
    """What the HTTP inspector sees; empty for anything but HTTP."""
    if request.scheme == "grpc" or (request.scheme == "http" and request.http_version == "2"):
        return "h2c"
    if request.scheme == "http":
        return "http/1.0" if request.http_version == "1.0" else "http/1.1"
    return ""


def _by_address(table: Table, address: str) -> Names:
    if len(table) == 1 and table[0][0] is None:
        return table[0][1]
    try:
        dialled = ipaddress.ip_address(address)
    except ValueError:
        dialled = None
    for network, names in table:
        if network is None or (dialled is not None and dialled in network):
            return names
    return {}


def _by_name(names: Names, sni: str) -> tuple[FilterChain, ...]:
    if not sni:
        return names.get("", ())
    if sni in names:
        return names[sni]
    dot = sni.find(".")
    while dot != -1:
        wildcard = "*" + sni[dot:]
        if wildcard in names:
            return names[wildcard]
        dot = sni.find(".", dot + 1)
    return names.get("", ())
