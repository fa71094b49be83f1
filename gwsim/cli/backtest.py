"""`gwsim backtest`: a scenario held against what Prometheus recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.options import Costs, Engine, EngineOption, Quiet, Scenario, Settings, given_of
from gwsim.cli.output import Color, Format, notice, write, write_lines
from gwsim.errors import InputError, UsageError

if TYPE_CHECKING:
    from gwsim.observed.prometheus import Recorded
    from gwsim.observed.window import Gateway


def backtest(
    scenario: Scenario,
    prometheus: Annotated[str, typer.Option("--prometheus", metavar="DIR|URL", help="A folder of range-query answers, or the address of a Prometheus.", show_default=False)],
    from_: Annotated[str, typer.Option("--from", metavar="TIME", help="Start: ISO 8601, or seconds since the epoch (default: the first point recorded).", show_default=False)] = "",
    to: Annotated[str, typer.Option("--to", metavar="TIME", help="End (default: the last point recorded).", show_default=False)] = "",
    gateway: Annotated[str, typer.Option("--gateway", metavar="NAMESPACE/NAME", help="The gateway, where clients use several.", show_default=False)] = "",
    fit: Annotated[float, typer.Option("--fit", min=0.05, max=0.95, help="Share of the window, from its start, on which service times are fitted.")] = 0.5,
    step: Annotated[str, typer.Option("--step", metavar="TIME", help="Distance of points asked of a server.")] = "30s",
    header: Annotated[list[str] | None, typer.Option("--header", metavar="NAME: VALUE", help="Sent with every query, for authentication. Repeatable.", show_default=False)] = None,
    requests: Annotated[int, typer.Option("--requests", min=1000, help="Requests simulated for the prediction, about.")] = 300_000,
    within: Annotated[float | None, typer.Option("--within", min=0.0, metavar="SHARE", help="Exit 1 when CPU or a duration is further off than this, e.g. 0.25.", show_default=False)] = None,
    set_: Settings = None,
    costs: Costs = None,
    engine: EngineOption = Engine.AUTO,
    output: Annotated[Format, typer.Option("-o", "--output", help="What is printed on standard output.")] = Format.TEXT,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write backtest.json and backtest.svg there.", show_default=False)] = None,
    quiet: Quiet = False,
    color: Annotated[Color, typer.Option(help="Colour of the report; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """Replay the observed rate and mix against the configuration, and compare rates, CPU, durations, 5xx and replicas."""
    import json

    from gwsim.observed import backtest as made_by
    from gwsim.planning.preparation import prepare
    from gwsim.report import backtest as report

    given = given_of([scenario], set_, costs=costs, fix_replicas=True)
    prepared = prepare(given)
    _, named = made_by.gateway_of(prepared, gateway)
    recorded, start, end = _recorded(prometheus, named, _time(from_, "--from"), _time(to, "--to"), step, header or [])
    made = made_by.backtest(
        given, recorded, start=start, end=end, gateway=gateway, fit_share=fit, requests=requests, engine=engine.value,
        told=lambda text: notice(f"gwsim: {text} ...", quiet=quiet),
    )
    plain = json.dumps(report.as_plain(made), indent=1) + "\n"
    wrote = _written(report.figure(made), plain, out) if out is not None else []
    if output is Format.JSON:
        write(plain)
    else:
        write_lines(report.lines(made, wrote), color)
    if within is not None and any(not 1 / (1 + within) <= one.ratio <= 1 + within for one in made.rows if one.metric in ("cpu per pod", "request duration")):
        raise typer.Exit(1)


def _written(figure: object, plain: str, out: Path) -> list[str]:
    from gwsim.files import folder_for_writing, write_whole

    folder = folder_for_writing(out)
    write_whole(folder / "backtest.json", plain)
    figure.savefig(folder / "backtest.svg")  # type: ignore[attr-defined]
    return [f"{folder}/", "backtest.json", "backtest.svg"]


def _time(text: str, option: str) -> float | None:
    from gwsim.scenario.replay import time_of

    if not text:
        return None
    found = time_of(text)
    if found is None:
        raise UsageError(f"{option} {text!r} is no time; write e.g. 2026-05-01T10:00:00Z")
    return found


def _recorded(source: str, gateway: Gateway, start: float | None, end: float | None, step: str, headers: list[str]) -> tuple[Recorded, float, float]:
    """What was recorded, and the window: the times given, or all of it."""
    from gwsim.observed import prometheus

    if "://" not in source:
        folder = Path(source)
        if not folder.exists():
            raise UsageError(f"--prometheus: there is no folder {source}")
        recorded = prometheus.read_folder(folder)
        times = [at for one in recorded.series if len(one.times) for at in (one.times[0], one.times[-1])]
        if not times:
            raise InputError(f"{source}: there are no points")
        return recorded, float(min(times) if start is None else start), float(max(times) if end is None else end)
    if start is None or end is None:
        raise UsageError("a server needs --from and --to")
    return _asked(source, gateway, start, end, step, headers), start, end


def _asked(url: str, gateway: Gateway, start: float, end: float, step: str, headers: list[str]) -> Recorded:
    from dataclasses import replace

    from gwsim.observed import prometheus
    from gwsim.units import parse_duration_s

    pairs = [tuple(part.strip() for part in one.split(":", 1)) for one in headers]
    if any(len(pair) != 2 for pair in pairs):
        raise UsageError("--header is written NAME: VALUE")
    try:
        step_s = parse_duration_s(step)
    except ValueError as error:
        raise UsageError(f"--step: {error}") from None
    server = prometheus.Server(url=url, headers=tuple((name, value) for name, value in pairs))
    made = []
    for name, query in gateway.queries.items():
        made += [replace(one, labels={**one.labels, "__name__": name}) for one in server.query(query, start, end, step_s)]
    return prometheus.together(made)


__all__ = ["backtest"]
