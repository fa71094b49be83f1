"""Text to SI units and back: durations, rates, sizes, Kubernetes quantities and shares.

Every parser takes text or a plain number (already in the unit of the result), returns a finite float
in the unit its name ends in, and raises ValueError with a message that says what is wrong and what
would be right. Every formatter writes for people, in three significant figures unless told otherwise.
"""

from __future__ import annotations

import math
import re

_NUMBER = r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?"

_DURATION_UNITS_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
# Times of a thousand are divided rather than multiplied, so that "350us" is the float 350e-6 exactly.
_DURATION_DIVISORS = {"ns": 1e9, "us": 1e6, "µs": 1e6, "μs": 1e6, "ms": 1e3}
_DURATION_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d)")

_RATE = re.compile(rf"({_NUMBER})\s*([kKMG]?)\s*(rps|/s|/sec|/m|/min|/h|per second|per minute|per hour)?")
_RATE_PERIOD_S = {"/m": 60.0, "/min": 60.0, "per minute": 60.0, "/h": 3600.0, "per hour": 3600.0}
_SI = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60}
_SIZE = re.compile(rf"({_NUMBER})\s*(Ki|Mi|Gi|Ti|Pi|Ei|[kKMGTPE]?)(B?)")
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]+)|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE])?)")
_QUANTITY_DIVISORS = {"n": 1e9, "u": 1e6, "m": 1e3}
_PERCENT = re.compile(rf"([+-]?(?:{_NUMBER}))\s*%")


def _number(value: object, what: str, example: str) -> float | None:
    """The value as a finite float when it is a number or the text of one; None when it is other text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} is not a {what}; write e.g. {example}")
    if isinstance(value, str):
        return None
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a {what}: it must be finite; write e.g. {example}")
    return number


def _finite(number: float, text: object, what: str) -> float:
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a {what}: it is too large")
    return number


def parse_go_duration_s(text: str) -> float:
    """A Go duration (`1.5s`, `1h30m`, `250ms`, `0`) as seconds, read as Go reads it: no unit is no duration.

    Source modelled: Go's time.ParseDuration, which Istio's and Kubernetes' fields are read with.
    """
    body = text[1:] if text[:1] in {"-", "+"} else text
    total, end = 0.0, 0
    for part in _DURATION_PART.finditer(body):
        if part.start() != end or part[2] == "d":
            break
        end = part.end()
        total += _duration_part_s(part)
    if body == "0":
        return 0.0
    if not end or end != len(body):
        raise ValueError(f"{text!r} is not a duration; write e.g. 250ms, 1.5s, 2m")
    return _finite(-total if text[0] == "-" else total, text, "duration")


def _duration_part_s(part: re.Match[str]) -> float:
    number, unit = float(part[1]), part[2]
    if unit in _DURATION_DIVISORS:
        return number / _DURATION_DIVISORS[unit]
    return number * _DURATION_UNITS_S[unit]


def parse_duration_s(value: str | int | float) -> float:
    """A duration in seconds, from Go text (`1.5s`, `1h30m`, `250ms`, `350us`; also `2d`) or a number of seconds.

    Negative durations are refused.
    """
    examples = "250ms, 1.5s, 2m"
    number = _number(value, "duration", examples)
    if number is None:
        text = str(value).strip()
        plain = re.fullmatch(rf"[+-]?(?:{_NUMBER})", text)
        if plain:
            number = float(text)
        else:
            total, end = 0.0, 0
            for part in _DURATION_PART.finditer(text):
                if part.start() != end:
                    break
                total, end = total + _duration_part_s(part), part.end()
            if not end or end != len(text):
                if text.startswith("-"):
                    raise ValueError(f"{value!r} is negative; a duration is at least 0s")
                raise ValueError(f"{value!r} is not a duration; write e.g. {examples}")
            number = total
    if number < 0:
        raise ValueError(f"{value!r} is negative; a duration is at least 0s")
    return _finite(number, value, "duration")


def parse_rate_rps(value: str | int | float) -> float:
    """A rate in requests per second: `2000rps`, `2krps`, `1.5krps`, `5k`, `100/s`, `600/min`, or a number."""
    examples = "2000rps, 2krps, 100/s"
    number = _number(value, "rate", examples)
    if number is None:
        match = _RATE.fullmatch(str(value).strip())
        if not match:
            if str(value).strip().startswith("-"):
                raise ValueError(f"{value!r} is negative; a rate is at least 0rps")
            raise ValueError(f"{value!r} is not a rate; write e.g. {examples}")
        number = float(match[1]) * _SI[match[2]] / _RATE_PERIOD_S.get(match[3] or "", 1.0)
    if number < 0:
        raise ValueError(f"{value!r} is negative; a rate is at least 0rps")
    return _finite(number, value, "rate")


def parse_bytes(value: str | int | float) -> float:
    """A size in bytes: `600B`, `1KB` (1000), `1KiB` or `1Ki` (1024), `1.5MB`, or a number of bytes."""
    examples = "600B, 64KiB, 1.5MB"
    number = _number(value, "size", examples)
    if number is None:
        match = _SIZE.fullmatch(str(value).strip())
        if not match:
            if str(value).strip().startswith("-"):
                raise ValueError(f"{value!r} is negative; a size is at least 0B")
            raise ValueError(f"{value!r} is not a size; write e.g. {examples}")
        factor = _BINARY.get(match[2]) or _SI[match[2]]
        number = float(match[1]) * factor
    if number < 0:
        raise ValueError(f"{value!r} is negative; a size is at least 0B")
    return _finite(number, value, "size")


def parse_quantity(value: str | int | float) -> float:
    """A Kubernetes quantity in its base unit (cores, bytes): `100m` is 0.1, `128Mi` is 134217728, `2`, `1e3`.

    Source modelled: Kubernetes API reference, Quantity. Suffixes are case-sensitive there: `m` is milli,
    `M` mega, `k` kilo, and `K` or `KB` do not exist.
    """
    examples = "100m, 2, 128Mi"
    number = _number(value, "quantity", examples)
    if number is not None:
        return number
    text = str(value)
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError(f"{value!r} is not a Kubernetes quantity; write e.g. {examples}")
    mantissa, exponent, suffix = match.groups()
    if exponent:
        return _finite(float(mantissa + exponent), value, "quantity")
    if suffix in _QUANTITY_DIVISORS:
        return float(mantissa) / _QUANTITY_DIVISORS[suffix]
    return _finite(float(mantissa) * (_BINARY.get(suffix or "") or _SI[suffix or ""]), value, "quantity")


def parse_share(value: str | int | float) -> float:
    """A share, 0 to 1: `40%` and `0.4` and 0.4 are all 0.4. A number above 1 needs its percent sign."""
    examples = "40% or 0.4"
    number = _number(value, "share", examples)
    percent = None
    if number is None:
        text = str(value).strip()
        percent = _PERCENT.fullmatch(text)
        if percent:
            number = float(percent[1]) / 100.0
        elif re.fullmatch(rf"[+-]?(?:{_NUMBER})", text):
            number = float(text)
        else:
            raise ValueError(f"{value!r} is not a share; write e.g. {examples}")
    if not 0.0 <= number <= 1.0:
        hint = f"; write {value}% if percent is meant" if not percent and 1.0 < number <= 100.0 else ""
        raise ValueError(f"{value!r} is not between 0 and 1 (0% and 100%){hint}")
    return number


def _figures(number: float, digits: int) -> str:
    """`number` in `digits` significant figures, without an exponent and without trailing zeros."""
    if number == 0:
        return "0"
    rounded = float(f"{number:.{digits - 1}e}")
    decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
    text = f"{rounded:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scaled(number: float, steps: tuple[tuple[float, str], ...], digits: int) -> str:
    """`number` in the largest of the units (given from large to small) in which it is at least 1."""
    for size, unit in steps:
        # Rounded first: 999.96 ms is shown as 1 s, never as 1000 ms.
        if float(f"{abs(number) / size:.{digits - 1}e}") >= 1.0:
            return f"{_figures(number / size, digits)} {unit}"
    size, unit = steps[-1]
    return f"{_figures(number / size, digits)} {unit}"


def format_duration_s(seconds: float, digits: int = 3) -> str:
    """0.0123 is `12.3 ms`. Above two minutes minutes are used, above two hours hours."""
    if not math.isfinite(seconds):
        return _not_finite(seconds)
    if seconds == 0:
        return "0 s"
    if abs(seconds) >= 7200.0:
        return f"{_figures(seconds / 3600.0, digits)} h"
    if abs(seconds) >= 120.0:
        return f"{_figures(seconds / 60.0, digits)} min"
    return _scaled(seconds, ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")), digits)


def format_rate_rps(rps: float, digits: int = 3) -> str:
    """2000.0 is `2 krps`, 150 is `150 rps`."""
    if not math.isfinite(rps):
        return _not_finite(rps)
    if rps == 0:
        return "0 rps"
    return _scaled(rps, ((1e6, "Mrps"), (1e3, "krps"), (1.0, "rps")), digits)


def format_bytes(size_bytes: float, digits: int = 3) -> str:
    """1536 is `1.5 KiB`."""
    if not math.isfinite(size_bytes):
        return _not_finite(size_bytes)
    if size_bytes == 0:
        return "0 B"
    steps = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
    return _scaled(size_bytes, steps, digits)


def format_cores(cores: float, digits: int = 3) -> str:
    """0.1 is `100m`, 1.5 is `1.5`: as Kubernetes writes CPU."""
    if not math.isfinite(cores):
        return _not_finite(cores)
    return f"{_figures(cores * 1000.0, digits)}m" if 0 < abs(cores) < 1 else _figures(cores, digits)


def format_share(share: float, digits: int = 3) -> str:
    """0.4 is `40 %`."""
    return f"{_figures(share * 100.0, digits)} %" if math.isfinite(share) else _not_finite(share)


def _not_finite(number: float) -> str:
    if math.isnan(number):
        return "undefined"
    return "infinite" if number > 0 else "-infinite"


def duration_text(seconds: float) -> str:
    """Seconds as Go writes a duration, exactly: `parse_duration_s(duration_text(x)) == x` for any x >= 0.

    The shortest unit in which the number stays exact is used: 0.25 is `250ms`, 90.0 is `90s`.

    Raises ValueError for a negative or infinite number.
    """
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{seconds!r} is not a duration; a duration is finite and at least 0")
    if seconds >= 1 or seconds == 0:
        return f"{_plain(seconds)}s"
    for unit in ("ms", "us", "ns"):
        divisor = _DURATION_DIVISORS[unit]
        scaled = seconds * divisor
        if scaled >= 1 and scaled == round(scaled) and scaled / divisor == seconds:
            return f"{_plain(scaled)}{unit}"
    return f"{_plain(seconds)}s"


def _plain(number: float) -> str:
    """The shortest decimal text that reads back as the same float, without an exponent."""
    from decimal import Decimal

    text = format(Decimal(repr(number)), "f")
    return text[:-2] if text.endswith(".0") else text
