"""`gwsim sweep`: a scenario at every point of a grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.options import (
    Costs,
    Dask,
    Data,
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
    Workers,
    given_of,
    working,
)
from gwsim.cli.output import Color, write, write_lines
from gwsim.files import folder_for_writing, write_whole

if TYPE_CHECKING:
    from gwsim.planning.sweep import Sweep


def sweep(
    scenario: Scenario,
    over: Annotated[list[str], typer.Option("--over", metavar="PATH=VALUES", help="What to vary: path=1krps..20krps:20, path=1..8, path=a,b,c (add :log for even factors). Repeatable: the points are all combinations.", show_default=False)],
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
    output: Annotated[Data, typer.Option("-o", "--output", help="What is printed on standard output.")] = Data.TEXT,
    out: Out = None,
    no_html: Annotated[bool, typer.Option("--no-html", help="Do not write sweep.html.")] = False,
    quiet: Quiet = False,
    color: Annotated[Color, typer.Option(help="Colour of the terminal report; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """Run a scenario at every point of a grid: table, knee, heat map. An interrupted sweep goes on where it stopped."""
    from gwsim.cli.progress import Points
    from gwsim.planning.axes import grid, parse_axis
    from gwsim.planning.preparation import scenario_name
    from gwsim.planning.sweep import sweep as run

    given = given_of(
        [scenario], set_, seed=seed, replications=replications, duration=duration, costs=costs, fix_replicas=fix_replicas
    )
    axes = [parse_axis(text) for text in over]
    folder = folder_for_writing(out or Path("out") / f"sweep-{scenario_name(scenario)}")
    store = folder_for_writing(folder / "points").absolute()
    with working(engine, jobs, workers, dask) as pool, Points(len(grid(axes)), enabled=not quiet) as done:
        swept = run(given, axes, pool, engine=engine.value, store=store, done=done)
    files = save(swept, folder, html=not no_html)
    if output is Data.JSON:
        write((folder / "sweep.json").read_text("utf-8"))
    elif output is Data.CSV:
        write((folder / "sweep.csv").read_text("utf-8"))
    else:
        from gwsim.report import sweep as telling

        write_lines(telling.lines(swept, [f"{folder}/", *files]), color)
    raise typer.Exit(int(swept.exit_code))


def save(swept: Sweep, folder: Path, *, html: bool) -> list[str]:
    """Write the sweep; gives the names of the files."""
    from gwsim.planning.points import text_of

    write_whole(folder / "sweep.json", text_of(swept.plain()))
    write_whole(folder / "sweep.csv", swept.frame().to_csv(index=False, lineterminator="\n"))
    files = ["sweep.json", "sweep.csv"]
    if html:
        from gwsim.report.sweep_page import render

        write_whole(folder / "sweep.html", render(swept))
        files.insert(0, "sweep.html")
    return files


__all__ = ["save", "sweep"]
