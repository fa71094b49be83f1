"""Rolling updates: when pods are replaced, and what the model makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gwsim.resources import ResourceSet, read_text
from gwsim.scenario.project import open_project
from gwsim.scenario.resolution import resolve
from gwsim.scenario.rollouts import replacements
from gwsim.topology import Workload
from gwsim.topology.from_istio import from_istio


def workload(surge: int, unavailable: int, min_ready_s: float = 0.0) -> Workload:
    return Workload(namespace="shop", name="orders", max_surge=surge, max_unavailable=unavailable, min_ready_s=min_ready_s)


def test_one_after_the_other() -> None:
    """One more, none missing: each old pod ends when a new one is ready."""
    plan = replacements(workload(1, 0), 3, at_s=10.0, start_s=4.0)
    assert [(one.end_s, one.ready_s) for one in plan] == [(14.0, 14.0), (18.0, 18.0), (22.0, 22.0)]


def test_none_more_one_missing() -> None:
    plan = replacements(workload(0, 1, min_ready_s=1.0), 2, at_s=0.0, start_s=4.0)
    assert [(one.end_s, one.ready_s) for one in plan] == [(0.0, 4.0), (5.0, 9.0)]


def test_recreate() -> None:
    plan = replacements(workload(0, 3), 3, at_s=1.0, start_s=4.0)
    assert [(one.end_s, one.ready_s) for one in plan] == [(1.0, 5.0)] * 3


@given(pods=st.integers(1, 12), surge=st.integers(0, 5), unavailable=st.integers(0, 5), start_s=st.integers(1, 20), min_ready_s=st.integers(0, 5))
def test_the_bounds_hold_at_every_moment(pods: int, surge: int, unavailable: int, start_s: int, min_ready_s: int) -> None:
    if not surge and not unavailable:
        unavailable = 1
    plan = replacements(workload(surge, unavailable, min_ready_s), pods, 0.0, float(start_s))
    assert len(plan) == pods
    for now in sorted({one.end_s for one in plan} | {one.ready_s for one in plan}):
        old = sum(one.end_s > now for one in plan)
        ready = sum(one.ready_s <= now for one in plan)
        created = sum(one.ready_s - start_s <= now for one in plan)
        assert old + ready >= pods - unavailable
        assert old + created <= pods + surge


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: orders, namespace: shop}}
spec:
  replicas: 4
  selector: {{matchLabels: {{app: orders}}}}
  strategy: {strategy}
  template:
    metadata: {{labels: {{app: orders}}}}
    spec:
      terminationGracePeriodSeconds: 20
      containers:
        - {{name: orders, image: i, lifecycle: {{preStop: {stop}}}}}
"""


@pytest.mark.parametrize(("strategy", "stop", "expected"), [
    ("{}", "{sleep: {seconds: 3}}", (1, 1, 3.0)),
    ("{rollingUpdate: {maxSurge: 30%, maxUnavailable: 30%}}", "{exec: {command: [sleep, '4']}}", (2, 1, 4.0)),
    ("{rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}", "{exec: {command: [/bin/sh, -c, 'echo bye; sleep 1.5']}}", (0, 1, 1.5)),
    ("{type: Recreate}", "{sleep: {seconds: 60}}", (0, 4, 20.0)),
    ("{}", "{httpGet: {port: 80}}", (1, 1, 0.0)),
])  # fmt: skip
def test_a_deployment_says_how(strategy: str, stop: str, expected: tuple[int, int, float]) -> None:
    """Percentages: surge up, unavailable down; the pause ends with the grace period."""
    resources: ResourceSet = read_text(DEPLOYMENT.format(strategy=strategy, stop=stop), "orders.yaml")
    (one,) = from_istio(resources).workloads
    assert (one.max_surge, one.max_unavailable, one.pre_stop_s) == expected


@pytest.mark.parametrize("key", ["east/orders.shop", "orders.shop", "orders.shop.svc.cluster.local"])
def test_a_backend_may_be_named_in_every_way(tmp_path: Path, key: str) -> None:
    """Four old pods and four new ones, however the section names the service."""
    folder = Path(__file__).resolve().parents[2] / "scenarios"
    text = (folder / "backend-rollout/scenario.yaml").read_text()
    for relative in ("istio/", "../common/gateway.yaml", "../common/entry.yaml"):
        text = text.replace(relative, str(folder / "backend-rollout" / relative))
    (tmp_path / "scenario.yaml").write_text(text.replace("east/orders.shop:", f"{key}:"))
    project = open_project(tmp_path)
    assert len(resolve(project.loaded, project.topology).model.stations) == 8
