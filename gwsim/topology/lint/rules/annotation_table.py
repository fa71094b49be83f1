"""Istio's annotations and the kinds they are read from. Facts of istio/api annotation/annotations.yaml (1.30)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """An annotation: the kinds it belongs to ("Any" for all), and whether it is deprecated."""

    kinds: tuple[str, ...]
    deprecated: bool = False


_POD = (
    "prometheus.istio.io/merge-metrics", "sidecar.istio.io/status", "sidecar.istio.io/rewriteAppHTTPProbers",
    "sidecar.istio.io/proxyImage", "sidecar.istio.io/proxyImageType", "sidecar.istio.io/proxyCPU",
    "sidecar.istio.io/proxyCPULimit", "sidecar.istio.io/proxyMemory", "sidecar.istio.io/proxyMemoryLimit",
    "sidecar.istio.io/interceptionMode", "sidecar.istio.io/bootstrapOverride", "sidecar.istio.io/userVolume",
    "sidecar.istio.io/userVolumeMount", "sidecar.istio.io/enableCoreDump", "status.sidecar.istio.io/port",
    "sidecar.istio.io/logLevel", "sidecar.istio.io/componentLogLevel", "sidecar.istio.io/agentLogLevel",
    "readiness.status.sidecar.istio.io/initialDelaySeconds", "readiness.status.sidecar.istio.io/periodSeconds",
    "readiness.status.sidecar.istio.io/failureThreshold", "readiness.status.sidecar.istio.io/applicationPorts",
    "traffic.sidecar.istio.io/includeOutboundIPRanges", "traffic.sidecar.istio.io/excludeOutboundIPRanges",
    "traffic.sidecar.istio.io/includeInboundPorts", "traffic.sidecar.istio.io/excludeInboundPorts",
    "traffic.sidecar.istio.io/includeOutboundPorts", "traffic.sidecar.istio.io/excludeOutboundPorts",
    "traffic.sidecar.istio.io/excludeInterfaces", "proxy.istio.io/config", "proxy.istio.io/overrides",
    "inject.istio.io/templates", "sidecar.istio.io/extraStatTags", "sidecar.istio.io/statsHistogramBuckets",
    "sidecar.istio.io/statsCompression", "sidecar.istio.io/nativeSidecar", "istio.io/reroute-virtual-interfaces",
    "ambient.istio.io/redirection", "ambient.istio.io/bypass-inbound-capture", "ambient.istio.io/dns-capture",
    "sidecar.istio.io/tlsKeyLogFile",
)
_POD_DEPRECATED = (
    "sidecar.istio.io/inject", "alpha.istio.io/identity", "sidecar.istio.io/controlPlaneAuthPolicy",
    "sidecar.istio.io/discoveryAddress", "sidecar.istio.io/statsInclusionPrefixes",
    "sidecar.istio.io/statsInclusionSuffixes", "sidecar.istio.io/statsInclusionRegexps",
    "traffic.sidecar.istio.io/kubevirtInterfaces",
)
_OTHERS: dict[str, Known] = {
    "alpha.istio.io/kubernetes-serviceaccounts": Known(("Service",), True),
    "alpha.istio.io/canonical-serviceaccounts": Known(("Service",), True),
    "networking.istio.io/exportTo": Known(("Service",)),
    "networking.istio.io/traffic-distribution": Known(("Service", "Namespace", "ServiceEntry")),
    "networking.istio.io/address-type": Known(("Gateway", "Service")),
    "networking.istio.io/service-type": Known(("Gateway",)),
    "traffic.istio.io/nodeSelector": Known(("Service",)),
    "kubernetes.io/ingress.class": Known(("Ingress",)),
    "istio.io/dry-run": Known(("AuthorizationPolicy",)),
    "istio.io/autoRegistrationGroup": Known(("WorkloadEntry",)),
    "istio.io/workloadController": Known(("WorkloadEntry",)),
    "istio.io/connectedAt": Known(("WorkloadEntry",)),
    "istio.io/disconnectedAt": Known(("WorkloadEntry",)),
    "topology.istio.io/controlPlaneClusters": Known(("Namespace",)),
    "security.istio.io/autoMTLS": Known(("Pod",)),
    "galley.istio.io/analyze-suppress": Known(("Any",)),
    "install.operator.istio.io/chart-owner": Known(("Any",)),
    "install.operator.istio.io/owner-generation": Known(("Any",)),
    "install.operator.istio.io/version": Known(("Any",)),
    "internal.istio.io/parents": Known(("Any",)),
    "istio.io/rev": Known(("Any",)),
    "istio.io/ingress-use-waypoint": Known(("Any",)),
    "istio.io/waypoint-for": Known(("Any",)),
    "istio.io/for-service-account": Known(("Any",), True),
    "gateway.istio.io/controller-version": Known(("Any",)),
    "gateway.istio.io/name-override": Known(("Any",)),
    "gateway.istio.io/service-account": Known(("Any",)),
    "gateway.istio.io/tls-terminate-mode": Known(("Any",)),
    "gateway.istio.io/alias-for": Known(("Any",)),
}

ANNOTATIONS: dict[str, Known] = (
    {name: Known(("Pod",)) for name in _POD} | {name: Known(("Pod",), True) for name in _POD_DEPRECATED} | _OTHERS
)
"""Every annotation by its name."""

_STABLE = frozenset(["proxy.istio.io/config", "sidecar.istio.io/inject", "kubernetes.io/ingress.class"])
ALPHA = frozenset(ANNOTATIONS) - _STABLE
"""Those of alpha features: all but a few."""

__all__ = ["ALPHA", "ANNOTATIONS", "Known"]
