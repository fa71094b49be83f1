"""What of a proxy an Envoy without Istio's own filters can run, on one machine; and what had to be left out."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import replace

from gwsim.topology import FilterChain, HttpConnectionManager, HttpFilter, Listener, Proxy, filters
from gwsim.topology.upstream import Cluster, Endpoint

FOREIGN = (filters.MetadataExchange, filters.Alpn, filters.IstioStats, filters.Wasm, filters.Unmodelled)
"""Filters that only Istio's proxy has, or that need something to be fetched."""
Addresses = Callable[[Cluster, Endpoint], tuple[str, int]]


def stock(proxy: Proxy) -> tuple[Proxy, tuple[str, ...]]:
    """The proxy without what stock Envoy lacks, and what that was, each once."""
    left_out: dict[str, None] = {}

    def chains(listener: Listener) -> Listener:
        kept = []
        for chain in listener.filter_chains:
            if chain.tls is not None and not chain.tls.usable:
                left_out[f"filter chain {chain.name}: its secret is missing"] = None
                continue
            kept.append(_chain(chain, left_out))
        return replace(listener, filter_chains=tuple(kept))

    listeners = tuple(one for one in map(chains, proxy.listeners) if one.filter_chains)
    return replace(proxy, listeners=listeners), tuple(left_out)


def _chain(chain: FilterChain, left_out: dict[str, None]) -> FilterChain:
    manager = chain.filter
    if not isinstance(manager, HttpConnectionManager):
        return chain
    kept: list[HttpFilter] = []
    for one in manager.http_filters:
        if isinstance(one.config, FOREIGN):
            left_out[f"HTTP filter {one.name}"] = None
        else:
            kept.append(one)
    return replace(chain, filter=replace(manager, http_filters=tuple(kept)))


def on_loopback(proxy: Proxy, *, addresses: Addresses | None = None) -> Proxy:
    """The proxy listening on free ports of loopback, with endpoints where `addresses` says.

    By default an endpoint with an IP address stays where it is, and a pod gets an address of its own in 127.0.0.0/8.
    """
    where = addresses or _Loopback()
    clusters = {
        name: replace(cluster, endpoints=tuple(_placed(where, cluster, one) for one in cluster.endpoints))
        for name, cluster in proxy.clusters.items()
    }
    ports = free_ports(len(proxy.listeners))
    listeners = tuple(
        replace(one, port=port, bind="127.0.0.1") for one, port in zip(proxy.listeners, ports, strict=True)
    )
    return replace(proxy, clusters=clusters, listeners=listeners)


def _placed(where: Addresses, cluster: Cluster, endpoint: Endpoint) -> Endpoint:
    address, port = where(cluster, endpoint)
    return replace(endpoint, address=address, port=port)


class _Loopback:
    """An address for every pod, in the order in which they are asked for."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, cluster: Cluster, endpoint: Endpoint) -> tuple[str, int]:
        try:
            return str(ipaddress.ip_address(endpoint.address)), endpoint.port
        except ValueError:
            pass
        if cluster.discovery in ("STRICT_DNS", "LOGICAL_DNS"):
            return endpoint.address, endpoint.port
        number = len(self._known) + 2
        made = f"127.{number >> 16 & 255 | 1}.{number >> 8 & 255}.{number & 255}"
        return self._known.setdefault(f"{endpoint.workload}/{endpoint.address}", made), endpoint.port


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


__all__ = ["free_ports", "on_loopback", "stock"]
