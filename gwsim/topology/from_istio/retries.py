"""Retry policies. Source: istio/istio pilot/pkg/networking/core/route/retry/retry.go."""

from __future__ import annotations

from dataclasses import replace

from gwsim.resources.models import HTTPRetry
from gwsim.topology.routes import RetryPolicy

DEFAULT_RETRY_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")
DEFAULT = RetryPolicy(num_retries=2, retry_on=DEFAULT_RETRY_ON)


def retry_policy(
    retries: HTTPRetry | None, *, default: HTTPRetry | None = None, single_hashed: bool = False
) -> RetryPolicy | None:
    """The policy of a route; None switches retries off. `default` is the mesh's `defaultHttpRetryPolicy`.

    `single_hashed`: the route has one destination and it uses consistent hashing, so a host may be tried again.
    """
    if retries is None and default is not None:
        retries = replace(default, per_try_timeout_s=None)  # The one field that the mesh cannot set.
    if retries is None:
        return replace(DEFAULT, previous_hosts=not single_hashed)
    if retries.attempts == 0:
        return None
    retry_on, codes = _conditions(retries.retry_on)
    base_s = retries.backoff_s or DEFAULT.base_interval_s
    previous = retries.retry_ignore_previous_hosts
    return RetryPolicy(
        num_retries=retries.attempts,
        retry_on=retry_on,
        retriable_status_codes=codes,
        per_try_timeout_s=retries.per_try_timeout_s or None,
        base_interval_s=base_s,
        max_interval_s=10 * base_s,
        previous_hosts=not single_hashed if previous is None else previous,
        previous_priorities=bool(retries.retry_remote_localities),
    )


def _conditions(retry_on: str | None) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Conditions and status codes; a number in the text becomes a code."""
    parts = [part.strip() for part in (retry_on or "").split(",") if part.strip()]
    if not parts:
        return DEFAULT_RETRY_ON, ()
    codes = tuple(int(part) for part in parts if part.isdigit())
    conditions = [part for part in parts if not part.isdigit()]
    if codes and "retriable-status-codes" not in conditions:
        conditions.append("retriable-status-codes")
    return tuple(conditions), codes
