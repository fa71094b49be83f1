"""Chains: requests that are made on behalf of others, and the tables of who makes them.

Stations that make calls (`calls`) and stations that stand for a further proxy (`relays`) both make requests of derived clients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gwsim.engine.compiled import layout
from gwsim.engine.compiled.kernel import kernel
from gwsim.engine.compiled.state import new_stream
from gwsim.engine.draws import fold, name64
from gwsim.errors import UsageError
from gwsim.scenario.model import Call, Client, Model, OnDemand, Outcome, Station

BY_PROXY, BY_BACKEND = 1, 2
"""Who has made a derived request (0: nobody, it is a root)."""


@kernel
def derive(w, j, key, start_ns, p, by, cause):
    """A request of class `j` that is made for stream `p`: its record; sizes and the way it sets out are the caller's."""
    x = new_stream(w)
    r, of = w.streams[x], w.streams[p]
    client = w.clients[w.classes[j].client]
    r.client = w.classes[j].client
    r.number = client.next_number
    client.next_number += 1
    r.class_id = j
    r.request_key = key
    r.root_key = of.root_key
    r.root_measured = of.root_measured
    r.measured = of.root_measured
    r.derived = by
    r.cause = cause
    r.start_ns = start_ns
    r.start_bin = -1
    r.failed_before_ns = 0
    for c in range(r.component.shape[0]):
        r.component[c] = 0
    if r.measured == 1:
        w.class_out[j].offered += 1
    return x


# --- tables ------------------------------------------------------------------------------------------------------


def relayed(model: Model) -> set[int]:
    """Clients whose requests other proxies make."""
    return {station.relay.client for station in model.stations if station.relay is not None}


def callers(model: Model, client: int) -> list[int]:
    """The stations that call a client."""
    return [s for s, station in enumerate(model.stations) if any(one.client == client for stage in station.calls for one in stage)]


def reached(outcome: Outcome) -> set[int]:
    """Clusters that requests with this outcome, their filters and their copies may go to."""
    called = {one.cluster for one in outcome.program if isinstance(one, Call)}
    return called | {one.cluster for one in outcome.targets} | {one.cluster for one in outcome.mirrors}


def tables(model: Model, clients: Any, stations: Any, endpoints: Any, run: int) -> dict[str, Any]:
    """Queues of slots, relays, calls, and what belongs to them; writes their places into the records of the others."""
    first_class = np.cumsum([0, *(len(client.mix) for client in model.clients)]).tolist()
    queues, queue_of = _queues(model, clients, run)
    relays, relay_classes = _relays(model, stations, first_class)
    stages, calls, rows = _calls(model, stations, first_class, queue_of, clients["queue_first"].tolist())
    ways, pods = 0, 1
    for ep in endpoints:
        relay = model.stations[int(ep["station"])].relay
        ep["tickets"] = -1 if relay is None else ways
        if relay is not None:
            ways += 1
            pods = max(pods, len(model.fleets[model.clients[relay.client].fleet].pods))
    workers = sum(pod.workers for fleet in model.fleets for pod in fleet.pods)
    return {
        "queues": np.array(queues, layout.QUEUE), "relays": np.array(relays, layout.RELAY), "relay_classes": relay_classes,
        "stages": np.array(stages or [(0, 0)], layout.STAGE), "calls": np.array(calls or [(0, 0, 0, -1, 0.0)], layout.CALL), "call_classes": rows,
        "tickets": np.zeros((workers, max(1, ways), pods), np.int64),
    }


def _queues(model: Model, clients: Any, run: int) -> tuple[list[tuple[int, ...]], dict[tuple[int, int], int]]:
    """The queues of slots, and which of them a station's calls take: by (client, station), where they have their own."""
    queues: list[tuple[int, ...]] = []
    queue_of = {}
    for c, client in enumerate(model.clients):
        key = fold(run, name64("connection/" + client.name))
        clients[c]["queue_first"] = len(queues)
        if client.own_pod:
            first = sum(len(fleet.pods) for fleet in model.fleets[: client.fleet])
            for s in callers(model, c):
                queue_of[c, s] = len(queues)
                queues.append((-1, -1, 0, first + model.stations[s].pod, fold(key, s)))
        else:
            queues.append((-1, -1, 0, -1, key))
        clients[c]["queues"] = len(queues) - clients[c]["queue_first"]
    return queues or [(-1, -1, 0, -1, 0)], queue_of


def _relays(model: Model, stations: Any, first_class: list[int]) -> tuple[list[tuple[Any, ...]], Any]:
    relays: list[tuple[Any, ...]] = []
    rows = []
    for s, station in enumerate(model.stations):
        stations[s]["relay"] = -1
        if station.relay is None:
            continue
        stations[s]["relay"] = len(relays)
        relay, client = station.relay, model.clients[station.relay.client]
        first = sum(len(fleet.pods) for fleet in model.fleets[: client.fleet])
        pod = -1 if relay.pod is None else first + relay.pod
        relays.append((relay.client, pod, client.connection.tls is not None, client.connection.offers_ticket))
        rows.append([first_class[relay.client] + relay.shapes.get(pair, 0) for pair in model.classes()])
    return relays or [(0, 0, 0, 0.0)], np.array(rows or [[0]], np.int64)


def _calls(
    model: Model, stations: Any, first_class: list[int], queue_of: dict[tuple[int, int], int], shared: list[int]
) -> tuple[Any, Any, Any]:
    stages: list[tuple[int, int]] = []
    calls: list[tuple[Any, ...]] = []
    rows: list[list[bool]] = []
    for s, station in enumerate(model.stations):
        r = stations[s]
        r["stage_first"], r["stages"], r["call_error"] = len(stages), len(station.calls), station.call_error_status
        r["wait_head"] = r["wait_tail"] = -1
        for stage in station.calls:
            stages.append((len(calls), len(stage)))
            for one in stage:
                row = -1
                if one.classes is not None:
                    row = len(rows)
                    rows.append([pair in one.classes for pair in model.classes()])
                queue = queue_of.get((one.client, s), shared[one.client])
                calls.append((first_class[one.client] + one.shape, queue, one.critical, row, one.percent))
    return stages, calls, np.array(rows or [[False]], np.int64)


# --- what cannot be ----------------------------------------------------------------------------------------------


def check(model: Model) -> None:
    """Raises UsageError for chains that section 20 of the engine semantics does not allow."""
    by_proxies = relayed(model)
    for c, client in enumerate(model.clients):
        stations = callers(model, c)
        if (stations or c in by_proxies) and not isinstance(client.arrivals, OnDemand):
            raise UsageError(f"client {client.name}: its requests are made by others, so it must have no arrivals of its own")
        if stations and c in by_proxies:
            raise UsageError(f"client {client.name}: either backends or other proxies make its requests, not both")
        if client.own_pod:
            _check_own_pod(model, client, [model.stations[s] for s in stations])
    for s, station in enumerate(model.stations):
        if station.relay is not None:
            _check_relay(model, s, station)


def _check_own_pod(model: Model, client: Client, stations: list[Station]) -> None:
    fleet = model.fleets[client.fleet]
    if not isinstance(client.arrivals, OnDemand):
        raise UsageError(f"client {client.name}: only what backends call dials the proxy beside them")
    if fleet.lifecycle is not None:
        raise UsageError(f"fleet {fleet.name}: proxies beside backends cannot come and go")
    for station in stations:
        if not 0 <= station.pod < len(fleet.pods):
            raise UsageError(f"station {station.name}: fleet {fleet.name} has no pod {station.pod} to be its proxy")


def _check_relay(model: Model, s: int, station: Station) -> None:
    relay, name = station.relay, f"station {station.name}"
    assert relay is not None
    client = model.clients[relay.client]
    fleet = model.fleets[client.fleet]
    if station.outages or station.modes or station.errors or station.calls or (station.keepalive_s, station.concurrency, station.queue) != (None,) * 3:
        raise UsageError(f"{name}: it stands for a proxy, which has no queue, errors, outages, modes, calls or keep-alive")
    if client.connection.tls == "1.2":
        raise UsageError(f"{name}: proxies speak TLS 1.3 with one another, not 1.2")
    if len({shape.outcome.tcp for shape in client.mix}) > 1:
        raise UsageError(f"client {client.name}: a listener hands on either bytes or requests, not both")
    if fleet.lifecycle is not None:
        raise UsageError(f"{name}: the pods of fleet {fleet.name} come and go, so it cannot stand for one")
    if relay.pod is not None and not 0 <= relay.pod < len(fleet.pods):
        raise UsageError(f"{name}: fleet {fleet.name} has no pod {relay.pod}")
    if not set(relay.shapes.values()) <= set(range(len(client.mix))):
        raise UsageError(f"{name}: client {client.name} has only {len(client.mix)} shapes")
    behind = {k for k, cluster in enumerate(model.clusters) if s in cluster.stations}
    for c, j in model.classes():
        shape = model.clients[c].mix[j]
        leads = any(behind & reached(outcome) for outcome in shape.outcomes())
        if leads and (c, j) not in relay.shapes:
            raise UsageError(f"{name}: no shape for requests of client {model.clients[c].name}, shape {shape.name}")
