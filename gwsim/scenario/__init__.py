"""The scenario: what is asked, by whom, of which gateways.

    from gwsim import scenario

    project = scenario.open_project("scenarios/ingress-bookinfo")
    resolved = scenario.resolve(project.loaded, project.topology)
    resolved.model            # what the engines read

`file` holds the typed models of the scenario file, `reading` turns a file into them, `overrides` is `--set`,
`model` is what engines read, `resolution` is the one place where defaults are filled in.

Names are imported at their first use: engines and worker processes need only `gwsim.scenario.model`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gwsim.scenario.defaults import DEFAULT_CLUSTER, default_scenario
    from gwsim.scenario.file import Scenario
    from gwsim.scenario.project import Project, build_topology, open_project, read_resources
    from gwsim.scenario.reading import Budget, LoadedScenario, find_file, load, load_text
    from gwsim.scenario.resolution import resolve
    from gwsim.scenario.resolved import (
        ClassLabel,
        CostFacts,
        FleetLabel,
        PodLabel,
        Resolved,
        RunPlan,
        StationLabel,
    )
    from gwsim.scenario.templates import write_template

_HOME = {
    "defaults": ("DEFAULT_CLUSTER", "default_scenario"),
    "file": ("Scenario",),
    "project": ("Project", "build_topology", "open_project", "read_resources"),
    "reading": ("Budget", "LoadedScenario", "find_file", "load", "load_text"),
    "resolution": ("resolve",),
    "resolved": ("ClassLabel", "CostFacts", "FleetLabel", "PodLabel", "Resolved", "RunPlan", "StationLabel"),
    "templates": ("write_template",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})


__all__ = [
    "DEFAULT_CLUSTER",
    "Budget",
    "ClassLabel",
    "CostFacts",
    "FleetLabel",
    "LoadedScenario",
    "PodLabel",
    "Project",
    "Resolved",
    "RunPlan",
    "Scenario",
    "StationLabel",
    "build_topology",
    "default_scenario",
    "find_file",
    "load",
    "load_text",
    "open_project",
    "read_resources",
    "resolve",
    "write_template",
]
