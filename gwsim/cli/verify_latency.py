"""`gwsim verify latency`: utilisation and latency of a real Envoy against the model, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.options import Quiet
from gwsim.cli.output import Color, Format, notice, write, write_lines
from gwsim.errors import ExitCode

if TYPE_CHECKING:
    from gwsim.envoy.latency.judging import Accuracy


def latency(
    seconds: Annotated[float, typer.Option("--seconds", min=0.5, max=60.0, help="Length of each run; there are 35 of them.")] = 3.0,
    realtime: Annotated[bool, typer.Option("--realtime", help="Measure with real-time priority: right on a busy machine, which waits meanwhile. Needs the right to it.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the arrivals.")] = 1,
    output: Annotated[Format, typer.Option("-o", "--output", help="What is printed on standard output.")] = Format.TEXT,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write latency.json and latency.svg there.", show_default=False)] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write the page there, and its figure beside it.", show_default=False)] = None,
    quiet: Quiet = False,
    color: Annotated[Color, typer.Option(help="Colour of the report; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """Load a real Envoy with plain HTTP, RSA-2048 and P-256 handshakes and a Lua filter at four loads, twice each, and model the same arrivals.

    Calibrates first. Exit codes: 0 every row that can be judged holds; 1 some do not; 3 the host was too noisy to say.
    """
    import json

    from gwsim.envoy.latency.judging import verify
    from gwsim.report import latency as report

    stage = ""

    def told(now: str, _done: int, _total: int) -> None:
        nonlocal stage
        if now != stage:
            notice(f"gwsim: measuring {now} ...", quiet=quiet)
            stage = now

    made = verify(realtime=realtime, seconds=seconds, seed=seed, told=told)
    wrote = _written(made, out, markdown)
    if output is Format.JSON:
        write(json.dumps(report.as_plain(made), indent=1) + "\n")
    else:
        write_lines(report.lines(made, wrote), color)
    made.check()
    raise typer.Exit(int(ExitCode.OK if made.met else ExitCode.ANSWER_IS_NO))


def _written(made: Accuracy, out: Path | None, page: Path | None) -> list[str]:
    import json

    from gwsim.files import folder_for_writing, write_whole
    from gwsim.report import latency as report

    wrote = []
    if out is not None:
        folder = folder_for_writing(out)
        write_whole(folder / "latency.json", json.dumps(report.as_plain(made), indent=1) + "\n")
        report.figure(made).savefig(folder / "latency.svg")
        wrote += [str(folder / "latency.json"), str(folder / "latency.svg")]
    if page is not None:
        folder = folder_for_writing(page.parent)
        figure = folder_for_writing(folder / "figures") / f"{page.stem}.svg"
        report.figure(made).savefig(figure, metadata={"Date": None})
        write_whole(page, report.markdown(made, f"figures/{figure.name}"))
        wrote += [str(page), str(figure)]
    return wrote


__all__ = ["latency"]
