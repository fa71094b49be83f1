"""Binding, order, matching, actions and retries of VirtualServices (istio-config-semantics, section 3)."""

import pytest
from topology_build import GATEWAY, SERVICES, SHOP, TO_SHOP, build, routes

from gwsim.topology import Forward, Outcome, Request, RetryPolicy, choose


def shop(http: str, **more):
    return build(SERVICES, GATEWAY, routes(http, **more))


TOKENS = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec: {jwtRules: [{issuer: someone}]}
"""


def matched(match: str):
    """One rule with this match, answering `yes`; everything else is 404."""
    rule = f"- name: yes\n  match: {match}\n  {TO_SHOP}"
    return build(SERVICES, GATEWAY, routes(rule), TOKENS if "@request.auth" in match else "")


MATCHES = [
    ("[{uri: {exact: /a}}]", {"path": "/a?q=1"}, True),
    ("[{uri: {exact: /a}}]", {"path": "/a/"}, False),
    ("[{uri: {prefix: /a}}]", {"path": "/ab"}, True),
    ("[{uri: {prefix: /A}, ignoreUriCase: true}]", {"path": "/ab"}, True),
    ("[{uri: {prefix: /A}}]", {"path": "/ab"}, False),
    ("[{uri: {regex: '/v[0-9]+'}}]", {"path": "/v12"}, True),
    ("[{uri: {regex: '/v[0-9]+'}}]", {"path": "/v12/x"}, False),
    ("[{method: {exact: POST}}]", {"method": "POST"}, True),
    ("[{method: {exact: POST}}]", {"method": "GET"}, False),
    ("[{headers: {X-User: {exact: jason}}}]", {"headers": {"x-user": "jason"}}, True),
    ("[{headers: {x-user: {prefix: ja}}}]", {"headers": {"X-User": "jason"}}, True),
    ("[{headers: {x-user: {regex: 'ja.*'}}}]", {"headers": {"X-User": "not jason"}}, False),
    ("[{headers: {x-user: {}}}]", {"headers": {"x-user": ""}}, True),
    ("[{headers: {x-user: {}}}]", {}, False),
    ("[{withoutHeaders: {x-user: {exact: jason}}}]", {}, True),
    ("[{withoutHeaders: {x-user: {exact: jason}}}]", {"headers": {"x-user": "jason"}}, False),
    ("[{withoutHeaders: {x-user: {}}}]", {"headers": {"x-user": "anyone"}}, False),
    ("[{withoutHeaders: {x-user: {regex: '.*'}}}]", {}, False),
    ("[{queryParams: {debug: {exact: '1'}}}]", {"path": "/?a=2&debug=1"}, True),
    ("[{queryParams: {debug: {exact: '1'}}}]", {"path": "/?debug=2&debug=1"}, False),
    ("[{queryParams: {debug: {}}}]", {"path": "/?debug"}, True),
    ("[{authority: {exact: shop.example}}]", {}, True),
    ("[{authority: {exact: shop.example}}]", {"host": "shop.example:80"}, False),
    ("[{scheme: {exact: https}}]", {}, False),
    ("[{port: 80}]", {}, True),
    ("[{port: 81}]", {}, False),
    ("[{gateways: [public]}]", {}, True),
    ("[{gateways: [mesh]}]", {}, False),
    ("[{sourceLabels: {istio: ingressgateway}}]", {}, True),
    ("[{sourceLabels: {app: other}}]", {}, False),
    ("[{sourceLabels: {app: other}, gateways: [public]}]", {}, True),
    ("[{sourceNamespace: app}]", {}, False),
    ("[{uri: {exact: /a}, method: {exact: GET}}, {uri: {exact: /b}}]", {"path": "/b", "method": "PUT"}, True),
    ("[{headers: {'@request.auth.claims.group': {exact: admin}}}]", {"claims": {"group": ["user", "admin"]}}, True),
    ("[{headers: {'@request.auth.claims[a][b]': {exact: x}}}]", {"claims": {"a": {"b": "x"}}}, True),
    ("[{headers: {'@request.auth.claims.group': {exact: admin}}}]", {}, False),
]


@pytest.mark.parametrize(("match", "request_", "expected"), MATCHES)
def test_match(match, request_, expected):
    got = matched(match).get(**{"path": "/", **request_})
    assert got.outcome == (Outcome.FORWARD if expected else Outcome.NOT_FOUND)


def test_written_order_decides_and_names_are_kept():
    built = shop(
        f"- name: wide\n  match: [{{uri: {{prefix: /a}}}}]\n  {TO_SHOP}\n"
        f"- name: narrow\n  match: [{{uri: {{prefix: /a/b}}, name: inner}}]\n  {TO_SHOP}\n"
        f"- match: [{{uri: {{prefix: /c}}, name: inner}}]\n  {TO_SHOP}"
    )
    assert built.get("/a/b").route == "wide"
    assert built.get("/c").route == "shop/http[2].inner"


def test_rules_after_a_catch_all_are_left_out_and_reported():
    built = shop(f"- name: all\n  {TO_SHOP}\n- name: never\n  match: [{{uri: {{prefix: /x}}}}]\n  {TO_SHOP}")
    assert built.get("/x").route == "all"
    assert built.names == ["RULE_UNREACHABLE"]
    assert built.findings[-1].span.line == 37


def test_a_repeated_match_is_reported():
    rule = f"match: [{{uri: {{prefix: /x}}}}]\n  {TO_SHOP}\n"
    assert shop(f"- {rule}- {rule}").names == ["RULE_UNREACHABLE"]


def test_virtual_services_of_one_host_join_oldest_first_with_catch_alls_last():
    old = routes(f"- name: old-all\n  {TO_SHOP}", hosts="[shop.example]", name="a", created="2024-01-01T00:00:00Z")
    middle = routes(
        f"- name: api\n  match: [{{uri: {{prefix: /api}}}}]\n  {TO_SHOP}", hosts="[shop.example]", name="z", created="2024-02-01T00:00:00Z"
    )
    new = routes(
        f"- name: v2\n  match: [{{uri: {{prefix: /api/v2}}}}]\n  {TO_SHOP}", hosts="[shop.example]", name="b", created="2025-01-01T00:00:00Z"
    )
    built = build(SERVICES, GATEWAY, new, middle, old)
    assert built.get("/api/v2").route == "api"
    assert built.get("/other").route == "old-all"


def test_wildcards_do_not_fall_through():
    exact = routes(f"- match: [{{uri: {{exact: /only}}}}]\n  {TO_SHOP}", hosts="[a.shop.example]", name="exact")
    wide = routes(f"- {TO_SHOP}", hosts="['*.shop.example']", name="wide")
    widest = routes(f"- {TO_SHOP}", hosts="['*.example']", name="widest")
    built = build(SERVICES, GATEWAY, exact, wide, widest)
    assert built.get("/", host="a.shop.example").outcome == Outcome.NOT_FOUND
    assert built.get("/", host="B.Shop.Example:8080").route.startswith("wide/")
    assert built.get("/", host="shop.example").route.startswith("widest/")
    assert built.get("/", host="example").outcome == Outcome.NOT_FOUND


def test_export_and_mesh_only_services_do_not_reach_the_gateway():
    hidden = routes(f"- {TO_SHOP}", more="  exportTo: ['.']")
    assert build(SERVICES, GATEWAY, hidden).get().outcome == Outcome.NOT_FOUND
    mesh = routes(f"- {TO_SHOP}", hosts="[shop.example]").replace("  gateways: [public]\n", "")
    assert build(SERVICES, GATEWAY, mesh).get().outcome == Outcome.NOT_FOUND


@pytest.mark.parametrize("name", ["public", "app/public", "./public", "public.app.svc.cluster.local"])
def test_names_of_gateways(name):
    assert build(SERVICES, GATEWAY, routes(f"- {TO_SHOP}").replace("[public]", f"[{name}]")).get().outcome == Outcome.FORWARD


def test_missing_gateway_and_hosts_that_do_not_meet():
    lost = build(SERVICES, GATEWAY, routes(f"- {TO_SHOP}").replace("[public]", "[pubic]"))
    assert lost.names == ["GATEWAY_MISSING"]
    assert lost.findings[0].help == "did you mean app/public?"
    quiet = build(SERVICES, routes(f"- {TO_SHOP}"), assume_exists=["Gateway/app/public"])
    assert quiet.names == []
    narrow = GATEWAY.replace('hosts: ["*"]', "hosts: [a.example]")
    apart = build(SERVICES, narrow, routes(f"- {TO_SHOP}", hosts="[b.example]"))
    assert apart.names == ["NO_HOST_MATCHES"]


WEIGHTS = [
    ("[{destination: {host: shop}, weight: 0}]", [1]),
    ("[{destination: {host: shop}, weight: 1}, {destination: {host: shop}, weight: 3}]", [1, 3]),
    ("[{destination: {host: shop}, weight: 50}, {destination: {host: shop}}]", [50]),
]


@pytest.mark.parametrize(("route", "weights"), WEIGHTS)
def test_weights(route, weights):
    assert [one.weight for one in shop(f"- route: {route}").get().clusters] == weights


def test_destinations_that_lead_nowhere():
    cases = {
        "{host: shopp}": ("DESTINATION_HOST_UNKNOWN", "NC"),
        "{host: shop, port: {number: 81}}": ("DESTINATION_PORT_UNKNOWN", "NC"),
        "{host: shop, subset: v1}": ("SUBSET_UNKNOWN", "NC"),
        "{host: shop.app}": ("DESTINATION_HOST_UNKNOWN", "NC"),
    }
    for destination, (finding, flag) in cases.items():
        built = shop(f"- route: [{{destination: {destination}}}]")
        got = built.get()
        assert built.names == [finding], destination
        assert (got.outcome, got.status, got.flags) == (Outcome.ERROR, 503, (flag,))
        assert got.clusters[0].missing
        assert built.findings[0].span.file == "config.yaml" and built.findings[0].span.line > 20


def test_a_port_left_out_is_the_only_one_or_the_gateways():
    assert shop("- route: [{destination: {host: shop}}]").get().clusters[0].cluster == SHOP
    built = shop("- route: [{destination: {host: cart}}]")
    assert built.names == ["PORT_AMBIGUOUS"]
    assert built.get().clusters[0].cluster == "outbound|80||cart.app.svc.cluster.local"


def test_part_of_a_split_may_be_missing():
    got = shop("- route: [{destination: {host: shop}, weight: 9}, {destination: {host: gone}, weight: 1}]").get()
    assert got.outcome == Outcome.FORWARD
    assert [one.missing for one in got.clusters] == [False, True]


DEFAULT_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")
RETRIES = [
    ("", RetryPolicy(num_retries=2, retry_on=DEFAULT_ON)),
    ("retries: {}", None),
    ("retries: {attempts: 0}", None),
    ("retries: {attempts: 3}", RetryPolicy(num_retries=3, retry_on=DEFAULT_ON)),
    (
        "retries: {attempts: 1, perTryTimeout: 2s, retryOn: '503, gateway-error'}",
        RetryPolicy(
            num_retries=1, retry_on=("gateway-error", "retriable-status-codes"), retriable_status_codes=(503,), per_try_timeout_s=2.0
        ),
    ),
    (
        "retries: {attempts: 1, backoff: 100ms, retryRemoteLocalities: true, retryIgnorePreviousHosts: false}",
        RetryPolicy(
            num_retries=1,
            retry_on=DEFAULT_ON,
            base_interval_s=0.1,
            max_interval_s=1.0,
            previous_hosts=False,
            previous_priorities=True,
        ),
    ),
]


@pytest.mark.parametrize(("text", "policy"), RETRIES)
def test_retries(text, policy):
    assert shop(f"- {TO_SHOP}\n  {text}").get().retry_policy == policy


def test_a_single_hashed_destination_may_be_tried_again():
    rule = """
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: shop, namespace: app}
    spec:
      host: shop
      trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}
    """
    one = build(SERVICES, GATEWAY, rule, routes(f"- {TO_SHOP}")).get()
    assert (one.retry_policy.previous_hosts, one.hash_policy[0].name) == (False, "x-user")
    split = "- route: [{destination: {host: shop}, weight: 1}, {destination: {host: cart, port: {number: 80}}, weight: 1}]"
    assert build(SERVICES, GATEWAY, rule, routes(split)).get().retry_policy.previous_hosts is True


def test_timeouts():
    assert shop(f"- {TO_SHOP}").get().timeout_s == 0.0
    assert shop(f"- {TO_SHOP}").notes == ["NO_TIMEOUT"]
    assert shop(f"- {TO_SHOP}\n  timeout: 1500ms").get().timeout_s == 1.5
    assert shop(f"- {TO_SHOP}\n  timeout: 1500ms").notes == []


REDIRECTS = [
    ("{uri: /new}", "/old?q=1", "http://shop.example/new?q=1", 301),
    ("{uri: '/new?x=2', redirectCode: 308}", "/old?q=1", "http://shop.example/new?x=2", 308),
    ("{authority: other.example, redirectCode: 302}", "/old?q=1", "http://other.example/old?q=1", 302),
    ("{scheme: https}", "/old", "https://shop.example/old", 301),
    ("{port: 8443, scheme: https}", "/old", "https://shop.example:8443/old", 301),
    ("{derivePort: FROM_REQUEST_PORT}", "/old", "http://shop.example/old", 301),
    ("{derivePort: FROM_REQUEST_PORT, scheme: https}", "/old", "https://shop.example:80/old", 301),
    ("{port: 443, scheme: https}", "/old", "https://shop.example/old", 301),
]


@pytest.mark.parametrize(("redirect", "path", "location", "status"), REDIRECTS)
def test_redirect(redirect, path, location, status):
    got = shop(f"- redirect: {redirect}").get(path)
    assert (got.outcome, str(got.redirect), got.status) == (Outcome.REDIRECT, location, status)


def test_a_scheme_redirect_drops_the_old_schemes_port_from_the_host():
    assert str(shop("- redirect: {scheme: https}").get("/", host="shop.example:80").redirect) == "https://shop.example/"


def test_direct_response():
    got = shop("- directResponse: {status: 503, body: {string: closed}}").get()
    assert (got.outcome, got.status, got.body) == (Outcome.DIRECT_RESPONSE, 503, "closed")


REWRITES = [
    ("[{uri: {prefix: /api/}}]", "{uri: /}", "/api/x?q=1", "/x?q=1"),
    ("[{uri: {prefix: /api}}]", "{uri: /v2}", "/api/x", "/v2/x"),
    ("[{uri: {exact: /a}}]", "{uri: /b}", "/a?q", "/b?q"),
    ("[{uri: {regex: '/a/.*'}}]", "{uri: /b}", "/a/c", "/b"),
    ("[{uri: {prefix: /}}]", "{uriRegexRewrite: {match: '^/user/(\\d+)$', rewrite: '/u-\\1'}}", "/user/7", "/u-7"),
]


@pytest.mark.parametrize(("match", "rewrite", "path", "expected"), REWRITES)
def test_rewrite(match, rewrite, path, expected):
    got = shop(f"- match: {match}\n  rewrite: {rewrite}\n  {TO_SHOP}").get(path)
    assert got.rewrite.path == expected


def test_host_rewrite_by_field_or_header():
    assert shop(f"- {TO_SHOP}\n  rewrite: {{authority: in.example}}").get().rewrite.host == "in.example"
    assert shop(f"- {TO_SHOP}\n  headers: {{request: {{set: {{Host: in.example}}}}}}").get().rewrite.host == "in.example"


def test_faults_and_mirrors_are_on_the_decision():
    got = shop(
        f"- {TO_SHOP}\n  fault: {{delay: {{fixedDelay: 2s, percentage: {{value: 10}}}}, abort: {{httpStatus: 500}}}}\n"
        "  mirrors: [{destination: {host: cart, port: {number: 80}}, percentage: {value: 5}}]"
    ).get()
    assert (got.fault_delay.percent, got.fault_delay.delay_s, got.fault_abort) == (10.0, 2.0, None)
    assert [(one.cluster.split("|")[-1], one.percent) for one in got.mirrors] == [("cart.app.svc.cluster.local", 5.0)]
    every = shop(f"- {TO_SHOP}\n  fault: {{abort: {{httpStatus: 418, percentage: {{value: 100}}}}}}").get()
    assert (every.outcome, every.status, every.flags) == (Outcome.FAULT_ABORT, 418, ("FI",))


DELEGATE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: leaf, namespace: team}
spec:
  http:
  - name: inner
    match: [{uri: {prefix: /api/v2}}]
    route: [{destination: {host: shop.app.svc.cluster.local}}]
    timeout: 3s
  - match: [{uri: {prefix: /other}}]
    route: [{destination: {host: shop.app.svc.cluster.local}}]
  - match: [{headers: {x-beta: {exact: "1"}}}]
    route: [{destination: {host: shop.app.svc.cluster.local}}]
"""
ROOT = "- name: api\n  match: [{uri: {prefix: /api}}]\n  delegate: {name: leaf, namespace: team}\n  retries: {attempts: 0}\n  timeout: 9s"


def test_delegates_stand_in_for_their_root_rule():
    built = build(SERVICES, GATEWAY, DELEGATE, routes(ROOT))
    assert built.names == ["DELEGATE_CONFLICT"]
    got = built.get("/api/v2/x")
    assert (got.route, got.timeout_s, got.retry_policy) == ("api-inner", 3.0, None)
    assert built.get("/api/v1", headers={"x-beta": "1"}).timeout_s == 9.0
    assert built.get("/api/v1").outcome == Outcome.NOT_FOUND
    assert built.get("/other", headers={"x-beta": "1"}).outcome == Outcome.NOT_FOUND
    assert build(SERVICES, GATEWAY, routes(ROOT)).names == ["DELEGATE_MISSING"]


def test_explanation_names_every_rule_tried_with_its_line():
    built = shop(f"- match: [{{uri: {{prefix: /a}}, method: {{exact: PUT}}}}]\n  {TO_SHOP}\n- {TO_SHOP}")
    assert built.get("/a").steps == ()
    steps = choose(built.proxy, 80, Request(host="x", path="/a"), explain=True).steps
    tried = [(one.taken, one.why) for one in steps if one.kind == "route"]
    assert tried == [(False, "not: method exact 'PUT'"), (True, "every condition holds")]
    assert all(one.span is not None and one.span.line for one in steps if one.kind == "route")
    assert isinstance(built.get("/a").rule.action, Forward)


def test_a_rule_for_one_port_does_not_make_rules_for_another_unreachable():
    built = build(
        SERVICES,
        GATEWAY.replace("  - port:", "  - port: {number: 81, name: http-b, protocol: HTTP}\n    hosts: ['*']\n  - port:"),
        routes("- match: [{port: 80}]\n  route: [{destination: {host: shop}}]\n- match: [{port: 81}]\n  route: [{destination: {host: cart, port: {number: 80}}}]"),
    )
    assert "RULE_UNREACHABLE" not in built.names
    assert built.get(port=81).clusters[0].cluster.endswith("cart.app.svc.cluster.local")
