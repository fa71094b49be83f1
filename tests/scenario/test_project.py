"""From a path to scenario and topology: scenarios, plain configuration, templates."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenario_text import ISTIO, REPOSITORY, SCENARIO

from gwsim import scenario
from gwsim.diagnostics import Collector
from gwsim.errors import InputError, UsageError
from gwsim.scenario import model

MEANT = {"cpu-limit": {"GW0303"}, "primary-remote": {"GW0303"}, "tls-passthrough": {"GW0016"}}
"""Warnings that a scenario is about."""


@pytest.mark.parametrize("path", sorted(file.parent.name for file in (REPOSITORY / "scenarios").glob("*/scenario.yaml")))
def test_every_scenario_of_the_repository_resolves_without_a_warning(path: str) -> None:
    collector = Collector()
    project = scenario.open_project(REPOSITORY / "scenarios" / path, collector=collector)
    resolved = scenario.resolve(project.loaded, project.topology, collector=collector)
    assert {one.code for one in collector.warnings} == MEANT.get(path, set())
    assert resolved.question
    # these show where time goes rather than hold a limit
    assert resolved.budgets or path in ("cpu-limit", "retry-storm")


def test_ingress_bookinfo_hits_the_canary() -> None:
    project = scenario.open_project(REPOSITORY / "scenarios" / "ingress-bookinfo")
    resolved = scenario.resolve(project.loaded, project.topology)
    targets = {label.shape: outcome for label, outcome in zip(resolved.classes, outcomes(resolved), strict=True)}
    assert [(one.weight, resolved.model.clusters[one.cluster].cluster.subset) for one in targets["reviews"].targets] == [(90, "v1"), (10, "v2")]
    assert not any(label.assumed for label in resolved.stations)
    requests = sum(client.arrivals.segments[0].start_rps for client in resolved.model.clients)  # type: ignore[union-attr]
    assert requests * resolved.model.run.duration_s * resolved.model.run.replications < 1_000_000


def outcomes(resolved: scenario.Resolved) -> list[model.Outcome]:
    return [shape.outcome for client in resolved.model.clients for shape in client.mix]


def test_plain_configuration_gets_a_default_workload(folder: Path) -> None:
    project = scenario.open_project(folder / "istio", set_=["clients.istio-ingressgateway-443.arrivals.poisson=5rps"])
    resolved = scenario.resolve(project.loaded, project.topology)
    https, plain = (project.loaded.scenario.clients[f"istio-ingressgateway-{port}"] for port in (443, 80))
    assert https.arrivals.poisson == 5.0
    assert plain.arrivals.poisson == 100.0
    assert [entry.path for entry in plain.mix] == ["/checkout", "/gone", "/cart"]
    assert https.sni == "shop.example"
    assert {label.route for label in resolved.classes} == {"checkout", "gone", "cart"}
    assert not [finding for finding in resolved.findings if finding.code == "GW0202"]
    assert resolved.assumptions[0].startswith("no scenario is given")
    assert any("100rps over 3 routes" in text for text in resolved.assumptions)
    assert project.topology.proxies[0].cluster == scenario.DEFAULT_CLUSTER


def test_objects_can_be_set_without_a_scenario(folder: Path) -> None:
    project = scenario.open_project(folder / "istio" / "all.yaml", set_=["VirtualService/shop/shop:spec.http[0].timeout=1s"])
    resolved = scenario.resolve(project.loaded, project.topology)
    assert resolved.model.clients[0].mix[0].outcome.timeout_s == 1.0
    with pytest.raises(InputError, match="there is no object"):
        scenario.open_project(folder / "istio", set_=["VirtualService/shop/nope:spec.http[0].timeout=1s"])


def test_configuration_without_any_route(tmp_path: Path) -> None:
    (tmp_path / "namespace.yaml").write_text(ISTIO.split("---")[0], encoding="utf-8")
    with pytest.raises(InputError, match="no route for a default workload"):
        scenario.open_project(tmp_path)


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        scenario.open_project(tmp_path / "nothing")


def test_problems_of_the_configuration_refuse_the_scenario(folder: Path) -> None:
    (folder / "istio" / "bad.yaml").write_text(ISTIO.replace("prefix: /cart", "prefx: /cart").replace("name: shop,", "name: other,"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        scenario.open_project(folder)
    assert any("bad.yaml" in str(finding.span) and "prefx" in finding.message for finding in caught.value.findings)


def test_two_clusters_side_by_side(folder: Path) -> None:
    text = SCENARIO.replace("  east: {config", "  west: {config: [istio/]}\n  east: {config")
    (folder / "scenario.yaml").write_text(text, encoding="utf-8")
    project = scenario.open_project(folder)
    resolved = scenario.resolve(project.loaded, project.topology)
    assert [proxy.cluster for proxy in project.topology.proxies] == ["west", "east"]
    assert resolved.fleets[0].name == "east/istio-system/istio-ingressgateway"


def test_the_template_is_a_scenario_that_resolves(tmp_path: Path) -> None:
    written = scenario.write_template(tmp_path / "demo")
    assert tmp_path / "demo" / "scenario.yaml" in written
    collector = Collector()
    project = scenario.open_project(tmp_path / "demo", collector=collector)
    scenario.resolve(project.loaded, project.topology, collector=collector)
    assert collector.warnings == ()


def test_the_template_writes_over_nothing(tmp_path: Path) -> None:
    (tmp_path / "istio").mkdir()
    (tmp_path / "istio" / "routes.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"routes\.yaml exists already"):
        scenario.write_template(tmp_path)
    assert not (tmp_path / "scenario.yaml").exists()
    assert (tmp_path / "istio" / "routes.yaml").read_text(encoding="utf-8") == "mine"
    with pytest.raises(UsageError, match="did you mean ingress"):
        scenario.write_template(tmp_path / "x", "ingres")
    with pytest.raises(UsageError, match="cannot write"):
        scenario.write_template(tmp_path / "istio" / "routes.yaml" / "x")


def test_helm_values_are_configuration_and_no_scenario(tmp_path):
    from gwsim.scenario import find_file, open_project

    values = tmp_path / "values.yaml"
    values.write_text("replicaCount: 3\nautoscaling: {enabled: false}\nresources: {limits: {cpu: 4}}\n")
    assert find_file(values) is None
    routes = tmp_path / "routes.yaml"
    routes.write_text(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: istio-system}\n"
        "spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}\n"
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: istio-system}\n"
        "spec: {hosts: [a.example], gateways: [g], http: [{route: [{destination: {host: shop}}]}]}\n"
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: istio-system}\nspec: {ports: [{name: http, port: 80}]}\n"
    )
    (proxy,) = open_project([values, routes]).topology.proxies
    assert (proxy.replicas, proxy.workers, proxy.autoscaler) == (3, 4, None)
