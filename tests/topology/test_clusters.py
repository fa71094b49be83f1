"""DestinationRules, clusters and endpoints (istio-config-semantics, sections 1.2, 4 and 5)."""

import pytest
from topology_build import GATEWAY, SERVICES, SHOP, TO_SHOP, build, routes

from gwsim.topology import UNLIMITED, CircuitBreakers, LbPolicy, Outcome

PODS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop-v1, namespace: app}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop, version: v1}}
    spec: {containers: [{name: shop, image: shop, ports: [{name: web, containerPort: 8000}]}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: app, labels: {istio-injection: enabled}}
"""


def rule(policy: str = "", subsets: str = "", *, host: str = "shop", name: str = "r", namespace: str = "app", more: str = ""):
    lines = [f"  trafficPolicy: {policy}"] if policy else []
    lines += [f"  subsets: {subsets}"] if subsets else []
    lines += [f"  {more}"] if more else []
    return "\n".join(
        [
            "apiVersion: networking.istio.io/v1",
            "kind: DestinationRule",
            f"metadata: {{name: {name}, namespace: {namespace}}}",
            "spec:",
            f"  host: {host}",
            *lines,
        ]
    )


def shop(*rules: str):
    return build(SERVICES, PODS, GATEWAY, *rules).cluster(SHOP)


def test_defaults_are_unlimited():
    cluster = shop()
    assert cluster.circuit_breakers == CircuitBreakers()
    assert cluster.circuit_breakers.max_retries == UNLIMITED == 4294967295
    assert (cluster.lb_policy, cluster.choice_count) == (LbPolicy.LEAST_REQUEST, 2)
    assert (cluster.connect_timeout_s, cluster.idle_timeout_s) == (10.0, 3600.0)
    assert (cluster.max_requests_per_connection, cluster.tls, cluster.outlier_detection) == (None, None, None)
    assert cluster.panic_threshold_percent == 50.0


def test_connection_pool():
    pool = (
        "{connectionPool: {tcp: {maxConnections: 7, connectTimeout: 30ms, idleTimeout: 60s}, http: {"
        "http1MaxPendingRequests: 5, http2MaxRequests: 6, maxRetries: 4, maxRequestsPerConnection: 1}}}"
    )
    cluster = shop(rule(pool))
    assert cluster.circuit_breakers == CircuitBreakers(max_connections=7, max_pending_requests=5, max_requests=6, max_retries=4)
    assert (cluster.connect_timeout_s, cluster.idle_timeout_s, cluster.tcp_idle_timeout_s) == (0.03, 60.0, 60.0)
    assert cluster.max_requests_per_connection == 1
    assert cluster.origin is not None and cluster.origin.file == "config.yaml"


BALANCERS = [
    ("{simple: ROUND_ROBIN}", LbPolicy.ROUND_ROBIN, 1024),
    ("{simple: RANDOM}", LbPolicy.RANDOM, 1024),
    ("{simple: LEAST_CONN}", LbPolicy.LEAST_REQUEST, 1024),
    ("{simple: PASSTHROUGH}", LbPolicy.ORIGINAL_DST, 1024),
    ("{consistentHash: {useSourceIp: true}}", LbPolicy.RING_HASH, 1024),
    ("{consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 64}}}", LbPolicy.RING_HASH, 64),
    ("{consistentHash: {useSourceIp: true, maglev: {}}}", LbPolicy.MAGLEV, 65537),
]


@pytest.mark.parametrize(("text", "policy", "size"), BALANCERS)
def test_load_balancer(text, policy, size):
    cluster = shop(rule(f"{{loadBalancer: {text}}}"))
    assert (cluster.lb_policy, cluster.ring_size) == (policy, size)


def test_port_level_settings_replace_the_policy_and_subsets_override_blocks():
    policy = (
        "{connectionPool: {tcp: {maxConnections: 10}}, loadBalancer: {simple: RANDOM}, portLevelSettings: "
        "[{port: {number: 90}, connectionPool: {tcp: {maxConnections: 20}}}]}"
    )
    subsets = "[{name: v1, labels: {version: v1}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 30}}}}]"
    built = build(SERVICES, GATEWAY, rule(policy, subsets, host="cart"))
    host = "cart.app.svc.cluster.local"

    def limits(name: str) -> tuple[int, LbPolicy]:
        cluster = built.cluster(f"outbound|{name}|{host}")
        return cluster.circuit_breakers.max_connections, cluster.lb_policy

    assert limits("80|") == (10, LbPolicy.RANDOM)
    assert limits("90|") == (20, LbPolicy.LEAST_REQUEST)
    assert limits("80|v1") == (30, LbPolicy.RANDOM)
    assert limits("90|v1") == (30, LbPolicy.LEAST_REQUEST)


def test_outlier_detection_switches_panic_off_and_priorities_on():
    cluster = shop(rule("{outlierDetection: {}}"))
    assert cluster.outlier_detection is not None and cluster.locality_lb is not None
    assert (cluster.outlier_detection.consecutive_5xx, cluster.panic_threshold_percent) == (5, 0.0)
    assert cluster.locality_lb.priorities
    gateway = shop(rule("{outlierDetection: {consecutiveGatewayErrors: 3, consecutive5xxErrors: 0, minHealthPercent: 40}}"))
    block = gateway.outlier_detection
    assert block is not None
    assert (block.enforcing_consecutive_5xx, block.enforcing_consecutive_gateway_failure) == (0, 100)
    assert (block.consecutive_gateway_failure, gateway.panic_threshold_percent) == (3, 40.0)


LIMIT = "{{connectionPool: {{tcp: {{maxConnections: {}}}}}}}"


def limit_of(*rules: str) -> int:
    return shop(*rules).circuit_breakers.max_connections


def limited(value: int, **where: str) -> str:
    return rule(LIMIT.format(value), name=f"r{value}", **where)


def test_the_first_namespace_with_a_rule_decides():
    full = "shop.app.svc.cluster.local"
    service, root = limited(1), limited(2, host="'*.local'", namespace="istio-system")
    assert limit_of(service, root) == 1
    assert limit_of(root) == 2
    own = limited(3, host="'*.local'", namespace="istio-system", more="exportTo: ['.']")
    assert limit_of(service, own) == 3, "the gateway's own private wildcard hides the service team's rule"
    assert limit_of(limited(4, host=full, namespace="elsewhere")) == UNLIMITED
    hidden = limited(5, more="exportTo: ['.']")
    assert limit_of(hidden) == UNLIMITED


def test_a_specific_rule_hides_a_wildcard_even_when_exported_elsewhere():
    wildcard = limited(1, host="'*.app.svc.cluster.local'")
    assert limit_of(wildcard) == 1
    assert limit_of(wildcard, limited(2, more="exportTo: [other]")) == UNLIMITED


def test_rules_of_one_host_merge_oldest_policy_first():
    old = rule(LIMIT.format(1), "[{name: v1, labels: {version: v1}}]", name="a")
    new = rule(LIMIT.format(2), "[{name: v1, labels: {version: x}}, {name: v2, labels: {version: v2}}]", name="b")
    built = build(SERVICES, PODS, GATEWAY, new, old)
    assert built.cluster(SHOP).circuit_breakers.max_connections == 1
    assert len(built.cluster(SHOP.replace("||", "|v1|")).endpoints) == 2
    assert built.cluster(SHOP.replace("||", "|v2|")).endpoints == ()
    assert built.names == ["SUBSET_EMPTY"]


def test_a_subset_without_pods_answers_uh():
    subsets = "[{name: v2, labels: {version: v2}}]"
    to_v2 = "- route: [{destination: {host: shop, subset: v2}}]"
    got = build(SERVICES, PODS, GATEWAY, rule("", subsets), routes(to_v2)).get()
    assert (got.outcome, got.status, got.flags) == (Outcome.ERROR, 503, ("UH",))


def test_endpoints_of_deployments():
    built = build(SERVICES, PODS, GATEWAY, zones=("a", "b", "c"), cluster="east")
    first, second = built.cluster(SHOP).endpoints
    assert (first.pod, first.port, first.workload, first.cluster) == ("shop-v1-0", 8000, "app/shop-v1", "east")
    assert (second.pod, second.locality.zone, second.mtls) == ("shop-v1-1", "b", True)


def test_named_target_port_and_no_replicas():
    named = SERVICES.replace("targetPort: 8000", "targetPort: web")
    assert build(named, PODS, GATEWAY).cluster(SHOP).endpoints[0].port == 8000
    none = build(SERVICES, PODS.replace("replicas: 2", "replicas: 0"), GATEWAY, routes(f"- {TO_SHOP}"))
    assert none.get().flags == ("UH",)


@pytest.mark.parametrize(
    ("change", "mtls"),
    [
        (("istio-injection: enabled", "istio-injection: disabled"), False),
        (("istio-injection: enabled", "istio.io/rev: stable"), True),
        (("labels: {app: shop, version: v1}}\n", "labels: {app: shop, version: v1, sidecar.istio.io/inject: 'false'}}\n"), False),
    ],
)
def test_sidecars_decide_on_mutual_tls(change, mtls):
    assert change[0] in PODS
    assert build(SERVICES, PODS.replace(*change), GATEWAY).cluster(SHOP).endpoints[0].mtls is mtls


def test_upstream_tls_of_a_rule_replaces_auto_mutual_tls():
    plain = shop(rule("{tls: {mode: SIMPLE, sni: shop.example}}"))
    assert plain.tls is not None and (plain.tls.mode, plain.tls.sni) == ("simple", "shop.example")
    assert not plain.endpoints[0].mtls
    assert not shop(rule("{tls: {mode: DISABLE}}")).endpoints[0].mtls
    assert shop(rule("{tls: {mode: ISTIO_MUTUAL}}")).endpoints[0].mtls


def test_a_service_without_workload_gets_one_pod_and_says_so():
    built = build(SERVICES, GATEWAY)
    assert [one.pod for one in built.cluster(SHOP).endpoints] == ["shop-0"]
    assert any("no workload for it in the files" in text for text in built.topology.assumptions)


@pytest.mark.parametrize(
    ("port", "http"),
    [
        ("name: http", 1),
        ("name: http2-x", 2),
        ("name: grpc", 2),
        ("name: web", 1),
        ("name: http, appProtocol: kubernetes.io/h2c", 2),
        ("name: tcp, appProtocol: grpc", 2),
        ("name: https", 1),
    ],
)
def test_codec_towards_the_service(port, http):
    assert build(SERVICES.replace("name: http, port: 80, targetPort", f"{port}, port: 80, targetPort"), GATEWAY).cluster(SHOP).upstream_http == http


def test_codec_can_be_upgraded():
    assert shop(rule("{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}")).upstream_http == 2
    assert shop(rule("{connectionPool: {http: {useClientProtocol: true}}}")).use_downstream_protocol


ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: app}
spec:
  hosts: [api.example.com]
  ports: [{number: 443, name: https, protocol: HTTPS}]
  resolution: %s
"""


def test_service_entries():
    name = "outbound|443||api.example.com"
    dns = build(ENTRY % "DNS", GATEWAY).cluster(name)
    assert (dns.discovery, dns.external, [one.address for one in dns.endpoints]) == ("STRICT_DNS", True, ["api.example.com"])
    none = build(ENTRY % "NONE", GATEWAY, routes("- route: [{destination: {host: api.example.com}}]"))
    assert (none.cluster(name).discovery, none.get().flags) == ("EDS", ("UH",))
    static = ENTRY % "STATIC" + "  endpoints: [{address: 192.0.2.1, weight: 3, locality: r/z/s, ports: {https: 8443}}]\n"
    (endpoint,) = build(static, GATEWAY).cluster(name).endpoints
    assert (endpoint.address, endpoint.port, endpoint.weight, endpoint.locality.zone) == ("192.0.2.1", 8443, 3, "z")
    hidden = build((ENTRY % "DNS") + "  exportTo: ['.']\n", GATEWAY, routes("- route: [{destination: {host: api.example.com}}]"))
    assert (hidden.names, hidden.get().flags) == (["DESTINATION_HOST_UNKNOWN"], ("NC",))


def test_rules_for_unknown_hosts_are_reported():
    built = build(SERVICES, GATEWAY, rule("", "", host="shopp"))
    assert built.names == ["RULE_HOST_UNKNOWN"]
    assert built.findings[0].help == "did you mean shop.app.svc.cluster.local?"


def test_services_kept_elsewhere():
    text = routes("- route: [{destination: {host: far, port: {number: 80}}}]")
    built = build(GATEWAY, text, assume_exists=["Service/app/far"])
    assert built.names == []
    assert built.get().outcome == Outcome.FORWARD


def test_traffic_distribution_prefers_close_endpoints():
    close = SERVICES.replace("spec: {selector: {app: shop},", "spec: {trafficDistribution: PreferClose, selector: {app: shop},")
    cluster = build(close, PODS, GATEWAY).cluster(SHOP)
    assert cluster.locality_lb is not None and cluster.locality_lb.priorities
    assert cluster.panic_threshold_percent == 0.0
    off = rule("{loadBalancer: {localityLbSetting: {enabled: false}}}")
    assert build(close, PODS, GATEWAY, off).cluster(SHOP).locality_lb is None


def test_panic_is_off_from_1_31_on():
    assert build(SERVICES, GATEWAY, istio_version="1.31").cluster(SHOP).panic_threshold_percent == 0.0
