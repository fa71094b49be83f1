"""Settings of an HTTP connection manager that EnvoyFilters change.

Source: envoyproxy/envoy api/envoy/extensions/filters/network/http_connection_manager/v3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from gwsim.topology.from_config_dump.nodes import Node
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.envoy_patches import BoundPatch
from gwsim.topology.from_istio.envoy_values import reading
from gwsim.topology.listeners import HttpConnectionManager


def patched_manager(ctx: Context, patch: BoundPatch, manager: HttpConnectionManager) -> HttpConnectionManager:
    """The manager with the fields of a patch that the model follows; the others are reported."""
    with reading(ctx, patch.source, f"{patch.path}.patch.value", patch.value) as node:
        node.ignore("name")
        config = node.typed()
        return manager if config is None else replace(manager, **_fields(config))


def _fields(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, attribute in (
        ("streamIdleTimeout", "stream_idle_timeout_s"),
        ("requestTimeout", "request_timeout_s"),
    ):
        seconds = node.maybe_seconds(name)
        if seconds is not None:
            found[attribute] = seconds
    for name, attribute in (("mergeSlashes", "merge_slashes"), ("normalizePath", "normalize_path"), ("useRemoteAddress", "use_remote_address")):
        if name in node:
            found[attribute] = node.flag(name)
    if "xffNumTrustedHops" in node:
        found["xff_num_trusted_hops"] = node.integer("xffNumTrustedHops")
    codec = node.text("codecType")
    if codec in ("AUTO", "HTTP1", "HTTP2"):
        found["codec"] = cast(Any, codec)
    return found | _protocols(node)


def _protocols(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {}
    common, http2 = node.node("commonHttpProtocolOptions"), node.node("http2ProtocolOptions")
    if common is not None:
        for name, attribute in (("idleTimeout", "idle_timeout_s"), ("maxConnectionDuration", "max_connection_duration_s")):
            seconds = common.maybe_seconds(name)
            if seconds is not None:
                found[attribute] = seconds
        if "maxRequestsPerConnection" in common:
            found["max_requests_per_connection"] = common.integer("maxRequestsPerConnection")
    if http2 is not None and "maxConcurrentStreams" in http2:
        found["max_concurrent_streams"] = http2.integer("maxConcurrentStreams")
    return found
