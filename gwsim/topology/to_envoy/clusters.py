"""Clusters as Envoy's Cluster and ClusterLoadAssignment.

Sources: envoyproxy/envoy api/envoy/config/{cluster,endpoint}/v3; what istiod writes beside: istio
pilot/pkg/networking/core/cluster_builder.go, pilot/pkg/networking/util/util.go (endpoint metadata).
"""

from __future__ import annotations

from dataclasses import asdict

from gwsim.topology.to_envoy.tls import ADS, mesh_matches, upstream, with_proxy_protocol
from gwsim.topology.to_envoy.words import (
    OWN,
    Json,
    address,
    any_of,
    duration,
    extension,
    metadata,
    unless,
    without_none,
)
from gwsim.topology.upstream import (
    CircuitBreakers,
    Cluster,
    Endpoint,
    LbPolicy,
    Locality,
    OutlierDetection,
    SlowStart,
)

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
TLS_MATCH = "envoy.transport_socket_match"
MESH_MODE = "istio"
ENVOY_LB = {LbPolicy.ORIGINAL_DST: "CLUSTER_PROVIDED"}
NOT_TCP = frozenset(["HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS"])
IDLE_S = 3600.0
OWN_ENDPOINT = {
    "pod": "pod", "labels": "labels", "network": "network", "mtls_known": "mtlsKnown", "accepts": "accepts", "via": "via",
}  # fmt: skip
"""What the model knows of an endpoint and Envoy has no field for."""
_PLAIN_ENDPOINT = Endpoint(address="", port=0)


def cluster(one: Cluster) -> Json:
    """The Cluster; one whose endpoints need no discovery carries them in `loadAssignment`."""
    type_ = "ORIGINAL_DST" if one.lb_policy is LbPolicy.ORIGINAL_DST else one.discovery
    if one.discovery == "DYNAMIC_DNS":
        type_ = "DYNAMIC_DNS"
    eds = {"edsConfig": dict(ADS), "serviceName": one.name} if type_ == "EDS" else None
    inline = type_ not in ("EDS", "ORIGINAL_DST", "DYNAMIC_DNS")
    options = _http_options(one)
    return without_none({
        "name": one.name,
        "type": None if type_ in ("STATIC", "DYNAMIC_DNS") else type_,
        "clusterType": _forward_proxy() if type_ == "DYNAMIC_DNS" else None,
        "edsClusterConfig": eds,
        "connectTimeout": duration(one.connect_timeout_s),
        **_load_balancing(one),
        "circuitBreakers": {"thresholds": [_thresholds(one.circuit_breakers)]},
        "commonLbConfig": without_none({
            "healthyPanicThreshold": {"value": one.panic_threshold_percent},
            "updateMergeWindow": None if one.update_merge_window_s == 1.0 else duration(one.update_merge_window_s),
        }),
        "outlierDetection": None if one.outlier_detection is None else _outliers(one.outlier_detection),
        "typedExtensionProtocolOptions": {HTTP_OPTIONS: options} if options else None,
        "loadAssignment": load_assignment(one) if inline else None,
        **_transport(one),
        "metadata": _metadata(one, type_),
    })


def _forward_proxy() -> Json:
    """A cluster that resolves the name in the request."""
    return extension(
        "envoy.clusters.dynamic_forward_proxy",
        "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
        dnsCacheConfig={"name": "dynamic_forward_proxy_cache", "dnsLookupFamily": "V4_PREFERRED"},
    )


def _load_balancing(one: Cluster) -> Json:
    slow = None if one.slow_start is None else _slow_start(one.slow_start)
    if one.discovery == "DYNAMIC_DNS":
        return {"lbPolicy": "CLUSTER_PROVIDED"}
    fields: Json = {"lbPolicy": unless(ENVOY_LB.get(one.lb_policy, one.lb_policy.value), "ROUND_ROBIN")}
    match one.lb_policy:
        case LbPolicy.LEAST_REQUEST:
            config = without_none({"choiceCount": unless(one.choice_count, 2), "slowStartConfig": slow})
            fields["leastRequestLbConfig"] = config or None
        case LbPolicy.ROUND_ROBIN:
            fields["roundRobinLbConfig"] = {"slowStartConfig": slow} if slow else None
        case LbPolicy.RING_HASH:
            fields["ringHashLbConfig"] = {"minimumRingSize": str(one.ring_size)}
        case LbPolicy.MAGLEV:
            fields["maglevLbConfig"] = {"tableSize": str(one.ring_size)}
    return fields


def _slow_start(slow: SlowStart) -> Json:
    return {
        "slowStartWindow": duration(slow.window_s),
        "aggression": {"defaultValue": slow.aggression, "runtimeKey": "gwsim.aggression"},
        "minWeightPercent": {"value": slow.min_weight_percent},
    }


def _thresholds(limits: CircuitBreakers) -> Json:
    budget = limits.retry_budget
    return without_none({
        "maxConnections": limits.max_connections,
        "maxPendingRequests": limits.max_pending_requests,
        "maxRequests": limits.max_requests,
        "maxRetries": limits.max_retries,
        "retryBudget": None
        if budget is None
        else {"budgetPercent": {"value": budget.percent}, "minRetryConcurrency": budget.min_retry_concurrency},
        "trackRemaining": True,
    })


def _outliers(block: OutlierDetection) -> Json:
    return {
        "consecutive5xx": block.consecutive_5xx,
        "interval": duration(block.interval_s),
        "baseEjectionTime": duration(block.base_ejection_time_s),
        "maxEjectionTime": duration(block.max_ejection_time_s),
        "maxEjectionPercent": round(block.max_ejection_percent),
        "enforcingConsecutive5xx": block.enforcing_consecutive_5xx,
        "enforcingSuccessRate": block.enforcing_success_rate,
        "successRateMinimumHosts": block.success_rate_minimum_hosts,
        "successRateRequestVolume": block.success_rate_request_volume,
        "successRateStdevFactor": round(block.success_rate_stdev_factor),
        "failurePercentageThreshold": round(block.failure_percentage_threshold),
        "enforcingFailurePercentage": block.enforcing_failure_percentage,
        "failurePercentageMinimumHosts": block.failure_percentage_minimum_hosts,
        "failurePercentageRequestVolume": block.failure_percentage_request_volume,
        "consecutiveGatewayFailure": block.consecutive_gateway_failure,
        "enforcingConsecutiveGatewayFailure": block.enforcing_consecutive_gateway_failure,
        "splitExternalLocalOriginErrors": block.split_external_local_origin_errors,
        "consecutiveLocalOriginFailure": block.consecutive_local_origin_failure,
        "enforcingConsecutiveLocalOriginFailure": block.enforcing_consecutive_local_origin_failure,
    }


def _http_options(one: Cluster) -> Json | None:
    common = without_none({
        "idleTimeout": None if one.idle_timeout_s == IDLE_S else duration(one.idle_timeout_s),
        "maxConnectionDuration": None if one.max_connection_duration_s is None else duration(one.max_connection_duration_s),
        "maxRequestsPerConnection": one.max_requests_per_connection,
    })
    streams = without_none({"maxConcurrentStreams": one.max_concurrent_streams})
    if one.use_downstream_protocol:
        protocol: Json = {"useDownstreamProtocolConfig": {"httpProtocolOptions": {}, "http2ProtocolOptions": streams}}
    elif one.upstream_http == 2:
        protocol = {"explicitHttpConfig": {"http2ProtocolOptions": streams}}
    elif common or one.protocol in NOT_TCP:
        protocol = {"explicitHttpConfig": {"httpProtocolOptions": {}}}
    else:
        return None
    return any_of(HTTP_OPTIONS, commonHttpProtocolOptions=common or None, **protocol)


def _transport(one: Cluster) -> Json:
    fields: Json = {}
    if one.tls is not None:
        alpn = ("h2",) if one.upstream_http == 2 else ()
        fields["transportSocket"] = upstream(one.tls, alpn=alpn)
    elif any(endpoint.mtls for endpoint in one.endpoints):
        fields["transportSocketMatches"] = mesh_matches()
    if one.proxy_protocol is not None:
        for match in fields.get("transportSocketMatches", ()):
            match["transportSocket"] = with_proxy_protocol(match["transportSocket"], one.proxy_protocol)
        if "transportSocketMatches" not in fields:
            fields["transportSocket"] = with_proxy_protocol(fields.get("transportSocket"), one.proxy_protocol)
    return fields


def _metadata(one: Cluster, type_: str) -> Json | None:
    name, _, rest = one.host.partition(".")
    service = {"host": one.host, "name": name, "namespace": rest.partition(".")[0]} if one.host else {}
    istio: Json = {"services": [service]} if service else {}
    if one.subset:
        istio["subset"] = one.subset
    own = without_none({
        "protocol": one.protocol,
        "external": one.external or None,
        "discovery": unless(one.discovery, type_),
        "lbPolicy": one.lb_policy.value if type_ == "DYNAMIC_DNS" else None,
        "ringSize": None if one.lb_policy in (LbPolicy.RING_HASH, LbPolicy.MAGLEV) else unless(one.ring_size, 1024),
        "choiceCount": None if one.lb_policy is LbPolicy.LEAST_REQUEST else unless(one.choice_count, 2),
        "upstreamHttp": 1 if one.use_downstream_protocol and one.upstream_http == 1 else None,
        "maxConcurrentStreams": one.max_concurrent_streams
        if one.upstream_http == 1 and not one.use_downstream_protocol
        else None,
        "tcpIdleTimeout": None if one.tcp_idle_timeout_s is None else duration(one.tcp_idle_timeout_s),
        "tlsUsable": None if one.tls is None else unless(one.tls.usable, True),
        "credentialName": one.tls.credential_name or None if one.tls and one.tls.mode == "istio_mutual" else None,
        "localityLb": None if one.locality_lb is None else asdict(one.locality_lb),
        "address": {"host": one.host, "port": one.port} if one.name.split("|")[1:] != [str(one.port), one.subset, one.host] else None,
    })
    return metadata(istio=istio, **{OWN: own})


# --- endpoints -----------------------------------------------------------------------------------------------------


def load_assignment(one: Cluster) -> Json:
    """The ClusterLoadAssignment: endpoints by locality, in the order in which localities first occur."""
    groups: dict[Locality, list[Endpoint]] = {}
    for endpoint in one.endpoints:
        groups.setdefault(endpoint.locality, []).append(endpoint)
    return without_none({
        "clusterName": one.name,
        "endpoints": [
            {
                "locality": _locality(where),
                "lbEndpoints": [_endpoint(endpoint) for endpoint in endpoints],
                "loadBalancingWeight": sum(endpoint.weight for endpoint in endpoints) or 1,
            }
            for where, endpoints in groups.items()
        ]
        or None,
    })


def _locality(where: Locality) -> Json:
    return without_none({"region": where.region or None, "zone": where.zone or None, "subZone": where.subzone or None})


def _endpoint(endpoint: Endpoint) -> Json:
    return without_none({
        "endpoint": {"address": address(endpoint.address, endpoint.port)},
        "healthStatus": "HEALTHY" if endpoint.healthy else "UNHEALTHY",
        "metadata": endpoint_metadata(endpoint),
        "loadBalancingWeight": endpoint.weight,
    })


def endpoint_metadata(endpoint: Endpoint) -> Json | None:
    """Istio's own metadata (mutual TLS, workload, network), and what the model knows beyond it."""
    namespace, _, name = endpoint.workload.partition("/")
    own = {told: value for name, told in OWN_ENDPOINT.items() if (value := getattr(endpoint, name)) != getattr(_PLAIN_ENDPOINT, name)}
    istio = {"workload": f"{name};{namespace};;;{endpoint.cluster}"} if endpoint.workload or endpoint.cluster else {}
    match = {"tlsMode": MESH_MODE} if endpoint.mtls else {}
    return metadata(istio=istio, **{TLS_MATCH.replace(".", "__"): match, OWN: own})


def cluster_status(one: Cluster) -> Json:
    """What `istioctl proxy-config endpoints -o json` says of a cluster: Envoy's ClusterStatus."""
    return without_none({
        "name": one.name,
        "addedViaApi": True,
        "hostStatuses": [
            without_none({
                "address": address(endpoint.address, endpoint.port),
                "healthStatus": {"edsHealthStatus": "HEALTHY" if endpoint.healthy else "UNHEALTHY"},
                "weight": endpoint.weight,
                "locality": _locality(endpoint.locality),
                "metadata": endpoint_metadata(endpoint),
            })
            for endpoint in one.endpoints
        ]
        or None,
    })
