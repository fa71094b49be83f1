"""HTTPRoutes and GRPCRoutes: matching, precedence, filters and backends."""

from __future__ import annotations

import pytest
from gateway_api_build import (
    CART,
    ONE,
    TO_ONE,
    TO_TWO,
    TWO,
    ask,
    clusters,
    gateway,
    grant,
    made,
    outcome,
    route,
)


def rule(match: str, backend: str = TO_ONE) -> str:
    return f"- matches: [{match}]\n  {backend}\n"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/match", [ONE]), ("/match/", [ONE]), ("/match/more", [ONE]), ("/matches", []), ("/", []),
        ("/slash", [TWO]), ("/slash/", [TWO]), ("/slash/x", [TWO]), ("/slashx", []), ("/exact", [ONE]), ("/exact/", []),
        ("/re/12", [TWO]), ("/re/12/x", []),
    ],
)  # fmt: skip
def test_prefixes_are_whole_segments_and_a_slash_at_their_end_does_not_count(path, expected):
    built = made(gateway(), route(
        rule("{path: {type: PathPrefix, value: /match}}") + rule("{path: {type: PathPrefix, value: /slash/}}", TO_TWO)
        + rule("{path: {type: Exact, value: /exact}}") + rule("{path: {type: RegularExpression, value: '/re/[0-9]+'}}", TO_TWO)
    ))  # fmt: skip
    got = ask(built, path)
    assert clusters(got) == expected
    assert outcome(got) == (("forward", 200) if expected else ("not_found", 404))


def test_precedence_is_by_kind_of_path_then_length_method_headers_and_query():
    texts = [
        "{path: {type: RegularExpression, value: '/a/b.*'}}", "{path: {value: /a}}", "{path: {value: /a/b}}",
        "{path: {type: Exact, value: /a/b}}", "{path: {value: /a/b}, queryParams: [{name: q, value: v}]}",
        "{path: {value: /a/b}, headers: [{name: h, value: v}]}", "{path: {value: /a/b}, method: PUT}",
    ]  # fmt: skip
    built = made(gateway(), route("".join(f"- name: rule-{n}\n  matches: [{text}]\n  {TO_ONE}\n" for n, text in enumerate(texts))))
    (host,) = built.proxy.listeners[0].filter_chains[0].filter.route_config.virtual_hosts
    assert [one.name for one in host.routes] == [f"rule-{n}" for n in (3, 6, 5, 4, 2, 1, 0)]
    assert ask(built, "/a/b", method="PUT").route == "rule-3"
    assert ask(built, "/a/b/c", method="PUT", headers={"h": "v"}).route == "rule-6"
    assert ask(built, "/a/bc").route == "rule-1"


def test_matches_of_a_rule_are_alternatives_and_conditions_of_a_match_all_hold():
    built = made(gateway(), route("""
    - matches:
      - {headers: [{name: Version, value: two}, {name: Beta, value: "yes"}]}
      - {method: PATCH}
      - {queryParams: [{name: animal, value: whale}]}
      - {path: {value: /v2}, headers: [{name: kind, type: RegularExpression, value: "a.+"}]}
      backendRefs: [{name: two, port: 8080}]
    - backendRefs: [{name: one, port: 8080}]
    """))
    assert clusters(ask(built, headers={"version": "two", "beta": "yes"})) == [TWO]
    assert clusters(ask(built, headers={"version": "two"})) == [ONE]
    assert clusters(ask(built, method="PATCH")) == [TWO]
    assert clusters(ask(built, "/x?animal=whale&b=c")) == [TWO]
    assert clusters(ask(built, "/x?animal=whales")) == [ONE]
    assert clusters(ask(built, "/v2/x", headers={"kind": "abc"})) == [TWO]
    assert clusters(ask(built, "/v2/x", headers={"kind": "a"})) == [ONE]


def test_of_equal_rules_the_oldest_route_counts_then_namespace_and_name():
    old = route(TO_TWO.join(["- ", ""]), name="z", created="2024-01-01T00:00:00Z")
    new = route(TO_ONE.join(["- ", ""]), name="a", created="2025-01-01T00:00:00Z")
    assert clusters(ask(made(gateway(), new, old))) == [TWO]
    assert clusters(ask(made(gateway(), route(f"- {TO_TWO}", name="b"), route(f"- {TO_ONE}", name="a")))) == [ONE]


def test_an_older_general_rule_does_not_hide_a_newer_specific_one():
    old = route(rule("{path: {value: /}}"), name="old", created="2024-01-01T00:00:00Z")
    new = route(rule("{path: {value: /special}}", TO_TWO), name="new", created="2025-01-01T00:00:00Z")
    assert clusters(ask(made(gateway(), old, new), "/special")) == [TWO]


def test_weights_are_relative_and_zero_gets_nothing():
    built = made(gateway(), route("""
    - backendRefs: [{name: one, port: 8080, weight: 7}, {name: two, port: 8080, weight: 3}, {name: one, port: 8081, weight: 0}]
    """))
    assert [(one.cluster, one.weight) for one in ask(built).clusters] == [(ONE, 7), (TWO, 3)]


@pytest.mark.parametrize(
    ("backends", "version", "expected"),
    [
        ("[{name: one, port: 8080, weight: 0}]", "1.30", ("direct_response", 500)),
        ("[]", "1.30", ("direct_response", 404)),
        ("[]", "1.31", ("direct_response", 500)),
        ("[{name: absent, port: 8080}]", "1.30", ("error", 500)),
        ("[{name: one, port: 9999}]", "1.30", ("error", 500)),
        ("[{group: example.com, kind: Bucket, name: one, port: 8080}]", "1.30", ("error", 500)),
        ("[{name: cart, namespace: shop, port: 8080}]", "1.30", ("error", 500)),
    ],
)
def test_backends_that_cannot_be_used_are_answered_500(backends, version, expected):
    built = made(gateway(), route(f"- backendRefs: {backends}"), istio_version=version)
    assert outcome(ask(built)) == expected


def test_a_refused_backend_keeps_its_share_and_says_what_was_meant():
    built = made(gateway(), route("""
    - backendRefs: [{name: one, port: 8080, weight: 3}, {name: cart, namespace: shop, port: 8080, weight: 1}]
    """))
    got = ask(built)
    assert outcome(got) == ("forward", 200)
    assert [(one.weight, one.missing, one.meant) for one in got.clusters] == [(3, False, ""), (1, True, CART)]
    assert built.names == ["BACKEND_REFUSED"]
    assert got.rule.action.cluster_not_found_status == 500


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (grant("HTTPRoute", "infra"), True),
        (grant("HTTPRoute", "infra", name="cart"), True),
        (grant("HTTPRoute", "infra", name="others"), False),
        (grant("HTTPRoute", "other"), False),
        (grant("TLSRoute", "infra"), False),
        (grant("HTTPRoute", "infra", to="Secret"), False),
        (grant("HTTPRoute", "infra", of="other"), False),
    ],
)
def test_a_grant_must_name_the_kind_and_namespace_on_both_sides(text, allowed):
    built = made(gateway(), route("- backendRefs: [{name: cart, namespace: shop, port: 8080}]"), text)
    assert outcome(ask(built)) == (("forward", 200) if allowed else ("error", 500))


def test_a_backend_may_be_a_host_of_a_service_entry():
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: infra}
spec: {hosts: [api.example.com], ports: [{number: 443, name: https, protocol: HTTPS}], resolution: DNS}
"""
    built = made(gateway(), entry, route("- backendRefs: [{group: networking.istio.io, kind: Hostname, name: api.example.com, port: 443}]"))
    assert clusters(ask(built)) == ["outbound|443||api.example.com"]


@pytest.mark.parametrize(
    ("filters", "request_path", "expected"),
    [
        ("{hostname: example.org}", "/x", "http://example.org/x"),
        ("{scheme: https}", "/x", "https://shop.example/x"),
        ("{scheme: https, port: 8443}", "/x", "https://shop.example:8443/x"),
        ("{scheme: https, port: 443}", "/x", "https://shop.example/x"),
        ("{port: 8083}", "/x", "http://shop.example:8083/x"),
        ("{path: {type: ReplaceFullPath, replaceFullPath: /full}}", "/old/x?q=1", "http://shop.example/full?q=1"),
        ("{path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}", "/old/x", "http://shop.example/new/x"),
        ("{path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}, hostname: example.org}", "/old", "http://example.org/new"),
    ],
)
def test_redirects(filters, request_path, expected):
    path = "/old" if "old" in request_path else "/"
    built = made(gateway(), route(f"- matches: [{{path: {{value: {path}}}}}]\n  filters: [{{type: RequestRedirect, requestRedirect: {filters}}}]"))
    got = ask(built, request_path)
    assert (outcome(got), str(got.redirect)) == (("redirect", 302), expected)


def test_a_redirect_without_port_and_scheme_keeps_the_listeners_port():
    built = made(
        gateway("[{name: http, port: 8080, protocol: HTTP}]"),
        route("- filters: [{type: RequestRedirect, requestRedirect: {hostname: example.org, statusCode: 307}}]"),
    )
    got = ask(built, "/x", port=8080)
    assert (got.status, str(got.redirect)) == (307, "http://example.org:8080/x")


@pytest.mark.parametrize(
    ("prefix", "to", "path", "expected"),
    [
        ("/foo", "/bar", "/foo/x", "/bar/x"), ("/foo", "/bar/", "/foo/x", "/bar/x"), ("/foo/", "/bar", "/foo/x", "/bar/x"),
        ("/foo", "/bar", "/foo", "/bar"), ("/foo", "/bar", "/foo/", "/bar/"), ("/foo", "/", "/foo", "/"),
        ("/foo", "/", "/foo/x?a=b", "/x?a=b"), ("/foo", "/", "/foo/", "/"), ("/foo", "''", "/foo/x", "/x"),
        ("/a.b", "/", "/a.b/x", "/x"),
    ],
)  # fmt: skip
def test_replacing_the_prefix(prefix, to, path, expected):
    built = made(gateway(), route(
        f"- matches: [{{path: {{value: {prefix}}}}}]\n"
        f"  filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: {to}}}}}}}]\n  {TO_ONE}"
    ))  # fmt: skip
    assert ask(built, path).rewrite.path == expected


def test_replacing_the_whole_path_and_the_host():
    built = made(gateway(), route(f"""
    - filters: [{{type: URLRewrite, urlRewrite: {{hostname: one.example, path: {{type: ReplaceFullPath, replaceFullPath: /all}}}}}}]
      {TO_ONE}
    """))
    got = ask(built, "/x/y?q=1")
    assert (got.rewrite.path, got.rewrite.host) == ("/all?q=1", "one.example")


def test_headers_are_changed_by_rule_and_by_backend():
    built = made(gateway(), route("""
    - filters:
      - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: a}, {name: x-set, value: b}], remove: [X-Gone]}}
      - {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: X-Add, value: c}]}}
      backendRefs:
      - {name: one, port: 8080, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: X-One, value: d}]}}]}
      - {name: two, port: 8080}
    """))
    got = ask(built)
    assert got.rule.request_headers.set == {"x-set": "a"} and got.rule.request_headers.remove == ("X-Gone",)
    assert got.rule.response_headers.add == {"x-add": "c"}
    assert [one.request_headers and one.request_headers.add for one in got.clusters] == [{"x-one": "d"}, None]


def test_mirrors_have_percent_or_fraction_and_vanish_without_a_service():
    built = made(gateway(), route("""
    - filters:
      - {type: RequestMirror, requestMirror: {backendRef: {name: two, port: 8080}}}
      - {type: RequestMirror, requestMirror: {backendRef: {name: two, port: 8080}, percent: 20}}
      - {type: RequestMirror, requestMirror: {backendRef: {name: two, port: 8080}, fraction: {numerator: 1, denominator: 50}}}
      - {type: RequestMirror, requestMirror: {backendRef: {name: absent, port: 8080}}}
      backendRefs: [{name: one, port: 8080}]
    """))
    assert [(one.cluster, one.percent) for one in ask(built).mirrors] == [(TWO, 100.0), (TWO, 20.0), (TWO, 2.0)]
    assert built.names == ["BACKEND_REFUSED"]


def test_times_and_retries():
    built = made(gateway(), route("""
    - matches: [{path: {value: /a}}]
      timeouts: {request: 500ms}
      backendRefs: [{name: one, port: 8080}]
    - matches: [{path: {value: /b}}]
      timeouts: {request: 1s, backendRequest: 500ms}
      backendRefs: [{name: one, port: 8080}]
    - matches: [{path: {value: /c}}]
      timeouts: {request: 2s, backendRequest: 500ms}
      retry: {codes: [503, 504], attempts: 4, backoff: 100ms}
      backendRefs: [{name: one, port: 8080}]
    - matches: [{path: {value: /d}}]
      timeouts: {request: 0s}
      retry: {attempts: 0}
      backendRefs: [{name: one, port: 8080}]
    """))
    assert [ask(built, f"/{one}").timeout_s for one in "abcd"] == [0.5, 0.5, 2.0, 0.0]
    policy = ask(built, "/c").retry_policy
    assert (policy.num_retries, policy.per_try_timeout_s, policy.base_interval_s) == (4, 0.5, 0.1)
    assert policy.retriable_status_codes == (503, 504)
    assert ask(built, "/d").retry_policy is None
    assert ask(built, "/a").retry_policy.num_retries == 2


def test_cors_answers_all_preflights_and_knows_wildcards():
    built = made(gateway(), route(f"""
    - filters: [{{type: CORS, cors: {{allowOrigins: ["https://a.example", "https://*.b.example"], allowMethods: [GET], maxAge: 60}}}}]
      {TO_ONE}
    """))
    asked = {"access-control-request-method": "GET"}
    for origin in ("https://a.example", "https://x.y.b.example", "https://c.example"):
        got = ask(built, method="OPTIONS", headers={"origin": origin, **asked})
        assert got.preflight and got.status == 200
    cors = got.rule.cors
    assert not cors.forward_unmatched_preflights and cors.max_age_s == 60.0
    assert not ask(built, headers={"origin": "https://a.example"}).preflight


def test_a_filter_that_istio_does_not_know_takes_the_whole_route_with_it():
    built = made(gateway(), route(f"""
    - matches: [{{path: {{value: /a}}}}]
      filters: [{{type: ExtensionRef, extensionRef: {{group: example.com, kind: Filter, name: f}}}}]
      {TO_ONE}
    - {TO_ONE}
    """))
    assert outcome(ask(built)) == ("not_found", 404)
    assert "ROUTE_REFUSED" in built.names


def test_grpc_calls_are_matched_by_service_and_method():
    built = made(gateway(), route("""
    - matches: [{method: {service: api.Cart, method: Add}}]
      backendRefs: [{name: one, port: 8081}]
    - matches: [{method: {service: api.Cart}}]
      backendRefs: [{name: two, port: 8080}]
    - matches: [{method: {method: Ping}}, {method: {type: RegularExpression, service: "api[.]v[0-9]"}}, {headers: [{name: v, value: "1"}]}]
      backendRefs: [{name: one, port: 8080}]
    """, kind="GRPCRoute"))
    def call(path, **headers):
        return clusters(ask(built, path, scheme="grpc", method="POST", headers=headers))

    assert call("/api.Cart/Add") == ["outbound|8081||one.infra.svc.cluster.local"]
    assert call("/api.Cart/Drop") == [TWO]
    assert call("/api.Carts/Add") == []
    assert call("/any.Thing/Ping") == [ONE]
    assert call("/api.v2/Do") == [ONE]
    assert call("/api.x/Do") == []
    assert call("/api.x/Do", v="1") == [ONE]


def test_grpc_and_http_routes_share_a_host():
    built = made(
        gateway(),
        route(f"- {TO_ONE}"),
        route("- {matches: [{method: {service: api.Cart}}], backendRefs: [{name: two, port: 8080}]}", kind="GRPCRoute", name="calls"),
    )
    assert clusters(ask(built, "/api.Cart/Add")) == [TWO]
    assert clusters(ask(built, "/page")) == [ONE]


def test_names_of_rules():
    built = made(gateway(), route(f"- name: named\n  matches: [{{path: {{value: /n}}}}]\n  {TO_ONE}\n- {TO_ONE}"))
    assert ask(built, "/n").route == "named"
    assert ask(built, "/").route == "infra.routes.1"


def test_a_decision_points_at_the_rule_in_the_file():
    built = made(gateway(), route(f"- matches:\n  - {{path: {{value: /a}}}}\n  - {{path: {{value: /b}}}}\n  {TO_ONE}"))
    first, second = ask(built, "/a").rule.origin, ask(built, "/b").rule.origin
    assert second.line == first.line + 1 and "/b" in second.text


def test_a_service_kept_elsewhere_has_the_ports_that_routes_name():
    text = route("- backendRefs: [{name: far, port: 7000}]")
    built = made(gateway(), text, assume_exists=["Service/infra/far"])
    assert clusters(ask(built)) == ["outbound|7000||far.infra.svc.cluster.local"]
    assert built.names == []


def test_an_external_name_is_answered_500_and_named():
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: api, namespace: infra}\n"
    text += "spec: {type: ExternalName, externalName: api.example.com, ports: [{port: 80}]}"
    built = made(gateway(), text, route("- backendRefs: [{name: api, port: 80}]"))
    assert ask(built).status == 500
    assert built.names == ["DESTINATION_HOST_UNKNOWN"]
    (finding,) = [one for one in built.findings if "stands for" in one.message]
    assert "api.infra.svc.cluster.local stands for api.example.com" in finding.message
