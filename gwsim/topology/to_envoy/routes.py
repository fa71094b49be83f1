"""Route configurations as Envoy's RouteConfiguration.

Source: envoyproxy/envoy api/envoy/config/route/v3/{route,route_components}.proto.
"""

from __future__ import annotations

from typing import Any

from gwsim.topology.routes import (
    ClaimMatch,
    Cors,
    DirectResponse,
    Forward,
    HashPolicy,
    HeaderMatch,
    NoAction,
    PathMatch,
    PathRewrite,
    QueryMatch,
    Redirect,
    RetryPolicy,
    Route,
    RouteConfiguration,
    RouteMatch,
    StringMatch,
    VirtualHost,
    WeightedCluster,
)
from gwsim.topology.to_envoy.filters import fault, per_filter
from gwsim.topology.to_envoy.limits import header, rate_limit_rule
from gwsim.topology.to_envoy.words import (
    OWN,
    Json,
    any_of,
    duration,
    extension,
    header_fields,
    matcher,
    metadata,
    runtime_fraction,
    unless,
    without_none,
)

JWT_FILTER = "envoy.filters.http.jwt_authn"
JWT_PAYLOAD = "payload"
WHOLE_PATH = "/.*"
"""Pattern that replaces a whole path."""
REDIRECTS = {
    301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT",
}  # fmt: skip
NOT_FOUND_CODES = {404: "NOT_FOUND", 500: "INTERNAL_SERVER_ERROR"}
"""Codes of a missing cluster other than the default, 503."""


def route_configuration(configuration: RouteConfiguration) -> Json:
    """The RouteConfiguration."""
    return without_none({
        "name": configuration.name,
        "virtualHosts": [_virtual_host(one) for one in configuration.virtual_hosts],
        "validateClusters": False,
        "ignorePortInHostMatching": configuration.ignore_port_in_host or None,
    })


def _virtual_host(host: VirtualHost) -> Json:
    return without_none({
        "name": host.name,
        "domains": list(host.domains),
        "routes": [_route(one) for one in host.routes] or None,
        "requireTls": "ALL" if host.require_tls else None,
        **header_fields(host.request_headers, "request"),
        **header_fields(host.response_headers, "response"),
        "rateLimits": [rate_limit_rule(one) for one in host.rate_limits] or None,
        "typedPerFilterConfig": per_filter(host.filter_config) or None,
    })


def _route(route: Route) -> Json:
    own: Json = {"noAction": route.action.reason} if isinstance(route.action, NoAction) else {}
    return without_none({
        "name": route.name or None,
        "match": _match(route.match),
        **_action(route),
        "metadata": metadata(**{OWN: own}),
        **header_fields(route.request_headers, "request"),
        **header_fields(route.response_headers, "response"),
        "typedPerFilterConfig": _filter_config(route) or None,
    })


def _filter_config(route: Route) -> Json:
    config = per_filter(route.filter_config)
    if route.fault_delay is not None or route.fault_abort is not None:
        config["envoy.filters.http.fault"] = fault(route.fault_delay, route.fault_abort)
    if route.cors is not None:
        config["envoy.filters.http.cors"] = _cors(route.cors)
    return config


def _cors(cors: Cors) -> Json:
    return any_of(
        "envoy.extensions.filters.http.cors.v3.CorsPolicy",
        allowOriginStringMatch=[matcher(one) for one in cors.allow_origins] or None,
        allowMethods=",".join(cors.allow_methods) or None,
        allowHeaders=",".join(cors.allow_headers) or None,
        exposeHeaders=",".join(cors.expose_headers) or None,
        maxAge=None if cors.max_age_s is None else f"{cors.max_age_s:.15g}",
        allowCredentials=cors.allow_credentials,
        forwardNotMatchingPreflights=cors.forward_unmatched_preflights,
        filterEnabled=runtime_fraction(100.0),
    )


# --- matches -------------------------------------------------------------------------------------------------------


def _match(match: RouteMatch) -> Json:
    headers = [header(one) for one in match.headers]
    headers += [_without(one) for one in match.without_headers]
    for name in ("method", "authority", "scheme"):
        condition: StringMatch | None = getattr(match, name)
        if condition is not None:
            headers.append(header(HeaderMatch(name=f":{name}", match=condition)))
    return without_none({
        **_path(match.path),
        "headers": headers or None,
        "queryParameters": [_query(one) for one in match.query_params] or None,
        "dynamicMetadata": [_claim(one) for one in match.claims] or None,
    })


def _path(match: PathMatch) -> Json:
    names = {"exact": "path", "prefix": "prefix", "path_separated_prefix": "pathSeparatedPrefix"}
    fields: Json
    if match.kind == "any":
        fields = {"prefix": "/"}
    elif match.kind == "regex":
        value = f"(?i:{match.value})" if match.ignore_case else match.value
        return {"safeRegex": {"regex": value}}
    else:
        fields = {names[match.kind]: match.value}
    return {**fields, "caseSensitive": False} if match.ignore_case else fields


def _without(match: HeaderMatch) -> Json:
    inverted = {**header(match), "invertMatch": True}
    # An absent header counts as empty, and so is not what is excluded.
    return inverted if match.match.kind == "present" else {**inverted, "treatMissingHeaderAsEmpty": True}


def _query(match: QueryMatch) -> Json:
    if match.match.kind == "present":
        return {"name": match.name, "presentMatch": True}
    return {"name": match.name, "stringMatch": matcher(match.match)}


def _claim(match: ClaimMatch) -> Json:
    text = {"stringMatch": matcher(match.match)}
    return without_none({
        "filter": JWT_FILTER,
        "path": [{"key": JWT_PAYLOAD}, *({"key": key} for key in match.path)],
        "value": {"orMatch": {"valueMatchers": [{"listMatch": {"oneOf": text}}, text]}},
        "invert": match.invert or None,
    })


# --- actions -------------------------------------------------------------------------------------------------------


def _action(route: Route) -> Json:
    action = route.action
    if isinstance(action, Forward):
        limits = [rate_limit_rule(one) for one in route.rate_limits]
        more = {"rateLimits": limits or None, "includeVhRateLimits": route.include_vh_rate_limits or None}
        return {"route": without_none({**_forward(action), **more})}
    if isinstance(action, Redirect):
        return {"redirect": _redirect(action)}
    if isinstance(action, DirectResponse):
        body = {"body": {"inlineString": action.body}} if action.body else {}
        return {"directResponse": {"status": action.status, **body}}
    # Envoy has no route without an action; answering 503 is what such a route comes to.
    return {"directResponse": {"status": 503}}


def _redirect(action: Redirect) -> Json:
    return without_none({
        "schemeRedirect": action.scheme or None,
        "hostRedirect": action.host or None,
        "portRedirect": action.port,
        "pathRedirect": action.path or None,
        "prefixRewrite": action.prefix_rewrite,
        "responseCode": unless(REDIRECTS.get(action.status, "MOVED_PERMANENTLY"), "MOVED_PERMANENTLY"),
    })


def _forward(action: Forward) -> Json:
    fields: Json = {}
    if len(action.clusters) == 1 and _plain(action.clusters[0]):
        fields["cluster"] = action.clusters[0].cluster
    else:
        fields["weightedClusters"] = {"clusters": [_weighted(one) for one in action.clusters]}
    status = NOT_FOUND_CODES.get(action.cluster_not_found_status)
    return without_none({
        **fields,
        "clusterNotFoundResponseCode": status,
        "timeout": duration(action.timeout_s),
        "retryPolicy": _retry(action.retry_policy) if action.retry_policy is not None else None,
        **_grpc_limit(action),
        "hashPolicy": [hash_policy(one) for one in action.hash_policy] or None,
        "requestMirrorPolicies": [
            {"cluster": one.cluster, "runtimeFraction": runtime_fraction(one.percent)} for one in action.mirrors
        ]
        or None,
        **(_rewrite(action.path_rewrite) if action.path_rewrite is not None else {}),
        "hostRewriteLiteral": action.host_rewrite or None,
    })


def _grpc_limit(action: Forward) -> Json:
    """The cap on a client's `grpc-timeout`. Once a route has a `maxStreamDuration` Envoy forgets its time-out, so that
    istiod takes the older field wherever there is one (source/common/router/router.cc `finalTimeout`)."""
    longest = duration(action.max_grpc_timeout_s)
    return {"maxGrpcTimeout": longest} if action.timeout_s else {"maxStreamDuration": {"grpcTimeoutHeaderMax": longest}}


def _plain(one: WeightedCluster) -> bool:
    return not (one.request_headers or one.response_headers or one.host_rewrite) and one.weight > 0


def _weighted(one: WeightedCluster) -> Json:
    return without_none({
        "name": one.cluster,
        "weight": one.weight,
        **header_fields(one.request_headers, "request"),
        **header_fields(one.response_headers, "response"),
        "hostRewriteLiteral": one.host_rewrite or None,
    })


def weighted_clusters(clusters: tuple[WeightedCluster, ...]) -> Json:
    """`cluster` or `weightedClusters` of a TCP proxy."""
    if len(clusters) == 1 and _plain(clusters[0]):
        return {"cluster": clusters[0].cluster}
    return {"weightedClusters": {"clusters": [{"name": one.cluster, "weight": one.weight} for one in clusters]}}


def _retry(policy: RetryPolicy) -> Json:
    predicates = [
        extension(
            "envoy.retry_host_predicates.previous_hosts",
            "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
        )
    ]
    priority = extension(
        "envoy.retry_priorities.previous_priorities",
        "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        updateFrequency=2,
    )
    return without_none({
        "retryOn": ",".join(policy.retry_on),
        "numRetries": policy.num_retries,
        "perTryTimeout": None if policy.per_try_timeout_s is None else duration(policy.per_try_timeout_s),
        "retryPriority": priority if policy.previous_priorities else None,
        "retryHostPredicate": predicates if policy.previous_hosts else None,
        "hostSelectionRetryMaxAttempts": str(policy.host_selection_retry_max_attempts),
        "retriableStatusCodes": list(policy.retriable_status_codes) or None,
        "retryBackOff": {
            "baseInterval": duration(policy.base_interval_s),
            "maxInterval": duration(policy.max_interval_s),
        },
    })


def hash_policy(policy: HashPolicy) -> Json:
    """A HashPolicy of a route."""
    if policy.kind == "header":
        return {"header": {"headerName": policy.name}}
    if policy.kind == "query_parameter":
        return {"queryParameter": {"name": policy.name}}
    if policy.kind == "source_ip":
        return {"connectionProperties": {"sourceIp": True}}
    ttl: Any = None if policy.cookie_ttl_s is None else duration(policy.cookie_ttl_s)
    return {"cookie": without_none({"name": policy.name, "ttl": ttl, "path": policy.cookie_path or None})}


def _rewrite(rewrite: PathRewrite) -> Json:
    if rewrite.kind == "prefix":
        return {"prefixRewrite": rewrite.value}
    pattern = WHOLE_PATH if rewrite.kind == "full" else rewrite.pattern
    value = rewrite.value.replace("\\", "\\\\") if rewrite.kind == "full" else rewrite.value
    return {"regexRewrite": {"pattern": {"regex": pattern}, "substitution": value}}
