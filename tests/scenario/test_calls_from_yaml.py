"""Calls of backends: whom they are made for, through which sidecar, and what of them is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from mesh_text import MESH, changed, refused, resolved, workload

from gwsim.scenario import model
from gwsim.scenario.rates import class_rates

SCENARIO = """\
apiVersion: gwsim/v1
clusters:
  east: {config: [mesh.yaml], node: {cpus: 8}}
clients:
  web:
    from: shop/orders
    arrivals: {poisson: 100rps}
    mix:
      - {name: checkout, host: checkout.shop, path: /checkout, weight: 3}
      - {name: cart, host: checkout.shop, path: /cart, weight: 1}
backends:
  checkout.shop:
    service_time: 5ms
    call_error_status: 502
    calls:
      - {to: payments, path: /charge, share: 30%, for: [checkout], timeout: 1s}
      - parallel:
          - {to: payments, path: /points, critical: false}
          - {name: tax, to: api.partner.com, path: /tax}
  payments.shop: {service_time: 8ms}
  api.partner.com: {service_time: 20ms, rtt: 30ms}
run: {duration: 2s, replications: 1}
"""
CALLS = MESH + "---\n" + workload("checkout", 3) + "---\n" + workload("payments")


def stages(station: model.Station, made: model.Model) -> list[list[tuple[str, str, float, bool]]]:
    """Client, shape, percent and weight of each call."""
    return [
        [(made.clients[one.client].name, made.clients[one.client].mix[one.shape].name, one.percent, one.critical) for one in stage]
        for stage in station.calls
    ]


def test_calls_go_through_the_sidecar_beside_the_pod(tmp_path: Path) -> None:
    found = resolved(tmp_path, SCENARIO, CALLS)
    made = found.model
    assert [one.name for one in made.fleets] == ["sidecar east/shop/orders", "sidecar east/shop/checkout", "east/gates/egress"]
    pods = [one for one in made.stations if one.name.startswith("east/checkout.shop/")]
    assert [one.pod for one in pods] == [0, 1, 2]
    for pod in pods:
        assert stages(pod, made) == [
            [("east/checkout.shop -> payments", "GET payments/charge", 30.0, True)],
            [("east/checkout.shop -> payments (2)", "GET payments/points", 100.0, False), ("east/checkout.shop -> api.partner.com", "tax", 100.0, True)],
        ]
        assert pod.call_error_status == 502
        assert pod.calls[0][0].classes == frozenset({(0, 0)}), "checkout, and not cart"
        assert pod.calls[1][0].classes is None
    callers = [one for one in made.clients if one.own_pod]
    assert [one.timeout_s for one in callers] == [1.0, None, None], "a time-out is a client's"
    assert {(one.fleet, one.connection.count, one.rtt_s.mean) for one in callers} == {(1, 10, 0.00005)}
    assert [label.derived for label in found.classes] == [False, False] + [True] * (len(found.classes) - 2)


def test_a_call_goes_wherever_the_mesh_sends_it(tmp_path: Path) -> None:
    made = resolved(tmp_path, SCENARIO, CALLS).model
    beyond = next(one for one in made.clients if one.name == "shop/checkout -> egress")
    assert [(one.name, one.outcome.route) for one in beyond.mix] == [("tax", "to-partner")]
    rates = {(made.clients[c].name, made.clients[c].mix[s].name): rate for (c, s), rate in class_rates(made, lambda _: 100.0).items()}
    assert rates["east/checkout.shop -> payments", "GET payments/charge"] == pytest.approx(0.75 * 30.0)
    assert rates["shop/checkout -> egress", "tax"] == pytest.approx(100.0)


def test_pods_of_two_deployments_call_through_their_own_sidecars(tmp_path: Path) -> None:
    second = changed(workload("checkout", 2).partition("---\n")[2], ("{name: checkout, namespace", "{name: checkout-v2, namespace"), ("labels: {app: checkout}}\n    spec", "labels: {app: checkout, version: v2}}\n    spec"))
    made = resolved(tmp_path, SCENARIO, CALLS + "---\n" + second).model
    pods = {one.name.rpartition("/")[2]: one for one in made.stations if "/checkout" in one.name}
    assert {name: made.fleets[made.clients[pod.calls[0][0].client].fleet].name for name, pod in pods.items()} == {
        **{f"checkout-{n}": "sidecar east/shop/checkout" for n in range(3)}, **{f"checkout-v2-{n}": "sidecar east/shop/checkout-v2" for n in range(2)},
    }
    assert pods["checkout-v2-1"].pod == 1


@pytest.mark.parametrize(
    ("old", "new", "line", "said", "help"),
    [
        ("for: [checkout]", "for: [chekout]", 16, "no request of route or entry chekout reaches the backend", "did you mean checkout?"),
        ("to: payments, path: /charge", "to: 'http://payments', path: /charge", 16, "is not host or host:port", None),
        ("- parallel:", "- share: 3%\n        parallel:", 17, "share belongs to each of the parallel calls", None),
        ("share: 30%", "share: 130%", 16, "130%", None),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, said: str, help: str | None) -> None:
    finding = refused(tmp_path, changed(SCENARIO, (old, new)), CALLS)
    assert said in finding.message
    assert finding.span is not None
    assert finding.span.line == line
    assert help is None or help in (finding.help or "")


def test_calls_that_come_back_are_refused_unless_other_requests_need_them(tmp_path: Path) -> None:
    back = changed(SCENARIO, ("payments.shop: {service_time: 8ms}", "payments.shop: {service_time: 8ms, calls: [{to: checkout, path: /back%s}]}"))
    finding = refused(tmp_path, changed(back, ("%s", "")), CALLS)
    assert "calls go round in a circle" in finding.message
    assert "say with `for`" in (finding.help or "")
    ends = changed(back, ("/back%s", "/back, name: back"), ("{to: payments, path: /points, critical: false}", "{to: payments, path: /points, for: [cart]}"), ("path: /tax}", "path: /tax, for: [cart]}"))
    assert resolved(tmp_path, ends, CALLS).model.stations


def test_a_backend_without_a_sidecar_cannot_call(tmp_path: Path) -> None:
    plain = changed(CALLS, ("metadata: {labels: {app: checkout}}", 'metadata: {labels: {app: checkout, sidecar.istio.io/inject: "false"}}'))
    assert "shop/checkout has no sidecar" in refused(tmp_path, SCENARIO, plain).message
