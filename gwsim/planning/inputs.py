"""Inputs that are not known exactly: a path of the scenario and the range its value lies in.

    clients.web.arrivals.poisson: 1800rps..2600rps          anything between, equally likely
    clients.web.rtt.lognormal.median: 20ms..40ms..120ms     as likely below the middle as above it
    backends.east/cart.shop.service_time.exponential: 5ms..80ms:log

They stand in the section `uncertain` of a scenario or are given to a command. The costs of the profile are inputs too:
each has a range, from its source or from the spread of a calibration, and its value is the middle. Costs of a kind were
measured by the same means, so they move together unless one asks for each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Literal

from gwsim.diagnostics import Collector, code
from gwsim.errors import UsageError
from gwsim.planning.axes import numbers_of, write_number
from gwsim.planning.preparation import Prepared

COSTS = "costs.overrides."
_RANGE = re.compile(r"(?P<low>[^.\s].*?)\.\.(?:(?P<middle>[^.].*?)\.\.)?(?P<high>[^.].*?)(?P<log>:log)?")
_WHOLE = re.compile(r"-?\d+")
_EXAMPLE = "write e.g. clients.web.arrivals.poisson=1800rps..2600rps, or low..middle..high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A path of `--set` and the range of its value in SI units (of a cost: in the cost's own unit)."""

    path: str
    low: float
    middle: float
    high: float
    unit: str = ""
    log: bool = False
    """Whether values spread evenly in their logarithm, on each side of the middle."""
    whole: bool = False

    def at(self, share: float) -> float:
        """The value below which it lies with probability `share`: half of the probability on each side of the middle."""
        below = share < 0.5
        first, last = (self.low, self.middle) if below else (self.middle, self.high)
        part = 2.0 * share if below else 2.0 * share - 1.0
        if self.whole:  # half a step more at both ends, so that the ends are as likely as the others
            first, last = (first - 0.5, last) if below else (first, last + 0.5)
            return float(min(max(math.floor(first + (last - first) * part + 0.5), self.low), self.high))
        if self.log:
            return float(first * (last / first) ** part)
        return first + (last - first) * part

    def setting(self, value: float) -> str:
        """The setting that gives it a value."""
        return f"{self.path}={write_number(value, self.unit)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What varies as one: a value, or costs that move through their ranges together."""

    name: str
    ranges: tuple[Range, ...]

    @property
    def column(self) -> str:
        """Its name with the unit of `value`."""
        if len(self.ranges) > 1:
            return f"{self.name}_share_of_range"
        unit = self.ranges[0].unit
        return {"": self.name, "quantity": self.name, "%": f"{self.name}_share"}.get(unit, f"{self.name}_{unit}")

    def value(self, share: float) -> float:
        """Its value at a share of its probability; of several costs the share itself."""
        return self.ranges[0].at(share) if len(self.ranges) == 1 else share

    def text(self, share: float) -> str:
        """Its value for people."""
        if len(self.ranges) > 1:
            return {0.0: "all low", 0.5: "all as they are", 1.0: "all high"}.get(share, f"{share:.2g}")
        return self.ranges[0].setting(float(f"{self.ranges[0].at(share):.6g}")).rpartition("=")[2]

    def settings(self, share: float) -> tuple[str, ...]:
        """The settings that put it there."""
        return tuple(one.setting(one.at(share)) for one in self.ranges)


def parse_input(text: str) -> Input:
    """An input from `path=low..high`; UsageError, with what would be right, for anything else."""
    path, sign, values = text.partition("=")
    if not sign or not path.strip() or not values.strip():
        raise UsageError(f"{text!r} is no uncertain input; {_EXAMPLE}")
    return _single(ranged(path.strip(), values.strip()))


def _single(one: Range) -> Input:
    return Input(name=one.path.removeprefix(COSTS), ranges=(one,))


def ranged(path: str, text: str) -> Range:
    """A range from its path and the text of its range."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise UsageError(f"{path}: {text!r} is no range; {_EXAMPLE}")
    texts = [match[name].strip() for name in ("low", "middle", "high") if match[name] is not None]
    found = numbers_of(texts)
    if found is None:
        raise UsageError(f"{path}: {text!r} is no range: its ends need the same kind of unit")
    unit, numbers = found
    low, high, log = numbers[0], numbers[-1], match["log"] is not None
    if log and low <= 0:
        raise UsageError(f"{path}: a logarithmic range must be above zero, not {text}")
    middle = numbers[1] if len(numbers) == 3 else math.sqrt(low * high) if log else (low + high) / 2.0
    if not low <= middle <= high or low == high:
        raise UsageError(f"{path}: {text!r} is no range: its values must rise from low to high")
    whole = unit == "" and all(_WHOLE.fullmatch(one) for one in texts)
    return Range(path=path, low=low, middle=middle, high=high, unit=unit, log=log, whole=whole)


Costs = Literal["groups", "each", "none"]
"""Costs of a kind (all of TLS, all of the filters) move together; or each by itself; or they stay as they are."""


def inputs_of(prepared: Prepared, given: Sequence[str] = (), *, costs: Costs = "groups") -> tuple[Input, ...]:
    """All inputs of a scenario: those of `given`, those of its section `uncertain`, then its costs.

    What is given replaces a range of the file. Raises InputError with file and line for a range of the file that is wrong,
    UsageError for one of `given`, or where there is none at all.
    """
    made = [parse_input(text) for text in given]
    twice = [one.name for n, one in enumerate(made) if one.name in [other.name for other in made[:n]]]
    if twice:
        raise UsageError(f"{twice[0]} is given twice")
    made += [one for one in _of_file(prepared) if one.name not in [other.name for other in made]]
    if costs != "none":
        made += cost_inputs(prepared, each=costs == "each", but={one.ranges[0].path for one in made})
    if not made:
        raise UsageError(f"nothing is uncertain: no input has a range; {_EXAMPLE}")
    return tuple(made)


def _of_file(prepared: Prepared) -> list[Input]:
    loaded = prepared.project.loaded
    collector, made = Collector(), []
    for path, text in loaded.scenario.uncertain.items():
        try:
            made.append(_single(ranged(path, text)))
        except UsageError as error:
            message, _, help = str(error).partition("; ")
            collector.add(code("SCENARIO_VALUE"), f"uncertain: {message}", loaded.span("uncertain", path), help=help or None)
    collector.raise_if_errors()
    return made


def cost_inputs(prepared: Prepared, *, each: bool = False, but: Set[str] = frozenset()) -> list[Input]:
    """The costs with a range that this scenario pays, in groups of a kind, but for some paths.

    A group (or, with `each`, a cost) is one that makes another model when it is moved.
    """
    from gwsim.scenario.costing import profile_of

    groups: dict[str, list[Range]] = {}
    for path, cost in profile_of(prepared.project.loaded, Collector()).costs.items():
        setting = f"{COSTS}{path}"
        if cost.low < cost.high and setting not in but:
            one = Range(path=setting, low=cost.low, middle=cost.value, high=cost.high, whole=cost.unit == "count")
            groups.setdefault(path if each else path.partition(".")[0], []).append(one)
    made = []
    for name, ranges in groups.items():
        moved = {one.path.removeprefix(COSTS): one.high if one.high > one.middle else one.low for one in ranges}
        if _model_with(prepared, moved) != prepared.resolved.model:
            made.append(Input(name=name if each else f"costs of {name}", ranges=tuple(ranges)))
    return made


def _model_with(prepared: Prepared, overrides: Mapping[str, float]) -> object:
    """The model with some costs set."""
    from gwsim.scenario import resolve

    loaded = prepared.project.loaded
    section = loaded.scenario.costs
    section = section.model_copy(update={"overrides": {**section.overrides, **overrides}})
    changed = replace(loaded, scenario=loaded.scenario.model_copy(update={"costs": section}))
    return resolve(changed, prepared.project.topology, fix_replicas=prepared.given.fix_replicas).model


__all__ = ["COSTS", "Costs", "Input", "Range", "cost_inputs", "inputs_of", "parse_input", "ranged"]
