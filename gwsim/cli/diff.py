"""`gwsim diff`: is what gwsim makes of the files what the control plane really pushed?"""

from __future__ import annotations

from typing import Annotated

import typer

from gwsim.cli.output import Color, Format, write, write_lines
from gwsim.cli.show import load_config
from gwsim.errors import ExitCode, UsageError


def diff(
    dump: Annotated[list[str] | None, typer.Option("--dump", metavar="FILE", help="The gateway's config_dump (JSON, also gzipped); repeatable for istioctl's outputs by kind.")] = None,
    config: Annotated[list[str] | None, typer.Option("--config", "-c", metavar="PATH", help="File or folder, - for standard input, cluster=DIR; repeatable (default: this folder).")] = None,
    gateway: Annotated[str, typer.Option("--gateway", metavar="NS/NAME", help="The Gateway to compare (default: the one the dump is of).")] = "",
    workload: Annotated[str, typer.Option("--workload", metavar="NS/LABEL=VALUE", help="The gateway pods with these labels.")] = "",
    client: Annotated[str, typer.Option("--from", metavar="NS/WORKLOAD", help="The sidecar of a workload instead of a gateway (default for the dump of a sidecar).")] = "",
    istio_version: Annotated[str | None, typer.Option("--istio-version", help="1.28 to 1.31 (default: the dump's own).")] = None,
    assume_exists: Annotated[list[str] | None, typer.Option("--assume-exists", metavar="KIND/NS/NAME", help="An object kept elsewhere; repeatable.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Do not cut long lists.")] = False,
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json.")] = Format.TEXT,
    color: Annotated[Color, typer.Option("--color", help="auto, always or never.")] = Color.AUTO,
) -> int:
    """Compare what gwsim makes of configuration with a config_dump of the gateway, listener by listener, route by route.

    Get the dump with `istioctl proxy-config all POD.NAMESPACE -o json`, or from the admin page /config_dump?include_eds.
    Exit codes: 0 nothing differs but what is said not to count; 1 something does; 2 wrong input.
    """
    from gwsim.queries.ask import Finder
    from gwsim.queries.dumps import compare, load_dump, proxy_like
    from gwsim.report import differences
    from gwsim.topology.from_istio import VERSIONS

    if not dump:
        raise UsageError("give the gateway's dump with --dump; `istioctl proxy-config all POD.NAMESPACE -o json` prints it")
    if len([one for one in (gateway, workload, client) if one]) > 1:
        raise UsageError("--gateway, --workload and --from exclude each other")
    dumped = load_dump(dump)
    told = dumped.topology.istio_version
    version = istio_version or (told if told in VERSIONS else "1.30")
    theirs = dumped.topology.proxies[0]
    if theirs.kind == "sidecar" and not (gateway or workload):
        client = client or theirs.key
    configuration = load_config(config, workload, version, assume_exists, client)
    finder = Finder(configuration)
    if client:
        ours = finder.client(client)
    elif gateway or workload:
        ours = finder.gateway(gateway) if gateway else finder.workload(workload)
    else:
        ours = proxy_like(finder, theirs)
    comparison = compare(configuration, dumped, ours, finder.notes)
    if output is Format.JSON:
        write(differences.as_json(comparison))
    else:
        write_lines(differences.text(comparison, everything=everything), color)
    return int(ExitCode.ANSWER_IS_NO if comparison.counted else ExitCode.OK)


__all__ = ["diff"]
