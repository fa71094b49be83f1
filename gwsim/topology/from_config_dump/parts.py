"""What a dump consists of, whatever its shape: listeners, routes, clusters, endpoints, secrets, the bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gwsim.diagnostics import Span, code
from gwsim.topology.from_config_dump.nodes import Node, Source
from gwsim.topology.from_config_dump.tls import Secrets


@dataclass(slots=True)
class Parts:
    """The messages of all files given, by kind."""

    listeners: list[Node] = field(default_factory=list)
    routes: dict[str, Node] = field(default_factory=dict)
    clusters: dict[str, Node] = field(default_factory=dict)
    assignments: dict[str, Node] = field(default_factory=dict)
    statuses: dict[str, Node] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)
    node: Node | None = None
    """Who the proxy is (of the bootstrap)."""
    static: set[str] = field(default_factory=set)
    """Names of the clusters of the bootstrap."""
    notes: list[str] = field(default_factory=list)
    sections: int = 0

    def take(self, value: Any, source: Source) -> None:
        """Take in a file of any of the known shapes; reports one that is none of them."""
        before = self.sections
        if isinstance(value, list):
            for position, one in enumerate(value):
                if isinstance(one, dict):
                    self._message(source.root(one, f"$[{position}]"))
            # An empty list is what istioctl prints when there is nothing to show.
            self.sections += not value
        elif isinstance(value, dict):
            root = source.root(value, "$")
            if "configs" in root:
                for one in root.nodes("configs"):
                    self._section(one)
            elif "clusterStatuses" in root:
                for one in root.nodes("clusterStatuses"):
                    self._message(one)
            elif not self._section(root):
                self._message(root)
        if self.sections == before:
            message = f"{source.name} holds nothing of an Envoy configuration"
            help = "`istioctl proxy-config all POD.NAMESPACE -o json` prints a whole dump; listeners, routes, clusters and endpoints also work"
            source.collector.add(code("NOT_A_DUMP"), message, Span(source.name, 1), help=help)

    def _section(self, node: Node) -> bool:
        reader = _SECTIONS.get(node.type.rpartition(".")[2])
        if reader is None:
            if node.type.endswith("ConfigDump"):
                node.ignore_all()
                self.sections += 1
                return True
            return False
        self.sections += 1
        reader(self, node)
        return True

    def _message(self, node: Node) -> None:
        """One message of a list: known by its type, else by its fields."""
        kind = node.type.rpartition(".")[2] or _looks_like(node)
        match kind:
            case "Listener":
                self.listeners.append(node)
            case "RouteConfiguration":
                self.routes.setdefault(node.text("name"), node)
            case "Cluster":
                self.clusters.setdefault(node.text("name"), node)
            case "ClusterLoadAssignment":
                self.assignments.setdefault(node.text("clusterName"), node)
            case "ClusterStatus":
                self.statuses.setdefault(node.text("name"), node)
            case _:
                node.ignore_all()
                return
        self.sections += 1


def _looks_like(node: Node) -> str:
    if "virtualHosts" in node:
        return "RouteConfiguration"
    if "filterChains" in node or "listenerFilters" in node or ("address" in node and "name" in node):
        return "Listener"
    if "hostStatuses" in node or "addedViaApi" in node:
        return "ClusterStatus"
    if "clusterName" in node:
        return "ClusterLoadAssignment"
    known = ("connectTimeout", "lbPolicy", "type", "edsClusterConfig", "loadAssignment", "circuitBreakers", "clusterType")
    if any(name in node for name in known):
        return "Cluster"
    return "RouteConfiguration" if "ignorePortInHostMatching" in node or "validateClusters" in node else ""


def _bootstrap(parts: Parts, node: Node) -> None:
    inner = node.node("bootstrap")
    if inner is None:
        return
    parts.node = inner.node("node")
    # The rest stands again in the other sections, or concerns Envoy itself.
    inner.ignore_all()


def _listeners(parts: Parts, node: Node) -> None:
    for entry in node.nodes("staticListeners"):
        inner = entry.node("listener")
        if inner is not None:
            parts.listeners.append(inner)
    for entry in node.nodes("dynamicListeners"):
        name = entry.text("name")
        active, warming, draining = (entry.node(f"{state}State") for state in ("active", "warming", "draining"))
        error = entry.node("errorState")
        if error is not None:
            reason = error.text("details")[:200]
            parts.notes.append(f"Envoy refused the last update of listener {name}: {reason}")
            error.ignore_all()
        used = active or warming
        if used is None:
            if draining is not None:
                draining.ignore_all()
                parts.notes.append(f"listener {name} is draining and takes no connections; it is left out")
            continue
        if active is None:
            parts.notes.append(f"listener {name} is still warming: it takes no connections yet")
        for other in (warming, draining):
            if other is not None and other is not used:
                other.ignore_all()
                parts.notes.append(f"listener {name} has another version that is {'warming' if other is warming else 'draining'}")
        inner = used.node("listener")
        if inner is not None:
            parts.listeners.append(inner)


def _clusters(parts: Parts, node: Node) -> None:
    for group in ("staticClusters", "dynamicActiveClusters", "dynamicWarmingClusters"):
        for entry in node.nodes(group):
            inner = entry.node("cluster")
            error = entry.node("errorState")
            if error is not None:
                error.ignore_all()
            if inner is None:
                continue
            name = inner.text("name")
            if group == "staticClusters":
                parts.static.add(name)
            if group == "dynamicWarmingClusters" and name not in parts.clusters:
                parts.notes.append(f"cluster {name} is still warming")
            if name in parts.clusters:
                inner.ignore_all()
            parts.clusters.setdefault(name, inner)


def _routes(parts: Parts, node: Node) -> None:
    for group in ("staticRouteConfigs", "dynamicRouteConfigs"):
        for entry in node.nodes(group):
            inner = entry.node("routeConfig")
            error = entry.node("errorState")
            if error is not None:
                error.ignore_all()
            if inner is None:
                continue
            name = inner.text("name")
            if name and name not in parts.routes:
                parts.routes[name] = inner
            else:
                # Routes written into a connection manager stand here too.
                inner.ignore_all()


def _endpoints(parts: Parts, node: Node) -> None:
    for group in ("staticEndpointConfigs", "dynamicEndpointConfigs"):
        for entry in node.nodes(group):
            inner = entry.node("endpointConfig")
            if inner is not None:
                parts.assignments.setdefault(inner.text("clusterName"), inner)


def _secrets(parts: Parts, node: Node) -> None:
    for group in ("staticSecrets", "dynamicActiveSecrets", "dynamicWarmingSecrets"):
        for entry in node.nodes(group):
            parts.secrets.add(entry, warming=group == "dynamicWarmingSecrets")


_SECTIONS: dict[str, Callable[[Parts, Node], None]] = {
    "BootstrapConfigDump": _bootstrap,
    "ListenersConfigDump": _listeners,
    "ClustersConfigDump": _clusters,
    "RoutesConfigDump": _routes,
    "EndpointsConfigDump": _endpoints,
    "SecretsConfigDump": _secrets,
}
