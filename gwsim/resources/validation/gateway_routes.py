"""Routes of the Gateway API that the API server refuses.

Source modelled: the CRDs of kubernetes-sigs/gateway-api 1.5 (limits, patterns and CEL rules of apis/v1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from gwsim.resources.models.gateway_routes import (
    CORSFilter,
    GatewayGRPCRoute,
    GatewayHTTPRoute,
    GatewayTCPRoute,
    GatewayTLSRoute,
    GRPCBackendRef,
    GRPCMethodMatch,
    GRPCRouteFilter,
    GRPCRouteRule,
    HeaderModifier,
    HTTPBackendRef,
    HTTPRouteFilter,
    HTTPRouteRule,
    L4BackendRef,
    L4RouteRule,
    NamedMatch,
    ParentReference,
    PathMatchRule,
    PathModifier,
    RequestMirror,
    RequestRedirect,
    URLRewrite,
)
from gwsim.resources.validation.check import Check
from gwsim.resources.validation.gateway_api import check_count, check_hostname, check_name

MAX_PARENTS = 32
MAX_HOSTNAMES = 16
MAX_RULES = 16
MAX_MATCHES = 64
MAX_MATCHES_OF_ROUTE = 128
MAX_FILTERS = 16
MAX_BACKENDS = 16
MAX_CONDITIONS = 16
MAX_WEIGHT = 1_000_000
REDIRECT_CODES = (301, 302, 303, 307, 308)
_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+")
_BAD_IN_PATH = ("//", "/./", "/../", "%2f", "%2F", "#")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_|~`]+")
_SERVICE = re.compile(r"(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*")
_METHOD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_BLOCKS = {
    "RequestHeaderModifier": "request_header_modifier", "ResponseHeaderModifier": "response_header_modifier",
    "RequestMirror": "request_mirror", "RequestRedirect": "request_redirect", "URLRewrite": "url_rewrite",
    "CORS": "cors", "ExtensionRef": "extension_ref", "ExternalAuth": "external_auth",
}  # fmt: skip
_ONCE = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "CORS")


def check_http_route(route: GatewayHTTPRoute, check: Check) -> None:
    """Report what would be refused about an HTTPRoute."""
    _common(route.parent_refs, route.hostnames, check)
    check_count(check, "rules", route.rules, MAX_RULES, 1)
    if sum(len(rule.matches or ()) for rule in route.rules) > MAX_MATCHES_OF_ROUTE:
        check.bad("rules", f"the rules have more than {MAX_MATCHES_OF_ROUTE} matches together")
    _rule_names([rule.name for rule in route.rules], check)
    for index, rule in enumerate(route.rules):
        _http_rule(rule, f"rules[{index}]", check)


def check_grpc_route(route: GatewayGRPCRoute, check: Check) -> None:
    """Report what would be refused about a GRPCRoute."""
    _common(route.parent_refs, route.hostnames, check)
    check_count(check, "rules", route.rules, MAX_RULES)
    _rule_names([rule.name for rule in route.rules], check)
    for index, rule in enumerate(route.rules):
        _grpc_rule(rule, f"rules[{index}]", check)


def check_tls_route(route: GatewayTLSRoute, check: Check) -> None:
    """Report what would be refused about a TLSRoute."""
    _common(route.parent_refs, route.hostnames, check)
    if not route.hostnames and not route.meta.api_version.endswith("v1alpha2"):
        check.missing("hostnames", "a TLSRoute needs at least one of hostnames")
    _l4_rules(route.rules, check, most=1 if route.meta.api_version.endswith("/v1") else MAX_RULES)


def check_tcp_route(route: GatewayTCPRoute, check: Check) -> None:
    """Report what would be refused about a TCPRoute."""
    _common(route.parent_refs, (), check)
    _l4_rules(route.rules, check, most=MAX_RULES)


def _common(parents: Sequence[ParentReference], hostnames: Sequence[str], check: Check) -> None:
    check_count(check, "parentRefs", parents, MAX_PARENTS)
    check_count(check, "hostnames", hostnames, MAX_HOSTNAMES)
    for index, hostname in enumerate(hostnames):
        check_hostname(check, f"hostnames[{index}]", hostname)
    seen: dict[tuple[str | None, ...], list[tuple[str | None, int | None]]] = {}
    for index, parent in enumerate(parents):
        known = seen.setdefault((parent.group, parent.kind, parent.namespace, parent.name), [])
        part = (parent.section_name, parent.port)
        if part in known:
            check.conflict(f"parentRefs[{index}]", "the parent is given twice", "tell its listeners apart with sectionName or port")
        elif known and ((None, None) in known or part == (None, None)):
            check.missing(f"parentRefs[{index}]", "references to the same parent need sectionName or port each")
        known.append(part)


def _rule_names(names: Sequence[str | None], check: Check) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name is None:
            continue
        check_name(check, f"rules[{index}].name", name)
        if name in seen:
            check.bad(f"rules[{index}].name", f"rule name {name!r} is given twice")
        seen.add(name)


def _http_rule(rule: HTTPRouteRule, path: str, check: Check) -> None:
    check_count(check, f"{path}.matches", rule.matches or (), MAX_MATCHES)
    for index, match in enumerate(rule.matches or ()):
        where = f"{path}.matches[{index}]"
        _path_match(match.path, f"{where}.path", check)
        _conditions(match.headers, f"{where}.headers", check, ignore_case=True)
        _conditions(match.query_params, f"{where}.queryParams", check)
    _filters(rule.filters, f"{path}.filters", check)
    check_count(check, f"{path}.backendRefs", rule.backend_refs, MAX_BACKENDS)
    for index, backend in enumerate(rule.backend_refs):
        _backend(backend, f"{path}.backendRefs[{index}]", check)
        _filters(backend.filters, f"{path}.backendRefs[{index}].filters", check)
    if rule.backend_refs and any(one.type == "RequestRedirect" for one in rule.filters):
        check.conflict(f"{path}.backendRefs", "a rule that redirects has no backendRefs")
    _prefix_modifiers(rule, path, check)
    _timeouts(rule, f"{path}.timeouts", check)
    if rule.retry is not None:
        for index, code in enumerate(rule.retry.codes):
            if not 400 <= code <= 599:
                check.bad(f"{path}.retry.codes[{index}]", f"{code} is not between 400 and 599")


def _timeouts(rule: HTTPRouteRule, path: str, check: Check) -> None:
    times = rule.timeouts
    if times is None or not times.request_s or not times.backend_request_s:
        return
    if times.backend_request_s > times.request_s:
        check.conflict(f"{path}.backendRequest", "backendRequest is longer than request")


def _prefix_modifiers(rule: HTTPRouteRule, path: str, check: Check) -> None:
    """`ReplacePrefixMatch` needs exactly one match, by PathPrefix."""
    blocks = [(one, one.request_redirect or one.url_rewrite) for one in rule.filters]
    replaces = any(
        isinstance(block, RequestRedirect | URLRewrite) and block.path is not None and block.path.type == "ReplacePrefixMatch"
        for _, block in blocks
    )
    if not replaces or rule.matches is None:
        return
    if len(rule.matches) != 1 or rule.matches[0].path.type != "PathPrefix":
        check.conflict(f"{path}.filters", "ReplacePrefixMatch needs exactly one match, and that of type PathPrefix")


def _path_match(match: PathMatchRule, path: str, check: Check) -> None:
    if match.type == "RegularExpression":
        check.regex(f"{path}.value", match.value)
        return
    if not match.value.startswith("/"):
        check.bad(f"{path}.value", f"{match.value!r} must begin with /")
    elif any(part in match.value for part in _BAD_IN_PATH) or match.value.endswith(("/..", "/.")):
        check.bad(f"{path}.value", f"{match.value!r} is not a normal path", "no //, /./, /../, %2f or #")
    elif not _PATH.fullmatch(match.value):
        check.bad(f"{path}.value", f"{match.value!r} has characters that a path may not have", "write them %-encoded")


def _conditions(matches: Sequence[NamedMatch], path: str, check: Check, *, ignore_case: bool = False) -> None:
    check_count(check, path, matches, MAX_CONDITIONS)
    seen: set[str] = set()
    for index, match in enumerate(matches):
        if not _TOKEN.fullmatch(match.name):
            check.bad(f"{path}[{index}].name", f"{match.name!r} is not a name")
        if match.name in seen:
            check.bad(f"{path}[{index}].name", f"{match.name!r} is given twice")
        elif ignore_case and match.name.lower() in {one.lower() for one in seen}:
            check.warn(f"{path}[{index}].name", f"{match.name!r} is given twice; only the first counts")
        seen.add(match.name)
        if match.type == "RegularExpression":
            check.regex(f"{path}[{index}].value", match.value)


def _filters(filters: Sequence[HTTPRouteFilter | GRPCRouteFilter], path: str, check: Check) -> None:
    check_count(check, path, filters, MAX_FILTERS)
    counts = Counter(one.type for one in filters)
    for kind in _ONCE:
        if counts[kind] > 1:  # type: ignore[index]
            check.conflict(path, f"{kind} is given {counts[kind]} times")  # type: ignore[index]
    if counts["RequestRedirect"] and counts["URLRewrite"]:
        check.conflict(path, "RequestRedirect and URLRewrite exclude each other")
    for index, one in enumerate(filters):
        where = f"{path}[{index}]"
        for kind, attribute in _BLOCKS.items():
            given = getattr(one, attribute, None) is not None
            name = kind if kind in ("URLRewrite", "CORS") else kind[:1].lower() + kind[1:]
            name = {"URLRewrite": "urlRewrite", "CORS": "cors"}.get(name, name)
            if given and kind != one.type:
                check.conflict(f"{where}.{name}", f"{name} belongs to type {kind}, but the type is {one.type}")
            elif not given and kind == one.type:
                check.missing(where, f"type {kind} needs {name}")
        _filter(one, where, check)


def _filter(one: HTTPRouteFilter | GRPCRouteFilter, path: str, check: Check) -> None:
    _modifier(one.request_header_modifier, f"{path}.requestHeaderModifier", check)
    _modifier(one.response_header_modifier, f"{path}.responseHeaderModifier", check)
    if one.request_mirror is not None:
        _mirror(one.request_mirror, f"{path}.requestMirror", check)
    if isinstance(one, HTTPRouteFilter):
        if one.request_redirect is not None:
            _redirect(one.request_redirect, f"{path}.requestRedirect", check)
        if one.url_rewrite is not None:
            _rewrite(one.url_rewrite, f"{path}.urlRewrite", check)
        if one.cors is not None:
            _cors(one.cors, f"{path}.cors", check)


def _modifier(modifier: HeaderModifier | None, path: str, check: Check) -> None:
    if modifier is None:
        return
    for name, headers in (("set", modifier.set), ("add", modifier.add)):
        check_count(check, f"{path}.{name}", headers, MAX_CONDITIONS)
        for index, header in enumerate(headers):
            if not _TOKEN.fullmatch(header.name):
                check.bad(f"{path}.{name}[{index}].name", f"{header.name!r} is not a header")
    check_count(check, f"{path}.remove", modifier.remove, MAX_CONDITIONS)


def _mirror(mirror: RequestMirror, path: str, check: Check) -> None:
    check.at_most_one(path, {"percent": mirror.percent, "fraction": mirror.fraction})
    if mirror.percent is not None and mirror.percent > 100:
        check.bad(f"{path}.percent", f"{mirror.percent} is not between 0 and 100")
    fraction = mirror.fraction
    if fraction is not None and (fraction.denominator < 1 or fraction.numerator > fraction.denominator):
        check.bad(f"{path}.fraction", "the numerator must not be above the denominator")
    _service_port(mirror.backend_ref.kind, mirror.backend_ref.group, mirror.backend_ref.port, f"{path}.backendRef", check)


def _redirect(redirect: RequestRedirect, path: str, check: Check) -> None:
    if redirect.status_code not in REDIRECT_CODES:
        check.bad(f"{path}.statusCode", f"{redirect.status_code} is none of {', '.join(map(str, REDIRECT_CODES))}")
    if redirect.hostname is not None:
        check_hostname(check, f"{path}.hostname", redirect.hostname, wildcard=False)
    _path_modifier(redirect.path, f"{path}.path", check)


def _rewrite(rewrite: URLRewrite, path: str, check: Check) -> None:
    if rewrite.hostname is not None:
        check_hostname(check, f"{path}.hostname", rewrite.hostname, wildcard=False)
    _path_modifier(rewrite.path, f"{path}.path", check)


def _path_modifier(modifier: PathModifier | None, path: str, check: Check) -> None:
    if modifier is None:
        return
    full, prefix = modifier.replace_full_path, modifier.replace_prefix_match
    wanted, other = ("replaceFullPath", "replacePrefixMatch")
    given, spare = full, prefix
    if modifier.type == "ReplacePrefixMatch":
        wanted, other, given, spare = other, wanted, prefix, full
    if given is None:
        check.missing(path, f"type {modifier.type} needs {wanted}")
    if spare is not None:
        check.conflict(f"{path}.{other}", f"{other} does not belong to type {modifier.type}")


def _cors(cors: CORSFilter, path: str, check: Check) -> None:
    for name, values in (("allowOrigins", cors.allow_origins), ("allowMethods", cors.allow_methods), ("allowHeaders", cors.allow_headers)):
        check_count(check, f"{path}.{name}", values, 9 if name == "allowMethods" else 64)
        if "*" in values and len(values) > 1:
            check.conflict(f"{path}.{name}", "'*' stands for all; it cannot be given beside others")
    if cors.max_age < 1:
        check.bad(f"{path}.maxAge", "maxAge must be at least 1")


def _backend(backend: HTTPBackendRef | GRPCBackendRef | L4BackendRef, path: str, check: Check) -> None:
    if backend.weight > MAX_WEIGHT:
        check.bad(f"{path}.weight", f"{backend.weight} is above {MAX_WEIGHT}")
    _service_port(backend.kind, backend.group, backend.port, path, check)


def _service_port(kind: str | None, group: str | None, port: int | None, path: str, check: Check) -> None:
    if port is None and kind in (None, "Service") and not group:
        check.missing(path, "a reference to a Service needs port")


def _grpc_rule(rule: GRPCRouteRule, path: str, check: Check) -> None:
    check_count(check, f"{path}.matches", rule.matches, MAX_MATCHES)
    for index, match in enumerate(rule.matches):
        if match.method is not None:
            _method(match.method, f"{path}.matches[{index}].method", check)
        _conditions(match.headers, f"{path}.matches[{index}].headers", check, ignore_case=True)
    _filters(rule.filters, f"{path}.filters", check)
    check_count(check, f"{path}.backendRefs", rule.backend_refs, MAX_BACKENDS)
    for index, backend in enumerate(rule.backend_refs):
        _backend(backend, f"{path}.backendRefs[{index}]", check)
        _filters(backend.filters, f"{path}.backendRefs[{index}].filters", check)


def _method(method: GRPCMethodMatch, path: str, check: Check) -> None:
    if not method.service and not method.method:
        check.missing(path, "service or method must be given")
    for name, value, pattern in (("service", method.service, _SERVICE), ("method", method.method, _METHOD)):
        if value is None:
            continue
        if method.type == "RegularExpression":
            check.regex(f"{path}.{name}", value)
        elif not pattern.fullmatch(value):
            check.bad(f"{path}.{name}", f"{value!r} is not the name of a gRPC {name}")


def _l4_rules(rules: Sequence[L4RouteRule], check: Check, *, most: int) -> None:
    check_count(check, "rules", rules, most, 1)
    _rule_names([rule.name for rule in rules], check)
    for index, rule in enumerate(rules):
        path = f"rules[{index}].backendRefs"
        check_count(check, path, rule.backend_refs, MAX_BACKENDS, 1)
        for position, backend in enumerate(rule.backend_refs):
            _backend(backend, f"{path}[{position}]", check)
