"""The benchmark scenario: an ordinary ingress gateway at 60 % of its workers, with everything that is usually on.

2 pods x 4 workers; HTTP/1.1 keep-alive with a new TLS 1.3 connection for one request in a hundred; three routes, one with
a 90/10 split; 20 endpoints under least request; time-outs of 15 s (route) and 30 s (client) armed; backends answer 503
for 0.5 % of requests, which are retried. All default recording.
"""

from __future__ import annotations

import math

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
    Poisson,
    RateSegment,
    Run,
    Shape,
    SimCluster,
    Station,
    UpstreamCosts,
    WeightedTarget,
    constant,
)
from gwsim.topology import Cluster, RetryPolicy

RATE_RPS = 20_100.0
"""The rate at which the workers are busy for 0.60 of the time."""
PODS, WORKERS = 2, 4
WAKEUP_S, ITERATION_S = 45e-6, 14e-6
ZONES = ("a", "b", "c")
SAME_ZONE_RTT_S, CROSS_ZONE_RTT_S, CLIENT_RTT_S = 0.0004, 0.001, 0.001
SERVICE_MEDIAN_S, SERVICE_SIGMA = 0.004, 0.8
CONCURRENCY = 64
ERROR_SHARE = 0.005
REQUEST_BYTES, RESPONSE_MEDIAN_BYTES, RESPONSE_SIGMA = 400.0, 600.0, 1.0
CONNECTIONS, REQUESTS_PER_CONNECTION, OFFERS_TICKET = 512, 100, 0.4
ROUTE_TIMEOUT_S, CLIENT_TIMEOUT_S = 15.0, 30.0
RETRIES, BACKOFF_BASE_S, BACKOFF_MAX_S = 2, 0.025, 0.25
CLUSTERS: tuple[tuple[str, range], ...] = (
    ("catalogue", range(8)), ("reviews-v1", range(8, 14)), ("reviews-v2", range(14, 16)), ("basket", range(16, 20)),
)
ROUTES: tuple[tuple[str, float, tuple[tuple[int, int], ...]], ...] = (
    ("catalogue", 50.0, ((0, 100),)), ("reviews", 30.0, ((1, 90), (2, 10))), ("basket", 20.0, ((3, 100),)),
)
"""Name, share of the requests in per cent, (cluster, weight) of the destinations."""
DOWNSTREAM = DownstreamCosts(
    accept_s=90e-6, client_hello_full_s=300e-6, client_hello_resumed_s=250e-6, finished_full_s=40e-6,
    finished_resumed_s=50e-6, read_s=75e-6, read_stream_s=0.0, read_byte_s=0.325e-9, write_down_s=22e-6,
    write_down_stream_s=0.0, write_down_byte_s=0.5e-9, timer_s=2e-6, close_s=10e-6,
)
UPSTREAM = UpstreamCosts(
    write_up_s=16e-6, write_up_byte_s=0.3e-9, read_up_s=50e-6, read_up_byte_s=0.3e-9, up_connected_s=30e-6, up_tls_s=300e-6,
)


def lognormal(median: float, sigma: float) -> Distribution:
    """A lognormal distribution by its median."""
    return Distribution(kind="lognormal", a=math.log(median), b=sigma, mean=median * math.exp(sigma * sigma / 2))


def benchmark_model(requests: int, rate_rps: float = RATE_RPS, seed: int = 1) -> Model:
    """The scenario, as long as it takes for about so many requests; the first tenth is warm-up."""
    duration_s = requests / rate_rps
    retry = RetryPolicy(
        num_retries=RETRIES, retry_on=("5xx",), base_interval_s=BACKOFF_BASE_S, max_interval_s=BACKOFF_MAX_S
    )
    mix = tuple(
        Shape(
            name=name, weight=share, request_bytes=constant(REQUEST_BYTES),
            response_bytes=lognormal(RESPONSE_MEDIAN_BYTES, RESPONSE_SIGMA),
            outcome=Outcome(
                route=name, timeout_s=ROUTE_TIMEOUT_S, retry=retry,
                targets=tuple(WeightedTarget(cluster=c, weight=w, name=CLUSTERS[c][0]) for c, w in targets),
            ),
        )
        for name, share, targets in ROUTES
    )
    web = Client(
        name="web", fleet=0, rtt_s=constant(CLIENT_RTT_S), costs=DOWNSTREAM, mix=mix, timeout_s=CLIENT_TIMEOUT_S,
        arrivals=Poisson(segments=(RateSegment(duration_s=3600.0, start_rps=rate_rps, end_rps=rate_rps),)),
        connection=Connection(
            http=1, count=CONNECTIONS, requests=REQUESTS_PER_CONNECTION, tls="1.3", offers_ticket=OFFERS_TICKET
        ),
    )
    gateway = Fleet(
        name="gateway", wakeup_s=WAKEUP_S, iteration_s=ITERATION_S,
        pods=tuple(Pod(name=f"pod{i}", zone=ZONES[i], workers=WORKERS) for i in range(PODS)),
    )
    return Model(
        clients=(web,),
        fleets=(gateway,),
        clusters=tuple(
            SimCluster(cluster=Cluster(name=name, host=name, port=80), stations=tuple(endpoints), costs=UPSTREAM)
            for name, endpoints in CLUSTERS
        ),
        stations=tuple(
            Station(
                name=f"backend{i}", zone=ZONES[i % len(ZONES)], concurrency=CONCURRENCY, errors=((ERROR_SHARE, 503),),
                service_time_s=lognormal(SERVICE_MEDIAN_S, SERVICE_SIGMA),
            )
            for i in range(CLUSTERS[-1][1].stop)
        ),
        network=Network(same_zone_rtt_s=SAME_ZONE_RTT_S, cross_zone_rtt_s=CROSS_ZONE_RTT_S),
        run=Run(duration_s=duration_s, warmup_s=duration_s / 10, seed=seed, replications=1),
    )
