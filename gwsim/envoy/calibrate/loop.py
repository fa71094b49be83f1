"""A simulated gateway of one worker, as the bench has it: what a request's visits, wake-ups and iterations come to.

    made = simulate(costs, arrivals, upstream_s=80e-6)
    made.utilisation, made.quantile_s(0.99), made.wakeups, made.iterations

The same model judges a fit of the loop's costs and a prediction of latencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gwsim.costs import CostProfile, VisitCosts, visit_costs
from gwsim.engine.schema import RECORD_FIELDS, Options
from gwsim.results.histograms import NS
from gwsim.scenario.model import (
    Client,
    Connection,
    Distribution,
    DownstreamCosts,
    Fleet,
    Model,
    Network,
    Outcome,
    Pod,
    Replay,
    Run,
    Shape,
    SimCluster,
    Station,
    UpstreamCosts,
    WeightedTarget,
    constant,
)
from gwsim.topology import Cluster

Floats = npt.NDArray[np.float64]
_COLUMN = {name: i for i, name in enumerate(RECORD_FIELDS)}


@dataclass(frozen=True, eq=False, kw_only=True)
class Simulated:
    """One simulated run; per request where a name has no other unit."""

    latency_s: Floats
    busy_s: float
    """CPU of the worker over the whole run."""
    visits_s: float
    wakeups: float
    iterations: float
    duration_s: float

    @property
    def utilisation(self) -> float:
        """CPU over the time of the arrivals."""
        return self.busy_s / self.duration_s

    def quantile_s(self, q: float) -> float:
        """A quantile of the latency."""
        return float(np.quantile(self.latency_s, q))


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How requests come: connections kept, and how many requests each carries (0: any number)."""

    connections: int = 16
    per_connection: int = 0
    tls: bool = False


def downstream(priced: VisitCosts) -> DownstreamCosts:
    """The client's side of a listener without SNI."""
    names = (
        "accept_s", "client_hello_full_s", "client_hello_resumed_s", "finished_full_s", "finished_resumed_s", "read_s", "read_stream_s",
        "read_byte_s", "write_down_s", "write_down_stream_s", "write_down_byte_s", "timer_s", "close_s",
    )  # fmt: skip
    return DownstreamCosts(**{name: getattr(priced, name) for name in names})


def upstream(priced: VisitCosts) -> UpstreamCosts:
    """The backend's side, plaintext."""
    return UpstreamCosts(
        write_up_s=priced.write_up_s + priced.write_up_stream_s, write_up_byte_s=priced.write_up_byte_s,
        read_up_s=priced.read_up_s + priced.read_up_stream_s, read_up_byte_s=priced.read_up_byte_s,
        up_connected_s=priced.up_connected_s, up_tls_s=priced.up_tls_s, close_s=priced.close_s,
    )  # fmt: skip


def priced_by(profile: CostProfile, *, tls: bool = False, certificate: str = "rsa2048", extra_read_s: float = 0.0) -> VisitCosts:
    """Costs of a stock Envoy (none of Istio's filters); `extra_read_s` is what a filter adds to the request's read."""
    made = visit_costs(profile, downstream_tls="1.3" if tls else None, certificate=certificate, istio_filters=False)
    return replace(made, read_s=made.read_s + extra_read_s)


def model_of(priced: VisitCosts, times_s: Sequence[float] | Floats, *, upstream_s: Distribution, rtt_s: float, traffic: Traffic, duration_s: float) -> Model:
    """One client, one worker, one backend that never queues."""
    times = tuple(float(t) for t in times_s)
    client = Client(
        name="load", fleet=0, arrivals=Replay(times_s=times, shapes=(0,) * len(times)),
        connection=Connection(count=traffic.connections, requests=traffic.per_connection, tls="1.3" if traffic.tls else None),
        rtt_s=constant(rtt_s), costs=downstream(priced),
        mix=(Shape(name="request", weight=1.0, outcome=Outcome(route="all", targets=(WeightedTarget(cluster=0, weight=1, name="backend"),)),
                   request_bytes=constant(0.0), response_bytes=constant(2.0)),),
    )  # fmt: skip
    cluster = SimCluster(cluster=Cluster(name="backend", host="backend", port=80), stations=(0,), costs=upstream(priced))
    return Model(
        clients=(client,), fleets=(Fleet(name="gateway", pods=(Pod(name="gateway-0", zone="", workers=1),), wakeup_s=priced.wakeup_s, iteration_s=priced.iteration_s),),
        clusters=(cluster,), stations=(Station(name="backend", zone="", service_time_s=upstream_s),),
        network=Network(same_zone_rtt_s=0.0, cross_zone_rtt_s=0.0), run=Run(kind="timeline", duration_s=duration_s, replications=1),
    )  # fmt: skip


def simulate(
    priced: VisitCosts, times_s: Sequence[float] | Floats, *, upstream_s: float | Distribution, rtt_s: float = 0.0,
    traffic: Traffic | None = None, replication: int = 0, in_order: bool = False,
) -> Simulated:
    """Run the model on these arrivals (seconds, ascending). `in_order`: latencies in the order of the arrivals."""
    from gwsim import engine

    if not len(times_s):
        raise ValueError("there are no arrivals")
    duration = float(times_s[-1]) + 1e-3
    service = constant(upstream_s) if isinstance(upstream_s, (int, float)) else upstream_s
    made = model_of(priced, times_s, upstream_s=service, rtt_s=rtt_s, traffic=traffic or Traffic(), duration_s=duration)
    raw = engine.run(made, replication, options=Options(records=len(times_s) + 1))
    records: npt.NDArray[Any] = raw.records
    if in_order:
        records = records[np.argsort(records[:, _COLUMN["number"]], kind="stable")][: len(times_s)]
    latency = (records[:, _COLUMN["end_ns"]] - records[:, _COLUMN["start_ns"]]) * NS
    count = max(int(raw.requests[0]), 1)
    return Simulated(
        latency_s=latency, busy_s=float(raw.worker_cpu[0]) * NS, visits_s=float(raw.worker_visit_ns[0]) * NS / count,
        wakeups=float(raw.worker_wakeups[0]) / count, iterations=float(raw.worker_iterations[0]) / count, duration_s=duration,
    )  # fmt: skip


__all__ = ["Simulated", "Traffic", "model_of", "priced_by", "simulate"]
