"""CPU limits, balance and zones of the front, from YAML and scenario to the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gwsim.engine import reference
from gwsim.engine.codes import Component
from gwsim.engine.features import Feature, used
from gwsim.scenario import Resolved, open_project
from gwsim.scenario import resolve as resolve_project

Resolve = Callable[..., Resolved]
FLEET = "gateway.istio-ingressgateway"


def test_a_core_for_every_worker_needs_no_quota(resolve: Resolve) -> None:
    got = resolve()
    assert Feature.FRONT not in used(got.model)
    assert all(pod.cpu_limit_cores is None for pod in got.model.fleets[0].pods)


def test_a_limit_below_the_workers_throttles(resolve: Resolve) -> None:
    """Eight workers on the gateway's limit of fewer cores."""
    got = resolve(f"{FLEET}.workers=8", "clients.web.arrivals.poisson=4000rps", "run.duration=3s", "clients.web.timeout=1s")
    limits = {pod.cpu_limit_cores for pod in got.model.fleets[0].pods}
    assert len(limits) == 1
    assert None not in limits
    raw = reference.run(got.model, 0)
    assert raw.component_sum[:, Component.THROTTLING].sum() == 0 or raw.worker_throttled.sum() > 0


def test_front_and_balance(resolve: Resolve) -> None:
    got = resolve("front.cross_zone=false", f"{FLEET}.balance=exact")
    fleet = got.model.fleets[0]
    assert (fleet.cross_zone, fleet.balance) == (False, "exact")
    assert not any("keeps to its zone" in finding.message for finding in got.findings)
    assert resolve().model.fleets[0].cross_zone is True


SIZING = Path(__file__).resolve().parents[2] / "scenarios" / "sizing"
LOCAL = "Service/istio-system/istio-ingressgateway:spec.externalTrafficPolicy=Local"


def test_a_front_that_sends_to_nodes_asks_for_the_traffic_policy() -> None:
    """Local: what comes to a node stays there. Cluster, and fronts that send to pods: it makes no difference."""
    def sized(*settings: str) -> Resolved:
        project = open_project(SIZING, set_=(*settings, f"{FLEET}.replicas=4", f"{FLEET}.nodes=3"))
        return resolve_project(project.loaded, project.topology)

    local = sized("front.targets=nodes", LOCAL)
    pods = local.model.fleets[0].pods
    assert [pod.node for pod in pods] == ["node-0", "node-1", "node-2", "node-0"] and not local.model.fleets[0].cross_zone
    assert any("4 pods on 3 nodes" in text for text in local.assumptions)
    for settings in (("front.targets=nodes",), (LOCAL,), ()):
        fleet = sized(*settings).model.fleets[0]
        assert {pod.node for pod in fleet.pods} == {""} and fleet.cross_zone
