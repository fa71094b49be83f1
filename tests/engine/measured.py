"""What was measured of a real Envoy's worker, and what the compiled engine makes of the same load.

Envoy 1.40.0 with one worker on a core of its own; Poisson arrivals, keep-alive, one backend. Latency: a filter that burns
about 1.4 ms a request; CPU: the worker thread's time on the processor over the requests, with the shipped costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from builders import US, client, cluster, downstream, fleet, model, poisson, station, upstream
from theory import MANY, anchor, interval

from gwsim.costs import load
from gwsim.engine.compiled import driver
from gwsim.engine.schema import FINE, RawRun, lower_edge
from gwsim.scenario.model import Model

REPLICATIONS = 10

LATENCY_MS = {
    0.26: (2.5, 2.0, 4.2, 7.6), 0.45: (3.7, 2.8, 7.3, 14.5), 0.62: (5.7, 4.0, 12.1, 25.2),
    0.72: (8.3, 5.7, 18.5, 36.6), 0.85: (16.4, 12.7, 36.3, 60.4), 0.94: (44.6, 36.7, 96.2, 147.0),
}
"""By utilisation: mean, p50, p90, p99."""
QUANTILES = (0.5, 0.9, 0.99)
CPU_US = {100: 373, 300: 290, 1000: 181, 2000: 164, 4000: 135, 6000: 117, 8000: 108, 10000: 88, 13000: 72, 14800: 65}
"""By requests per second: CPU of a request."""
COLD = (100, 300)
"""Where caches are cold between requests and the model is known to be low; not held to anything."""


@dataclass(frozen=True)
class Comparison:
    """A modelled figure beside the measured one."""

    at: float
    what: str
    value: float
    half_width: float
    measured: float
    limit: float | None
    """Largest relative difference allowed; None if it is only shown."""

    @property
    def off(self) -> float:
        """Relative difference."""
        return self.value / self.measured - 1

    @property
    def good(self) -> bool:
        """Whether it is within its limit."""
        return self.limit is None or abs(self.off) <= self.limit


def quantile_ms(raw: RawRun, p: float) -> float:
    """A quantile of the latency of answered requests, ms."""
    counts = raw.latency_hist.sum(axis=0)
    at = int((counts.cumsum() >= p * counts.sum()).argmax())
    return (lower_edge(at, FINE) + lower_edge(at + 1, FINE)) / 2e6


def latencies(rho: float, requests: float) -> Iterator[Comparison]:
    """Mean and quantiles at a utilisation, from so many requests."""
    m = anchor(rho)(requests / REPLICATIONS)
    runs = [driver.run(replace(m, run=replace(m.run, seed=4)), replication) for replication in range(REPLICATIONS)]
    names = ("mean", *(f"p{p:.0%}".rstrip("%") for p in QUANTILES))
    for i, (name, measured) in enumerate(zip(names, LATENCY_MS[rho], strict=True)):
        each = [float(raw.latency_sum.sum() / raw.covered.sum() / 1e6) if i == 0 else quantile_ms(raw, QUANTILES[i - 1]) for raw in runs]
        value, half = interval(each)
        yield Comparison(rho, name, value, half, measured, (0.10 if rho <= 0.62 else 0.25) if i == 0 else None)


def plain_gateway(rate: float, requests: float) -> Model:
    """HTTP/1.1 on both sides, with the shipped costs; the backend answers after 150 us, as in the measurement of latency."""
    costs = load()
    web = client(
        poisson(rate), connection=MANY,
        costs=downstream(read_s=costs.si("http1.read_us"), write_down_s=costs.si("http1.write_down_us")),
    )
    sim = cluster(
        0, costs=upstream(write_up_s=costs.si("http1.write_up_us"), read_up_s=costs.si("http1.read_up_us")), max_connections=4000,
        max_pending_requests=4000,
    )
    gateway = fleet(wakeup_s=costs.si("worker.wakeup_us"), iteration_s=costs.si("worker.iteration_us"))
    warmup = 1000
    return model(
        web, clusters=(sim,), stations=(station(150 * US),), fleets=(gateway,), duration_s=(requests + warmup) / rate, warmup_s=warmup / rate,
    )


def cpu(rate: float, requests: float) -> Comparison:
    """CPU of a request at a rate, from so many requests."""
    m = plain_gateway(rate, requests / REPLICATIONS)
    runs = [driver.run(m, replication) for replication in range(REPLICATIONS)]
    value, half = interval([float(raw.worker_window_cpu.sum() / raw.offered.sum() / 1e3) for raw in runs])
    return Comparison(rate, "CPU us", value, half, CPU_US[int(rate)], None if rate in COLD else 0.10)
