"""What is written as Envoy's JSON is read back as it was: generated proxies, and those of the corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from topology_corpus import corpus_folder
from topology_strategies import proxies

from gwsim.diagnostics import Collector
from gwsim.resources import ResourceSet, read
from gwsim.topology import Proxy, to_envoy
from gwsim.topology.diff import diff_proxies
from gwsim.topology.from_config_dump import from_config_dump_text
from gwsim.topology.from_istio import from_istio


def back(dump: Any) -> tuple[Proxy, list[str]]:
    """A dump read, and what was found not to be modelled."""
    collector = Collector()
    topology = from_config_dump_text(json.dumps(dump), collector=collector)
    return topology.proxies[0], [one.message for one in collector.findings]


def snake(value: Any) -> Any:
    """The same with the field names of the admin page; the keys of maps are names and stay."""
    if isinstance(value, list):
        return [snake(one) for one in value]
    if not isinstance(value, dict):
        return value
    maps = {"filterMetadata", "typedPerFilterConfig", "typedExtensionProtocolOptions", "policies", "providers", "LABELS"}
    done: dict[str, Any] = {}
    for key, inner in value.items():
        name = "".join(f"_{c.lower()}" if c.isupper() else c for c in key) if key[:1].islower() else key
        if key in ("metadata",) or (key == "filterMetadata"):
            done[name] = {"filter_metadata": inner["filterMetadata"]} if "filterMetadata" in inner else inner
        elif key in maps and isinstance(inner, dict):
            done[name] = {one: snake(each) for one, each in inner.items()}
        else:
            done[name] = snake(inner)
    return done


# Shrinking a whole proxy takes minutes, and the difference says what is wrong.
SLOW = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate]
)


@SLOW
@given(proxy=proxies())
def test_a_generated_proxy_comes_back_equal(proxy: Proxy) -> None:
    got, not_modelled = back(to_envoy.config_dump(proxy, "1.30.2"))
    assert diff_proxies(proxy, got, view="config") == ()
    assert not_modelled == []
    assert (got.key, got.cluster, got.network, got.labels) == (proxy.key, proxy.cluster, proxy.network, proxy.labels)
    assert got.workers == proxy.workers


@settings(SLOW, max_examples=10)
@given(proxy=proxies())
def test_the_admin_pages_field_names_mean_the_same(proxy: Proxy) -> None:
    got, not_modelled = back(snake(to_envoy.config_dump(proxy)))
    assert diff_proxies(proxy, got, view="config") == ()
    assert not_modelled == []


@settings(SLOW, max_examples=10)
@given(proxy=proxies())
def test_the_outputs_by_kind_make_the_same_proxy(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> None:
    from gwsim.report.proxy_config import Wanted, as_json
    from gwsim.topology.from_config_dump import from_config_dump

    folder = tmp_path_factory.mktemp("by-kind")
    paths = []
    for part in ("listeners", "routes", "clusters", "endpoints"):
        paths.append(folder / f"{part}.json")
        paths[-1].write_text(as_json(part, proxy, Wanted()))
    collector = Collector()
    got = from_config_dump(paths, collector=collector).proxies[0]
    assert diff_proxies(proxy, got, view="config") == ()
    assert collector.findings == ()


def corpus_files() -> list[Path]:
    """YAML files of the corpus with a Gateway in them."""
    folder = corpus_folder()
    if folder is None:
        return []
    found = [path for path in sorted(folder.parent.rglob("*.y*ml")) if "cases" not in path.parts]
    return [path for path in found if "kind: Gateway" in path.read_text(errors="replace")]


def test_the_proxies_of_the_corpus_come_back_equal() -> None:
    files = corpus_files()
    if not files:
        pytest.skip("the corpus is not beside the checkout")
    compared = 0
    for path in files:
        collector = Collector()
        resources = read([path], collector=collector)
        if collector.has_errors:
            continue
        selectors = [(one.namespace, dict(one.selector)) for one in resources.gateways if one.selector]
        topology = from_istio(resources, gateways=selectors, collector=collector)
        for proxy in topology.proxies:
            got, not_modelled = back(to_envoy.config_dump(proxy))
            assert diff_proxies(proxy, got, view="config") == (), path.name
            assert not_modelled == [], path.name
            compared += 1
        for one in resources.deployments[:2]:
            compared += sidecar_of(resources, one.namespace, dict(one.labels))
    assert compared > 20


def sidecar_of(resources: ResourceSet, namespace: str, labels: dict[str, str]) -> int:
    """Compare a workload's sidecar; 1 when there is one."""
    topology = from_istio(resources, sidecars=[(namespace, labels)], collector=Collector())
    found = [one for one in topology.proxies if one.kind == "sidecar"]
    for proxy in found:
        got, not_modelled = back(to_envoy.config_dump(proxy))
        assert got.kind == "sidecar"
        assert diff_proxies(proxy, got, view="config") == ()
        assert not_modelled == []
    return len(found)
