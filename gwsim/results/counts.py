"""The counts of several replications side by side, and the arithmetic that every part of the results shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gwsim.engine.schema import N_BINS, RawRun
from gwsim.results.histograms import NS, Floats, Histogram, Ints
from gwsim.results.intervals import LEVEL, Estimate, mean, quantile, t_quantile
from gwsim.results.labels import Labels
from gwsim.results.parts import Latency, Range, Series
from gwsim.results.work import class_cpu_s


@dataclass(frozen=True, eq=False)
class Counts:
    """R replications of one scenario, the names of what they counted, and the level of the intervals."""

    labels: Labels
    raws: tuple[RawRun, ...]
    level: float = LEVEL

    def of(self, field: str) -> Ints:
        """A field of all replications, int64 [R, ...]."""
        return np.stack([getattr(raw, field) for raw in self.raws])

    def classes(self, field: str, ids: Sequence[int]) -> Ints:
        """A field [C, ...] summed over some classes, int64 [R, ...]."""
        rows = list(ids)
        return np.stack([getattr(raw, field)[rows].sum(axis=0, dtype=np.int64) for raw in self.raws])

    @cached_property
    def duration_ns(self) -> int:
        """End of the window, as the engines have it."""
        return int(self.labels.duration_s * 1e9 + 0.5)

    @cached_property
    def warmup_ns(self) -> int:
        """Start of the window."""
        return int(self.labels.warmup_s * 1e9 + 0.5)

    @cached_property
    def windows_s(self) -> Floats:
        """Measured time of each replication, float64 [R]: shorter where `max_in_flight` stopped it."""
        ends = [min(int(raw.stop_ns[0]), self.duration_ns) if raw.saturated[0] else self.duration_ns for raw in self.raws]
        return np.maximum(np.array(ends, dtype=np.float64) - self.warmup_ns, 0.0) * NS

    @cached_property
    def lengths_s(self) -> Floats:
        """Simulated time of each replication, float64 [R]."""
        return np.array([int(raw.stop_ns[0]) for raw in self.raws], dtype=np.float64) * NS

    @cached_property
    def class_cpu_s(self) -> Floats:
        """CPU attributed to each class, seconds within the window, float64 [R, C]."""
        return class_cpu_s(self)

    @cached_property
    def bin_edges_ns(self) -> Ints:
        """The N_BINS + 1 edges of the time bins: bin b starts at the first instant t with t * N_BINS // H = b."""
        b = np.arange(N_BINS + 1, dtype=np.int64)
        return -((-b * self.duration_ns) // N_BINS)

    def window_bins(self, replication: int) -> npt.NDArray[np.bool_]:
        """Which time bins of a replication lie wholly within its window, bool [N_BINS]."""
        end = self.warmup_ns + int(self.windows_s[replication] / NS + 0.5)
        return np.asarray((self.bin_edges_ns[:-1] >= self.warmup_ns) & (self.bin_edges_ns[1:] <= end))


def histogram_of(counts: Counts, hist: str, sums: str, ids: Sequence[int], bits: int) -> Histogram:
    """The histogram of some rows (classes or clusters) together."""
    return Histogram.of(counts.classes(hist, ids), counts.classes(sums, ids), bits)


def latency_of(histogram: Histogram, level: float) -> Latency:
    """The figures of a histogram of durations."""
    return Latency(
        mean=mean(histogram, level=level),
        p50=quantile(histogram, 0.5, level=level),
        p90=quantile(histogram, 0.9, level=level),
        p95=quantile(histogram, 0.95, level=level),
        p99=quantile(histogram, 0.99, level=level),
        p999=quantile(histogram, 0.999, level=level),
        histogram=histogram,
    )


def range_of(figure: Estimate, labels: Labels) -> Range:
    """What the cost profile leaves open of a figure that is proportional to CPU: much uncalibrated, less calibrated."""
    value, costs = figure.value or 0.0, labels.costs
    return Range(low=value * costs.low, value=value, high=value * costs.high, calibrated=costs.calibrated)


def series_of(numerators: Floats, denominators: Floats, level: float) -> Series:
    """`intervals.ratio` for every time bin at once: float64 [R, B] each."""
    runs = numerators.shape[0]
    top, bottom = numerators.sum(axis=0), denominators.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(bottom > 0, top / bottom, np.nan)
        if runs < 2:
            nothing = np.full_like(value, np.nan)
            return Series(value=value, low=nothing, high=nothing)
        residuals = numerators - value * denominators
        error = np.sqrt((residuals**2).sum(axis=0) * runs / (runs - 1)) / bottom
    reach = t_quantile(0.5 + level / 2.0, runs - 1) * error
    return Series(value=value, low=value - reach, high=value + reach)
