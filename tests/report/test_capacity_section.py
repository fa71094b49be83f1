"""The capacity section of a report: a bound where nothing was simulated, else the curve, and the load now in both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gwsim.planning.curve import NOTHING, Curve, Figure, Interval, Point
from gwsim.report import capacity, html
from gwsim.report.report import Report


def point(factor: float, p99_s: float | None, *, holds: bool = True) -> Point:
    """A load of a hundred times the factor."""
    latency = NOTHING if p99_s is None else Figure(value=p99_s, low=0.9 * p99_s, high=1.1 * p99_s)
    half = NOTHING if p99_s is None else Figure(value=p99_s / 3)
    return Point(
        factor=factor, load_rps=100 * factor, saturated=p99_s is None, holds=holds, decided=True, failing="" if holds else "errors rate < 1%",
        offered_rps=Figure(value=100.0 * factor), served_rps=Figure(value=min(100 * factor, 290.0)), p50_s=half, p99_s=latency, errors=Figure(value=0.0), requests=1000,
    )


MADE = Curve(
    load_rps=100.0, points=(point(0.5, 0.01), point(1.0, 0.011), point(2.0, 0.02), point(2.5, 0.04, holds=False), point(3.0, None, holds=False)),
    keeps_up=Interval(low=2.5, high=3.0), budgets=Interval(low=2.0, high=2.5), failing="errors rate < 1%", bend=2.0,
)


def test_the_sentence_gives_both_intervals_and_the_load_now() -> None:
    """In rates and in multiples."""
    said = capacity.sentence(MADE)
    assert "keep up with 250 rps (2.5 ×) and not 300 rps (3 ×)" in said
    assert "The budgets hold up to 200 rps (2 ×) and not 250 rps (2.5 ×) (errors rate < 1% is missed first)" in said
    assert said.endswith("The load now is 100 rps (1 ×): 50 % of the largest that is known to be good.")


@pytest.mark.parametrize(("interval", "says"), [
    (Interval(low=4.0, high=None), "400 rps (4 ×) at least; never seen to fall behind"), (Interval(low=None, high=0.1), "no load that was tried, down to 10 rps"),
])
def test_open_intervals_are_told(interval: Interval, says: str) -> None:
    """Nothing is made up for an end that was not seen."""
    assert says in capacity.sentence(replace(MADE, keeps_up=interval, budgets=None))


def test_the_figure_shows_the_load_now_the_intervals_and_no_saturated_latency() -> None:
    """A saturated load has no point in the curve of latency, and one in that of throughput."""
    axes = capacity.figure(MADE).axes[0]
    p99 = next(line for line in axes.lines if line.get_label() == "p99 at the client")
    assert list(p99.get_xdata()) == [50.0, 100.0, 200.0, 250.0]
    assert list(p99.get_ydata()) == pytest.approx([10.0, 11.0, 20.0, 40.0])
    assert any(list(line.get_xdata()) == [100.0, 100.0] for line in axes.lines), "the load now"
    served = next(line for line in capacity.throughput(MADE).axes[0].lines if line.get_label() == "served")
    assert list(served.get_ydata())[-1] == 290.0


def test_a_page_without_probes_calls_its_bound_a_bound(report: Callable[[str], Report]) -> None:
    """And says how to have the curve."""
    one = report("pass")
    page = html.render(one)
    first = one.results.bottleneck.first
    assert first is not None
    low, high = capacity.room(one.results)
    assert low == pytest.approx(first.headroom)
    assert high > low, "wake-ups and polls grow less than the load"
    assert f"about {low:.3g} to {high:.3g} × what it is now" in page
    assert "Not simulated" in page
    assert "figure-bound" in page
    assert 'id="table-capacity"' not in page


def test_a_page_with_probes_has_the_curve(report: Callable[[str], Report]) -> None:
    """Each load a row, the present one marked."""
    page = html.render(replace(report("pass"), capacity=MADE))
    assert "figure-bound" not in page
    assert page.count("figure-capacity") > 1
    assert "1 × (now)" in page
    assert "missed: errors rate &lt; 1%" in page
    assert "5 short probes" in page
