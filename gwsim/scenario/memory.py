"""How much memory a gateway pod needs: a base, its configuration, its connections, and bodies that wait in buffers.

A range, and a wide one: what Envoy keeps for a connection was never published, so the cost profile has judgements there.
At the upper end the fullest pod has the connections that three standard deviations of an even spread give it, and each holds a
body up to the buffer's limit, as for clients that read slowly.
Source: the section `memory` of the cost profile; Envoy `per_connection_buffer_limit_bytes` (1 MiB).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gwsim.costs.environment import Memory
from gwsim.diagnostics import Collector, Span, code
from gwsim.scenario.model import Client, Model
from gwsim.topology import HttpConnectionManager, Proxy

BUFFER_LIMIT_BYTES = 2.0**20
SPREAD = 3.0
"""Standard deviations by which a pod may have more connections than its share."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of one pod: what is expected, between which ends it lies, and what of it no client adds to."""

    low: float
    value: float
    high: float
    fixed: float


@dataclass(frozen=True, slots=True)
class MemoryCosts:
    """The profile's memory figures at the lower ends of their ranges, as they are, and at the upper ends."""

    low: Memory
    value: Memory
    high: Memory


def footprint(costs: MemoryCosts, proxy: Proxy, fleet: int, model: Model) -> Footprint:
    """Memory of a pod of a model's fleet with the configuration of a proxy."""
    pods = max(len(model.fleets[fleet].pods), 1)
    clients = [one for one in model.clients if one.fleet == fleet]
    counts = [_connections(one) / pods for one in clients]
    fullest = [mean + SPREAD * math.sqrt(mean * (1.0 - 1.0 / pods)) for mean in counts]
    waiting = sum(count * min(_body_bytes(one), BUFFER_LIMIT_BYTES) for one, count in zip(clients, fullest, strict=True))
    return Footprint(
        low=_bytes(costs.low, proxy, clients, counts), value=_bytes(costs.value, proxy, clients, counts),
        high=_bytes(costs.high, proxy, clients, fullest) + waiting,
        fixed=_bytes(costs.value, proxy, [], []),
    )


def report(found: Footprint, key: str, limit_bytes: float | None, span: Span | None, collector: Collector) -> None:
    """Tell of a limit below what a pod needs, or may need: the kernel ends a container that crosses it."""
    if not limit_bytes or found.high <= limit_bytes:
        return
    sure = found.value > limit_bytes
    needs = f"needs {found.value / 2**20:.0f} MiB" if sure else f"may need up to {found.high / 2**20:.0f} MiB"
    text = f"gateway {key}: a pod {needs} ({found.low / 2**20:.0f} to {found.high / 2**20:.0f}), and its memory limit is {limit_bytes / 2**20:.0f} MiB"
    collector.add(code("MEMORY_LIMIT_LOW" if sure else "MEMORY_LIMIT_TIGHT"), text, span)


def _bytes(costs: Memory, proxy: Proxy, clients: list[Client], counts: list[float]) -> float:
    kinds = {"plain": 0.0, "tls": 0.0, "h2_tls": 0.0}
    for one, count in zip(clients, counts, strict=True):
        kind = "plain" if one.connection.tls is None else "h2_tls" if one.connection.http == 2 else "tls"
        kinds[kind] += count
    clusters = proxy.clusters.values()
    return costs.gateway_bytes(
        clusters=len(clusters), endpoints=sum(len(one.endpoints) for one in clusters), routes=_routes(proxy),
        plain=math.ceil(kinds["plain"]), tls=math.ceil(kinds["tls"]), h2_tls=math.ceil(kinds["h2_tls"]),
    )


def _connections(client: Client) -> float:
    return float(getattr(client.arrivals, "connections", client.connection.count))


def _body_bytes(client: Client) -> float:
    """The mean body of a request and of its answer, whichever is larger."""
    total = sum(one.weight for one in client.mix) or 1.0
    sizes = ((one.request_bytes.mean, one.response_bytes.mean) for one in client.mix)
    return sum(one.weight * max(pair) for one, pair in zip(client.mix, sizes, strict=True)) / total


def _routes(proxy: Proxy) -> int:
    managers = [
        chain.filter for listener in proxy.listeners for chain in listener.filter_chains if isinstance(chain.filter, HttpConnectionManager)
    ]
    return sum(len(host.routes) for one in managers for host in one.route_config.virtual_hosts)


__all__ = ["Footprint", "MemoryCosts", "footprint", "report"]
