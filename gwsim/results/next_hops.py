"""Which traffic classes the requests of a class cause at further proxies: what the NEXT_HOP part of its time leads to."""

from __future__ import annotations

from gwsim.scenario.model import Model, Outcome, Station


def next_hops_of(model: Model) -> tuple[tuple[int, ...], ...]:
    """For every traffic class, in class order, the classes of the requests made for its own; empty without chains."""
    classes = model.classes()
    number = {pair: i for i, pair in enumerate(classes)}
    found = tuple(_caused(model, number, client, shape) for client, shape in classes)
    return found if any(found) else ()


def _caused(model: Model, number: dict[tuple[int, int], int], client: int, shape: int) -> tuple[int, ...]:
    pair = (client, shape)
    outcome = model.clients[client].mix[shape].outcome
    made = {number[one] for k in _clusters(outcome) for s in model.clusters[k].stations for one in _made_by(model.stations[s], pair)}
    return tuple(sorted(made))


def _clusters(outcome: Outcome) -> set[int]:
    """Clusters that the attempts of a request may go to; what filters call and mirrors copy is no part of its NEXT_HOP."""
    return {target.cluster for target in outcome.targets if target.cluster >= 0}


def _made_by(station: Station, pair: tuple[int, int]) -> list[tuple[int, int]]:
    """(client, shape) of the requests that a station makes, or passes on, for one of class `pair`."""
    if station.relay is not None:
        shape = station.relay.shapes.get(pair)
        return [] if shape is None else [(station.relay.client, shape)]
    calls = (call for stage in station.calls for call in stage)
    return [(call.client, call.shape) for call in calls if call.classes is None or pair in call.classes]


__all__ = ["next_hops_of"]
