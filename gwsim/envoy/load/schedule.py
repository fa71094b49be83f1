"""When requests are due: Poisson, evenly paced, or as recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """Instants in seconds from the start, ascending; which request each is; on which connection (recorded runs)."""

    times_s: Floats
    requests: Ints
    connections: Ints | None = None

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def duration_s(self) -> float:
        """Until the last request is due."""
        return float(self.times_s[-1]) if len(self.times_s) else 0.0


def poisson(rate_rps: float, duration_s: float, *, seed: int, weights: Sequence[float] = (1.0,)) -> Schedule:
    """Independent arrivals; `weights` are the shares of the load's requests. Raises ValueError for rates that are none."""
    _check(rate_rps, duration_s)
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0.0, duration_s, rng.poisson(rate_rps * duration_s)))
    return Schedule(times_s=times, requests=_drawn(rng, len(times), weights))


def paced(rate_rps: float, duration_s: float, *, seed: int = 0, weights: Sequence[float] = (1.0,)) -> Schedule:
    """Request k at k / rate. Raises ValueError for rates that are none."""
    _check(rate_rps, duration_s)
    times = np.arange(int(rate_rps * duration_s), dtype=np.float64) / rate_rps
    return Schedule(times_s=times, requests=_drawn(np.random.default_rng(seed), len(times), weights))


def recorded(
    times_s: Sequence[float] | Floats, requests: Sequence[int] | Ints | None = None, connections: Sequence[int] | Ints | None = None
) -> Schedule:
    """Given instants (any order), with the request and the connection of each. Raises ValueError for unequal lengths."""
    times = np.asarray(times_s, dtype=np.float64)
    which = np.zeros(len(times), dtype=np.int64) if requests is None else np.asarray(requests, dtype=np.int64)
    slots = None if connections is None else np.asarray(connections, dtype=np.int64)
    if len(which) != len(times) or (slots is not None and len(slots) != len(times)):
        raise ValueError("times, requests and connections must be of one length")
    order = np.argsort(times, kind="stable")
    return Schedule(times_s=times[order], requests=which[order], connections=None if slots is None else slots[order])


def _check(rate_rps: float, duration_s: float) -> None:
    if not rate_rps > 0 or not duration_s > 0:
        raise ValueError(f"rate and duration must be above 0, not {rate_rps:g}/s and {duration_s:g} s")


def _drawn(rng: np.random.Generator, count: int, weights: Sequence[float]) -> Ints:
    shares = np.asarray(weights, dtype=np.float64)
    return rng.choice(len(shares), size=count, p=shares / shares.sum()).astype(np.int64)


__all__ = ["Floats", "Ints", "Schedule", "paced", "poisson", "recorded"]
