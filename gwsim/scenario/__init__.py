"""The scenario: what is asked, by whom, of which gateways.

    from gwsim import scenario

    project = scenario.open_project("scenarios/ingress-bookinfo")
    resolved = scenario.resolve(project.loaded, project.topology)
    resolved.model            # what the engines read

`file` holds the typed models of the scenario file, `reading` turns a file into them, `overrides` is `--set`,
`model` is what engines read, `resolve` is the one place where defaults are filled in.
"""

from gwsim.scenario.file import Scenario
from gwsim.scenario.reading import Budget, LoadedScenario, find_file, load, load_text

__all__ = ["Budget", "LoadedScenario", "Scenario", "find_file", "load", "load_text"]
