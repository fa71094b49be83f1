"""Random quantities and arrivals of the resolved scenario; part of `gwsim.scenario.model`, to be imported from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A non-negative random quantity, drawn by inverting its CDF at exactly one uniform.

    `kind` and its parameters (seconds or bytes, as the field that holds the distribution says):
    `constant` a = value; `uniform` a = low, b = high; `exponential` a = mean; `lognormal` a = mu, b = sigma of
    the logarithm; `weibull` a = scale, b = shape; `pareto` a = minimum, b = tail index;
    `quantiles` points = ((probability, value), ...) from probability 0 to 1, linear in between.
    """

    kind: Literal["constant", "uniform", "exponential", "lognormal", "weibull", "pareto", "quantiles"]
    a: float = 0.0
    b: float = 0.0
    points: tuple[tuple[float, float], ...] = ()
    mean: float = 0.0
    """The mean, for sizing and for the analytic checks; not used by the engines."""


def constant(value: float) -> Distribution:
    """The distribution that always gives `value`."""
    return Distribution(kind="constant", a=value, mean=value)


# --- arrivals ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSegment:
    """A stretch of time in which the rate runs linearly from `start_rps` to `end_rps`."""

    duration_s: float
    start_rps: float
    end_rps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisson:
    """A Poisson process with a piecewise linear rate; after the last segment the profile starts again."""

    segments: tuple[RateSegment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """Evenly spaced arrivals: number k at `k / rate_rps` seconds."""

    rate_rps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """A two-state Markov-modulated Poisson process: exponential stays at the base rate and at the peak rate.

    The run starts at the base rate.
    """

    base_rps: float
    peak_rps: float
    mean_base_s: float
    mean_peak_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Recorded arrivals: instants in seconds from the start, ascending, and the shape of each (or -1: drawn)."""

    times_s: tuple[float, ...]
    shapes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop:
    """`connections` clients, each sending its next request only after its last was answered.

    With `rate_rps` (all connections together) each connection follows the schedule `offset + k * N / rate`
    as Fortio does: `together` (all offsets 0), `uniform` (connection j starts j / rate later) or `jittered`
    (as together, each sleep changed by up to 10 % either way). Late requests are sent at once with `catch_up`,
    otherwise missed slots are skipped. Without a rate the next request follows after a think time.
    """

    connections: int
    rate_rps: float | None = None
    pacing: Literal["together", "jittered", "uniform"] = "uniform"
    catch_up: bool = True
    think_time_s: Distribution | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemand:
    """No arrivals of its own: backends and other proxies make the requests, each for one of theirs."""


Arrivals = Poisson | Paced | Bursts | Replay | ClosedLoop | OnDemand

__all__ = ["Arrivals", "Bursts", "ClosedLoop", "Distribution", "OnDemand", "Paced", "Poisson", "RateSegment", "Replay", "constant"]
