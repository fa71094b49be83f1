"""`gwsim verify`: the simulator against a real Envoy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gwsim.cli.options import Engine, EngineOption, Jobs, cores
from gwsim.cli.output import Format, write
from gwsim.errors import ExitCode


def commands() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=(
        "Hold the simulator against a real Envoy on this machine, or against what one did.\n\n"
        "What is proved is topology to behaviour. gwsim wrote the Envoy's configuration, so it says nothing about YAML to "
        "topology: that is `gwsim route test`, and `gwsim diff` with a config_dump of istiod's."
    ))  # fmt: skip
    group.command("replay", short_help="Predict a recorded run from its folder.")(replay)
    return group


def replay(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with config/, arrivals.csv, and optionally scenario.yaml and costs.yaml.")],
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json.")] = Format.TEXT,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the scenario or of an object; repeatable.")] = None,
    replications: Annotated[int | None, typer.Option("-n", "--replications", min=1, help="Independent repetitions (default: as many as the length of the recording allows).", show_default=False)] = None,
    engine: EngineOption = Engine.AUTO,
    jobs: Jobs = None,
) -> int:
    """Predict a recorded run: the same arrivals through the simulator. Needs no Envoy.

    The files and the output are described in docs/real-envoy.md.
    """
    import json

    from gwsim.envoy.replay import open_recording, predict

    recording = open_recording(folder, set_=set_ or (), replications=replications)
    found = predict(recording, engine=engine.value, replications=replications, jobs=jobs or cores())
    if output is Format.JSON:
        write(json.dumps(found, indent=1) + "\n")
    else:
        from gwsim.report.replay import text

        write(text(found))
    return int(ExitCode.OK)


__all__ = ["commands", "replay"]
