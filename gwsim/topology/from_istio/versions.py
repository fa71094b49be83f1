"""What differs between Istio versions, in one table with the source of each row."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gwsim.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRules:
    """The rules of one Istio minor version."""

    version: str
    unhealthy_endpoints_sent: bool = False
    """Not-ready endpoints are sent unless `minHealthPercent` > 0, and panic is off when otherwise unset.
    From 1.31: PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS (istio 1.31 release notes)."""
    strict_gateway_merging: bool = False
    """Gateways of other namespaces do not merge into managed Gateway API proxies.
    From 1.31: PILOT_ENABLE_STRICT_GATEWAY_MERGING (istio 1.31 release notes)."""
    http_route_without_backends_status: int = 404
    """HTTPRoute rule without backendRefs: 404, from 1.31 on 500 (istio 1.31 release notes)."""
    mirror_host_suffix: bool = False
    """`-shadow` appended to the Host of mirrored requests; off since 1.28 (DISABLE_SHADOW_HOST_SUFFIX)."""
    redirect_prefix_rewrite: bool = False
    """`redirect.prefixRewrite` of VirtualServices: from 1.31 (istio 1.31 release notes)."""
    default_traffic_policy: bool = False
    """`meshConfig.defaultTrafficPolicy` under every DestinationRule: from 1.31 (istio 1.31 release notes)."""
    rules_beat_backend_policies: bool = False
    """Settings of a DestinationRule go before those of a BackendTLSPolicy: from 1.31 (istio 1.31 release notes).
    Before, the policy, which counts as the oldest rule, gave the whole traffic policy."""
    insecure_frontend_fallback: bool = False
    """Client certificates with mode AllowInsecureFallback may be left out: from 1.31 (istio 1.31 release notes)."""
    tcp_listeners_of_gateway_api: bool = False
    """TCP listeners without PILOT_ENABLE_ALPHA_GATEWAY_API: from 1.31 (istio 1.31 release notes)."""


_1_28 = VersionRules(version="1.28")
_1_31 = VersionRules(
    version="1.31",
    unhealthy_endpoints_sent=True,
    strict_gateway_merging=True,
    http_route_without_backends_status=500,
    default_traffic_policy=True,
    redirect_prefix_rewrite=True,
    rules_beat_backend_policies=True,
    insecure_frontend_fallback=True,
    tcp_listeners_of_gateway_api=True,
)
VERSIONS: dict[str, VersionRules] = {
    "1.28": _1_28,
    "1.29": replace(_1_28, version="1.29"),
    "1.30": replace(_1_28, version="1.30"),
    "1.31": _1_31,
}


def rules_for(version: str) -> VersionRules:
    """The rules of `version` (a patch level is ignored); raises InputError for one not known here."""
    minor = ".".join(version.removeprefix("v").split("-")[0].split(".")[:2])
    if minor not in VERSIONS:
        raise InputError(f"istio.version {version} is not supported; supported are {', '.join(VERSIONS)}")
    return VERSIONS[minor]
