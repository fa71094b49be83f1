"""Filter chain choice by server name, transport protocol and ALPN.

Envoy decides criterion by criterion and never goes back: when the most specific server name has no chain for
the transport protocol, less specific names are not tried.
Source: envoyproxy/envoy source/common/listener_manager/filter_chain_manager_impl.cc; order of criteria:
api/envoy/config/listener/v3/listener_components.proto, FilterChainMatch.
"""

from __future__ import annotations

import weakref

from gwsim.topology.decision import Request
from gwsim.topology.listeners import FilterChain, Listener

Names = dict[str, tuple[FilterChain, ...]]

_tables: dict[int, tuple[weakref.ref[Listener], Names]] = {}


def _names_of(listener: Listener) -> Names:
    """Chains by server name; the empty name holds those that take any."""
    key = id(listener)
    entry = _tables.get(key)
    if entry is not None and entry[0]() is listener:
        return entry[1]
    names: dict[str, list[FilterChain]] = {}
    for chain in listener.filter_chains:
        if chain.match.destination_port not in (None, listener.port):
            continue
        for name in chain.match.server_names or ("",):
            names.setdefault("" if name == "*" else name.lower(), []).append(chain)
    table = {name: tuple(chains) for name, chains in names.items()}
    _tables[key] = (weakref.ref(listener, lambda _: _tables.pop(key, None)), table)
    return table


def find_chain(listener: Listener, request: Request, sni: str) -> FilterChain | None:
    """The chain that takes the connection; None closes it."""
    chains = _by_name(_names_of(listener), sni)
    transport = "tls" if request.encrypted else "raw_buffer"
    exact = [chain for chain in chains if chain.match.transport_protocol == transport]
    chains = tuple(exact) or tuple(chain for chain in chains if not chain.match.transport_protocol)
    # A chain that terminates TLS needs no explicit transport match to be unusable for plaintext beside one that
    # does not: Istio sets the transport protocol on neither, and tells them apart by server names.
    if len(chains) > 1:
        fitting = tuple(chain for chain in chains if (chain.tls is not None) == request.encrypted)
        chains = fitting or chains
    alpn = [chain for chain in chains if set(chain.match.application_protocols) & set(request.alpn)]
    rest = [chain for chain in chains if not chain.match.application_protocols]
    return next(iter(alpn or rest), None)


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
