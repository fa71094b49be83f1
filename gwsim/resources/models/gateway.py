"""networking.istio.io Gateway. Source modelled: istio/api networking/v1alpha3/gateway.proto, 1.30."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from gwsim.resources.models.base import Json, Labels, Natural, Port, Resource

TlsMode = Literal["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"]
TlsProtocol = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPort:
    """The port a server listens on. `number` is what VirtualServices' `match.port` compares with.

    `protocol` is as written; Istio reads it without regard to case.
    """

    number: Port
    protocol: str
    name: str
    target_port: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsCertificate:
    """One of several file-mounted certificates of a server."""

    server_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """TLS of a Gateway server. `mode` left out is the enum's zero, PASSTHROUGH."""

    https_redirect: bool = False
    mode: TlsMode = "PASSTHROUGH"
    server_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None
    ca_crl: str | None = None
    credential_name: str | None = None
    credential_names: tuple[str, ...] = ()
    ca_cert_credential_name: str | None = None
    tls_certificates: tuple[TlsCertificate, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
    verify_certificate_spki: tuple[str, ...] = ()
    verify_certificate_hash: tuple[str, ...] = ()
    min_protocol_version: TlsProtocol = "TLS_AUTO"
    max_protocol_version: TlsProtocol = "TLS_AUTO"
    cipher_suites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server of a Gateway. `hosts` are as written: `host`, `*.suffix`, `*`, each optionally `ns/host`."""

    port: ServerPort
    hosts: tuple[str, ...]
    bind: str | None = None
    tls: ServerTls | None = None
    name: str | None = None
    default_endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gateway(Resource):
    """Which proxies (`selector`, empty: all gateways) listen on what (`servers`)."""

    servers: tuple[Server, ...]
    selector: Annotated[Labels, Json("selector")] = field(default_factory=dict)
