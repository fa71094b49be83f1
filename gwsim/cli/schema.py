"""`gwsim schema`: the JSON Schema of a file gwsim reads or writes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from gwsim.cli.output import write


class Which(StrEnum):
    """A file with a schema."""

    SCENARIO = "scenario"
    RUN = "run"


_FILES = {Which.SCENARIO: "scenario", Which.RUN: "results"}


def schema(
    which: Annotated[Which, typer.Argument(help="The scenario file, or run.json (and -o json).")] = Which.SCENARIO,
) -> None:
    """Print a JSON Schema, e.g. for completion in an editor."""
    from importlib.resources import files

    write(files("gwsim").joinpath(_FILES[which], "schema.json").read_text(encoding="utf-8"))


__all__ = ["schema"]
