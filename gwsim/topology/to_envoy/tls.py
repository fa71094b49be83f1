"""TLS contexts as Envoy's transport sockets; keys are named secrets, as istiod sends them.

Source: envoyproxy/envoy api/envoy/extensions/transport_sockets; names of secrets: istio
pilot/pkg/security/model/authentication.go, pilot/pkg/networking/core/cluster_tls.go.
"""

from __future__ import annotations

from gwsim.topology.listeners import DownstreamTls
from gwsim.topology.to_envoy.words import Json, extension, without_none
from gwsim.topology.upstream import UpstreamTls

WORKLOAD_SECRET = "default"
"""The proxy's own certificate, for Istio mutual TLS."""
ROOT_SECRET = "ROOTCA"
KUBERNETES = "kubernetes://"
CA_SUFFIX = "-cacert"
MISSING = "gwsim://missing"
"""Secret of a chain that names none."""
VERSIONS = {"1.0": "TLSv1_0", "1.1": "TLSv1_1", "1.2": "TLSv1_2", "1.3": "TLSv1_3"}
MESH_ALPN = "istio"
ADS: Json = {"ads": {}, "resourceApiVersion": "V3"}
_CHECKS = "envoy.extensions.transport_sockets.tls.v3"


def downstream(tls: DownstreamTls) -> Json:
    """The transport socket of a filter chain."""
    mesh = tls.mode == "istio_mutual"
    names = [WORKLOAD_SECRET] if mesh else credentials(tls.credential_name)
    common: Json = {
        "tlsParams": without_none({
            "tlsMinimumProtocolVersion": VERSIONS.get(tls.min_version),
            "tlsMaximumProtocolVersion": VERSIONS.get(tls.max_version),
            "cipherSuites": list(tls.cipher_suites) or None,
        }),
        "tlsCertificateSdsSecretConfigs": [secret(name) for name in names or [MISSING]],
        "alpnProtocols": list(tls.alpn),
    }
    if tls.mode != "simple":
        root = ROOT_SECRET if mesh else f"{(names or [MISSING])[0]}{CA_SUFFIX}"
        common["combinedValidationContext"] = {
            "defaultValidationContext": {},
            "validationContextSdsSecretConfig": secret(root),
        }
    return extension(
        "envoy.transport_sockets.tls",
        f"{_CHECKS}.DownstreamTlsContext",
        commonTlsContext=without_none({name: value or None for name, value in common.items()}),
        requireClientCertificate=tls.require_client_certificate,
    )


def credentials(text: str) -> list[str]:
    """Secret names of a `credential_name`, as SDS knows them."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [name if "://" in name else f"{KUBERNETES}{name}" for name in names]


def secret(name: str) -> Json:
    """A reference to a secret that the control plane sends."""
    return {"name": name, "sdsConfig": dict(ADS)}


def upstream(tls: UpstreamTls, *, alpn: tuple[str, ...] = ()) -> Json:
    """The transport socket of a cluster that always originates TLS."""
    mesh = tls.mode == "istio_mutual"
    common: Json = {}
    if mesh:
        common["tlsCertificateSdsSecretConfigs"] = [secret(WORKLOAD_SECRET)]
    elif tls.mode == "mutual":
        common["tlsCertificateSdsSecretConfigs"] = [secret(one) for one in credentials(tls.credential_name) or [MISSING]]
    root = ROOT_SECRET if mesh else None
    if not mesh and tls.credential_name:
        root = f"{credentials(tls.credential_name)[0]}{CA_SUFFIX}"
    if root is not None:
        common["combinedValidationContext"] = {
            "defaultValidationContext": {},
            "validationContextSdsSecretConfig": secret(root),
        }
    protocols = (MESH_ALPN, *alpn) if mesh else alpn
    if protocols:
        common["alpnProtocols"] = list(protocols)
    return extension(
        "envoy.transport_sockets.tls", f"{_CHECKS}.UpstreamTlsContext", commonTlsContext=common, sni=tls.sni or None
    )


def mesh_matches() -> list[Json]:
    """Automatic mutual TLS: endpoints labelled `tlsMode: istio` get it, others plaintext."""
    mutual = UpstreamTls(mode="istio_mutual")
    return [
        {"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transportSocket": upstream(mutual)},
        {
            "name": "tlsMode-disabled",
            "match": {},
            "transportSocket": extension(
                "envoy.transport_sockets.raw_buffer", "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
            ),
        },
    ]


def with_proxy_protocol(inner: Json | None, version: str) -> Json:
    """The PROXY header before whatever the inner socket does."""
    raw = extension("envoy.transport_sockets.raw_buffer", "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")
    return extension(
        "envoy.transport_sockets.upstream_proxy_protocol",
        "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
        config={"version": version},
        transportSocket=inner or raw,
    )
