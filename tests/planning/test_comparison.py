"""Differences between runs: pairing, corrections, directions, and what a comparison concludes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from queues import mm1
from synthetic import resolved

from gwsim.engine import run
from gwsim.errors import UsageError
from gwsim.planning.comparison import Direction, differences
from gwsim.planning.verdict import Side, Word, compare
from gwsim.results import Results


def results(load: float, *, replications: int = 6, **more: object) -> Results:
    """M/M/1 at a load, through the compiled engine."""
    model = mm1(load, duration_s=8.0, warmup_s=1.0, **more)
    return Results.of(resolved(model), [run(model, r, engine="compiled") for r in range(replications)])


@pytest.fixture(scope="module")
def half() -> Results:
    """M/M/1 at half its capacity."""
    return results(0.5)


def by_name(a: Results, b: Results) -> dict[str, object]:
    return {one.name: one for one in differences(a, b)}


def test_a_run_equals_itself(half: Results) -> None:
    assert {one.direction for one in differences(half, half)} == {Direction.SAME}
    made = compare(Side(name="a", results=half), Side(name="b", results=half))
    assert (made.word, made.exit_code) == (Word.SAME, 0)


def test_the_interval_holds_the_difference_of_two_queues(half: Results) -> None:
    """Mean response of M/M/1 is 1 / (mu - lambda): from 2 ms to 2.5 ms, half a millisecond apart."""
    more = results(0.6)
    row = by_name(half, more)["gateway.latency mean"]
    assert row.direction is Direction.WORSE
    assert row.low <= 0.5e-3 <= row.high
    assert row.variance_reduction > 1.0


def test_common_random_numbers_find_what_independent_ones_cannot(half: Results) -> None:
    """One percent more load: the paired interval is narrower than the runs' own by the factor that is told."""
    row = by_name(half, results(0.505))["client.latency mean"]
    assert row.direction is Direction.WORSE
    assert row.variance_reduction > 4.0
    own = half.total.client_latency.mean.half_width
    assert (row.high - row.low) / 2.0 < own


def test_better_is_the_other_way_round(half: Results) -> None:
    more = results(0.6)
    rows = by_name(more, half)
    assert rows["gateway.latency mean"].direction is Direction.BETTER
    assert by_name(half, more)["throughput good"].direction is Direction.BETTER


def test_runs_that_are_no_pairs_are_refused(half: Results) -> None:
    with pytest.raises(UsageError, match="cannot be paired"):
        differences(half, results(0.5, seed=2))
    with pytest.raises(UsageError, match="replications"):
        differences(half, results(0.5, replications=5))
    one = results(0.5, replications=1)
    with pytest.raises(UsageError, match="no variance"):
        differences(one, one)


def test_worse_beyond_the_tolerance_is_a_no(half: Results) -> None:
    more = results(0.6)
    made = compare(Side(name="a", results=half), Side(name="b", results=more))
    assert (made.word, made.exit_code) == (Word.WORSE, 1)
    assert compare(Side(name="a", results=half), Side(name="b", results=more), tolerance=9.0).exit_code == 0


def test_saturation_is_worse_whatever_the_figures_say(half: Results) -> None:
    made = compare(Side(name="a", results=half), Side(name="b", results=results(1.3)))
    assert made.word is Word.WORSE
    assert "aturated" in made.reasons[0]
    assert not any(one.figure.is_latency for one in made.differences)


def test_false_alarms_are_rare() -> None:
    """Equal queues with unequal seeds, paired by force: of all figures of all pairs, hardly one is called different."""
    runs = [results(0.5, seed=seed, replications=5) for seed in range(1, 9)]
    called = total = 0
    for a, b in zip(runs[::2], runs[1::2], strict=True):
        other = replace(b, labels=replace(b.labels, seed=a.labels.seed))
        rows = differences(a, other)
        called += sum(one.direction in (Direction.WORSE, Direction.BETTER) for one in rows)
        total += len(rows)
    assert called <= max(2, np.ceil(0.05 * total))
