"""EnvoyFilter patches that do not apply, or not always."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gwsim.resources.raw import RawObject, mapping, mappings, number, text
from gwsim.topology.lint.rule import Hit, Rule
from gwsim.topology.lint.view import View

_NO_LISTS = ("ROUTE_CONFIGURATION", "HTTP_ROUTE")
_REPLACEABLE = ("HTTP_FILTER", "NETWORK_FILTER", "VIRTUAL_HOST", "LISTENER_FILTER")


def _patches(view: View) -> Iterator[tuple[RawObject, int, dict[str, Any], str, str]]:
    """Every patch: the object, its position, itself, the operation, what it applies to. Ends at one without `patch`."""
    for filter_ in view.istio("EnvoyFilter"):
        for at, patch in enumerate(mappings(filter_.spec.get("configPatches"))):
            if not isinstance(patch.get("patch"), dict):
                break
            yield filter_, at, patch, text(mapping(patch["patch"]).get("operation")), text(patch.get("applyTo"))


def _name(patch: dict[str, Any]) -> str:
    """The name of the filter put in, else of the one it is placed by."""
    value = mapping(mapping(patch.get("patch")).get("value"))
    if not value:
        return ""
    chain = mapping(mapping(mapping(patch.get("match")).get("listener")).get("filterChain"))
    return text(value.get("name")) or text(mapping(chain.get("filter")).get("name"))


def _relative(view: View) -> Iterator[tuple[RawObject, int, str, bool]]:
    """Relative patches without a priority, and whether one for a proxy version has put that filter in before."""
    versioned: set[str] = set()
    for filter_, at, patch, operation, target in _patches(view):
        applies = operation in ("INSERT_BEFORE", "INSERT_AFTER") or (
            operation == "REMOVE" and target not in _NO_LISTS) or (operation == "REPLACE" and target in _REPLACEABLE)
        if applies and not number(filter_.spec.get("priority")):
            yield filter_, at, operation, _name(patch) in versioned
        if mapping(mapping(patch.get("match")).get("proxy")).get("proxyVersion"):
            versioned.add(_name(patch))


def check_relative(view: View) -> Iterator[Hit]:
    """Relative operations without a priority."""
    for filter_, at, operation, versioned in _relative(view):
        if not versioned:
            message = f"{filter_.ref}: {operation} depends on a filter that another EnvoyFilter may bring, and there is no priority"
            yield Hit(filter_, f"configPatches[{at}].patch.operation", message, "set spec.priority, or use INSERT_FIRST or ADD")


def check_versioned(view: View) -> Iterator[Hit]:
    """Relative operations on what a patch for one proxy version puts in."""
    for filter_, at, operation, versioned in _relative(view):
        if versioned:
            message = f"{filter_.ref}: {operation} names a filter that is put in for one proxy version only, and there is no priority"
            yield Hit(filter_, f"configPatches[{at}].patch.operation", message, "set spec.priority, or use INSERT_FIRST or ADD")


def check_replace(view: View) -> Iterator[Hit]:
    """REPLACE of something that is not a filter or virtual host."""
    for filter_, at, _, operation, target in _patches(view):
        if operation == "REPLACE" and target not in _REPLACEABLE:
            message = f"{filter_.ref}: REPLACE is not possible for {target or 'nothing'}, so the patch is ignored"
            yield Hit(filter_, f"configPatches[{at}].patch.operation", message, f"it is for {', '.join(_REPLACEABLE)}; use MERGE, or REMOVE and ADD")


def _ignored(word: str) -> Callable[[View], Iterator[Hit]]:
    def check(view: View) -> Iterator[Hit]:
        """The operation where a proxy has no list to add to or remove from."""
        for filter_, at, _, operation, target in _patches(view):
            if operation == word and target in _NO_LISTS:
                message = f"{filter_.ref}: {word} is not possible for {target}, so the patch is ignored"
                yield Hit(filter_, f"configPatches[{at}].patch.operation", message, "use MERGE, or apply it to VIRTUAL_HOST")

    return check


_TEXT = """apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: limit, namespace: istio-system}
spec:%s
  configPatches:
  - applyTo: %s
    match: {context: GATEWAY}
    patch:
      operation: %s
      value: {name: envoy.filters.http.local_ratelimit}
"""
_VERSIONED = """apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: limit-129, namespace: istio-system}
spec:
  priority: 10
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: GATEWAY, proxy: {proxyVersion: '^1\\.29.*'}}
    patch:
      operation: INSERT_FIRST
      value: {name: envoy.filters.http.local_ratelimit}
---
"""
_PRIORITY = "\n  priority: 10"
_SOURCE = "istio/istio pkg/config/analysis/analyzers/envoyfilter/envoyfilter.go"
_FIRST = "set `priority`, or use INSERT_FIRST or ADD."
RULES = (
    Rule(
        code="FILTER_RELATIVE", check=check_relative,
        trigger="A patch with INSERT_BEFORE, INSERT_AFTER, REMOVE or REPLACE in an EnvoyFilter without `priority`.",
        fix=_FIRST.capitalize(), source=_SOURCE,
        bad=_TEXT % ("", "HTTP_FILTER", "INSERT_BEFORE"), good=_TEXT % (_PRIORITY, "HTTP_FILTER", "INSERT_BEFORE"),
    ),
    Rule(
        code="FILTER_RELATIVE_TO_VERSION", check=check_versioned,
        trigger="The same, where an earlier EnvoyFilter with `proxyVersion` puts a filter of that name in.",
        fix=_FIRST.capitalize(), source=_SOURCE,
        bad=_VERSIONED + _TEXT % ("", "HTTP_FILTER", "INSERT_AFTER"), good=_VERSIONED + _TEXT % (_PRIORITY, "HTTP_FILTER", "INSERT_AFTER"),
    ),
    Rule(
        code="FILTER_REPLACE_IGNORED", check=check_replace,
        trigger="`operation: REPLACE` with an `applyTo` other than HTTP_FILTER, NETWORK_FILTER, LISTENER_FILTER and VIRTUAL_HOST.",
        fix="Use MERGE, or REMOVE and ADD.", source=_SOURCE,
        bad=_TEXT % (_PRIORITY, "CLUSTER", "REPLACE"), good=_TEXT % (_PRIORITY, "HTTP_FILTER", "REPLACE"),
    ),
    Rule(
        code="FILTER_ADD_IGNORED", check=_ignored("ADD"),
        trigger="`operation: ADD` with `applyTo: ROUTE_CONFIGURATION` or `HTTP_ROUTE`.",
        fix="Merge into the route configuration, or add to VIRTUAL_HOST.", source=_SOURCE,
        bad=_TEXT % (_PRIORITY, "HTTP_ROUTE", "ADD"), good=_TEXT % (_PRIORITY, "CLUSTER", "ADD"),
    ),
    Rule(
        code="FILTER_REMOVE_IGNORED", check=_ignored("REMOVE"),
        trigger="`operation: REMOVE` with `applyTo: ROUTE_CONFIGURATION` or `HTTP_ROUTE`.",
        fix="Remove the whole VIRTUAL_HOST, or change the route by MERGE.", source=_SOURCE,
        bad=_TEXT % (_PRIORITY, "HTTP_ROUTE", "REMOVE"), good=_TEXT % (_PRIORITY, "CLUSTER", "REMOVE"),
    ),
)
