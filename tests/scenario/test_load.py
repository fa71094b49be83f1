"""More of the same load: rates, connections, and what stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gwsim.errors import UsageError
from gwsim.scenario.model import Bursts, ClosedLoop, Model, Paced, Poisson, RateSegment, Replay
from gwsim.scenario.rates import load_rps, mean_rps, with_load
from gwsim.scenario.resolved import Resolved
from gwsim.scenario.zone_loss import fullest_zone, without_zone


@pytest.mark.parametrize(
    ("arrivals", "rate"),
    [
        (Paced(rate_rps=50.0), 50.0),
        (Poisson(segments=(RateSegment(duration_s=1, start_rps=0, end_rps=100), RateSegment(duration_s=3, start_rps=10, end_rps=10))), 20.0),
        (Bursts(base_rps=10, peak_rps=100, mean_base_s=9, mean_peak_s=1), 19.0),
        (Replay(times_s=(0.0, 0.5, 1.0), shapes=(-1, -1, -1)), 2.0),
        (ClosedLoop(connections=8, rate_rps=40.0), 40.0),
        (ClosedLoop(connections=8), None),
    ],
)
def test_rates(arrivals: object, rate: float | None) -> None:
    assert mean_rps(arrivals) == rate  # type: ignore[arg-type]


def test_load_scales_rates_and_connections_and_nothing_else(demo_model: Model) -> None:
    before = load_rps(demo_model)
    twice = with_load(demo_model, 2.0 * before)
    assert load_rps(twice) == pytest.approx(2.0 * before)
    for old, new in zip(demo_model.clients, twice.clients, strict=True):
        assert new.connection.count == 2 * old.connection.count
        assert replace(new, arrivals=old.arrivals, connection=old.connection) == old
    assert (twice.fleets, twice.stations, twice.run) == (demo_model.fleets, demo_model.stations, demo_model.run)


def test_a_load_without_a_rate_cannot_be_changed(demo_model: Model) -> None:
    closed = tuple(replace(client, arrivals=ClosedLoop(connections=4)) for client in demo_model.clients)
    with pytest.raises(UsageError, match="no client"):
        load_rps(replace(demo_model, clients=closed))


def test_a_zone_that_is_gone(demo_model: Model) -> None:
    fleet = demo_model.fleets[0]
    pods = tuple(replace(fleet.pods[0], name=f"g-{i}", zone=zone) for i, zone in enumerate("abca"))
    stations = tuple(replace(one, zone="a" if i == 0 else "b") for i, one in enumerate(demo_model.stations))
    model = replace(demo_model, fleets=(replace(fleet, pods=pods),), stations=stations)
    assert fullest_zone(model, fleet.name) == "a"
    left = without_zone(model, "a")
    assert [pod.name for pod in left.fleets[0].pods] == ["g-1", "g-2"]
    assert all(0 not in cluster.stations for cluster in left.clusters)
    assert any(0 in cluster.stations for cluster in model.clusters)
    with pytest.raises(UsageError, match="the gateway is gone"):
        without_zone(replace(model, fleets=(replace(fleet, pods=pods[:1]),)), "a")


@pytest.fixture
def demo_model(resolve: Callable[..., Resolved]) -> Model:
    """The model of a small scenario."""
    return resolve().model
