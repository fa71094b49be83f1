"""Limits as Envoy's filters: token buckets, connection limits, buffers, compression."""

from __future__ import annotations

from gwsim.topology import filters
from gwsim.topology.routes import HeaderMatch, StringMatch
from gwsim.topology.to_envoy.words import (
    Json,
    any_of,
    duration,
    extension,
    matcher,
    runtime_fraction,
    unless,
    without_none,
)

_HTTP = "envoy.extensions.filters.http"
_NETWORK = "envoy.extensions.filters.network"
_COMPRESSORS = {
    "gzip": "envoy.extensions.compression.gzip.compressor.v3.Gzip",
    "brotli": "envoy.extensions.compression.brotli.compressor.v3.Brotli",
    "zstd": "envoy.extensions.compression.zstd.compressor.v3.Zstd",
}


def bucket(one: filters.TokenBucket) -> Json:
    """A TokenBucket."""
    return {
        "maxTokens": one.max_tokens, "tokensPerFill": one.tokens_per_fill, "fillInterval": duration(one.fill_interval_s)
    }  # fmt: skip


def local_rate_limit(one: filters.LocalRateLimit) -> Json:
    """A LocalRateLimit."""
    return any_of(
        f"{_HTTP}.local_ratelimit.v3.LocalRateLimit",
        statPrefix=one.stat_prefix or "http_local_rate_limiter",
        status=None if one.status == 429 else {"code": one.status},
        tokenBucket=None if one.bucket is None else bucket(one.bucket),
        filterEnabled=None if not one.enabled_percent else runtime_fraction(one.enabled_percent),
        filterEnforced=None if not one.enforced_percent else runtime_fraction(one.enforced_percent),
        descriptors=[
            {
                "entries": [without_none({"key": key, "value": value or None}) for key, value in entry.entries],
                "tokenBucket": bucket(entry.bucket),
            }
            for entry in one.descriptors
        ]
        or None,
        stage=one.stage or None,
        localRateLimitPerDownstreamConnection=one.per_connection or None,
        alwaysConsumeDefaultTokenBucket=unless(one.always_consume_default, True),
        rateLimits=[rate_limit_rule(rule) for rule in one.rules] or None,
    )


def rate_limit_rule(rule: filters.RateLimitRule) -> Json:
    """A RateLimit of a route, a virtual host or a filter."""
    return without_none({"stage": rule.stage or None, "actions": [_action(one) for one in rule.actions]})


def _action(action: filters.RateLimitAction) -> Json:
    match action.kind:
        case "generic_key":
            fields = {"descriptorKey": unless(action.key, "generic_key") or None, "descriptorValue": action.value}
            return {"genericKey": without_none(fields)}
        case "request_headers":
            fields = {"headerName": action.header, "descriptorKey": action.key, "skipIfAbsent": action.skip_if_absent or None}
            return {"requestHeaders": without_none(fields)}
        case "query_parameters":
            fields = {
                "queryParameterName": action.header, "descriptorKey": action.key,
                "skipIfAbsent": action.skip_if_absent or None,
            }  # fmt: skip
            return {"queryParameters": without_none(fields)}
        case "header_value_match":
            return {"headerValueMatch": _header_value(action)}
        case "remote_address":
            return {"remoteAddress": {}}
        case "destination_cluster":
            return {"destinationCluster": {}}
        case "source_cluster":
            return {"sourceCluster": {}}
        case "metadata":
            key = {"key": "gwsim", "path": [{"key": "unknown"}]}
            return {"metadata": {"descriptorKey": action.key or "metadata", "metadataKey": key}}


def _header_value(action: filters.RateLimitAction) -> Json:
    return without_none({
        "descriptorKey": unless(action.key, "header_match") or None,
        "descriptorValue": action.value,
        "expectMatch": unless(action.expect_match, True),
        "headers": [header(one) for one in action.headers],
    })


def header(match: HeaderMatch) -> Json:
    """A HeaderMatcher that must hold."""
    if match.match == StringMatch(kind="present"):
        return {"name": match.name, "presentMatch": True}
    return {"name": match.name, "stringMatch": matcher(match.match)}


def connection_limit(one: filters.ConnectionLimit) -> Json:
    """A ConnectionLimit."""
    return any_of(
        f"{_NETWORK}.connection_limit.v3.ConnectionLimit",
        statPrefix="connection_limit",
        maxConnections=str(one.max_connections),
        delay=duration(one.delay_s) if one.delay_s else None,
    )


def network_local_rate_limit(one: filters.NetworkLocalRateLimit) -> Json:
    """A LocalRateLimit of connections."""
    return any_of(
        f"{_NETWORK}.local_ratelimit.v3.LocalRateLimit",
        statPrefix=one.stat_prefix or "local_rate_limit",
        tokenBucket=bucket(one.bucket),
        runtimeEnabled=None
        if one.enabled_percent == 100.0
        else {"defaultValue": one.enabled_percent > 0, "runtimeKey": "gwsim.enabled"},
    )


def buffer(one: filters.Buffer) -> Json:
    """A Buffer."""
    return any_of(f"{_HTTP}.buffer.v3.Buffer", maxRequestBytes=one.max_request_bytes)


def compressor(one: filters.Compressor) -> Json:
    """A Compressor."""
    level = {"compressionLevel": one.level} if one.level else {}
    common = without_none({
        "minContentLength": one.min_content_length_bytes,
        "contentType": list(one.content_types) or None,
        "enabled": None
        if one.enabled_percent in (0.0, 100.0)
        else {"defaultValue": True, "runtimeKey": "gwsim.compressor"},
    })
    off = {"enabled": {"defaultValue": False, "runtimeKey": "gwsim.off"}}
    return any_of(
        f"{_HTTP}.compressor.v3.Compressor",
        compressorLibrary=extension(one.algorithm, _COMPRESSORS[one.algorithm], **level),
        requestDirectionConfig={"commonConfig": common} if one.requests else None,
        responseDirectionConfig={"commonConfig": common if one.responses else {**common, **off}},
    )
