"""Every field of every kind that gwsim reads, taken from the models that the reader decodes into."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from gwsim.resources.decode import schema_of
from gwsim.resources.kinds import KINDS, Kind
from gwsim.resources.not_modelled import WITHOUT_EFFECT
from gwsim.resources.objects import _WrittenMeta

Pair = tuple[str, str]
"""A message (its class) and a field of it: `("HTTPRoute", "timeout")`. Covered once, it is covered everywhere."""

METADATA = "metadata"
_STEP = re.compile(r"\.?([A-Za-z0-9_]+)|\[(\d*)\]|\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Field:
    """A place in a kind: `path` from `spec` down, the pairs on the way to it, and why it is without effect."""

    kind: str
    path: str
    pairs: tuple[Pair, ...]
    reason: str | None
    message: type | None

    @property
    def pair(self) -> Pair:
        """The message and field it is an occurrence of."""
        return self.pairs[-1]

    @property
    def name(self) -> str:
        """`Kind.spec.path`."""
        if self.kind in (METADATA, "Secret"):
            return f"{self.kind}.{self.path}"
        return ".".join(part for part in (self.kind, KINDS_BY_NAME[self.kind].root, self.path) if part)


def kinds() -> dict[str, Kind]:
    """The kinds by name; those of a second API group are named `Kind.group`."""
    named: dict[str, Kind] = {}
    for kind in KINDS.values():
        known = named.get(kind.name)
        if known is None:
            named[kind.name] = kind
        elif known.spec is not kind.spec:
            named[f"{kind.name}.{kind.group}"] = kind
    return named


KINDS_BY_NAME = kinds()


def all_fields() -> list[Field]:
    """Every occurrence of every field, kind by kind, in the order of the models."""
    found = [*_walk(METADATA, _WrittenMeta, False, "", (), None)]
    for name, kind in kinds().items():
        if kind.name == "Secret":  # Decoded by hand, so that nothing secret is kept.
            found += [Field(name, one, ((name, one),), WITHOUT_EFFECT.get(f"{name}.{one}"), None) for one in kind.root_fields]
        else:
            found += _walk(name, kind.spec, kind.proto_names, "", (), None)
    return found


def _walk(
    kind: str, cls: type, proto: bool, prefix: str, above: tuple[Pair, ...], reason: str | None
) -> Iterator[Field]:
    hints = get_type_hints(cls, include_extras=True)
    for spec in schema_of(cls, proto).fields:
        message, shape = _message(hints[spec.attribute])
        own = reason or spec.not_modelled or WITHOUT_EFFECT.get(f"{cls.__name__}.{spec.name}")
        pairs = (*above, (cls.__name__, spec.name))
        field = Field(kind, f"{prefix}{spec.name}", pairs, own, message)
        yield field
        if message is not None:
            yield from _walk(kind, message, proto, f"{field.path}{shape}.", pairs, own)


def _message(hint: Any) -> tuple[type | None, str]:
    """The message class of a hint, and whether it comes in a list (`[]`) or a map (`{}`)."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return hint, ""
    origin = getattr(hint, "__origin__", None)
    for argument in get_args(hint):
        if isinstance(argument, str | int):
            continue
        message, shape = _message(argument)
        if message is not None:
            if origin is tuple:
                shape = "[]"
            elif origin is not None and getattr(origin, "__name__", "") == "Mapping":
                shape = "{}"
            return message, shape
    return None, ""


def steps_of(path: str) -> list[str | int]:
    """A row's path as steps: `http[].match[1].headers{x-user}.exact`; an empty index is 0."""
    steps: list[str | int] = []
    end = 0
    for found in _STEP.finditer(path):
        if found.start() != end:
            break
        name, index, key = found.groups()
        steps.append(name if name is not None else key if key is not None else int(index or 0))
        end = found.end()
    if end != len(path):
        raise ValueError(f"{path!r} is not a path; write e.g. http[].match[].headers{{x-user}}.exact")
    return steps


def general(path: str) -> str:
    """The path without its indexes and keys, as in `Field.path`; below an opaque or plain map it ends there."""
    return re.sub(r"\{[^}]*\}", "{}", re.sub(r"\[\d*\]", "[]", path))
