"""--set, for the scenario file and for objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scenario_text import SCENARIO, changed, one, read, refused

from gwsim.errors import InputError
from gwsim.scenario import Project, Resolved


def value(loaded: Any, *steps: Any) -> Any:
    found = loaded.data
    for step in steps:
        found = found[step]
    return found


@pytest.mark.parametrize(
    ("setting", "steps", "expected"),
    [
        ("clients.web.arrivals.poisson=3000rps", ("clients", "web", "arrivals"), {"poisson": "3000rps"}),
        ("clients.web.arrivals.paced=3rps", ("clients", "web", "arrivals"), {"paced": "3rps"}),
        ("clients.web.arrivals={paced: 3rps}", ("clients", "web", "arrivals"), {"paced": "3rps"}),
        ("clients.web.mix[0].weight=1", ("clients", "web", "mix", 0, "weight"), 1),
        ("clients.web.mix.cart.weight=1", ("clients", "web", "mix", 1, "weight"), 1),
        ('clients["web"].timeout=1s', ("clients", "web", "timeout"), "1s"),
        ("clients.web.retries.attempts=2", ("clients", "web", "retries"), {"attempts": 2}),
        ("clients.web.retries.back_off.base=1s", ("clients", "web", "retries"), {"back_off": {"base": "1s"}}),
        ("backends.east/checkout.shop.concurrency=4", ("backends", "east/checkout.shop", "concurrency"), 4),
        ('backends["east/checkout.shop"].queue=4', ("backends", "east/checkout.shop", "queue"), 4),
        ("backends.east/cart.shop.service_time.exponential=4ms", ("backends", "east/cart.shop"), {"service_time": {"exponential": "4ms"}}),
        ("backends.east/checkout.shop.service_time=4ms", ("backends", "east/checkout.shop", "service_time"), "4ms"),
        ("backends.east/checkout.shop.service_time.lognormal.p99=90ms", ("backends", "east/checkout.shop", "service_time", "lognormal"), {"median": "12ms", "p99": "90ms"}),
        ("backends.east/checkout.shop.subsets.v2.queue=1", ("backends", "east/checkout.shop", "subsets"), {"v2": {"queue": 1}}),
        ("backends.east/checkout.shop#v2.queue=1", ("backends", "east/checkout.shop#v2"), {"queue": 1}),
        ("costs.overrides.worker.wakeup_us=30", ("costs",), {"overrides": {"worker.wakeup_us": 30}}),
        ("gateway.istio-ingressgateway.replicas=3", ("gateway",), {"istio-ingressgateway": {"replicas": 3}}),
        ("gateway.east/istio-system/istio-ingressgateway.workers=3", ("gateway",), {"east/istio-system/istio-ingressgateway": {"workers": 3}}),
        ("istio.version=1.31", ("istio", "version"), 1.31),
        ("question=a: b = {c", ("question",), "a: b = {c"),
        ("budgets[1]=errors rate < 1%", ("budgets", 1), "errors rate < 1%"),
        ("clusters.east.zones=[a, b]", ("clusters", "east", "zones"), ["a", "b"]),
    ],
)  # fmt: skip
def test_paths(setting: str, steps: tuple[Any, ...], expected: Any) -> None:
    text = changed(("run:", "network: {}\nrun:"))
    if "retries.back_off" in setting:
        assert value_of_refused(text, setting)
        return
    assert value(read(text, setting), *steps) == expected


def value_of_refused(text: str, setting: str) -> bool:
    """The setting is put in, and the rest that it needs is asked for at its own place."""
    finding = one(refused(text, setting))
    assert finding.message == "attempts is missing in clients.web.retries"
    return finding.span is not None and finding.span.file == f"--set {setting}"


@pytest.mark.parametrize(
    ("setting", "said", "help"),
    [
        ("clients.wbe.timeout=3s", "clients has no wbe", "did you mean web?"),
        ("clients.web.timout=3s", "there is no field timout in clients.web", "did you mean timeout?"),
        ("clints.web.timeout=3s", "there is no field clints", "did you mean clients?"),
        ("clients.web.mix[5].weight=1", "clients.web.mix[5] does not exist; the list has 2 entries", None),
        ("clients.web.mix.crat.weight=1", "has no entry crat", "did you mean cart?"),
        ("run.seed.x=1", "run.seed is a single value", None),
        ("run[0]=1", "run is no list", "there is kind"),
        ("run.seed=[", "is not YAML", None),
        ("backends.east/checkout.shop.concurency=3", "no field concurency", "did you mean concurrency?"),
        ("=3", "the path is empty", None),
        ("run", "'run' sets nothing", "path=value"),
    ],
)
def test_paths_that_lead_nowhere(setting: str, said: str, help: str | None) -> None:
    finding = one(refused(SCENARIO, setting))
    assert finding.code == "GW0206"
    assert finding.span is not None
    assert finding.span.file == f"--set {setting}"
    assert said in finding.message
    if help is not None:
        assert finding.help is not None
        assert help in finding.help


def test_a_value_is_checked_like_any_other_and_at_its_own_place() -> None:
    findings = refused(SCENARIO, "run.seed=abc", "clients.web.timeout=-1s", "clients.web.mix=[]")
    assert [str(finding.span) for finding in findings] == [
        "--set clients.web.mix=[]",
        "--set clients.web.timeout=-1s",
        "--set run.seed=abc",
    ]


def test_later_settings_win() -> None:
    assert read(SCENARIO, "run.seed=2", "run.seed=3").scenario.run.seed == 3


def outcome(resolved: Resolved) -> Any:
    return resolved.model.clients[0].mix[0].outcome


def test_fields_of_objects(resolve: Callable[..., Resolved]) -> None:
    resolved = resolve(
        "VirtualService/shop/shop:spec.http[0].timeout=500ms",
        "VirtualService/shop/shop:http[0].route[1].weight=40",
        "east/DestinationRule/shop/checkout:spec.trafficPolicy.connectionPool.tcp.maxConnections=7",
    )
    assert outcome(resolved).timeout_s == 0.5
    assert [target.weight for target in outcome(resolved).targets] == [90, 40]
    assert {one.cluster.circuit_breakers.max_connections for one in resolved.model.clusters if "checkout" in one.cluster.name} == {7}


@pytest.mark.parametrize(
    ("setting", "said", "help"),
    [
        ("VirtualService/shop/shap:spec.http[0].timeout=1s", "there is no object VirtualService/shop/shap", "VirtualService/shop/shop?"),
        ("VirtualService/shop/shop:spec.http[9].timeout=1s", "spec.http[9] does not exist", None),
        ("VirtualService/shop/shop:spec.http[0].timeot=1s", "there is no field timeot", "did you mean timeout?"),
        ("VirtualService/shop/shop:spec.http[0].bananas=1s", "bananas is not in the Istio", None),
        ("VirtualService/shop/shop:spec.http[0].timeout.x=1s", "is no mapping", None),
        ("VirtualService/shop/shop:spec.tcp[0].x=1s", "has no entry 0", None),
        ("VirtualService/shop/shop:spec.http[0].timeout=-1s", "negative", None),
        ("VirtualService/shop/shop:spec.http[0=1s", "is not a field path", None),
        ("VirtualService/shop/shop:spec.hosts=[a", "is not YAML", None),
        ("west/VirtualService/shop/shop:spec.hosts=[a]", "there is no cluster west", "did you mean east?"),
    ],
)
def test_objects_that_cannot_be_set(project: Callable[..., Project], setting: str, said: str, help: str | None) -> None:
    with pytest.raises(InputError) as caught:
        project(setting)
    errors = [finding for finding in caught.value.findings if finding.level.value == "error"]
    assert any(said in finding.message and str(finding.span) == f"--set {setting}" for finding in errors), errors
    if help is not None:
        assert any(help in (finding.help or "") for finding in errors)


HPA = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  replicas: 2
  selector: {matchLabels: {istio: ingressgateway}}
  template:
    metadata: {labels: {istio: ingressgateway, app: istio-ingressgateway}, annotations: {inject.istio.io/templates: gateway}}
    spec:
      containers: [{name: istio-proxy, image: auto, resources: {requests: {cpu: "1"}, limits: {cpu: "2"}}}]
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  ports: [{name: https, port: 443}, {name: http2, port: 80}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: gw, namespace: istio-system}
spec:
  scaleTargetRef: {kind: Deployment, name: istio-ingressgateway, apiVersion: apps/v1}
  minReplicas: 2
  maxReplicas: 5
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
"""


@pytest.mark.parametrize("setting", ["gateway.istio-ingressgateway.replicas=7", "Deployment/istio-system/istio-ingressgateway:spec.replicas=7"])
def test_replicas_under_an_autoscaler(folder: Any, setting: str) -> None:
    from gwsim import scenario

    (folder / "istio" / "hpa.yaml").write_text(HPA, encoding="utf-8")
    with pytest.raises(InputError, match="are set by HorizontalPodAutoscaler gw"):
        opened = scenario.open_project(folder, set_=[setting])
        scenario.resolve(opened.loaded, opened.topology)
    opened = scenario.open_project(folder, set_=[setting], fix_replicas=True)
    resolved = scenario.resolve(opened.loaded, opened.topology, fix_replicas=True)
    assert [pod.zone for pod in resolved.model.fleets[0].pods] == ["a", "b", "c", "a", "b", "c", "a"]
    settled = scenario.open_project(folder)
    model = scenario.resolve(settled.loaded, settled.topology, replicas={"istio-ingressgateway": 4}).model
    assert len(model.fleets[0].pods) == 4
