"""Cost profiles: every number gwsim charges for, with its unit, range, confidence and source.

A profile is a flat, immutable table from a dotted path (`worker.wakeup_us`) to a `Cost`. It is loaded from
YAML (`gwsim.costs.loading`), changed only by making a new one (`with_overrides`, `merge`, `with_speed`), and
turned into the floats an engine needs by `gwsim.costs.visits` and `gwsim.costs.environment`.

`speed` is how fast a machine is, relative to the reference of the shipped profile (one hardware thread of a
2.4-3.0 GHz cloud x86 server). CPU costs divide by it; network times, memory, prices and limits do not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from gwsim.diagnostics.nearest import nearest
from gwsim.errors import UsageError


class Visit(StrEnum):
    """The visits of a proxy worker a CPU cost can fall in."""

    READ = "read"
    """Downstream read: decode, filters, routing."""
    WRITE_UP = "write_up"
    """Armed write to the upstream."""
    READ_UP = "read_up"
    """Read of the response: encode filters, end of stream, statistics and access log."""
    WRITE_DOWN = "write_down"
    """Armed write to the client."""
    ACCEPT = "accept"
    """One accept of a listener."""
    CLIENT_HELLO = "client_hello"
    """Read of a ClientHello; the server's flight leaves at its end."""
    FINISHED = "finished"
    """Read of the client's Finished (and of its certificate, with mutual TLS)."""
    UP_CONNECTED = "up_connected"
    """An upstream connection is established; with TLS, its ClientHello is written."""
    UP_TLS = "up_tls"
    """Read of the upstream server's TLS flight."""
    TIMER = "timer"
    """Expiry of a timeout or of a back-off."""
    CLOSE = "close"
    """Read of a FIN or RST, of either side."""
    CALL_WRITE = "call_write"
    """Armed write of a filter's own call (ext_authz, rate limit service, mirror)."""
    CALL_READ = "call_read"
    """Read of the answer to a filter's own call."""


SI: Mapping[str, float] = MappingProxyType(
    {
        "us": 1e-6,
        "us_per_item": 1e-6,
        "us_per_s": 1e-6,
        "ns_per_byte": 1e-9,
        "ms": 1e-3,
        "s": 1.0,
        "MiB": 1048576.0,
        "KiB": 1024.0,
        "bytes": 1.0,
        "count": 1.0,
        "ratio": 1.0,
        "vcpu": 1.0,
        "usd_per_vcpu_hour": 1.0,
        "usd_per_hour": 1.0,
        "usd_per_gb": 1.0,
    }
)
"""Units a profile may use, and the factor to seconds, bytes or plain numbers."""

CPU_UNITS = frozenset({"us", "us_per_item", "us_per_s", "ns_per_byte"})
"""Units of CPU costs: those that `speed` divides. Times that are not CPU are in ms or s."""

CONFIDENCES = ("high", "medium", "low")
"""high: several sources within 30 %; medium: within a factor of two; low: one source, derived or judgement."""

Bound = Literal["low", "high"]


@dataclass(frozen=True, slots=True)
class Cost:
    """One number of a profile: `value` in `unit`, plausible between `low` and `high`, and where it is from."""

    value: float
    unit: str
    low: float
    high: float
    source: str
    confidence: str
    visit: Visit | None = None

    @property
    def is_cpu(self) -> bool:
        """Whether this is worker CPU, which a machine's speed changes."""
        return self.unit in CPU_UNITS

    @property
    def si(self) -> float:
        """The value in seconds, bytes, or the plain number, on the reference machine."""
        return self.value * SI[self.unit]

    @property
    def derived(self) -> bool:
        """Whether the number was derived, judged or common practice, not measured or published as it stands."""
        return self.source.startswith(("derived", "judgement", "split", "as ", "common practice"))

    def problem(self) -> str | None:
        """What is wrong with this cost, in words, or None."""
        if self.unit not in SI:
            return f"unknown unit {self.unit!r}{did_you_mean(self.unit, SI)}; known: {', '.join(SI)}"
        if self.confidence not in CONFIDENCES:
            return f"confidence must be one of {', '.join(CONFIDENCES)}, not {self.confidence!r}"
        if not all(map(math.isfinite, (self.value, self.low, self.high))) or self.low < 0:
            return "value and range must be finite and not negative"
        if not self.low <= self.value <= self.high:
            return f"value {self.value:g} lies outside its range [{self.low:g}, {self.high:g}]"
        if not self.source.strip():
            return "source must not be empty"
        return None


@dataclass(frozen=True)
class CostProfile:
    """An immutable table of costs.

    `calibrated` is False for the shipped profile: its answers are printed as ranges. `provenance` tells, in
    order, which files and changes made it.
    """

    name: str
    costs: Mapping[str, Cost]
    calibrated: bool = False
    speed: float = 1.0
    provenance: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "costs", MappingProxyType(dict(self.costs)))
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise UsageError(f"the machine speed must be a positive number, not {self.speed!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return CostProfile, (self.name, dict(self.costs), self.calibrated, self.speed, self.provenance)

    def __getitem__(self, path: str) -> Cost:
        """The cost at a dotted path; UsageError with the nearest match if there is none."""
        try:
            return self.costs[path]
        except KeyError:
            raise UsageError(f"unknown cost {path!r}{did_you_mean(path, self.costs)}") from None

    def si(self, path: str) -> float:
        """The value at a path in seconds, bytes or a plain number, on a machine of this profile's speed."""
        cost = self[path]
        return cost.si / self.speed if cost.is_cpu else cost.si

    def below(self, prefix: str) -> dict[str, Cost]:
        """All costs whose path starts with `prefix.`, keyed by the rest of the path."""
        start = prefix + "."
        return {path[len(start) :]: cost for path, cost in self.costs.items() if path.startswith(start)}

    def with_overrides(self, overrides: Mapping[str, float]) -> CostProfile:
        """A profile with some values replaced, each number in the unit its path already has.

        A replaced value is the caller's own knowledge: its range shrinks to it. Numbers are for the reference
        machine, `speed` still divides them. Raises UsageError for unknown paths (with the nearest match) and
        for values that are not finite numbers >= 0; all problems are reported together.
        """
        changed: dict[str, Cost] = {}
        problems: list[str] = []
        for path, value in overrides.items():
            if path not in self.costs:
                problems.append(f"unknown cost {path!r}{did_you_mean(path, self.costs)}")
            elif isinstance(value, bool) or not isinstance(value, (int, float)):
                problems.append(f"{path}: expected a number in {self.costs[path].unit}, not {value!r}")
            elif not math.isfinite(value) or value < 0:
                problems.append(f"{path}: must be finite and not negative, not {value!r}")
            else:
                old, new = self.costs[path], float(value)
                source = f"set by the user (was {old.value:g} {old.unit})"
                changed[path] = replace(old, value=new, low=new, high=new, source=source, confidence="high")
        if problems:
            raise UsageError("\n".join(problems))
        notes = tuple(f"override {path} = {cost.value:g} {cost.unit}" for path, cost in changed.items())
        return replace(self, costs={**self.costs, **changed}, provenance=self.provenance + notes)

    def with_speed(self, speed: float) -> CostProfile:
        """A profile for a machine `speed` times as fast as this profile's reference machine."""
        return replace(self, speed=speed, provenance=(*self.provenance, f"machine speed {speed:g}"))

    def merge(self, calibration: Path | str) -> CostProfile:
        """A profile with the costs of a calibration file laid over this one, and called calibrated.

        A calibration file has the form of a profile but names only what was measured. Raises InputError, with
        file and line, for anything wrong in it, unknown paths included.
        """
        from gwsim.costs import loading

        return loading.merge(self, Path(calibration))

    def at(self, bound: Bound) -> CostProfile:
        """The profile with every CPU cost at the low or the high end of its range: for printing ranges."""
        moved = {
            path: replace(cost, value=cost.low if bound == "low" else cost.high) if cost.is_cpu else cost
            for path, cost in self.costs.items()
        }
        return replace(self, costs=moved, provenance=(*self.provenance, f"CPU costs at their {bound} end"))

    @property
    def digest(self) -> str:
        """A hash of all values, ranges and the speed: equal digests give equal simulations."""
        rows = [f"{p} {c.value!r} {c.low!r} {c.high!r} {c.unit}" for p, c in sorted(self.costs.items())]
        return hashlib.sha256("\n".join([f"speed {self.speed!r}", *rows]).encode()).hexdigest()[:16]


def load(path: Path | str | None = None) -> CostProfile:
    """The profile in a YAML file, or the shipped one. Raises InputError with file and line."""
    from gwsim.costs import loading

    return loading.load(None if path is None else Path(path))


def did_you_mean(word: str, known: Mapping[str, Any]) -> str:
    """`; did you mean 'x'?` for the nearest known word, or nothing if none is near."""
    match = nearest(word, known, cutoff=0.5)
    if match is None:
        last = word.rsplit(".", 1)[-1]
        match = next((path for path in known if path.rsplit(".", 1)[-1] == last), None)
    return f"; did you mean {match!r}?" if match else ""
