"""`gwsim lint`: coded findings about Istio, Gateway API and Kubernetes configuration, from files alone."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.output import write
from gwsim.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from gwsim.diagnostics import Level
    from gwsim.topology.lint import Report


class LintFormat(StrEnum):
    """What is printed on standard output."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


class FailOn(StrEnum):
    """The lowest level that makes the command fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"


def lint(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, folders, - for standard input, or CLUSTER=PATH for several clusters; a scenario's folder is linted with its load.")
    ],
    output: Annotated[LintFormat, typer.Option("--output", "-o", help="text, json, sarif or github.")] = LintFormat.TEXT,
    fail_on: Annotated[FailOn, typer.Option("--fail-on", help="The lowest level that gives exit code 1.")] = FailOn.WARNING,
    min_level: Annotated[FailOn, typer.Option("--min-level", help="Print nothing below this level: error, warning or info.")] = FailOn.INFO,
    select: Annotated[list[str] | None, typer.Option("--select", help="Only these codes (GW0103, GW04, IST0101), separated by commas.")] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", help="Leave these out; CODE=Kind/namespace/name for one object, with wildcards.")] = None,
    level: Annotated[list[str] | None, typer.Option("--level", metavar="CODE=LEVEL", help="Give a code another level: error, warning or info.")] = None,
    assume_exists: Annotated[list[str] | None, typer.Option("--assume-exists", metavar="KIND/NAMESPACE/NAME", help="An object kept elsewhere; may use *.")] = None,
    istio_version: Annotated[str, typer.Option("--istio-version", help="The Istio version to judge by.")] = "1.30",
    unknown_fields: Annotated[str, typer.Option("--unknown-fields", help="warn or error.")] = "warn",
) -> int:
    """Check configuration and say what does not work.

    Errors are what Istio would refuse, warnings what does not do what it says (or what Kubernetes would refuse about
    its own kinds), notes what is good to know. Exit code 1 when there is a finding of the level of --fail-on or above, 2 when some of
    the input cannot be read; the same for every format.
    """
    from gwsim.report import findings
    from gwsim.topology.lint import Options, Selection

    selection = Selection(tuple(_words(select)), tuple(_words(ignore)))
    options = Options(
        assume_exists=tuple(_words(assume_exists)), istio_version=istio_version, unknown_fields=unknown_fields,
        selection=selection, levels=_levels(_words(level)),
    )
    _check_codes([*selection.select, *selection.ignore, *options.levels])
    report = _report(paths, options)
    render = {"text": findings.text, "json": findings.json, "sarif": findings.sarif, "github": findings.github}[output.value]
    shown = [one for one in report.findings if _at_least(one.level, min_level)]
    write(render(shown, suppressed=report.suppressed))
    return int(exit_code(report, fail_on))


def exit_code(report: Report, fail_on: FailOn) -> ExitCode:
    """2 when input is unreadable, 1 when a finding is bad enough, else 0."""
    if report.unreadable:
        return ExitCode.INPUT
    return ExitCode.ANSWER_IS_NO if any(_at_least(one.level, fail_on) for one in report.findings) else ExitCode.OK


def _at_least(level: Level, least: FailOn) -> bool:
    order = [FailOn.INFO, FailOn.WARNING, FailOn.ERROR, FailOn.NEVER]
    return order.index(FailOn(level.value)) >= order.index(least)


def _report(paths: list[str], options: object) -> Report:
    from dataclasses import replace

    from gwsim.scenario.linting import configuration, scenario_findings, scenario_of
    from gwsim.topology.lint import Options, lint

    assert isinstance(options, Options)
    files = [scenario_of(path) for path in paths]
    if len(paths) != 1 or files[0] is None:
        if any(file is not None for file in files):
            raise UsageError("a scenario is linted by itself: give its folder, or the folders of configuration")
        return lint(clusters_of(paths), options)
    clusters, assumed, version = configuration(files[0])
    options = replace(options, assume_exists=(*options.assume_exists, *assumed), istio_version=version)
    return lint(clusters, options, more=scenario_findings(files[0]))


def clusters_of(paths: list[str]) -> dict[str, list[str]]:
    """The paths by cluster: `east=DIR` for one with a name, the others under "".

    Raises UsageError where both are given, or standard input twice.
    """
    from pathlib import Path

    found: dict[str, list[str]] = {}
    for path in paths:
        name, equals, rest = path.partition("=")
        named = bool(equals) and not Path(path).exists() and name.replace("-", "").replace("_", "").isalnum()
        found.setdefault(name if named else "", []).append(rest if named else path)
    if "" in found and len(found) > 1:
        raise UsageError(f"{found[''][0]} belongs to no cluster; with several clusters write CLUSTER=PATH for each")
    if sum(path == "-" for group in found.values() for path in group) > 1:
        raise UsageError("standard input (-) can be read once only")
    return found


def _words(values: list[str] | None) -> list[str]:
    return [word.strip() for value in values or [] for word in value.split(",") if word.strip()]


def _levels(words: list[str]) -> dict[str, Level]:
    from gwsim.diagnostics import Level

    found = {}
    for word in words:
        code, _, name = word.partition("=")
        if name not in [one.value for one in Level]:
            raise UsageError(f"--level {word}: write CODE=LEVEL, where the level is error, warning or info")
        found[code.strip().upper()] = Level(name)
    return found


def _check_codes(words: list[str]) -> None:
    """Raises UsageError for a code that does not exist; part of a code (`GW04`) is enough."""
    from gwsim.diagnostics import CODES, did_you_mean
    from gwsim.topology.lint import NOT_COVERED

    known = {name for row in CODES.values() for name in (row.code, row.name, row.istio) if name} | set(NOT_COVERED)
    for word in words:
        code = word.partition("=")[0].strip().upper()
        if code != "*" and not any(name.startswith(code) for name in known):
            raise UsageError(f"there is no code {code}; {did_you_mean(code, known) or 'gwsim explain CODE says what one means'}")


__all__ = ["FailOn", "LintFormat", "clusters_of", "exit_code", "lint"]
