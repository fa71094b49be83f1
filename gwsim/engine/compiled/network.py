"""Delays between zones and the drawing of distributions."""

from __future__ import annotations

from gwsim.engine.compiled.draws import draw64, interpolate, quantile, uniform
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.draws import CONSTANT, QUANTILES


@kernel
def sample(w, d, key, purpose):
    """Draw distribution `d` (index) for `purpose` of `key`: seconds or bytes, not negative."""
    dist = w.dists[d]
    if dist.kind == CONSTANT:
        return max(0.0, dist.a)
    u = uniform(draw64(key, purpose, 0))
    if dist.kind != QUANTILES:
        return max(0.0, quantile(dist.kind, dist.a, dist.b, u))
    i = dist.point_first + 1
    last = dist.point_first + dist.points - 1
    while i < last and u > w.points[i].p:
        i += 1
    lo, hi = w.points[i - 1], w.points[i]
    return max(0.0, interpolate(lo.p, lo.x, hi.p, hi.x, u))


@kernel
def byte_cost(nbytes, per_byte_s):
    """CPU of `nbytes` bytes, ns."""
    return int(nbytes * per_byte_s * 1e9 + 0.5)
