"""Faults, mirrors and direct responses from the VirtualService to the run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gwsim.engine import reference
from gwsim.engine.codes import Flag
from gwsim.engine.schema import RawRun
from gwsim.scenario import Resolved
from gwsim.scenario.model import Abort, Delay, Mirror

ROUTE = "VirtualService/shop/shop:spec.http[0]"
SHORT = ("clients.web.arrivals.poisson=500rps", "run.duration=2s", "clients.web.timeout=1s")
Resolve = Callable[..., Resolved]


def flagged(raw: RawRun, flag: Flag) -> float:
    """Share of the streams of the first class that carry a flag."""
    return float(raw.gw_flags[0, flag.bit_length() - 1] / raw.gw_streams[0])


def test_faults(resolve: Resolve) -> None:
    fault = "{delay: {fixedDelay: 100ms, percentage: {value: 50}}, abort: {httpStatus: 503, percentage: {value: 20}}}"
    got = resolve(f"{ROUTE}.fault={fault}", *SHORT)
    assert got.model.clients[0].mix[0].outcome.program == (Delay(percent=50.0, delay_s=0.1), Abort(percent=20.0, status=503))
    assert got.model.clients[0].mix[1].outcome.program == ()
    raw = reference.run(got.model, 0)
    assert flagged(raw, Flag.DI) == pytest.approx(0.5, abs=0.1)
    assert flagged(raw, Flag.FI) == pytest.approx(0.2, abs=0.08)


def test_an_abort_of_everything_is_a_local_reply(resolve: Resolve) -> None:
    fault = "{delay: {fixedDelay: 10ms, percentage: {value: 100}}, abort: {httpStatus: 418, percentage: {value: 100}}}"
    got = resolve(f"{ROUTE}.fault={fault}", *SHORT)
    raw = reference.run(got.model, 0)
    assert raw.status[0, 418] == raw.finished[0]
    assert flagged(raw, Flag.DI) == flagged(raw, Flag.FI) == 1.0


def test_mirrors_reach_their_cluster(resolve: Resolve) -> None:
    got = resolve(f"{ROUTE}.mirror={{host: cart}}", f"{ROUTE}.mirrorPercentage={{value: 50}}", *SHORT)
    (mirror,) = got.model.clients[0].mix[0].outcome.mirrors
    assert (mirror.percent, got.model.clusters[mirror.cluster].cluster.host) == (50.0, "cart.shop.svc.cluster.local")
    plain, raw = reference.run(resolve(*SHORT).model, 0), reference.run(got.model, 0)
    assert raw.station_jobs.sum() > plain.station_jobs.sum() * 1.1
    assert raw.offered.tolist() == plain.offered.tolist()


def test_a_mirror_without_cluster_is_dropped(resolve: Resolve) -> None:
    got = resolve(f"{ROUTE}.mirror={{host: nowhere}}", *SHORT)
    assert got.model.clients[0].mix[0].outcome.mirrors in ((), (Mirror(cluster=-1),))


def test_the_body_of_a_direct_response(resolve: Resolve) -> None:
    got = resolve(
        "VirtualService/shop/shop:spec.http[0].route=null", f"{ROUTE}.retries=null", f"{ROUTE}.timeout=null",
        f"{ROUTE}.directResponse={{status: 200, body: {{string: hello}}}}", *SHORT,
    )
    outcome = got.model.clients[0].mix[0].outcome
    assert (outcome.local_status, outcome.local_bytes) == (200, 5)
