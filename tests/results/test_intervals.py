"""Intervals: Student's t, sectioning and its coverage, shares, levels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gwsim.engine.schema import FINE, buckets
from gwsim.results.histograms import Histogram, lower_edges_ns
from gwsim.results.intervals import (
    Quality,
    mean,
    quantile,
    ratio,
    share,
    share_above,
    t_quantile,
    t_upper_tail,
)

EDGES = lower_edges_ns(np.arange(buckets(FINE), dtype=np.int64), FINE)


def histogram(runs: list[np.ndarray]) -> Histogram:
    """Of durations in seconds, one array a replication."""
    rows = []
    for values in runs:
        indices = np.searchsorted(EDGES, (values * 1e9).astype(np.int64), side="right") - 1
        rows.append(np.bincount(indices, minlength=buckets(FINE)))
    return Histogram.of(np.stack(rows), np.array([int((v * 1e9).astype(np.int64).sum()) for v in runs]), FINE)


def test_t_quantiles_of_the_tables() -> None:
    assert t_quantile(0.975, 9) == pytest.approx(2.2622, abs=1e-4)
    assert t_quantile(0.975, 4) == pytest.approx(2.7764, abs=1e-4)
    assert t_upper_tail(2.2622, 9) == pytest.approx(0.025, abs=1e-5)


def test_a_mean_over_equal_replications_is_students_interval() -> None:
    means = np.array([1.0, 1.2, 0.9, 1.1, 1.05])
    found = ratio(means * 100, np.full(5, 100), level=0.95)
    reach = 2.7764 * means.std(ddof=1) / math.sqrt(5)
    assert found.value == pytest.approx(means.mean())
    assert found.low == pytest.approx(means.mean() - reach, rel=1e-4)
    assert found.high == pytest.approx(means.mean() + reach, rel=1e-4)
    assert found.count == 500


def test_quantile_by_sectioning_is_the_formula() -> None:
    rng = np.random.default_rng(1)
    runs = [rng.exponential(0.01, 50_000) for _ in range(8)]
    found = quantile(histogram(runs), 0.99)
    points = np.array([np.quantile(run, 0.99) for run in runs])
    pooled = np.quantile(np.concatenate(runs), 0.99)
    reach = t_quantile(0.975, 7) * math.sqrt(((points - pooled) ** 2).sum() / (8 * 7))
    assert found.quality is Quality.OK
    assert found.value == pytest.approx(pooled, rel=1e-3)
    assert found.half_width == pytest.approx(reach + found.slack, rel=0.02)
    assert 0 < found.slack < 0.001 * pooled


def test_sectioning_covers_the_truth() -> None:
    """Autocorrelated data, as queues give: intervals of a nominal 95 % hold the p99 in 91 to 98.5 % of 300 cases."""
    rng = np.random.default_rng(7)
    hits = 0
    truth = 0.01 * -math.log(0.01)
    for _ in range(300):
        runs = []
        for _ in range(10):
            levels = rng.normal(0.0, 1.0, 500)
            for i in range(1, len(levels)):
                levels[i] = 0.7 * levels[i - 1] + math.sqrt(1 - 0.49) * levels[i]
            u = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in levels]).repeat(40)
            runs.append(-0.01 * np.log1p(-np.minimum(u, 1 - 1e-12)))
        found = quantile(histogram(runs), 0.99)
        hits += found.low is not None and found.high is not None and found.low <= truth <= found.high
    assert 0.91 <= hits / 300 <= 0.985


def test_means_cover_the_truth() -> None:
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(400):
        found = mean(histogram([rng.exponential(0.01, 200) for _ in range(10)]))
        assert found.low is not None and found.high is not None
        hits += found.low <= 0.01 <= found.high
    assert 0.91 <= hits / 400 <= 0.98


def test_a_quantile_with_few_requests_beyond_it_is_too_short() -> None:
    rng = np.random.default_rng(2)
    few, enough = ([rng.exponential(0.01, n) for _ in range(10)] for n in (19_000, 20_000))
    assert quantile(histogram(few), 0.99).quality is Quality.TOO_SHORT
    assert quantile(histogram(enough), 0.99).quality is Quality.OK
    assert quantile(histogram(few), 0.5).quality is Quality.OK


def test_a_visible_bias_is_too_short() -> None:
    """One replication with a long queue: the pooled p99 is its p99, the others are far from it."""
    rng = np.random.default_rng(3)
    runs = [rng.exponential(0.001, 30_000) for _ in range(30)] + [rng.exponential(1.0, 30_000)]
    assert quantile(histogram(runs), 0.99).quality is Quality.TOO_SHORT


def test_one_replication_has_no_interval() -> None:
    runs = histogram([np.full(1000, 0.01)])
    for found in (mean(runs), quantile(runs, 0.5), share(np.array([5]), np.array([100]))):
        assert found.quality is Quality.ONE_RUN
        assert found.low is None
        assert found.value is not None


def test_nothing_seen_is_at_most_three_in_n() -> None:
    found = share(np.zeros(10), np.full(10, 1000))
    assert (found.value, found.low, found.quality) == (0.0, 0.0, Quality.NONE_SEEN)
    assert found.high == pytest.approx(3e-4, rel=0.01)
    every = share(np.full(10, 1000), np.full(10, 1000))
    assert (every.value, every.high, every.quality) == (1.0, 1.0, Quality.ALL_SEEN)
    assert every.low == pytest.approx(1 - 3e-4, rel=1e-4)


def test_a_share_is_never_narrower_than_the_binomial() -> None:
    found = share(np.full(10, 10), np.full(10, 1000))
    floor = t_quantile(0.975, 9) * math.sqrt(0.01 * 0.99 / 10_000)
    assert found.half_width == pytest.approx(floor)
    wide = share(np.array([0, 20] * 5), np.full(10, 1000))
    assert (wide.half_width or 0) > 2 * floor
    assert (wide.low or 0) >= 0.0


def test_no_data() -> None:
    nothing = share(np.zeros(3), np.zeros(3))
    assert (nothing.value, nothing.low, nothing.quality) == (None, None, Quality.NO_DATA)
    assert mean(histogram([np.array([])] * 3)).value is None


def test_levels() -> None:
    rng = np.random.default_rng(5)
    found = quantile(histogram([rng.exponential(0.01, 30_000) for _ in range(10)]), 0.99)
    narrow, wide = found.at(0.8), found.at(0.999)
    assert (narrow.half_width or 0) < (found.half_width or 0) < (wide.half_width or 0)
    assert found.at(0.95).half_width == pytest.approx(found.half_width)
    assert found.low is not None and found.value is not None
    assert found.p_value(found.low) == pytest.approx(0.05, abs=1e-6)
    assert found.p_value(found.value) == 1.0
    assert found.p_value(2 * found.value) < 1e-6


def test_p_value_of_a_share_of_which_nothing_was_seen() -> None:
    found = share(np.zeros(10), np.full(10, 1000))
    assert found.high is not None
    assert found.p_value(found.high) == pytest.approx(0.05, rel=1e-6)
    assert found.p_value(0.01) < 1e-9


def test_scaling_keeps_the_interval() -> None:
    found = ratio(np.array([1.0, 2.0, 3.0]), np.ones(3)).scaled(1000.0)
    assert found.value == 2000.0
    assert found.at(0.95).half_width == pytest.approx(found.half_width)


def test_share_of_slow_requests() -> None:
    rng = np.random.default_rng(6)
    found = share_above(histogram([rng.exponential(0.01, 5000) for _ in range(10)]), 0.02)
    assert found.value == pytest.approx(math.exp(-2), rel=0.02)
