"""HTTP rules of VirtualServices as routes.

Source: istio/istio pilot/pkg/networking/core/route/route.go (`BuildHTTPRoutesForVirtualService`, `translateRoute`).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Literal

from gwsim.diagnostics import Level
from gwsim.resources.models import CorsPolicy as CorsSettings
from gwsim.resources.models import (
    Destination,
    HeaderOperations,
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRewrite,
    HTTPRoute,
    Resource,
)
from gwsim.topology.from_istio.context import Context, place
from gwsim.topology.from_istio.converted import PREFIX_MARK
from gwsim.topology.from_istio.destinations import Destinations, Use, meant_of, shares
from gwsim.topology.from_istio.http_matches import applies, route_match, string_match
from gwsim.topology.from_istio.retries import retry_policy
from gwsim.topology.from_istio.virtual_services import Bound, HttpRule, Semantics, gateway_name
from gwsim.topology.headers import joined
from gwsim.topology.routes import (
    Action,
    Cors,
    DirectResponse,
    FaultAbort,
    FaultDelay,
    Forward,
    HashPolicy,
    HeaderChanges,
    Mirror,
    NoAction,
    PathRewrite,
    Redirect,
    Route,
    RouteMatch,
    WeightedCluster,
)

REDIRECT_CODES = (301, 302, 303, 307, 308)
_DEFAULT_PORTS = {"http": 80, "https": 443}
"""Ports that istiod leaves out of a redirect."""


@dataclass(slots=True)
class RouteBuilder:
    """Builds the routes of a VirtualService for one workload, Gateway and declared port."""

    ctx: Context
    destinations: Destinations
    gateway: str
    port: int
    listening_port: int
    tls: bool = False
    """Whether the server has TLS settings (istiod takes `httpsRedirect` for TLS too)."""

    def routes(self, bound: Bound) -> list[Route]:
        """Its routes in order, up to the first that takes everything."""
        routes: list[Route] = []
        for position, rule in enumerate(bound.http):
            for match_position, match in self._matches(rule):
                route = self._route(rule, match, match_position, bound.semantics)
                routes.append(route)
                if route.match.catch_all:
                    if bound.semantics == "istio":
                        self._report_unreachable(bound, position, match_position, rule)
                    return routes
        return routes

    def _matches(self, rule: HttpRule) -> list[tuple[int | None, HTTPMatchRequest | None]]:
        if not rule.rule.match:
            return [(None, None)]
        workload = self.destinations.workload
        return [
            (position, match)
            for position, match in enumerate(rule.rule.match)
            if applies(
                match,
                port=self.port,
                gateway=self.gateway,
                labels=workload.labels,
                namespace=workload.namespace,
                names=tuple(gateway_name(name, rule.source.namespace) for name in match.gateways),
            )
        ]

    def _report_unreachable(self, bound: Bound, position: int, match: int | None, rule: HttpRule) -> None:
        unreachable: list[tuple[Resource, str]] = []
        if match is not None:
            if _of_some(rule.rule.match[match]):
                return  # It takes every request here; on other ports, or for other gateways, later rules are used.
            more = range(match + 1, len(rule.rule.match))
            unreachable += [(rule.source, f"{rule.path}.match[{one}]") for one in more]
        unreachable += [(later.source, later.path) for later in bound.http[position + 1 :]]
        for source, path in unreachable:
            message = f"{source.ref}: {path} is never used: {rule.path} before it takes every request"
            self.ctx.find("RULE_UNREACHABLE", message, source, path)

    def _route(self, rule: HttpRule, match: HTTPMatchRequest | None, position: int | None, semantics: Semantics) -> Route:
        http = rule.rule
        name = f"{rule.name}.{match.name}" if match is not None and match.name else rule.name
        fault = http.fault
        conditions = route_match(match, segments=semantics != "istio")
        return Route(
            name=name,
            match=conditions,
            action=self._action(rule, conditions, semantics),
            fault_delay=_delay(http) if fault is not None else None,
            fault_abort=_abort(http) if fault is not None else None,
            cors=_cors(http.cors_policy) if http.cors_policy is not None else None,
            request_headers=_route_changes(http, "request"),
            response_headers=_route_changes(http, "response"),
            origin=place(rule.source, rule.path if position is None else f"{rule.path}.match[{position}]"),
        )

    def _action(self, rule: HttpRule, match: RouteMatch, semantics: Semantics) -> Action:
        http = rule.rule
        if http.redirect is not None:
            return self._redirect(http.redirect, rule, semantics)
        if http.direct_response is not None:
            return _direct(http.direct_response)
        return self._forward(rule, match, semantics)

    def _redirect(self, redirect: HTTPRedirect, rule: HttpRule, semantics: Semantics) -> Action:
        if redirect.redirect_code not in REDIRECT_CODES:
            return NoAction(reason=f"redirect code {redirect.redirect_code} is none that istiod knows")
        port = redirect.port
        if redirect.derive_port == "FROM_REQUEST_PORT":
            port = self.port
        if port == _DEFAULT_PORTS.get(redirect.scheme or ("https" if self.tls else "http")):
            port = None
        prefix = None
        if semantics == "gateway" and redirect.uri and redirect.uri.startswith(PREFIX_MARK):
            prefix = redirect.uri.removeprefix(PREFIX_MARK)
        if redirect.prefix_rewrite is not None and self.ctx.rules.redirect_prefix_rewrite:
            prefix = redirect.prefix_rewrite
        elif redirect.prefix_rewrite is not None:
            message = f"{rule.source.ref}: prefixRewrite of a redirect counts from Istio 1.31 on"
            self.ctx.find("FIELD_WARNING", message, rule.source, f"{rule.path}.redirect.prefixRewrite")
        return Redirect(
            status=redirect.redirect_code,
            scheme=redirect.scheme or "",
            host=redirect.authority or "",
            port=port,
            path=redirect.uri or "" if prefix is None else "",
            prefix_rewrite=prefix,
        )

    def _forward(self, rule: HttpRule, match: RouteMatch, semantics: Semantics) -> Forward:
        http, namespace = rule.rule, rule.source.namespace
        clusters: list[WeightedCluster] = []
        hashes: list[HashPolicy] = []
        # Every destination is looked up, so that one with weight 0 that leads nowhere is reported too.
        names = [
            self._cluster(one.destination, Use(rule.source, rule.target(position), 500 if semantics == "gateway" else 503))
            for position, one in enumerate(http.route)
        ]
        for position, weight in shares([one.weight for one in http.route]):
            one = http.route[position]
            # The header changes of a single destination are written into the route.
            headers = one.headers if len(http.route) > 1 else None
            clusters.append(
                WeightedCluster(
                    cluster=names[position],
                    weight=weight,
                    meant=meant_of(one.destination),
                    request_headers=_changes(headers.request) if headers else None,
                    response_headers=_changes(headers.response) if headers else None,
                    host_rewrite=_host_header(headers.request) if headers else "",
                )
            )
            hashes += [found for found in self.destinations.hash_of(one.destination, namespace) if found not in hashes]
        timeout_s = http.timeout_s or 0.0
        policy = retry_policy(http.retries, default=self.ctx.mesh.default_http_retry_policy, single_hashed=len(clusters) == 1 and bool(hashes))
        if not timeout_s and (policy is None or policy.per_try_timeout_s is None):
            self._report_no_timeout(rule)
        return Forward(
            clusters=tuple(clusters),
            timeout_s=timeout_s,
            max_grpc_timeout_s=timeout_s,
            retry_policy=policy,
            path_rewrite=_path_rewrite(http.rewrite, match, semantics) if http.rewrite is not None else None,
            host_rewrite=_host_rewrite(http),
            hash_policy=tuple(hashes),
            cluster_not_found_status=500 if semantics == "gateway" else 503,
            mirrors=self._mirrors(rule),
        )

    def _cluster(self, destination: Destination, use: Use) -> str:
        return self.destinations.cluster(destination, self.port, use)

    def _report_no_timeout(self, rule: HttpRule) -> None:
        message = f"{rule.source.ref}: {rule.name} has neither timeout nor perTryTimeout, so it waits for ever"
        self.ctx.find("NO_TIMEOUT", message, rule.source, rule.path, level=Level.INFO)

    def _mirrors(self, rule: HttpRule) -> tuple[Mirror, ...]:
        http = rule.rule
        found: list[Mirror] = []
        if http.mirror is not None:
            percent = 100.0 if http.mirror_percent is None else float(http.mirror_percent)
            if http.mirror_percentage is not None:
                percent = http.mirror_percentage.value
            found.append(Mirror(cluster=self._cluster(http.mirror, Use(rule.source, f"{rule.path}.mirror")), percent=percent))
        for position, one in enumerate(http.mirrors):
            use = Use(rule.source, f"{rule.path}.mirrors[{position}]")
            percent = 100.0 if one.percentage is None else one.percentage.value
            found.append(Mirror(cluster=self._cluster(one.destination, use), percent=percent))
        return tuple(one for one in found if one.percent > 0)


def _direct(response: HTTPDirectResponse) -> DirectResponse:
    body = ""
    if response.body is not None:
        body = response.body.string or ""
        if response.body.bytes_base64:
            body = base64.b64decode(response.body.bytes_base64).decode("utf-8", "replace")
    return DirectResponse(status=response.status, body=body)


def _path_rewrite(rewrite: HTTPRewrite, match: RouteMatch, semantics: Semantics) -> PathRewrite | None:
    regex = rewrite.uri_regex_rewrite
    if regex is not None:
        return PathRewrite(kind="regex", pattern=regex.match or "", value=regex.rewrite or "")
    if rewrite.uri == "/" and semantics == "gateway":
        # The prefix is cut off; a slash is kept in case nothing is left.
        prefix = match.path.value if match.path.kind == "path_separated_prefix" else ""
        return PathRewrite(kind="regex", pattern=f"^{re.escape(prefix)}(/?)(.*)", value=r"/\2")
    return PathRewrite(kind="prefix", value=rewrite.uri) if rewrite.uri else None


def _host_rewrite(http: HTTPRoute) -> str:
    """The rewrite's, else the route's header, else that of a single destination."""
    if http.rewrite is not None and http.rewrite.authority:
        return http.rewrite.authority
    own = _host_header(http.headers.request) if http.headers is not None else ""
    only = http.route[0].headers if len(http.route) == 1 else None
    return own or (_host_header(only.request) if only is not None else "")


def _route_changes(http: HTTPRoute, side: Literal["request", "response"]) -> HeaderChanges | None:
    """The route's changes, with those of its single destination after them.

    Source: istio pilot/pkg/networking/core/route/route.go `processDestination`.
    """
    only = http.route[0].headers if len(http.route) == 1 else None
    own, more = (_changes(getattr(one, side)) if one is not None else None for one in (http.headers, only))
    return joined(own, more)


def _host_header(operations: HeaderOperations | None) -> str:
    """Setting, else adding, `host` or `:authority` is a host rewrite."""
    if operations is None:
        return ""
    found = [value for changes in (operations.set, operations.add) for name, value in changes.items() if _is_host(name)]
    return next(iter(found), "")


def _is_host(name: str) -> bool:
    return name.lower() in ("host", ":authority")


def _changes(operations: HeaderOperations | None) -> HeaderChanges | None:
    """The changes without those of pseudo-headers and the host, which istiod leaves out."""
    if operations is None:
        return None
    return HeaderChanges(
        set={name: value for name, value in operations.set.items() if not _is_internal(name)},
        add={name: value for name, value in operations.add.items() if not _is_internal(name)},
        remove=tuple(name for name in operations.remove if not _is_internal(name)),
    )


def _is_internal(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"


def _delay(http: HTTPRoute) -> FaultDelay | None:
    delay = http.fault.delay if http.fault else None
    if delay is None or delay.fixed_delay_s is None:
        return None
    percent = delay.percentage.value if delay.percentage else float(delay.percent or 0)
    return FaultDelay(percent=percent, delay_s=delay.fixed_delay_s) if percent > 0 else None


def _abort(http: HTTPRoute) -> FaultAbort | None:
    abort = http.fault.abort if http.fault else None
    if abort is None:
        return None
    percent = abort.percentage.value if abort.percentage else float(abort.percent or 0)
    if percent <= 0:
        return None
    return FaultAbort(percent=percent, status=abort.http_status or 0, grpc_status=abort.grpc_status or "")


def _cors(policy: CorsSettings) -> Cors:
    origins = tuple(string_match(one) for one in policy.allow_origins)
    return Cors(
        allow_origins=origins,
        allow_methods=policy.allow_methods,
        allow_headers=policy.allow_headers,
        expose_headers=policy.expose_headers,
        max_age_s=policy.max_age_s,
        allow_credentials=bool(policy.allow_credentials),
        forward_unmatched_preflights=policy.unmatched_preflights != "IGNORE",
    )


def _of_some(match: HTTPMatchRequest) -> bool:
    """Whether a match is for some ports, gateways or clients only."""
    return bool(match.port or match.gateways or match.source_labels or match.source_namespace)
