"""What a field of a kind is: its type, its default, whether the model follows it; for `gwsim explain`.

Everything comes from the models that the reader decodes into, so nothing here can fall behind them; only the notes
on what Istio does (`field_notes`) and the list of fields that only route choice follows are written beside.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from gwsim.diagnostics import nearest
from gwsim.resources.decode import FieldSpec, schema_of
from gwsim.resources.field_notes import NOTES
from gwsim.resources.kinds import KINDS, Kind
from gwsim.resources.models.base import Form
from gwsim.resources.not_modelled import NOT_MODELLED, WITHOUT_EFFECT

MODELLED, DECISION, NOT, NONE = "modelled", "decision only", "not modelled", "without effect"
_FORMS = {
    "duration": "duration (1.5s, 100ms)", "positive_duration": "duration above 0 (1.5s, 100ms)", "cores": "CPU quantity (500m, 2)",
    "bytes": "size (128Mi)", "port": "port number", "natural": "whole number from 0", "opaque": "any",
}  # fmt: skip
_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any"}


@dataclass(frozen=True, slots=True)
class FieldDoc:
    """A field. `path` is as a user writes it; `fields` are those of the message it holds."""

    path: str
    message: str
    type: str
    required: bool
    default: str
    about: str
    """What it is, and what Istio does with it."""
    status: str
    reason: str
    fields: tuple[str, ...] = ()


class NoSuchField(Exception):
    """The path names no field; `known` are the names where it ends, `near` the path that was probably meant."""

    def __init__(self, path: str, near: str | None, known: tuple[str, ...]) -> None:
        super().__init__(path)
        self.path, self.near, self.known = path, near, known


def kinds() -> dict[str, Kind]:
    """Kinds by name; of two API groups with the same name the one of Istio comes first."""
    named: dict[str, Kind] = {}
    for kind in sorted(KINDS.values(), key=lambda one: not one.is_istio):
        named.setdefault(kind.name, kind)
        named.setdefault(f"{kind.group}/{kind.name}", kind)
    return named


def field_doc(path: str) -> FieldDoc:
    """The field of `Kind.spec.path`; `spec` and indices may be left out. Raises NoSuchField with what is near."""
    head, _, rest = path.partition(".")
    if "/" in path:
        group, slash, after = path.partition("/")
        name, _, rest = after.partition(".")
        head = f"{group}{slash}{name}"
    known = kinds()
    kind = known.get(head)
    if kind is None:
        kind_name = nearest(head, [name for name in known if "/" not in name])
        near = f"{kind_name}.{rest}".rstrip(".") if kind_name else None
        raise NoSuchField(path, near, tuple(sorted(name for name in known if "/" not in name)))
    names = [one for one in re.sub(r"\[[^\]]*\]|\{[^}]*\}", "", rest).split(".") if one]
    if names and names[0] == "spec":
        del names[0]
    return _walk(kind, head, names, path)


def _walk(kind: Kind, head: str, names: list[str], asked: str) -> FieldDoc:
    message: type = kind.spec
    walked, reason, status = f"{head}.spec", "", MODELLED
    doc = FieldDoc(walked, message.__name__, "mapping", True, "", _about(message), MODELLED, "", _names(message, kind))
    at = 0
    while at < len(names):
        spec, used = _find(message, kind, names[at:])
        if spec is None:
            return _missing(kind, head, message, names, at, asked)
        pair = f"{message.__name__}.{spec.name}"
        own, why = _status(pair)
        if own != MODELLED and status == MODELLED:
            status, reason = own, why
        hint = get_type_hints(message, include_extras=True)[spec.attribute]
        inner, shape = _message_of(hint)
        walked = f"{walked}.{spec.name}"
        doc = FieldDoc(
            path=walked + shape,
            message=message.__name__,
            type=_type(hint),
            required=spec.required,
            default=_default(message, spec),
            about=NOTES.get(pair) or (_about(inner) if inner is not None else ""),
            status=status,
            reason=reason,
            fields=_names(inner, kind) if inner is not None else (),
        )
        at += used
        if at < len(names) and inner is None:
            if shape or _is_map(hint):
                return doc  # A key of a plain map.
            return _missing(kind, head, message, names, at, asked)
        if at < len(names) and inner is not None:
            message = inner
            if shape == "{}" and _find(inner, kind, names[at:])[0] is None:
                at += 1  # The key of a map of messages.
    return doc


def _missing(kind: Kind, head: str, message: type, names: list[str], at: int, asked: str) -> FieldDoc:
    known = _names(message, kind)
    best = nearest(names[at], known)
    near = ".".join([head, "spec", *names[:at], best, *names[at + 1 :]]) if best else None
    raise NoSuchField(asked, near, known)


def _find(message: type, kind: Kind, names: list[str]) -> tuple[FieldSpec | None, int]:
    return schema_of(message, kind.is_istio).by_name.get(names[0]), 1


def _names(message: type, kind: Kind) -> tuple[str, ...]:
    return tuple(spec.name for spec in schema_of(message, kind.is_istio).fields)


def _about(message: type) -> str:
    text = (message.__doc__ or "").strip()
    return re.sub(r"\s+", " ", text)


def _status(pair: str) -> tuple[str, str]:
    if pair in WITHOUT_EFFECT:
        return NONE, WITHOUT_EFFECT[pair]
    if pair in NOT_MODELLED:
        return (DECISION if pair in _decision_only() else NOT), NOT_MODELLED[pair]
    return MODELLED, ""


@cache
def _decision_only() -> frozenset[str]:
    """Fields that route choice follows and the engines leave out; written by `python -m tests.fields`."""
    return frozenset(json.loads(files("gwsim").joinpath("resources", "decision_only.json").read_text("utf-8")))


def _unwrapped(hint: Any) -> Any:
    """The hint without `| None` and markers."""
    if get_origin(hint) is Annotated:
        return _unwrapped(hint.__origin__)
    if get_origin(hint) in (Union, types.UnionType):
        parts = [part for part in get_args(hint) if part is not type(None)]
        return _unwrapped(parts[0]) if len(parts) == 1 else hint
    return hint


def _message_of(hint: Any) -> tuple[type | None, str]:
    hint = _unwrapped(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint, ""
    if get_origin(hint) is tuple:
        return _message_of(get_args(hint)[0])[0], "[]"
    if _is_map(hint):
        return _message_of(get_args(hint)[1])[0], "{}"
    return None, ""


def _is_map(hint: Any) -> bool:
    origin = get_origin(_unwrapped(hint))
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _type(hint: Any) -> str:
    form = _form(hint)
    if form:
        return _FORMS.get(form, form)
    hint = _unwrapped(hint)
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(str(one) for one in get_args(hint))
    if get_origin(hint) is tuple:
        return f"list of {_type(get_args(hint)[0])}"
    if _is_map(hint):
        return f"mapping of text to {_type(get_args(hint)[1])}"
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint.__name__
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_type(part) for part in get_args(hint) if part is not type(None))
    return _PLAIN.get(hint, getattr(hint, "__name__", str(hint)))


def _form(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        for marker in hint.__metadata__:
            if isinstance(marker, Form):
                return marker.name
        return _form(hint.__origin__)
    if get_origin(hint) in (Union, types.UnionType):
        return next((form for form in map(_form, get_args(hint)) if form), "")
    return ""


def _default(message: type, spec: FieldSpec) -> str:
    found = next(one for one in dataclasses.fields(message) if one.name == spec.attribute)
    if found.default is dataclasses.MISSING:
        return "" if found.default_factory is dataclasses.MISSING else "empty"
    if found.default in (None, (), ""):
        return "unset" if found.default is None else "empty"
    return str(found.default).lower() if isinstance(found.default, bool) else str(found.default)
