"""Hosts that come and go: section 23 of docs/background/engine-semantics.md."""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import replace
from typing import Any

import pytest
from builders import MS, client, cluster, model, records, replay, retry, shape, station, to
from builders import run_both as run

from gwsim.engine.codes import Counter, Flag
from gwsim.engine.schema import Options
from gwsim.scenario.model import Host, Outage, SimCluster
from gwsim.topology import LbPolicy, OutlierDetection

ALL = Options(records=100_000)
EVERY_10_MS = replay(*(0.01 * i + 0.0001 for i in range(90)))


def hosted(*hosts: Host, **fields: Any) -> SimCluster:
    made = replace(cluster(*range(len(hosts))), hosts=hosts)
    return replace(made, cluster=replace(made.cluster, **fields))


def go(sim: SimCluster, *outages: tuple[Outage, ...], policy: Any = None, **fields: Any) -> Any:
    stations = tuple(
        replace(station(1 * MS, name=f"b{i}"), outages=outages[i] if i < len(outages) else ()) for i in range(len(sim.stations))
    )
    return run(model(client(EVERY_10_MS, shape(to(0, policy=policy))), stations=stations, clusters=(sim,), **fields), 0, ALL)


def by_third(raw: Any) -> list[Tally[int]]:
    """Requests by station, before 0.3 s, before 0.6 s, and after."""
    thirds: list[Tally[int]] = [Tally(), Tally(), Tally()]
    for one in records(raw):
        thirds[min(one.start_ns // 300_000_000, 2)][one.station] += 1
    return thirds


@pytest.mark.parametrize("policy", [LbPolicy.ROUND_ROBIN, LbPolicy.RANDOM, LbPolicy.LEAST_REQUEST, LbPolicy.MAGLEV, LbPolicy.RING_HASH])
def test_requests_go_to_the_hosts_of_the_moment(policy: LbPolicy) -> None:
    """One host until 0.6 s, another from 0.3 s on."""
    fields: Any = {"ring_size": 101} if policy is LbPolicy.MAGLEV else {"ring_size": 64}
    raw = go(hosted(Host(key="a", to_s=0.6), Host(key="b", from_s=0.3), lb_policy=policy, **fields))
    first, second, third = by_third(raw)
    assert first == {0: 30}
    assert set(second) == {0, 1} and sum(second.values()) == 30
    assert third == {1: 30}
    assert {one.status for one in records(raw)} == {200}


def test_round_robin_takes_the_new_host_into_its_round() -> None:
    _, second, _ = by_third(go(hosted(Host(key="a"), Host(key="b"), Host(key="c", from_s=0.3))))
    assert set(second.values()) == {10}


def test_no_host_at_all() -> None:
    """UH between the end of the one and the begin of the other."""
    raw = go(hosted(Host(key="a", to_s=0.3), Host(key="b", from_s=0.6)))
    missing = [one for one in records(raw) if one.status == 503]
    assert len(missing) == 30 and {one.flags for one in missing} == {int(Flag.UH)}
    assert int(raw.cluster_counters[0, Counter.UPSTREAM_CX_NONE_HEALTHY]) == 30


@pytest.mark.parametrize(("heard_s", "failed"), [(0.3, 0), (0.4, 5), (0.5, 10)])
def test_requests_go_to_a_dead_pod_until_gateways_hear_of_its_end(heard_s: float, failed: int) -> None:
    """The pod refuses from 0.3 s on; half of ten requests in 100 ms go to it."""
    raw = go(hosted(Host(key="a"), Host(key="b", to_s=heard_s)), (), (Outage(from_s=0.3, to_s=1e6),))
    assert sum(one.status == 503 for one in records(raw)) == failed


def test_retries_hide_a_dead_pod() -> None:
    """Envoy's default of Istio: connect failures are tried again elsewhere."""
    policy = retry(2, ("connect-failure", "reset-before-request", "reset"), host_selection_retry_max_attempts=5, previous_hosts=True)
    raw = go(hosted(Host(key="a"), Host(key="b", to_s=0.5)), (), (Outage(from_s=0.3, to_s=1e6),), policy=policy)
    assert {one.status for one in records(raw)} == {200}
    assert 10 <= int(raw.cluster_counters[0, Counter.UPSTREAM_RQ_RETRY]) <= 20  # A retry takes a turn of the round.


def test_connections_of_a_host_that_left_are_closed() -> None:
    raw = go(hosted(Host(key="a"), Host(key="b", to_s=0.5)))
    assert int(raw.cluster_counters[0, Counter.UPSTREAM_CX_DESTROY]) == 1


def test_outlier_detection_counts_the_hosts_that_are_there() -> None:
    """One of two may not be ejected at 40 percent, one of three may."""
    detection = OutlierDetection(consecutive_5xx=3, consecutive_gateway_failure=0, interval_s=10.0, max_ejection_percent=40)
    down = (Outage(from_s=0.0, to_s=1e6),)
    for hosts, ejected in (
        ((Host(key="a"), Host(key="b")), 0),
        ((Host(key="a"), Host(key="b"), Host(key="c", from_s=0.01)), 1),
        ((Host(key="a"), Host(key="b"), Host(key="c", to_s=0.01)), 0),
    ):
        raw = go(hosted(*hosts, outlier_detection=detection), down)
        assert int(raw.cluster_counters[0, Counter.OUTLIER_EJECTIONS_ENFORCED_TOTAL]) == ejected
