"""A scenario for the linter: its configuration by cluster, and what only the scenario can tell about it."""

from __future__ import annotations

from pathlib import Path

from gwsim.diagnostics import Collector, Finding
from gwsim.errors import InputError
from gwsim.scenario.pools import report_pools
from gwsim.scenario.project import open_project
from gwsim.scenario.reading import find_file, load
from gwsim.scenario.resolution import resolve

_OWN = ("GW02", "GW03", "GW047")
"""Codes of the scenario and of its model; what is wrong with the configuration itself, the linter finds."""


def scenario_of(path: str) -> Path | None:
    """The scenario file a path names: a file that says so in its `apiVersion`, or the folder of one."""
    file = find_file(path) if path != "-" and Path(path).exists() else None
    if file is None or Path(path).is_dir():
        return file
    return file if "apiVersion: gwsim/" in file.read_text(encoding="utf-8-sig", errors="replace") else None


def configuration(file: Path) -> tuple[dict[str, list[str | Path]], tuple[str, ...], str]:
    """The configuration's paths by cluster, what is assumed to exist, and the Istio version.

    Raises InputError when the scenario cannot be read.
    """
    collector = Collector()
    loaded = load(file, collector=collector)
    collector.raise_if_errors()
    scenario = loaded.scenario
    paths: dict[str, list[str | Path]] = {
        name: [loaded.path(one) for one in section.config] for name, section in scenario.clusters.items()
    }
    return paths, tuple(scenario.assume_exists), scenario.istio.version


def scenario_findings(file: Path) -> tuple[Finding, ...]:
    """What resolving the scenario finds, and whether its pools can carry its load."""
    collector = Collector()
    try:
        project = open_project(file, collector=collector)
        report_pools(resolve(project.loaded, project.topology, collector=collector), collector)
    except InputError as error:
        collector.extend(one for one in error.findings if isinstance(one, Finding))
    return tuple(one for one in collector if one.code.startswith(_OWN))


__all__ = ["configuration", "scenario_findings", "scenario_of"]
