"""Faults by schedule: backends that are slow, failing or standing still for a time."""

from __future__ import annotations

from gwsim.engine.draws import ns
from gwsim.scenario.model import Mode


class Errors:
    """Shares of the jobs that are answered with an error status."""

    __slots__ = ("shares", "statuses")

    def __init__(self, errors: tuple[tuple[float, int], ...]) -> None:
        self.shares: list[float] = []
        """Running sums."""
        self.statuses: list[int] = []
        share = 0.0
        for part, status in errors:
            share += part
            self.shares.append(share)
            self.statuses.append(status)


class Modes:
    """When a backend pod behaves otherwise, and how."""

    __slots__ = ("_errors", "_slow", "_stalls")

    def __init__(self, modes: tuple[Mode, ...]) -> None:
        times = [(ns(one.from_s), ns(one.to_s), one) for one in modes]
        self._slow = [(start, end, one.slow) for start, end, one in times if one.slow != 1.0]
        self._errors = [(start, end, Errors(one.errors)) for start, end, one in times if one.errors is not None]
        self._stalls = [(start, end) for start, end, one in times if one.stall]

    def __bool__(self) -> bool:
        return bool(self._slow or self._errors or self._stalls)

    def slow(self, t: int) -> float:
        """By what factor service takes longer."""
        return next((factor for start, end, factor in self._slow if start <= t < end), 1.0)

    def errors(self, t: int) -> Errors | None:
        """The errors in place of the usual ones, if any."""
        return next((errors for start, end, errors in self._errors if start <= t < end), None)

    def done(self, t: int, work: int) -> int:
        """When work that begins at `t` is done, with the stalls in between."""
        for start, end in self._stalls:
            if end <= t:
                continue
            if t + work <= start:
                break
            if t < start:
                work -= start - t
            t = end
        return t + work
