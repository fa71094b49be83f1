"""TLS contexts of a dump, and what its secrets tell about certificates."""

from __future__ import annotations

from dataclasses import dataclass, field

from gwsim.resources.key_kind import key_kind_of, key_kind_of_base64
from gwsim.topology.from_config_dump.nodes import Node
from gwsim.topology.listeners import DownstreamTls, TlsMode
from gwsim.topology.upstream import UpstreamTls

KINDS = {
    "rsa-2048": "rsa2048", "rsa-3072": "rsa3072", "rsa-4096": "rsa4096", "ecdsa-p256": "p256", "ecdsa-p384": "p384",
}  # fmt: skip
WORKLOAD_SECRET = "default"
WORKLOAD_KEY = "rsa2048"
MISSING = "gwsim://missing"
KUBERNETES = "kubernetes://"
CA_SUFFIX = "-cacert"
_MODES: tuple[TlsMode, ...] = ("simple", "mutual", "optional_mutual", "istio_mutual")
_VERSIONS = {"TLSv1_0": "1.0", "TLSv1_1": "1.1", "TLSv1_2": "1.2", "TLSv1_3": "1.3"}


@dataclass(slots=True)
class Secrets:
    """Certificates by the name of their secret: kind of key; those still waited for are `warming`."""

    kinds: dict[str, str] = field(default_factory=dict)
    warming: set[str] = field(default_factory=set)

    def add(self, node: Node, *, warming: bool) -> None:
        """Take in an entry of a SecretsConfigDump."""
        name = node.text("name")
        secret = node.node("secret")
        certificate = secret.node("tlsCertificate") if secret is not None else None
        if secret is not None:
            secret.ignore_all()
            name = name or secret.text("name")
        if warming:
            self.warming.add(name)
        elif certificate is not None:
            self.kinds[name] = _kind(certificate)

    def certificate(self, names: list[str]) -> tuple[str, bool]:
        """Kind of key among these secrets (an ECDSA one first, as clients choose), and whether there is any."""
        found = [self.kinds[name] for name in names if name in self.kinds]
        found.sort(key=lambda kind: not kind.startswith("p"))
        if found:
            return found[0], True
        return "unknown", not names or not all(name in self.warming for name in names)


def _kind(certificate: Node) -> str:
    chain = certificate.node("certificateChain")
    certificate.ignore_all()
    if chain is None:
        return "unknown"
    encoded = chain.text("inlineBytes")
    kind = key_kind_of_base64(encoded) if encoded else key_kind_of(chain.text("inlineString").encode())
    chain.ignore_all()
    return KINDS.get(kind, "unknown")


def _names(context: Node) -> list[str]:
    listed = context.nodes("tlsCertificateSdsSecretConfigs")
    for one in listed:
        one.ignore("sdsConfig")
    return [one.text("name") for one in listed]


def _validated(context: Node) -> tuple[bool, str]:
    """Whether the peer's certificate is checked, and the name of the secret with the authority."""
    found, name = False, ""
    for field_name in ("combinedValidationContext", "validationContextSdsSecretConfig", "validationContext"):
        node = context.node(field_name)
        if node is None:
            continue
        found = True
        secret = node.node("validationContextSdsSecretConfig") if field_name.startswith("combined") else node
        if secret is not None:
            name = secret.text("name")
            secret.ignore_all()
        node.ignore_all()
    return found, name


def downstream(node: Node, secrets: Secrets, own: Node) -> DownstreamTls | None:
    """The TLS of a filter chain, from its transport socket."""
    context = node.typed()
    if context is None or not context.type.endswith("DownstreamTlsContext"):
        inner = context.node("downstreamTlsContext") if context is not None else None
        if inner is None:
            return None
        context = inner
    context.ignore("disableStatelessSessionResumption", "fullScanCertsOnSniMismatch")
    node.ignore("name")
    common = context.node("commonTlsContext")
    required = context.flag("requireClientCertificate")
    if common is None:
        return DownstreamTls(mode="simple", require_client_certificate=required)
    names = _names(common)
    checked, _ = _validated(common)
    params = common.node("tlsParams")
    mode: TlsMode = "simple"
    if WORKLOAD_SECRET in names:
        mode = "istio_mutual"
    elif checked:
        mode = "mutual" if required else "optional_mutual"
    certificate, usable = secrets.certificate(names)
    if mode == "istio_mutual" and certificate == "unknown":
        certificate = WORKLOAD_KEY
    return DownstreamTls(
        mode=_one_of(own.text("tlsMode"), mode),
        certificate=own.text("certificate", certificate),
        require_client_certificate=required,
        min_version=_version(params, "tlsMinimumProtocolVersion", "1.2"),
        max_version=_version(params, "tlsMaximumProtocolVersion", "1.3"),
        alpn=common.texts("alpnProtocols"),
        credential_name="" if mode == "istio_mutual" else _credential(names),
        usable=own.flag("usable", usable),
        cipher_suites=params.texts("cipherSuites") if params is not None else (),
    )


def _one_of(text: str, mode: TlsMode) -> TlsMode:
    return next((one for one in _MODES if one == text), mode)


def _version(params: Node | None, name: str, default: str) -> str:
    return _VERSIONS.get(params.text(name), default) if params is not None else default


def _credential(names: list[str]) -> str:
    return ", ".join(name.removeprefix(KUBERNETES) for name in names if name != MISSING)


def upstream(node: Node, own: Node) -> UpstreamTls | None:
    """TLS that a cluster always originates; None for plaintext."""
    context = node.typed()
    node.ignore("name")
    if context is None or not context.type.endswith("UpstreamTlsContext"):
        return None
    common = context.node("commonTlsContext")
    sni = context.text("sni")
    context.ignore("maxSessionKeys", "autoHostSni", "autoSniSanValidation", "allowRenegotiation")
    usable = own.flag("tlsUsable", True)
    if common is None:
        return UpstreamTls(mode="simple", sni=sni, usable=usable)
    common.ignore("alpnProtocols", "tlsParams")
    names = _names(common)
    _, authority = _validated(common)
    if WORKLOAD_SECRET in names:
        return UpstreamTls(mode="istio_mutual", sni=sni, credential_name=own.text("credentialName"), usable=usable)
    if names or "tlsCertificates" in common:
        common.ignore("tlsCertificates")
        return UpstreamTls(mode="mutual", sni=sni, credential_name=_credential(names), usable=usable)
    credential = authority.removeprefix(KUBERNETES).removesuffix(CA_SUFFIX) if authority.startswith(KUBERNETES) else ""
    return UpstreamTls(mode="simple", sni=sni, credential_name=credential, usable=usable)
