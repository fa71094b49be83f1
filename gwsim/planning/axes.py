"""What is varied: one path of the scenario (or of an object), and the values it takes.

    clients.web.arrivals.poisson=1krps..20krps:20        twenty values, evenly spaced
    clients.web.arrivals.poisson=1krps..16krps:5:log     each a constant factor above the last
    gateways.istio-ingressgateway.replicas=1..8          whole numbers, one by one
    DestinationRule/shop/cart:spec.trafficPolicy.loadBalancer.simple=ROUND_ROBIN,LEAST_REQUEST

Several axes span a grid; the last one varies fastest.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gwsim.errors import UsageError
from gwsim.units import parse_duration_s, parse_quantity, parse_rate_rps

MOST_POINTS = 100_000
_RANGE = re.compile(r"(?P<low>[^.\s].*?)\.\.(?P<high>[^.].*?)(?::(?P<count>\d+)(?P<log>:log)?)?")
_WHOLE = re.compile(r"-?\d+")

Parser = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Value:
    """A value of an axis: its text in a setting, and its number where it has one (SI units)."""

    text: str
    number: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A path and its values, in the order given; `unit` is that of the numbers, empty for plain ones."""

    path: str
    values: tuple[Value, ...]
    unit: str = ""

    @property
    def numeric(self) -> bool:
        """Whether every value is a number."""
        return all(value.number is not None for value in self.values)

    @property
    def settings(self) -> tuple[str, ...]:
        """The values as settings of `--set`."""
        return tuple(f"{self.path}={value.text}" for value in self.values)

    @property
    def label(self) -> str:
        """The end of the path: what a table calls it."""
        tail = self.path.rpartition(":")[2].split(".")
        return ".".join(tail[-2:])


def parse_axis(text: str) -> Axis:
    """An axis from `path=values`; UsageError, with what would be right, for anything else."""
    path, sign, values = text.partition("=")
    if not sign or not path.strip() or not values.strip():
        raise UsageError(f"cannot vary {text!r}; write e.g. clients.web.arrivals.poisson=1krps..20krps:20")
    match = _RANGE.fullmatch(values.strip())
    if match is None:
        listed = tuple(_value(part) for part in _split(values))
        return Axis(path=path.strip(), values=listed, unit=_unit_of(listed))
    return _span(path.strip(), match)


def _split(text: str) -> list[str]:
    """Values between commas that are outside of brackets and quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{(":
            depth += 1
        elif letter in "]})":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    found = [part.strip() for part in parts]
    if not all(found):
        raise UsageError(f"there is an empty value between the commas of {text!r}")
    return found


def _value(text: str) -> Value:
    for unit in _UNITS:
        number = _read(text, unit)
        if number is not None:
            return Value(text, number)
    return Value(text)


def _unit_of(values: Sequence[Value]) -> str:
    units = {next((unit for unit in _UNITS if _read(value.text, unit) is not None), None) for value in values}
    return units.pop() or "" if len(units) == 1 else ""


_UNITS: dict[str, tuple[re.Pattern[str], Parser]] = {
    "": (re.compile(r"-?\d+(?:\.\d+)?"), float),
    "rps": (re.compile(r"[\d.]+\s*[kKMG]?(?:rps|/s|/sec|/m|/min|/h)"), parse_rate_rps),
    "s": (re.compile(r"(?:[\d.]+(?:ns|us|µs|ms|s|m|h|d))+"), parse_duration_s),
    "%": (re.compile(r"[\d.]+\s*%"), lambda text: float(text.rstrip("% ")) / 100.0),
    "quantity": (re.compile(r"[\d.]+(?:[num]|[kMGTPE]i?|Ki)"), parse_quantity),
}
"""The units in the order they are tried; `2m` is a duration, as in the scenario file."""


def _read(text: str, unit: str) -> float | None:
    pattern, parser = _UNITS[unit]
    if not pattern.fullmatch(text.strip()):
        return None
    try:
        return parser(text.strip())
    except ValueError:
        return None


def numbers_of(texts: Sequence[str]) -> tuple[str, list[float]] | None:
    """The unit that all texts share, and their numbers (SI units); None where there is none."""
    for unit in _UNITS:
        read = [_read(text, unit) for text in texts]
        numbers = [one for one in read if one is not None]
        if len(numbers) == len(read):
            return unit, numbers
    return None


def _span(path: str, match: re.Match[str]) -> Axis:
    """The values from `low` to `high`."""
    low_text, high_text = match["low"].strip(), match["high"].strip()
    found = numbers_of((low_text, high_text))
    if found is None:
        raise UsageError(f"{match[0]!r} is no range: both ends need the same kind of unit, e.g. 1krps..20krps:20 or 1..8")
    unit, (low, high) = found
    whole = unit == "" and bool(_WHOLE.fullmatch(low_text) and _WHOLE.fullmatch(high_text))
    if match["count"] is None:
        if not whole:
            raise UsageError(f"{match[0]!r} does not say how many values; write e.g. {match[0]}:10")
        count = abs(round(high - low)) + 1
    else:
        count = int(match["count"])
    if not 1 <= count <= MOST_POINTS:
        raise UsageError(f"{match[0]!r}: the number of values must be 1 to {MOST_POINTS}")
    numbers = _spaced(low, high, count, bool(match["log"]), match[0])
    if whole:
        numbers = [float(number) for number in dict.fromkeys(round(number) for number in numbers)]
    return Axis(path=path, values=tuple(Value(write_number(number, unit), number) for number in numbers), unit=unit)


def _spaced(low: float, high: float, count: int, log: bool, text: str) -> list[float]:
    if count == 1:
        return [low]
    if not log:
        return [low + (high - low) * k / (count - 1) for k in range(count)]
    if low <= 0 or high <= 0:
        raise UsageError(f"{text!r}: logarithmic values must be above zero")
    return [low * (high / low) ** (k / (count - 1)) for k in range(count)]


def write_number(number: float, unit: str) -> str:
    """The text of a value in a setting; twelve figures are more than any setting needs."""
    short = f"{number:.12g}"
    if unit == "%":
        return f"{number * 100:.12g}%"
    return short if unit in ("", "quantity") else f"{short}{unit}"


FORECAST_POINTS = 5


def parse_loads(text: str) -> list[float]:
    """Loads in rps from `8krps`, `5k,10k` or a forecast `5k..20k[:N]`, in even factors and rounded to three figures.

    Raises UsageError for anything else.
    """
    ends, colon, rest = text.partition(":")
    # a load can be nothing else than a rate
    with_unit = re.sub(r"(\d[\d.]*[kKMG]?)(?=$|,|\.\.)", r"\1rps", ends)
    if ".." in ends and not colon:
        colon, rest = ":", f"{FORECAST_POINTS}:log"
    axis = parse_axis(f"load={with_unit}{colon}{rest}")
    if axis.unit != "rps" or any(not value.number or value.number <= 0 for value in axis.values):
        raise UsageError(f"{text} is no load; write e.g. 8krps or 5krps..20krps")
    return [float(f"{value.number:.3g}") for value in axis.values if value.number]


def grid(axes: Sequence[Axis]) -> tuple[tuple[Value, ...], ...]:
    """Every combination of values, the last axis varying fastest; UsageError where there are too many."""
    total = 1
    for axis in axes:
        total *= len(axis.values)
    if total > MOST_POINTS:
        raise UsageError(f"the axes span {total:,} points; at most {MOST_POINTS:,} are run")
    return tuple(itertools.product(*(axis.values for axis in axes)))


__all__ = ["MOST_POINTS", "Axis", "Value", "grid", "numbers_of", "parse_axis", "parse_loads", "write_number"]
