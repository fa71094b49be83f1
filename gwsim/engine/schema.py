"""The shape of what one replication of an engine gives back: fixed size, integers only, mergeable by addition.

Histograms are log-linear: `bucket(v, p)` has 2^p buckets per power of two (relative width 2^-p), found from the
integer's bits alone. Every array below is filled by both engines and must be equal in both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from gwsim.engine.codes import N_COMPONENTS, N_COUNTERS, N_VISITS, Component
from gwsim.scenario.model import Model

Ints = npt.NDArray[np.int64]

MAX_BITS = 42
"""Durations of 2^42 ns (73 minutes) and more share the last bucket."""
FINE, MIDDLE, COARSE, BIN = 10, 6, 5, 4
"""Resolutions (bits): latency per class; components and clusters; tail anatomy; time bins."""
N_BINS = 200
N_STATUS = 600
N_FLAGS = 17
SAMPLE_SIZE = 1024
SLOWEST = 20

ANSWER_LOCAL, ANSWER_UPSTREAM, ANSWER_TIMEOUT, ANSWER_RESET = 0, 1, 2, 3
HANDSHAKE_NONE, HANDSHAKE_PLAIN, HANDSHAKE_FULL, HANDSHAKE_RESUMED = 0, 1, 2, 3

RECORD_FIELDS: tuple[str, ...] = (
    "class_id", "source", "number", "client_attempts", "gateway_attempts", "status", "flags", "answer", "cluster",
    "station", "pod", "worker", "slot", "handshake", "start_ns", "end_ns", "gw_start_ns", "gw_end_ns", "upstream_ns",
    "request_bytes", "response_bytes", "failed_ns", *(f"{c.name.lower()}_ns" for c in Component),
)
"""Columns of a request record, all int64, as of the request's end at the client.

`client_attempts`, `gateway_attempts`: numbers started (the latter of the last client attempt; 0 if it never reached a
cluster). `status`: what the client got; 0 for its own time-out. `flags`: `codes.Flag` bits of the last stream, DC added
for a client time-out. `answer`: ANSWER_*. `cluster`, `station`: of the last gateway attempt (cluster -1: none chosen;
station -1: no attempt attached). `pod`, `worker`, `slot`: of the last attempt's connection. `handshake`: HANDSHAKE_* if that connection was opened for this attempt.
`gw_start_ns`, `gw_end_ns`: -1 if not (yet) reached. `response_bytes`: as sent by the gateway to the client.
"""
RECORD_WIDTH = len(RECORD_FIELDS)
EJECTION_WIDTH = 5
TRACE_FIELDS: tuple[str, ...] = ("start_ns", "worker", "visit", "source", "number", "k", "a", "cost_ns")


def buckets(p: int) -> int:
    """Number of buckets of a histogram with 2^p buckets per power of two."""
    return (MAX_BITS - p + 1) << p


def bucket(v: int, p: int) -> int:
    """Index of the bucket of `v` (ns, negative counts as 0)."""
    if v < 0:
        v = 0
    if v >> MAX_BITS:
        v = (1 << MAX_BITS) - 1
    e = v.bit_length() - 1 - p
    if e <= 0:
        return v
    return (e << p) + (v >> e)


def lower_edge(index: int, p: int) -> int:
    """Smallest value of bucket `index`; the bucket holds [lower_edge(i), lower_edge(i + 1))."""
    e = (index >> p) - 1
    if e <= 0:
        return index
    return (index - (e << p)) << e


@dataclass(slots=True)
class RawRun:
    """One replication, as counted by an engine. C classes, K clusters, W workers, F fleets, S stations, P port pools,
    L classes of long streams (`Model.long_classes`), G pods (none without long streams). Columns [.., 2]: messages up, down.

    *Measured* requests are those that start in the window [warm-up, duration); *covered* ones are those measured whose
    answer came from upstream or is a time-out (the gateway's or the client's). Everything not marked otherwise counts
    measured requests at their end at the client; `cluster_*`, `worker_*`, `station_*` count the whole run.
    """

    offered: Ints                  # [C] measured arrivals
    finished: Ints                 # [C]
    good: Ints                     # [C] status 200..399, or 101 (upgraded)
    status: Ints                   # [C, N_STATUS]
    client_attempts: Ints          # [C] sums over measured requests
    gateway_attempts: Ints         # [C] of all streams of measured requests, at their gateway end
    request_bytes: Ints            # [C]
    response_bytes: Ints           # [C]
    handshakes: Ints               # [C, 4] by HANDSHAKE_* of the record
    covered: Ints                  # [C]
    latency_sum: Ints              # [C] covered, ns
    latency_hist: Ints             # [C, buckets(FINE)] covered
    component_sum: Ints            # [C, N_COMPONENTS] covered
    component_hist: Ints           # [C, N_COMPONENTS, buckets(MIDDLE)] covered
    anatomy_count: Ints            # [C, buckets(COARSE)] covered, by latency
    anatomy_sum: Ints              # [C, buckets(COARSE), N_COMPONENTS]
    failed_sum: Ints               # [C] covered: failed_ns
    gw_streams: Ints               # [C] streams of measured requests ended at the gateway
    gw_status: Ints                # [C, N_STATUS]
    gw_flags: Ints                 # [C, N_FLAGS] by bit
    gw_hist: Ints                  # [C, buckets(FINE)] answered upstream or timed out at the gateway (UT)
    gw_sum: Ints                   # [C] the same streams
    overhead_hist: Ints            # [C, buckets(FINE)] the same streams
    overhead_sum: Ints             # [C]
    class_cluster: Ints            # [C, K] streams of measured requests by cluster chosen (counted when chosen)
    cluster_counters: Ints         # [K, N_COUNTERS]
    cluster_hist: Ints             # [K, buckets(MIDDLE)] answered attempts: answer ready - end of write upstream
    cluster_sum: Ints              # [K]
    worker_visits: Ints            # [W, N_VISITS]
    worker_visit_ns: Ints          # [W] sum of visit costs
    worker_cpu: Ints               # [W] ns: visits + wake-ups + iterations
    worker_window_cpu: Ints        # [W] ns within the window
    worker_wakeups: Ints           # [W]
    worker_iterations: Ints        # [W]
    worker_connections: Ints       # [W] accepted (ACCEPT visits), warm ones not counted
    worker_streams: Ints           # [W] REQUEST items read
    worker_throttled: Ints         # [W] ns stopped for want of CPU quota
    fleet_bin_cpu: Ints            # [F, N_BINS] worker CPU by time bin of the instant it is counted at (< duration)
    fleet_bin_pods: Ints           # [F, N_BINS] ns of pods that exist, by time bin; 0 for fleets that do not change
    station_jobs: Ints             # [S] requests delivered
    station_rejected: Ints         # [S] answered 503 at once, queue full
    station_errors: Ints           # [S] served with an error status
    station_busy: Ints             # [S] sum of service times, ns
    station_wait: Ints             # [S] sum of waits, ns
    station_window_busy: Ints      # [S] service times of jobs delivered within the window
    port_taken: Ints               # [P] source ports taken, whole run
    port_refused: Ints             # [P] connections that got none
    port_peak: Ints                # [P] most of them taken or held at once by one owner for one station
    long_opened: Ints              # [L] measured streams that opened
    long_setup_sum: Ints           # [L] from their start until they were open at the client, ns
    long_setup_hist: Ints          # [L, buckets(MIDDLE)]
    long_cut: Ints                 # [L] open ones, measured or not, that ended otherwise than by the backend, whole run
    long_bin_open: Ints            # [L, N_BINS] ns of open streams, by time bin (< duration)
    pod_bin_open: Ints             # [G, N_BINS] the same by gateway pod
    message_sent: Ints             # [L, 2] sent within the window
    message_count: Ints            # [L, 2] those of them that were delivered
    message_bytes: Ints            # [L, 2]
    message_sum: Ints              # [L, 2] from sending to delivery at the other end, ns
    message_hist: Ints             # [L, 2, buckets(MIDDLE)]
    bin_arrivals: Ints             # [N_BINS] requests by time bin of their start (< duration)
    bin_finished: Ints             # [N_BINS] requests by time bin of their end (< duration)
    bin_errors: Ints               # [N_BINS] those of them with status 0 or >= 400
    bin_latency_sum: Ints          # [N_BINS] by start (< duration), all answers
    bin_latency_hist: Ints         # [N_BINS, buckets(BIN)] by start
    bin_area: Ints                 # [N_BINS] integral of the number of requests in the system (< duration)
    area: Ints                     # [1] the same over the whole run, to the stop
    sojourn: Ints                  # [1] sum of (end or stop) - start over all requests
    requests: Ints                 # [1] requests started, whole run
    in_flight: Ints                # [1] unfinished at the stop
    stop_ns: Ints                  # [1]
    events: Ints                   # [1] events of the compiled engine; not compared
    saturated: Ints                # [1] 1 if max_in_flight stopped the run
    samples: Ints                  # [n, RECORD_WIDTH] uniform sample of measured requests, by (source, number)
    slowest: Ints                  # [n, RECORD_WIDTH] slowest covered per class, by (class, latency descending, source, number)
    records: Ints                  # [n, RECORD_WIDTH] all requests in order of their end, if asked for
    trace: Ints                    # [n, 8] visits in order, if asked for
    ejections: Ints                # [n, 5] ejections in order, if asked for: cluster, host, pod, instant, that of the return (-1: none)
    digest: int = 0                # order-independent hash of all records, if asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to keep beyond the fixed-size statistics: up to `records` request records, `trace` visits, `ejections`, the digest."""

    records: int = 0
    trace: int = 0
    digest: bool = False
    ejections: int = 0


def empty(model: Model) -> RawRun:
    """A `RawRun` of zeros with the sizes of `model`."""
    c, k, f, s = len(model.classes()), len(model.clusters), len(model.fleets), len(model.stations)
    p, n = len(model.port_pools), len(model.long_classes())
    g = sum(len(fleet.pods) for fleet in model.fleets) if n else 0
    w = sum(pod.workers for fleet in model.fleets for pod in fleet.pods)
    z = _zeros
    return RawRun(
        offered=z(c), finished=z(c), good=z(c), status=z(c, N_STATUS), client_attempts=z(c), gateway_attempts=z(c),
        request_bytes=z(c), response_bytes=z(c), handshakes=z(c, 4), covered=z(c), latency_sum=z(c),
        latency_hist=z(c, buckets(FINE)), component_sum=z(c, N_COMPONENTS),
        component_hist=z(c, N_COMPONENTS, buckets(MIDDLE)), anatomy_count=z(c, buckets(COARSE)),
        anatomy_sum=z(c, buckets(COARSE), N_COMPONENTS), failed_sum=z(c), gw_streams=z(c), gw_status=z(c, N_STATUS),
        gw_flags=z(c, N_FLAGS), gw_hist=z(c, buckets(FINE)), gw_sum=z(c), overhead_hist=z(c, buckets(FINE)),
        overhead_sum=z(c), class_cluster=z(c, k), cluster_counters=z(k, N_COUNTERS),
        cluster_hist=z(k, buckets(MIDDLE)), cluster_sum=z(k), worker_visits=z(w, N_VISITS), worker_visit_ns=z(w),
        worker_cpu=z(w), worker_window_cpu=z(w), worker_wakeups=z(w), worker_iterations=z(w),
        worker_connections=z(w), worker_streams=z(w), worker_throttled=z(w), fleet_bin_cpu=z(f, N_BINS), fleet_bin_pods=z(f, N_BINS), station_jobs=z(s),
        station_rejected=z(s), station_errors=z(s), station_busy=z(s), station_wait=z(s), station_window_busy=z(s),
        port_taken=z(p), port_refused=z(p), port_peak=z(p), long_opened=z(n), long_setup_sum=z(n), long_setup_hist=z(n, buckets(MIDDLE)),
        long_cut=z(n), long_bin_open=z(n, N_BINS), pod_bin_open=z(g, N_BINS), message_sent=z(n, 2), message_count=z(n, 2),
        message_bytes=z(n, 2), message_sum=z(n, 2), message_hist=z(n, 2, buckets(MIDDLE)),
        bin_arrivals=z(N_BINS), bin_finished=z(N_BINS), bin_errors=z(N_BINS), bin_latency_sum=z(N_BINS),
        bin_latency_hist=z(N_BINS, buckets(BIN)), bin_area=z(N_BINS), area=z(1), sojourn=z(1), requests=z(1),
        in_flight=z(1), stop_ns=z(1), events=z(1), saturated=z(1), samples=z(0, RECORD_WIDTH),
        slowest=z(0, RECORD_WIDTH), records=z(0, RECORD_WIDTH), trace=z(0, len(TRACE_FIELDS)),
        ejections=z(0, EJECTION_WIDTH),
    )


def _zeros(*shape: int) -> Ints:
    return np.zeros(shape, dtype=np.int64)


def differences(a: RawRun, b: RawRun) -> list[str]:
    """Names of the fields in which two runs differ (`events` aside); empty when they are equal to the last bit."""
    out = []
    for f in fields(RawRun):
        x: Any = getattr(a, f.name)
        y: Any = getattr(b, f.name)
        same = x == y if f.name == "digest" else np.array_equal(x, y)
        if f.name != "events" and not same:
            out.append(f.name)
    return out
