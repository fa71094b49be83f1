"""A traffic policy as the fields of a cluster.

Sources: istio/istio pilot/pkg/networking/core/{cluster_traffic_policy,cluster_tls}.go,
pilot/pkg/networking/core/loadbalancer/loadbalancer.go.
"""

from __future__ import annotations

from typing import Any

from gwsim.resources.models import (
    ClientTls,
    ConnectionPoolSettings,
    HttpSettings,
    LoadBalancerSettings,
    LocalityLbSetting,
    MeshConfig,
    TcpSettings,
    TrafficPolicy,
)
from gwsim.resources.models import OutlierDetection as OutlierSettings
from gwsim.topology.from_istio import protocols
from gwsim.topology.from_istio.converted import INVALID_CREDENTIAL
from gwsim.topology.upstream import (
    UNLIMITED,
    CircuitBreakers,
    LbPolicy,
    LocalityFailover,
    LocalityLb,
    LocalityShare,
    OutlierDetection,
    RetryBudget,
    SlowStart,
    Tunnel,
    UpstreamTls,
)

Fields = dict[str, Any]
"""Keyword arguments for `Cluster`."""

_SIMPLE = {
    "ROUND_ROBIN": LbPolicy.ROUND_ROBIN,
    "RANDOM": LbPolicy.RANDOM,
    "PASSTHROUGH": LbPolicy.ORIGINAL_DST,
}


def cluster_fields(policy: TrafficPolicy | None, protocol: str, mesh: MeshConfig) -> Fields:
    """What a policy says about a cluster; what it leaves out is the mesh's."""
    policy = policy or TrafficPolicy()
    fields = _connection_pool(policy.connection_pool or ConnectionPoolSettings(), protocol, mesh)
    if policy.retry_budget is not None:
        budget = policy.retry_budget
        fields["circuit_breakers"]["retry_budget"] = RetryBudget(
            percent=20.0 if budget.percent is None else budget.percent,
            min_retry_concurrency=3 if budget.min_retry_concurrency is None else budget.min_retry_concurrency,
        )
    fields["circuit_breakers"] = CircuitBreakers(**fields["circuit_breakers"])
    fields |= _load_balancer(policy.load_balancer or LoadBalancerSettings())
    if policy.outlier_detection is not None:
        fields["outlier_detection"] = _outlier(policy.outlier_detection)
        fields["panic_threshold_percent"] = float(policy.outlier_detection.min_health_percent or 0)
    setting = policy.load_balancer.locality_lb_setting if policy.load_balancer else None
    fields["locality_lb"] = _locality(setting or mesh.locality_lb_setting, detected=policy.outlier_detection is not None)
    fields["tls"] = _tls(policy.tls)
    if policy.proxy_protocol is not None:
        fields["proxy_protocol"] = policy.proxy_protocol.version
    if policy.tunnel is not None:
        own = policy.tunnel
        fields["tunnel"] = Tunnel(host=own.target_host, port=own.target_port, method="POST" if own.protocol == "POST" else "CONNECT")
    return fields


def _connection_pool(pool: ConnectionPoolSettings, protocol: str, mesh: MeshConfig) -> Fields:
    tcp, http = pool.tcp or TcpSettings(), pool.http or HttpSettings()
    fields: Fields = {
        "circuit_breakers": {
            "max_connections": tcp.max_connections or UNLIMITED,
            "max_pending_requests": http.http1_max_pending_requests or UNLIMITED,
            "max_requests": http.http2_max_requests or UNLIMITED,
            "max_retries": http.max_retries or UNLIMITED,
        },
        "connect_timeout_s": mesh.connect_timeout_s if tcp.connect_timeout_s is None else tcp.connect_timeout_s,
        "max_requests_per_connection": http.max_requests_per_connection or None,
        "max_connection_duration_s": tcp.max_connection_duration_s,
        "tcp_idle_timeout_s": tcp.idle_timeout_s,
        "use_downstream_protocol": http.use_client_protocol,
    }
    idle_s = tcp.idle_timeout_s if http.idle_timeout_s is None else http.idle_timeout_s
    if idle_s is not None:
        fields["idle_timeout_s"] = idle_s
    fields["upstream_http"] = 2 if _upgraded(http, protocol, mesh) else protocols.upstream_http(protocol)
    if fields["upstream_http"] == 2:
        fields["max_concurrent_streams"] = http.max_concurrent_streams or None
    return fields


def _upgraded(http: HttpSettings, protocol: str, mesh: MeshConfig) -> bool:
    """Whether HTTP/2 is spoken to a port of HTTP/1: a rule may say so for any port, the mesh for HTTP ports only."""
    if http.use_client_protocol or http.h2_upgrade_policy == "DO_NOT_UPGRADE":
        return False
    by_mesh = mesh.h2_upgrade_policy == "UPGRADE" and protocol in protocols.HTTP_FAMILY
    return http.h2_upgrade_policy == "UPGRADE" or by_mesh


def _load_balancer(settings: LoadBalancerSettings) -> Fields:
    fields: Fields = {"lb_policy": LbPolicy.LEAST_REQUEST}
    consistent = settings.consistent_hash
    if consistent is not None:
        if consistent.maglev is not None:
            size = consistent.maglev.table_size or 65537
            return {"lb_policy": LbPolicy.MAGLEV, "ring_size": size}
        size = consistent.minimum_ring_size or 1024
        if consistent.ring_hash is not None:
            size = consistent.ring_hash.minimum_ring_size or 1024
        return {"lb_policy": LbPolicy.RING_HASH, "ring_size": size}
    fields["lb_policy"] = _SIMPLE.get(settings.simple or "", LbPolicy.LEAST_REQUEST)
    if fields["lb_policy"] in (LbPolicy.ROUND_ROBIN, LbPolicy.LEAST_REQUEST):
        fields["slow_start"] = _slow_start(settings)
    return fields


def _slow_start(settings: LoadBalancerSettings) -> SlowStart | None:
    if settings.warmup is not None:
        warmup = settings.warmup
        return SlowStart(
            window_s=warmup.duration_s,
            min_weight_percent=10.0 if warmup.minimum_percent is None else warmup.minimum_percent,
            aggression=1.0 if warmup.aggression is None else warmup.aggression,
        )
    if settings.warmup_duration_s:
        return SlowStart(window_s=settings.warmup_duration_s)
    return None


def _outlier(block: OutlierSettings) -> OutlierDetection:
    fields: Fields = {"split_external_local_origin_errors": block.split_external_local_origin_errors}
    if block.consecutive_5xx_errors is not None:
        fields["consecutive_5xx"] = block.consecutive_5xx_errors
        fields["enforcing_consecutive_5xx"] = 100 if block.consecutive_5xx_errors else 0
    if block.consecutive_gateway_errors is not None:
        fields["consecutive_gateway_failure"] = block.consecutive_gateway_errors
        fields["enforcing_consecutive_gateway_failure"] = 100 if block.consecutive_gateway_errors else 0
    if block.split_external_local_origin_errors and block.consecutive_local_origin_failures:
        fields["consecutive_local_origin_failure"] = block.consecutive_local_origin_failures
    if block.interval_s is not None:
        fields["interval_s"] = block.interval_s
    if block.base_ejection_time_s is not None:
        fields["base_ejection_time_s"] = block.base_ejection_time_s
    if block.max_ejection_percent:
        fields["max_ejection_percent"] = float(block.max_ejection_percent)
    return OutlierDetection(**fields)


def _locality(setting: LocalityLbSetting, *, detected: bool) -> LocalityLb | None:
    """Failover acts only together with outlier detection."""
    if setting.enabled is False:
        return None
    if setting.distribute:
        shares = tuple(LocalityShare(source=one.from_, to=tuple(sorted(one.to.items()))) for one in setting.distribute)
        return LocalityLb(distribute=shares)
    if not detected:
        return None
    return LocalityLb(
        priorities=True,
        failover=tuple(LocalityFailover(source=one.from_, to=one.to) for one in setting.failover),
        failover_priority=setting.failover_priority,
    )


def _tls(tls: ClientTls | None) -> UpstreamTls | None:
    if tls is None or tls.mode == "DISABLE":
        return None
    mode: Any = tls.mode.lower()
    usable = tls.credential_name != INVALID_CREDENTIAL
    return UpstreamTls(mode=mode, sni=tls.sni or "", credential_name=tls.credential_name or "", usable=usable)
