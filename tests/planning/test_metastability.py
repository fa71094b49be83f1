"""Metastable, and what is not: the retry storm, the same with a budget, overload, a fault that lasts, a burst."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from queues import mm1
from synthetic import resolved, with_run

from gwsim.planning import Given, prepare, run_case, simulate
from gwsim.results import Status
from gwsim.results.evaluation import check, singles
from gwsim.results.headline import Word, headline_of
from gwsim.results.labels import as_plain, from_plain
from gwsim.scenario.model import ClientRetry, Mode, Model, Poisson, RateSegment

STORM = Path(__file__).parents[2] / "scenarios" / "retry-storm"


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ((), Status.METASTABLE),
        (("clients.web.retries.budget=10%",), Status.FINE),
        (("clients.web.arrivals.poisson=12rps",), Status.FINE),  # below 1 / (1 + retries) of the capacity
    ],
)
def test_the_retry_storm(settings: tuple[str, ...], status: Status) -> None:
    prepared = prepare(Given(paths=(str(STORM),), settings=settings))
    found = run_case(prepared, engine="reference").results
    assert found.verdict.status is status
    if status is Status.METASTABLE:
        headline = headline_of(found, check(found, ()))
        assert headline.word is Word.METASTABLE and headline.exit_code == 1
        assert "of the requests fail" in headline.sentence
        assert singles(found)[0].verdict.status is Status.FINE  # one run has no variance: it cannot be told
        assert found.labels.disturbances == ((10.0, 20.0),) == from_plain(as_plain(found.labels)).disturbances


def storm(load: float, *, stall: tuple[float, float] | None = (8.0, 12.0), retries: int = 3, **run: object) -> Model:
    """M/M/1 of 50/s whose clients give up after 0.5 s and try again."""
    made = mm1(load, service_rps=50.0, **run)
    modes = (Mode(from_s=stall[0], to_s=stall[1], stall=True),) if stall else ()
    client = replace(made.clients[0], timeout_s=0.5, retry=ClientRetry(attempts=retries, base_s=0.025, max_s=0.25))
    return replace(made, clients=(client,), stations=(replace(made.stations[0], modes=modes),))


TIMELINE: dict[str, object] = {"kind": "timeline", "duration_s": 40.0, "warmup_s": 0.0, "replications": 4}


@pytest.mark.parametrize(
    ("model", "status"),
    [
        (storm(0.6, **TIMELINE), Status.METASTABLE),
        (storm(0.6, stall=None, **TIMELINE), Status.FINE),  # nothing sets it off
        (storm(0.6, retries=0, **TIMELINE), Status.FINE),  # nothing keeps it going
        (storm(0.6, stall=(8.0, 40.0), **TIMELINE), Status.FINE),  # the cause lasts: a failure, but no metastable one
        (storm(0.6, kind="steady", duration_s=40.0, warmup_s=1.0, replications=4), Status.METASTABLE),
    ],
    ids=["storm", "no cause", "no retries", "lasting fault", "steady"],
)
def test_what_keeps_itself_going(model: Model, status: Status) -> None:
    assert simulate(resolved(model), workers=2).verdict.status is status


def test_overload_is_saturated_and_not_metastable() -> None:
    """With a fault in its middle too: it was never well."""
    made = mm1(1.1, service_rps=60.0, kind="steady", duration_s=40.0, warmup_s=1.0, replications=4)
    stalled = replace(made, stations=(replace(made.stations[0], modes=(Mode(from_s=8.0, to_s=9.0, stall=True),)),))
    for one in (made, stalled):
        assert simulate(resolved(one), workers=2).verdict.status is Status.SATURATED
    assert simulate(resolved(with_run(stalled, **TIMELINE)), workers=2).verdict.status is Status.FINE


def test_a_backlog_that_drains_is_no_metastable_one() -> None:
    """At 90 % the backlog of a stall takes nine times as long to drain: late, slow and on its way back."""
    made = mm1(0.9, service_rps=60.0, **TIMELINE)
    stalled = replace(made, stations=(replace(made.stations[0], modes=(Mode(from_s=8.0, to_s=13.0, stall=True),)),))
    assert simulate(resolved(stalled), workers=2).verdict.status is Status.FINE


@pytest.mark.parametrize(("after", "status"), [(30.0, Status.METASTABLE), (5.0, Status.FINE), (45.0, Status.FINE)])
def test_a_burst_sets_it_off(after: float, status: Status) -> None:
    """Back at the load of before it stays; at a fifth of it it recovers; at more than before nothing is known."""
    made = storm(0.6, stall=None, **TIMELINE)
    segments = (
        RateSegment(duration_s=8.0, start_rps=30.0, end_rps=30.0), RateSegment(duration_s=4.0, start_rps=150.0, end_rps=150.0),
        RateSegment(duration_s=28.0, start_rps=after, end_rps=after),
    )
    burst = replace(made, clients=(replace(made.clients[0], arrivals=Poisson(segments=segments)),))
    assert simulate(resolved(burst), workers=2).verdict.status is status
