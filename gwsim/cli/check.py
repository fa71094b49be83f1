"""`gwsim check`: the budgets of scenarios, as a gate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.batch import Scenarios, run_all
from gwsim.cli.options import (
    Costs,
    Dask,
    Duration,
    Engine,
    EngineOption,
    FixReplicas,
    Jobs,
    Kind,
    Out,
    Quiet,
    Replications,
    Seed,
    Settings,
    Undecided,
    UndecidedOption,
    Workers,
)
from gwsim.cli.output import Color, notice, write, write_lines
from gwsim.errors import ExitCode, worst
from gwsim.files import write_whole

if TYPE_CHECKING:
    from gwsim.planning.batch import Batch


class Style(StrEnum):
    """What is printed on standard output."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    MARKDOWN = "markdown"
    GITHUB = "github"


def check(
    scenarios: Scenarios,
    set_: Settings = None,
    engine: EngineOption = Engine.AUTO,
    seed: Seed = None,
    replications: Replications = None,
    duration: Duration = None,
    costs: Costs = None,
    fix_replicas: FixReplicas = False,
    jobs: Jobs = None,
    workers: Workers = Kind.THREADS,
    dask: Dask = None,
    output: Annotated[Style, typer.Option("-o", "--output", help="What is printed on standard output; with github, annotations, and a summary in $GITHUB_STEP_SUMMARY.")] = Style.TEXT,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML there too.", show_default=False)] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write a summary in Markdown there too.", show_default=False)] = None,
    baseline: Annotated[Path | None, typer.Option("--baseline", metavar="DIR", help="Saved runs (one folder a scenario) that budgets like '< 105% of baseline' are held against.", show_default=False)] = None,
    baseline_ref: Annotated[str | None, typer.Option("--baseline-ref", metavar="REVISION", help="The same with the scenarios as they were at a git revision.", show_default=False)] = None,
    undecided: UndecidedOption = Undecided.FAIL,
    out: Out = None,
    quiet: Quiet = False,
    color: Annotated[Color, typer.Option(help="Colour of the terminal report; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """Hold the budgets of scenarios: pass, fail, undecided. The same input gives the same bytes, whatever ran it."""
    from gwsim.planning.batch import scenario_paths

    made, _ = run_all(
        scenarios, set_, engine=engine, seed=seed, replications=replications, duration=duration, costs=costs,
        fix_replicas=fix_replicas, jobs=jobs, workers=workers, dask=dask, out=out, quiet=quiet,
        baseline=baseline, baseline_ref=baseline_ref,
    )
    files = [str(Path(path) / "scenario.yaml") if Path(path).is_dir() else path for path in scenario_paths(scenarios)]
    _write_beside(made, junit, markdown)
    _show(made, files, output, color)
    raise typer.Exit(exit_code(made, undecided, quiet=quiet))


def exit_code(made: Batch, undecided: Undecided, *, quiet: bool) -> int:
    """The worst of all, with undecided ones as `--undecided` has them."""
    codes = [ExitCode(row["exit_code"]) for row in made.rows]
    if undecided is not Undecided.FAIL:
        for name, row in zip(made.names, made.rows, strict=True):
            if row["exit_code"] == ExitCode.UNDECIDED and undecided is Undecided.WARN:
                notice(f"gwsim: warning: {name} is undecided: {row['sentence']}", quiet=quiet)
        codes = [code for code in codes if code is not ExitCode.UNDECIDED]
    return int(worst(codes))


def _write_beside(made: Batch, junit: Path | None, markdown: Path | None) -> None:
    if junit is not None:
        from gwsim.report import junit as xml

        write_whole(junit, xml.render(made))
    if markdown is not None:
        from gwsim.report import markdown as summary

        write_whole(markdown, summary.checked(made))


def _show(made: Batch, files: Sequence[str], output: Style, color: Color) -> None:
    if output is Style.TEXT:
        from gwsim.report import batch as telling

        write_lines(telling.budget_lines(made), color)
    elif output is Style.JSON:
        from gwsim.planning.points import text_of

        write(text_of(made.plain()))
    elif output is Style.JUNIT:
        from gwsim.report import junit

        write(junit.render(made))
    else:
        from gwsim.report import github, markdown

        if output is Style.MARKDOWN:
            write(markdown.checked(made))
            return
        write(github.checked(made, files))
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(markdown.checked(made))


__all__ = ["Style", "check", "exit_code"]
