"""Upstream connections: what each is doing, and what may end it.

Envoy: `ActiveClient` (source/common/conn_pool/conn_pool_base.h), `CodecClient` with its idle timer. A backend that closes
idle connections sooner than the gateway does is met by some requests just then: they fail (UC).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsim.engine.codes import Part
from gwsim.engine.draws import ns
from gwsim.engine.reference.streams import same_tie_key
from gwsim.scenario.model import UNLIMITED, Outage
from gwsim.scenario.model import Station as StationModel
from gwsim.topology import Cluster

if TYPE_CHECKING:
    from gwsim.engine.reference.pools import Pool
    from gwsim.engine.reference.relays import Link
    from gwsim.engine.reference.streams import UpstreamRequest

WARM = 4095
"""In the place of `k` in the names of connections that are older than the run."""
NEVER = 1 << 62
SECOND = 10**9
SYN_AT = tuple(r * SECOND for r in (0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67))
"""A SYN and its repetitions. Source: Linux tcp_syn_linear_timeouts = 4, tcp_syn_retries = 6."""


def within(seconds: float | None, horizon: int) -> int:
    """A duration in ns; 0, for none, if it does not end within the run."""
    if seconds is None or seconds <= 0.0 or ns(seconds) >= horizon:
        return 0
    return max(1, ns(seconds))


class Lifetimes:
    """Durations of a pool's connections, ns; 0: without limit. What does not fit into the run is without limit."""

    __slots__ = ("connect", "duration", "idle", "keepalive")

    def __init__(self, cluster: Cluster, station: StationModel, horizon: int) -> None:
        self.idle = within(cluster.idle_timeout_s, horizon)
        self.duration = within(cluster.max_connection_duration_s, horizon)
        self.keepalive = within(station.keepalive_s, horizon)
        needed = bool(station.outages) or station.ports >= 0 or station.relay is not None or cluster.connect_timeout_s < 1.0
        self.connect = max(1, ns(cluster.connect_timeout_s)) if needed and cluster.connect_timeout_s > 0.0 else 0


class Outages:
    """When a backend pod takes nothing."""

    __slots__ = ("end", "times")

    def __init__(self, outages: tuple[Outage, ...]) -> None:
        self.times = [(ns(one.from_s), ns(one.to_s), "refuse" if one.kind == "end" else one.kind) for one in outages]
        self.end = min((ns(one.from_s) for one in outages if one.kind == "end"), default=NEVER)
        """When the pod closes its connections."""

    def __bool__(self) -> bool:
        return bool(self.times)

    def at(self, instant: int) -> str | None:
        """The kind of outage in force."""
        return next((kind for start, end, kind in self.times if start <= instant < end), None)

    def answer_to_syn(self, sent: int, up: int, down: int) -> tuple[int | None, Part]:
        """When a connection attempt is answered, and whether with success; None: never."""
        for after in SYN_AT:
            arrival = sent + after + up
            kind = self.at(arrival)
            if kind != "drop":
                return arrival + down, Part.UP_CONNECTED if kind is None else Part.UP_FAILED
        return None, Part.UP_FAILED


class UpstreamConnection:
    """A connection to an endpoint, from its opening to its end."""

    __slots__ = ("attaching", "busy_until", "closes", "expiry", "has_port", "left", "link", "name", "open", "over", "patience", "pool", "ready", "streams")

    def __init__(self, pool: Pool, name: int) -> None:
        self.pool = pool
        self.name = name
        self.streams: dict[int, UpstreamRequest] = {}
        self.left = pool.limits.model.cluster.max_requests_per_connection or UNLIMITED
        """Requests it may still take."""
        self.ready = False
        self.attaching = False
        """An ATTACH is armed for it."""
        self.open = False
        """It is established."""
        self.over = False
        self.has_port = False
        """It holds a source port, where they may run out."""
        self.busy_until = 0
        """When the endpoint has done, as far as is known, all that it was asked on it."""
        self.closes = NEVER
        """When the endpoint gives it up, unless a request arrives before."""
        self.link: Link | None = None
        """The other side, if that is a proxy."""
        self.patience: Notice | None = None
        self.expiry: Notice | None = None

    def __lt__(self, other: object) -> bool:
        """Reached only when two items have the same tie key."""
        return same_tie_key()

    @property
    def connection(self) -> UpstreamConnection:
        """Itself, as a `Notice` has it."""
        return self

    @property
    def room(self) -> bool:
        """Whether it may take a stream."""
        return self.left > 0 and len(self.streams) < self.pool.capacity

    def take(self, upstream: UpstreamRequest) -> bool:
        """A stream is attached; True if it was the last that it may take."""
        self.streams[upstream.name] = upstream
        if self.expiry is not None:
            self.expiry.void = True
        self.left -= 1
        return self.left == 0

    def heard_at(self, instant: int) -> bool:
        """A request arrives at the endpoint: whether the connection is still there."""
        if instant >= self.closes and not self.over:
            return False
        self.closes = NEVER
        return True


class Notice:
    """Something that will end a connection."""

    __slots__ = ("connection", "name", "void")

    def __init__(self, connection: UpstreamConnection, name: int) -> None:
        self.connection = connection
        self.name = name
        self.void = False

    @property
    def over(self) -> bool:
        """Whether there is nothing left to end."""
        return self.void or self.connection.over

    def __lt__(self, other: object) -> bool:
        """Reached only when two items have the same tie key."""
        return same_tie_key()
