"""Quantities of the model as the engine uses them: drawn at one uniform, in integer nanoseconds or bytes."""

from __future__ import annotations

from gwsim.engine.codes import Purpose
from gwsim.engine.draws import KINDS, draw64, interpolate, ns, quantile, uniform
from gwsim.scenario.model import Distribution


def from_table(points: tuple[tuple[float, float], ...], u: float) -> float:
    """The value at the uniform `u` of a distribution given by its quantiles."""
    i = next((i for i in range(1, len(points)) if u <= points[i][0]), len(points) - 1)
    (p0, x0), (p1, x1) = points[i - 1], points[i]
    return interpolate(p0, x0, p1, x1, u)


def u01(key: int, purpose: Purpose, i: int = 0) -> float:
    """`U(key, purpose, i)` of the specification."""
    return uniform(draw64(key, purpose, i))


class Quantity:
    """A distribution and what its draws are for. A constant needs no draw, as draws leave no trace."""

    __slots__ = ("a", "b", "fixed", "kind", "points", "purpose")

    def __init__(self, distribution: Distribution, purpose: Purpose) -> None:
        self.kind = KINDS.index(distribution.kind)
        self.a = distribution.a
        self.b = distribution.b
        self.points = distribution.points
        self.purpose = purpose
        self.fixed = max(0.0, distribution.a) if distribution.kind == "constant" else None

    def ns(self, key: int, slow: float = 1.0) -> int:
        """The duration drawn for `key`, longer by a factor."""
        return ns(self.value(key) * slow)

    def size(self, key: int) -> int:
        """The number of bytes drawn for `key`."""
        return int(self.value(key) + 0.5)

    def value(self, key: int) -> float:
        """The value drawn for `key`; never negative."""
        if self.fixed is not None:
            return self.fixed
        u = uniform(draw64(key, self.purpose))
        return max(0.0, from_table(self.points, u) if self.points else quantile(self.kind, self.a, self.b, u))


def byte_cost(size: int, per_byte_s: float) -> int:
    """CPU of `size` bytes, in ns."""
    return int(size * per_byte_s * 1e9 + 0.5)


def first_above(running: tuple[float, ...], u: float) -> int:
    """Index of the first running sum that exceeds `u`; the last if none does."""
    for i, share in enumerate(running):
        if share > u:
            return i
    return len(running) - 1
