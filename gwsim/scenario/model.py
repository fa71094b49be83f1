"""The resolved scenario: what the engines read.

`Model` is the scenario with every default filled in, every name turned into an object of the topology and
every distinct request shape routed once. It is immutable, in SI units (seconds, bytes, requests per second;
floats), and knows nothing of YAML. Both engines start from it: the reference engine reads it as it is, the
compiled engine reads the arrays that `gwsim.engine.lowering` makes of it.

Ordinals (which source, which worker, which endpoint comes first at equal times) are positions in the tuples
below, so the order of the tuples is part of the meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gwsim.scenario.arrivals import (
    Arrivals,
    Bursts,
    ClosedLoop,
    Distribution,
    OnDemand,
    Paced,
    Poisson,
    RateSegment,
    Replay,
    constant,
)
from gwsim.scenario.long_streams import LongStream, MessageCosts, Messages
from gwsim.scenario.operations import (
    Abort,
    Bucket,
    Call,
    Delay,
    HashRule,
    Mirror,
    Operation,
    TokenBucket,
)
from gwsim.topology import Cluster, RetryPolicy, ScalingRules
from gwsim.topology.model import SCALE_DOWN, SCALE_UP

UNLIMITED = 2**32 - 1


# --- clients -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DownstreamCosts:
    """CPU of the visits on the client's side of the gateway, seconds (bytes: seconds per byte)."""

    accept_s: float
    client_hello_full_s: float
    client_hello_resumed_s: float
    finished_full_s: float
    finished_resumed_s: float
    read_s: float
    read_stream_s: float
    read_byte_s: float
    write_down_s: float
    write_down_stream_s: float
    write_down_byte_s: float
    timer_s: float
    close_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCosts:
    """CPU of the visits on the cluster's side of the gateway, seconds (bytes: seconds per byte)."""

    write_up_s: float
    write_up_byte_s: float
    read_up_s: float
    read_up_byte_s: float
    up_connected_s: float
    up_tls_s: float
    close_s: float = 0.0
    """Closing a connection, or hearing that it is closed or cannot be opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How a client keeps connections.

    `count` slots are kept; a slot is used least recently used first, carries `requests` requests (0: no limit)
    and is then closed and opened afresh by the next request that takes it. With no slot free, one more is added.
    `streams` is the number of concurrent requests on a connection (1 for HTTP/1.1).
    """

    http: Literal[1, 2] = 1
    count: int = 100
    requests: int = 0
    streams: int = 1
    tls: Literal["1.2", "1.3"] | None = None
    offers_ticket: float = 0.0
    reconnect_delay_s: Distribution | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRetry:
    """Retries by the client itself: `attempts` more at the most, after exponential back-off with full jitter.

    The k-th retry (k = 1, 2, ...) waits uniformly in [0, min(base_s * 2^(k-1), max_s)). With `budget` b, each
    first attempt earns b tokens (10 at the most, 10 at the start) and each retry costs one.
    """

    attempts: int
    on_5xx: bool = True
    on_timeout: bool = True
    base_s: float = 0.1
    max_s: float = 10.0
    budget: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedTarget:
    """One destination of a route: an index into `Model.clusters`, or -1 for a cluster that does not exist."""

    cluster: int
    weight: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the topology does with one request shape, decided once by `gwsim.topology.routing`.

    `targets` empty: a local reply with `local_status` and `flags` (response flags as Envoy prints them).
    """

    route: str
    targets: tuple[WeightedTarget, ...] = ()
    local_status: int = 0
    flags: tuple[str, ...] = ()
    timeout_s: float = 0.0
    retry: RetryPolicy | None = None
    hash: tuple[HashRule, ...] = ()
    """What RING_HASH and MAGLEV hash; empty: nothing, so every attempt goes anywhere."""
    program: tuple[Operation, ...] = ()
    """What filters do before the router sees the request, in order."""
    mirrors: tuple[Mirror, ...] = ()
    local_bytes: int = 0
    """Size of a local reply's body."""
    tcp: bool = False
    """The listener hands bytes on (`tcp_proxy`): requests are exchanges on a stream, each connection has one of its own upstream."""
    passthrough: bool = False
    """Of such: the clients' TLS is handed on unopened; the endpoint answers their handshake."""
    idle_timeout_s: float = 0.0
    """Of such: a connection on which nothing moves is closed after this; of long streams: such a stream is reset. 0: never."""
    max_duration_s: float = 0.0
    """Of such: a connection is closed after this, whatever moves on it; 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One entry of a client's request mix; with its client it is a *traffic class*."""

    name: str
    weight: float
    outcome: Outcome
    request_bytes: Distribution
    response_bytes: Distribution
    later: tuple[tuple[float, Outcome], ...] = ()
    """Outcomes of requests from certain moments on, (seconds, outcome) ascending: the configuration changes during the run."""

    long: LongStream | None = None
    """Its requests stay open; None: they end with their answer."""

    def outcomes(self) -> tuple[Outcome, ...]:
        """All outcomes it has in a run."""
        return (self.outcome, *(outcome for _, outcome in self.later))


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A population of clients of one gateway listener."""

    name: str
    fleet: int
    """Index into `Model.fleets`."""
    arrivals: Arrivals
    connection: Connection
    rtt_s: Distribution
    """Round trip between client and gateway pod (front load balancer included), drawn once per connection."""
    costs: DownstreamCosts
    mix: tuple[Shape, ...]
    timeout_s: float | None = None
    retry: ClientRetry | None = None
    max_connection_duration_s: float | None = None
    """The gateway drains connections that are older; None: never."""
    drain_s: float = 5.0
    """It closes an idle one so long after (Envoy: `drain_timeout`)."""
    own_pod: bool = False
    """Derived clients of backends: each backend pod dials the proxy pod beside it (`Station.pod`), on slots of its own."""


# --- the gateway and what is behind it -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One proxy pod: `workers` event loops sharing breakers, active counts and TLS ticket keys."""

    name: str
    zone: str
    workers: int
    view: str = ""
    """Which placement of a cluster's hosts it sees: a key of `SimCluster.placements`."""
    cpu_limit_cores: float | None = None
    """Its workers are stopped when they have used this much in a period of 100 ms (CFS quota); None: no limit."""
    node: str = ""
    """The machine that stands for it at a load balancer whose targets are nodes; empty: its targets are pods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """At `at_s`, `pods` pods of a fleet are added, removed (they drain) or killed."""

    at_s: float
    kind: Literal["add", "remove", "kill"]
    pods: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """A HorizontalPodAutoscaler on CPU: a target utilisation of the request, or cores a pod."""

    minimum: int
    maximum: int
    cpu_request_cores: float
    target_utilization: float | None = None
    target_cores: float = 0.0
    tolerance: float = 0.1
    period_s: float = 15.0
    scrape_s: float = 15.0
    """How often the CPU of pods is measured (metrics-server)."""
    up: ScalingRules = SCALE_UP
    down: ScalingRules = SCALE_DOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """A fleet whose pods come and go; the first `initial` of its pods are there at the start."""

    initial: int
    start_s: float
    """From a pod's creation until the load balancer sends it connections."""
    deregister_s: float
    """For how long the load balancer still sends connections to a pod that leaves."""
    drain_s: float
    """From the moment a pod begins to leave until its proxy ends."""
    changes: tuple[Change, ...] = ()
    scaling: Scaling | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The pods of one gateway workload and the front load balancer's choice among them."""

    name: str
    pods: tuple[Pod, ...]
    wakeup_s: float
    iteration_s: float
    front: Literal["hash", "round_robin"] = "hash"
    cross_zone: bool = True
    """False: a connection comes to the load balancer of a zone, or to a node (`Pod.node`), and stays there: a pod of it gets it."""
    balance: Literal["kernel", "exact"] = "kernel"
    """How a pod's connections find a worker: by the kernel's hash, or to the one with the fewest."""
    lifecycle: Lifecycle | None = None
    """None: all pods are there all the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time in which a backend pod takes nothing: `refuse` resets connections and requests, `drop` swallows them.

    `end`: the pod ends as it should: it closes its connections, those in use after their answers, and refuses from then on.
    """

    from_s: float
    to_s: float
    kind: Literal["refuse", "drop", "end"] = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A time in which a backend pod behaves otherwise: slower by a factor, with other errors, or standing still."""

    from_s: float
    to_s: float
    slow: float = 1.0
    errors: tuple[tuple[float, int], ...] | None = None
    stall: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOut:
    """A request that a backend makes to serve one: of derived client `client`, shape `shape`."""

    client: int
    shape: int
    percent: float = 100.0
    """Share of the requests served that need it."""
    critical: bool = True
    """Whether its failure (5xx, time-out, reset) is the failure of the request served."""
    classes: frozenset[tuple[int, int]] | None = None
    """(client, shape) of the requests that need it; None: all."""


Stage = tuple[CallOut, ...]
"""Calls made at the same time; all must end before the next stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """What makes a station a pod of another proxy: the caller's upstream connections are downstream connections there."""

    client: int
    """The derived client whose classes and costs requests have at that proxy; its `fleet` is the proxy."""
    pod: int | None
    """Position of the pod in that fleet; None: each connection goes through the fleet's front load balancer."""
    shapes: Mapping[tuple[int, int], int]
    """Shape of the derived client by (client, shape) of the caller's request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortPool:
    """Source ports of connections to certain stations: a NAT device's, or a pod's own ephemeral ones.

    Linux keeps 28,232 ephemeral ports for each destination (net.ipv4.ip_local_port_range), each for 60 s after the side
    that has it closes first (TIME_WAIT); a NAT device keeps a number of ports for each of its addresses and destination.
    """

    name: str
    ports: int
    hold_s: float
    """A port rests so long after the gateway closed its connection."""
    hold_remote_s: float
    """And so long after the other side did."""
    scope: Literal["pod", "shared"] = "shared"
    when_empty: Literal["refuse", "drop"] = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One backend pod: a FIFO queue before `concurrency` servers (None: no queueing).

    At most `queue` requests wait (None: no limit); one more is answered 503 at once. `errors` are
    (share, status) pairs: that share of requests is served and then answered with that status instead of 200.
    """

    name: str
    zone: str
    service_time_s: Distribution
    concurrency: int | None = None
    queue: int | None = None
    errors: tuple[tuple[float, int], ...] = ()
    keepalive_s: float | None = None
    """Idle HTTP/1.1 connections are closed by the pod after this; None: never."""
    outages: tuple[Outage, ...] = ()
    modes: tuple[Mode, ...] = ()
    calls: tuple[Stage, ...] = ()
    """Made one stage after the other when the service time is over; the server is held meanwhile."""
    call_error_status: int = 500
    """What a request is answered with when a critical call fails."""
    pod: int = -1
    """Position of the proxy pod beside it in the fleets that its calls go to (`Client.own_pod`)."""
    ports: int = -1
    """What connections to it take their source ports from: index into `Model.port_pools`; -1: nothing that runs out."""
    tls_hello_s: float = 0.0
    """Until it answers a TLS client hello that a proxy hands on unopened."""
    relay: Relay | None = None
    """Not a backend but a pod of a further proxy: service time, errors and the like do not apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """An endpoint as load balancing sees it."""

    key: str
    """What hashing policies hash: Envoy's `address:port`."""
    weight: int = 1
    health: Literal["healthy", "degraded", "unhealthy"] = "healthy"
    joined_s: float | None = None
    """When it joined the cluster, seconds; None: long before the run."""
    from_s: float = 0.0
    """Gateways know it from then on, seconds."""
    to_s: float | None = None
    """And until then; None: for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How some pods see the hosts of a cluster: one entry a host, in their order.

    A locality group lies within one priority; a host of priority -1 is none of theirs. `group_weights` None:
    localities are not weighted.
    """

    priorities: tuple[int, ...]
    groups: tuple[int, ...]
    group_weights: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimCluster:
    """A cluster of the topology as the engines run it: its endpoints are stations, by index."""

    cluster: Cluster
    stations: tuple[int, ...]
    costs: UpstreamCosts
    tls_round_trips: int = 0
    """Round trips of the TLS handshake towards an endpoint (0: plaintext)."""
    hosts: tuple[Host, ...] = ()
    """One a station; empty: all equal and healthy, with the names of the stations as keys."""
    placements: Mapping[str, Placement] = field(default_factory=dict)
    """By `Pod.view`; the pods of any other view see all hosts at priority 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Round-trip times between zones, seconds; `rtt_s[(a, b)]` overrides same/cross zone."""

    same_zone_rtt_s: float
    cross_zone_rtt_s: float
    rtt_s: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def between_s(self, a: str, b: str) -> float:
        """Round trip between zones `a` and `b`, seconds."""
        if (a, b) in self.rtt_s:
            return self.rtt_s[a, b]
        return self.same_zone_rtt_s if a == b else self.cross_zone_rtt_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How long, how often, from what state."""

    kind: Literal["steady", "timeline"] = "steady"
    duration_s: float = 60.0
    """End of the measured window; arrivals go on after it until the last measured request is done."""
    warmup_s: float = 0.0
    """Start of the measured window."""
    replications: int = 10
    seed: int = 1
    start: Literal["warm", "cold"] = "warm"
    max_in_flight: int = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Everything the engines need."""

    clients: tuple[Client, ...]
    fleets: tuple[Fleet, ...]
    clusters: tuple[SimCluster, ...]
    stations: tuple[Station, ...]
    network: Network
    run: Run
    buckets: tuple[TokenBucket, ...] = ()
    port_pools: tuple[PortPool, ...] = ()

    def classes(self) -> tuple[tuple[int, int], ...]:
        """(client index, shape index) of every traffic class, in class order."""
        return tuple((c, s) for c, client in enumerate(self.clients) for s in range(len(client.mix)))

    def long_classes(self) -> tuple[int, ...]:
        """The traffic classes of long streams, as positions in `classes()`."""
        return tuple(i for i, (c, s) in enumerate(self.classes()) if self.clients[c].mix[s].long is not None)


__all__ = [
    "UNLIMITED", "Abort", "Arrivals", "Bucket", "Bursts", "Call", "CallOut", "Change", "Client", "ClientRetry", "ClosedLoop", "Connection", "Delay", "Distribution",
    "DownstreamCosts", "Fleet", "HashRule", "Host", "Lifecycle", "LongStream", "MessageCosts", "Messages", "Mirror", "Mode", "Model", "Network", "OnDemand", "Operation", "Outage", "Outcome", "Paced", "Placement", "Pod",
    "Poisson", "PortPool", "RateSegment", "Relay", "Replay", "Run", "Scaling", "Shape", "SimCluster", "Stage", "Station", "TokenBucket", "UpstreamCosts", "WeightedTarget",
    "constant",
]
