"""Memory of a gateway pod: the sum of the profile's figures, a range, and what is told of a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwsim import costs, scenario
from gwsim.diagnostics import Collector
from gwsim.planning import simulate
from gwsim.results.bottleneck import bottleneck_of
from gwsim.results.labels import labels_of
from gwsim.scenario.memory import BUFFER_LIMIT_BYTES

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "sizing"
LIMIT = "Deployment/istio-system/istio-ingressgateway:spec.template.spec.containers[0].resources.limits.memory"
MIB = 2.0**20


def resolved(*settings: str) -> tuple[scenario.Resolved, Collector]:
    """The sizing scenario: one gateway pod."""
    collector = Collector()
    project = scenario.open_project(SCENARIO, set_=settings, collector=collector)
    return scenario.resolve(project.loaded, project.topology, collector=collector), collector


def needed(*settings: str) -> tuple[float, ...]:
    """Lower end, expectation, upper end and fixed part, bytes."""
    return labels_of(resolved(*settings)[0]).fleets[0].memory_bytes


def test_connections_are_what_a_pod_needs_on_top() -> None:
    profile = costs.load()
    few, many = needed("clients.web.connection.count=100"), needed("clients.web.connection.count=5100")
    assert many[1] - few[1] == pytest.approx(5000 * profile.si("memory.per_connection_plain_kib"))
    assert many[0] - few[0] == pytest.approx(5000 * profile["memory.per_connection_plain_kib"].low * 1024)
    assert few[3] == many[3] < few[1]
    assert few[3] > profile.si("memory.base_mib")


def test_large_bodies_fill_buffers_up_to_their_limit() -> None:
    small, large = (needed("clients.web.connection.count=100", f"clients.web.mix[0].response_size={size}") for size in ("1KB", "50MB"))
    assert large[:2] == small[:2], "a client that reads as fast as it is sent to leaves nothing waiting"
    assert large[2] - small[2] == pytest.approx(100 * (BUFFER_LIMIT_BYTES - 1000), rel=0.05)


@pytest.mark.parametrize(("limit", "connections", "code"), [("256Mi", 12000, "GW0304"), ("256Mi", 3500, "GW0305"), ("4Gi", 1000, "")])
def test_a_limit_below_the_range_or_within_it_is_told(limit: str, connections: int, code: str) -> None:
    found = {one.code for one in resolved(f"{LIMIT}={limit}", f"clients.web.connection.count={connections}")[1].findings}
    assert found & {"GW0304", "GW0305"} == ({code} if code else set())


def test_memory_may_be_what_runs_out_first() -> None:
    """Of what the limit leaves connections: so that twice the share is twice the load."""
    mine, _ = resolved(f"{LIMIT}=512Mi", "clients.web.connection.count=20000", "clients.web.arrivals.poisson=50rps", "run.duration=1s", "run.warmup=100ms", "run.replications=2")
    results = simulate(mine, engine="reference")
    first = results.bottleneck.first
    assert first is not None and first.kind == "memory"
    _, value, _, fixed = results.labels.fleets[0].memory_bytes
    assert first.utilisation == pytest.approx((value - fixed) / (512 * MIB - fixed))
    again = bottleneck_of(results.labels, results.workers, results.pods, results.fleets, results.clusters, results.backends)
    assert again.first == first
