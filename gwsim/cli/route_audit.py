"""`gwsim route audit`: which workloads reach the outside, and whether through an egress gateway."""

from __future__ import annotations

from typing import Annotated

import typer

from gwsim.cli.output import Color, Format, write, write_lines
from gwsim.errors import ExitCode


def audit(
    config: Annotated[list[str] | None, typer.Option("--config", "-c", metavar="PATH", help="File or folder, - for standard input, cluster=DIR; repeatable (default: this folder).")] = None,
    istio_version: Annotated[str, typer.Option("--istio-version", help="1.28 to 1.31.")] = "1.30",
    assume_exists: Annotated[list[str] | None, typer.Option("--assume-exists", metavar="KIND/NS/NAME", help="An object kept elsewhere; repeatable.")] = None,
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json.")] = Format.TEXT,
    color: Annotated[Color, typer.Option("--color", help="auto, always or never.")] = Color.AUTO,
) -> int:
    """List, for every workload and every external host, whether requests leave through an egress gateway, past it, or not at all.

    External hosts are those of ServiceEntries; one more stands for all that nobody has declared (ALLOW_ANY, REGISTRY_ONLY).
    Exit codes: 0 nothing passes a gateway by; 1 something does, or has no sidecar; 2 wrong input.
    """
    from gwsim.queries import ask
    from gwsim.queries.audit import audit as ways_of
    from gwsim.report import audit as report

    configuration = ask.load(config or ["."], istio_version=istio_version, assume_exists=assume_exists or (), everyone=True)
    ways = ways_of(configuration)
    if output is Format.JSON:
        write(report.as_json(ways))
    else:
        write_lines(report.text(ways), color)
    return int(ExitCode.ANSWER_IS_NO if any(one.exit in report.BAD for one in ways) else ExitCode.OK)


__all__ = ["audit"]
