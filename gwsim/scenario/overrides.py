"""`--set`: one value of the scenario file, or one field of an object, changed before anything is typed.

A path of the scenario file is `clients.web.arrivals.poisson=3000rps`; list entries are `mix[0]` or, where they
have a name, `mix.checkout`; a name with dots is found as it stands (`backends.east/cart.shop.service_time`) or
may be quoted (`backends["east/cart.shop"]`). A path of an object is `[cluster/]Kind/namespace/name:spec.field`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gwsim.diagnostics import Collector, Span, code, nearest
from gwsim.resources.patches import Patch
from gwsim.resources.yaml_nodes import Problem, documents, prepare
from gwsim.scenario.document import Item, item_from, plain, read_document
from gwsim.scenario.file import Scenario
from gwsim.scenario.file.base import Choice
from gwsim.scenario.problems import describe, path_text
from gwsim.scenario.shape import fields_of, inner, keyed, listed, model_of, step_into

_OBJECT = re.compile(r"(?:(?P<cluster>[^/:=.\[]+)/)?(?P<kind>[A-Z][A-Za-z]*)/(?P<ns>[^/:=]*)/(?P<name>[^/:=]+):(?P<path>[^=]+)=(?P<value>.*)", re.DOTALL)
_QUOTED = re.compile(r"""\[(?:"([^"]*)"|'([^']*)'|(\d+))\]""")
_CLOSED = frozenset({"clients", "clusters"})
"""Sections whose names must exist already: a new name here is a slip."""


@dataclass(frozen=True, slots=True)
class ObjectOverride:
    """An override of an object; `cluster` empty: in every cluster."""

    cluster: str
    patch: Patch


class PathProblem(ValueError):
    """A path that leads nowhere; the text says why, `help` what would be right."""

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.help = help


def split(settings: Iterable[str], collector: Collector) -> tuple[list[str], list[ObjectOverride]]:
    """The settings of the scenario file, and those of objects. One without `=` is reported."""
    own: list[str] = []
    objects: list[ObjectOverride] = []
    for setting in settings:
        match = _OBJECT.fullmatch(setting)
        if match:
            patch = Patch(match["kind"], match["ns"], match["name"], match["path"].strip(), match["value"], label(setting))
            objects.append(ObjectOverride(match["cluster"] or "", patch))
        elif "=" not in setting:
            help = "write path=value, e.g. clients.web.arrivals.poisson=3000rps"
            collector.add(code("SET_PATH"), f"{setting!r} sets nothing", Span(label(setting)), help=help)
        else:
            own.append(setting)
    return own, objects


def label(setting: str) -> str:
    """How messages name the place of a setting."""
    return f"--set {setting}"


def apply(root: Item, settings: Iterable[str], collector: Collector) -> None:
    """Change the document in place; what cannot be done is reported and left out."""
    for setting in settings:
        path, _, text = setting.partition("=")
        span = Span(label(setting))
        try:
            steps, annotation = find(path.strip(), root)
            _put(root, steps, _value(text, annotation, span), span)
        except PathProblem as problem:
            collector.add(code("SET_PATH"), str(problem), span, help=problem.help)


def _value(text: str, annotation: Any, span: Span) -> Item:
    """The value, read as YAML unless the field holds text."""
    if inner(annotation) is str:
        return Item(text, span, span)
    parts = list(documents(prepare(text)))
    if any(isinstance(part, Problem) for part in parts) or len(parts) > 1:
        raise PathProblem(f"the value {text!r} is not YAML", "quote it, or check its brackets")
    found = read_document(text, span.file, Collector()) if parts else None
    return item_from(plain(found) if found is not None else None, span)


def find(path: str, root: Item) -> tuple[list[str | int], Any]:
    """The steps of a path, and what stands at its end. Raises PathProblem when it leads nowhere."""
    steps: list[str | int] = []
    item: Item | None = root
    annotation: Any = Scenario
    rest = path
    if not rest:
        raise PathProblem("the path is empty", "write e.g. clients.web.arrivals.poisson=3000rps")
    while rest:
        step, rest = _next(rest, item, annotation, steps)
        annotation = step_into(annotation, step)
        item = _child(item, step)
        steps.append(step)
    return steps, annotation


def _child(item: Item | None, step: str | int) -> Item | None:
    if item is None:
        return None
    if isinstance(item.value, list) and isinstance(step, int):
        return item.value[step]  # type: ignore[no-any-return]
    return item.value.get(step) if isinstance(item.value, dict) else None


def _next(rest: str, item: Item | None, annotation: Any, done: list[str | int]) -> tuple[str | int, str]:
    """The first step of what is left of a path, and the remainder."""
    model, values, entries = model_of(annotation), keyed(annotation), listed(annotation)
    if model is not None:
        return _field(rest, list(fields_of(model)), done)
    if values is not None:
        return _name(rest, item, values, done)
    if entries is not None:
        return _entry(rest, item, done)
    raise PathProblem(f"{path_text(done)} is a single value; there is nothing below it, so no {rest.lstrip('.')}")


def _field(rest: str, known: list[str], done: list[str | int]) -> tuple[str, str]:
    quoted = _QUOTED.match(rest)
    if quoted and quoted[3] is None:
        name, remainder = next(g for g in quoted.groups() if g is not None), rest[quoted.end() :]
    else:
        match = re.match(r"\.?([^.\[]*)", rest)
        name, remainder = (match[1], rest[match.end() :]) if match else (rest, "")
    if name in known:
        return name, remainder
    where = f" in {path_text(done)}" if done else ""
    wrong = f"there is no field {name}{where}" if name else f"{path_text(done)} is no list"
    near = nearest(name, known)
    raise PathProblem(wrong, f"did you mean {near}?" if near else f"there is {', '.join(known)}")


def _name(rest: str, item: Item | None, values: Any, done: list[str | int]) -> tuple[str, str]:
    """A name of the user's: the longest that exists, or a new one where new ones may be."""
    names = list(item.value) if item is not None and isinstance(item.value, dict) else []
    quoted = _QUOTED.match(rest)
    if quoted:
        name, remainder = next(g for g in quoted.groups() if g is not None), rest[quoted.end() :]
    else:
        rest = rest.removeprefix(".")
        fits = [one for one in names if rest == one or rest.startswith((f"{one}.", f"{one}["))]
        name = max(fits, key=len, default="") or _new_name(rest, values)
        remainder = rest[len(name) :]
    if name in names or (done and done[0] not in _CLOSED) or len(done) > 1:
        return name, remainder
    near = nearest(name, names)
    help = f"did you mean {near}?" if near else f"there is {', '.join(names)}" if names else None
    raise PathProblem(f"{path_text(done)} has no {name}", help)


def _new_name(rest: str, values: Any) -> str:
    """How much of a path is a new name: all of it before the first known field of what it names."""
    model = model_of(values)
    if model is None:
        return rest
    known = fields_of(model)
    for dot in (match.start() for match in re.finditer(r"\.", rest)):
        following = re.split(r"[.\[]", rest[dot + 1 :], maxsplit=1)[0]
        if following in known:
            return rest[:dot]
    return re.split(r"[.\[]", rest, maxsplit=1)[0] if "/" not in rest else rest


def _entry(rest: str, item: Item | None, done: list[str | int]) -> tuple[int, str]:
    """An entry of a list, by number or by its `name`."""
    entries = item.value if item is not None and isinstance(item.value, list) else []
    match = re.match(r"\[(\d{1,9})\]", rest)
    if match:
        if int(match[1]) < len(entries):
            return int(match[1]), rest[match.end() :]
        raise PathProblem(f"{path_text([*done, int(match[1])])} does not exist; the list has {len(entries)} entries")
    names = [plain(one.value["name"]) if isinstance(one.value, dict) and "name" in one.value else None for one in entries]
    wanted = rest.removeprefix(".")
    fits = [(len(name), at) for at, name in enumerate(names) if isinstance(name, str) and (wanted == name or wanted.startswith((f"{name}.", f"{name}[")))]
    if fits:
        length, at = max(fits)
        return at, wanted[length:]
    known = [name for name in names if isinstance(name, str)]
    near = nearest(re.split(r"[.\[]", wanted, maxsplit=1)[0], known)
    help = f"did you mean {near}?" if near else f"write a number from 0 to {len(entries) - 1}, e.g. {path_text([*done, 0])}" if entries else None
    raise PathProblem(f"{path_text(done)} is a list, and has no entry {wanted}", help)


def _put(root: Item, steps: list[str | int], value: Item, span: Span) -> None:
    """Set the value at the path; mappings that are missing on the way are made."""
    item = root
    for at, step in enumerate(steps[:-1]):
        child = _child(item, step)
        if child is None or (not isinstance(child.value, (dict, list)) and _choice_at(steps[: at + 1])):
            child = Item({}, span, span)
            item.value[step] = child
        elif not isinstance(child.value, (dict, list)):
            raise PathProblem(f"{path_text(steps[: at + 1])} is {describe(child.value)}, no mapping; set it as a whole")
        elif _choice_at(steps[: at + 1]) and isinstance(child.value, dict):
            child.value = {key: one for key, one in child.value.items() if key == steps[at + 1]}
        item = child
    item.value[steps[-1]] = value


def _choice_at(steps: list[str | int]) -> bool:
    """Whether exactly one field is given there, so that setting another replaces it."""
    annotation: Any = Scenario
    for step in steps:
        annotation = step_into(annotation, step)
    model = model_of(annotation)
    return model is not None and issubclass(model, Choice)


__all__ = ["ObjectOverride", "PathProblem", "apply", "find", "label", "split"]
