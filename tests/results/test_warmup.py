"""The warm-up cut on series whose warm-up is known."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import model, replications

from gwsim.engine.schema import N_BINS, empty
from gwsim.results.warmup import mser, warmup_of


def transient(bins: int, height: float, seed: int = 1) -> np.ndarray:
    """A series that falls exponentially from `height` to noise around 1, with a time constant of `bins`."""
    rng = np.random.default_rng(seed)
    return 1.0 + height * np.exp(-np.arange(N_BINS) / bins) + rng.normal(0, 0.02, N_BINS)


@pytest.mark.parametrize("bins", [3, 6, 12])
def test_the_cut_is_about_where_the_transient_ends(bins: int) -> None:
    cut, found = mser(transient(bins, 5.0))
    assert found
    assert 3 * bins <= cut <= 10 * bins + 5


def test_noise_needs_no_cut() -> None:
    cuts = [mser(transient(5, 0.0, seed)) for seed in range(100)]
    assert sum(found for _, found in cuts) >= 97
    assert np.median([cut for cut, _ in cuts]) <= 10


def test_a_constant_needs_no_cut() -> None:
    assert mser(np.ones(N_BINS)) == (0, True)
    assert mser(np.zeros(N_BINS)) == (0, True)


def test_growth_has_no_stationary_part() -> None:
    assert mser(np.arange(N_BINS, dtype=float))[1] is False


def test_the_cut_of_a_pilot_is_widened_and_lies_on_a_bin() -> None:
    of = model(duration_s=60.0)
    pilot = []
    for seed in range(5):
        run = empty(of)
        run.bin_area[:] = transient(6, 5.0, seed) * 1e9
        run.bin_latency_hist[:, 100] = 10
        run.bin_latency_sum[:] = 10_000_000
        pilot.append(run)
    found = warmup_of(pilot, 60.0)
    assert found.stationary
    assert 8.0 <= found.cut_s < 30.0
    assert found.cut_s / 0.3 == pytest.approx(round(found.cut_s / 0.3))
    assert "MSER-5" in found.note


def test_a_growing_pilot_is_told_apart() -> None:
    of = model(duration_s=20.0)
    found = warmup_of(replications(of, 5, 500, growth_rps=100.0), 20.0)
    assert not found.stationary
    assert found.cut_s == 10.0
    assert "no stationary part" in found.note
