"""Closed forms that the engines must meet: a table of models, what is measured in them, and what it must be.

Each row is checked by an interval over independent replications (Student's t, 99.9 %), which has to contain the truth and
to be narrow. `test_theory` does this on short runs, `test_theory_slow` (`make verification`) on long ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from builders import (
    MS,
    US,
    client,
    cluster,
    downstream,
    exponential,
    fleet,
    local,
    model,
    poisson,
    retry,
    shape,
    station,
    to,
    upstream,
)

from gwsim.engine import schema
from gwsim.engine.codes import Component
from gwsim.engine.compiled import driver
from gwsim.engine.schema import RawRun
from gwsim.results.intervals import t_quantile
from gwsim.scenario.model import ClosedLoop, Connection, Distribution, Mirror, Model, Replay, constant
from gwsim.topology import LbPolicy

CONFIDENCE = 0.999
REPLICATIONS = 20
S = 10 * MS
"""Mean service time of a backend in these models."""
MANY = Connection(count=4000)
"""Client connections enough for every request, open from the start."""


Measure = Callable[[RawRun, Model], float]
"""A figure of one replication."""


@dataclass(frozen=True)
class Row:
    """A figure with its truth. `slack` is the relative error of a truth that holds in a limit only."""

    name: str
    make: Callable[[float], Model]
    """The model, by the number of requests of a replication."""
    measure: Measure
    truth: float
    requests: float
    """Of all replications of a long run together, in millions."""
    width: float = 0.01
    """Largest relative half-width of a long run."""
    slack: float = 0.0
    records: int = 0
    """Records kept of a replication, for what is measured in them."""
    trace: int = 0
    """Visits kept of a replication."""

    def check(self, shorter: float = 1.0) -> str:
        """What is wrong, after runs `shorter` times shorter (with intervals as much wider as theory says); empty if nothing."""
        m = self.make(self.requests * 1e6 / shorter / REPLICATIONS)
        m = replace(m, run=replace(m.run, seed=crc32(self.name.encode())))
        value, half = interval([self.measure(driver.run(m, r, schema.Options(records=self.records, trace=self.trace)), m) for r in range(REPLICATIONS)])
        off = abs(value - self.truth) - self.slack * abs(self.truth)
        said = f"{self.name}: measured {value:.6g} +- {half:.2g} ({half / self.truth:.2%}), theory {self.truth:.6g}, off by {value / self.truth - 1:+.2%}"
        if off > half:
            return f"{said}: outside the interval"
        if half > self.width * math.sqrt(shorter) * 1.5 ** (shorter > 1) * abs(self.truth):
            return f"{said}: the interval is too wide"
        return ""


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half-width of Student's interval over replications."""
    x = np.asarray(values)
    half = t_quantile(0.5 + CONFIDENCE / 2, len(x) - 1) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return float(x.mean()), half


# --- what is measured ---------------------------------------------------------------------------------------


def latency(raw: RawRun, m: Model) -> float:
    """Mean latency of answered requests, seconds."""
    return float(raw.latency_sum.sum() / raw.covered.sum() / 1e9)


def component(which: Component) -> Measure:
    """Mean time in a component, seconds."""
    return lambda raw, m: float(raw.component_sum[:, which].sum() / raw.covered.sum() / 1e9)


def status_share(status: int) -> Measure:
    """Share of the requests that end with a status."""
    return lambda raw, m: float(raw.status[:, status].sum() / raw.finished.sum())


def wait_of_accepted(raw: RawRun, m: Model) -> float:
    """Mean wait of those that were not refused, seconds."""
    return float(raw.station_wait.sum() / (raw.station_jobs - raw.station_rejected).sum() / 1e9)


def time_in_system(raw: RawRun, m: Model) -> float:
    """Mean time in the system of all requests of the run, those answered by the gateway itself too, seconds."""
    return float(raw.sojourn[0] / raw.requests[0] / 1e9)


def attempts(raw: RawRun, m: Model) -> float:
    """Mean number of attempts of a stream."""
    return float(raw.gateway_attempts.sum() / raw.gw_streams.sum())


def wait_before_reading(raw: RawRun, m: Model) -> float:
    """Mean wait before a request is read, from a sample of the requests, seconds."""
    raw.records = raw.records[raw.records[:, schema.RECORD_FIELDS.index("start_ns")] >= m.run.warmup_s * 1e9]
    start, reached = schema.RECORD_FIELDS.index("start_ns"), schema.RECORD_FIELDS.index("gw_start_ns")
    return float((raw.records[:, reached] - raw.records[:, start]).mean() / 1e9)


# --- formulas -----------------------------------------------------------------------------------------------


def erlang_b(c: int, load: float) -> float:
    """Probability that all of `c` servers are busy, without a queue; `load` in Erlang."""
    b = 1.0
    for i in range(1, c + 1):
        b = load * b / (i + load * b)
    return b


def erlang_c_wait(c: int, rho: float) -> float:
    """Mean wait for one of `c` servers, in service times."""
    b = erlang_b(c, rho * c)
    return b / (1 - rho * (1 - b)) / (c * (1 - rho))


def finite_queue(c: int, load: float, places: int) -> tuple[float, float]:
    """M/M/c/K with `places` to wait: share refused, and mean wait of the accepted in service times."""
    p = [load**n / math.factorial(n) for n in range(c + 1)]
    p += [p[c] * (load / c) ** i for i in range(1, places + 1)]
    total = sum(p)
    refused = p[-1] / total
    queue = sum(i * p[c + i] for i in range(1, places + 1)) / total
    return refused, queue / (load * (1 - refused))


def machine_repair(n: int, think_s: float) -> float:
    """Mean response of one exponential server for `n` clients, by mean value analysis, seconds."""
    response, queue = S, 0.0
    for population in range(1, n + 1):
        response = S * (1 + queue)
        queue = population * response / (think_s + response)
    return response


def event_loop(rho: float, c2: float, visits: int) -> float:
    """Mean response of a worker of which only the first visit of a request costs something (mean 1).

    With `a` the mean length of the iteration that an arrival finds (idleness counted as 0), it waits for the rest of that
    one and is read in the next, of length 1 + rho * a; each iteration brings the requests of one rho times as long.
    """
    a = rho * (1 + c2) / (1 - rho * rho)
    return a / 2 + (1 + rho * a) * sum(rho**i for i in range(visits))


def mean_field(rho: float) -> float:
    """Mean response of the shorter of two queues chosen at random, many of them, in service times."""
    return sum(rho ** (2.0**i - 2) for i in range(1, 40))


# --- models -------------------------------------------------------------------------------------------------


def run_for(requests: float, rate: float) -> dict[str, float]:
    """Length and warm-up of a run."""
    return {"duration_s": requests / rate, "warmup_s": 0.05 * requests / rate}


def backend(rate: float, service: Distribution, **fields: int | None) -> Callable[[float], Model]:
    """One backend behind a gateway that costs nothing."""
    return lambda n: model(
        client(poisson(rate), connection=MANY), clusters=(cluster(0, http=2),), stations=(station(service, **fields),),
        **run_for(n, rate),
    )


def loss(load: float, places: int, service: Distribution) -> Callable[[float], Model]:
    """A loss system made of the cluster's limit of concurrent requests."""
    rate = load / S
    return lambda n: model(
        client(poisson(rate), connection=MANY), clusters=(cluster(0, http=2, max_requests=places),),
        stations=(station(service),), **run_for(n, rate),
    )


def loop(n_clients: int, think_s: float) -> Callable[[float], Model]:
    """Clients that think, then wait for one exponential server."""
    arrivals = ClosedLoop(connections=n_clients, think_time_s=exponential(think_s))
    throughput = n_clients / (think_s + machine_repair(n_clients, think_s))
    return lambda n: model(
        client(arrivals, connection=Connection(count=n_clients)), clusters=(cluster(0, http=2),),
        stations=(station(exponential(S), concurrency=1),), **run_for(n, throughput),
    )


def throughput_times(think_s: float) -> Measure:
    """X * (R + Z), which is the number of clients."""

    def measure(raw: RawRun, m: Model) -> float:
        throughput = float(raw.finished.sum()) / (m.run.duration_s - m.run.warmup_s)
        return throughput * (latency(raw, m) + think_s)

    return measure


def worker(rho: float, cost: str, size: Distribution, answered_here: bool = False) -> Callable[[float], Model]:
    """One worker with W = I = 0 and no delays, where one visit of a request costs 1 ms per MB of it."""
    rate = rho / MS
    outcome = local(200) if answered_here else to(0)
    sized = replace(shape(outcome), request_bytes=size, response_bytes=size)
    web = client(poisson(rate), sized, costs=downstream(**{cost: MS / 1e6}), connection=MANY)
    return lambda n: model(web, clusters=(cluster(0, http=2),), **run_for(n, rate))


def anchor(rho: float) -> Callable[[float], Model]:
    """The worker whose steady means were computed independently (S 1.4 ms, an answer after 150 us)."""
    rate = rho / (1.4 * MS)
    web = client(poisson(rate), costs=downstream(read_s=1358 * US, write_down_s=12 * US), connection=MANY)
    up = upstream(write_up_s=12 * US, read_up_s=18 * US)
    return lambda n: model(
        web, clusters=(cluster(0, costs=up, http=2),), stations=(station(150 * US - 2e-9),),
        fleets=(fleet(iteration_s=2 * US),), **run_for(n, rate),
    )


def two_choices(rho: float, endpoints: int) -> Callable[[float], Model]:
    """Least request over many single servers."""
    rate = rho * endpoints / S
    warmup = 100 * endpoints  # every server a hundred times
    backends = tuple(station(exponential(S), name=f"b{i}", concurrency=1) for i in range(endpoints))
    return lambda n: model(
        client(poisson(rate), connection=MANY), clusters=(cluster(*range(endpoints), http=2, lb=LbPolicy.LEAST_REQUEST),),
        stations=backends, duration_s=(n + warmup) / rate, warmup_s=warmup / rate,
    )


def tandem(rate: float) -> Callable[[float], Model]:
    """Half of the requests go to the first station, fail there, and are tried again at the second; half go there at once.

    The second is fed by a Poisson stream and by the departures of the first after a random pause: product form.
    """
    policy = retry(1, previous_hosts=True, host_selection_retry_max_attempts=60)
    stations = (
        station(exponential(S), name="b0", concurrency=1, errors=((1.0, 503),)),
        station(exponential(S), name="b1", concurrency=1),
    )
    web = client(poisson(rate), shape(to(0, policy=policy)), connection=MANY)
    return lambda n: model(web, clusters=(cluster(0, 1, http=2, lb=LbPolicy.RANDOM),), stations=stations, **run_for(n, rate))


def retries(p: float, num: int) -> Callable[[float], Model]:
    """A backend that fails with probability p, tried up to 1 + num times."""
    web = client(poisson(1000.0), shape(to(0, policy=retry(num, base_interval_s=MS, max_interval_s=MS))), connection=MANY)
    return lambda n: model(
        web, clusters=(cluster(0, http=2),), stations=(station(MS, errors=((p, 503),)),), **run_for(n, 1000.0)
    )


def overload(rate: float) -> Callable[[float], Model]:
    """More than one exponential server (of 1 ms) can serve."""
    return lambda n: model(
        client(poisson(rate), connection=MANY), clusters=(cluster(0, http=2),),
        stations=(station(exponential(MS), concurrency=1),), duration_s=n / rate,
    )


def growth(raw: RawRun, m: Model) -> float:
    """Slope of the number of requests in the system, per second and in arrivals per second."""
    bin_s = m.run.duration_s / schema.N_BINS
    present = raw.bin_area[schema.N_BINS // 10 :] / 1e9 / bin_s
    return float(np.polyfit(np.arange(len(present)) * bin_s, present, 1)[0] * m.run.duration_s / raw.bin_arrivals.sum())


def patience(limit_s: float) -> Callable[[float], Model]:
    """Clients that give up on a backend without queue."""
    return lambda n: model(
        client(poisson(1000.0), timeout_s=limit_s, connection=Connection(http=2, count=50, streams=1000)),
        clusters=(cluster(0, http=2),), stations=(station(exponential(S)),), **run_for(n, 1000.0),
    )


def batches(rho: float, size: int) -> Callable[[float], Model]:
    """Every request comes with mirrored copies for the same exponential server: arrivals in batches."""
    rate = rho / (size * MS)
    outcome = replace(to(0), mirrors=(Mirror(cluster=0),) * (size - 1))
    return lambda n: model(
        client(poisson(rate), shape(outcome), connection=MANY), clusters=(cluster(0, http=2),),
        stations=(station(exponential(MS), concurrency=1),), **run_for(n, rate),
    )


def wait_of_all(raw: RawRun, m: Model) -> float:
    """Mean wait of all jobs of the stations, copies too, seconds."""
    return float(raw.station_wait.sum() / raw.station_jobs.sum() / 1e9)


def storm(rho: float, count: int, cost_s: float) -> Callable[[float], Model]:
    """A worker at a load `rho` of requests of 1 ms meets `count` TLS handshakes of `cost_s` at one instant."""
    costs = downstream(client_hello_full_s=cost_s)
    web = client(poisson(rho / MS), shape(local(200)), costs=downstream(read_s=MS), connection=MANY)
    cold = client(
        Replay(times_s=(STORM_S,) * count, shapes=(-1,) * count), shape(local(200)), name="storm", costs=costs,
        connection=Connection(count=0, tls="1.3"),
    )
    return lambda n: model(web, cold, clusters=(), stations=(), duration_s=STORM_S + 6.0 * count * cost_s / (1 - rho))


def time_to_drain(raw: RawRun, m: Model) -> float:
    """From the storm to the first instant at which its worker has nothing to do, seconds."""
    start, cost = raw.trace[:, schema.TRACE_FIELDS.index("start_ns")], raw.trace[:, schema.TRACE_FIELDS.index("cost_ns")]
    first = int(np.searchsorted(start, STORM_S * 1e9))
    first += int((cost[first:] > MS * 1e9).argmax())  # the first handshake
    end, following = start[first:] + cost[first:], np.append(start[first + 1 :], 2**62)
    return float(end[following > end + 10][0]) / 1e9 - STORM_S  # a delay of zero lasts 1 ns


def impatient(rho: float, limit: float) -> Callable[[float], Model]:
    """Clients that give up after `limit` service times; their work stays in the queue, as a backend does not hear of it."""
    rate = rho / S
    web = client(poisson(rate), timeout_s=limit * S, connection=Connection(http=2, count=50, streams=1000))
    return lambda n: model(
        web, clusters=(cluster(0, http=2),), stations=(station(exponential(S), concurrency=1),), **run_for(n, rate),
    )


# --- the table ----------------------------------------------------------------------------------------------

LOGNORMAL = Distribution(kind="lognormal", a=math.log(S) - 0.5, b=1.0, mean=S)
EXP_SIZE, CONSTANT_SIZE = Distribution(kind="exponential", a=1e6, mean=1e6), constant(1e6)


def waits(rho: float) -> float:
    """Requests, in millions, for a half-width of 1 % (3 % from 0.9 on) of a mean wait at that utilisation."""
    variance = (2 + 5 * rho - 4 * rho**2 + rho**3) / (rho * (1 - rho) ** 2)
    return 1.3 * variance * (3.9 / (0.03 if rho >= 0.9 else 0.01)) ** 2 / 1e6


def width(rho: float) -> float:
    """Largest relative half-width asked for at a utilisation."""
    return 0.03 if rho >= 0.9 else 0.01


RECORDS = 6_000_000 // REPLICATIONS
STORM_S = 1.0
"""Seconds after which a storm comes."""
ANCHOR_ROUNDING = 0.003
"""The anchors were given with three digits."""


def _workers() -> list[Row]:
    rows = []
    for rho, c2, size in ((0.5, 0.0, CONSTANT_SIZE), (0.5, 1.0, EXP_SIZE), (0.8, 0.0, CONSTANT_SIZE), (0.8, 1.0, EXP_SIZE), (0.9, 1.0, EXP_SIZE)):
        first, last = worker(rho, "read_byte_s", size), worker(rho, "write_down_byte_s", size)
        wait = rho * (1 + c2) / (2 * (1 - rho)) * MS
        name, n = f"rho {rho}, c2 {c2:.0f}", waits(rho) * (0.7 + 0.6 * c2)
        rows += [
            Row(f"first visit only, {name}: response", first, latency, event_loop(rho, c2, 5) * MS, n, width(rho)),
            Row(f"first visit only, answered here, {name}", worker(rho, "read_byte_s", size, True), time_in_system,
                event_loop(rho, c2, 2) * MS, n, width(rho)),
            Row(f"last visit only is M/G/1, {name}", last, latency, wait + MS, 0.7 * n, width(rho)),
        ]
        if c2 == 1.0 and rho < 0.9:
            rows.append(Row(f"first visit only, {name}: wait before it", first, wait_before_reading, wait, 6.0, 0.03, records=RECORDS))
    for rho, mean_ms in ((0.26, 2.38), (0.45, 3.65), (0.62, 6.13), (0.72, 9.23), (0.85, 19.7), (0.94, 52.8)):
        rows.append(Row(
            f"event loop of four visits, rho {rho}", anchor(rho), latency, mean_ms * MS, min(waits(rho) / 2, 9.0),
            0.01 if rho <= 0.72 else 0.03, ANCHOR_ROUNDING,
        ))
    return rows


def _backends() -> list[Row]:
    queue = component(Component.UPSTREAM_QUEUE)
    rows = [
        Row(f"M/M/{c} at rho {rho}: wait", backend(rho * c / S, exponential(S), concurrency=c), queue,
            erlang_c_wait(c, rho) * S, waits(rho) * more, width(rho))
        for c, rho, more in ((1, 0.5, 1.4), (1, 0.8, 1.5), (1, 0.9, 1.0), (4, 0.8, 2.4), (16, 0.9, 1.6))
    ]
    for c, load, places in ((1, 0.8, 3), (4, 4.8, 4)):
        refused, wait = finite_queue(c, load, places)
        make = backend(load / S, exponential(S), concurrency=c, queue=places)
        rows.append(Row(f"M/M/{c}/{c + places}: refused", make, status_share(503), refused, 4.0))
        rows.append(Row(f"M/M/{c}/{c + places}: wait", make, wait_of_accepted, wait * S, 4.0))
    for name, service in (("constant", constant(S)), ("exponential", exponential(S)), ("lognormal", LOGNORMAL)):
        rows.append(Row(f"Erlang B, {name} service", loss(4.0, 4, service), status_share(503), erlang_b(4, 4.0), 2.0))
    for n, think_s in ((6, 40 * MS), (20, 100 * MS)):
        make = loop(n, think_s)
        rows.append(Row(f"M/M/1//{n}: response", make, latency, machine_repair(n, think_s), 2.0))
        rows.append(Row(f"M/M/1//{n}: N = X (R + Z)", make, throughput_times(think_s), n, 2.0))
    return rows


def _balancing() -> list[Row]:
    one, two = 0.5 * 60.0 * S, 60.0 * S
    product = 0.5 * one / (1 - one) * S + two / (1 - two) * S
    rows = [Row("tandem of two stations: wait", tandem(60.0), component(Component.UPSTREAM_QUEUE), product, 8.0)]
    for rho in (0.7, 0.9):
        rows.append(Row(f"two choices of 300, rho {rho}: response", two_choices(rho, 300), latency, mean_field(rho) * S, 5.0, width(rho), 0.01))
    for p, num in ((0.3, 2), (0.5, 5)):
        series = (1 - p ** (num + 1)) / (1 - p)
        rows.append(Row(f"attempts at p {p}, {num} retries", retries(p, num), attempts, series, 0.2))
        rows.append(Row(f"failures at p {p}, {num} retries", retries(p, num), status_share(503), p ** (num + 1), 0.3 / p ** (num + 1)))
    for rate in (1100.0, 1500.0):
        rows.append(Row(f"overload at {rate:.0f}/s of 1000/s: growth", overload(rate), growth, 1 - 1000.0 / rate, 8.0 if rate < 1500.0 else 1.0, 0.03))
    for rho, size in ((0.5, 2), (0.6, 4)):
        wait = (rho * (1 + 1 / size) / (2 * (1 - rho)) * size + (size - 1) / 2) * MS
        rows.append(Row(f"batches of {size}, rho {rho}: wait", batches(rho, size), wait_of_all, wait, waits(rho) * 1.5))
    for rho in (0.5, 0.8):
        late = math.exp(-(1 - rho) * 3.0)
        rows.append(Row(f"time-outs of M/M/1 at rho {rho}", impatient(rho, 3.0), status_share(0), late, waits(rho)))
    for rho, count in ((0.0, 200), (0.5, 200), (0.7, 300)):
        drain = count * 2 * MS / (1 - rho)
        rows.append(Row(f"storm of {count} handshakes at rho {rho}: drain", storm(rho, count, 2 * MS), time_to_drain, drain, 0.01, 0.08, 1e-4, trace=20_000))
    rows.append(Row("clients that give up", patience(15 * MS), status_share(0), math.exp(-1.5), 1.0))
    return rows


ROWS: tuple[Row, ...] = (*_workers(), *_backends(), *_balancing())
