"""`gwsim uncertainty`: ranges of inputs carried to ranges in the answer, and which input matters most."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    Scenario,
    Seed,
    Settings,
    Undecided,
    UndecidedOption,
    Workers,
    given_of,
    working,
)
from gwsim.cli.output import Color, notice, write, write_lines
from gwsim.errors import ExitCode
from gwsim.files import folder_for_writing, write_whole

if TYPE_CHECKING:
    from gwsim.planning.uncertainty import Uncertainty


class Style(StrEnum):
    """What is printed on standard output."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


class CostInputs(StrEnum):
    """How the costs of the profile vary."""

    GROUPS = "groups"
    EACH = "each"
    NONE = "none"


def uncertainty(
    scenario: Scenario,
    input_: Annotated[list[str] | None, typer.Option("--input", metavar="PATH=LOW..HIGH", help="A value that is not known exactly: path=1800rps..2600rps, path=low..middle..high (add :log for even factors). Repeatable; besides those in the scenario's section uncertain.", show_default=False)] = None,
    cost_inputs: Annotated[CostInputs, typer.Option("--cost-inputs", help="The costs vary through the ranges of their profile: those of a kind together, each by itself, or not at all.")] = CostInputs.GROUPS,
    figure: Annotated[list[str] | None, typer.Option("--figure", metavar="FIGURE", help="What is looked at besides the scenario's budgets, e.g. 'gateway.latency p(99)', or a budget with its limit. Repeatable.", show_default=False)] = None,
    samples: Annotated[int, typer.Option("--samples", min=5, max=10_000, help="Runs through the ranges of all inputs together; two more for each input.")] = 30,
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
    output: Annotated[Style, typer.Option("-o", "--output", help="What is printed on standard output; csv has a row a sample.")] = Style.TEXT,
    undecided: UndecidedOption = Undecided.FAIL,
    out: Out = None,
    quiet: Quiet = False,
    color: Annotated[Color, typer.Option(help="Colour of the terminal report; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """Carry the ranges of inputs to ranges in the answer: how wide they are, whose doing that is, and whether the budgets hold throughout."""
    from gwsim.cli.progress import Points
    from gwsim.planning.inputs import inputs_of
    from gwsim.planning.preparation import prepare
    from gwsim.planning.uncertainty import uncertainty as run

    given = given_of(
        [scenario], set_, seed=seed, replications=replications, duration=duration, costs=costs, fix_replicas=fix_replicas
    )
    prepared = prepare(given)
    inputs = inputs_of(prepared, input_ or (), costs=cost_inputs.value)
    folder = folder_for_writing(out or Path("out") / f"uncertainty-{prepared.name}")
    store = folder_for_writing(folder / "points").absolute()
    runs = samples + 2 * len(inputs) + 1
    with working(engine, jobs, workers, dask) as pool, Points(runs, enabled=not quiet) as done:
        made = run(given, inputs, pool, figures=figure or (), samples=samples, engine=engine.value, store=store, done=done)
    files = save(made, folder)
    _show(made, folder, files, output, color)
    code = made.exit_code
    if code is ExitCode.UNDECIDED and undecided is not Undecided.FAIL:
        if undecided is Undecided.WARN:
            notice(f"gwsim: warning: {made.name}: the inputs do not decide the budgets", quiet=quiet)
        code = ExitCode.OK
    raise typer.Exit(int(code))


def _show(made: Uncertainty, folder: Path, files: list[str], output: Style, color: Color) -> None:
    if output is Style.TEXT:
        from gwsim.report import uncertainty as telling

        write_lines(telling.lines(made, [f"{folder}/", *files]), color)
        return
    name = {Style.JSON: "uncertainty.json", Style.CSV: "samples.csv", Style.MARKDOWN: "uncertainty.md"}[output]
    write((folder / name).read_text("utf-8"))


def save(made: Uncertainty, folder: Path) -> list[str]:
    """Write the data, the samples and the tables in Markdown; gives the names of the files."""
    from gwsim.planning.points import text_of
    from gwsim.report.uncertainty import markdown

    write_whole(folder / "uncertainty.json", text_of(made.plain()))
    write_whole(folder / "samples.csv", made.samples_frame().to_csv(index=False, lineterminator="\n"))
    write_whole(folder / "uncertainty.md", markdown(made))
    return ["uncertainty.json", "samples.csv", "uncertainty.md"]


__all__ = ["save", "uncertainty"]
