"""`gwsim topology`: the picture of a scenario or of a saved run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.output import Color, notice, write, write_lines

if TYPE_CHECKING:
    from gwsim.report.flow import Flow


class Drawn(StrEnum):
    """How it is drawn."""

    TEXT = "text"
    SVG = "svg"


def topology(
    target: Annotated[str, typer.Argument(metavar="SCENARIO|RUN_DIR", help="A scenario.yaml, a folder with one, plain Istio YAML, or a folder that gwsim run has written.", show_default=False)],
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the scenario or of an object. Repeatable.", show_default=False)] = None,
    form: Annotated[Drawn, typer.Option("--as", help="text for terminals, or one SVG file.")] = Drawn.TEXT,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Where to write it (default: standard output); a name ending in .svg means --as svg.", show_default=False)] = None,
    color: Annotated[Color, typer.Option(help="Colour of the text; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """Draw clients, gateways, routes, clusters and backends; width is load, colour is utilisation.

    Of a scenario what is offered is drawn, from rates, weights and routes, without running it; of a saved run what came of it.
    """
    from gwsim.files import write_whole
    from gwsim.report import flow_text, picture

    flow = _flow(target, tuple(set_ or ()))
    if form is Drawn.TEXT and (to is None or to.suffix != ".svg"):
        if to is None:
            write_lines(flow_text.lines(flow), color)
            return
        from gwsim.report.lines import plain

        text = plain(flow_text.lines(flow))
    else:
        text = picture.standalone(flow)
    if to is None:
        write(text)
    else:
        write_whole(to, text)
        notice(f"gwsim: wrote {to}")


def _flow(target: str, settings: tuple[str, ...]) -> Flow:
    from gwsim.errors import UsageError
    from gwsim.report.happened import flow_of
    from gwsim.results import store

    path = Path(target)
    if path.name == store.RUN or (path / store.RUN).is_file():
        if settings:
            raise UsageError(f"{target} is a saved run: --set changes scenarios; run it again, or name the scenario")
        return flow_of(store.load(path))
    from gwsim.planning.preparation import Given, prepare
    from gwsim.report.offered import flow_of_scenario

    return flow_of_scenario(prepare(Given(paths=(target,), settings=settings)).resolved)


__all__ = ["Drawn", "topology"]
