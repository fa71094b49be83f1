"""What became of the requests of a run, and whether the generator can be trusted with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gwsim.envoy.load.schedule import Floats, Ints
from gwsim.errors import UndecidedError

CLOSED, TIMED_OUT, REFUSED = -1, -2, -3
"""In place of a status: the connection ended without an answer; no answer in time; no connection."""
WORDS = {CLOSED: "closed", TIMED_OUT: "timed out", REFUSED: "refused"}
Watch = Callable[[float], None]
"""Told seconds since the start of a run, now and then."""
ACCEPTED_LATENESS = 0.05
"""Of the median latency."""


class Late(UndecidedError):
    """The generator was late by more than the measurement allows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sent:
    """One entry a request, in order of due time; seconds from the start of the run."""

    due_s: Floats
    acted_s: Floats
    """When the generator wrote it, or set out to connect for it."""
    done_s: Floats
    """When its last byte was read, or it failed."""
    status: Ints
    request: Ints
    connection: Ints
    """Number of the connection that carried it, through the run."""
    opened: npt.NDArray[np.bool_]
    """Whether that connection was opened for it."""
    resumed: npt.NDArray[np.bool_]
    """Whether that opening resumed a TLS session."""
    bytes_read: Ints
    started_at_s: float = 0.0
    """Instant of the start, seconds of the epoch."""
    busy_s: float = 0.0
    """HTTP/1.1: time in which the generator sent, read or computed. Much of the run: its own work delayed what it measured."""
    own_s: Floats | None = None
    """HTTP/1.1: how much of each latency the generator worked for that request: connecting, shaking hands, writing, reading, and
    the mean of answering where it is the backend too."""
    captured: tuple[tuple[str, ...], ...] = ()
    """By header asked for, in the order of `Load.capture`: one value a request, empty where there was none."""

    def __len__(self) -> int:
        return len(self.due_s)

    @property
    def latency_s(self) -> Floats:
        """From when each was due to its last byte."""
        return self.done_s - self.due_s

    @property
    def lateness_s(self) -> Floats:
        """By how much the generator was late."""
        return self.acted_s - self.due_s

    @property
    def answered(self) -> npt.NDArray[np.bool_]:
        """Which ones got an HTTP status."""
        return self.status > 0

    @property
    def rate_rps(self) -> float:
        """Requests sent per second of the schedule."""
        length = float(self.due_s[-1] - self.due_s[0]) if len(self) > 1 else 0.0
        return (len(self) - 1) / length if length else 0.0

    @property
    def busy(self) -> float:
        """Share of the run in which the generator had work to do."""
        length = float(np.nanmax(self.done_s)) if len(self) else 0.0
        return self.busy_s / length if length > 0 else 0.0

    def statuses(self) -> dict[int, int]:
        """How many of each status (or CLOSED, TIMED_OUT, REFUSED)."""
        return dict(sorted(Counter(int(one) for one in self.status).items()))

    def quantile_s(self, *shares: float) -> list[float]:
        """Quantiles of the latency of what was answered; NaN for nothing."""
        latency = self.latency_s[self.answered]
        return [float(np.quantile(latency, one)) if len(latency) else float("nan") for one in shares]

    @property
    def lateness(self) -> float:
        """Mean lateness as a share of the median latency."""
        median = self.quantile_s(0.5)[0]
        mean = float(self.lateness_s.mean()) if len(self) else 0.0
        return mean / median if median > 0 else float("inf") if mean > 0 else 0.0

    def check(self, accepted: float = ACCEPTED_LATENESS) -> None:
        """Raise Late when mean lateness is more than that share of the median latency, or nothing was answered."""
        if not self.answered.any():
            raise Late("not one request was answered")
        if self.lateness > accepted:
            mean_us, median_us = 1e6 * float(self.lateness_s.mean()), 1e6 * self.quantile_s(0.5)[0]
            raise Late(
                f"the load generator was late by {mean_us:.0f} us on average, {self.lateness:.1%} of the median latency of "
                f"{median_us:.0f} us ({accepted:.0%} is accepted): lower the rate, or give it a processor of its own"
            )

    def summary(self) -> dict[str, object]:
        """Plain numbers for reports, seconds."""
        p50, p90, p99 = self.quantile_s(0.5, 0.9, 0.99)
        late = self.lateness_s
        return {
            "requests": len(self), "rate_rps": self.rate_rps,
            "statuses": {WORDS.get(one, str(one)): count for one, count in self.statuses().items()},
            "latency_s": {"mean": float(self.latency_s[self.answered].mean()) if self.answered.any() else None, "p50": p50, "p90": p90, "p99": p99},
            "lateness_s": {"mean": float(late.mean()), "p50": float(np.median(late)), "p99": float(np.quantile(late, 0.99)), "max": float(late.max())}
            if len(self) else {},
            "lateness_share_of_p50": self.lateness, "generator_busy": self.busy,
        }  # fmt: skip


__all__ = ["ACCEPTED_LATENESS", "CLOSED", "REFUSED", "TIMED_OUT", "Late", "Sent", "Watch"]
