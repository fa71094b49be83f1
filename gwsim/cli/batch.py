"""`gwsim batch`: many scenarios, one table."""

from __future__ import annotations

from dataclasses import replace
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
    Seed,
    Settings,
    Workers,
    given_of,
    working,
)
from gwsim.cli.output import Color, write, write_lines
from gwsim.files import folder_for_writing, write_whole

if TYPE_CHECKING:
    from gwsim.planning.batch import Batch

Scenarios = Annotated[list[str], typer.Argument(metavar="SCENARIOS...", help="Scenario files or folders, or folders of such folders.", show_default=False)]


def batch(
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
    output: Annotated[Data, typer.Option("-o", "--output", help="What is printed on standard output.")] = Data.TEXT,
    out: Out = None,
    quiet: Quiet = False,
    color: Annotated[Color, typer.Option(help="Colour of the terminal report; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """Run all scenarios, whatever becomes of each; the exit code is the worst. An interrupted batch goes on where it stopped."""
    made, folder = run_all(
        scenarios, set_, engine=engine, seed=seed, replications=replications, duration=duration, costs=costs,
        fix_replicas=fix_replicas, jobs=jobs, workers=workers, dask=dask, out=out, quiet=quiet,
    )
    files = _save(made, folder)
    if output is Data.TEXT:
        from gwsim.report import batch as telling

        write_lines(telling.lines(made, [f"{folder}/", *files]), color)
    else:
        write((folder / f"batch.{output.value}").read_text("utf-8"))
    raise typer.Exit(int(made.exit_code))


def run_all(
    scenarios: list[str], settings: list[str] | None, *, engine: Engine, seed: int | None, replications: int | None,
    duration: str | None, costs: str | None, fix_replicas: bool, jobs: int | None, workers: Kind, dask: str | None,
    out: Path | None, quiet: bool,
) -> tuple[Batch, Path]:
    """Run scenarios with options for all; gives the rows and the folder they are kept in."""
    from gwsim.cli.progress import Points
    from gwsim.planning.batch import batch as run
    from gwsim.planning.batch import scenario_paths

    paths = scenario_paths(scenarios)
    given = given_of(
        [paths[0]], settings, seed=seed, replications=replications, duration=duration, fix_replicas=fix_replicas
    )
    given = replace(given, costs=costs)
    folder = folder_for_writing(out or Path("out") / "batch")
    store = folder_for_writing(folder / "points").absolute()
    with working(engine, jobs, workers, dask) as pool, Points(len(paths), enabled=not quiet) as done:
        return run(given, paths, pool, engine=engine.value, store=store, done=done), folder


def _save(made: Batch, folder: Path) -> list[str]:
    from gwsim.planning.points import text_of

    write_whole(folder / "batch.json", text_of(made.plain()))
    write_whole(folder / "batch.csv", made.frame().to_csv(index=False, lineterminator="\n"))
    return ["batch.json", "batch.csv"]


__all__ = ["Scenarios", "batch", "run_all"]
