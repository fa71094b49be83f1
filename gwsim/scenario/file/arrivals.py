"""When requests come: the `arrivals` of a client."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from gwsim.scenario.file.base import (
    UNIT_KEY,
    Choice,
    Count,
    FileModel,
    PositiveDuration,
    PositiveNumber,
    PositiveRate,
    Rate,
    one_of,
)
from gwsim.scenario.file.base import Duration as Span
from gwsim.scenario.file.distributions import Times

KINDS = ("poisson", "paced", "bursts", "profile", "diurnal", "closed", "replay")
DIURNAL_SEGMENTS = 48
PEAK_TO_MEAN = 1.8
"""Default of a day's peak to its mean. Source: docs/reference/costs.md, workload shapes."""


class Burst(FileModel):
    """Poisson arrivals whose rate jumps between two values (MMPP), staying exponentially distributed times."""

    base: Rate = Field(description="rate between bursts")
    peak: PositiveRate = Field(description="rate during a burst")
    mean_base: PositiveDuration = Field(description="mean time between bursts")
    mean_peak: PositiveDuration = Field(description="mean length of a burst")

    @model_validator(mode="after")
    def _ordered(self) -> Burst:
        if self.peak < self.base:
            raise ValueError("peak is below base")
        return self


def _pair(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value, value)


Ramp = Annotated[
    tuple[Rate, Rate],
    BeforeValidator(_pair),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "number"]},
                {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 2, "maxItems": 2},
            ],
            UNIT_KEY: "rate, or [first, last]",
        }
    ),
]


class Stretch(FileModel):
    """A stretch of a rate profile."""

    for_: PositiveDuration = Field(alias="for", description="how long it lasts")
    rate: Ramp = Field(description="the rate, or [first, last] when it rises or falls evenly")


class Diurnal(FileModel):
    """A day's rhythm: a sine between trough and peak, in 48 linear pieces.

    Two of mean, trough and peak; or one of them and `peak_to_mean`.
    """

    mean: PositiveRate | None = Field(default=None, description="mean rate over a period")
    trough: Rate | None = Field(default=None, description="lowest rate")
    peak: PositiveRate | None = Field(default=None, description="highest rate")
    peak_to_mean: Annotated[float, Field(ge=1, le=2)] | None = Field(
        default=None, description=f"peak over mean, 1 to 2; {PEAK_TO_MEAN} unless two rates are given"
    )
    period: PositiveDuration = Field(default=86400.0, description="length of the rhythm")
    peak_at: Span = Field(default=72000.0, description="time of the peak within the period")
    start_at: Span = Field(default=0.0, description="time within the period at which the run starts")

    @model_validator(mode="after")
    def _check(self) -> Diurnal:
        self.bounds()
        return self

    def bounds(self) -> tuple[float, float]:
        """Trough and peak, requests per second. Raises ValueError when they are not determined."""
        given = [name for name in ("mean", "trough", "peak") if getattr(self, name) is not None]
        if not given or len(given) + (self.peak_to_mean is not None) > 2:
            raise ValueError("give two of mean, trough, peak, or one of them and peak_to_mean")
        if len(given) == 2:
            trough, peak = self._from_two()
        else:
            ratio = PEAK_TO_MEAN if self.peak_to_mean is None else self.peak_to_mean
            trough, peak = self._from_ratio(ratio)
        if not (0.0 <= trough <= peak and peak > 0.0):
            raise ValueError("the rates contradict each other: trough <= mean <= peak, and peak at most twice the mean")
        return trough, peak

    def _from_two(self) -> tuple[float, float]:
        if self.mean is None:
            return self.trough or 0.0, self.peak or 0.0
        if self.peak is None:
            return self.trough or 0.0, 2.0 * self.mean - (self.trough or 0.0)
        return 2.0 * self.mean - self.peak, self.peak

    def _from_ratio(self, ratio: float) -> tuple[float, float]:
        if self.mean is not None:
            mean = self.mean
        elif self.peak is not None:
            mean = self.peak / ratio
        elif ratio < 2.0:
            mean = (self.trough or 0.0) / (2.0 - ratio)
        else:
            raise ValueError("with peak_to_mean 2 the trough is 0rps; give mean or peak")
        return (2.0 - ratio) * mean, ratio * mean

    def rate_at(self, time_s: float) -> float:
        """The rate of the sine, `time_s` after the start of the run."""
        trough, peak = self.bounds()
        angle = 2.0 * math.pi * (time_s + self.start_at - self.peak_at) / self.period
        return (trough + peak) / 2.0 + (peak - trough) / 2.0 * math.cos(angle)


class Closed(FileModel):
    """Connections that send their next request only after the last answer, as Fortio does."""

    connections: Count = Field(description="how many")
    rate: PositiveRate | None = Field(default=None, description="of all connections together; none: as fast as answers come")
    pacing: Literal["together", "jittered", "uniform"] = Field(
        default="uniform", description="all at once, all at once with 10 % jitter, or spread evenly"
    )
    catch_up: bool = Field(default=True, description="send late requests at once instead of skipping them")
    think: Times | None = Field(default=None, description="pause after an answer; instead of rate")

    @model_validator(mode="after")
    def _one_clock(self) -> Closed:
        if self.rate is not None and self.think is not None:
            raise ValueError("give rate or think, not both")
        return self


class ReplayLog(FileModel):
    """Arrivals taken from an access log."""

    file: str = Field(min_length=1, description="path, relative to the scenario file")
    speed: PositiveNumber = Field(default=1.0, description="2 plays it twice as fast")
    format: Literal["auto", "istio", "json", "csv"] = Field(
        default="auto", description="Istio's text format, its JSON form, or CSV with a time column and optionally method, host, path"
    )


class Arrivals(Choice):
    """How requests arrive: exactly one of these."""

    poisson: PositiveRate | None = Field(default=None, description="independent arrivals at this rate")
    paced: PositiveRate | None = Field(default=None, description="evenly spaced arrivals at this rate")
    bursts: Burst | None = Field(default=None, description="Poisson with a rate that jumps between two values")
    profile: Annotated[tuple[Stretch, ...], Field(min_length=1)] | None = Field(
        default=None, description="Poisson with a piecewise linear rate; starts again after the last piece"
    )
    diurnal: Diurnal | None = Field(default=None, description="Poisson with a daily rhythm")
    closed: Closed | None = Field(default=None, description="a number of connections, each waiting for its answers")
    replay: ReplayLog | None = Field(default=None, description="recorded arrivals")

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return one_of(value, KINDS, "arrivals")

    @model_validator(mode="after")
    def _some_rate(self) -> Arrivals:
        if self.profile is not None and not any(max(one.rate) > 0 for one in self.profile):
            raise ValueError("the rate of the profile is 0 throughout")
        return self


__all__ = ["Arrivals", "Burst", "Closed", "Diurnal", "ReplayLog", "Stretch"]
