"""Runs of scenarios: determinism, the pilot, precision, theory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from queues import mm1
from synthetic import resolved

from gwsim.engine.schema import Options
from gwsim.planning import Progress, simulate
from gwsim.planning.replications import PILOT_FIRST, PILOTS
from gwsim.results import Status, store


def test_the_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    of = resolved(mm1(0.7, duration_s=5.0), warmup_auto=True)
    options = Options(records=50, digest=True)
    found = [
        store.save(simulate(of, replications=5, workers=workers, options=options), tmp_path / str(workers))
        for workers in (1, 2, 4)
    ]
    for name in ("run.json", "arrays.npz"):
        assert len({(one / name).read_bytes() for one in found}) == 1


def test_engines_and_processes_give_the_same_results() -> None:
    of = resolved(mm1(0.7, duration_s=2.0))
    digests = {
        simulate(of, engine=kind, replications=3, workers=workers).digest
        for kind, workers in (("compiled", 1), ("reference", 1), ("reference", 2))
    }
    assert len(digests) == 1


def test_mm1_is_found_within_its_interval() -> None:
    """Response of M/M/1 at 0.8: mean 5 ms, p99 23.03 ms; the round trip to the client adds 1 ms."""
    found = simulate(resolved(mm1(0.8, duration_s=60.0, warmup_s=2.0)), workers=2)
    latency = found.total.client_latency
    assert found.verdict.status is Status.FINE
    for figure, truth in ((latency.mean, 0.006), (latency.p99, 0.001 + 0.005 * 4.60517)):
        wide = figure.at(0.999)
        assert wide.low is not None and wide.high is not None
        assert wide.low <= truth <= wide.high
        assert (figure.half_width or 1) < 0.06 * truth
    assert found.backends[0].utilisation.value == pytest.approx(0.8, rel=0.01)
    assert found.bottleneck.first is not None and found.bottleneck.first.kind == "backend"


def test_replications_are_a_prefix_of_more_replications() -> None:
    of = resolved(mm1(0.5, duration_s=5.0))
    few, many = simulate(of, replications=2), simulate(of, replications=4)
    assert simulate(of, replications=2).digest == few.digest != many.digest
    assert [raw.latency_sum.tolist() for raw in few.raws] == [raw.latency_sum.tolist() for raw in many.raws[:2]]


def test_the_pilot_fixes_the_cut_with_replications_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from gwsim.planning import replications

    numbers: list[int] = []
    cuts: list[float] = []
    real = replications.run_one

    def spy(model, kind, options, number):
        numbers.append(number)
        cuts.append(model.run.warmup_s)
        return real(model, kind, options, number)

    monkeypatch.setattr(replications, "run_one", spy)
    of = mm1(0.7, duration_s=5.0, warmup_s=1.0)
    guess = "the first 1 s of each replication are left out as warm-up"
    found = simulate(replace(resolved(of, warmup_auto=True), assumptions=(guess, "other")), replications=3)
    assert numbers == [*range(PILOT_FIRST, PILOT_FIRST + PILOTS), 0, 1, 2]
    assert found.warmup is not None
    assert cuts == [0.0] * PILOTS + [found.warmup.cut_s] * 3
    assert found.labels.warmup_s == found.warmup.cut_s
    assert found.labels.assumptions == ("other",)
    assert found.notes == (found.warmup.note,)
    numbers.clear()
    assert simulate(resolved(of), replications=2).warmup is None
    assert numbers == [0, 1]


def test_precision_adds_replications_until_it_is_reached() -> None:
    of = resolved(mm1(0.5, duration_s=50.0, replications=5))
    plan = of.plan
    loose = simulate(replace(of, plan=replace(plan, precision=0.2)))
    assert loose.replications == 5 and "reached with 5" in loose.notes[-1]
    tight = simulate(replace(of, plan=replace(plan, precision=0.012)))
    assert tight.replications in (10, 20, 40, 80) and "reached with" in tight.notes[-1]
    latency = tight.total.client_latency
    for figure in (latency.mean, latency.p99):
        assert (figure.half_width or 1) <= 0.012 * (figure.value or 0)
    capped = simulate(replace(of, plan=replace(plan, precision=0.001, max_requests=300_000)))
    assert capped.requests <= 300_000 and "not reached" in capped.notes[-1]
    assert simulate(replace(of, plan=replace(plan, precision=0.001)), replications=2).replications == 2


def test_precision_is_not_chased_when_each_replication_is_too_short_for_it() -> None:
    of = resolved(mm1(0.5, duration_s=5.0, replications=5))
    found = simulate(replace(of, plan=replace(of.plan, precision=0.01)))
    assert found.replications == 5 and "make run.duration longer" in found.notes[-1]


def test_progress_is_told() -> None:
    told: list[Progress] = []
    simulate(resolved(mm1(0.5, duration_s=2.0), warmup_auto=True), replications=3, progress=told.append)
    assert [(one.stage, one.done, one.total) for one in told] == [
        *(("pilot", i + 1, 5) for i in range(5)), *(("replications", i + 1, 3) for i in range(3)),
    ]
    assert told[-1].requests > told[-2].requests > 0


@pytest.mark.parametrize("arguments", [{"replications": 0}, {"workers": 0}])
def test_nonsense_is_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        simulate(resolved(mm1(0.5)), **arguments)
