"""Findings about the configuration as a whole, beside those made while the routes are built."""

from __future__ import annotations

from gwsim.diagnostics import did_you_mean_host
from gwsim.resources.models import HTTPMatchRequest, HTTPRoute, Service, VirtualService
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.hosts import fqdn, intersection, server_host, subset_of
from gwsim.topology.from_istio.registry import contains
from gwsim.topology.from_istio.virtual_services import VirtualServiceIndex


def check_hosts(ctx: Context, index: VirtualServiceIndex) -> None:
    """VirtualServices none of whose hosts is a host of the Gateway they are bound to."""
    gateways = {f"{one.namespace}/{one.name}": one for one in ctx.registry.gateways}
    for bound in index.all:
        for name in bound.gateways:
            gateway = gateways.get(name)
            if gateway is None:
                continue
            owned = [server_host(host, gateway.namespace) for server in gateway.servers for host in server.hosts]
            usable = [host for owner, host in owned if owner in ("*", bound.source.namespace)]
            if intersection(usable, bound.hosts):
                continue
            hosts = ", ".join(host for _, host in owned)
            ctx.find(
                "NO_HOST_MATCHES",
                f"{bound.source.ref}: none of its hosts is served by Gateway {name} (it has {hosts})"
                + ("" if usable else " for this namespace"),
                bound.source,
                "hosts",
            )


def check_destination_rules(ctx: Context) -> None:
    """DestinationRules for hosts that do not exist, and subsets that select no pod."""
    known = ctx.registry.hosts
    seen: set[tuple[str, str, str]] = set()
    for rule in ctx.registry.destination_rules:
        host = fqdn(rule.host, rule.namespace)
        if host.startswith("*"):
            matching = [name for name in known if subset_of(name, host)]
        else:
            matching = [host] if host in known else []
        if not matching:
            ctx.find(
                "RULE_HOST_UNKNOWN",
                f"{rule.ref}: there is no service {host}",
                rule,
                "host",
                help=did_you_mean_host(host, known),
            )
        if len(matching) != 1:
            continue
        source = known[matching[0]][0].source
        behind = ctx.registry.deployments_behind(source.selector, source.namespace) if isinstance(source, Service) else []
        for position, subset in enumerate(rule.subsets):
            key = (rule.namespace, host, subset.name)
            if key in seen:
                continue  # An older rule has the subset, and its labels count.
            seen.add(key)
            if behind and not any(contains(one.labels, subset.labels) for one in behind):
                ctx.find(
                    "SUBSET_EMPTY",
                    f"{rule.ref}: subset {subset.name} selects no pod of {host}: 503 UH",
                    rule,
                    f"subsets[{position}]",
                )


def check_duplicate_matches(ctx: Context) -> None:
    """Matches that an earlier rule of the same VirtualService already has: they are never used."""
    for service in ctx.registry.virtual_services:
        seen: dict[str, str] = {}
        for position, rule in enumerate(service.http):
            _check_rule(ctx, service, rule, position, seen)


def _check_rule(ctx: Context, service: VirtualService, rule: HTTPRoute, position: int, seen: dict[str, str]) -> None:
    for match_position, match in enumerate(rule.match):
        path = f"http[{position}].match[{match_position}]"
        key = _condition(match)
        if key in seen:
            message = f"{service.ref}: {path} is never used: {seen[key]} has the same conditions"
            ctx.find("RULE_UNREACHABLE", message, service, path)
        else:
            seen[key] = path


def _condition(match: HTTPMatchRequest) -> str:
    """A text that is equal for matches with equal conditions."""
    parts: list[object] = [match.uri, match.ignore_uri_case, match.scheme, match.method, match.authority, match.port]
    parts += [sorted(match.gateways), match.source_namespace]
    for mapping in (match.headers, match.without_headers, match.query_params, match.source_labels):
        parts.append(sorted(mapping.items(), key=lambda item: item[0]))
    return repr(parts)
