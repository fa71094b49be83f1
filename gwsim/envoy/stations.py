"""Backends of the scenario as stations of the backends' process: service times as quantiles, errors, queues."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gwsim.envoy.backends import Endpoint, Station
from gwsim.envoy.machine import Seat
from gwsim.scenario.model import Distribution
from gwsim.scenario.model import Station as ModelStation
from gwsim.scenario.resolved import Resolved

POINTS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffed:
    """Endpoints and stations, in the order in which the backends' process numbers them."""

    endpoints: tuple[Endpoint, ...]
    stations: tuple[Station, ...]


def staff(seats: tuple[Seat, ...], resolved: Resolved | None) -> Staffed:
    """A station for every seat: that of the model where the scenario's requests reach it, else one that answers at once."""
    known: dict[tuple[str, int], int] = {}
    stations: list[Station] = []
    if resolved is not None:
        stations = [_station(one) for one in resolved.model.stations]
        for cluster in resolved.model.clusters:
            for host, station in enumerate(cluster.stations):
                known[cluster.cluster.name, host] = station
    at_once = len(stations)
    stations.append(Station(name="at once"))
    endpoints = tuple(Endpoint(name=one.name, station=known.get((one.cluster, one.index), at_once)) for one in seats)
    return Staffed(endpoints=endpoints, stations=tuple(stations))


def names_of(resolved: Resolved) -> Mapping[str, str]:
    """The model's name of the station behind each seat, by the seat's name."""
    return {
        f"{cluster.cluster.name}#{host}": resolved.stations[station].name
        for cluster in resolved.model.clusters
        for host, station in enumerate(cluster.stations)
    }


def _station(one: ModelStation) -> Station:
    failures: list[tuple[float, float, int]] = []
    for mode in one.modes:
        failures += [(mode.from_s, mode.to_s, status) for share, status in mode.errors or () if share >= 1.0]
    return Station(
        name=one.name, service_time=quantiles(one.service_time_s), concurrency=one.concurrency, queue=one.queue,
        errors=tuple((share, status) for share, status in one.errors), failures=tuple(failures),
    )  # fmt: skip


def quantiles(distribution: Distribution) -> tuple[tuple[float, float], ...]:
    """The distribution as (probability, seconds), fine enough for its tail, and cut at the last 1/40,000."""
    if distribution.kind == "constant":
        return ((0.0, distribution.a), (1.0, distribution.a))
    if distribution.kind == "quantiles":
        return distribution.points
    inner = [k / POINTS for k in range(1, POINTS)]
    tail = [1.0 - 10.0 ** -(2.6 + k / 4) for k in range(9)]
    shares = sorted({1.0 / 40_000, *inner, *tail})
    values = [(share, _value(distribution, share)) for share in shares]
    return ((0.0, values[0][1]), *values, (1.0, values[-1][1]))


def _value(one: Distribution, p: float) -> float:
    from scipy import stats

    if one.kind == "uniform":
        return one.a + p * (one.b - one.a)
    made = {
        "exponential": lambda: stats.expon(scale=one.a),
        "lognormal": lambda: stats.lognorm(one.b, scale=math.exp(one.a)),
        "weibull": lambda: stats.weibull_min(one.b, scale=one.a),
        "pareto": lambda: stats.pareto(one.b, scale=one.a),
    }[one.kind]()
    return float(made.ppf(p))


__all__ = ["Staffed", "names_of", "quantiles", "staff"]
