"""The picture of a chain: a column for every step, and retries that make later steps wider."""

from __future__ import annotations

from pathlib import Path

import pytest

from gwsim.planning.preparation import Given, prepare
from gwsim.report.flow import Flow
from gwsim.report.journey import Sent, journey
from gwsim.report.names import Names
from gwsim.report.offered import flow_of_scenario
from gwsim.results.labels import labels_of

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


def offered(name: str) -> Flow:
    """The flow of a scenario."""
    return flow_of_scenario(prepare(Given(paths=(str(SCENARIOS / name),))).resolved)


def test_a_journey_has_a_column_for_every_step() -> None:
    flow = offered("order-journey")
    steps = [[node.name for node in flow.column(i)] for i in range(len(flow.columns))]
    assert steps == [
        ["web"], ["istio-ingressgateway"], ["orders"], ["sidecar orders"], ["istio-egressgateway", "stock"], ["api.partner.com"],
    ]
    assert flow.columns == ("clients", "proxies", "backends", "proxies", "proxies, backends", "backends")
    assert flow.links[(2, "orders"), (3, "sidecar orders")] == pytest.approx(2 * flow.nodes[0, "web"].rps), "an order makes two calls"


def test_endpoints_behind_another_network_are_reached_through_its_gateway() -> None:
    """Of a cluster with endpoints here and there, what goes there is no traffic of the workload here."""
    flow = offered("cluster-failover")
    into = {end[1]: rps for (start, end), rps in flow.links.items() if start[1] == "sidecar orders"}
    assert sum(into.values()) == pytest.approx(flow.nodes[1, "sidecar orders"].rps)
    assert len(into) == 2
    assert flow.links[(2, "istio-eastwestgateway"), (3, "west/payments.shop/payments")] == pytest.approx(into["istio-eastwestgateway"])


def test_retries_make_later_steps_wider() -> None:
    """27 calls of the partner for an order: 3 at each of three layers."""
    resolved = prepare(Given(paths=(str(SCENARIOS / "order-journey"),))).resolved
    labels = labels_of(resolved)
    times = {"istio-ingressgateway": 1.0, "orders": 3.0, "istio-egressgateway": 9.0}
    sent = []
    for label, (client, shape) in zip(labels.classes, resolved.model.classes(), strict=True):
        rps = next((factor for name, factor in times.items() if name in label.gateway), 3.0)
        target = resolved.model.clients[client].mix[shape].outcome.targets[0].cluster
        sent.append(Sent(rps=rps, clusters={labels.clusters[target].name: rps}, errors=1.0))
    flow = journey(flow_of_scenario(resolved), labels, Names.of(labels), sent)
    assert [flow.nodes[key].rps for key in ((1, "istio-ingressgateway"), (4, "istio-egressgateway"))] == [1.0, 9.0]
    assert flow.links[(3, "sidecar orders"), (4, "istio-egressgateway")] == pytest.approx(9.0)
    assert flow.nodes[1, "istio-ingressgateway"].errors == pytest.approx(1.0)
