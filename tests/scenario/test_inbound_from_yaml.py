"""The receiving side of sidecars, where a scenario wants it in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from mesh_text import MESH, changed, resolved, workload

from gwsim.engine import reference
from gwsim.results.results import Results
from gwsim.scenario import Resolved

SCENARIO = """\
apiVersion: gwsim/v1
clusters:
  east: {config: [mesh.yaml], node: {cpus: 8}}
clients:
  web:
    from: shop/orders
    arrivals: {paced: 100rps}
    connection: {count: 8}
    mix: [{name: pay, host: payments.shop, path: /, response_size: 1KB}]
backends:
  payments.shop: {service_time: 8ms}
sidecars: {inbound: true}
run: {duration: 1s, warmup: 200ms, replications: 1}
"""
PAYMENTS = MESH + "---\n" + workload("payments")


def median_s(found: Resolved) -> float:
    raws = [reference.run(found.model, 0)]
    return float(Results.of(found, raws).total.client_latency.p50.value or 0.0)


def test_each_sidecar_hands_requests_to_the_application_in_its_pod(tmp_path: Path) -> None:
    found = resolved(tmp_path, SCENARIO, PAYMENTS)
    made = found.model
    assert [one.name for one in made.fleets] == ["sidecar east/shop/orders", "sidecar east/shop/payments"]
    root, beyond = made.clients
    assert (beyond.name, beyond.connection.tls, made.fleets[beyond.fleet].name) == ("shop/orders -> sidecar payments", "1.3", "sidecar east/shop/payments")
    first, inside = (made.clusters[one.mix[0].outcome.targets[0].cluster] for one in (root, beyond))
    assert [(one.relay.client, one.relay.pod) for s in first.stations if (one := made.stations[s]).relay] == [(1, 0), (1, 1)]
    assert [made.stations[s].name for s in inside.stations] == ["east/payments.shop/payments-0", "east/payments.shop/payments-1"]
    assert inside.tls_round_trips == 0
    seen = [inside.placements[pod.view].priorities for pod in made.fleets[1].pods]
    assert seen == [(0, -1), (-1, 0)], "its own, and not the other's"
    assert made.network.between_s("", made.stations[inside.stations[0]].zone) == pytest.approx(0.00005)
    assert found.classes[1].route == "inbound|8080||"


def test_it_costs_what_a_proxy_costs_and_the_way_within_the_pod(tmp_path: Path) -> None:
    both, one = (resolved(tmp_path, changed(SCENARIO, ("inbound: true", f"inbound: {told}")), PAYMENTS) for told in ("true", "false"))
    profile = 2 * 45e-6 + 4 * 14e-6 + 46.5e-6 + 81e-6
    assert median_s(both) - median_s(one) == pytest.approx(profile + 0.00005, abs=2e-5)


def test_pods_without_a_sidecar_are_reached_as_they_are(tmp_path: Path) -> None:
    plain = changed(PAYMENTS, ("metadata: {labels: {app: payments}}", 'metadata: {labels: {app: payments, sidecar.istio.io/inject: "false"}}'))
    made = resolved(tmp_path, SCENARIO, plain).model
    assert [one.name for one in made.fleets] == ["sidecar east/shop/orders"]
    assert all(one.relay is None for one in made.stations)
