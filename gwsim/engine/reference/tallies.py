"""What is counted of each class, cluster, worker, station and time bin: the slots of a tally are fields of `RawRun`.

A tally is a row of each of those arrays.
"""

from __future__ import annotations

from gwsim.engine.codes import N_COMPONENTS, N_COUNTERS, N_VISITS
from gwsim.engine.schema import BIN, COARSE, FINE, MIDDLE, N_BINS, N_FLAGS, N_STATUS, bucket, buckets


def table(rows: int, columns: int) -> list[list[int]]:
    """A table of zeros."""
    return [[0] * columns for _ in range(rows)]


class ClassTally:
    """Of a traffic class: measured requests only."""

    __slots__ = (
        "anatomy_count", "anatomy_sum", "class_cluster", "client_attempts", "component_hist", "component_sum",
        "covered", "failed_sum", "finished", "gateway_attempts", "good", "gw_flags", "gw_hist", "gw_status",
        "gw_streams", "gw_sum", "handshakes", "latency_hist", "latency_sum", "offered", "overhead_hist",
        "overhead_sum", "request_bytes", "response_bytes", "status",
    )

    def __init__(self, clusters: int) -> None:
        self.offered = self.finished = self.good = self.covered = 0
        self.client_attempts = self.gateway_attempts = self.request_bytes = self.response_bytes = 0
        self.latency_sum = self.failed_sum = self.gw_streams = self.gw_sum = self.overhead_sum = 0
        self.status = [0] * N_STATUS
        self.handshakes = [0] * 4
        self.latency_hist = [0] * buckets(FINE)
        self.component_sum = [0] * N_COMPONENTS
        self.component_hist = table(N_COMPONENTS, buckets(MIDDLE))
        self.anatomy_count = [0] * buckets(COARSE)
        self.anatomy_sum = table(buckets(COARSE), N_COMPONENTS)
        self.gw_status = [0] * N_STATUS
        self.gw_flags = [0] * N_FLAGS
        self.gw_hist = [0] * buckets(FINE)
        self.overhead_hist = [0] * buckets(FINE)
        self.class_cluster = [0] * clusters

    def cover(self, latency: int, spent: list[int], failed_ns: int) -> None:
        """A request counts for the latency of its class."""
        self.covered += 1
        self.latency_sum += latency
        self.failed_sum += failed_ns
        self.latency_hist[bucket(latency, FINE)] += 1
        coarse = bucket(latency, COARSE)
        self.anatomy_count[coarse] += 1
        anatomy = self.anatomy_sum[coarse]
        for i, ns in enumerate(spent):
            if ns:
                self.component_sum[i] += ns
                anatomy[i] += ns
                self.component_hist[i][bucket(ns, MIDDLE)] += 1
            else:
                self.component_hist[i][0] += 1

    def end_stream(self, latency: int, overhead: int) -> None:
        """A stream counts for the gateway's latency."""
        self.gw_sum += latency
        self.overhead_sum += overhead
        self.gw_hist[bucket(latency, FINE)] += 1
        self.overhead_hist[bucket(overhead, FINE)] += 1


class ClusterTally:
    """Of a cluster, over all pods."""

    __slots__ = ("cluster_counters", "cluster_hist", "cluster_sum")

    def __init__(self) -> None:
        self.cluster_counters = [0] * N_COUNTERS
        self.cluster_hist = [0] * buckets(MIDDLE)
        self.cluster_sum = 0


class WorkerTally:
    """Of a worker, over the whole run."""

    __slots__ = (
        "worker_connections",
        "worker_cpu",
        "worker_iterations",
        "worker_streams",
        "worker_throttled",
        "worker_visit_ns",
        "worker_visits",
        "worker_wakeups",
        "worker_window_cpu",
    )

    def __init__(self) -> None:
        self.worker_visits = [0] * N_VISITS
        self.worker_visit_ns = self.worker_cpu = self.worker_window_cpu = 0
        self.worker_wakeups = self.worker_iterations = self.worker_connections = self.worker_streams = 0
        self.worker_throttled = 0


class StationTally:
    """Of a station, over the whole run."""

    __slots__ = (
        "station_busy", "station_errors", "station_jobs", "station_rejected", "station_wait", "station_window_busy",
    )

    def __init__(self) -> None:
        self.station_jobs = self.station_rejected = self.station_errors = 0
        self.station_busy = self.station_wait = self.station_window_busy = 0


class PortTally:
    """Of a pool of source ports, over the whole run."""

    __slots__ = ("port_peak", "port_refused", "port_taken")

    def __init__(self) -> None:
        self.port_peak = self.port_refused = self.port_taken = 0


class BinTally:
    """Of a time bin, over all requests."""

    __slots__ = ("bin_area", "bin_arrivals", "bin_errors", "bin_finished", "bin_latency_hist", "bin_latency_sum")

    def __init__(self) -> None:
        self.bin_arrivals = self.bin_finished = self.bin_errors = self.bin_latency_sum = self.bin_area = 0
        self.bin_latency_hist = [0] * buckets(BIN)


class LongTally:
    """Of a class of long streams."""

    __slots__ = (
        "long_bin_open", "long_cut", "long_opened", "long_setup_hist", "long_setup_sum", "message_bytes", "message_count", "message_hist", "message_sent", "message_sum",
    )

    def __init__(self) -> None:
        self.long_opened = self.long_setup_sum = self.long_cut = 0
        self.long_setup_hist = [0] * buckets(MIDDLE)
        self.long_bin_open = [0] * N_BINS
        self.message_sent, self.message_count, self.message_bytes, self.message_sum = [0, 0], [0, 0], [0, 0], [0, 0]
        self.message_hist = table(2, buckets(MIDDLE))


Tally = LongTally | ClassTally | ClusterTally | WorkerTally | StationTally | PortTally | BinTally
