"""The `nat` section, from the file to the figures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gwsim.engine import reference
from gwsim.errors import InputError
from gwsim.results import Results
from gwsim.scenario import Resolved

POOL = "DestinationRule/shop/checkout:spec.trafficPolicy.connectionPool"
SHORT = ("clients.web.arrivals.poisson=300rps", "run.duration=3s", "clients.web.timeout=1s", "backends.east/checkout.shop.service_time=1ms")
ONE_EACH = POOL + ".http.maxRequestsPerConnection=1"
Resolve = Callable[..., Resolved]


def figures(resolve: Resolve, *settings: str) -> Results:
    resolved = resolve(ONE_EACH, *settings, *SHORT)
    return Results.of(resolved, [reference.run(resolved.model, 0)])


def test_ports_that_run_out_are_the_bottleneck(resolve: Resolve) -> None:
    """20 ports that rest 1 s carry 20 connections a second for each backend pod; the rest gets none."""
    results = figures(resolve, "nat.out={backends: [checkout.shop], ports: 10, addresses: 2, hold: 1s, when_empty: refuse}")
    (nat,) = results.ports
    assert (nat.ports, nat.peak, nat.shared) == (20, 20, True)
    first = results.bottleneck.first
    assert first is not None and first.kind == "ports"
    assert nat.refused.value == pytest.approx(first.exhausted) and first.exhausted > 0.1
    assert "20 of 20 source ports" in first.text
    assert list(results.frame("ports")["peak"]) == [20]


def test_enough_addresses_end_it(resolve: Resolve) -> None:
    results = figures(resolve, "nat.out={backends: [east/checkout.shop], ports: 10, addresses: 200, hold: 1s}")
    assert results.ports[0].refused.value == 0.0
    assert 20 < results.ports[0].peak < 2000


@pytest.mark.parametrize(("setting", "words"), [
    ("nat.out.backends=[chekout.shop]", "did you mean"),
    ("nat.out={kind: linux, addresses: 2}", "a pod has one address"),
    ("nat={a: {backends: [checkout.shop]}, b: {backends: [checkout.shop]}}", "give each nat its own backends"),
])  # fmt: skip
def test_what_is_wrong_is_said(resolve: Resolve, setting: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(setting, *SHORT)
    assert words in str(caught.value) + " ".join(str(one.help) for one in getattr(caught.value, "findings", ()))


def test_backends_of_the_mesh_have_no_nat_unless_named(resolve: Resolve) -> None:
    resolved = resolve("nat.out={kind: gcp}", *SHORT)
    assert {one.ports for one in resolved.model.stations} == {-1}
    assert (resolved.model.port_pools[0].ports, resolved.model.port_pools[0].scope, resolved.model.port_pools[0].hold_s) == (64, "pod", 120.0)
