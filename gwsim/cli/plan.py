"""`gwsim plan`: the cheapest fleet that holds the budgets, over a forecast."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.options import (
    Costs,
    Dask,
    Data,
    Engine,
    EngineOption,
    Jobs,
    Kind,
    Out,
    Quiet,
    Scenario,
    Seed,
    Settings,
    Workers,
    given_of,
    working,
)
from gwsim.cli.output import Color, notice, write, write_lines
from gwsim.errors import UsageError
from gwsim.files import folder_for_writing, write_whole

if TYPE_CHECKING:
    from gwsim.planning.plan import Plan
    from gwsim.planning.probes import Try

_VARY = re.compile(r"(?:gateways?\.)?(?P<gateway>.+?)\.(?:replicas=(?P<low>\d+)\.\.(?P<high>\d+)|workers=(?P<workers>\d+(?:,\d+)*))")


def plan(
    scenario: Scenario,
    load: Annotated[str | None, typer.Option("--load", metavar="RATE|A..B[:N]", help="The load of all clients together: one rate, several with commas, or a forecast A..B at N points (default 5, in even factors). Default: the scenario's own.", show_default=False)] = None,
    budget: Annotated[list[str] | None, typer.Option("--budget", metavar="BUDGET", help="What must hold, e.g. 'gateway.latency p(99) < 50ms' (default: the scenario's budgets). Repeatable.", show_default=False)] = None,
    vary: Annotated[list[str] | None, typer.Option("--vary", metavar="GATEWAY.replicas=A..B|GATEWAY.workers=N,N", help="The gateway whose pods are counted, and their bounds (default: the one whose workers are busiest, 1..40); workers: pods of other sizes too. Repeatable.", show_default=False)] = None,
    zone_lost: Annotated[bool, typer.Option("--zone-lost", help="It must hold after the zone with most of the gateway's pods is gone.")] = False,
    hpa: Annotated[bool, typer.Option("--hpa", help="Find bounds and target of an autoscaler too, for a load that goes up from A to B (of --load) and down again, or changes as the scenario says; confirmed by full runs with it at work.")] = False,
    ramp: Annotated[str, typer.Option("--ramp", metavar="TIME", help="With --hpa and --load: how long the load takes to rise, and to fall.")] = "5m",
    no_headroom: Annotated[bool, typer.Option("--no-headroom", help="Do not look for the largest load that the fleets carry.")] = False,
    set_: Settings = None,
    engine: EngineOption = Engine.AUTO,
    seed: Seed = None,
    costs: Costs = None,
    jobs: Jobs = None,
    workers: Workers = Kind.THREADS,
    dask: Dask = None,
    output: Annotated[Data, typer.Option("-o", "--output", help="What is printed on standard output.")] = Data.TEXT,
    out: Out = None,
    quiet: Quiet = False,
    color: Annotated[Color, typer.Option(help="Colour of the terminal report; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """The fewest pods for every load of a forecast, what fails with one less, headroom, settings to write, costs."""
    from gwsim.planning.axes import parse_loads
    from gwsim.planning.day import day_for
    from gwsim.planning.plan import plan as make
    from gwsim.planning.preparation import prepare
    from gwsim.results.budgets import parse

    given = given_of([scenario], set_, seed=seed, costs=costs, fix_replicas=True)
    prepared = prepare(given)
    budgets = [parse(text) for text in budget or ()]
    gateway, bounds, counts = _varied(vary or ())
    loads = parse_loads(load) if load is not None else []
    day = day_for(prepared.resolved.model, loads, ramp) if hpa else None
    folder = folder_for_writing(out or Path("out") / f"plan-{prepared.name}")
    with working(engine, jobs, workers, dask) as pool:
        made = make(
            prepared, pool, budgets=budgets, loads=loads, gateway=gateway, replicas=bounds, workers=counts, zone_lost=zone_lost,
            headroom=not no_headroom, day=day, engine=engine.value, told=None if quiet else _tell,
        )
    files = _save(made, folder)
    if output is Data.TEXT:
        from gwsim.report import plan as telling

        write_lines(telling.lines(made, [f"{folder}/", *files]), color)
    else:
        write((folder / f"plan.{output.value}").read_text("utf-8"))
    raise typer.Exit(int(made.exit_code))


def _varied(texts: Sequence[str]) -> tuple[str, tuple[int, int], tuple[int, ...]]:
    """The gateway, the bounds of its pods, and the numbers of workers that they may have (none: as they are)."""
    from gwsim.planning.plan import MOST_REPLICAS

    gateway, bounds, counts = "", (1, MOST_REPLICAS), tuple[int, ...]()
    for text in texts:
        match = _VARY.fullmatch(text)
        if match is None:
            raise UsageError(f"--vary {text}: replicas and workers are planned; write e.g. istio-ingressgateway.replicas=1..40 or istio-ingressgateway.workers=1,2,4")
        if gateway not in ("", match["gateway"]):
            raise UsageError(f"--vary {text}: one gateway is planned at a time, and that is {gateway} here")
        gateway = match["gateway"]
        if match["workers"]:
            counts = tuple(int(one) for one in match["workers"].split(","))
            if min(counts) < 1:
                raise UsageError(f"--vary {text}: a pod has one worker at least")
        else:
            bounds = int(match["low"]), int(match["high"])
            if not 1 <= bounds[0] <= bounds[1]:
                raise UsageError(f"--vary {text}: the bounds are A..B with 1 <= A <= B")
    return gateway, bounds, counts


def _tell(one: Try) -> None:
    word = "holds" if one.holds else "undecided" if one.holds is None else f"does not hold: {one.failing}"
    notice(f"gwsim: {one.replicas} pods at {one.load_rps:,.0f} rps: {word}")


def _save(made: Plan, folder: Path) -> list[str]:
    from gwsim.planning.points import text_of
    from gwsim.report.plan_page import render

    write_whole(folder / "plan.json", text_of(made.plain()))
    write_whole(folder / "plan.csv", made.frame().to_csv(index=False, lineterminator="\n"))
    write_whole(folder / "plan.html", render(made))
    return ["plan.html", "plan.json", "plan.csv"]


__all__ = ["plan"]
