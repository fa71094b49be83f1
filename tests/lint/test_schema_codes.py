"""What the API server or Istio's webhook refuses carries IST0106, whatever the kind; what is fine carries nothing."""

import pytest
from lint_calls import found, k8s, lint

SECURITY = "security.istio.io/v1"
REFUSED = {
    "weights": k8s("VirtualService", "x", "d", {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}, "weight": 0}, {"destination": {"host": "b"}, "weight": 0}]}]}),
    "warmup share": k8s("DestinationRule", "x", "d", {"host": "a", "trafficPolicy": {"loadBalancer": {"warmup": {"duration": "9s", "minimumPercent": 150}}}}),
    "warmup aggression": k8s("DestinationRule", "x", "d", {"host": "a", "trafficPolicy": {"loadBalancer": {"warmup": {"duration": "9s", "aggression": 0.3}}}}),
    "target port": k8s("ServiceEntry", "x", "d", {"hosts": ["a.b"], "resolution": "DNS", "ports": [{"number": 1, "name": "http", "targetPort": 99999}]}),
    "socket folder": k8s("WorkloadEntry", "x", "d", {"address": "unix:///dir/"}),
    "no spec": k8s("ServiceEntry", "x", "d"),
    "service accounts": k8s("AuthorizationPolicy", "x", "d", {"rules": [{"from": [{"source": {"serviceAccounts": ["a/b"], "namespaces": ["n"]}}]}]}, group=SECURITY),
    "token header": k8s("RequestAuthentication", "x", "d", {"jwtRules": [{"issuer": "e", "fromHeaders": [{"name": ""}]}]}, group=SECURITY),
    "mutual TLS per port without selector": k8s("PeerAuthentication", "x", "d", {"portLevelMtls": {"80": {"mode": "STRICT"}}}, group=SECURITY),
    "tag": k8s("Telemetry", "x", "d", {"metrics": [{"overrides": [{"tagOverrides": {"a": {"operation": "UPSERT"}}}]}]}, group="telemetry.istio.io/v1"),
}
FINE = {
    "proxy config without spec": k8s("ProxyConfig", "x", "d", group="networking.istio.io/v1beta1"),
    "policy without spec": k8s("AuthorizationPolicy", "x", "istio-system", group=SECURITY),
    "telemetry without spec": k8s("Telemetry", "x", "d", group="telemetry.istio.io/v1"),
    "pod of a test": k8s("Pod", "x", "d", {"containers": [{"name": "istio-proxy", "args": None}]}, group="v1"),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_refused(text):
    report = lint(text)
    assert found(report, "IST0106") == {"d/x"}
    assert [one for one in report.findings if one.level.value == "error"]


@pytest.mark.parametrize("text", FINE.values(), ids=FINE)
def test_accepted(text):
    report = lint(text)
    assert not [one.message for one in report.findings if one.level.value == "error"]
    assert not found(report, "IST0106")


def test_what_only_kubernetes_refuses_is_a_warning():
    text = k8s("Service", "x", "d", {"ports": [{"name": "http", "port": 80, "protocol": "HTTP"}]}, group="v1")
    assert [one.level.value for one in lint(text).findings if one.code == "GW0011"] == ["warning"]


def test_a_route_of_a_gateway_that_is_kept_elsewhere_is_a_doubt():
    route = k8s("HTTPRoute", "r", "d", {"parentRefs": [{"name": "web"}]}, group="gateway.networking.k8s.io/v1")
    levels = [one.level.value for one in lint(route).findings if one.code == "GW0118"]
    assert levels == ["info"]
    gateway = k8s("Gateway", "wbe", "d", {"gatewayClassName": "istio", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}, group="gateway.networking.k8s.io/v1")
    assert [one.level.value for one in lint(route + "\n---\n" + gateway).findings if one.code == "GW0118"] == ["warning"]


def test_an_object_given_twice_is_a_warning_and_the_rules_go_on():
    one = k8s("VirtualService", "v", "d", {"hosts": ["a.b"], "gateways": ["gone"], "http": [{"directResponse": {"status": 200}}]})
    report = lint(one + "\n---\n" + one)
    assert [item.level.value for item in report.findings if item.code == "GW0013"] == ["warning"]
    assert found(report, "IST0101") == {"d/v"}
