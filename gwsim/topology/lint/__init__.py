"""Lint: coded findings about configuration, from files alone; one rule a module in `rules`.

`lint` reads and checks; `catalogue` is the list of rules, from which the reference is written.
"""

from gwsim.topology.lint.catalogue import NOT_COVERED, catalogue
from gwsim.topology.lint.rule import ClusterRule, Hit, Rule
from gwsim.topology.lint.runner import UNREADABLE, Options, Report, lint, lint_texts
from gwsim.topology.lint.suppress import Selection
from gwsim.topology.lint.view import View

__all__ = [
    "NOT_COVERED",
    "UNREADABLE",
    "ClusterRule",
    "Hit",
    "Options",
    "Report",
    "Rule",
    "Selection",
    "View",
    "catalogue",
    "lint",
    "lint_texts",
]
