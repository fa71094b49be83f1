"""Which listener takes a connection: on a gateway the one on the port, on a sidecar the one for the address dialled.

A sidecar gets all connections of its pod on one port (15001) and hands each to the listener for its original
destination: of the address and port, else of the port on any address, else it keeps the connection.
Sources: envoyproxy/envoy source/common/listener_manager/active_tcp_listener.cc,
istio/istio pilot/pkg/networking/core/listener_builder.go `buildVirtualOutboundListener`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gwsim.topology.decision import Request
from gwsim.topology.listeners import Listener

if TYPE_CHECKING:
    from gwsim.topology.model import Proxy

VIRTUAL_OUTBOUND_PORT = 15001


@dataclass(frozen=True, slots=True)
class Dialled:
    """A listener, the address (empty: not known) and port that the client dialled, and why it is that listener."""

    listener: Listener
    address: str
    port: int
    why: str


def dial(proxy: Proxy, port: int, request: Request) -> Dialled | None:
    """The listener for a connection to `port` (of the gateway; of `request.destination` on a sidecar)."""
    if proxy.kind != "sidecar":
        found = proxy.listener(port)
        return None if found is None else Dialled(found, "", port, f"listens on port {port}")
    name = _host_of(request.destination or request.host)
    addresses = addresses_of(proxy, name)
    for address in addresses:
        found = _bound(proxy, address, port)
        if found is not None:
            return Dialled(found, address, port, f"{name} is {address}, which has a listener of its own")
    address = addresses[0] if addresses else ""
    found = _bound(proxy, "", port)
    if found is not None:
        return Dialled(found, address, port, f"takes port {port} on any address")
    kept = _bound(proxy, "", VIRTUAL_OUTBOUND_PORT)
    return None if kept is None else Dialled(kept, address, port, f"no listener for port {port}")


def addresses_of(proxy: Proxy, name: str) -> tuple[str, ...]:
    """What a host name or address means to the sidecar's client; empty for names outside the cluster."""
    if name in proxy.addresses:
        return proxy.addresses[name]
    try:
        return (str(ipaddress.ip_address(name)),)
    except ValueError:
        return ()


def _bound(proxy: Proxy, address: str, port: int) -> Listener | None:
    return next((one for one in proxy.listeners if one.port == port and one.bind == address and one.protocol == "tcp"), None)


def _host_of(text: str) -> str:
    """A destination in lower case without its port."""
    text = text.lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    name, colon, port = text.rpartition(":")
    return name if colon and ":" not in name and port.isdigit() else text
