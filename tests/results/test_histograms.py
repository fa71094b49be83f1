"""Histograms against numpy: quantiles within a bucket's width, exact means, merging."""

from __future__ import annotations

import numpy as np
import pytest

from gwsim.engine.schema import COARSE, FINE, MIDDLE, bucket, buckets, lower_edge
from gwsim.results.histograms import Histogram, lower_edges_ns, merge


def histogram(runs: list[np.ndarray], bits: int = FINE) -> Histogram:
    """Of durations in ns, one array a replication."""
    counts = np.zeros((len(runs), buckets(bits)), dtype=np.int64)
    for r, values in enumerate(runs):
        for value in values.tolist():
            counts[r, bucket(value, bits)] += 1
    return Histogram.of(counts, np.array([values.sum() for values in runs]), bits)


@pytest.mark.parametrize("bits", [COARSE, MIDDLE, FINE])
def test_lower_edges_are_those_of_the_engines(bits: int) -> None:
    indices = np.arange(buckets(bits), dtype=np.int64)
    assert lower_edges_ns(indices, bits).tolist() == [lower_edge(i, bits) for i in range(buckets(bits))]


@pytest.mark.parametrize("scale_ns", [50.0, 5e6, 5e10])
def test_quantiles_are_within_a_bucket_of_numpy(scale_ns: float) -> None:
    rng = np.random.default_rng(3)
    runs = [rng.lognormal(0.0, 1.0, 5000) * scale_ns for _ in range(3)]
    found = histogram([run.astype(np.int64) for run in runs])
    everything = np.concatenate(runs).astype(np.int64)
    for p in (0.01, 0.25, 0.5, 0.9, 0.99, 0.999):
        truth = float(np.quantile(everything, p, method="inverted_cdf"))
        assert found.quantile_s(p) == pytest.approx(truth * 1e-9, abs=1.01 * found.width_s(truth * 1e-9))
        one = float(np.quantile(runs[1].astype(np.int64), p, method="inverted_cdf"))
        assert found.quantile_s(p, 1) == pytest.approx(one * 1e-9, abs=1.01 * found.width_s(one * 1e-9))


def test_mean_is_exact() -> None:
    values = np.array([1, 2, 3_000_000_007], dtype=np.int64)
    assert histogram([values]).mean_s() == 3_000_000_010 * 1e-9 / 3


def test_only_used_buckets_are_kept() -> None:
    found = histogram([np.array([1_000_000, 1_100_000])])
    assert found.counts.shape[1] < 200
    assert found.count == 2


def test_share_above_a_limit() -> None:
    values = np.arange(1, 1001, dtype=np.int64) * 1_000_000
    found = histogram([values])
    assert found.share_above(0.9) == pytest.approx(0.1, abs=0.002)
    assert found.share_above(0.0) == 1.0
    assert found.share_above(2.0) == 0.0


def test_no_observations() -> None:
    empty = histogram([np.array([], dtype=np.int64)] * 2)
    assert (empty.count, empty.mean_s(), empty.quantile_s(0.5), empty.share_above(1.0)) == (0, None, None, None)
    assert empty.above(1.0).tolist() == [0.0, 0.0]


def test_merging_is_counting_together() -> None:
    rng = np.random.default_rng(4)
    a, b = (rng.exponential(s, 1000).astype(np.int64) for s in (1e6, 1e9))
    merged = merge([histogram([a]), histogram([b]), histogram([np.array([], dtype=np.int64)])])
    together = histogram([np.concatenate([a, b])])
    assert merged.first == together.first
    assert np.array_equal(merged.counts, together.counts)
    assert merged.mean_s() == together.mean_s()


def test_merging_refuses_other_resolutions() -> None:
    with pytest.raises(ValueError, match="same resolution"):
        merge([histogram([np.array([1])], FINE), histogram([np.array([1])], COARSE)])


def test_the_last_bucket_takes_everything_beyond() -> None:
    found = histogram([np.array([1 << 50, 1 << 60])])
    assert found.quantile_s(0.5) is not None
    assert found.quantile_s(0.999) == pytest.approx(4398.0, rel=0.01)
