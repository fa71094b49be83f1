"""Local rate limits: token buckets that the workers of a pod share.

Source: envoy source/common/common/token_bucket_impl.cc.
"""

from __future__ import annotations

from gwsim.engine.compiled.kernel import kernel


@kernel
def take_token(bucket, s):
    """Take a token at `s`; whether there was one. The order of operations is Envoy's."""
    now = s / 1e9
    tokens = min(float(bucket.most), (now - bucket.last_s) * bucket.rate)
    if tokens < 1.0:
        return False
    bucket.last_s = now - (tokens - 1.0) / bucket.rate
    return True
