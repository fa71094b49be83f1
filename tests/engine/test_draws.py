"""Draws are uniform and independent along each axis of their keys: request, attempt, purpose, replication.

Chi-square of values and of pairs of neighbours, and Kolmogorov-Smirnov, each at a level of 1e-4 with fixed keys; and every
distribution against its own distribution function.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from gwsim.engine.codes import Purpose
from gwsim.engine.draws import KINDS, below, draw64, fold, name64, quantile, run_key, uniform

LEVEL = 1e-4
N = 40_000
SOURCE = fold(run_key(7, 0), name64("web"))

AXES: dict[str, Callable[[int], int]] = {
    "request": lambda n: draw64(fold(SOURCE, n), Purpose.SERVICE),
    "attempt": lambda n: draw64(fold(fold(SOURCE, 3), n), Purpose.LOAD_BALANCER),
    "purpose": lambda n: draw64(fold(SOURCE, n // 256), n % 256),
    "draw of a purpose": lambda n: draw64(fold(SOURCE, n // 256), Purpose.LOAD_BALANCER, n % 256),
    "replication": lambda n: draw64(fold(fold(run_key(7, n), name64("web")), 0), Purpose.ARRIVAL),
    "seed": lambda n: draw64(fold(fold(run_key(n, 0), name64("web")), 0), Purpose.ARRIVAL),
    "name": lambda n: draw64(fold(fold(run_key(7, 0), name64(f"client{n}")), 0), Purpose.ARRIVAL),
}


@pytest.mark.parametrize("axis", AXES)
def test_uniform_along(axis: str) -> None:
    """Values, low bits, and pairs of neighbours."""
    z = [AXES[axis](n) for n in range(N)]
    u = np.array([uniform(one) for one in z])
    assert stats.kstest(u, "uniform").pvalue > LEVEL
    assert stats.chisquare(np.bincount([below(one, 97) for one in z], minlength=97)).pvalue > LEVEL
    cells = np.floor(u * 16).astype(int)
    assert stats.chisquare(np.bincount(16 * cells[:-1:2] + cells[1::2], minlength=256)).pvalue > LEVEL
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 4 / math.sqrt(N)


@pytest.mark.parametrize("axes", [("request", "replication"), ("attempt", "purpose"), ("request", "seed")])
def test_axes_are_independent_of_each_other(axes: tuple[str, str]) -> None:
    """The same number along two axes gives unrelated draws."""
    one, two = (np.array([uniform(AXES[axis](n)) for n in range(N)]) for axis in axes)
    cells = 16 * np.floor(one * 16).astype(int) + np.floor(two * 16).astype(int)
    assert stats.chisquare(np.bincount(cells, minlength=256)).pvalue > LEVEL


SHAPES = {
    "uniform": (0.2, 1.8, stats.uniform(0.2, 1.6)), "exponential": (2.0, 0.0, stats.expon(scale=2.0)),
    "lognormal": (-1.0, 0.7, stats.lognorm(0.7, scale=math.exp(-1.0))), "weibull": (3.0, 1.5, stats.weibull_min(1.5, scale=3.0)),
    "pareto": (2.0, 2.5, stats.pareto(2.5, scale=2.0)),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_distributions(kind: str) -> None:
    """Inverse distribution functions of one uniform each."""
    a, b, truth = SHAPES[kind]
    x = [quantile(KINDS.index(kind), a, b, uniform(draw64(fold(SOURCE, n), Purpose.SERVICE))) for n in range(N)]
    assert stats.kstest(x, truth.cdf).pvalue > LEVEL


def test_a_uniform_is_never_0_or_1() -> None:
    assert 0.0 < uniform(0) < 1e-15
    assert 1.0 - 1e-15 < uniform(2**64 - 1) < 1.0


def test_purposes_are_all_different() -> None:
    """They are part of every key: two with one number would share their draws."""
    assert len({int(one) for one in Purpose}) == len(Purpose.__members__)
