"""The files held against a dump: what differs, where it stands in the files, and what does not count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from gwsim.diagnostics import Span
from gwsim.queries.dumps import Comparison
from gwsim.report.lines import EMPTY, Line, Part, clip, line
from gwsim.topology.diff import Difference, FieldChange

SCHEMA = "gwsim/diff/v1"
MOST = 20
VALUE = 160
SHORT = 40
_SIDES = {"added": "only in the dump", "removed": "only in the configuration", "changed": ""}
_STYLES = {"added": "green", "removed": "red", "changed": "yellow"}
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_NAMES = {"filter_chain": "filter chain", "http_filter": "HTTP filter", "virtual_host": "virtual host", "route_configuration": "routes"}


def as_json(comparison: Comparison) -> str:
    """Everything, as one object."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "gateway": comparison.ours.key,
            "dumped": comparison.theirs.key,
            "istio_version": comparison.istio_version,
            "counted": len(comparison.counted),
            "differences": [_plain(one) for one in comparison.differences],
            "not_modelled": [one.message for one in comparison.not_modelled],
            "notes": list(comparison.notes),
        },
        indent=2,
    ) + "\n"  # fmt: skip


def _plain(one: Difference) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "change": one.change,
        "name": one.name,
        "where": list(one.where),
        "counts": one.counts,
        "not_counted_because": one.excuse or None,
        "configuration": _place(one.left) or None,
        "dump": _place(one.right) or None,
        "fields": [
            {"name": each.name, "configuration": each.left, "dump": each.right, "not_counted_because": each.excuse or None}
            for each in one.fields
        ],
    }


def _place(span: Span | None) -> str:
    return f"{span.file}:{span.line}" if span is not None and span.line else ""


def text(comparison: Comparison, *, everything: bool = False) -> list[Line]:
    """The differences that count first, by where they are; then what does not count, in a few words."""
    counted = comparison.counted
    lines = [line(Part(_headline(comparison), "bold")), EMPTY]
    where: tuple[str, ...] | None = None
    for one in counted if everything else counted[:MOST]:
        if one.where != where:
            where = one.where
            lines.append(line(Part(" > ".join(where) if where else "proxy", "bold")))
        lines += _difference(one)
    if not everything and len(counted) > MOST:
        lines.append(line(f"... and {len(counted) - MOST} more; --all shows them"))
    if counted:
        lines.append(EMPTY)
    lines += _excused(comparison.differences, everything=everything)
    lines += _not_modelled(comparison, everything=everything)
    lines += [line(Part("note: ", "dim"), note) for note in comparison.notes]
    return lines


def _headline(comparison: Comparison) -> str:
    count = len(comparison.counted)
    told = "no difference" if not count else "1 difference" if count == 1 else f"{count} differences"
    return f"{comparison.ours.key}: {told} between the configuration and the dump of {comparison.theirs.key}"


def _difference(one: Difference) -> list[Line]:
    kind = _NAMES.get(one.kind, one.kind)
    side = _SIDES[one.change]
    place = _place(one.left)
    head = [Part(f"  {_SIGNS[one.change]} ", _STYLES[one.change]), Part(f"{kind} {clip(one.name, VALUE)}")]
    if side:
        head.append(Part(f": {side}", _STYLES[one.change]))
    if place:
        head.append(Part(f"  ({place})", "dim"))
    return [tuple(head), *(row for each in one.fields if not each.excuse for row in _field(each))]


def _field(change: FieldChange) -> list[Line]:
    left, right = _apart(change.left, change.right)
    here, there = Part(_shown(left), "red"), Part(_shown(right), "green")
    if len(here.text) + len(there.text) <= SHORT:
        return [line(f"      {change.name}: ", here, " in the configuration, ", there, " in the dump")]
    return [line(f"      {change.name}:"), line("        configuration  ", here), line("        dump           ", there)]


def _apart(left: Any, right: Any) -> tuple[Any, Any]:
    """Of two lists that share items, what only one has; the order where that is all."""
    if not (isinstance(left, list) and isinstance(right, list)):
        return left, right
    mine, other = [one for one in left if one not in right], [one for one in right if one not in left]
    return (mine, other) if mine or other else (left, right)


def _shown(value: Any) -> str:
    told = _told(value)
    return clip(told, VALUE) if told else "nothing"


def _told(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return ", ".join(_told(one) for one in value)
    if isinstance(value, dict):
        if value.get("kind") == "WeightedCluster" and not value.get("request_headers") and not value.get("response_headers"):
            return f"{value['weight']:.4g}% {value['cluster']}"
        inner = {key: _told(one) for key, one in value.items() if key != "kind"}
        return "{" + ", ".join(f"{key}: {one}" for key, one in inner.items() if one) + "}"
    return str(value)


def _excused(differences: Iterable[Difference], *, everything: bool) -> list[Line]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in differences:
        if one.excuse:
            reasons.setdefault((one.kind, one.excuse), []).append(one.name)
        for each in one.fields:
            if each.excuse:
                reasons.setdefault((f"{one.kind} {each.name}", each.excuse), []).append(one.name)
    if not reasons:
        return []
    lines = [line(Part("Not counted", "bold"))]
    for (kind, reason), names in reasons.items():
        unique = list(dict.fromkeys(names))
        shown = ", ".join(unique if everything else unique[:3])
        more = f" and {len(unique) - 3} more" if len(unique) > 3 and not everything else ""
        label = _NAMES.get(kind, kind)
        lines.append(line(f"  {len(names)} x {label}: {reason} ({shown}{more})"))
    return [*lines, EMPTY]


def _not_modelled(comparison: Comparison, *, everything: bool) -> list[Line]:
    found = comparison.not_modelled
    if not found:
        return []
    lines = [line(Part("In the dump and not modelled", "bold"), f": {len(found)} fields" if len(found) > 1 else ": 1 field")]
    if not everything:
        names = Counter(one.message.partition(": ")[2].partition(" is not")[0] for one in found)
        shown = ", ".join(name for name, _ in names.most_common(8))
        return [*lines, line(f"  {shown}{', ...' if len(names) > 8 else ''} (--all shows their paths)"), EMPTY]
    return [*lines, *(line(f"  {one.message}") for one in found), EMPTY]


__all__ = ["as_json", "text"]
