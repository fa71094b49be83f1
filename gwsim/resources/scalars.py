"""Decoders of scalars: text to a value of the type the field wants, or a finding.

The type decides, not YAML's guess: `yes` in a text field is text. A plain number or `true` in a text
field is refused, because the API server refuses it ("cannot unmarshal number into string").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from gwsim.diagnostics import did_you_mean
from gwsim.resources.context import ObjectContext, Path
from gwsim.resources.yaml_nodes import Mapping, Node, Scalar, Sequence, entries_of
from gwsim.units import parse_go_duration_s, parse_quantity


class _Missing:
    """Stands for a value that could not be read; a finding was made."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
Decode = Callable[[ObjectContext, Node, Path], Any]

_INT = re.compile(r"[-+]?(?:0x[0-9a-fA-F_]+|0o?[0-7_]+|0b[01_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"})
_NOT_TEXT = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
_NUMBER_START = frozenset("0123456789+-.")
MAX_INT = 2**63 - 1


def kind_of(node: Node) -> str:
    """How a user would call what stands there."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Scalar) and node.plain:
        if node.value in _NOT_TEXT:
            return f"the boolean {node.value}"
        if _is_number(node.value):
            return f"the number {node.value}"
        if node.is_null:
            return "nothing"
    return f"the text {node.value!r}" if isinstance(node, Scalar) and len(node.value) <= 60 else "text"


def wrong_type(ctx: ObjectContext, node: Node, path: Path, wanted: str, help: str | None = None) -> Any:
    """Report a value of the wrong type."""
    name = path[1] if path and isinstance(path[1], str) else "the item"
    found = kind_of(node) if ctx.quote else "something else"
    ctx.report("WRONG_TYPE", f"{name} must be {wanted}, but is {found}", node, path, help)
    return MISSING


def bad_value(ctx: ObjectContext, node: Node, path: Path, message: str, help: str | None = None) -> Any:
    """Report a value of the right type that is not allowed."""
    ctx.report("BAD_VALUE", message, node, path, help)
    return MISSING


def _is_number(text: str) -> bool:
    if text[:1] not in _NUMBER_START:
        return False
    return bool(_INT.fullmatch(text) or _FLOAT.fullmatch(text))


def string(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """Text. Plain numbers and true/false are refused."""
    if not isinstance(node, Scalar):
        return wrong_type(ctx, node, path, "text")
    value = node.value
    if node.plain and (value in _NOT_TEXT or (value[:1] in _NUMBER_START and _is_number(value))):
        return wrong_type(ctx, node, path, "text", f'write it in quotes: "{value}"')
    return value


def _int_value(node: Node) -> int | None:
    if not isinstance(node, Scalar) or not node.plain or not _INT.fullmatch(node.value) or len(node.value) > 40:
        return None
    text = node.value.replace("_", "").lower()
    try:
        # YAML 1.1 reads a leading zero as octal, and so does kubectl.
        octal = re.fullmatch(r"[-+]?0[0-7]+", text)
        return int(text, 8) if octal else int(text, 0)
    except ValueError:
        return None


def integer(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """An integer, written without quotes."""
    value = _int_value(node)
    if value is None or abs(value) > MAX_INT:
        quoted = isinstance(node, Scalar) and not node.plain and _INT.fullmatch(node.value)
        return wrong_type(ctx, node, path, "an integer", "write it without quotes" if quoted else None)
    return value


def natural(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """An integer of at least 0."""
    value = integer(ctx, node, path)
    if value is not MISSING and value < 0:
        return bad_value(ctx, node, path, f"{path[1] if path else 'the value'} is {value}; it must not be negative")
    return value


def port(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """A port number, 1..65535."""
    value = integer(ctx, node, path)
    if value is not MISSING and not 1 <= value <= 65535:
        return bad_value(ctx, node, path, f"port {value} does not exist; ports are 1 to 65535")
    return value


def number(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """A finite number."""
    value = _int_value(node)
    if value is not None and abs(value) <= MAX_INT:
        return float(value)
    if isinstance(node, Scalar) and node.plain and _FLOAT.fullmatch(node.value) and node.value.strip("+-.")[:1].isdigit():
        result = float(node.value.replace("_", ""))
        if result not in (float("inf"), float("-inf")):
            return result
    return wrong_type(ctx, node, path, "a number")


def boolean(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """true or false, without quotes; YAML 1.1's other spellings count as kubectl takes them."""
    if isinstance(node, Scalar) and node.plain:
        if node.value in _TRUE:
            return True
        if node.value in _FALSE:
            return False
    quoted = isinstance(node, Scalar) and not node.plain and node.value.lower() in ("true", "false")
    return wrong_type(ctx, node, path, "true or false", "write it without quotes" if quoted else None)


def int_or_string(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """A port number or a port's name, as in `targetPort`."""
    value = _int_value(node)
    return value if value is not None and abs(value) <= MAX_INT else string(ctx, node, path)


def duration(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """A Go duration in seconds: 0, or at least 1 ms in whole milliseconds, as Istio's validation wants."""
    if not isinstance(node, Scalar):
        return wrong_type(ctx, node, path, "a duration", "write e.g. 250ms, 1.5s, 2m")
    if node.plain and _is_number(node.value) and node.value != "0":
        return wrong_type(ctx, node, path, "a duration with a unit", f"write {node.value}s if seconds are meant")
    try:
        value = parse_go_duration_s(node.value)
    except ValueError as error:
        return bad_value(ctx, node, path, str(error))
    if value < 0:
        return bad_value(ctx, node, path, f"{node.value!r} is negative; a duration is at least 0s")
    if 0 < value < 1e-3 or abs(value * 1e3 - round(value * 1e3)) > 1e-6 * max(value, 1.0):
        return bad_value(ctx, node, path, f"{node.value!r} is finer than 1ms; Istio takes whole milliseconds")
    return value


def positive_duration(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """A Go duration of at least 1 ms, in seconds."""
    value = duration(ctx, node, path)
    if value is not MISSING and value == 0:
        return bad_value(ctx, node, path, f"{path[1] if path else 'the duration'} must be at least 1ms")
    return value


_API_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")


def api_duration(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """A duration of the Gateway API in seconds: whole numbers of h, m, s and ms (GEP-2257)."""
    value = duration(ctx, node, path)
    if value is MISSING or not isinstance(node, Scalar):
        return MISSING
    if not _API_DURATION.fullmatch(node.value):
        return bad_value(ctx, node, path, f"{node.value!r} is no duration of the Gateway API", "write whole numbers: 1500ms, 1m30s")
    return value


def quantity(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """A Kubernetes quantity of at least 0, in cores or bytes; numbers may be written without quotes."""
    if not isinstance(node, Scalar):
        return wrong_type(ctx, node, path, "a quantity", "write e.g. 100m, 2, 128Mi")
    try:
        value = parse_quantity(node.value)
    except ValueError as error:
        return bad_value(ctx, node, path, str(error))
    if value < 0:
        return bad_value(ctx, node, path, f"{node.value!r} is negative; a quantity of resources is at least 0")
    return value


def opaque(ctx: ObjectContext, node: Node, path: Path) -> Any:
    """Anything, as plain Python data with scalars by YAML's rules for JSON (text, int, float, bool, None)."""
    if isinstance(node, Sequence):
        return [opaque(ctx, item, path) for item in node.items]
    if isinstance(node, Mapping):
        return {key.value: opaque(ctx, value, path) for key, value in entries_of(node)}
    assert isinstance(node, Scalar)
    if not node.plain:
        return node.value
    if node.is_null:
        return None
    if node.value in _NOT_TEXT:
        return node.value.lower() == "true"
    whole = _int_value(node)
    if whole is not None:
        return whole
    if _is_number(node.value) and node.value.strip("+-.")[:1].isdigit():
        return float(node.value.replace("_", ""))
    return node.value


def enumeration(values: tuple[str, ...]) -> Decode:
    """A decoder of one of `values`."""
    allowed = frozenset(values)

    def decode(ctx: ObjectContext, node: Node, path: Path) -> Any:
        if isinstance(node, Scalar) and node.value in allowed:
            return node.value
        value = string(ctx, node, path)
        if value is MISSING:
            return MISSING
        hint = did_you_mean(value, values) or f"write one of {', '.join(values)}"
        return bad_value(ctx, node, path, f"{path[1] if path else 'the value'} cannot be {value!r}", hint)

    return decode


FORMS: dict[str, Decode] = {
    "duration": duration,
    "positive_duration": positive_duration,
    "api_duration": api_duration,
    "cores": quantity,
    "bytes": quantity,
    "port": port,
    "natural": natural,
    "opaque": opaque,
}
"""The decoders that `Form` markers of the models name."""
