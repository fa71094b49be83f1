"""Token buckets, connection limits, buffers and compression of a dump."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from gwsim.topology import filters
from gwsim.topology.from_config_dump.matches import headers, runtime_percent
from gwsim.topology.from_config_dump.nodes import Node

_STATUS = {one.name.replace("_", "").lower(): one.value for one in HTTPStatus}
_STATUS |= {"uritoolong": 414, "payloadtoolarge": 413, "rangenotsatisfiable": 416}
"""Envoy's names of status codes, such as TooManyRequests, in lower case."""
_KEYS = {"genericKey": "generic_key", "headerValueMatch": "header_match"}


def bucket(node: Node) -> filters.TokenBucket:
    """A TokenBucket."""
    return filters.TokenBucket(
        max_tokens=node.integer("maxTokens"),
        tokens_per_fill=node.integer("tokensPerFill", 1),
        fill_interval_s=node.seconds("fillInterval", 1.0),
    )


def status(node: Node | None, default: int) -> int:
    """An HttpStatus: by name, as JSON has it, or by number."""
    if node is None:
        return default
    return _STATUS.get(node.text("code").lower()) or node.integer("code", default)


def local_rate_limit(node: Node) -> filters.LocalRateLimit:
    """A LocalRateLimit."""
    own = node.node("tokenBucket")
    descriptors = []
    for one in node.nodes("descriptors"):
        inner = one.node("tokenBucket")
        entries = tuple((entry.text("key"), entry.text("value")) for entry in one.nodes("entries"))
        if inner is not None:
            descriptors.append(filters.DescriptorBucket(entries=entries, bucket=bucket(inner)))
    prefix = node.text("statPrefix")
    return filters.LocalRateLimit(
        bucket=bucket(own) if own is not None else None,
        enabled_percent=runtime_percent(node.node("filterEnabled"), 0.0),
        enforced_percent=runtime_percent(node.node("filterEnforced"), 0.0),
        status=status(node.node("status"), 429),
        per_connection=node.flag("localRateLimitPerDownstreamConnection"),
        rules=tuple(rate_limit_rule(one) for one in node.nodes("rateLimits")),
        descriptors=tuple(descriptors),
        always_consume_default=node.flag("alwaysConsumeDefaultTokenBucket", True),
        stage=node.integer("stage"),
        stat_prefix="" if prefix == "http_local_rate_limiter" else prefix,
    )


def rate_limit_rule(node: Node) -> filters.RateLimitRule:
    """A RateLimit: the actions that make a descriptor."""
    return filters.RateLimitRule(
        actions=tuple(_action(one) for one in node.nodes("actions")), stage=node.integer("stage")
    )


def _action(node: Node) -> filters.RateLimitAction:
    for name, kind in (("genericKey", "generic_key"), ("headerValueMatch", "header_value_match")):
        inner = node.node(name)
        if inner is not None:
            wanted, _ = headers(inner.nodes("headers"))
            return filters.RateLimitAction(
                kind=cast(Any, kind),
                key=inner.text("descriptorKey") or _KEYS[name],
                value=inner.text("descriptorValue"),
                expect_match=inner.flag("expectMatch", True),
                headers=tuple(wanted),
            )
    for name, kind, source in (
        ("requestHeaders", "request_headers", "headerName"),
        ("queryParameters", "query_parameters", "queryParameterName"),
    ):
        inner = node.node(name)
        if inner is not None:
            return filters.RateLimitAction(
                kind=cast(Any, kind),
                key=inner.text("descriptorKey"),
                header=inner.text(source),
                skip_if_absent=inner.flag("skipIfAbsent"),
            )
    for name, kind in (
        ("remoteAddress", "remote_address"), ("destinationCluster", "destination_cluster"), ("sourceCluster", "source_cluster"),
    ):  # fmt: skip
        if name in node:
            node.ignore(name)
            return filters.RateLimitAction(kind=cast(Any, kind))
    node.ignore_all()
    node.source.not_modelled(node.path, "an action of a rate limit that makes no known entry")
    return filters.RateLimitAction(kind="metadata")


def connection_limit(node: Node) -> filters.ConnectionLimit:
    """A ConnectionLimit."""
    return filters.ConnectionLimit(max_connections=node.integer("maxConnections"), delay_s=node.seconds("delay"))


def network_local_rate_limit(node: Node) -> filters.NetworkLocalRateLimit:
    """A LocalRateLimit of connections."""
    inner, enabled = node.node("tokenBucket"), node.node("runtimeEnabled")
    prefix = node.text("statPrefix")
    on = True
    if enabled is not None:
        enabled.ignore("runtimeKey")
        on = enabled.flag("defaultValue")
    return filters.NetworkLocalRateLimit(
        bucket=bucket(inner) if inner is not None else filters.TokenBucket(max_tokens=1),
        enabled_percent=100.0 if on else 0.0,
        stat_prefix="" if prefix == "local_rate_limit" else prefix,
    )


def buffer(node: Node) -> filters.Buffer:
    """A Buffer."""
    return filters.Buffer(max_request_bytes=node.integer("maxRequestBytes"))


def compressor(node: Node) -> filters.Compressor:
    """A Compressor; settings of the response direction stand for both."""
    library = node.node("compressorLibrary")
    typed = library.typed() if library is not None else None
    algorithm = "gzip"
    level = ""
    if library is not None and typed is not None:
        library.ignore("name")
        algorithm = next((one for one in ("brotli", "zstd") if f".{one}." in typed.type), "gzip")
        level = typed.text("compressionLevel")
    request, response = node.node("requestDirectionConfig"), node.node("responseDirectionConfig")
    common = (response.node("commonConfig") if response is not None else None) or (
        request.node("commonConfig") if request is not None else None
    )
    if request is not None:
        request.ignore("commonConfig")
    enabled = common.node("enabled") if common is not None else None
    if enabled is not None:
        enabled.ignore("runtimeKey")
    return filters.Compressor(
        algorithm=cast(Any, algorithm),
        level=level,
        min_content_length_bytes=common.integer("minContentLength", 30) if common is not None else 30,
        content_types=common.texts("contentType") if common is not None else (),
        requests=request is not None,
        responses=enabled is None or enabled.flag("defaultValue"),
    )
