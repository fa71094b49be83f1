"""RouteConfiguration as the model has it. Source: envoyproxy/envoy api/envoy/config/route/v3/route_components.proto."""

from __future__ import annotations

import re
from typing import Any

from gwsim.topology.from_config_dump.filters import fault, on_route, rate_limit_rules
from gwsim.topology.from_config_dump.matches import (
    header_changes,
    headers,
    query,
    regex,
    runtime_percent,
    string,
)
from gwsim.topology.from_config_dump.nodes import Node
from gwsim.topology.routes import (
    Action,
    ClaimMatch,
    Cors,
    DirectResponse,
    Forward,
    HashPolicy,
    Mirror,
    NoAction,
    PathMatch,
    PathMatchKind,
    PathRewrite,
    Redirect,
    RetryPolicy,
    Route,
    RouteConfiguration,
    RouteMatch,
    StringMatch,
    VirtualHost,
    WeightedCluster,
)

ENVOY_TIMEOUT_S = 15.0
"""Of a route that says nothing about it."""
WHOLE_PATH = "/.*"
_JWT = "envoy.filters.http.jwt_authn"
_PATHS: tuple[tuple[str, PathMatchKind], ...] = (
    ("prefix", "prefix"), ("path", "exact"), ("pathSeparatedPrefix", "path_separated_prefix"),
)  # fmt: skip
_PSEUDO = ("method", "authority", "scheme")
_STATUS = {
    "MOVED_PERMANENTLY": 301, "FOUND": 302, "SEE_OTHER": 303, "TEMPORARY_REDIRECT": 307, "PERMANENT_REDIRECT": 308,
}  # fmt: skip
_NOT_FOUND = {"SERVICE_UNAVAILABLE": 503, "NOT_FOUND": 404, "INTERNAL_SERVER_ERROR": 500}


def route_configuration(node: Node) -> RouteConfiguration:
    """A RouteConfiguration."""
    node.metadata()
    return RouteConfiguration(
        name=node.text("name"),
        virtual_hosts=tuple(_virtual_host(one) for one in node.nodes("virtualHosts")),
        ignore_port_in_host=node.flag("ignorePortInHostMatching"),
    )


def _virtual_host(node: Node) -> VirtualHost:
    node.metadata()
    node.ignore("includeRequestAttemptCount")
    retries = node.node("retryPolicy")
    default = _retry(retries) if retries is not None else None
    _, filter_config = _filter_config(node)
    return VirtualHost(
        name=node.text("name"),
        domains=node.texts("domains"),
        routes=tuple(_route(one, default) for one in node.nodes("routes")),
        require_tls=node.text("requireTls", "NONE") == "ALL",
        request_headers=header_changes(node, "request"),
        response_headers=header_changes(node, "response"),
        filter_config=filter_config,
        rate_limits=rate_limit_rules(node),
    )


def _route(node: Node, retries: RetryPolicy | None) -> Route:
    own = node.own()
    match = node.node("match")
    forward = node.node("route")
    fields, filter_config = _filter_config(node)
    return Route(
        name=node.text("name"),
        match=_match(match) if match is not None else RouteMatch(),
        action=_action(node, forward, own, retries),
        request_headers=header_changes(node, "request"),
        response_headers=header_changes(node, "response"),
        filter_config=filter_config,
        rate_limits=rate_limit_rules(forward) if forward is not None else (),
        include_vh_rate_limits=forward is not None and forward.flag("includeVhRateLimits"),
        **fields,
    )


def _filter_config(node: Node) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the model keeps with the route itself, and the configuration of other filters."""
    fields: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for name, typed in node.entries("typedPerFilterConfig"):
        if typed.type.endswith(".HTTPFault"):
            fields["fault_delay"], fields["fault_abort"] = fault(typed)
        elif typed.type.endswith(".CorsPolicy"):
            fields["cors"] = _cors(typed)
        elif (one := on_route(typed, name)) is not None:
            config[name] = one
    return fields, config


def _cors(node: Node) -> Cors:
    node.ignore("filterEnabled")
    age = node.text("maxAge")
    return Cors(
        allow_origins=tuple(string(one) for one in node.nodes("allowOriginStringMatch")),
        allow_methods=_listed(node.text("allowMethods")),
        allow_headers=_listed(node.text("allowHeaders")),
        expose_headers=_listed(node.text("exposeHeaders")),
        max_age_s=float(age) if re.fullmatch(r"\d+(\.\d+)?", age) else None,
        allow_credentials=node.flag("allowCredentials"),
        forward_unmatched_preflights=node.flag("forwardNotMatchingPreflights", True),
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


# --- matches -------------------------------------------------------------------------------------------------------


def _match(node: Node) -> RouteMatch:
    wanted, unwanted = headers(node.nodes("headers"))
    pseudo: dict[str, StringMatch] = {}
    plain = []
    for one in wanted:
        name = one.name.removeprefix(":")
        if one.name.startswith(":") and name in _PSEUDO and name not in pseudo:
            pseudo[name] = one.match
        else:
            plain.append(one)
    if "connectMatcher" in node:
        node.ignore("connectMatcher")
        pseudo.setdefault("method", StringMatch(kind="exact", value="CONNECT"))
    if "grpc" in node:
        node.ignore("grpc")
        from gwsim.topology.routes import HeaderMatch

        plain.append(HeaderMatch(name="content-type", match=StringMatch(kind="prefix", value="application/grpc")))
    return RouteMatch(
        path=_path(node),
        headers=tuple(plain),
        without_headers=tuple(unwanted),
        query_params=tuple(query(one) for one in node.nodes("queryParameters")),
        claims=tuple(claim for one in node.nodes("dynamicMetadata") if (claim := _claim(one)) is not None),
        **pseudo,
    )


def _path(node: Node) -> PathMatch:
    ignore_case = not node.flag("caseSensitive", True)
    for name, kind in _PATHS:
        if name in node:
            return PathMatch(kind=kind, value=node.text(name), ignore_case=ignore_case)
    expression = node.node("safeRegex")
    if expression is not None:
        found = regex(expression)
        if found.kind == "present":
            return PathMatch(kind="regex", value=".*")
        return PathMatch(kind="regex", value=found.value, ignore_case=found.ignore_case)
    policy = node.node("pathMatchPolicy")
    template = policy.typed() if policy is not None else None
    if policy is not None and template is not None and "pathTemplate" in template:
        policy.ignore("name")
        return PathMatch(kind="regex", value=template_regex(template.text("pathTemplate")))
    return PathMatch()


def template_regex(template: str) -> str:
    """A path template as an expression: `{*}`, `{name}` one segment, `{**}`, `{name=**}` any number of them."""
    parts = re.split(r"(\{[^}]*\}|\*\*|\*)", template)
    return "".join(_template_part(part) for part in parts)


def _template_part(part: str) -> str:
    inner = part.strip("{}").rpartition("=")[2] if part.startswith("{") else part
    if inner == "**":
        return ".*"
    if part.startswith("{") or part == "*":
        return "[^/]+"
    return re.escape(part)


def _claim(node: Node) -> ClaimMatch | None:
    path = [one.text("key") for one in node.nodes("path")]
    value = node.node("value")
    match = _claim_value(value) if value is not None else None
    if node.text("filter") != _JWT or match is None or len(path) < 2:
        node.source.not_modelled(node.path, "a condition on metadata other than a token's claims")
        return None
    return ClaimMatch(path=tuple(path[1:]), match=match, invert=node.flag("invert"))


def _claim_value(node: Node) -> StringMatch | None:
    text = node.node("stringMatch")
    if text is not None:
        return string(text)
    listed = node.node("listMatch")
    inner = listed.node("oneOf") if listed is not None else None
    if inner is not None:
        return _claim_value(inner)
    either = node.node("orMatch")
    found = [_claim_value(one) for one in either.nodes("valueMatchers")] if either is not None else []
    return found[0] if found and all(one == found[0] for one in found) else None


# --- actions -------------------------------------------------------------------------------------------------------


def _action(node: Node, forward: Node | None, own: Node, retries: RetryPolicy | None) -> Action:
    if forward is not None:
        return _forward(forward, retries)
    redirect = node.node("redirect")
    if redirect is not None:
        return _redirect(redirect)
    direct = node.node("directResponse")
    if "noAction" in own:
        if direct is not None:
            direct.ignore_all()
        return NoAction(reason=own.text("noAction"))
    if direct is not None:
        body = direct.node("body")
        return DirectResponse(status=direct.integer("status"), body=body.text("inlineString") if body is not None else "")
    return NoAction(reason="the route says neither where to send requests nor what to answer")


def _redirect(node: Node) -> Redirect:
    scheme = "https" if node.flag("httpsRedirect") else node.text("schemeRedirect")
    return Redirect(
        status=_STATUS.get(node.text("responseCode", "MOVED_PERMANENTLY"), 301),
        scheme=scheme,
        host=node.text("hostRedirect"),
        port=node.integer("portRedirect") or None,
        path=node.text("pathRedirect"),
        prefix_rewrite=node.text("prefixRewrite") if "prefixRewrite" in node else None,
    )


def _forward(node: Node, default: RetryPolicy | None) -> Action:
    if "clusterHeader" in node or "clusterSpecifierPlugin" in node or "inlineClusterSpecifierPlugin" in node:
        return NoAction(reason="the cluster is chosen per request, which is not modelled")
    retries = node.node("retryPolicy")
    longest = node.node("maxStreamDuration")
    grpc_s = longest.seconds("grpcTimeoutHeaderMax") if longest is not None else node.seconds("maxGrpcTimeout")
    if longest is not None:
        node.ignore("maxGrpcTimeout")
    return Forward(
        clusters=clusters_of(node),
        timeout_s=node.seconds("timeout", ENVOY_TIMEOUT_S),
        retry_policy=_retry(retries) if retries is not None else default,
        path_rewrite=_rewrite(node),
        host_rewrite=node.text("hostRewriteLiteral") or node.text("hostRewrite"),
        hash_policy=tuple(one for each in node.nodes("hashPolicy") if (one := hash_policy(each)) is not None),
        cluster_not_found_status=_NOT_FOUND.get(node.text("clusterNotFoundResponseCode", "SERVICE_UNAVAILABLE"), 503),
        max_grpc_timeout_s=grpc_s,
        mirrors=tuple(_mirror(one) for one in node.nodes("requestMirrorPolicies")),
    )


def clusters_of(node: Node) -> tuple[WeightedCluster, ...]:
    """`cluster` or `weightedClusters` of a route or a TCP proxy."""
    weighted = node.node("weightedClusters")
    if weighted is None:
        name = node.text("cluster")
        return (WeightedCluster(cluster=name),) if name else ()
    weighted.ignore("totalWeight", "runtimeKeyPrefix")
    return tuple(_weighted(one) for one in weighted.nodes("clusters"))


def _weighted(node: Node) -> WeightedCluster:
    return WeightedCluster(
        cluster=node.text("name"),
        weight=node.integer("weight"),
        request_headers=header_changes(node, "request"),
        response_headers=header_changes(node, "response"),
        host_rewrite=node.text("hostRewriteLiteral"),
    )


def _retry(node: Node) -> RetryPolicy | None:
    retry_on = tuple(part.strip() for part in node.text("retryOn").split(",") if part.strip())
    attempts = node.integer("numRetries", 1)
    backoff = node.node("retryBackOff")
    base_s = backoff.seconds("baseInterval", 0.025) if backoff is not None else 0.025
    priority = node.node("retryPriority")
    if priority is not None:
        priority.ignore("typedConfig")
    predicates = [_predicate(one) for one in node.nodes("retryHostPredicate")]
    if not retry_on or not attempts:
        return None
    return RetryPolicy(
        num_retries=attempts,
        retry_on=retry_on,
        retriable_status_codes=tuple(int(one) for one in node.texts("retriableStatusCodes") if one.isdigit()),
        per_try_timeout_s=node.maybe_seconds("perTryTimeout") or None,
        base_interval_s=base_s,
        max_interval_s=(backoff.maybe_seconds("maxInterval") if backoff is not None else None) or 10 * base_s,
        host_selection_retry_max_attempts=node.integer("hostSelectionRetryMaxAttempts", 1),
        previous_hosts="envoy.retry_host_predicates.previous_hosts" in predicates,
        previous_priorities=priority is not None and priority.text("name").endswith("previous_priorities"),
    )


def _predicate(node: Node) -> str:
    node.ignore("typedConfig")
    return node.text("name")


def _rewrite(node: Node) -> PathRewrite | None:
    if node.text("prefixRewrite"):
        return PathRewrite(kind="prefix", value=node.text("prefixRewrite"))
    expression = node.node("regexRewrite")
    if expression is None:
        return None
    inner = expression.node("pattern")
    if inner is not None:
        inner.ignore("googleRe2")
    pattern = inner.text("regex") if inner is not None else ""
    value = expression.text("substitution")
    if pattern == WHOLE_PATH and not re.search(r"\\\d", value):
        return PathRewrite(kind="full", value=value.replace("\\\\", "\\"))
    return PathRewrite(kind="regex", value=value, pattern=pattern)


def hash_policy(node: Node) -> HashPolicy | None:
    """A HashPolicy; None for a kind the model does not have."""
    header, cookie = node.node("header"), node.node("cookie")
    source, parameter = node.node("connectionProperties"), node.node("queryParameter")
    if header is not None:
        return HashPolicy(kind="header", name=header.text("headerName"))
    if cookie is not None:
        return HashPolicy(
            kind="cookie",
            name=cookie.text("name"),
            cookie_path=cookie.text("path"),
            cookie_ttl_s=cookie.maybe_seconds("ttl"),
        )
    if source is not None and source.flag("sourceIp"):
        return HashPolicy(kind="source_ip")
    return HashPolicy(kind="query_parameter", name=parameter.text("name")) if parameter is not None else None


def _mirror(node: Node) -> Mirror:
    return Mirror(cluster=node.text("cluster"), percent=runtime_percent(node.node("runtimeFraction")))
