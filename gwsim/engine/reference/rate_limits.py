"""Local rate limits: token buckets that the workers of a pod share.

Envoy: `AtomicTokenBucketImpl` (source/common/common/token_bucket_impl.h): tokens are not counted but derived from the
time since the bucket would have been empty, so that refill is continuous. The float operations are in the order of the
specification.
"""

from __future__ import annotations

from gwsim.scenario.model import TokenBucket


class Bucket:
    """A token bucket; it starts full."""

    __slots__ = ("_last", "_most", "_rate")

    def __init__(self, model: TokenBucket) -> None:
        self._most = float(model.max_tokens)
        self._rate = model.tokens_per_fill / model.fill_interval_s
        self._last = 0.0 - model.max_tokens / self._rate
        """When it would have been empty, seconds."""

    def take(self, now_ns: int) -> bool:
        """Take a token, if there is one."""
        now = now_ns / 1e9
        tokens = min(self._most, (now - self._last) * self._rate)
        if tokens < 1.0:
            return False
        self._last = now - (tokens - 1.0) / self._rate
        return True
