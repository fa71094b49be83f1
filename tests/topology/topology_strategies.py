"""Random proxies of everything that the model can say and Envoy can be told, for hypothesis."""

from __future__ import annotations

from filter_strategies import (
    cluster_names,
    few,
    flags,
    header_matches,
    hosts,
    http_filters,
    limit_rules,
    maybe,
    names,
    network_filters,
    per_route,
    percents,
    seconds,
    small,
    statuses,
    texts,
    unique,
)
from hypothesis import strategies as st

from gwsim.topology import (
    CircuitBreakers,
    ClaimMatch,
    Cluster,
    Cors,
    DirectResponse,
    DownstreamTls,
    Endpoint,
    FaultAbort,
    FaultDelay,
    FilterChain,
    FilterChainMatch,
    Forward,
    HashPolicy,
    HeaderChanges,
    HttpConnectionManager,
    LbPolicy,
    Listener,
    Locality,
    LocalityFailover,
    LocalityLb,
    LocalityShare,
    Mirror,
    NoAction,
    OutlierDetection,
    PathMatch,
    PathRewrite,
    Proxy,
    QueryMatch,
    Redirect,
    RetryBudget,
    RetryPolicy,
    Route,
    RouteConfiguration,
    RouteMatch,
    SlowStart,
    TcpProxy,
    UpstreamTls,
    VirtualHost,
    WeightedCluster,
    cluster_name,
)

paths = st.one_of(
    st.just(PathMatch()),
    st.builds(
        PathMatch,
        kind=st.sampled_from(["exact", "prefix", "path_separated_prefix"]),
        value=names.map(lambda name: f"/{name}"),
        ignore_case=flags,
    ),
    st.builds(PathMatch, kind=st.just("regex"), value=st.sampled_from(["/a+", "/b/.*"]), ignore_case=flags),
)
matches = st.builds(
    RouteMatch,
    path=paths,
    headers=few(header_matches),
    without_headers=few(header_matches),
    query_params=few(st.builds(QueryMatch, name=names, match=texts)),
    claims=few(st.builds(ClaimMatch, path=st.tuples(names, names), match=texts, invert=flags), 2),
    method=maybe(texts),
    authority=maybe(texts),
    scheme=maybe(texts),
)
changes = maybe(
    st.builds(
        HeaderChanges,
        set=st.dictionaries(names, names, max_size=2),
        add=st.dictionaries(names, names, max_size=2),
        remove=unique(names, 2),
    )
)
weighted = st.builds(
    WeightedCluster,
    cluster=cluster_names,
    weight=st.integers(0, 100),
    request_headers=changes,
    response_headers=changes,
    host_rewrite=st.one_of(st.just(""), hosts),
)
hashes = st.one_of(
    st.builds(HashPolicy, kind=st.sampled_from(["header", "query_parameter"]), name=names),
    st.just(HashPolicy(kind="source_ip")),
    st.builds(
        HashPolicy, kind=st.just("cookie"), name=names, cookie_path=st.sampled_from(["", "/"]),
        cookie_ttl_s=maybe(st.one_of(st.just(0.0), seconds)),
    ),
)  # fmt: skip
retries = st.builds(
    RetryPolicy,
    num_retries=st.integers(1, 9),
    retry_on=st.lists(st.sampled_from(["5xx", "reset", "connect-failure"]), min_size=1, unique=True).map(tuple),
    retriable_status_codes=unique(statuses),
    per_try_timeout_s=maybe(seconds),
    base_interval_s=st.sampled_from([0.01, 0.025, 1.0]),
    max_interval_s=st.sampled_from([1.0, 2.5, 10.0]),
    host_selection_retry_max_attempts=st.integers(1, 9),
    previous_hosts=flags,
    previous_priorities=flags,
)
rewrites = st.one_of(
    st.builds(PathRewrite, kind=st.sampled_from(["prefix", "full"]), value=names.map(lambda name: f"/{name}")),
    st.builds(PathRewrite, kind=st.just("regex"), value=st.just(r"/\1"), pattern=st.sampled_from(["/(a)", "/(.*)"])),
)
forwards = st.builds(
    Forward,
    clusters=st.lists(weighted, min_size=1, max_size=3).filter(lambda found: any(one.weight for one in found)).map(tuple),
    timeout_s=st.one_of(st.just(0.0), seconds),
    retry_policy=maybe(retries),
    path_rewrite=maybe(rewrites),
    host_rewrite=st.one_of(st.just(""), hosts),
    hash_policy=few(hashes),
    cluster_not_found_status=st.sampled_from([404, 500, 503]),
    max_grpc_timeout_s=st.one_of(st.just(0.0), seconds),
    mirrors=few(st.builds(Mirror, cluster=cluster_names, percent=percents), 2),
)
redirects = st.builds(
    Redirect,
    status=st.sampled_from([301, 302, 303, 307, 308]),
    scheme=st.sampled_from(["", "https"]),
    host=st.one_of(st.just(""), hosts),
    port=maybe(st.integers(1, 65535)),
    path=st.sampled_from(["", "/new"]),
)
actions = st.one_of(
    forwards,
    redirects,
    st.builds(Redirect, prefix_rewrite=st.sampled_from(["", "/new"])),
    st.builds(DirectResponse, status=statuses, body=st.sampled_from(["", "gone"])),
    st.builds(NoAction, reason=names),
)

# --- routes and listeners ------------------------------------------------------------------------------------------

faults = st.one_of(
    st.builds(FaultAbort, percent=percents, status=statuses),
    st.builds(FaultAbort, percent=percents, grpc_status=st.sampled_from(["UNAVAILABLE", "NOT_FOUND"])),
)
cors = st.builds(
    Cors,
    allow_origins=few(texts),
    allow_methods=unique(st.sampled_from(["GET", "PUT"])),
    allow_headers=unique(names),
    expose_headers=unique(names),
    max_age_s=maybe(st.integers(0, 86400).map(float)),
    allow_credentials=flags,
    forward_unmatched_preflights=flags,
)


@st.composite
def routes(draw: st.DrawFn) -> Route:
    action = draw(actions)
    forwarding = isinstance(action, Forward)
    return Route(
        name=draw(st.one_of(st.just(""), names)),
        match=draw(matches),
        action=action,
        fault_delay=draw(maybe(st.builds(FaultDelay, percent=percents, delay_s=seconds))),
        fault_abort=draw(maybe(faults)),
        cors=draw(maybe(cors)),
        request_headers=draw(changes),
        response_headers=draw(changes),
        filter_config=draw(per_route),
        rate_limits=draw(few(limit_rules, 1)) if forwarding else (),
        include_vh_rate_limits=draw(flags) if forwarding else False,
    )


@st.composite
def route_configurations(draw: st.DrawFn, name: str) -> RouteConfiguration:
    domains = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    virtual_hosts = tuple(
        VirtualHost(
            name=f"{domain}:80",
            domains=(f"{domain}.example",),
            routes=draw(few(routes())),
            require_tls=draw(flags),
            request_headers=draw(changes),
            response_headers=draw(changes),
            filter_config=draw(per_route),
            rate_limits=draw(few(limit_rules, 1)),
        )
        for domain in domains
    )
    return RouteConfiguration(name=name, virtual_hosts=virtual_hosts, ignore_port_in_host=draw(flags))


@st.composite
def managers(draw: st.DrawFn, name: str) -> HttpConnectionManager:
    return HttpConnectionManager(
        route_config=draw(route_configurations(name)),
        stat_prefix=f"outbound_{name}",
        codec=draw(st.sampled_from(["AUTO", "HTTP1", "HTTP2"])),
        http_filters=draw(http_filters),
        use_remote_address=draw(flags),
        xff_num_trusted_hops=draw(st.integers(0, 3)),
        idle_timeout_s=draw(st.one_of(st.just(0.0), seconds)),
        stream_idle_timeout_s=draw(st.one_of(st.just(0.0), seconds)),
        request_timeout_s=draw(st.one_of(st.just(0.0), seconds)),
        max_connection_duration_s=draw(st.one_of(st.just(0.0), seconds)),
        max_requests_per_connection=draw(maybe(small)),
        max_concurrent_streams=draw(maybe(small)),
        normalize_path=draw(flags),
        merge_slashes=draw(flags),
        unescape_slashes=draw(flags),
    )


tcp_proxies = st.builds(
    TcpProxy,
    clusters=st.lists(
        st.builds(WeightedCluster, cluster=cluster_names, weight=st.integers(1, 99)), min_size=1, max_size=2
    ).map(tuple),
    stat_prefix=names,
    idle_timeout_s=st.one_of(st.just(0.0), seconds),
    max_connection_duration_s=st.one_of(st.just(0.0), seconds),
    max_connect_attempts=st.integers(1, 5),
    hash_policy=st.sampled_from([(), (HashPolicy(kind="source_ip"),)]),
    route=st.one_of(st.just(""), names),
)


@st.composite
def tls(draw: st.DrawFn) -> DownstreamTls:
    mode = draw(st.sampled_from(["simple", "mutual", "optional_mutual", "istio_mutual"]))
    mesh = mode == "istio_mutual"
    return DownstreamTls(
        mode=mode,
        certificate="rsa2048" if mesh else draw(st.sampled_from(["unknown", "rsa2048", "p256"])),
        require_client_certificate=mode in ("mutual", "istio_mutual"),
        min_version=draw(st.sampled_from(["1.0", "1.2", "1.3"])),
        alpn=draw(st.sampled_from([("h2", "http/1.1"), ("http/1.1",)])),
        credential_name="" if mesh else draw(st.sampled_from(["", "shop", "rsa, ecdsa"])),
        usable=draw(flags),
        cipher_suites=draw(st.sampled_from([(), ("ECDHE-RSA-AES128-GCM-SHA256",)])),
    )


@st.composite
def listeners(draw: st.DrawFn, port: int) -> Listener:
    chains = []
    for position in range(draw(st.integers(1, 3))):
        terminated = draw(maybe(tls()))
        chains.append(
            FilterChain(
                name=f"chain{position}",
                match=FilterChainMatch(
                    server_names=(f"host{position}.example", f"*.wild{position}.example")
                    if terminated or position
                    else (),
                    transport_protocol=draw(st.sampled_from(["", "tls"])),
                    application_protocols=draw(st.sampled_from([(), ("h2",)])),
                    destination_port=draw(maybe(small)),
                    prefix_ranges=draw(st.sampled_from([(), ("10.0.0.0/8",)])),
                ),
                tls=terminated,
                filter=draw(st.one_of(managers(f"http.{port}.{position}"), tcp_proxies)),
                network_filters=draw(few(network_filters, 1)),
                handshake_timeout_s=draw(seconds) if terminated else 15.0,
            )
        )
    return Listener(
        name=f"0.0.0.0_{port}",
        port=port,
        declared_ports=draw(unique(small)),
        bind=draw(st.sampled_from(["", "127.0.0.7"])),
        filter_chains=tuple(chains),
        default_chain=draw(maybe(st.builds(FilterChain, name=st.just("rest"), filter=tcp_proxies))),
        max_connections=draw(st.sampled_from([2**31 - 1, 100])),
        accepts_per_event=draw(st.integers(1, 3)),
        proxy_protocol=draw(flags),
    )


# --- clusters ------------------------------------------------------------------------------------------------------

localities = st.sampled_from([Locality(), Locality(region="r", zone="a"), Locality(region="r", zone="b", subzone="s")])

locality_lbs = st.builds(
    LocalityLb,
    priorities=flags,
    failover=few(st.builds(LocalityFailover, source=names, to=names)),
    failover_priority=few(names),
    distribute=few(st.builds(LocalityShare, source=names, to=few(st.tuples(names, small)))),
)
breakers = st.builds(
    CircuitBreakers,
    max_connections=small,
    max_pending_requests=small,
    max_requests=small,
    max_retries=small,
    retry_budget=maybe(st.builds(RetryBudget, percent=percents, min_retry_concurrency=small)),
)
outliers = st.builds(
    OutlierDetection,
    consecutive_5xx=small,
    enforcing_consecutive_5xx=st.sampled_from([0, 100]),
    consecutive_gateway_failure=small,
    enforcing_consecutive_gateway_failure=st.sampled_from([0, 100]),
    consecutive_local_origin_failure=small,
    split_external_local_origin_errors=flags,
    interval_s=seconds,
    base_ejection_time_s=st.integers(1, 200).map(float),
    success_rate_minimum_hosts=small,
    success_rate_stdev_factor=small.map(float),
    enforcing_success_rate=st.integers(0, 100),
    failure_percentage_threshold=st.integers(0, 100).map(float),
    enforcing_failure_percentage=st.integers(0, 100),
    max_ejection_percent=st.integers(1, 100).map(float),
)


@st.composite
def endpoints(draw: st.DrawFn, address: str, mutual: st.SearchStrategy) -> Endpoint:
    return Endpoint(
        address=address,
        port=8000,
        weight=draw(small),
        locality=draw(localities),
        labels=draw(st.dictionaries(names, names, max_size=1)),
        workload=draw(st.sampled_from(["", "app/shop"])),
        pod=draw(st.sampled_from(["", "shop-0"])),
        network=draw(st.sampled_from(["", "net1"])),
        cluster=draw(st.sampled_from(["", "east"])),
        mtls=draw(mutual),
        mtls_known=draw(flags),
        accepts=draw(st.sampled_from(["", "STRICT"])),
        via=draw(st.sampled_from(["", "east/istio-system/eastwest"])),
        healthy=draw(flags),
    )


@st.composite
def clusters(draw: st.DrawFn, port: int) -> Cluster:
    host, subset = draw(hosts), draw(st.one_of(st.just(""), names))
    policy = draw(st.sampled_from([one for one in LbPolicy if one is not LbPolicy.ORIGINAL_DST]))
    slow = policy in (LbPolicy.ROUND_ROBIN, LbPolicy.LEAST_REQUEST)
    own_tls = draw(
        maybe(
            st.one_of(
                st.builds(UpstreamTls, mode=st.just("istio_mutual"), sni=names),
                st.builds(
                    UpstreamTls,
                    mode=st.sampled_from(["simple", "mutual"]),
                    sni=names,
                    credential_name=names,
                    usable=flags,
                ),
            )
        )
    )
    mutual = st.just(own_tls.mode == "istio_mutual") if own_tls is not None else flags
    return Cluster(
        name=cluster_name(port, subset, host),
        host=host,
        port=port,
        subset=subset,
        discovery=draw(st.sampled_from(["EDS", "STATIC"])),
        endpoints=tuple(
            draw(endpoints(f"10.0.{port % 250}.{n + 1}", mutual))
            for n in range(draw(st.integers(0, 3)))
        ),
        lb_policy=policy,
        choice_count=draw(st.integers(2, 5)) if policy is LbPolicy.LEAST_REQUEST else 2,
        ring_size=draw(st.sampled_from([101, 5003])) if policy in (LbPolicy.RING_HASH, LbPolicy.MAGLEV) else 1024,
        slow_start=draw(maybe(st.builds(SlowStart, window_s=seconds, min_weight_percent=percents, aggression=small.map(float)))) if slow else None,
        locality_lb=draw(maybe(locality_lbs)),
        circuit_breakers=draw(breakers),
        connect_timeout_s=draw(seconds),
        max_requests_per_connection=draw(maybe(small)),
        idle_timeout_s=draw(st.one_of(st.just(0.0), seconds)),
        max_connection_duration_s=draw(maybe(seconds)),
        tcp_idle_timeout_s=draw(maybe(seconds)),
        upstream_http=draw(st.sampled_from([1, 2])),
        use_downstream_protocol=draw(flags),
        max_concurrent_streams=draw(maybe(small)),
        tls=own_tls,
        proxy_protocol=draw(st.sampled_from([None, "V1", "V2"])),
        outlier_detection=draw(maybe(outliers)),
        panic_threshold_percent=draw(percents),
        update_merge_window_s=draw(seconds),
        external=draw(flags),
        protocol=draw(st.sampled_from(["HTTP", "HTTP2", "GRPC", "TCP"])),
    )  # fmt: skip


@st.composite
def proxies(draw: st.DrawFn) -> Proxy:
    """A gateway with a few listeners and clusters."""
    found = [draw(clusters(port)) for port in range(80, 80 + draw(st.integers(0, 3)))]
    return Proxy(
        name="edge",
        namespace="gw",
        cluster=draw(st.sampled_from(["", "east"])),
        labels={"app": "edge"},
        workers=draw(st.integers(1, 8)),
        network=draw(st.sampled_from(["", "net1"])),
        listeners=tuple(draw(listeners(port)) for port in range(8080, 8080 + draw(st.integers(0, 2)))),
        clusters={one.name: one for one in found},
    )
