"""What a proxy is configured with: tables in the columns of `istioctl proxy-config`, and Envoy's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gwsim.diagnostics import Span
from gwsim.topology import (
    DirectResponse,
    FilterChain,
    Forward,
    HttpConnectionManager,
    Listener,
    Proxy,
    Redirect,
    Route,
    RouteConfiguration,
    to_envoy,
)
from gwsim.topology.upstream import Cluster

PARTS = ("listeners", "routes", "clusters", "endpoints", "all")
NOT_FOUND = "404"
Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is shown: of listeners and routes those at a port, of clusters and endpoints also those of a host."""

    port: int | None = None
    host: str = ""
    subset: str | None = None

    def listener(self, one: Listener) -> bool:
        """Whether a listener is shown: it listens on the port, or was declared for it."""
        return self.port in (None, one.port, *one.declared_ports)

    def cluster(self, one: Cluster) -> bool:
        """Whether a cluster is shown."""
        fits = self.port in (None, one.port) and self.subset in (None, one.subset)
        return fits and (not self.host or one.host == self.host or one.host.startswith(f"{self.host}."))

    def endpoint(self, one: Cluster) -> bool:
        """Whether a cluster's endpoints are shown; the port may be theirs."""
        ports = {one.port, *(endpoint.port for endpoint in one.endpoints)}
        fits = self.subset in (None, one.subset) and (self.port is None or self.port in ports)
        return fits and (not self.host or one.host == self.host or one.host.startswith(f"{self.host}."))


def as_json(part: str, proxy: Proxy, wanted: Wanted, istio_version: str = "") -> str:
    """The JSON that `istioctl proxy-config <part> -o json` would print."""
    return json.dumps(_json(part, proxy, wanted, istio_version), indent=4) + "\n"


def _json(part: str, proxy: Proxy, wanted: Wanted, istio_version: str) -> Any:
    match part:
        case "listeners":
            return [to_envoy.listener(one) for one in proxy.listeners if wanted.listener(one)]
        case "routes":
            return [to_envoy.route_configuration(one) for one in _configurations(proxy, wanted)]
        case "clusters":
            return [to_envoy.cluster(one) for one in proxy.clusters.values() if wanted.cluster(one)]
        case "endpoints":
            return [to_envoy.cluster_status(one) for one in proxy.clusters.values() if wanted.endpoint(one)]
    return to_envoy.config_dump(proxy, istio_version)


def as_text(part: str, proxy: Proxy, wanted: Wanted) -> str:
    """The table of one part."""
    table = {"listeners": _listeners, "routes": _routes, "clusters": _clusters, "endpoints": _endpoints}
    if part != "all":
        return "\n".join(_columns(*table[part](proxy, wanted))) + "\n"
    texts = [f"--- {name} ---\n" + "\n".join(_columns(*make(proxy, wanted))) for name, make in table.items()]
    return "\n\n".join(texts) + "\n"


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _place(span: Span | None) -> str:
    return f"{span.file}:{span.line}" if span is not None and span.line else ""


# --- listeners -----------------------------------------------------------------------------------------------------


def _listeners(proxy: Proxy, wanted: Wanted) -> Table:
    rows: list[tuple[str, ...]] = []
    for one in proxy.listeners:
        if wanted.listener(one):
            chains = [*one.filter_chains, *([one.default_chain] if one.default_chain else [])]
            for chain in chains:
                match = "default" if chain is one.default_chain else _match(chain)
                rows.append((one.bind or "0.0.0.0", str(one.port), match, _destination(chain), _place(chain.origin)))
    return ("ADDRESSES", "PORT", "MATCH", "DESTINATION", "FROM"), rows


def _match(chain: FilterChain) -> str:
    match = chain.match
    parts = []
    if match.server_names:
        parts.append("SNI: " + ",".join(match.server_names))
    if match.transport_protocol:
        parts.append(f"Trans: {match.transport_protocol}")
    if match.application_protocols:
        parts.append("App: " + ",".join(match.application_protocols))
    if match.prefix_ranges:
        parts.append("Addr: " + ",".join(match.prefix_ranges))
    if match.destination_port is not None:
        parts.append(f"Port: {match.destination_port}")
    return "; ".join(parts) or "ALL"


def _destination(chain: FilterChain) -> str:
    if isinstance(chain.filter, HttpConnectionManager):
        configuration = chain.filter.route_config
        if configuration.name:
            return f"Route: {configuration.name}"
        return "Inline Route: " + ", ".join(_route_match(route) for host in configuration.virtual_hosts for route in host.routes)
    return "Cluster: " + ", ".join(one.cluster for one in chain.filter.clusters)


# --- routes --------------------------------------------------------------------------------------------------------


def _configurations(proxy: Proxy, wanted: Wanted) -> list[RouteConfiguration]:
    found: dict[str | int, RouteConfiguration] = {}
    for one in proxy.listeners:
        if wanted.listener(one):
            for chain in [*one.filter_chains, *([one.default_chain] if one.default_chain else [])]:
                if isinstance(chain.filter, HttpConnectionManager):
                    configuration = chain.filter.route_config
                    found.setdefault(configuration.name or id(configuration), configuration)
    return list(found.values())


def _routes(proxy: Proxy, wanted: Wanted) -> Table:
    rows: list[tuple[str, ...]] = []
    for configuration in _configurations(proxy, wanted):
        for host in configuration.virtual_hosts:
            domains = _shortened(host.domains)
            if host.require_tls:
                rows.append((configuration.name, host.name, domains, "plaintext", "redirect to https", _place(host.origin)))
            elif not host.routes:
                rows.append((configuration.name, host.name, domains, "/*", NOT_FOUND, _place(host.origin)))
            for route in host.routes:
                match, action = _route_match(route), _action(route)
                rows.append((configuration.name, host.name, domains, match, action, _place(route.origin)))
    return ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "DESTINATION", "FROM"), rows


def _shortened(domains: Sequence[str], most: int = 2) -> str:
    more = f" + {len(domains) - most} more..." if len(domains) > most else ""
    return ", ".join(domains[:most]) + more


def _route_match(route: Route) -> str:
    path = route.match.path
    marks = {"exact": "", "prefix": "*", "path_separated_prefix": "[/*]", "any": "*", "regex": ""}
    shown = f"regex {path.value}" if path.kind == "regex" else f"{path.value or '/'}{marks[path.kind]}"
    rest = route.match
    others = [one.name for one in rest.headers] + [one.name for one in rest.query_params]
    others += [f"!{one.name}" for one in rest.without_headers]
    others += [".".join(one.path) for one in rest.claims]
    others += [name for name in ("method", "authority", "scheme") if getattr(rest, name) is not None]
    return f"{shown} ({', '.join(others)})" if others else shown


def _action(route: Route) -> str:
    action = route.action
    if isinstance(action, Forward):
        total = sum(one.weight for one in action.clusters) or 1
        if len(action.clusters) == 1:
            return action.clusters[0].cluster
        return ", ".join(f"{100 * one.weight / total:.3g}% {one.cluster}" for one in action.clusters) or "no cluster"
    if isinstance(action, Redirect):
        return f"redirect {action.status}"
    return f"response {action.status}" if isinstance(action, DirectResponse) else "nothing"


# --- clusters and endpoints ----------------------------------------------------------------------------------------


def _clusters(proxy: Proxy, wanted: Wanted) -> Table:
    rows: list[tuple[str, ...]] = []
    for one in proxy.clusters.values():
        if wanted.cluster(one):
            direction = one.name.partition("|")[0] if "|" in one.name else "-"
            port = str(one.port) if one.port else "-"
            rows.append((one.host or one.name, port, one.subset or "-", direction, one.discovery, _place(one.origin)))
    return ("SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"), sorted(rows)


def _endpoints(proxy: Proxy, wanted: Wanted) -> Table:
    rows: Iterable[tuple[str, ...]] = (
        (
            f"{endpoint.address}:{endpoint.port}",
            "HEALTHY" if endpoint.healthy else "UNHEALTHY",
            "/".join(part for part in (endpoint.locality.region, endpoint.locality.zone, endpoint.locality.subzone) if part),
            one.name,
        )
        for one in proxy.clusters.values()
        if wanted.endpoint(one)
        for endpoint in one.endpoints
    )
    return ("ENDPOINT", "STATUS", "LOCALITY", "CLUSTER"), list(rows)


__all__ = ["PARTS", "Wanted", "as_json", "as_text"]
