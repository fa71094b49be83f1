"""More or less of the same load: every client at a multiple of its rate, with as many more connections.

The shape stays: the mix, bursts, the profile over the day, what each connection carries. Twice the load is twice the
clients, not the same clients twice as busy, so the number of connections grows with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from gwsim.errors import UsageError
from gwsim.scenario.model import (
    Arrivals,
    Bursts,
    Client,
    ClosedLoop,
    Model,
    OnDemand,
    Paced,
    Poisson,
    RateSegment,
    Replay,
    Station,
)


def mean_rps(arrivals: Arrivals) -> float | None:
    """The rate of arrivals averaged over time; None where it is an answer: closed loops without a rate, requests made on demand."""
    if isinstance(arrivals, Poisson):
        time_s = sum(one.duration_s for one in arrivals.segments)
        return sum(one.duration_s * (one.start_rps + one.end_rps) / 2.0 for one in arrivals.segments) / time_s
    if isinstance(arrivals, Paced):
        return arrivals.rate_rps
    if isinstance(arrivals, Bursts):
        time_s = arrivals.mean_base_s + arrivals.mean_peak_s
        return (arrivals.base_rps * arrivals.mean_base_s + arrivals.peak_rps * arrivals.mean_peak_s) / time_s
    if isinstance(arrivals, Replay):
        length_s = arrivals.times_s[-1] - arrivals.times_s[0] if len(arrivals.times_s) > 1 else 0.0
        return (len(arrivals.times_s) - 1) / length_s if length_s else None
    return arrivals.rate_rps if isinstance(arrivals, ClosedLoop) else None


def class_rates(model: Model, rate_of: Callable[[Client], float]) -> dict[tuple[int, int], float]:
    """Requests per second of every class, those of derived clients among them, when nothing fails and nothing is retried.

    `rate_of` is asked for the rates of clients that have arrivals of their own.
    """
    rates = dict.fromkeys(model.classes(), 0.0)

    def add(one: tuple[int, int], rps: float) -> None:
        rates[one] += rps
        outcome = model.clients[one[0]].mix[one[1]].outcome
        total = sum(target.weight for target in outcome.targets)
        for target in outcome.targets:
            if target.cluster < 0 or not total:
                continue
            stations = model.clusters[target.cluster].stations
            for at in stations:
                for following, share in _after(model.stations[at], one):
                    add(following, rps * share * target.weight / total / len(stations))

    for c, client in enumerate(model.clients):
        if not isinstance(client.arrivals, OnDemand):
            total = sum(shape.weight for shape in client.mix)
            for s, shape in enumerate(client.mix):
                add((c, s), rate_of(client) * shape.weight / total if total else 0.0)
    return rates


def _after(station: Station, one: tuple[int, int]) -> list[tuple[tuple[int, int], float]]:
    """The classes that a request of a class makes at a station, and how many of each."""
    relay = station.relay
    found = [] if relay is None or one not in relay.shapes else [((relay.client, relay.shapes[one]), 1.0)]
    calls = [call for stage in station.calls for call in stage if call.classes is None or one in call.classes]
    return found + [((call.client, call.shape), call.percent / 100.0) for call in calls]


def load_rps(model: Model) -> float:
    """The load all clients offer together; UsageError where none has a rate."""
    rates = [rate for client in model.clients if (rate := mean_rps(client.arrivals)) is not None]
    if not rates:
        raise UsageError("no client of the scenario has a rate, so its load cannot be changed; give arrivals a rate")
    return sum(rates)


def with_load(model: Model, rps: float) -> Model:
    """The model with all rates scaled so that they add up to `rps`."""
    factor = rps / load_rps(model)
    return replace(model, clients=tuple(_scaled(client, factor) for client in model.clients))


def _scaled(client: Client, factor: float) -> Client:
    connection = replace(client.connection, count=max(math.ceil(client.connection.count * factor), 1))
    return replace(client, arrivals=_faster(client.arrivals, factor), connection=connection)


def _faster(arrivals: Arrivals, factor: float) -> Arrivals:
    if isinstance(arrivals, Poisson):
        segments = tuple(
            RateSegment(duration_s=one.duration_s, start_rps=one.start_rps * factor, end_rps=one.end_rps * factor)
            for one in arrivals.segments
        )
        return replace(arrivals, segments=segments)
    if isinstance(arrivals, Paced):
        return replace(arrivals, rate_rps=arrivals.rate_rps * factor)
    if isinstance(arrivals, Bursts):
        return replace(arrivals, base_rps=arrivals.base_rps * factor, peak_rps=arrivals.peak_rps * factor)
    if isinstance(arrivals, Replay):
        return replace(arrivals, times_s=tuple(at / factor for at in arrivals.times_s))
    return _more_connections(arrivals, factor) if isinstance(arrivals, ClosedLoop) else arrivals


def _more_connections(loop: ClosedLoop, factor: float) -> ClosedLoop:
    connections = max(math.ceil(loop.connections * factor), 1)
    rate = None if loop.rate_rps is None else loop.rate_rps * factor
    return replace(loop, connections=connections, rate_rps=rate)


__all__ = ["class_rates", "load_rps", "mean_rps", "with_load"]
