"""`gwsim compare`: does this change make anything worse?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.options import (
    Costs,
    Duration,
    Engine,
    EngineOption,
    FixReplicas,
    Jobs,
    Quiet,
    Replications,
    Seed,
    Undecided,
    UndecidedOption,
    cores,
    given_of,
)
from gwsim.cli.output import Color, notice, write, write_lines
from gwsim.errors import ExitCode, UsageError
from gwsim.files import folder_for_writing, write_whole

if TYPE_CHECKING:
    from gwsim.planning.preparation import Given
    from gwsim.planning.verdict import Comparison, Side


class Style(StrEnum):
    """What is printed on standard output."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def compare(
    what: Annotated[list[str], typer.Argument(metavar="SCENARIO | RUN_A RUN_B", help="A scenario, or two folders that gwsim run has written.", show_default=False)],
    config: Annotated[list[str] | None, typer.Option("--config", metavar="PATH", help="Istio YAML in place of the scenario's own; given twice, the first is A and the second B.", show_default=False)] = None,
    baseline_ref: Annotated[str | None, typer.Option("--baseline-ref", metavar="REVISION", help="A is the scenario at this git revision, B as it is now.", show_default=False)] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="What B changes of the scenario or its objects (with --config or --baseline-ref: what both do). Repeatable.", show_default=False)] = None,
    tolerance: Annotated[str, typer.Option(metavar="SHARE", help="How much worse a judged figure may be.")] = "5%",
    engine: EngineOption = Engine.AUTO,
    seed: Seed = None,
    replications: Replications = None,
    duration: Duration = None,
    costs: Costs = None,
    fix_replicas: FixReplicas = False,
    jobs: Jobs = None,
    output: Annotated[Style, typer.Option("-o", "--output", help="What is printed on standard output.")] = Style.TEXT,
    undecided: UndecidedOption = Undecided.FAIL,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where comparison.json is saved (default: out/compare-<scenario>).", show_default=False)] = None,
    quiet: Quiet = False,
    color: Annotated[Color, typer.Option(help="Colour of the terminal report; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """Hold one run against another, paired by replication: what changed, which requests met it, what came of it.

    Exit codes: 0 no worse; 1 worse; 3 undecided: an interval is too wide, or a change was not exercised or is not modelled.
    """
    from gwsim.planning.verdict import compare as hold
    from gwsim.units import parse_share

    try:
        allowed = parse_share(tolerance)
    except ValueError as error:
        raise UsageError(f"--tolerance: {error}") from None
    if len(what) == 2 and not config and baseline_ref is None:
        made = hold(*_saved(what), tolerance=allowed)
    else:
        if len(what) != 1:
            raise UsageError("compare takes one scenario, or the folders of two runs")
        common = given_of(
            what, (), seed=seed, replications=replications, duration=duration, costs=costs, fix_replicas=fix_replicas
        )
        with _pair(common, config or [], baseline_ref, set_ or []) as (first, second):
            a, b = (_simulated(*one, engine, jobs) for one in (first, second))
            made = hold(a, b, tolerance=allowed)
    changed = [*(["--baseline-ref", baseline_ref] if baseline_ref else []), *(word for one in config or [] for word in ("--config", one))]
    words = ["gwsim", "compare", *what, *changed, *(word for one in set_ or [] for word in ("--set", one))]
    options = given_of(what, (), seed=seed, replications=replications, duration=duration, costs=costs, fix_replicas=fix_replicas)
    _finish(made, what, shlex.join([*words, *options.words[len(what) - 1 :]]), out, output, color)
    raise typer.Exit(_exit_code(made, undecided, quiet))


@contextmanager
def _pair(
    common: Given, config: list[str], baseline_ref: str | None, settings: list[str]
) -> Iterator[tuple[tuple[str, Given], tuple[str, Given]]]:
    """The two cases with their names."""
    both = replace(common, settings=tuple(settings))
    if baseline_ref is not None:
        from gwsim.planning.revisions import at_revision

        if len(config) > 0:
            raise UsageError("--config and --baseline-ref exclude each other")
        with at_revision(common.target, baseline_ref) as there:
            yield (baseline_ref, replace(both, paths=(there,))), ("as it is", both)
    elif config:
        if len(config) != 2:
            raise UsageError("give --config twice: the first is A, the second B")
        yield (config[0], replace(both, paths=(common.target, config[0]))), (config[1], replace(both, paths=(common.target, config[1])))
    elif settings:
        for name, option in (("replications", "-n"), ("seed", "--seed"), ("duration", "--duration")):
            given = next((one.partition("=")[2] for one in settings if one.startswith(f"run.{name}=")), None)
            if given is not None:
                raise UsageError(f"--set run.{name} would change one side only, and no run of it could be paired; write {option} {given}")
        yield ("as it is", common), ("with " + ", ".join(settings), both)
    else:
        raise UsageError("compare with what? give --config A --config B, --baseline-ref REVISION, --set PATH=VALUE, or two runs")


def _simulated(name: str, given: Given, engine: Engine, jobs: int | None) -> Side:
    from gwsim.cli.interrupts import heard
    from gwsim.planning.cases import run_case
    from gwsim.planning.preparation import prepare
    from gwsim.planning.verdict import Side

    prepared = prepare(given)
    with heard():
        done = run_case(prepared, engine=engine.value, workers=jobs or cores())
    return Side(name=name, results=done.results, project=prepared.project, resolved=done.resolved)


def _saved(folders: list[str]) -> tuple[Side, Side]:
    from gwsim.planning.verdict import Side
    from gwsim.results import store

    a, b = (Side(name=folder, results=store.load(folder)) for folder in folders)
    return a, b


def _finish(made: Comparison, what: list[str], command: str, out: Path | None, output: Style, color: Color) -> None:
    from gwsim.planning.points import text_of
    from gwsim.planning.preparation import scenario_name
    from gwsim.report import comparison as telling
    from gwsim.report.comparison_page import render

    folder = folder_for_writing(out or Path("out") / f"compare-{scenario_name(what[-1])}")
    files = {"comparison.html": render(made, command), "comparison.json": text_of(made.plain()), "comparison.md": telling.markdown(made)}
    for name, text in files.items():
        write_whole(folder / name, text)
    if output is Style.JSON:
        write(files["comparison.json"])
    elif output is Style.MARKDOWN:
        write(files["comparison.md"])
    else:
        write_lines(telling.lines(made, [f"{folder}/", *files]), color)


def _exit_code(made: Comparison, undecided: Undecided, quiet: bool) -> int:
    if made.exit_code is ExitCode.UNDECIDED and undecided is not Undecided.FAIL:
        if undecided is Undecided.WARN:
            notice(f"gwsim: warning: undecided: {made.reasons[0]}", quiet=quiet)
        return int(ExitCode.OK)
    return int(made.exit_code)


__all__ = ["Style", "compare"]
