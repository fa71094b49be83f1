"""A dump as istiod's gateways give it, read and held against the configuration it was pushed for."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gwsim.diagnostics import Collector
from gwsim.errors import InputError
from gwsim.resources import read
from gwsim.topology import (
    HttpConnectionManager,
    HttpFilter,
    Outcome,
    Proxy,
    Request,
    StringMatch,
    Topology,
    choose,
    filters,
)
from gwsim.topology.access import AccessPolicy, AccessRules, PathIs
from gwsim.topology.diff import Difference, counted, diff_proxies
from gwsim.topology.from_config_dump import from_config_dump, from_config_dump_text
from gwsim.topology.from_istio import from_istio

DUMPS = Path(__file__).parent / "dumps"
APPLES = "apples.orchard.svc.cluster.local"


@pytest.fixture(scope="module")
def dump() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DUMPS / "orchard.json").read_text())
    return found


def topology_of(dump: object) -> tuple[Topology, list[str]]:
    collector = Collector()
    topology = from_config_dump_text(json.dumps(dump), collector=collector)
    return topology, [one.message for one in collector.findings]


@pytest.fixture(scope="module")
def files() -> tuple[Topology, Proxy]:
    """The configuration and its gateway."""
    resources = read([DUMPS / "orchard.yaml"], collector=Collector())
    topology = from_istio(resources, assume_exists=["Secret/gateways/fruit-cert"], collector=Collector())
    return topology, topology.proxy("gateways", "fruit-gateway")


def compared(files: tuple[Topology, Proxy], dump: object) -> tuple[Difference, ...]:
    topology, proxy = files
    other, _ = topology_of(dump)
    return diff_proxies(proxy, other.proxies[0], left=topology, right=other, view="envoy")


# --- reading -------------------------------------------------------------------------------------------------------


def test_who_the_proxy_is(dump: dict[str, Any]) -> None:
    topology, _ = topology_of(dump)
    proxy = topology.proxies[0]
    assert (topology.istio_version, proxy.key, proxy.kind, proxy.cluster) == ("1.30", "gateways/fruit-gateway", "gateway", "Kubernetes")
    assert proxy.labels["edge"] == "fruit"
    assert [one.port for one in proxy.listeners] == [8080, 8443, 15021, 15090]


def test_certificates_policies_and_endpoints(dump: dict[str, Any]) -> None:
    proxy = topology_of(dump)[0].proxies[0]
    https = proxy.listener(8443)
    assert https is not None
    tls = https.filter_chains[0].tls
    assert tls is not None
    assert (tls.mode, tls.certificate, tls.credential_name, tls.usable) == ("simple", "p256", "fruit-cert", True)
    cluster = proxy.clusters[f"outbound|8000|ripe|{APPLES}"]
    assert (cluster.host, cluster.port, cluster.subset) == (APPLES, 8000, "ripe")
    assert (cluster.circuit_breakers.max_connections, cluster.circuit_breakers.max_pending_requests) == (64, 32)
    assert cluster.outlier_detection is not None
    assert (cluster.outlier_detection.consecutive_5xx, cluster.outlier_detection.interval_s) == (4, 7.0)
    assert cluster.panic_threshold_percent == 0.0
    assert [(one.address, one.port, one.mtls, one.workload) for one in cluster.endpoints] == [
        ("10.6.0.21", 80, True, "orchard/apples-v1"), ("10.6.0.22", 80, True, "orchard/apples-v1"),
    ]  # fmt: skip
    assert {str(one.locality) for one in cluster.endpoints} == {"vale/north/"}


def test_requests_go_the_way_the_dump_says(dump: dict[str, Any]) -> None:
    proxy = topology_of(dump)[0].proxies[0]
    basket = choose(proxy, 8080, Request(host="fruit.example", path="/picked", headers={"x-basket": "big"}))
    assert (basket.route, basket.clusters[0].cluster, basket.timeout_s) == ("picked", f"outbound|8000|ripe|{APPLES}", 4.0)
    assert choose(proxy, 8080, Request(host="fruit.example", path="/picked")).route == "rest"
    assert choose(proxy, 8080, Request(host="other.example")).outcome is Outcome.NOT_FOUND
    assert choose(proxy, 15021, Request(host="x", path="/healthz/ready")).outcome is Outcome.FORWARD


def test_what_is_not_modelled_is_listed_with_its_path(dump: dict[str, Any]) -> None:
    _, found = topology_of(dump)
    assert "$.configs[3].dynamic_listeners[0].active_state.listener.filter_chains[0].filters[0].typed_config.tracing" in found[-2]
    names = {one.partition(": ")[2].partition(" is")[0] for one in found}
    assert {"tracing", "upgrade_configs", "access_log", "server_name"} <= names
    # What the model has is not among them.
    assert not names & {"circuit_breakers", "retry_policy", "http_filters", "timeout", "lb_policy"}


def test_states_of_listeners(dump: dict[str, Any]) -> None:
    changed = copy.deepcopy(dump)
    first, second = changed["configs"][3]["dynamic_listeners"]
    first["warming_state"] = first.pop("active_state")
    second["draining_state"] = second.pop("active_state")
    second["error_state"] = {"details": "no such filter"}
    topology, _ = topology_of(changed)
    assert [one.port for one in topology.proxies[0].listeners] == [8080, 15021, 15090]
    told = "; ".join(topology.assumptions)
    assert "0.0.0.0_8080 is still warming" in told
    assert "0.0.0.0_8443 is draining" in told
    assert "refused the last update of listener 0.0.0.0_8443: no such filter" in told


def test_a_secret_still_waited_for_makes_the_chain_unusable(dump: dict[str, Any]) -> None:
    changed = copy.deepcopy(dump)
    secrets = changed["configs"][6]
    secrets["dynamic_warming_secrets"] = [{"name": one["name"], "secret": {}} for one in secrets.pop("dynamic_active_secrets")]
    https = topology_of(changed)[0].proxies[0].listener(8443)
    assert https is not None and https.filter_chains[0].tls is not None
    assert not https.filter_chains[0].tls.usable


def test_gzipped_files_and_files_by_kind(dump: dict[str, Any], tmp_path: Path) -> None:
    whole = tmp_path / "dump.json.gz"
    whole.write_bytes(gzip.compress(json.dumps(dump).encode()))
    one = from_config_dump([whole]).proxies[0]
    parts = []
    for n, section in enumerate(dump["configs"]):
        parts.append(tmp_path / f"{n}.json")
        parts[-1].write_text(json.dumps(section))
    other = from_config_dump(parts).proxies[0]
    assert diff_proxies(one, other, view="full") == ()


def test_bad_files_are_told_by_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"configs": [\n  {"a": 1},\n  oops\n]}')
    with pytest.raises(InputError, match=r"bad\.json:3:3: not JSON"):
        from_config_dump([path])
    path.write_text('{"kind": "Pod"}')
    with pytest.raises(InputError, match="holds nothing of an Envoy configuration"):
        from_config_dump([path])
    path.write_bytes(gzip.compress(b"{}")[:-6])
    with pytest.raises(InputError, match="cannot be read"):
        from_config_dump([path])
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="nested deeper"):
        from_config_dump([path])


def test_a_value_of_the_wrong_kind_is_told_with_its_path(dump: dict[str, Any]) -> None:
    changed = copy.deepcopy(dump)
    changed["configs"][1]["dynamic_active_clusters"][1]["cluster"]["connect_timeout"] = "soon"
    with pytest.raises(InputError, match=r"dynamic_active_clusters\[1\]\.cluster\.connect_timeout: expected a duration"):
        topology_of(changed)


JUNK = st.sampled_from([None, True, 0, -1, 1e400, "", "x", "1s", [], {}, [1], ["a"], [None], {"a": 1}, [{}], {"value": "x"}])


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of JSON data."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(data=st.data())
def test_no_damage_gives_a_traceback(data: st.DataObject, dump: dict[str, Any]) -> None:
    changed = copy.deepcopy(dump)
    for _ in range(data.draw(st.integers(1, 3))):
        found = places(changed)
        container, key = found[data.draw(st.integers(0, len(found) - 1))]
        container[key] = copy.deepcopy(data.draw(JUNK))
    try:
        topology_of(changed)
    except InputError as error:
        assert error.findings


# --- comparing -----------------------------------------------------------------------------------------------------


def test_what_istiod_pushed_does_not_differ(files: tuple[Topology, Proxy], dump: dict[str, Any]) -> None:
    found = compared(files, dump)
    assert [str(one) for one in counted(found)] == []
    excuses = {one.excuse for one in found}
    assert "Istio's own" in excuses
    assert any("not in the files given" in one for one in excuses)


def listener(dump: Any, n: int) -> Any:
    return dump["configs"][3]["dynamic_listeners"][n]["active_state"]["listener"]


def vhost(dump: Any) -> Any:
    return dump["configs"][5]["dynamic_route_configs"][0]["route_config"]["virtual_hosts"][0]


def apples(dump: Any) -> Any:
    return dump["configs"][1]["dynamic_active_clusters"][1]["cluster"]


Change = Callable[[Any], object]
CHANGES: list[tuple[str, Change, str, str, str]] = [
    ("timeout", lambda d: vhost(d)["routes"][0]["route"].update(timeout="9s"), "route", "changed", "action.timeout_s"),
    ("cluster", lambda d: vhost(d)["routes"][1]["route"].update(cluster="outbound|8000|ripe|" + APPLES), "route", "changed", "action.clusters"),
    ("retries", lambda d: vhost(d)["routes"][0]["route"]["retry_policy"].update(num_retries=5), "route", "changed", "action.retry_policy.num_retries"),
    ("fewer routes", lambda d: vhost(d)["routes"].pop(), "route", "removed", ""),
    ("more routes", lambda d: vhost(d)["routes"].append({"match": {"prefix": "/x"}, "direct_response": {"status": 200}}), "route", "added", ""),
    ("order", lambda d: vhost(d)["routes"].reverse(), "route", "changed", "order"),
    ("domain", lambda d: vhost(d).update(domains=["veg.example"]), "virtual_host", "removed", ""),
    ("https redirect", lambda d: vhost(d).update(require_tls="ALL"), "virtual_host", "changed", "require_tls"),
    ("SNI", lambda d: listener(d, 1)["filter_chains"][0]["filter_chain_match"].update(server_names=["veg.example"]), "filter_chain", "removed", ""),
    ("TLS", lambda d: listener(d, 1)["filter_chains"][0].pop("transport_socket"), "filter_chain", "changed", "tls"),
    ("listener gone", lambda d: d["configs"][3]["dynamic_listeners"].pop(0), "listener", "removed", ""),
    ("breaker", lambda d: apples(d)["circuit_breakers"]["thresholds"][0].update(max_connections=65), "cluster", "changed", "circuit_breakers.max_connections"),
    ("ejection", lambda d: apples(d).pop("outlier_detection"), "cluster", "changed", "outlier_detection"),
    ("balancing", lambda d: apples(d).pop("lb_policy"), "cluster", "changed", "lb_policy"),
    ("cluster gone", lambda d: d["configs"][1]["dynamic_active_clusters"].pop(1), "cluster", "removed", ""),
    ("pod gone", lambda d: d["configs"][2]["dynamic_endpoint_configs"][0]["endpoint_config"]["endpoints"][0]["lb_endpoints"].pop(), "endpoint", "changed", "count"),
    ("filter", lambda d: listener(d, 0)["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"].pop(3), "http_filter", "removed", ""),
    ("buffer", lambda d: listener(d, 0)["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"].insert(0, {"name": "b", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer", "max_request_bytes": 9}}), "http_filter", "added", ""),
]  # fmt: skip


@pytest.mark.parametrize(("change", "kind", "what", "field"), [one[1:] for one in CHANGES], ids=[one[0] for one in CHANGES])
def test_what_differs_is_told(
    files: tuple[Topology, Proxy], dump: dict[str, Any], change: Change, kind: str, what: str, field: str
) -> None:
    changed = copy.deepcopy(dump)
    change(changed)
    found = counted(compared(files, changed))
    same = [one for one in found if (one.kind, one.change) == (kind, what)]
    assert same, [str(one) for one in found]
    if field:
        assert field in {one.name for each in same for one in each.fields if not one.excuse}
    if what != "added" and kind in ("route", "virtual_host", "filter_chain") and field != "order":
        assert same[0].left is not None and same[0].left.file.endswith("orchard.yaml") and same[0].left.line


def test_a_filter_that_the_model_has_not_is_excused(files: tuple[Topology, Proxy], dump: dict[str, Any]) -> None:
    changed = copy.deepcopy(dump)
    filters = listener(changed, 0)["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    filters.insert(0, {"name": "oauth2", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.oauth2.v3.OAuth2"}})
    found = compared(files, changed)
    assert counted(found) == ()
    assert [one.excuse for one in found if one.kind == "http_filter"] == ["not modelled"]


def test_what_custom_authorization_is_made_of_is_one_filter_here(files: tuple[Topology, Proxy], dump: dict[str, Any]) -> None:
    topology, proxy = files
    chain = proxy.listeners[0].filter_chains[0]
    assert isinstance(chain.filter, HttpConnectionManager)
    rules = AccessRules(action="DENY", policies=(AccessPolicy(name="all", condition=PathIs(StringMatch(kind="prefix", value="/admin"))),))
    asked = HttpFilter(name=filters.EXT_AUTHZ, config=filters.ExtAuthz(cluster="outbound|9000||guard", only=rules))
    manager = replace(chain.filter, http_filters=(chain.filter.http_filters[0], asked, *chain.filter.http_filters[1:]))
    ours = replace(
        proxy, listeners=(replace(proxy.listeners[0], filter_chains=(replace(chain, filter=manager),)), *proxy.listeners[1:])
    )
    changed = copy.deepcopy(dump)
    prefix = "type.googleapis.com/envoy.extensions.filters.http"
    authz = {"@type": f"{prefix}.ext_authz.v3.ExtAuthz", "grpc_service": {"envoy_grpc": {"cluster_name": "outbound|9000||guard"}, "timeout": "0.2s"}}
    shadow = {"@type": f"{prefix}.rbac.v3.RBAC", "shadow_rules": {"action": "DENY", "policies": {}}}
    listener(changed, 0)["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"][1:1] = [
        {"name": filters.RBAC, "typed_config": shadow}, {"name": filters.EXT_AUTHZ, "typed_config": authz},
    ]  # fmt: skip
    other, _ = topology_of(changed)
    found = diff_proxies(ours, other.proxies[0], left=topology, right=other, view="envoy")
    assert [str(one) for one in counted(found)] == []
    assert any("part of that filter here" in one.excuse for one in found)
