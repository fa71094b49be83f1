"""DestinationRules that Istio's webhook refuses. Source modelled: ValidateDestinationRule, 1.30."""

from __future__ import annotations

from gwsim.resources.models.destination_rule import (
    ClientTls,
    ConnectionPoolSettings,
    ConsistentHash,
    DestinationRule,
    LoadBalancerSettings,
    LocalityLbSetting,
    OutlierDetection,
    PortTrafficPolicy,
    TrafficPolicy,
)
from gwsim.resources.validation.check import Check

MAX_MAGLEV = 5_000_011


def check_destination_rule(rule: DestinationRule, check: Check) -> None:
    """Report what would be refused about a DestinationRule."""
    check.host("host", rule.host)
    if rule.traffic_policy:
        _policy(rule.traffic_policy, "trafficPolicy", check)
    names: set[str] = set()
    for index, subset in enumerate(rule.subsets):
        path = f"subsets[{index}]"
        if not subset.name:
            check.missing(path, "a subset needs a name")
        if subset.name in names:
            check.bad(f"{path}.name", f"subset {subset.name!r} is defined twice")
        names.add(subset.name)
        if subset.traffic_policy:
            _policy(subset.traffic_policy, f"{path}.trafficPolicy", check)


def _policy(policy: TrafficPolicy, path: str, check: Check) -> None:
    _blocks(policy, path, check)
    if policy.tunnel and policy.proxy_protocol:
        check.conflict(f"{path}.proxyProtocol", "tunnel and proxyProtocol exclude each other")
    if policy.tunnel and policy.tunnel.protocol not in (None, "CONNECT", "POST"):
        check.bad(f"{path}.tunnel.protocol", f"protocol cannot be {policy.tunnel.protocol!r}; write CONNECT or POST")
    budget = policy.retry_budget
    if budget and budget.percent is not None and not 0 <= budget.percent <= 100:
        check.bad(f"{path}.retryBudget.percent", f"{budget.percent:g} is not between 0 and 100")
    for index, setting in enumerate(policy.port_level_settings):
        _blocks(setting, f"{path}.portLevelSettings[{index}]", check)


def _blocks(policy: TrafficPolicy | PortTrafficPolicy, path: str, check: Check) -> None:
    if policy.connection_pool:
        _pool(policy.connection_pool, f"{path}.connectionPool", check)
    if policy.load_balancer:
        _load_balancer(policy.load_balancer, f"{path}.loadBalancer", check)
    if policy.outlier_detection:
        _outliers(policy.outlier_detection, f"{path}.outlierDetection", check)
    if policy.tls:
        _tls(policy.tls, f"{path}.tls", check)


def _pool(pool: ConnectionPoolSettings, path: str, check: Check) -> None:
    if pool.tcp is None and pool.http is None:
        check.missing(path, "connectionPool needs tcp or http")
    http = pool.http
    if http and http.use_client_protocol and http.h2_upgrade_policy == "UPGRADE":
        check.conflict(f"{path}.http.useClientProtocol", "useClientProtocol and h2UpgradePolicy UPGRADE exclude each other")


def _load_balancer(settings: LoadBalancerSettings, path: str, check: Check) -> None:
    check.at_most_one(path, {"simple": settings.simple, "consistentHash": settings.consistent_hash})
    if settings.consistent_hash:
        _hash(settings.consistent_hash, f"{path}.consistentHash", check)
    if settings.locality_lb_setting:
        _locality(settings.locality_lb_setting, f"{path}.localityLbSetting", check)
    warmup = settings.warmup
    if warmup and warmup.minimum_percent is not None and not 0 <= warmup.minimum_percent <= 100:
        check.bad(f"{path}.warmup.minimumPercent", f"minimumPercent must be 0 to 100, not {warmup.minimum_percent:g}")
    if warmup and warmup.aggression is not None and warmup.aggression < 1:
        check.bad(f"{path}.warmup.aggression", f"aggression must be 1 or more, not {warmup.aggression:g}")
    if settings.simple == "LEAST_CONN":
        check.warn(f"{path}.simple", "LEAST_CONN is deprecated", "write LEAST_REQUEST, which is the same")


def _hash(settings: ConsistentHash, path: str, check: Check) -> None:
    keys = {
        "httpHeaderName": settings.http_header_name,
        "httpCookie": settings.http_cookie,
        "useSourceIp": settings.use_source_ip,
        "httpQueryParameterName": settings.http_query_parameter_name,
    }
    check.at_most_one(path, keys)
    check.at_most_one(path, {"ringHash": settings.ring_hash, "maglev": settings.maglev})
    size = settings.maglev.table_size if settings.maglev else None
    if size and (size >= MAX_MAGLEV or not _is_prime(size)):
        check.bad(f"{path}.maglev.tableSize", f"{size} is not a prime below {MAX_MAGLEV}; the default is 65537")


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))


def _locality(settings: LocalityLbSetting, path: str, check: Check) -> None:
    if settings.distribute and (settings.failover or settings.failover_priority):
        check.conflict(f"{path}.distribute", "distribute excludes failover and failoverPriority")
    for index, part in enumerate(settings.distribute):
        where = f"{path}.distribute[{index}].to"
        if any(not 1 <= weight <= 100 for weight in part.to.values()):
            check.bad(where, "each locality's weight must be 1 to 100")
        elif sum(part.to.values()) != 100:
            check.bad(where, f"the weights add up to {sum(part.to.values())}; they must add up to 100")
    for index, failover in enumerate(settings.failover):
        if failover.from_ == failover.to:
            check.bad(f"{path}.failover[{index}]", f"region {failover.to!r} cannot fail over to itself")


def _outliers(detection: OutlierDetection, path: str, check: Check) -> None:
    for name, value in (
        ("maxEjectionPercent", detection.max_ejection_percent),
        ("minHealthPercent", detection.min_health_percent),
    ):
        if value is not None and value > 100:
            check.bad(f"{path}.{name}", f"{value} is not between 0 and 100")
    if detection.consecutive_errors is not None:
        check.warn(f"{path}.consecutiveErrors", "consecutiveErrors is withdrawn and ignored", "use consecutive5xxErrors")
    if detection.consecutive_local_origin_failures and not detection.split_external_local_origin_errors:
        message = "consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors: true"
        check.conflict(f"{path}.consecutiveLocalOriginFailures", message)


def _tls(tls: ClientTls, path: str, check: Check) -> None:
    files = {
        "clientCertificate": tls.client_certificate,
        "privateKey": tls.private_key,
        "caCertificates": tls.ca_certificates,
    }
    if tls.mode == "ISTIO_MUTUAL":
        for name, value in {**files, "credentialName": tls.credential_name}.items():
            if value:
                check.conflict(f"{path}.{name}", f"mode ISTIO_MUTUAL uses the mesh's own certificate; {name} is not allowed")
    elif tls.mode == "MUTUAL":
        if tls.credential_name:
            for name, value in files.items():
                if value:
                    check.conflict(f"{path}.{name}", f"credentialName and {name} exclude each other")
        elif not (tls.client_certificate and tls.private_key):
            check.missing(path, "mode MUTUAL needs credentialName, or clientCertificate and privateKey")
    if tls.insecure_skip_verify and tls.mode not in ("SIMPLE", "MUTUAL"):
        check.warn(f"{path}.insecureSkipVerify", f"insecureSkipVerify is ignored in mode {tls.mode}")
