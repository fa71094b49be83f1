"""Calls: backends that ask other services before they answer.

What a plain `Station` knows at a job's arrival, its departure, depends here on the answers of others: jobs wait in a queue
of their own, and every step is an event. The server is held until the job departs, as a thread or a connection slot is.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from gwsim.engine.codes import Purpose
from gwsim.engine.draws import fold, name64
from gwsim.engine.reference.accounting import NEXT_HOP, UPSTREAM_QUEUE, UPSTREAM_SERVICE
from gwsim.engine.reference.backends import Station
from gwsim.engine.reference.sampling import u01

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gwsim.engine.reference.agenda import Agenda, Happening
    from gwsim.engine.reference.clients import Client
    from gwsim.engine.reference.recording import Recorder
    from gwsim.engine.reference.streams import Request, Stream, UpstreamRequest
    from gwsim.scenario.model import CallOut
    from gwsim.scenario.model import Station as StationModel

CALL = name64("call")
SERVED = 3
"""Part of the key of a station's event, beside those of `backends`."""


class Job:
    """A request at a backend, from its delivery to its departure."""

    __slots__ = ("delivered", "failed", "open", "service", "stage", "station", "status", "upstream")

    def __init__(self, station: CallingStation, upstream: UpstreamRequest, delivered: int, service: int, status: int) -> None:
        self.station = station
        self.upstream = upstream
        self.delivered = delivered
        self.service = service
        self.status = status
        self.stage = 0
        """The next one to begin."""
        self.open: dict[Request, CallOut] = {}
        """Calls of the present stage that have not ended."""
        self.failed = False
        """A critical call has failed."""

    @property
    def stream(self) -> Stream:
        """What it is done for."""
        return self.upstream.stream


class CallingStation(Station):
    """A backend pod that makes calls."""

    __slots__ = ("busy", "clients", "waiting")

    clients: Sequence[Client]

    def __init__(self, agenda: Agenda, recorder: Recorder, index: int, model: StationModel) -> None:
        super().__init__(agenda, recorder, index, model)
        self.busy = 0
        self.waiting: deque[Job] = deque()

    def meet(self, clients: Sequence[Client]) -> None:
        """Now there are clients."""
        self.clients = clients

    # --- queue and service -----------------------------------------------------------------------------------

    def _full(self, now: int) -> bool:
        queue, servers = self.model.queue, self.model.concurrency
        return queue is not None and servers is not None and self.busy == servers and len(self.waiting) >= queue

    def _serve(self, upstream: UpstreamRequest, now: int, service: int, status: int) -> None:
        job = Job(self, upstream, now, service, status)
        if not upstream.over:
            upstream.timeline.enter(now, UPSTREAM_QUEUE)
        if self.model.concurrency is None or self.busy < self.model.concurrency:
            self._start(job, now)
        else:
            self.waiting.append(job)

    def _start(self, job: Job, now: int) -> None:
        """Its service starts."""
        self.busy += 1
        served = self.modes.done(now, job.service) if self.modes else now + job.service
        self.recorder.served(self.index, job.delivered, now - job.delivered, job.service)
        if not job.upstream.over:
            job.upstream.timeline.enter(now, UPSTREAM_SERVICE)
            job.upstream.timeline.enter(served, NEXT_HOP)
        self.agenda.at(served, self.place | job.upstream.name | SERVED, self._served, job)

    def _served(self, happening: Happening) -> None:
        """Its own work is done."""
        job: Job = happening.subject
        now = self.agenda._now
        if job.status < 500:
            self._go_on(job, now)
        else:
            self._depart(job, now)

    def _depart(self, job: Job, now: int) -> None:
        """It is answered, and the server is free."""
        self.busy -= 1
        self.recorder.departed(self.index, job.status)
        self.answer(job.upstream, now, job.status)
        if self.waiting:
            self._start(self.waiting.popleft(), now)

    # --- calls -----------------------------------------------------------------------------------------------

    def _go_on(self, job: Job, now: int) -> None:
        """The next stage that has a call begins; after the last one the job departs."""
        while job.stage < len(self.model.calls):
            i = job.stage
            job.stage += 1
            keys = fold(fold(job.upstream.key, CALL), i)
            calls = [(fold(keys, j), call) for j, call in enumerate(self.model.calls[i])]
            calls = [(key, call) for key, call in calls if self._applies(job, key, call)]
            for key, call in calls:
                job.open[self.clients[call.client].call(call.shape, key, now, job)] = call
            if calls:
                return
        self._depart(job, now)

    def _applies(self, job: Job, key: int, call: CallOut) -> bool:
        """Whether the job needs this call."""
        traffic = job.stream.request.traffic
        wanted = call.classes is None or (traffic.source, traffic.shape) in call.classes
        return wanted and u01(key, Purpose.CALL) * 100.0 < call.percent

    def ended(self, job: Job, request: Request, status: int, now: int) -> None:
        """A call has ended at its client."""
        call = job.open.pop(request)
        if call.critical and (status == 0 or status >= 500):
            job.failed = True
        if job.open:
            return
        if job.failed:
            job.status = self.model.call_error_status
            self._depart(job, now)
        else:
            self._go_on(job, now)
