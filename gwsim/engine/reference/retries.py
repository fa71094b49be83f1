"""Retries by the gateway: when, how often, after which back-off.

Envoy: `RetryStateImpl` (source/common/router/retry_state_impl.cc). The breaker's slot (`max_retries`) is taken with
the decision and held over the back-off until the retried attempt ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.codes import Counter, Flag, Purpose
from gwsim.engine.draws import below, draw64, ns
from gwsim.topology import RetryPolicy

if TYPE_CHECKING:
    from gwsim.engine.reference.pool_limits import ClusterOnPod
    from gwsim.engine.reference.streams import Stream

MS = 1_000_000


class Retries:
    """A retry policy."""

    __slots__ = ("base_ms", "codes", "conditions", "limit", "max_ms", "on_time_out", "per_try_ns", "reselections")

    def __init__(self, policy: RetryPolicy, route_time_out_ns: int = 0) -> None:
        self.limit = policy.num_retries
        self.conditions = frozenset(policy.retry_on)
        self.codes = frozenset(policy.retriable_status_codes)
        self.per_try_ns = max(1, ns(policy.per_try_timeout_s)) if policy.per_try_timeout_s else 0
        if 0 < route_time_out_ns <= self.per_try_ns:
            self.per_try_ns = 0  # Envoy: `FilterUtility::finalTimeout`
        self.base_ms = max(1, int(policy.base_interval_s * 1000.0 + 0.5))
        self.max_ms = max(1, int(policy.max_interval_s * 1000.0 + 0.5))
        self.reselections = policy.host_selection_retry_max_attempts if policy.previous_hosts else 0
        self.on_time_out = not self.conditions.isdisjoint(("5xx", "gateway-error", "reset"))
        """Whether a try that timed out (an upstream reset, in Envoy's terms) is retried."""

    def on_status(self, status: int) -> bool:
        """Whether an answer with this status is retried."""
        conditions = self.conditions
        return (
            (status >= 500 and "5xx" in conditions)
            or (status in (502, 503, 504) and "gateway-error" in conditions)
            or (status == 409 and "retriable-4xx" in conditions)
            or (status in self.codes and "retriable-status-codes" in conditions)
        )

    def on_failure(self, flag: Flag, sent: bool) -> bool:
        """Whether an attempt without an answer is retried: `flag` UF (no connection) or UC (lost), `sent` if it was written."""
        conditions = self.conditions
        return (
            not conditions.isdisjoint(("5xx", "gateway-error", "reset"))
            or (flag is Flag.UF and "connect-failure" in conditions)
            or ((flag is Flag.UF or not sent) and "reset-before-request" in conditions)
        )

    def admit(self, stream: Stream, cluster: ClusterOnPod) -> bool:
        """Take one of the policy's retries and a slot of the breaker, or mark why not."""
        if stream.retries >= self.limit:
            stream.flags |= Flag.URX
            cluster.count(Counter.UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED)
            return False
        stream.retries += 1
        if cluster.retries >= retries_allowed(cluster):
            stream.flags |= Flag.UO
            cluster.count(Counter.UPSTREAM_RQ_RETRY_OVERFLOW)
            return False
        cluster.retries += 1
        stream.retry_slot = True
        cluster.count(Counter.UPSTREAM_RQ_RETRY)
        return True

    def back_off(self, stream: Stream, attempt_key: int) -> int:
        """Exponential back-off with full jitter, in whole ms (Envoy: `JitteredExponentialBackOffStrategy`)."""
        bound = min(self.base_ms << (stream.retries - 1), self.max_ms)
        return max(1, below(draw64(attempt_key, Purpose.BACKOFF), bound) * MS)


def retries_allowed(cluster: ClusterOnPod) -> int:
    """Concurrent retries (Envoy: `ResourceManagerImpl::RetryBudgetImpl::max`)."""
    budget = cluster.breakers.retry_budget
    if budget is None:
        return cluster.breakers.max_retries
    return max(int(budget.percent / 100.0 * (cluster.requests + cluster.pending)), budget.min_retry_concurrency)
