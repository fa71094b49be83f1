"""A request from its client to the end, proxy by proxy: what each decides, and how it dials the next.

Sidecar to egress gateway to the world, ingress gateway to service, through east-west gateways: whatever the chosen
cluster's endpoint is, the journey goes on there when a proxy listens at it. Of weighted destinations the heaviest
is followed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from gwsim.topology.decision import Decision, Outcome, Request
from gwsim.topology.model import Proxy, Topology
from gwsim.topology.onward import Leg, Wire, chain_of, leg_to, onward, reached
from gwsim.topology.routing import choose
from gwsim.topology.upstream import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One proxy on the way. `request` is what reaches it."""

    proxy: Proxy
    port: int
    """Where the proxy listens; of a sidecar, the port that its client dials."""
    dialled: int
    """The port that was dialled: of the gateway's Service, where it has one."""
    request: Request
    decision: Decision
    leg: Leg | None = None
    """None: the request ends here, with the decision's answer."""
    end: Literal["", "workload", "external", "loop"] = ""
    """What the leg leads to when it is no further proxy."""


def journey(topology: Topology, proxy: Proxy, port: int, request: Request) -> tuple[Hop, ...]:
    """The hops of a request that reaches `proxy` at `port` (dials it, where the proxy is the client's sidecar)."""
    hops: list[Hop] = []
    wire, at, dialled = Wire(request), proxy, port
    while True:
        decision = choose(at, port, wire.request, explain=True)
        hop = Hop(proxy=at, port=port, dialled=dialled, request=wire.request, decision=decision)
        cluster = _followed(at, decision)
        if cluster is None:
            return (*hops, hop)
        chain = chain_of(at, port, wire.request, decision)
        endpoint = next((one for one in cluster.endpoints if one.healthy), None)
        leg = leg_to(cluster, endpoint, chain, wire, decision)
        following = reached(topology, at, cluster, endpoint)
        if following is None:
            return (*hops, replace(hop, leg=leg, end="external" if cluster.external else "workload"))
        hops.append(replace(hop, leg=leg))
        if any(one.proxy is following.proxy and one.dialled == following.dialled for one in hops):
            hops[-1] = replace(hops[-1], end="loop")
            return tuple(hops)
        wire = onward(chain, leg, wire, decision, at.identity)
        at, port, dialled = following.proxy, following.port, following.dialled


def _followed(proxy: Proxy, decision: Decision) -> Cluster | None:
    """The cluster of the heaviest destination; None when nothing is sent on."""
    if decision.outcome not in (Outcome.FORWARD, Outcome.PASSTHROUGH):
        return None
    present = [one for one in decision.clusters if not one.missing]
    best = max(present, key=lambda one: one.weight, default=None)
    return proxy.clusters.get(best.cluster) if best is not None else None
