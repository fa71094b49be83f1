"""Log-linear histograms of durations: quantiles, shares above a limit, exact means, merging.

An engine counts durations in integer nanoseconds into buckets of 2^bits per power of two
(`gwsim.engine.schema.bucket`). Here such a histogram is kept per replication, cut to the buckets that hold
anything, and read in seconds. A quantile is found by linear interpolation inside its bucket, so it is off by
less than the width of that bucket (2^-bits of the value); means come from integer sums and are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gwsim.engine.schema import MAX_BITS, buckets

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]

NS = 1e-9


def lower_edges_ns(indices: Ints, bits: int) -> Ints:
    """Smallest value of each bucket of `indices` (int64 [n], ns), as `schema.lower_edge` says."""
    shift = np.maximum((indices >> bits) - 1, 0)
    return np.asarray((indices - (shift << bits)) << shift, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Durations of R replications.

    `counts` is int64 [R, n] for the n buckets from `first` on; `sums_ns` is int64 [R], the exact sums.
    """

    bits: int
    first: int
    counts: Ints
    sums_ns: Ints

    @staticmethod
    def of(counts: Ints, sums_ns: Ints, bits: int) -> Histogram:
        """From full-size counts, int64 [R, buckets(bits)], and their sums, int64 [R]."""
        if counts.ndim != 2 or counts.shape[1] != buckets(bits):
            raise ValueError(f"counts of shape {counts.shape} are not a histogram of {bits} bits")
        used = np.flatnonzero(counts.any(axis=0))
        first, end = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
        kept = np.array(counts[:, first:end], dtype=np.int64)
        kept.setflags(write=False)
        return Histogram(bits, first, kept, np.array(sums_ns, dtype=np.int64))

    @property
    def replications(self) -> int:
        """R."""
        return int(self.counts.shape[0])

    @cached_property
    def totals(self) -> Ints:
        """Observations of each replication, int64 [R]."""
        return np.asarray(self.counts.sum(axis=1), dtype=np.int64)

    @property
    def count(self) -> int:
        """Observations of all replications."""
        return int(self.totals.sum())

    @cached_property
    def edges_s(self) -> Floats:
        """The n + 1 edges of the buckets held, seconds."""
        indices = np.arange(self.first, self.first + self.counts.shape[1] + 1, dtype=np.int64)
        return lower_edges_ns(indices, self.bits) * NS

    @cached_property
    def pooled(self) -> Ints:
        """Counts of all replications together, int64 [n]."""
        return np.asarray(self.counts.sum(axis=0), dtype=np.int64)

    @cached_property
    def _cumulative(self) -> Ints:
        """Running sums of each replication and, last, of all together: int64 [R + 1, n + 1]."""
        rows = np.vstack([self.counts, self.pooled[None, :]])
        return np.concatenate([np.zeros((rows.shape[0], 1), np.int64), np.cumsum(rows, axis=1)], axis=1)

    def mean_s(self) -> float | None:
        """Mean over everything, exact but for one division; None without observations."""
        return int(self.sums_ns.sum()) * NS / self.count if self.count else None

    def quantile_s(self, probability: float, replication: int = -1) -> float | None:
        """The quantile of one replication, or (-1) of all pooled; None without observations."""
        cumulative = self._cumulative[replication]
        total = int(cumulative[-1])
        if not total:
            return None
        rank = probability * total
        # The bucket in which the running sum first reaches the rank, empty buckets left out.
        i = max(int(np.searchsorted(cumulative, rank, side="left")) - 1, 0)
        while cumulative[i + 1] == cumulative[i]:
            i += 1
        inside = (rank - cumulative[i]) / (cumulative[i + 1] - cumulative[i])
        return float(self.edges_s[i] + (self.edges_s[i + 1] - self.edges_s[i]) * inside)

    def width_s(self, value_s: float) -> float:
        """Width of the bucket that holds `value_s`, seconds."""
        ns = min(max(int(value_s / NS), 0), (1 << MAX_BITS) - 1)
        return float(1 << max(ns.bit_length() - 1 - self.bits, 0)) * NS

    def above(self, limit_s: float) -> Floats:
        """Observations above `limit_s` of each replication, float64 [R]; the bucket that holds it counts in part."""
        if not self.count:
            return np.zeros(self.replications)
        below = np.array([np.interp(limit_s, self.edges_s, row) for row in self._cumulative[:-1]])
        return np.asarray(self.totals - below, dtype=np.float64)

    def share_above(self, limit_s: float) -> float | None:
        """Share of all observations above `limit_s`; None without observations."""
        return float(self.above(limit_s).sum()) / self.count if self.count else None


def merge(parts: Sequence[Histogram]) -> Histogram:
    """Histograms of different things over the same replications as one, by addition."""
    if not parts:
        raise ValueError("nothing to merge")
    bits, runs = parts[0].bits, parts[0].replications
    if any(part.bits != bits or part.replications != runs for part in parts):
        raise ValueError("only histograms of the same resolution and replications can be added")
    held = [part for part in parts if part.counts.shape[1]]
    sums = np.asarray(np.sum([part.sums_ns for part in parts], axis=0), dtype=np.int64)
    if not held:
        return Histogram(bits, 0, parts[0].counts, sums)
    first = min(part.first for part in held)
    end = max(part.first + part.counts.shape[1] for part in held)
    counts = np.zeros((runs, end - first), dtype=np.int64)
    for part in held:
        counts[:, part.first - first : part.first - first + part.counts.shape[1]] += part.counts
    return Histogram(bits, first, counts, sums)
