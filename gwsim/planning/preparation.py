"""From the words of a command to a scenario ready to simulate."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gwsim.errors import UsageError

if TYPE_CHECKING:
    from gwsim.scenario.project import Project
    from gwsim.scenario.resolved import Resolved

STDIN = "-"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a command was given: paths, values of `--set`, and the switches that decide how they are read."""

    paths: tuple[str, ...]
    settings: tuple[str, ...] = ()
    seed: int | None = None
    replications: int | None = None
    duration: str | None = None
    costs: str | None = None
    unknown_fields: str = "warn"
    fix_replicas: bool = False

    @property
    def target(self) -> str:
        """The first path, as a command names it."""
        return self.paths[0]

    @property
    def words(self) -> tuple[str, ...]:
        """Everything after the first path that changes the answer, for repeating the command."""
        words = [*self.paths[1:]]
        for setting in self.settings:
            words += ["--set", setting]
        for name in ("seed", "replications", "duration", "costs"):
            value = getattr(self, name)
            if value is not None:
                words += [f"--{name}", str(value)]
        return (*words, *(("--fix-replicas",) if self.fix_replicas else ()))


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A scenario with nothing left open, but for the replicas an autoscaler settles at."""

    given: Given
    name: str
    project: Project
    resolved: Resolved

    @property
    def folder(self) -> Path:
        """Where the scenario file is; paths in reports are told from here."""
        return self.project.loaded.folder

    def with_replicas(self, replicas: dict[str, int], *, fix: bool = False) -> Resolved:
        """The scenario with the replicas of some gateways given; with `fix`, autoscalers leave them alone."""
        from gwsim.scenario import resolve

        again = resolve(
            self.project.loaded, self.project.topology, replicas=replicas, fix_replicas=fix or self.given.fix_replicas
        )
        return replace(again, name=self.name, findings=self.resolved.findings)


def prepare(given: Given) -> Prepared:
    """Read, check and resolve. Raises InputError or UsageError with everything that is wrong."""
    from gwsim.diagnostics import Collector
    from gwsim.results.budgets import read
    from gwsim.results.labels import labels_of
    from gwsim.scenario import open_project, resolve

    collector = Collector()
    scenario = _scenario_file(given.paths)
    folder = scenario.parent if scenario is not None else Path()
    settings = [*given.settings, *_settings(given, folder)]
    paths = list(given.paths)
    if scenario is not None and len(paths) > 1:
        settings.append(_other_config(scenario, paths[1:]))
        paths = paths[:1]
    project = open_project(
        paths if len(paths) > 1 else paths[0], set_=settings, collector=collector,
        unknown_fields=given.unknown_fields, fix_replicas=given.fix_replicas,
    )
    resolved = resolve(project.loaded, project.topology, collector=collector, fix_replicas=given.fix_replicas)
    name = scenario_name(given.target)
    resolved = replace(resolved, name=name)
    labels = labels_of(resolved)
    read(labels.budgets, labels)
    return Prepared(given=given, name=name, project=project, resolved=resolved)


def scenario_name(path: str) -> str:
    """What a scenario is called: its folder's name, or the file's where it is not `scenario.yaml`."""
    if path == STDIN:
        return "stdin"
    absolute = Path(path).absolute()
    name = absolute.parent.name if absolute.name == "scenario.yaml" else absolute.stem if absolute.is_file() else absolute.name
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "scenario"


def _scenario_file(paths: Sequence[str]) -> Path | None:
    from gwsim.scenario import find_file

    return None if paths[0] == STDIN else find_file(paths[0])


def _settings(given: Given, folder: Path) -> list[str]:
    """The options that stand for a value of the scenario file."""
    made = [] if given.seed is None else [f"run.seed={given.seed}"]
    if given.replications is not None:
        made.append(f"run.replications={given.replications}")
    if given.duration is not None:
        from gwsim.units import parse_duration_s

        try:
            parse_duration_s(given.duration)
        except ValueError as error:
            raise UsageError(f"--duration: {error}") from None
        made.append(f"run.duration={given.duration}")
    if given.costs is not None:
        if not Path(given.costs).is_file():
            raise UsageError(f"--costs: there is no file {given.costs}")
        made.append(f"costs.calibration={os.path.relpath(given.costs, folder)}")
    return made


def _other_config(scenario: Path, paths: Sequence[str]) -> str:
    """The setting that puts other configuration in the place of the scenario's own."""
    from gwsim.scenario import load

    clusters = list(load(scenario).scenario.clusters)
    if len(clusters) != 1:
        raise UsageError(
            f"{scenario} has {len(clusters)} clusters, so which one {paths[0]} belongs to is not clear; "
            f"write --set clusters.{clusters[0]}.config=[...]"
        )
    for path in paths:
        if path == STDIN or not Path(path).exists():
            raise UsageError(f"there is no file or folder {path}")
    listed = ", ".join(f'"{os.path.relpath(path, scenario.parent)}"' for path in paths)
    return f"clusters.{clusters[0]}.config=[{listed}]"


__all__ = ["Given", "Prepared", "prepare", "scenario_name"]
