"""Route choice against a naive oracle: linear scans and plain text operations."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gwsim.topology import (
    Cluster,
    Endpoint,
    FilterChain,
    FilterChainMatch,
    Forward,
    HeaderMatch,
    HttpConnectionManager,
    Listener,
    Outcome,
    PathMatch,
    Proxy,
    QueryMatch,
    Request,
    Route,
    RouteConfiguration,
    RouteMatch,
    StringMatch,
    TcpProxy,
    VirtualHost,
    WeightedCluster,
    choose,
)
from gwsim.topology.matching import normalized

LABELS = st.sampled_from(["a", "b", "ab", "c"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
DOMAINS = st.one_of(HOSTS, HOSTS.map("*.{}".format), HOSTS.map("{}.*".format), st.just("*"), HOSTS.map(str.upper))
PATHS = st.lists(st.sampled_from(["a", "b", "ab", ""]), max_size=3).map(lambda parts: "/" + "/".join(parts))
CLUSTER = Cluster(name="c", host="c", port=80, endpoints=(Endpoint(address="c", port=80),))
FORWARD = Forward(clusters=(WeightedCluster(cluster="c"),))

path_matches = st.builds(
    PathMatch,
    kind=st.sampled_from(["any", "exact", "prefix", "path_separated_prefix", "regex"]),
    value=PATHS,
    ignore_case=st.booleans(),
)
texts = st.sampled_from(["", "a", "ab", "b"])
string_matches = st.builds(
    StringMatch, kind=st.sampled_from(["exact", "prefix", "suffix", "contains", "regex", "present"]), value=texts
)
names = st.sampled_from(["x", "y"])
route_matches = st.builds(
    RouteMatch,
    path=path_matches,
    headers=st.lists(st.builds(HeaderMatch, name=names, match=string_matches), max_size=1).map(tuple),
    without_headers=st.lists(st.builds(HeaderMatch, name=names, match=string_matches), max_size=1).map(tuple),
    query_params=st.lists(st.builds(QueryMatch, name=names, match=string_matches), max_size=1).map(tuple),
    method=st.none() | st.just(StringMatch(kind="exact", value="POST")),
)


@st.composite
def configurations(draw: st.DrawFn) -> RouteConfiguration:
    domains = draw(st.lists(DOMAINS, min_size=1, max_size=6, unique_by=str.lower))
    hosts = []
    for number, domain in enumerate(domains):
        matches = draw(st.lists(route_matches, max_size=4))
        routes = tuple(Route(name=f"{number}.{n}", match=match, action=FORWARD) for n, match in enumerate(matches))
        hosts.append(VirtualHost(name=domain, domains=(domain,), routes=routes))
    return RouteConfiguration(name="r", virtual_hosts=tuple(hosts))


requests = st.builds(
    Request,
    host=st.builds("{}{}".format, HOSTS, st.sampled_from(["", ":80"])),
    path=st.builds("{}{}".format, PATHS, st.sampled_from(["", "?x=a", "?x=ab&y=b", "?y"])),
    method=st.sampled_from(["GET", "POST"]),
    headers=st.dictionaries(st.sampled_from(["x", "Y"]), texts, max_size=2),
)


def oracle_text(match: StringMatch, text: str) -> bool:
    return {
        "exact": text == match.value,
        "prefix": text[: len(match.value)] == match.value,
        "suffix": match.value == "" or text[-len(match.value) :] == match.value,
        "contains": match.value in text,
        "regex": re.fullmatch(match.value, text) is not None,
        "present": True,
    }[match.kind]


def oracle_path(match: PathMatch, path: str) -> bool:
    value = match.value
    if match.ignore_case:
        path, value = path.lower(), value.lower()
    if match.kind == "path_separated_prefix":
        return (path + "/")[: len(value) + 1] == value + "/"
    return match.kind == "any" or oracle_text(StringMatch(kind=match.kind, value=value), path)


def oracle_route(match: RouteMatch, request: Request) -> bool:
    path, _, query = request.path.partition("?")
    headers = {name.lower(): value for name, value in request.headers.items()}
    params: dict[str, str] = {}
    for part in query.split("&"):
        params.setdefault(part.split("=")[0], part.split("=")[1] if "=" in part else "")
    if not oracle_path(match.path, path):
        return False
    for one in match.headers:
        if one.name not in headers or not oracle_text(one.match, headers[one.name]):
            return False
    for one in match.without_headers:
        if one.match.kind == "present":
            if one.name in headers:
                return False
        elif oracle_text(one.match, headers.get(one.name, "")):
            return False
    for param in match.query_params:
        if param.name not in params or not oracle_text(param.match, params[param.name]):
            return False
    return match.method is None or request.method == match.method.value


def oracle_host(configuration: RouteConfiguration, host: str) -> VirtualHost | None:
    def rank(domain: str) -> tuple[int, int] | None:
        domain = domain.lower()
        if domain == "*":
            return (0, 0)
        if domain.startswith("*"):
            return (2, len(domain)) if host.endswith(domain[1:]) and len(host) >= len(domain) else None
        if domain.endswith("*"):
            return (1, len(domain)) if host.startswith(domain[:-1]) and len(host) >= len(domain) else None
        return (3, 0) if domain == host else None

    ranked = [(rank(one.domains[0]), -n, one) for n, one in enumerate(configuration.virtual_hosts)]
    found = [one for one in ranked if one[0] is not None]
    return max(found, key=lambda one: one[:2])[2] if found else None


def proxy_of(*chains: FilterChain) -> Proxy:
    listener = Listener(name="l", port=80, filter_chains=chains)
    return Proxy(name="p", namespace="n", listeners=(listener,), clusters={"c": CLUSTER})


def http_chain(configuration: RouteConfiguration) -> FilterChain:
    return FilterChain(name="h", filter=HttpConnectionManager(route_config=configuration, normalize_path=False))


@settings(max_examples=400, deadline=None)
@given(configurations(), requests)
def test_route_choice_is_the_naive_one(configuration: RouteConfiguration, request: Request) -> None:
    proxy = proxy_of(http_chain(configuration))
    got = choose(proxy, 80, request)
    host = oracle_host(configuration, request.host.lower().removesuffix(":80"))
    route = next((one for one in host.routes if oracle_route(one.match, request)), None) if host else None
    assert got.virtual_host == (host.name if host else "")
    assert got.rule is route
    assert got.outcome == (Outcome.FORWARD if route else Outcome.NOT_FOUND)
    told = choose(proxy, 80, request, explain=True)
    assert (told.rule, told.outcome) == (got.rule, got.outcome)
    assert [step.name for step in told.steps if step.kind == "route" and step.taken] == ([route.name] if route else [])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(HOSTS, HOSTS.map("*.{}".format), st.just("*")), min_size=1, max_size=6, unique=True), HOSTS | st.just(""))
def test_server_name_choice_is_the_naive_one(server_names: list[str], sni: str) -> None:
    chains = tuple(
        FilterChain(
            name=name,
            match=FilterChainMatch(server_names=() if name == "*" else (name,)),
            filter=TcpProxy(clusters=(WeightedCluster(cluster="c"),)),
        )
        for name in server_names
    )
    got = choose(proxy_of(*chains), 80, Request(scheme="tls", sni=sni))
    covering = [name for name in server_names if name.startswith("*.") and sni.endswith(name[1:]) and sni != name[2:]]
    if sni in server_names:
        want = sni
    elif covering:
        want = max(covering, key=len)
    else:
        want = "*" if "*" in server_names else ""
    assert got.filter_chain == want
    assert got.outcome == (Outcome.FORWARD if want else Outcome.CONNECTION_REJECTED)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/../../b", "/b"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/a\\b", "/a/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a..b/...", "/a..b/..."),
        ("//a//b", "//a//b"),
    ],
)
def test_paths_are_normalised(path: str, expected: str) -> None:
    assert normalized(path) == expected


def test_ten_thousand_hosts_are_looked_up_fast() -> None:
    route = Route(name="a", match=RouteMatch(path=PathMatch(kind="prefix", value="/")), action=FORWARD)
    hosts = tuple(VirtualHost(name=f"h{n}", domains=(f"h{n}.example",), routes=(route,)) for n in range(10_000))
    proxy = proxy_of(http_chain(RouteConfiguration(name="r", virtual_hosts=hosts)))
    asked = [Request(host=f"h{n}.example", path="/x") for n in range(0, 10_000, 5)]
    for request in asked:
        choose(proxy, 80, request)
    best_s = min(_timed(proxy, asked) for _ in range(5))
    assert best_s / len(asked) < 100e-6, "20 us on an idle core; five times that means something is linear"


def _timed(proxy: Proxy, asked: list[Request]) -> float:
    start = time.perf_counter()
    for request in asked:
        choose(proxy, 80, request)
    return time.perf_counter() - start
