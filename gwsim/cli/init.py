"""`gwsim init`: a commented example project to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gwsim.cli.output import write


def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write it; nothing is written over.")] = Path("."),
) -> None:
    """Write a commented example: a scenario and the Istio YAML of an ingress gateway."""
    from gwsim.scenario import write_template

    for path in write_template(directory):
        write(f"wrote {path}\n")
    write(f"\nNext: gwsim run {directory}\n")


__all__ = ["init"]
