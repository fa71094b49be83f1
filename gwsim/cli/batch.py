"""`gwsim batch`: many scenarios, one table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
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
from gwsim.errors import UsageError
from gwsim.files import folder_for_writing, write_whole

if TYPE_CHECKING:
    from gwsim.planning.batch import Batch
    from gwsim.planning.preparation import Given

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
    out: Path | None, quiet: bool, baseline: Path | None = None, baseline_ref: str | None = None,
) -> tuple[Batch, Path]:
    """Run scenarios with options for all; gives the rows and the folder they are kept in.

    `baseline` is a folder of saved runs (or one), `baseline_ref` a git revision: what relative budgets are held against.
    """
    from gwsim.cli.progress import Points
    from gwsim.planning.batch import batch as run
    from gwsim.planning.batch import batch_names, scenario_paths

    paths = scenario_paths(scenarios)
    given = given_of(
        [paths[0]], settings, seed=seed, replications=replications, duration=duration, fix_replicas=fix_replicas
    )
    given = replace(given, costs=costs)
    folder = folder_for_writing(out or Path("out") / "batch")
    store = folder_for_writing(folder / "points").absolute()
    with ExitStack() as stack:
        against = _baselines(stack, given, paths, batch_names(paths), baseline, baseline_ref)
        pool = stack.enter_context(working(engine, jobs, workers, dask))
        done = stack.enter_context(Points(len(paths), enabled=not quiet))
        return run(given, paths, pool, engine=engine.value, store=store, baselines=against, done=done), folder


def _baselines(
    stack: ExitStack, given: Given, paths: Sequence[str], names: Sequence[str], saved: Path | None, revision: str | None
) -> list[Given | Path | None]:
    """What each scenario is held against; UsageError where something named is not there."""
    if saved is not None and revision is not None:
        raise UsageError("--baseline and --baseline-ref exclude each other")
    if revision is not None:
        from gwsim.planning.revisions import at_revision

        return [replace(given, paths=(stack.enter_context(at_revision(path, revision)),)) for path in paths]
    if saved is None:
        return []
    if (saved / "run.json").is_file():
        if len(paths) > 1:
            raise UsageError(f"{saved} is one run, and there are {len(paths)} scenarios; give the folder above it")
        return [saved]
    found: list[Given | Path | None] = [saved / name if (saved / name / "run.json").is_file() else None for name in names]
    if not any(found):
        raise UsageError(f"{saved} holds no saved run of {', '.join(names[:3])}; write one with gwsim run --out {saved}/{names[0]}")
    return found


def _save(made: Batch, folder: Path) -> list[str]:
    from gwsim.planning.points import text_of

    write_whole(folder / "batch.json", text_of(made.plain()))
    write_whole(folder / "batch.csv", made.frame().to_csv(index=False, lineterminator="\n"))
    return ["batch.json", "batch.csv"]


__all__ = ["Scenarios", "batch", "run_all"]
