"""Small values as Envoy's JSON writes them: durations, percentages, matchers, header changes, typed extensions.

JSON is that of protobuf (`istioctl proxy-config -o json`): lowerCamelCase names, defaults left out, durations as
`"1.5s"`, 64-bit integers as text. Source: protobuf.dev, ProtoJSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gwsim.topology.routes import HeaderChanges, StringMatch

Json = dict[str, Any]

TYPE = "@type"
OWN = "gwsim"
"""Name in `filterMetadata` for what the model knows and Envoy has no field for."""


def duration(seconds: float) -> str:
    """Seconds as a protobuf duration, to the nanosecond."""
    text = f"{Decimal(repr(seconds)):.9f}".rstrip("0").rstrip(".")
    return f"{text}s"


def any_of(message: str, **fields: Any) -> Json:
    """A message with its type, as a `typedConfig` holds it."""
    return {TYPE: f"type.googleapis.com/{message}", **without_none(fields)}


def extension(name: str, message: str, **fields: Any) -> Json:
    """A named extension with its configuration."""
    return {"name": name, "typedConfig": any_of(message, **fields)}


def without_none(fields: Mapping[str, Any]) -> Json:
    """The fields that are set; protobuf leaves the others out."""
    return {name: value for name, value in fields.items() if value is not None}


def unless(value: Any, default: Any) -> Any:
    """The value, or None (to be left out) where it is the default."""
    return None if value == default else value


def fraction(percent: float) -> Json:
    """A FractionalPercent; the coarsest denominator that holds the value exactly."""
    for per_hundred, name in ((1, "HUNDRED"), (100, "TEN_THOUSAND"), (10_000, "MILLION")):
        scaled = percent * per_hundred
        if abs(scaled - round(scaled)) < 1e-9 or name == "MILLION":
            return {"numerator": round(scaled), "denominator": name}
    raise AssertionError


def runtime_fraction(percent: float) -> Json:
    """A RuntimeFractionalPercent without a runtime key."""
    return {"defaultValue": fraction(percent)}


def matcher(match: StringMatch) -> Json:
    """A StringMatcher; presence is the expression that takes everything."""
    if match.kind == "present":
        return {"safeRegex": {"regex": ".*"}}
    # An expression is told to ignore case in its own words: Envoy has no such switch for it.
    if match.kind == "regex":
        return {"safeRegex": {"regex": f"(?i:{match.value})" if match.ignore_case else match.value}}
    fields: Json = {match.kind: match.value}
    if match.ignore_case:
        fields["ignoreCase"] = True
    return fields


def metadata(**blocks: Mapping[str, Any]) -> Json | None:
    """`metadata` with those blocks of `filterMetadata` that hold something; None for none."""
    kept = {name.replace("__", "."): dict(block) for name, block in blocks.items() if block}
    return {"filterMetadata": kept} if kept else None


def header_fields(changes: HeaderChanges | None, direction: str) -> Json:
    """`<direction>HeadersToAdd` and `<direction>HeadersToRemove`."""
    if changes is None:
        return {}
    added = [_header(name, value, "OVERWRITE_IF_EXISTS_OR_ADD") for name, value in changes.set.items()]
    added += [_header(name, value, None) for name, value in changes.add.items()]
    fields: Json = {}
    if added:
        fields[f"{direction}HeadersToAdd"] = added
    if changes.remove:
        fields[f"{direction}HeadersToRemove"] = list(changes.remove)
    return fields


def _header(name: str, value: str, action: str | None) -> Json:
    return without_none({"header": {"key": name, "value": value}, "appendAction": action})


def address(host: str, port: int) -> Json:
    """A TCP address."""
    return {"socketAddress": {"address": host, "portValue": port}}
