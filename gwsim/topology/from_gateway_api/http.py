"""HTTPRoutes and GRPCRoutes as rules of VirtualServices, one rule for every match, in the order of their precedence.

Source: istio/istio pilot/pkg/config/kube/gateway/conversion.go (`convertHTTPRoute`, `convertGRPCRoute`,
`sortHTTPRoutes`), route_collections.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gwsim.resources.models import (
    GatewayGRPCRoute,
    GatewayHTTPRoute,
    GRPCMethodMatch,
    GRPCRouteMatch,
    GRPCRouteRule,
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    HTTPRouteMatch,
    HTTPRouteRetry,
    HTTPRouteRule,
    NamedMatch,
    PathMatchRule,
    StringMatch,
)
from gwsim.topology.from_gateway_api.backends import Backends, NotTranslated, shares_of
from gwsim.topology.from_gateway_api.filters import Fields, backend_headers, rule_fields
from gwsim.topology.from_istio.virtual_services import HttpRule

RETRY_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled")
DEFAULT_ATTEMPTS = 2
ANY_REQUEST = HTTPRouteMatch()


@dataclass(slots=True)
class HttpConverter:
    """Makes the rules of routes; with `granted` off for the mesh, where grants are not asked for."""

    backends: Backends

    def rules(self, route: GatewayHTTPRoute | GatewayGRPCRoute, *, granted: bool) -> list[HttpRule]:
        """The rules of a route, the most specific first; none when istiod refuses the route, which is reported."""
        try:
            made = self._http(route, granted) if isinstance(route, GatewayHTTPRoute) else self._grpc(route, granted)
            return in_order(list(made))
        except NotTranslated as error:
            ctx = self.backends.ctx
            ctx.find("ROUTE_REFUSED", f"{route.ref}: istiod leaves the route out: {error.message}", route, error.path)
            return []

    def _http(self, route: GatewayHTTPRoute, granted: bool) -> Iterator[HttpRule]:
        for position, rule in enumerate(route.rules):
            path = f"rules[{position}]"
            fields = self._common(rule, route, position, granted)
            fields |= _times(rule)
            matches = (ANY_REQUEST,) if rule.matches is None else rule.matches
            for n, match in enumerate(matches):
                made = HTTPRoute(match=(_match(match),), **fields)
                yield HttpRule(made, route, f"{path}.matches[{n}]", _targets(rule, path))
            if not matches:
                yield HttpRule(HTTPRoute(**fields), route, path, _targets(rule, path))

    def _grpc(self, route: GatewayGRPCRoute, granted: bool) -> Iterator[HttpRule]:
        for position, rule in enumerate(route.rules):
            path = f"rules[{position}]"
            fields = self._common(rule, route, position, granted)
            for n, match in enumerate(rule.matches):
                made = HTTPRoute(match=(_grpc_match(match),), **fields)
                yield HttpRule(made, route, f"{path}.matches[{n}]", _targets(rule, path))
            if not rule.matches:
                yield HttpRule(HTTPRoute(**fields), route, path, _targets(rule, path))

    def _common(
        self, rule: HTTPRouteRule | GRPCRouteRule, route: GatewayHTTPRoute | GatewayGRPCRoute, position: int, granted: bool
    ) -> Fields:
        """Name, filters and destinations of a rule."""
        path = f"rules[{position}]"
        fields: Fields = {"name": rule.name or f"{route.namespace}.{route.name}.{position}"}
        fields |= rule_fields(rule.filters, route, f"{path}.filters", self.backends, granted=granted)
        if "redirect" in fields:
            return fields
        taking = shares_of(rule.backend_refs)
        if not taking:
            status = 500 if rule.backend_refs else self.backends.ctx.rules.http_route_without_backends_status
            return fields | {"direct_response": HTTPDirectResponse(status=status)}
        parts = []
        for n, weight in taking:
            backend, where = rule.backend_refs[n], f"{path}.backendRefs[{n}]"
            destination = self.backends.destination(backend, route, where, granted=granted)
            headers = backend_headers(backend.filters, f"{where}.filters")
            parts.append(HTTPRouteDestination(destination=destination, weight=weight, headers=headers))
        return fields | {"route": tuple(parts)}


def _targets(rule: HTTPRouteRule | GRPCRouteRule, path: str) -> tuple[str, ...]:
    return tuple(f"{path}.backendRefs[{n}]" for n, _ in shares_of(rule.backend_refs))


def _times(rule: HTTPRouteRule) -> Fields:
    """Time-outs and retries. Without retries the time-out of one try is that of the whole request."""
    fields: Fields = {}
    per_try_s = rule.timeouts.backend_request_s if rule.timeouts is not None else None
    if rule.timeouts is not None and rule.timeouts.request_s:
        fields["timeout_s"] = rule.timeouts.request_s
    if rule.retry is not None:
        fields["retries"] = _retry(rule.retry, per_try_s)
    elif per_try_s:
        fields["timeout_s"] = per_try_s
    return fields


def _retry(retry: HTTPRouteRetry, per_try_s: float | None) -> HTTPRetry:
    attempts = DEFAULT_ATTEMPTS if retry.attempts is None else retry.attempts
    conditions = ",".join([*RETRY_ON, *(str(code) for code in retry.codes)])
    return HTTPRetry(
        attempts=attempts,
        retry_on=conditions if attempts else None,
        per_try_timeout_s=per_try_s or None,
        backoff_s=retry.backoff_s or None,
    )


def _match(match: HTTPRouteMatch) -> HTTPMatchRequest:
    return HTTPMatchRequest(
        uri=_path(match.path),
        headers=_named(match.headers),
        query_params=_named(match.query_params),
        method=StringMatch(exact=match.method) if match.method else None,
    )


def _named(matches: tuple[NamedMatch, ...]) -> dict[str, StringMatch]:
    return {
        one.name: StringMatch(exact=one.value) if one.type == "Exact" else StringMatch(regex=one.value) for one in matches
    }


def _path(path: PathMatchRule) -> StringMatch:
    if path.type == "Exact":
        return StringMatch(exact=path.value)
    if path.type == "RegularExpression":
        return StringMatch(regex=path.value)
    return StringMatch(prefix=path.value if path.value == "/" else path.value.removesuffix("/"))


def _grpc_match(match: GRPCRouteMatch) -> HTTPMatchRequest:
    uri = _grpc_path(match.method) if match.method is not None else None
    return HTTPMatchRequest(uri=uri, headers=_named(match.headers))


def _grpc_path(method: GRPCMethodMatch) -> StringMatch:
    """Calls are POSTs to `/<service>/<method>`."""
    if not method.service:
        return StringMatch(regex=f"/[^/]+/{method.method}")
    if method.type == "RegularExpression":
        return StringMatch(regex=f"/{method.service}/{method.method or '.+'}")
    if not method.method:
        return StringMatch(prefix=f"/{method.service}/")
    return StringMatch(exact=f"/{method.service}/{method.method}")


def in_order(rules: list[HttpRule]) -> list[HttpRule]:
    """Exact paths, then prefixes, then expressions; of each the longest first, then by method, headers and query.

    Rules that are alike in all of this keep their order: the oldest route's first.
    """
    return sorted(rules, key=_precedence)


def _precedence(rule: HttpRule) -> tuple[int, ...]:
    if not rule.rule.match:
        return (1,)
    match = rule.rule.match[0]
    uri = match.uri
    rank, text = -1, ""
    if uri is not None and uri.exact is not None:
        rank, text = 3, uri.exact
    elif uri is not None and uri.prefix is not None:
        rank, text = 2, uri.prefix
    elif uri is not None and uri.regex is not None:
        rank, text = 1, uri.regex
    return (0, -rank, -len(text.encode()), int(match.method is None), -len(match.headers), -len(match.query_params))


def on_port(rules: list[HttpRule], port: int) -> list[HttpRule]:
    """The rules for one port of a service in the mesh."""
    made = []
    for one in rules:
        matches = tuple(replace(match, port=port) for match in one.rule.match) or (HTTPMatchRequest(port=port),)
        made.append(replace(one, rule=replace(one.rule, match=matches)))
    return made
