"""Routes that change during the run: section 25 of docs/background/engine-semantics.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from builders import MS, client, cluster, local, model, records, replay, retry, shape, station, to
from builders import run_both as run

from gwsim.engine.codes import Counter, Flag
from gwsim.engine.schema import Options

ALL = Options(records=100_000)


def go(*later: tuple[float, Any], first: Any = None, errors: Any = (), **fields: Any) -> Any:
    one = replace(shape(first or to(0)), later=later)
    stations = (replace(station(1 * MS), errors=errors), station(1 * MS, name="b1"))
    arrivals = replay(*(0.01 * i for i in range(60)))
    return run(model(client(arrivals, one), stations=stations, clusters=(cluster(0), cluster(1, name="c1")), **fields), 0, ALL)


def test_requests_go_where_the_configuration_of_the_moment_says() -> None:
    raw = go((0.2, to(1)), (0.4, local(404, "NR")))
    found = [(one.station, one.status) for one in sorted(records(raw), key=lambda one: one.start_ns)]
    assert found == [(0, 200)] * 20 + [(1, 200)] * 20 + [(-1, 404)] * 20


def test_a_route_before_its_subset() -> None:
    """The window in which a route names a cluster that is not there yet: NC."""
    raw = go((0.2, to(-1)), (0.3, to(1)))
    missing = [one for one in records(raw) if one.status == 503]
    assert len(missing) == 10 and {one.flags for one in missing} == {int(Flag.NC)}


def test_a_cluster_that_comes_later_has_no_warm_connection() -> None:
    raw = go((0.2, to(1)))
    assert int(raw.cluster_counters[0, Counter.UPSTREAM_RQ_PENDING_TOTAL]) == 0
    assert int(raw.cluster_counters[1, Counter.UPSTREAM_RQ_PENDING_TOTAL]) == 1


def test_a_stream_keeps_what_it_was_read_with() -> None:
    """A retry goes on with the old policy and the old cluster, when the new one has neither."""
    policy = retry(1, base_interval_s=0.2, max_interval_s=0.2)
    raw = go((0.005, to(1)), first=to(0, policy=policy), errors=((1.0, 503),))
    first = min(records(raw), key=lambda one: one.start_ns)
    assert (first.status, first.station, first.gateway_attempts) == (503, 0, 2)
    assert first.flags == int(Flag.URX)
    assert all(one.station == 1 for one in records(raw) if one.start_ns > first.start_ns)
