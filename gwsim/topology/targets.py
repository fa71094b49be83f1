"""Names of proxies and ports as users write them, and what they mean in a topology."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gwsim.diagnostics import nearest
from gwsim.errors import InputError
from gwsim.topology.listeners import Listener

if TYPE_CHECKING:
    from gwsim.topology.model import Proxy, ProxyService, ProxyServicePort, ServedGateway, Topology

_FORM = re.compile(r"(?:(?P<cluster>[^/]+)/)?(?P<kind>Service|Deployment)/(?P<namespace>[^/]+)/(?P<name>[^/:]+):(?P<port>\d+)$")


class TargetMissing(InputError):
    """A target or proxy that the topology does not have; the message names the nearest one that it has."""


def _missing(what: str, wanted: str, have: list[str]) -> TargetMissing:
    best = nearest(wanted, have)
    if best:
        hint = f"; did you mean {best}?"
    elif have:
        hint = "; there is " + ", ".join(sorted(have)[:5]) + (", ..." if len(have) > 5 else "")
    else:
        hint = "; the configuration has none"
    return TargetMissing(f"{what} {wanted} does not exist{hint}")


def find_proxy(topology: Topology, namespace: str, name: str, cluster: str | None) -> Proxy:
    """The proxy of that name; without `cluster`, of any cluster if only one has it."""
    named = [one for one in topology.proxies if (one.namespace, one.name) == (namespace, name)]
    found = [one for one in named if cluster is None or one.cluster == cluster]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        clusters = ", ".join(sorted(one.cluster for one in found))
        raise TargetMissing(f"gateway {namespace}/{name} exists in several clusters ({clusters}); say which")
    raise _missing("gateway", f"{namespace}/{name}", [one.key for one in topology.proxies])


def find_gateway(
    topology: Topology, namespace: str, name: str, cluster: str | None = None, *, api: str | None = None
) -> tuple[ServedGateway, tuple[Proxy, ...]]:
    """The Gateway object of that name, and the proxies that serve it. Of two, that of the Gateway API counts."""
    found: dict[str, list[tuple[ServedGateway, Proxy]]] = {}
    for proxy in topology.proxies:
        for one in proxy.gateways if cluster in (None, proxy.cluster) else ():
            if (one.namespace, one.name) == (namespace, name) and api in (None, one.api):
                found.setdefault(one.api, []).append((one, proxy))
    chosen = found.get("gateway-api") or found.get("istio")
    if chosen is None:
        known = {f"{one.namespace}/{one.name}" for proxy in topology.proxies for one in proxy.gateways}
        raise _missing("Gateway", f"{namespace}/{name}", sorted(known))
    return chosen[0][0], tuple(proxy for _, proxy in chosen)


def resolve_target(topology: Topology, target: str) -> tuple[Proxy, Listener]:
    """The proxy and listener behind `[cluster/]Service/<namespace>/<name>:<port>`.

    `Deployment/<namespace>/<name>:<port>` takes the port the proxy itself listens on.
    """
    form = _FORM.match(target)
    if form is None:
        known = _known_targets(topology)
        example = known[0] if known else "Service/istio-system/istio-ingressgateway:443"
        raise TargetMissing(f"target {target!r} cannot be read; write e.g. {example}")
    parts = form.groupdict()
    proxies = [one for one in topology.proxies if parts["cluster"] in (None, one.cluster) and one.kind != "sidecar"]
    if not proxies and parts["cluster"] is not None:
        raise _missing("cluster", parts["cluster"], sorted({one.cluster for one in topology.proxies if one.cluster}))
    port, wanted = int(parts["port"]), (parts["namespace"], parts["name"])
    if parts["kind"] == "Deployment":
        return _behind_deployment(topology, proxies, wanted, port, target)
    return _behind_service(topology, proxies, wanted, port, target)


def _behind_deployment(
    topology: Topology, proxies: list[Proxy], wanted: tuple[str, str], port: int, target: str
) -> tuple[Proxy, Listener]:
    found = [one for one in proxies if (one.namespace, one.name) == wanted]
    proxy = _only(found, target, [f"Deployment/{one.key}" for one in topology.proxies if one.kind != "sidecar"])
    return proxy, _listener(proxy, port, target)


def _behind_service(
    topology: Topology, proxies: list[Proxy], wanted: tuple[str, str], port: int, target: str
) -> tuple[Proxy, Listener]:
    found = [(one, service) for one in proxies for service in one.services if (service.namespace, service.name) == wanted]
    proxy = _only([one for one, _ in found], target, _known_targets(topology))
    service = next(service for one, service in found if one is proxy)
    return proxy, _listener(proxy, _service_port(service, port, target).target_port, target)


def _only(found: list[Proxy], target: str, have: list[str]) -> Proxy:
    if not found:
        raise _missing("target", target, have)
    if len(found) > 1:
        where = ", ".join(sorted(f"{one.cluster}/{one.key}" if one.cluster else one.key for one in found))
        raise TargetMissing(f"target {target} is ambiguous, it leads to {where}; put the cluster's name first")
    return found[0]


def _service_port(service: ProxyService, port: int, target: str) -> ProxyServicePort:
    found = next((one for one in service.ports if one.port == port and one.protocol == "TCP"), None)
    if found is None:
        have = ", ".join(str(one.port) for one in service.ports) or "none"
        raise TargetMissing(f"target {target}: Service {service.namespace}/{service.name} has no TCP port {port}; it has {have}")
    return found


def _listener(proxy: Proxy, port: int, target: str) -> Listener:
    listener = proxy.listener(port)
    if listener is None:
        have = ", ".join(str(one.port) for one in proxy.listeners) or "none"
        raise TargetMissing(f"target {target} leads to port {port} of {proxy.key}, where nothing listens; its listeners: {have}")
    return listener


def _known_targets(topology: Topology) -> list[str]:
    targets = [
        f"{one.cluster + '/' if one.cluster else ''}Service/{service.namespace}/{service.name}:{port.port}"
        for one in topology.proxies
        for service in one.services
        for port in service.ports
        if one.listener(port.target_port) is not None
    ]
    return sorted(targets)
