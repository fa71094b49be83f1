"""Every figure with its interval, over independent replications.

* Means and rates are ratios of sums; the interval is Student's t over the replications (residuals of the
  ratio, so replications of different size need no weights).
* Quantiles: the point comes from the pooled histogram, the interval from *sectioning*,
  q ± (t · sqrt(Σ(q_r - q)² / (R(R-1))) + half a bucket). Never from counts inside one run: requests of one run
  are correlated, and an order-statistic interval of a nominal 95 % then covers a few percent.
* Shares: as means, but never narrower than the binomial; with nothing seen in N, "at most about 3/N".

Source: S. Asmussen, P. W. Glynn, Stochastic Simulation, 2007, chapters III.5 and IV.5 (sectioning); Hanley and
Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 1983 (the rule of three).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from gwsim.results.histograms import Histogram

LEVEL = 0.95
EXCEEDANCES = 200
"""A quantile needs this many observations beyond it in every replication."""

Numbers = npt.NDArray[np.integer[Any]] | npt.NDArray[np.floating[Any]]


class Quality(StrEnum):
    """How far a figure can be trusted."""

    OK = "ok"
    NO_DATA = "no data"
    ONE_RUN = "one replication"
    """A value without an interval."""
    TOO_SHORT = "too short"
    """The interval cannot be trusted: too few observations beyond the quantile, or a visible bias."""
    NONE_SEEN = "none seen"
    """A share of which no case occurred: the value is 0, `high` about 3/N."""
    ALL_SEEN = "all seen"
    """A share of which only cases occurred: the value is 1, `low` about 1 - 3/N."""


@lru_cache(maxsize=256)
def t_quantile(probability: float, degrees: int) -> float:
    """The quantile of Student's t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def t_upper_tail(t: float, degrees: int) -> float:
    """P(T > t) for Student's t distribution."""
    from scipy.special import stdtr

    return float(stdtr(degrees, -t))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and its interval [low, high] at `level`, in the unit that the field holding it names.

    `value` is None without data; `low` and `high` are None without an interval (no data, one replication).
    `count` is the number of observations behind it. `error` is the standard error over `degrees` + 1
    replications, and `slack` what is added to the half-width for the width of a bucket: with them the interval
    can be had at any other level.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    count: int = 0
    quality: Quality = Quality.OK
    level: float = LEVEL
    error: float | None = None
    degrees: int = 0
    slack: float = 0.0

    @property
    def half_width(self) -> float | None:
        """Half the length of the interval, or None without one."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2.0

    @property
    def trusted(self) -> bool:
        """Whether the interval means what it says."""
        return self.quality in (Quality.OK, Quality.NONE_SEEN, Quality.ALL_SEEN)

    def at(self, level: float) -> Estimate:
        """The same figure with its interval at another level."""
        if self.value is None or self.error is None:
            return replace(self, level=level)
        if self.quality in (Quality.NONE_SEEN, Quality.ALL_SEEN):
            reach = min(-math.log(1.0 - level) / max(self.count, 1), 1.0)
            low, high = (0.0, reach) if self.quality is Quality.NONE_SEEN else (1.0 - reach, 1.0)
            return replace(self, level=level, low=low, high=high)
        reach = t_quantile(0.5 + level / 2.0, self.degrees) * self.error + self.slack
        return replace(self, level=level, low=self.value - reach, high=self.value + reach)

    def p_value(self, limit: float) -> float:
        """The smallest 1 - level at which the interval leaves out `limit`; 1 when none does or there is none."""
        if self.value is None or self.error is None:
            return 1.0
        if self.quality in (Quality.NONE_SEEN, Quality.ALL_SEEN):
            distance = limit if self.quality is Quality.NONE_SEEN else 1.0 - limit
            return math.exp(-max(distance, 0.0) * self.count)
        distance = abs(self.value - limit) - self.slack
        if distance <= 0.0:
            return 1.0
        return 2.0 * t_upper_tail(distance / self.error, self.degrees) if self.error else 0.0

    def scaled(self, factor: float) -> Estimate:
        """The same figure in another unit, `factor` of which make one of this."""

        def times(x: float | None) -> float | None:
            return None if x is None else x * factor

        return replace(
            self, value=times(self.value), low=times(self.low), high=times(self.high),
            error=times(self.error), slack=self.slack * factor,
        )


NO_DATA = Estimate(value=None, quality=Quality.NO_DATA)


def ratio(numerators: Numbers, denominators: Numbers, *, level: float = LEVEL, count: int | None = None) -> Estimate:
    """Σ numerators / Σ denominators with Student's interval over the replications; both arrays are [R]."""
    top, bottom = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    total = float(bottom.sum())
    runs = len(top)
    if not runs or total <= 0.0:
        return replace(NO_DATA, level=level)
    value = float(top.sum()) / total
    seen = round(total) if count is None else count
    if runs < 2:
        return Estimate(value=value, count=seen, quality=Quality.ONE_RUN, level=level)
    residuals = top - value * bottom
    error = math.sqrt(float(residuals @ residuals) * runs / (runs - 1)) / total
    return Estimate(value=value, count=seen, level=level, error=error, degrees=runs - 1).at(level)


def share(hits: Numbers, totals: Numbers, *, level: float = LEVEL) -> Estimate:
    """Σ hits / Σ totals as a share, 0 to 1; both arrays are [R]."""
    plain = ratio(hits, totals, level=level)
    if plain.value is None:
        return plain
    error = math.sqrt(max(plain.value * (1.0 - plain.value), 0.0) / plain.count)
    runs = len(hits)
    if plain.value in (0.0, 1.0):
        quality = Quality.NONE_SEEN if plain.value == 0.0 else Quality.ALL_SEEN
        return replace(plain, quality=quality, error=0.0, degrees=runs - 1).at(level)
    if plain.error is None:
        return plain
    wide = replace(plain, error=max(plain.error, error)).at(level)
    assert wide.low is not None and wide.high is not None
    return replace(wide, low=max(wide.low, 0.0), high=min(wide.high, 1.0))


def mean(histogram: Histogram, *, level: float = LEVEL) -> Estimate:
    """The mean duration, seconds."""
    return ratio(histogram.sums_ns * 1e-9, histogram.totals, level=level)


def quantile(histogram: Histogram, probability: float, *, level: float = LEVEL) -> Estimate:
    """A quantile of the durations, seconds, by sectioning."""
    point = histogram.quantile_s(probability)
    if point is None:
        return replace(NO_DATA, level=level)
    runs = histogram.replications
    if runs < 2:
        return Estimate(value=point, count=histogram.count, quality=Quality.ONE_RUN, level=level)
    parts = [histogram.quantile_s(probability, r) for r in range(runs)]
    values = np.array([part for part in parts if part is not None])
    if len(values) < 2:
        return Estimate(value=point, count=histogram.count, quality=Quality.TOO_SHORT, level=level)
    spread = float(((values - point) ** 2).sum())
    estimate = Estimate(
        value=point, count=histogram.count, level=level, degrees=len(values) - 1,
        error=math.sqrt(spread / (len(values) * (len(values) - 1))), slack=histogram.width_s(point) / 2.0,
    ).at(level)
    beyond = float(histogram.totals.min()) * min(probability, 1.0 - probability)
    biased = abs(float(values.mean()) - point) > (estimate.half_width or 0.0) / 2.0
    # Rounded, because 20000 · (1 - 0.99) is a shade below 200 in floating point.
    short = round(beyond, 6) < EXCEEDANCES or biased
    return replace(estimate, quality=Quality.TOO_SHORT) if short else estimate


def share_above(histogram: Histogram, limit_s: float, *, level: float = LEVEL) -> Estimate:
    """The share of durations above `limit_s`."""
    return share(histogram.above(limit_s), histogram.totals, level=level)
