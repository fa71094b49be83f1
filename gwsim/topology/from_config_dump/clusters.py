"""Clusters and endpoints of a dump. Source: envoyproxy/envoy api/envoy/config/{cluster,endpoint}/v3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from gwsim.topology.from_config_dump.nodes import Node
from gwsim.topology.from_config_dump.tls import upstream
from gwsim.topology.upstream import (
    UNLIMITED,
    CircuitBreakers,
    Cluster,
    Endpoint,
    LbPolicy,
    Locality,
    LocalityFailover,
    LocalityLb,
    LocalityShare,
    OutlierDetection,
    RetryBudget,
    SlowStart,
    UpstreamTls,
)

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
ENVOY_LIMITS = {"maxConnections": 1024, "maxPendingRequests": 1024, "maxRequests": 1024, "maxRetries": 3}
ENVOY_CONNECT_S = 5.0
_ACCEPTS = ("DISABLE", "PERMISSIVE", "STRICT")
_TYPES = ("EDS", "STRICT_DNS", "LOGICAL_DNS", "ORIGINAL_DST", "STATIC", "DYNAMIC_DNS")
_UNHEALTHY = ("UNHEALTHY", "DRAINING", "TIMEOUT")
_LB = {
    "ROUND_ROBIN": LbPolicy.ROUND_ROBIN, "LEAST_REQUEST": LbPolicy.LEAST_REQUEST, "RANDOM": LbPolicy.RANDOM,
    "RING_HASH": LbPolicy.RING_HASH, "MAGLEV": LbPolicy.MAGLEV, "CLUSTER_PROVIDED": LbPolicy.ORIGINAL_DST,
}  # fmt: skip
_LB_EXTENSIONS = {
    "RoundRobin": LbPolicy.ROUND_ROBIN, "LeastRequest": LbPolicy.LEAST_REQUEST, "Random": LbPolicy.RANDOM,
    "RingHash": LbPolicy.RING_HASH, "Maglev": LbPolicy.MAGLEV, "ClusterProvided": LbPolicy.ORIGINAL_DST,
}  # fmt: skip

Fields = dict[str, Any]


def cluster(node: Node, assignment: Node | None, where: Locality) -> Cluster:
    """A cluster with its endpoints; `where` is the locality of the proxy."""
    own, istio = node.own(), node.block("istio")
    name = node.text("name")
    host, port, subset = _identity(name, own, istio)
    type_ = node.text("type", "STATIC")
    special = node.node("clusterType")
    discovery = own.text("discovery", type_)
    discovery = discovery if discovery in _TYPES else "STATIC"
    if special is not None and "dynamic_forward_proxy" in special.text("name"):
        special.ignore_all()
        discovery = "DYNAMIC_DNS"
    inline = node.node("loadAssignment")
    eds = node.node("edsClusterConfig")
    if eds is not None:
        eds.ignore_all()
    load = assignment if assignment is not None else inline
    if inline is not None and load is not inline:
        inline.ignore_all()
    groups = _groups(load) if load is not None else []
    tls, proxy_protocol, per_endpoint = _transport(node, own)
    mesh = tls is not None and tls.mode == "istio_mutual"
    endpoints = tuple(
        replace(one, mtls=mesh or (one.mtls and per_endpoint)) for _, _, members in groups for one in members
    )
    fields = _load_balancing(node)
    fields["lb_policy"] = _LB.get(own.text("lbPolicy"), fields["lb_policy"])
    fields["ring_size"] = fields.get("ring_size", own.integer("ringSize", 1024))
    fields["choice_count"] = own.integer("choiceCount", fields.get("choice_count", 2))
    fields |= _http(node, own) | _common_lb(node.node("commonLbConfig"))
    breakers = node.node("circuitBreakers")
    outliers = node.node("outlierDetection")
    node.ignore("dnsLookupFamily", "dnsRefreshRate", "respectDnsTtl", "perConnectionBufferLimitBytes")
    node.ignore("upstreamConnectionOptions", "filters", "closeConnectionsOnHostHealthFailure", "ignoreHealthOnHostRemoval")
    protocol = own.text("protocol") or _protocol(fields)
    return Cluster(
        name=name,
        host=host,
        port=port,
        subset=subset,
        discovery=cast(Any, discovery),
        endpoints=endpoints,
        connect_timeout_s=node.seconds("connectTimeout", ENVOY_CONNECT_S),
        circuit_breakers=_breakers(breakers),
        outlier_detection=_outliers(outliers) if outliers is not None else None,
        locality_lb=_locality_lb(own, groups, where),
        tls=tls,
        proxy_protocol=cast(Any, proxy_protocol),
        external=own.flag("external"),
        protocol=protocol,
        tcp_idle_timeout_s=own.maybe_seconds("tcpIdleTimeout"),
        **fields,
    )


def _identity(name: str, own: Node, istio: Node) -> tuple[str, int, str]:
    """Host, port and subset: those of Istio's names, else what stands beside the cluster."""
    given = own.node("address")
    parts = name.split("|")
    if len(parts) != 4 and name.count("_.") >= 3:
        # Clusters chosen by server name: outbound_.80_.v1_.host
        parts = [part.strip("_").strip(".") for part in name.split("_.", 3)]
    if len(parts) == 4 and parts[1].isdigit():
        host, port, subset = parts[3], int(parts[1]), parts[2]
    else:
        services = istio.nodes("services")
        for one in services:
            one.ignore_all()
        host, port, subset = services[0].text("host", name) if services else name, 0, istio.text("subset")
    if given is not None:
        return given.text("host", host), given.integer("port", port), istio.text("subset", subset)
    return host, port, subset


def _protocol(fields: Fields) -> str:
    if fields["upstream_http"] == 2:
        return "HTTP2"
    return "HTTP"


# --- policies ------------------------------------------------------------------------------------------------------


def _load_balancing(node: Node) -> Fields:
    policy = node.node("loadBalancingPolicy")
    if policy is not None:
        return _extension_policy(policy)
    lb = _LB.get(node.text("lbPolicy", "ROUND_ROBIN"), LbPolicy.ROUND_ROBIN)
    least, robin = node.node("leastRequestLbConfig"), node.node("roundRobinLbConfig")
    ring, maglev = node.node("ringHashLbConfig"), node.node("maglevLbConfig")
    fields: Fields = {"lb_policy": lb}
    for config, used in ((least, LbPolicy.LEAST_REQUEST), (robin, LbPolicy.ROUND_ROBIN)):
        if config is not None and lb is used:
            fields |= _least_or_robin(config)
        elif config is not None:
            config.ignore_all()
    if lb is LbPolicy.RING_HASH:
        fields["ring_size"] = ring.integer("minimumRingSize", 1024) if ring is not None else 1024
    if lb is LbPolicy.MAGLEV:
        fields["ring_size"] = maglev.integer("tableSize", 65537) if maglev is not None else 65537
    return fields


def _least_or_robin(config: Node) -> Fields:
    slow = config.node("slowStartConfig")
    fields: Fields = {"slow_start": _slow_start(slow) if slow is not None else None}
    if "choiceCount" in config:
        fields["choice_count"] = config.integer("choiceCount", 2)
    return fields


def _extension_policy(policy: Node) -> Fields:
    """`loadBalancingPolicy`: the first policy that Envoy has; they are all known to the model."""
    for one in policy.nodes("policies"):
        extension = one.node("typedExtensionConfig")
        typed = extension.typed() if extension is not None else None
        if extension is None or typed is None:
            continue
        extension.ignore("name")
        lb = _LB_EXTENSIONS.get(typed.type.rpartition(".")[2])
        if lb is None:
            one.source.not_modelled(typed.path, f"load balancing by {typed.type}")
            typed.ignore_all()
            continue
        fields: Fields = {"lb_policy": lb}
        typed.ignore("localityLbConfig", "consistentHashingLbConfig")
        if lb in (LbPolicy.LEAST_REQUEST, LbPolicy.ROUND_ROBIN):
            fields |= _least_or_robin(typed)
        elif lb is LbPolicy.RING_HASH:
            fields["ring_size"] = typed.integer("minimumRingSize", 1024)
        elif lb is LbPolicy.MAGLEV:
            fields["ring_size"] = typed.integer("tableSize", 65537)
        return fields
    return {"lb_policy": LbPolicy.ROUND_ROBIN}


def _slow_start(node: Node) -> SlowStart | None:
    window_s = node.seconds("slowStartWindow")
    aggression, least = node.node("aggression"), node.node("minWeightPercent")
    if aggression is not None:
        aggression.ignore("runtimeKey")
    if not window_s:
        return None
    return SlowStart(
        window_s=window_s,
        min_weight_percent=least.number("value") if least is not None else 10.0,
        aggression=aggression.number("defaultValue", 1.0) if aggression is not None else 1.0,
    )


def _breakers(node: Node | None) -> CircuitBreakers:
    default = next(
        (one for one in node.nodes("thresholds") if one.text("priority", "DEFAULT") == "DEFAULT"), None
    ) if node is not None else None  # fmt: skip
    limits = {name: default.integer(name, value) if default is not None else value for name, value in ENVOY_LIMITS.items()}
    budget = default.node("retryBudget") if default is not None else None
    percent = budget.node("budgetPercent") if budget is not None else None
    return CircuitBreakers(
        max_connections=limits["maxConnections"],
        max_pending_requests=limits["maxPendingRequests"],
        max_requests=limits["maxRequests"],
        max_retries=limits["maxRetries"],
        retry_budget=None
        if budget is None
        else RetryBudget(
            percent=percent.number("value") if percent is not None else 20.0,
            min_retry_concurrency=budget.integer("minRetryConcurrency", 3),
        ),
    )


def _common_lb(common: Node | None) -> Fields:
    if common is None:
        return {}
    common.ignore("localityWeightedLbConfig", "closeConnectionsOnHostSetChange")
    threshold = common.node("healthyPanicThreshold")
    return {
        "panic_threshold_percent": threshold.number("value") if threshold is not None else 50.0,
        "update_merge_window_s": common.seconds("updateMergeWindow", 1.0),
    }


def _outliers(node: Node) -> OutlierDetection:
    base_s = node.seconds("baseEjectionTime", 30.0)
    return OutlierDetection(
        consecutive_5xx=node.integer("consecutive5xx", 5),
        enforcing_consecutive_5xx=node.integer("enforcingConsecutive5xx", 100),
        consecutive_gateway_failure=node.integer("consecutiveGatewayFailure", 5),
        enforcing_consecutive_gateway_failure=node.integer("enforcingConsecutiveGatewayFailure", 0),
        consecutive_local_origin_failure=node.integer("consecutiveLocalOriginFailure", 5),
        enforcing_consecutive_local_origin_failure=node.integer("enforcingConsecutiveLocalOriginFailure", 100),
        split_external_local_origin_errors=node.flag("splitExternalLocalOriginErrors"),
        interval_s=node.seconds("interval", 10.0),
        base_ejection_time_s=base_s,
        max_ejection_time_s=node.seconds("maxEjectionTime", max(300.0, base_s)),
        max_ejection_percent=node.number("maxEjectionPercent", 10.0),
        success_rate_minimum_hosts=node.integer("successRateMinimumHosts", 5),
        success_rate_request_volume=node.integer("successRateRequestVolume", 100),
        success_rate_stdev_factor=node.number("successRateStdevFactor", 1900.0),
        enforcing_success_rate=node.integer("enforcingSuccessRate", 100),
        failure_percentage_threshold=node.number("failurePercentageThreshold", 85.0),
        failure_percentage_minimum_hosts=node.integer("failurePercentageMinimumHosts", 5),
        failure_percentage_request_volume=node.integer("failurePercentageRequestVolume", 50),
        enforcing_failure_percentage=node.integer("enforcingFailurePercentage", 0),
    )


def _http(node: Node, own: Node) -> Fields:
    fields: Fields = {"upstream_http": 1, "max_concurrent_streams": own.integer("maxConcurrentStreams") or None}
    for name, options in node.entries("typedExtensionProtocolOptions"):
        if name != HTTP_OPTIONS:
            continue
        common = options.node("commonHttpProtocolOptions")
        if common is not None:
            fields |= _common(common)
        explicit, follow = options.node("explicitHttpConfig"), options.node("useDownstreamProtocolConfig")
        chosen = explicit or follow or options.node("autoConfig")
        if chosen is None:
            continue
        http1, http2 = chosen.node("httpProtocolOptions"), chosen.node("http2ProtocolOptions")
        if http1 is not None:
            http1.ignore_all()
        fields["use_downstream_protocol"] = follow is not None
        if http2 is not None:
            fields["upstream_http"] = 1 if own.integer("upstreamHttp", 2) == 1 else 2
            fields["max_concurrent_streams"] = http2.integer("maxConcurrentStreams") or None
    if "http2ProtocolOptions" in node:
        http2 = node.node("http2ProtocolOptions")
        fields["upstream_http"] = 2
        fields["max_concurrent_streams"] = (http2.integer("maxConcurrentStreams") or None) if http2 is not None else None
    if "maxRequestsPerConnection" in node:
        fields["max_requests_per_connection"] = node.integer("maxRequestsPerConnection") or None
    return fields


def _common(node: Node) -> Fields:
    fields: Fields = {"max_requests_per_connection": node.integer("maxRequestsPerConnection") or None}
    idle_s, age_s = node.maybe_seconds("idleTimeout"), node.maybe_seconds("maxConnectionDuration")
    if idle_s is not None:
        fields["idle_timeout_s"] = idle_s
    if age_s is not None:
        fields["max_connection_duration_s"] = age_s
    return fields


# --- transport -----------------------------------------------------------------------------------------------------


def _transport(node: Node, own: Node) -> tuple[UpstreamTls | None, str | None, bool]:
    """TLS always originated, version of the PROXY header, and whether endpoints may have mutual TLS of their own."""
    socket, matches = node.node("transportSocket"), node.nodes("transportSocketMatches")
    tls, version = _socket(socket, own) if socket is not None else (None, None)
    per_endpoint = False
    for match in matches:
        match.ignore("name", "match")
        inner = match.node("transportSocket")
        if inner is None:
            continue
        found, version_here = _socket(inner, inner.own())
        version = version or version_here
        per_endpoint = per_endpoint or (found is not None and found.mode == "istio_mutual")
    return tls, version, per_endpoint


def _socket(node: Node, own: Node) -> tuple[UpstreamTls | None, str | None]:
    if "proxy_protocol" not in node.text("name"):
        return upstream(node, own), None
    typed = node.typed()
    if typed is None:
        return None, None
    config, inner = typed.node("config"), typed.node("transportSocket")
    version = config.text("version", "V1") if config is not None else "V1"
    return (upstream(inner, own) if inner is not None else None), version


# --- endpoints -----------------------------------------------------------------------------------------------------

Group = tuple[int, Node, list[Endpoint]]
"""Priority, the locality's message, and its endpoints."""


def _groups(node: Node) -> list[Group]:
    node.ignore("clusterName", "policy")
    groups: list[Group] = []
    for one in node.nodes("endpoints"):
        where = locality(one.node("locality"))
        one.ignore("loadBalancingWeight")
        members = [found for each in one.nodes("lbEndpoints") if (found := _endpoint(each, where)) is not None]
        groups.append((one.integer("priority"), one, members))
    if not groups:
        # A ClusterStatus, as `istioctl proxy-config endpoints` prints it.
        hosts = [found for one in node.nodes("hostStatuses") if (found := _host(one)) is not None]
        node.ignore("addedViaApi", "name", "circuitBreakers", "edsServiceName")
        if hosts:
            groups.append((0, node, hosts))
    return groups


def locality(node: Node | None) -> Locality:
    """A Locality."""
    if node is None:
        return Locality()
    return Locality(region=node.text("region"), zone=node.text("zone"), subzone=node.text("subZone"))


def _endpoint(node: Node, where: Locality) -> Endpoint | None:
    inner = node.node("endpoint")
    if inner is None:
        node.source.not_modelled(node.path, "an endpoint given by name")
        return None
    inner.ignore("hostname", "healthCheckConfig")
    state = node.text("healthStatus", "HEALTHY")
    weight = node.integer("loadBalancingWeight", 1)
    return _made(node, inner.node("address"), where, weight, state not in _UNHEALTHY)


def _host(node: Node) -> Endpoint | None:
    node.ignore("stats", "hostname", "priority")
    health = node.node("healthStatus")
    state = health.text("edsHealthStatus", "HEALTHY") if health is not None else "HEALTHY"
    if health is not None:
        health.ignore_all()
    where = locality(node.node("locality"))
    return _made(node, node.node("address"), where, node.integer("weight", 1), state not in _UNHEALTHY)


def _made(node: Node, address: Node | None, where: Locality, weight: int, healthy: bool) -> Endpoint:
    own, match = node.own(), node.block("envoy.transport_socket_match")
    parts = node.block("istio").text("workload").split(";")
    accepts = own.text("accepts")
    workload = f"{parts[1]}/{parts[0]}" if len(parts) > 1 and parts[0] else ""
    host, port = _host_port(address)
    return Endpoint(
        address=host,
        port=port,
        weight=weight,
        locality=where,
        workload=workload,
        cluster=parts[4] if len(parts) > 4 else "",
        mtls=match.text("tlsMode") == "istio",
        healthy=healthy,
        pod=own.text("pod"),
        labels=own.labels("labels"),
        network=own.text("network"),
        mtls_known=own.flag("mtlsKnown", True),
        accepts=cast(Any, accepts if accepts in _ACCEPTS else ""),
        via=own.text("via"),
    )


def _host_port(node: Node | None) -> tuple[str, int]:
    if node is None:
        return "", 0
    socket, pipe, internal = node.node("socketAddress"), node.node("pipe"), node.node("envoyInternalAddress")
    if socket is not None:
        socket.ignore("ipv4Compat", "resolverName", "protocol")
        return socket.text("address"), socket.integer("portValue")
    if pipe is not None:
        pipe.ignore("mode")
        return pipe.text("path"), 0
    if internal is not None:
        return f"envoy://{internal.text('serverListenerName')}/{internal.text('endpointId')}", 0
    return "", 0


def _locality_lb(own: Node, groups: list[Group], where: Locality) -> LocalityLb | None:
    """Locality load balancing: as an export of ours tells it, else what priorities and weights show of it."""
    told = own.node("localityLb")
    if told is not None:
        told.ignore("failoverPriority")
        return LocalityLb(
            priorities=told.flag("priorities"),
            failover=tuple(LocalityFailover(source=one.text("source"), to=one.text("to")) for one in told.nodes("failover")),
            failover_priority=told.texts("failoverPriority"),
            distribute=tuple(
                LocalityShare(source=one.text("source"), to=_shares(one)) for one in told.nodes("distribute")
            ),
        )
    if "protocol" in own or not groups:
        return None
    far = next((node for priority, node, _ in groups if priority), None)
    if far is not None:
        far.source.not_modelled(far.path_of("priority"), "priorities are taken to be by closeness to the proxy")
        return LocalityLb(priorities=True)
    weights = [(node.number("loadBalancingWeight", 1.0), members) for _, node, members in groups if members]
    even = all(weight == sum(one.weight for one in members) for weight, members in weights)
    total = sum(weight for weight, _ in weights)
    if len(weights) < 2 or even or not total:
        return None
    shares = tuple((_name(members[0].locality), round(100 * weight / total)) for weight, members in weights)
    return LocalityLb(distribute=(LocalityShare(source=_name(where), to=shares),))


def _shares(node: Node) -> tuple[tuple[str, int], ...]:
    found = node.raw("to")
    pairs = found if isinstance(found, list) else []
    return tuple((str(one[0]), int(one[1])) for one in pairs if isinstance(one, list) and len(one) == 2 and isinstance(one[1], (int, float)) and abs(one[1]) < 2**31)


def _name(where: Locality) -> str:
    return "/".join(part for part in (where.region, where.zone, where.subzone) if part)


__all__ = ["UNLIMITED", "cluster", "locality"]
