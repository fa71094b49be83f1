"""Arrivals as the file writes them, and as engines take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scenario_text import changed, one, refused

from gwsim.scenario import Resolved, model
from gwsim.scenario.file import Arrivals, Diurnal
from gwsim.scenario.traffic import diurnal


def arrivals(resolve: Callable[..., Resolved], text: str) -> model.Arrivals:
    return resolve(text=changed(("{poisson: 2000rps}", text))).model.clients[0].arrivals


def test_each_kind(resolve: Callable[..., Resolved]) -> None:
    constant = arrivals(resolve, "{poisson: 2krps}")
    assert isinstance(constant, model.Poisson)
    assert [(s.start_rps, s.end_rps) for s in constant.segments] == [(2000.0, 2000.0)]
    assert arrivals(resolve, "{paced: 600/min}") == model.Paced(rate_rps=10.0)
    bursts = arrivals(resolve, "{bursts: {base: 100rps, peak: 1krps, mean_base: 10s, mean_peak: 1s}}")
    assert bursts == model.Bursts(base_rps=100.0, peak_rps=1000.0, mean_base_s=10.0, mean_peak_s=1.0)
    profile = arrivals(resolve, "{profile: [{for: 10m, rate: 1krps}, {for: 5m, rate: [1krps, 5krps]}]}")
    assert profile == model.Poisson(
        segments=(
            model.RateSegment(duration_s=600.0, start_rps=1000.0, end_rps=1000.0),
            model.RateSegment(duration_s=300.0, start_rps=1000.0, end_rps=5000.0),
        )
    )
    closed = arrivals(resolve, "{closed: {connections: 64, rate: 1krps, pacing: jittered, catch_up: false}}")
    assert closed == model.ClosedLoop(connections=64, rate_rps=1000.0, pacing="jittered", catch_up=False)


def test_a_closed_loop_keeps_as_many_connections_as_it_has(resolve: Callable[..., Resolved]) -> None:
    resolved = resolve(text=changed(("{poisson: 2000rps}", "{closed: {connections: 7, think: {exponential: 1s}}}")))
    assert resolved.model.clients[0].connection.count == 7
    loop = resolved.model.clients[0].arrivals
    assert isinstance(loop, model.ClosedLoop)
    assert loop.think_time_s == model.Distribution(kind="exponential", a=1.0, mean=1.0)


@given(st.floats(1.0, 1e4), st.floats(1.0, 2.0), st.floats(0.0, 86400.0))
def test_a_day_keeps_its_mean_and_its_peak(mean: float, ratio: float, start: float) -> None:
    made = diurnal(Diurnal(mean=mean, peak_to_mean=ratio, start_at=start, peak_at=start))
    area = sum(0.5 * (s.start_rps + s.end_rps) * s.duration_s for s in made.segments)
    assert area / 86400.0 == pytest.approx(mean, rel=1e-9)
    assert made.segments[0].start_rps == pytest.approx(mean * ratio, rel=1e-9)
    assert made.segments[-1].end_rps == pytest.approx(made.segments[0].start_rps, rel=1e-6)


@pytest.mark.parametrize(
    ("given_", "bounds"),
    [
        ({"mean": 100}, (20.0, 180.0)),
        ({"peak": 180}, (20.0, 180.0)),
        ({"trough": 20}, (20.0, 180.0)),
        ({"trough": 0, "peak": 10}, (0.0, 10.0)),
        ({"mean": 6, "trough": 2}, (2.0, 10.0)),
        ({"mean": 6, "peak": 10}, (2.0, 10.0)),
        ({"mean": 5, "peak_to_mean": 1}, (5.0, 5.0)),
    ],
)
def test_a_day_from_what_is_given(given_: dict[str, float], bounds: tuple[float, float]) -> None:
    assert Diurnal.model_validate(given_).bounds() == pytest.approx(bounds)


@pytest.mark.parametrize(
    "value",
    [
        {"diurnal": {}},
        {"diurnal": {"mean": 1, "trough": 1, "peak": 1}},
        {"diurnal": {"mean": 1, "peak": 3}},
        {"diurnal": {"mean": 1, "trough": 2}},
        {"diurnal": {"trough": 1, "peak_to_mean": 2}},
        {"diurnal": {"mean": 1, "peak_to_mean": 3}},
        {"profile": []},
        {"profile": [{"for": "1s", "rate": "0rps"}]},
        {"bursts": {"base": 5, "peak": 1, "mean_base": 1, "mean_peak": 1}},
        {"closed": {"connections": 0}},
        {"closed": {"connections": 1, "rate": 1, "think": 1}},
        {"replay": {"file": ""}},
        {"poisson": None},
        7,
    ],
)
def test_what_no_arrivals_are(value: Any) -> None:
    with pytest.raises(ValidationError):
        Arrivals.model_validate(value)


def test_nested_problems_have_their_place() -> None:
    finding = one(refused(changed(("{poisson: 2000rps}", "{profile: [{for: 1m, rate: [1rps, x]}]}"))))
    assert "'x' is not a rate" in finding.message
    assert finding.span is not None
    assert finding.span.line == 11
