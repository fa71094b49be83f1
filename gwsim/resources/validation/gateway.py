"""Gateways that Istio's webhook refuses. Source modelled: validateServer and validateTLSOptions, 1.30."""

from __future__ import annotations

from gwsim.diagnostics import did_you_mean
from gwsim.resources.models.gateway import Gateway, Server, ServerTls
from gwsim.resources.validation.check import Check

HTTP_FAMILY = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY"})
TLS_FAMILY = frozenset({"HTTPS", "TLS"})
OPAQUE = frozenset({"TCP", "MONGO", "REDIS", "MYSQL", "UDP"})
PROTOCOLS = HTTP_FAMILY | TLS_FAMILY | OPAQUE


def check_gateway(gateway: Gateway, check: Check) -> None:
    """Report what would be refused about a Gateway."""
    if not gateway.servers:
        check.missing("servers", "a Gateway needs at least one server")
    names: dict[str, int] = {}
    for index, server in enumerate(gateway.servers):
        path = f"servers[{index}]"
        _server(server, path, check)
        first = names.setdefault(server.port.name, index)
        if first != index:
            message = f"port name {server.port.name!r} is already that of servers[{first}]; names must be unique in a Gateway"
            check.bad(f"{path}.port.name", message)


def _server(server: Server, path: str, check: Check) -> None:
    if not server.port.name:
        check.missing(f"{path}.port.name", "the port needs a name")
    if server.port.target_port:
        check.bad(f"{path}.port.targetPort", "targetPort is not allowed in a Gateway", "the Service's targetPort is used")
    if not server.hosts:
        check.missing(f"{path}.hosts", "a server needs at least one host", "write '*' for every host")
    for index, host in enumerate(server.hosts):
        _host(host, f"{path}.hosts[{index}]", check)
    protocol = server.port.protocol.upper()
    if protocol not in PROTOCOLS:
        hint = did_you_mean(server.port.protocol, sorted(PROTOCOLS)) or f"write one of {', '.join(sorted(PROTOCOLS))}"
        check.bad(f"{path}.port.protocol", f"{server.port.protocol!r} is not a protocol", hint)
        return
    if protocol in TLS_FAMILY and server.tls is None:
        check.missing(path, f"a server of protocol {protocol} needs tls")
    if server.tls is None:
        return
    if protocol in OPAQUE:
        check.conflict(f"{path}.tls", f"a server of protocol {protocol} cannot have tls", "use protocol TLS")
    elif protocol in HTTP_FAMILY:
        if server.tls.mode != "PASSTHROUGH" or _sources(server.tls):
            message = f"a server of protocol {protocol} can have tls.httpsRedirect and nothing else"
            check.conflict(f"{path}.tls", message, "use protocol HTTPS to terminate TLS")
    else:
        _tls(server.tls, f"{path}.tls", check)


def _host(host: str, path: str, check: Check) -> None:
    namespace, slash, name = host.rpartition("/")
    if "/" in namespace or (slash and not namespace):
        check.bad(path, f"{host!r} is not a host", "write host or namespace/host")
        return
    if name == "." or not name:
        check.bad(path, f"{host!r} names no host", "write host or namespace/host")
        return
    check.host(path, name)


def _sources(tls: ServerTls) -> list[str]:
    """The places the certificate is said to come from."""
    sources = []
    if tls.credential_name:
        sources.append("credentialName")
    if tls.credential_names:
        sources.append("credentialNames")
    if tls.tls_certificates:
        sources.append("tlsCertificates")
    if tls.server_certificate or tls.private_key:
        sources.append("serverCertificate")
    return sources


def _tls(tls: ServerTls, path: str, check: Check) -> None:
    sources = _sources(tls)
    if tls.mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH"):
        if sources:
            check.warn(f"{path}.{sources[0]}", f"{sources[0]} is ignored: mode {tls.mode} does not terminate TLS")
        return
    if tls.mode == "ISTIO_MUTUAL":
        for source in sources:
            check.conflict(f"{path}.{source}", f"mode ISTIO_MUTUAL uses the mesh's own certificate; {source} is not allowed")
        return
    if not sources:
        check.missing(path, f"mode {tls.mode} needs a certificate", "give credentialName")
    elif len(sources) > 1:
        check.conflict(f"{path}.{sources[1]}", f"{' and '.join(sources)} exclude each other")
    for name, most in (("credentialNames", len(tls.credential_names)), ("tlsCertificates", len(tls.tls_certificates))):
        if most > 2:
            check.bad(f"{path}.{name}", "a server has at most two certificates, one RSA and one ECDSA")
    if sources == ["serverCertificate"]:
        _files(tls, path, check)


def _files(tls: ServerTls, path: str, check: Check) -> None:
    for name, value in (("serverCertificate", tls.server_certificate), ("privateKey", tls.private_key)):
        if not value:
            check.missing(path, f"mode {tls.mode} with certificate files needs {name}")
    if tls.mode in ("MUTUAL", "OPTIONAL_MUTUAL") and not tls.ca_certificates:
        check.missing(path, f"mode {tls.mode} with certificate files needs caCertificates")
