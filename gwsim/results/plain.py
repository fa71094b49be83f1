"""Results as plain data for run.json, and the JSON Schema of it, both from the dataclasses themselves."""

from __future__ import annotations

import json
import math
import sys
import types
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from gwsim.results.anatomy import Anatomy
from gwsim.results.contrast import Contrast, Trait
from gwsim.results.evaluation import Budgets
from gwsim.results.histograms import Histogram
from gwsim.results.intervals import Estimate
from gwsim.results.labels import Labels
from gwsim.results.parts import Limit, Split
from gwsim.results.results import Results
from gwsim.results.warmup import Warmup

FORMAT = "gwsim.run/3"
"""Changes whenever a reader of an older run.json could misread a newer one."""

ESTIMATE_FIELDS = ("value", "low", "high", "count", "quality", "level")
PARTS = (
    "verdict", "throughput", "total", "routes", "clients", "classes", "fleets", "pods", "workers", "clusters",
    "backends", "streams", "bottleneck",
)
"""Fields of `Results` in run.json as they are; the time bins are in arrays.npz only."""
FOLLOWING: dict[str, Any] = {"anatomy": Anatomy | None, "contrast": Contrast | None}
"""Properties of `Results` in run.json, and their types."""
EXTRA: dict[type, tuple[str, ...]] = {Split: ("total_s",), Limit: ("headroom",), Trait: ("factor",)}
"""Properties that readers of run.json would else have to compute."""


def to_plain(value: Any) -> Any:
    """Dictionaries, lists, texts and finite numbers; NaN and infinity become null."""
    if isinstance(value, Estimate):
        return {name: to_plain(getattr(value, name)) for name in ESTIMATE_FIELDS}
    if is_dataclass(value) and not isinstance(value, type):
        named = [f.name for f in fields(value) if not isinstance(getattr(value, f.name), Histogram)]
        return {name: to_plain(getattr(value, name)) for name in (*named, *EXTRA.get(type(value), ()))}
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name.lower()
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(to_plain(key)): to_plain(one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_plain(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def summary(results: Results, budgets: Budgets | None) -> dict[str, Any]:
    """What run.json holds, but for the check sum of arrays.npz."""
    from gwsim._version import __version__

    return {
        "format": FORMAT,
        "gwsim_version": __version__,
        "labels": to_plain(results.labels),
        "level": results.level,
        "notes": list(results.notes),
        "warmup": to_plain(results.warmup),
        "replications": results.replications,
        "requests": results.requests,
        "digest": results.digest,
        **{name: to_plain(getattr(results, name)) for name in (*PARTS, *FOLLOWING)},
        "budgets": to_plain(budgets),
    }


def json_schema() -> dict[str, Any]:
    """The JSON Schema of run.json (draft 2020-12)."""
    definitions: dict[str, Any] = {}
    hints = get_type_hints(Results, vars(sys.modules[Results.__module__]) | _LATE)
    text, whole = {"type": "string"}, {"type": "integer"}
    properties: dict[str, Any] = {
        "format": {"const": FORMAT},
        "gwsim_version": text,
        "labels": _schema(Labels, definitions),
        "level": {"type": "number"},
        "notes": {"type": "array", "items": text},
        "warmup": _schema(Warmup | None, definitions),
        "replications": whole,
        "requests": whole,
        "digest": text,
        "arrays_sha256": text,
        **{name: _schema(hints[name], definitions) for name in PARTS},
        **{name: _schema(hint, definitions) for name, hint in FOLLOWING.items()},
        "budgets": _schema(Budgets | None, definitions),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "run.json of gwsim",
        "description": "Times in seconds, rates per second, shares 0 to 1, unless a name ends in another unit.",
        "type": "object",
        "additionalProperties": False,
        "required": sorted(properties),
        "properties": properties,
        "$defs": dict(sorted(definitions.items())),
    }


_LATE: dict[str, Any] = {"pd": types.SimpleNamespace(DataFrame=object)}
"""What annotations name that is imported for type checkers only."""
_SIMPLE: dict[Any, dict[str, Any]] = {
    str: {"type": "string"}, int: {"type": "integer"}, bool: {"type": "boolean"},
    # A number that is not finite is written as null.
    float: {"type": ["number", "null"]}, type(None): {"type": "null"},
}


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type, as `to_plain` writes it; dataclasses go to the definitions."""
    if hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(one, definitions) for one in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        inner = [one for one in arguments if one is not Ellipsis]
        item = _schema(inner[0], definitions)
        return {"type": "array", "items": item}
    if origin is not None:
        return {"type": "object", "additionalProperties": _schema(arguments[-1], definitions)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [to_plain(one) for one in hint]}
    return _definition(hint, definitions)


def _definition(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}
        hints = get_type_hints(kind)
        names = ESTIMATE_FIELDS if kind is Estimate else [f.name for f in fields(kind)]
        kept = {name: hints[name] for name in names if hints[name] is not Histogram}
        kept |= dict.fromkeys(EXTRA.get(kind, ()), float)
        definitions[kind.__name__] = {
            "type": "object",
            "description": (kind.__doc__ or "").strip().split("\n")[0],
            "additionalProperties": False,
            "required": sorted(kept),
            "properties": {name: _schema(hint, definitions) for name, hint in kept.items()},
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}


__all__ = ["FORMAT", "json_schema", "summary", "to_plain"]


if __name__ == "__main__":
    from pathlib import Path

    text = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    Path(__file__).with_name("schema.json").write_text(text, "utf-8")
