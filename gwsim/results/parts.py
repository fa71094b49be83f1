"""The parts a `Results` is made of: typed figures with their units in their names, and nothing to compute.

Times are seconds, rates per second, shares 0 to 1, unless a name says otherwise. Every `Estimate` carries its
interval over the replications.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from gwsim.engine.codes import Component
from gwsim.results.histograms import Floats, Histogram
from gwsim.results.intervals import LEVEL, Estimate, quantile, share_above
from gwsim.results.work import Work

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


class Status(StrEnum):
    """What a run can say."""

    FINE = "fine"
    SATURATED = "saturated"
    """Work piles up: latencies grow with the length of the run, so their means say nothing."""
    METASTABLE = "metastable"
    """A disturbance is over, the load is one that was carried before it, and the system does not come back."""
    TOO_SHORT = "too short"
    """Not enough requests for the p99, or no stationary part after the start."""
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`sentence` says it for people, `evidence` lists the numbers it rests on, one sentence each."""

    status: Status
    sentence: str
    evidence: tuple[str, ...] = ()

    @property
    def meaningful(self) -> bool:
        """Whether steady-state latencies exist."""
        return self.status is not Status.SATURATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One kind of latency of one group of requests, seconds. `histogram` gives every other quantile."""

    mean: Estimate
    p50: Estimate
    p90: Estimate
    p95: Estimate
    p99: Estimate
    p999: Estimate
    histogram: Histogram

    @property
    def count(self) -> int:
        """Observations, all replications together."""
        return self.histogram.count

    def percentile(self, percent: float, level: float = LEVEL) -> Estimate:
        """Any percentile, e.g. 99.5."""
        return quantile(self.histogram, percent / 100.0, level=level)

    def above(self, limit_s: float, level: float = LEVEL) -> Estimate:
        """The share of requests slower than `limit_s`."""
        return share_above(self.histogram, limit_s, level=level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How often something happened: `name` is a status (`503`), a response flag (`UO`) or a cluster."""

    name: str
    count: int
    share: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Where the time of a band of requests goes. Integer sums, so parts add up to the total exactly.

    `band`: `mean` (all covered requests), `median` (around p50), `tail` (p99 and above). `from_s` and `to_s`
    are the band's edges; `sums_ns` are indexed by `Component`.
    """

    band: Literal["mean", "median", "tail"]
    from_s: float
    to_s: float
    count: int
    sums_ns: tuple[int, ...]

    @property
    def total_s(self) -> float:
        """Mean latency of the band."""
        return sum(self.sums_ns) * 1e-9 / self.count if self.count else 0.0

    @property
    def parts_s(self) -> dict[Component, float]:
        """Mean time per request in each component, in the order of the components."""
        return {c: self.sums_ns[c] * 1e-9 / self.count if self.count else 0.0 for c in Component}

    @property
    def shares(self) -> dict[Component, float]:
        """Each component as a share of the total."""
        total = sum(self.sums_ns)
        return {c: self.sums_ns[c] / total if total else 0.0 for c in Component}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The figures of a group of requests: one class, one route, one client, or all of them.

    `client`, `shape`, `route` and `gateway` are empty where the group has several. `errors` is the share of
    requests without a 2xx or 3xx within the client's time-out. `local_replies` is the share that the gateway
    answered itself other than by a time-out: they are no part of the latencies.
    """

    client: str = ""
    shape: str = ""
    route: str = ""
    gateway: str = ""
    derived: bool = False
    """Made for other requests, by backends or further proxies: no part of the whole. Latencies are what their callers see."""
    requests: int
    """Measured, all replications together."""
    offered_rps: Estimate
    served_rps: Estimate
    good_rps: Estimate
    request_bytes_per_s: Estimate
    response_bytes_per_s: Estimate
    connections_per_s: Estimate
    """New connections, by the requests that opened them."""
    handshakes: tuple[Share, ...]
    client_latency: Latency
    gateway_latency: Latency
    gateway_overhead: Latency
    errors: Estimate
    statuses: tuple[Share, ...]
    """What clients got, by status, 200 first, then by count; `0` is a client's own time-out."""
    flags: tuple[Share, ...]
    """Streams at the gateway by response flag, in FLAG_ORDER; only those that occurred."""
    local_replies: Estimate
    gateway_retries: Estimate
    """Attempts beyond the first, per stream that reached a cluster."""
    client_retries: Estimate
    """Attempts beyond the first, per request."""
    splits: tuple[Split, ...]
    """`mean`, `median`, `tail`; none without covered requests."""
    failed_attempts_s: Estimate
    """Mean time of a covered request spent in attempts that failed and were retried (part of the components)."""
    clusters: tuple[Share, ...]
    """Streams by the cluster chosen."""
    work: Work
    """CPU, bytes and money."""

    @property
    def label(self) -> str:
        """What the group is called in a table."""
        return self.route or "/".join(part for part in (self.client, self.shape) if part) or "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A figure as far as the cost profile determines it: somewhere in [low, high], `value` as simulated."""

    low: float
    value: float
    high: float
    calibrated: bool = False
    """Whether the costs were measured where the gateway runs; the range is then the spread of the measurement."""

    @property
    def exact(self) -> bool:
        """Whether the profile leaves nothing open."""
        return self.low == self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFigures:
    """One worker. Counts are means per replication over the whole run; `utilisation` is of the window."""

    gateway: str
    pod: str
    worker: int
    utilisation: Estimate
    cpu_us_per_request: Estimate
    requests: float
    connections: float
    visits: Mapping[str, float]
    """By `Visit` name, lower case."""
    wakeups: float
    iterations: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFigures:
    """One gateway pod. `utilisation` is CPU per worker of the window; `of_request` the same per CPU requested."""

    gateway: str
    pod: str
    zone: str
    workers: int
    cpu_cores: Estimate
    utilisation: Estimate
    of_request: Estimate
    requests_per_s: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFigures:
    """One gateway workload. Ranges are what an uncalibrated cost profile leaves open."""

    gateway: str
    pods: int
    workers: int
    cpu_cores: Estimate
    cpu_cores_range: Range
    utilisation: Estimate
    """Mean over the workers."""
    utilisation_range: Range
    busiest_worker: Estimate
    of_request: Estimate
    """CPU used per CPU requested: what a HorizontalPodAutoscaler looks at. No data without a request."""
    requests_per_s: Estimate
    cores_per_1000_rps: Estimate
    cores_per_1000_rps_range: Range
    cpu_us_per_request: Estimate
    memory_bytes_range: Range
    """Of a pod, as far as the cost profile knows."""
    memory_limit_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFigures:
    """One Envoy cluster, seen from the gateways. Counters are totals of the whole run over all replications."""

    name: str
    host: str
    subset: str
    counters: Mapping[str, int]
    """Under Envoy's names: `upstream_rq_total`, `upstream_cx_overflow`, ..."""
    attempts_per_s: Estimate
    latency: Latency
    """Upstream time of answered attempts: end of the write to the answer being readable."""
    in_use: Estimate
    """Mean number of answered attempts under way, per gateway pod."""
    limits: Mapping[str, int | None]
    """Per gateway pod: `max_connections`, `max_pending_requests`, `max_requests`, `max_retries`."""
    overflow: Estimate
    """Requests refused by a circuit breaker, per attempt wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendFigures:
    """One backend pod. `utilisation` is offered work per server in the window and may exceed 1."""

    name: str
    backend: str
    """`[cluster/]service.namespace`: what the pod belongs to."""
    zone: str
    concurrency: int | None
    requests_per_s: Estimate
    utilisation: Estimate
    busy: Estimate
    """Mean number of requests in service."""
    service_s: Estimate
    wait_s: Estimate
    errors: Estimate
    rejected: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFigures:
    """A pool of source ports, over the whole run. `peak`: most in use or at rest at once for one destination, in any replication."""

    name: str
    ports: int
    shared: bool
    taken_per_s: Estimate
    refused: Estimate
    """Connections that got no port, per connection wanted."""
    peak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Something that can run out. `headroom` is the factor by which load may grow until it does (about)."""

    kind: Literal["worker", "cpu", "memory", "backend", "pool", "ports"]
    name: str
    utilisation: float
    exhausted: float = 0.0
    """Share of the requests that found it used up."""
    text: str

    @property
    def headroom(self) -> float:
        """1 / utilisation; below 1: it is the limit now."""
        return 1.0 / self.utilisation if self.utilisation > 0 else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """The limits from the nearest on, and a sentence about the first."""

    sentence: str
    limits: tuple[Limit, ...] = ()

    @property
    def first(self) -> Limit | None:
        """The nearest limit."""
        return self.limits[0] if self.limits else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One quantity over the time bins: value and interval, float64 [N_BINS]; NaN where there is none."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The run over time. Bin b is [edges_s[b], edges_s[b + 1]); bins before `warmup_s` are not measured."""

    edges_s: Floats
    warmup_s: float
    offered_rps: Series
    served_rps: Series
    errors: Series
    """Share of the requests that end in the bin."""
    in_system: Series
    """Mean number of requests between client and answer."""
    mean_latency_s: Series
    """All answers, by the start of the request."""
    p50_latency_s: Series
    p95_latency_s: Series
    p99_latency_s: Series
    cpu_cores: Mapping[str, Series]
    """By gateway."""
    pods: Mapping[str, Series] = field(default_factory=dict)
    """Pods that exist, of the gateways whose pods come and go."""
    open_streams: Mapping[str, Series] = field(default_factory=dict)
    """WebSockets and gRPC streams that are open, by gateway pod; none without any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """All requests together. Served counts those that end within the window, so that a backlog shows."""

    offered_rps: Estimate
    served_rps: Estimate
    good_rps: Estimate
    request_bytes_per_s: Estimate
    response_bytes_per_s: Estimate
    connections_per_s: Estimate
    asked_rps: float | None = None
    """What closed-loop clients were told to send; None without such clients."""
