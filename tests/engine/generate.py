"""Random small models for the tests that compare engines: `generate(seed)`, the same model for the same seed.

Without `features`, models use what both engines have; `decorate` adds the features asked for.

Every kind of everything occurs, limits are low enough to be hit, and every third model is a *lattice*: all times are
multiples of 1 ms, so that ties are everywhere (continuous draws never tie).
"""

from __future__ import annotations

from random import Random

from decorate import decorate

from gwsim.engine.features import COMPILED, Feature
from gwsim.scenario.model import (
    UNLIMITED,
    Arrivals,
    Bursts,
    Client,
    ClientRetry,
    ClosedLoop,
    Connection,
    Distribution,
    DownstreamCosts,
    Fleet,
    Model,
    Network,
    Outcome,
    Paced,
    Pod,
    Poisson,
    RateSegment,
    Replay,
    Run,
    Shape,
    SimCluster,
    Station,
    UpstreamCosts,
    WeightedTarget,
    constant,
)
from gwsim.topology import CircuitBreakers, Cluster, LbPolicy, RetryPolicy

ZONES = ("a", "b", "c")
STATUSES = (400, 409, 429, 500, 502, 503, 504)
CONDITIONS = ("5xx", "gateway-error", "retriable-4xx", "retriable-status-codes", "reset", "connect-failure")
LOCAL = ((404, ("NR",)), (301, ()), (403, ("UAEX",)), (503, ("FI",)), (429, ("RL",)))


def is_lattice(seed: int) -> bool:
    """Whether `generate(seed)` is a lattice model."""
    return seed % 3 == 0


def generate(seed: int, features: frozenset[Feature] = COMPILED) -> Model:
    """The model of that seed, with any of `features`."""
    return decorate(Generator(seed).model(), seed, is_lattice(seed), features)


class Generator:
    """Draws the parts of a model."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.lattice = is_lattice(seed)
        self.lattice_cost = self.random.choice((0.0, 1e-3))
        self.duration_s = self.random.choice((0.1, 0.2, 0.4))

    # --- numbers ---------------------------------------------------------------------------------------------

    def maybe(self, p: float = 0.5) -> bool:
        return self.random.random() < p

    def span(self, low: float, high: float) -> float:
        """A duration in seconds, on the grid of a lattice model."""
        x = self.random.uniform(low, high)
        return round(x * 1e3) / 1e3 if self.lattice else x

    def patience(self, low: float, high: float) -> float:
        """A time-out in seconds; lattice models have few, so that timers of different kinds fall due together."""
        x = self.random.uniform(low, high)
        return max(1, round(x * 250)) * 4e-3 if self.lattice else max(1e-3, x)

    def cost(self, high: float) -> float:
        if self.lattice:
            return self.lattice_cost if self.maybe(0.8) else 0.0
        return 0.0 if self.maybe(0.1) else self.random.uniform(0.0, high)

    def per_byte(self) -> float:
        return 0.0 if self.lattice or self.maybe(0.3) else self.random.uniform(0.0, 2e-8)

    def time(self, mean: float) -> Distribution:
        """A random duration."""
        if self.lattice:
            return constant(self.span(0.0, 2.0 * mean))
        return self.distribution(mean)

    def distribution(self, mean: float) -> Distribution:
        kind = self.random.choice(
            ("constant", "uniform", "exponential", "lognormal", "weibull", "pareto", "quantiles")
        )
        if kind == "constant":
            return constant(mean)
        if kind == "quantiles":
            points = ((0.0, 0.0), (0.5, mean * 0.8), (0.9, mean * 2.0), (1.0, mean * 4.0))
            return Distribution(kind="quantiles", points=points, mean=mean)
        a, b = {
            "uniform": (0.2 * mean, 1.8 * mean),
            "exponential": (mean, 0.0),
            "lognormal": (-7.0, 0.7),
            "weibull": (mean, self.random.choice((0.7, 1.5))),
            "pareto": (mean / 2.0, 2.5),
        }[kind]
        return Distribution(kind=kind, a=a, b=b, mean=mean)  # type: ignore[arg-type]

    def size(self) -> Distribution:
        return constant(self.random.choice((0.0, 200.0, 1500.0))) if self.maybe() else self.distribution(2000.0)

    # --- clients ---------------------------------------------------------------------------------------------

    def arrivals(self, shapes: int, cap: float) -> Arrivals:
        rate = self.random.choice((100.0, 250.0, 500.0, 1000.0))
        rate = min(rate, cap)
        kind = self.random.randrange(9)
        if kind == 0:
            return Poisson(segments=(RateSegment(duration_s=10.0, start_rps=rate, end_rps=rate),))
        if kind == 1:
            return self.profile(rate)
        if kind == 2:
            return Paced(rate_rps=rate if self.lattice else 0.7 * rate)  # a gap that is not a whole number of ns
        if kind == 3:
            return Bursts(base_rps=rate * self.random.choice((0.0, 0.2)), peak_rps=2.0 * rate, mean_base_s=0.05, mean_peak_s=0.03)
        if kind == 4:
            return self.recorded(rate, shapes)
        return self.closed(rate)

    def profile(self, rate: float) -> Poisson:
        segments = [
            RateSegment(
                duration_s=self.random.choice((0.02, 0.05, 0.1)),
                start_rps=rate * self.random.choice((0.0, 0.5, 1.0, 2.0)),
                end_rps=rate * self.random.choice((0.0, 0.5, 1.0, 2.0)),
            )
            for _ in range(self.random.randint(1, 4))
        ]
        segments.append(RateSegment(duration_s=0.03, start_rps=rate, end_rps=rate))
        return Poisson(segments=tuple(segments))

    def recorded(self, rate: float, shapes: int) -> Replay:
        n = int(rate * self.duration_s * self.random.choice((0.5, 1.0, 1.5)))
        times = sorted(self.span(0.0, self.duration_s * 1.2) for _ in range(n))
        drawn = self.maybe()
        return Replay(
            times_s=tuple(times),
            shapes=tuple(-1 if drawn or self.maybe(0.2) else self.random.randrange(shapes) for _ in range(n)),
        )

    def closed(self, rate: float) -> ClosedLoop:
        connections = self.random.randint(1, 12)
        if self.maybe(0.6):
            return ClosedLoop(
                connections=connections,
                rate_rps=rate,
                pacing=self.random.choice(("together", "jittered", "uniform")),
                catch_up=self.maybe(),
            )
        think = constant(self.random.choice((2e-3, 5e-3, 20e-3))) if self.lattice else self.distribution(15e-3)
        return ClosedLoop(connections=connections, think_time_s=think)

    def connection(self) -> Connection:
        http2 = self.maybe()
        return Connection(
            http=2 if http2 else 1,
            count=self.random.choice((0, 1, 2, 5, 20)),
            requests=self.random.choice((0, 0, 1, 2, 5, 20)),
            streams=self.random.choice((1, 2, 4, 100)) if http2 else 1,
            tls=self.random.choice((None, "1.2", "1.3")),
            offers_ticket=self.random.choice((0.0, 0.5, 1.0)),
            reconnect_delay_s=self.time(3e-3) if self.maybe(0.4) else None,
        )

    def downstream(self) -> DownstreamCosts:
        return DownstreamCosts(
            accept_s=self.cost(50e-6), client_hello_full_s=self.cost(900e-6), client_hello_resumed_s=self.cost(300e-6),
            finished_full_s=self.cost(100e-6), finished_resumed_s=self.cost(50e-6), read_s=self.cost(300e-6),
            read_stream_s=self.cost(30e-6), read_byte_s=self.per_byte(), write_down_s=self.cost(200e-6),
            write_down_stream_s=self.cost(20e-6), write_down_byte_s=self.per_byte(), timer_s=self.cost(20e-6),
            close_s=self.cost(30e-6),
        )

    def outcome(self, clusters: int) -> Outcome:
        if clusters == 0 or self.maybe(0.08):
            status, flags = self.random.choice(LOCAL)
            return Outcome(route="local", local_status=status, flags=flags)
        n = 1 if self.maybe(0.6) else self.random.randint(2, 3)
        targets = tuple(
            WeightedTarget(
                cluster=-1 if self.maybe(0.05) else self.random.randrange(clusters),
                weight=self.random.choice((1, 10, 90)) if i == 0 else self.random.choice((0, 1, 10, 90)),
                name=f"t{i}",
            )
            for i in range(n)
        )
        timeout = self.patience(2e-3, 30e-3) if self.maybe(0.6) else 0.0
        return Outcome(
            route="route", targets=targets, timeout_s=timeout, retry=self.retry_policy() if self.maybe(0.7) else None
        )

    def retry_policy(self) -> RetryPolicy:
        base = self.random.choice((0.0, 1e-3, 2e-3, 5e-3))
        return RetryPolicy(
            num_retries=self.random.choice((0, 1, 2, 2, 5)),
            retry_on=tuple(c for c in CONDITIONS if self.maybe()),
            retriable_status_codes=tuple(s for s in (200, *STATUSES) if self.maybe(0.2 if s > 200 else 0.05)),
            per_try_timeout_s=self.patience(1e-3, 12e-3) if self.maybe(0.4) else None,
            base_interval_s=base,
            max_interval_s=self.random.choice((base, 4e-3, 10e-3)),
            host_selection_retry_max_attempts=self.random.choice((0, 1, 5)),
            previous_hosts=self.maybe(),
        )

    def client_retry(self) -> ClientRetry:
        return ClientRetry(
            attempts=self.random.choice((1, 2, 4)),
            on_5xx=self.maybe(0.8),
            on_timeout=self.maybe(0.8),
            base_s=max(1e-3, self.span(1e-3, 10e-3)),
            max_s=15e-3,
            budget=self.random.choice((None, 0.0, 0.05, 0.2)),
        )

    def client(self, index: int, fleets: int, clusters: int) -> Client:
        mix = tuple(
            Shape(
                name=f"s{i}", weight=self.random.choice((1.0, 0.5, 3.0)) if i == 0 else self.random.choice((0.0, 0.1, 1.0)),
                outcome=self.outcome(clusters), request_bytes=self.size(), response_bytes=self.size(),
            )
            for i in range(self.random.randint(1, 3))
        )
        return Client(
            name=f"client{index}",
            fleet=self.random.randrange(fleets),
            arrivals=self.arrivals(len(mix), 500.0 if self.lattice else 1000.0),
            connection=self.connection(),
            rtt_s=self.time(2e-3) if self.maybe(0.8) else constant(0.0),
            costs=self.downstream(),
            mix=mix,
            timeout_s=max(1e-3, self.span(2e-3, 25e-3)) if self.maybe(0.4) else None,
            retry=self.client_retry() if self.maybe(0.5) else None,
        )

    # --- the gateway and what is behind it -------------------------------------------------------------------

    def fleet(self, index: int) -> Fleet:
        pods = tuple(
            Pod(name=f"gw{index}-{i}", zone=self.random.choice(ZONES), workers=self.random.randint(1, 4))
            for i in range(self.random.randint(1, 3))
        )
        small = (lambda: self.random.choice((0.0, 1e-3))) if self.lattice else (lambda: self.cost(50e-6))
        return Fleet(
            name=f"fleet{index}", pods=pods, wakeup_s=small(), iteration_s=small() if self.maybe() else 0.0,
            front=self.random.choice(("hash", "round_robin")),
        )

    def station(self, index: int) -> Station:
        errors: tuple[tuple[float, int], ...] = ()
        if self.maybe(0.5):
            errors = tuple((self.random.choice((0.02, 0.1, 0.6)), self.random.choice(STATUSES)) for _ in range(self.random.randint(1, 3)))
        concurrency = self.random.choice((None, 1, 3))
        return Station(
            name=f"backend{index}", zone=self.random.choice(ZONES), service_time_s=self.time(self.random.choice((1e-3, 4e-3))),
            concurrency=concurrency, queue=None if self.maybe() else self.random.choice((0, 1, 5)), errors=errors,
        )

    def limit(self, *values: int) -> int:
        return self.random.choice(values) if self.maybe(0.35) else UNLIMITED

    def cluster(self, index: int, stations: int) -> SimCluster:
        n = 0 if self.maybe(0.06) else self.random.randint(1, min(4, stations))
        policy = self.random.choice((LbPolicy.ROUND_ROBIN, LbPolicy.LEAST_REQUEST, LbPolicy.RANDOM, LbPolicy.LEAST_REQUEST))
        return SimCluster(
            cluster=Cluster(
                name=f"outbound|80||cluster{index}", host=f"cluster{index}", port=80, lb_policy=policy,
                upstream_http=self.random.choice((1, 1, 2)),
                circuit_breakers=CircuitBreakers(
                    max_connections=self.limit(0, 1, 2, 4, 8), max_pending_requests=self.limit(0, 1, 3, 10),
                    max_requests=self.limit(0, 1, 4, 10), max_retries=self.limit(0, 1, 3),
                ),
            ),
            stations=tuple(self.random.sample(range(stations), n)),
            costs=UpstreamCosts(
                write_up_s=self.cost(150e-6), write_up_byte_s=self.per_byte(), read_up_s=self.cost(200e-6),
                read_up_byte_s=self.per_byte(), up_connected_s=self.cost(50e-6), up_tls_s=self.cost(300e-6),
            ),
            tls_round_trips=self.random.choice((0, 0, 1, 2)),
        )

    def model(self) -> Model:
        fleets = tuple(self.fleet(i) for i in range(self.random.randint(1, 2)))
        stations = tuple(self.station(i) for i in range(self.random.randint(1, 6)))
        clusters = tuple(self.cluster(i, len(stations)) for i in range(self.random.randint(0 if self.maybe(0.05) else 1, 3)))
        clients = tuple(self.client(i, len(fleets), len(clusters)) for i in range(self.random.randint(1, 3)))
        override = {("a", "b"): self.span(0.0, 4e-3)} if self.maybe() else {}
        return Model(
            clients=clients,
            fleets=fleets,
            clusters=clusters,
            stations=stations,
            network=Network(
                same_zone_rtt_s=self.span(0.0, 1e-3), cross_zone_rtt_s=self.span(0.0, 3e-3), rtt_s=override
            ),
            run=Run(
                kind=self.random.choice(("steady", "timeline")),
                duration_s=self.duration_s,
                warmup_s=self.random.choice((0.0, 0.0, 0.25, 0.5)) * self.duration_s,
                replications=1,
                seed=self.random.randrange(2**40),
                start=self.random.choice(("warm", "cold")),
                max_in_flight=self.random.randint(3, 40) if self.maybe(0.06) else 2000,
            ),
        )
