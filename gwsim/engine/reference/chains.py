"""What the engine asks of a model with chains: clients, stations and fleets that go together."""

from __future__ import annotations

from gwsim.errors import UsageError
from gwsim.scenario.model import Call, Client, Model, OnDemand, Outcome, Relay, Station


def check_chains(model: Model) -> None:
    """Raises UsageError for what section 20 of the engine semantics does not allow."""
    called = {call.client for station in model.stations for stage in station.calls for call in stage}
    relayed = {station.relay.client for station in model.stations if station.relay is not None}
    for index, client in enumerate(model.clients):
        used = index in called or index in relayed
        if used and not isinstance(client.arrivals, OnDemand):
            raise UsageError(f"client {client.name}: its requests are made by others, so it must have no arrivals of its own")
        if index in called and index in relayed:
            raise UsageError(f"client {client.name}: either backends or other proxies make its requests, not both")
        if client.own_pod:
            _check_own_pod(model, index, client)
    for s, station in enumerate(model.stations):
        if station.relay is not None:
            _check_relay(model, s, station, station.relay)
    _check_long(model)


def _check_long(model: Model) -> None:
    """Long streams go from a client to a backend, through one proxy."""
    for c, s in (model.classes()[i] for i in model.long_classes()):
        client = model.clients[c]
        shape = client.mix[s]
        name = f"client {client.name}, shape {shape.name}"
        stations = [model.stations[i] for outcome in shape.outcomes() for target in outcome.targets if target.cluster >= 0 for i in model.clusters[target.cluster].stations]
        if isinstance(client.arrivals, OnDemand) or any(one.relay is not None or one.calls for one in stations):
            raise UsageError(f"{name}: a long stream goes through one proxy, to a backend that calls no other")
        if any(outcome.tcp for outcome in shape.outcomes()):
            raise UsageError(f"{name}: a long stream is HTTP, which its listener does not read")
        if shape.long is not None and shape.long.websocket != (client.connection.http == 1 and client.connection.streams == 1):
            raise UsageError(f"{name}: WebSockets need HTTP/1.1, gRPC streams HTTP/2")


def callers(model: Model, client: int) -> list[int]:
    """The stations that call a client, in order."""
    return [s for s, station in enumerate(model.stations) if any(call.client == client for stage in station.calls for call in stage)]


def _check_own_pod(model: Model, index: int, client: Client) -> None:
    fleet = model.fleets[client.fleet]
    if not isinstance(client.arrivals, OnDemand):
        raise UsageError(f"client {client.name}: only what backends call dials the proxy beside them")
    if fleet.lifecycle is not None:
        raise UsageError(f"fleet {fleet.name}: proxies beside backends cannot come and go")
    for s in callers(model, index):
        station = model.stations[s]
        if not 0 <= station.pod < len(fleet.pods):
            raise UsageError(f"station {station.name}: fleet {fleet.name} has no pod {station.pod} to be its proxy")


def _check_relay(model: Model, s: int, station: Station, relay: Relay) -> None:
    client = model.clients[relay.client]
    fleet = model.fleets[client.fleet]
    name = f"station {station.name}"
    extras = (station.outages, station.modes, station.errors, station.keepalive_s, station.concurrency, station.queue, station.calls)
    if any(one not in ((), None) for one in extras):
        raise UsageError(f"{name}: it stands for a proxy, which has no queue, errors, outages, modes, calls or keep-alive")
    if client.connection.tls not in (None, "1.3"):
        raise UsageError(f"{name}: proxies speak TLS 1.3 with one another, not {client.connection.tls}")
    bytes_only = [shape.outcome.tcp for shape in client.mix]
    if any(bytes_only) and not all(bytes_only):
        raise UsageError(f"client {client.name}: a listener hands on either bytes or requests, not both")
    if fleet.lifecycle is not None:
        raise UsageError(f"{name}: the pods of fleet {fleet.name} come and go, so it cannot stand for one")
    if relay.pod is not None and not 0 <= relay.pod < len(fleet.pods):
        raise UsageError(f"{name}: fleet {fleet.name} has no pod {relay.pod}")
    if any(not 0 <= shape < len(client.mix) for shape in relay.shapes.values()):
        raise UsageError(f"{name}: client {client.name} has only {len(client.mix)} shapes")
    behind = {k for k, cluster in enumerate(model.clusters) if s in cluster.stations}
    for c, entry in model.classes():
        caller = model.clients[c]
        leads = not all(behind.isdisjoint(reached(outcome)) for outcome in caller.mix[entry].outcomes())
        if leads and (c, entry) not in relay.shapes:
            raise UsageError(f"{name}: no shape for requests of client {caller.name}, shape {caller.mix[entry].name}")


def reached(outcome: Outcome) -> set[int]:
    """Clusters that requests with this outcome, their filters and their copies may go to."""
    routed = {target.cluster for target in outcome.targets} | {mirror.cluster for mirror in outcome.mirrors}
    return routed | {one.cluster for one in outcome.program if isinstance(one, Call)}
