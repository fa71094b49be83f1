"""What every renderer reads: the results, and beside them the budgets, findings and the scenario as resolved.

`as_plain` and `from_plain` carry what results do not hold through provenance.json, so that a saved run gives the same
report again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gwsim.diagnostics import Finding, Level, Span
from gwsim.planning import curve as capacity_curve
from gwsim.planning.curve import Curve
from gwsim.report import advice as advising
from gwsim.report.advice import Advice, advise
from gwsim.report.names import Names, title_of
from gwsim.results.evaluation import Budgets, check
from gwsim.results.headline import Headline, headline_of
from gwsim.results.results import Results
from gwsim.scenario.project import Project
from gwsim.scenario.resolved import Resolved

KEY = "report"
"""Where provenance.json keeps what `as_plain` gives."""
_ORDER = {Level.ERROR: 0, Level.WARNING: 1, Level.INFO: 2}


@dataclass(frozen=True, kw_only=True)
class Report:
    """A run, ready to be told.

    `target` and `given` are the words of the command; `scenario` is the scenario as resolved, plain data in SI units.
    """

    results: Results
    budgets: Budgets
    findings: tuple[Finding, ...] = ()
    scenario: Mapping[str, Any] = field(default_factory=dict)
    advice: Advice | None = None
    target: str = ""
    given: tuple[str, ...] = ()
    capacity: Curve | None = None
    """What probes at other loads found, where they were asked for."""

    @staticmethod
    def of(
        results: Results,
        resolved: Resolved | None = None,
        *,
        project: Project | None = None,
        target: str = "",
        given: tuple[str, ...] = (),
        capacity: Curve | None = None,
    ) -> Report:
        """The report on a run. Raises what `check` raises for budgets that cannot be read."""
        budgets = check(results)
        if resolved is None:
            return Report(results=results, budgets=budgets, target=target, given=given, capacity=capacity)
        return Report(
            results=results, budgets=budgets, findings=resolved.findings, scenario=resolved.effective,
            advice=advise(results, budgets, resolved, project), target=target, given=given, capacity=capacity,
        )

    @cached_property
    def headline(self) -> Headline:
        """The answer."""
        return headline_of(self.results, self.budgets)

    @cached_property
    def names(self) -> Names:
        """Short names."""
        return Names.of(self.results.labels)

    @cached_property
    def assumptions(self) -> tuple[str, ...]:
        """Everything assumed, by the scenario and while running, each once."""
        return tuple(dict.fromkeys((*self.results.labels.assumptions, *self.results.notes)))

    @cached_property
    def ranked_findings(self) -> tuple[Finding, ...]:
        """The findings, the gravest first."""
        return tuple(sorted(self.findings, key=lambda one: _ORDER[one.level]))

    @property
    def title(self) -> str:
        """Name of the scenario."""
        return title_of(self.results.labels.name) or "scenario"

    @property
    def scenario_text(self) -> str:
        """The scenario as resolved, as YAML in the order of the file: provenance.json sorts keys, a text stays as it is."""
        import yaml

        return yaml.safe_dump(dict(self.scenario), sort_keys=False, allow_unicode=True, width=110) if self.scenario else ""

    @property
    def command(self) -> str:
        """The command that gives this run again."""
        return advising.command(self.target or self.title, self.given)

    @property
    def next_command(self) -> str:
        """The command to try next; empty without advice."""
        return advising.command(self.target or self.title, self.given, self.advice) if self.advice else ""

    def relative_to(self, folder: Path | str) -> Report:
        """The same with every file named as seen from a folder, for output that holds no path of a machine."""
        def moved(span: Span | None) -> Span | None:
            return None if span is None else replace(span, file=_seen_from(span.file, folder))

        findings = tuple(replace(one, span=moved(one.span)) for one in self.findings)
        return replace(self, findings=findings)


def _seen_from(file: str, folder: Path | str) -> str:
    """A path as seen from a folder; texts that are no path of a file that exists stay as they are."""
    return Path(os.path.relpath(file, folder)).as_posix() if os.path.exists(file) else file


def as_plain(report: Report) -> dict[str, Any]:
    """What a saved run needs beside its results, as plain data."""
    return {
        "target": report.target,
        "given": list(report.given),
        "scenario": report.scenario_text,
        "advice": asdict(report.advice) if report.advice else None,
        "capacity": capacity_curve.as_plain(report.capacity) if report.capacity else None,
        "findings": [asdict(one) | {"level": one.level.value} for one in report.findings],
    }


def from_plain(results: Results, plain: Mapping[str, Any]) -> Report:
    """The report of a saved run from its results and what `as_plain` gave; without it where that is missing or damaged."""
    try:
        return _from_plain(results, plain)
    except (AttributeError, KeyError, TypeError, ValueError):
        return Report.of(results)


def _from_plain(results: Results, plain: Mapping[str, Any]) -> Report:
    advice = plain.get("advice")
    return Report(
        results=results, budgets=check(results),
        findings=tuple(_finding(row) for row in plain.get("findings", ())),
        scenario=_scenario(plain.get("scenario", "")),
        advice=None if not advice else Advice(
            reason=advice["reason"], settings=tuple(advice["settings"]), options=tuple(advice["options"])
        ),
        target=plain.get("target", ""), given=tuple(plain.get("given", ())),
        capacity=capacity_curve.from_plain(plain["capacity"]) if plain.get("capacity") else None,
    )


def _scenario(text: str) -> Mapping[str, Any]:
    import yaml

    loaded: Mapping[str, Any] = yaml.safe_load(text) or {}
    return loaded


def _finding(row: Mapping[str, Any]) -> Finding:
    span = row.get("span")
    return Finding(**{**row, "level": Level(row["level"]), "span": Span(**span) if span else None})


__all__ = ["KEY", "Report", "as_plain", "from_plain"]
