"""Backend pods: a FIFO queue before a number of servers.

A job's departure is known on its arrival, because nothing overtakes and nothing is interrupted: a backend does
its work even if the gateway no longer waits for the answer.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING

from gwsim.engine.codes import Part, Purpose
from gwsim.engine.reference.accounting import UPSTREAM_NETWORK, UPSTREAM_QUEUE, UPSTREAM_SERVICE, WORKER_QUEUE
from gwsim.engine.reference.agenda import RANK_BYTES, Agenda, attempt_of, place_of
from gwsim.engine.reference.faults import Errors, Modes
from gwsim.engine.reference.lifetimes import NEVER, Outages
from gwsim.engine.reference.relays import ATTEMPTS, Relay
from gwsim.engine.reference.sampling import Quantity, u01
from gwsim.engine.reference.streams import UpstreamRequest
from gwsim.scenario.model import Station as StationModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gwsim.engine.reference.agenda import Happening
    from gwsim.engine.reference.clients import Client
    from gwsim.engine.reference.lifetimes import UpstreamConnection
    from gwsim.engine.reference.recording import Recorder
    from gwsim.engine.reference.tcp_pools import Piece

FIRST_RETRANSMISSION = 200_000_000
"""Linux's smallest retransmission time-out, ns; it doubles."""
HANG_UP, HANG_UP_UNUSED, FAREWELL = 1, 2, 4
"""Parts of the keys of a station's events, beside 0 for a delivery."""
ENDED = 4093
"""In the place of `k` in the names in which a pod that ends closes its connections."""


class Station:
    """One backend pod."""

    __slots__ = (
        "agenda", "departures", "errors", "established", "free", "index", "model", "modes", "outages", "place", "recorder",
        "relay", "service",
    )

    def __init__(self, agenda: Agenda, recorder: Recorder, index: int, model: StationModel) -> None:
        self.agenda = agenda
        self.recorder = recorder
        self.index = index
        self.model = model
        self.relay: Relay | None = None
        """What it stands for, if that is a pod of a further proxy."""
        self.place = place_of(RANK_BYTES, index)
        self.outages = Outages(model.outages)
        self.established = 0
        """Connections that its end would find, if it has one."""
        self.service = Quantity(model.service_time_s, Purpose.SERVICE)
        self.free = [0] * (model.concurrency or 0)
        """Instants at which the servers are free; a heap. Empty: any number of servers."""
        self.departures: list[int] = []
        """Of the jobs present; a heap, kept only where the queue has a limit."""
        self.errors = Errors(model.errors)
        self.modes = Modes(model.modes)
        heapify(self.free)

    def deliver(self, upstream: Piece, instant: int) -> None:
        """The request, or what else a byte stream carries, will be delivered at `instant`."""
        self.agenda.at(instant, self.place | upstream.name | upstream.place, self.arrive, upstream)

    def arrive(self, happening: Happening) -> None:
        """A request is delivered: it is served and answered, or refused."""
        upstream: Piece = happening.subject
        now = self.agenda._now
        if not self._heard(upstream, now):
            return
        if not isinstance(upstream, UpstreamRequest):
            upstream.heard(self, now)
            return
        if self._full(now):
            self.recorder.rejected(self.index)
            self.answer(upstream, now, 503)
            return
        service = self.service.ns(upstream.key, self.modes.slow(now)) if self.modes else self.service.ns(upstream.key)
        status = self._status(upstream.key, self.modes.errors(now) if self.modes else None)
        self.recorder.delivered(self.index)
        self._serve(upstream, now, service, status)

    def _serve(self, upstream: UpstreamRequest, now: int, service: int, status: int) -> None:
        """A job of so much work, that will be answered with `status`."""
        start = max(now, self.free[0]) if self.free else now
        departure = self.modes.done(start, service) if self.modes else start + service
        if self.free:
            heapreplace(self.free, departure)
        if self.model.queue is not None:
            heappush(self.departures, departure)
        self.recorder.served(self.index, now, start - now, service)
        self.recorder.departed(self.index, status)
        if not upstream.over:
            upstream.timeline.enter(now, UPSTREAM_QUEUE)
            upstream.timeline.enter(start, UPSTREAM_SERVICE)
            conversation = upstream.stream.conversation
            if conversation is not None and upstream.attempt and status == 200:
                status = conversation.accepted(self, upstream, departure)
        self.answer(upstream, departure, status)

    def meet(self, clients: Sequence[Client]) -> None:
        """Now there are clients."""
        if self.model.relay is not None:
            self.relay = Relay(clients[self.model.relay.client], self.model.relay)

    def relayed(self) -> None:
        """A request goes to the proxy that the station stands for."""
        self.recorder.delivered(self.index)

    def _heard(self, upstream: Piece, now: int) -> bool:
        """Whether the request finds its connection open and the pod there."""
        connection = upstream.connection
        if connection is None or connection.over:
            return True
        if not connection.heard_at(now):
            return False
        outage = self.outages.at(now) if self.outages else None
        if outage == "refuse":
            connection.closes = now
            connection.pool.hung_up(connection, upstream.name, unused=False)
        elif outage == "drop":
            upstream.resent += 1
            self.deliver(upstream, now + (FIRST_RETRANSMISSION << (upstream.resent - 1)))
        return outage is None

    def hang_up(self, connection: UpstreamConnection, name: int, closes: int, start: int, unused: bool) -> None:
        """An idle connection will be closed at `closes`, unless it is used before."""
        if start >= closes:
            connection.pool.hung_up(connection, name, unused)
            return
        key = self.place | name | (HANG_UP_UNUSED if unused else HANG_UP)
        self.agenda.at(closes, key, self._hang_up, (connection, name, closes, unused))

    def _hang_up(self, happening: Happening) -> None:
        connection, name, closes, unused = happening.subject
        if not connection.over and connection.closes == closes:
            connection.pool.hung_up(connection, name, unused)

    def farewell(self, connection: UpstreamConnection, end: int) -> None:
        """A connection is established from `end` on: the pod's end will be its end."""
        if end < self.outages.end < NEVER:
            pool = connection.pool
            name = pool.name_as(pool.limits.index, ENDED) | attempt_of(self.established % ATTEMPTS)
            self.established += 1
            self.agenda.at(self.outages.end, self.place | name | FAREWELL, self._farewell, (connection, name))

    def _farewell(self, happening: Happening) -> None:
        connection, name = happening.subject
        now = self.agenda._now
        if not connection.over and connection.pool.resting(connection) and connection.closes > now:
            connection.closes = now
            connection.pool.hung_up(connection, name, unused=True)

    def _full(self, now: int) -> bool:
        """Whether all servers are busy and as many jobs wait as may."""
        queue, servers = self.model.queue, self.model.concurrency
        if queue is None or servers is None:
            return False
        while self.departures and self.departures[0] <= now:
            heappop(self.departures)
        return len(self.departures) >= servers + queue

    def _status(self, attempt_key: int, errors: Errors | None) -> int:
        """What the job is answered with; `errors` in place of the usual ones."""
        errors = self.errors if errors is None else errors
        if errors.shares:
            u = u01(attempt_key, Purpose.ERROR)
            for share, status in zip(errors.shares, errors.statuses, strict=True):
                if share > u:
                    return status
        return 200

    def answer(self, upstream: UpstreamRequest, departure: int, status: int) -> None:
        """The answer leaves at `departure`; nobody hears it if the attempt has ended."""
        if upstream.connection is not None:
            upstream.connection.busy_until = max(upstream.connection.busy_until, departure)
        if upstream.over:
            return
        ready = departure + upstream.pool.down
        upstream.status = status
        upstream.ready = ready
        timeline = upstream.timeline
        timeline.enter(departure, UPSTREAM_NETWORK)
        timeline.enter(ready, WORKER_QUEUE)
        if status >= 500:
            upstream.answer_bytes = 0
        upstream.pool.worker.deliver(ready, upstream.name | Part.UP_RESPONSE, upstream, None)
