"""Security policies, plugins, EnvoyFilters and Telemetry: every field is read; what Istio's webhook refuses is an error."""

import pytest

from gwsim.diagnostics import Level
from gwsim.resources.models import (
    AuthorizationPolicy,
    EnvoyFilter,
    RequestAuthentication,
    Telemetry,
    WasmPlugin,
)


def policy(spec, kind="AuthorizationPolicy", api="security.istio.io/v1"):
    return f"apiVersion: {api}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n"


def jwt(rule):
    return policy(f"{{jwtRules: [{rule}]}}", "RequestAuthentication")


def rule(text, action="ALLOW"):
    return policy(f"{{action: {action}, rules: [{text}]}}")


def envoy(patch):
    return policy(f"{{configPatches: [{patch}]}}", "EnvoyFilter", "networking.istio.io/v1alpha3")


def wasm(spec):
    return policy(spec, "WasmPlugin", "extensions.istio.io/v1alpha1")


def extension(spec):
    return policy(spec, "TrafficExtension", "extensions.istio.io/v1alpha1")


def telemetry(spec):
    return policy(spec, "Telemetry", "telemetry.istio.io/v1")


HCM = "envoy.filters.network.http_connection_manager"
VALUE = "patch: {operation: MERGE, value: {a: 1}}"

REFUSED = [
    (rule("{from: [{source: {principls: [a]}}]}"), "MISSPELT_FIELD", "rules[0].from[0].source.principls"),
    (rule("{from: [{source: {}}]}"), "MISSING_FIELD", "rules[0].from[0].source"),
    (rule("{from: [{}]}"), "MISSING_FIELD", "rules[0].from[0].source"),
    (rule("{to: [{operation: {}}]}"), "MISSING_FIELD", "rules[0].to[0].operation"),
    (rule("{to: [{operation: {ports: ['80a']}}]}"), "BAD_VALUE", "rules[0].to[0].operation.ports[0]"),
    (rule("{to: [{operation: {ports: [80]}}]}"), "WRONG_TYPE", "rules[0].to[0].operation.ports[0]"),
    (rule("{to: [{operation: {methods: ['']}}]}"), "BAD_VALUE", "rules[0].to[0].operation.methods[0]"),
    (rule("{to: [{operation: {paths: ['/a/{**}/{*}']}}]}"), "BAD_VALUE", "rules[0].to[0].operation.paths[0]"),
    (rule("{to: [{operation: {paths: ['/a{*}']}}]}"), "BAD_VALUE", "rules[0].to[0].operation.paths[0]"),
    (rule("{to: [{operation: {paths: ['/a*/{*}']}}]}"), "BAD_VALUE", "rules[0].to[0].operation.paths[0]"),
    (rule("{from: [{source: {ipBlocks: ['1.2.3.400']}}]}"), "BAD_VALUE", "rules[0].from[0].source.ipBlocks[0]"),
    (rule("{from: [{source: {serviceAccounts: ['a/b/c']}}]}"), "BAD_VALUE", "rules[0].from[0].source.serviceAccounts[0]"),
    (rule("{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}"), "FIELD_CONFLICT", "rules[0].from[0].source.serviceAccounts"),
    (rule("{when: [{key: source.ip}]}"), "MISSING_FIELD", "rules[0].when[0]"),
    (rule("{when: [{key: source.ips, values: [a]}]}"), "BAD_VALUE", "rules[0].when[0].key"),
    (rule("{when: [{key: request.headers, values: [a]}]}"), "BAD_VALUE", "rules[0].when[0].key"),
    (rule("{when: [{key: source.ip, values: [x]}]}"), "BAD_VALUE", "rules[0].when[0].values[0]"),
    (rule("{when: [{key: destination.port, notValues: [x]}]}"), "BAD_VALUE", "rules[0].when[0].notValues[0]"),
    (policy("{action: DENY}"), "MISSING_FIELD", "rules"),
    (policy("{action: CUSTOM, rules: [{}]}"), "MISSING_FIELD", "provider.name"),
    (policy("{action: ALLOW, rules: [{}], provider: {name: a}}"), "FIELD_CONFLICT", "provider"),
    (policy("{action: ALOW}"), "BAD_VALUE", "action"),
    (policy("{action: CUSTOM, provider: {name: a}, rules: [{from: [{source: {principals: [a]}}]}]}"), "FIELD_CONFLICT", "rules[0].from[0].source.principals"),
    (policy("{action: CUSTOM, provider: {name: a}, rules: [{when: [{key: 'request.auth.claims[a]', values: [b]}]}]}"), "FIELD_CONFLICT", "rules[0].when[0].key"),
    (policy("{selector: {matchLabels: {app: 'a*'}}}"), "BAD_VALUE", "selector.matchLabels"),
    (policy("{selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: a}]}"), "FIELD_CONFLICT", "targetRefs"),
    (policy("{targetRefs: [{kind: Deployment, name: a}]}"), "BAD_VALUE", "targetRefs[0].kind"),
    (policy("{targetRefs: [{kind: Service, name: a, namespace: b}]}"), "BAD_VALUE", "targetRefs[0].namespace"),
    (jwt("{audiences: [a]}"), "MISSING_FIELD", "jwtRules[0]"),
    (jwt("{issuer: a, jwksUri: 'ftp://a'}"), "BAD_VALUE", "jwtRules[0].jwksUri"),
    (jwt("{issuer: a, jwks: 'nonsense'}"), "BAD_VALUE", "jwtRules[0].jwks"),
    (jwt("{issuer: a, audiences: ['']}"), "BAD_VALUE", "jwtRules[0].audiences[0]"),
    (jwt("{issuer: a, fromHeaders: [{prefix: x}]}"), "MISSING_FIELD", "jwtRules[0].fromHeaders[0].name"),
    (jwt("{issuer: a, fromHeader: [{name: x}]}"), "MISSPELT_FIELD", "jwtRules[0].fromHeader"),
    (jwt("{issuer: a, outputClaimToHeaders: [{header: 'a b', claim: c}]}"), "BAD_VALUE", "jwtRules[0].outputClaimToHeaders[0].header"),
    (envoy("{patch: {operation: MERGE, value: {}}}"), "MISSING_FIELD", "configPatches[0].applyTo"),
    (envoy("{applyTo: CLUSTER}"), "MISSING_FIELD", "configPatches[0].patch"),
    (envoy("{applyTo: CLUSTER, patch: {value: {}}}"), "MISSING_FIELD", "configPatches[0].patch.operation"),
    (envoy("{applyTo: CLUSTER, patch: {operation: MERGE}}"), "MISSING_FIELD", "configPatches[0].patch.value"),
    (envoy(f"{{applyTo: CLUSTER, match: {{listener: {{portNumber: 80}}}}, {VALUE}}}"), "FIELD_CONFLICT", "configPatches[0].match.listener"),
    (envoy(f"{{applyTo: HTTP_FILTER, match: {{routeConfiguration: {{}}}}, {VALUE}}}"), "FIELD_CONFLICT", "configPatches[0].match.routeConfiguration"),
    (
        envoy(f"{{applyTo: NETWORK_FILTER, match: {{listener: {{filterChain: {{filter: {{name: {HCM}, subFilter: {{name: a}}}}}}}}}}, {VALUE}}}"),
        "FIELD_CONFLICT", "configPatches[0].match.listener.filterChain.filter.subFilter",
    ),
    (
        envoy(f"{{applyTo: HTTP_FILTER, match: {{listener: {{filterChain: {{filter: {{name: tcp, subFilter: {{name: a}}}}}}}}}}, {VALUE}}}"),
        "FIELD_CONFLICT", "configPatches[0].match.listener.filterChain.filter.subFilter",
    ),
    (wasm("{phase: AUTHN}"), "MISSING_FIELD", "url"),
    (wasm("{url: 'ftp://a'}"), "BAD_VALUE", "url"),
    (wasm("{url: 'oci://a', sha256: abc}"), "BAD_VALUE", "sha256"),
    (wasm("{url: 'oci://a', match: [{ports: [{number: 80}, {number: 80}]}]}"), "BAD_VALUE", "match[0].ports[1].number"),
    (wasm("{url: 'oci://a', failStrategy: FAIL_OPENED}"), "BAD_VALUE", "failStrategy"),
    (extension("{phase: AUTHN}"), "MISSING_FIELD", ""),
    (extension("{lua: {inlineCode: ''}}"), "MISSING_FIELD", "lua.inlineCode"),
    (extension("{lua: {inlineCode: 'x'}, wasm: {url: 'oci://a'}}"), "FIELD_CONFLICT", "lua"),
    (telemetry("{tracing: [{randomSamplingPercentage: 101}]}"), "BAD_VALUE", "tracing[0].randomSamplingPercentage"),
    (telemetry("{accessLogging: [{providers: [{name: ''}]}]}"), "MISSING_FIELD", "accessLogging[0].providers[0].name"),
    (telemetry("{metrics: [{overrides: [{match: {metric: REQUESTS}}]}]}"), "BAD_VALUE", "metrics[0].overrides[0].match.metric"),
    (telemetry("{metrics: [{overrides: [{tagOverrides: {a: {operation: UPSERT}}}]}]}"), "MISSING_FIELD", "metrics[0].overrides[0].tagOverrides.a"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "path"), REFUSED, ids=[f"{name} {path}" for _, name, path in REFUSED])
def test_what_the_webhook_refuses_is_an_error_at_its_place(findings, text, name, path):
    assert findings(text, Level.ERROR) == [(name, 4, path)]


ACCEPTED = [
    policy("{}"),
    policy("{rules: [{}]}"),
    policy("{action: AUDIT, rules: [{}]}"),
    rule("{to: [{operation: {paths: ['/a/{*}/b/{**}', '*/x', '/y*', '*']}}]}"),
    rule("{from: [{source: {serviceAccounts: [a, ns/b]}}]}"),
    rule("{when: [{key: 'request.auth.claims[a][b]', values: [c]}, {key: 'experimental.envoy.filters.a.b[c]', values: [d]}]}"),
    rule("{when: [{key: source.serviceAccount, values: [ns/a]}]}"),
    policy("{action: CUSTOM, provider: {name: a}, rules: [{to: [{operation: {paths: [/a]}}]}]}"),
    policy("{targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: a}]}"),
    jwt("{issuer: a, jwks_uri: 'https://a', from_cookies: [b], audiences: [c]}"),
    wasm("{url: 'private-registry:5000/opa/opa:latest', phase: AUTHZ, priority: 10}"),
    extension("{lua: {inlineCode: 'function envoy_on_request(h) end'}, phase: STATS}"),
    telemetry("{accessLogging: [{providers: [{name: envoy}], disabled: true}]}"),
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_the_webhook_takes_is_taken(findings, text):
    assert findings(text) == []


def test_a_deny_rule_of_http_attributes_warns_about_tcp_ports(findings):
    assert findings(rule("{to: [{operation: {methods: [GET]}}]}", "DENY")) == [("FIELD_WARNING", 4, "rules[0]")]
    assert findings(rule("{to: [{operation: {methods: [GET], ports: ['80']}}]}", "DENY")) == []
    assert findings(rule("{from: [{source: {namespaces: [a]}}]}", "DENY")) == []


def test_policies_without_a_spec_are_policies(load):
    objects, collector = load("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n")
    assert not collector.errors
    assert objects.of(AuthorizationPolicy)[0].action == "ALLOW" and objects.of(AuthorizationPolicy)[0].rules == ()


def test_all_parts_are_kept(load):
    objects, collector = load(
        """
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: a}
        spec:
          targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: g}]
          jwtRules:
          - {issuer: i, audiences: [x], fromHeaders: [{name: h, prefix: "p "}], fromParams: [q], fromCookies: [c], spaceDelimitedClaims: [s]}
        ---
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: a}
        spec:
          priority: -5
          workloadSelector: {labels: {app: g}}
          configPatches:
          - applyTo: HTTP_FILTER
            match: {context: GATEWAY, listener: {portNumber: 80, filterChain: {sni: a.b, filter: {name: envoy.filters.network.http_connection_manager}}}}
            patch: {operation: INSERT_FIRST, filterClass: AUTHZ, value: {name: x, typed_config: {n: 1.5, on: true}}}
        ---
        apiVersion: extensions.istio.io/v1alpha1
        kind: WasmPlugin
        metadata: {name: a}
        spec: {url: "oci://x", phase: AUTHN, priority: 7, failStrategy: FAIL_OPEN, match: [{mode: CLIENT, ports: [{number: 8080}]}]}
        ---
        apiVersion: telemetry.istio.io/v1alpha1
        kind: Telemetry
        metadata: {name: a}
        spec:
          tracing: [{providers: [{name: z}], randomSamplingPercentage: 2.5, disableSpanReporting: true}]
          metrics: [{providers: [{name: prometheus}], overrides: [{match: {metric: ALL_METRICS, mode: CLIENT}, disabled: true, tagOverrides: {x: {operation: REMOVE}}}]}]
          accessLogging: [{match: {mode: CLIENT}, disabled: true, providers: [{name: envoy}]}]
        """
    )
    assert not collector.errors
    rule = objects.of(RequestAuthentication)[0].jwt_rules[0]
    assert (rule.from_headers[0].prefix, rule.from_params, rule.from_cookies) == ("p ", ("q",), ("c",))
    assert objects.of(RequestAuthentication)[0].targets[0].name == "g" and rule.space_delimited_claims == ("s",)
    patched = objects.of(EnvoyFilter)[0]
    assert patched.priority == -5 and patched.config_patches[0].patch.value == {"name": "x", "typed_config": {"n": 1.5, "on": True}}
    assert patched.config_patches[0].match.listener.filter_chain.sni == "a.b"
    plugin = objects.of(WasmPlugin)[0]
    assert (plugin.phase, plugin.priority, plugin.fail_strategy, plugin.match[0].ports[0].number) == ("AUTHN", 7, "FAIL_OPEN", 8080)
    found = objects.of(Telemetry)[0]
    assert found.tracing[0].random_sampling_percentage == 2.5 and found.metrics[0].overrides[0].tag_overrides["x"].operation == "REMOVE"
    assert found.access_logging[0].disabled is True


def test_a_misspelt_kind_of_a_group_that_is_read_is_an_error(findings):
    assert [name for name, _, _ in findings(policy("{}", "AuthorisationPolicy"))] == ["UNKNOWN_KIND"]
