"""Delegation: a root VirtualService's rule stands for the rules of another VirtualService.

Sources: istio/istio pilot/pkg/model/virtualservice.go (`mergeVirtualServicesIfNeeded`,
`mergeHTTPMatchRequests`), pilot/pkg/model/virtualservice_controller.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gwsim.resources.models import HTTPMatchRequest, HTTPRoute, StringMatch, VirtualService
from gwsim.topology.from_istio.context import Context
from gwsim.topology.from_istio.hosts import visible
from gwsim.topology.from_istio.virtual_services import HttpRule

_INHERITED = (
    "rewrite", "direct_response", "timeout_s", "retries", "fault", "mirror", "mirror_percent", "mirror_percentage",
    "cors_policy", "headers",
)  # fmt: skip


def expand(ctx: Context, service: VirtualService) -> tuple[HttpRule, ...]:
    """The HTTP rules of a VirtualService with those of its delegates in their places."""
    rules: list[HttpRule] = []
    for position, rule in enumerate(service.http):
        path = f"http[{position}]"
        if rule.delegate is None:
            rules.append(HttpRule(rule, service, path))
        else:
            rules.extend(_delegated(ctx, service, rule, path))
    return tuple(rules)


def _delegated(ctx: Context, root: VirtualService, rule: HTTPRoute, path: str) -> list[HttpRule]:
    assert rule.delegate is not None
    namespace, name = rule.delegate.namespace or root.namespace, rule.delegate.name
    target = next(
        (one for one in ctx.registry.virtual_services if (one.namespace, one.name) == (namespace, name)), None
    )
    if target is None or target.hosts or not visible(target.export_to, target.namespace, root.namespace):
        why = "there is no such VirtualService" if target is None else "it has hosts or is not exported here"
        ctx.find(
            "DELEGATE_MISSING",
            f"{root.ref}: delegate VirtualService/{namespace}/{name} cannot be used: {why}; the rule disappears",
            root,
            f"{path}.delegate",
        )
        return []
    merged: list[HttpRule] = []
    for position, leaf in enumerate(target.http):
        matches = _merged_matches(rule.match, leaf.match)
        if matches is None:
            ctx.find(
                "DELEGATE_CONFLICT",
                f"{target.ref}: the rule's match is not within that of {root.ref} {path}; the rule disappears",
                target,
                f"http[{position}]",
            )
            continue
        merged.append(HttpRule(_merged(rule, leaf, matches), target, f"http[{position}]"))
    return merged


def _merged(root: HTTPRoute, leaf: HTTPRoute, matches: tuple[HTTPMatchRequest, ...]) -> HTTPRoute:
    """The delegate's rule, with the root's settings where it has none."""
    inherited = {name: getattr(root, name) for name in _INHERITED if getattr(leaf, name) is None}
    name = "-".join(part for part in (root.name, leaf.name) if part) or None
    return replace(leaf, match=matches, name=name, mirrors=leaf.mirrors or root.mirrors, **inherited)


def _merged_matches(
    roots: tuple[HTTPMatchRequest, ...], leaves: tuple[HTTPMatchRequest, ...]
) -> tuple[HTTPMatchRequest, ...] | None:
    """Every delegate's match within a root's match; None when one of them is within none."""
    if not roots or not leaves:
        return roots or leaves
    merged: list[HTTPMatchRequest] = []
    for leaf in leaves:
        fitting = [root for root in roots if not _conflict(root, leaf)]
        if not fitting:
            return None
        merged.extend(_merged_match(root, leaf) for root in fitting)
    return tuple(merged)


def _merged_match(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> HTTPMatchRequest:
    return replace(
        leaf,
        name="-".join(part for part in (root.name, leaf.name) if part) or None,
        uri=leaf.uri or root.uri,
        scheme=leaf.scheme or root.scheme,
        method=leaf.method or root.method,
        authority=leaf.authority or root.authority,
        headers={**root.headers, **leaf.headers},
        without_headers={**root.without_headers, **leaf.without_headers},
        query_params={**root.query_params, **leaf.query_params},
        port=leaf.port or root.port,
        source_labels={**root.source_labels, **leaf.source_labels},
        source_namespace=leaf.source_namespace or root.source_namespace,
        gateways=leaf.gateways or root.gateways,
        ignore_uri_case=root.ignore_uri_case or leaf.ignore_uri_case,
        stat_prefix=leaf.stat_prefix or root.stat_prefix,
    )


def _conflict(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> bool:
    texts = ((root.uri, leaf.uri), (root.scheme, leaf.scheme), (root.method, leaf.method), (root.authority, leaf.authority))
    if any(_wider(a, b) for a, b in texts):
        return True
    for mine, theirs in (
        (root.headers, leaf.headers),
        (root.without_headers, leaf.without_headers),
        (root.query_params, leaf.query_params),
    ):
        if any(_wider(mine[key], theirs[key]) for key in mine.keys() & theirs.keys()):
            return True
    if root.uri is not None and leaf.uri is not None and root.ignore_uri_case != leaf.ignore_uri_case:
        return True
    if root.port and leaf.port and root.port != leaf.port:
        return True
    return _differ(root.source_labels, leaf.source_labels) or bool(
        root.source_namespace and leaf.source_namespace and root.source_namespace != leaf.source_namespace
    )


def _differ(mine: Mapping[str, str], theirs: Mapping[str, str]) -> bool:
    return any(mine[key] != theirs[key] for key in mine.keys() & theirs.keys())


def _wider(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    """Whether the delegate's text match is not within the root's."""
    if root is None or leaf is None:
        return False
    if root.regex or leaf.regex:
        return True
    if root.exact is not None:
        return leaf.exact != root.exact
    if root.prefix is None:
        return False
    inner = leaf.prefix if leaf.prefix is not None else leaf.exact
    return inner is not None and not inner.startswith(root.prefix)
