"""The scenario: what is asked, by whom, of which gateways.

    from gwsim import scenario

    project = scenario.open_project("scenarios/ingress-bookinfo")
    resolved = scenario.resolve(project.loaded, project.topology)
    resolved.model            # what the engines read

`file` holds the typed models of the scenario file, `reading` turns a file into them, `overrides` is `--set`,
`model` is what engines read, `resolve` is the one place where defaults are filled in.
"""

from gwsim.scenario.defaults import DEFAULT_CLUSTER, default_scenario
from gwsim.scenario.file import Scenario
from gwsim.scenario.project import Project, build_topology, open_project, read_resources
from gwsim.scenario.reading import Budget, LoadedScenario, find_file, load, load_text
from gwsim.scenario.resolve import resolve
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
