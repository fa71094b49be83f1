"""`gwsim show`: what a gateway's Envoy is configured with, from files or from a dump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gwsim.cli.output import Format, notice, write
from gwsim.errors import UsageError

if TYPE_CHECKING:
    from gwsim.queries.ask import Configuration


class Part(StrEnum):
    """What is shown; `all` is a whole config_dump in JSON."""

    LISTENERS = "listeners"
    ROUTES = "routes"
    CLUSTERS = "clusters"
    ENDPOINTS = "endpoints"
    ALL = "all"


def show(
    part: Annotated[Part, typer.Argument(metavar="listeners|routes|clusters|endpoints|all", help="What to show.")],
    config: Annotated[list[str] | None, typer.Option("--config", "-c", metavar="PATH", help="File or folder, - for standard input, cluster=DIR; repeatable (default: this folder).")] = None,
    dump: Annotated[list[str] | None, typer.Option("--dump", metavar="FILE", help="A config_dump instead of configuration (JSON, also gzipped); repeatable for istioctl's outputs by kind.")] = None,
    gateway: Annotated[str, typer.Option("--gateway", metavar="NS/NAME", help="A Gateway, of the Gateway API or Istio's.")] = "",
    workload: Annotated[str, typer.Option("--workload", metavar="NS/LABEL=VALUE", help="The gateway pods with these labels.")] = "",
    client: Annotated[str, typer.Option("--from", metavar="NS/WORKLOAD", help="The sidecar of a workload instead of a gateway.")] = "",
    port: Annotated[int | None, typer.Option("--port", "-p", min=1, max=65535, help="Only this port: of the listener, or of the service.")] = None,
    host: Annotated[str, typer.Option("--host", "--fqdn", help="Only clusters and endpoints of this host.")] = "",
    subset: Annotated[str | None, typer.Option("--subset", help="Only clusters and endpoints of this subset.")] = None,
    istio_version: Annotated[str, typer.Option("--istio-version", help="1.28 to 1.31.")] = "1.30",
    assume_exists: Annotated[list[str] | None, typer.Option("--assume-exists", metavar="KIND/NS/NAME", help="An object kept elsewhere; repeatable.")] = None,
    output: Annotated[Format, typer.Option("-o", "--output", help="text, or json in Envoy's words.")] = Format.TEXT,
) -> None:
    """Show what `istioctl proxy-config` would show of a gateway, without a cluster.

    `-o json` is Envoy's JSON, which gwsim also reads back (`--dump`); what the model knows and Envoy has no field for is in
    metadata.filterMetadata.gwsim.
    """
    from gwsim.queries.ask import Finder
    from gwsim.queries.dumps import load_dump, not_modelled
    from gwsim.report.proxy_config import Wanted, as_json, as_text

    if dump and (config or gateway or workload or client):
        raise UsageError("a dump is of one proxy: --dump excludes --config and what chooses a proxy of it; gwsim diff compares the two")
    if len([one for one in (gateway, workload, client) if one]) > 1:
        raise UsageError("--gateway, --workload and --from exclude each other")
    if dump:
        configuration = load_dump(dump)
    else:
        configuration = load_config(config, workload, istio_version, assume_exists, client)
    finder = Finder(configuration)
    if dump:
        proxy = configuration.topology.proxies[0]
    elif client:
        proxy = finder.client(client)
    else:
        proxy = finder.gateway(gateway) if gateway else finder.workload(workload) if workload else finder.only()
    wanted = Wanted(port=port, host=host, subset=subset)
    if output is Format.JSON:
        write(as_json(part.value, proxy, wanted, configuration.topology.istio_version))
    else:
        write(as_text(part.value, proxy, wanted))
    left_out = not_modelled(configuration) if dump else ()
    if left_out:
        notice(f"gwsim: {len(left_out)} fields of the dump are not modelled, the first is {left_out[0].message}")


def load_config(
    config: Sequence[str] | None, workload: str, istio_version: str, assume_exists: Sequence[str] | None, client: str = ""
) -> Configuration:
    """The configuration that options of a command name; the workload need not be in the files."""
    from gwsim.queries import ask

    return ask.load(
        config or ["."], istio_version=istio_version, assume_exists=assume_exists or (), gateways=declared(workload), client=client
    )


def declared(workload: str) -> Sequence[tuple[str, Mapping[str, str]]]:
    """A workload that the files need not hold."""
    from gwsim.queries.ask import labels_of

    namespace, slash, labels = workload.partition("/")
    return [(namespace, labels_of(labels))] if slash and labels else []


__all__ = ["declared", "load_config", "show"]
