"""Matchers, percentages and header changes. Source: envoyproxy/envoy api/envoy/{type/matcher,type,config/core}/v3."""

from __future__ import annotations

import re

from gwsim.topology.from_config_dump.nodes import Node
from gwsim.topology.routes import HeaderChanges, HeaderMatch, QueryMatch, StringMatch

_PER = {"HUNDRED": 1.0, "TEN_THOUSAND": 100.0, "MILLION": 10_000.0}
_IGNORE_CASE = re.compile(r"\(\?i:(.*)\)", re.DOTALL)
PRESENT = StringMatch(kind="present")


def percent(node: Node | None, default: float = 100.0) -> float:
    """A FractionalPercent as 0..100."""
    if node is None:
        return default
    return node.number("numerator") / _PER.get(node.text("denominator", "HUNDRED"), 1.0)


def runtime_percent(node: Node | None, default: float = 100.0) -> float:
    """A RuntimeFractionalPercent, or one of Istio's percentages with a default value."""
    if node is None:
        return default
    node.ignore("runtimeKey")
    return percent(node.node("defaultValue"), default)


def regex(node: Node) -> StringMatch:
    """A RegexMatcher."""
    node.ignore("googleRe2")
    text = node.text("regex")
    inner = _IGNORE_CASE.fullmatch(text)
    if inner is not None:
        return StringMatch(kind="regex", value=inner[1], ignore_case=True)
    return PRESENT if text == ".*" else StringMatch(kind="regex", value=text)


def string(node: Node) -> StringMatch:
    """A StringMatcher."""
    ignore_case = node.flag("ignoreCase")
    for kind in ("exact", "prefix", "suffix", "contains"):
        if kind in node:
            return StringMatch(kind=kind, value=node.text(kind), ignore_case=ignore_case)
    expression = node.node("safeRegex")
    if expression is not None:
        return regex(expression)
    # An exact match of nothing is left out of JSON.
    return StringMatch(kind="exact")


def _old_style(node: Node) -> StringMatch | None:
    """Header matchers of Envoy before 1.20."""
    for kind in ("exact", "prefix", "suffix", "contains"):
        if f"{kind}Match" in node:
            return StringMatch(kind=kind, value=node.text(f"{kind}Match"))
    expression = node.node("safeRegexMatch")
    return regex(expression) if expression is not None else None


def _condition(node: Node) -> StringMatch | None:
    """What a header must be; None for a kind the model does not have."""
    inner = node.node("stringMatch")
    if inner is not None:
        return string(inner)
    found = _old_style(node)
    if found is not None:
        return found
    return None if "rangeMatch" in node else PRESENT


def headers(nodes: list[Node]) -> tuple[list[HeaderMatch], list[HeaderMatch]]:
    """Conditions that must hold, and such that must not."""
    wanted: list[HeaderMatch] = []
    unwanted: list[HeaderMatch] = []
    for node in nodes:
        name = node.text("name").lower()
        match = _condition(node)
        if match is None:
            continue
        inverted = node.flag("invertMatch")
        # `presentMatch: false` asks for absence.
        if match == PRESENT and not node.flag("presentMatch", True):
            inverted = not inverted
        empty_if_missing = node.flag("treatMissingHeaderAsEmpty")
        one = HeaderMatch(name=name, match=match)
        if not inverted:
            wanted.append(one)
            continue
        unwanted.append(one)
        if match != PRESENT and not empty_if_missing:
            # Without that switch an absent header fails the inverted match too.
            wanted.append(HeaderMatch(name=name, match=PRESENT))
    return wanted, unwanted


def query(node: Node) -> QueryMatch:
    """A QueryParameterMatcher."""
    inner = node.node("stringMatch")
    node.ignore("presentMatch")
    return QueryMatch(name=node.text("name"), match=PRESENT if inner is None else string(inner))


def header_changes(node: Node, direction: str) -> HeaderChanges | None:
    """`<direction>HeadersToAdd` and `<direction>HeadersToRemove`; None when there are none."""
    replaced: dict[str, str] = {}
    added: dict[str, str] = {}
    for option in node.nodes(f"{direction}HeadersToAdd"):
        header = option.node("header")
        if header is None:
            continue
        key, value = header.text("key"), header.text("value")
        action = option.text("appendAction", "APPEND_IF_EXISTS_OR_ADD")
        append = option.raw("append")
        keep = option.raw("keepEmptyValue")
        if not value and not keep and "value" not in header:
            value = ""
        overwrite = append is False if append is not None else action.startswith("OVERWRITE")
        (replaced if overwrite else added)[key] = value
    removed = node.texts(f"{direction}HeadersToRemove")
    if not (replaced or added or removed):
        return None
    return HeaderChanges(set=replaced, add=added, remove=removed)
