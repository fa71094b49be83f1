"""Lifetimes of upstream connections, retry budgets and outages, from the YAML to the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gwsim.engine import reference
from gwsim.engine.codes import Counter, Flag
from gwsim.engine.schema import RawRun
from gwsim.errors import InputError
from gwsim.scenario import Resolved
from gwsim.scenario.model import Mode, Outage

POOL = "DestinationRule/shop/checkout:spec.trafficPolicy.connectionPool"
SHORT = ("clients.web.arrivals.poisson=300rps", "run.duration=3s", "clients.web.timeout=1s", "backends.east/checkout.shop.service_time=1ms")
Resolve = Callable[..., Resolved]


def simulated(resolve: Resolve, *settings: str) -> RawRun:
    resolved = resolve(*settings, *SHORT)
    assert not any("not simulated" in finding.message and "checkout" in finding.message for finding in resolved.findings)
    return reference.run(resolved.model, 0)


def counted(raw: RawRun, counter: Counter) -> int:
    return int(raw.cluster_counters[:, counter].sum())


@pytest.mark.parametrize(("setting", "counter"), [
    (POOL + ".http.maxRequestsPerConnection=5", Counter.UPSTREAM_CX_MAX_REQUESTS),
    (POOL + ".http.idleTimeout=50ms", Counter.UPSTREAM_CX_IDLE_TIMEOUT),
    (POOL + ".tcp.idleTimeout=50ms", Counter.UPSTREAM_CX_IDLE_TIMEOUT),
    (POOL + ".tcp.maxConnectionDuration=300ms", Counter.UPSTREAM_CX_MAX_DURATION),
    ("backends.east/checkout.shop.keepalive_timeout=50ms", Counter.UPSTREAM_CX_DESTROY_REMOTE),
])  # fmt: skip
def test_what_ends_connections(resolve: Resolve, setting: str, counter: Counter) -> None:
    assert counted(simulated(resolve, setting), counter) > 0
    assert counted(simulated(resolve), counter) == 0


def test_outages_of_some_pods(resolve: Resolve) -> None:
    """The first pod takes nothing for a while: connections to it fail, Istio's default retries find another pod or give up."""
    outage = "backends.east/checkout.shop.faults=[{from: 1s, for: 1s, kind: refuse, pods: 1}]"
    resolved: Any = resolve(outage, *SHORT)
    pods = [one for one in resolved.model.stations if "checkout" in one.name]
    assert [one.outages for one in pods] == [(Outage(from_s=1.0, to_s=2.0),)] + [()] * (len(pods) - 1)
    raw = simulated(resolve, outage)
    failed = raw.gw_flags[0, Flag.UC.bit_length() - 1] + raw.gw_flags[0, Flag.UF.bit_length() - 1]
    assert failed > 0


def test_a_retry_budget(resolve: Resolve) -> None:
    settings = (
        "backends.east/checkout.shop.errors={503: 100%}",
        "VirtualService/shop/shop:spec.http[0].retries={attempts: 3, retryOn: 5xx}",
    )
    policy = "DestinationRule/shop/checkout:spec.trafficPolicy.retryBudget={percent: 10, minRetryConcurrency: 0}"
    assert counted(simulated(resolve, *settings), Counter.UPSTREAM_RQ_RETRY_OVERFLOW) == 0
    assert counted(simulated(resolve, *settings, policy), Counter.UPSTREAM_RQ_RETRY_OVERFLOW) > 0


def test_faults_by_schedule(resolve: Resolve) -> None:
    """Overlapping stalls are one after the other; a fault may be several things at once."""
    faults = "[{from: 2s, for: 3s, kind: stall}, {from: 1s, for: 2s, kind: stall, slow: 2}, {from: 8s, for: 1s, errors: {503: 50%}}]"
    resolved = resolve(f"backends.east/checkout.shop.faults={faults}", *SHORT)
    one = next(one for one in resolved.model.stations if "checkout" in one.name)
    assert one.modes == (
        Mode(from_s=1.0, to_s=3.0, slow=2.0, stall=True), Mode(from_s=2.0, to_s=5.0), Mode(from_s=3.0, to_s=5.0, stall=True),
        Mode(from_s=8.0, to_s=9.0, errors=((0.5, 503),)),
    )


def test_a_fault_does_something(resolve: Resolve) -> None:
    with pytest.raises(InputError):
        resolve("backends.east/checkout.shop.faults=[{from: 2s, for: 3s}]")


@pytest.mark.parametrize(("http", "upstream"), [(1, 1), (2, 2)])
def test_the_client_s_protocol_is_carried_on(resolve: Resolve, http: int, upstream: int) -> None:
    resolved = resolve(POOL + ".http.useClientProtocol=true", f"clients.web.connection.http={http}", *SHORT)
    used = [one.cluster.upstream_http for one in resolved.model.clusters if "checkout" in one.cluster.name]
    assert set(used) == {upstream}
