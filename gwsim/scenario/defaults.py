"""The default workload: what is simulated for plain configuration without a scenario."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gwsim.diagnostics import Collector, Span, code
from gwsim.errors import InputError
from gwsim.scenario.document import item_from
from gwsim.scenario.file import API_VERSION
from gwsim.scenario.reading import LoadedScenario, load_item
from gwsim.scenario.shapes import http_chains
from gwsim.topology import (
    FilterChain,
    Forward,
    HttpConnectionManager,
    Listener,
    Proxy,
    Request,
    Route,
    RouteConfiguration,
    StringMatch,
    Topology,
    VirtualHost,
    choose,
)

DEFAULT_CLUSTER = "default"
"""Name of the cluster that plain configuration is taken to be of."""
RATE = "100rps"
MOST_ENTRIES = 50
"""Entries of a mix; further routes are left out, and that is told."""
_ANY_HOST = "example.com"


def default_scenario(
    topology: Topology, *, config: Sequence[str] = (".",), set_: Sequence[str] = (), collector: Collector | None = None
) -> LoadedScenario:
    """A scenario with one client of 100 requests a second for each gateway port, evenly over the port's own routes.

    Raises InputError when no gateway has a route that a plain request can take.
    """
    own = Collector() if collector is None else collector
    assumptions = ["no scenario is given: the workload is a default, not yours"]
    clients: dict[str, Any] = {}
    for proxy in topology.proxies:
        for listener in proxy.listeners:
            client = _client(proxy, listener, assumptions)
            if client is not None:
                clients[_client_name(proxy, listener, clients)] = client
    if not clients:
        own.add(
            code("SCENARIO_MISSING"),
            "there is no scenario, and no gateway has a route that a default workload could take",
            Span(", ".join(config)),
            help="write a scenario (gwsim init), or check the configuration (gwsim lint)",
        )
        raise InputError("no scenario, and no route for a default workload", own.findings)
    data = {
        "apiVersion": API_VERSION,
        "question": "What would this configuration do with a default workload?",
        "istio": {"version": topology.istio_version},
        "clusters": {DEFAULT_CLUSTER: {"config": list(config)}},
        "clients": clients,
        "run": {"duration": "10s", "replications": 5},
    }
    root = item_from(data, Span("<default workload>"))
    return load_item(root, "<default workload>", set_=set_, folder=Path(), collector=own, assumptions=tuple(assumptions))


def _client_name(proxy: Proxy, listener: Listener, taken: dict[str, Any]) -> str:
    name = f"{proxy.name}-{listener.port}"
    number, unique = 2, name
    while unique in taken:
        number, unique = number + 1, f"{name}-{number}"
    return unique


def _client(proxy: Proxy, listener: Listener, assumptions: list[str]) -> dict[str, Any] | None:
    """The client of a port: it speaks to the filter chain with the most routes that can be taken."""
    found = [(chain, _entries(proxy, listener, chain)) for chain in http_chains(listener)]
    chain, entries = max(found, key=lambda pair: len(pair[1]), default=(None, []))
    if chain is None or not entries:
        return None
    target = target_of(proxy, listener)
    left_out = sum(len(other) for _, other in found) - len(entries[:MOST_ENTRIES])
    more = f" ({left_out} further routes are left out)" if left_out else ""
    assumptions.append(f"client of {target}: {RATE} over {len(entries[:MOST_ENTRIES])} routes of the gateway, in equal parts{more}")
    made: dict[str, Any] = {"target": target, "arrivals": {"poisson": RATE}, "mix": entries[:MOST_ENTRIES]}
    if chain.tls is not None:
        made["sni"] = entries[0]["host"]
        made["connection"] = {"tls": "1.3"}
    else:
        made["connection"] = {"tls": "none"}
    return made


def target_of(proxy: Proxy, listener: Listener) -> str:
    """The text that leads to a listener: its Service, or the Deployment where no Service does."""
    prefix = f"{proxy.cluster}/" if proxy.cluster else ""
    for service in proxy.services:
        for port in service.ports:
            if port.target_port == listener.port and port.protocol == "TCP":
                return f"{prefix}Service/{service.namespace}/{service.name}:{port.port}"
    return f"{prefix}Deployment/{proxy.namespace}/{proxy.name}:{listener.port}"


def _entries(proxy: Proxy, listener: Listener, chain: FilterChain) -> list[dict[str, Any]]:
    """One entry for each forwarding route that a request made for it really takes."""
    manager = chain.filter
    if not isinstance(manager, HttpConnectionManager):
        return []
    entries: list[dict[str, Any]] = []
    names: set[str] = set()
    configuration: RouteConfiguration = manager.route_config
    for virtual_host in configuration.virtual_hosts:
        for route in virtual_host.routes:
            entry = _entry(proxy, listener, chain, virtual_host, route) if isinstance(route.action, Forward) else None
            if entry is not None and entry["name"] not in names:
                names.add(entry["name"])
                entries.append(entry)
    return entries


def _entry(proxy: Proxy, listener: Listener, chain: FilterChain, host: VirtualHost, route: Route) -> dict[str, Any] | None:
    name, path = _host(host, chain), _path(route)
    headers = {one.name: value for one in route.match.headers if (value := _text(one.match)) is not None}
    method = (_text(route.match.method) if route.match.method else None) or "GET"
    query = "&".join(f"{one.name}={_text(one.match) or ''}" for one in route.match.query_params)
    if path is None or len(headers) < len(route.match.headers):
        return None
    path += f"?{query}" if query else ""
    request = Request(scheme="https" if chain.tls is not None else "http", sni=name, host=name, method=method, path=path, headers=headers)
    decision = choose(proxy, listener, request)
    if decision.rule is not route or decision.filter_chain != chain.name:
        return None
    made: dict[str, Any] = {"name": f"{method} {name}{path}", "method": method, "host": name, "path": path}
    return made | ({"headers": headers} if headers else {})


def _host(host: VirtualHost, chain: FilterChain) -> str:
    """A host name that the virtual host takes."""
    domain = next((one for one in host.domains if "*" not in one), host.domains[0] if host.domains else "*")
    if domain == "*":
        server = next(iter(chain.match.server_names), _ANY_HOST)
        return server.replace("*", "www")
    return domain.replace("*", "www").partition(":")[0]


def _path(route: Route) -> str | None:
    """A path that the route takes; None for a regular expression, which is not solved here."""
    match = route.match.path
    if match.kind == "any":
        return "/"
    if match.kind == "regex":
        return "/" if match.value in (".*", "/.*") else None
    return match.value if match.value.startswith("/") else f"/{match.value}"


def _text(match: StringMatch) -> str | None:
    """A text that fulfils a condition, or None for a regular expression."""
    if match.kind == "present":
        return "1"
    return None if match.kind == "regex" else match.value


__all__ = ["DEFAULT_CLUSTER", "default_scenario", "target_of"]
