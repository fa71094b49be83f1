"""What all parts of the scenario file share: the base model and the types of values with units.

Values are written for people (`250ms`, `2000rps`, `40%`, `64KiB`) and are floats in SI units once read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

from gwsim.units import parse_bytes, parse_duration_s, parse_rate_rps, parse_share


class FileModel(BaseModel):
    """A mapping of the scenario file: immutable, every field known."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Choice(FileModel):
    """A mapping of which exactly one field is given, and the field's name says what kind of thing it is."""

    @property
    def chosen(self) -> str:
        """The name of the field that is given."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)


def one_of(value: Any, names: tuple[str, ...], what: str) -> Any:
    """`value` if it is no mapping, or a mapping with exactly one of `names`; raises ValueError otherwise.

    Unknown names are left to be reported one by one, at their place.
    """
    if not isinstance(value, dict):
        return value
    given = [name for name in names if value.get(name) is not None]
    if len(given) > 1:
        raise ValueError(f"give one of {', '.join(given)}, not several")
    if not given and not set(value) - set(names):
        raise ValueError(f"{what} is empty; give one of {', '.join(names)}")
    return value


UNIT_KEY = "x-gwsim-type"
"""Key of the JSON Schema under which the kind of a value with a unit stands."""


def _schema(what: str, *examples: str) -> WithJsonSchema:
    description = f"{what}, e.g. {', '.join(examples)}"
    schema = {"type": ["string", "number"], "description": description, "examples": list(examples), UNIT_KEY: what}
    return WithJsonSchema(schema)


def above_zero(value: float) -> float:
    """The value; raises ValueError unless it is above 0."""
    if not value > 0:
        raise ValueError("it must be above 0")
    return value


def _read(parse: Callable[[Any], float]) -> BeforeValidator:
    return BeforeValidator(parse)


Duration = Annotated[float, _read(parse_duration_s), _schema("duration", "250ms", "1.5s", "2m")]
"""Seconds, at least 0."""
PositiveDuration = Annotated[
    float, _read(parse_duration_s), AfterValidator(above_zero), _schema("duration above 0", "250ms", "1.5s", "2m")
]
"""Seconds, above 0."""
Rate = Annotated[float, _read(parse_rate_rps), _schema("rate", "2000rps", "2krps", "600/min")]
"""Requests per second, at least 0."""
PositiveRate = Annotated[
    float, _read(parse_rate_rps), AfterValidator(above_zero), _schema("rate above 0", "2000rps", "2krps", "600/min")
]
"""Requests per second, above 0."""
Size = Annotated[float, _read(parse_bytes), _schema("size", "600B", "64KiB", "1.5MB")]
"""Bytes, at least 0."""
Share = Annotated[float, _read(parse_share), _schema("share", "40%", "0.4")]
"""Part of a whole, 0 to 1."""

Whole = Annotated[int, Strict(), Field(ge=0)]
"""Whole number, at least 0."""
Count = Annotated[int, Strict(), Field(ge=1)]
"""Whole number, at least 1."""
Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
"""Number of a TCP port."""
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""Plain number, at least 0."""
PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Plain number, above 0."""
