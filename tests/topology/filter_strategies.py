"""Random filters and the small values that all strategies share, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from gwsim.topology import HeaderMatch, HttpFilter, NetworkFilter, StringMatch, cluster_name, filters
from gwsim.topology.access import (
    AccessPolicy,
    AccessRules,
    AddressIn,
    AllOf,
    AnyOf,
    Anything,
    ClaimIs,
    HeaderIs,
    Not,
    PathIs,
    PathTemplate,
    PeerIs,
    PortIs,
    ServerNameIs,
)

names = st.from_regex(r"[a-z][a-z0-9]{0,7}", fullmatch=True)
seconds = st.one_of(st.sampled_from([0.025, 0.25, 1.0, 15.0, 3600.0]), st.integers(1, 10**7).map(lambda ms: ms / 1000))
percents = st.one_of(st.sampled_from([1.0, 12.5, 50.0, 100.0]), st.integers(1, 10**6).map(lambda parts: parts / 10**4))
small = st.integers(1, 1000)
flags = st.booleans()
statuses = st.sampled_from([200, 403, 404, 429, 500, 503])
hosts = names.map(lambda name: f"{name}.app.svc.cluster.local")
cluster_names = st.builds(cluster_name, small, st.one_of(st.just(""), names), hosts)


def maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(st.none(), strategy)


def few(strategy: st.SearchStrategy, most: int = 3) -> st.SearchStrategy:
    return st.lists(strategy, max_size=most).map(tuple)


def unique(strategy: st.SearchStrategy, most: int = 3) -> st.SearchStrategy:
    return st.lists(strategy, max_size=most, unique=True).map(tuple)


texts = st.one_of(
    st.builds(
        StringMatch, kind=st.sampled_from(["exact", "prefix", "suffix", "contains"]), value=names, ignore_case=flags
    ),
    st.builds(StringMatch, kind=st.just("regex"), value=st.sampled_from(["a+b", "x.*"]), ignore_case=flags),
    st.just(StringMatch(kind="present")),
)
header_matches = st.builds(HeaderMatch, name=names, match=texts)

# --- filters -------------------------------------------------------------------------------------------------------

# Envoy fills no bucket of its own more often than every 50 ms.
buckets = st.builds(
    filters.TokenBucket, max_tokens=small, tokens_per_fill=small, fill_interval_s=seconds.filter(lambda s: s >= 0.05)
)
limit_actions = st.one_of(
    st.builds(filters.RateLimitAction, kind=st.just("generic_key"), key=names, value=names),
    st.builds(
        filters.RateLimitAction, kind=st.sampled_from(["request_headers", "query_parameters"]), key=names, header=names,
        skip_if_absent=flags,
    ),
    st.builds(filters.RateLimitAction, kind=st.sampled_from(["remote_address", "destination_cluster", "source_cluster"])),
    st.builds(
        filters.RateLimitAction, kind=st.just("header_value_match"), key=names, value=names, expect_match=flags,
        headers=st.lists(header_matches, min_size=1, max_size=2).map(tuple),
    ),
)  # fmt: skip
limit_rules = st.builds(
    filters.RateLimitRule, actions=st.lists(limit_actions, min_size=1, max_size=2).map(tuple), stage=st.integers(0, 3)
)
own_rules = st.builds(filters.RateLimitRule, actions=st.lists(limit_actions, min_size=1, max_size=2).map(tuple))
local_limits = st.builds(
    filters.LocalRateLimit,
    bucket=buckets,
    enabled_percent=percents,
    enforced_percent=percents,
    status=st.sampled_from([429, 503]),
    per_connection=flags,
    rules=few(own_rules, 2),
    descriptors=st.lists(
        st.builds(
            filters.DescriptorBucket,
            entries=st.lists(st.tuples(names, names), min_size=1, max_size=2).map(tuple),
            bucket=buckets,
        ),
        max_size=2,
        unique_by=lambda one: one.entries,
    ).map(tuple),
    always_consume_default=flags,
    stage=st.integers(0, 3),
    stat_prefix=st.just("limiter"),
)
leaves = st.one_of(
    st.builds(HeaderIs, names, texts),
    st.builds(PathIs, texts),
    st.builds(PathTemplate, st.just("/a/{*}")),
    st.builds(AddressIn, st.sampled_from(["direct", "remote", "destination"]), st.just("10.0.0.0/8")),
    st.builds(PortIs, st.integers(1, 65535)),
    st.builds(PeerIs, texts),
    st.builds(ServerNameIs, texts),
    st.builds(ClaimIs, st.tuples(names), texts),
)
what = st.recursive(
    st.one_of(st.builds(PathIs, texts), st.builds(PortIs, st.integers(1, 65535)), st.builds(ServerNameIs, texts)),
    lambda inner: st.one_of(
        st.builds(AllOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=5,
)
who = st.recursive(
    st.one_of(
        st.builds(PeerIs, texts), st.builds(AddressIn, st.sampled_from(["direct", "remote"]), st.just("10.0.0.0/8"))
    ),
    lambda inner: st.one_of(
        st.builds(AllOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=5,
)
conditions = st.one_of(st.just(Anything()), leaves, what, who, st.tuples(what, who).map(AllOf))
connection_conditions = st.one_of(
    st.just(Anything()), who, st.builds(PortIs, st.integers(1, 65535)), st.builds(ServerNameIs, texts)
)
connection_rules = st.builds(
    AccessRules,
    action=st.sampled_from(["ALLOW", "DENY"]),
    policies=st.builds(AccessPolicy, name=names, condition=connection_conditions).map(lambda one: (one,)),
)
access_rules = st.builds(
    AccessRules,
    action=st.sampled_from(["ALLOW", "DENY", "LOG"]),
    policies=st.lists(
        st.builds(AccessPolicy, name=names, condition=conditions), max_size=3, unique_by=lambda one: one.name
    ).map(tuple),
)
providers = st.builds(
    filters.JwtProvider,
    issuer=names,
    audiences=few(names),
    locations=st.one_of(
        st.just(filters.BEARER),
        st.lists(st.builds(filters.JwtLocation, kind=st.just("header"), name=names), min_size=1).map(tuple),
    ),
    keys=st.sampled_from(["inline", "missing"]),
    forward=flags,
    claims_to_headers=few(st.tuples(names, st.tuples(names, names)), 2),
)
simple_filters = [
    (filters.METADATA_EXCHANGE, filters.MetadataExchange()), (filters.GRPC_STATS, filters.GrpcStats()),
    (filters.ALPN, filters.Alpn()), (filters.FAULT, filters.Fault()), (filters.CORS, filters.CorsFilter()),
    (filters.ISTIO_STATS, filters.IstioStats(disabled=("REQUEST_COUNT",), tags=2)),
]  # fmt: skip
configs = st.one_of(
    st.sampled_from(simple_filters),
    st.tuples(st.just(filters.RBAC), st.builds(filters.Rbac, rules=maybe(access_rules), shadow_rules=maybe(access_rules))),
    st.tuples(
        st.just(filters.JWT_AUTHN), st.builds(filters.JwtAuthn, providers=st.lists(providers, min_size=1, max_size=2).map(tuple))
    ),
    st.tuples(
        st.just(filters.EXT_AUTHZ),
        st.builds(
            filters.ExtAuthz, cluster=cluster_names, protocol=st.sampled_from(["grpc", "http"]), timeout_s=seconds, fail_open=flags,
            status_on_error=statuses, clear_route_cache=flags,
        ),
    ),
    st.tuples(st.just(filters.LOCAL_RATE_LIMIT), local_limits),
    st.tuples(
        st.just(filters.RATE_LIMIT),
        st.builds(
            filters.RateLimit, domain=names, cluster=cluster_names, timeout_s=seconds, failure_mode_deny=flags, status=statuses,
            status_on_error=statuses, stage=st.integers(0, 3), request_type=st.sampled_from(["both", "internal", "external"]),
        ),
    ),
    st.tuples(
        st.just(filters.EXT_PROC),
        st.builds(filters.ExtProc, cluster=cluster_names, message_timeout_s=seconds.filter(lambda one: one <= 3600.0), failure_mode_allow=flags, request_body=flags),
    ),
    st.tuples(st.just(filters.BUFFER), st.builds(filters.Buffer, max_request_bytes=small)),
    st.tuples(
        st.just(filters.COMPRESSOR),
        st.builds(filters.Compressor, algorithm=st.sampled_from(["gzip", "brotli", "zstd"]), min_content_length_bytes=small),
    ),
    st.just((filters.LUA, filters.Lua(source="function envoy_on_request(handle) end"))),
)  # fmt: skip
http_filters = st.lists(configs, max_size=4, unique_by=lambda one: one[0]).map(
    lambda found: tuple(HttpFilter(name=name, config=config) for name, config in found)
)
per_route = st.dictionaries(
    st.just(filters.LOCAL_RATE_LIMIT), st.one_of(local_limits, st.just(filters.Disabled())), max_size=1
)

network_filters = st.one_of(
    st.just(
        NetworkFilter(name=filters.CONNECTION_LIMIT, config=filters.ConnectionLimit(max_connections=7, delay_s=0.5))
    ),
    st.builds(
        NetworkFilter,
        name=st.just(filters.NETWORK_LOCAL_RATE_LIMIT),
        config=st.builds(filters.NetworkLocalRateLimit, bucket=buckets, stat_prefix=st.just("limit")),
    ),
    st.builds(NetworkFilter, name=st.just(filters.NETWORK_RBAC), config=st.builds(filters.Rbac, rules=connection_rules)),
)
