"""EnvoyFilters: what is recognised, which patches apply where, and what is said about the others (reference, 8.4 and 8.5)."""

import textwrap

import pytest
from policies import guarded
from topology_build import GATEWAY, SERVICES, TO_SHOP, build, routes

from gwsim.topology import filters as f

ROUTER = "listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}"
TYPE = "type.googleapis.com/envoy.extensions.filters.http"


def envoy(*patches, name="patch", namespace="istio-system", priority=0, more=""):
    body = "\n".join(textwrap.indent("- " + textwrap.indent(textwrap.dedent(one).strip(), "  ").strip(), "  ") for one in patches)
    return f"""
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  priority: {priority}
  {more}
  configPatches:
{body}
"""


def http_filter(value, operation="INSERT_BEFORE", match=ROUTER, context="GATEWAY"):
    return f"{{applyTo: HTTP_FILTER, match: {{context: {context}, {match}}}, patch: {{operation: {operation}, value: {value}}}}}"


def named(name):
    return f"{{name: {name}, typed_config: {{'@type': {TYPE}.buffer.v3.Buffer, max_request_bytes: 100}}}}"


def filters_of(built, port=80):
    return built.proxy.listener(port).filter_chains[0].filter.http_filters


def config(built, kind):
    return next(one.config for one in filters_of(built) if isinstance(one.config, kind))


LOCAL = f"""{{name: envoy.filters.http.local_ratelimit, typed_config: {{'@type': {TYPE}.local_ratelimit.v3.LocalRateLimit, stat_prefix: x,
  token_bucket: {{max_tokens: 4, tokens_per_fill: 2, fill_interval: 60s}},
  filter_enabled: {{default_value: {{numerator: 100, denominator: HUNDRED}}}}, filter_enforced: {{default_value: {{numerator: 50, denominator: HUNDRED}}}}}}}}"""


def test_a_local_rate_limit():
    built = guarded(envoy(http_filter(LOCAL)))
    limit = config(built, f.LocalRateLimit)
    assert limit.bucket == f.TokenBucket(max_tokens=4, tokens_per_fill=2, fill_interval_s=60.0)
    assert (limit.enabled_percent, limit.enforced_percent, limit.status) == (100.0, 50.0, 429)
    assert [one.name for one in filters_of(built)][-1] == "envoy.filters.http.local_ratelimit"
    assert isinstance(built.get().filters[-1].config, f.LocalRateLimit)
    assert not built.names and "NOT_MODELLED" not in built.notes


def test_a_typed_struct_says_the_same():
    value = f"""{{name: envoy.filters.http.local_ratelimit, typed_config: {{'@type': type.googleapis.com/udpa.type.v1.TypedStruct,
      type_url: {TYPE}.local_ratelimit.v3.LocalRateLimit, value: {{token_bucket: {{max_tokens: 7}}}}}}}}"""
    assert config(guarded(envoy(http_filter(value))), f.LocalRateLimit).bucket.max_tokens == 7


def test_a_route_has_a_bucket_of_its_own():
    bare = f"{{name: envoy.filters.http.local_ratelimit, typed_config: {{'@type': {TYPE}.local_ratelimit.v3.LocalRateLimit, stat_prefix: x}}}}"
    per_route = f"""{{applyTo: HTTP_ROUTE, match: {{context: GATEWAY, routeConfiguration: {{vhost: {{route: {{name: limited}}}}}}}}, patch: {{operation: MERGE, value:
      {{typed_per_filter_config: {{envoy.filters.http.local_ratelimit: {{'@type': {TYPE}.local_ratelimit.v3.LocalRateLimit, token_bucket: {{max_tokens: 9}}}}}}}}}}}}"""
    http = routes(f"- {{name: limited, match: [{{uri: {{prefix: /a}}}}], {TO_SHOP}}}\n- {{name: free, {TO_SHOP}}}")
    built = guarded(envoy(http_filter(bare), per_route), http=http)
    limits = {path: [one.config.bucket for one in built.get(path).filters if isinstance(one.config, f.LocalRateLimit)] for path in ("/a", "/")}
    assert limits == {"/a": [f.TokenBucket(max_tokens=9)], "/": []}


GLOBAL = f"""{{name: envoy.filters.http.ratelimit, typed_config: {{'@type': {TYPE}.ratelimit.v3.RateLimit, domain: shop, failure_mode_deny: true, timeout: 10s,
  rate_limit_service: {{transport_api_version: V3, grpc_service: {{envoy_grpc: {{cluster_name: limiter, authority: x}}}}}}}}}}"""
ACTIONS = """{applyTo: VIRTUAL_HOST, match: {context: GATEWAY, routeConfiguration: {vhost: {name: "", route: {action: ANY}}}}, patch: {operation: MERGE, value:
  {rate_limits: [{actions: [{request_headers: {header_name: ":path", descriptor_key: PATH}}, {remote_address: {}}]}, {actions: [{generic_key: {descriptor_value: all}}]},
    {actions: [{request_headers: {header_name: x-user, descriptor_key: USER}}]}]}}}"""


def test_a_global_rate_limit_asks_about_descriptors():
    built = guarded(envoy(http_filter(GLOBAL), ACTIONS))
    limit = config(built, f.RateLimit)
    assert (limit.domain, limit.cluster, limit.timeout_s, limit.failure_mode_deny) == ("shop", "limiter", 10.0, True)
    asked = built.get("/a?b", remote_ip="1.2.3.4").filters[-1]
    assert asked.descriptors == ((("PATH", "/a?b"), ("remote_address", "1.2.3.4")), (("generic_key", "all"),))
    assert (("USER", "joe"),) in built.get("/", headers={"x-user": "joe"}).filters[-1].descriptors


def test_without_rules_the_service_is_not_asked():
    built = guarded(envoy(http_filter(GLOBAL)))
    assert isinstance(config(built, f.RateLimit), f.RateLimit)
    assert not [one for one in built.get().filters if isinstance(one.config, f.RateLimit)]


def test_a_cluster_for_the_service():
    cluster = """{applyTo: CLUSTER, match: {context: GATEWAY}, patch: {operation: ADD, value: {name: limiter, type: STRICT_DNS, connect_timeout: 3s, http2_protocol_options: {},
      load_assignment: {cluster_name: limiter, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: limiter.example, port_value: 8081}}}}]}]}}}}"""
    made = guarded(envoy(http_filter(GLOBAL), cluster)).proxy.clusters["limiter"]
    assert (made.connect_timeout_s, made.endpoints[0].address, made.endpoints[0].port) == (3.0, "limiter.example", 8081)


def test_lua_and_the_others():
    lua = f"""{{name: envoy.filters.http.lua, typed_config: {{'@type': {TYPE}.lua.v3.Lua, inlineCode: "function envoy_on_request(h) h:httpCall('other', {{}}, '', 5000) h:respond({{}}) end"}}}}"""
    authz = f"{{name: envoy.filters.http.ext_authz, typed_config: {{'@type': {TYPE}.ext_authz.v3.ExtAuthz, failure_mode_allow: true, grpc_service: {{envoy_grpc: {{cluster_name: c}}, timeout: 0.5s}}}}}}"
    gzip = f"{{name: envoy.filters.http.compressor, typed_config: {{'@type': {TYPE}.compressor.v3.Compressor, compressor_library: {{name: g, typed_config: {{'@type': type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip}}}}}}}}"
    built = guarded(envoy(*(http_filter(one) for one in (lua, authz, gzip, named("buffer")))))
    script = config(built, f.Lua)
    assert (script.on_request, script.on_response, script.may_respond, script.calls[0].cluster) == (True, False, True, "other")
    call = config(built, f.ExtAuthz)
    assert (call.cluster, call.timeout_s, call.fail_open, call.only) == ("c", 0.5, True, None)
    assert config(built, f.Compressor).algorithm == "gzip" and config(built, f.Buffer).max_request_bytes == 100


def test_unknown_filters_are_listed_with_their_line():
    value = "{name: envoy.filters.http.tap, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.tap.v3.Tap}}"
    built = guarded(envoy(http_filter(value)))
    found = [one for one in built.findings if "tap" in one.message]
    assert [one.level.value for one in found] == ["info"] and "tap" in found[0].span.text
    assert isinstance(config(built, f.Unmodelled), f.Unmodelled)


def names(built):
    return [one.name for one in filters_of(built)]


@pytest.mark.parametrize(
    ("operation", "match", "before", "after"),
    [
        ("INSERT_FIRST", ROUTER, None, "istio.metadata_exchange"),
        ("INSERT_BEFORE", ROUTER, "istio.stats", None),
        ("INSERT_BEFORE", "", None, "istio.metadata_exchange"),
        ("INSERT_BEFORE", ROUTER.replace("envoy.filters.http.router", "envoy.filters.http.cors"), "envoy.filters.http.fault", "envoy.filters.http.cors"),
        ("INSERT_AFTER", ROUTER.replace("envoy.filters.http.router", "envoy.filters.http.fault"), "envoy.filters.http.fault", "envoy.filters.http.cors"),
        ("REPLACE", ROUTER.replace("envoy.filters.http.router", "envoy.filters.http.cors"), "envoy.filters.http.fault", "istio.stats"),
    ],
)
def test_where_a_filter_goes(operation, match, before, after):
    found = names(guarded(envoy(http_filter(named("mine"), operation, match or "listener: {}"))))
    at = found.index("mine")
    assert (found[at - 1] if at else None, found[at + 1] if at + 1 < len(found) else None) == (before, after)


def test_a_filter_can_be_removed():
    patch = f"{{applyTo: HTTP_FILTER, match: {{context: GATEWAY, {ROUTER.replace('envoy.filters.http.router', 'envoy.filters.http.cors')}}}, patch: {{operation: REMOVE}}}}"
    assert "envoy.filters.http.cors" not in names(guarded(envoy(patch)))


@pytest.mark.parametrize(
    ("match", "applies"),
    [
        ("listener: {portNumber: 80}", True),
        ("listener: {portNumber: 81}", False),
        ("listener: {name: 0.0.0.0_80}", True),
        ("listener: {filterChain: {sni: a.example}}", False),
        ("listener: {filterChain: {filter: {name: envoy.filters.network.tcp_proxy}}}", False),
        (ROUTER.replace("envoy.filters.http.router", "missing"), False),
        ("proxy: {proxyVersion: '^1\\.30.*'}", True),
        ("proxy: {proxyVersion: '^1\\.29.*'}", False),
    ],
)
def test_what_a_match_selects(match, applies):
    built = guarded(envoy(http_filter(named("mine"), match=match)))
    assert ("mine" in names(built)) is applies
    assert ("PATCH_WITHOUT_EFFECT" in built.names) is (not applies and "proxyVersion" not in match)


@pytest.mark.parametrize(("context", "applies"), [("ANY", True), ("GATEWAY", True), ("SIDECAR_OUTBOUND", False), ("SIDECAR_INBOUND", False)])
def test_contexts(context, applies):
    assert ("mine" in names(guarded(envoy(http_filter(named("mine"), context=context))))) is applies


@pytest.mark.parametrize(
    ("namespace", "more", "applies"),
    [
        ("istio-system", "", True),
        ("app", "", False),
        ("istio-system", "workloadSelector: {labels: {istio: ingressgateway}}", True),
        ("istio-system", "workloadSelector: {labels: {istio: other}}", False),
        ("istio-system", "targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: public}]", False),
    ],
)
def test_which_gateways(namespace, more, applies):
    assert ("mine" in names(guarded(envoy(http_filter(named("mine")), namespace=namespace, more=more)))) is applies


def test_order_of_several():
    first = envoy(http_filter(named("one")), name="b", priority=-1)
    second = envoy(http_filter(named("two")), name="a")
    third = envoy(http_filter(named("three")), http_filter(named("four")), name="c")
    assert names(guarded(third, second, first))[-4:] == ["one", "two", "three", "four"]


def test_a_filter_behind_the_router_breaks_the_listener():
    for operation, match in (("ADD", "listener: {}"), ("INSERT_AFTER", ROUTER)):
        built = guarded(envoy(http_filter(named("mine"), operation, match)))
        assert "mine" not in names(built) and "PATCH_BREAKS" in built.names


def test_merging_into_a_filter_that_another_patch_brought():
    own = ROUTER.replace("envoy.filters.http.router", "mine")
    merge = http_filter(f"{{name: mine, typed_config: {{'@type': {TYPE}.buffer.v3.Buffer, max_request_bytes: 7}}}}", "MERGE", own)
    assert config(guarded(envoy(http_filter(named("mine")), merge)), f.Buffer).max_request_bytes == 7


@pytest.mark.parametrize(("number", "applies"), [(80, True), (8080, False)])
def test_route_patches_take_the_declared_port(number, applies):
    service = """
apiVersion: v1
kind: Service
metadata: {name: gw, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
    patch = f"""{{applyTo: VIRTUAL_HOST, match: {{context: GATEWAY, routeConfiguration: {{portNumber: {number}}}}}, patch: {{operation: MERGE, value:
      {{rate_limits: [{{actions: [{{generic_key: {{descriptor_value: a}}}}]}}]}}}}}}"""
    built = build(SERVICES, service, GATEWAY, routes(f"- {TO_SHOP}"), envoy(patch))
    host = built.proxy.listener(8080).filter_chains[0].filter.route_config.virtual_hosts[0]
    assert bool(host.rate_limits) is applies


def test_a_listener_patch_takes_the_port_listened_on():
    service = """
apiVersion: v1
kind: Service
metadata: {name: gw, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
    for number, applies in ((8080, True), (80, False)):
        built = build(SERVICES, service, GATEWAY, routes(f"- {TO_SHOP}"), envoy(http_filter(named("mine"), match=f"listener: {{portNumber: {number}}}")))
        assert ("mine" in [one.name for one in filters_of(built, 8080)]) is applies


def test_settings_of_the_connection_manager():
    patch = """{applyTo: NETWORK_FILTER, match: {context: GATEWAY, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}, patch: {operation: MERGE, value: {typed_config:
      {'@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, xff_num_trusted_hops: 3, stream_idle_timeout: 5s, server_name: x,
       common_http_protocol_options: {idle_timeout: 30s}, http2_protocol_options: {max_concurrent_streams: 50}}}}}"""
    built = guarded(envoy(patch))
    manager = built.proxy.listener(80).filter_chains[0].filter
    assert (manager.xff_num_trusted_hops, manager.stream_idle_timeout_s, manager.idle_timeout_s, manager.max_concurrent_streams) == (3, 5.0, 30.0, 50)
    assert [one.message for one in built.findings if "server_name" in one.message or "serverName" in one.message]


def test_a_limit_of_connections():
    patch = """{applyTo: NETWORK_FILTER, match: {context: GATEWAY, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}, patch: {operation: INSERT_BEFORE,
      value: {name: envoy.filters.network.connection_limit, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit, max_connections: 9, delay: 1s}}}}"""
    found = guarded(envoy(patch)).proxy.listener(80).filter_chains[0].network_filters
    assert [one.config for one in found] == [f.ConnectionLimit(max_connections=9, delay_s=1.0)]


@pytest.mark.parametrize("target", ["LISTENER", "FILTER_CHAIN", "BOOTSTRAP", "LISTENER_FILTER", "EXTENSION_CONFIG"])
def test_other_targets_are_not_modelled(target):
    built = guarded(envoy(f"{{applyTo: {target}, patch: {{operation: MERGE, value: {{a: 1}}}}}}"))
    assert any(target in one.message for one in built.findings)
