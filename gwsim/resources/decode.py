"""From YAML nodes to the typed models: a decoder for each dataclass, derived from its type hints.

See `gwsim.resources.models.base` for how hints are read. A decoder reports every unknown, misspelt,
mistyped and missing field with its place, and goes on; a value that cannot be read is left at its
default, or takes its parent with it where it is required.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping as AbstractMapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from gwsim.diagnostics import Level, misspelling_of
from gwsim.resources import scalars
from gwsim.resources.context import ObjectContext, Path, path_text
from gwsim.resources.models.base import Form, Json, Resource
from gwsim.resources.not_modelled import NOT_MODELLED
from gwsim.resources.scalars import MISSING, Decode
from gwsim.resources.yaml_nodes import Mapping, Node, Scalar, Sequence, entries_of

_BASE_FIELDS = frozenset(f.name for f in dataclasses.fields(Resource))
_SCALARS: dict[Any, Decode] = {
    str: scalars.string,
    int: scalars.integer,
    float: scalars.number,
    bool: scalars.boolean,
    Any: scalars.opaque,
}


class FieldSpec(NamedTuple):
    """A field of a message: its attribute, its name in YAML, how it is read, and why it has no effect (or None)."""

    attribute: str
    name: str
    decode: Decode
    required: bool
    not_modelled: str | None


class Schema:
    """How one dataclass is read. `proto_names` says whether snake_case names are accepted, as for Istio's kinds."""

    def __init__(self, cls: type, proto_names: bool) -> None:
        self.cls = cls
        self.proto_names = proto_names
        self.fields = tuple(_field_specs(cls, proto_names))
        self.by_name: dict[str, FieldSpec] = {spec.name: spec for spec in self.fields}
        self.other: frozenset[str] = getattr(cls, "other_fields", frozenset())
        self.required = tuple(spec for spec in self.fields if spec.required)
        self.slips: dict[str, str | None] = {}
        if proto_names:
            for spec in self.fields:
                self.by_name.setdefault(snake(spec.name), spec)

    def misspelt(self, name: str) -> str | None:
        """The field that an unknown name is a slip of, or None."""
        if name not in self.slips:
            known = [spec.name for spec in self.fields] + sorted(self.other - {"*"})
            self.slips[name] = misspelling_of(name, known)
        return self.slips[name]


def camel(name: str) -> str:
    """`per_try_timeout` as `perTryTimeout`."""
    first, *rest = name.strip("_").split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def snake(name: str) -> str:
    """`http1MaxPendingRequests` as `http1_max_pending_requests`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _field_specs(cls: type, proto_names: bool) -> list[FieldSpec]:
    hints = get_type_hints(cls, include_extras=True)
    specs = []
    for field in dataclasses.fields(cls):
        if field.name in _BASE_FIELDS and issubclass(cls, Resource):
            continue
        hint, name, suffix = hints[field.name], None, ""
        for marker in _markers(hint):
            if isinstance(marker, Json):
                name = marker.name
            elif isinstance(marker, Form):
                suffix = marker.suffix
        name = name or camel(field.name.removesuffix(suffix))
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        reason = NOT_MODELLED.get(f"{cls.__name__}.{name}")
        specs.append(FieldSpec(field.name, name, _decoder(hint, proto_names), required, reason))
    return specs


def _markers(hint: Any) -> list[Any]:
    """The markers of a hint, those inside `X | None` too; of a container only its own."""
    found: list[Any] = []
    if get_origin(hint) is Annotated:
        found += hint.__metadata__
        found += _markers(hint.__origin__)
    elif get_origin(hint) in (Union, types.UnionType):
        for part in get_args(hint):
            found += _markers(part)
    return found


def _decoder(hint: Any, proto_names: bool) -> Decode:
    """The decoder of a type hint."""
    for marker in _markers(hint):
        if isinstance(marker, Form):
            return scalars.FORMS[marker.name]
    if get_origin(hint) is Annotated:
        return _decoder(hint.__origin__, proto_names)
    if get_origin(hint) in (Union, types.UnionType):
        parts = [part for part in get_args(hint) if part is not type(None)]
        if len(parts) == 1:
            return _decoder(parts[0], proto_names)
        if parts == [int, str]:
            return scalars.int_or_string
        raise TypeError(f"no decoder for {hint}")
    if get_origin(hint) is tuple:
        return _list_decoder(_decoder(get_args(hint)[0], proto_names))
    if get_origin(hint) is AbstractMapping:
        return _map_decoder(_decoder(get_args(hint)[1], proto_names))
    if get_origin(hint) is Literal:
        return scalars.enumeration(get_args(hint))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _message_decoder(hint, proto_names)
    return _SCALARS[hint]


def _message_decoder(cls: type, proto_names: bool) -> Decode:
    def decode(ctx: ObjectContext, node: Node, path: Path) -> Any:
        values = decode_fields(schema_of(cls, proto_names), ctx, node, path)
        return MISSING if values is None else cls(**values)

    return decode


def _list_decoder(item: Decode) -> Decode:
    def decode(ctx: ObjectContext, node: Node, path: Path) -> Any:
        if not isinstance(node, Sequence):
            return scalars.wrong_type(ctx, node, path, "a list", "begin each item with a dash")
        values = []
        for index, child in enumerate(node.items):
            if isinstance(child, Scalar) and child.is_null:
                value = scalars.wrong_type(ctx, child, (path, index), "filled in")
            else:
                value = item(ctx, child, (path, index))
            if value is MISSING:
                ctx.incomplete_lists.add(path_text(path))
            else:
                values.append(value)
        return tuple(values)

    return decode


def _map_decoder(item: Decode) -> Decode:
    def decode(ctx: ObjectContext, node: Node, path: Path) -> Any:
        if not isinstance(node, Mapping):
            return scalars.wrong_type(ctx, node, path, "a mapping")
        values = {}
        for key, child in entries_of(node):
            if isinstance(child, Scalar) and child.is_null and item is scalars.string:
                # `label:` with nothing after it is the empty string to the API server.
                values[key.value] = ""
                continue
            value = item(ctx, child, (path, key.value))
            if value is not MISSING:
                values[key.value] = value
        return values

    return decode


@cache
def schema_of(cls: type, proto_names: bool) -> Schema:
    """The schema of a model class, made once."""
    return Schema(cls, proto_names)


def decode_fields(schema: Schema, ctx: ObjectContext, node: Node, path: Path) -> dict[str, Any] | None:
    """The values of a message by attribute; None when it is no mapping or lacks a required field."""
    if not isinstance(node, Mapping):
        scalars.wrong_type(ctx, node, path, "a mapping")
        return None
    values: dict[str, Any] = {}
    seen: set[str] = set()
    for key, child in entries_of(node):
        spec = schema.by_name.get(key.value)
        if spec is None:
            if key.value not in schema.other and "*" not in schema.other:
                report_unknown(key, ctx, path, schema.misspelt(key.value), "Istio 1.30" if schema.proto_names else "Kubernetes")
            continue
        if isinstance(child, Scalar) and child.is_null:
            continue
        seen.add(spec.attribute)
        if spec.not_modelled:
            _report_not_modelled(ctx, spec, key, path)
        value = spec.decode(ctx, child, (path, spec.name))
        if value is not MISSING:
            values[spec.attribute] = value
    complete = True
    for spec in schema.required:
        if spec.attribute not in values:
            complete = False
            if spec.attribute not in seen:
                ctx.report("MISSING_FIELD", f"{spec.name} is missing", node, (path, spec.name))
    return values if complete else None


def _report_not_modelled(ctx: ObjectContext, spec: FieldSpec, key: Node, path: Path) -> None:
    ctx.report("NOT_MODELLED", f"{spec.name} has no effect in the model: {spec.not_modelled}", key, (path, spec.name))


def report_unknown(key: Scalar, ctx: ObjectContext, path: Path, slip: str | None, schema_name: str) -> None:
    """Report an unknown field: an error when it is a slip of a known one, else a warning, or as asked for."""
    name = key.value
    if slip:
        ctx.report("MISSPELT_FIELD", f"there is no field {name}", key, (path, name), f"did you mean {slip}?")
        return
    # A line below 0 is an override's: there, a field that is not known is a mistake of the command line.
    level = Level.ERROR if ctx.unknown_fields == "error" or key.line < 0 else Level.WARNING
    ctx.report("UNKNOWN_FIELD", f"{name} is not in the {schema_name} schema known here", key, (path, name), level=level)
