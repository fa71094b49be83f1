"""CPU limits, balance and zones of the front, from YAML and scenario to the model."""

from __future__ import annotations

from collections.abc import Callable

from gwsim.engine import reference
from gwsim.engine.codes import Component
from gwsim.engine.features import Feature, used
from gwsim.scenario import Resolved

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
