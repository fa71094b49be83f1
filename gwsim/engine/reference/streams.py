"""What travels: a client's request, its attempts (streams, to the gateway) and the gateway's attempts upstream.

The three levels have the three keys of their draws. Envoy's names: `Stream` is a downstream stream with its
`Router::Filter`, `UpstreamRequest` is `Router::UpstreamRequest` (source/common/router/upstream_request.h).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from gwsim.engine.codes import N_COMPONENTS
from gwsim.engine.draws import fold
from gwsim.engine.reference.accounting import Timeline
from gwsim.engine.reference.agenda import attempt_of, name_of
from gwsim.engine.schema import ANSWER_LOCAL, HANDSHAKE_NONE
from gwsim.errors import InternalError

if TYPE_CHECKING:
    from gwsim.engine.codes import Flag
    from gwsim.engine.reference.agenda import Happening
    from gwsim.engine.reference.calls import Job
    from gwsim.engine.reference.clients import TrafficClass
    from gwsim.engine.reference.connections import Connection, Slot
    from gwsim.engine.reference.conversations import Conversation
    from gwsim.engine.reference.fleets import WorkerCluster
    from gwsim.engine.reference.lifetimes import UpstreamConnection
    from gwsim.engine.reference.pools import Pool


Cause: TypeAlias = "Job | UpstreamRequest"
"""What a derived request is made for: a backend's job (a call), or an attempt of another proxy (a relay)."""


class Request:
    """What a client wants, from its arrival to the last answer or time-out."""

    __slots__ = (
        "cause", "failed_ns", "first_opened", "key", "loop", "measured", "number", "request_bytes", "response_bytes", "root", "settled", "spent",
        "start", "traffic",
    )

    def __init__(
        self, traffic: TrafficClass, number: int, key: int, start: int, loop: int = -1, cause: Cause | None = None
    ) -> None:
        self.traffic = traffic
        self.number = number
        self.key = key
        self.start = start
        self.loop = loop
        """The connection of a closed loop that it belongs to (open loop: -1)."""
        self.cause = cause
        """None: it is a root."""
        self.root: Request = self if cause is None else cause.stream.request.root
        self.request_bytes = traffic.request_bytes.size(key)
        self.response_bytes = traffic.response_bytes.size(key)
        self.measured: bool = cause is not None and self.root.measured
        self.settled = False
        """A long stream that was open at the end of the window: it does not keep the run alive."""
        self.first_opened = -1
        self.spent = [0] * N_COMPONENTS
        self.failed_ns = 0


class Stream:
    """One attempt of a client: a stream at the gateway, and its wait at the client before and after."""

    __slots__ = (
        "answer", "attempts", "call", "closing", "cluster", "connection", "conversation", "done", "failed_ns", "flags", "gw_end", "gw_start",
        "handshake", "k", "key", "name", "opened", "operation", "over", "request", "response_bytes", "retries", "retry_slot", "route", "sent", "slot",
        "start", "station", "status", "time_out", "timeline", "tried", "upstream", "upstream_ns",
    )

    slot: Slot
    connection: Connection
    timeline: Timeline

    def __init__(self, request: Request, k: int, start: int) -> None:
        self.request = request
        self.k = k
        self.key = fold(request.key, k)
        self.name = name_of(request.traffic.source, request.number, k)
        # at the client
        self.start = start
        self.time_out: Happening | None = None
        self.sent = False
        self.done = False
        """Answered or timed out at the client."""
        self.handshake = HANDSHAKE_NONE
        self.opened = -1
        """When it was open at the client, if it is a long stream."""
        self.closing = False
        """Its answer asks the client to close the connection."""
        # at the gateway
        self.route = request.traffic.route
        """What the configuration says of it when it is read."""
        self.gw_start = -1
        self.gw_end = -1
        self.over = False
        """Ended at the gateway: an answer is armed, or the client's cancellation was read."""
        self.status = 0
        self.flags = 0
        self.answer = ANSWER_LOCAL
        self.response_bytes = 0
        self.conversation: Conversation | None = None
        """What it is if it is a long stream, once the router has it."""
        # upstream
        self.cluster: WorkerCluster | None = None
        self.upstream: UpstreamRequest | None = None
        """The attempt that runs, pending ones included."""
        self.call: UpstreamRequest | None = None
        """The exchange that a filter waits for."""
        self.operation = 0
        """Of the program of filters, while it waits."""
        self.attempts = 0
        self.retries = 0
        self.retry_slot = False
        self.tried: set[int] | None = None
        self.station = -1
        self.upstream_ns = 0
        self.failed_ns = 0


class Owner(Protocol):
    """Who hears what became of an upstream request."""

    def answered(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """Its answer was read."""

    def overflow(self, upstream: UpstreamRequest, start: int, end: int) -> None:
        """A breaker refused it."""

    def failed(self, upstream: UpstreamRequest, flag: Flag, start: int, end: int) -> None:
        """Its connection was lost (UC), or there was none (UF)."""

    def timed_out(self, upstream: UpstreamRequest, start: int) -> int:
        """Its own time limit has passed; returns the end of the visit."""
        ...


class UpstreamRequest:
    """One request to a host: an attempt of the gateway for a stream, a filter's call or a mirrored copy."""

    __slots__ = (
        "a", "admitted", "answer_bytes", "attempt", "connection", "hop", "key", "name", "over", "owner", "per_try_ns", "pool", "ready", "resent",
        "sent_bytes", "status", "stream", "timeline", "written",
    )

    place = 0
    """Part of the key of its delivery there."""
    pool: Pool

    def __init__(self, stream: Stream, a: int, key: int, owner: Owner, timeline: Timeline) -> None:
        self.stream = stream
        self.a = a
        self.key = key
        self.owner = owner
        self.timeline = timeline
        self.attempt = timeline is stream.timeline
        """Whether it is an attempt for the stream, and counts as one."""
        self.sent_bytes = stream.request.request_bytes
        self.answer_bytes = stream.request.response_bytes
        self.per_try_ns = 0
        self.name = stream.name | attempt_of(a)
        self.connection: UpstreamConnection | None = None
        """What it is attached to."""
        self.hop: Stream | None = None
        """What it is at a further proxy, once it is written."""
        self.over = False
        self.admitted = -1
        """End of the visit that attached it or appended it to a pool."""
        self.written = -1
        """End of its WRITE_UP visit."""
        self.resent = 0
        """Retransmissions of its bytes so far."""
        self.ready = -1
        """Delivery of its answer at the worker."""
        self.status = 0

    def __lt__(self, other: object) -> bool:
        """Reached only when two items have the same tie key."""
        return same_tie_key()


def same_tie_key() -> bool:
    """Insertion must not decide: raise gwsim's internal fault."""
    raise InternalError("two items of a worker have the same tie key")
