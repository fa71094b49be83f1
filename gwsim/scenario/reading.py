"""Reading a scenario: file to typed models, with every problem at its line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gwsim.diagnostics import Collector, Span, code, did_you_mean
from gwsim.errors import InputError
from gwsim.resources.rendering import TELLING_VALUES
from gwsim.scenario import overrides, problems
from gwsim.scenario.document import Item, locate, plain, read_document, without_nulls
from gwsim.scenario.file import API_VERSION, Scenario
from gwsim.scenario.overrides import ObjectOverride

FILE_NAME = "scenario.yaml"
"""The file that makes a folder a scenario."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget as written, and where."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedScenario:
    """A scenario as read, with what later messages need.

    `data` is the plain content after `--set`, for provenance; `object_overrides` are the settings of objects,
    which the reader of the configuration applies; `assumptions` tells what was filled in for a default workload.
    """

    scenario: Scenario
    name: str
    folder: Path
    data: Mapping[str, Any]
    budgets: tuple[Budget, ...] = ()
    object_overrides: tuple[ObjectOverride, ...] = ()
    settings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    root: Item = field(repr=False)

    def span(self, *steps: str | int) -> Span:
        """Where a field stands, or the nearest one above it: `span("clients", "web", "target")`."""
        return locate(self.root, steps)[0].place

    def has(self, *steps: str | int) -> bool:
        """Whether the field was written (or set), rather than left at its default."""
        return locate(self.root, steps)[1] == len(steps)

    def path(self, relative: str) -> Path:
        """A path of the file, seen from where gwsim runs."""
        return Path(os.path.normpath(self.folder / relative))


def find_file(path: str | Path) -> Path | None:
    """The scenario file that a path means, or None when it is plain configuration (or nothing at all)."""
    given = Path(path)
    if given.is_dir():
        inside = given / FILE_NAME
        return inside if inside.is_file() else None
    return given if given.is_file() and _is_scenario(given) else None


def _is_scenario(path: Path) -> bool:
    try:
        head = path.read_text(encoding="utf-8-sig", errors="replace")[:200_000]
    except (OSError, ValueError):
        return False
    lines = head.splitlines()
    if _is_helm_values(lines):
        return False
    return any(line.startswith("apiVersion:") and "gwsim/" in line for line in lines) or not any(
        line.startswith(("kind:", '"kind"', "{", "- ")) or '"kind"' in line for line in lines
    )


def _is_helm_values(lines: list[str]) -> bool:
    """Whether the file is values of one of Istio's charts: some of its fields are theirs, and none a scenario's."""
    names = {line.partition(":")[0] for line in lines if line[:1].isalpha() and ":" in line}
    return bool(names & (TELLING_VALUES | {"meshConfig"})) and not names & set(Scenario.model_fields)


def load(path: str | Path, *, set_: Sequence[str] = (), collector: Collector | None = None) -> LoadedScenario:
    """The scenario of a file, or of a folder that holds `scenario.yaml`, with the settings of `--set` applied.

    Raises InputError, carrying every problem found, when anything is wrong. Findings also go to `collector`.
    """
    own = Collector() if collector is None else collector
    given = Path(path)
    file = given / FILE_NAME if given.is_dir() else given
    text = _text(file, own)
    own.raise_if_errors()
    return load_text(text, str(file), set_=set_, folder=file.parent, collector=own)


def _text(file: Path, collector: Collector) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        collector.add(code("FILE_MISSING"), f"{file} is not UTF-8 text", Span(str(file)))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        help = _nearby(file)
        collector.add(code("FILE_MISSING"), f"cannot read {file}: {reason}", Span(str(file)), help=help)
    return ""


def _nearby(file: Path) -> str | None:
    try:
        names = sorted(one.name for one in file.parent.iterdir())
    except (OSError, ValueError):
        return None
    return did_you_mean(file.name, names)


def load_text(
    text: str, name: str = "<text>", *, set_: Sequence[str] = (), folder: Path | None = None, collector: Collector | None = None
) -> LoadedScenario:
    """The scenario of a text; paths in it are relative to `folder` (default: where gwsim runs).

    Raises InputError as `load` does.
    """
    own = Collector() if collector is None else collector
    root = read_document(text, name, own)
    if root is not None and not isinstance(root.value, dict):
        help = f"begin with apiVersion: {API_VERSION}"
        own.add(code("SCENARIO_VALUE"), "a scenario is a mapping", root.span, help=help)
    own.raise_if_errors()
    if root is None:
        raise InputError(f"{name}: the scenario cannot be read", own.findings)
    return load_item(root, name, set_=set_, folder=folder or Path(), collector=own)


def load_item(
    root: Item, name: str, *, set_: Iterable[str] = (), folder: Path, collector: Collector, assumptions: tuple[str, ...] = ()
) -> LoadedScenario:
    """The scenario of a document already read (or made). Raises InputError as `load` does."""
    settings = tuple(set_)
    own, objects = overrides.split(settings, collector)
    overrides.apply(root, own, collector)
    root = without_nulls(root)
    data = plain(root)
    scenario = _typed(root, data, collector)
    collector.raise_if_errors()
    if scenario is None:
        raise InputError(f"{name}: the scenario cannot be read", collector.findings)
    return LoadedScenario(
        scenario=scenario,
        name=name,
        folder=folder,
        data=data,
        budgets=tuple(Budget(text, locate(root, ("budgets", at))[0].span) for at, text in enumerate(scenario.budgets)),
        object_overrides=tuple(objects),
        settings=settings,
        assumptions=assumptions,
        root=root,
    )


def _typed(root: Item, data: Any, collector: Collector) -> Scenario | None:
    _check_keys(root, collector)
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        problems.report(error, root, Scenario, collector)
    return None


def _check_keys(root: Item, collector: Collector) -> None:
    """A first look at what is most often wrong: another kind of file altogether."""
    if "apiVersion" not in root.value and "kind" in root.value:
        help = "give the folder of the configuration instead, or write a scenario (gwsim init)"
        collector.add(code("SCENARIO_VALUE"), "this is a Kubernetes object, not a scenario", root.span, help=help)


__all__ = ["FILE_NAME", "Budget", "LoadedScenario", "find_file", "load", "load_item", "load_text"]
