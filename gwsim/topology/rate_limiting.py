"""Descriptors that rate limits are asked for, made of a request.

Source: envoyproxy/envoy source/common/router/router_ratelimit.cc (`populateDescriptors`),
source/extensions/filters/http/ratelimit/ratelimit.cc (which rules count).
"""

from __future__ import annotations

from collections.abc import Iterable

from gwsim.topology.conditions import Facts
from gwsim.topology.filters import (
    Descriptor,
    DescriptorBucket,
    LocalRateLimit,
    RateLimitAction,
    RateLimitRule,
)
from gwsim.topology.matching import RequestView, text_test
from gwsim.topology.routes import Forward, Route, VirtualHost


def rules_of(route: Route | None, host: VirtualHost | None) -> tuple[RateLimitRule, ...]:
    """The rules that count: the route's; the virtual host's where the route has none or includes them."""
    own = route.rate_limits if route is not None else ()
    shared = host.rate_limits if host is not None else ()
    if own and not (route is not None and route.include_vh_rate_limits):
        return own
    return own + shared


def descriptors_of(
    rules: Iterable[RateLimitRule], stage: int, facts: Facts, view: RequestView, route: Route | None
) -> tuple[Descriptor, ...]:
    """One descriptor for each rule of the stage all of whose actions find something."""
    found = (_descriptor(rule, facts, view, route) for rule in rules if rule.stage == stage)
    return tuple(one for one in found if one)


def _descriptor(rule: RateLimitRule, facts: Facts, view: RequestView, route: Route | None) -> Descriptor:
    entries: list[tuple[str, str]] = []
    for action in rule.actions:
        entry = _entry(action, facts, view, route)
        if entry is None:
            if action.kind == "request_headers" and action.skip_if_absent:
                continue
            return ()
        entries.append(entry)
    return tuple(entries)


def _entry(action: RateLimitAction, facts: Facts, view: RequestView, route: Route | None) -> tuple[str, str] | None:
    match action.kind:
        case "generic_key":
            return (action.key or "generic_key", action.value)
        case "request_headers":
            value = view.header(action.header)
            return None if value is None else (action.key, value)
        case "query_parameters":
            value = view.param(action.header)
            return None if value is None else (action.key, value)
        case "remote_address":
            return ("remote_address", "" if facts.remote is None else str(facts.remote))
        case "destination_cluster":
            return _destination(route)
        case "source_cluster":
            return ("source_cluster", "")
        case "header_value_match":
            return (action.key or "header_match", action.value) if _headers_match(action, view) else None
        case "metadata":
            return None


def _destination(route: Route | None) -> tuple[str, str] | None:
    if route is None or not isinstance(route.action, Forward) or not route.action.clusters:
        return None
    return ("destination_cluster", route.action.clusters[0].cluster)


def _headers_match(action: RateLimitAction, view: RequestView) -> bool:
    def holds(name: str, test: object) -> bool:
        value = view.header(name)
        return value is not None and text_test(test)(value)  # type: ignore[arg-type]

    return all(holds(one.name, one.match) for one in action.headers) == action.expect_match


def bucket_for(config: LocalRateLimit, descriptors: tuple[Descriptor, ...]) -> DescriptorBucket | None:
    """The bucket of its own that some descriptor of the request has; None: only the default bucket counts."""
    for bucket in config.descriptors:
        if any(_fits(bucket.entries, one) for one in descriptors):
            return bucket
    return None


def _fits(pattern: Descriptor, descriptor: Descriptor) -> bool:
    return len(pattern) == len(descriptor) and all(
        key == own_key and wanted in ("", value) for (own_key, wanted), (key, value) in zip(pattern, descriptor, strict=True)
    )
