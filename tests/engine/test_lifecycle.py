"""Gateway pods that come and go: section 18 of docs/background/engine-semantics.md."""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import replace
from typing import Any

import pytest
from builders import MS, client, cluster, fleet, model, poisson, records, replay, station

from gwsim.engine.reference import Options, run
from gwsim.engine.schema import ANSWER_RESET
from gwsim.scenario.model import Change, ClientRetry, Connection, Fleet, Lifecycle

ALL = Options(records=100_000, trace=0)
S = 10**9


def living(pods: int, initial: int, *changes: Change, start_s: float = 0.1, deregister_s: float = 0.2, drain_s: float = 0.5) -> Fleet:
    lifecycle = Lifecycle(initial=initial, start_s=start_s, deregister_s=deregister_s, drain_s=drain_s, changes=changes)
    return replace(fleet(pods), lifecycle=lifecycle)


def go(fleet_: Fleet, web: Any, service_s: float = 1 * MS, **fields: Any) -> Any:
    return run(model(web, stations=(station(service_s),), clusters=(cluster(0, http=2),), fleets=(fleet_,), **({"duration_s": 3.0} | fields)), 0, ALL)


def pods_by_time(raw: Any, start_s: float, end_s: float) -> Tally[int]:
    return Tally(r.pod for r in records(raw) if start_s * S <= r.start_ns < end_s * S)


def test_a_new_pod_gets_new_connections_only() -> None:
    """Long-lived connections stay where they are; clients that reconnect now and then spread in time."""
    grown = living(2, 1, Change(at_s=0.5, kind="add"))
    sticky = go(grown, client(poisson(500.0), connection=Connection(count=20)))
    assert set(pods_by_time(sticky, 0.0, 3.0)) == {0}
    moving = go(grown, client(poisson(500.0), connection=Connection(count=20, requests=5)))
    assert set(pods_by_time(moving, 0.0, 0.6)) == {0}
    later = pods_by_time(moving, 2.0, 3.0)
    assert later[1] / sum(later.values()) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("http", [1, 2])
def test_a_pod_that_leaves_drains(http: int) -> None:
    """Its answers ask for the connections to be closed, so that all are elsewhere when it ends: nobody notices."""
    connection = Connection(count=20) if http == 1 else Connection(http=2, count=10, streams=10)
    raw = go(living(2, 2, Change(at_s=1.0, kind="remove")), client(poisson(500.0), connection=connection))
    assert {r.status for r in records(raw)} == {200}
    assert set(pods_by_time(raw, 0.0, 1.0)) == {0, 1}
    assert set(pods_by_time(raw, 1.6, 3.0)) == {0}


def test_idle_connections_of_a_pod_that_leaves() -> None:
    """A connection that carries nothing meanwhile is reset at the end, and opened anew by the next request."""
    raw = go(living(2, 2, Change(at_s=1.0, kind="remove")), client(replay(0.0, 0.0, 0.0, 2.5, 2.5, 2.5), connection=Connection(count=3)))
    assert {r.status for r in records(raw)} == {200}
    assert set(pods_by_time(raw, 2.0, 3.0)) == {0}


def test_requests_longer_than_the_drain_are_reset() -> None:
    """Of 800 ms, with half a second to drain: those begun in the last moments before and meanwhile are lost."""
    raw = go(living(2, 2, Change(at_s=1.0, kind="remove")), client(poisson(200.0), connection=Connection(count=50)), service_s=0.8)
    reset = [r for r in records(raw) if r.answer == ANSWER_RESET]
    assert reset
    assert all(r.status == 0 and r.pod == 1 and 0.7 * S <= r.start_ns < 1.5 * S for r in reset)
    assert all(r.end_ns >= 1.5 * S for r in reset)


def test_a_killed_pod_is_still_a_target_for_a_while() -> None:
    """Half of the connections are lost at once; new ones to it are refused until it is deregistered."""
    raw = go(living(2, 2, Change(at_s=1.0, kind="kill")), client(poisson(500.0), connection=Connection(count=20, requests=3)))
    reset = sorted(r.end_ns / S for r in records(raw) if r.answer == ANSWER_RESET)
    assert reset
    assert 1.0 <= reset[0] <= 1.01
    assert 1.15 < reset[-1] <= 1.21
    assert set(pods_by_time(raw, 1.25, 3.0)) == {1}


def test_clients_that_try_again_find_the_other_pod() -> None:
    retry = ClientRetry(attempts=8, base_s=0.02, max_s=0.1)
    raw = go(living(2, 2, Change(at_s=1.0, kind="kill")), client(poisson(300.0), connection=Connection(count=20, requests=3), retry=retry))
    assert {r.status for r in records(raw)} == {200}
    assert any(r.client_attempts > 1 for r in records(raw))


def test_a_place_is_used_again() -> None:
    """Removed and added: the new pod at the same place starts without connections."""
    raw = go(
        living(1, 1, Change(at_s=0.5, kind="remove"), Change(at_s=1.5, kind="add"), drain_s=0.2),
        client(poisson(200.0), connection=Connection(count=10, requests=2)),
    )
    assert {r.status for r in records(raw) if r.start_ns < 0.5 * S} == {200}
    assert {r.answer for r in records(raw) if 0.75 * S < r.start_ns < 1.59 * S} == {ANSWER_RESET}
    assert {r.status for r in records(raw) if r.start_ns > 1.61 * S} == {200}


def test_pods_over_time() -> None:
    """One pod for 3 s, a second from its creation at 1 s until it is gone at 2.5 s; up to the stop of the run."""
    raw = go(living(2, 1, Change(at_s=1.0, kind="add"), Change(at_s=2.0, kind="remove")), client(poisson(50.0)))
    assert raw.fleet_bin_pods.sum() == pytest.approx(3.0 * S + 1.5 * S, abs=0.05 * S)
    assert go(living(1, 1), client(poisson(50.0))).fleet_bin_pods.sum() == pytest.approx(3 * S, abs=0.05 * S)
    assert go(fleet(), client(poisson(50.0))).fleet_bin_pods.sum() == 0


def test_a_fleet_that_does_not_change_is_as_without_a_lifecycle() -> None:
    web = client(poisson(500.0), connection=Connection(count=20, requests=7))
    assert go(living(3, 3), web).digest == go(fleet(3), web).digest
    assert [r.end_ns for r in records(go(living(3, 3), web))] == [r.end_ns for r in records(go(fleet(3), web))]


def test_pods_that_start_are_removed_first() -> None:
    raw = go(
        living(2, 1, Change(at_s=0.5, kind="add"), Change(at_s=0.55, kind="remove")),
        client(poisson(200.0), connection=Connection(count=10, requests=1)),
    )
    assert set(pods_by_time(raw, 0.0, 3.0)) == {0}
    assert raw.fleet_bin_pods.sum() == pytest.approx(3.05 * S, abs=0.05 * S)
