"""Cost profiles from YAML, with every problem reported at its file and line.

A file is `apiVersion: gwsim.costs/v1`, `name`, `calibrated`, optionally `speed` and `machine`, and a tree
`costs`. A leaf of the tree is a mapping with `value`, `unit`, `range`, `source`, `confidence` and, where it
applies, `visit`. In a calibration file a leaf may also be a plain number, or leave fields out: they are taken
from the profile below it.

`speed` says how fast the machine is, relative to the reference. In a full profile the costs are for the
reference. In a calibration they are as measured on that machine, and converted to the reference on merging,
so that `speed` applies to what was not measured and leaves what was as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from gwsim.costs.profile import Cost, CostProfile, Visit, did_you_mean
from gwsim.errors import InputError

API_VERSION = "gwsim.costs/v1"
SHIPPED = "default.yaml"
_HEAD = frozenset({"apiVersion", "name", "calibrated", "speed", "machine", "costs"})
_LEAF = dict.fromkeys(("value", "unit", "range", "source", "confidence", "visit"))
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class _File:
    """A profile file being read: its text positions and what was found wrong so far."""

    label: str
    problems: list[str] = field(default_factory=list)

    def report(self, node: yaml.Node | None, message: str) -> None:
        line = 1 if node is None else node.start_mark.line + 1
        self.problems.append(f"{self.label}:{line}: {message}")

    def check(self) -> None:
        if self.problems:
            raise InputError("\n".join(self.problems))


def load(path: Path | None = None) -> CostProfile:
    """The profile of a file, or the shipped one. A file must hold every cost of the shipped profile.

    A file that holds fewer is a calibration: lay it over another with `CostProfile.merge`.
    """
    if path is None:
        return _shipped()
    source, head, leaves = _read(path.name, _text(path))
    shipped = _shipped()
    costs = _costs(source, leaves, shipped.costs, strict=True)
    missing = [name for name in shipped.costs if name not in leaves]
    if missing:
        listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        source.report(None, f"missing {listed}; a file with a part of the costs is laid over another (merge)")
    source.check()
    return _profile(source, head, costs, (f"profile {path.name}",))


def merge(below: CostProfile, path: Path) -> CostProfile:
    """`below` with the costs measured in the calibration file `path` laid over it."""
    source, head, leaves = _read(path.name, _text(path))
    measured = _costs(source, leaves, below.costs, strict=False)
    source.check()
    speed = float(head.get("speed", below.speed))
    costs = {**below.costs, **{name: _at_reference(cost, speed) for name, cost in measured.items()}}
    note = (*below.provenance, f"calibration {path.name} ({len(leaves)} costs)")
    return _profile(source, {"calibrated": True, "speed": below.speed, **head}, costs, note)


def _at_reference(cost: Cost, speed: float) -> Cost:
    """A CPU cost measured on a machine of that speed, as the reference machine would have it."""
    if not cost.is_cpu:
        return cost
    return replace(cost, value=cost.value * speed, low=cost.low * speed, high=cost.high * speed)


@cache
def _shipped() -> CostProfile:
    source, head, leaves = _read(SHIPPED, files("gwsim.costs").joinpath(SHIPPED).read_text(encoding="utf-8"))
    costs = _costs(source, leaves, None, strict=True)
    source.check()
    return _profile(source, head, costs, ("shipped profile",))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: cannot read the cost profile: {error}") from error


def _read(label: str, text: str) -> tuple[_File, dict[str, Any], dict[str, yaml.Node]]:
    """The header values and the leaves (dotted path to node) of a profile file."""
    source = _File(label)
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{label}:{line}: {error.problem or 'not YAML'}") from error
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{label}:1: a cost profile is a mapping with apiVersion, name and costs")
    head: dict[str, Any] = {}
    leaves: dict[str, yaml.Node] = {}
    for key, node in _pairs(source, root):
        if key not in _HEAD:
            source.report(node, f"unknown field {key!r}{did_you_mean(key, dict.fromkeys(_HEAD))}")
        elif key == "costs":
            leaves.update(_leaves(source, node, ""))
        else:
            head[key] = _value(source, node)
            _check_head(source, node, key, head[key])
    if head.get("apiVersion") != API_VERSION:
        source.report(root, f"apiVersion must be {API_VERSION}, not {head.get('apiVersion')!r}")
    source.check()
    return source, head, leaves


def _check_head(source: _File, node: yaml.Node, key: str, value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if key == "calibrated" and not isinstance(value, bool):
        source.report(node, f"calibrated must be true or false, not {value!r}")
    if key == "speed" and not (number and 0 < value < float("inf")):
        source.report(node, f"speed must be a positive number, not {value!r}")


def _pairs(source: _File, node: yaml.MappingNode) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in seen:
            source.report(key_node, f"{key!r} is given twice")
        seen.add(key)
        yield key, value_node


def _leaves(source: _File, node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode) and not any(key.value == "value" for key, _ in node.value):
        for key, child in _pairs(source, node):
            yield from _leaves(source, child, f"{path}.{key}" if path else key)
    elif path:
        yield path, node
    else:
        source.report(node, "costs must be a tree of costs")


def _costs(
    source: _File, leaves: Mapping[str, yaml.Node], below: Mapping[str, Cost] | None, *, strict: bool
) -> dict[str, Cost]:
    """The costs of a file's leaves. `below` gives the known paths, and what is left out if not `strict`."""
    costs: dict[str, Cost] = {}
    for path, node in leaves.items():
        if below is not None and path not in below:
            source.report(node, f"unknown cost {path!r}{did_you_mean(path, below)}")
            continue
        base = None if strict or below is None else below[path]
        cost = _cost(source, path, node, base)
        if cost is None:
            continue
        known = None if below is None else below[path]
        if problem := cost.problem():
            source.report(node, f"{path}: {problem}")
        elif known is not None and cost.unit != known.unit:
            source.report(node, f"{path}: the unit must be {known.unit}, not {cost.unit}")
        else:
            costs[path] = cost
    return costs


def _cost(source: _File, path: str, node: yaml.Node, base: Cost | None) -> Cost | None:
    fields = _fields(source, path, node, base)
    if fields is None:
        return None
    try:
        value = _number(fields["value"])
        low, high = (_number(end) for end in fields.get("range", (value, value)))
    except (TypeError, ValueError):
        source.report(node, f"{path}: value must be a number and range a pair of numbers [low, high]")
        return None
    visit = fields.get("visit")
    if visit is not None and visit not in list(Visit):
        hint = did_you_mean(str(visit), {known.value: None for known in Visit})
        source.report(node, f"{path}: unknown visit {visit!r}{hint}; known: {', '.join(Visit)}")
        return None
    made = Cost(value, str(fields["unit"]), low, high, str(fields["source"]), str(fields["confidence"]))
    return replace(made, visit=None if visit is None else Visit(visit))


def _fields(source: _File, path: str, node: yaml.Node, base: Cost | None) -> dict[str, Any] | None:
    """The fields of a leaf, completed from `base` (a calibration's), or None if some are missing."""
    given = _value(source, node)
    if base is not None and not isinstance(given, dict):
        given = {"value": given}
    if not isinstance(given, dict):
        source.report(node, f"{path}: expected a mapping with {', '.join(_LEAF)}")
        return None
    for key in given:
        if key not in _LEAF:
            source.report(node, f"{path}: unknown field {key!r}{did_you_mean(str(key), _LEAF)}")
    if base is not None:
        known = {"unit": base.unit, "source": f"calibration {source.label}", "confidence": "high"}
        given = {**known, "visit": base.visit, **given}
    needed = ("value", "unit", "source", "confidence") + (("range",) if base is None else ())
    missing = [key for key in needed if key not in given]
    if missing:
        source.report(node, f"{path}: missing {', '.join(missing)}")
        return None
    return given


def _value(source: _File, node: yaml.Node) -> Any:
    """The plain value of a node; a value YAML cannot make is reported and None."""
    try:
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError) as error:
        source.report(node, f"not a plain value: {getattr(error, 'problem', error)}")
        return None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(value)
    return float(value)


def _profile(
    source: _File, head: Mapping[str, Any], costs: Mapping[str, Cost], provenance: tuple[str, ...]
) -> CostProfile:
    return CostProfile(
        name=str(head.get("name", source.label)),
        costs=costs,
        calibrated=bool(head.get("calibrated", False)),
        speed=float(head.get("speed", 1.0)),
        provenance=provenance,
    )
