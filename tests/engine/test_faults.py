"""Faults of stations by schedule: section 17 of docs/background/engine-semantics.md; and what a stall can lead to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import MS, client, cluster, fleet, model, poisson, records, replay, station

from gwsim.engine.codes import Flag
from gwsim.engine.reference import Options, run
from gwsim.engine.reference.faults import Modes
from gwsim.scenario.model import ClientRetry, Mode

ALL = Options(records=100_000)


def served(*modes: Mode, arrivals: Any, service_s: float = 10 * MS, **fields: Any) -> list[Any]:
    raw = run(model(client(arrivals), stations=(station(service_s, modes=modes, **fields),), duration_s=5.0), 0, ALL)
    return records(raw)


def test_slow_for_a_time() -> None:
    rows = served(Mode(from_s=0.1, to_s=0.2, slow=5.0), arrivals=replay(0.0, 0.15, 0.3))
    assert [r.upstream_service_ns // 10**6 for r in rows] == [10, 50, 10]


def test_failing_for_a_time() -> None:
    rows = served(Mode(from_s=0.1, to_s=0.2, errors=((1.0, 500),)), arrivals=replay(0.0, 0.15, 0.3), errors=((1.0, 503),))
    assert [r.status for r in rows] == [503, 500, 503]
    rows = served(Mode(from_s=0.1, to_s=0.2, errors=()), arrivals=replay(0.0, 0.15, 0.3), errors=((1.0, 503),))
    assert [r.status for r in rows] == [503, 200, 503]


def test_work_stands_still_and_goes_on() -> None:
    """A job that is half done when a stall of a second begins ends a second late; one that comes meanwhile waits."""
    rows = served(Mode(from_s=0.1, to_s=1.1, stall=True), arrivals=replay(0.095, 0.5, 2.0), concurrency=1)
    assert [round(r.end_ns / 1e6) for r in rows] == [1105, 1115, 2010]


def test_stalls_one_after_the_other() -> None:
    modes = Modes((Mode(from_s=1.0, to_s=2.0, stall=True), Mode(from_s=2.5, to_s=3.0, stall=True)))
    s = 10**9
    assert modes.done(0, s // 2) == s // 2
    assert modes.done(0, s) == s
    assert modes.done(s // 2, s) == 5 * s // 2
    assert modes.done(s // 2, s + 1) == 3 * s + 1
    assert modes.done(3 * s // 2, s) == 7 * s // 2


# --- metastable failure --------------------------------------------------------------------------------------


def stalled(retry: ClientRetry | None) -> Any:
    """A backend of 50 rps at 70 %, which stalls for ten seconds; clients wait one second."""
    backend = station(80 * MS, concurrency=4, modes=(Mode(from_s=20.0, to_s=30.0, stall=True),))
    web = replace(client(poisson(35.0)), timeout_s=1.0, retry=retry)
    return run(model(web, stations=(backend,), clusters=(cluster(0),), fleets=(fleet(),), duration_s=90.0), 0, ALL)


def failing_at_the_end(raw: Any) -> float:
    """Share of the requests of the last 20 s, 40 s after the stall, that end in a client's time-out."""
    late = [r for r in records(raw) if r.start_ns > 70 * 10**9]
    return sum(r.status == 0 for r in late) / len(late)


@pytest.mark.parametrize(("retry", "stays_down"), [
    (None, False),
    (ClientRetry(attempts=3, base_s=0.05, max_s=0.5), True),
    (ClientRetry(attempts=3, base_s=0.05, max_s=0.5, budget=0.1), False),
])  # fmt: skip
def test_a_stall_at_70_percent(retry: ClientRetry | None, stays_down: bool) -> None:
    """Retries without a budget turn 70 % of load into 280 %, so the queue of the stall never drains; with a budget it does."""
    share = failing_at_the_end(stalled(retry))
    assert share > 0.9 if stays_down else share < 0.05


def test_time_outs_of_a_stall_are_those_of_the_client() -> None:
    raw = stalled(None)
    lost = [r for r in records(raw) if r.status == 0]
    assert lost
    assert all(r.flags & Flag.DC for r in lost)
