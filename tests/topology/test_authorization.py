"""AuthorizationPolicy: which apply, in which order, and what every field of a rule matches (reference, section 8)."""

import pytest
from policies import ROUTES, authorization, guarded, rule, tokens
from topology_build import GATEWAY, SERVICES, TO_SHOP, build, routes

from gwsim.topology import Outcome, Request, choose
from gwsim.topology.filters import ExtAuthz, Rbac

ISSUER = "[{issuer: me}]"
MTLS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: app}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: ISTIO_MUTUAL}}
"""
ME = {"port": 443, "scheme": "https", "principal": "cluster.local/ns/web/sa/client"}


def passes(built, path="/", **request):
    got = built.get(path, **request)
    assert got.outcome in (Outcome.FORWARD, Outcome.DENIED)
    assert (got.status, got.body) == ((200, "") if got.outcome == Outcome.FORWARD else (403, "RBAC: access denied"))
    return got.outcome == Outcome.FORWARD


# Each row: a rule, a request that it matches, and one that it does not.
RULES = [
    ("{to: [{operation: {methods: [GET]}}]}", {}, {"method": "POST"}),
    ("{to: [{operation: {methods: ['P*']}}]}", {"method": "PUT"}, {"method": "GET"}),
    ("{to: [{operation: {notMethods: [GET]}}]}", {"method": "POST"}, {}),
    ("{to: [{operation: {paths: [/a]}}]}", {"path": "/a?b=c"}, {"path": "/a/"}),
    ("{to: [{operation: {paths: ['/a*']}}]}", {"path": "/ab"}, {"path": "/b"}),
    ("{to: [{operation: {paths: ['*/info']}}]}", {"path": "/x/info"}, {"path": "/x/infos"}),
    ("{to: [{operation: {paths: ['*']}}]}", {"path": "/"}, None),
    ("{to: [{operation: {paths: ['/a/{*}/b']}}]}", {"path": "/a/x/b"}, {"path": "/a/x/y/b"}),
    ("{to: [{operation: {paths: ['/a/{**}']}}]}", {"path": "/a/x/y"}, {"path": "/b/x"}),
    ("{to: [{operation: {paths: ['/a/{*}/b/{**}']}}]}", {"path": "/a/1/b/c/d"}, {"path": "/a/b/c"}),
    ("{to: [{operation: {notPaths: ['/admin*']}}]}", {"path": "/"}, {"path": "/admin/x"}),
    ("{to: [{operation: {hosts: [SHOP.example]}}]}", {"host": "shop.EXAMPLE"}, {"host": "shop.example:8080"}),
    ("{to: [{operation: {hosts: ['*.example']}}]}", {"host": "a.Example"}, {"host": "example.com"}),
    ("{to: [{operation: {notHosts: [shop.example]}}]}", {"host": "other.example"}, {"host": "Shop.example"}),
    ("{to: [{operation: {ports: ['80']}}]}", {}, None),
    ("{to: [{operation: {notPorts: ['80']}}]}", None, {}),
    ("{to: [{operation: {methods: [GET], paths: [/a]}}, {operation: {methods: [PUT]}}]}", {"method": "PUT"}, {"path": "/b"}),
    ("{from: [{source: {ipBlocks: [10.0.0.0/8, 1.2.3.4]}}]}", {"remote_ip": "1.2.3.4"}, {"remote_ip": "11.0.0.1"}),
    ("{from: [{source: {notIpBlocks: [10.0.0.0/8]}}]}", {"remote_ip": "11.0.0.1"}, {"remote_ip": "10.1.1.1"}),
    ("{from: [{source: {ipBlocks: ['2001:db8::/32']}}]}", {"remote_ip": "2001:db8::1"}, {"remote_ip": "10.1.1.1"}),
    ("{from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]}", {"remote_ip": "10.1.1.1"}, {"remote_ip": "9.9.9.9", "headers": {"x-forwarded-for": "10.1.1.1"}}),
    ("{from: [{source: {notRemoteIpBlocks: [10.0.0.0/8]}}]}", {"remote_ip": "1.1.1.1"}, {"remote_ip": "10.1.1.1"}),
    ("{when: [{key: 'request.headers[X-Team]', values: [red, 'b*']}]}", {"headers": {"x-team": "blue"}}, {"headers": {"x-team": "green"}}),
    ("{when: [{key: 'request.headers[x-team]', values: ['*']}]}", {"headers": {"X-Team": "any"}}, {}),
    ("{when: [{key: 'request.headers[x-team]', notValues: ['*']}]}", {}, {"headers": {"x-team": "any"}}),
    ("{when: [{key: 'request.headers[x-team]', notValues: [red]}]}", {"headers": {"x-team": "blue"}}, {"headers": {"x-team": "red"}}),
    ("{when: [{key: source.ip, values: [10.0.0.0/8]}]}", {"remote_ip": "10.1.1.1"}, {"remote_ip": "1.1.1.1"}),
    ("{when: [{key: remote.ip, notValues: [10.0.0.0/8]}]}", {"remote_ip": "1.1.1.1"}, {"remote_ip": "10.1.1.1"}),
    ("{when: [{key: destination.port, values: ['80']}]}", {}, None),
    ("{when: [{key: destination.port, values: ['81']}]}", None, {}),
    ("{when: [{key: destination.ip, values: [10.0.0.1]}]}", {"destination": "10.0.0.1"}, {"destination": "10.0.0.2"}),
    ("{when: [{key: 'request.headers[a]', values: [x]}, {key: 'request.headers[b]', values: [y]}]}", {"headers": {"a": "x", "b": "y"}}, {"headers": {"a": "x"}}),
    ("{when: [{key: 'experimental.envoy.filters.a.b[c]', values: [d]}]}", None, {}),
    ("{from: [{source: {ipBlocks: [1.1.1.1]}}], to: [{operation: {methods: [GET]}}]}", {"remote_ip": "1.1.1.1"}, {"remote_ip": "1.1.1.1", "method": "PUT"}),
    ("{from: [{source: {ipBlocks: [1.1.1.1]}}, {source: {ipBlocks: [2.2.2.2]}}]}", {"remote_ip": "2.2.2.2"}, {"remote_ip": "3.3.3.3"}),
    ("{}", {}, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "match", "miss"), RULES)
def test_every_field_of_a_rule(text, match, miss):
    allow, deny = guarded(rule(text)), guarded(rule(text, "DENY"))
    for request, matches in ((match, True), (miss, False)):
        if request is not None:
            assert passes(allow, **request) is matches
            assert passes(deny, **request) is not matches


TOKEN_RULES = [
    ("{from: [{source: {requestPrincipals: ['me/joe']}}]}", {"sub": "joe"}, {"sub": "jim"}),
    ("{from: [{source: {requestPrincipals: ['me/j*']}}]}", {"sub": "jim"}, {"sub": "tom"}),
    ("{from: [{source: {requestPrincipals: ['*/joe']}}]}", {"sub": "joe"}, {"sub": "jim"}),
    ("{from: [{source: {requestPrincipals: ['me/*']}}]}", {"sub": "jim"}, {}),
    ("{from: [{source: {requestPrincipals: ['*']}}]}", {"sub": "jim"}, None),
    ("{from: [{source: {notRequestPrincipals: ['me/joe']}}]}", {"sub": "jim"}, {"sub": "joe"}),
    ("{when: [{key: request.auth.principal, values: ['me/joe']}]}", {"sub": "joe"}, {"sub": "jim"}),
    ("{when: [{key: request.auth.audiences, values: [shop]}]}", {"aud": ["x", "shop"]}, {"aud": "x"}),
    ("{when: [{key: request.auth.presenter, values: [app]}]}", {"azp": "app"}, {"azp": "x"}),
    ("{when: [{key: 'request.auth.claims[group]', values: [a, b]}]}", {"group": ["c", "b"]}, {"group": "c"}),
    ("{when: [{key: 'request.auth.claims[group]', values: ['a*']}]}", {"group": "ab"}, {"group": "ba"}),
    ("{when: [{key: 'request.auth.claims[realm][roles]', values: [admin]}]}", {"realm": {"roles": ["admin"]}}, {"realm": {"roles": ["user"]}}),
    ("{when: [{key: 'request.auth.claims[scope]', values: [write]}]}", {"scope": "read write"}, {"scope": "readwrite"}),
    ("{when: [{key: 'request.auth.claims[team]', values: [red]}]}", {"team": "red"}, {"team": "red blue"}),
    ("{when: [{key: 'request.auth.claims[n]', values: ['1']}]}", None, {"n": 1}),
    ("{when: [{key: 'request.auth.claims[group]', notValues: [a]}]}", {"group": "b"}, {"group": "a"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "match", "miss"), TOKEN_RULES)
def test_rules_about_tokens(text, match, miss):
    built = guarded(rule(text), tokens(ISSUER))
    for claims, matches in ((match, True), (miss, False)):
        if claims is not None:
            assert passes(built, claims=claims) is matches
    assert passes(built) is ("not" in text)


def test_claims_count_only_where_tokens_are_checked():
    assert not passes(guarded(rule("{from: [{source: {requestPrincipals: ['*']}}]}")), claims={"sub": "joe"})


PEERS = [
    ("{from: [{source: {principals: [cluster.local/ns/web/sa/client]}}]}", True),
    ("{from: [{source: {principals: ['*/sa/client']}}]}", True),
    ("{from: [{source: {principals: ['cluster.local/ns/web/*']}}]}", True),
    ("{from: [{source: {principals: ['*']}}]}", True),
    ("{from: [{source: {principals: [cluster.local/ns/web/sa/other]}}]}", False),
    ("{from: [{source: {notPrincipals: [cluster.local/ns/web/sa/client]}}]}", False),
    ("{from: [{source: {namespaces: [web]}}]}", True),
    ("{from: [{source: {namespaces: ['w*']}}]}", True),
    ("{from: [{source: {namespaces: [we]}}]}", False),
    ("{from: [{source: {notNamespaces: [web]}}]}", False),
    ("{from: [{source: {serviceAccounts: [web/client]}}]}", True),
    ("{from: [{source: {serviceAccounts: [client]}}]}", False),
    ("{from: [{source: {notServiceAccounts: [web/client]}}]}", False),
    ("{when: [{key: source.principal, values: [cluster.local/ns/web/sa/client]}]}", True),
    ("{when: [{key: source.namespace, values: [web]}]}", True),
    ("{when: [{key: source.serviceAccount, values: [web/clien]}]}", False),
    ("{when: [{key: connection.sni, values: ['*.example']}]}", True),
    ("{when: [{key: connection.sni, values: [a.other]}]}", False),
]


@pytest.mark.parametrize(("text", "matches"), PEERS)
def test_rules_about_the_peer_of_mutual_tls(text, matches):
    built = build(SERVICES, MTLS, ROUTES, rule(text))
    assert passes(built, sni="a.example", **ME) is matches
    plain = guarded(rule(text))
    assert passes(plain, principal=ME["principal"]) is ("not" in text), "nobody's identity is known on a plain connection"


def test_trust_domain_aliases_stand_for_the_mesh():
    mesh = {"trustDomain": "new", "trustDomainAliases": ["old"]}
    text = rule("{from: [{source: {principals: [old/ns/web/sa/client, cluster.local/ns/b/sa/b]}}]}")
    built = build(SERVICES, MTLS, ROUTES, text, mesh_config=mesh)
    assert passes(built, **{**ME, "principal": "new/ns/web/sa/client"})
    assert passes(built, **{**ME, "principal": "new/ns/b/sa/b"})
    assert not passes(built, **{**ME, "principal": "other/ns/web/sa/client"})


def test_x_forwarded_for_counts_behind_trusted_proxies():
    text = rule("{from: [{source: {remoteIpBlocks: [5.6.7.0/24]}}]}")
    built = guarded(text, mesh_config={"defaultConfig": {"gatewayTopology": {"numTrustedProxies": 2}}})
    assert passes(built, remote_ip="10.0.0.1", headers={"X-Forwarded-For": "9.9.9.9, 5.6.7.8, 72.9.5.6"})
    assert not passes(built, remote_ip="10.0.0.1", headers={"X-Forwarded-For": "5.6.7.8, 72.9.5.6, 98.1.2.3"})
    assert not passes(built, remote_ip="10.0.0.1", headers={"X-Forwarded-For": "5.6.7.8"})
    assert passes(built, remote_ip="5.6.7.9")


def test_actions_in_their_order():
    allow = authorization("rules: [{to: [{operation: {paths: ['/a*']}}]}]", name="allow")
    deny = authorization("action: DENY\nrules: [{to: [{operation: {paths: [/ab]}}]}]", name="deny")
    audit = authorization("action: AUDIT\nrules: [{}]", name="audit")
    built = guarded(allow, deny, audit)
    assert passes(built, "/a") and not passes(built, "/ab") and not passes(built, "/c")
    assert passes(guarded(deny, audit), "/c"), "without an ALLOW policy everything else passes"
    kinds = [one.config.rules.action for one in built.proxy.listeners[0].filter_chains[0].filter.http_filters if isinstance(one.config, Rbac)]
    assert kinds == ["LOG", "DENY", "ALLOW"]


def test_an_empty_policy_allows_nothing_and_an_empty_rule_everything():
    assert not passes(guarded(authorization("{}")))
    assert passes(guarded(authorization("{}"), authorization("rules: [{}]", name="all")))


def test_dry_runs_refuse_nothing():
    assert passes(guarded(authorization("action: DENY\nrules: [{}]", dry_run=True)))
    assert passes(guarded(authorization("{}", dry_run=True)))
    both = guarded(authorization("action: DENY\nrules: [{}]", dry_run=True), authorization("{}", name="none"))
    assert not passes(both)


def test_which_policies_a_gateway_takes():
    nothing = "{}"
    assert not passes(guarded(authorization(nothing, namespace="istio-system")))
    assert passes(guarded(authorization(nothing, namespace="app"))), "policies count where the pods are, not the Gateway"
    assert not passes(guarded(authorization("selector: {matchLabels: {istio: ingressgateway}}")))
    assert passes(guarded(authorization("selector: {matchLabels: {istio: egressgateway}}")))
    target = "targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: public}]"
    assert passes(guarded(authorization(target))), "classic gateways take no target references"


def test_the_root_namespace_is_the_meshs():
    built = guarded(authorization("{}", namespace="root"), mesh_config={"rootNamespace": "root"})
    assert not passes(built)


def test_refusals_come_before_redirects_direct_answers_and_missing_routes():
    http = routes("- {match: [{uri: {prefix: /r}}], redirect: {uri: /}}\n- {match: [{uri: {prefix: /d}}], directResponse: {status: 418}}", hosts='["a.example"]')
    built = guarded(authorization("{}"), http=http)
    for path in ("/r", "/d", "/none"):
        assert built.get(path, host="a.example").status == 403
    assert built.get("/", host="no.virtual.host").status == 403


def test_faults_come_after_access_rules():
    http = routes(f"- fault: {{abort: {{httpStatus: 555, percentage: {{value: 100}}}}}}\n  {TO_SHOP}")
    assert guarded(authorization("{}"), http=http).get().status == 403
    assert guarded(http=http).get().status == 555


def test_preflights_meet_access_rules_first():
    http = routes(f"- corsPolicy: {{allowOrigins: [{{exact: 'https://a'}}]}}\n  {TO_SHOP}")
    asked = {"method": "OPTIONS", "headers": {"origin": "https://a", "access-control-request-method": "GET"}}
    assert guarded(http=http).get(**asked).outcome == Outcome.DIRECT_RESPONSE
    assert guarded(rule("{to: [{operation: {methods: [GET]}}]}"), http=http).get(**asked).status == 403


def test_the_explanation_names_rule_and_line():
    built = guarded(authorization("action: DENY\nrules:\n- to: [{operation: {paths: [/no]}}]\n- to: [{operation: {paths: [/a]}}]", name="deny"))
    got = choose(built.proxy, 80, Request(host="a", path="/a"), explain=True)
    steps = [one for one in got.steps if one.kind == "filter"]
    assert [(one.name, one.taken) for one in steps] == [
        ("ns[istio-system]-policy[deny]-rule[0]", False), ("ns[istio-system]-policy[deny]-rule[1]", True), ("envoy.filters.http.rbac", True)
    ]  # fmt: skip
    assert steps[1].span.text.strip() == "- to: [{operation: {paths: [/a]}}]"
    assert got.reason == "RBAC: access denied: matched ns[istio-system]-policy[deny]-rule[1]"
    assert got.answered_by == "envoy.filters.http.rbac"


TCP = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: app}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: app}
spec: {hosts: ["*"], gateways: [public], tcp: [{route: [{destination: {host: shop, port: {number: 80}}}]}]}
"""


@pytest.mark.parametrize(
    ("text", "action", "outcome"),
    [
        ("{to: [{operation: {ports: ['9000']}}]}", "ALLOW", Outcome.FORWARD),
        ("{to: [{operation: {ports: ['9001']}}]}", "ALLOW", Outcome.DENIED),
        ("{to: [{operation: {ports: ['9000'], methods: [GET]}}]}", "ALLOW", Outcome.DENIED),
        ("{to: [{operation: {ports: ['9000'], methods: [GET]}}]}", "DENY", Outcome.DENIED),
        ("{to: [{operation: {methods: [GET]}}]}", "DENY", Outcome.DENIED),
        ("{to: [{operation: {ports: ['9001'], methods: [GET]}}]}", "DENY", Outcome.FORWARD),
        ("{from: [{source: {requestPrincipals: ['*']}}]}", "DENY", Outcome.DENIED),
        ("{from: [{source: {ipBlocks: [1.1.1.1]}}]}", "ALLOW", Outcome.FORWARD),
        ("{}", "AUDIT", Outcome.FORWARD),
    ],
)
def test_on_tcp_http_attributes_drop_out(text, action, outcome):
    """An ALLOW rule with one is void, so it allows less; any other rule loses it, so it refuses more."""
    got = build(SERVICES, TCP, rule(text, action)).get(port=9000, scheme="tcp", remote_ip="1.1.1.1")
    assert (got.outcome, got.status) == (outcome, 0)


AUTHZ = """
apiVersion: v1
kind: Service
metadata: {name: authz, namespace: app}
spec: {selector: {app: authz}, ports: [{name: grpc, port: 9000}]}
"""
GRPC = {"extensionProviders": [{"name": "ext", "envoyExtAuthzGrpc": {"service": "authz.app.svc.cluster.local", "port": 9000, "timeout": "0.5s", "failOpen": True, "statusOnError": "503", "includeRequestBodyInCheck": {"maxRequestBytes": 100, "allowPartialMessage": True}}}]}
CUSTOM = "action: CUSTOM\nprovider: {name: ext}\nrules: [{to: [{operation: {paths: [/a]}}]}]"


def test_custom_asks_the_provider_for_what_its_rules_match():
    built = guarded(authorization(CUSTOM), AUTHZ, mesh_config=GRPC)
    asked = [one.config for one in built.get("/a").filters if isinstance(one.config, ExtAuthz)]
    assert len(asked) == 1 and not [one for one in built.get("/b").filters if isinstance(one.config, ExtAuthz)]
    call = asked[0]
    assert (call.cluster, call.protocol, call.timeout_s, call.fail_open) == ("outbound|9000||authz.app.svc.cluster.local", "grpc", 0.5, True)
    assert (call.status_on_error, call.with_body_max_bytes, call.allow_partial_body) == (503, 100, True)
    assert built.get("/a").outcome == Outcome.FORWARD and "PROVIDER_MISSING" not in built.names


def test_an_unanswered_custom_call_waits_ten_minutes_by_default():
    http = {"extensionProviders": [{"name": "ext", "envoyExtAuthzHttp": {"service": "app/authz.app.svc.cluster.local", "port": 9000, "pathPrefix": "/check"}}]}
    call = guarded(authorization(CUSTOM), AUTHZ, mesh_config=http).get("/a").filters
    config = next(one.config for one in call if isinstance(one.config, ExtAuthz))
    assert (config.timeout_s, config.protocol, config.fail_open, config.path_prefix) == (600.0, "http", False, "/check")


@pytest.mark.parametrize("mesh", [None, {"extensionProviders": [{"name": "ext", "prometheus": {}}]}, {**GRPC, "extensionProviders": [{"name": "ext", "envoyExtAuthzGrpc": {"service": "missing.example", "port": 1}}]}])
def test_without_the_provider_matching_requests_are_refused(mesh):
    built = guarded(authorization(CUSTOM), AUTHZ, mesh_config=mesh)
    assert not passes(built, "/a") and passes(built, "/b")
    assert "PROVIDER_MISSING" in built.names


def test_two_providers_on_a_workload_refuse():
    other = {"name": "two", "envoyExtAuthzGrpc": {"service": "authz.app.svc.cluster.local", "port": 9000}}
    mesh = {"extensionProviders": [*GRPC["extensionProviders"], other]}
    second = authorization("action: CUSTOM\nprovider: {name: two}\nrules: [{to: [{operation: {paths: [/b]}}]}]", name="b")
    built = guarded(authorization(CUSTOM), second, AUTHZ, mesh_config=mesh)
    assert not passes(built, "/a") and not passes(built, "/b") and passes(built, "/c")


def test_gateways_without_policies_pay_for_istios_own_filters_only():
    built = build(SERVICES, GATEWAY, ROUTES)
    assert [one.name for one in built.get().filters] == ["istio.metadata_exchange", "envoy.filters.http.grpc_stats", "istio.alpn", "istio.stats"]
