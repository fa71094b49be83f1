"""`gwsim route test`: files of requests with the answers they should get."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.output import Color, Format, notice, write, write_lines
from gwsim.errors import ExitCode
from gwsim.files import write_whole

if TYPE_CHECKING:
    from gwsim.diagnostics import Collector
    from gwsim.queries import CaseResult


def test(
    cases: Annotated[list[Path], typer.Argument(metavar="CASES...", help="Case files, or folders of them.")],
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json.")] = Format.TEXT,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML to this file too.")] = None,
    root: Annotated[Path | None, typer.Option("--root", metavar="DIR", help="Where else the cases' config paths begin.")] = None,
    istio_version: Annotated[str, typer.Option("--istio-version", help="1.28 to 1.31.")] = "1.30",
    assume_exists: Annotated[list[str] | None, typer.Option("--assume-exists", metavar="KIND/NS/NAME", help="An object kept elsewhere; repeatable.")] = None,
    only: Annotated[str, typer.Option("-k", "--only", metavar="TEXT", help="Only cases whose id or name has this in it.")] = "",
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Passing cases and all routes not reached, too.")] = False,
    color: Annotated[Color, typer.Option("--color", help="auto, always or never.")] = Color.AUTO,
) -> int:
    """Route the requests of case files, and compare with what they expect.

    Exit codes: 0 all cases pass (or may be skipped); 1 a case differs; 2 a case or its configuration is wrong.
    The fields of a case are in docs/route-tests.md; -o json tells for every case what actually becomes of it.
    """
    from gwsim.diagnostics import Collector
    from gwsim.queries import coverage_of, read_cases, run_cases
    from gwsim.queries.topologies import Topologies
    from gwsim.report import route_tests
    from gwsim.topology.from_istio.versions import rules_for

    rules_for(istio_version)
    collector = Collector()
    found = [case for file in read_cases(cases, collector=collector, root=root) for case in file.cases]
    chosen = [case for case in found if only in case.id or only in case.name]
    topologies = Topologies(istio_version=istio_version, assume_exists=tuple(assume_exists or ()))
    results = list(run_cases(chosen, topologies))
    coverage = coverage_of(results)
    if output is Format.JSON:
        write(route_tests.as_json(results, coverage))
    else:
        write_lines(route_tests.text(results, coverage, verbose=verbose), color)
    if junit is not None:
        write_whole(junit, route_tests.junit(results))
    return _ended(collector, results)


def _ended(collector: Collector, results: list[CaseResult]) -> int:
    """The exit code; what is wrong with the files goes to standard error."""
    from gwsim.diagnostics import Level, render_all
    from gwsim.queries import Status

    shown = list(collector.findings)
    for result in results:
        shown += [one for one in result.problems if one not in shown]
    shown = [one for one in shown if one.level is not Level.INFO]
    if shown:
        notice(render_all(shown).rstrip())
    if not results and not shown:
        notice("gwsim: no case to test")
        return int(ExitCode.INPUT)
    statuses = {one.status for one in results}
    if collector.has_errors or Status.ERROR in statuses:
        return int(ExitCode.INPUT)
    return int(ExitCode.ANSWER_IS_NO if Status.FAIL in statuses else ExitCode.OK)


__all__ = ["test"]
