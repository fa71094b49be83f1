"""How load is divided over priorities, and when a priority is in panic. All numbers are integers, as in Envoy.

Envoy: `LoadBalancerBase` (source/extensions/load_balancing_policies/common/load_balancer_impl.cc):
`recalculatePerPriorityState`, `recalculatePerPriorityPanic`, `recalculateLoadInTotalPanic`, `choosePriority`.
"""

from __future__ import annotations

from collections.abc import Sequence

OVERPROVISIONING = 140
"""Percent: a priority carries its whole load until less than 100 / 1.4 percent of its hosts are healthy."""


class Loads:
    """Percent of the requests for the healthy and the degraded hosts of each priority; priorities in panic."""

    __slots__ = ("degraded", "healthy", "panic")

    def __init__(self, hosts: Sequence[int], healthy: Sequence[int], degraded: Sequence[int], threshold: int) -> None:
        """From the numbers of hosts, of healthy and of degraded ones per priority; `threshold` of panic in percent."""
        h = [_health(good, all_) for good, all_ in zip(healthy, hosts, strict=True)]
        d = [_health(good, all_) for good, all_ in zip(degraded, hosts, strict=True)]
        norm = min(100, sum(h) + sum(d))
        rest = 100
        self.healthy, rest = _shares(h, norm, rest)
        self.degraded, rest = _shares(d, norm, rest)
        for shares, health in ((self.healthy, h), (self.degraded, d)):
            first = next((p for p, value in enumerate(health) if value > 0), None)
            if first is not None:
                shares[first] += rest
                break
        shares_up = [100.0 * a / n + 100.0 * b / n if n else 0.0 for n, a, b in zip(hosts, healthy, degraded, strict=True)]
        self.panic = [threshold > 0 and norm < 100 and share < threshold for share in shares_up]
        if threshold == 0 and norm == 0 and self.healthy:
            self.healthy[0] = 100
        elif self.panic and all(self.panic):
            self._total_panic(hosts)

    def _total_panic(self, hosts: Sequence[int]) -> None:
        """Every priority is in panic: by the number of hosts."""
        total = sum(hosts)
        self.degraded = [0] * len(hosts)
        self.healthy = [100 * n // total if total else 0 for n in hosts]
        first = next((p for p, n in enumerate(hosts) if n > 0), None)
        if first is not None:
            self.healthy[first] += 100 - sum(self.healthy)

    def choose(self, z: int) -> tuple[int, bool] | None:
        """(priority, whether its degraded hosts) for a 64-bit number; None if there is no load at all."""
        r = z % 100 + 1
        running = 0
        for degraded, shares in ((False, self.healthy), (True, self.degraded)):
            for p, share in enumerate(shares):
                running += share
                if r <= running:
                    return p, degraded
        return None


def _health(good: int, hosts: int) -> int:
    return min(100, OVERPROVISIONING * good // hosts) if hosts else 0


def _shares(health: Sequence[int], norm: int, rest: int) -> tuple[list[int], int]:
    """Shares of what is left, in order of priority, and what is left then."""
    shares = []
    for value in health:
        share = min(rest, value * 100 // norm) if norm else 0
        shares.append(share)
        rest -= share
    return shares, rest
