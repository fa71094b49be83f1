"""What is varied: ranges with their units, lists, grids, and what is refused."""

from __future__ import annotations

import pytest

from gwsim.errors import UsageError
from gwsim.planning.axes import grid, parse_axis


def texts(text: str) -> list[str]:
    return [value.text for value in parse_axis(text).values]


def test_a_range_keeps_its_unit() -> None:
    axis = parse_axis("clients.web.arrivals.poisson=1krps..3krps:5")
    assert axis.path == "clients.web.arrivals.poisson"
    assert axis.unit == "rps"
    assert [value.number for value in axis.values] == [1000.0, 1500.0, 2000.0, 2500.0, 3000.0]
    assert axis.settings[1] == "clients.web.arrivals.poisson=1500rps"


def test_units_of_time_shares_and_quantities() -> None:
    assert [v.number for v in parse_axis("a.b=10ms..1s:2").values] == [0.01, 1.0]
    assert texts("a.b=10%..30%:3") == ["10%", "20%", "30%"]
    assert [v.number for v in parse_axis("a.b=500m..1500m:3").values] == [30000.0, 60000.0, 90000.0]  # minutes
    assert parse_axis("a.b=1Gi..2Gi:2").unit == "quantity"


def test_whole_numbers_go_one_by_one() -> None:
    assert texts("gateway.g.replicas=1..4") == ["1", "2", "3", "4"]
    assert texts("gateway.g.replicas=4..1") == ["4", "3", "2", "1"]
    assert texts("gateway.g.replicas=1..100:4:log") == ["1", "5", "22", "100"]


def test_even_factors() -> None:
    numbers = [v.number for v in parse_axis("a.b=1rps..16rps:5:log").values]
    assert numbers == pytest.approx([1, 2, 4, 8, 16])


def test_lists_split_outside_of_brackets() -> None:
    axis = parse_axis("run.warmup={lognormal: {median: 1ms, p95: 2ms}},5s")
    assert texts("x=ROUND_ROBIN,LEAST_REQUEST") == ["ROUND_ROBIN", "LEAST_REQUEST"]
    assert [value.text for value in axis.values] == ["{lognormal: {median: 1ms, p95: 2ms}}", "5s"]
    assert not axis.numeric


def test_a_path_of_an_object_may_hold_colons() -> None:
    axis = parse_axis("DestinationRule/shop/cart:spec.trafficPolicy.connectionPool.http.maxRetries=1..3")
    assert axis.path.startswith("DestinationRule/shop/cart:spec")
    assert len(axis.values) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("clients.web", "cannot vary"), ("a.b=1krps..2s:3", "same kind of unit"), ("a.b=1rps..9rps", "how many"),
        ("a.b=0rps..9rps:3:log", "above zero"), ("a.b=1,,2", "empty value"), ("a.b=1rps..2rps:0", "number of values"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_axis(text)


def test_the_last_axis_varies_fastest() -> None:
    points = grid([parse_axis("a=x,y"), parse_axis("b=1..2")])
    assert [[v.text for v in one] for one in points] == [["x", "1"], ["x", "2"], ["y", "1"], ["y", "2"]]
    with pytest.raises(UsageError, match="at most"):
        grid([parse_axis("a=1..1000"), parse_axis("b=1..1000")])
