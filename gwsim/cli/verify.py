"""`gwsim verify`: the simulator against a real Envoy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gwsim.cli import verify_latency
from gwsim.cli.options import Engine, EngineOption, Jobs, cores
from gwsim.cli.output import Format, notice, write
from gwsim.cli.verify_behaviour import behaviour
from gwsim.errors import ExitCode


def commands() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=(
        "Hold the simulator against a real Envoy on this machine, or against what one did.\n\n"
        "What is proved is topology to behaviour. gwsim wrote the Envoy's configuration, so it says nothing about YAML to "
        "topology: that is `gwsim route test`, and `gwsim diff` with a config_dump of istiod's."
    ))  # fmt: skip
    group.command("routes", short_help="Ask a real Envoy and route choice the same requests.")(routes)
    group.command("latency", short_help="Load a real Envoy and model the same arrivals.")(verify_latency.latency)
    group.command("behaviour", short_help="Hold counts of a real Envoy against the simulator's.")(behaviour)
    group.command("replay", short_help="Predict a recorded run from its folder.")(replay)
    return group


def routes(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Case files of `gwsim route test`, scenarios, Istio YAML, or folders of these.")],
    generated: Annotated[int, typer.Option("--generated", "-g", min=0, help="Requests made from the conditions of each gateway's own routes and policies.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Of the generated requests.")] = 1,
    root: Annotated[Path | None, typer.Option("--root", metavar="DIR", help="Where else the cases' config paths begin.")] = None,
    istio_version: Annotated[str, typer.Option("--istio-version", help="1.28 to 1.31.")] = "1.30",
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json.")] = Format.TEXT,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Tell of every gateway.")] = False,
) -> int:
    """Ask a real Envoy and route choice the same requests: destination, status, redirect, rewrite, headers, flags, route.

    Exit codes: 0 all agree; 1 some differ; 2 the input cannot be used; 3 nothing could be asked.
    """
    from gwsim.cli.verify_routes import chosen, report
    from gwsim.envoy.verify.run_routes import run

    found = run(
        chosen(paths, root, istio_version), generated=generated, seed=seed, told=lambda text: notice(text, quiet=not verbose)
    )
    write(report(found, output is Format.JSON))
    if not found.proxies and not found.failed:
        return int(ExitCode.UNDECIDED)
    return int(ExitCode.OK if found.agrees else ExitCode.ANSWER_IS_NO)


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


__all__ = ["commands", "replay", "routes"]
