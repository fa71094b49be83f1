"""pydantic's errors as findings: at the line of the file, in plain words, with what would be right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from gwsim.diagnostics import Collector, Span, code, did_you_mean, nearest
from gwsim.scenario.document import Item, locate
from gwsim.scenario.file.base import FileModel
from gwsim.scenario.shape import annotation_at, fields_of, model_of

_WANTED = {
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def path_text(steps: Sequence[str | int]) -> str:
    """A path as users write it: `clients.web.mix[0].weight`."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif "." in step or "[" in step:
            text += f'["{step}"]'
        else:
            text += f".{step}" if text else step
    return text


def report(error: ValidationError, root: Item, model: type[FileModel], collector: Collector) -> None:
    """Every problem pydantic found, as a finding at its place."""
    details = error.errors(include_url=False)
    for detail in details:
        # pydantic counts the entries that are right, so that one wrong entry makes a list of one "too short".
        if detail["type"] == "too_short" and any(_is_below(other["loc"], detail["loc"]) for other in details):
            continue
        steps = _steps(detail["loc"], model)
        item, found = locate(root, steps)
        message, help, name = _message(detail, steps, item, model)
        place = item.place if found == len(steps) and detail["type"] == "extra_forbidden" else _place(item, found, steps)
        collector.add(code(name), message, place, help=help, object_ref=path_text(steps) or None)


def _is_below(loc: tuple[str | int, ...], above: tuple[str | int, ...]) -> bool:
    return len(loc) > len(above) and loc[: len(above)] == above


def _place(item: Item, found: int, steps: Sequence[str | int]) -> Span:
    whole = found == len(steps)
    return item.span if whole and not isinstance(item.value, (dict, list)) else item.place


def _steps(loc: tuple[str | int, ...], model: type[FileModel]) -> list[str | int]:
    """pydantic's place without its own words for keys of mappings."""
    return [step for at, step in enumerate(loc) if not (step == "[key]" and at == len(loc) - 1)]


def _message(detail: Mapping[str, Any], steps: list[str | int], item: Item, model: type[FileModel]) -> tuple[str, str | None, str]:
    """Message, help and symbolic code of a problem."""
    kind, ctx = detail["type"], detail.get("ctx", {})
    name = path_text(steps) or "the scenario"
    for handle in (_unknown, _missing, _legal):
        told = handle(kind, ctx, steps, detail, model)
        if told is not None:
            return told
    if kind in _WANTED:
        return f"{name} must be {_WANTED[kind]}, but is {describe(item.value)}", _quote_help(kind, item.value), "SCENARIO_VALUE"
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return f"{name} is {detail['input']!r}; it must be {word} {ctx[key]:g}", None, "SCENARIO_VALUE"
    if kind in ("too_short", "string_too_short"):
        return f"{name} is empty", "give at least one entry" if kind == "too_short" else None, "SCENARIO_VALUE"
    if kind == "too_long":
        return f"{name} has too many entries; at most {ctx['max_length']}", None, "SCENARIO_VALUE"
    if kind == "string_pattern_mismatch":
        return f"{name} is {detail['input']!r}; it must begin with a slash", None, "SCENARIO_VALUE"
    if kind == "value_error":
        return f"{name}: {ctx['error']}", None, "SCENARIO_VALUE"
    return f"{name}: {detail['msg']}", None, "SCENARIO_VALUE"


Told = tuple[str, str | None, str] | None


def _unknown(kind: str, ctx: Mapping[str, Any], steps: list[str | int], detail: Mapping[str, Any], model: type[FileModel]) -> Told:
    if kind != "extra_forbidden":
        return None
    parent = model_of(annotation_at(model, steps[:-1]))
    known = list(fields_of(parent)) if parent else []
    where = f" in {path_text(steps[:-1])}" if steps[:-1] else ""
    message = f"there is no field {steps[-1]}{where}"
    return message, did_you_mean(str(steps[-1]), known) or listing(known), "SCENARIO_FIELD"


def _missing(kind: str, ctx: Mapping[str, Any], steps: list[str | int], detail: Mapping[str, Any], model: type[FileModel]) -> Told:
    if kind == "missing":
        where = path_text(steps[:-1]) or "the scenario"
        return f"{steps[-1]} is missing in {where}", None, "SCENARIO_MISSING"
    return None


def _legal(kind: str, ctx: Mapping[str, Any], steps: list[str | int], detail: Mapping[str, Any], model: type[FileModel]) -> Told:
    if kind != "literal_error":
        return None
    legal = [part.strip(" '") for part in str(ctx["expected"]).replace(" or ", ",").split(",")]
    near = nearest(str(detail["input"]), legal)
    help = f"did you mean {near}? " if near else ""
    return f"{path_text(steps)} cannot be {detail['input']!r}", f"{help}write {' or '.join(legal)}", "SCENARIO_VALUE"


def listing(names: Sequence[str]) -> str | None:
    """The legal names in a line of help."""
    return f"there is {', '.join(names)}" if names else None


def describe(value: Any) -> str:
    """A value as a user would call it."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 60 else "text"
    return f"the number {value}"


def _quote_help(kind: str, value: Any) -> str | None:
    if kind == "string_type" and not isinstance(value, (dict, list)) and value is not None:
        return f'write it in quotes: "{value}"'
    return None


__all__ = ["describe", "listing", "path_text", "report"]
