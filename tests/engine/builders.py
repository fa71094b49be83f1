"""Small models by hand: every part with a default that costs nothing and changes nothing.

Times are in seconds, as in the model; `US` and `MS` make them readable.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from gwsim.engine.codes import Visit
from gwsim.engine.schema import RECORD_FIELDS, TRACE_FIELDS, Options, RawRun, differences
from gwsim.scenario.model import (
    Arrivals,
    Client,
    Connection,
    Distribution,
    DownstreamCosts,
    Fleet,
    Model,
    Network,
    OnDemand,
    Outcome,
    Pod,
    Poisson,
    RateSegment,
    Relay,
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

US = 1e-6
MS = 1e-3


def exponential(mean: float) -> Distribution:
    """Exponential with that mean."""
    return Distribution(kind="exponential", a=mean, mean=mean)


def poisson(rate: float) -> Poisson:
    """Poisson arrivals at a constant rate."""
    return Poisson(segments=(RateSegment(duration_s=3600.0, start_rps=rate, end_rps=rate),))


def replay(*times_s: float) -> Replay:
    """Arrivals at these instants."""
    return Replay(times_s=times_s, shapes=(-1,) * len(times_s))


def downstream(**costs: float) -> DownstreamCosts:
    """Costs of the client's side; what is not given costs nothing."""
    names = (
        "accept_s", "client_hello_full_s", "client_hello_resumed_s", "finished_full_s", "finished_resumed_s", "read_s",
        "read_stream_s", "read_byte_s", "write_down_s", "write_down_stream_s", "write_down_byte_s", "timer_s", "close_s",
    )
    return DownstreamCosts(**(dict.fromkeys(names, 0.0) | costs))


def upstream(**costs: float) -> UpstreamCosts:
    """Costs of the cluster's side; what is not given costs nothing."""
    names = ("write_up_s", "write_up_byte_s", "read_up_s", "read_up_byte_s", "up_connected_s", "up_tls_s")
    return UpstreamCosts(**(dict.fromkeys(names, 0.0) | costs))


def retry(num: int = 2, on: tuple[str, ...] = ("5xx",), **fields: Any) -> RetryPolicy:
    """A retry policy of the gateway."""
    return RetryPolicy(num_retries=num, retry_on=on, **fields)


def to(*clusters: int | tuple[int, int], timeout_s: float = 0.0, policy: RetryPolicy | None = None) -> Outcome:
    """A route to clusters, each an index or (index, weight)."""
    pairs = [c if isinstance(c, tuple) else (c, 1) for c in clusters]
    targets = tuple(WeightedTarget(cluster=c, weight=w, name=f"c{c}") for c, w in pairs)
    return Outcome(route="route", targets=targets, timeout_s=timeout_s, retry=policy)


def local(status: int, *flags: str) -> Outcome:
    """A local reply."""
    return Outcome(route="local", local_status=status, flags=flags)


def shape(outcome: Outcome | None = None, name: str = "s", weight: float = 1.0, up: float = 0, down: float = 0) -> Shape:
    """A shape with constant sizes."""
    return Shape(
        name=name, weight=weight, outcome=outcome or to(0), request_bytes=constant(up), response_bytes=constant(down)
    )


def client(arrivals: Arrivals, *mix: Shape, name: str = "web", rtt_s: float = 0.0, **fields: Any) -> Client:
    """A client of the first fleet with 1000 HTTP/1.1 connections."""
    given: dict[str, Any] = {
        "name": name, "fleet": 0, "arrivals": arrivals, "connection": Connection(count=1000),
        "rtt_s": constant(rtt_s), "costs": downstream(), "mix": mix or (shape(),),
    }
    return Client(**(given | fields))


def derived(name: str, fleet: int, *mix: Shape, **fields: Any) -> Client:
    """A client whose requests are made for others."""
    return client(OnDemand(), *mix, name=name, fleet=fleet, **fields)


def relay(client: int, name: str = "b0", pod: int | None = None, classes: int = 4) -> Station:
    """A station that stands for a further proxy; requests of any class have the first shape of `client` there."""
    shapes = {(c, s): 0 for c in range(classes) for s in range(classes)}
    return station(name=name, relay=Relay(client=client, pod=pod, shapes=shapes))


def station(service_s: float | Distribution = 0.0, name: str = "b0", **fields: Any) -> Station:
    """A backend in zone a."""
    service = service_s if isinstance(service_s, Distribution) else constant(service_s)
    return Station(**({"name": name, "zone": "a", "service_time_s": service} | fields))


def cluster(
    *stations: int,
    name: str = "c0",
    costs: UpstreamCosts | None = None,
    http: int = 1,
    lb: LbPolicy = LbPolicy.ROUND_ROBIN,
    tls: int = 0,
    **breakers: int,
) -> SimCluster:
    """A cluster of stations; further keywords are circuit breakers."""
    model = Cluster(
        name=name, host=name, port=80, lb_policy=lb, upstream_http=2 if http == 2 else 1, idle_timeout_s=0.0,
        circuit_breakers=CircuitBreakers(**breakers),
    )
    return SimCluster(cluster=model, stations=stations, costs=costs or upstream(), tls_round_trips=tls)


def fleet(pods: int = 1, workers: int = 1, wakeup_s: float = 0.0, iteration_s: float = 0.0, **fields: Any) -> Fleet:
    """A fleet in zone a."""
    made = tuple(Pod(name=f"p{i}", zone="a", workers=workers) for i in range(pods))
    return Fleet(**({"name": "gw", "pods": made, "wakeup_s": wakeup_s, "iteration_s": iteration_s} | fields))


def model(
    *clients: Client,
    clusters: tuple[SimCluster, ...] | None = None,
    stations: tuple[Station, ...] | None = None,
    fleets: tuple[Fleet, ...] | None = None,
    rtt_s: float = 0.0,
    duration_s: float = 1.0,
    **run: Any,
) -> Model:
    """A model; by default one cluster of one infinitely fast backend behind one free worker."""
    return Model(
        clients=clients,
        fleets=fleets or (fleet(),),
        clusters=(cluster(0),) if clusters is None else clusters,
        stations=(station(),) if stations is None else stations,
        network=Network(same_zone_rtt_s=rtt_s, cross_zone_rtt_s=rtt_s),
        run=Run(duration_s=duration_s, replications=1, **run),
    )


def worked_example() -> Model:
    """Section 10 of docs/background/engine-semantics.md.

    One-way delays last at least 1 ns, so everything is 1 ns later than in the table; the backend answers 3 us after the
    write, 1 ns there and 1 ns back included. HTTP/2 upstream, so that no connection has to be opened or waited for.
    """
    up, down = upstream(write_up_s=4 * US, read_up_s=6 * US), downstream(read_s=10 * US, write_down_s=4 * US)
    arrivals = replay(0.0, 5 * US, 12 * US)
    return model(
        replace(client(arrivals), costs=down),
        clusters=(cluster(0, costs=up, http=2),),
        stations=(station(3 * US - 2e-9),),
        fleets=(fleet(wakeup_s=10 * US, iteration_s=2 * US),),
        duration_s=1e-4,
    )


def busy_gateway(duration_s: float = 0.4, rate: float = 40_000.0) -> Model:
    """The scenario on which engines are timed: 2 pods x 4 workers at 60 %, most of what a request can meet."""
    policy = retry(2, ("gateway-error",))

    def route(name: str, weight: float, *clusters: int | tuple[int, int]) -> Shape:
        outcome = to(*clusters, timeout_s=15.0, policy=policy)
        return Shape(
            name=name, weight=weight, outcome=outcome, request_bytes=exponential(600.0), response_bytes=exponential(4000.0)
        )

    web = client(
        poisson(rate), route("a", 50.0, (0, 90), (1, 10)), route("b", 30.0, 2), route("c", 20.0, 3),
        connection=Connection(count=400, requests=100, tls="1.3", offers_ticket=0.4),
        costs=downstream(
            accept_s=20 * US, client_hello_full_s=300 * US, client_hello_resumed_s=260 * US, finished_full_s=45 * US,
            finished_resumed_s=45 * US, read_s=30 * US, read_byte_s=1e-10, write_down_s=12 * US, write_down_byte_s=1e-10,
            timer_s=2 * US, close_s=5 * US,
        ),
        timeout_s=10.0,
    )
    web = replace(web, rtt_s=Distribution(kind="lognormal", a=-6.5, b=0.5))
    costs = upstream(
        write_up_s=12 * US, write_up_byte_s=1e-10, read_up_s=18 * US, read_up_byte_s=1e-10, up_connected_s=10 * US
    )
    service = Distribution(kind="lognormal", a=-5.5, b=0.5)
    return model(
        web,
        clusters=tuple(
            cluster(*range(5 * i, 5 * i + 5), name=f"c{i}", costs=costs, lb=LbPolicy.LEAST_REQUEST) for i in range(4)
        ),
        stations=tuple(station(service, name=f"b{i}", errors=((0.005, 503),)) for i in range(20)),
        fleets=(fleet(2, 4, wakeup_s=20 * US, iteration_s=6 * US),),
        rtt_s=0.3 * MS, duration_s=duration_s, warmup_s=0.1 * duration_s,
    )


def records(raw: RawRun) -> list[SimpleNamespace]:
    """Records with their columns by name, in the order of (source, number)."""
    rows = [SimpleNamespace(**dict(zip(RECORD_FIELDS, map(int, row), strict=True))) for row in raw.records]
    return sorted(rows, key=lambda r: (r.source, r.number))


def visits(raw: RawRun) -> list[SimpleNamespace]:
    """The trace with its columns by name; `visit` is the name of its kind."""
    rows = [SimpleNamespace(**dict(zip(TRACE_FIELDS, map(int, row), strict=True))) for row in raw.trace]
    for row in rows:
        row.visit = Visit(row.visit).name
        row.end_ns = row.start_ns + row.cost_ns
    return rows


def run_both(model: Model, replication: int, options: Options) -> RawRun:
    """What both engines make of a model, which has to be the same."""
    from gwsim.engine import reference
    from gwsim.engine.compiled import driver

    expected = reference.run(model, replication, options)
    assert differences(expected, driver.run(model, replication, options)) == []
    return expected
