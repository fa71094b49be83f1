"""`gwsim route`: which way a request goes, and why; `gwsim route test`: whether that is the way it should go;
`gwsim route audit`: which ways lead out of the mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gwsim.cli import route_audit, route_test
from gwsim.cli.output import Color, Format, notice, write, write_lines
from gwsim.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from gwsim.queries.ask import Configuration, Finder
    from gwsim.topology import Proxy

ASK = "ask"


class _WithDefault(TyperGroup):
    """A group where the first command's name may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name back."""
        return list(super().parse_args(ctx, args if args and args[0] in self.commands else [ASK, *args]))


def commands() -> typer.Typer:
    """The commands of the group: `gwsim route ...` is `gwsim route ask ...`."""
    group = typer.Typer(cls=_WithDefault, help="Where requests go.", rich_markup_mode=None)
    group.command(ASK, short_help="Which way one request goes, and why.")(ask)
    group.command("test", short_help="Compare files of requests with the answers they should get.")(route_test.test)
    group.command("audit", short_help="Which workloads reach external hosts, through an egress gateway or past it.")(route_audit.audit)
    return group


def ask(
    url: Annotated[str, typer.Argument(metavar="URL", help="scheme://host[:port]/path?query; schemes http, https, grpc, tls, tcp.")] = "",
    config: Annotated[list[str] | None, typer.Option("--config", "-c", metavar="PATH", help="File or folder, - for standard input, cluster=DIR; repeatable.")] = None,
    gateway: Annotated[str, typer.Option("--gateway", metavar="NS/NAME", help="A Gateway, of the Gateway API or Istio's.")] = "",
    workload: Annotated[str, typer.Option("--workload", metavar="NS/LABEL=VALUE", help="The gateway pods with these labels.")] = "",
    client: Annotated[str, typer.Option("--from", metavar="NS/WORKLOAD", help="A client in the mesh: its sidecar, then every gateway on the way.")] = "",
    port: Annotated[int | None, typer.Option("--port", "-p", min=1, max=65535, help="The port the client dials.")] = None,
    method: Annotated[str, typer.Option("--method", "-X")] = "GET",
    host: Annotated[str | None, typer.Option("--host", help="Host header, where it is not the URL's.")] = None,
    path: Annotated[str | None, typer.Option("--path", help="Path with query, where it is not the URL's.")] = None,
    scheme: Annotated[str | None, typer.Option("--scheme", help="http, https, grpc, tls or tcp.")] = None,
    header: Annotated[list[str] | None, typer.Option("-H", "--header", metavar="'NAME: VALUE'", help="Repeatable.")] = None,
    sni: Annotated[str | None, typer.Option("--sni", help="Server name of the TLS hello; the host unless given, '' for none.")] = None,
    alpn: Annotated[str, typer.Option("--alpn", help="Protocols offered, with commas.")] = "",
    client_cert: Annotated[bool | None, typer.Option("--client-cert/--no-client-cert", help="Whether the client has a certificate.")] = None,
    jwt_claims: Annotated[str, typer.Option("--jwt-claims", metavar="JSON", help="Claims of a token that verifies.")] = "",
    jwt_invalid: Annotated[bool, typer.Option("--jwt-invalid", help="Send a token that does not verify.")] = False,
    destination: Annotated[str, typer.Option("--destination", metavar="HOST|IP", help="With --from: what the client connects to, where it is not the URL's host.")] = "",
    remote_ip: Annotated[str, typer.Option("--remote-ip", help="The client's address.")] = "",
    backend_delay: Annotated[str, typer.Option("--backend-delay", metavar="DURATION", help="How long the backend takes.")] = "",
    istio_version: Annotated[str, typer.Option("--istio-version", help="1.28 to 1.31.")] = "1.30",
    assume_exists: Annotated[list[str] | None, typer.Option("--assume-exists", metavar="KIND/NS/NAME", help="An object kept elsewhere; repeatable.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Do not cut long lists.")] = False,
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json.")] = Format.TEXT,
    color: Annotated[Color, typer.Option("--color", help="auto, always or never.")] = Color.AUTO,
) -> int:
    """Tell which way a request goes: listener, filter chain, virtual host, route, cluster, endpoints - and why.

    Exit codes: 0 the request gets what it was made for; 1 it does not (404, 503, rejected, ...); 2 wrong input.
    `gwsim route test --help` is about files of such requests.
    """
    from gwsim.cli.route_request import DEFAULT_PORTS, Words, request_of
    from gwsim.queries import ask as asking
    from gwsim.queries.hops import follow
    from gwsim.report import route as report
    from gwsim.units import parse_duration_s

    words = Words(
        url=url, scheme=scheme, host=host, path=path, method=method, headers=tuple(header or ()), sni=sni, alpn=alpn,
        client_certificate=client_cert, claims=jwt_claims, token_rejected=jwt_invalid, remote_ip=remote_ip, destination=destination,
    )  # fmt: skip
    request, url_port = request_of(words)
    if len([one for one in (gateway, workload, client) if one]) > 1:
        raise UsageError("--gateway, --workload and --from exclude each other")
    configuration = asking.load(
        config or ["."], istio_version=istio_version, assume_exists=assume_exists or (), gateways=_declared(workload), client=client
    )
    finder = asking.Finder(configuration)
    proxy = _proxy(finder, gateway, workload, client)
    dialled = port or url_port or DEFAULT_PORTS.get(request.scheme)
    if dialled is None:
        raise UsageError("say which port is dialled with --port")
    try:
        delay_s = parse_duration_s(backend_delay) if backend_delay else 0.0
    except ValueError as error:
        raise UsageError(f"--backend-delay: {error}") from None
    answer = asking.ask(configuration, proxy, dialled, request, finder.notes, backend_delay_s=delay_s)
    hops = follow(configuration, answer)
    if output is Format.JSON:
        write(report.as_json(answer, hops))
    else:
        lines = [one for each in (answer, *hops) for one in (*report.text(each, everything=everything), ())]
        write_lines(lines[:-1], color)
    _tell(configuration)
    return int(ExitCode.OK if all(one.served for one in (answer, *hops)) else ExitCode.ANSWER_IS_NO)


def _proxy(finder: Finder, gateway: str, workload: str, client: str) -> Proxy:
    if gateway:
        return finder.gateway(gateway)
    if workload:
        return finder.workload(workload)
    return finder.client(client) if client else finder.only()


def _declared(workload: str) -> Sequence[tuple[str, Mapping[str, str]]]:
    """A workload that the files need not hold."""
    from gwsim.queries.ask import labels_of

    namespace, slash, labels = workload.partition("/")
    return [(namespace, labels_of(labels))] if slash and labels else []


def _tell(configuration: Configuration) -> None:
    from gwsim.diagnostics import Level

    warnings = [one for one in configuration.findings if one.level is Level.WARNING]
    if warnings:
        more = f" (and {len(warnings) - 1} more; gwsim lint shows all)" if len(warnings) > 1 else ""
        notice(f"gwsim: warning: {warnings[0].span}: {warnings[0].message}{more}")


__all__ = ["ask", "commands"]
