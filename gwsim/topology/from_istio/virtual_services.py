"""VirtualServices as gateways see them: to which Gateways they are bound, in which order, with delegates put in.

Sources: istio/istio pilot/pkg/model/push_context.go (`getGatewayNames`, `initVirtualServices`,
`VirtualServicesForGateway`), pilot/pkg/model/config.go `resolveGatewayName`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from gwsim.diagnostics import did_you_mean
from gwsim.resources.models import HTTPRoute, Resource, VirtualService
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.hosts import fqdn, private, visible

MESH = "mesh"
SEMANTICS = "internal.istio.io/route-semantics"
"""Annotation with which istiod marks VirtualServices that it made of routes and Ingresses."""

Semantics = Literal["istio", "gateway", "ingress"]
"""`gateway` and `ingress`: prefixes are whole segments; `gateway`: missing backends are answered 500."""


@dataclass(frozen=True, slots=True, eq=False)
class HttpRule:
    """One HTTP rule and where it is written, which is another VirtualService for a delegate's."""

    rule: HTTPRoute
    source: Resource
    path: str
    targets: tuple[str, ...] = ()
    """Where the destinations are written, when not below `path` as in a VirtualService."""

    def target(self, position: int) -> str:
        """Where a destination of the rule is written."""
        return self.targets[position] if self.targets else f"{self.path}.route[{position}]"

    @property
    def name(self) -> str:
        """The rule's name, or one made of the object and the position."""
        return self.rule.name or f"{self.source.name}/{self.path}"


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A VirtualService with full host names, gateway names and the rules of its delegates."""

    source: VirtualService
    hosts: tuple[str, ...]
    gateways: tuple[str, ...]
    http: tuple[HttpRule, ...]
    semantics: Semantics = "istio"


def gateway_name(name: str, namespace: str) -> str:
    """`namespace/name` of a Gateway from any of the forms a VirtualService may use."""
    if name == MESH:
        return name
    if "/" in name:
        owner, _, rest = name.partition("/")
        return f"{namespace if owner == '.' else owner}/{rest}"
    if "." in name:
        first, second = name.split(".")[:2]
        return f"{second}/{first}"
    return f"{namespace}/{name}"


class VirtualServiceIndex:
    """VirtualServices by the Gateway they are bound to."""

    def __init__(self, ctx: Context) -> None:
        from gwsim.topology.from_istio.delegates import expand

        self._by_gateway: dict[str, list[Bound]] = defaultdict(list)
        self.all: list[Bound] = []
        for service in ctx.registry.virtual_services:
            if not service.hosts:
                continue
            names = tuple(gateway_name(one, service.namespace) for one in service.gateways) or (MESH,)
            hosts = tuple(fqdn(host, service.namespace) for host in service.hosts)
            bound = Bound(service, hosts, names, expand(ctx, service), _semantics(service))
            self.all.append(bound)
            for name in dict.fromkeys(names):
                self._by_gateway[name].append(bound)
        for bound in ctx.converted.routes:
            for name in bound.gateways:
                self._by_gateway[name].append(bound)

    def bound_to(self, gateway: str, namespace: str) -> list[Bound]:
        """Those bound to a Gateway and seen from the pods' namespace: private ones, then exported, then public."""
        seen = [one for one in self._by_gateway.get(gateway, ()) if visible(one.source.export_to, one.source.namespace, namespace)]
        return sorted(seen, key=lambda one: _rank(one, namespace))


def _rank(bound: Bound, namespace: str) -> tuple[int, int]:
    """Of the public ones, routes of the Gateway API in the pods' namespace come first."""
    source = bound.source
    if private(source.export_to, source.namespace):
        return 0, 0
    if source.export_to and "*" not in source.export_to:
        return 1, 0
    return 2, int(bound.semantics != "gateway" or source.namespace != namespace)


def _semantics(service: VirtualService) -> Semantics:
    given = service.meta.annotations.get(SEMANTICS)
    return "gateway" if given == "gateway" else "ingress" if given == "ingress" else "istio"


def check_gateways(ctx: Context, index: VirtualServiceIndex) -> None:
    """Report VirtualServices that name a Gateway which does not exist."""
    known = {f"{one.namespace}/{one.name}" for one in ctx.registry.gateways}
    for bound in index.all:
        for position, name in enumerate(bound.gateways):
            if name == MESH or name in known or ctx.registry.assumed.has("Gateway", *name.split("/", 1)):
                continue
            ctx.find(
                "GATEWAY_MISSING",
                f"{bound.source.ref}: there is no Gateway {name}, so it does not serve these routes (404 NR)",
                bound.source,
                f"gateways[{position}]",
                help=did_you_mean(name, known) or f"if it is kept elsewhere, declare it: assume_exists: [Gateway/{name}]",
            )
