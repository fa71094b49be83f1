"""`gwsim report`: the reports of a saved run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gwsim.cli.output import Color, Format
from gwsim.cli.run import HTML, Summary, Undecided, exit_code, show
from gwsim.files import write_whole


def report(
    directory: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A folder that gwsim run has written.")],
    output: Annotated[Format, typer.Option("-o", "--output", help="What is printed on standard output.")] = Format.TEXT,
    no_html: Annotated[bool, typer.Option("--no-html", help="Do not write report.html again.")] = False,
    summary: Annotated[Summary, typer.Option(help="How much is printed.")] = Summary.COMPACT,
    undecided: Annotated[Undecided, typer.Option(help="Exit code of an undecided run: fail is 3, warn and pass are 0.")] = Undecided.FAIL,
    color: Annotated[Color, typer.Option(help="Colour of the terminal report; NO_COLOR is heard.")] = Color.AUTO,
) -> None:
    """Print a saved run again and write its report.html anew. The exit code is that of the run."""
    from gwsim.report.report import KEY, from_plain
    from gwsim.results import store

    results = store.load(directory)
    folder = directory.parent if directory.name == store.RUN else directory
    provenance = store.provenance_of(folder)
    made = from_plain(results, provenance.get(KEY, {}))
    files = []
    if not no_html:
        from gwsim.report import html

        write_whole(folder / HTML, html.render(made.relative_to(provenance.get("base", "."))))
        files.append(HTML)
    show(made, folder, files, output, summary, color)
    raise typer.Exit(exit_code(made, undecided, quiet=False))


__all__ = ["report"]
