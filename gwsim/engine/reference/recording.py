"""What a run leaves behind: counters, histograms, time bins, samples, records (`gwsim.engine.schema`).

Plain lists while the run lasts, arrays at its end. The slots of a tally are fields of `RawRun`: a tally is a row of
each of those arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappush, heappushpop
from typing import TYPE_CHECKING

import numpy as np

from gwsim.engine import schema
from gwsim.engine.codes import Purpose, Visit
from gwsim.engine.draws import MASK, draw64, fold
from gwsim.engine.reference.agenda import parts_of
from gwsim.engine.reference.tallies import (
    BinTally,
    ClassTally,
    ClusterTally,
    LongTally,
    PortTally,
    StationTally,
    Tally,
    WorkerTally,
    table,
)
from gwsim.engine.schema import (
    ANSWER_TIMEOUT,
    ANSWER_UPSTREAM,
    BIN,
    EJECTION_WIDTH,
    MIDDLE,
    N_BINS,
    RECORD_WIDTH,
    SAMPLE_SIZE,
    SLOWEST,
    TRACE_FIELDS,
    Options,
    RawRun,
    bucket,
)
from gwsim.scenario.model import Model

if TYPE_CHECKING:
    from gwsim.engine.reference.conversations import Conversation, Said
    from gwsim.engine.reference.streams import Request, Stream, UpstreamRequest
    from gwsim.engine.reference.worker import Worker

Row = tuple[int, ...]


class Recorder:
    """Counts everything."""

    __slots__ = (
        "area", "bin", "bins", "class_of", "classes", "clusters", "cut", "digest", "edge", "ejections", "fleet_bin_cpu", "fleet_bin_pods", "horizon",
        "in_flight", "kept", "last_change", "long", "measured_in_flight", "model", "open", "options", "pod_bin_open", "ports", "records", "requests", "since", "slow",
        "sojourn", "stations", "threshold", "trace", "workers",
    )

    def __init__(self, model: Model, options: Options, horizon: int, cut: int) -> None:
        self.model = model
        self.options = options
        self.horizon = horizon
        self.cut = cut
        self.classes = [ClassTally(len(model.clusters)) for _ in model.classes()]
        self.clusters = [ClusterTally() for _ in model.clusters]
        self.workers = [WorkerTally() for fleet in model.fleets for pod in fleet.pods for _ in range(pod.workers)]
        self.stations = [StationTally() for _ in model.stations]
        self.ports = [PortTally() for _ in model.port_pools]
        self.long = [LongTally() for _ in model.long_classes()]
        self.pod_bin_open = table(sum(len(fleet.pods) for fleet in model.fleets), N_BINS)
        self.open: dict[int, Stream] = {}
        """Long streams that are open at their clients, by name."""
        self.bins = [BinTally() for _ in range(N_BINS)]
        self.fleet_bin_cpu = table(len(model.fleets), N_BINS)
        self.fleet_bin_pods = table(len(model.fleets), N_BINS)
        self.requests = self.in_flight = self.measured_in_flight = 0
        self.area = self.sojourn = self.since = self.bin = 0
        self.edge = self._edge_after(0)
        self.last_change = -1
        """When a request has last started or ended."""
        self.digest = 0
        self.threshold = MASK
        self.kept: list[tuple[int, Row]] = []
        self.slow: list[list[tuple[int, int, int, Row]]] = [[] for _ in self.classes]
        self.records: list[Row] = []
        self.trace: list[Row] = []
        self.ejections: list[list[int]] = []

    # --- requests --------------------------------------------------------------------------------------------

    def arrived(self, request: Request) -> None:
        """A request starts."""
        now = request.start
        self._integrate(now)
        self.requests += 1
        self.in_flight += 1
        self.sojourn -= now
        if now < self.horizon:
            self.bins[now * N_BINS // self.horizon].bin_arrivals += 1
            if now >= self.cut:
                request.measured = True
                self.measured_in_flight += 1
                self.classes[request.traffic.class_id].offered += 1

    def derived(self, request: Request) -> None:
        """A request is made for another one: it counts in its class alone."""
        if request.measured:
            self.classes[request.traffic.class_id].offered += 1

    def finished(self, stream: Stream, now: int, status: int, flags: int, answer: int, response_bytes: int) -> None:
        """A request ends at the client, with what it got."""
        request = stream.request
        latency = now - request.start
        if request.cause is None:
            self._integrate(now)
            self.in_flight -= 1
            self.measured_in_flight -= request.measured and not request.settled
            self.sojourn += now
            self._bin_request(request.start, now, latency, status)
        record: Row | None = None
        if self.options.digest or len(self.records) < self.options.records:
            record = record_of(stream, now, status, flags, answer, response_bytes)
            self._keep_record(record)
        if not request.measured:
            return
        tally = self.classes[request.traffic.class_id]
        tally.finished += 1
        tally.good += 200 <= status < 400 or status == 101
        tally.status[status] += 1
        tally.client_attempts += stream.k + 1
        tally.request_bytes += request.request_bytes
        tally.response_bytes += response_bytes
        tally.handshakes[stream.handshake] += 1
        covered = answer in (ANSWER_UPSTREAM, ANSWER_TIMEOUT)
        if covered:
            tally.cover(latency, request.spent, request.failed_ns)
        sample = draw64(request.key, Purpose.SAMPLE)
        slow = self.slow[request.traffic.class_id]
        rank = (latency, -request.traffic.source, -request.number)
        slowest = covered and (len(slow) < SLOWEST or rank > slow[0][:3])
        if sample < self.threshold or slowest:
            record = record or record_of(stream, now, status, flags, answer, response_bytes)
            if sample < self.threshold:
                self._keep_sample(sample, record)
            if slowest:
                (heappush if len(slow) < SLOWEST else heappushpop)(slow, (*rank, record))

    def _bin_request(self, start: int, now: int, latency: int, status: int) -> None:
        if now < self.horizon:
            tally = self.bins[now * N_BINS // self.horizon]
            tally.bin_finished += 1
            tally.bin_errors += status == 0 or status >= 400
        if start < self.horizon:
            tally = self.bins[start * N_BINS // self.horizon]
            tally.bin_latency_sum += latency
            tally.bin_latency_hist[bucket(latency, BIN)] += 1

    def _keep_record(self, record: Row) -> None:
        if len(self.records) < self.options.records:
            self.records.append(record)
        if self.options.digest:
            h = 0
            for value in record:
                h = fold(h, value & MASK)
            self.digest = (self.digest + h) & MASK

    def _keep_sample(self, sample: int, record: Row) -> None:
        """A uniform sample of bounded size: the threshold halves until what is below it fits."""
        self.kept.append((sample, record))
        while len(self.kept) > SAMPLE_SIZE:
            self.threshold //= 2
            self.kept = [entry for entry in self.kept if entry[0] < self.threshold]

    def _edge_after(self, bin_: int) -> int:
        """The first instant after a time bin."""
        return -(-(bin_ + 1) * self.horizon // N_BINS)

    def _integrate(self, now: int) -> None:
        """The number in the system is about to change: add its integral up to now."""
        self.last_change = now
        n = self.in_flight
        self.area += n * (now - self.since)
        while self.bin < N_BINS and self.edge <= now:
            self.bins[self.bin].bin_area += n * (self.edge - self.since)
            self.since = self.edge
            self.bin += 1
            self.edge = self._edge_after(self.bin)
        if self.bin < N_BINS:
            self.bins[self.bin].bin_area += n * (now - self.since)
        self.since = now

    # --- the gateway -----------------------------------------------------------------------------------------

    def cluster_chosen(self, request: Request, cluster: int) -> None:
        """A stream has its cluster."""
        if request.measured:
            self.classes[request.traffic.class_id].class_cluster[cluster] += 1

    def attempt_answered(self, upstream: UpstreamRequest, cluster: int) -> None:
        """An attempt's answer was read."""
        if upstream.stream.request.measured:
            duration = upstream.ready - upstream.written
            tally = self.clusters[cluster]
            tally.cluster_sum += duration
            tally.cluster_hist[bucket(duration, MIDDLE)] += 1

    def stream_ended(self, stream: Stream, counted: bool) -> None:
        """A stream ended at the gateway; `counted`: answered from upstream, or timed out there."""
        request = stream.request
        if not request.measured:
            return
        tally = self.classes[request.traffic.class_id]
        tally.gw_streams += 1
        tally.gw_status[stream.status] += 1
        tally.gateway_attempts += stream.attempts
        flags = int(stream.flags)
        while flags:
            low = flags & -flags
            tally.gw_flags[low.bit_length() - 1] += 1
            flags -= low
        if counted:
            latency = stream.gw_end - stream.gw_start
            tally.end_stream(latency, latency - stream.upstream_ns)

    def visited(self, worker: Worker, visit: Visit, start: int, cost: int, name: int) -> None:
        """A visit starts."""
        tally = self.workers[worker.index]
        tally.worker_visits[visit] += 1
        tally.worker_visit_ns += cost
        self._cpu(worker, tally, start, cost)
        if len(self.trace) < self.options.trace:
            self.trace.append((start, worker.index, int(visit), *parts_of(name), cost))

    def woke(self, worker: Worker, now: int) -> None:
        """A worker polls after sleep."""
        tally = self.workers[worker.index]
        tally.worker_wakeups += 1
        self._cpu(worker, tally, now, worker.wakeup_ns)

    def iterated(self, worker: Worker, now: int) -> None:
        """A worker has polled and found something to do."""
        tally = self.workers[worker.index]
        tally.worker_iterations += 1
        self._cpu(worker, tally, now, worker.iteration_ns)

    def _cpu(self, worker: Worker, tally: WorkerTally, now: int, cost: int) -> None:
        tally.worker_cpu += cost
        if now < self.horizon:
            self.fleet_bin_cpu[worker.fleet.index][now * N_BINS // self.horizon] += cost
            if now >= self.cut:
                tally.worker_window_cpu += cost

    # --- stations --------------------------------------------------------------------------------------------

    def rejected(self, station: int) -> None:
        """A station's queue was full."""
        self.stations[station].station_jobs += 1
        self.stations[station].station_rejected += 1

    def delivered(self, station: int) -> None:
        """A station has a job."""
        self.stations[station].station_jobs += 1

    def departed(self, station: int, status: int) -> None:
        """A job is answered with `status`."""
        self.stations[station].station_errors += status != 200

    def served(self, station: int, now: int, wait: int, service: int) -> None:
        """The service of a job that was delivered at `now` starts."""
        tally = self.stations[station]
        tally.station_wait += wait
        tally.station_busy += service
        if self.cut <= now < self.horizon:
            tally.station_window_busy += service

    # --- hosts -----------------------------------------------------------------------------------------------

    def ejected(self, cluster: int, pod: int, host: int, now: int) -> list[int] | None:
        """A host is left out; gives the row to write its return into, if it is kept."""
        if len(self.ejections) == self.options.ejections:
            return None
        row = [cluster, host, pod, now, -1]
        self.ejections.append(row)
        return row

    # --- long streams ----------------------------------------------------------------------------------------

    def opened(self, stream: Stream, row: int, now: int) -> None:
        """A long stream is open at its client."""
        request = stream.request
        first = request.first_opened < 0
        self.open[stream.name] = stream
        if now >= self.horizon:
            self._settle(request, now)
        if request.measured and first:
            request.first_opened = now
            tally, setup = self.long[row], now - request.start
            tally.long_opened += 1
            tally.long_setup_sum += setup
            tally.long_setup_hist[bucket(setup, MIDDLE)] += 1

    def window_over(self, now: int) -> None:
        """No long stream that is open keeps the run alive any more."""
        for stream in self.open.values():
            self._settle(stream.request, now)

    def _settle(self, request: Request, now: int) -> None:
        if request.measured and not request.settled:
            request.settled = True
            self.measured_in_flight -= 1
            self.last_change = now

    def closed(self, stream: Stream, now: int, cut: bool) -> None:
        """It has ended, `cut` if the backend did not end it."""
        del self.open[stream.name]
        self._count_open(stream, now)
        assert stream.conversation is not None
        self.long[stream.conversation.terms.row].long_cut += cut

    def _count_open(self, stream: Stream, now: int) -> None:
        """Add the time in which it was open, up to `now`, to the bins."""
        assert stream.conversation is not None
        at, end = stream.opened, min(now, self.horizon)
        rows = (self.long[stream.conversation.terms.row].long_bin_open, self.pod_bin_open[stream.connection.worker.pod.index])
        while at < end:
            b = at * N_BINS // self.horizon
            edge = min(end, self._edge_after(b))
            for row in rows:
                row[b] += edge - at
            at = edge

    def said(self, conversation: Conversation, way: int, now: int) -> None:
        """A message is sent."""
        if self.cut <= now < self.horizon:
            self.long[conversation.terms.row].message_sent[way] += 1

    def heard(self, conversation: Conversation, way: int, said: Said, now: int) -> None:
        """A message is delivered."""
        if self.cut <= said.sent < self.horizon:
            tally, latency = self.long[conversation.terms.row], now - said.sent
            tally.message_count[way] += 1
            tally.message_bytes[way] += said.size
            tally.message_sum[way] += latency
            tally.message_hist[way][bucket(latency, MIDDLE)] += 1

    # --- the end ---------------------------------------------------------------------------------------------

    def result(self, now: int, events: int, saturated: bool) -> RawRun:
        """All of it as arrays; the run stopped at `now`."""
        self._integrate(now)
        raw = schema.empty(self.model)
        for stream in self.open.values():
            self._count_open(stream, now)
        if self.long:
            raw.pod_bin_open[:] = self.pod_bin_open
        for tallies in (self.classes, self.clusters, self.workers, self.stations, self.ports, self.bins, self.long):
            put_rows(raw, tallies)
        raw.fleet_bin_cpu[:] = self.fleet_bin_cpu
        raw.fleet_bin_pods[:] = self.fleet_bin_pods
        raw.area[0] = self.area
        raw.sojourn[0] = self.sojourn + self.in_flight * now
        raw.requests[0] = self.requests
        raw.in_flight[0] = self.in_flight
        raw.stop_ns[0] = now
        raw.events[0] = events
        raw.saturated[0] = saturated
        raw.samples = rows(sorted((record for _, record in self.kept), key=by_number), RECORD_WIDTH)
        raw.slowest = rows([entry[3] for slow in self.slow for entry in sorted(slow, reverse=True)], RECORD_WIDTH)
        raw.records = rows(self.records, RECORD_WIDTH)
        raw.ejections = np.array(self.ejections, dtype=np.int64).reshape(len(self.ejections), EJECTION_WIDTH)
        raw.trace = rows(self.trace, len(TRACE_FIELDS))
        raw.digest = self.digest
        return raw


def put_rows(raw: RawRun, tallies: Sequence[Tally]) -> None:
    """Put each tally into its row of the arrays named by its slots."""
    for i, tally in enumerate(tallies):
        for field in tally.__slots__:
            getattr(raw, field)[i] = getattr(tally, field)


def record_of(stream: Stream, now: int, status: int, flags: int, answer: int, response_bytes: int) -> Row:
    """A request's record; its columns are `schema.RECORD_FIELDS`."""
    request, worker = stream.request, stream.connection.worker
    return (
        request.traffic.class_id, request.traffic.source, request.number, stream.k + 1, stream.attempts, status,
        int(flags), answer, -1 if stream.cluster is None else stream.cluster.shared.index, stream.station,
        worker.pod.index, worker.index, stream.slot.index, stream.handshake, request.start, now, stream.gw_start,
        stream.gw_end, stream.upstream_ns, request.request_bytes, response_bytes, request.failed_ns, *request.spent,
    )


def by_number(record: Row) -> tuple[int, int]:
    """(source, number) of a record."""
    return record[1], record[2]


def rows(of: list[Row], width: int) -> schema.Ints:
    """Rows as an array, also when there are none."""
    return np.array(of, dtype=np.int64).reshape(len(of), width)
