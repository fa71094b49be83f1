"""VirtualServices that Istio's webhook refuses. Source modelled: ValidateVirtualService and validateHTTPRoute, 1.30."""

from __future__ import annotations

from collections.abc import Sequence

from gwsim.diagnostics import did_you_mean
from gwsim.resources.models.virtual_service import (
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
    Percent,
    RouteDestination,
    StringMatch,
    VirtualService,
)
from gwsim.resources.validation.check import Check, covers, hosts_overlap, is_network

RETRY_ON = frozenset(
    ["5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream", "retriable-status-codes", "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"]
)
MAX_BODY_BYTES = 1024 * 1024


def check_virtual_service(service: VirtualService, check: Check) -> None:
    """Report what would be refused about a VirtualService."""
    is_delegate = not service.hosts
    if is_delegate:
        _delegate(service, check)
    if not (service.http or service.tls or service.tcp):
        check.missing("", "a VirtualService needs at least one route in http, tls or tcp")
    _hosts(service, check)
    for index, route in enumerate(service.http):
        _http_route(route, f"http[{index}]", is_delegate, check)
    _l4_routes(service, check)


def _delegate(service: VirtualService, check: Check) -> None:
    """Without hosts it can only be a delegate, which has no gateways, tls or tcp of its own."""
    for name, value in (("gateways", service.gateways), ("tls", service.tls), ("tcp", service.tcp)):
        if value:
            check.missing("hosts", f"hosts is missing (only a delegate has none, and a delegate has no {name})")
            return


def _hosts(service: VirtualService, check: Check) -> None:
    in_mesh = not service.gateways or "mesh" in service.gateways
    for index, host in enumerate(service.hosts):
        path = f"hosts[{index}]"
        if host == "*" and in_mesh:
            check.bad(path, "host * is not allowed for the mesh gateway", "name a Gateway in gateways")
        check.host(path, host)
        for earlier in service.hosts[:index]:
            if hosts_overlap(host, earlier):
                check.conflict(path, f"host {host!r} overlaps with {earlier!r} of the same VirtualService")
                break


def _http_route(route: HTTPRoute, path: str, is_delegate: bool, check: Check) -> None:
    _actions(route, path, is_delegate, check)
    for index, match in enumerate(route.match):
        _match(match, f"{path}.match[{index}]", check)
    if route.delegate is None:
        _weights(route.route, f"{path}.route", check)
    if route.redirect:
        _redirect(route.redirect, f"{path}.redirect", check)
    if route.direct_response:
        _direct_response(route.direct_response, f"{path}.directResponse", check)
    if route.rewrite:
        _rewrite(route.rewrite, f"{path}.rewrite", check)
    if route.retries:
        _retries(route.retries, f"{path}.retries", check)
    if route.mirror and route.mirrors:
        check.conflict(f"{path}.mirrors", "mirror and mirrors exclude each other")
    _percent(route.mirror_percentage, f"{path}.mirrorPercentage", check)
    _fault(route, f"{path}.fault", check)
    if route.cors_policy:
        for index, origin in enumerate(route.cors_policy.allow_origins):
            _string_match(origin, f"{path}.corsPolicy.allowOrigins[{index}]", check)


def _actions(route: HTTPRoute, path: str, is_delegate: bool, check: Check) -> None:
    """Which actions exclude each other, and that there is one."""
    actions = {
        "route": route.route or None,
        "redirect": route.redirect,
        "directResponse": route.direct_response,
    }
    if route.delegate is not None:
        if is_delegate:
            check.conflict(f"{path}.delegate", "a delegate cannot delegate further")
        for name in ("route", "redirect"):
            if actions[name] is not None:
                check.conflict(f"{path}.{name}", f"delegate and {name} exclude each other")
        return
    check.at_most_one(path, actions)
    if not any(value is not None for value in actions.values()):
        check.missing(path, "the rule has no route, redirect, directResponse or delegate")
    for action in ("redirect", "directResponse"):
        if actions[action] is None:
            continue
        for name, value in (("fault", route.fault), ("rewrite", route.rewrite)):
            if value is not None:
                check.conflict(f"{path}.{name}", f"{action} and {name} exclude each other")


def _match(match: HTTPMatchRequest, path: str, check: Check) -> None:
    for name, value in (
        ("uri", match.uri),
        ("scheme", match.scheme),
        ("method", match.method),
        ("authority", match.authority),
    ):
        if value is not None:
            _string_match(value, f"{path}.{name}", check)
    for block, values in (
        ("headers", match.headers),
        ("withoutHeaders", match.without_headers),
        ("queryParams", match.query_params),
    ):
        for key, value in values.items():
            if '"' in key:
                check.bad(f"{path}.{block}", f"{key!r} is not a name")
                continue
            # A lone `*` is Istio's way to say "present", not a pattern.
            if value.regex != "*":
                _string_match(value, f'{path}.{block}["{key}"]', check)


def _string_match(match: StringMatch, path: str, check: Check) -> None:
    check.at_most_one(path, {"exact": match.exact, "prefix": match.prefix, "regex": match.regex})
    check.regex(f"{path}.regex", match.regex)


def _weights(route: Sequence[HTTPRouteDestination | RouteDestination], path: str, check: Check) -> None:
    if len(route) > 1 and sum(part.weight for part in route) == 0:
        check.bad(path, "the weights of the destinations add up to 0", "give each destination its weight")
    for index, part in enumerate(route):
        where = f"{path}[{index}].destination"
        check.host(f"{where}.host", part.destination.host, wildcard=False)


def _redirect(redirect: HTTPRedirect, path: str, check: Check) -> None:
    fields = (redirect.uri, redirect.prefix_rewrite, redirect.authority, redirect.scheme, redirect.port, redirect.derive_port)
    if not any(fields):
        check.missing(path, "a redirect needs uri, authority, scheme or port")
    check.at_most_one(path, {"uri": redirect.uri, "prefixRewrite": redirect.prefix_rewrite})
    if not 300 <= redirect.redirect_code <= 399 and redirect.redirect_code != 0:
        check.bad(f"{path}.redirectCode", f"{redirect.redirect_code} is not a redirect; use 301, 302, 303, 307 or 308")
    if redirect.scheme not in (None, "", "http", "https"):
        check.bad(f"{path}.scheme", f"scheme cannot be {redirect.scheme!r}; write http or https")
    check.at_most_one(path, {"port": redirect.port, "derivePort": redirect.derive_port})


def _direct_response(response: HTTPDirectResponse, path: str, check: Check) -> None:
    if not 200 <= response.status <= 599:
        check.bad(f"{path}.status", f"status {response.status} is not between 200 and 599")
    if response.body is None:
        return
    check.at_most_one(f"{path}.body", {"string": response.body.string, "bytes": response.body.bytes_base64})
    if response.body.string and len(response.body.string.encode()) > MAX_BODY_BYTES:
        check.bad(f"{path}.body", "the body is larger than 1 MiB")


def _rewrite(rewrite: HTTPRewrite, path: str, check: Check) -> None:
    if not (rewrite.uri or rewrite.authority or rewrite.uri_regex_rewrite):
        check.missing(path, "a rewrite needs uri, uriRegexRewrite or authority")
    check.at_most_one(path, {"uri": rewrite.uri, "uriRegexRewrite": rewrite.uri_regex_rewrite})
    if rewrite.uri_regex_rewrite:
        if not rewrite.uri_regex_rewrite.match:
            check.missing(f"{path}.uriRegexRewrite", "uriRegexRewrite needs match")
        check.regex(f"{path}.uriRegexRewrite.match", rewrite.uri_regex_rewrite.match)


def _retries(retries: HTTPRetry, path: str, check: Check) -> None:
    rest = (retries.per_try_timeout_s, retries.retry_on, retries.retry_remote_localities)
    if retries.attempts == 0 and any(value is not None for value in rest):
        check.conflict(path, "retries are configured, but attempts is 0 (off)", "give attempts, at least 1")
    for token in (retries.retry_on or "").split(","):
        token = token.strip()
        if token in RETRY_ON or not retries.retry_on:
            continue
        if token.isascii() and token.isdigit():
            if not 100 <= int(token) <= 599:
                check.bad(f"{path}.retryOn", f"{token} is not an HTTP status")
            continue
        check.bad(f"{path}.retryOn", f"there is no retry condition {token!r}", did_you_mean(token, sorted(RETRY_ON)))


def _percent(percent: Percent | None, path: str, check: Check) -> None:
    if percent is not None and not 0 <= percent.value <= 100:
        check.bad(f"{path}.value", f"{percent.value:g} is not between 0 and 100")


def _fault(route: HTTPRoute, path: str, check: Check) -> None:
    if route.fault is None:
        return
    delay, abort = route.fault.delay, route.fault.abort
    if delay is None and abort is None:
        check.missing(path, "a fault needs delay or abort")
    if delay is not None:
        _percent(delay.percentage, f"{path}.delay.percentage", check)
        if delay.fixed_delay_s is None and delay.exponential_delay_s is None:
            check.missing(f"{path}.delay", "fixedDelay is missing")
    if abort is not None:
        _percent(abort.percentage, f"{path}.abort.percentage", check)
        kinds = {"httpStatus": abort.http_status, "grpcStatus": abort.grpc_status, "http2Error": abort.http2_error}
        check.at_most_one(f"{path}.abort", kinds)
        if abort.http_status is not None and not 200 <= abort.http_status <= 599:
            check.bad(f"{path}.abort.httpStatus", f"status {abort.http_status} is not between 200 and 599")


def _l4_routes(service: VirtualService, check: Check) -> None:
    for index, tls in enumerate(service.tls):
        path = f"tls[{index}]"
        if not tls.match:
            check.missing(path, "a tls rule needs at least one match")
        for at, match in enumerate(tls.match):
            _sni_hosts(match.sni_hosts, f"{path}.match[{at}]", service.hosts, check)
            _subnets(match.destination_subnets, f"{path}.match[{at}]", check)
        if not tls.route:
            check.missing(path, "a tls rule needs a route")
        _weights(tls.route, f"{path}.route", check)
    for index, tcp in enumerate(service.tcp):
        if not tcp.route:
            check.missing(f"tcp[{index}]", "a tcp rule needs a route")
        _weights(tcp.route, f"tcp[{index}].route", check)
        for at, l4 in enumerate(tcp.match):
            _subnets(l4.destination_subnets, f"tcp[{index}].match[{at}]", check)


def _subnets(subnets: Sequence[str], path: str, check: Check) -> None:
    for index, subnet in enumerate(subnets):
        if not is_network(subnet):
            check.bad(f"{path}.destinationSubnets[{index}]", f"{subnet!r} is neither an IP address nor a CIDR range")


def _sni_hosts(sni_hosts: Sequence[str], path: str, hosts: Sequence[str], check: Check) -> None:
    if not sni_hosts:
        check.missing(path, "a tls match needs at least one of sniHosts")
    for index, sni in enumerate(sni_hosts):
        if hosts and not any(covers(host, sni) for host in hosts):
            check.bad(f"{path}.sniHosts[{index}]", f"{sni!r} is in none of the VirtualService's hosts")
