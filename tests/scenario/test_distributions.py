"""Distributions: what is declared is what is drawn, and the mean is exact."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gwsim.engine import draws
from gwsim.scenario.file import Sizes, Times
from gwsim.scenario.file.distributions import NORMAL_QUANTILES
from gwsim.scenario.model import Distribution

LEVELS = {"median": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
durations = st.floats(1e-6, 1e3)


def times(value: Any) -> Distribution:
    return Times.model_validate(value).resolved()


def at(made: Distribution, p: float) -> float:
    """The quantile as engines draw it."""
    if made.kind == "quantiles":
        for (p0, x0), (p1, x1) in zip(made.points, made.points[1:], strict=False):
            if p <= p1:
                return draws.interpolate(p0, x0, p1, x1, p)
    return draws.quantile(draws.KINDS.index(made.kind), made.a, made.b, p)


def test_the_levels_are_those_of_the_normal_distribution() -> None:
    for name, z in NORMAL_QUANTILES.items():
        assert z == pytest.approx(NormalDist().inv_cdf(LEVELS[name]), abs=1e-12)


@given(durations, st.floats(1.0, 1e3), st.sampled_from([("median", "p99"), ("median", "p90"), ("p90", "p999"), ("p95", "p99")]))
def test_lognormal_by_two_quantiles(low: float, ratio: float, names: tuple[str, str]) -> None:
    values = dict(zip(names, (low, low * ratio), strict=True))
    made = times({"lognormal": values})
    for name, value in values.items():
        assert at(made, LEVELS[name]) == pytest.approx(value, rel=1e-9)
    assert made.mean == pytest.approx(math.exp(made.a + made.b**2 / 2))


@given(durations, st.floats(0.01, 5.0))
def test_lognormal_by_mean_or_median_and_cv(x: float, cv: float) -> None:
    made = times({"lognormal": {"mean": x, "cv": cv}})
    assert made.mean == pytest.approx(x, rel=1e-9)
    assert math.sqrt(math.expm1(made.b**2)) == pytest.approx(cv, rel=1e-9)
    assert at(times({"lognormal": {"median": x, "cv": cv}}), 0.5) == pytest.approx(x, rel=1e-9)
    assert at(times({"lognormal": {"median": x, "sigma": cv}}), 0.5) == pytest.approx(x, rel=1e-9)


@given(st.lists(st.tuples(st.floats(0.1, 99.9), durations), max_size=8), durations)
def test_quantile_tables(points: list[tuple[float, float]], low: float) -> None:
    percents = sorted({round(p, 3) for p, _ in points})
    values = sorted(x for _, x in points)[: len(percents)]
    table = {"p0": 0.0} | {f"p{p:g}": x for p, x in zip(percents, values, strict=False)} | {"p100": 1e3 + low}
    made = times({"quantiles": table})
    for name, value in table.items():
        assert at(made, float(name[1:]) / 100.0) == pytest.approx(value, rel=1e-9)
    steps = 4000
    integral = sum(at(made, (k + 0.5) / steps) for k in range(steps)) / steps
    assert made.mean == pytest.approx(integral, rel=2e-2, abs=1e-3)


@pytest.mark.parametrize(
    "value",
    [
        "12ms",
        0.012,
        {"exponential": "5ms"},
        {"uniform": ["1ms", "3ms"]},
        {"weibull": {"mean": "5ms", "shape": 0.7}},
        {"weibull": {"scale": "5ms", "shape": 2}},
        {"pareto": {"min": "1ms", "index": 3}},
        {"pareto": {"mean": "2ms", "index": 3}},
        {"lognormal": {"mean": "5ms", "sigma": 0.5}},
    ],
)
def test_the_mean_is_that_of_the_draws(value: Any) -> None:
    made = times(value)
    steps = 200_000
    integral = math.fsum(at(made, (k + 0.5) / steps) for k in range(steps)) / steps
    assert made.mean == pytest.approx(integral, rel=5e-3)


def test_sizes_are_in_bytes() -> None:
    assert Sizes.model_validate("64KiB").resolved() == Distribution(kind="constant", a=65536.0, mean=65536.0)
    assert Sizes.model_validate({"uniform": ["1KB", "3KB"]}).resolved().mean == 2000.0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "is empty"),
        ({"exponential": "1ms", "constant": "1ms"}, "not several"),
        ({"pareto": {"min": "1ms", "index": 1}}, "greater than 1"),
        ({"pareto": {"index": 2}}, "give min or mean"),
        ({"weibull": {"shape": 1, "mean": 1, "scale": 1}}, "give scale or mean"),
        ({"weibull": {"shape": 0.001, "mean": 1}}, "at least 0.1"),
        ({"uniform": ["3ms", "1ms"]}, "below the first"),
        ({"quantiles": {"p50": 1}}, "need p0"),
        ({"quantiles": {"p0": 2, "p100": 1}}, "must not fall"),
        ({"quantiles": {"p0": 0, "p50": 1, "p50.0": 2, "p100": 3}}, "given twice"),
        ({"quantiles": {"p0": 0, "x": 1, "p100": 3}}, "not a percentile"),
        ({"quantiles": {"p0": 0, "p101": 4}}, "not a percentile"),
        ({"lognormal": {"median": 0, "p99": 1}}, "must be above 0"),
        ({"lognormal": {"median": "1ms", "sigma": 1e3}}, "mean is not finite"),
        ({"lognormal": {"mean": "1ms", "p99": "3ms"}}, "two parameters"),
        (True, "mapping"),
        ("-3ms", "negative"),
        ([1], "mapping"),
    ],
)
def test_what_no_distribution_is(value: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        times(value)
    assert said in str(caught.value) or said == "mapping"
